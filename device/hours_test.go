package device_test

import (
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

const hour = 60 * 60

// settings tells whether a host may program its settings now.
func settings(r *rig.Rig) error {
	_, err := r.Device.Host().WriteAt([]byte{0xff}, r.Policy.Region("settings").Span.Off)
	return err
}

// TestHeldBack: without a heartbeat hosts read, whatever policy comes; with one
// they have what they had.
func TestHeldBack(t *testing.T) {
	r := deployed(t, rig.Config{Device: device.Config{Watchdog: 60}})
	beat := func() {
		_, err := r.Do(order.Platform, order.Heartbeat, &order.LiveBody{})
		ok(t, err)
	}
	r.Tick(59)
	ok(t, settings(r))
	beat()
	r.Tick(59)
	ok(t, settings(r))
	r.Tick(1)
	is(t, "a minute without", settings(r), nanolock.ErrDenied)
	if s := r.Device.Status(); !s.Narrowed || s.Health&order.HeldBack == 0 {
		t.Errorf("status %+v", s)
	}
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	is(t, "under a new policy", settings(r), nanolock.ErrDenied)
	_, err := r.Device.Host().ReadAt(make([]byte, 16), r.Policy.Region("settings").Span.Off)
	ok(t, err)
	beat()
	ok(t, settings(r))
	is(t, "boot", r.Device.Host().Erase(0, block), nanolock.ErrDenied)
}

// spend erases the settings until the ledger is used up, and says how often.
func spend(r *rig.Rig) (n int) {
	at := r.Policy.Region("settings").Span.Off
	for n < 1000 && r.Device.Host().Erase(at, block) == nil {
		n++
	}
	return n
}

// TestPeriods: a period brings what the policy says, once, and neither waiting nor
// restarting brings more.
func TestPeriods(t *testing.T) {
	r := deployed(t, rig.Config{})
	if n := spend(r); n != 200 {
		t.Errorf("%d erases in the first day", n)
	}
	r.Tick(23 * hour)
	if n := spend(r); n != 0 {
		t.Errorf("%d erases more in the first day", n)
	}
	ok(t, r.PutPolicy(r.NextPolicy(nil))) // records the time along with it
	r.Tick(hour)
	if n := spend(r); n != 200 {
		t.Errorf("%d erases in the second day", n)
	}
	ok(t, r.Restart())
	r.Tick(0)
	r.Tick(hour)
	if n := spend(r); n != 0 {
		t.Errorf("a restart brought %d erases", n)
	}
	for range 9 {
		r.Tick(24 * hour)
	}
	if n := spend(r); n != 200 {
		t.Errorf("%d erases behind nine days of nothing", n)
	}
}

// TestUsageLasts: what a host has used is used after a cut.
func TestUsageLasts(t *testing.T) {
	r := deployed(t, rig.Config{})
	at := r.Policy.Region("log").Span.Off
	_, err := r.Device.Host().WriteAt([]byte("entry"), at)
	ok(t, err)
	if n := spend(r); n != 200 {
		t.Errorf("%d erases", n)
	}
	ok(t, r.Cut())
	_, err = r.Device.Host().WriteAt([]byte{0}, at)
	is(t, "over an entry", err, nanolock.ErrDenied)
	if n := spend(r); n != 0 {
		t.Errorf("a cut brought %d erases", n)
	}
}

// TestBudget: what is anchored while the budget lasts is a quarter of a day at a
// start and a day's in a day; root orders are anchored always.
func TestBudgetByTheHour(t *testing.T) {
	r := deployed(t, rig.Config{Budget: keystore.Budget{PerDay: 8}})
	steps := func(n int) int {
		was := r.Anchor.Steps()
		for range n {
			_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
			ok(t, err)
			ok(t, r.Device.HostReset(ctx))
		}
		return r.Anchor.Steps() - was
	}
	if n := steps(5); n != 2 {
		t.Errorf("%d of five grants at the start", n)
	}
	was := r.Anchor.Steps()
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	if n := r.Anchor.Steps() - was; n != 1 {
		t.Errorf("a policy took %d steps", n)
	}
	r.Tick(10 * 24 * hour)
	if n := steps(20); n != 8 {
		t.Errorf("%d of twenty grants behind ten days", n)
	}
}

// TestNoEffectWithoutRecord: an order whose record fails changes nothing, and an
// anchor that is ahead ends all change at once.
func TestNoEffectWithoutRecord(t *testing.T) {
	r := deployed(t, rig.Config{})
	h, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	r.Anchor.Put(r.Anchor.Value() + 5)
	if err := r.PutPolicy(r.NextPolicy(func(p *policy.Policy) { p.Region("calibration").Read = policy.Rule{} })); err == nil {
		t.Error("a policy without its record")
	}
	if s := r.Device.Status(); s.PolicyVersion != 1 || !s.Degraded {
		t.Errorf("status %+v", s)
	}
	_, err = r.Device.Host().ReadAt(make([]byte, 16), r.Policy.Region("calibration").Span.Off)
	ok(t, err)
	is(t, "a host's write", settings(r), nanolock.ErrDenied)
	if err := h.Erase(0, block); err == nil {
		t.Error("the session goes on")
	}
}

// TestPolicyInForceStays: a policy that cannot be written costs nothing of the one
// in force.
func TestPolicyInForceStays(t *testing.T) {
	mem := part(t)
	r := deployed(t, rig.Config{Memory: mem})
	c := copiesOf(r)
	for v := range uint64(3) {
		mem.erases, mem.at = true, func(off int64) bool { return off >= c.Off && off < c.End() }
		if err := r.PutPolicy(r.NextPolicy(nil)); err == nil {
			t.Error("a policy that was not written")
		}
		mem.at = nil
		ok(t, r.Restart())
		if s := r.Device.Status(); s.PolicyVersion != v+1 || s.Degraded || s.Health&order.CopyLost != 0 {
			t.Errorf("status %+v", s)
		}
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
	}
}

// TestWaitsForAnchor: what is recorded and not anchored is completed, by the next
// start too; a grant is lost.
func TestWaitsForAnchor(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Anchor.Fail(keystore.ErrBusy, false)
	_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	is(t, "a grant", err, device.ErrBusy)
	r.Anchor.Fail(nil, false)
	_, err = r.Do(order.Platform, order.Heartbeat, &order.LiveBody{})
	ok(t, err)
	if n := r.Device.Status().Sessions; n != 0 {
		t.Errorf("%d sessions", n)
	}
	r.Anchor.Fail(keystore.ErrBusy, false)
	is(t, "a policy", r.PutPolicy(r.NextPolicy(nil)), device.ErrBusy)
	if s := r.Device.Status(); !s.Pending || s.PolicyVersion != 1 {
		t.Errorf("status %+v", s)
	}
	r.Anchor.Fail(nil, false)
	ok(t, r.Cut())
	if s := r.Device.Status(); s.PolicyVersion != 2 || s.Degraded {
		t.Errorf("status %+v", s)
	}
}
