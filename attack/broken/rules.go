package broken

import (
	"math"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// budget is what an access takes of its session.
type budget struct{ bytes, blocks int64 }

// blocks counts the erase blocks that s touches.
func (g *guard) blocks(s nvm.Span) (n int64) {
	for at := s.Off; at < s.End(); at = g.geo.Block(at).End() {
		n++
	}
	return n
}

// refuse decides about a span inside one region, hidden area or gap.
func (h *handle) refuse(pol *policy.Policy, op nvm.Op, span nvm.Span, need *budget) *nanolock.DenyError {
	g := h.g
	r, area := g.at(pol, span.Off)
	switch {
	case area != nil && g.is("hidden-open"), r == nil && area == nil && g.is("gaps-open"):
		return nil
	case r == nil:
		return g.deny(nil, op, nanolock.CauseRule)
	}
	if c, ok := h.rule(r, op, span, need); !ok {
		return g.deny(r, op, c)
	}
	if h.isFrozen(op) {
		return g.deny(r, op, nanolock.CauseFrozen)
	}
	if cost := h.cost(r, op, span); cost > 0 && !h.affords(r, cost) {
		return g.deny(r, op, nanolock.CauseLedger)
	}
	return nil
}

func (h *handle) isFrozen(op nvm.Op) bool {
	switch g := h.g; {
	case g.is("freeze-hosts-only") && h.rights != nil, g.is("freeze-writes-only") && op == nvm.Erase:
		return false
	case g.is("freeze-existing-only"):
		return h.frozen
	default:
		return g.frozen
	}
}

// access is what holds in the present state.
func (g *guard) access(r *policy.Region) policy.Access {
	switch {
	case g.is("overrides-ignored"):
		return r.Access
	case g.is("rma-open") && g.state == policy.RMA:
		return policy.Access{Read: r.Read, Write: policy.Rule{Mode: policy.Any}, Erase: policy.Rule{Mode: policy.Any}}
	}
	return r.AccessIn(g.state)
}

func (h *handle) rule(r *policy.Region, op nvm.Op, span nvm.Span, need *budget) (nanolock.Cause, bool) {
	g := h.g
	rule := g.access(r).Rule(op)
	switch rule.Mode {
	case policy.Any:
		return 0, true
	case policy.Append:
		return nanolock.CauseMark, h.appends(r, span)
	case policy.Once:
		if g.is("seal-new-handles-only") {
			return nanolock.CauseSealed, !h.sealed[r.ID]
		}
		return nanolock.CauseSealed, !g.use[r.ID].Sealed
	case policy.Grant:
		if !h.granted(rule.Authority, op, span) {
			return 0, false
		}
		need.bytes += span.Len
		need.blocks += g.blocks(span)
		return 0, true
	}
	return 0, false
}

// appends tells whether a program is above the mark.
func (h *handle) appends(r *policy.Region, span nvm.Span) bool {
	g := h.g
	mark := g.use[r.ID].Mark
	switch {
	case g.is("append-unmarked"):
		return true
	case g.is("append-end-only"):
		return span.End()-r.Span.Off > mark
	case g.is("append-if-erased"):
		p := make([]byte, span.Len)
		_, _ = g.mem.ReadAt(p, span.Off)
		for _, b := range p {
			if b != g.geo.Erased {
				return false
			}
		}
		return true
	}
	return span.Off-r.Span.Off >= mark
}

// granted tells whether the session may op on span.
func (h *handle) granted(authority string, op nvm.Op, span nvm.Span) bool {
	g := h.g
	if h.rights == nil || authority == "" || g.is("grants-refused") {
		return false
	}
	if h.rights.Authority != authority && !g.is("any-authority") && !(g.is("unsigned-sessions") && g.unknown(h.rights.Authority)) {
		return false
	}
	if h.rights.Ops&op == 0 && !g.is("ops-ignored") {
		return false
	}
	in := h.rights.Span
	if op != nvm.Read {
		in = g.geo.Inward(in)
		if g.is("grants-outward") {
			in = g.geo.Outward(h.rights.Span)
		}
	}
	return in.Len > 0 && in.Contains(span) || g.is("span-ignored")
}

// poor tells whether the session's budget is too small.
func (h *handle) poor(op nvm.Op, need budget) *nanolock.DenyError {
	g := h.g
	if h.rights == nil || need == (budget{}) {
		return nil
	}
	if g.is("zero-unlimited") && (op == nvm.Write && h.rights.ProgramBytes == 0 || op == nvm.Erase && h.rights.Erases == 0) {
		return nil
	}
	if op == nvm.Write && need.bytes > h.program || op == nvm.Erase && need.blocks > h.erases && !g.is("erases-unbudgeted") {
		return g.deny(nil, op, nanolock.CauseBudget)
	}
	return nil
}

// cost of an access for the ledger of its region.
func (h *handle) cost(r *policy.Region, op nvm.Op, span nvm.Span) uint64 {
	g := h.g
	switch {
	case r.Wear == (policy.Wear{}) || g.is("ledger-missing"),
		op == nvm.Write && (g.geo.Program != nvm.Rewrite || g.is("ledger-erases-only")),
		h.rights != nil && g.is("ledger-hosts-only"):
		return 0
	case g.is("ledger-per-request"):
		return 1
	}
	return uint64(g.blocks(span))
}

// affords tells whether the ledger has room.
func (h *handle) affords(r *policy.Region, cost uint64) bool {
	g, u := h.g, h.g.use[r.ID]
	limit := uint64(r.Wear.Erases)
	if r.Wear.PerHours != 0 {
		limit = max(limit, u.Allowed)
	}
	switch {
	case g.is("ledger-per-handle"):
		u.Erases = h.spent[r.ID]
	case g.is("ledger-wraps-32"):
		return uint64(uint32(u.Erases)+uint32(cost)) <= limit
	}
	return u.Erases <= limit && cost <= limit-u.Erases
}

// charge books an access. Caller holds io.
func (h *handle) charge(op nvm.Op, off, n int64) error {
	g := h.g
	g.mu.Lock()
	defer g.mu.Unlock()
	end := min(off+n, g.geo.Size)
	for at := max(off, 0); at < end; {
		span := nvm.Span{Off: at, Len: g.next(g.pol, at, end) - at}
		at = span.End()
		r, _ := g.at(g.pol, span.Off)
		if r == nil {
			continue
		}
		if err := h.book(r, op, span); err != nil {
			return err
		}
		if g.access(r).Rule(op).Mode == policy.Grant && !g.is("budget-unbooked") {
			if op == nvm.Write {
				h.program -= span.Len
			} else {
				h.erases -= g.blocks(span)
			}
		}
	}
	return nil
}

func (h *handle) book(r *policy.Region, op nvm.Op, span nvm.Span) error {
	g, u := h.g, h.g.use[r.ID]
	cost := h.cost(r, op, span)
	h.spent[r.ID] += cost
	if u.Erases <= math.MaxUint64-cost {
		u.Erases += cost
	}
	if op == nvm.Write && g.access(r).Write.Mode == policy.Append {
		for at := span.Off; at < span.End(); at = g.geo.Block(at).End() {
			g.appended(r)[g.geo.Block(at).Off] = true
		}
		u.Mark = max(u.Mark, span.End()-r.Span.Off)
	}
	if u == g.use[r.ID] {
		return nil
	}
	return g.raise(r.ID, u)
}

// after follows an erase, and what a failure does.
func (h *handle) after(op nvm.Op, off, n int64, err error) {
	g := h.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if op != nvm.Erase || off < 0 || off >= g.geo.Size {
		return
	}
	r, _ := g.at(g.pol, off)
	if r == nil {
		return
	}
	if err != nil {
		if u := g.use[r.ID]; g.is("ledger-refunds") && u.Erases > 0 {
			u.Erases--
			g.use[r.ID] = u
		}
		return
	}
	if g.access(r).Write.Mode == policy.Append {
		h.round(r, off, n)
	}
}

// appended are the blocks that hold appended bytes; where it is not known, all
// below the mark.
func (g *guard) appended(r *policy.Region) map[int64]bool {
	if g.grown[r.ID] == nil {
		g.grown[r.ID] = map[int64]bool{}
		for at := r.Span.Off; at < r.Span.Off+g.use[r.ID].Mark; at = g.geo.Block(at).End() {
			g.grown[r.ID][g.geo.Block(at).Off] = true
		}
	}
	return g.grown[r.ID]
}

// round starts the mark again when no appended byte is left.
func (h *handle) round(r *policy.Region, off, n int64) {
	g, u := h.g, h.g.use[r.ID]
	delete(g.appended(r), off)
	if off == r.Span.Off {
		g.swept[r.ID] = off
	}
	if g.swept[r.ID] == off {
		g.swept[r.ID] = off + n
	}
	blank := len(g.appended(r)) == 0 && u.Mark > 0
	switch {
	case g.is("append-any-erase-resets"):
		blank = true
	case g.is("append-sweep-blind"):
		blank = blank || g.swept[r.ID] == r.Span.End()
	}
	if blank {
		_ = g.raise(r.ID, policy.Usage{Erases: u.Erases, Allowed: u.Allowed, Rounds: u.Rounds + 1, Sealed: u.Sealed})
	}
}
