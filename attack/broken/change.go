package broken

import (
	"math"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

const chunk = 64 << 10

// inRange is the check of offset and length.
func (g *guard) inRange(off, n int64) bool {
	size := g.geo.Size
	switch {
	case g.is("signed-offset"):
		return n >= 0 && off <= size-n
	case g.is("negative-length"):
		return off >= 0 && off < size && n <= size
	case g.is("no-upper-bound"):
		return off >= 0 && n >= 0 && off <= math.MaxInt64-n
	case g.is("sum-overflow"):
		return off >= 0 && n >= 0 && off+n <= size
	case g.is("end-32"):
		return off >= 0 && n >= 0 && int64(uint32(off)+uint32(n)) <= size
	}
	return nvm.Span{Off: off, Len: n}.In(size)
}

// possible checks a request against the memory.
func (g *guard) possible(op nvm.Op, off, n int64) error {
	if !g.inRange(off, n) {
		return nvm.ErrRange
	}
	if !(nvm.Span{Off: off, Len: n}).In(g.geo.Size) {
		return nil // only where the range check is the bug
	}
	if op == nvm.Erase {
		switch {
		case g.is("erase-unaligned"), g.is("erase-widened"):
			return nil
		case g.is("uniform-blocks"):
			if off%g.geo.EraseSize == 0 && n%g.geo.EraseSize == 0 {
				return nil
			}
		}
		return g.geo.CheckErase(off, n)
	}
	geo := g.geo
	if g.is("no-page-check") {
		geo.PageSize = 0
	}
	if g.is("units-ignored") {
		geo.ProgramSize = 1
	}
	return geo.CheckProgram(off, n)
}

// WriteAt programs.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	n := int64(len(p))
	if h.g.is("write-behind") {
		return h.writeLater(p, off)
	}
	done, err := h.change(nvm.Write, off, n, func(at, phys, n int64) error {
		if h.g.is("writes-dropped") {
			return nil
		}
		_, err := h.g.mem.WriteAt(p[at-off:][:n], phys)
		return err
	}, p)
	return int(done), err
}

// writeLater decides now and programs at the next Sync, from the caller's buffer.
func (h *handle) writeLater(p []byte, off int64) (int, error) {
	done, err := h.change(nvm.Write, off, int64(len(p)), func(at, phys, n int64) error {
		h.g.queue = append(h.g.queue, func() { _, _ = h.g.mem.WriteAt(p[at-off:][:n], phys) })
		return nil
	}, p)
	return int(done), err
}

// Erase erases.
func (h *handle) Erase(off, n int64) error {
	g := h.g
	switch {
	case n == 0 && g.is("zero-forwarded"):
		return g.mem.Erase(off, n)
	case off == 0 && n == g.geo.Size && g.is("chip-erase-open"):
		return g.mem.Erase(off, n)
	case g.is("length-32") && int64(uint32(n)) != n:
		if err := h.check(nvm.Erase, off, int64(uint32(n)), nil); err != nil {
			return g.told(h, err, off, n)
		}
		return g.mem.Erase(off, n)
	}
	_, err := h.change(nvm.Erase, off, n, func(_, phys, n int64) error { return g.mem.Erase(phys, n) }, nil)
	return err
}

// change carries an access out in steps. Each step is decided again.
func (h *handle) change(op nvm.Op, off, n int64, do func(at, phys, n int64) error, p []byte) (done int64, err error) {
	g := h.g
	if g.is("writes-first") && op == nvm.Write && (nvm.Span{Off: off, Len: n}).In(g.geo.Size) {
		_ = do(off, off, n)
	}
	if g.is("length-16") && op == nvm.Write && n > math.MaxUint16 {
		if err := h.check(op, off, int64(uint16(n)), p); err != nil {
			return 0, g.told(h, err, off, n)
		}
		return n, do(off, off, n)
	}
	for first := true; first || done < n; first = false {
		k, err := h.step(op, off+done, n-done, first, do, p)
		if err != nil {
			return done, g.told(h, err, off, n)
		}
		done += k
		if k == 0 {
			break
		}
	}
	return done, nil
}

// step decides about all that is left and does a part.
func (h *handle) step(op nvm.Op, off, n int64, first bool, do func(at, phys, n int64) error, p []byte) (k int64, err error) {
	g := h.g
	g.io.Lock()
	if !g.is("panic-keeps-mutex") {
		defer g.io.Unlock()
	}
	k = g.part(op, off, n)
	if g.is("long-unchecked") && !first {
		err = h.charge(op, off, k)
	} else if g.is("denial-keeps-prefix") {
		err = h.decide(op, off, k, k, p)
	} else {
		err = h.decide(op, off, n, k, p)
	}
	if err != nil || n == 0 {
		if g.is("panic-keeps-mutex") {
			g.io.Unlock()
		}
		return 0, err
	}
	phys := off
	if (nvm.Span{Off: off, Len: max(n, 0)}).In(g.geo.Size) {
		phys = g.physical(off, op)
	}
	if g.is("erase-widened") && op == nvm.Erase {
		out := g.geo.Outward(nvm.Span{Off: phys, Len: k})
		phys, k = out.Off, out.Len
	}
	if err = g.outside(func() error { return do(off, phys, k) }); g.late() {
		_ = h.charge(op, off, k)
	}
	h.after(op, off, k, err)
	if g.is("panic-keeps-mutex") {
		g.io.Unlock()
	}
	return max(k, 0), err
}

// outside runs f, without the mutex where that is the bug.
func (g *guard) outside(f func() error) error {
	if g.late() {
		g.io.Unlock()
		defer g.io.Lock()
	}
	return f()
}

// late tells whether usage is booked when all is over, and without the mutex.
func (g *guard) late() bool { return g.is("budget-late") || g.is("mark-late") }

// part is how much is done in one step.
func (g *guard) part(op nvm.Op, off, n int64) int64 {
	if n <= 0 || !(nvm.Span{Off: off, Len: n}).In(g.geo.Size) {
		return n
	}
	k := min(n, max(chunk, g.geo.ProgramSize))
	if op == nvm.Erase {
		k = min(n, g.geo.Block(off).End()-off)
		if g.is("uniform-blocks") {
			k = min(n, g.geo.EraseSize)
		}
	}
	if g.is("ledger-per-request") {
		k = n
	}
	if len(g.active) > 0 || g.is("denial-keeps-prefix") {
		k = min(k, g.next(g.pol, off, off+n)-off)
	}
	return k
}

// decide checks [off, off+n) and charges its first k bytes.
func (h *handle) decide(op nvm.Op, off, n, k int64, p []byte) error {
	g := h.g
	if err := h.chargeFirst(op, off); err != nil {
		return err
	}
	if err := h.check(op, off, n, p); err != nil {
		return err
	}
	if n == 0 || g.late() {
		return nil
	}
	return h.charge(op, off, k)
}

// chargeFirst is the bug of charging before deciding.
func (h *handle) chargeFirst(op nvm.Op, off int64) error {
	g := h.g
	if !g.is("denied-charged") || op != nvm.Erase || off < 0 || off >= g.geo.Size {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, _ := g.at(g.pol, off); r != nil && r.Wear != (policy.Wear{}) {
		u := g.use[r.ID]
		u.Erases++
		return g.raise(r.ID, u)
	}
	return nil
}

// check decides about the whole of an access.
func (h *handle) check(op nvm.Op, off, n int64, p []byte) error {
	h.g.mu.Lock()
	defer h.g.mu.Unlock()
	denied, err := h.refusal(op, off, n, p)
	if denied != nil {
		return denied
	}
	return err
}

func (h *handle) refusal(op nvm.Op, off, n int64, p []byte) (*nanolock.DenyError, error) {
	g, pol := h.g, h.policy()
	if h.over() {
		return &nanolock.DenyError{Op: op, Cause: nanolock.CauseEnded}, nil
	}
	if err := g.possible(op, off, n); err != nil || n == 0 {
		return nil, err
	}
	if g.is("deny-everything") {
		return g.deny(nil, op, nanolock.CauseRule), nil
	}
	if g.is("bit-clearing-open") && op == nvm.Write && onlyClears(p, g.geo) {
		return nil, nil
	}
	lo, end := max(off, 0), min(off+n, g.geo.Size)
	if g.is("end-32") {
		end = min(int64(uint32(off)+uint32(n)), g.geo.Size)
	}
	var need budget
	for at := lo; at < end; {
		span := nvm.Span{Off: at, Len: g.next(pol, at, end) - at}
		at = span.End()
		if e := h.refuse(pol, op, span, &need); e != nil {
			if g.is("shared-block-any") && op == nvm.Erase && h.anyPiece(pol, off, end) {
				continue
			}
			return e, nil
		}
		if g.is("first-byte") {
			break
		}
		if g.is("ends-only") && at < end {
			at = end - 1
		}
	}
	return h.poor(op, need), nil
}

func onlyClears(p []byte, g nvm.Geometry) bool {
	for _, b := range p {
		if b != ^g.Erased {
			return false
		}
	}
	return len(p) > 0
}

// anyPiece tells whether any piece of an erase is allowed.
func (h *handle) anyPiece(pol *policy.Policy, off, end int64) bool {
	for at := off; at < end; at = h.g.next(pol, at, end) {
		var need budget
		if h.refuse(pol, nvm.Erase, nvm.Span{Off: at, Len: 1}, &need) == nil {
			return true
		}
	}
	return false
}
