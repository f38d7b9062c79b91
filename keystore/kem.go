package keystore

import (
	"crypto"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha3"
)

// KEM is a key encapsulation mechanism by its HPKE number (IANA). Both are ML-KEM-768
// with a curve, as in draft-ietf-hpke-pq; crypto/hpke has them as MLKEM768X25519 and
// MLKEM768P256.
type KEM uint16

// KEMs.
const (
	XWing        KEM = 0x647a // MLKEM768-X25519
	MLKEM768P256 KEM = 0x0050 // MLKEM768-P256: for chips that know P-256 only
)

// kem is what the two differ in. label ends the combiner's input.
type kem struct {
	curve ecdh.Curve
	point int // bytes of the curve's public key
	label string
}

func (k KEM) parts() (kem, bool) {
	switch k {
	case XWing:
		return kem{ecdh.X25519(), 32, `\.//^\`}, true
	case MLKEM768P256:
		return kem{ecdh.P256(), 65, "MLKEM768-P256"}, true
	}
	return kem{}, false
}

// PublicLen is the length of a public key in bytes: 1184 of ML-KEM-768, then the
// curve's 32 or 65. 0 for an unknown KEM.
func (k KEM) PublicLen() int {
	if p, ok := k.parts(); ok {
		return mlkem.EncapsulationKeySize768 + p.point
	}
	return 0
}

// EncLen is the length of an encapsulation in bytes: 1088 of ML-KEM-768, then the
// curve's 32 or 65. 0 for an unknown KEM.
func (k KEM) EncLen() int {
	if p, ok := k.parts(); ok {
		return mlkem.CiphertextSize768 + p.point
	}
	return 0
}

// Open is the decapsulation of k for keystores: they bring the two private halves,
// wherever those live, and Open does the rest in one place. The secret is
// SHA3-256(ML-KEM secret ‖ curve secret ‖ enc's point ‖ own point ‖ label).
// [ErrMalformed] if enc has the wrong length or its point is not on the curve, else an
// error of pq or t as it is.
func (k KEM) Open(pq crypto.Decapsulator, t ecdh.KeyExchanger, enc []byte) (secret [32]byte, err error) {
	p, ok := k.parts()
	if !ok || len(enc) != k.EncLen() || t.Curve() != p.curve {
		return secret, &Error{Op: "decapsulate", Kind: ErrMalformed}
	}
	ctPQ, ctT := enc[:mlkem.CiphertextSize768], enc[mlkem.CiphertextSize768:]
	point, err := p.curve.NewPublicKey(ctT)
	if err != nil {
		return secret, &Error{Op: "decapsulate", Kind: ErrMalformed, Err: err}
	}
	ssT, err := t.ECDH(point)
	if err != nil {
		return secret, err
	}
	defer clear(ssT)
	ssPQ, err := pq.Decapsulate(ctPQ)
	if err != nil {
		return secret, err
	}
	defer clear(ssPQ)
	h := sha3.New256()
	for _, b := range [][]byte{ssPQ, ssT, ctT, t.PublicKey().Bytes(), []byte(p.label)} {
		h.Write(b)
	}
	h.Sum(secret[:0])
	return secret, nil
}
