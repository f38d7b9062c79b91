package device_test

import (
	"crypto/sha256"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
)

// measured is what a report says of a region, and what its content digests to.
func measured(t *testing.T, r *rig.Rig, region string) (m order.Measurement, content [32]byte) {
	t.Helper()
	rep, err := r.Report()
	ok(t, err)
	p := r.Policy.Region(region)
	b := make([]byte, p.Span.Len)
	_, err = r.Mem.ReadAt(b, p.Span.Off)
	ok(t, err)
	for _, m := range rep.Measurements {
		if m.Region == p.ID {
			return m, sha256.Sum256(b)
		}
	}
	t.Fatalf("%s is not measured", region)
	return m, content
}

// TestMeasuredNow: a report has the content as it is, during a session and behind
// it; that of a confidential region cannot be guessed from it.
func TestMeasuredNow(t *testing.T) {
	r := deployed(t, rig.Config{})
	current := func(when string) {
		t.Helper()
		if m, c := measured(t, r, "boot"); m.Digest != c || m.Keyed {
			t.Errorf("%s: %+v", when, m)
		}
	}
	current("at the start")
	h, id, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	current("in a session")
	_, err = h.WriteAt([]byte("firmware"), 0)
	ok(t, err)
	current("behind a write")
	_, err = h.WriteAt([]byte("more"), 64)
	ok(t, err)
	ok(t, r.Device.EndSession(id))
	current("behind the session")
	m, c := measured(t, r, "secret")
	if m.Digest == c || !m.Keyed {
		t.Errorf("a confidential region: %+v", m)
	}
	other := deployed(t, rig.Config{Seed: 1})
	if n, same := measured(t, other, "secret"); same != c || n.Digest == m.Digest {
		t.Error("two devices have one key")
	}
}

// TestReportsChain: a report names the one before it in its boot, and counts on.
func TestReportsChain(t *testing.T) {
	r := deployed(t, rig.Config{})
	nonce := []byte("a nonce!")
	var last *order.Report
	previous := [32]byte{}
	for range 3 {
		b, err := r.Device.Report(ctx, nonce)
		ok(t, err)
		rep, err := order.OpenReport(b, r.Device.Identity(), nonce)
		ok(t, err)
		if rep.Previous != previous || last != nil && (rep.Seq != last.Seq+1 || rep.Boot != last.Boot) {
			t.Errorf("%+v behind %+v", rep, last)
		}
		last, previous = rep, sha256.Sum256(b)
	}
	ok(t, r.Restart())
	if rep, err := r.Report(); err != nil || rep.Boot == last.Boot || rep.Previous != [32]byte{} {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestCourierReaches: nothing that a courier sends freezes, resets or writes; what
// this build does not do is refused.
func TestCourierReaches(t *testing.T) {
	r := deployed(t, rig.Config{})
	h, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ops := r.Flash.Ops()
	for _, q := range []*order.Request{
		{Type: order.ReqDeliver, Body: []byte("order")}, {Type: order.ReqReport, Body: make([]byte, 8)},
		{Type: order.ReqChallenge, Authority: order.Owner}, {Type: order.ReqOffer, Body: []byte("manifest")},
		{Type: order.ReqNeed}, {Type: order.ReqBlock, Region: 1, Body: make([]byte, block)}, {Type: order.ReqProgress},
	} {
		msg, err := q.MarshalBinary()
		ok(t, err)
		reply, err := r.Device.Deliver(ctx, msg)
		if q.Type >= order.ReqOffer {
			is(t, "not in this build", err, device.ErrUnsupported)
		}
		if got, err := order.ParseReply(reply); err != nil || got.Type != q.Type {
			t.Errorf("request %d: %+v, %v", q.Type, got, err)
		}
	}
	if n := r.Flash.Ops(); n != ops {
		t.Errorf("%d operations on the flash", n-ops)
	}
	if s := r.Device.Status(); s.Frozen || s.Sessions != 1 {
		t.Errorf("status %+v", s)
	}
	ok(t, settings(r))
	ok(t, h.Erase(0, block))
}

// TestThawLasts: a device that was thawed starts thawed, one that was not frozen.
func TestThawLasts(t *testing.T) {
	r := deployed(t, rig.Config{})
	ok(t, r.Device.Freeze(ctx))
	ok(t, r.Cut())
	is(t, "frozen", settings(r), nanolock.ErrDenied)
	_, err := r.Do(order.Owner, order.Thaw, &order.ThawBody{})
	is(t, "a thaw by the owner", err, order.ErrAuthority)
	is(t, "still frozen", settings(r), nanolock.ErrDenied)
	_, err = r.Do(order.Operations, order.Thaw, &order.ThawBody{})
	ok(t, err)
	ok(t, r.Cut())
	ok(t, settings(r))
}
