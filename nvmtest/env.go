package nvmtest

import (
	"bytes"
	"errors"

	"github.com/nanolock/nanolock/nvm"
)

const (
	smallSize   = 1 << 20 // bytes up to which all of a memory is watched
	smallBlocks = 12      // erase blocks up to which a work span is used whole
	edgeBlocks  = 3       // blocks taken at each end of a longer one
	maxPieces   = 8
	pieceSize   = 4 << 20 // bytes of one piece at most, but for a single block
)

// blocks returns the first max erase blocks of s, which is whole blocks.
func (e *env) blocks(s nvm.Span, max int) []nvm.Span {
	var list []nvm.Span
	for off := s.Off; off < s.End() && len(list) < max; {
		b := e.geo.Block(off)
		list = append(list, b)
		off = b.End()
	}
	return list
}

// tail returns the last erase block of s that ends at end.
func (e *env) tail(end int64) nvm.Span { return e.geo.Block(end - 1) }

// pieces cuts the work spans down to what a check can go through many times:
// small ones whole, of a long one both ends and the borders of erase areas.
func (e *env) pieces() []nvm.Span {
	var out []nvm.Span
	for _, w := range e.work {
		bs := e.blocks(w, smallBlocks+1)
		if len(bs) <= smallBlocks && w.Len <= pieceSize {
			out = append(out, w)
			continue
		}
		out = append(out, e.head(w))
		out = append(out, e.borders(w)...)
		out = appendApart(out, e.last(w))
	}
	if len(out) > maxPieces {
		out = append(out[:maxPieces-1:maxPieces-1], out[len(out)-1])
	}
	return out
}

func (e *env) head(w nvm.Span) nvm.Span {
	var s nvm.Span
	for i, b := range e.blocks(w, edgeBlocks) {
		if i == 0 {
			s.Off = b.Off
		} else if s.Len+b.Len > pieceSize {
			break
		}
		s.Len += b.Len
	}
	return s
}

func (e *env) last(w nvm.Span) nvm.Span {
	s := e.tail(w.End())
	for i := 1; i < edgeBlocks && s.Off > w.Off; i++ {
		b := e.tail(s.Off)
		if s.Len+b.Len > pieceSize {
			break
		}
		s = nvm.Span{Off: b.Off, Len: s.Len + b.Len}
	}
	return s
}

// borders returns one block on each side of each border of erase areas in w.
func (e *env) borders(w nvm.Span) []nvm.Span {
	var out []nvm.Span
	var at int64
	for _, a := range e.geo.Blocks {
		at += a.Len
		if at <= w.Off || at >= w.End() {
			continue
		}
		l, r := e.tail(at), e.geo.Block(at)
		out = appendApart(out, nvm.Span{Off: l.Off, Len: l.Len + r.Len})
	}
	return out
}

// appendApart appends s unless it overlaps the last span.
func appendApart(list []nvm.Span, s nvm.Span) []nvm.Span {
	if k := len(list) - 1; k >= 0 && list[k].Overlaps(s) {
		return list
	}
	return append(list, s)
}

// first returns the first good block, where checks of one block work.
func (e *env) first() nvm.Span { return e.geo.Block(e.work[0].Off) }

// finish returns the last good block.
func (e *env) finish() nvm.Span { return e.tail(e.work[len(e.work)-1].End()) }

// mayWork tells whether all of s is in one work span.
func (e *env) mayWork(s nvm.Span) bool {
	for _, w := range e.work {
		if w.Contains(s) {
			return true
		}
	}
	return false
}

// unit is the smallest program.
func (e *env) unit() int64 { return e.geo.ProgramSize }

// get reads s.
func (e *env) get(s nvm.Span) ([]byte, error) {
	p := make([]byte, s.Len)
	n, err := e.mem.ReadAt(p, s.Off)
	if err != nil || int64(n) != s.Len {
		return nil, broke(sReadAt, "ReadAt(%v) = %d, %v", s, n, err)
	}
	return p, nil
}

// program programs p at off in one go.
func (e *env) program(p []byte, off int64) error {
	n, err := e.mem.WriteAt(p, off)
	if err != nil || n != len(p) {
		return broke(sWriteAt, "WriteAt(%d bytes, %#x) = %d, %v", len(p), off, n, err)
	}
	return nil
}

// programAll programs p page by page, and stops at the first n that is not all:
// a memory that does nothing must fail, not run for ever.
func (e *env) programAll(p []byte, off int64) error {
	for len(p) > 0 {
		n := int64(len(p))
		if page := e.geo.PageSize; page > 0 {
			n = min(n, page-off%page)
		}
		if err := e.program(p[:n], off); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

func (e *env) erase(s nvm.Span) error {
	if err := e.mem.Erase(s.Off, s.Len); err != nil {
		return broke(sErase, "Erase(%v) = %v", s, err)
	}
	return nil
}

// pattern returns n bytes for off, different for each seed and place, none of
// them the erased value: a byte that was erased by mistake shows.
func (e *env) pattern(off, n int64, seed uint64) []byte {
	p := make([]byte, n)
	for i := range p {
		x := (uint64(off) + uint64(i) + seed<<40) * 0x9e3779b97f4a7c15
		if p[i] = byte(x >> 56); p[i] == e.geo.Erased {
			p[i] ^= 0x5a
		}
	}
	return p
}

// fill erases s and programs a pattern into it.
func (e *env) fill(s nvm.Span, seed uint64) error {
	if err := e.erase(s); err != nil {
		return err
	}
	return e.programAll(e.pattern(s.Off, s.Len, seed), s.Off)
}

// fillAll fills the pieces.
func (e *env) fillAll(seed uint64) error {
	for _, s := range e.pieces() {
		if err := e.fill(s, seed); err != nil {
			return err
		}
	}
	return nil
}

// An image is what the memory should hold, where the suite watches it.
type image struct {
	e     *env
	parts []part
}

type part struct {
	at nvm.Span
	b  []byte
}

// snap reads what the suite watches: all that can be read of a small memory, of
// a big one the pieces and a block on each side of them.
func (e *env) snap() (*image, error) {
	im := &image{e: e}
	for _, s := range e.watched() {
		b, err := e.get(s)
		if err != nil {
			return nil, err
		}
		im.parts = append(im.parts, part{s, b})
	}
	return im, nil
}

func (e *env) watched() []nvm.Span {
	if e.geo.Size <= smallSize {
		return e.read
	}
	var out []nvm.Span
	for _, p := range e.pieces() {
		out = append(out, p)
		if p.Off > 0 {
			out = e.watchNear(out, e.tail(p.Off))
		}
		if p.End() < e.geo.Size {
			out = e.watchNear(out, e.geo.Block(p.End()))
		}
	}
	return out
}

// watchNear adds what can be read of block b.
func (e *env) watchNear(out []nvm.Span, b nvm.Span) []nvm.Span {
	for _, r := range e.read {
		if s := r.Intersect(b); s.Len > 0 {
			out = append(out, s)
		}
	}
	return out
}

// put says that p is now at off.
func (im *image) put(p []byte, off int64) {
	for _, pt := range im.parts {
		s := pt.at.Intersect(nvm.Span{Off: off, Len: int64(len(p))})
		if s.Len > 0 {
			copy(pt.b[s.Off-pt.at.Off:], p[s.Off-off:s.End()-off])
		}
	}
}

// blank says that s is erased.
func (im *image) blank(s nvm.Span) {
	im.put(bytes.Repeat([]byte{im.e.geo.Erased}, int(s.Len)), s.Off)
}

// differ compares the memory with the image. what tells what was done.
func (im *image) differ(sentence, what string, a ...any) error {
	for _, pt := range im.parts {
		got, err := im.e.get(pt.at)
		if err != nil {
			return err
		}
		if i := differAt(got, pt.b); i >= 0 {
			return broke(sentence, what+": the byte at %#x is %#02x, want %#02x",
				append(a, pt.at.Off+int64(i), got[i], pt.b[i])...)
		}
	}
	return nil
}

// differAt is the first index at which a and b, of equal length, differ; -1 if
// they do not.
func differAt(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// refused checks the outcome of an access that must be refused with want.
func refused(sentence string, n int, err, want error, what string, a ...any) error {
	if n != 0 || !errors.Is(err, want) {
		return broke(sentence, what+" = %d, %v; want 0, %v", append(a, n, err, want)...)
	}
	return nil
}
