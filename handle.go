package nanolock

import (
	"io"
	"runtime"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Handle is the data side and all that a gate ever gets: the memory under one
// set of rights. The zero Handle denies, and so does a copy of a Handle.
// Concurrent use is fine.
type Handle struct {
	self    *Handle // itself: a copy by value is not known to the Lock, and denies
	s       atomic.Pointer[snap]
	mem     io.ReaderAt // lock.mem: one load less than by way of s or lock
	lock    *Lock
	session *session // nil = a host
	id      uint32
}

// session is what a handle holds beyond a host; the budgets are guarded by Lock.mu.
type session struct {
	rights  policy.Rights
	content func(off int64, block []byte) bool // nil = any
	program int64                              // bytes left
	erases  int64                              // blocks left
	swept   int64                              // end of the blocks erased in order from an append region's start
	since   policy.Usage                       // the region's when that began
}

var (
	_ nvm.NVM        = (*Handle)(nil)
	_ nvm.BadBlocker = (*Handle)(nil)
)

// rights returns what h may do; nil for the zero Handle and for a copy.
func (h *Handle) rights() *snap {
	if h.self != h {
		return nil
	}
	return h.s.Load()
}

// ReadAt reads all of p or nothing, but for what a failing memory did. The error
// matches ErrDenied, or is nvm.ErrRange or the memory's own.
//
//go:nosplit
func (h *Handle) ReadAt(p []byte, off int64) (int, error) {
	// Without nosplit the prologue would cost as much as the decision. What is called
	// checks the stack for itself, but memmove, which needs next to none.
	if s := h.s.Load(); h.self == h && s.read.allows(uint64(off), uint64(len(p))) {
		if s.read.mapped() {
			s.read.copyTo(p, uint64(off))
			runtime.KeepAlive(h) // and with it the memory that the mapping is of
			return len(p), nil
		}
		if len(s.flips) == 0 {
			return h.mem.ReadAt(p, off)
		}
		return h.readFlipped(s, p, off)
	}
	return h.readExact(p, off)
}

// readExact decides to the byte, and composes reads that have blank parts.
//
//go:noinline
func (h *Handle) readExact(p []byte, off int64) (int, error) {
	s, n := h.rights(), int64(len(p))
	if s == nil || s.cause == CauseEnded {
		return 0, h.denyEnded(nvm.Read, off, n)
	}
	if !(nvm.Span{Off: off, Len: n}).In(h.lock.geo.Size) {
		return 0, nvm.ErrRange
	}
	t, end, straight := s.table, off+n, len(s.flips) == 0
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, nvm.Read, at, end, s.rights)
		if part.Verdict != policy.Allow && part.Verdict != policy.Blank {
			return 0, h.deny(t.denial(part.Entry, nvm.Read), off, n)
		}
		straight = straight && part.Verdict == policy.Allow
		at = part.Span.End()
	}
	if straight { // one read, as without a lock
		return h.mem.ReadAt(p, off)
	}
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, nvm.Read, at, end, s.rights)
		dst := p[at-off : part.Span.End()-off]
		if part.Verdict == policy.Blank {
			fill(dst, h.lock.geo.Erased)
		} else if k, err := h.readFlipped(s, dst, at); err != nil || k != len(dst) {
			return int(at-off) + k, shortRead(err)
		}
		at = part.Span.End()
	}
	return len(p), nil
}

// readFlipped reads from the active slots. It never gets an access across a
// flipped region's border: tables end their runs there, and the exact way goes
// piece by piece.
//
//go:noinline
func (h *Handle) readFlipped(s *snap, p []byte, off int64) (int, error) {
	for i := range s.flips {
		x := &s.flips[i]
		at, n := off-x.region.Off, int64(len(p))
		switch {
		case at >= x.region.Len || at <= -n:
		case at < 0 || n > x.region.Len-at:
			return 0, nvm.ErrRange
		default:
			return h.mem.ReadAt(p, x.slot.Off+at)
		}
	}
	return h.mem.ReadAt(p, off)
}

// WriteAt programs. The whole request is decided first; what is long is
// programmed in chunks of 64 KiB, and rights that end meanwhile take effect
// between them: then n says how much was done. Programs and erases of one Lock
// are serialised. The error matches ErrDenied or ErrPersist, or is nvm.ErrRange,
// nvm.ErrAlign or the memory's own.
func (h *Handle) WriteAt(p []byte, off int64) (int, error) {
	if h.self != h {
		return 0, h.denyEnded(nvm.Write, off, int64(len(p)))
	}
	h.lock.mu.Lock()
	if s := h.s.Load(); !s.programs(uint64(off), uint64(len(p))) {
		h.lock.mu.Unlock()
		return h.change(nvm.Write, p, off, int64(len(p)))
	}
	defer h.lock.mu.Unlock()
	n, err := h.lock.mem.WriteAt(p, off)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// Erase erases whole erase blocks. The whole request is decided first, then
// erased block by block; rights that end meanwhile take effect between blocks.
// Errors are those of WriteAt.
func (h *Handle) Erase(off, n int64) error {
	if h.self != h {
		return h.denyEnded(nvm.Erase, off, n)
	}
	_, err := h.change(nvm.Erase, nil, off, n)
	return err
}

// Sync is the memory's barrier.
func (h *Handle) Sync() error {
	if s := h.rights(); s == nil || s.cause == CauseEnded {
		return h.denyEnded(nvm.Write, 0, 0)
	}
	return h.lock.mem.Sync()
}

// Geometry is the memory's own: hidden areas are refused, not cut out. The zero
// Geometry for the zero Handle.
func (h *Handle) Geometry() nvm.Geometry {
	if h.lock == nil {
		return nvm.Geometry{}
	}
	g := h.lock.geo
	g.Blocks = append([]nvm.EraseArea(nil), g.Blocks...)
	return g
}

// View returns read-only pages of the memory's mapping, capacity-capped, without
// copying: only of regions that every host may read in every lifecycle state and
// that no update flips. Writing to them faults. They stay valid as long as the
// Handle is reachable; a policy that denies reading later does not take them back.
// The error matches ErrDenied (CauseNoView, CauseUnmapped), or is nvm.ErrRange.
func (h *Handle) View(off, n int64) ([]byte, error) {
	if s := h.s.Load(); h.self == h && n > 0 && s.view.allows(uint64(off), uint64(n)) {
		return s.view.slice(uint64(off), uint64(n)), nil
	}
	return h.viewExact(off, n)
}

// viewExact decides to the byte, and says who refuses.
//
//go:noinline
func (h *Handle) viewExact(off, n int64) ([]byte, error) {
	s := h.rights()
	if s == nil || s.cause == CauseEnded {
		return nil, h.denyEnded(nvm.Read, off, n)
	}
	if !(nvm.Span{Off: off, Len: n}).In(h.lock.geo.Size) {
		return nil, nvm.ErrRange
	}
	t, end := s.table, off+n
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, nvm.Read, at, end, nil)
		if part.Verdict != policy.Allow {
			return nil, h.deny(t.denial(part.Entry, nvm.Read), off, n)
		}
		if !t.Viewable(part.Entry) {
			return nil, h.deny(t.denialFor(part.Entry, nvm.Read, CauseNoView), off, n)
		}
		at = part.Span.End()
	}
	if s.bytes == nil {
		return nil, h.deny(t.denialFor(-1, nvm.Read, CauseUnmapped), off, n)
	}
	return s.bytes[off:end:end], nil
}

// IsBad tells whether the erase block at off is bad; false on memories without
// bad blocks.
func (h *Handle) IsBad(off int64) (bool, error) {
	if s := h.rights(); s == nil || s.cause == CauseEnded {
		return false, h.denyEnded(nvm.Read, off, 0)
	}
	if off < 0 || off >= h.lock.geo.Size {
		return false, nvm.ErrRange
	}
	if b, ok := h.lock.mem.(nvm.BadBlocker); ok {
		h.lock.mu.Lock()
		at, _ := h.lock.physical(off, 1)
		h.lock.mu.Unlock()
		return b.IsBad(at)
	}
	return false, nil
}

// MarkBad marks the erase block at off bad. It destroys content for ever, so it
// takes a grant to erase the block, and is charged as an erase. Without one the
// error matches ErrDenied (CauseGrant); errors.ErrUnsupported if the memory knows
// no bad blocks.
func (h *Handle) MarkBad(off int64) error {
	if s := h.rights(); s == nil || s.cause == CauseEnded {
		return h.denyEnded(nvm.Erase, off, 0)
	}
	if off < 0 || off >= h.lock.geo.Size {
		return nvm.ErrRange
	}
	b := h.lock.geo.Block(off)
	_, err := h.change(markBad, nil, b.Off, b.Len)
	return err
}

// ID numbers the handles of a Lock from 1; Denial.Handle holds it. 0 for the
// zero Handle.
func (h *Handle) ID() uint32 { return h.id }

// Close gives the rights up; it is Lock.End by the holder and always returns nil.
func (h *Handle) Close() error {
	if h.lock != nil {
		h.lock.End(h)
	}
	return nil
}

func fill(p []byte, b byte) {
	for i := range p {
		p[i] = b
	}
}
