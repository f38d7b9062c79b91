package tpm

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// Sign signs with half 0, ESP256 inside the TPM, or half 1, ML-DSA-65 (hedged, empty
// context) in memory with the unsealed seed.
func (k *Keystore) Sign(ctx context.Context, half int, msg []byte) (sig []byte, err error) {
	err = k.with(ctx, "sign", func(c *call) error {
		switch half {
		case 0:
			sig, err = c.signP256(k.state, msg)
			return err
		case 1:
			seed, err := c.unseal(k.state)
			if err != nil {
				return err
			}
			defer clear(seed)
			sig, err = mldsaKey(seed).Sign(rand.Reader, msg, nil) // hedged
			return err
		}
		return fault("sign", keystore.ErrMalformed, nil)
	})
	if err != nil {
		return nil, err
	}
	return sig, nil
}

func (c *call) signP256(s *state, msg []byte) ([]byte, error) {
	h, err := c.load(s, objSign, in)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(msg)
	r, err := run(c, tpm2.Sign{
		KeyHandle: h,
		Digest:    tpm2.TPM2BDigest{Buffer: digest[:]},
		InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA,
			Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	})
	if err != nil {
		return nil, err
	}
	return rawECDSA(&r.Signature)
}

// rawECDSA is r then s, 32 bytes each.
func rawECDSA(s *tpm2.TPMTSignature) ([]byte, error) {
	e, err := s.Signature.ECDSA()
	if err != nil {
		return nil, err
	}
	r, v := e.SignatureR.Buffer, e.SignatureS.Buffer
	if len(r) > 32 || len(v) > 32 {
		return nil, errGarbled
	}
	sig := make([]byte, 64)
	copy(sig[32-len(r):32], r)
	copy(sig[64-len(v):], v)
	return sig, nil
}

// Derive is the TPM's HMAC-SHA-256 of "nanolock/1/" and the label.
func (k *Keystore) Derive(ctx context.Context, label string) (key [32]byte, err error) {
	err = k.with(ctx, "derive", func(c *call) error {
		if err := keystore.CheckLabel(label); err != nil {
			return err
		}
		key, err = c.hmac(k.state, "nanolock/1/"+label)
		return err
	})
	return key, err
}

// Decapsulate is MLKEM768-P256's: the curve's half inside the TPM, ML-KEM's in
// memory with the unsealed seed, joined by [keystore.KEM.Open].
func (k *Keystore) Decapsulate(ctx context.Context, enc []byte) (secret [32]byte, err error) {
	err = k.with(ctx, "decapsulate", func(c *call) error {
		secret, err = keystore.MLKEM768P256.Open(sealed{c, k.state}, exchanger{c, k.state}, enc)
		return err
	})
	return secret, err
}

// sealed is the ML-KEM half; it unseals only when it is used.
type sealed struct {
	c *call
	s *state
}

func (h sealed) Encapsulator() crypto.Encapsulator {
	ek, err := mlkem.NewEncapsulationKey768(h.s.encap[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil
	}
	return ek
}

func (h sealed) Decapsulate(ct []byte) ([]byte, error) {
	seed, err := h.c.unseal(h.s)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	dk, err := mlkemKey(seed)
	if err != nil {
		return nil, err
	}
	return dk.Decapsulate(ct)
}

// exchanger is the curve's half.
type exchanger struct {
	c *call
	s *state
}

func (h exchanger) Curve() ecdh.Curve { return ecdh.P256() }

func (h exchanger) PublicKey() *ecdh.PublicKey {
	pub, err := ecdh.P256().NewPublicKey(point(h.s.public[objDH]))
	if err != nil {
		return nil
	}
	return pub
}

func (h exchanger) ECDH(peer *ecdh.PublicKey) ([]byte, error) {
	key, err := h.c.load(h.s, objDH, both)
	if err != nil {
		return nil, err
	}
	p := peer.Bytes()
	r, err := run(h.c, tpm2.ECDHZGen{KeyHandle: key, InPoint: tpm2.New2B(tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: p[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: p[33:]}})})
	if err != nil {
		return nil, err
	}
	z, err := r.OutPoint.Contents()
	if err != nil || len(z.X.Buffer) > 32 {
		return nil, errGarbled
	}
	secret := make([]byte, 32)
	copy(secret[32-len(z.X.Buffer):], z.X.Buffer)
	clear(z.X.Buffer)
	h.c.end() // the slots are for the other half now
	return secret, nil
}
