package device

import (
	"context"
	"crypto/subtle"
	"fmt"
	"math"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// applyLost takes orders while change is refused: nothing but the owner's order
// to recover.
func (d *Device) applyLost(ctx context.Context, msg []byte) (order.Reply, error) {
	var r order.Reply
	if d.ks == nil || !d.latch.Set() || d.secret == (secrets{}) {
		return r, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	ring, err := d.lostRing(msg)
	if err != nil {
		return r, err
	}
	v, err := d.set.verify.order(ring, msg, d.id, d.epoch())
	if err != nil {
		return r, err
	}
	r.Kind, r.Digest = v.Kind, v.Digest
	b, ok := v.Body.(*order.RecoverBody)
	if !ok {
		return r, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	if err := d.clock.within(v.NotAfter, d.set.Tick()); err != nil {
		return r, err
	}
	want := d.expected(v.Authority, v.Kind.Class())
	if subtle.ConstantTimeCompare(want[:], v.Fresh.Challenge) != 1 {
		return r, fmt.Errorf("%w: it answers another challenge", ErrStale)
	}
	d.live++
	return r, d.recover(ctx, b)
}

// lostRing finds keys to believe: those of a policy of the owner whom the latch
// remembers, from the copies or carried by the order itself.
func (d *Device) lostRing(msg []byte) (*order.Keyring, error) {
	if d.ring != nil && d.ring.Root() == d.latch.Root {
		return d.ring, nil
	}
	o, err := order.Peek(msg)
	if err != nil {
		return nil, err
	}
	b, ok := o.Body.(*order.RecoverBody)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	_, _, ring, err := d.set.verify.policy(b.Policy, d.id)
	if err != nil {
		return nil, err
	}
	if ring.Root() != d.latch.Root {
		return nil, fmt.Errorf("%w: not of the owner whom the latch remembers", order.ErrSignature)
	}
	return ring, nil
}

// recover makes vault and copies anew, in the next epoch. A cut leaves the device
// as lost as it was, or recovered.
func (d *Device) recover(ctx context.Context, b *order.RecoverBody) error {
	v, pol, ring, err := d.set.verify.policy(b.Policy, d.id)
	if err != nil {
		return err
	}
	st := policy.State(b.State)
	switch {
	case v.Epoch != d.epoch()+1 || v.Epoch == 0:
		return fmt.Errorf("%w: the policy is for owner epoch %d, next is %d", order.ErrEpoch, v.Epoch, d.epoch()+1)
	case ring.Root() != d.latch.Root:
		return fmt.Errorf("%w: recovering changes no owner", ErrPolicy)
	case st != policy.Deployed && st != policy.RMA && st != policy.Manufacturing:
		return fmt.Errorf("%w: recover into %v", ErrNotAllowed, st)
	}
	if err := d.acceptable(pol, nil, st); err != nil {
		return err
	}
	carry, err := d.carry(pol, st, b.Usage)
	if err != nil {
		return err
	}
	next := keystore.Record{Root: ring.Root(), Epoch: uint64(v.Epoch)}
	if err := d.adopt(ctx); err != nil {
		return err
	}
	if err := d.rebuild(ctx, b.Policy, v, next, carry); err != nil {
		return err
	}
	if d.vault != nil {
		d.vault.Abandon() // its place is taken
		d.vault = nil
	}
	if err := d.shut(); err != nil {
		return err
	}
	clear(d.sessions)
	return d.start(ctx)
}

// carry is what the new vault begins with beside policy and counters: what the
// old one still tells, where it could be opened, else what the order says, and
// for a region of which nobody says anything, that it is used up.
func (d *Device) carry(p *policy.Policy, st policy.State, told []order.RegionUsage) (changes []vault.Change, err error) {
	known := map[uint32]policy.Usage{}
	rma := st == policy.RMA
	if s, ok := d.remembered(); ok {
		// What it tells may be old, so that the state may be a later one; but nothing
		// leads back to manufacturing, nor from the end.
		if told := policy.State(s.Lifecycle()); told == policy.Decommissioned || st == policy.Manufacturing && told != st {
			return nil, fmt.Errorf("%w: the device is in %v", ErrNotAllowed, told)
		} else if told == policy.RMA {
			rma = true
		}
		for _, id := range s.Usages() {
			known[id] = policy.Usage(s.Usage(id))
		}
		rma = rma || isSet(s, slotRMA)
	}
	for _, u := range told {
		if u.Mark > math.MaxInt64 {
			return nil, fmt.Errorf("%w: mark of region %d", order.ErrMalformed, u.Region)
		}
		known[u.Region] = known[u.Region].Join(policy.Usage{Erases: u.Erases, Allowed: u.Allowed, Rounds: u.Rounds, Mark: int64(u.Mark), Sealed: u.Sealed})
	}
	for i := range p.Map {
		r := &p.Map[i]
		u, ok := known[r.ID]
		if !ok && !counted(r) {
			continue
		}
		if !ok {
			u = policy.Usage{Erases: uint64(r.Wear.Erases), Mark: r.Span.Len, Sealed: true}
		}
		changes = append(changes, vault.PutUsage(r.ID, vault.Usage(u)))
	}
	if st == policy.RMA { // nobody knows whether it was wiped: an intent, which the start behind this redoes
		in := intent{kind: intentLifecycle, state: uint8(st)}
		return append(changes, vault.SetLifecycle(uint8(policy.Deployed)), putFlag(slotRMA, rma), vault.OpenIntent(in.record())), nil
	}
	return append(changes, vault.SetLifecycle(uint8(st)), putFlag(slotRMA, rma)), nil
}

// remembered is what the vault that is given up says, if it can be read.
func (d *Device) remembered() (vault.Snapshot, bool) {
	switch {
	case d.vault != nil:
		return d.vault.Snapshot(), true
	case d.orphan != nil && d.orphan.readable:
		return d.orphan.state, true
	}
	return vault.Snapshot{}, false
}

// counted tells whether anything about a region is counted in some state.
func counted(r *policy.Region) bool {
	metered := func(a policy.Access) bool { return a.Write.Mode == policy.Append || a.Write.Mode == policy.Once }
	if r.Wear != (policy.Wear{}) || metered(r.Access) {
		return true
	}
	for _, a := range r.In {
		if metered(a) {
			return true
		}
	}
	return false
}

// rebuild writes copies and journal, and then moves the latch, which makes them
// count. The old ones count for nothing from then on.
func (d *Device) rebuild(ctx context.Context, msg []byte, v *order.Verified, next keystore.Record, carry []vault.Change) error {
	doc, err := d.keep(ctx, msg)
	if err != nil {
		return err
	}
	w, err := d.window(d.set.journal)
	if err != nil {
		return err
	}
	o := d.options()
	o.Epoch = uint32(next.Epoch)
	key := vault.CounterKey{OwnerEpoch: uint32(next.Epoch), Authority: nameKey(order.Owner), Class: uint8(order.ClassRoot)}
	// An anchor that is gone for good must not keep the owner out: the vault goes
	// on without, and reports say so.
	anchored := false
	if a := d.ks.Anchor(); a != nil {
		_, err := a.Read(ctx)
		anchored = err == nil
	}
	changes := append(carry, vault.SetOwnerEpoch(uint32(next.Epoch)), vault.PutSlot(slotDocument, doc.bytes()).Owner(),
		putFlag(slotUnanchored, !anchored))
	jv, err := vault.Format(ctx, w, d.secret.vault, o, changes...)
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	counter := vault.RaiseCounter(key, max(v.Fresh.Counter, 1))
	if anchored {
		err = jv.CommitAnchored(ctx, counter)
	} else {
		err = jv.Commit(ctx, counter)
	}
	if err == nil {
		err = jv.Settle(ctx)
	}
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	if err := d.ks.Latch().Set(ctx, next); err != nil {
		return fmt.Errorf("device: latch: %w", err)
	}
	return nil
}
