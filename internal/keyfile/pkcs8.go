package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/nanolock/nanolock/cose"
)

// half is one private key: 32 bytes, whatever the algorithm. They are the seed of Ed25519
// (RFC 8032) or ML-DSA-65 (FIPS 204), or the scalar of P-256.
type half struct {
	alg    cose.Alg
	secret [32]byte
}

var (
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}                  // RFC 8410
	oidEC      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}          // RFC 5480
	oidMLDSA65 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18} // RFC 9881

	// The seed alone, [0] IMPLICIT OCTET STRING, of the three forms of RFC 9881 §6.
	mldsaSeed = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0}
)

// errNotPKCS8 is what a wrong passphrase gives if its padding happens to fit.
var errNotPKCS8 = refuse(ErrMalformed, "not a private key of PKCS#8, version 0")

// privateKeyInfo is RFC 5958 §2 without attributes and public key.
type privateKeyInfo struct {
	Version   int
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
}

// signer is the private key at work. ErrMalformed if secret is no key: zero, or more than
// the order of P-256.
func (h *half) signer() (crypto.Signer, error) {
	switch h.alg {
	case cose.AlgEd25519:
		return ed25519.NewKeyFromSeed(h.secret[:]), nil
	case cose.AlgESP256:
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), h.secret[:])
		if err != nil {
			return nil, refuse(ErrMalformed, "%w", err)
		}
		return k, nil
	case cose.AlgMLDSA65:
		return cose.NewMLDSA65(&h.secret), nil
	}
	return nil, refuse(ErrMalformed, "%v", h.alg)
}

// encode writes PKCS#8; the caller clears the result.
func (h *half) encode() ([]byte, error) {
	if h.alg == cose.AlgMLDSA65 {
		seed := mldsaSeed
		seed.Bytes = h.secret[:]
		key, err := asn1.Marshal(seed)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		return asn1.Marshal(privateKeyInfo{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidMLDSA65}, Key: key})
	}
	k, err := h.signer()
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(k)
}

// decode reads PKCS#8. Only the algorithms of the suites come as far as a parser.
func decode(der []byte) (h half, err error) {
	var info privateKeyInfo
	rest, err := asn1.Unmarshal(der, &info)
	if err != nil || len(rest) != 0 || info.Version != 0 {
		return h, errNotPKCS8
	}
	defer clear(info.Key)
	switch oid := info.Algorithm.Algorithm; {
	case oid.Equal(oidEd25519):
		return decodeStandard(der, cose.AlgEd25519)
	case oid.Equal(oidEC):
		return decodeStandard(der, cose.AlgESP256)
	case !oid.Equal(oidMLDSA65):
		return h, refuse(ErrMalformed, "a key of another algorithm than Ed25519, P-256 and ML-DSA-65")
	}
	var seed asn1.RawValue
	rest, err = asn1.Unmarshal(info.Key, &seed)
	if err != nil || len(rest) != 0 || seed.Class != mldsaSeed.Class || seed.Tag != mldsaSeed.Tag || seed.IsCompound ||
		len(seed.Bytes) != len(h.secret) || len(info.Algorithm.Parameters.FullBytes) != 0 {
		return h, refuse(ErrMalformed, "an ML-DSA-65 key in another form than its seed alone")
	}
	h.alg = cose.AlgMLDSA65
	copy(h.secret[:], seed.Bytes)
	return h, nil
}

// decodeStandard reads what crypto/x509 knows, and takes it if it is what it would
// write: the public key within a P-256 key is the private key's, for one.
func decodeStandard(der []byte, alg cose.Alg) (h half, err error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return h, refuse(ErrMalformed, "%w", err)
	}
	h.alg = alg
	switch k := k.(type) {
	case ed25519.PrivateKey:
		copy(h.secret[:], k.Seed())
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		if k.Curve != elliptic.P256() || err != nil {
			return half{}, refuse(ErrMalformed, "a key of another curve than P-256")
		}
		copy(h.secret[:], raw)
		clear(raw)
	}
	again, err := h.encode()
	defer clear(again)
	if err != nil || !bytes.Equal(again, der) {
		return half{}, refuse(ErrMalformed, "another encoding than that of RFC 8410 and RFC 5915")
	}
	return h, nil
}
