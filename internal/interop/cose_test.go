package interop

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"math/big"
	"slices"
	"testing"

	peer "github.com/veraison/go-cose"

	"github.com/nanolock/nanolock/cose"
)

// A party is one key in the hands of both implementations.
type party struct {
	suite   cose.Suite
	legacy  peer.Algorithm // the name that the peer has for the algorithm
	private crypto.Signer
	here    *cose.Signer
}

func newParty(t testing.TB, s cose.Suite, n byte) party {
	t.Helper()
	p := party{suite: s}
	seed := bytes.Repeat([]byte{n}, 32)
	if s == cose.Ed25519 {
		p.legacy, p.private = peer.AlgorithmEdDSA, ed25519.NewKeyFromSeed(seed)
	} else {
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
		if err != nil {
			t.Fatal(err)
		}
		p.legacy, p.private = peer.AlgorithmES256, k
	}
	var err error
	if p.here, err = cose.NewSigner(s, p.private); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p party) alg() peer.Algorithm { return peer.Algorithm(p.suite.Algs()[0]) }

// current teaches the peer the numbers of RFC 9864, with the standard library's
// primitives and none of ours.
type current struct{ party }

func (c current) Algorithm() peer.Algorithm { return c.alg() }

func (c current) Sign(r io.Reader, content []byte) ([]byte, error) {
	if k, ok := c.private.(ed25519.PrivateKey); ok {
		return ed25519.Sign(k, content), nil
	}
	digest := sha256.Sum256(content)
	x, y, err := ecdsa.Sign(r, c.private.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		return nil, err
	}
	sig := make([]byte, 64)
	x.FillBytes(sig[:32])
	y.FillBytes(sig[32:])
	return sig, nil
}

func (c current) Verify(content, sig []byte) error {
	ok := false
	switch k := c.private.Public().(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, content, sig)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(content)
		ok = len(sig) == 64 && ecdsa.Verify(k, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	if !ok {
		return peer.ErrVerification
	}
	return nil
}

var classical = []cose.Suite{cose.Ed25519, cose.ESP256}

// Signed here by two, verified there.
func TestVerifiedThere(t *testing.T) {
	for _, s := range classical {
		a, b := newParty(t, s, 1), newParty(t, s, 2)
		for _, size := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
			payload := bytes.Repeat([]byte{7}, size)
			env, err := cose.Sign(payload, cose.Report, a.here, b.here)
			if err != nil {
				t.Fatal(err)
			}
			var m peer.SignMessage
			if err := m.UnmarshalCBOR(env); err != nil {
				t.Fatalf("%v, %d bytes: %v", s, size, err)
			}
			if err := m.Verify([]byte(cose.Report), current{a}, current{b}); err != nil || !bytes.Equal(m.Payload, payload) {
				t.Errorf("%v, %d bytes: %v", s, size, err)
			}
			if m.Verify([]byte(cose.Order), current{a}, current{b}) == nil || m.Verify([]byte(cose.Report), current{b}, current{a}) == nil {
				t.Errorf("%v: the peer verifies anything", s)
			}
			if again, err := m.MarshalCBOR(); err != nil || !bytes.Equal(again, env) {
				t.Errorf("%v: encoded again it is not the same (%v)", s, err)
			}
		}
	}
}

// signThere makes an envelope with the peer.
func signThere(t *testing.T, payload []byte, alg func(party) peer.Algorithm, sign func(party) peer.Signer, who ...party) []byte {
	t.Helper()
	m := peer.NewSignMessage()
	m.Payload = payload
	var signers []peer.Signer
	for _, p := range who {
		kid := p.here.Public().Thumbprints()[0]
		s := peer.NewSignature()
		s.Headers.Protected.SetAlgorithm(alg(p))
		s.Headers.Protected[peer.HeaderLabelKeyID] = kid[:]
		m.Signatures = append(m.Signatures, s)
		signers = append(signers, sign(p))
	}
	if err := m.Sign(rand.Reader, []byte(cose.Report), signers...); err != nil {
		t.Fatal(err)
	}
	b, err := m.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Signed there by two, with the current numbers and with the legacy ones that
// the peer has of itself; verified here.
func TestVerifiedHere(t *testing.T) {
	payload := []byte("a report")
	native := func(p party) peer.Signer {
		s, err := peer.NewSigner(p.legacy, p.private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, s := range classical {
		a, b := newParty(t, s, 1), newParty(t, s, 2)
		tr := &cose.Trust{Suite: s, Keys: []*cose.PublicKey{a.here.Public(), b.here.Public()}, Threshold: 2}
		now := signThere(t, payload, party.alg, func(p party) peer.Signer { return current{p} }, b, a)
		old := signThere(t, payload, func(p party) peer.Algorithm { return p.legacy }, native, b, a)
		for _, v := range []struct {
			name   string
			b      []byte
			legacy bool
			want   bool
		}{
			{"current", now, false, true}, {"current, legacy allowed", now, true, true},
			{"legacy", old, false, false}, {"legacy, allowed", old, true, true},
		} {
			tr.Legacy = v.legacy
			p, who, err := cose.Verify(v.b, cose.Report, tr)
			if (err == nil) != v.want || v.want && (!bytes.Equal(p, payload) || !slices.Equal(who, []int{0, 1})) {
				t.Errorf("%v, %s: %q %v %v", s, v.name, p, who, err)
			}
		}
	}
}

// FuzzCOSE: what is accepted here is accepted there, by the same signers.
func FuzzCOSE(f *testing.F) {
	var parties []party
	for _, s := range classical {
		p := newParty(f, s, 1)
		parties = append(parties, p)
		for _, payload := range []string{"", "an order"} {
			b, err := cose.Sign([]byte(payload), cose.Order, p.here)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := cose.Parse(b, 1<<16)
		var m peer.SignMessage
		theirs := m.UnmarshalCBOR(b)
		if err == nil && (theirs != nil || !bytes.Equal(e.Payload(), m.Payload)) {
			t.Errorf("%x: parsed here, there %v", b, theirs)
		}
		for _, p := range parties {
			tr := &cose.Trust{Suite: p.suite, Keys: []*cose.PublicKey{p.here.Public()}, Threshold: 1}
			if _, _, err := cose.Verify(b, cose.Order, tr); err != nil {
				continue
			}
			if err := m.Verify([]byte(cose.Order), current{p}); err != nil {
				t.Errorf("%x: accepted here, there %v", b, err)
			}
		}
	})
}
