package vault

import (
	"context"
	"errors"
	"fmt"
)

// Anchor is a counter outside the flash that only goes up.
type Anchor interface {
	Read(ctx context.Context) (uint64, error)
	// Advance to a value that is not above the counter's does nothing.
	Advance(ctx context.Context, to uint64) error
}

// anchored is the anchor's value that the state was written for, and whether it
// is anchored at all.
func (s state) anchored() (uint64, bool) {
	_, ok := s[entryKey(entryAnchor)]
	return s.u64(entryKey(entryAnchor)), ok
}

// checkAnchor compares the state with its anchor and finishes a step that was
// recorded and not made.
func (v *Vault) checkAnchor(ctx context.Context) error {
	mine, anchored := v.j.at.state.anchored()
	if !anchored {
		return nil
	}
	if v.anchor == nil {
		return ErrAnchorAbsent
	}
	now, err := v.anchor.Read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrAnchorAbsent, err)
	case now > mine:
		return fmt.Errorf("%w: %d, anchor %d", ErrAnchorAhead, mine, now)
	case mine-now > 1:
		return fmt.Errorf("%w: %d, anchor %d", ErrAnchorBehind, mine, now)
	case now < mine:
		return v.advance(ctx, mine)
	}
	return nil
}

// advance takes the anchor up. A call that fails may have happened, so the
// anchor is asked.
func (v *Vault) advance(ctx context.Context, to uint64) error {
	err := v.anchor.Advance(ctx, to)
	now, rerr := v.anchor.Read(ctx)
	switch {
	case rerr == nil && now == to:
		return nil
	case rerr == nil && now > to:
		return fmt.Errorf("%w: %d, anchor %d", ErrAnchorAhead, to, now)
	}
	return fmt.Errorf("%w at %d: %w", ErrPending, to, errors.Join(err, rerr))
}

// CommitAnchored is Commit, and takes the anchor up by one once the record is
// durable: when it returns nil, no copy of an older vault passes for this one.
// ErrPending if the record is durable and the anchor did not answer; the changes
// show, and their effect must wait until FinishAnchor returns nil. ErrAnchorAbsent
// without an anchor. If somebody else has moved it, ErrAnchorAhead or
// ErrAnchorBehind: nothing is written, and the vault can only be read from then on.
func (v *Vault) CommitAnchored(ctx context.Context, changes ...Change) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	if v.anchor == nil {
		return ErrAnchorAbsent
	}
	if err := v.finish(ctx); err != nil {
		return err
	}
	mine, err := v.unmoved(ctx)
	if err != nil {
		return err
	}
	if err := v.commit(append(changes[:len(changes):len(changes)], setAnchored(mine+1))); err != nil {
		return err
	}
	v.pending = true
	return v.finish(ctx)
}

// unmoved is where the anchor has to be before it is stepped. One that somebody else
// has moved meanwhile would make the step of another record pass for this one's.
func (v *Vault) unmoved(ctx context.Context) (uint64, error) {
	mine, anchored := v.j.at.state.anchored()
	now, err := v.anchor.Read(ctx)
	switch {
	case err != nil && anchored:
		return mine, nil // it may answer later: ErrPending
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrAnchorAbsent, err)
	case !anchored:
		return now, nil
	case now > mine:
		v.refuse = fmt.Errorf("%w: %d, anchor %d", ErrAnchorAhead, mine, now)
	case now < mine:
		v.refuse = fmt.Errorf("%w: %d, anchor %d", ErrAnchorBehind, mine, now)
	}
	return mine, v.refuse
}

// FinishAnchor makes the anchor's step that a CommitAnchored left pending.
func (v *Vault) FinishAnchor(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	return v.finish(ctx)
}

func (v *Vault) finish(ctx context.Context) error {
	if !v.pending {
		return nil
	}
	mine, _ := v.j.at.state.anchored()
	err := v.advance(ctx, mine)
	v.pending = errors.Is(err, ErrPending)
	if err != nil && !v.pending {
		v.refuse = err
	}
	return err
}

// AdoptAnchor accepts a vault that its anchor contradicts as the state from now
// on, one step above the anchor; without an anchor, as not anchored any more. It
// is for an owner's order to recover, after which the vault can be changed again.
func (v *Vault) AdoptAnchor(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.j == nil {
		return ErrClosed
	}
	if !isAnchor(v.refuse) {
		return v.refuse
	}
	c := Change{owner: true, apply: func(s state, _ limits) error {
		delete(s, entryKey(entryAnchor))
		return nil
	}}
	if v.anchor != nil {
		now, err := v.anchor.Read(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAnchorAbsent, err)
		}
		c, v.pending = setAnchored(now+1), true
	}
	v.refuse = nil
	if err := v.commit([]Change{c}); err != nil {
		return err
	}
	return v.finish(ctx)
}

func isAnchor(err error) bool {
	return errors.Is(err, ErrAnchorAhead) || errors.Is(err, ErrAnchorBehind) || errors.Is(err, ErrAnchorAbsent)
}
