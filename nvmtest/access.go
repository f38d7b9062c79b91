package nvmtest

import (
	"math"

	"github.com/nanolock/nanolock/nvm"
)

// checkGeometry: asked again, and after a program and an erase, it is the same;
// the comparison itself is made after every check.
func checkGeometry(e *env) error {
	b := e.first()
	if err := e.fill(b, 1); err != nil {
		return err
	}
	return e.erase(b)
}

// outside lists offsets for n bytes that are not all in the memory.
func (e *env) outside(n int64) []int64 {
	size := e.geo.Size
	return []int64{-1, -n, -n - 1, size - n + e.unit(), size, size + 1,
		math.MaxInt64, math.MaxInt64 - n, math.MaxInt64 - n + 1, math.MinInt64, math.MinInt64 + n}
}

// lengths of accesses that are tried outside; the last one is longer than a
// small memory.
func (e *env) lengths() []int64 {
	l := []int64{e.unit(), 2 * e.unit(), e.finish().Len}
	if e.geo.Size <= smallSize {
		l = append(l, e.geo.Size+e.unit())
	}
	return l
}

func checkRangeRead(e *env) error {
	for _, n := range append(e.lengths(), 1, 2) {
		p := make([]byte, n)
		for _, off := range e.outside(n) {
			if (nvm.Span{Off: off, Len: n}).In(e.geo.Size) {
				continue
			}
			k, err := e.mem.ReadAt(p, off)
			if err := refused(sRange, k, err, nvm.ErrRange, "ReadAt(%d bytes, %#x) of %#x", n, off, e.geo.Size); err != nil {
				return err
			}
		}
	}
	// The very last bytes are inside, and no end of file is told.
	f := e.finish()
	for _, n := range []int64{1, f.Len} {
		if _, err := e.get(nvm.Span{Off: f.End() - n, Len: n}); err != nil {
			return err
		}
	}
	return nil
}

func checkRangeWrite(e *env) error {
	if err := e.erase(e.finish()); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for _, n := range e.lengths() {
		p := e.pattern(0, n, 2)
		for _, off := range e.outside(n) {
			if (nvm.Span{Off: off, Len: n}).In(e.geo.Size) {
				continue
			}
			k, err := e.mem.WriteAt(p, off)
			if err := refused(sRange, k, err, nvm.ErrRange, "WriteAt(%d bytes, %#x) of %#x", n, off, e.geo.Size); err != nil {
				return err
			}
		}
	}
	return im.differ(sRange, "after programs outside the memory")
}

func checkRangeErase(e *env) error {
	if err := e.fill(e.finish(), 3); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	f := e.finish()
	spans := []nvm.Span{{Off: f.Off, Len: f.Len + e.geo.EraseSize}, {Off: e.geo.Size, Len: e.geo.EraseSize},
		{Off: f.Off, Len: -1}, {Off: f.End(), Len: -f.Len}, {Off: f.Off, Len: math.MinInt64}, {Off: f.Off, Len: math.MaxInt64},
		{Off: math.MaxInt64, Len: f.Len}, {Off: math.MaxInt64, Len: math.MaxInt64}, {Off: math.MinInt64, Len: math.MinInt64},
		{Off: -e.geo.EraseSize, Len: e.geo.EraseSize}, {Off: -e.geo.EraseSize, Len: 2 * e.geo.EraseSize}, {Off: 0, Len: math.MaxInt64}}
	for _, s := range spans {
		if s.In(e.geo.Size) {
			continue
		}
		if err := refused(sRange, 0, e.mem.Erase(s.Off, s.Len), nvm.ErrRange, "Erase(%#x, %#x) of %#x", s.Off, s.Len, e.geo.Size); err != nil {
			return err
		}
	}
	return im.differ(sRange, "after erases outside the memory")
}

// checkZero: nothing at every edge, and nothing outside.
func checkZero(e *env) error {
	if err := e.fillAll(4); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	edges := []int64{0, 1, e.geo.Size - 1, e.geo.Size}
	for _, s := range e.pieces() {
		for _, b := range e.blocks(s, smallBlocks) {
			edges = append(edges, b.Off, b.Off+1, b.End()-1, b.End())
		}
	}
	for _, off := range edges {
		if err := e.zero(off, nil); err != nil {
			return err
		}
	}
	for _, off := range []int64{-1, e.geo.Size + 1, math.MaxInt64, math.MinInt64} {
		if err := e.zero(off, nvm.ErrRange); err != nil {
			return err
		}
	}
	return im.differ(sZero, "after accesses of length zero")
}

func (e *env) zero(off int64, want error) error {
	sentence := sZero
	if want != nil {
		sentence = sRange
	}
	for _, p := range [][]byte{nil, {}} {
		n, err := e.mem.ReadAt(p, off)
		if err := exactly(sentence, n, err, want, "ReadAt(0 bytes, %#x)", off); err != nil {
			return err
		}
		n, err = e.mem.WriteAt(p, off)
		if err := exactly(sentence, n, err, want, "WriteAt(0 bytes, %#x)", off); err != nil {
			return err
		}
	}
	return exactly(sentence, 0, e.mem.Erase(off, 0), want, "Erase(%#x, 0)", off)
}

// exactly is refused, or n == 0 without an error if want is nil.
func exactly(sentence string, n int, err, want error, what string, a ...any) error {
	if want != nil {
		return refused(sentence, n, err, want, what, a...)
	}
	if n != 0 || err != nil {
		return broke(sentence, what+" = %d, %v; want 0, nil", append(a, n, err)...)
	}
	return nil
}

// checkAlignProgram: parts of a program unit are refused.
func checkAlignProgram(e *env) error {
	b, u := e.first(), e.unit()
	if err := e.erase(b); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for _, s := range []nvm.Span{{Off: 1, Len: u}, {Off: 0, Len: u - 1}, {Off: 0, Len: u + 1}, {Off: 1, Len: u - 1},
		{Off: u - 1, Len: 1}, {Off: u - 1, Len: 2}, {Off: u / 2, Len: u / 2}, {Off: 0, Len: u / 2}, {Off: u / 2, Len: u}} {
		whole := s.Off%u == 0 && s.Len%u == 0
		if whole || s.Len <= 0 || s.End() > b.Len || e.crosses(b.Off+s.Off, s.Len) {
			continue
		}
		n, err := e.mem.WriteAt(e.pattern(0, s.Len, 5), b.Off+s.Off)
		if err := refused(sAlign, n, err, nvm.ErrAlign, "WriteAt(%d bytes, %#x) with program size %d", s.Len, b.Off+s.Off, u); err != nil {
			return err
		}
	}
	return im.differ(sAlign, "after programs that are not whole units")
}

func (e *env) crosses(off, n int64) bool {
	return e.geo.PageSize > 0 && off%e.geo.PageSize+n > e.geo.PageSize
}

// checkAlignPage: a program that crosses a page is refused, it does not wrap; one
// that fills the page is fine.
func checkAlignPage(e *env) error {
	b, u, page := e.first(), e.unit(), e.geo.PageSize
	if page == 0 {
		return nil
	}
	if err := e.erase(b); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for _, s := range []nvm.Span{{Off: page - u, Len: 2 * u}, {Off: 0, Len: page + u}, {Off: 0, Len: 2 * page}, {Off: u, Len: page}} {
		if s.End() > b.Len || !e.crosses(s.Off, s.Len) {
			continue
		}
		n, err := e.mem.WriteAt(e.pattern(0, s.Len, 6), b.Off+s.Off)
		if err := refused(sAlign, n, err, nvm.ErrAlign, "WriteAt(%d bytes, %#x) across a page of %d", s.Len, b.Off+s.Off, page); err != nil {
			return err
		}
	}
	if err := im.differ(sAlign, "after programs across a page"); err != nil {
		return err
	}
	p := e.pattern(0, page, 6)
	if err := e.program(p, b.Off); err != nil {
		return err
	}
	im.put(p, b.Off)
	return im.differ(sProgram, "after a program of a whole page")
}

// checkAlignErase: what is not whole blocks is refused, in each erase area.
func checkAlignErase(e *env) error {
	if err := e.fillAll(7); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for _, piece := range e.pieces() {
		for _, b := range e.blocks(piece, smallBlocks) {
			half := b.Len / 2
			small := e.geo.EraseSize // less than b.Len in an area of bigger blocks
			for _, s := range []nvm.Span{{Off: b.Off + 1, Len: b.Len - 1}, {Off: b.Off, Len: b.Len - 1}, {Off: b.Off, Len: 1},
				{Off: b.Off + half, Len: half}, {Off: b.Off, Len: half}, {Off: b.Off + half, Len: b.Len},
				{Off: b.Off, Len: small}, {Off: b.End() - small, Len: small}, {Off: b.Off + 1, Len: b.Len}, {Off: b.Off, Len: b.Len + 1}} {
				if s.Len <= 0 || !e.mayWork(s) || e.geo.Outward(s) == s {
					continue
				}
				if err := refused(sAlign, 0, e.mem.Erase(s.Off, s.Len), nvm.ErrAlign, "Erase(%v) where the block is %v", s, b); err != nil {
					return err
				}
			}
		}
	}
	return im.differ(sAlign, "after erases that are not whole blocks")
}
