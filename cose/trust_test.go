package cose_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

// A threshold that nobody can reach is refused before the envelope is looked at.
func TestImpossibleTrust(t *testing.T) {
	tr := trust(cose.Ed25519, 2, 3)
	refused(t, "3 of 2, of an envelope that is none", []byte("junk"), domain, tr, cose.ErrThreshold)
}

// A kid is the name of a key as a whole. A signature that verifies, under a name
// that differs in its last or its first bit, is nobody's.
func TestKidIsWhole(t *testing.T) {
	for _, s := range suites[:3] {
		x := signer(s, 1)
		kid := x.Public().Thumbprints()[0]
		for i := range kid {
			other := bytes.Clone(kid[:])
			other[i] ^= 1
			b := build(payload, over(t, x, s.Algs()[0], header(s.Algs()[0], other)))
			refused(t, "another name", b, domain, trust(s, 2, 1), cose.ErrSigner)
		}
	}
}

// A signature of another length is a wrong one, whatever the primitive would do
// with it.
func TestSignatureLengths(t *testing.T) {
	for _, s := range suites[:3] {
		x, alg := signer(s, 1), s.Algs()[0]
		good, err := x.SignHalf(alg, payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 31, 32, 33, len(good) - 1, len(good) + 1, 2 * len(good)} {
			sig := append(bytes.Clone(good), good...)[:n:n]
			if err := x.Public().VerifyHalf(alg, payload, sig); !errors.Is(err, cose.ErrSignature) {
				t.Errorf("%v: %d bytes: %v", s, n, err)
			}
		}
	}
}
