package cose_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

// elsewhere signs printed bytes with the keys themselves, as an HSM would.
func elsewhere(t *testing.T, s cose.Suite, n byte, tbs [][]byte) (sigs [][]byte) {
	t.Helper()
	for i, a := range s.Algs() {
		hash := crypto.Hash(0)
		if a == cose.AlgESP256 {
			hash = crypto.SHA256
		}
		b, err := crypto.SignMessage(private(a, n), rand.Reader, tbs[i], hash)
		if err == nil && a == cose.AlgESP256 {
			b, err = cose.FromDER(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, b)
	}
	return sigs
}

func marshal(t *testing.T, e *cose.Envelope) []byte {
	t.Helper()
	b, err := e.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t *testing.T, b []byte) *cose.Envelope {
	t.Helper()
	e, err := cose.Parse(b, cose.DefaultMaxPayload)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Three people, three machines: one signs here, one detached, one in parallel.
func TestCoSigning(t *testing.T) {
	for _, s := range suites {
		first, err := cose.Sign(payload, domain, signer(s, 1))
		if err != nil {
			t.Fatal(err)
		}
		e := parse(t, first)
		second := signer(s, 2).Public()
		tbs, err := e.ToBeSigned(domain, second)
		if err != nil {
			t.Fatal(err)
		}
		sigs := elsewhere(t, s, 2, tbs)
		if err := e.Attach(domain, second, sigs...); err != nil {
			t.Fatal(err)
		}
		clear(sigs[0]) // Attach keeps copies
		if err := e.Merge(parse(t, sign(t, s, 3, 1))); err != nil {
			t.Fatal(err)
		}
		_, who, err := cose.Verify(marshal(t, e), domain, trust(s, 3, 3))
		if err != nil || !slices.Equal(who, []int{0, 1, 2}) {
			t.Errorf("%v: %v %v", s, who, err)
		}
		if !bytes.Equal(e.Payload(), payload) || len(e.KeyIDs()) != 3*len(s.Algs()) || e.KeyIDs()[0] != signer(s, 1).Public().Thumbprints()[0] {
			t.Errorf("%v: %q %x", s, e.Payload(), e.KeyIDs())
		}
	}
}

func TestAttachRefuses(t *testing.T) {
	s := cose.Ed25519MLDSA65
	k := signer(s, 1).Public()
	e := cose.New(payload)
	tbs, err := e.ToBeSigned(domain, k)
	if err != nil {
		t.Fatal(err)
	}
	good := elsewhere(t, s, 1, tbs)
	bad := slices.Clone(good[1])
	bad[0] ^= 1
	for _, v := range []struct {
		name string
		d    cose.Domain
		k    *cose.PublicKey
		sigs [][]byte
		want error
	}{
		{"no domain", "", k, good, cose.ErrDomain},
		{"another domain", cose.Batch, k, good, cose.ErrSignature},
		{"another key", domain, signer(s, 2).Public(), good, cose.ErrSignature},
		{"zero key", domain, &cose.PublicKey{}, good, cose.ErrKey},
		{"one half", domain, k, good[:1], cose.ErrSigner},
		{"no half", domain, k, nil, cose.ErrSigner},
		{"three", domain, k, append(slices.Clone(good), good[0]), cose.ErrSigner},
		{"swapped", domain, k, [][]byte{good[1], good[0]}, cose.ErrSignature},
		{"one bad", domain, k, [][]byte{good[0], bad}, cose.ErrSignature},
		{"one nil", domain, k, [][]byte{good[0], nil}, cose.ErrSignature},
	} {
		if err := e.Attach(v.d, v.k, v.sigs...); !errors.Is(err, v.want) {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		}
		if len(e.KeyIDs()) != 0 {
			t.Fatalf("%s: the envelope has changed", v.name)
		}
	}
	if _, err := e.MarshalBinary(); !errors.Is(err, cose.ErrMalformed) {
		t.Errorf("an envelope that nobody has signed: %v", err)
	}
	if err := e.Attach(domain, k, good...); err != nil {
		t.Fatal(err)
	}
	before := marshal(t, e)
	if err := e.Attach(domain, k, good...); !errors.Is(err, cose.ErrSigner) {
		t.Errorf("twice: %v", err)
	}
	if err := e.Add(domain, signer(s, 1)); !errors.Is(err, cose.ErrSigner) {
		t.Errorf("added what is attached: %v", err)
	}
	if err := e.Merge(cose.New([]byte("another"))); !errors.Is(err, cose.ErrMalformed) {
		t.Errorf("merged another payload: %v", err)
	}
	if !bytes.Equal(before, marshal(t, e)) {
		t.Error("a refusal changed the envelope")
	}
}

func TestAddToHalfASigner(t *testing.T) {
	s := signer(cose.Ed25519MLDSA65, 1)
	e := parse(t, build(payload, half(t, s, 0)))
	if err := e.Add(domain, signer(cose.Ed25519MLDSA65, 2)); !errors.Is(err, cose.ErrSigner) {
		t.Errorf("%v", err)
	}
}

func TestMostSignatures(t *testing.T) {
	e := cose.New(payload)
	for n := range byte(cose.MaxSignatures) {
		if err := e.Add(domain, signer(cose.Ed25519, n+1)); err != nil {
			t.Fatal(err)
		}
	}
	b := marshal(t, e)
	if _, who, err := cose.Verify(b, domain, trust(cose.Ed25519, 64, 64)); err != nil || len(who) != 64 {
		t.Errorf("%d signers: %v", len(who), err)
	}
	if err := e.Add(domain, signer(cose.Ed25519, 65)); !errors.Is(err, cose.ErrSigner) {
		t.Errorf("one more: %v", err)
	}
	if err := e.Merge(parse(t, sign(t, cose.Ed25519, 66))); !errors.Is(err, cose.ErrSigner) {
		t.Errorf("one more by merging: %v", err)
	}
	if !bytes.Equal(b, marshal(t, e)) {
		t.Error("a refusal changed the envelope")
	}
}

func TestSignNobody(t *testing.T) {
	if _, err := cose.Sign(payload, domain); !errors.Is(err, cose.ErrMalformed) {
		t.Error(err)
	}
	if _, err := cose.Sign(payload, domain, signer(cose.Ed25519, 1), signer(cose.Ed25519, 1)); !errors.Is(err, cose.ErrSigner) {
		t.Error("signed twice")
	}
}
