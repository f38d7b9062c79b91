package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nanolock/nanolock/nvm"
)

// Options say how a vault is opened. Epoch is the vault epoch that the device's
// keystore holds: records of any other do not count.
type Options struct {
	Epoch  uint32
	Anchor Anchor // nil: none

	// Intent is the room in bytes that is kept for the body of an intent; 0 is a
	// third of what a state may grow to. It must not change between two openings.
	Intent int

	how *procedure // tests alone
}

// Report is what Open met. It is filled in as far as Open got.
type Report struct {
	Clean    bool   // nothing had to be written
	Sequence uint64 // of the newest record
	Settled  bool   // the newest chain ended in a settled mark
	Bad      int    // bad blocks
}

// Vault is the lock's state. Its methods may be called concurrently. The zero
// Vault refuses everything.
type Vault struct {
	mu      sync.Mutex
	j       *journal
	anchor  Anchor
	limits  limits
	pending bool  // the anchor is one step behind
	refuse  error // why nothing may be changed
}

func newVault(mem nvm.NVM, key [32]byte, o Options) (*Vault, error) {
	l, err := newLayout(mem)
	if err != nil {
		return nil, err
	}
	v := &Vault{j: &journal{layout: l, epoch: o.Epoch, how: standard()}, anchor: o.Anchor}
	if o.how != nil {
		v.j.how = *o.how
	}
	v.j.seal = v.j.how.seal(key)
	if v.limits, err = newLimits(l.body, o.Intent); err != nil {
		return nil, err
	}
	return v, nil
}

// ownerRoom is kept for what an owner must be able to do to a full vault: a
// counter under a new epoch, that epoch, lifecycle and anchor.
const ownerRoom = 2*18 + 5 + 2 + 9

// slotRoom is kept for slots that the owner orders. A state that is smaller than
// minSlotRoom could hold little else, and keeps none.
const (
	slotRoom    = 256
	minSlotRoom = 512
)

func newLimits(body, intent int) (limits, error) {
	if intent == 0 {
		intent = body / 3
	}
	l := limits{all: body, intent: intent, slots: body - ownerRoom - 4 - intent}
	if l.ordinary = l.slots; body >= minSlotRoom {
		l.ordinary -= min(slotRoom, body/4)
	}
	if intent < 0 || l.ordinary <= 0 {
		return l, fmt.Errorf("%w: an intent of %d bytes in a state of %d", ErrLayout, intent, body)
	}
	return l, nil
}

// Format makes an empty, settled vault of mem, whatever it held. It is for a
// device that is being provisioned, or that its owner has recovered: nothing in
// this package calls it. Over an older vault it needs an epoch which that one
// never had; then a cut leaves either the new vault or one that Open refuses, and
// it may be repeated.
func Format(ctx context.Context, mem nvm.NVM, key [32]byte, o Options, changes ...Change) (*Vault, error) {
	v, err := newVault(mem, key, o)
	if err != nil {
		return nil, err
	}
	next, err := state{}.change(v.limits, changes)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := v.j.format(next); err != nil {
		return nil, fmt.Errorf("vault: format: %w", err)
	}
	return v, nil
}

func (j *journal) format(next state) error {
	for b := range j.blocks {
		ok, err := j.usable(b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := j.discard(b); err != nil {
			return err
		}
	}
	// In front of block 0, so that it is the first to be tried.
	j.at.block = len(j.blocks) - 1
	if err := j.relocate(next); err != nil {
		return err
	}
	return j.settle()
}

// Open finds the state and recovers it if the last session did not settle. With
// an error of the anchor the vault is returned beside it, for reading only; with
// any other error it is nil. Nothing is written unless authentic state was found,
// and nothing at all after a clean end.
func Open(ctx context.Context, mem nvm.NVM, key [32]byte, o Options) (*Vault, Report, error) {
	var r Report
	v, err := newVault(mem, key, o)
	if err != nil {
		return nil, r, err
	}
	if err := ctx.Err(); err != nil {
		return nil, r, err
	}
	f, err := v.j.scan()
	if err != nil {
		return nil, r, err
	}
	for b := range v.j.blocks {
		if ok, err := v.j.usable(b); err == nil && !ok {
			r.Bad++
		}
	}
	if err := f.verdict(); err != nil {
		return nil, r, err
	}
	r.Clean, r.Settled, r.Sequence = v.j.how.clean(f), f.best.settled, f.best.seq
	if v.j.at = *f.best; !r.Clean {
		if err := v.j.recover(f); err != nil {
			return nil, r, err
		}
		r.Sequence = v.j.at.seq
	}
	if err := v.checkAnchor(ctx); err != nil {
		v.pending = errors.Is(err, ErrPending)
		if isAnchor(err) {
			v.refuse = err
		}
		return v, r, err
	}
	return v, r, nil
}

// writable is why nothing may be changed now.
func (v *Vault) writable(ctx context.Context) error {
	switch {
	case v.j == nil:
		return ErrClosed
	case v.refuse != nil:
		return v.refuse
	}
	return ctx.Err()
}

// Commit makes all changes durable, or none. Changes that change nothing write
// nothing. After ErrUncertain the vault refuses everything until it is opened
// again, which decides.
func (v *Vault) Commit(ctx context.Context, changes ...Change) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	return v.commit(changes)
}

func (v *Vault) commit(changes []Change) error {
	was := v.j.at.state
	next, err := was.change(v.limits, changes)
	if err != nil {
		return err
	}
	body := was.diff(next)
	if len(body) == 0 {
		return nil
	}
	if err := v.mine(len(body)); err != nil {
		return err
	}
	if err := v.j.commit(next, body); err != nil {
		v.refuse = fmt.Errorf("%w: %w", ErrUncertain, err)
		return v.refuse
	}
	return nil
}

// Settle says that all is complete, so that a start after this writes nothing. It
// is worth calling when the device falls idle: a cut behind it costs no recovery.
func (v *Vault) Settle(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	if v.j.at.settled {
		return nil
	}
	if err := v.mine(0); err != nil {
		return err
	}
	if err := v.j.settle(); err != nil {
		v.refuse = fmt.Errorf("%w: %w", ErrUncertain, err)
		return v.refuse
	}
	return nil
}

// Close settles, unless nothing may be changed, and ends the vault. The memory
// stays open.
func (v *Vault) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.j == nil {
		return nil
	}
	var err error
	if v.refuse == nil && !v.j.at.settled {
		if err = v.mine(0); err == nil {
			err = v.j.settle()
		}
	}
	v.j, v.refuse, v.pending = nil, ErrClosed, false
	return err
}

// Abandon ends the vault as it is and writes nothing: for who is about to make
// another one in its place, or has.
func (v *Vault) Abandon() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.j, v.refuse, v.pending = nil, ErrClosed, false
}
