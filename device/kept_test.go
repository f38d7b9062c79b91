package device_test

import (
	"math"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// TestPendingStays: as long as the anchor does not answer an order that waits for
// it does not act, whatever else is delivered.
func TestPendingStays(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Anchor.Fail(keystore.ErrBusy, false)
	p := r.NextPolicy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
	is(t, "a policy", r.PutPolicy(p), device.ErrBusy)
	for range 2 {
		_, err := r.Do(order.Platform, order.Heartbeat, &order.LiveBody{})
		is(t, "a heartbeat", err, device.ErrBusy)
		r.Tick(1)
		ok(t, settings(r))
	}
	r.Anchor.Fail(nil, false)
	r.Tick(1)
	is(t, "once it answers", settings(r), nanolock.ErrDenied)
}

// TestVoidBound: no void takes a counter to where nothing follows.
func TestVoidBound(t *testing.T) {
	r := deployed(t, rig.Config{})
	for _, b := range []*order.VoidBody{
		{Authority: order.Vendor, Class: order.ClassOperate, To: math.MaxUint64},
		{Authority: order.Owner, Class: order.ClassRoot, To: math.MaxUint64},
	} {
		_, err := r.Do(order.Owner, order.Void, b)
		is(t, b.Authority, err, device.ErrStale)
	}
}

// TestDevelopmentSecond: it does not matter which of the keys it is.
func TestDevelopmentSecond(t *testing.T) {
	r := deployed(t, rig.Config{})
	spare := must(rig.Person(cose.Ed25519, "spare")).Public().Bytes()
	is(t, "a second key", r.PutPolicy(r.NextPolicy(func(p *policy.Policy) {
		p.Authorities[4].Keys = append(p.Authorities[4].Keys, policy.Key{Name: "spare", Public: spare, Development: true})
	})), device.ErrDevelopment)
}

// TestNewerCopy: of two policies in the copies a lost device goes by the newer,
// in whichever set it is.
func TestNewerCopy(t *testing.T) {
	for n := range uint64(3) {
		r := deployed(t, rig.Config{})
		for range n {
			ok(t, r.PutPolicy(r.NextPolicy(nil)))
		}
		ok(t, r.Device.Close())
		ok(t, r.Flash.Erase(journalOf(r).Off, journalOf(r).Len))
		ok(t, r.Open())
		if s := r.Device.Status(); s.PolicyVersion != n+1 || !s.Degraded {
			t.Errorf("status %+v behind %d policies", s, n)
		}
	}
}

// TestAuditHead: the vault remembers how far the audit chain went.
func TestAuditHead(t *testing.T) {
	r := deployed(t, rig.Config{})
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	ok(t, r.Restart())
	if h := r.Device.Status().Health; h != 0 {
		t.Fatalf("health %b", h)
	}
	a := r.Policy.Area("audit").Span
	ok(t, r.Device.Close())
	ok(t, r.Flash.Erase(a.Off, a.Len))
	ok(t, r.Open())
	if h := r.Device.Status().Health; h != order.AuditBroken {
		t.Errorf("health %b without the chain", h)
	}
}

// TestAuditAcknowledged: what is let go of has been written, and is let go of once.
func TestAuditAcknowledged(t *testing.T) {
	r := deployed(t, rig.Config{})
	ack := func(to uint64) error {
		_, err := r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassAudit, To: to})
		return err
	}
	is(t, "the future", ack(1<<40), device.ErrStale)
	rep, err := r.Report()
	ok(t, err)
	ok(t, ack(rep.Audit.Seq))
	is(t, "again", ack(rep.Audit.Seq), device.ErrStale)
}
