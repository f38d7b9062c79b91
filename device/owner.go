package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// changeKeys rotates the owner's keys, or revokes keys of others.
func (d *Device) changeKeys(ctx context.Context, a *accepted) error {
	b, ok := a.Body.(*order.KeysBody)
	if !ok {
		return order.ErrMalformed
	}
	if b.Policy != nil {
		return d.changeOwner(ctx, a, b.Policy)
	}
	gone := revoked(d.vault.Snapshot())
	for _, id := range b.Revoke {
		if d.ring.Holds(order.Owner, id) {
			return fmt.Errorf("%w: keys of the owner are rotated, not revoked", ErrNotAllowed)
		}
		if !d.named(id) {
			return fmt.Errorf("%w: no authority has key %x", ErrNotAllowed, id[:4])
		}
		gone = append(gone, id)
	}
	if len(gone) > maxRevoked {
		return fmt.Errorf("%w: %d keys are revoked at most; a policy without them makes room", ErrFull, maxRevoked)
	}
	return d.record(ctx, a, func(context.Context) error {
		if err := d.believe(d.pol, d.doc, gone); err != nil {
			return err
		}
		if err := d.enforce(); err != nil {
			return err
		}
		d.endSessions() // who opened them may be gone
		return nil
	}, putRevoked(gone))
}

func (d *Device) named(id [32]byte) bool {
	for i := range d.pol.Authorities {
		if d.ring.Holds(d.pol.Authorities[i].Name, id) {
			return true
		}
	}
	return false
}

func (d *Device) transfer(ctx context.Context, a *accepted) error {
	b, ok := a.Body.(*order.TransferBody)
	if !ok {
		return order.ErrMalformed
	}
	return d.changeOwner(ctx, a, b.Policy)
}

// changeOwner makes whoever signed msg, a policy order for the next owner epoch,
// the owner. The old owner has signed a, which carries it.
func (d *Device) changeOwner(ctx context.Context, a *accepted, msg []byte) error {
	v, pol, ring, err := d.set.verify.policy(msg, d.id)
	if err != nil {
		return err
	}
	if v.Epoch != d.epoch()+1 || v.Epoch == 0 {
		return fmt.Errorf("%w: the policy is for owner epoch %d, next is %d", order.ErrEpoch, v.Epoch, d.epoch()+1)
	}
	if err := d.acceptable(pol, d.pol, d.state); err != nil {
		return err
	}
	doc, err := d.keep(ctx, msg)
	if err != nil {
		return err
	}
	in := intent{kind: intentOwner, doc: doc, root: ring.Root(), epoch: v.Epoch, digest: a.Digest}
	gone := d.stillNamed(pol, revoked(d.vault.Snapshot()))
	return d.record(ctx, a, func(ctx context.Context) error {
		d.endSessions()
		if err := d.nextOwner(ctx, in, v.Fresh.Counter, gone); err != nil {
			return err
		}
		if err := d.believe(pol, doc, gone); err != nil {
			return err
		}
		return d.enforce()
	}, vault.OpenIntent(in.record()))
}

// nextOwner moves vault and latch to the next epoch, together.
func (d *Device) nextOwner(ctx context.Context, in intent, counter uint64, gone [][32]byte) error {
	next := keystore.Record{Root: in.root, Epoch: uint64(in.epoch)}
	key := d.counterKey(order.Owner, order.ClassRoot)
	key.OwnerEpoch = in.epoch
	err := d.vault.NextEpoch(ctx, in.epoch, func() error { return d.ks.Latch().Set(ctx, next) },
		vault.SetOwnerEpoch(in.epoch), vault.RaiseCounter(key, max(counter, 1)),
		vault.PutSlot(slotDocument, in.doc.bytes()).Owner(), putRevoked(gone), vault.CloseIntent())
	if err != nil {
		return d.commitFailed(err)
	}
	d.latch = next
	return nil
}

// redo carries out what was recorded and not closed.
func (d *Device) redo(ctx context.Context) error {
	v := d.vault.Snapshot().Intent()
	if v.Kind == 0 {
		return nil
	}
	in, err := parseIntent(v)
	if err != nil {
		return err
	}
	switch in.kind {
	case intentLifecycle:
		return nil // needs the lock: see finishDecommission
	case intentProvision:
		return d.vault.Commit(ctx, vault.CloseIntent()) // the latch is set
	}
	msg, err := d.copies.Get(ctx, int(in.doc.set), in.doc.digest)
	if err != nil {
		return fmt.Errorf("policy of the next owner: %w", err)
	}
	o, pol, _, err := d.set.verify.policy(msg, d.id)
	if err != nil {
		return fmt.Errorf("policy of the next owner: %w", err)
	}
	return d.nextOwner(ctx, in, o.Fresh.Counter, d.stillNamed(pol, revoked(d.vault.Snapshot())))
}

// handOver begins a state in which others hold the device: confidential regions
// are wiped first. At the end of its life it says so with its last signature.
func (d *Device) handOver(ctx context.Context, in intent) (certificate []byte, err error) {
	d.endSessions()
	d.retry = d.set.Tick() + idle
	was, rma := d.state, d.health&order.WasRMA
	defer func() {
		if err != nil { // then it is not over
			d.state, d.health = was, d.health&^order.WasRMA|rma
		}
	}()
	var wiped []uint32
	for _, r := range d.pol.Map {
		if !r.Confidential {
			continue
		}
		if err := d.lock.Wipe(r.Name); err != nil {
			return nil, fmt.Errorf("device: %w", err)
		}
		wiped = append(wiped, r.ID)
	}
	d.state = policy.State(in.state)
	changes := []vault.Change{vault.SetLifecycle(in.state), vault.CloseIntent()}
	if d.state == policy.RMA {
		d.health |= order.WasRMA
		changes = append(changes, putFlag(slotRMA, true))
	}
	if d.state == policy.Decommissioned {
		certificate, err = d.report(ctx, nil, &order.Certificate{Order: in.digest, Wiped: wiped, Secret: d.ks.Identity().Class != keystore.Supplied})
		if err != nil {
			return nil, err
		}
		doc, err := d.keep(ctx, certificate)
		switch {
		case err == nil:
			changes = append(changes, vault.PutSlot(slotCertificate, doc.bytes()).Owner())
		case !errors.Is(err, ErrFull): // where it has no room, the reply is all there is
			return nil, err
		}
	}
	if err := d.vault.Commit(ctx, changes...); err != nil {
		return nil, d.commitFailed(err)
	}
	if err := d.enforce(); err != nil {
		return nil, err
	}
	if d.state == policy.Decommissioned {
		d.destroy(ctx)
	}
	return certificate, nil
}

// finishDecommission redoes at a start what a cut left of handing over.
func (d *Device) finishDecommission(ctx context.Context) error {
	if d.degraded() || d.lock == nil {
		return nil
	}
	s := d.vault.Snapshot()
	if v := s.Intent(); v.Kind == intentLifecycle {
		in, err := parseIntent(v)
		if err == nil {
			_, err = d.handOver(ctx, in)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		d.fail(order.VaultLost, err)
		d.narrowToReading()
		return nil
	}
	if d.state == policy.Decommissioned {
		d.destroy(ctx)
	}
	return nil
}

// destroy ends the device's secret, where the keystore can. What fails is tried
// again at the next start; nothing but reading is allowed any more.
func (d *Device) destroy(ctx context.Context) {
	d.tell(Event{Kind: EventEnded, Err: d.ks.Destroy(ctx)})
}

// Certificate is what a decommissioned device has signed last. ErrNotAllowed
// before that.
func (d *Device) Certificate(ctx context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vault == nil {
		return nil, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	doc, ok := parseDocument(d.vault.Snapshot().Slot(slotCertificate))
	if !ok {
		return nil, fmt.Errorf("%w: the device is not decommissioned", ErrNotAllowed)
	}
	return d.copies.Get(ctx, int(doc.set), doc.digest)
}
