package cose_test

import (
	"bytes"
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
