package flashpic_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nanolock/nanolock/internal/demo"
	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func mode(m policy.Mode) policy.Rule { return policy.Rule{Mode: m} }

func TestClasses(t *testing.T) {
	grant := policy.Rule{Mode: policy.Grant, Authority: "owner"}
	tests := []struct {
		name   string
		region policy.Region
		state  policy.State
		want   flashpic.Class
	}{
		{"nothing", policy.Region{}, 0, flashpic.Protected},
		{"boot", policy.Region{Boot: true}, 0, flashpic.Boot},
		{"boot that the host writes", policy.Region{Boot: true, Access: policy.Access{Write: mode(policy.Any)}}, 0, flashpic.Writable},
		{"erase alone", policy.Region{Access: policy.Access{Erase: mode(policy.Any)}}, 0, flashpic.Writable},
		{"append", policy.Region{Access: policy.Access{Write: mode(policy.Append), Erase: grant}}, 0, flashpic.Append},
		{"grant", policy.Region{Boot: true, Access: policy.Access{Write: grant}}, 0, flashpic.Granted},
		{"update", policy.Region{Update: &policy.Update{Slot: "b"}, Access: policy.Access{Write: grant}}, 0, flashpic.Updatable},
		{"update nobody makes", policy.Region{Update: &policy.Update{Slot: "b"}}, 0, flashpic.Protected},
		{"once, sealed", policy.Region{Access: policy.Access{Write: mode(policy.Once)}}, 0, flashpic.Protected},
		{"once, open", policy.Region{Access: policy.Access{Write: mode(policy.Once)}}, policy.Manufacturing, flashpic.Writable},
		{"another state", policy.Region{In: map[policy.State]policy.Access{policy.RMA: {Write: mode(policy.Any)}}}, policy.RMA, flashpic.Writable},
	}
	for _, tc := range tests {
		tc.region.Span = nvm.Span{Len: 4096}
		pic := flashpic.New(&policy.Policy{Memory: policy.Memory{Size: 4096, Granule: 4096}, Map: []policy.Region{tc.region}}, tc.state)
		if got := pic.Pieces[0].Class; got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// many is a map of n regions of one block each, in runs of one class.
func many(n int) *policy.Policy {
	p := &policy.Policy{Name: "many", Version: 1, Memory: policy.Memory{Size: int64(n) << 12, Granule: 4096}}
	for i := range n {
		r := policy.Region{ID: uint32(i + 1), Name: fmt.Sprintf("r%d", i), Span: nvm.Span{Off: int64(i) << 12, Len: 4096}}
		if i%3 == 0 {
			r.Access.Write = mode(policy.Any)
		}
		p.Map = append(p.Map, r)
	}
	return p
}

func TestFoldedKeepsEveryByte(t *testing.T) {
	pic := flashpic.New(many(10_000), 0)
	for _, limit := range []int{1, 2, 40, 9_999, 20_000} {
		f := pic.Folded(limit)
		at, count := int64(0), 0
		for _, x := range f.Pieces {
			if x.Span.Off != at {
				t.Fatalf("limit %d: piece at %#x, want %#x", limit, x.Span.Off, at)
			}
			at, count = x.Span.End(), count+x.Count
		}
		if at != pic.Size || count != 10_000 || len(f.Pieces) > limit {
			t.Errorf("limit %d: %d pieces of %d regions up to %#x", limit, len(f.Pieces), count, at)
		}
		if limit == 40 && f.Pieces[1].Class != flashpic.Writable {
			t.Errorf("a fold hides what is writable: %v", f.Pieces[1].Class)
		}
	}
}

func TestTextFitsTheTerminal(t *testing.T) {
	for _, p := range []*policy.Policy{demo.Router(), many(10_000)} {
		for _, o := range []flashpic.TextOptions{{}, {Width: 80, UTF8: true}, {Width: 120, UTF8: true}} {
			var b strings.Builder
			if err := flashpic.Text(&b, flashpic.New(p, 0), o); err != nil {
				t.Fatal(err)
			}
			if p.Name == "many" && !strings.Contains(b.String(), "mixed") {
				t.Error("a fold shows the rules of one of its regions")
			}
			if n := strings.Count(b.String(), "\n"); n > 140 {
				t.Errorf("%s: %d lines", p.Name, n)
			}
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > max(o.Width, 80) {
					t.Errorf("%s at %d columns: a line of %d: %s", p.Name, o.Width, n, line)
				}
				if !o.UTF8 && len(line) != utf8.RuneCountInString(line) {
					t.Errorf("not ASCII: %q", line)
				}
			}
			if strings.Contains(b.String(), "\x1b") {
				t.Errorf("%s: colour that nobody asked for", p.Name)
			}
		}
	}
}

func TestTextColour(t *testing.T) {
	var plain, coloured strings.Builder
	pic := flashpic.New(demo.Router(), 0)
	_ = flashpic.Text(&plain, pic, flashpic.TextOptions{UTF8: true})
	_ = flashpic.Text(&coloured, pic, flashpic.TextOptions{UTF8: true, Color: true})
	if !strings.Contains(coloured.String(), "\x1b[48;5;") || coloured.Len() <= plain.Len() {
		t.Error("no colour")
	}
}

func TestSVG(t *testing.T) {
	evil := demo.Router()
	evil.Map[0].Name = `<script>&"`
	for _, p := range []*policy.Policy{demo.Router(), evil, many(10_000)} {
		var b strings.Builder
		if err := flashpic.SVG(&b, flashpic.New(p, 0)); err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			tok, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: not XML: %v", p.Name, err)
			}
			if e, ok := tok.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "image" || e.Name.Local == "a") {
				t.Errorf("%s: element %s", p.Name, e.Name.Local)
			}
		}
		for _, want := range map[string][]string{
			"demo-router": {">firmware<", ">192 KiB · 1.2 %<"},
			"many":        {" regions, at most writable<", ">13336 KiB · 33.3 %<"}, // folded, but counted exactly
		}[p.Name] {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q", p.Name, want)
			}
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 100: "100 B", 1024: "1 KiB", 1536: "1536 B", 3 << 20: "3 MiB", 1 << 40: "1 TiB"} {
		if got := flashpic.Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}
