package device_test

import (
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// journalOf and copiesOf are the parts of a rig's vault.
func journalOf(r *rig.Rig) nvm.Span {
	v := r.Policy.Area("vault").Span
	return nvm.Span{Off: v.Off, Len: v.Len / 4}
}

func copiesOf(r *rig.Rig) nvm.Span {
	v, j := r.Policy.Area("vault").Span, journalOf(r)
	return nvm.Span{Off: j.End(), Len: v.Len - j.Len}
}

// erased is a device that starts without what stood at some places.
func erased(t *testing.T, c rig.Config, spans ...func(*rig.Rig) nvm.Span) *rig.Rig {
	t.Helper()
	r := deployed(t, c)
	ok(t, r.Device.Close())
	for _, s := range spans {
		ok(t, r.Flash.Erase(s(r).Off, s(r).Len))
	}
	ok(t, r.Open())
	if s := r.Device.Status(); !s.Degraded || s.Health&order.VaultLost == 0 {
		t.Fatalf("a blank vault passes: %+v", s)
	}
	return r
}

// behind is a device whose anchor is ahead of its vault, which still opens.
func behind(t *testing.T, r *rig.Rig) {
	t.Helper()
	r.Anchor.Put(r.Anchor.Value() + 5)
	ok(t, r.Restart())
	if s := r.Device.Status(); !s.Degraded || s.Health&order.AnchorAhead == 0 {
		t.Fatalf("an anchor ahead passes: %+v", s)
	}
}

// TestLostServes: without its journal a device serves what every host may read in
// deployed, by its owner's policy, and nothing else.
func TestLostServes(t *testing.T) {
	once := func(p *policy.Policy) {
		a := p.Region("calibration").Access
		a.Read = policy.Rule{}
		p.Region("calibration").In = map[policy.State]policy.Access{policy.Deployed: a}
	}
	read := func(r *rig.Rig, region string) error {
		_, err := r.Device.Host().ReadAt(make([]byte, 16), r.Policy.Region(region).Span.Off)
		return err
	}
	write := func(r *rig.Rig, region string) error {
		_, err := r.Device.Host().WriteAt([]byte{0}, r.Policy.Region(region).Span.Off)
		return err
	}
	r := erased(t, rig.Config{Policy: once}, journalOf)
	ok(t, read(r, "boot"))
	is(t, "confidential content", read(r, "secret"), nanolock.ErrDenied)
	is(t, "what deployed hides", read(r, "calibration"), nanolock.ErrDenied)
	is(t, "a write", write(r, "settings"), nanolock.ErrDenied)
	is(t, "an append", write(r, "log"), nanolock.ErrDenied)
	_, err := r.Device.Challenge(order.Vendor, order.ClassOperate)
	is(t, "a grant's challenge", err, device.ErrDegraded)
	is(t, "a policy", r.PutPolicy(r.NextPolicy(nil)), device.ErrDegraded)

	r = erased(t, rig.Config{}, journalOf, copiesOf)
	if err := read(r, "boot"); err == nil {
		t.Error("without policy and baseline something is served")
	}
	base := r.Policy.Clone()
	r.Config.Device.Baseline = base
	ok(t, r.Restart())
	ok(t, read(r, "boot"))
	is(t, "the baseline's confidential content", read(r, "secret"), nanolock.ErrDenied)
	is(t, "the baseline's writes", write(r, "settings"), nanolock.ErrDenied)
}

// TestForeignCopy: a policy of another owner in the copies of a lost vault is
// none, whatever its version.
func TestForeignCopy(t *testing.T) {
	r := erased(t, rig.Config{}, journalOf)
	ok(t, r.Device.Close())
	eve := must(rig.Person(cose.Ed25519, "eve"))
	hers := r.NextPolicy(func(p *policy.Policy) {
		p.Version = 99
		p.Authorities[0].Keys[0].Public = eve.Public().Bytes()
		p.Region("secret").Confidential = false
		p.Region("secret").Read = policy.Rule{Mode: policy.Any}
	})
	w, err := nvm.NewWindow(r.Mem, copiesOf(r))
	ok(t, err)
	c, err := vault.NewCopies(w)
	ok(t, err)
	ok(t, c.Put(ctx, 1, signedPolicy(r, hers, 1, eve)))
	ok(t, r.Open())
	if v := r.Device.Status().PolicyVersion; v != 1 {
		t.Errorf("policy %d is believed", v)
	}
	ok(t, c.Put(ctx, 0, signedPolicy(r, r.NextPolicy(func(p *policy.Policy) { p.Version = 50 }), 2, r.People(order.Owner)...)))
	ok(t, r.Restart())
	if v := r.Device.Status().PolicyVersion; v != 0 {
		t.Errorf("policy %d of another epoch is believed", v)
	}
}

// TestRecoverRefused: by the owner of the latch, for the next epoch, in answer to
// this boot's challenge, and only if something is lost.
func TestRecoverRefused(t *testing.T) {
	healthy := deployed(t, rig.Config{})
	is(t, "nothing is lost", healthy.Recover(policy.Deployed), device.ErrNotAllowed)
	eve := must(rig.Person(cose.Ed25519, "eve"))
	for _, spans := range [][]func(*rig.Rig) nvm.Span{{journalOf}, {journalOf, copiesOf}} {
		r := erased(t, rig.Config{}, spans...)
		owner := r.People(order.Owner)
		hers := r.NextPolicy(func(p *policy.Policy) { p.Authorities[0].Keys[0].Public = eve.Public().Bytes() })
		body := func(epoch uint32, st policy.State) *order.RecoverBody {
			return &order.RecoverBody{Policy: signedPolicy(r, r.NextPolicy(nil), epoch, owner...), State: uint8(st)}
		}
		challenged := func(b order.Body) *order.Order { return must(r.Order(order.Owner, order.Recover, b)) }
		foreign := &order.RecoverBody{Policy: signedPolicy(r, hers, 2, eve), State: uint8(policy.Deployed)}
		_, err := r.Device.Apply(ctx, must(order.Sign(challenged(foreign), eve)))
		is(t, "another owner", err, order.ErrSignature)
		if len(spans) == 1 {
			is(t, "to another owner", obeyed(r, challenged(foreign)), device.ErrPolicy)
		}
		is(t, "this epoch", obeyed(r, challenged(body(1, policy.Deployed))), order.ErrEpoch)
		is(t, "an epoch too far", obeyed(r, challenged(body(3, policy.Deployed))), order.ErrEpoch)
		is(t, "into the end", obeyed(r, challenged(body(2, policy.Decommissioned))), device.ErrNotAllowed)
		o := challenged(body(2, policy.Deployed))
		o.Fresh.Challenge[0] ^= 1
		is(t, "another challenge", obeyed(r, o), device.ErrStale)
		o.Fresh.Challenge[0] ^= 1
		ok(t, r.Restart())
		is(t, "a challenge of the boot before", obeyed(r, o), device.ErrStale)
		if l, err := r.Latch.Read(ctx); err != nil || l.Epoch != 1 {
			t.Fatalf("latch %+v, %v", l, err)
		}
		ok(t, r.Recover(policy.Deployed))
	}
}

// TestRecoverCutBeforeLatch: a device that cannot be written is as lost as before.
func TestRecoverCutBeforeLatch(t *testing.T) {
	r := erased(t, rig.Config{}, journalOf)
	o := must(r.Order(order.Owner, order.Recover, &order.RecoverBody{State: uint8(policy.Deployed),
		Policy: signedPolicy(r, r.NextPolicy(nil), 2, r.People(order.Owner)...)}))
	r.Flash.PowerCut()
	if err := obeyed(r, o); err == nil {
		t.Error("recovered without power")
	}
	r.Flash.PowerOn()
	if l, err := r.Latch.Read(ctx); err != nil || l.Epoch != 1 {
		t.Errorf("the latch moved in front of the vault: %+v, %v", l, err)
	}
}

// TestRecoverUsage: of what nobody knows any more nothing is left to use; what the
// old vault still knows stays used.
func TestRecoverUsage(t *testing.T) {
	denied := func(r *rig.Rig, region string) {
		t.Helper()
		_, err := r.Device.Host().WriteAt([]byte{0}, r.Policy.Region(region).Span.Off+64)
		is(t, region, err, nanolock.ErrDenied)
	}
	r := erased(t, rig.Config{}, journalOf)
	ok(t, r.Recover(policy.Manufacturing)) // deployed seals what is written once
	denied(r, "calibration")
	denied(r, "log")
	is(t, "settings", r.Device.Host().Erase(r.Policy.Region("settings").Span.Off, block), nanolock.ErrDenied)

	r = deployed(t, rig.Config{})
	_, err := r.Device.Host().WriteAt(make([]byte, 256), r.Policy.Region("log").Span.Off)
	ok(t, err)
	behind(t, r)
	ok(t, r.Recover(policy.Deployed, order.RegionUsage{Region: 3}))
	denied(r, "log")
}

// TestRecoverState: a vault that can be read says in which state the device is,
// and that it was in rma.
func TestRecoverState(t *testing.T) {
	r := deployed(t, rig.Config{})
	ok(t, r.Lifecycle(policy.RMA))
	ok(t, r.Lifecycle(policy.Deployed))
	behind(t, r)
	is(t, "back to manufacturing", r.Recover(policy.Manufacturing), device.ErrNotAllowed)
	ok(t, r.Recover(policy.Deployed))
	for range 2 {
		if h := r.Device.Status().Health; h&order.WasRMA == 0 {
			t.Errorf("health %b", h)
		}
		ok(t, r.Restart())
	}
}

// TestLatchBeyond: a latch in an epoch that no vault has is no latch of epoch 1.
func TestLatchBeyond(t *testing.T) {
	r := deployed(t, rig.Config{})
	l, err := r.Latch.Read(ctx)
	ok(t, err)
	ok(t, r.Latch.Set(ctx, keystore.Record{Root: l.Root, Epoch: 1<<32 | 1}))
	ok(t, r.Restart())
	if s := r.Device.Status(); !s.Degraded {
		t.Errorf("status %+v", s)
	}
}
