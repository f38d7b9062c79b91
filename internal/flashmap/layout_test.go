package flashmap

import (
	"strings"
	"testing"
)

const layoutReal = `# an Intel board, as ifdtool writes it
00000000:00000fff fd
00001000:001fffff me
00200000:007fffff bios  # the part that vendors update

0x00700000:0x0077ffff normal` + "\r\n"

func TestLayout(t *testing.T) {
	m, err := Layout(layoutReal)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, m)
	same(t, "ifdtool", m, `
		fd 0x0+0x1000
		me 0x1000+0x1ff000
		bios 0x200000+0x600000
		  normal 0x700000+0x80000
	`)
	if m.Source != "layout" || m.Size != 0 || len(m.Notes) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestLayoutRefuses(t *testing.T) {
	for _, v := range []struct {
		s    string
		kind error
		off  int
	}{
		{"", ErrNone, 0},
		{"# nothing\n\n", ErrNone, 0},
		{"0:fff\n", ErrSyntax, 0},
		{"0:fff a b\n", ErrSyntax, 0},
		{"0-fff a\n", ErrSyntax, 0},
		{"0:fff a\n:fff b\n", ErrSyntax, 8},
		{"0:xyz a\n", ErrSyntax, 0},
		{"-1:ff a\n", ErrSyntax, 0},
		{"0x0x1:ff a\n", ErrSyntax, 0},
		{"1000:fff a\n", ErrSyntax, 0},
		{"0:ffffffffffffffffffff a\n", ErrSyntax, 0},
		{"0:1000000000000 a\n", ErrSyntax, 0},
		{"0:fff \xff\n", ErrSyntax, 0},
		{"0:fff a\n800:17ff b\n", ErrOverlap, 8},
		{strings.Repeat("0:0 a\n", MaxParts+1), ErrLimit, 6 * MaxParts},
		{strings.Repeat("#", maxLayout+1), ErrLimit, 0},
	} {
		m, err := Layout(v.s)
		name := v.s[:min(len(v.s), 40)]
		if refused(t, name, err, v.kind, v.off); m.Parts != nil {
			t.Errorf("%s: parts with the error", name)
		}
	}
	if m, err := Layout("0:ffffffffffff all\n"); err != nil || m.Parts[0].End() != MaxSize {
		t.Errorf("the largest device: %v, %v", m, err)
	}
}

func FuzzLayout(f *testing.F) {
	f.Add(layoutReal)
	f.Add("0:fff a\n800:17ff b\n")
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := Layout(s); err == nil {
			sound(t, m)
		}
	})
}
