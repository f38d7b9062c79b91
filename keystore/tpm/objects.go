package tpm

import (
	"bytes"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"
)

// The children of the storage key. Their order is that of the blob.
const (
	objSign = iota // P-256, ECDSA with SHA-256: half 0 of the identity
	objDH          // P-256, ECDH: the curve's half of the KEM
	objHMAC        // HMAC-SHA-256: Derive
	objSeed        // sealed: seeds of ML-DSA-65 (32 bytes) and ML-KEM-768 (64 bytes)
	objAK          // P-256, restricted: attests the others and the PCRs
	objects
)

const (
	mldsaSeed = 32
	seedLen   = mldsaSeed + 64
)

func sameName(a tpm2.TPM2BName, b []byte) bool { return len(b) > 0 && bytes.Equal(a.Buffer, b) }

// attributes are those of every key here: it never leaves the TPM nor its parent. NoDA,
// because a dictionary attack on somebody else's key must not lock this one out;
// there is no password to guess.
func attributes(policy []byte) tpm2.TPMAObject {
	return tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true,
		NoDA: true, UserWithAuth: policy == nil}
}

func eccTemplate(a tpm2.TPMAObject, policy []byte, scheme tpm2.TPMTECCScheme) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256, Scheme: scheme}),
	}
}

func ecdsaScheme() tpm2.TPMTECCScheme {
	return tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}
}

// template is the public area of a child. policy binds its use to PCRs; nil is none.
// The AK is never bound: it is to say what was measured also when that is wrong.
func template(obj int, policy []byte) tpm2.TPMTPublic {
	a := attributes(policy)
	switch obj {
	case objSign:
		a.SignEncrypt = true
		return eccTemplate(a, policy, ecdsaScheme())
	case objDH:
		a.Decrypt = true
		return eccTemplate(a, policy, tpm2.TPMTECCScheme{})
	case objAK:
		a = attributes(nil)
		a.SignEncrypt, a.Restricted = true, true
		return eccTemplate(a, nil, ecdsaScheme())
	}
	t := tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policy}}
	scheme := tpm2.TPMTKeyedHashScheme{}
	if obj == objHMAC {
		a.SignEncrypt = true
		scheme = tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256})}
	} else {
		a.SensitiveDataOrigin = false // the seeds come from outside
	}
	t.ObjectAttributes = a
	t.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: scheme})
	return t
}

// primaryEK makes the EK of the TCG's P-256 template, which is the same each time.
func (c *call) primaryEK(auth []byte) (*tpm2.CreatePrimaryResponse, error) {
	return c.primary(tpm2.TPMRHEndorsement, auth, tpm2.ECCEKTemplate)
}

func (c *call) primary(hierarchy tpm2.TPMHandle, auth []byte, t tpm2.TPMTPublic) (*tpm2.CreatePrimaryResponse, error) {
	r, err := run(c, tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(auth)},
		InPublic:      tpm2.New2B(t),
	})
	if err == nil {
		c.own(r.ObjectHandle)
	}
	return r, err
}

// selection is a list of PCRs of the SHA-256 bank.
func selection(pcrs []uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...)}}}
}

// policyOf is the policy of PolicyPCR over the PCRs as they are now; nil for none.
func (c *call) policyOf(pcrs []uint) ([]byte, error) {
	if len(pcrs) == 0 {
		return nil, nil
	}
	h := sha256.New()
	for _, one := range pcrs { // one by one: a TPM returns eight at most
		r, err := run(c, tpm2.PCRRead{PCRSelectionIn: selection([]uint{one})})
		if err != nil {
			return nil, err
		}
		for _, d := range r.PCRValues.Digests {
			h.Write(d.Buffer)
		}
	}
	calc, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	err = tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: h.Sum(nil)}, Pcrs: selection(pcrs)}.Update(calc)
	return calc.Hash().Digest, err
}
