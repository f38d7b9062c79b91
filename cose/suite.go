package cose

import "strconv"

// Alg is an algorithm's number in the COSE registry of IANA.
type Alg int64

// Algorithms. They are fully specified (RFC 9864): the number fixes the curve
// and the hash. The legacy numbers (RFC 9053) are never written, and read only
// where [Trust.Legacy] says so; here they mean the same as the current ones.
const (
	AlgEd25519 Alg = -19 // RFC 8032, RFC 9864
	AlgESP256  Alg = -9  // ECDSA with P-256 and SHA-256, RFC 9864
	AlgMLDSA65 Alg = -49 // FIPS 204 with an empty context, RFC 9964

	LegacyEdDSA Alg = -8 // RFC 9053 §2.2; here with Ed25519 alone
	LegacyES256 Alg = -7 // RFC 9053 §2.1; here with P-256 alone
)

// Lengths in bytes.
const (
	ed25519PublicLen, ed25519SignatureLen = 32, 64
	esp256PublicLen, esp256SignatureLen   = 65, 64 // 0x04 ‖ x ‖ y; r ‖ s
	mldsa65PublicLen, mldsa65SignatureLen = 1952, 3309
)

// String returns the name in the registry.
func (a Alg) String() string {
	switch a {
	case AlgEd25519:
		return "Ed25519"
	case AlgESP256:
		return "ESP256"
	case AlgMLDSA65:
		return "ML-DSA-65"
	case LegacyEdDSA:
		return "EdDSA"
	case LegacyES256:
		return "ES256"
	}
	return "algorithm " + strconv.FormatInt(int64(a), 10)
}

// Current turns a legacy number into the one that replaced it and leaves all
// others as they are. To call it is to accept legacy numbers.
func (a Alg) Current() Alg {
	switch a {
	case LegacyEdDSA:
		return AlgEd25519
	case LegacyES256:
		return AlgESP256
	}
	return a
}

// publicLen and signatureLen are 0 for an unknown algorithm.
func (a Alg) publicLen() int {
	switch a.Current() {
	case AlgEd25519:
		return ed25519PublicLen
	case AlgESP256:
		return esp256PublicLen
	case AlgMLDSA65:
		return mldsa65PublicLen
	}
	return 0
}

func (a Alg) signatureLen() int {
	switch a.Current() {
	case AlgEd25519:
		return ed25519SignatureLen
	case AlgESP256:
		return esp256SignatureLen
	case AlgMLDSA65:
		return mldsa65SignatureLen
	}
	return 0
}

// Suite says which signatures make up one signer's. The numbers are those of the
// wire and of package policy. The zero Suite has no keys.
type Suite uint8

// Suites. A hybrid is two signatures over the same payload, both required.
const (
	Ed25519 Suite = 1 + iota
	ESP256
	MLDSA65
	Ed25519MLDSA65
	ESP256MLDSA65
)

// suiteAlgs are the algorithms of the halves, in the order of the halves.
var suiteAlgs = [...][]Alg{
	Ed25519:        {AlgEd25519},
	ESP256:         {AlgESP256},
	MLDSA65:        {AlgMLDSA65},
	Ed25519MLDSA65: {AlgEd25519, AlgMLDSA65},
	ESP256MLDSA65:  {AlgESP256, AlgMLDSA65},
}

// algs must not be changed by the caller; nil for an unknown suite.
func (s Suite) algs() []Alg {
	if int(s) < len(suiteAlgs) {
		return suiteAlgs[s]
	}
	return nil
}

// Algs returns the algorithms of the suite's halves in the order in which keys
// and signatures hold them; nil for an unknown suite.
func (s Suite) Algs() []Alg { return append([]Alg(nil), s.algs()...) }

// PublicLen is the length of a public key, that of a hybrid the sum of its
// halves; 0 for an unknown suite.
func (s Suite) PublicLen() (n int) {
	for _, a := range s.algs() {
		n += a.publicLen()
	}
	return n
}

// String returns the suite's name, the same as in policies.
func (s Suite) String() string {
	switch s {
	case Ed25519:
		return "ed25519"
	case ESP256:
		return "esp256"
	case MLDSA65:
		return "ml-dsa-65"
	case Ed25519MLDSA65:
		return "ed25519+ml-dsa-65"
	case ESP256MLDSA65:
		return "esp256+ml-dsa-65"
	}
	return "suite " + strconv.Itoa(int(s))
}
