package cose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
)

// Signer signs with the private key of one suite, of which each half may live
// somewhere else: it asks crypto.Signers. It may be used concurrently if these
// may be.
type Signer struct {
	public *PublicKey
	halves []crypto.Signer
}

// NewSigner takes one crypto.Signer for each half of the suite, in its order:
// for Ed25519 one whose public key is an ed25519.PublicKey and which signs
// messages, for ESP256 one whose public key is an *ecdsa.PublicKey of P-256 and
// which signs SHA-256 digests in ASN.1, as all of these do, and for ML-DSA-65
// one whose public key has a method Bytes() []byte and which signs messages with
// an empty context, as [NewMLDSA65] and circl's private keys do.
func NewSigner(s Suite, halves ...crypto.Signer) (*Signer, error) {
	algs := s.algs()
	if len(algs) == 0 {
		return nil, refuse(ErrAlgorithm, "%v is unknown", s)
	}
	if len(halves) != len(algs) {
		return nil, refuse(ErrKey, "%d private halves for %v", len(halves), s)
	}
	var raw [][]byte
	for i, a := range algs {
		r, err := rawPublic(a, halves[i])
		if err != nil {
			return nil, err
		}
		raw = append(raw, r)
	}
	public, err := newPublicKey(s, raw)
	if err != nil {
		return nil, err
	}
	return &Signer{public, append([]crypto.Signer(nil), halves...)}, nil
}

// rawPublic encodes the public key of a private half.
func rawPublic(alg Alg, half crypto.Signer) ([]byte, error) {
	if half == nil {
		return nil, refuse(ErrKey, "no private half for %v", alg)
	}
	switch pub := half.Public().(type) {
	case ed25519.PublicKey:
		if alg == AlgEd25519 {
			return pub, nil
		}
	case *ecdsa.PublicKey:
		if alg == AlgESP256 && pub != nil && pub.Curve == elliptic.P256() {
			b, err := pub.Bytes()
			if err != nil {
				return nil, refuse(ErrKey, "%w", err)
			}
			return b, nil
		}
	case interface{ Bytes() []byte }:
		if alg == AlgMLDSA65 {
			return pub.Bytes(), nil
		}
	}
	return nil, refuse(ErrKey, "%T is not for %v", half.Public(), alg)
}

// Public returns the public key.
func (s *Signer) Public() *PublicKey { return s.public }

// SignHalf signs message with the half that is of algorithm alg and returns the
// signature in the form that COSE gives it. It is for formats other than the
// envelopes of this package; see [PublicKey.VerifyHalf].
//
// No signature leaves before it has been verified: a fault, or a module that
// signs something else than it was given, must not spoil or leak.
func (s *Signer) SignHalf(alg Alg, message []byte) ([]byte, error) {
	for i := range s.halves {
		if s.public.halves[i].alg == alg {
			return s.sign(i, message)
		}
	}
	return nil, refuse(ErrAlgorithm, "%v has no %v", s.public.suite, alg)
}

func (s *Signer) sign(i int, message []byte) ([]byte, error) {
	h := &s.public.halves[i]
	hash := crypto.Hash(0)
	if h.alg == AlgESP256 {
		hash = crypto.SHA256
	}
	sig, err := crypto.SignMessage(s.halves[i], rand.Reader, message, hash)
	if err != nil {
		return nil, refuse(ErrKey, "%v: %w", h.alg, err)
	}
	if h.alg == AlgESP256 {
		if sig, err = FromDER(sig); err != nil {
			return nil, refuse(ErrSignature, "%v: %v", h.alg, err)
		}
	}
	if !h.check(message, sig) {
		return nil, refuse(ErrSignature, "%v: the private key signed something else", h.alg)
	}
	return sig, nil
}
