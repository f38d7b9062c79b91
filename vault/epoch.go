package vault

import (
	"context"
	"fmt"
)

// NextEpoch moves the vault, with changes applied, to a later epoch together with
// a latch outside the flash, which latch is to take to that epoch: a start under
// the old epoch finds the old state, one under the new the new state, and a cut
// at any point leaves one of the two. latch is called at most once, when the new
// state is durable; it returns nil only if every later start will use the new
// epoch. Neither latch nor anything it calls may use this vault.
//
// ErrBackwards if epoch is not a later one. If the medium or the latch fails,
// ErrUncertain: the vault refuses everything until it is opened with the epoch
// that the latch then shows. An anchored vault stays anchored to the same value.
func (v *Vault) NextEpoch(ctx context.Context, epoch uint32, latch func() error, changes ...Change) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	switch {
	case latch == nil:
		return fmt.Errorf("%w: no latch", ErrClosed)
	case epoch <= v.j.epoch:
		return fmt.Errorf("%w: vault epoch from %d to %d", ErrBackwards, v.j.epoch, epoch)
	}
	next, err := v.j.at.state.change(v.limits, changes)
	if err != nil {
		return err
	}
	if err := v.mine(0); err != nil {
		return err
	}
	if err := v.j.how.epoch(v.j, epoch, next, latch); err != nil {
		v.refuse = fmt.Errorf("%w: epoch %d: %w", ErrUncertain, epoch, err)
		return v.refuse
	}
	return nil
}

// nextEpoch: the old chain is the only carrier until the latch has moved, the new
// snapshot alone from then on.
func (j *journal) nextEpoch(epoch uint32, next state, latch func() error) error {
	// From here on a start under the old epoch is not a clean one, so that it
	// erases what is written below, whatever that reads as then.
	if j.at.settled {
		if err := j.how.open(j); err != nil {
			return err
		}
	}
	j.epoch = epoch
	if err := j.how.rotate(j, next); err != nil {
		return err
	}
	if err := latch(); err != nil {
		return fmt.Errorf("latch: %w", err)
	}
	if err := j.eraseOthers(nil); err != nil {
		return err
	}
	return j.settle()
}
