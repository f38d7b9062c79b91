package tpm_test

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/keystoretest"
	"github.com/nanolock/nanolock/keystore/tpm"
)

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]tpm.Config{"plain": {}, "PCRs": {PCRs: []uint{0, 7, 16}}} {
		t.Run(name, func(t *testing.T) {
			devices := map[*tpm.Keystore]*device{}
			keystoretest.Test(t, keystoretest.Config{
				Latch: true, Anchor: true,
				New: func(tb testing.TB) keystore.Keystore {
					d := newDevice(tb, cfg)
					devices[d.Keystore] = d
					tb.Cleanup(func() {
						if d.chip.cmd != nil {
							d.chip.clean(tb)
						}
					})
					return d.Keystore
				},
				Secrets: func(tb testing.TB, ks keystore.Keystore) [][]byte {
					list, err := ks.(*tpm.Keystore).Secrets()
					must(tb, err)
					return list
				},
				ReopenDestroyed: func(tb testing.TB, ks keystore.Keystore) error {
					d := devices[ks.(*tpm.Keystore)]
					d.chip.off()
					d.chip.on(tb)
					_, err := d.reopen(tb)
					return err
				},
				Reopen: func(tb testing.TB, ks keystore.Keystore) keystore.Keystore {
					d := devices[ks.(*tpm.Keystore)]
					d.chip.off()
					d.chip.on(tb)
					n, err := d.reopen(tb)
					must(tb, err)
					devices[n.Keystore] = n
					return n.Keystore
				},
			})
		})
	}
}

func TestIdentity(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	id := d.Identity()
	if id.Suite != keystore.ESP256MLDSA65 || id.KEM != keystore.MLKEM768P256 || id.Class != keystore.Hardware {
		t.Errorf("suite %d, KEM %#x, %v", id.Suite, id.KEM, id.Class)
	}
	if b := d.Anchor().Budget(); b.Writes != 100_000 || b.PerDay != 27 {
		t.Errorf("%+v", b)
	}
	if len(d.blob) > 8<<10 {
		t.Errorf("the blob has %d bytes", len(d.blob))
	}
	d.chip.clean(t)
}

// One connection that stays open, as a character device does.
func TestReadWriter(t *testing.T) {
	c := newChip(t)
	conn, err := net.Dial("unix", c.socket())
	must(t, err)
	defer conn.Close()
	k, blob, err := tpm.Create(ctx, transport.FromReadWriter(conn), nil)
	must(t, err)
	k2, err := tpm.Open(ctx, transport.FromReadWriter(conn), blob, nil)
	must(t, err)
	if !k2.Identity().Equal(k.Identity()) {
		t.Error("another identity")
	}
}

func TestZero(t *testing.T) {
	var k tpm.Keystore
	if k.Identity().Valid() || k.Latch() != nil || k.Anchor() != nil || k.Close() != nil {
		t.Error("a zero keystore is worth something")
	}
	_, err1 := k.Sign(ctx, 0, nil)
	_, err2 := k.Decapsulate(ctx, nil)
	_, err3 := k.Derive(ctx, "a")
	_, err4 := k.Quote(ctx, nil, 0)
	_, err5 := k.Activate(ctx, tpm.Challenge{})
	for _, err := range []error{err1, err2, err3, err4, err5, k.Destroy(ctx)} {
		if !errors.Is(err, keystore.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []tpm.Config{
		{PCRs: []uint{24}}, {Persistent: 0x80000000}, {NV: 0x01C00002}, {EKCert: make([]byte, 5000)},
	} {
		if _, _, err := tpm.Create(ctx, nil, &c); !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("%+v: create: %v", c, err)
		}
		if _, err := tpm.Open(ctx, nil, []byte{1}, &c); !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("%+v: open: %v", c, err)
		}
	}
	for _, tc := range []struct {
		blob []byte
		kind error
	}{{nil, keystore.ErrAbsent}, {[]byte{}, keystore.ErrAbsent}, {[]byte("NLTPM2"), keystore.ErrCorrupt}, {make([]byte, 9000), keystore.ErrCorrupt}} {
		if _, err := tpm.Open(ctx, nil, tc.blob, nil); !errors.Is(err, tc.kind) {
			t.Errorf("%d bytes: %v", len(tc.blob), err)
		}
	}
}

// Create takes no handle that is taken, and leaves nothing when it fails.
func TestCreateTwice(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	if _, _, err := tpm.Create(ctx, d.chip.client(t), nil); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("got %v", err)
	}
	// A second keystore beside the first.
	cfg := tpm.Config{Persistent: 0x81005000, NV: 0x01805000}
	k, _, err := tpm.Create(ctx, d.chip.client(t), &cfg)
	must(t, err)
	if bytes.Equal(k.Identity().Public, d.Identity().Public) {
		t.Error("the same identity twice")
	}
	// The NV indices alone are taken.
	cfg.Persistent = 0x81006000
	if _, _, err := tpm.Create(ctx, d.chip.client(t), &cfg); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("got %v", err)
	}
	d.chip.clean(t)
}

// Passwords of the hierarchies: Create needs them, Open does not.
func TestPasswords(t *testing.T) {
	c := newChip(t)
	for _, h := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement} {
		_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.AuthHandle{Handle: h, Auth: tpm2.PasswordAuth(nil)},
			NewAuth: tpm2.TPM2BAuth{Buffer: []byte("secret")}}.Execute(c.client(t))
		must(t, err)
	}
	if _, _, err := tpm.Create(ctx, c.client(t), nil); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("without: %v", err)
	}
	c.clean(t)
	cfg := tpm.Config{OwnerAuth: []byte("secret"), EndorsementAuth: []byte("secret")}
	_, blob, err := tpm.Create(ctx, c.client(t), &cfg)
	must(t, err)
	k, err := tpm.Open(ctx, c.client(t), blob, nil)
	must(t, err)
	if _, err := k.Sign(ctx, 0, nil); err != nil {
		t.Error(err)
	}
	must(t, k.Latch().Set(ctx, record(1)))
	c.clean(t)
}

// Under another measurement the keys are shut, and the memory is not opened either,
// because its password comes from one of them; the AK still speaks.
func TestSealed(t *testing.T) {
	d := newDevice(t, tpm.Config{PCRs: []uint{16}})
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 16, Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
	}.Execute(d.chip.client(t))
	must(t, err)
	for half := range 2 {
		if _, err := d.Sign(ctx, half, nil); !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("half %d: %v", half, err)
		}
	}
	if _, err := d.Derive(ctx, "a"); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("derive: %v", err)
	}
	if _, err := d.reopen(t); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("open: %v", err)
	}
	if _, err := d.Quote(ctx, []byte("nonce"), 16); err != nil {
		t.Errorf("quote: %v", err)
	}
	d.chip.clean(t)
	d.chip.off()
	d.chip.on(t) // PCR 16 is zero again
	n, err := d.reopen(t)
	must(t, err)
	if _, err := n.Sign(ctx, 0, nil); err != nil {
		t.Error(err)
	}
}

func TestAttestation(t *testing.T) {
	d := newDevice(t, tpm.Config{EKCert: []byte("certificate")})
	e, err := tpm.ParseEvidence(d.Identity().Evidence)
	must(t, err)
	must(t, e.Verify(d.Identity()))
	if string(e.EKCert) != "certificate" {
		t.Error("another certificate")
	}
	secret := []byte("only on that TPM")
	ch, err := e.Challenge(secret)
	must(t, err)
	got, err := d.Activate(ctx, ch)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	nonce := []byte("fresh")
	q, err := d.Quote(ctx, nonce, 0, 7)
	must(t, err)
	if digest, err := e.VerifyQuote(q, nonce, 0, 7); err != nil || len(digest) != 32 {
		t.Errorf("%x, %v", digest, err)
	}
	d.chip.clean(t)

	other := newDevice(t, tpm.Config{})
	o, err := tpm.ParseEvidence(other.Identity().Evidence)
	must(t, err)
	if _, err := other.Activate(ctx, ch); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("another TPM: %v", err)
	}
	mixed := *e
	mixed.AK = o.AK // an AK of another TPM behind this EK
	if ch, err = mixed.Challenge(secret); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*tpm.Keystore{d.Keystore, other.Keystore} {
		if _, err := k.Activate(ctx, ch); !errors.Is(err, keystore.ErrForeign) {
			t.Errorf("mixed: %v", err)
		}
	}
	if err := e.Verify(other.Identity()); !errors.Is(err, keystore.ErrForeign) {
		t.Errorf("another identity: %v", err)
	}
	for i, spoil := range []func(*tpm.Evidence){
		func(e *tpm.Evidence) { e.EK = o.Sign },
		func(e *tpm.Evidence) { e.EK = nil },
		func(e *tpm.Evidence) { e.AK = o.AK },
		func(e *tpm.Evidence) { e.AK = e.Sign },
		func(e *tpm.Evidence) { e.Sign = o.Sign },
		func(e *tpm.Evidence) { e.Sign, e.SignInfo, e.SignSig = e.DH, e.DHInfo, e.DHSig },
		func(e *tpm.Evidence) { e.SignInfo = e.DHInfo },
		func(e *tpm.Evidence) { e.SignInfo, e.SignSig = e.DHInfo, e.DHSig },
		func(e *tpm.Evidence) { e.SignInfo, e.SignSig = q.Info, q.Sig },
		func(e *tpm.Evidence) { e.DHSig = e.DHSig[1:] },
		func(e *tpm.Evidence) { e.DH = []byte{1} },
	} {
		bad := *e
		if spoil(&bad); !errors.Is(bad.Verify(d.Identity()), keystore.ErrForeign) {
			t.Errorf("row %d verifies", i)
		}
	}
	for i, bad := range []func() (tpm.Quote, []byte, []uint){
		func() (tpm.Quote, []byte, []uint) { return q, []byte("stale"), []uint{0, 7} },
		func() (tpm.Quote, []byte, []uint) { return q, nonce, []uint{0} },
		func() (tpm.Quote, []byte, []uint) { return tpm.Quote{Info: q.Info, Sig: e.DHSig}, nonce, []uint{0, 7} },
		func() (tpm.Quote, []byte, []uint) { return tpm.Quote{Info: e.DHInfo, Sig: e.DHSig}, nil, []uint{0, 7} },
	} {
		q, n, p := bad()
		if _, err := e.VerifyQuote(q, n, p...); !errors.Is(err, keystore.ErrForeign) {
			t.Errorf("quote %d: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 33)} {
		if _, err := e.Challenge(bad); !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := (&tpm.Evidence{}).Challenge(secret); !errors.Is(err, keystore.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	_, err1 := d.Quote(ctx, make([]byte, 33), 0)
	_, err2 := d.Quote(ctx, nil)
	_, err3 := d.Quote(ctx, nil, 24)
	_, err4 := d.Activate(ctx, tpm.Challenge{Credential: make([]byte, 600)})
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
}
