package cose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
)

// scalarLen is the length of a coordinate and of r and s.
const scalarLen = 32

// newESP256 parses a public key: an uncompressed point of P-256 (SEC 1 §2.3.3)
// on the curve, not at infinity.
//
// Of r and s, 1 … n−1 is accepted (FIPS 186-5 §6.4.2). Nobody has to choose the
// lower of s and n−s: COSE does not ask for it, HSMs and TPMs do not do it, and
// what a second valid signature could break is not there, as nothing is named
// after a signature.
func newESP256(raw []byte) (func(message, sig []byte) bool, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return nil, err
	}
	return func(message, sig []byte) bool {
		digest := sha256.Sum256(message)
		var der [2 + 2*(2+1+scalarLen)]byte
		return ecdsa.VerifyASN1(key, digest[:], appendDER(der[:0], sig))
	}, nil
}

// appendDER writes r ‖ s (RFC 9053 §2.1) as an Ecdsa-Sig-Value (RFC 3279
// §2.2.3), the only form that the standard library verifies.
func appendDER(b, sig []byte) []byte {
	start := len(b)
	b = append(b, 0x30, 0)
	for _, n := range [2][]byte{sig[:scalarLen], sig[scalarLen:]} {
		for len(n) > 1 && n[0] == 0 {
			n = n[1:]
		}
		pad := 0
		if n[0] >= 0x80 {
			pad = 1
		}
		b = append(b, 0x02, byte(pad+len(n)))
		b = append(b, make([]byte, pad)...)
		b = append(b, n...)
	}
	b[start+1] = byte(len(b) - start - 2)
	return b
}

// FromDER turns an ECDSA signature as most HSMs and tools write it, an ASN.1
// Ecdsa-Sig-Value, into the 64 bytes r ‖ s that COSE has (RFC 9053 §2.1) and
// that [Envelope.Attach] takes.
func FromDER(der []byte) ([]byte, error) {
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil {
		return nil, refuse(ErrMalformed, "ECDSA signature: %w", err)
	}
	if len(rest) > 0 || v.R.Sign() <= 0 || v.S.Sign() <= 0 || v.R.BitLen() > 8*scalarLen || v.S.BitLen() > 8*scalarLen {
		return nil, refuse(ErrMalformed, "ECDSA signature is not one of P-256")
	}
	sig := make([]byte, 2*scalarLen)
	v.R.FillBytes(sig[:scalarLen])
	v.S.FillBytes(sig[scalarLen:])
	return sig, nil
}
