package device_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// guarded is what holds whatever was done to the TPM: the firmware is as it was, hosts
// read it and change nothing, and no spent order acts.
func (m *meter) guarded(spent []byte) {
	m.t.Helper()
	boot := m.Policy.Region("boot").Span
	got := make([]byte, 8)
	if _, err := m.Device.Host().ReadAt(got, boot.Off); err != nil || string(got) != "firmware" {
		m.t.Errorf("firmware: %q, %v", got, err)
	}
	if _, err := m.Device.Host().WriteAt(make([]byte, 8), boot.Off); !errors.Is(err, nanolock.ErrDenied) {
		m.t.Errorf("a host writes the firmware: %v", err)
	}
	if _, err := m.Device.Host().ReadAt(got, m.Policy.Region("secret").Span.Off); !errors.Is(err, nanolock.ErrDenied) {
		m.t.Errorf("a host reads the secret: %v", err)
	}
	if r, err := m.Device.Apply(ctx, spent); err == nil || r.Session != nil {
		m.t.Errorf("a spent order acts: %v", err)
	}
	if got := m.Device.Status().Sessions; got != 0 {
		m.t.Errorf("%d sessions are open", got)
	}
}

// spend has the vendor use a grant up.
func (m *meter) spend() []byte {
	m.t.Helper()
	msg, err := m.Signed(order.Vendor, order.Grant, m.Whole("boot"))
	ok(m.t, err)
	r, err := m.Device.Apply(ctx, msg)
	ok(m.t, err)
	ok(m.t, m.Device.EndSession(*r.Session))
	return msg
}

// heals has the owner recover the device, which works as before then.
func (m *meter) heals(spent []byte) {
	m.t.Helper()
	m.Epoch = m.Device.Status().OwnerEpoch
	ok(m.t, m.Recover(policy.Deployed))
	if m.mend = false; m.chip.cmd != nil {
		ok(m.t, m.Restart()) // from now on it opens without being mended
	}
	if s := m.Device.Status(); s.Degraded || s.Health&^order.AuditBroken != 0 || m.kerr != nil {
		m.t.Fatalf("recovered: %+v, %v", s, m.kerr)
	}
	m.guarded(spent)
	m.guarded(m.spend())
}

func TestTPM(t *testing.T) {
	m := newMeter(t)
	id := m.Keys.Identity()
	e, err := tpm.ParseEvidence(id.Evidence)
	ok(t, err)
	ok(t, e.Verify(id))
	before, err := m.Report()
	ok(t, err)
	if before.Anchor.Kind != uint8(keystore.Hardware) || before.Anchor.Value != before.Anchor.Through {
		t.Errorf("anchor %+v", before.Anchor)
	}
	old := m.Flash.Snapshot()
	spent := m.spend()
	after, err := m.Report()
	ok(t, err)
	if after.Anchor.Value != before.Anchor.Value+1 || after.Anchor.Through != after.Anchor.Value {
		t.Errorf("a grant took the anchor from %+v to %+v", before.Anchor, after.Anchor)
	}
	m.guarded(spent)
	// Both lose their power.
	m.chip.off()
	m.chip.on()
	ok(t, m.Cut())
	m.guarded(spent)
	if s := m.Device.Status(); s.Degraded || m.kerr != nil {
		t.Fatalf("%+v, %v", s, m.kerr)
	}
	// An old copy of the flash, in which the grant is fresh.
	ok(t, m.Device.Close())
	ok(t, m.Flash.Restore(old))
	ok(t, m.Open())
	if s := m.Device.Status(); s.Health&order.AnchorAhead == 0 || !s.Degraded {
		t.Fatalf("an old copy passes: %+v", s)
	}
	m.guarded(spent)
	m.heals(spent)
	if r, err := m.Keys.Latch().Read(ctx); err != nil || r.Epoch != 2 {
		t.Errorf("latch of epoch %d, %v", r.Epoch, err)
	}
}

// A second client of the TPM does what it can while the lock runs.
func TestTPMAttacked(t *testing.T) {
	for _, tc := range []struct {
		name    string
		attack  func(m *meter)
		running order.Health // what the next anchored order shows
		kind    error        // of the keystore at the next start
		hand    tpm2.TPMHandle
		mended  order.Health // what an opening with Mend shows
	}{
		{"counter gone", func(m *meter) { m.undefine(nvCounter) }, order.AnchorAbsent, keystore.ErrReset, 0, order.AnchorAhead},
		{"counter replaced", func(m *meter) { m.replace(nvCounter) }, order.AnchorAbsent, keystore.ErrReset, nvCounter, order.AnchorAhead},
		{"counter stepped", func(m *meter) { m.step(1) }, order.AnchorAhead, nil, 0, order.AnchorAhead},
		{"counter stepped far", func(m *meter) { m.step(40) }, order.AnchorAhead, nil, 0, order.AnchorAhead},
		{"latch gone", func(m *meter) { m.undefine(nvCounter + 1) }, 0, keystore.ErrReset, 0, order.VaultLost},
		{"later latch gone", func(m *meter) { m.undefine(nvCounter + 2) }, 0, keystore.ErrReset, 0, order.VaultLost},
		{"later latch replaced", func(m *meter) { m.replace(nvCounter + 2) }, 0, keystore.ErrReset, nvCounter + 2, order.VaultLost},
		{"all gone", func(m *meter) {
			for n := range tpm2.TPMHandle(3) {
				m.undefine(nvCounter + n)
			}
		}, order.AnchorAbsent, keystore.ErrReset, 0, order.VaultLost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMeter(t)
			spent := m.spend()
			tc.attack(m)
			m.guarded(spent)
			p := m.NextPolicy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
			err := m.PutPolicy(p)
			if (err != nil) != (tc.running != 0) {
				t.Errorf("an anchored order: %v", err)
			}
			if s := m.Device.Status(); s.Health&^order.AuditBroken != tc.running {
				t.Errorf("while it runs: %+v", s)
			}
			m.guarded(spent)
			ok(t, m.Restart())
			s := m.Device.Status()
			if !errors.Is(m.kerr, tc.kind) || tc.kind == nil && m.kerr != nil || !s.Degraded {
				t.Errorf("at the next start: %v, %+v", m.kerr, s)
			}
			m.guarded(spent)
			m.mend = true
			if tc.hand != 0 {
				m.undefine(tc.hand)
			}
			ok(t, m.Restart())
			if s := m.Device.Status(); m.kerr != nil || !s.Degraded || s.Health&^order.AuditBroken != tc.mended {
				t.Fatalf("mended: %v, %+v", m.kerr, s)
			}
			m.guarded(spent)
			m.heals(spent)
		})
	}
}

// The owner recovers a device that runs on without its anchor, and one whose TPM went back.
func TestTPMAnchorLost(t *testing.T) {
	m := newMeter(t)
	spent := m.spend()
	m.undefine(nvCounter)
	if err := m.PutPolicy(m.NextPolicy(nil)); !errors.Is(err, keystore.ErrReset) {
		t.Fatal(err)
	}
	ok(t, m.Recover(policy.Deployed))
	r, err := m.Report()
	ok(t, err)
	if s := m.Device.Status(); s.Degraded || r.Anchor.Through != 0 {
		t.Errorf("without an anchor: %+v, %+v", s, r.Anchor)
	}
	m.guarded(spent)
	m.guarded(m.spend())

	back := newMeter(t)
	restore := back.backup()
	spent = back.spend()
	back.spend()
	restore()
	ok(t, back.Restart())
	if s := back.Device.Status(); !s.Degraded || s.Health&order.AnchorBehind == 0 {
		t.Fatalf("a TPM that went back: %+v", s)
	}
	back.guarded(spent)
	back.heals(spent)
}

// Whoever locks the TPM out by guessing stops nothing here.
func TestTPMLockout(t *testing.T) {
	m := newMeter(t)
	m.lockOut()
	m.guarded(m.spend())
	ok(t, m.PutPolicy(m.NextPolicy(nil)))
	ok(t, m.Restart())
	if s := m.Device.Status(); s.Degraded || m.kerr != nil {
		t.Errorf("%+v, %v", s, m.kerr)
	}
	m.guarded(m.spend())
	if _, err := m.Report(); err != nil {
		t.Error(err)
	}
}

// A cleared TPM has no keys any more. The device serves what is public and refuses
// change; then it gets a new keystore, and is provisioned anew by its owner's order.
func TestTPMCleared(t *testing.T) {
	m := newMeter(t)
	spent := m.spend()
	m.clear()
	m.guarded(spent)
	if err := m.PutPolicy(m.NextPolicy(nil)); err == nil {
		t.Error("an anchored order acts")
	}
	for _, m.mend = range []bool{false, true} {
		m.guarded(spent)
		ok(t, m.Restart())
		if s := m.Device.Status(); !errors.Is(m.kerr, keystore.ErrReset) || !s.Degraded || s.Health != order.VaultLost {
			t.Errorf("mend %v: %v, %+v", m.mend, m.kerr, s)
		}
		_, err := m.Device.Challenge(order.Owner, order.ClassRoot)
		is(t, "challenge", err, device.ErrDegraded)
	}
	m.guarded(spent)
	was := m.ID
	_, blob, err := tpm.Create(ctx, m.wire, nil)
	ok(t, err)
	m.blob, m.Epoch, m.mend = blob, 1, false
	is(t, "a new keystore", m.Restart(), device.ErrNotProvisioned)
	ok(t, m.Provision())
	ok(t, m.Lifecycle(policy.Deployed))
	if s := m.Device.Status(); s.Degraded || s.Device == was {
		t.Errorf("provisioned anew: %+v", s)
	}
	m.guarded(spent)
	m.guarded(m.spend())
}

// The transport fails once, at each command of an order, in each way: the order acts once
// or not at all, and neither what is protected nor the next start suffers.
func TestTPMFaults(t *testing.T) {
	m := newMeter(t)
	broken := errors.New("broken")
	var last []byte
	for name, fault := range map[string]func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error){
		"dropped": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			_, _ = send(cmd)
			return nil, broken
		},
		"lost": func([]byte, func([]byte) ([]byte, error)) ([]byte, error) { return nil, broken },
		"repeated": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			_, _ = send(cmd)
			return slices.Clone(last), nil
		},
		"sent twice": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			_, _ = send(cmd)
			return send(cmd)
		},
	} {
		for n := 0; ; n++ {
			m.Tick(4000) // the anchor's budget fills
			i, struck := 0, ""
			m.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
				if i++; i == n+1 {
					struck = fmt.Sprintf("%s, command %d (%v)", name, n, code(cmd))
					return fault(cmd, send)
				}
				b, err := send(cmd)
				last = bytes.Clone(b)
				return b, err
			})
			msg, err := m.Signed(order.Vendor, order.Grant, m.Whole("boot"))
			ok(t, err)
			r, err := m.Device.Apply(ctx, msg)
			m.wire.set(nil)
			if (err == nil) != (r.Session != nil) || m.Device.Status().Degraded {
				t.Fatalf("%s: %v, %+v", struck, err, m.Device.Status())
			}
			if err == nil {
				ok(t, m.Device.EndSession(*r.Session))
				m.guarded(msg)
			} else if again, aerr := m.Device.Apply(ctx, msg); aerr == nil {
				// It had not been recorded.
				ok(t, m.Device.EndSession(*again.Session))
			}
			ok(t, m.Restart())
			if s := m.Device.Status(); s.Degraded || m.kerr != nil {
				t.Fatalf("%s: the next start: %+v, %v", struck, s, m.kerr)
			}
			m.guarded(msg)
			if struck == "" {
				break
			}
		}
	}
}
