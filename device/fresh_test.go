package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// obeyed signs an order as it is and delivers it.
func obeyed(r *rig.Rig, o *order.Order) error {
	msg, err := r.Sign(o)
	if err != nil {
		return err
	}
	_, err = r.Device.Apply(ctx, msg)
	return err
}

// TestCounterIsNewer: an order with a counter is above the last, and not too far.
func TestCounterIsNewer(t *testing.T) {
	r := deployed(t, rig.Config{})
	void := func(counter, to uint64) error {
		return obeyed(r, &order.Order{Kind: order.Void, Device: r.ID, Epoch: 1, Authority: order.Owner,
			Fresh: order.Fresh{Counter: counter}, Body: &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: to}})
	}
	now, err := r.Device.Counter(order.Owner, order.ClassRoot)
	ok(t, err)
	ok(t, void(now+2, 5))
	is(t, "the same counter", void(now+2, 6), device.ErrStale)
	is(t, "a lower counter", void(now+1, 7), device.ErrStale)
	is(t, "a step too far", void(now+2+vault.MaxStep+1, 8), device.ErrStale)
	ok(t, void(now+2+vault.MaxStep, 9))
	is(t, "all counters at once", void(now+3+vault.MaxStep, 1<<63), device.ErrStale)
	_, err = r.Do(order.Owner, order.Void, &order.VoidBody{Authority: "nobody", Class: order.ClassOperate, To: 5})
	is(t, "a counter of nobody", err, device.ErrNotAllowed)
	_, err = r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassRoot, To: 2})
	is(t, "its own counter, back", err, device.ErrStale)
}

// TestAnswerCountsOnce: an order answers the one live challenge, once, in its boot
// if it is never recorded.
func TestAnswerCountsOnce(t *testing.T) {
	for _, c := range []struct {
		who  string
		kind order.Kind
		body func(*rig.Rig) order.Body
	}{
		{order.Vendor, order.Grant, func(r *rig.Rig) order.Body { return r.Whole("boot") }},
		{order.Owner, order.Lifecycle, func(*rig.Rig) order.Body { return &order.LifecycleBody{State: uint8(policy.RMA)} }},
		{order.Platform, order.Heartbeat, func(*rig.Rig) order.Body { return &order.LiveBody{} }},
		{order.Platform, order.Challenge, func(*rig.Rig) order.Body { return &order.LiveBody{Nonce: make([]byte, 8)} }},
	} {
		r := deployed(t, rig.Config{})
		o, err := r.Order(c.who, c.kind, c.body(r))
		ok(t, err)
		o.Fresh.Challenge[31] ^= 1
		is(t, c.kind.String()+" to another challenge", obeyed(r, o), device.ErrStale)
		o.Fresh.Challenge[31] ^= 1
		ok(t, obeyed(r, o))
		is(t, c.kind.String()+" again", obeyed(r, o), device.ErrStale)
		ok(t, r.Restart())
		is(t, c.kind.String()+" after a restart", obeyed(r, o), device.ErrStale)
	}
	r := deployed(t, rig.Config{})
	beat, err := r.Order(order.Platform, order.Heartbeat, &order.LiveBody{})
	ok(t, err)
	ok(t, r.Restart())
	is(t, "a heartbeat of the boot before", obeyed(r, beat), device.ErrStale)
	_, err = r.Device.Challenge("nobody", order.ClassOperate)
	is(t, "a challenge for nobody", err, order.ErrAuthority)
}

// TestOrderEnds: an order that ends wants a time that was told, and does not go
// back.
func TestOrderEnds(t *testing.T) {
	r := deployed(t, rig.Config{})
	grant := func() error {
		o, err := r.Order(order.Vendor, order.Grant, r.Whole("boot"))
		ok(t, err)
		o.NotAfter = r.Unix + 100
		return obeyed(r, o)
	}
	tell := func(unix uint64) error {
		_, err := r.Do(order.Platform, order.Time, &order.TimeBody{Unix: unix})
		return err
	}
	is(t, "without a time", grant(), device.ErrExpired)
	ok(t, tell(r.Unix))
	r.Tick(100)
	ok(t, grant())
	r.Tick(1)
	is(t, "a second behind its end", grant(), device.ErrExpired)
	is(t, "back in time", tell(r.Unix+100), device.ErrStale)
	ok(t, tell(r.Unix+101))
	is(t, "the time that goes on", grant(), device.ErrExpired)
}

// TestEndedObeysNobody: a decommissioned device takes no order of anybody.
func TestEndedObeysNobody(t *testing.T) {
	r := deployed(t, rig.Config{})
	ok(t, r.Lifecycle(policy.Decommissioned))
	for range 2 {
		is(t, "policy", r.PutPolicy(r.NextPolicy(nil)), device.ErrNotAllowed)
		is(t, "transfer", r.NewOwner(order.Transfer, "bob"), device.ErrNotAllowed)
		_, err := r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 5})
		is(t, "void", err, device.ErrNotAllowed)
		is(t, "back", r.Lifecycle(policy.Manufacturing), device.ErrNotAllowed)
		ok(t, r.Restart())
	}
}
