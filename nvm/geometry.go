package nvm

import (
	"fmt"
	"math/bits"
)

// Program says what programming does to a byte that is not erased.
type Program uint8

// Program classes. The zero value is the most common part, SPI NOR.
const (
	// ClearBits is NOR: the result is old AND new (for Erased 0xFF; old OR new
	// for parts that erase to 0x00).
	ClearBits Program = iota
	// OncePage is NAND, and NOR with ECC: a unit of ProgramSize is programmed
	// once; the second time is ErrProgrammed. NAND may also want the units of a
	// block in ascending order, and answers ErrProgrammed to one that comes late.
	OncePage
	// Rewrite is RAM, files and block devices: no erase needed.
	Rewrite
)

// String returns the name used in policy files and reports.
func (p Program) String() string {
	switch p {
	case ClearBits:
		return "clear-bits"
	case OncePage:
		return "once-page"
	case Rewrite:
		return "rewrite"
	}
	return fmt.Sprintf("program(%d)", uint8(p))
}

// Limits of a geometry. They bound what a table over the memory can cost and
// keep every sum of an offset, a length and a block size inside an int64.
const (
	MaxSize   = int64(1) << 48 // 256 TiB
	MaxBlocks = int64(1) << 31
)

// Geometry describes a memory. Sizes are in bytes. The zero Geometry is invalid.
type Geometry struct {
	Size      int64 // multiple of EraseSize, at most MaxSize
	EraseSize int64 // smallest erase unit; a power of two
	// Blocks lists the areas of a part whose erase blocks are not all of
	// EraseSize, in order, together exactly Size. nil = uniform.
	Blocks      []EraseArea
	ProgramSize int64 // smallest program unit: 1 on NOR, the page on NAND, 8 on ECC NOR
	PageSize    int64 // a program must not cross a multiple of this; 0 = no limit
	Program     Program
	Erased      byte   // 0xFF on most parts, 0x00 on some
	Endurance   uint32 // erases per block that the maker promises; 0 = unknown
	BadBlocks   bool   // the memory implements BadBlocker
}

// EraseArea is Len bytes in erase blocks of EraseSize, a multiple of
// Geometry.EraseSize (not always a power of two: S25FS512S has one of 224 KiB).
type EraseArea struct{ Len, EraseSize int64 }

// Validate tells what makes g impossible; it wraps ErrGeometry.
func (g Geometry) Validate() error {
	bad := func(f string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrGeometry, fmt.Sprintf(f, a...))
	}
	switch {
	case g.Size <= 0 || g.Size > MaxSize:
		return bad("size %d is not in 1..%d", g.Size, MaxSize)
	case g.EraseSize <= 0 || bits.OnesCount64(uint64(g.EraseSize)) != 1:
		return bad("erase size %d is not a power of two", g.EraseSize)
	case g.Size%g.EraseSize != 0:
		return bad("size %d is not a multiple of the erase size %d", g.Size, g.EraseSize)
	case g.Size/g.EraseSize > MaxBlocks:
		return bad("%d erase blocks are more than %d", g.Size/g.EraseSize, MaxBlocks)
	case g.ProgramSize <= 0 || g.EraseSize%g.ProgramSize != 0:
		return bad("program size %d does not divide the erase size %d", g.ProgramSize, g.EraseSize)
	case g.PageSize < 0 || g.PageSize > 0 && (g.PageSize%g.ProgramSize != 0 || g.EraseSize%g.PageSize != 0):
		return bad("page size %d is not between program size %d and erase size %d", g.PageSize, g.ProgramSize, g.EraseSize)
	case g.Program > Rewrite:
		return bad("unknown program class %d", g.Program)
	case g.Program == ClearBits && g.Erased != 0xFF && g.Erased != 0x00:
		return bad("bits of a part that erases to %#02x cannot be cleared", g.Erased)
	}
	return g.validateAreas(bad)
}

func (g Geometry) validateAreas(bad func(string, ...any) error) error {
	if g.Blocks == nil {
		return nil
	}
	var sum int64
	for i, a := range g.Blocks {
		switch {
		case a.EraseSize <= 0 || a.EraseSize%g.EraseSize != 0:
			return bad("area %d: erase size %d is not a multiple of %d", i, a.EraseSize, g.EraseSize)
		case a.Len <= 0 || a.Len > g.Size-sum || a.Len%a.EraseSize != 0:
			return bad("area %d: length %d is not whole blocks of %d inside the memory", i, a.Len, a.EraseSize)
		}
		sum += a.Len
	}
	if sum != g.Size {
		return bad("areas cover %d of %d bytes", sum, g.Size)
	}
	return nil
}

// Block returns the erase block that contains off. off must be in [0, Size);
// for any other off, and for an invalid geometry, the empty Span is returned.
func (g Geometry) Block(off int64) Span {
	if off < 0 || off >= g.Size || g.EraseSize <= 0 {
		return Span{}
	}
	if g.Blocks == nil {
		return Span{off - off%g.EraseSize, g.EraseSize}
	}
	var start int64
	for _, a := range g.Blocks {
		if off-start < a.Len && a.EraseSize > 0 {
			return Span{off - (off-start)%a.EraseSize, a.EraseSize}
		}
		start += a.Len
	}
	return Span{}
}

// Outward returns the whole erase blocks that s touches: what a chip that
// rounds an erase would erase. Inward returns the whole erase blocks inside s:
// what a grant for s may erase. Both return the empty Span for an empty s or one
// outside the memory.
func (g Geometry) Outward(s Span) Span {
	if s.Len <= 0 || !s.In(g.Size) {
		return Span{}
	}
	first, last := g.Block(s.Off), g.Block(s.End()-1)
	return Span{first.Off, last.End() - first.Off}
}

// Inward: see Outward.
func (g Geometry) Inward(s Span) Span {
	if s.Len <= 0 || !s.In(g.Size) {
		return Span{}
	}
	lo, hi := s.Off, s.End()
	if b := g.Block(lo); b.Off != lo {
		lo = b.End()
	}
	if hi < g.Size {
		hi = g.Block(hi).Off
	}
	if hi <= lo {
		return Span{}
	}
	return Span{lo, hi - lo}
}

// CheckRead returns ErrRange if a read of n bytes at off leaves the memory.
func (g Geometry) CheckRead(off, n int64) error {
	if !(Span{off, n}).In(g.Size) {
		return ErrRange
	}
	return nil
}

// CheckProgram returns ErrRange or ErrAlign if n bytes at off cannot be
// programmed in one go. Length zero in range is always fine.
func (g Geometry) CheckProgram(off, n int64) error {
	if !(Span{off, n}).In(g.Size) {
		return ErrRange
	}
	if n == 0 || g.ProgramSize == 1 && g.PageSize == 0 {
		return nil
	}
	if g.ProgramSize <= 0 || off%g.ProgramSize != 0 || n%g.ProgramSize != 0 {
		return ErrAlign
	}
	if g.PageSize > 0 && off%g.PageSize+n > g.PageSize {
		return ErrAlign
	}
	return nil
}

// CheckErase returns ErrRange or ErrAlign if [off, off+n) is not whole erase
// blocks. Length zero in range is always fine.
func (g Geometry) CheckErase(off, n int64) error {
	s := Span{off, n}
	if !s.In(g.Size) {
		return ErrRange
	}
	if n != 0 && g.Outward(s) != s {
		return ErrAlign
	}
	return nil
}
