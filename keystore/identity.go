package keystore

import (
	"bytes"
	"fmt"
)

// Identity is the public side of a device's secret. The zero Identity is nobody.
type Identity struct {
	Suite  Suite  // signature suite
	Public []byte // the suite's public halves, one behind the other: Suite.PublicLen bytes
	KEM    KEM    // key encapsulation
	Encap  []byte // the KEM's public key: KEM.PublicLen bytes
	Class  Class  // where the secret lives
	// Evidence is what an enrolment checks to believe Class: an EK with its
	// certificate and a certified key, a voucher, a DICE chain. Opaque here, nil
	// if there is none; it is a claim until somebody verified it.
	Evidence []byte
}

// Valid tells whether the lengths fit the suite and the KEM and the class is known.
func (id Identity) Valid() bool {
	return len(id.Suite.Halves()) > 0 && len(id.Public) == id.Suite.PublicLen() &&
		id.KEM.PublicLen() > 0 && len(id.Encap) == id.KEM.PublicLen() &&
		id.Class >= File && id.Class <= Hardware
}

// Equal tells whether both are the same device: suite, keys and class. Evidence
// may be renewed and does not count.
func (id Identity) Equal(o Identity) bool {
	return id.Suite == o.Suite && bytes.Equal(id.Public, o.Public) &&
		id.KEM == o.KEM && bytes.Equal(id.Encap, o.Encap) && id.Class == o.Class
}

// Clone is a copy that shares no memory with id.
func (id Identity) Clone() Identity {
	id.Public, id.Encap, id.Evidence = bytes.Clone(id.Public), bytes.Clone(id.Encap), bytes.Clone(id.Evidence)
	return id
}

// Class says where a secret lives; the zero Class is unknown and deserves no trust.
type Class uint8

// Classes, weakest first.
const (
	File     Class = 1 + iota // a file: who copies it has copied the device
	Supplied                  // handed in by the integrator from a PUF, fuses or the like
	Hardware                  // a TPM or secure element that does not give it away
)

// String names the class.
func (c Class) String() string {
	switch c {
	case File:
		return "file"
	case Supplied:
		return "supplied"
	case Hardware:
		return "hardware"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Suite is a signature suite, numbered as on the wire and in package policy.
type Suite uint8

// Suites. A hybrid has two halves, and both must verify.
const (
	Ed25519        Suite = 1 + iota // RFC 8032
	ESP256                          // ECDSA, P-256, SHA-256 (RFC 9864)
	MLDSA65                         // FIPS 204
	Ed25519MLDSA65                  // both
	ESP256MLDSA65                   // both
)

// Half is one key of a suite.
type Half struct {
	Alg          int // COSE algorithm (IANA): -19 Ed25519, -9 ESP256, -49 ML-DSA-65
	PublicLen    int // Ed25519 32 (RFC 8032), P-256 65 (SEC 1, uncompressed), ML-DSA-65 1952 (FIPS 204)
	SignatureLen int // 64, 64 (r then s), 3309
}

var (
	halfEd25519 = Half{-19, 32, 64}
	halfESP256  = Half{-9, 65, 64}
	halfMLDSA65 = Half{-49, 1952, 3309}
)

// Halves are the suite's keys in the order in which Public holds them; nil for
// an unknown suite.
func (s Suite) Halves() []Half {
	switch s {
	case Ed25519:
		return []Half{halfEd25519}
	case ESP256:
		return []Half{halfESP256}
	case MLDSA65:
		return []Half{halfMLDSA65}
	case Ed25519MLDSA65:
		return []Half{halfEd25519, halfMLDSA65}
	case ESP256MLDSA65:
		return []Half{halfESP256, halfMLDSA65}
	}
	return nil
}

// PublicLen is the length of a public key in bytes, a hybrid's the sum; 0 for an
// unknown suite.
func (s Suite) PublicLen() (n int) {
	for _, h := range s.Halves() {
		n += h.PublicLen
	}
	return n
}

// SignatureLen is the length of all halves' signatures in bytes.
func (s Suite) SignatureLen() (n int) {
	for _, h := range s.Halves() {
		n += h.SignatureLen
	}
	return n
}

// Split cuts a public key into its halves; nil if the length is not the suite's.
func (s Suite) Split(public []byte) (halves [][]byte) {
	if len(public) != s.PublicLen() {
		return nil
	}
	for _, h := range s.Halves() {
		halves = append(halves, public[:h.PublicLen:h.PublicLen])
		public = public[h.PublicLen:]
	}
	return halves
}
