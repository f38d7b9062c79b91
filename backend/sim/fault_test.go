package sim

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

func TestRules(t *testing.T) {
	rule := func(r Rule) *Flash {
		return open(t, "TINY-NOR", func(c *Config) { c.Faults.Rules = []Rule{r} })
	}
	f := rule(Rule{Ops: nvm.Write, At: 1, Times: 1})
	write(t, f, 0, 1)
	if n, err := f.WriteAt([]byte{2}, 1); n != 0 || !errors.Is(err, ErrFailed) {
		t.Errorf("once: %d, %v", n, err)
	}
	write(t, f, 1, 3)
	if got := read(t, f, 0, 2); got[1] != 3 || f.Stats().Failures != 1 {
		t.Errorf("once: %x", got)
	}
	f = rule(Rule{Ops: nvm.Erase})
	write(t, f, 0, 1)
	for range 3 {
		if err := f.Erase(0, 128); !errors.Is(err, ErrFailed) {
			t.Errorf("for ever: %v", err)
		}
	}
	f = rule(Rule{Ops: nvm.Write | nvm.Erase, At: 1, Silent: true})
	write(t, f, 0, 1)
	write(t, f, 1, 1)
	erase(t, f, 0, 64)
	if got := read(t, f, 0, 2); got[0] != 1 || got[1] != 0xFF {
		t.Errorf("silent: %x", got)
	}
	f = rule(Rule{Ops: nvm.Write | nvm.Erase, At: 1, Effect: Half})
	write(t, f, 0, seq(16, 0)...)
	if n, err := f.WriteAt(make([]byte, 16), 48); n != 0 || !errors.Is(err, ErrFailed) {
		t.Errorf("half: %d, %v", n, err)
	}
	if err := f.Erase(0, 64); !errors.Is(err, ErrFailed) {
		t.Errorf("half: %v", err)
	}
	if got := read(t, f, 0, 64); !bytes.Equal(got[:48], bytes.Repeat([]byte{0xFF}, 48)) || !bytes.Equal(got[48:56], make([]byte, 8)) || got[56] != 0xFF {
		t.Errorf("half: %x", got)
	}
	f = rule(Rule{Ops: nvm.Write, Effect: Whole})
	if _, err := f.WriteAt([]byte{9}, 0); !errors.Is(err, ErrFailed) || read(t, f, 0, 1)[0] != 9 {
		t.Errorf("whole: %v", err)
	}
}

// n counts the pages in front of a failure.
func TestFailureCounts(t *testing.T) {
	f := open(t, "TINY-ONCE", func(c *Config) { c.Faults.Rules = []Rule{{Ops: nvm.Write, At: 2}} })
	if n, err := f.WriteAt(seq(32, 1), 0); n != 16 || !errors.Is(err, ErrFailed) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestWearOut(t *testing.T) {
	wear := func(silent bool, sigma float64) *Flash {
		return open(t, "TINY-NAND", func(c *Config) {
			c.Faults.Wear, c.Faults.GrowBad = Wear{On: true, Sigma: sigma, Silent: silent}, !silent
		})
	}
	f := wear(false, 0)
	for range 10 {
		erase(t, f, 0, 64)
	}
	if err := f.Erase(0, 64); !errors.Is(err, ErrFailed) {
		t.Fatalf("erase 11 of 10: %v", err)
	}
	if got := read(t, f, 0, 64); ones(got) == 64*8 || f.Wear(0) != 11 {
		t.Errorf("no stuck bit after %d erases", f.Wear(0))
	}
	if bad, err := f.IsBad(0); !bad || err != nil {
		t.Errorf("not bad: %v", err)
	}
	if err := f.Erase(0, 64); !errors.Is(err, nvm.ErrBadBlock) {
		t.Errorf("a worn bad block: %v", err)
	}
	erase(t, f, 64, 64)

	f = wear(true, 0)
	for range 30 {
		erase(t, f, 0, 64)
	}
	stuck := 64*8 - ones(read(t, f, 0, 64))
	if stuck < 20 || stuck > 201 {
		t.Errorf("%d stuck bits after three lives", stuck)
	}
	for range 60 {
		erase(t, f, 0, 64)
	}
	if more := 64*8 - ones(read(t, f, 0, 64)); more <= stuck {
		t.Errorf("stuck bits went from %d to %d", stuck, more)
	}
}

// Blocks differ in what they survive, around the promise.
func TestWearSpread(t *testing.T) {
	f := open(t, "W25Q128JV", func(c *Config) { c.Faults.Wear = Wear{On: true, Sigma: 0.2} })
	g, low, high, sum := f.Geometry(), 1e9, 0.0, 0.0
	for i := range int64(1000) {
		n := f.part.limit(g.Block(i * g.EraseSize))
		low, high, sum = min(low, n), max(high, n), sum+n
	}
	if mean := sum / 1000; mean < 95_000 || mean > 110_000 || low > 70_000 || low < 30_000 || high < 140_000 {
		t.Errorf("limits %v to %v, mean %v", low, high, mean)
	}
}

func TestBadBlocks(t *testing.T) {
	f := open(t, "NAND-SLC-1G", nil)
	g := f.Geometry()
	var bad []int64
	for off := int64(0); off < g.Size; off += g.EraseSize {
		if b, err := f.IsBad(off + 5); err != nil {
			t.Fatal(err)
		} else if b {
			bad = append(bad, off)
		}
	}
	if len(bad) != 20 || bad[0] == 0 {
		t.Fatalf("%d bad blocks: %v", len(bad), bad)
	}
	at := bad[3]
	page := make([]byte, g.PageSize)
	if _, err := f.WriteAt(page, at); !errors.Is(err, nvm.ErrBadBlock) {
		t.Errorf("program: %v", err)
	}
	write(t, f, at-g.EraseSize, page...)
	if err := f.Erase(at-g.EraseSize, 2*g.EraseSize); !errors.Is(err, nvm.ErrBadBlock) || f.Wear(at-g.EraseSize) != 0 {
		t.Errorf("erase of a good and a bad block: %v, wear %d", err, f.Wear(at-g.EraseSize))
	}
	if n, err := f.ReadAt(page, at-7); n != 7 || !errors.Is(err, nvm.ErrBadBlock) {
		t.Errorf("read: %d, %v", n, err)
	}
	write(t, f, 0, bytes.Repeat([]byte{5}, int(g.PageSize))...)
	if err := f.MarkBad(100); err != nil {
		t.Fatal(err)
	}
	f.Reboot()
	if b, _ := f.IsBad(0); !b || read(t, f, 0, 1)[0] != 5 {
		t.Error("a mark is lost, or the block does not read any more")
	}
	if _, err := f.IsBad(g.Size); !errors.Is(err, nvm.ErrRange) || !errors.Is(f.MarkBad(-1), nvm.ErrRange) {
		t.Errorf("outside: %v", err)
	}
	f.PowerCut()
	if _, err := f.IsBad(0); !errors.Is(err, ErrNoPower) || !errors.Is(f.MarkBad(0), ErrNoPower) {
		t.Errorf("off: %v", err)
	}
	nor := open(t, "TINY-NOR", nil)
	if b, err := nor.IsBad(0); b || err != nil || !errors.Is(nor.MarkBad(0), nvm.ErrBadBlock) {
		t.Error("a part without bad blocks")
	}
	disk := open(t, "TINY-CACHE", func(c *Config) { c.Geometry.BadBlocks = true })
	if err := disk.MarkBad(64); err != nil {
		t.Fatal(err)
	}
	disk.Reboot()
	if b, _ := disk.IsBad(64); !b {
		t.Error("a mark was cached")
	}
}

// Block 0 is good on every part, and the share is exact.
func TestBlockZeroIsGood(t *testing.T) {
	for seed := range uint64(300) {
		f := open(t, "TINY-NAND", func(c *Config) { c.Geometry.Size, c.BadPPM, c.Seed = 64*64, MaxBadPPM, seed })
		if bad, err := f.IsBad(0); bad || err != nil || len(f.part.factory) != 1 {
			t.Fatalf("seed %d: %v, %v, %v", seed, bad, err, f.part.factory)
		}
	}
}

func TestECC(t *testing.T) {
	f := open(t, "NAND-SLC-1G", nil)
	data := seq(2048, 3)
	write(t, f, 0, data...)
	for n := 1; n <= 5; n++ { // four are corrected, the fifth is too many
		if err := f.FlipBit(int64(600+17*n), uint(n)); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 2048)
		k, corrected, err := f.ReadECC(p, 0)
		if n <= 4 && (k != 2048 || corrected != n || err != nil || !bytes.Equal(p, data)) {
			t.Fatalf("%d wrong bits: %d bytes, %d corrected, %v", n, k, corrected, err)
		}
		var e *ECCError
		if n == 5 && (k != 512 || !errors.As(err, &e) || e.Bits != 5 || e.Span != (nvm.Span{Off: 512, Len: 512}) || !bytes.Equal(p[:512], data[:512]) || !zero(p[512:])) {
			t.Fatalf("five wrong bits: %d bytes, %v", k, err)
		}
	}
	if got := read(t, f, 1024, 100); !bytes.Equal(got, data[1024:1124]) {
		t.Error("the next unit is damaged")
	}
	if s := f.Stats(); s.Uncorrectable != 1 || s.CorrectedBits != 1+2+3+4 {
		t.Errorf("%+v", s)
	}
	erase(t, f, 0, 128*kib)
	read(t, f, 0, 2048)
	// An erased unit with a flip is corrected like any other.
	if err := f.FlipBit(3, 0); err != nil || f.FlipBit(3, 8) == nil || f.FlipBit(-1, 0) == nil {
		t.Fatal(err)
	}
	if got := read(t, f, 0, 8); ones(got) != 64 {
		t.Errorf("erased with one flip: %x", got)
	}
}

// A code word of one programmed bit that leaks is corrected, not taken for erased.
func TestECCOfOneBit(t *testing.T) {
	f := open(t, "TINY-ECC", nil)
	word := []byte{0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
	write(t, f, 0, word...)
	if err := f.FlipBit(0, 0); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8)
	if _, n, err := f.ReadECC(p, 0); n != 1 || err != nil || !bytes.Equal(p, word) {
		t.Errorf("%x, %d corrected, %v", p, n, err)
	}
}

// A word that a cut tore has no code word; unstable words read old, new or not
// at all, and never as something else.
func TestTornECC(t *testing.T) {
	program, erased := stage(t, "TINY-ECC", func(c *Config) { c.Faults.Without = TornCollateral })
	bad := 0
	for _, o := range []*Operation{program, erased} {
		before, after := before2(t, o), image(t, o.state(class{name: "done"}, 0).Flash(), AllErased)
		for s := range o.Torn(Full) {
			for _, w := range Worlds() {
				f := s.Flash()
				f.SetWorld(w)
				for at := o.Span().Off; at < o.Span().End(); at += 8 {
					p := make([]byte, 8)
					_, err := f.ReadAt(p, at)
					var e *ECCError
					switch {
					case errors.As(err, &e):
						bad++
					case err != nil:
						t.Fatal(err)
					case !bytes.Equal(p, before[at:at+8]) && !bytes.Equal(p, after[at:at+8]):
						t.Fatalf("%s in %v: word at %d is %x", s.ID, w, at, p)
					}
				}
			}
		}
	}
	if bad < 100 {
		t.Errorf("only %d uncorrectable reads", bad)
	}
}

// A torn sector of a disk is unreadable until it is written again.
func TestTornSector(t *testing.T) {
	f := open(t, "TINY-CACHE", func(c *Config) { c.ECC = ECC{16, 0} })
	f.CutAtOp(0, "prefix.5")
	if _, err := f.WriteAt(seq(16, 1), 0); !errors.Is(err, ErrNoPower) {
		t.Fatal(err)
	}
	f.PowerOn()
	var e *ECCError
	if _, err := f.ReadAt(make([]byte, 16), 0); !errors.As(err, &e) {
		t.Errorf("torn: %v", err)
	}
	write(t, f, 0, seq(16, 2)...)
	read(t, f, 0, 16)
}

func TestPoison(t *testing.T) {
	f := open(t, "TINY-NOR", func(c *Config) {
		c.Geometry.ProgramSize, c.ECC = 8, ECC{8, 1}
		c.Faults.Over = OverPoison
	})
	write(t, f, 0, seq(8, 1)...)
	write(t, f, 8, seq(8, 1)...)
	read(t, f, 0, 16)
	write(t, f, 0, seq(8, 1)...)
	var e *ECCError
	if n, err := f.ReadAt(make([]byte, 16), 4); n != 0 || !errors.As(err, &e) || e.Bits != 0 {
		t.Errorf("poisoned: %d, %v", n, err)
	}
	erase(t, f, 0, 64)
	read(t, f, 0, 16)
}

func TestReadDisturb(t *testing.T) {
	f := open(t, "TINY-NOR", func(c *Config) { c.Faults.Disturb = Disturb{Limit: 100, PPM: 500_000} })
	write(t, f, 0, seq(16, 1)...)
	write(t, f, 48, make([]byte, 16)...)
	for range 100 {
		read(t, f, 0, 16)
	}
	if !f.m.flip.empty() {
		t.Fatal("disturbed within the limit")
	}
	for range 100 {
		read(t, f, 0, 16)
	}
	got := read(t, f, 0, 256)
	if !bytes.Equal(got[:16], seq(16, 1)) || !bytes.Equal(got[64:], bytes.Repeat([]byte{0xFF}, 192)) {
		t.Error("the page that was read, or another block, changed")
	}
	if ones(got[16:48]) == 32*8 || !zero(got[48:64]) {
		t.Error("no neighbour changed, or a programmed bit did")
	}
	erase(t, f, 0, 64)
	if f.m.block(nvm.Span{Len: 64}).reads != 0 || ones(read(t, f, 0, 64)) != 64*8 {
		t.Error("an erase does not heal")
	}
}

func TestRetention(t *testing.T) {
	f := open(t, "W25Q128JV", func(c *Config) { c.Faults.Retention = 1e-4 })
	for page := range int64(16) {
		write(t, f, page*256, make([]byte, 256)...)
	}
	f.Advance(-time.Hour)
	f.Advance(time.Hour)
	got := read(t, f, 0, 8192)
	flips := ones(got[:4096])
	if flips < 1 || flips > 20 { // 3.3 expected of 32768
		t.Errorf("%d flips in an hour", flips)
	}
	f.Advance(1000 * time.Hour)
	if more := ones(read(t, f, 0, 4096)); more < 1500 || more > 4500 {
		t.Errorf("%d flips in a thousand hours", more)
	}
	if ones(read(t, f, 4096, 4096)) != 4096*8 {
		t.Error("erased bits leaked")
	}
	healthy := open(t, "TINY-NOR", nil)
	write(t, healthy, 0, 0)
	healthy.Advance(1e6 * time.Hour)
	if read(t, healthy, 0, 1)[0] != 0 {
		t.Error("a healthy part leaked")
	}
}
