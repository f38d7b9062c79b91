// Package nvm names what a non-volatile memory is. It decides nothing.
//
// A board vendor implements [NVM] for a memory and runs package nvmtest over
// it; everything above (the Lock, the gates, the simulator's rivals) relies on
// the contract written here and on nothing else. [Geometry] is a struct so that
// a new property never breaks an implementer; abilities that only some memories
// have are one-method interfaces found by assertion.
package nvm

import (
	"errors"
	"io"
)

// NVM is one memory, addressed in bytes from 0. Package nvmtest checks an
// implementation.
//
// Range: an access that is not inside [0, Geometry().Size) as a whole returns
// 0 and [ErrRange], whatever its alignment; it is never clipped. A read that ends
// exactly at Size returns nil, not io.EOF. An access of length zero at an offset
// in [0, Size] does nothing and returns nil, whatever its alignment.
//
// Alignment: a program that does not start and end at a multiple of
// Geometry().ProgramSize, or that crosses a multiple of a non-zero PageSize, and
// an erase that does not start and end at an erase block's border return 0 and
// [ErrAlign] and change nothing.
//
// Failure: when the medium fails, n says how many leading bytes were done for
// certain; the bytes behind them are unspecified.
//
// Concurrency: methods may be called concurrently. A read that overlaps a
// running program or erase returns an unspecified mix of old and new bytes; two
// overlapping programs leave an unspecified mix.
//
// An implementation never retains p after it returned. There is no Close here:
// whoever opened the memory closes it, after the Lock.
type NVM interface {
	io.ReaderAt
	// WriteAt programs; it does not erase. What it does to bytes that are not
	// erased is Geometry().Program.
	io.WriterAt
	// Erase sets exactly [off, off+n) to Geometry().Erased: whole erase blocks
	// or ErrAlign, never widened, never narrowed.
	Erase(off, n int64) error
	// Sync is a barrier: all programs and erases that returned before it was
	// called survive a power cut once it returns nil.
	Sync() error
	// Geometry is constant while the memory is open.
	Geometry() Geometry
}

// Op is a set of operations. The zero Op is none.
type Op uint8

// The three operations of a memory. Program is called Write in types and policy
// text, after io.WriterAt; it never erases.
const (
	Read Op = 1 << iota
	Write
	Erase
)

// AllOps is every operation.
const AllOps = Read | Write | Erase

// String names the operations of the set, joined by "+"; "none" for the zero Op.
func (o Op) String() string {
	var s string
	for _, n := range [...]struct {
		op   Op
		name string
	}{{Read, "read"}, {Write, "write"}, {Erase, "erase"}, {^AllOps, "invalid"}} {
		if o&n.op == 0 {
			continue
		}
		if s != "" {
			s += "+"
		}
		s += n.name
	}
	if s == "" {
		return "none"
	}
	return s
}

// Mapper is a memory that is also mapped. Bytes returns a read-only mapping of
// all of it, len == cap == Geometry().Size, or nil if there is none. Reading the
// mapping must never fault while the memory is reachable, closed or not, and must
// show each program and erase that returned: a monitor copies from it without
// asking the memory again. Writing to it faults.
type Mapper interface {
	Bytes() []byte
}

// Remapper is a mapped memory that can map itself again in another order, so
// that a flipped slot costs nothing on the read path: the MMU translates.
type Remapper interface {
	Mapper
	// Remap returns a fresh read-only mapping under the rules of Bytes in which
	// the swapped pairs of spans have changed places. Spans of a pair have equal
	// length, are multiples of the page size and do not overlap;
	// errors.ErrUnsupported if they are not, or do. Earlier mappings stay valid and unchanged.
	Remap(swap [][2]Span) ([]byte, error)
}

// BadBlocker is a memory with factory or grown bad blocks. A memory whose
// Geometry says BadBlocks implements it. Programs and erases that touch a bad
// block return ErrBadBlock and change nothing; reading one may fail.
type BadBlocker interface {
	// IsBad tells whether the erase block that contains off is bad; ErrRange
	// outside the memory, as for MarkBad.
	IsBad(off int64) (bool, error)
	// MarkBad marks it, for ever.
	MarkBad(off int64) error
}

// The errors of the contract. Implementations may wrap them.
var (
	ErrRange    = errors.New("nvm: outside the memory")
	ErrAlign    = errors.New("nvm: not a multiple of the erase or program size, or across a page")
	ErrBadBlock = errors.New("nvm: bad block")
	// ErrProgrammed: a second program of a unit of a OncePage memory. That unit
	// is unchanged.
	ErrProgrammed = errors.New("nvm: programmed before and not erased since")
	// ErrUncorrectable: a read found more wrong bits than the part corrects. n
	// counts the bytes before the damaged unit; none of that unit was returned.
	ErrUncorrectable = errors.New("nvm: more wrong bits than can be corrected")
	ErrReadOnly      = errors.New("nvm: opened for reading only")
	ErrClosed        = errors.New("nvm: closed")
	ErrGeometry      = errors.New("nvm: impossible geometry")
)
