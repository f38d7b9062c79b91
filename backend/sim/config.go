package sim

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

// Bounds of a simulated part, checked before anything is allocated.
const (
	MaxSize    = int64(1) << 34 // 16 GiB
	MaxBlocks  = int64(1) << 24 // erase blocks
	MaxAreas   = 1024           // entries of nvm.Geometry.Blocks
	MaxPage    = int64(1) << 20 // bytes in one program
	MaxPending = 4096           // unsynced operations; behind them the oldest becomes durable
	// MaxBadPPM is the share of bad blocks that makers of SLC NAND promise not to
	// exceed over the part's life: 2 %.
	MaxBadPPM = 20_000
)

// Config is a part and what is wrong with it. The zero Config is refused. Preset
// returns the Config of a real part; set Seed and Faults on top of it.
type Config struct {
	Name     string
	Geometry nvm.Geometry
	Timing   Timing
	ECC      ECC
	InOrder  bool   // NAND: the pages of a block are programmed in ascending order
	NOP      int    // NAND: programs of one page between two erases; 0 = no limit
	Cached   bool   // F18: what is not synced can be lost
	BadPPM   uint32 // F16: blocks bad from the factory per million, at most MaxBadPPM; never block 0
	Seed     uint64 // every draw depends on it alone
	World    World  // how unstable bits read at first; see Flash.SetWorld
	Faults   Faults

	// OnProgram and OnErase, if set, are called inside each program or erase of a
	// unit, while it is under way and before it shows: a test holds a writer
	// there. No lock is held. Clones and torn states do not inherit them.
	OnProgram, OnErase func(nvm.Span)
}

// Range is the typical and the longest time that a data sheet gives. If Max is
// shorter than Typ, every operation takes Typ.
type Range struct{ Typ, Max time.Duration }

// Timing is how long things take in virtual time; the zero Timing takes none.
type Timing struct {
	Program  Range         // one program: a page, or a unit where there is no page
	Erase    []EraseTime   // by size of block
	Read     time.Duration // per call: command and address
	ReadByte time.Duration // per byte
}

// EraseTime is the time for a block of Size bytes. A block of a size that is not
// listed takes the time of the next smaller one that is.
type EraseTime struct {
	Size int64
	Range
}

// ECC is the error correction of a part (F17); the zero ECC is none.
type ECC struct {
	Unit    int64 // bytes in one code word; must divide Geometry.ProgramSize
	Correct int   // wrong bits that are corrected
}

// validate tells what makes c impossible; it wraps ErrConfig and, for a
// geometry, nvm.ErrGeometry.
func (c *Config) validate() error {
	if err := c.Geometry.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	g := c.Geometry
	switch {
	case g.Size > MaxSize:
		return refuse("size %d is more than %d", g.Size, MaxSize)
	case g.Size/g.EraseSize > MaxBlocks:
		return refuse("%d erase blocks are more than %d", g.Size/g.EraseSize, MaxBlocks)
	case len(g.Blocks) > MaxAreas:
		return refuse("%d areas are more than %d", len(g.Blocks), MaxAreas)
	case max(g.PageSize, g.ProgramSize) > MaxPage:
		return refuse("a page of %d is more than %d", max(g.PageSize, g.ProgramSize), MaxPage)
	case c.NOP < 0 || c.NOP > 255:
		return refuse("NOP %d is not in 0..255", c.NOP)
	case c.World > RandomBoot:
		return refuse("unknown world %d", c.World)
	}
	if err := c.validateParts(); err != nil {
		return err
	}
	return c.Faults.validate(c)
}

func (c *Config) validateParts() error {
	g := c.Geometry
	switch {
	case c.InOrder && g.Program != nvm.OncePage:
		return refuse("pages in order are for the class %v, not %v", nvm.OncePage, g.Program)
	case c.BadPPM > MaxBadPPM:
		return refuse("%d bad blocks per million are more than %d", c.BadPPM, MaxBadPPM)
	case c.BadPPM > 0 && !g.BadBlocks:
		return refuse("bad blocks on a memory whose geometry has none")
	case c.ECC.Unit < 0 || c.ECC.Unit > 0 && g.ProgramSize%c.ECC.Unit != 0:
		return refuse("an ECC unit of %d does not divide the program size %d", c.ECC.Unit, g.ProgramSize)
	case c.ECC.Correct < 0 || c.ECC.Unit == 0 && c.ECC.Correct > 0:
		return refuse("ECC corrects %d bits of units of %d", c.ECC.Correct, c.ECC.Unit)
	}
	return c.Timing.validate()
}

// Bounds of times: they keep every sum inside a time.Duration.
const (
	maxTime     = time.Hour
	maxReadByte = time.Millisecond
)

func (t *Timing) validate() error {
	ranges := []Range{t.Program, {t.Read, t.Read}}
	for _, e := range t.Erase {
		ranges = append(ranges, e.Range)
	}
	for _, r := range ranges {
		if min(r.Typ, r.Max) < 0 || max(r.Typ, r.Max) > maxTime {
			return refuse("times %v, %v are not in 0..%v", r.Typ, r.Max, maxTime)
		}
	}
	if t.ReadByte < 0 || t.ReadByte > maxReadByte {
		return refuse("%v per byte is not in 0..%v", t.ReadByte, maxReadByte)
	}
	for i, e := range t.Erase {
		if e.Size <= 0 || i > 0 && e.Size <= t.Erase[i-1].Size {
			return refuse("erase times are not in ascending order of size")
		}
	}
	return nil
}

// part is a Config with what follows from it; never written after New, so that
// all clones share it.
type part struct {
	Config
	step    int64              // bytes in one program operation
	page    int64              // what NOP and F2 count by
	blank   byte               // Geometry.Erased; planes hold content XOR blank, so that zero is erased
	blanks  chunk              // filled with blank
	factory map[int64]struct{} // F16: offsets of blocks bad from the factory
}

func newPart(c Config) (*part, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Geometry.Blocks = slices.Clone(c.Geometry.Blocks)
	c.Timing.Erase = slices.Clone(c.Timing.Erase)
	c.Faults.Rules = slices.Clone(c.Faults.Rules)
	p := &part{Config: c, step: stepOf(c.Geometry), blank: c.Geometry.Erased}
	fill(p.blanks[:], p.blank)
	p.page = p.step
	p.factory = factoryBad(p)
	return p, nil
}

// bufferSize is the write buffer assumed for a part that has no page limit and
// a program unit of one byte: the longest program that one cut tears.
const bufferSize = 256

// stepOf is the length of what one program operation does at most, and what one
// power cut tears at most.
func stepOf(g nvm.Geometry) int64 {
	switch {
	case g.PageSize > 0:
		return g.PageSize
	case g.Program == nvm.ClearBits || g.ProgramSize == 1:
		return max(g.ProgramSize, min(bufferSize, g.EraseSize))
	}
	return g.ProgramSize
}

// blocks calls f for each erase block that s touches until f returns false.
func (p *part) blocks(s nvm.Span, f func(nvm.Span) bool) {
	for at := s.Off; at < s.End(); {
		b := p.Geometry.Block(at)
		if b.Len == 0 || !f(b) {
			return
		}
		at = b.End()
	}
}

// ones counts the bits that are 1.
func ones(p []byte) (n int) {
	for _, b := range p {
		n += bits.OnesCount8(b)
	}
	return n
}
