package tpm_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
)

// mended opens as the operator does.
func (d *device) mended(t testing.TB) (*device, error) {
	t.Helper()
	n := &device{chip: d.chip, wire: &wire{TPM: d.chip.client(t)}, blob: d.blob, cfg: d.cfg}
	n.cfg.Mend = true
	var err error
	n.Keystore, err = tpm.Open(ctx, n.wire, n.blob, &n.cfg)
	return n, err
}

// What is gone is made anew, and only when the operator says so: an anchor beyond all that
// it was, a latch that reads as never set and never as of an earlier owner.
func TestMend(t *testing.T) {
	for gone := range 8 {
		t.Run(fmt.Sprintf("%03b", gone), func(t *testing.T) {
			d := newDevice(t, tpm.Config{})
			for n := byte(1); n <= 2; n++ {
				must(t, d.Latch().Set(ctx, record(n)))
			}
			was, err := d.Anchor().Read(ctx)
			must(t, err)
			for n := range tpm2.TPMHandle(3) {
				if gone>>n&1 == 1 {
					undefine(t, d.chip.client(t), nvCounter+n)
				}
			}
			if _, err := d.reopen(t); (gone != 0) != errors.Is(err, keystore.ErrReset) {
				t.Errorf("without Mend: %v", err)
			}
			m, err := d.mended(t)
			must(t, err)
			for i, n := range []*device{m, reopened(t, d)} {
				now, err := n.Anchor().Read(ctx)
				must(t, err)
				if gone&1 == 0 && now != was || gone&1 == 1 && now <= was {
					t.Errorf("%d: the anchor is at %d, was at %d", i, now, was)
				}
				r, err := n.Latch().Read(ctx)
				must(t, err)
				if want := record(2); gone < 2 && r != want || gone >= 2 && r.Set() {
					t.Errorf("%d: the latch is of epoch %d", i, r.Epoch)
				}
				if n.Identity().Equal(d.Identity()) != true {
					t.Error("another identity")
				}
			}
			must(t, m.Latch().Set(ctx, record(3)))
			now, err := m.Anchor().Read(ctx)
			must(t, err)
			must(t, m.Anchor().Advance(ctx, now+1))
			if r, err := reopened(t, d).Latch().Read(ctx); err != nil || r != record(3) {
				t.Errorf("set anew: %d, %v", r.Epoch, err)
			}
			d.chip.clean(t)
		})
	}
}

func reopened(t *testing.T, d *device) *device {
	t.Helper()
	n, err := d.reopen(t)
	must(t, err)
	return n
}

// The transport dies at each command of a Mend: the latch that is left is whole, missing,
// or never set, and the next Mend goes on.
func TestMendCut(t *testing.T) {
	for _, gone := range [][]tpm2.TPMHandle{{nvCounter}, {nvFirst}, {nvNext}} {
		done := false
		for n := 0; !done; n++ {
			if n > 100 {
				t.Fatal("too many commands")
			}
			d := sharedDevice(t, gone)
			cut := &device{chip: d.chip, wire: &wire{TPM: d.chip.client(t)}}
			i := 0
			cut.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
				if i++; i > n+20 { // the keys are looked at first
					return nil, errors.New("dead")
				}
				return send(cmd)
			})
			cfg := d.cfg
			cfg.Mend = true
			_, err := tpm.Open(ctx, cut.wire, d.blob, &cfg)
			done = err == nil
			if after, err := d.reopen(t); err == nil {
				r, err := after.Latch().Read(ctx)
				must(t, err)
				if gone[0] == nvCounter && r != record(2) || gone[0] != nvCounter && r.Set() {
					t.Fatalf("%x, command %d: latch of epoch %d", gone, n, r.Epoch)
				}
			} else if !errors.Is(err, keystore.ErrReset) {
				t.Fatalf("%x, command %d: %v", gone, n, err)
			}
			_, err = d.mended(t)
			must(t, err)
			d.chip.off()
		}
	}
}

// sharedDevice has had two owners, and lacks something now.
func sharedDevice(t *testing.T, gone []tpm2.TPMHandle) *device {
	d := newDevice(t, tpm.Config{})
	for n := byte(1); n <= 2; n++ {
		must(t, d.Latch().Set(ctx, record(n)))
	}
	for _, h := range gone {
		undefine(t, d.chip.client(t), h)
	}
	return d
}

// What Mend does not do: replace what somebody else made, bring keys back, work without
// the owner's password, or believe who sits on the bus that something is missing.
func TestMendRefuses(t *testing.T) {
	clear := func(t *testing.T, d *device, tr transport.TPM) {
		_, err := tpm2.Clear{AuthHandle: password(tpm2.TPMRHLockout)}.Execute(tr)
		must(t, err)
	}
	for _, tc := range []struct {
		name   string
		attack func(t *testing.T, d *device, tr transport.TPM)
		kind   error
		heals  tpm2.TPMHandle // when this is undefined by hand
	}{
		{"cleared", clear, keystore.ErrReset, 0},
		{"destroyed", func(t *testing.T, d *device, _ transport.TPM) { must(t, d.Destroy(ctx)) }, keystore.ErrAbsent, 0},
		{"storage key", func(t *testing.T, _ *device, tr transport.TPM) { evict(t, tr, srkHandle) }, keystore.ErrReset, 0},
		{"counter of its own", func(t *testing.T, _ *device, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvCounter), true) }, keystore.ErrForeign, nvCounter},
		{"blank counter", func(t *testing.T, _ *device, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvCounter), false) }, keystore.ErrForeign, nvCounter},
		{"blank latch", func(t *testing.T, _ *device, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvFirst), false) }, keystore.ErrReset, nvFirst},
		{"blank later latch", func(t *testing.T, _ *device, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvNext), false) }, keystore.ErrReset, nvNext},
		{"both latches blank", func(t *testing.T, _ *device, tr transport.TPM) {
			redefine(t, tr, undefine(t, tr, nvFirst), false)
			redefine(t, tr, undefine(t, tr, nvNext), false)
		}, keystore.ErrForeign, nvNext},
		{"another kind", func(t *testing.T, _ *device, tr transport.TPM) {
			pub := undefine(t, tr, nvNext)
			pub.Attributes.OwnerWrite = true
			redefine(t, tr, pub, false)
		}, keystore.ErrForeign, nvNext},
		{"half gone", func(t *testing.T, _ *device, tr transport.TPM) {
			pub := undefine(t, tr, nvNext)
			pub.Attributes.OwnerWrite = true
			redefine(t, tr, pub, false)
			undefine(t, tr, nvFirst)
		}, keystore.ErrForeign, nvNext},
		{"owner's password", func(t *testing.T, d *device, tr transport.TPM) {
			undefine(t, tr, nvCounter)
			_, err := tpm2.HierarchyChangeAuth{AuthHandle: password(tpm2.TPMRHOwner),
				NewAuth: tpm2.TPM2BAuth{Buffer: []byte("secret")}}.Execute(tr)
			must(t, err)
		}, keystore.ErrForeign, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sharedDevice(t, nil)
			tc.attack(t, d, d.chip.client(t))
			if _, err := d.mended(t); !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			if tc.heals != 0 {
				undefine(t, d.chip.client(t), tc.heals)
				_, err := d.mended(t)
				must(t, err)
				reopened(t, d)
			}
			if tc.name == "owner's password" {
				d.cfg.OwnerAuth = []byte("secret")
				_, err := d.mended(t)
				must(t, err)
			}
			d.chip.clean(t)
		})
	}
}

// Who sits on the bus says of whole indices that they are missing, or blank.
func TestMendLied(t *testing.T) {
	d := sharedDevice(t, nil)
	for cc, lie := range map[tpm2.TPMCC][]byte{
		tpm2.TPMCCNVReadPublic: refusal(tpm2.TPMRCHandle + 0x100), tpm2.TPMCCNVRead: refusal(tpm2.TPMRCNVUninitialized),
		tpm2.TPMCCGetCapability: append(refusal(0)[:10], 0, 0, 0, 0, 1, 0, 0, 0, 0),
	} {
		w := &wire{TPM: d.chip.client(t)}
		w.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			if code(cmd) == cc {
				return lie, nil
			}
			return send(cmd)
		})
		cfg := d.cfg
		cfg.Mend = true
		if _, err := tpm.Open(ctx, w, d.blob, &cfg); !typed(err, keystore.ErrReset, keystore.ErrForeign) {
			t.Errorf("%v: %v", cc, err)
		}
		if r, err := reopened(t, d).Latch().Read(ctx); err != nil || r != record(2) {
			t.Errorf("%v: latch of epoch %d, %v", cc, r.Epoch, err)
		}
	}
}

// The power goes at each command of a first Set: the latch holds the record or was never
// set, and what is left to do the next opening does.
func TestFirstSetCut(t *testing.T) {
	for n := 0; ; n++ {
		d := newDevice(t, tpm.Config{})
		i := 0
		d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			if i++; i > n {
				return nil, errors.New("dead")
			}
			return send(cmd)
		})
		err := d.Latch().Set(ctx, record(1))
		d.chip.off()
		d.chip.on(t)
		after := reopened(t, d)
		r, rerr := after.Latch().Read(ctx)
		must(t, rerr)
		if r.Set() && r != record(1) || err == nil && !r.Set() || r.Set() && err != nil && !errors.Is(err, keystore.ErrUncertain) {
			t.Fatalf("command %d: %v, then epoch %d", n, err, r.Epoch)
		}
		must(t, after.Latch().Set(ctx, record(1)))
		pub := undefine(t, d.chip.client(t), nvFirst)
		if !pub.Attributes.WriteLocked {
			t.Fatalf("command %d: the first record is not locked", n)
		}
		d.chip.off()
		if err == nil {
			return
		}
	}
}
