package device_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// memories are what every test of a whole device runs over.
func memories(t *testing.T, f func(t *testing.T, c rig.Config)) {
	for _, m := range []sim.Config{rig.NOR(), rig.ECCNOR(), rig.NAND(), rig.File()} {
		t.Run(m.Name, func(t *testing.T) { f(t, rig.Config{Sim: m}) })
	}
}

func deployed(t testing.TB, c rig.Config) *rig.Rig {
	t.Helper()
	r, err := rig.New(c)
	ok(t, err)
	ok(t, r.Lifecycle(policy.Deployed))
	return r
}

func TestPolicyOrder(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r := deployed(t, c)
		old, err := r.Signed(order.Owner, order.Policy, &order.PolicyBody{Policy: must(r.Policy.MarshalBinary())})
		ok(t, err)
		_, err = r.Device.Apply(ctx, old)
		is(t, "same version", err, device.ErrPolicy)
		p := r.NextPolicy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
		ok(t, r.PutPolicy(p))
		at := p.Region("settings").Span.Off
		if _, err := r.Device.Host().WriteAt(page(r), at); !errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("the new policy does not hold: %v", err)
		}
		ok(t, r.Cut())
		if _, err := r.Device.Host().WriteAt(page(r), at); !errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("the new policy does not hold after a cut: %v", err)
		}
		if got := r.Device.Status(); got.PolicyVersion != 2 || got.Degraded {
			t.Errorf("status %+v", got)
		}
		for name, change := range map[string]func(*policy.Policy){
			"older":          func(p *policy.Policy) { p.Version = 1 },
			"moves a region": func(p *policy.Policy) { p.Region("boot").Span.Len /= 2 },
			"moves the vault": func(p *policy.Policy) {
				p.Area("vault").Span.Len /= 2
			},
			"other owner": func(p *policy.Policy) {
				s := must(rig.Person(cose.Ed25519, "somebody"))
				p.Authorities[0].Keys = []policy.Key{{Name: "x", Public: s.Public().Bytes()}}
			},
		} {
			if err := r.PutPolicy(r.NextPolicy(change)); !errors.Is(err, device.ErrPolicy) {
				t.Errorf("%s: %v", name, err)
			}
		}
		dev := r.NextPolicy(func(p *policy.Policy) { p.Authorities[1].Keys[0].Development = true })
		is(t, "development key", r.PutPolicy(dev), device.ErrDevelopment)
	})
}

// page is what every one of the memories takes in one program.
func page(r *rig.Rig) []byte {
	g := r.Mem.Geometry()
	return make([]byte, max(g.ProgramSize, g.PageSize))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTransfer(t *testing.T) {
	for _, kind := range []order.Kind{order.Transfer, order.Keys} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			memories(t, func(t *testing.T, c rig.Config) {
				r := deployed(t, c)
				old := *r
				unspent, err := r.Signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.RMA)})
				ok(t, err)
				ok(t, r.NewOwner(kind, "bob"))
				for i := range 2 {
					_, err = r.Device.Apply(ctx, unspent)
					is(t, "order of the old owner", err, order.ErrEpoch)
					old.Device, old.Epoch = r.Device, r.Epoch
					is(t, "old owner in the new epoch", old.Lifecycle(policy.RMA), order.ErrSignature)
					if s := r.Device.Status(); s.OwnerEpoch != 2 || s.Degraded {
						t.Fatalf("status %+v", s)
					}
					if i == 0 {
						ok(t, r.Cut())
					}
				}
				ok(t, r.Lifecycle(policy.RMA))
			})
		})
	}
}

func TestRevoke(t *testing.T) {
	r := deployed(t, rig.Config{})
	h, id, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	vendor := r.People(order.Vendor)[0].Public().ID()
	_, err = r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{r.People(order.Owner)[0].Public().ID()}})
	is(t, "revoking the owner", err, device.ErrNotAllowed)
	_, err = r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{{1}}})
	is(t, "revoking nobody", err, device.ErrNotAllowed)
	late, err := r.Signed(order.Vendor, order.Grant, r.Whole("boot"))
	ok(t, err)
	_, err = r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{vendor}})
	ok(t, err)
	is(t, "session of a revoked key", h.Erase(0, 4096), nanolock.ErrEnded)
	_, err = r.Device.Session(id)
	is(t, "session", err, device.ErrSession)
	for range 2 {
		if _, err := r.Device.Apply(ctx, late); err == nil {
			t.Error("a revoked key opens")
		}
		ok(t, r.Cut())
	}
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	if _, err := r.Device.Apply(ctx, late); err == nil {
		t.Error("a policy that still names the key brings it back")
	}
}

func TestLifecycle(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r := deployed(t, c)
		secret := r.Policy.Region("secret").Span
		h, _, err := r.Grant(rig.Service, r.Whole("secret"))
		ok(t, err)
		p := page(r)
		copy(p, "the customer's key")
		ok(t, h.Erase(secret.Off, secret.Len))
		_, err = h.WriteAt(p, secret.Off)
		ok(t, err)
		is(t, "back to manufacturing", r.Lifecycle(policy.Manufacturing), device.ErrNotAllowed)
		ok(t, r.Lifecycle(policy.RMA))
		got := page(r)
		_, err = r.Mem.ReadAt(got, secret.Off)
		ok(t, err)
		for _, b := range got {
			if b != r.Mem.Geometry().Erased {
				t.Fatalf("not wiped: %q", got[:20])
			}
		}
		ok(t, r.Lifecycle(policy.Deployed))
		ok(t, r.Cut())
		rep, err := r.Report()
		ok(t, err)
		if rep.Health != order.WasRMA {
			t.Errorf("health %b", rep.Health)
		}
		reply, err := r.Do(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.Decommissioned)})
		ok(t, err)
		cert, err := order.OpenReport(reply.Report, r.Device.Identity(), nil)
		ok(t, err)
		if cert.Certificate == nil || cert.Certificate.Order != reply.Digest || len(cert.Certificate.Wiped) != 1 {
			t.Errorf("certificate %+v", cert.Certificate)
		}
		is(t, "after the end", r.Lifecycle(policy.Deployed), device.ErrNotAllowed)
		stored, err := r.Device.Certificate(ctx)
		ok(t, err)
		if string(stored) != string(reply.Report) {
			t.Error("the certificate that is kept is another")
		}
	})
}

func TestFreeze(t *testing.T) {
	r := deployed(t, rig.Config{})
	at := r.Policy.Region("settings").Span.Off
	ok(t, r.Device.Freeze(ctx))
	for range 2 {
		_, err := r.Device.Host().WriteAt([]byte{1}, at)
		is(t, "frozen", err, nanolock.ErrDenied)
		_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
		is(t, "grant", err, device.ErrFrozen)
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
		_, err = r.Device.Host().WriteAt([]byte{1}, at)
		is(t, "frozen under a new policy", err, nanolock.ErrDenied)
		ok(t, r.Cut())
	}
	_, err := r.Do(order.Operations, order.Thaw, &order.ThawBody{})
	ok(t, err)
	_, err = r.Device.Host().WriteAt([]byte{1}, at)
	ok(t, err)
	_, err = r.Do(order.Operations, order.Thaw, &order.ThawBody{})
	is(t, "thaw of what is not frozen", err, device.ErrNotAllowed)
}

func TestVoid(t *testing.T) {
	r := deployed(t, rig.Config{})
	unspent, err := r.Signed(order.Vendor, order.Grant, r.Whole("boot"))
	ok(t, err)
	_, err = r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 7})
	ok(t, err)
	_, err = r.Device.Apply(ctx, unspent)
	is(t, "voided", err, device.ErrStale)
	_, err = r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 7})
	is(t, "again", err, device.ErrStale)
}

func TestAnchor(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r := deployed(t, c)
		before := r.Flash.Snapshot()
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
		ok(t, r.Device.Close())
		ok(t, r.Flash.Restore(before))
		ok(t, r.Open())
		s := r.Device.Status()
		if !s.Degraded || s.Health&order.AnchorAhead == 0 {
			t.Fatalf("an old copy of the flash passes: %+v", s)
		}
		is(t, "orders", r.PutPolicy(r.NextPolicy(nil)), device.ErrDegraded)
		if _, err := r.Device.Host().ReadAt(make([]byte, 16), 0); err != nil {
			t.Errorf("public content: %v", err)
		}
		ok(t, r.Recover(policy.Deployed))
		if s := r.Device.Status(); s.Degraded || s.OwnerEpoch != 2 {
			t.Fatalf("recovered: %+v", s)
		}
		ok(t, r.Cut())
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
	})
}

func TestPendingAnchor(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Anchor.Fail(keystore.ErrBusy, false)
	p := r.NextPolicy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
	is(t, "the anchor is silent", r.PutPolicy(p), device.ErrBusy)
	at := p.Region("settings").Span.Off
	if _, err := r.Device.Host().WriteAt([]byte{1}, at); err != nil {
		t.Errorf("the effect did not wait: %v", err)
	}
	r.Anchor.Fail(nil, false)
	_, err := r.Do(order.Platform, order.Heartbeat, &order.LiveBody{})
	ok(t, err)
	_, err = r.Device.Host().WriteAt([]byte{1}, at)
	is(t, "once the anchor answers", err, nanolock.ErrDenied)
}
