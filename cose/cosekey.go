package cose

import (
	"crypto/sha256"

	"github.com/nanolock/nanolock/internal/cbor"
)

// Labels and values of COSE_Key (RFC 9052 §7, RFC 9053 §7, RFC 9964).
const (
	keyKty = 1
	keyAlg = 3

	ktyOKP, okpCurve, okpX, curveEd25519 = 1, -1, -2, 6
	ktyEC2, ec2Curve, ec2X, ec2Y, curveP = 2, -1, -2, -3, 1
	ktyAKP, akpPub                       = 7, -1
)

// appendKey writes the COSE_Key of a public half. Without withAlg it is the
// input of the thumbprint (RFC 9679 §4): only what the key type requires, to
// which alg belongs for AKP alone.
func appendKey(b []byte, alg Alg, raw []byte, withAlg bool) []byte {
	n := 0
	if withAlg {
		n = 1
	}
	head := func(kty int64, params int) {
		b = cbor.AppendMap(b, params)
		b = cbor.AppendInt(cbor.AppendInt(b, keyKty), kty)
		if withAlg || kty == ktyAKP {
			b = cbor.AppendInt(cbor.AppendInt(b, keyAlg), int64(alg))
		}
	}
	switch alg {
	case AlgEd25519:
		head(ktyOKP, 3+n)
		b = cbor.AppendInt(cbor.AppendInt(b, okpCurve), curveEd25519)
		b = cbor.AppendBytes(cbor.AppendInt(b, okpX), raw)
	case AlgESP256:
		head(ktyEC2, 4+n)
		b = cbor.AppendInt(cbor.AppendInt(b, ec2Curve), curveP)
		b = cbor.AppendBytes(cbor.AppendInt(b, ec2X), raw[1:1+scalarLen])
		b = cbor.AppendBytes(cbor.AppendInt(b, ec2Y), raw[1+scalarLen:])
	case AlgMLDSA65:
		head(ktyAKP, 3)
		b = cbor.AppendBytes(cbor.AppendInt(b, akpPub), raw)
	}
	return b
}

func thumbprint(alg Alg, raw []byte) [32]byte {
	return sha256.Sum256(appendKey(nil, alg, raw, false))
}

// COSEKeys returns each half as a COSE_Key: kty, alg, and what the type
// requires, the y of a P-256 point in full.
//
//	{1: 1, 3: -19, -1: 6, -2: x}
//	{1: 2, 3: -9, -1: 1, -2: x, -3: y}
//	{1: 7, 3: -49, -1: pub}
func (k *PublicKey) COSEKeys() (keys [][]byte) {
	for i := range k.halves {
		h := &k.halves[i]
		keys = append(keys, appendKey(nil, h.alg, h.raw, true))
	}
	return keys
}

// ParseCOSEKeys parses a public key from one COSE_Key per half, exactly as
// [PublicKey.COSEKeys] writes them: an unknown or private parameter, a missing
// or other alg, a compressed point and every other encoding are refused.
func ParseCOSEKeys(s Suite, keys ...[]byte) (*PublicKey, error) {
	algs := s.algs()
	if len(algs) == 0 {
		return nil, refuse(ErrAlgorithm, "%v is unknown", s)
	}
	if len(keys) != len(algs) {
		return nil, refuse(ErrKey, "%d halves for %v", len(keys), s)
	}
	var raw [][]byte
	for i, b := range keys {
		r, err := parseKey(algs[i], b)
		if err != nil {
			return nil, err
		}
		raw = append(raw, r)
	}
	return newPublicKey(s, raw)
}

// parseKey reads the one form that a COSE_Key of alg has. As there is but one,
// it is compared with rather than interpreted: whatever differs from what
// appendKey would write is refused.
func parseKey(alg Alg, b []byte) ([]byte, error) {
	var kty, gotAlg int64
	var x, y []byte
	d := cbor.NewDecoder(b)
	d.Fields([]int64{keyKty, keyAlg, akpPub}, func(label int64) bool {
		switch {
		case label == keyKty:
			kty = d.Int()
		case label == keyAlg:
			gotAlg = d.Int()
		case label == akpPub && kty == ktyAKP:
			x = d.BytesOf(mldsa65PublicLen)
		case label == okpCurve: // the same label in all types
			d.Int()
		case label == okpX:
			x = d.BytesOf(scalarLen)
		case label == ec2Y && kty == ktyEC2:
			y = d.BytesOf(scalarLen)
		default:
			return false
		}
		return true
	})
	if err := d.End(); err != nil {
		return nil, refuse(ErrMalformed, "COSE_Key: %w", err)
	}
	if Alg(gotAlg) != alg {
		return nil, refuse(ErrAlgorithm, "COSE_Key of %v, want %v", Alg(gotAlg), alg)
	}
	raw := x
	if alg == AlgESP256 {
		raw = append(append([]byte{4}, x...), y...)
	}
	if len(raw) != alg.publicLen() || string(appendKey(nil, alg, raw, true)) != string(b) {
		return nil, refuse(ErrMalformed, "not a COSE_Key of %v", alg)
	}
	return raw, nil
}
