package sim

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

func TestPower(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	write(t, f, 0, 1)
	f.PowerCut()
	_, rerr := f.ReadAt(make([]byte, 1), 0)
	_, werr := f.WriteAt(make([]byte, 1), 0)
	for _, err := range []error{rerr, werr, f.Erase(0, 64), f.Sync()} {
		if !errors.Is(err, ErrNoPower) {
			t.Errorf("off: %v", err)
		}
	}
	f.PowerOn()
	if read(t, f, 0, 1)[0] != 1 || f.boot != 1 {
		t.Error("content after a boot")
	}
	f.PowerOn()
	if f.boot != 1 {
		t.Error("power on, twice")
	}
}

func TestCutAtOp(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	f.CutAtOp(1, "prefix.3")
	write(t, f, 0, seq(16, 1)...)
	if n, err := f.WriteAt(make([]byte, 16), 16); n != 0 || !errors.Is(err, ErrNoPower) {
		t.Fatalf("%d, %v", n, err)
	}
	f.PowerOn()
	if got := read(t, f, 0, 32); !bytes.Equal(got[:16], seq(16, 1)) || !bytes.Equal(got[16:20], []byte{0, 0, 0, 0xFF}) {
		t.Errorf("%x", got)
	}
	write(t, f, 19, 0) // the cut is over
	for _, name := range tornParts {
		for _, torn := range []string{"", "no such.1"} {
			f := open(t, name, nil)
			f.CutAtOp(0, torn)
			if _, err := f.WriteAt(seq(int(f.part.step), 1), 0); !errors.Is(err, ErrNoPower) {
				t.Errorf("%s: %v", name, err)
			}
			f.PowerOn()
			if torn != "" && !f.m.cell.empty() {
				t.Errorf("%s: an unknown state left something", name)
			}
			f.CutAtOp(f.Ops(), torn)
			if err := f.Erase(128, 128); !errors.Is(err, ErrNoPower) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestCutAtTime(t *testing.T) {
	for _, share := range []float64{0, 0.01, 0.2, 0.5, 0.9, 1} {
		f := open(t, "TINY-NOR", nil)
		write(t, f, 0, make([]byte, 16)...)
		twin := f.Clone()
		write(t, twin, 16, make([]byte, 16)...)
		d := twin.Elapsed() - f.Elapsed()
		at := f.Elapsed() + time.Duration(share*float64(d))
		f.CutAtTime(at)
		_, err := f.WriteAt(make([]byte, 16), 16)
		if (err == nil) != (share == 1) || f.Elapsed() != at {
			t.Fatalf("cut at %v of a program: %v", share, err)
		}
		if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrNoPower) {
			t.Fatalf("after the cut: %v", err)
		}
		f.PowerOn()
		n := bytes.IndexByte(append(read(t, f, 16, 16), 0xFF), 0xFF)
		if want := int(share * 16); n < want-1 || n > want+1 {
			t.Errorf("cut at %v of a program: %d bytes", share, n)
		}
	}
	images := map[string]bool{}
	for _, share := range []float64{0.1, 0.3, 0.5, 0.9} {
		f := open(t, "TINY-NOR", nil)
		write(t, f, 0, seq(16, 0)...)
		twin := f.Clone()
		erase(t, twin, 0, 64)
		f.CutAtTime(f.Elapsed() + time.Duration(share*float64(twin.Elapsed()-f.Elapsed())))
		if err := f.Erase(0, 64); !errors.Is(err, ErrNoPower) {
			t.Fatal(err)
		}
		f.PowerOn()
		images[string(image(t, f, AllProgrammed))] = true
	}
	if len(images) != 4 {
		t.Errorf("four cuts of an erase leave %d images", len(images))
	}
}

func TestClock(t *testing.T) {
	f := open(t, "W25Q128JV", nil)
	last, longest := time.Duration(0), time.Duration(0)
	for i := range int64(200) {
		write(t, f, i*256, 0)
		d := f.Elapsed() - last
		if d < 700*us || d > 3*ms {
			t.Fatalf("program %d took %v", i, d)
		}
		last, longest = f.Elapsed(), max(longest, d)
	}
	if longest < 2*ms {
		t.Errorf("the longest of 200 programs took %v", longest)
	}
	hybrid := open(t, "TINY-HYBRID", nil)
	erase(t, hybrid, 128, 128)
	if d := hybrid.Elapsed(); d < 100*ms || d > 1000*ms {
		t.Errorf("a large block took %v", d)
	}
	last = hybrid.Elapsed()
	read(t, hybrid, 0, 10)
	if d := hybrid.Elapsed() - last; d != 10*us {
		t.Errorf("a read took %v", d)
	}
	used := open(t, "TINY-NOR", func(c *Config) { c.Timing.Erase = []EraseTime{{64, Range{ms, 0}}} })
	for range 11 { // 1.0, 1.1, … 2.0 ms: a worn block is slow
		erase(t, used, 0, 64)
	}
	if d := used.Elapsed(); d < 16*ms || d > 17*ms {
		t.Errorf("eleven erases of ten took %v", d)
	}
	worn := Range{Typ: ms}
	if a, b := worn.draw(stream{}, 0), worn.draw(stream{}, 1); a != ms || b != 2*ms {
		t.Errorf("worn: %v, %v", a, b)
	}
	hybrid.Advance(1<<63 - 1)
	hybrid.Advance(time.Hour)
	if hybrid.Elapsed() < 0 {
		t.Error("the clock ran over")
	}
}

// What was not synced can be lost in any subset, what was cannot.
func TestUnsynced(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	write(t, f, 0, seq(16, 1)...)
	if err := f.Sync(); err != nil || f.Pending() != 0 {
		t.Fatal(err)
	}
	ops := []int64{16, 64, 128}
	for _, off := range ops {
		write(t, f, off, seq(16, byte(off))...)
	}
	var ids []string
	for s := range f.Unsynced(100) {
		ids = append(ids, s.ID)
		g := s.Flash()
		again, err := f.ReplayUnsynced(s.ID)
		if err != nil || again.Fingerprint() != g.Fingerprint() || g.Pending() != 0 {
			t.Fatalf("%s: %v", s.ID, err)
		}
		if !bytes.Equal(read(t, g, 0, 16), seq(16, 1)) {
			t.Errorf("%s: lost what was synced", s.ID)
		}
		for i, off := range ops {
			kept := s.ID[len("unsynced.")+i] == '1'
			if got := read(t, g, off, 16); bytes.Equal(got, seq(16, byte(off))) != kept || !kept && !zero(got) {
				t.Errorf("%s: operation %d: %x", s.ID, i, got)
			}
		}
	}
	if len(ids) != 8 {
		t.Errorf("subsets %v", ids)
	}
	for limit, want := range map[int]int{-1: 0, 0: 0, 1: 1, 5: 5, 7: 7} {
		n := 0
		for range f.Unsynced(limit) {
			n++
		}
		if n != want {
			t.Errorf("limit %d: %d subsets", limit, n)
		}
	}
	for _, id := range []string{"", "unsynced.", "unsynced.11", "unsynced.1111", "unsynced.1x1", "111"} {
		if _, err := f.ReplayUnsynced(id); !errors.Is(err, ErrReplay) {
			t.Errorf("%q: %v", id, err)
		}
	}
	f.Reboot()
	if !zero(read(t, f, 16, 240)) {
		t.Error("a cut in place keeps what was not synced")
	}
	bare := open(t, "TINY-NOR", nil)
	write(t, bare, 0, 1)
	if g := bare.CutUnsynced(nil); read(t, g, 0, 1)[0] != 1 {
		t.Error("a bare part has a cache")
	}
	for range bare.Unsynced(10) {
		t.Error("a bare part has a cache")
	}
}

// Many unsynced operations: bounded, without repetition, the same each time.
func TestUnsyncedMany(t *testing.T) {
	list := func() (ids []string) {
		f := open(t, "TINY-CACHE", nil)
		for i := range int64(40) {
			write(t, f, i%16*16, seq(16, byte(i))...)
		}
		for s := range f.Unsynced(500) {
			ids = append(ids, s.ID)
		}
		return ids
	}
	a, b := list(), list()
	if !slices.Equal(a, b) || len(a) != 500 {
		t.Errorf("%d subsets", len(a))
	}
	slices.Sort(a)
	if len(slices.Compact(a)) != 500 {
		t.Error("repeated subsets")
	}
}

// A cut in the middle of Sync: each subset, and the hook sees the Sync.
func TestCutInSync(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	write(t, f, 0, seq(16, 1)...)
	write(t, f, 16, seq(16, 2)...)
	n := 0
	f.SetHook(func(o *Operation) {
		if o.Kind() != Sync || o.Span() != (nvm.Span{}) || o.Index() != 2 || o.Data() != nil {
			t.Errorf("%v", o)
		}
		for s := range o.Torn(Full) {
			if g, err := o.Replay(s.ID); err != nil || g.Fingerprint() != s.Flash().Fingerprint() {
				t.Errorf("%s: %v", s.ID, err)
			}
			n++
		}
	})
	if err := f.Sync(); err != nil || n != 4 {
		t.Errorf("%d states, %v", n, err)
	}
	f.SetHook(nil)
	f.CutAtOp(f.Ops(), "")
	if err := f.Sync(); !errors.Is(err, ErrNoPower) {
		t.Error(err)
	}
}

func TestCacheIsFinite(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	for i := range MaxPending + 10 {
		write(t, f, int64(i%16)*16, seq(16, byte(i))...)
	}
	if f.Pending() != MaxPending {
		t.Errorf("%d pending", f.Pending())
	}
	f.Reboot()
	if got := read(t, f, 9*16, 16); !bytes.Equal(got, seq(16, 9)) {
		t.Errorf("the oldest did not become durable: %x", got)
	}
}

func TestSnapshot(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	write(t, f, 0, seq(16, 1)...)
	s, ops := f.Snapshot(), f.Ops()
	write(t, f, 0, seq(16, 2)...)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Restore(s); err != nil || f.Pending() != 1 || !bytes.Equal(read(t, f, 0, 16), seq(16, 1)) {
			t.Fatalf("restored: %v", err)
		}
		erase(t, f, 0, 64)
	}
	if f.Ops() <= ops {
		t.Error("time went back")
	}
	for _, bad := range []*Snapshot{nil, {}, open(t, "TINY-NOR", nil).Snapshot()} {
		if err := f.Restore(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("another part's: %v", err)
		}
	}
}

func TestPeekPoke(t *testing.T) {
	for _, name := range tornParts {
		f := open(t, name, nil)
		write(t, f, 0, seq(16, 9)...)
		before := f.Stats()
		f.PowerCut() // off the board
		if err := f.Poke(seq(24, 1), 4); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 24)
		if err := f.Peek(p, 4); err != nil || !bytes.Equal(p, seq(24, 1)) {
			t.Errorf("%s: %x, %v", name, p, err)
		}
		if f.Stats() != before || f.Poke(p, 250) == nil || f.Peek(p, -1) == nil || f.Poke(nil, 0) != nil {
			t.Errorf("%s: %+v", name, f.Stats())
		}
		f.PowerOn()
		if got := read(t, f, 4, 24); !bytes.Equal(got, seq(24, 1)) {
			t.Errorf("%s: %x", name, got)
		}
		if f.part.Geometry.Program != nvm.OncePage {
			continue
		}
		if _, err := f.WriteAt(seq(16, 1), 16); !errors.Is(err, nvm.ErrProgrammed) {
			t.Errorf("%s: poked unit: %v", name, err)
		}
	}
}

// A NAND block that was rewritten off the board goes on behind its last page.
func TestPokeOrder(t *testing.T) {
	f := open(t, "TINY-NAND", nil)
	write(t, f, 48, seq(16, 1)...)
	if err := f.Poke(append(seq(16, 1), bytes.Repeat([]byte{0xFF}, 48)...), 0); err != nil {
		t.Fatal(err)
	}
	write(t, f, 16, seq(16, 2)...)
	if _, err := f.WriteAt(seq(16, 2), 0); !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("poked page: %v", err)
	}
	if err := f.Poke(bytes.Repeat([]byte{0xFF}, 64), 0); err != nil {
		t.Fatal(err)
	}
	write(t, f, 0, seq(16, 3)...)
}

// Damage to a cached disk outlives a cut.
func TestDamageIsDurable(t *testing.T) {
	f := open(t, "TINY-CACHE", nil)
	if err := f.FlipBit(3, 1); err != nil {
		t.Fatal(err)
	}
	if f.Reboot(); read(t, f, 3, 1)[0] != 2 {
		t.Error("a cut healed it")
	}
}

func TestFingerprint(t *testing.T) {
	f := open(t, "TINY-NAND", nil)
	blank := f.Fingerprint()
	write(t, f, 0, seq(16, 1)...)
	if f.Fingerprint() == blank || f.Clone().Fingerprint() != f.Fingerprint() {
		t.Error("content does not count")
	}
	erase(t, f, 0, 64)
	read(t, f, 0, 1)
	if f.Fingerprint() != blank {
		t.Error("an erased block is not a block never written")
	}
	if err := f.MarkBad(0); err != nil || f.Fingerprint() == blank {
		t.Error("a bad block does not count")
	}
}

// A gate holds a writer inside its program, while readers and others go on.
func TestGate(t *testing.T) {
	in, out := make(chan nvm.Span), make(chan struct{})
	hold := func(s nvm.Span) { in <- s; <-out }
	f := open(t, "TINY-NOR", func(c *Config) { c.OnProgram, c.OnErase = hold, hold })
	done := make(chan error, 1)
	go func() { _, err := f.WriteAt([]byte{1, 2}, 8); done <- err }()
	if s := <-in; s != (nvm.Span{Off: 8, Len: 2}) {
		t.Errorf("gate at %v", s)
	}
	if got := read(t, f, 8, 1); got[0] != 0xFF {
		t.Errorf("a program under way shows %x", got)
	}
	write(t, f.Clone(), 0, 7) // a clone has no gate
	out <- struct{}{}
	if err := <-done; err != nil || read(t, f, 8, 1)[0] != 1 {
		t.Error(err)
	}
	go func() { done <- f.Erase(0, 128) }()
	if s := <-in; s != (nvm.Span{Off: 0, Len: 64}) {
		t.Errorf("gate at %v", s)
	}
	f.Reboot() // the power was away while it was held
	out <- struct{}{}
	if err := <-done; !errors.Is(err, ErrNoPower) || read(t, f, 8, 1)[0] != 1 {
		t.Errorf("held over a boot: %v", err)
	}
}

// Two writers that were both admitted: the second finds what the first did.
func TestAdmittedTwice(t *testing.T) {
	first := true
	var f *Flash
	f = open(t, "TINY-ONCE", func(c *Config) {
		c.OnProgram = func(nvm.Span) {
			if first {
				first = false
				write(t, f, 0, seq(8, 1)...)
			}
		}
	})
	if _, err := f.WriteAt(seq(8, 2), 0); !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("overtaken: %v", err)
	}
	if !bytes.Equal(read(t, f, 0, 8), seq(8, 1)) {
		t.Error("the first program is lost")
	}
}

func TestConcurrent(t *testing.T) {
	f := open(t, "TINY-CACHE", func(c *Config) { c.Geometry.BadBlocks = true })
	var wg sync.WaitGroup
	for k := range int64(4) {
		wg.Go(func() {
			for i := range 60 {
				c := f.Clone()
				write(t, f, k*64, seq(16, byte(i))...)
				read(t, c, 0, 256)
				read(t, f, 0, 256)
				write(t, c, 0, seq(16, 9)...)
				erase(t, f, k*64, 64)
				for s := range f.Unsynced(3) {
					s.Flash()
				}
				if err := f.Sync(); err != nil {
					t.Error(err)
				}
				f.SetWorld(World(i % 4))
				_, _, _, _ = f.Stats(), f.Elapsed(), f.Wear(0), f.Fingerprint()
				if _, err := f.IsBad(0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := f.Stats(); s.Programs != 240 || s.Erases != 240 || s.Syncs != 240 || s.Reads != 240 || s.BytesProgrammed != 240*16 || s.BytesRead != 240*256 {
		t.Errorf("%+v", s)
	}
}
