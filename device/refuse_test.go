package device_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// request puts an order into a request of the courier port.
func request(t testing.TB, r *order.Request) []byte {
	t.Helper()
	b, err := r.MarshalBinary()
	ok(t, err)
	return b
}

// orders that are refused, by what is wrong with them.
func refusals(t *testing.T, r *rig.Rig) []struct {
	name string
	msg  []byte
	err  error
	code order.Code
} {
	grant := r.Whole("boot")
	make := func(authority string, kind order.Kind, body order.Body, change func(*order.Order), who ...*cose.Signer) []byte {
		o, err := r.Order(authority, kind, body)
		ok(t, err)
		if change != nil {
			change(o)
		}
		if who == nil {
			who = r.People(authority)
		}
		b, err := order.Sign(o, who...)
		ok(t, err)
		return b
	}
	good := make(order.Vendor, order.Grant, grant, nil)
	damaged := append([]byte(nil), good...)
	damaged[len(damaged)-1] ^= 1
	part := func(change func(*order.GrantBody)) []byte {
		g := *grant
		change(&g)
		return make(order.Vendor, order.Grant, &g, nil)
	}
	stranger := must(rig.Person(cose.Ed25519, "stranger"))
	hybrid := must(rig.Person(cose.ESP256, "other suite"))
	life := func(st policy.State) []byte {
		return make(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(st)}, nil)
	}
	void := func(class order.Class, to uint64) []byte {
		return make(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: class, To: to}, nil)
	}
	return []struct {
		name string
		msg  []byte
		err  error
		code order.Code
	}{
		{"noise", []byte{1}, order.ErrMalformed, order.Malformed},
		{"too deep", append(bytesOf(0x81, 200), 0), order.ErrMalformed, order.Malformed},
		{"too long", make0(order.MaxMessage), order.ErrMalformed, order.Malformed},
		{"trailing byte", append(append([]byte(nil), good...), 0), order.ErrMalformed, order.Malformed},
		{"cut short", good[:len(good)-1], order.ErrMalformed, order.Malformed},
		{"another device", make(order.Vendor, order.Grant, grant, func(o *order.Order) { o.Device[0] ^= 1 }), order.ErrForeign, order.Foreign},
		{"another epoch", make(order.Vendor, order.Grant, grant, func(o *order.Order) { o.Epoch++ }), order.ErrEpoch, order.Foreign},
		{"signature", damaged, order.ErrSignature, order.Unsigned},
		{"signer", make(order.Vendor, order.Grant, grant, nil, stranger), order.ErrSignature, order.Unsigned},
		{"algorithm", make(order.Vendor, order.Grant, grant, nil, hybrid), order.ErrSignature, order.Unsigned},
		{"kind of another", make(order.Vendor, order.Lifecycle, &order.LifecycleBody{State: 2}, nil), order.ErrAuthority, order.NotAllowed},
		{"authority of nobody", make(order.Vendor, order.Grant, grant, func(o *order.Order) { o.Authority = "nobody" }), order.ErrAuthority, order.NotAllowed},
		{"region of another", make(rig.Service, order.Grant, grant, nil), device.ErrNotAllowed, order.NotAllowed},
		{"no such region", part(func(g *order.GrantBody) { g.Region = 77 }), device.ErrNotAllowed, order.NotAllowed},
		{"beyond the region", part(func(g *order.GrantBody) { g.Off = 1 }), device.ErrNotAllowed, order.NotAllowed},
		{"nothing that a grant is needed for", part(func(g *order.GrantBody) { g.Ops = order.OpRead }), device.ErrNotAllowed, order.NotAllowed},
		{"digests of more blocks", part(func(g *order.GrantBody) { g.Digests = [][32]byte{{1}} }), device.ErrNotAllowed, order.NotAllowed},
		{"digests of fewer blocks", part(func(g *order.GrantBody) { g.Digests = [][32]byte{{1}, {2}, {3}} }), device.ErrNotAllowed, order.NotAllowed},
		{"digests of half a block", part(func(g *order.GrantBody) { g.Len, g.Digests = 100, [][32]byte{{1}} }), device.ErrNotAllowed, order.NotAllowed},
		{"another challenge", make(order.Vendor, order.Grant, grant, func(o *order.Order) { o.Fresh.Challenge = bytesOf(1, 32) }), device.ErrStale, order.Stale},
		{"an end, and no clock", make(order.Vendor, order.Grant, grant, func(o *order.Order) { o.NotAfter = 1 << 40 }), device.ErrExpired, order.Stale},
		{"counter spent", make(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{{1}}}, func(o *order.Order) { o.Fresh.Counter = 1 }), device.ErrStale, order.Stale},
		{"counter far ahead", make(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{{1}}}, func(o *order.Order) { o.Fresh.Counter = 1 << 60 }), device.ErrStale, order.Stale},
		{"install", make(order.Vendor, order.Install, &order.InstallBody{Region: 1}, nil), device.ErrUnsupported, order.Unsupported},
		{"state that does not follow", life(policy.Manufacturing), device.ErrNotAllowed, order.NotAllowed},
		{"thaw", make(order.Operations, order.Thaw, &order.ThawBody{}, nil), device.ErrNotAllowed, order.NotAllowed},
		{"recover", make(order.Owner, order.Recover, &order.RecoverBody{Policy: must(r.Inner(r.Policy, 2, 1)), State: 2}, nil), device.ErrNotAllowed, order.NotAllowed},
		{"void of what is spent", make(order.Owner, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassRoot, To: 1}, func(o *order.Order) { o.Fresh.Counter = 9 }), device.ErrStale, order.Stale},
		{"void far ahead", void(order.ClassOperate, 1<<60), device.ErrStale, order.Stale},
		{"void of nobody", make(order.Owner, order.Void, &order.VoidBody{Authority: "nobody", Class: 1, To: 9}, nil), device.ErrNotAllowed, order.NotAllowed},
		{"policy that is none", make(order.Owner, order.Policy, &order.PolicyBody{Policy: []byte{0xA0}}, nil), device.ErrPolicy, order.NotAllowed},
		{"transfer to the wrong epoch", make(order.Owner, order.Transfer, &order.TransferBody{Policy: must(r.Inner(r.NextPolicy(nil), 7, 1))}, nil), order.ErrEpoch, order.Foreign},
		{"transfer of an old policy", make(order.Owner, order.Transfer, &order.TransferBody{Policy: must(r.Inner(r.Policy, 2, 1))}, nil), device.ErrPolicy, order.NotAllowed},
		{"transfer without a policy", make(order.Owner, order.Transfer, &order.TransferBody{Policy: good}, nil), order.ErrMalformed, order.Malformed},
	}
}

func bytesOf(b byte, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

func make0(n int) []byte { return make([]byte, n) }

// TestRefusals: each has its error and code, changes no bit, and takes no memory to
// speak of before it was authenticated.
func TestRefusals(t *testing.T) {
	r := deployed(t, rig.Config{})
	view, flash := r.Device.View(), r.Flash.Fingerprint()
	for _, tc := range refusals(t, r) {
		reply, err := r.Device.Deliver(ctx, request(t, &order.Request{Type: order.ReqDeliver, Body: tc.msg}))
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.err)
		}
		p, perr := order.ParseReply(reply)
		if perr != nil || p.Code != tc.code || p.Detail == "" || p.Session != nil {
			t.Errorf("%s: reply %+v (%v), want %v", tc.name, p, perr, tc.code)
		}
		if r.Device.View() != view {
			t.Fatalf("%s: the device has changed", tc.name)
		}
	}
	if r.Flash.Fingerprint() != flash {
		// Copies that the journal does not name may have been written by orders
		// whose owner signed them: only those.
		off, n := r.Device.Journal()
		t.Logf("flash differs; journal at %d+%d", off, n)
	}
	ok(t, r.Cut())
	if got := r.Device.View(); got != view {
		t.Errorf("a start shows %s, want %s", got, view)
	}
}

// hostile messages claim more than they bring.
func hostile() [][]byte {
	claim := func(head ...byte) []byte { return append(head, make([]byte, 64)...) }
	return [][]byte{
		claim(0x5B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF),
		claim(0x9B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF),
		claim(0x82, 0x01, 0x5A, 0x7F, 0xFF, 0xFF, 0xFF),
		claim(0x82, 0x01, 0x5A, 0x00, 0x00, 0xFF, 0xFF),
		claim(0x82, 0x04, 0x5A, 0x00, 0x03, 0xFF, 0xFF),
		claim(0x82, 0x01, 0x58, 0x40, 0xD8, 0x62, 0x84, 0x5A, 0x7F, 0xFF, 0xFF, 0xFF),
		claim(0x82, 0x01, 0x58, 0x40, 0x84, 0x9A, 0x7F, 0xFF, 0xFF, 0xFF),
		claim(0x82, 0x01, 0x58, 0x40, 0xBB, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00),
	}
}

// TestMemory: not more than 64 KiB, whatever a message claims.
func TestMemory(t *testing.T) {
	r := deployed(t, rig.Config{})
	msgs := hostile()
	for _, tc := range refusals(t, r) {
		if code := tc.code; code == order.Malformed || code == order.Foreign || code == order.Unsigned {
			msgs = append(msgs, request(t, &order.Request{Type: order.ReqDeliver, Body: tc.msg}))
		}
	}
	for i, msg := range msgs {
		_, _ = r.Device.Deliver(ctx, msg)
		var before, after runtime.MemStats
		least := ^uint64(0)
		for range 3 { // others may allocate meanwhile
			runtime.ReadMemStats(&before)
			_, err := r.Device.Deliver(ctx, msg)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("message %d acts", i)
			}
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if least > 64<<10 {
			t.Errorf("message %d (%d bytes): %d bytes allocated", i, len(msg), least)
		}
	}
}

// TestRequests: the other messages of the courier port.
func TestRequests(t *testing.T) {
	r := deployed(t, rig.Config{})
	for _, tc := range []struct {
		name string
		req  order.Request
		err  error
	}{
		{"report", order.Request{Type: order.ReqReport, Body: []byte("a nonce.")}, nil},
		{"challenge", order.Request{Type: order.ReqChallenge, Authority: order.Vendor, Class: order.ClassOperate}, nil},
		{"challenge of nobody", order.Request{Type: order.ReqChallenge, Authority: "nobody", Class: order.ClassOperate}, order.ErrAuthority},
		{"need", order.Request{Type: order.ReqNeed}, device.ErrUnsupported},
	} {
		b, err := r.Device.Deliver(ctx, request(t, &tc.req))
		is(t, tc.name, err, tc.err)
		if p, err := order.ParseReply(b); err != nil || p.Type != tc.req.Type || p.Code != device.CodeOf(tc.err) {
			t.Errorf("%s: %+v, %v", tc.name, p, err)
		}
	}
	if _, err := r.Device.Challenge(order.Owner, order.ClassManifest); !errors.Is(err, order.ErrMalformed) {
		t.Errorf("class without challenges: %v", err)
	}
	if _, err := r.Device.Report(ctx, []byte("short")); !errors.Is(err, order.ErrMalformed) {
		t.Errorf("short nonce: %v", err)
	}
	if device.CodeOf(nil) != order.OK || device.CodeOf(errSilent) != order.Failed {
		t.Error("codes")
	}
	ok(t, r.Device.Close())
	ok(t, r.Device.Close())
	for _, d := range []*device.Device{r.Device, new(device.Device)} {
		closed(t, d)
	}
}

// closed: it refuses everything, and does not panic.
func closed(t *testing.T, d *device.Device) {
	t.Helper()
	_, err := d.Deliver(ctx, request(t, &order.Request{Type: order.ReqNeed}))
	is(t, "deliver", err, device.ErrClosed)
	_, err = d.Apply(ctx, nil)
	is(t, "apply", err, device.ErrClosed)
	_, err = d.Challenge("x", 0)
	is(t, "challenge", err, device.ErrClosed)
	_, err = d.Counter("x", 0)
	is(t, "counter", err, device.ErrClosed)
	_, err = d.Report(ctx, make([]byte, 8))
	is(t, "report", err, device.ErrClosed)
	is(t, "freeze", d.Freeze(ctx), device.ErrClosed)
	is(t, "reset", d.HostReset(ctx), device.ErrClosed)
	is(t, "scrub", d.Scrub(ctx, 1), device.ErrClosed)
	is(t, "end", d.EndSession(order.SessionID{}), device.ErrSession)
	if _, err := d.Session(order.SessionID{}); err == nil {
		t.Error("a session")
	}
	if _, err := d.Certificate(ctx); err == nil {
		t.Error("a certificate")
	}
	if d.Policy() != nil || d.Status().PolicyName != "" {
		t.Error("a policy")
	}
	if _, err := d.Host().ReadAt(make([]byte, 1), 0); !errors.Is(err, nanolock.ErrDenied) && err == nil {
		t.Errorf("host: %v", err)
	}
	d.Poll(ctx)
}

// TestFailingKeystore: each call of the keystore fails, once or from then on, in
// each way, during a start and the orders behind it. The device refuses or goes on;
// what it shows afterwards is what it had, or what the order asked for.
func TestFailingKeystore(t *testing.T) { failingKeystore(t, keystore.ErrAbsent) }

func failingKeystore(t *testing.T, kinds ...error) {
	sc := map[string]func(*rig.Rig) ([]byte, error){
		"policy": func(r *rig.Rig) ([]byte, error) {
			b, err := r.NextPolicy(nil).MarshalBinary()
			ok(t, err)
			return r.Signed(order.Owner, order.Policy, &order.PolicyBody{Policy: b})
		},
		"transfer": func(r *rig.Rig) ([]byte, error) { m, _, _, err := r.Handover(order.Transfer, "bob"); return m, err },
		"end": func(r *rig.Rig) ([]byte, error) {
			return r.Signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Decommissioned)})
		},
	}
	for name, sign := range sc {
		c := newChip("failing")
		r := deployed(t, rig.Config{Keystore: opened(c), Device: *device.Remember(&device.Config{})})
		msg, err := sign(r)
		ok(t, err)
		ok(t, r.Device.Close())
		config := device.Remember(&device.Config{Vault: r.Policy.Area("vault").Span})
		d, err := device.Open(ctx, r.Flash.Clone(), c.clone(), config)
		ok(t, err)
		before := d.View()
		_, err = d.Apply(ctx, msg)
		ok(t, err)
		after := d.View()
		for _, kind := range kinds {
			for _, sticky := range []bool{false, true} {
				for k := 0; ; k++ {
					id := fmt.Sprintf("%s: %v from call %d (sticky %v)", name, kind, k, sticky)
					w := &world{flash: r.Flash.Clone(), chip: c.clone()}
					if !failing(t, id, w, config, msg, kind, k, sticky, before, after) {
						break
					}
				}
			}
		}
	}
}

func failing(t *testing.T, id string, w *world, config *device.Config, msg []byte, kind error, k int, sticky bool, before, after string) bool {
	n := 0
	w.chip.at = func(_ string, done bool) error {
		if done {
			return nil
		}
		if n++; n == k+1 || sticky && n > k {
			return kind
		}
		return nil
	}
	d, err := device.Open(ctx, w.flash, w.chip, config)
	if err != nil {
		t.Errorf("%s: start: %v", id, err)
		return false
	}
	if _, err := d.Host().ReadAt(make([]byte, 16), 0); err != nil && d.Policy() != nil {
		t.Errorf("%s: public content: %v", id, err)
	}
	_, err = d.Apply(ctx, msg)
	acked := err == nil
	if s := d.Status(); s.Degraded && (len(s.Why) == 0 || s.Health == 0) {
		t.Errorf("%s: degraded, and does not say why", id)
	}
	if s := d.Status(); s.Degraded {
		if _, err := d.Host().WriteAt(make([]byte, 16), 0x2000); err == nil {
			t.Errorf("%s: degraded, and a host writes", id)
		}
	}
	if n <= k {
		return false
	}
	w.chip.at = nil
	_ = d.Close()
	d, err = device.Open(ctx, w.flash, w.chip, config)
	if err != nil {
		t.Errorf("%s: next start: %v", id, err)
		return true
	}
	if v := d.View(); v != after && (acked || v != before) {
		t.Errorf("%s: acked %v, shows %s", id, acked, v)
	}
	return true
}

// TestNoKeystore: what is left without one.
func TestNoKeystore(t *testing.T) {
	r := deployed(t, rig.Config{})
	vault := r.Policy.Area("vault").Span
	ok(t, r.Device.Close())
	for _, base := range []*policy.Policy{nil, r.Policy, {Name: "does not fit"}} {
		d, err := device.Open(ctx, r.Flash, nil, &device.Config{Vault: vault, Baseline: base})
		ok(t, err)
		if s := d.Status(); !s.Degraded || s.Health&order.VaultLost == 0 {
			t.Errorf("status %+v", s)
		}
		_, err = d.Host().ReadAt(make([]byte, 16), 0)
		if (err == nil) != (base == r.Policy) {
			t.Errorf("reading: %v", err)
		}
		_, err = d.Report(ctx, make([]byte, 8))
		is(t, "report", err, device.ErrDegraded)
		_, err = d.Challenge(order.Owner, order.ClassRoot)
		is(t, "challenge", err, device.ErrDegraded)
		_, err = d.Apply(ctx, []byte{1})
		is(t, "apply", err, device.ErrDegraded)
		is(t, "freeze", d.Freeze(ctx), device.ErrDegraded)
		_, err = d.Certificate(ctx)
		is(t, "certificate", err, device.ErrDegraded)
		ok(t, d.Close())
	}
	for name, c := range map[string]*device.Config{"nowhere": {Vault: r.Policy.Region("log").Span}, "beyond": {Vault: r.Policy.Area("audit").Span}} {
		if _, err := device.Open(ctx, r.Flash, r.Keys, c); !errors.Is(err, device.ErrConfig) {
			t.Logf("%s: %v", name, err)
		}
	}
	_, err := device.Open(ctx, nil, nil, nil)
	is(t, "no memory", err, device.ErrConfig)
	noLatch := newChip("x")
	noLatch.noLatch = true
	_, err = device.Open(ctx, r.Flash, noLatch, nil)
	is(t, "no latch", err, device.ErrConfig)
	_, err = device.Open(ctx, r.Flash, newChip("y"), nil)
	is(t, "never latched", err, device.ErrNotProvisioned)
	_, err = device.Provision(ctx, r.Flash, nil, nil, nil)
	is(t, "provisioning without", err, device.ErrConfig)
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := device.Open(done, r.Flash, r.Keys, &device.Config{Vault: vault}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
}
