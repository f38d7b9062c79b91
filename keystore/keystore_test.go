package keystore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/policy"
)

// The numbers and lengths are those of package policy, which a floor-0 package
// cannot import.
func TestSuitesArePolicys(t *testing.T) {
	for s := range keystore.Suite(8) {
		if got, want := s.PublicLen(), policy.Suite(s).PublicLen(); got != want {
			t.Errorf("suite %d: %d bytes, package policy has %d", s, got, want)
		}
		if (s.SignatureLen() == 0) != (s.PublicLen() == 0) {
			t.Errorf("suite %d: signature of %d bytes", s, s.SignatureLen())
		}
	}
	if keystore.ESP256MLDSA65 != keystore.Suite(policy.ESP256MLDSA65) || keystore.ESP256MLDSA65.SignatureLen() != 64+3309 {
		t.Error("suite 5 is another")
	}
}

func TestSplit(t *testing.T) {
	pub := make([]byte, 32+1952)
	pub[32] = 1
	halves := keystore.Ed25519MLDSA65.Split(pub)
	if len(halves) != 2 || len(halves[0]) != 32 || len(halves[1]) != 1952 || halves[1][0] != 1 {
		t.Errorf("got %d halves", len(halves))
	}
	if keystore.Ed25519.Split(pub) != nil || keystore.Suite(0).Split(nil) != nil {
		t.Error("a key of the wrong length was split")
	}
}

func TestZeroDenies(t *testing.T) {
	var id keystore.Identity
	if id.Valid() || id.KEM.EncLen() != 0 || id.KEM.PublicLen() != 0 || (keystore.Record{}).Set() {
		t.Error("a zero value is worth something")
	}
	if s := id.Class.String(); s != "class(0)" {
		t.Errorf("got %s", s)
	}
	if _, err := id.KEM.Open(nil, nil, nil); !errors.Is(err, keystore.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	if _, err := keystore.SignAll(context.Background(), signer{}, nil); !errors.Is(err, keystore.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestIdentity(t *testing.T) {
	id := keystore.Identity{Suite: keystore.Ed25519, Public: make([]byte, 32), KEM: keystore.XWing,
		Encap: make([]byte, 1216), Class: keystore.File, Evidence: []byte{1}}
	if !id.Valid() || !id.Equal(id.Clone()) {
		t.Error("a good identity is none")
	}
	c := id.Clone()
	c.Public[0], c.Evidence[0] = 1, 2
	if id.Public[0] != 0 || id.Evidence[0] != 1 || id.Equal(c) {
		t.Error("a clone shares memory")
	}
	for i, spoil := range []func(*keystore.Identity){
		func(i *keystore.Identity) { i.Public = i.Public[1:] },
		func(i *keystore.Identity) { i.Encap = nil },
		func(i *keystore.Identity) { i.Class = 4 },
		func(i *keystore.Identity) { i.KEM = 1 },
		func(i *keystore.Identity) { i.Suite = 6 },
	} {
		bad := id.Clone()
		if spoil(&bad); bad.Valid() || bad.Equal(id) {
			t.Errorf("row %d is valid", i)
		}
	}
	for c, name := range map[keystore.Class]string{keystore.File: "file", keystore.Supplied: "supplied", keystore.Hardware: "hardware"} {
		if c.String() != name {
			t.Errorf("%v is not %s", c, name)
		}
	}
}

func TestForward(t *testing.T) {
	rec := func(root byte, epoch uint64) keystore.Record {
		return keystore.Record{Root: [32]byte{root}, Epoch: epoch}
	}
	for _, tc := range []struct {
		held, next keystore.Record
		write      bool
		kind       error
	}{
		{rec(0, 0), rec(1, 1), true, nil},
		{rec(0, 0), rec(1, 9), true, nil},
		{rec(1, 1), rec(1, 1), false, nil},
		{rec(1, 1), rec(1, 2), true, nil},
		{rec(1, 1), rec(2, 2), true, nil},
		{rec(1, 2), rec(1, 1), false, keystore.ErrLatched},
		{rec(1, 2), rec(2, 2), false, keystore.ErrLatched},
		{rec(1, 1<<64-1), rec(1, 1), false, keystore.ErrLatched},
		{rec(0, 0), rec(0, 0), false, keystore.ErrMalformed},
		{rec(1, 1), rec(0, 0), false, keystore.ErrMalformed},
		{rec(1, 1), rec(0, 2), false, keystore.ErrMalformed},
		{rec(1, 1), rec(1, 0), false, keystore.ErrMalformed},
	} {
		write, err := tc.held.Forward(tc.next)
		if write != tc.write || !errors.Is(err, tc.kind) {
			t.Errorf("%v to %v: %v, %v", tc.held.Epoch, tc.next.Epoch, write, err)
		}
	}
}

func TestSteps(t *testing.T) {
	for _, tc := range []struct {
		now, to uint64
		n       int
		kind    error
	}{
		{0, 0, 0, nil}, {7, 8, 1, nil}, {0, keystore.MaxSteps, keystore.MaxSteps, nil},
		{0, keystore.MaxSteps + 1, 0, keystore.ErrMalformed},
		{0, 1<<64 - 1, 0, keystore.ErrMalformed},
		{1<<64 - 2, 1<<64 - 1, 1, nil},
		{8, 7, 0, keystore.ErrAhead}, {1<<64 - 1, 0, 0, keystore.ErrAhead},
	} {
		if n, err := keystore.Steps(tc.now, tc.to); n != tc.n || !errors.Is(err, tc.kind) {
			t.Errorf("%d to %d: %d, %v", tc.now, tc.to, n, err)
		}
	}
}

func TestErrors(t *testing.T) {
	e := &keystore.Error{Op: "sign", Kind: keystore.ErrForeign, Err: io.EOF}
	if !errors.Is(e, keystore.ErrForeign) || !errors.Is(e, io.EOF) || errors.Is(e, keystore.ErrBusy) {
		t.Error("Error does not match its kind and cause")
	}
	if s := e.Error(); s != "keystore: of another device (sign): EOF" {
		t.Error(s)
	}
	if e := (&keystore.Error{Op: "open", Kind: keystore.ErrAbsent}); e.Error() != "keystore: no secret here (open)" || errors.Is(e, io.EOF) {
		t.Error(e)
	}
	// Without a kind the cause speaks alone.
	if s := (&keystore.Error{Op: "open", Err: io.EOF}).Error(); s != "keystore: open: EOF" {
		t.Error(s)
	}
	b := error(&keystore.BusyError{RetryAfter: time.Minute, Err: io.EOF})
	var busy *keystore.BusyError
	if !errors.Is(b, keystore.ErrBusy) || !errors.Is(b, io.EOF) || !errors.As(b, &busy) || busy.RetryAfter != time.Minute {
		t.Error("BusyError does not match")
	}
	if s := b.Error(); !strings.Contains(s, "retry after 1m0s: EOF") {
		t.Error(s)
	}
	if s := (&keystore.BusyError{}).Error(); s != keystore.ErrBusy.Error() {
		t.Error(s)
	}
}

func TestLabels(t *testing.T) {
	for label, ok := range map[string]bool{"a": true, "region/17": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "\n": false, "ä": false} {
		if err := keystore.CheckLabel(label); (err == nil) != ok || err != nil && !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("%q: %v", label, err)
		}
	}
}

// A seed of crypto/hpke and Open, which brings its own combiner, agree with each other: what
// HPKE sealed opens with the halves.
func TestOpen(t *testing.T) {
	for _, k := range []keystore.KEM{keystore.XWing, keystore.MLKEM768P256} {
		curve := map[keystore.KEM]ecdh.Curve{keystore.XWing: ecdh.X25519(), keystore.MLKEM768P256: ecdh.P256()}[k]
		point, err := curve.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		pq, err := mlkem.GenerateKey768()
		if err != nil {
			t.Fatal(err)
		}
		priv, err := hpke.NewHybridPrivateKey(pq, point)
		if err != nil {
			t.Fatal(err)
		}
		pub := priv.PublicKey()
		if pub.KEM().ID() != uint16(k) || len(pub.Bytes()) != k.PublicLen() {
			t.Errorf("%#x: %d bytes, want %d", k, len(pub.Bytes()), k.PublicLen())
		}
		enc, _, err := hpke.NewSender(pub, hpke.HKDFSHA256(), hpke.ExportOnly(), nil)
		if err != nil || len(enc) != k.EncLen() {
			t.Fatalf("%#x: %d bytes, want %d: %v", k, len(enc), k.EncLen(), err)
		}
		one, err := k.Open(pq, point, enc)
		if err != nil || one == [32]byte{} {
			t.Errorf("%#x: %v", k, err)
		}
		if _, err := k.Open(failing{pq}, point, enc); !errors.Is(err, io.EOF) {
			t.Errorf("%#x: %v", k, err)
		}
		for _, bad := range [][]byte{nil, enc[1:], append(bytes.Clone(enc), 1)} {
			if _, err := k.Open(pq, point, bad); !errors.Is(err, keystore.ErrMalformed) {
				t.Errorf("%#x with %d bytes: %v", k, len(bad), err)
			}
		}
		clear(enc[1088:])
		if _, err := k.Open(pq, point, enc); err == nil {
			t.Errorf("%#x took a point of zeros", k)
		}
		other, _ := map[keystore.KEM]ecdh.Curve{keystore.XWing: ecdh.P256(), keystore.MLKEM768P256: ecdh.X25519()}[k].GenerateKey(nil)
		if _, err := k.Open(pq, other, make([]byte, k.EncLen())); !errors.Is(err, keystore.ErrMalformed) {
			t.Errorf("%#x took another curve: %v", k, err)
		}
	}
}

type failing struct{ crypto.Decapsulator }

func (failing) Decapsulate([]byte) ([]byte, error) { return nil, io.EOF }

type signer struct {
	suite keystore.Suite
	fail  int
}

func (s signer) Identity() keystore.Identity { return keystore.Identity{Suite: s.suite} }
func (s signer) Sign(_ context.Context, half int, msg []byte) ([]byte, error) {
	if half+1 == s.fail {
		return nil, keystore.ErrBusy
	}
	return append([]byte{byte(half)}, msg...), nil
}

func TestSignAll(t *testing.T) {
	ctx := context.Background()
	sig, err := keystore.SignAll(ctx, signer{suite: keystore.ESP256MLDSA65}, []byte("m"))
	if err != nil || string(sig) != "\x00m\x01m" {
		t.Errorf("%q, %v", sig, err)
	}
	if sig, err := keystore.SignAll(ctx, signer{keystore.ESP256MLDSA65, 2}, nil); sig != nil || !errors.Is(err, keystore.ErrBusy) {
		t.Errorf("half a signature: %q, %v", sig, err)
	}
}
