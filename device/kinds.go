package device

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// changePolicy puts a policy of the same owner in force.
func (d *Device) changePolicy(ctx context.Context, a *accepted) error {
	b, ok := a.Body.(*order.PolicyBody)
	if !ok {
		return order.ErrMalformed
	}
	p := new(policy.Policy)
	if err := p.UnmarshalBinary(b.Policy); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if err := d.acceptable(p, d.pol, d.state); err != nil {
		return err
	}
	ring, err := d.set.verify.ring(p, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if ring.Root() != d.latch.Root {
		return fmt.Errorf("%w: the owner's keys change by an order of kind keys or transfer", ErrPolicy)
	}
	doc, err := d.keep(ctx, a.msg)
	if err != nil {
		return err
	}
	gone := d.stillNamed(p, revoked(d.vault.Snapshot()))
	return d.record(ctx, a, func(context.Context) error {
		if err := d.believe(p, doc, gone); err != nil {
			return err
		}
		return d.enforce()
	}, vault.PutSlot(slotDocument, doc.bytes()).Owner(), putRevoked(gone))
}

// keep puts a document into the copies that the journal does not name.
func (d *Device) keep(ctx context.Context, msg []byte) (document, error) {
	doc := document{set: d.doc.other(), digest: sha256.Sum256(msg)}
	if len(msg) > d.copies.Cap() {
		return doc, fmt.Errorf("%w: the policy order has %d bytes, a copy holds %d", ErrFull, len(msg), d.copies.Cap())
	}
	// Another process may have put the set in force that this one takes for free.
	if d.vault != nil && !d.degraded() {
		if err := d.vault.Alone(ctx); err != nil {
			return doc, d.commitFailed(err)
		}
	}
	if err := d.copies.Put(ctx, int(doc.set), msg); err != nil {
		return doc, fmt.Errorf("device: copies: %w", err)
	}
	return doc, nil
}

// stillNamed are the revoked ids that p still names.
func (d *Device) stillNamed(p *policy.Policy, ids [][32]byte) (named [][32]byte) {
	ring, err := d.set.verify.ring(p, nil)
	if err != nil {
		return ids
	}
	for _, id := range ids {
		for i := range p.Authorities {
			if ring.Holds(p.Authorities[i].Name, id) {
				named = append(named, id)
				break
			}
		}
	}
	return named
}

// enforce gives the lock the rules that hold now. Where the device is frozen,
// nothing may slip through between two rules: the new ones allow no change, and
// the freeze is put back for those who ask why.
func (d *Device) enforce() error {
	p := d.effective()
	frozen := d.health&order.Frozen != 0
	if frozen {
		eachAccess(p, func(a *policy.Access) { a.Write, a.Erase = policy.Rule{}, policy.Rule{} })
	}
	if err := d.lock.SetPolicy(p, d.state); err != nil {
		d.fail(order.VaultLost, err)
		d.narrowToReading()
		return fmt.Errorf("device: %w", err)
	}
	if frozen {
		d.lock.Freeze()
	}
	clear(d.measured)
	d.dropEnded()
	return nil
}

// changeLifecycle moves to the state that may follow.
func (d *Device) changeLifecycle(ctx context.Context, a *accepted) ([]byte, error) {
	b, ok := a.Body.(*order.LifecycleBody)
	if !ok {
		return nil, order.ErrMalformed
	}
	to := policy.State(b.State)
	if !mayFollow(d.state, to) {
		return nil, fmt.Errorf("%w: %v does not follow %v", ErrNotAllowed, to, d.state)
	}
	if to != policy.Manufacturing && d.health&order.DevelopmentKeys != 0 && to != policy.Decommissioned {
		return nil, fmt.Errorf("%w: put a policy without them first", ErrDevelopment)
	}
	if to == policy.Deployed {
		return nil, d.record(ctx, a, func(context.Context) error {
			d.state = to
			return d.enforce()
		}, vault.SetLifecycle(uint8(to)))
	}
	in := intent{kind: intentLifecycle, doc: d.doc, state: b.State, digest: a.Digest}
	var certificate []byte
	err := d.record(ctx, a, func(ctx context.Context) (err error) {
		certificate, err = d.handOver(ctx, in)
		return err
	}, vault.OpenIntent(in.record()))
	return certificate, err
}

// mayFollow is the table of lifecycle states.
func mayFollow(from, to policy.State) bool {
	switch to {
	case policy.Deployed:
		return from == policy.Manufacturing || from == policy.RMA
	case policy.RMA:
		return from == policy.Deployed
	case policy.Decommissioned:
		return from != policy.Decommissioned
	}
	return false
}

// thaw ends a freeze.
func (d *Device) thaw(ctx context.Context, a *accepted) error {
	if d.health&order.Frozen == 0 {
		return fmt.Errorf("%w: the device is not frozen", ErrNotAllowed)
	}
	return d.record(ctx, a, func(context.Context) error {
		if isSet(d.vault.Snapshot(), slotFrozen) {
			return nil // frozen again while the anchor did not answer
		}
		d.health &^= order.Frozen
		return d.enforce()
	}, putFlag(slotFrozen, false))
}

// void raises a counter over orders that were never delivered.
func (d *Device) void(ctx context.Context, a *accepted) error {
	b, ok := a.Body.(*order.VoidBody)
	if !ok {
		return order.ErrMalformed
	}
	nothing := func(context.Context) error { return nil }
	if b.Class == order.ClassAudit {
		return d.acknowledge(ctx, a, b.To)
	}
	key, own := d.counterKey(b.Authority, b.Class), d.counterKey(a.Authority, a.Kind.Class())
	if !d.known(b.Authority) {
		return fmt.Errorf("%w: no authority %q", ErrNotAllowed, b.Authority)
	}
	s := d.vault.Snapshot()
	if key == own {
		if b.To < a.Fresh.Counter || b.To-s.Counter(own) > vault.MaxStep {
			return fmt.Errorf("%w: void to %d", ErrStale, b.To)
		}
		a.spend = vault.RaiseCounter(own, b.To)
		return d.record(ctx, a, nothing)
	}
	if now := s.Counter(key); b.To <= now || b.To-now > vault.MaxStep {
		return fmt.Errorf("%w: void to %d, the counter is at %d", ErrStale, b.To, now)
	}
	return d.record(ctx, a, nothing, vault.RaiseCounter(key, b.To))
}

func (d *Device) known(authority string) bool {
	for i := range d.pol.Authorities {
		if d.pol.Authorities[i].Name == authority {
			return true
		}
	}
	return false
}

// answer is for orders that are never recorded.
func (d *Device) answer(ctx context.Context, a *accepted) ([]byte, error) {
	d.live++
	switch b := a.Body.(type) {
	case *order.TimeBody:
		return nil, d.clock.set(b.Unix, d.set.Tick())
	case *order.LiveBody:
		if a.Kind == order.Heartbeat {
			return nil, d.beat()
		}
		return d.report(ctx, b.Nonce, nil)
	}
	return nil, order.ErrMalformed
}
