package device_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func writeSettings(r *rig.Rig) error {
	_, err := r.Device.Host().WriteAt(page(r), r.Policy.Region("settings").Span.Off)
	return err
}

func TestWatchdog(t *testing.T) {
	c := rig.Config{Device: device.Config{Watchdog: 60}}
	r, err := rig.New(c)
	ok(t, err)
	r.Now = 1 << 30 // the clock began long ago: no heartbeat is late at a start
	ok(t, r.Restart())
	ok(t, r.Lifecycle(policy.Deployed))
	r.Tick(59)
	ok(t, writeSettings(r))
	r.Tick(1)
	is(t, "no heartbeat", writeSettings(r), nanolock.ErrDenied)
	if s := r.Device.Status(); !s.Narrowed || s.Degraded {
		t.Errorf("status %+v", s)
	}
	// Grants go on: whoever repairs the device has to get in.
	h, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ok(t, h.Erase(0, 4096))
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	is(t, "under a new policy", writeSettings(r), nanolock.ErrDenied)
	_, err = r.Do(order.Platform, order.Heartbeat, &order.LiveBody{})
	ok(t, err)
	ok(t, writeSettings(r))
}

// The allowance of a period: not saved up, not renewed by restarts, and reached by a
// device that is switched off every evening.
func TestLedger(t *testing.T) {
	r := deployed(t, rig.Config{})
	s := r.Policy.Region("settings").Span
	use := func() (n int) {
		for r.Device.Host().Erase(s.Off, s.Len) == nil {
			n++
		}
		return n
	}
	r.Tick(0)
	if n := use(); n != 200 {
		t.Errorf("%d erases in the first period", n)
	}
	for range 48 {
		r.Now += 1800 // half an hour each: none of it was recorded
		ok(t, r.Cut())
		r.Tick(0)
	}
	if n := use(); n != 0 {
		t.Errorf("restarts buy %d erases", n)
	}
	for range 4 { // ten hours a day
		for range 10 {
			r.Tick(3600)
		}
		r.Now += 14 * 3600
		ok(t, r.Cut())
		r.Tick(0)
	}
	if n := use(); n == 0 || n > 200 {
		t.Errorf("%d erases after forty hours of use", n)
	}
	for range 10 * 24 {
		r.Tick(3600)
	}
	if n := use(); n != 200 {
		t.Errorf("ten days later: %d erases", n)
	}
}

func TestClock(t *testing.T) {
	r := deployed(t, rig.Config{})
	until := func(end uint64) error {
		o, err := r.Order(order.Vendor, order.Grant, r.Whole("boot"))
		ok(t, err)
		o.NotAfter = end
		msg, err := r.Sign(o)
		ok(t, err)
		_, err = r.Device.Apply(ctx, msg)
		return err
	}
	is(t, "not told", until(r.Unix+10), device.ErrExpired)
	_, err := r.Do(order.Platform, order.Time, &order.TimeBody{Unix: r.Unix})
	ok(t, err)
	ok(t, until(r.Unix))
	r.Now += 11
	is(t, "too late", until(r.Unix+10), device.ErrExpired)
	ok(t, until(r.Unix+11))
	_, err = r.Do(order.Platform, order.Time, &order.TimeBody{Unix: r.Unix})
	is(t, "backwards", err, device.ErrStale)
	ok(t, r.Cut())
	is(t, "another boot", until(r.Unix+100), device.ErrExpired)
}

func TestSessionsEnd(t *testing.T) {
	r := deployed(t, rig.Config{})
	g := r.Whole("boot")
	g.Uptime = 10
	h, id, err := r.Grant(order.Vendor, g)
	ok(t, err)
	r.Tick(9)
	ok(t, h.Erase(0, 4096))
	r.Tick(1)
	is(t, "over", h.Erase(0, 4096), nanolock.ErrEnded)
	_, err = r.Device.Session(id)
	is(t, "session", err, device.ErrSession)
	is(t, "ending it twice", r.Device.EndSession(id), device.ErrSession)
	for range 16 {
		_, _, err := r.Grant(order.Vendor, g)
		ok(t, err)
	}
	_, _, err = r.Grant(order.Vendor, g)
	is(t, "one too many", err, device.ErrBusy)
	ok(t, r.Device.HostReset(ctx))
	if n := r.Device.Status().Sessions; n != 0 {
		t.Errorf("%d sessions survive a reset", n)
	}
}

// With real timers a session ends by itself.
func TestSessionTimer(t *testing.T) {
	r := deployed(t, rig.Config{})
	v := r.Policy.Area("vault").Span
	ok(t, r.Device.Close())
	ended := make(chan struct{})
	var once sync.Once
	d, err := device.Open(ctx, r.Mem, r.Keys, &device.Config{Vault: v, OnEvent: func(e device.Event) {
		if e.Kind == device.EventSessionEnd {
			once.Do(func() { close(ended) })
		}
	}})
	ok(t, err)
	r.Device = d
	g := r.Whole("boot")
	g.Uptime = 1
	h, _, err := r.Grant(order.Vendor, g)
	ok(t, err)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the session never ends")
	}
	is(t, "over", h.Erase(0, 4096), nanolock.ErrEnded)
	ok(t, d.Close())
}

func TestContentBound(t *testing.T) {
	r := deployed(t, rig.Config{})
	want := bytes.Repeat([]byte("firmware"), 512)
	g := r.Whole("boot")
	g.Digests = [][32]byte{sha256.Sum256(want), {1}}
	h, _, err := r.Grant(order.Vendor, g)
	ok(t, err)
	ok(t, h.Erase(0, 8192))
	_, err = h.WriteAt(want[:256], 0)
	is(t, "part of a block", err, nanolock.ErrDenied)
}

func TestProvisionAgain(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		c.Blank = true
		r, err := rig.New(c)
		ok(t, err)
		is(t, "before", r.Open(), device.ErrNotProvisioned)
		config := &device.Config{Vault: r.Policy.Area("vault").Span}
		first := must(r.FirstPolicy())
		late := must(r.Inner(r.Policy, 2, 1))
		_, err = device.Provision(ctx, r.Mem, r.Keys, late, config)
		is(t, "another epoch", err, order.ErrEpoch)
		_, err = device.Provision(ctx, r.Mem, r.Keys, []byte{1}, config)
		is(t, "noise", err, order.ErrMalformed)
		dev := r.NextPolicy(func(p *policy.Policy) { p.Authorities[1].Keys[0].Development = true })
		_, err = device.Provision(ctx, r.Mem, r.Keys, must(r.Inner(dev, 1, 1)), config)
		is(t, "development keys", err, device.ErrDevelopment)
		for range 2 {
			d, err := device.Provision(ctx, r.Mem, r.Keys, first, config)
			ok(t, err)
			ok(t, d.Close())
		}
		other := must(r.Inner(r.NextPolicy(nil), 1, 1))
		_, err = device.Provision(ctx, r.Mem, r.Keys, other, config)
		is(t, "another policy", err, device.ErrProvisioned)
		v := config.Vault
		ok(t, r.Mem.Erase(v.Off, v.Len))
		_, err = device.Provision(ctx, r.Mem, r.Keys, first, config)
		is(t, "lost is not new", err, device.ErrProvisioned)
	})
}

func TestDevelopment(t *testing.T) {
	r, err := rig.New(rig.Config{Device: device.Config{Development: true},
		Policy: func(p *policy.Policy) { p.Authorities[1].Keys[0].Development = true }})
	ok(t, err)
	if s := r.Device.Status(); !s.Development || s.Health&order.DevelopmentKeys == 0 {
		t.Errorf("status %+v", s)
	}
	is(t, "deployed", r.Lifecycle(policy.Deployed), device.ErrDevelopment)
	p := r.NextPolicy(func(p *policy.Policy) { p.Authorities[1].Keys[0].Development = false })
	ok(t, r.PutPolicy(p))
	ok(t, r.Lifecycle(policy.Deployed))
	if s := r.Device.Status(); s.Health&order.DevelopmentKeys != 0 {
		t.Errorf("status %+v", s)
	}
}

// A freeze wins over a thaw that waits for its anchor.
func TestFreezeOverThaw(t *testing.T) {
	r := deployed(t, rig.Config{})
	ok(t, r.Device.Freeze(ctx))
	r.Anchor.Fail(keystore.ErrBusy, false)
	_, err := r.Do(order.Operations, order.Thaw, &order.ThawBody{})
	is(t, "the anchor is silent", err, device.ErrBusy)
	if !r.Device.Status().Pending {
		t.Error("not pending")
	}
	ok(t, r.Device.Freeze(ctx))
	r.Anchor.Fail(nil, false)
	for range 2 {
		r.Tick(1)
		is(t, "frozen again", writeSettings(r), nanolock.ErrDenied)
		if s := r.Device.Status(); !s.Frozen || s.Pending {
			t.Errorf("status %+v", s)
		}
		ok(t, r.Cut())
	}
	_, err = r.Do(order.Operations, order.Thaw, &order.ThawBody{})
	ok(t, err)
	ok(t, writeSettings(r))
}

// What waits for its anchor acts when the anchor answers, without a courier.
func TestPendingActsByItself(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Anchor.Fail(keystore.ErrBusy, false)
	is(t, "transfer", r.NewOwner(order.Transfer, "bob"), device.ErrBusy)
	r.Tick(1)
	if s := r.Device.Status(); s.OwnerEpoch != 1 || !s.Pending {
		t.Errorf("status %+v", s)
	}
	r.Anchor.Fail(nil, false)
	r.Tick(1)
	if s := r.Device.Status(); s.OwnerEpoch != 2 || s.Pending {
		t.Errorf("status %+v", s)
	}
}

// An anchor that is not there, and one that somebody replaced.
func TestAnchorGone(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(*rig.Anchor)
		health order.Health
	}{
		"reset":  {func(a *rig.Anchor) { a.Fail(keystore.ErrReset, false) }, order.AnchorAbsent},
		"busy":   {func(a *rig.Anchor) { a.Fail(&keystore.BusyError{}, false) }, order.AnchorAbsent},
		"ahead":  {func(a *rig.Anchor) { a.Put(a.Value() + 1) }, order.AnchorAhead},
		"behind": {func(a *rig.Anchor) { a.Put(a.Value() - 2) }, order.AnchorBehind},
	} {
		r := deployed(t, rig.Config{})
		ok(t, r.Device.Close())
		flash := r.Flash.Fingerprint()
		tc.spoil(r.Anchor)
		ok(t, r.Open())
		s := r.Device.Status()
		if !s.Degraded || s.Health&tc.health == 0 || len(s.Why) == 0 {
			t.Errorf("%s: %+v", name, s)
		}
		is(t, name, r.PutPolicy(r.NextPolicy(nil)), device.ErrDegraded)
		is(t, name, writeSettings(r), nanolock.ErrDenied)
		if _, err := r.Device.Host().ReadAt(make([]byte, 16), 0); err != nil {
			t.Errorf("%s: public content: %v", name, err)
		}
		if rep, err := r.Report(); err != nil || rep.Health&tc.health == 0 {
			t.Errorf("%s: report %+v, %v", name, rep, err)
		}
		if r.Flash.Fingerprint() != flash {
			t.Errorf("%s: something was written", name)
		}
		r.Anchor.Fail(nil, false)
		if name == "reset" || name == "busy" {
			ok(t, r.Restart())
			if s := r.Device.Status(); s.Degraded {
				t.Errorf("%s: the anchor is back: %+v", name, s)
			}
			continue
		}
		is(t, "back to manufacturing", r.Recover(policy.Manufacturing), device.ErrNotAllowed)
		ok(t, r.Recover(policy.Deployed))
		ok(t, r.Lifecycle(policy.RMA))
	}
}

// Copies and journal, lost one by one.
func TestLosses(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r := deployed(t, c)
		off, n := r.Device.Journal()
		v := r.Policy.Area("vault").Span
		img := make([]byte, v.Len)
		ok(t, r.Device.Close())
		ok(t, r.Flash.Peek(img, v.Off))
		msg := must(r.FirstPolicy())
		one := int64(bytes.Index(img, msg[:16]))
		if one < 0 || bytes.Count(img, msg[:16]) != 2 {
			t.Fatalf("%d copies", bytes.Count(img, msg[:16]))
		}
		// One copy: found at the start or by Scrub, and written again.
		ok(t, r.Flash.Poke(make([]byte, 16), v.Off+one))
		ok(t, r.Open())
		if s := r.Device.Status(); s.Degraded {
			t.Fatalf("one copy lost: %+v", s)
		}
		if rep, err := r.Report(); err != nil || rep.Health&order.CopyLost == 0 {
			t.Errorf("one copy lost: %+v, %v", rep, err)
		}
		for range 3 {
			ok(t, r.Device.Scrub(ctx, r.Policy.Region("boot").Span.Len))
		}
		if rep, err := r.Report(); err != nil || rep.Health&order.CopyLost != 0 {
			t.Errorf("scrubbed: %+v, %v", rep, err)
		}
		// The journal: the copies still say what is public.
		ok(t, r.Device.Close())
		ok(t, r.Flash.Erase(off, n))
		ok(t, r.Flash.Sync())
		ok(t, r.Open())
		if s := r.Device.Status(); s.Health&order.VaultLost == 0 || s.PolicyVersion != 1 {
			t.Errorf("journal lost: %+v", s)
		}
		_, err := r.Device.Host().ReadAt(page(r), 0)
		ok(t, err)
		if _, err := r.Device.Host().ReadAt(page(r), r.Policy.Region("secret").Span.Off); err == nil {
			got := page(r)
			_, _ = r.Device.Host().ReadAt(got, r.Policy.Region("secret").Span.Off)
			if !bytes.Equal(got, bytes.Repeat([]byte{r.Mem.Geometry().Erased}, len(got))) {
				t.Error("a confidential region is readable")
			}
		}
		is(t, "another owner", (&stranger{r}).recover(t), order.ErrSignature)
		is(t, "an order that is none to recover", r.Lifecycle(policy.RMA), device.ErrDegraded)
		// Everything: the order brings the policy along.
		ok(t, r.Device.Close())
		ok(t, r.Flash.Erase(v.Off, v.Len))
		ok(t, r.Flash.Sync())
		ok(t, r.Open())
		if _, err := r.Device.Host().ReadAt(page(r), 0); err == nil {
			t.Error("nothing says what is public, and it is read")
		}
		is(t, "without the policy", r.Lifecycle(policy.RMA), device.ErrDegraded)
		is(t, "another owner", (&stranger{r}).recover(t), order.ErrSignature)
		is(t, "into the end", r.Recover(policy.Decommissioned), device.ErrNotAllowed)
		ok(t, r.Recover(policy.Deployed))
		ok(t, r.Cut())
		if s := r.Device.Status(); s.Degraded || s.OwnerEpoch != 2 {
			t.Errorf("recovered: %+v", s)
		}
		is(t, "used up for all we know", r.Device.Host().Erase(r.Policy.Region("settings").Span.Off, r.Policy.Region("settings").Span.Len), nanolock.ErrDenied)
	})
}

// stranger signs orders to recover with keys of his own.
type stranger struct{ *rig.Rig }

func (s *stranger) recover(t *testing.T) error {
	people := s.People(order.Owner)
	defer s.Hire(order.Owner, people...)
	s.Hire(order.Owner, must(rig.Person(cose.Ed25519, "stranger")))
	return s.Rig.Recover(policy.Deployed)
}

// The vault of another device, and a second process on the same flash.
func TestOthers(t *testing.T) {
	a, b := deployed(t, rig.Config{Seed: 1}), deployed(t, rig.Config{Seed: 2})
	v := a.Policy.Area("vault").Span
	img := make([]byte, v.Len)
	ok(t, a.Device.Close())
	ok(t, a.Flash.Peek(img, v.Off))
	ok(t, b.Device.Close())
	ok(t, b.Flash.Poke(img, v.Off))
	ok(t, b.Open())
	if s := b.Device.Status(); s.Health&order.VaultLost == 0 || s.PolicyName != "" {
		t.Errorf("a vault of another device: %+v", s)
	}
	ok(t, a.Open())
	second, err := device.Open(ctx, a.Mem, a.Keys, &device.Config{Vault: v})
	ok(t, err)
	ok(t, a.PutPolicy(a.NextPolicy(nil)))
	first := a.Device
	a.Device = second
	err = a.PutPolicy(a.NextPolicy(nil))
	if err == nil || !second.Status().Degraded {
		t.Errorf("two processes: %v, %+v", err, second.Status())
	}
	ok(t, second.Close())
	a.Device = first
	ok(t, a.Restart())
	if s := a.Device.Status(); s.Degraded || s.PolicyVersion != 2 {
		t.Errorf("the first one's order: %+v", s)
	}
}

// The certificate of a device whose copies are too small for it is in the reply.
func TestCertificate(t *testing.T) {
	r := deployed(t, rig.Config{})
	_, err := r.Device.Certificate(ctx)
	is(t, "not yet", err, device.ErrNotAllowed)
	c := parts()[0]
	c.Geometry.Size, c.Geometry.EraseSize = 32<<10, 1<<10 // copies of 3 KiB, and a post-quantum signature
	r = deployed(t, rig.Config{Sim: c})
	reply, err := r.Do(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Decommissioned)})
	ok(t, err)
	if _, err := order.OpenReport(reply.Report, r.Device.Identity(), nil); err != nil {
		t.Error(err)
	}
	_, err = r.Device.Certificate(ctx)
	is(t, "not kept", err, device.ErrNotAllowed)
	ok(t, r.Cut())
	if s := r.Device.Status(); s.State != policy.Decommissioned || s.Degraded {
		t.Errorf("status %+v", s)
	}
}

// Wiping that fails is tried again, but not for everybody who delivers something.
func TestWipeFails(t *testing.T) {
	c := newChip("wipe")
	r := deployed(t, rig.Config{Keystore: opened(c), Device: *device.Remember(&device.Config{})})
	broken := true
	c.at = func(op string, _ bool) error {
		if op == "sign" && broken {
			return errSilent
		}
		return nil
	}
	is(t, "the end", r.Lifecycle(policy.Decommissioned), errSilent)
	erases := r.Flash.Stats().Erases
	for range 20 {
		_, err := r.Device.Apply(ctx, []byte{1})
		is(t, "busy", err, device.ErrBusy)
	}
	if n := r.Flash.Stats().Erases - erases; n != 0 {
		t.Errorf("%d erases on noise", n)
	}
	broken = false
	r.Now += 61
	_, err := r.Device.Apply(ctx, []byte{1})
	is(t, "noise", err, order.ErrMalformed)
	if s := r.Device.Status(); s.State != policy.Decommissioned {
		t.Errorf("status %+v", s)
	}
}

// Everything at once, for the race detector.
func TestConcurrent(t *testing.T) {
	r := deployed(t, rig.Config{})
	log := r.Policy.Region("log").Span
	msg := must(r.Signed(order.Vendor, order.Grant, r.Whole("boot")))
	req := request(t, &order.Request{Type: order.ReqDeliver, Body: msg})
	d := r.Device
	var wg sync.WaitGroup
	opened := make(chan struct{}, 8)
	for range 4 {
		wg.Go(func() {
			if _, err := d.Deliver(ctx, req); err == nil {
				opened <- struct{}{}
			}
		})
	}
	h := d.Host()
	wg.Go(func() {
		for i := range int64(2000) {
			if _, err := h.WriteAt([]byte{0}, log.Off+i); errors.Is(err, nanolock.ErrDenied) {
				return
			}
		}
	})
	wg.Go(func() {
		for range 200 {
			_, _ = h.WriteAt([]byte{0}, 0)
			_, _ = h.ReadAt(make([]byte, 64), 0)
		}
	})
	wg.Go(func() {
		for range 50 {
			_ = d.Status()
			d.Poll(ctx)
			_, _ = d.Report(ctx, []byte("a nonce."))
			_ = d.Policy()
		}
	})
	wg.Go(func() {
		_ = d.Scrub(ctx, 1<<20)
		_ = d.Freeze(ctx)
		_ = d.Close()
	})
	wg.Wait()
	if len(opened) > 1 {
		t.Errorf("one grant opened %d sessions", len(opened))
	}
	ok(t, d.Close())
	ok(t, r.Open())
	if s := r.Device.Status(); s.Degraded {
		t.Errorf("afterwards: %+v", s)
	}
}
