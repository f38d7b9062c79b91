package cose

import (
	"crypto"
	"errors"
	"io"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
)

// newMLDSA65 parses a public key (FIPS 204, pkDecode: any 1952 bytes are one).
// It expands the matrix, which costs more than a verification: keep the key.
func newMLDSA65(raw []byte) (func(message, sig []byte) bool, error) {
	key := new(mldsa65.PublicKey)
	if err := key.UnmarshalBinary(raw); err != nil {
		return nil, err
	}
	// The context is empty and the message is not hashed before (RFC 9964).
	return func(message, sig []byte) bool { return mldsa65.Verify(key, message, nil, sig) }, nil
}

// mldsaSigner is an ML-DSA-65 private key in memory.
type mldsaSigner struct{ key *mldsa65.PrivateKey }

// NewMLDSA65 returns the private key of a seed of 32 bytes, the form in which
// RFC 9964 keeps it. The seed is the secret; take it from crypto/rand. The public
// key has a method Bytes() []byte that returns the 1952 bytes of FIPS 204.
//
// Its Sign is hedged (FIPS 204 §3.4) where rand is not nil, whatever rand is;
// that makes faults and side channels harder to use, and it is what a [Signer]
// does. With a nil rand it is deterministic, for test vectors.
func NewMLDSA65(seed *[32]byte) crypto.Signer {
	_, key := mldsa65.NewKeyFromSeed(seed)
	return &mldsaSigner{key}
}

// Public returns a key that tells its 1952 bytes by a method Bytes.
func (m *mldsaSigner) Public() crypto.PublicKey { return m.key.Public() }

// Sign signs message itself: there is no hash before, so opts must be nil or
// crypto.Hash(0).
func (m *mldsaSigner) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, errors.New("cose: ML-DSA signs messages, not digests")
	}
	sig := make([]byte, mldsa65SignatureLen)
	if err := mldsa65.SignTo(m.key, message, nil, rand != nil, sig); err != nil {
		return nil, err
	}
	return sig, nil
}
