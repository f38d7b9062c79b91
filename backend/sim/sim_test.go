package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// open makes a part of a preset, changed by edit.
func open(t testing.TB, preset string, edit func(*Config)) *Flash {
	t.Helper()
	c, ok := Preset(preset)
	if !ok {
		t.Fatalf("no preset %q", preset)
	}
	c.Seed = 7
	if edit != nil {
		edit(&c)
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, f *Flash, off int64, p ...byte) {
	t.Helper()
	if n, err := f.WriteAt(p, off); err != nil || n != len(p) {
		t.Fatalf("program %d bytes at %d: %d, %v", len(p), off, n, err)
	}
}

func erase(t testing.TB, f *Flash, off, n int64) {
	t.Helper()
	if err := f.Erase(off, n); err != nil {
		t.Fatalf("erase %d at %d: %v", n, off, err)
	}
}

func read(t testing.TB, f *Flash, off, n int64) []byte {
	t.Helper()
	p := make([]byte, n)
	if k, err := f.ReadAt(p, off); err != nil || k != len(p) {
		t.Fatalf("read %d bytes at %d: %d, %v", n, off, k, err)
	}
	return p
}

func seq(n int, from byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = from + byte(i)*3
	}
	return p
}

func TestPresets(t *testing.T) {
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			f := open(t, name, nil)
			g := f.Geometry()
			if err := g.Validate(); err != nil {
				t.Fatal(err)
			}
			if f.Name() != name {
				t.Errorf("name %q", f.Name())
			}
			step := g.ProgramSize
			data := bytes.Repeat([]byte{0x5A}, int(step))
			write(t, f, 0, data...)
			if got := read(t, f, 0, step); !bytes.Equal(got, data) {
				t.Errorf("read %x", got)
			}
			b := g.Block(0)
			erase(t, f, 0, b.Len)
			if got := read(t, f, 0, b.Len); !bytes.Equal(got, bytes.Repeat([]byte{g.Erased}, int(b.Len))) {
				t.Error("not erased")
			}
			if f.Wear(0) != 1 || f.Wear(b.Len) != 0 {
				t.Errorf("wear %d, %d", f.Wear(0), f.Wear(b.Len))
			}
		})
	}
	if _, ok := Preset("no such part"); ok {
		t.Error("a part that does not exist")
	}
}

// A caller that edits what it was given must not edit the table or the part.
func TestPresetsAreCopies(t *testing.T) {
	a, _ := Preset("TINY-HYBRID")
	f, err := New(a)
	if err != nil {
		t.Fatal(err)
	}
	a.Geometry.Blocks[0].Len, a.Timing.Erase[0].Size = 99, 99
	f.Geometry().Blocks[1].Len = 99
	b, _ := Preset("TINY-HYBRID")
	if b.Geometry.Blocks[0].Len == 99 || b.Timing.Erase[0].Size == 99 || f.Geometry().Blocks[1].Len == 99 {
		t.Error("shared slices")
	}
}

func TestRange(t *testing.T) {
	for _, name := range Presets() {
		f := open(t, name, nil)
		g := f.Geometry()
		p := make([]byte, g.ProgramSize)
		for _, off := range []int64{-1, -g.ProgramSize, g.Size, g.Size - g.ProgramSize + 1, 1<<63 - 1, -1 << 63} {
			if n, err := f.ReadAt(make([]byte, g.ProgramSize), off); n != 0 || !errors.Is(err, nvm.ErrRange) {
				t.Errorf("%s: read at %d: %d, %v", name, off, n, err)
			}
			if n, err := f.WriteAt(p, off); n != 0 || !errors.Is(err, nvm.ErrRange) {
				t.Errorf("%s: program at %d: %d, %v", name, off, n, err)
			}
			if err := f.Erase(off, g.EraseSize); !errors.Is(err, nvm.ErrRange) {
				t.Errorf("%s: erase at %d: %v", name, off, err)
			}
		}
		for _, off := range []int64{0, 1, g.Size} {
			n, rerr := f.ReadAt(nil, off)
			k, werr := f.WriteAt(nil, off)
			if n+k != 0 || rerr != nil || werr != nil || f.Erase(off, 0) != nil {
				t.Errorf("%s: empty access at %d", name, off)
			}
		}
		if f.Ops() != 0 {
			t.Errorf("%s: refused and empty accesses counted as operations", name)
		}
	}
}

func TestAlign(t *testing.T) {
	rows := []struct {
		preset string
		off, n int64
		erase  bool
	}{
		{"TINY-NOR", 15, 2, false},
		{"TINY-NOR", 0, 17, false},
		{"TINY-ONCE", 4, 8, false},
		{"TINY-ONCE", 0, 4, false},
		{"TINY-NOR", 1, 64, true},
		{"TINY-NOR", 0, 63, true},
		{"TINY-HYBRID", 64, 32, true},
		{"TINY-HYBRID", 112, 16, true},
	}
	for _, r := range rows {
		f := open(t, r.preset, nil)
		before := f.Fingerprint()
		var err error
		if r.erase {
			err = f.Erase(r.off, r.n)
		} else {
			_, err = f.WriteAt(make([]byte, r.n), r.off)
		}
		if !errors.Is(err, nvm.ErrAlign) || f.Fingerprint() != before {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) || !errors.Is(err, nvm.ErrGeometry) {
		t.Errorf("zero Config: %v", err)
	}
	rows := map[string]func(*Config){
		"size":       func(c *Config) { c.Geometry.Size = 1 << 35; c.Geometry.EraseSize = 1 << 30 },
		"blocks":     func(c *Config) { c.Geometry.Size = 1 << 33; c.Geometry.PageSize = 0 },
		"areas":      func(c *Config) { c.Geometry.Blocks = manyAreas(); c.Geometry.Size = 64 * 1025 },
		"page":       func(c *Config) { c.Geometry.Size, c.Geometry.EraseSize, c.Geometry.PageSize = 1<<22, 1<<21, 1<<21 },
		"nop":        func(c *Config) { c.NOP = 256 },
		"world":      func(c *Config) { c.World = 9 },
		"order":      func(c *Config) { c.InOrder = true },
		"ppm":        func(c *Config) { c.BadPPM = MaxBadPPM + 1; c.Geometry.BadBlocks = true },
		"bad":        func(c *Config) { c.BadPPM = 1 },
		"ecc unit":   func(c *Config) { c.ECC.Unit = 3 },
		"ecc":        func(c *Config) { c.ECC.Correct = 1 },
		"times":      func(c *Config) { c.Timing.Erase = []EraseTime{{Size: 64}, {Size: 64}} },
		"negative":   func(c *Config) { c.Timing.Program.Typ = -1 },
		"long":       func(c *Config) { c.Timing.Erase[0].Max = maxTime + 1 },
		"per byte":   func(c *Config) { c.Timing.ReadByte = maxTime },
		"over":       func(c *Config) { c.Faults.Over = 9 },
		"over class": func(c *Config) { c.Faults.Over, c.Geometry.Program = OverRefuse, nvm.Rewrite },
		"poison":     func(c *Config) { c.Faults.Over = OverPoison },
		"programs":   func(c *Config) { c.Faults.MaxPrograms = 255 },
		"wrap":       func(c *Config) { c.Faults.PageWrap, c.Geometry.PageSize = true, 0 },
		"sigma":      func(c *Config) { c.Faults.Wear.Sigma = nan() },
		"endurance":  func(c *Config) { c.Faults.Wear.On, c.Geometry.Endurance = true, 0 },
		"retention":  func(c *Config) { c.Faults.Retention = -1 },
		"cache":      func(c *Config) { c.Cached, c.Faults.Wear.On = true, true },
		"weak ppm":   func(c *Config) { c.Faults.WeakPPM = 1_000_001 },
		"rule":       func(c *Config) { c.Faults.Rules = []Rule{{}} },
	}
	for name, edit := range rows {
		c, _ := Preset("TINY-NOR")
		edit(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func manyAreas() []nvm.EraseArea {
	return slices.Repeat([]nvm.EraseArea{{Len: 64, EraseSize: 64}}, MaxAreas+1)
}

func TestOncePage(t *testing.T) {
	f := open(t, "TINY-ONCE", nil)
	write(t, f, 8, seq(8, 1)...)
	if n, err := f.WriteAt(seq(16, 9), 0); n != 0 || !errors.Is(err, nvm.ErrProgrammed) {
		t.Fatalf("second program: %d, %v", n, err)
	}
	if got := read(t, f, 0, 8); !bytes.Equal(got, bytes.Repeat([]byte{0xFF}, 8)) {
		t.Errorf("a refused program changed %x", got)
	}
	// Programming all ones uses the unit up as well.
	write(t, f, 16, bytes.Repeat([]byte{0xFF}, 8)...)
	if _, err := f.WriteAt(seq(8, 1), 16); !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("after programming erased bytes: %v", err)
	}
	erase(t, f, 0, 64)
	write(t, f, 8, seq(8, 2)...)
}

func TestNAND(t *testing.T) {
	f := open(t, "TINY-NAND", nil)
	write(t, f, 16, seq(16, 1)...)
	write(t, f, 48, seq(16, 1)...) // a page may be skipped
	for _, off := range []int64{0, 32} {
		_, err := f.WriteAt(seq(16, 1), off)
		if !errors.Is(err, ErrOrder) || !errors.Is(err, nvm.ErrProgrammed) {
			t.Errorf("page at %d: %v", off, err)
		}
	}
	write(t, f, 64, seq(16, 1)...) // another block has its own order
	erase(t, f, 0, 64)
	write(t, f, 0, seq(16, 1)...)

	f = open(t, "NAND-SLC-1G-SUBPAGE", func(c *Config) { c.NOP = 2 })
	write(t, f, 0, make([]byte, 512)...)
	write(t, f, 512, make([]byte, 512)...)
	_, err := f.WriteAt(make([]byte, 512), 1024)
	if !errors.Is(err, ErrPartial) || !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("third program of a page: %v", err)
	}
	erase(t, f, 0, 128*kib)
	write(t, f, 0, make([]byte, 512)...)
}

func TestSecondProgram(t *testing.T) {
	over := func(o Over) func(*Config) {
		return func(c *Config) { c.Faults.Over = o }
	}
	f := open(t, "TINY-NOR", nil)
	write(t, f, 0, 0xF0)
	write(t, f, 0, 0x3C)
	if got := read(t, f, 0, 1)[0]; got != 0x30 || f.Stats().RefusedBits != 2 {
		t.Errorf("AND: %x, %d refused", got, f.Stats().RefusedBits)
	}
	f = open(t, "TINY-NOR-00", nil)
	write(t, f, 0, 0xF0)
	write(t, f, 0, 0x3C)
	if got := read(t, f, 0, 1)[0]; got != 0xFC || f.Stats().RefusedBits != 2 {
		t.Errorf("OR: %x, %d refused", got, f.Stats().RefusedBits)
	}
	f = open(t, "TINY-NOR", over(OverRefuse))
	write(t, f, 0, 0xFE)
	if _, err := f.WriteAt([]byte{1}, 0); !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("refuse: %v", err)
	}
	write(t, f, 1, 0xFE)
	f = open(t, "TINY-NOR", over(OverCorrupt))
	write(t, f, 0, 0xFE)
	write(t, f, 0, 0xFC)
	if f.m.weak.empty() {
		t.Error("corrupt: no unstable bits")
	}
	f = open(t, "TINY-NOR", func(c *Config) { c.Faults.MaxPrograms = 2 })
	for range 2 {
		write(t, f, 0, 0xFE)
	}
	if !f.m.weak.empty() {
		t.Error("unstable bits within the limit")
	}
	if write(t, f, 5, 0xFE); f.m.weak.empty() {
		t.Error("no unstable bits beyond the limit")
	}
}

func TestPageWrap(t *testing.T) {
	f := open(t, "TINY-NOR", func(c *Config) { c.Faults.PageWrap = true })
	write(t, f, 30, 1, 2, 3, 4)
	if got := read(t, f, 16, 16); got[14] != 1 || got[15] != 2 || got[0] != 3 || got[1] != 4 {
		t.Errorf("wrapped to %v", got)
	}
	if got := read(t, f, 32, 2); got[0] != 0xFF || got[1] != 0xFF {
		t.Errorf("next page %v", got)
	}
	write(t, f, 64, seq(20, 0)...) // of more than a page the last 16 win
	if got, want := read(t, f, 64, 16), append(seq(20, 0)[16:], seq(20, 0)[4:16]...); !bytes.Equal(got, want) {
		t.Errorf("long program: %v, not %v", got, want)
	}
	if _, err := f.WriteAt(make([]byte, 20), 300); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("outside: %v", err)
	}
	f.PowerCut()
	if _, err := f.WriteAt(make([]byte, 20), 0); !errors.Is(err, ErrNoPower) {
		t.Errorf("off: %v", err)
	}
}

func TestCloneIsIndependent(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	for range 3 { // leaves room behind the queue, where two appends could meet
		write(t, f, 0, seq(16, 1)...)
	}
	a, b := f.Clone(), f.Clone()
	write(t, a, 16, seq(16, 2)...)
	write(t, b, 32, seq(16, 3)...)
	write(t, f, 48, seq(16, 4)...)
	erase(t, a, 0, 64)
	for i, c := range []*Flash{a, b, f} {
		if c.Pending() != 4+(1-min(i, 1)) {
			t.Errorf("clone %d: %d pending", i, c.Pending())
		}
	}
	kept := b.CutUnsynced([]bool{true, true, true, true})
	if got := read(t, kept, 32, 16); !bytes.Equal(got, seq(16, 3)) {
		t.Errorf("b's queue holds another's operation: %x", got)
	}
	blank := make([]byte, 16)
	for off, want := range map[int64][]byte{0: seq(16, 1), 16: blank, 32: seq(16, 3), 48: blank} {
		if got := read(t, b, off, 16); !bytes.Equal(got, want) {
			t.Errorf("b at %d: %x", off, got)
		}
	}
	if got := read(t, f, 48, 16); !bytes.Equal(got, seq(16, 4)) {
		t.Errorf("original lost %x", got)
	}
}

// A large part costs nothing until it is written.
func TestSparse(t *testing.T) {
	c := Config{Geometry: nvm.Geometry{Size: MaxSize, EraseSize: 4096, ProgramSize: 1, PageSize: 256, Erased: 0xFF}}
	n := testing.AllocsPerRun(1, func() {
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, MaxSize-1, 0)
		erase(t, f, MaxSize-4096, 4096)
	})
	if n > 300 {
		t.Errorf("%v allocations", n)
	}
}

func TestStringers(t *testing.T) {
	got := fmt.Sprint(Program, Erase, Sync, Kind(9), AllProgrammed, RandomBoot, World(9), TornPrefix|TornWeakErase, Torn(0),
		&ECCError{nvm.Span{Off: 8, Len: 8}, 2})
	if want := "w e s ? P B ? F4+F10 none sim: uncorrectable unit 0x8+0x8: 2 wrong bits"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if Program.op() != nvm.Write || Erase.op() != nvm.Erase || Kind(9).op() != 0 {
		t.Error("kinds and operations disagree")
	}
}
