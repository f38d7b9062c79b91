package broken

import (
	"errors"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// handle is the data side of a guard.
type handle struct {
	g               *guard
	id              uint32
	rights          *policy.Rights // nil = a host
	program, erases int64
	ended, frozen   bool
	born            *policy.Policy  // in force when it was opened
	sealed          map[uint32]bool // then
	spent           map[uint32]uint64
}

var _ attack.Handle = (*handle)(nil)

func (g *guard) add(h *handle) *handle {
	h.g, h.born, h.id = g, g.pol, uint32(len(g.live)+1)
	h.spent, h.sealed = map[uint32]uint64{}, map[uint32]bool{}
	for id, u := range g.use {
		h.sealed[id] = u.Sealed
	}
	h.ended = g.closed
	g.live[h] = !g.closed
	return h
}

// policy is the one that the handle obeys.
func (h *handle) policy() *policy.Policy {
	if h.g.is("swap-forgets-hosts") && h.rights == nil || h.g.is("swap-forgets-sessions") && h.rights != nil {
		return h.born
	}
	return h.g.pol
}

// over tells whether the handle has lost its rights.
func (h *handle) over() bool {
	if h.g.is("copies-live") { // the flag was copied with the rest
		return h.ended
	}
	return h.ended || !h.g.live[h]
}

// Geometry of the memory.
func (h *handle) Geometry() nvm.Geometry {
	g := h.g.geo
	if !h.g.is("geometry-shared") {
		g.Blocks = append([]nvm.EraseArea(nil), g.Blocks...)
	}
	return g
}

// Sync is a barrier.
func (h *handle) Sync() error {
	g := h.g
	for _, v := range g.cached {
		_, _ = g.mem.WriteAt(v.p, v.off)
	}
	if !g.is("persist-late") {
		for _, f := range g.queue {
			f()
		}
		g.queue = nil
	}
	return g.mem.Sync()
}

// Close ends the handle.
func (h *handle) Close() error {
	if !h.g.is("close-does-nothing") {
		h.g.end(h)
	}
	return nil
}

// IsBad asks the memory.
func (h *handle) IsBad(off int64) (bool, error) {
	if b, ok := h.g.mem.(nvm.BadBlocker); ok && off >= 0 && off < h.g.geo.Size {
		return b.IsBad(h.g.physical(off, nvm.Read))
	}
	return false, nvm.ErrRange
}

// MarkBad takes the right to erase.
func (h *handle) MarkBad(off int64) error {
	g := h.g
	if off < 0 || off >= g.geo.Size {
		return nvm.ErrRange
	}
	b, ok := g.mem.(nvm.BadBlocker)
	if !ok {
		return errors.ErrUnsupported
	}
	block := g.geo.Block(off)
	err := h.markBad(b, block)
	return g.told(h, err, block.Off, block.Len)
}

func (h *handle) markBad(b nvm.BadBlocker, block nvm.Span) (err error) {
	g := h.g
	g.io.Lock()
	defer g.io.Unlock()
	if !g.is("mark-bad-unchecked") && !g.is("mark-bad-by-hosts") {
		if err := h.forever(block); err != nil {
			return err
		}
	}
	switch {
	case g.is("mark-bad-unchecked"):
	case g.is("mark-bad-uncharged"):
		err = h.check(nvm.Erase, block.Off, block.Len, nil)
	default:
		err = h.decide(nvm.Erase, block.Off, block.Len, block.Len, nil)
	}
	if err != nil {
		return err
	}
	return b.MarkBad(g.physical(block.Off, nvm.Erase))
}

// forever refuses what an erase right alone does not give.
func (h *handle) forever(block nvm.Span) error {
	g := h.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for at := block.Off; at < block.End(); at = g.next(g.pol, at, block.End()) {
		if r, _ := g.at(g.pol, at); r == nil || g.access(r).Erase.Mode != policy.Grant {
			return g.deny(r, nvm.Erase, nanolock.CauseGrant)
		}
	}
	return nil
}

// ReadAt decides first and copies then.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	g, n := h.g, int64(len(p))
	g.mu.Lock()
	if h.over() {
		g.mu.Unlock()
		return 0, g.report(h, &nanolock.DenyError{Op: nvm.Read, Cause: nanolock.CauseEnded}, off, n)
	}
	if !g.inRange(off, n) {
		g.mu.Unlock()
		return 0, nvm.ErrRange
	}
	if g.is("error-leaks") || g.is("reads-unchecked") {
		_, _ = g.mem.ReadAt(p, off)
	}
	if g.is("reads-unchecked") {
		g.mu.Unlock()
		return len(p), nil
	}
	parts, denied := h.plan(off, off+n)
	g.mu.Unlock()
	if denied != nil {
		return 0, g.report(h, denied, off, n)
	}
	for _, part := range parts {
		dst := p[part.Off-off : part.End()-off]
		if part.blank {
			for i := range dst {
				dst[i] = g.geo.Erased
			}
		} else if _, err := g.mem.ReadAt(dst, part.at); err != nil {
			return int(part.Off - off), err
		}
	}
	return len(p), nil
}

// part of a read.
type part struct {
	nvm.Span
	at    int64 // on the memory
	blank bool
}

// plan cuts a read into its parts. Caller holds mu.
func (h *handle) plan(off, end int64) (parts []part, denied *nanolock.DenyError) {
	g, pol, blanks := h.g, h.policy(), 0
	for at := off; at < end; {
		span := nvm.Span{Off: at, Len: g.next(pol, at, end) - at}
		at = span.End()
		ok, blank, e := h.mayRead(pol, span)
		if !ok && !blank {
			return nil, e
		}
		if blank {
			blanks++
		}
		parts = append(parts, part{span, g.physical(span.Off, nvm.Read), blank})
	}
	if g.is("blank-composed") && blanks < len(parts) {
		for i := range parts {
			parts[i].blank = false
		}
	}
	return parts, nil
}

func (h *handle) mayRead(pol *policy.Policy, span nvm.Span) (ok, blank bool, e *nanolock.DenyError) {
	g := h.g
	r, area := g.at(pol, span.Off)
	switch {
	case span.Off >= g.geo.Size || span.Off < 0: // only where the range check is the bug
		return true, false, nil
	case area != nil && g.is("hidden-readable"), r == nil && area == nil && g.is("gaps-readable"):
		return true, false, nil
	case r == nil:
		blank = pol.Memory.Blank
	default:
		a := r.AccessIn(g.state)
		if a.Read.Mode == policy.Any || a.Read.Mode == policy.Grant && h.granted(a.Read.Authority, nvm.Read, span) {
			return true, false, nil
		}
		blank = a.Blank
	}
	switch {
	case blank && g.is("blank-shows"):
		return true, false, nil
	case blank && g.is("blank-refused"):
		blank = false
	}
	return false, blank, g.deny(r, nvm.Read, nanolock.CauseRule)
}

// View gives a part of the mapping where every host may always read.
func (h *handle) View(off, n int64) ([]byte, error) {
	g := h.g
	g.mu.Lock()
	if h.over() || !(nvm.Span{Off: off, Len: n}).In(g.geo.Size) {
		g.mu.Unlock()
		return nil, nvm.ErrRange
	}
	denied := h.viewable(off, off+n)
	g.mu.Unlock()
	if denied != nil {
		return nil, g.report(h, denied, off, n)
	}
	m, ok := g.mem.(nvm.Mapper)
	switch {
	case !ok:
		return nil, g.report(h, &nanolock.DenyError{Op: nvm.Read, Cause: nanolock.CauseUnmapped}, off, n)
	case g.is("view-written-back"):
		v := make([]byte, n)
		copy(v, m.Bytes()[off:])
		g.cached = append(g.cached, cachedView{off, v})
		return v[:n:n], nil
	case g.is("view-uncapped"):
		return m.Bytes()[off : off+n], nil
	}
	return m.Bytes()[off : off+n : off+n], nil
}

func (h *handle) viewable(off, end int64) *nanolock.DenyError {
	g := h.g
	for at := off; at < end; at = g.next(g.pol, at, end) {
		r, _ := g.at(g.pol, at)
		if g.is("view-unchecked") || g.is("view-first-byte") && at > off {
			return nil
		}
		if r == nil {
			return g.deny(nil, nvm.Read, nanolock.CauseNoView)
		}
		if g.is("view-granted") && h.granted(r.AccessIn(g.state).Read.Authority, nvm.Read, nvm.Span{Off: at, Len: 1}) {
			continue
		}
		always := r.Read.Mode == policy.Any && r.Update == nil
		for _, a := range r.In {
			always = always && a.Read.Mode == policy.Any
		}
		if !always {
			return g.deny(r, nvm.Read, nanolock.CauseNoView)
		}
	}
	return nil
}
