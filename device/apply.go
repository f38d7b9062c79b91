package device

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// accepted is an order on its way: verified, fresh, not yet recorded.
type accepted struct {
	*order.Verified
	msg   []byte
	spend vault.Change // its counter
}

// apply obeys an order or refuses it, and tells so. Caller holds d.mu.
func (d *Device) apply(ctx context.Context, msg []byte) (order.Reply, error) {
	r, err := d.obey(ctx, msg)
	e := Event{Kind: EventAccepted, Order: r.Kind, Digest: r.Digest, Err: err, Text: kindText(r.Kind)}
	if err != nil {
		e.Kind = EventRefused
	}
	d.tell(e)
	return r, err
}

// obey takes an order from bytes to its effect.
func (d *Device) obey(ctx context.Context, msg []byte) (order.Reply, error) {
	if d.degraded() || d.vault == nil {
		return d.applyLost(ctx, msg)
	}
	if err := d.catchUp(ctx); err != nil {
		return order.Reply{}, err
	}
	v, err := d.set.verify.order(d.ring, msg, d.id, d.epoch())
	if err != nil {
		return order.Reply{}, err
	}
	r := order.Reply{Kind: v.Kind, Digest: v.Digest}
	if err := d.clock.within(v.NotAfter, d.set.Tick()); err != nil {
		return r, err
	}
	if d.state == policy.Decommissioned {
		return r, fmt.Errorf("%w: the device is decommissioned", ErrNotAllowed)
	}
	a := &accepted{Verified: v, msg: msg}
	if a.spend, err = d.fresh(v); err != nil {
		return r, err
	}
	if err := d.act(ctx, a, &r); err != nil {
		return r, err
	}
	d.log(ctx, a)
	return r, nil
}

// act hands the order to what its kind does.
func (d *Device) act(ctx context.Context, a *accepted, r *order.Reply) (err error) {
	switch a.Kind {
	case order.Grant:
		r.Session, err = d.grant(ctx, a)
	case order.Policy:
		err = d.changePolicy(ctx, a)
	case order.Keys:
		err = d.changeKeys(ctx, a)
	case order.Lifecycle:
		r.Report, err = d.changeLifecycle(ctx, a)
	case order.Thaw:
		err = d.thaw(ctx, a)
	case order.Transfer:
		err = d.transfer(ctx, a)
	case order.Void:
		err = d.void(ctx, a)
	case order.Challenge, order.Heartbeat, order.Time:
		r.Report, err = d.answer(ctx, a)
	case order.Recover:
		err = fmt.Errorf("%w: nothing is lost", ErrNotAllowed)
	default:
		err = fmt.Errorf("%w: order %v", ErrUnsupported, a.Kind)
	}
	return err
}

// fresh tells whether the order is newer than all of its kind before, and
// returns the change that spends it. Orders of class live spend nothing durable.
func (d *Device) fresh(v *order.Verified) (vault.Change, error) {
	c := v.Kind.Class()
	if !v.Kind.Opening() {
		now := d.counter(v.Authority, c)
		if v.Fresh.Counter <= now || v.Fresh.Counter-now > vault.MaxStep {
			return vault.Change{}, fmt.Errorf("%w: counter %d, the device is at %d", ErrStale, v.Fresh.Counter, now)
		}
		return vault.RaiseCounter(d.counterKey(v.Authority, c), v.Fresh.Counter), nil
	}
	want := d.expected(v.Authority, c)
	if subtle.ConstantTimeCompare(want[:], v.Fresh.Challenge) != 1 {
		return vault.Change{}, fmt.Errorf("%w: it answers another challenge", ErrStale)
	}
	if c == order.ClassLive {
		return vault.Change{}, nil
	}
	return vault.RaiseCounter(d.counterKey(v.Authority, c), d.counter(v.Authority, c)+1), nil
}

// record makes the order durable before it acts, with changes that belong to it.
// Where the anchor did not answer, effect waits for it and ErrBusy is returned.
func (d *Device) record(ctx context.Context, a *accepted, effect func(context.Context) error, changes ...vault.Change) error {
	changes = append([]vault.Change{a.spend}, changes...)
	changes = append(changes, putAudit(d.audit)...)
	changes = append(changes, d.ledger.change(d.set.Tick())...)
	commit := d.vault.Commit
	if d.anchors(a.Kind) {
		commit = d.vault.CommitAnchored
	}
	err := commit(ctx, changes...)
	if err == nil || errors.Is(err, vault.ErrPending) {
		if d.ledger.passed(d.set.Tick())/hour != d.ledger.carried/hour {
			d.ledger.recorded(d.set.Tick())
		}
	}
	if errors.Is(err, vault.ErrPending) {
		d.later = effect
		d.tell(Event{Kind: EventAnchor, Err: err})
		return d.waits(err)
	}
	if err != nil {
		return d.commitFailed(err)
	}
	return effect(ctx)
}

// waits is what a recorded order says whose anchor does not answer. One that was
// reset never will.
func (d *Device) waits(err error) error {
	if errors.Is(err, keystore.ErrReset) {
		return d.commitFailed(fmt.Errorf("%w: %w", vault.ErrAnchorAbsent, err))
	}
	return fmt.Errorf("%w: recorded, it acts when the anchor answers: %w", ErrBusy, err)
}

// commitFailed sorts what a commit may say.
func (d *Device) commitFailed(err error) error {
	switch {
	case errors.Is(err, vault.ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, vault.ErrUncertain), errors.Is(err, vault.ErrElsewhere):
		d.fail(order.VaultLost, err)
		d.narrowToReading()
	case errors.Is(err, vault.ErrAnchorAhead), errors.Is(err, vault.ErrAnchorBehind), errors.Is(err, vault.ErrAnchorAbsent):
		d.fail(healthOf(err), err)
		d.narrowToReading()
	}
	return fmt.Errorf("device: %w", err)
}

// narrowToReading ends all rights to change in the middle of a boot.
func (d *Device) narrowToReading() {
	d.endSessions()
	if d.lock != nil {
		d.lock.Freeze()
	}
	d.tell(Event{Kind: EventDegraded, Text: d.reason()})
}

// catchUp carries out what waits for the anchor.
func (d *Device) catchUp(ctx context.Context) error {
	if d.later == nil {
		return d.resume(ctx)
	}
	if err := d.vault.FinishAnchor(ctx); err != nil {
		if errors.Is(err, vault.ErrPending) {
			return d.waits(err)
		}
		return d.commitFailed(err)
	}
	effect := d.later
	d.later = nil
	return effect(ctx)
}

// resume redoes an intent whose effect failed for a while: now and then, for it
// erases, and what is delivered meanwhile may come from anybody.
func (d *Device) resume(ctx context.Context) error {
	v := d.vault.Snapshot().Intent()
	if v.Kind != intentLifecycle {
		return nil
	}
	if d.set.Tick() < d.retry {
		return fmt.Errorf("%w: an order is not completed yet", ErrBusy)
	}
	in, err := parseIntent(v)
	if err == nil {
		_, err = d.handOver(ctx, in)
	}
	return err
}

// CodeOf is what a reply says of err.
func CodeOf(err error) order.Code {
	for _, k := range codes {
		if errors.Is(err, k.err) {
			return k.code
		}
	}
	if err == nil {
		return order.OK
	}
	return order.Failed
}

var codes = []struct {
	err  error
	code order.Code
}{
	{order.ErrMalformed, order.Malformed},
	{order.ErrForeign, order.Foreign}, {order.ErrEpoch, order.Foreign},
	{order.ErrSignature, order.Unsigned},
	{order.ErrAuthority, order.NotAllowed}, {order.ErrKeys, order.NotAllowed},
	{ErrNotAllowed, order.NotAllowed}, {ErrPolicy, order.NotAllowed},
	{ErrDevelopment, order.NotAllowed}, {ErrFrozen, order.NotAllowed},
	{ErrStale, order.Stale}, {ErrExpired, order.Stale},
	{ErrUnsupported, order.Unsupported},
	{ErrBusy, order.Busy},
	{ErrDegraded, order.Degraded}, {ErrClosed, order.Degraded},
	{ErrFull, order.Full},
}

// kindText is empty for a message whose kind nobody could read.
func kindText(k order.Kind) string {
	if k == 0 {
		return ""
	}
	return k.String()
}
