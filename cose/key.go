package cose

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/nanolock/nanolock/internal/cbor"
)

// PublicKey is a parsed public key of one suite. Parsing an ML-DSA key costs
// more than to verify with it, so keep PublicKeys. They never change and may be
// used concurrently. The zero PublicKey verifies nothing.
type PublicKey struct {
	suite  Suite
	halves []half
	id     [32]byte
}

// half is the key of one algorithm.
type half struct {
	alg       Alg
	raw       []byte
	kid       [32]byte // RFC 9679 thumbprint
	protected []byte   // the header of its signatures
	verify    func(message, sig []byte) bool
}

func newHalf(alg Alg, raw []byte) (h half, err error) {
	h.alg, h.raw = alg, slices.Clone(raw)
	switch {
	case len(raw) != alg.publicLen():
		return h, refuse(ErrKey, "%d bytes for %v, want %d", len(raw), alg, alg.publicLen())
	case alg == AlgEd25519:
		h.verify, err = newEd25519(h.raw)
	case alg == AlgESP256:
		h.verify, err = newESP256(h.raw)
	case alg == AlgMLDSA65:
		h.verify, err = newMLDSA65(h.raw)
	default:
		return h, refuse(ErrAlgorithm, "%v has no keys", alg)
	}
	if err != nil {
		return h, refuse(ErrKey, "%w", err)
	}
	h.kid = thumbprint(alg, h.raw)
	h.protected = appendProtected(nil, alg, h.kid[:])
	return h, nil
}

// check tells whether sig is h's over message. The length comes first: the
// primitives below may rely on it.
func (h *half) check(message, sig []byte) bool {
	return len(sig) == h.alg.signatureLen() && h.verify(message, sig)
}

// ParsePublicKey parses a public key as policies hold it: for Ed25519 the 32
// bytes of RFC 8032, for ESP256 the 65 of an uncompressed SEC 1 point, for
// ML-DSA-65 the 1952 of FIPS 204, for a hybrid the classical half and behind it
// the other. Points off the curve, Ed25519 points of small order or in an
// encoding that is not canonical are ErrKey, so that a key has one encoding.
func ParsePublicKey(s Suite, public []byte) (*PublicKey, error) {
	if s.PublicLen() == 0 {
		return nil, refuse(ErrAlgorithm, "%v is unknown", s)
	}
	if len(public) != s.PublicLen() {
		return nil, refuse(ErrKey, "%d bytes for %v, want %d", len(public), s, s.PublicLen())
	}
	var raw [][]byte
	for _, a := range s.algs() {
		n := a.publicLen()
		raw, public = append(raw, public[:n]), public[n:]
	}
	return newPublicKey(s, raw)
}

// newPublicKey takes as many halves as the suite has.
func newPublicKey(s Suite, raw [][]byte) (*PublicKey, error) {
	k := &PublicKey{suite: s}
	for i, a := range s.algs() {
		h, err := newHalf(a, raw[i])
		if err != nil {
			return nil, err
		}
		k.halves = append(k.halves, h)
	}
	b := cbor.AppendArray(nil, 3)
	b = cbor.AppendText(b, "nanolock/1/id")
	b = cbor.AppendUint(b, uint64(s))
	b = cbor.AppendArray(b, len(k.halves))
	for i := range k.halves {
		b = cbor.AppendBytes(b, k.halves[i].kid[:])
	}
	k.id = sha256.Sum256(b)
	return k, nil
}

// Suite returns the key's suite.
func (k *PublicKey) Suite() Suite { return k.suite }

// ID names the key, and the device or person who holds it: the SHA-256 of the
// deterministic CBOR ["nanolock/1/id", suite, [thumbprint of each half]].
func (k *PublicKey) ID() [32]byte { return k.id }

// Bytes returns the key as ParsePublicKey reads it.
func (k *PublicKey) Bytes() (b []byte) {
	for i := range k.halves {
		b = append(b, k.halves[i].raw...)
	}
	return b
}

// Equal tells whether two keys are of the same suite and bytes.
func (k *PublicKey) Equal(other *PublicKey) bool {
	return k.suite == other.suite && bytes.Equal(k.Bytes(), other.Bytes())
}

// Thumbprints returns for each half its COSE Key Thumbprint with SHA-256
// (RFC 9679), which is the kid of that half's signatures.
func (k *PublicKey) Thumbprints() [][32]byte {
	var t [][32]byte
	for i := range k.halves {
		t = append(t, k.halves[i].kid)
	}
	return t
}

// VerifyHalf verifies one signature over message by the half of k that is of
// algorithm alg, in the form that COSE gives it (for ECDSA r ‖ s). It is for
// formats other than the envelopes of this package, such as the COSE_Sign1 of
// SUIT, and decides nothing about who may sign: whoever has an envelope calls
// [Verify]. Legacy numbers are refused; see [Alg.Current].
func (k *PublicKey) VerifyHalf(alg Alg, message, signature []byte) error {
	for i := range k.halves {
		if h := &k.halves[i]; h.alg == alg {
			if !h.check(message, signature) {
				return refuse(ErrSignature, "%v", alg)
			}
			return nil
		}
	}
	return refuse(ErrAlgorithm, "%v has no %v", k.suite, alg)
}
