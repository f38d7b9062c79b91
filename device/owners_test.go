package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// signedPolicy is p as an order of an owner epoch, signed by who.
func signedPolicy(r *rig.Rig, p *policy.Policy, epoch uint32, who ...*cose.Signer) []byte {
	return must(order.Sign(&order.Order{Kind: order.Policy, Device: r.ID, Epoch: epoch, Authority: order.Owner,
		Fresh: order.Fresh{Counter: 1}, Body: &order.PolicyBody{Policy: must(p.MarshalBinary())}}, who...))
}

// TestTransferRefused: to the next owner epoch, and by a policy that could be put
// in force.
func TestTransferRefused(t *testing.T) {
	r := deployed(t, rig.Config{})
	bob := must(rig.Person(cose.Ed25519, "bob"))
	next := func(change func(*policy.Policy)) *policy.Policy {
		return r.NextPolicy(func(p *policy.Policy) {
			p.Authorities[0].Keys[0].Public = bob.Public().Bytes()
			change(p)
		})
	}
	same := func(*policy.Policy) {}
	for name, c := range map[string]struct {
		msg []byte
		err error
	}{
		"this epoch":       {signedPolicy(r, next(same), 1, bob), order.ErrEpoch},
		"an epoch too far": {signedPolicy(r, next(same), 3, bob), order.ErrEpoch},
		"epoch 0":          {signedPolicy(r, next(same), 0, bob), order.ErrEpoch},
		"not his keys":     {signedPolicy(r, next(same), 2, r.People(order.Owner)...), order.ErrSignature},
		"an older policy":  {signedPolicy(r, next(func(p *policy.Policy) { p.Version = 1 }), 2, bob), device.ErrPolicy},
		"regions that move": {signedPolicy(r, next(func(p *policy.Policy) { p.Region("boot").Span.Len /= 2 }), 2, bob),
			device.ErrPolicy},
	} {
		for _, b := range []struct {
			kind order.Kind
			body order.Body
		}{{order.Transfer, &order.TransferBody{Policy: c.msg}}, {order.Keys, &order.KeysBody{Policy: c.msg}}} {
			_, err := r.Do(order.Owner, b.kind, b.body)
			is(t, name, err, c.err)
		}
	}
	if s := r.Device.Status(); s.OwnerEpoch != 1 || s.Degraded {
		t.Errorf("status %+v", s)
	}
	ok(t, r.NewOwner(order.Transfer, "bob"))
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	ok(t, r.Restart())
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
}

// TestRevokedForNextOwner: a key stays revoked when the device changes hands, also
// if that is completed by the next start.
func TestRevokedForNextOwner(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := deployed(t, rig.Config{})
		_, err := r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{r.People(order.Vendor)[0].Public().ID()}})
		ok(t, err)
		msg, _, commit, err := r.Handover(order.Transfer, "bob")
		ok(t, err)
		if late {
			r.Anchor.Fail(keystore.ErrBusy, false)
			_, err = r.Device.Apply(ctx, msg)
			is(t, "the anchor is silent", err, device.ErrBusy)
			r.Anchor.Fail(nil, false)
			ok(t, r.Cut())
		} else {
			_, err = r.Device.Apply(ctx, msg)
			ok(t, err)
		}
		commit()
		for range 2 {
			if s := r.Device.Status(); s.OwnerEpoch != 2 || s.Degraded {
				t.Fatalf("status %+v", s)
			}
			_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
			is(t, "a revoked key under the next owner", err, order.ErrAuthority)
			ok(t, r.Cut())
		}
	}
}

// TestRevokedAreBounded: six keys at a time, in one order or in several.
func TestRevokedAreBounded(t *testing.T) {
	var ids [][32]byte
	r := deployed(t, rig.Config{Policy: func(p *policy.Policy) {
		for _, n := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			key := must(rig.Person(cose.Ed25519, n)).Public()
			ids = append(ids, key.ID())
			p.Authorities[1].Keys = append(p.Authorities[1].Keys, policy.Key{Name: n, Public: key.Bytes()})
		}
	}})
	revoke := func(ids ...[32]byte) error {
		_, err := r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: ids})
		return err
	}
	is(t, "seven", revoke(ids...), device.ErrFull)
	ok(t, revoke(ids[:6]...))
	is(t, "a seventh", revoke(ids[6]), device.ErrFull)
	is(t, "one again", revoke(ids[0]), device.ErrNotAllowed)
}

// TestProvisionRefused: a device is given its first owner in epoch 1, by a policy
// for it, and by nobody once it has one.
func TestProvisionRefused(t *testing.T) {
	r, err := rig.New(rig.Config{Blank: true})
	ok(t, err)
	provision := func(msg []byte) error {
		d, err := device.Provision(ctx, r.Mem, r.Keys, msg, &device.Config{Vault: r.Policy.Area("vault").Span})
		if err == nil {
			ok(t, d.Close())
		}
		return err
	}
	owner := r.People(order.Owner)
	is(t, "epoch 2", provision(signedPolicy(r, r.Policy, 2, owner...)), order.ErrEpoch)
	short := r.NextPolicy(func(p *policy.Policy) { p.Area("vault").Span.Len -= block })
	is(t, "another vault", provision(signedPolicy(r, short, 1, owner...)), device.ErrPolicy)
	good := signedPolicy(r, r.Policy, 1, owner...)
	r.Flash.PowerCut()
	if err := provision(good); err == nil {
		t.Error("provisioned without power")
	}
	r.Flash.PowerOn()
	if l, err := r.Latch.Read(ctx); err != nil || l.Set() {
		t.Errorf("the latch moved in front of the vault: %+v, %v", l, err)
	}
	ok(t, provision(good))
	ok(t, provision(good))
	is(t, "another policy", provision(signedPolicy(r, r.NextPolicy(nil), 1, owner...)), device.ErrProvisioned)
	bob := must(rig.Person(cose.Ed25519, "bob"))
	his := r.NextPolicy(func(p *policy.Policy) { p.Authorities[0].Keys[0].Public = bob.Public().Bytes() })
	is(t, "another owner", provision(signedPolicy(r, his, 1, bob)), device.ErrProvisioned)
	v := r.Policy.Area("vault").Span
	ok(t, r.Flash.Erase(v.Off, v.Len))
	is(t, "another owner of a blank vault", provision(signedPolicy(r, his, 1, bob)), device.ErrProvisioned)
	is(t, "a blank vault", provision(good), device.ErrProvisioned)
}
