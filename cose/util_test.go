package cose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

const domain = cose.Order

var payload = []byte("content of an order")

var suites = []cose.Suite{cose.Ed25519, cose.ESP256, cose.MLDSA65, cose.Ed25519MLDSA65, cose.ESP256MLDSA65}

// fixed signs the same each time: with no randomness all three algorithms are
// deterministic (RFC 8032, RFC 6979, FIPS 204).
type fixed struct{ crypto.Signer }

func (f fixed) Sign(_ io.Reader, b []byte, o crypto.SignerOpts) ([]byte, error) {
	return f.Signer.Sign(nil, b, o)
}

// private is the key of an algorithm and a number: its seed, or its scalar, is
// 32 bytes of that number.
func private(a cose.Alg, n byte) crypto.Signer {
	seed := [32]byte(bytes.Repeat([]byte{n}, 32))
	switch a {
	case cose.AlgEd25519:
		return ed25519.NewKeyFromSeed(seed[:])
	case cose.AlgESP256:
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			panic(err)
		}
		return k
	}
	return cose.NewMLDSA65(&seed)
}

var signers sync.Map

// signer makes the signer of all halves of number n.
func signer(s cose.Suite, n byte) *cose.Signer {
	type id struct {
		s cose.Suite
		n byte
	}
	if x, ok := signers.Load(id{s, n}); ok {
		return x.(*cose.Signer)
	}
	var halves []crypto.Signer
	for _, a := range s.Algs() {
		halves = append(halves, fixed{private(a, n)})
	}
	x, err := cose.NewSigner(s, halves...)
	if err != nil {
		panic(err)
	}
	signers.Store(id{s, n}, x)
	return x
}

// trust is in the keys of numbers 1 … n.
func trust(s cose.Suite, n, threshold int) *cose.Trust {
	t := &cose.Trust{Suite: s, Threshold: threshold}
	for i := range n {
		t.Keys = append(t.Keys, signer(s, byte(i+1)).Public())
	}
	return t
}

func sign(t testing.TB, s cose.Suite, numbers ...byte) []byte {
	t.Helper()
	var who []*cose.Signer
	for _, n := range numbers {
		who = append(who, signer(s, n))
	}
	b, err := cose.Sign(payload, domain, who...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
