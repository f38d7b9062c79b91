package tpm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
)

func password(h tpm2.TPMHandle) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: h, Auth: tpm2.PasswordAuth(nil)}
}

// undefine is what anybody with the owner's password can do.
func undefine(t *testing.T, tr transport.TPM, h tpm2.TPMHandle) tpm2.TPMSNVPublic {
	t.Helper()
	r, err := tpm2.NVReadPublic{NVIndex: h}.Execute(tr)
	must(t, err)
	pub, err := r.NVPublic.Contents()
	must(t, err)
	_, err = tpm2.NVUndefineSpace{AuthHandle: password(tpm2.TPMRHOwner), NVIndex: tpm2.NamedHandle{Handle: h, Name: r.NVName}}.Execute(tr)
	must(t, err)
	return *pub
}

// redefine makes an index anew that looks the same, with a password of the attacker's own.
func redefine(t *testing.T, tr transport.TPM, pub tpm2.TPMSNVPublic, count bool) {
	t.Helper()
	pub.Attributes.Written, pub.Attributes.WriteLocked = false, false
	_, err := tpm2.NVDefineSpace{AuthHandle: password(tpm2.TPMRHOwner), PublicInfo: tpm2.New2B(pub)}.Execute(tr)
	must(t, err)
	if count {
		r, err := tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute(tr)
		must(t, err)
		_, err = tpm2.NVIncrement{AuthHandle: tpm2.AuthHandle{Handle: pub.NVIndex, Name: r.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex: tpm2.NamedHandle{Handle: pub.NVIndex, Name: r.NVName}}.Execute(tr)
		must(t, err)
	}
}

const (
	nvCounter = tpm2.TPMHandle(0x01804E4C)
	nvFirst   = nvCounter + 1
	nvNext    = nvCounter + 2
	ekHandle  = tpm2.TPMHandle(0x81004E4C)
	srkHandle = ekHandle + 1
)

func evict(t *testing.T, tr transport.TPM, h tpm2.TPMHandle) {
	t.Helper()
	r, err := tpm2.ReadPublic{ObjectHandle: h}.Execute(tr)
	must(t, err)
	_, err = tpm2.EvictControl{Auth: password(tpm2.TPMRHOwner), ObjectHandle: tpm2.NamedHandle{Handle: h, Name: r.Name}, PersistentHandle: h}.Execute(tr)
	must(t, err)
}

// A second client of the TPM, while the keystore runs: what it does is seen, has its
// error, and none is taken for a new device, here or at the next Open.
func TestSecondClient(t *testing.T) {
	sign := func(d *device) error { _, err := d.Sign(ctx, 0, nil); return err }
	count := func(d *device) error { _, err := d.Anchor().Read(ctx); return err }
	step := func(d *device) error { return d.Anchor().Advance(ctx, 2) }
	held := func(d *device) error { _, err := d.Latch().Read(ctx); return err }
	set := func(d *device) error { return d.Latch().Set(ctx, record(9)) }
	for _, tc := range []struct {
		name   string
		attack func(t *testing.T, tr transport.TPM)
		calls  []func(*device) error
		kind   error
	}{
		{"clear", func(t *testing.T, tr transport.TPM) {
			_, err := tpm2.Clear{AuthHandle: password(tpm2.TPMRHLockout)}.Execute(tr)
			must(t, err)
		}, []func(*device) error{sign, count, step, held, set}, keystore.ErrReset},
		{"undefine the counter", func(t *testing.T, tr transport.TPM) { undefine(t, tr, nvCounter) },
			[]func(*device) error{count, step}, keystore.ErrReset},
		{"undefine the latch", func(t *testing.T, tr transport.TPM) { undefine(t, tr, nvFirst) },
			[]func(*device) error{held, set}, keystore.ErrReset},
		{"undefine the later latch", func(t *testing.T, tr transport.TPM) { undefine(t, tr, nvNext) },
			[]func(*device) error{held, set}, keystore.ErrReset},
		{"blank counter", func(t *testing.T, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvCounter), false) },
			[]func(*device) error{count, step}, keystore.ErrReset},
		{"counter of its own", func(t *testing.T, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvCounter), true) },
			[]func(*device) error{count, step}, keystore.ErrForeign},
		{"blank latch", func(t *testing.T, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvFirst), false) },
			[]func(*device) error{held, set}, keystore.ErrReset},
		{"blank later latch", func(t *testing.T, tr transport.TPM) { redefine(t, tr, undefine(t, tr, nvNext), false) },
			[]func(*device) error{held, set}, keystore.ErrReset},
		{"both latches blank", func(t *testing.T, tr transport.TPM) {
			redefine(t, tr, undefine(t, tr, nvFirst), false)
			redefine(t, tr, undefine(t, tr, nvNext), false)
		}, []func(*device) error{held, set}, keystore.ErrReset},
		{"counter of another kind", func(t *testing.T, tr transport.TPM) {
			pub := undefine(t, tr, nvCounter)
			pub.Attributes.NT, pub.Attributes.OwnerWrite = tpm2.TPMNTOrdinary, true
			redefine(t, tr, pub, false)
		}, []func(*device) error{count, step}, keystore.ErrForeign},
		{"evict the EK", func(t *testing.T, tr transport.TPM) { evict(t, tr, ekHandle) },
			[]func(*device) error{sign, count}, keystore.ErrReset},
		{"evict the storage key", func(t *testing.T, tr transport.TPM) { evict(t, tr, srkHandle) },
			[]func(*device) error{sign}, keystore.ErrReset},
		{"another key in the place of the storage key", func(t *testing.T, tr transport.TPM) {
			evict(t, tr, srkHandle)
			template := tpm2.ECCSRKTemplate
			template.ObjectAttributes.NoDA = false
			r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template)}.Execute(tr)
			must(t, err)
			_, err = tpm2.EvictControl{Auth: password(tpm2.TPMRHOwner), ObjectHandle: tpm2.NamedHandle{Handle: r.ObjectHandle, Name: r.Name}, PersistentHandle: srkHandle}.Execute(tr)
			must(t, err)
			_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tr)
			must(t, err)
		}, []func(*device) error{sign}, keystore.ErrReset},
	} {
		for owners := byte(1); owners <= 2; owners++ {
			t.Run(fmt.Sprintf("%s of %d", tc.name, owners), func(t *testing.T) {
				d := newDevice(t, tpm.Config{})
				for n := byte(1); n <= owners; n++ {
					must(t, d.Latch().Set(ctx, record(n)))
				}
				tc.attack(t, d.chip.client(t))
				for i, call := range tc.calls {
					if err := call(d); !errors.Is(err, tc.kind) || errors.Is(err, keystore.ErrUncertain) {
						t.Errorf("call %d: %v, want %v", i, err, tc.kind)
					}
				}
				if _, err := d.reopen(t); !errors.Is(err, tc.kind) {
					t.Errorf("open: %v, want %v", err, tc.kind)
				}
				d.chip.clean(t)
			})
		}
	}
}

// A blob belongs to one TPM.
func TestOtherTPM(t *testing.T) {
	d, other := newDevice(t, tpm.Config{}), newDevice(t, tpm.Config{})
	if _, err := tpm.Open(ctx, other.chip.client(t), d.blob, nil); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("a TPM with a device: %v", err)
	}
	if _, err := tpm.Open(ctx, newChip(t).client(t), d.blob, nil); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("a fresh TPM: %v", err)
	}
	// The transport is led to another TPM while the keystore runs.
	d.wire.set(func(cmd []byte, _ func([]byte) ([]byte, error)) ([]byte, error) {
		return other.chip.client(t).Send(cmd)
	})
	_, err1 := d.Sign(ctx, 0, nil)
	_, err2 := d.Derive(ctx, "a")
	_, err3 := d.Anchor().Read(ctx)
	_, err4 := d.Latch().Read(ctx)
	for i, err := range []error{err1, err2, err3, err4, d.Anchor().Advance(ctx, 2)} {
		if !errors.Is(err, keystore.ErrForeign) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	other.chip.clean(t)
}

// Somebody moved the counter, by another instance of the same keystore: Read says where it
// is, and Advance does not claim the step.
func TestStepped(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	n, err := d.reopen(t)
	must(t, err)
	must(t, n.Anchor().Advance(ctx, now+5))
	if err := d.Anchor().Advance(ctx, now+1); !errors.Is(err, keystore.ErrAhead) {
		t.Errorf("got %v", err)
	}
	if got, err := d.Anchor().Read(ctx); err != nil || got != now+5 {
		t.Errorf("%d, %v", got, err)
	}
}

// Whoever sits on the transport says that the latch was never written: that hides
// an owner, so it is not believed.
func TestHiddenLatch(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	must(t, d.Latch().Set(ctx, record(1)))
	d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
		b, err := send(cmd)
		if code(cmd) != tpm2.TPMCCNVReadPublic || err != nil || binary.BigEndian.Uint16(cmd) != 0x8001 {
			return b, err
		}
		pub, err := tpm2.Unmarshal[tpm2.TPM2BNVPublic](b[10:])
		must(t, err)
		p, err := pub.Contents()
		must(t, err)
		p.Attributes.Written, p.Attributes.WriteLocked = false, false
		name, err := tpm2.NVName(p)
		must(t, err)
		forged := append(tpm2.Marshal(tpm2.New2B(*p)), tpm2.Marshal(*name)...)
		return append(binary.BigEndian.AppendUint32(append(b[:2:2], 0, 0, 0, byte(10+len(forged))), 0)[:10], forged...), nil
	})
	if r, err := d.Latch().Read(ctx); !errors.Is(err, keystore.ErrForeign) || r.Set() {
		t.Errorf("%v, %v", r.Epoch, err)
	}
	if n, err := d.Anchor().Read(ctx); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("%d, %v", n, err)
	}
	d.chip.clean(t)
}

// A lockout that somebody else causes does not stop the keystore.
func TestLockout(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	tr := d.chip.client(t)
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("right")}}},
		InPublic: tpm2.New2B(func() tpm2.TPMTPublic {
			p := tpm2.ECCSRKTemplate
			p.ObjectAttributes.NoDA = false
			return p
		}())}.Execute(tr)
	must(t, err)
	locked := false
	for range 40 {
		_, err := tpm2.Create{ParentHandle: tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: tpm2.PasswordAuth([]byte("wrong"))},
			InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tr)
		if locked = errors.Is(err, tpm2.TPMRCLockout); locked {
			break
		}
	}
	if !locked {
		t.Fatal("the TPM did not lock out")
	}
	_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tr)
	must(t, err)
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	must(t, d.Anchor().Advance(ctx, now+1))
	must(t, d.Latch().Set(ctx, record(1)))
	if _, err := d.reopen(t); err != nil {
		t.Error(err)
	}
	d.chip.clean(t)
}

func refusal(rc tpm2.TPMRC) []byte {
	b := binary.BigEndian.AppendUint16(nil, 0x8001)
	b = binary.BigEndian.AppendUint32(b, 10)
	return binary.BigEndian.AppendUint32(b, uint32(rc))
}

// Codes that a TPM refuses with, and what they mean.
func TestCodes(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	for rc, kind := range map[tpm2.TPMRC]error{
		tpm2.TPMRCLockout: keystore.ErrBusy, tpm2.TPMRCNVRate: keystore.ErrBusy, tpm2.TPMRCTesting: keystore.ErrBusy,
		tpm2.TPMRCNVUnavailable: keystore.ErrBusy, tpm2.TPMRCFailure: keystore.ErrBusy, tpm2.TPMRCInitialize: keystore.ErrBusy,
		tpm2.TPMRCReferenceH0: keystore.ErrBusy, tpm2.TPMRCNVUninitialized: keystore.ErrReset,
		tpm2.TPMRCPCRChanged: keystore.ErrSealed, tpm2.TPMRCPolicyFail: keystore.ErrSealed, tpm2.TPMRCBadAuth: keystore.ErrForeign,
	} {
		d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			if code(cmd) == tpm2.TPMCCNVIncrement || code(cmd) == tpm2.TPMCCSign {
				return refusal(rc), nil
			}
			return send(cmd)
		})
		_, err := d.Sign(ctx, 0, nil)
		for _, err := range []error{err, d.Anchor().Advance(ctx, now+1)} {
			if !errors.Is(err, kind) || errors.Is(err, keystore.ErrUncertain) {
				t.Errorf("%v: %v, want %v", rc, err, kind)
			}
			var busy *keystore.BusyError
			if errors.As(err, &busy) && busy.RetryAfter <= 0 {
				t.Errorf("%v: no time to retry after", rc)
			}
		}
	}
	d.wire.set(nil)
	if got, err := d.Anchor().Read(ctx); err != nil || got != now {
		t.Errorf("%d, %v", got, err)
	}
	d.chip.clean(t)
}

// The transport fails at each command of each call, once, in each way. The call ends with a
// typed error or with what it was to do; nothing panics; a change that may have
// happened says so; and the keystore works again, with nothing left in the TPM.
func TestFaultyTransport(t *testing.T) {
	var mu sync.Mutex
	var before []byte // the reply before
	broken := errors.New("broken")
	faults := map[string]func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error){
		"not sent":      func([]byte, func([]byte) ([]byte, error)) ([]byte, error) { return nil, broken },
		"reply dropped": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) { send(cmd); return nil, broken },
		"reply repeated": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			old := slices.Clone(before)
			send(cmd)
			return old, nil
		},
		"reply changed": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			b, err := send(cmd)
			if len(b) > 12 {
				b[len(b)-1] ^= 1
			}
			return b, err
		},
		"reply cut": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			b, _ := send(cmd)
			return b[:len(b)/2], nil
		},
		"reply empty": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) { send(cmd); return nil, nil },
		"bare success": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			send(cmd)
			return refusal(0), nil
		},
		"lie": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			send(cmd)
			return refusal(tpm2.TPMRCRetry), nil
		},
		"panic": func([]byte, func([]byte) ([]byte, error)) ([]byte, error) { panic("transport") },
	}
	d := newDevice(t, tpm.Config{})
	enc := make([]byte, keystore.MLKEM768P256.EncLen())
	copy(enc[1088:], d.Identity().Encap[1184:])
	epoch := byte(1)
	must(t, d.Latch().Set(ctx, record(epoch)))
	calls := map[string]func() error{
		"sign":        func() error { _, err := d.Sign(ctx, 0, nil); return err },
		"unseal":      func() error { _, err := d.Sign(ctx, 1, nil); return err },
		"decapsulate": func() error { _, err := d.Decapsulate(ctx, enc); return err },
		"derive":      func() error { _, err := d.Derive(ctx, "a"); return err },
		"latch":       func() error { _, err := d.Latch().Read(ctx); return err },
		"open":        func() error { _, err := tpm.Open(ctx, d.wire, d.blob, &d.cfg); return err },
	}
	for name, fault := range faults {
		try := func(n int, call func() error) (err error, struck bool) {
			i := 0
			d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if i++; i == n+1 {
					struck = true
					return fault(cmd, send)
				}
				b, err := send(cmd)
				before = slices.Clone(b)
				return b, err
			})
			err = call()
			d.wire.set(nil)
			return err, struck
		}
		t.Run(name, func(t *testing.T) {
			for what, call := range calls {
				for n := 0; ; n++ {
					err, struck := try(n, call)
					if !struck {
						must(t, err)
						break
					}
					if err != nil && (!typed(err, keystore.ErrBusy, keystore.ErrForeign, keystore.ErrReset) || errors.Is(err, keystore.ErrUncertain)) {
						t.Errorf("%s, command %d: %v", what, n, err)
					}
				}
			}
			for n := 0; ; n++ {
				now, err := d.Anchor().Read(ctx)
				must(t, err)
				aerr, struck := try(n, func() error { return d.Anchor().Advance(ctx, now+1) })
				got, err := d.Anchor().Read(ctx)
				must(t, err)
				checkChange(t, n, aerr, got == now+1, got == now)
				must(t, d.Anchor().Advance(ctx, now+1))

				lerr, struck2 := try(n, func() error { return d.Latch().Set(ctx, record(epoch+1)) })
				r, err := d.Latch().Read(ctx)
				must(t, err)
				checkChange(t, n, lerr, r == record(epoch+1), r == record(epoch))
				must(t, d.Latch().Set(ctx, record(epoch+1)))
				epoch++
				if !struck && !struck2 {
					break
				}
				if epoch > 250 {
					t.Fatal("too many commands")
				}
			}
			if _, err := d.Sign(ctx, 1, nil); err != nil {
				t.Error(err)
			}
			d.chip.clean(t)
		})
	}
}

func checkChange(t *testing.T, n int, err error, done, not bool) {
	t.Helper()
	switch {
	case !done && !not:
		t.Errorf("command %d: neither the old value nor the new", n)
	case err == nil && !done:
		t.Errorf("command %d: no error, and not done", n)
	case err != nil && done && !errors.Is(err, keystore.ErrUncertain):
		t.Errorf("command %d: done, but says %v", n, err)
	case err != nil && !typed(err, keystore.ErrBusy, keystore.ErrForeign, keystore.ErrReset, keystore.ErrUncertain):
		t.Errorf("command %d: untyped: %v", n, err)
	}
}

// impatient is a device with a short timeout, opened after the slow work is done.
func impatient(t *testing.T) *device {
	t.Helper()
	d := newDevice(t, tpm.Config{})
	d.cfg.Timeout = 300 * time.Millisecond
	n, err := d.reopen(t)
	must(t, err)
	return n
}

// A transport that hangs: each call ends in time, an early one by its context; the late
// reply is not taken for another's, and its handle is not lost.
func TestHang(t *testing.T) {
	d := impatient(t)
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	for _, cc := range []tpm2.TPMCC{tpm2.TPMCCStartAuthSession, tpm2.TPMCCLoad, tpm2.TPMCCSign, tpm2.TPMCCFlushContext} {
		for _, early := range []bool{false, true} {
			release, stuck := make(chan struct{}), make(chan struct{})
			var once sync.Once
			d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
				if code(cmd) == cc {
					once.Do(func() { close(stuck); <-release })
				}
				return send(cmd)
			})
			c, cancel := context.WithCancel(ctx)
			if early {
				go func() { <-stuck; cancel() }()
			}
			_, err := d.Sign(c, 0, nil)
			if cc != tpm2.TPMCCFlushContext && !typed(err, keystore.ErrBusy, context.Canceled) {
				t.Errorf("%v: %v", cc, err)
			}
			if _, err := d.Derive(ctx, "a"); !errors.Is(err, keystore.ErrBusy) {
				t.Errorf("%v: while it hangs: %v", cc, err)
			}
			if err := d.Anchor().Advance(ctx, now+1); !errors.Is(err, keystore.ErrBusy) {
				t.Errorf("%v: while it hangs: %v", cc, err)
			}
			close(release)
			cancel()
			d.wire.set(nil)
			for range 50 { // the late command ends when it ends
				if _, err = d.Sign(ctx, 0, nil); err == nil {
					break
				}
			}
			if err != nil {
				t.Errorf("%v: afterwards: %v", cc, err)
			}
			d.chip.clean(t)
		}
	}
	if got, err := d.Anchor().Read(ctx); err != nil || got != now {
		t.Errorf("%d, %v", got, err)
	}
}

// The increment itself hangs: nobody knows, and the error says so.
func TestHangIncrement(t *testing.T) {
	d := impatient(t)
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	release := make(chan struct{})
	d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
		if code(cmd) == tpm2.TPMCCNVIncrement {
			<-release
		}
		return send(cmd)
	})
	if err := d.Anchor().Advance(ctx, now+1); !errors.Is(err, keystore.ErrUncertain) {
		t.Errorf("got %v", err)
	}
	close(release)
	d.wire.set(nil)
	for range 50 {
		if err = d.Anchor().Advance(ctx, now+1); err == nil {
			break
		}
	}
	must(t, err)
	if got, err := d.Anchor().Read(ctx); err != nil || got != now+1 {
		t.Errorf("%d, %v", got, err)
	}
	d.chip.clean(t)
}

// Create fails at each command: it leaves nothing, or says so.
func TestCreateFaults(t *testing.T) {
	c := newChip(t)
	broken := errors.New("broken")
	for n := 0; ; n++ {
		i := 0
		w := &wire{TPM: c.client(t)}
		w.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			if i++; i == n+1 {
				return nil, broken
			}
			return send(cmd)
		})
		k, blob, err := tpm.Create(ctx, w, nil)
		if i <= n {
			must(t, err)
			if k == nil || len(blob) == 0 || n < 30 {
				t.Errorf("%d commands", n)
			}
			return
		}
		if err == nil { // a flush failed: the keystore is there
			if _, err = tpm.Open(ctx, c.client(t), blob, nil); err != nil {
				t.Errorf("command %d: %v", n, err)
			}
			c.off()
			c = newChip(t)
			continue
		}
		if !errors.Is(err, keystore.ErrBusy) || blob != nil {
			t.Errorf("command %d: %v", n, err)
		}
		if _, err := (tpm2.ReadPublic{ObjectHandle: ekHandle}).Execute(c.client(t)); err == nil {
			t.Errorf("command %d: the EK is left", n)
		}
		if _, err := (tpm2.NVReadPublic{NVIndex: nvCounter}).Execute(c.client(t)); err == nil {
			t.Errorf("command %d: the counter is left", n)
		}
		if h := c.handles(t); len(h) != 0 {
			for _, one := range h {
				tpm2.FlushContext{FlushHandle: one}.Execute(c.client(t))
			}
		}
	}
}
