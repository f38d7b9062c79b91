package flashmap

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show writes a map so that a test can state all of it in a few lines.
func show(m Map) string {
	var b strings.Builder
	var walk func(parts []Part, indent string)
	walk = func(parts []Part, indent string) {
		for _, p := range parts {
			fmt.Fprintf(&b, "%s%s %#x+%#x", indent, p.Name, p.Off, p.Len)
			if p.ReadOnly {
				b.WriteString(" ro")
			}
			for _, f := range append(p.Flags, p.Compatible...) {
				b.WriteString(" " + f)
			}
			b.WriteString("\n")
			walk(p.Children, indent+"  ")
		}
	}
	walk(m.Parts, "")
	return b.String()
}

func same(t *testing.T, name string, m Map, want string) {
	t.Helper()
	want = strings.ReplaceAll(strings.TrimPrefix(want, "\n"), "\t", "")
	if got := show(m); got != want {
		t.Errorf("%s:\n%swant\n%s", name, got, want)
	}
}

// refused checks an error's kind and place, and that it says something.
func refused(t *testing.T, name string, err, kind error, off int) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e) || !errors.Is(err, kind) || e.Off != off:
		t.Errorf("%s: %v, want %v at byte %d", name, err, kind, off)
	case e.Msg == "" || e.Source == "" || !strings.Contains(err.Error(), e.Msg):
		t.Errorf("%s: %q says too little", name, err)
	}
}

// sound checks what every map that a parser returns must hold.
func sound(t *testing.T, m Map) {
	t.Helper()
	if m.Source == "" || len(m.Parts) == 0 || m.Size < 0 || m.Size > MaxSize {
		t.Fatalf("%+v", m)
	}
	limit := MaxSize
	if m.Size > 0 {
		limit = m.Size
	}
	flat := m.Flat()
	if len(flat) > MaxParts {
		t.Fatalf("%d partitions", len(flat))
	}
	for _, p := range flat {
		if p.Children != nil || checkName(p.Name) != "" {
			t.Fatalf("%+v", p)
		}
		if m.Size > 0 && p.Len == 0 {
			t.Fatalf("%+v has no length in a device of %d", p, m.Size)
		}
	}
	inside(t, m.Parts, 0, limit, 0)
}

func inside(t *testing.T, parts []Part, lo, hi int64, depth int) {
	t.Helper()
	if depth > MaxNesting {
		t.Fatalf("nested %d deep", depth)
	}
	for _, p := range parts {
		if p.Off < lo || p.Len < 0 || p.End() > hi || p.End() <= p.Off {
			t.Fatalf("%+v is not inside [%#x,%#x)", p, lo, hi)
		}
		inside(t, p.Children, p.Off, p.End(), depth+1)
		lo = p.End()
	}
}

func TestWithSize(t *testing.T) {
	maps, err := MTDParts("nand0:1M(boot)ro,-(rest)", 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := maps[0].WithSize(8 << 20)
	if err != nil || m.Size != 8<<20 {
		t.Fatal(m, err)
	}
	same(t, "8 MiB", m, `
		boot 0x0+0x100000 ro
		rest 0x100000+0x700000
	`)
	if maps[0].Parts[1].Len != 0 {
		t.Error("WithSize changed its receiver")
	}
	for _, size := range []int64{-1, 0, 1 << 20, 4096, MaxSize + 1} {
		_, err := maps[0].WithSize(size)
		refused(t, fmt.Sprint(size), err, ErrRange, -1)
	}
	if _, err := m.WithSize(8 << 20); err != nil {
		t.Error(err)
	}
	_, err = m.WithSize(16 << 20)
	refused(t, "another size", err, ErrRange, -1)
}

func TestNesting(t *testing.T) {
	nested := func(depth int) string {
		var b strings.Builder
		b.WriteString("d:")
		for i := range depth {
			fmt.Fprintf(&b, "%d@%d(p%d),", 2*(depth-i), i, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	maps, err := MTDParts(nested(MaxNesting), 0)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, maps[0])
	_, err = MTDParts(nested(MaxNesting+1), 0)
	if !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"u-boot env": true, "größe": true, strings.Repeat("x", MaxName): true,
		"": false, strings.Repeat("x", MaxName+1): false, "a\x00": false, "a\nb": false, "\x1b[2J": false, "\xff": false, "a\u202eb": false,
	} {
		if got := checkName(name); (got == "") != ok {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestErrorLine(t *testing.T) {
	_, err := MTDParts("nor0:64k", 0)
	want := "mtdparts: malformed at byte 8: a partition without a name: write (name) behind its size and offset"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
