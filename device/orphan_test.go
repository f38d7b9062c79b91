package device_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// orphaned starts r with a latch that reads as never set, and sees that it is a lost
// device: nothing but its owner's order to recover counts.
func orphaned(t *testing.T, r *rig.Rig) {
	t.Helper()
	r.Latch.Blank()
	ok(t, r.Restart())
	s := r.Device.Status()
	if !s.Degraded || s.Health != order.VaultLost || len(s.Why) == 0 || !strings.Contains(s.Why[0], "never set") {
		t.Fatalf("not lost: %+v", s)
	}
	r.Epoch = s.OwnerEpoch
	if _, err := r.Device.Host().ReadAt(make([]byte, 16), 0); err != nil {
		t.Errorf("public content: %v", err)
	}
	for _, name := range []string{"boot", "settings", "secret"} {
		if err := r.Device.Host().Erase(r.Policy.Region(name).Span.Off, r.Mem.Geometry().EraseSize); !errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("a host erases %s: %v", name, err)
		}
	}
	is(t, "policy", r.PutPolicy(r.NextPolicy(nil)), device.ErrDegraded)
	if _, err := r.Report(); err != nil {
		t.Error(err)
	}
	before := r.Flash.Fingerprint()
	msg, err := r.FirstPolicy()
	ok(t, err)
	if _, err := device.Provision(ctx, r.Mem, r.Keys, msg, r.Settings()); !errors.Is(err, device.ErrProvisioned) && !errors.Is(err, order.ErrEpoch) {
		t.Errorf("provisioned anew: %v", err)
	}
	if r.Flash.Fingerprint() != before {
		t.Error("something was written")
	}
}

func TestOrphan(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r := deployed(t, c)
		first, err := r.FirstPolicy()
		ok(t, err)
		ok(t, r.Lifecycle(policy.RMA))
		ok(t, r.Lifecycle(policy.Deployed))
		ok(t, r.Device.Host().Erase(r.Policy.Region("settings").Span.Off, r.Mem.Geometry().EraseSize))
		orphaned(t, r)
		_, err = device.Provision(ctx, r.Mem, r.Keys, first, r.Settings())
		is(t, "the first policy again", err, device.ErrProvisioned)

		stranger := *r
		stranger.Hire(order.Owner, must(rig.Person(r.Suite, "stranger")))
		is(t, "a stranger", stranger.Recover(policy.Deployed), order.ErrSignature)
		r.Hire(order.Owner, must(rig.Person(r.Suite, "owner 0 0")))
		is(t, "another state", r.Recover(policy.Manufacturing), device.ErrNotAllowed)
		before := r.Flash.Fingerprint()
		r.Latch.Fail(keystore.ErrBusy)
		is(t, "a latch that does not answer", r.Recover(policy.Deployed), keystore.ErrBusy)
		if r.Flash.Fingerprint() != before {
			t.Error("the flash was touched before the latch was set")
		}
		r.Latch.Fail(nil)
		ok(t, r.Recover(policy.Deployed))
		for range 2 {
			if s := r.Device.Status(); s.Degraded || s.OwnerEpoch != 3 || s.Health&^order.AuditBroken != order.WasRMA {
				t.Fatalf("recovered: %+v", s)
			}
			_, err = r.Device.Host().WriteAt(page(r), r.Policy.Region("calibration").Span.Off)
			is(t, "what may be written once", err, nanolock.ErrDenied)
			rep, err := r.Report()
			ok(t, err)
			for _, u := range rep.Wear {
				if u.Region == 2 && (u.Erases == 0 || u.Erases >= 200) {
					t.Errorf("wear that the vault told is lost: %+v", u)
				}
			}
			ok(t, r.Cut())
		}
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
	})
}

// The owner is the one in force when the latch went, also if the power went while
// the device was changing hands.
func TestOrphanTransferred(t *testing.T) {
	for _, pending := range []bool{false, true} {
		r := deployed(t, rig.Config{})
		old := r.People(order.Owner)
		before := r.Flash.Snapshot()
		msg, _, commit, err := r.Handover(order.Transfer, "bob")
		ok(t, err)
		if pending {
			r.Anchor.Fail(keystore.ErrBusy, false)
		}
		_, err = r.Device.Apply(ctx, msg)
		if pending != errors.Is(err, device.ErrBusy) {
			t.Fatal(err)
		}
		r.Anchor.Fail(nil, false)
		commit()
		bob := r.People(order.Owner)
		orphaned(t, r)
		r.Hire(order.Owner, old...)
		is(t, "the old owner", r.Recover(policy.Deployed), order.ErrSignature)
		r.Hire(order.Owner, bob...)
		ok(t, r.Recover(policy.Deployed))

		// What blanking a latch gains whoever also has an old copy of the flash and the key
		// of an earlier owner. See orphan.
		r.Latch.Blank()
		ok(t, r.Device.Close())
		ok(t, r.Flash.Restore(before))
		ok(t, r.Open())
		r.Hire(order.Owner, old...)
		r.Epoch = r.Device.Status().OwnerEpoch
		ok(t, r.Recover(policy.Deployed))
		if rep, err := r.Report(); err != nil || rep.Epoch >= 4 {
			t.Errorf("the epoch does not show it: %d, %v", rep.Epoch, err)
		}
	}
}

// A device is new only if nothing on its flash is its own.
func TestNotOrphan(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Latch.Blank()
	ok(t, r.Device.Close())
	r.Device = nil
	// The flash of another device.
	other, err := rig.New(rig.Config{Seed: 2, Memory: r.Flash.Clone(), Blank: true})
	ok(t, err)
	is(t, "another device's flash", other.Open(), device.ErrNotProvisioned)
	ok(t, other.Provision())
	// Its own, erased.
	at := r.Policy.Area("vault").Span
	ok(t, r.Mem.Erase(at.Off, at.Len))
	is(t, "erased", r.Open(), device.ErrNotProvisioned)
	r.Epoch = 1
	ok(t, r.Provision())
}

// Without its copies the vault names nobody, and nobody recovers it; it is not new.
func TestOrphanNameless(t *testing.T) {
	r := deployed(t, rig.Config{})
	at := r.Policy.Area("vault").Span
	ok(t, r.Mem.Erase(at.Off+4<<12, at.Len-4<<12))
	r.Latch.Blank()
	ok(t, r.Restart())
	s := r.Device.Status()
	if !s.Degraded || s.Health != order.VaultLost || !strings.Contains(s.Why[0], "names no owner") {
		t.Fatalf("%+v", s)
	}
	r.Epoch = s.OwnerEpoch
	is(t, "recover", r.Recover(policy.Deployed), device.ErrDegraded)
	r.Epoch = 1
	is(t, "provision", r.Provision(), device.ErrProvisioned)
	ok(t, r.Open())
	// Nor does a vault that names no policy at all.
	ok(t, r.Device.Close())
	key := must(r.Keys.Derive(ctx, "vault-mac"))
	v, err := vault.Format(ctx, must(nvm.NewWindow(r.Mem, journalOf(r))), key, vault.Options{Epoch: 5})
	ok(t, err)
	ok(t, v.Close())
	ok(t, r.Open())
	if s := r.Device.Status(); !s.Degraded || !strings.Contains(s.Why[0], "epoch 5, which names no owner") {
		t.Errorf("%+v", s)
	}
	// A keystore that does not derive tells nothing: not that the device is new either.
	ok(t, r.Mem.Erase(at.Off, at.Len))
	r.Config.Keystore = func() (keystore.Keystore, error) { return mute{r.Keys}, nil }
	ok(t, r.Restart())
	if s := r.Device.Status(); !s.Degraded {
		t.Errorf("%+v", s)
	}
}

// mute is a keystore that derives nothing.
type mute struct{ keystore.Keystore }

func (mute) Derive(context.Context, string) ([32]byte, error) { return [32]byte{}, keystore.ErrBusy }

// The power goes at each operation of an order to recover an orphan: never does the
// device pass for new, and its owner gets it back.
func TestOrphanCut(t *testing.T) {
	for n := uint64(0); ; n++ {
		r := deployed(t, rig.Config{})
		r.Latch.Blank()
		ok(t, r.Restart())
		r.Epoch = r.Device.Status().OwnerEpoch
		r.Flash.CutAtOp(r.Flash.Ops()+n, "")
		err := r.Recover(policy.Deployed)
		r.Flash.PowerOn()
		ok(t, r.Cut())
		s := r.Device.Status()
		if r.Epoch = s.OwnerEpoch; s.Degraded {
			r.Policy.Version += 5
			if again := r.Recover(policy.Deployed); again != nil {
				t.Fatalf("operation %d: %v, then %v", n, err, again)
			}
		}
		ok(t, r.Cut())
		if s := r.Device.Status(); s.Degraded || s.OwnerEpoch < 3 {
			t.Fatalf("operation %d: %v, then %+v", n, err, s)
		}
		if err == nil {
			return
		}
	}
}

// The power goes at each operation of Provision: it may be called again, or is done.
func TestProvisionCut(t *testing.T) {
	for n := uint64(0); ; n++ {
		r, err := rig.New(rig.Config{Blank: true})
		ok(t, err)
		r.Flash.CutAtOp(n, "")
		cut := r.Provision()
		r.Flash.PowerOn()
		err = r.Cut()
		if err != nil {
			is(t, "after a cut", err, device.ErrNotProvisioned)
			ok(t, r.Provision())
		}
		ok(t, r.Lifecycle(policy.Deployed))
		orphaned(t, r)
		if cut == nil {
			return
		}
	}
}

// An anchor that was taken away while the device runs: the order that met it does not act,
// and the device waits for its owner, as one that starts so does.
func TestAnchorReset(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := deployed(t, rig.Config{})
		msg, err := r.Signed(order.Vendor, order.Grant, r.Whole("boot"))
		ok(t, err)
		if late { // at first it is only silent
			r.Anchor.Fail(keystore.ErrBusy, false)
			_, err = r.Device.Apply(ctx, msg)
			is(t, "silent", err, device.ErrBusy)
			if s := r.Device.Status(); s.Degraded || !s.Pending || s.Health&order.AnchorAbsent == 0 {
				t.Errorf("%+v", s)
			}
		}
		r.Anchor.Fail(&keystore.Error{Op: "anchor", Kind: keystore.ErrReset}, false)
		reply, err := r.Device.Apply(ctx, msg)
		if err == nil || reply.Session != nil {
			t.Fatalf("late %v: %v, %v", late, reply, err)
		}
		for range 2 {
			if s := r.Device.Status(); !s.Degraded || s.Health&order.AnchorAbsent == 0 {
				t.Errorf("%+v", s)
			}
			if _, err := r.Device.Host().ReadAt(make([]byte, 16), 0); err != nil {
				t.Error(err)
			}
			if _, err := r.Device.Host().WriteAt(page(r), r.Policy.Region("settings").Span.Off); !errors.Is(err, nanolock.ErrDenied) {
				t.Errorf("a host writes: %v", err)
			}
			ok(t, r.Restart())
		}
		ok(t, r.Recover(policy.Deployed))
		if s := r.Device.Status(); s.Degraded {
			t.Errorf("%+v", s)
		}
		ok(t, r.PutPolicy(r.NextPolicy(nil)))
	}
}

// A flash that cannot be read does not say whether the device is new.
func TestOrphanUnreadable(t *testing.T) {
	r := deployed(t, rig.Config{})
	r.Latch.Blank()
	ok(t, r.Device.Close())
	r.Device = nil
	gone := errors.New("gone")
	r.Mem = unreadable{r.Mem, gone}
	is(t, "open", r.Open(), gone)
	is(t, "provision", r.Provision(), gone)
	r.Mem = r.Flash
	ok(t, r.Open())
	if s := r.Device.Status(); !s.Degraded {
		t.Errorf("%+v", s)
	}
}

type unreadable struct {
	nvm.NVM
	err error
}

func (u unreadable) ReadAt([]byte, int64) (int, error) { return 0, u.err }
