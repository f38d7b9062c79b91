package policyfile_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

func read(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseFull(t *testing.T) {
	p, err := policyfile.Parse(read(t, "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(p.Geometry()); err != nil {
		t.Fatal(err)
	}
	if p.Name != "camera" || p.Version != 7 || !p.Memory.Blank || len(p.Memory.Hidden) != 4 || len(p.Map) != 5 {
		t.Fatalf("read %+v", p)
	}
	fw := p.Region("firmware")
	if fw.Update.Slot != "firmware b" || fw.Write != (policy.Rule{Mode: policy.Grant, Authority: "vendor"}) || fw.ID != 3 {
		t.Errorf("firmware: %+v", fw)
	}
	if fw.Span.Off != 0x30000 {
		t.Errorf("without at, a region follows the one before: %v", fw.Span)
	}
	if got := fw.In[policy.Manufacturing].Write.Mode; got != policy.Any {
		t.Errorf("firmware may be written in manufacturing: %v", got)
	}
	if d := p.Region("data"); d.Wear != (policy.Wear{Erases: 100, PerHours: 24}) {
		t.Errorf("data: %+v", d.Wear)
	}
	if k := p.Authorities[0].Keys; len(k) != 1 || len(k[0].Public) != 32 || !k[0].Development {
		t.Errorf("keys: %+v", k)
	}
}

func TestFormatRoundTrip(t *testing.T) {
	p, err := policyfile.Parse(read(t, "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := policyfile.Format(p, "a note", "two\nlines")
	q, err := policyfile.Parse(out)
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if !reflect.DeepEqual(p, q) {
		t.Errorf("changed by writing and reading:\n%s\n%+v\n%+v", out, p, q)
	}
	if !strings.HasPrefix(string(out), "# a note\n# two\n# lines\nnanolock: 1\n") {
		t.Errorf("notes are missing:\n%s", out)
	}
}

func TestParseRefuses(t *testing.T) {
	const head = "nanolock: 1\nversion: 1\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"only a comment", "# x\n", "empty"},
		{"scalar", "hello", "want a mapping"},
		{"no format version", "version: 1\n", "\"nanolock\" is missing"},
		{"format of the future", "nanolock: 2\n", "line 1: format \"2\" is not known"},
		{"unknown key", head + "regions: []\n", "line 3: unknown key \"regions\" in the policy: want authorities, map, memory"},
		{"unknown key in a region", head + "map:\n- name: a\n  wirte: any\n", "line 5: unknown key \"wirte\" in a region"},
		{"unknown key in memory", head + "memory: {sice: 1}\n", "line 3: unknown key \"sice\" in memory"},
		{"key twice", head + "version: 2\n", "line 3: key \"version\" twice"},
		{"unit of a thousand", head + "memory: {size: 16MB}\n", "line 3: want a size such as"},
		{"no unit at all", head + "memory: {size: big}\n", "line 3: want a size"},
		{"negative", head + "memory: {size: -1}\n", "line 3: want a size"},
		{"overflow", head + "memory: {size: 99999999999TiB}\n", "line 3: want a size"},
		{"unknown rule", head + "map:\n- read: all\n", "line 4: unknown rule \"all\""},
		{"grant without authority", head + "map:\n- read: grant\n", "line 4: unknown rule \"grant\""},
		{"unknown state", head + "map:\n- in: {field: {read: any}}\n", "line 4: unknown key \"field\" in in"},
		{"unknown kind", head + "memory:\n  hidden: [{kind: secret}]\n", "line 4: unknown kind \"secret\""},
		{"unknown suite", head + "authorities: [{suite: rsa}]\n", "line 3: unknown suite \"rsa\""},
		{"key not hexadecimal", head + "authorities: [{keys: [{public: xyz}]}]\n", "line 3: public: want hexadecimal"},
		{"boolean", head + "memory: {blank: yes}\n", "line 3: want true or false"},
		{"list expected", head + "map: {a: b}\n", "line 3: map: want a list"},
		{"word expected", head + "name: [a]\n", "line 3: want a word"},
		{"null name", head + "name:\n", "line 3: want a word"},
		{"anchor", head + "memory: &m {size: 1}\nmap: *m\n", "anchors are not followed"},
		{"two documents", head + "---\n" + head, "more than one document"},
		{"broken YAML", head + "map: [\n", "not YAML"},
		{"tab", head + "\tname: x\n", "not YAML"},
		{"unknown anchor", head + "name: *x\n", "line 3: not YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := policyfile.Parse([]byte(c.text))
			if err == nil || p != nil {
				t.Fatalf("accepted: %+v", p)
			}
			var e *policyfile.Error
			if !errors.Is(err, policyfile.ErrSyntax) || !errors.As(err, &e) {
				t.Errorf("not a typed error: %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("says %q, want %q in it", err, c.want)
			}
		})
	}
}

// TestParseBounds: what is hostile is refused before it costs memory, and faults
// are listed, but not for ever.
func TestParseBounds(t *testing.T) {
	if _, err := policyfile.Parse(make([]byte, policyfile.MaxFile+1)); !errors.Is(err, policyfile.ErrSyntax) {
		t.Errorf("large file: %v", err)
	}
	deep := "nanolock: " + strings.Repeat("[", 1_000_000)
	if _, err := policyfile.Parse([]byte(deep)); !errors.Is(err, policyfile.ErrSyntax) {
		t.Errorf("deep file: %v", err)
	}
	for name, many := range map[string]string{
		"flow": "nanolock: 1\nmap: [" + strings.Repeat("{},", 3_000_000) + "]\n", "nested": strings.Repeat(strings.Repeat("- ", 5000)+"\n", 500),
	} {
		if _, err := policyfile.Parse([]byte(many)); !errors.Is(err, policyfile.ErrSyntax) || !strings.Contains(err.Error(), "merge neighbours") {
			t.Errorf("%s: %v", name, err)
		}
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"
	if _, err := policyfile.Parse([]byte(bomb)); !errors.Is(err, policyfile.ErrSyntax) {
		t.Errorf("aliases: %v", err)
	}
	_, err := policyfile.Parse([]byte("nanolock: 1\nmap:\n" + strings.Repeat("- {x: y}\n", 100)))
	if n := strings.Count(err.Error(), "\n"); n != 19 {
		t.Errorf("%d lines of errors, want 20", n+1)
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "65536": 65536, "0x10000": 65536, "64KiB": 65536, "16MiB": 16 << 20, "1 GiB": 1 << 30, "1_000": 1000, "0xFFFF_0000": 0xFFFF0000, "2TiB": 2 << 40,
	} {
		if got, err := policyfile.ParseSize(s); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1.5MiB", "64K", "64kb", "0x", "0xZZ", "KiB", "9223372036854775808", "5000000000GiB", "0x10KiB", "_1", " 1"} {
		if got, err := policyfile.ParseSize(s); err == nil {
			t.Errorf("%q accepted as %d", s, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 1: "1", 1024: "1KiB", 1025: "1025", 3 << 20: "3MiB", 1 << 30: "1GiB", 1 << 40: "1TiB"} {
		if got := policyfile.FormatSize(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

// FuzzParse: nothing panics, and a valid policy can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "full.yaml"))
	f.Add([]byte("nanolock: 1\nversion: 1\nmemory: {size: 1MiB, granule: 64KiB}\nmap: [{name: a, size: 1MiB, read: any}]\n"))
	f.Add([]byte("nanolock: 1\nmap: [{in: {rma: {}}}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policyfile.Parse(text)
		if err != nil {
			if !errors.Is(err, policyfile.ErrSyntax) {
				t.Fatalf("not a typed error: %v", err)
			}
			return
		}
		if p.Validate(p.Geometry()) != nil {
			return
		}
		q, err := policyfile.Parse(policyfile.Format(p))
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("changed by writing and reading: %v\n%s", err, policyfile.Format(p))
		}
	})
}
