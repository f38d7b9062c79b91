package tpm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
)

const nvGone = nvCounter + 3

// children cuts the private and public areas of the keys out of a blob, as an attacker
// who has it would.
func children(t *testing.T, blob []byte) (list [][2][]byte) {
	t.Helper()
	rest := blob[20:]
	next := func() []byte {
		n := 2 + int(binary.BigEndian.Uint16(rest))
		b := rest[2:n]
		rest = rest[n:]
		return b
	}
	next() // the EK
	next() // the storage key's name
	for range 5 {
		list = append(list, [2][]byte{next(), next()})
	}
	return list
}

// load loads a child below any parent.
func load(tr transport.TPM, parent tpm2.TPMHandle, name tpm2.TPM2BName, child [2][]byte) (*tpm2.LoadResponse, error) {
	return tpm2.Load{ParentHandle: tpm2.AuthHandle{Handle: parent, Name: name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate: tpm2.TPM2BPrivate{Buffer: child[0]}, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](child[1])}.Execute(tr)
}

// The owner has the blob and a whole TPM, and makes every primary key that the blob could
// hang below. Before Destroy the keys load below the storage key; after it, nowhere.
func TestDestroyed(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	must(t, d.Latch().Set(ctx, record(1)))
	other, err := d.reopen(t)
	must(t, err)
	tr := d.chip.client(t)
	sign := children(t, d.blob)[0]
	srk, err := tpm2.ReadPublic{ObjectHandle: srkHandle}.Execute(tr)
	must(t, err)

	// Somebody keeps a copy of a key in the TPM.
	l, err := load(tr, srkHandle, srk.Name, sign)
	must(t, err)
	const hidden = tpm2.TPMHandle(0x81001234)
	_, err = tpm2.EvictControl{Auth: password(tpm2.TPMRHOwner), ObjectHandle: tpm2.NamedHandle{Handle: l.ObjectHandle, Name: l.Name}, PersistentHandle: hidden}.Execute(tr)
	must(t, err)
	_, err = tpm2.FlushContext{FlushHandle: l.ObjectHandle}.Execute(tr)
	must(t, err)

	must(t, d.Destroy(ctx))
	for _, h := range []tpm2.TPMHandle{srkHandle, hidden} {
		if _, err := (tpm2.ReadPublic{ObjectHandle: h}).Execute(tr); err == nil {
			t.Errorf("%x is still there", h)
		}
	}
	for _, template := range []tpm2.TPMTPublic{tpm2.ECCSRKTemplate, tpm2.RSASRKTemplate} {
		r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template)}.Execute(tr)
		must(t, err)
		for i, child := range children(t, d.blob) {
			if _, err := load(tr, r.ObjectHandle, r.Name, child); err == nil {
				t.Errorf("key %d loads again", i)
			}
		}
		_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tr)
		must(t, err)
	}
	// An older opening, and a later one: no device, and not a new one.
	_, err1 := other.Sign(ctx, 1, nil)
	_, err2 := other.Derive(ctx, "a")
	_, err3 := d.reopen(t)
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, keystore.ErrAbsent) {
			t.Errorf("row %d: %v", i, err)
		}
	}
	must(t, other.Destroy(ctx))
	if _, _, err := tpm.Create(ctx, tr, nil); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("create: %v", err)
	}
	r, err := tpm2.NVReadPublic{NVIndex: nvFirst}.Execute(tr)
	must(t, err)
	if pub, err := r.NVPublic.Contents(); err != nil || !pub.Attributes.Written || !pub.Attributes.WriteLocked {
		t.Errorf("the latch does not show that there was an owner: %v", err)
	}
	d.chip.clean(t)

	// Without the mark it is a device that was reset.
	undefine(t, tr, nvGone)
	if _, err := d.reopen(t); !errors.Is(err, keystore.ErrReset) {
		t.Errorf("without the mark: %v", err)
	}
	// It is not another device's mark that counts.
	_, err = tpm2.NVDefineSpace{AuthHandle: password(tpm2.TPMRHOwner), PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: nvGone, NameAlg: tpm2.TPMAlgSHA256, DataSize: 1, AuthPolicy: tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
		Attributes: tpm2.TPMANV{PolicyRead: true, PolicyWrite: true, NoDA: true}})}.Execute(tr)
	must(t, err)
	if _, err := d.reopen(t); !errors.Is(err, keystore.ErrReset) {
		t.Errorf("with another mark: %v", err)
	}
}

// Without the owner's password nothing is destroyed; with it, Open without the endorsement
// password still tells what happened. The owner's password is not on the bus.
func TestDestroyPassword(t *testing.T) {
	c := newChip(t)
	for _, h := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement} {
		_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: h, Auth: tpm2.PasswordAuth(nil)},
			NewAuth: tpm2.TPM2BAuth{Buffer: []byte("secret")}}.Execute(c.client(t))
		must(t, err)
	}
	cfg := tpm.Config{OwnerAuth: []byte("secret"), EndorsementAuth: []byte("secret")}
	_, blob, err := tpm.Create(ctx, c.client(t), &cfg)
	must(t, err)
	k, err := tpm.Open(ctx, c.client(t), blob, nil)
	must(t, err)
	if err := k.Destroy(ctx); !errors.Is(err, keystore.ErrForeign) || errors.Is(err, keystore.ErrUncertain) {
		t.Errorf("without: %v", err)
	}
	if _, err := k.Sign(ctx, 1, nil); err != nil {
		t.Error(err)
	}
	var bus []byte
	w := &wire{TPM: c.client(t)}
	w.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
		bus = append(bus, cmd...)
		return send(cmd)
	})
	k, err = tpm.Open(ctx, w, blob, &tpm.Config{OwnerAuth: []byte("secret")})
	must(t, err)
	must(t, k.Destroy(ctx))
	if len(bus) == 0 || bytes.Contains(bus, []byte("secret")) {
		t.Error("the password crossed the bus")
	}
	if _, err := tpm.Open(ctx, c.client(t), blob, nil); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("open: %v", err)
	}
	c.clean(t)
}

// The transport fails at each command of Destroy, once, in several ways; then the power
// goes. The device is whole or destroyed, never in between, and a repeat ends it.
func TestDestroyFaults(t *testing.T) {
	broken := errors.New("broken")
	for name, fault := range map[string]func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error){
		"not sent":      func([]byte, func([]byte) ([]byte, error)) ([]byte, error) { return nil, broken },
		"reply dropped": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) { send(cmd); return nil, broken },
		"lie": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			send(cmd)
			return refusal(tpm2.TPMRCRetry), nil
		},
		"false success": func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
			return refusal(0), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				d := newDevice(t, tpm.Config{})
				must(t, d.Latch().Set(ctx, record(1)))
				i, struck := 0, false
				d.wire.set(func(cmd []byte, send func([]byte) ([]byte, error)) ([]byte, error) {
					if i++; i == n+1 {
						struck = true
						return fault(cmd, send)
					}
					return send(cmd)
				})
				err := d.Destroy(ctx)
				d.wire.set(nil)
				if !struck {
					must(t, err)
					if n < 10 {
						t.Errorf("only %d commands", n)
					}
					return
				}
				if err != nil && !typed(err, keystore.ErrBusy, keystore.ErrForeign, keystore.ErrReset, keystore.ErrUncertain) {
					t.Errorf("command %d: untyped: %v", n, err)
				}
				d.chip.off()
				d.chip.on(t)
				again, oerr := d.reopen(t)
				switch {
				case err == nil && !errors.Is(oerr, keystore.ErrAbsent):
					t.Errorf("command %d: destroyed, but open: %v", n, oerr)
				case err != nil && oerr != nil && (!errors.Is(err, keystore.ErrUncertain) || !errors.Is(oerr, keystore.ErrAbsent)):
					t.Errorf("command %d: %v, then open: %v", n, err, oerr)
				}
				if oerr == nil {
					if _, err := again.Sign(ctx, 1, nil); err != nil {
						t.Errorf("command %d: sign: %v", n, err)
					}
					must(t, again.Destroy(ctx))
				} else {
					must(t, d.Destroy(ctx))
				}
				if _, err := d.reopen(t); !errors.Is(err, keystore.ErrAbsent) {
					t.Errorf("command %d: in the end: %v", n, err)
				}
				d.chip.clean(t)
				d.chip.off()
			}
		})
	}
}

// The place of the mark is taken by something else: nothing happens.
func TestDestroyMarkTaken(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	_, err := tpm2.NVDefineSpace{AuthHandle: password(tpm2.TPMRHOwner), PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: nvGone, NameAlg: tpm2.TPMAlgSHA256, DataSize: 8,
		Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true}})}.Execute(d.chip.client(t))
	must(t, err)
	if err := d.Destroy(ctx); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := d.Sign(ctx, 1, nil); err != nil {
		t.Error(err)
	}
	d.chip.clean(t)
}
