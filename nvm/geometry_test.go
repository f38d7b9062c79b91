package nvm_test

import (
	"errors"
	"math"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// uniform is 16 blocks of 4 KiB with pages of 256 bytes.
var uniform = nvm.Geometry{Size: 64 << 10, EraseSize: 4096, ProgramSize: 8, PageSize: 256, Erased: 0xFF}

// boot is a part with small boot sectors: 4 of 1 KiB, one of 12 KiB, 3 of 16 KiB.
var boot = nvm.Geometry{Size: 64 << 10, EraseSize: 1024, ProgramSize: 1, Erased: 0xFF, Blocks: []nvm.EraseArea{
	{Len: 4 << 10, EraseSize: 1 << 10}, {Len: 12 << 10, EraseSize: 12 << 10}, {Len: 48 << 10, EraseSize: 16 << 10}}}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(g *nvm.Geometry){
		"zero":                   func(g *nvm.Geometry) { *g = nvm.Geometry{} },
		"negative size":          func(g *nvm.Geometry) { g.Size = -4096 },
		"too large":              func(g *nvm.Geometry) { g.Size, g.EraseSize = nvm.MaxSize+1<<20, 1<<20 },
		"no erase size":          func(g *nvm.Geometry) { g.EraseSize = 0 },
		"negative erase size":    func(g *nvm.Geometry) { g.EraseSize = math.MinInt64 },
		"erase size 3":           func(g *nvm.Geometry) { g.EraseSize = 3 },
		"part of a block":        func(g *nvm.Geometry) { g.Size++ },
		"too many blocks":        func(g *nvm.Geometry) { *g = nvm.Geometry{Size: nvm.MaxBlocks + 1, EraseSize: 1, ProgramSize: 1} },
		"no program size":        func(g *nvm.Geometry) { g.ProgramSize = 0 },
		"program size 3":         func(g *nvm.Geometry) { g.ProgramSize = 3 },
		"program over erase":     func(g *nvm.Geometry) { g.ProgramSize = 8192 },
		"negative page":          func(g *nvm.Geometry) { g.PageSize = -256 },
		"page below a unit":      func(g *nvm.Geometry) { g.PageSize = 4 },
		"page not in a block":    func(g *nvm.Geometry) { g.PageSize = 3000 * 8 },
		"unknown class":          func(g *nvm.Geometry) { g.Program = nvm.Rewrite + 1 },
		"area of no blocks":      func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: g.Size}} },
		"area of half units":     func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: g.Size, EraseSize: 2048}} },
		"area too short":         func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: 4096, EraseSize: 4096}} },
		"area too long":          func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: 2 * g.Size, EraseSize: 4096}} },
		"area of length zero":    func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: 0, EraseSize: 4096}} },
		"area of part of blocks": func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{{Len: 12288, EraseSize: 8192}} },
		"areas overflow": func(g *nvm.Geometry) {
			g.Blocks = []nvm.EraseArea{{Len: 4096, EraseSize: 4096}, {Len: math.MaxInt64 &^ 4095, EraseSize: 4096}}
		},
		"no areas": func(g *nvm.Geometry) { g.Blocks = []nvm.EraseArea{} },
	} {
		g := uniform
		change(&g)
		if err := g.Validate(); !errors.Is(err, nvm.ErrGeometry) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, g := range map[string]nvm.Geometry{
		"uniform": uniform, "boot": boot,
		"largest": {Size: nvm.MaxSize, EraseSize: 1 << 20, ProgramSize: 1},
		"byte":    {Size: 1, EraseSize: 1, ProgramSize: 1, PageSize: 1, Program: nvm.Rewrite},
		"nand":    {Size: 1 << 20, EraseSize: 1 << 17, ProgramSize: 2048, PageSize: 2048, Program: nvm.OncePage},
	} {
		if err := g.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlock(t *testing.T) {
	for _, c := range []struct {
		g    nvm.Geometry
		off  int64
		want nvm.Span
	}{
		{uniform, 0, nvm.Span{Off: 0, Len: 4096}},
		{uniform, 4095, nvm.Span{Off: 0, Len: 4096}},
		{uniform, 4096, nvm.Span{Off: 4096, Len: 4096}},
		{uniform, 65535, nvm.Span{Off: 61440, Len: 4096}},
		{uniform, 65536, nvm.Span{}},
		{uniform, -1, nvm.Span{}},
		{uniform, math.MinInt64, nvm.Span{}},
		{uniform, math.MaxInt64, nvm.Span{}},
		{boot, 1023, nvm.Span{Off: 0, Len: 1024}},
		{boot, 3072, nvm.Span{Off: 3072, Len: 1024}},
		{boot, 4096, nvm.Span{Off: 4096, Len: 12288}},
		{boot, 16383, nvm.Span{Off: 4096, Len: 12288}},
		{boot, 16384, nvm.Span{Off: 16384, Len: 16384}},
		{boot, 65535, nvm.Span{Off: 49152, Len: 16384}},
		{nvm.Geometry{}, 0, nvm.Span{}},
		{nvm.Geometry{Size: 10}, 0, nvm.Span{}},
		{nvm.Geometry{Size: 10, EraseSize: 1, Blocks: []nvm.EraseArea{{Len: 5, EraseSize: 1}}}, 7, nvm.Span{}},
		{nvm.Geometry{Size: 10, EraseSize: 1, Blocks: []nvm.EraseArea{{Len: 10}}}, 7, nvm.Span{}},
	} {
		if got := c.g.Block(c.off); got != c.want {
			t.Errorf("Block(%d) = %v, want %v", c.off, got, c.want)
		}
	}
}

// TestRounding compares Outward and Inward with a walk over all blocks.
func TestRounding(t *testing.T) {
	for name, g := range map[string]nvm.Geometry{"uniform": uniform, "boot": boot} {
		var edges []int64
		for off := int64(0); off < g.Size; off = g.Block(off).End() {
			edges = append(edges, off-1, off, off+1, off+512)
		}
		edges = append(edges, g.Size-1, g.Size, g.Size+1)
		for _, lo := range edges {
			for _, hi := range edges {
				s := nvm.Span{Off: lo, Len: hi - lo}
				out, in := rounded(g, s)
				if got := g.Outward(s); got != out {
					t.Fatalf("%s: Outward(%v) = %v, want %v", name, s, got, out)
				}
				if got := g.Inward(s); got != in {
					t.Fatalf("%s: Inward(%v) = %v, want %v", name, s, got, in)
				}
				want := error(nil)
				switch {
				case s.Off < 0 || s.Len < 0 || hi > g.Size:
					want = nvm.ErrRange
				case s.Len > 0 && (out != s || in != s):
					want = nvm.ErrAlign
				}
				if err := g.CheckErase(s.Off, s.Len); err != want {
					t.Fatalf("%s: CheckErase(%v) = %v, want %v", name, s, err, want)
				}
			}
		}
	}
}

func rounded(g nvm.Geometry, s nvm.Span) (out, in nvm.Span) {
	if s.Off < 0 || s.Len <= 0 || s.Off+s.Len > g.Size {
		return
	}
	for off := int64(0); off < g.Size; {
		b := g.Block(off)
		if s.Overlaps(b) {
			if out.Len == 0 {
				out.Off = b.Off
			}
			out.Len = b.End() - out.Off
		}
		if s.Contains(b) {
			if in.Len == 0 {
				in.Off = b.Off
			}
			in.Len = b.End() - in.Off
		}
		off = b.End()
	}
	return
}

func TestCheckAccess(t *testing.T) {
	for _, c := range []struct {
		off, n        int64
		read, program error
	}{
		{0, 0, nil, nil},
		{0, 8, nil, nil},
		{0, 256, nil, nil},
		{0, 257, nil, nvm.ErrAlign},
		{0, 264, nil, nvm.ErrAlign},
		{248, 16, nil, nvm.ErrAlign},
		{256, 256, nil, nil},
		{1, 0, nil, nil},
		{1, 8, nil, nvm.ErrAlign},
		{8, 7, nil, nvm.ErrAlign},
		{65528, 8, nil, nil},
		{65536, 0, nil, nil},
		{65537, 0, nvm.ErrRange, nvm.ErrRange},
		{65528, 16, nvm.ErrRange, nvm.ErrRange},
		{-8, 8, nvm.ErrRange, nvm.ErrRange},
		{0, -8, nvm.ErrRange, nvm.ErrRange},
		{math.MaxInt64, 8, nvm.ErrRange, nvm.ErrRange},
		{8, math.MaxInt64, nvm.ErrRange, nvm.ErrRange},
		{math.MinInt64, math.MinInt64, nvm.ErrRange, nvm.ErrRange},
	} {
		if err := uniform.CheckRead(c.off, c.n); err != c.read {
			t.Errorf("CheckRead(%d, %d) = %v, want %v", c.off, c.n, err, c.read)
		}
		if err := uniform.CheckProgram(c.off, c.n); err != c.program {
			t.Errorf("CheckProgram(%d, %d) = %v, want %v", c.off, c.n, err, c.program)
		}
	}
	if err := boot.CheckProgram(5, 60000); err != nil {
		t.Errorf("any program: %v", err)
	}
}

func TestStrings(t *testing.T) {
	for want, got := range map[string]string{
		"clear-bits": nvm.ClearBits.String(), "once-page": nvm.OncePage.String(),
		"rewrite": nvm.Rewrite.String(), "program(9)": nvm.Program(9).String(),
		"none": nvm.Op(0).String(), "read": nvm.Read.String(), "write+erase": (nvm.Write | nvm.Erase).String(),
		"read+write+erase": nvm.AllOps.String(), "read+invalid": nvm.Op(0x81).String(),
		"0x10+0x20": nvm.Span{Off: 16, Len: 32}.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
