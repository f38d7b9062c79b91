package nanolock

import (
	"fmt"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// use is a region's usage and how much of it is durable.
type use struct {
	policy.Usage
	durable policy.Usage
}

// usage of a region id. Caller holds l.mu.
func (l *Lock) usage(id uint32) policy.Usage {
	if u := l.uses[id]; u != nil {
		return u.Usage
	}
	return policy.Usage{}
}

// raise takes a region's usage to at least want, durable first. Caller holds l.mu.
func (l *Lock) raise(id uint32, want policy.Usage) error {
	u := l.uses[id]
	if u == nil {
		u = &use{}
		l.uses[id] = u
	}
	next := u.Usage.Join(want)
	if l.cfg.Persist != nil && !u.durable.Covers(next) {
		got, err := l.cfg.Persist(id, next)
		// A round that nobody asked for would open the region at the next start.
		if err == nil && (!got.Covers(next) || got.Rounds != next.Rounds) {
			err = fmt.Errorf("%+v was made durable instead of %+v", got, next)
		}
		if err != nil {
			return fmt.Errorf("%w: region %d: %w", ErrPersist, id, err)
		}
		u.durable = u.durable.Join(got)
	}
	u.Usage = next
	return nil
}

// wear is what op on s costs the ledger of the region; 0 if it has none.
func (l *Lock) wear(in policy.Info, op nvm.Op, s nvm.Span) uint64 {
	if in.Wear == (policy.Wear{}) || op != nvm.Erase && l.geo.Program != nvm.Rewrite {
		return 0
	}
	return uint64(l.blocks(s))
}

// affords tells whether the ledger has room for cost.
func affords(u policy.Usage, w policy.Wear, cost uint64) bool {
	limit := uint64(w.Erases)
	if w.PerHours != 0 {
		limit = max(limit, u.Allowed)
	}
	return u.Erases <= limit && cost <= limit-u.Erases
}

// book charges one piece.
func (l *Lock) book(in policy.Info, op nvm.Op, s nvm.Span) error {
	want := l.usage(in.ID)
	if op == nvm.Write && in.Access.Write.Mode == policy.Append {
		want.Mark = s.End() - in.Span.Off
	}
	want.Erases += l.wear(in, op, s)
	if want == l.usage(in.ID) {
		return nil
	}
	return l.raise(in.ID, want)
}

// erased starts a new round of an append region that a grant has erased up to
// its last block in order while nothing was appended: the host may append from
// its start again. A cut before this leaves the old mark, so the region stays
// closed until it is erased again.
func (l *Lock) erased(h *Handle, s *snap, off, n int64) {
	if h.session == nil {
		return
	}
	i := s.table.Start(off)
	in := s.table.Info(i)
	if in.Access.Write.Mode != policy.Append || !in.Span.Contains(nvm.Span{Off: off, Len: n}) {
		return
	}
	u := l.usage(in.ID)
	if off == in.Span.Off {
		h.session.swept, h.session.since = off, u
	}
	if since := h.session.since; h.session.swept != off || since.Mark != u.Mark || since.Rounds != u.Rounds {
		h.session.swept = -1
		return
	}
	h.session.swept = off + n
	if h.session.swept == in.Span.End() {
		u.Rounds, u.Mark = u.Rounds+1, 0
		_ = l.raise(in.ID, u) // failing keeps the old mark, which is the safe side
	}
}

// sealDeployed seals every region that was ever writable once, when the Lock
// enters Deployed. Caller holds l.mu or owns l.
func (l *Lock) sealDeployed(t *policy.Table) error {
	if t.State() != policy.Deployed {
		return nil
	}
	for i := range t.Entries() {
		if t.Once(i) {
			if err := l.seal(t.Info(i).ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lock) seal(id uint32) error {
	u := l.usage(id)
	if u.Sealed {
		return nil
	}
	u.Sealed = true
	return l.raise(id, u)
}

// region finds a region by name. Caller holds l.mu.
func (l *Lock) region(name string) (int, policy.Info, error) {
	if l.table == nil {
		return -1, policy.Info{}, endedError(0)
	}
	i := l.table.Find(name)
	if i < 0 {
		return -1, policy.Info{}, fmt.Errorf("%w: %q", ErrRegion, name)
	}
	return i, l.table.Info(i), nil
}

// Seal ends the time in which a region may be written once, for ever, with End's
// guarantee. ErrRegion if there is no such region, or no rule that says once;
// ErrPersist if the seal could not be made durable.
func (l *Lock) Seal(region string) error {
	l.take()
	defer l.mu.Unlock()
	i, in, err := l.region(region)
	if err != nil {
		return err
	}
	if !l.table.Once(i) {
		return fmt.Errorf("%w: %q is never written once", ErrRegion, region)
	}
	return l.seal(in.ID)
}

// Usage is what the region has used: erases spent, seal, mark. The zero Usage if
// there is no such region.
func (l *Lock) Usage(region string) policy.Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, in, err := l.region(region)
	if err != nil {
		return policy.Usage{}
	}
	return l.usage(in.ID)
}

// SetUsage raises a region's usage to at least u; it never lowers anything, and
// begins no round. It is how a period's new allowance reaches a wear ledger
// (Usage.Allowed: erases in all periods so far), for the core has no clock.
// ErrRegion if there is no such region, nvm.ErrRange for a mark outside it or a
// new round, ErrPersist.
func (l *Lock) SetUsage(region string, u policy.Usage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, in, err := l.region(region)
	if err != nil {
		return err
	}
	if u.Mark < 0 || u.Mark > in.Span.Len {
		return fmt.Errorf("mark of region %q: %w", region, nvm.ErrRange)
	}
	if u.Rounds > l.usage(in.ID).Rounds {
		return fmt.Errorf("round of region %q: only a whole erase under a grant begins one: %w", region, nvm.ErrRange)
	}
	return l.raise(in.ID, u)
}
