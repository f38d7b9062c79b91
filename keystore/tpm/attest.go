package tpm

import (
	"context"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// certify has the AK say that obj is a key of its own TPM.
func (c *call) certify(s *state, obj int) (info, sig []byte, err error) {
	key, err := c.loadPlain(s, obj, plain)
	if err != nil {
		return nil, nil, err
	}
	ak, err := c.load(s, objAK, plain)
	if err != nil {
		return nil, nil, err
	}
	r, err := run(c, tpm2.Certify{ObjectHandle: key, SignHandle: ak, InScheme: nullScheme()})
	if err != nil {
		return nil, nil, err
	}
	sig, err = rawECDSA(&r.Signature)
	return r.CertifyInfo.Bytes(), sig, err
}

func nullScheme() tpm2.TPMTSigScheme { return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull} }

// Quote is what a TPM says about its PCRs, signed by the AK.
type Quote struct {
	Info []byte // TPMS_ATTEST
	Sig  []byte // ECDSA over SHA-256 of Info, r then s
}

// Quote quotes PCRs of the SHA-256 bank with a nonce of at most 32 bytes. It works
// under any measurement.
func (k *Keystore) Quote(ctx context.Context, nonce []byte, pcrs ...uint) (q Quote, err error) {
	err = k.with(ctx, "quote", func(c *call) error {
		if len(nonce) > 32 || len(pcrs) == 0 {
			return fault("quote", keystore.ErrMalformed, nil)
		}
		for _, p := range pcrs {
			if p > 23 {
				return fault("quote", keystore.ErrMalformed, nil)
			}
		}
		ak, err := c.load(k.state, objAK, in)
		if err != nil {
			return err
		}
		r, err := run(c, tpm2.Quote{SignHandle: ak, QualifyingData: tpm2.TPM2BData{Buffer: nonce},
			InScheme: nullScheme(), PCRSelect: selection(pcrs)})
		if err != nil {
			return err
		}
		q.Info = r.Quoted.Bytes()
		q.Sig, err = rawECDSA(&r.Signature)
		return err
	})
	if err != nil {
		return Quote{}, err
	}
	return q, nil
}

// Activate answers a [Challenge]: it returns the secret that only the TPM with this
// EK, and this AK in it, can open. ErrForeign if the challenge is for another.
func (k *Keystore) Activate(ctx context.Context, ch Challenge) (secret []byte, err error) {
	err = k.with(ctx, "activate", func(c *call) error {
		if len(ch.Credential) > 512 || len(ch.Secret) > 512 {
			return fault("activate", keystore.ErrMalformed, nil)
		}
		ak, err := c.load(k.state, objAK, out)
		if err != nil {
			return err
		}
		ek, err := c.endorsement(k)
		if err != nil {
			return err
		}
		r, err := run(c, tpm2.ActivateCredential{ActivateHandle: ak, KeyHandle: ek,
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: ch.Credential}, Secret: tpm2.TPM2BEncryptedSecret{Buffer: ch.Secret}})
		if err != nil {
			return err
		}
		secret = r.CertInfo.Buffer
		return nil
	})
	return secret, err
}

// endorsement satisfies the EK's policy: the endorsement hierarchy's password.
func (c *call) endorsement(k *Keystore) (h tpm2.AuthHandle, err error) {
	opts, err := options(k.state, plain, nil)
	if err != nil {
		return h, err
	}
	sess, err := c.start(func() (tpm2.Session, error) {
		sess, _, err := tpm2.PolicySession(c, tpm2.TPMAlgSHA256, 16, opts...)
		return sess, err
	})
	if err != nil {
		return h, err
	}
	_, err = run(c, tpm2.PolicySecret{
		AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(k.endorsementAuth)},
		PolicySession: sess.Handle(), NonceTPM: sess.NonceTPM()})
	return tpm2.AuthHandle{Handle: k.state.ekHandle(), Name: tpm2.TPM2BName{Buffer: k.state.ekName()}, Auth: sess}, err
}
