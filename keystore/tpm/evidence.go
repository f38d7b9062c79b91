package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// Evidence is what a verifier needs to believe that an identity's P-256 halves live in
// one TPM. It proves nothing by itself: the verifier checks the EK (its
// certificate, or a list of known ones), then [Evidence.Verify], then that the device
// answers a [Challenge].
//
// It proves nothing about the ML-DSA and ML-KEM halves: a TPM cannot attest what it
// cannot compute. They are bound to the others by the device's first signature alone.
type Evidence struct {
	EK     []byte // TPMT_PUBLIC, the TCG's P-256 template
	EKCert []byte // DER, or nil
	AK     []byte // TPMT_PUBLIC, restricted: it signs nothing that the TPM did not say
	Sign   []byte // TPMT_PUBLIC of half 0 of the identity
	DH     []byte // TPMT_PUBLIC of the KEM's curve half

	SignInfo, SignSig []byte // TPMS_ATTEST by the AK about Sign; r then s
	DHInfo, DHSig     []byte // the same about DH
}

// Evidence's encoding: magic 8, then each field as u16 length and bytes, big-endian.
const evidenceMagic = "NLTPMEV\x01"

func (e *Evidence) fields() []*[]byte {
	return []*[]byte{&e.EK, &e.EKCert, &e.AK, &e.Sign, &e.DH, &e.SignInfo, &e.SignSig, &e.DHInfo, &e.DHSig}
}

func (e *Evidence) encode() []byte {
	b := []byte(evidenceMagic)
	for _, f := range e.fields() {
		b = binary.BigEndian.AppendUint16(b, uint16(len(*f)))
		b = append(b, *f...)
	}
	return b
}

// ParseEvidence reads Identity().Evidence; ErrMalformed for anything else. It
// checks the form and nothing more.
func ParseEvidence(b []byte) (*Evidence, error) {
	bad := fault("evidence", keystore.ErrMalformed, nil)
	if len(b) > blobMax || len(b) < 8 || string(b[:8]) != evidenceMagic {
		return nil, bad
	}
	var e Evidence
	rest := b[8:]
	for _, f := range e.fields() {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, bad
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		if *f, rest = bytes.Clone(rest[2:n]), rest[n:]; len(*f) == 0 {
			*f = nil
		}
	}
	if len(rest) != 0 || point(e.EK) == nil || point(e.AK) == nil || point(e.Sign) == nil || point(e.DH) == nil {
		return nil, bad
	}
	return &e, nil
}

// Verify checks that one AK, restricted to its TPM's own words, certified both keys, that those
// cannot leave their TPM, and that they are the identity's. ErrForeign says which is not so.
// Whether the AK is in the EK's TPM is what a Challenge finds out.
func (e *Evidence) Verify(id keystore.Identity) error {
	no := func(why string) error { return fault("evidence", keystore.ErrForeign, errors.New(why)) }
	ek, err := parsePublic(e.EK)
	if err != nil {
		return no("the EK does not parse")
	}
	want := tpm2.ECCEKTemplate
	want.Unique = ek.Unique
	if !bytes.Equal(tpm2.Marshal(want), e.EK) {
		return no("the EK is not of the TCG's template")
	}
	ak, err := parsePublic(e.AK)
	if err != nil || !bytes.Equal(tpm2.Marshal(withUnique(template(objAK, nil), ak)), e.AK) {
		return no("the AK may sign what it likes, or leave its TPM")
	}
	for _, k := range []struct {
		obj               int
		public, info, sig []byte
	}{{objSign, e.Sign, e.SignInfo, e.SignSig}, {objDH, e.DH, e.DHInfo, e.DHSig}} {
		pub, err := parsePublic(k.public)
		if err != nil {
			return no("a key does not parse")
		}
		var policy []byte
		if len(pub.AuthPolicy.Buffer) > 0 {
			policy = pub.AuthPolicy.Buffer
		}
		if !bytes.Equal(tpm2.Marshal(withUnique(template(k.obj, policy), pub)), k.public) {
			return no("a key may leave its TPM, or do more than its work")
		}
		if !e.signed(k.info, k.sig) {
			return no("the AK did not sign for a key")
		}
		a, err := parseAttest(k.info)
		if err != nil || a.Type != tpm2.TPMSTAttestCertify {
			return no("the AK said something else")
		}
		if c, err := a.Attested.Certify(); err != nil || !sameName(c.Name, nameOf(k.public)) {
			return no("the AK certified another key")
		}
	}
	halves := id.Suite.Split(id.Public)
	if id.Suite != keystore.ESP256MLDSA65 || halves == nil || !bytes.Equal(halves[0], point(e.Sign)) ||
		len(id.Encap) != keystore.MLKEM768P256.PublicLen() || !bytes.HasSuffix(id.Encap, point(e.DH)) {
		return no("the keys are not the identity's")
	}
	return nil
}

func withUnique(t tpm2.TPMTPublic, from *tpm2.TPMTPublic) tpm2.TPMTPublic {
	t.Unique = from.Unique
	return t
}

// signed checks a signature of the AK.
func (e *Evidence) signed(info, sig []byte) bool {
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point(e.AK))
	if err != nil || len(sig) != 64 {
		return false
	}
	digest := sha256.Sum256(info)
	return ecdsa.Verify(pub, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

// parseAttest reads a TPMS_ATTEST; go-tpm may panic on what no TPM wrote.
func parseAttest(b []byte) (a *tpm2.TPMSAttest, err error) {
	defer func() {
		if recover() != nil {
			a, err = nil, errGarbled
		}
	}()
	a, err = tpm2.Unmarshal[tpm2.TPMSAttest](b)
	if err == nil && (a.Magic != tpm2.TPMGeneratedValue || !bytes.Equal(tpm2.Marshal(a), b)) {
		return nil, errGarbled
	}
	return a, err
}

// VerifyQuote checks that q is signed by the evidence's AK over this nonce and these
// PCRs, and returns the digest of their values. ErrForeign if not.
func (e *Evidence) VerifyQuote(q Quote, nonce []byte, pcrs ...uint) (digest []byte, err error) {
	bad := fault("evidence", keystore.ErrForeign, nil)
	if !e.signed(q.Info, q.Sig) {
		return nil, bad
	}
	a, err := parseAttest(q.Info)
	if err != nil || a.Type != tpm2.TPMSTAttestQuote || !bytes.Equal(a.ExtraData.Buffer, nonce) {
		return nil, bad
	}
	info, err := a.Attested.Quote()
	if err != nil || !bytes.Equal(tpm2.Marshal(info.PCRSelect), tpm2.Marshal(selection(pcrs))) {
		return nil, bad
	}
	return info.PCRDigest.Buffer, nil
}

// Challenge is a secret encrypted to an EK for one AK.
type Challenge struct {
	Credential []byte // TPMS_ID_OBJECT
	Secret     []byte // TPMS_ENCRYPTED_SECRET
}

// Challenge encrypts secret, at most 32 bytes, so that [Keystore.Activate] opens it
// on the TPM that has both EK and AK and nowhere else.
func (e *Evidence) Challenge(secret []byte) (ch Challenge, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault("challenge", keystore.ErrMalformed, fmt.Errorf("%v", p))
		}
	}()
	if len(secret) == 0 || len(secret) > 32 {
		return ch, fault("challenge", keystore.ErrMalformed, nil)
	}
	ek, err := parsePublic(e.EK)
	if err != nil {
		return ch, fault("challenge", keystore.ErrMalformed, err)
	}
	key, err := tpm2.ImportEncapsulationKey(ek)
	if err != nil {
		return ch, fault("challenge", keystore.ErrMalformed, err)
	}
	ch.Credential, ch.Secret, err = tpm2.CreateCredential(rand.Reader, key, nameOf(e.AK), secret)
	return ch, err
}
