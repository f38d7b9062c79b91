package tpm

import (
	"crypto"
	"crypto/mlkem"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
)

// What a session encrypts is the first parameter each way, if that is a sized buffer;
// a command without one refuses the session.
const (
	plain = 0
	in    = 1
	out   = 2
	both  = in | out
)

func options(s *state, dir int, auth []byte) ([]tpm2.AuthOption, error) {
	ek, err := parsePublic(s.ek)
	if err != nil {
		return nil, err
	}
	opts := []tpm2.AuthOption{tpm2.Salted(s.ekHandle(), *ek)}
	if len(auth) > 0 {
		opts = append(opts, tpm2.Auth(auth))
	}
	switch dir {
	case in:
		opts = append(opts, tpm2.AESEncryption(128, tpm2.EncryptIn))
	case out:
		opts = append(opts, tpm2.AESEncryption(128, tpm2.EncryptOut))
	case both:
		opts = append(opts, tpm2.AESEncryption(128, tpm2.EncryptInOut))
	}
	return opts, nil
}

// session starts an HMAC session salted to the stored EK: only the TPM that has its
// private half can answer in it.
func (c *call) session(s *state, dir int, auth []byte) (sess tpm2.Session, err error) {
	opts, err := options(s, dir, auth)
	if err != nil {
		return nil, err
	}
	return c.start(func() (tpm2.Session, error) {
		sess, _, err := tpm2.HMACSession(c, tpm2.TPMAlgSHA256, 16, opts...)
		return sess, err
	})
}

// start guards go-tpm against what a hostile transport sends, and owns the session.
func (c *call) start(f func() (tpm2.Session, error)) (sess tpm2.Session, err error) {
	defer func() {
		if recover() != nil {
			c.bus.lost()
			sess, err = nil, errGarbled
		}
	}()
	if sess, err = f(); err != nil {
		if tpmCode(err) == 0 {
			c.bus.lost()
		}
		return nil, err
	}
	c.own(sess.Handle())
	return sess, nil
}

// policy starts a policy session and satisfies PolicyPCR with the PCRs as they are.
func (c *call) policy(s *state, dir int) (tpm2.Session, error) {
	opts, err := options(s, dir, nil)
	if err != nil {
		return nil, err
	}
	sess, err := c.start(func() (tpm2.Session, error) {
		sess, _, err := tpm2.PolicySession(c, tpm2.TPMAlgSHA256, 16, opts...)
		return sess, err
	})
	if err != nil {
		return nil, err
	}
	_, err = run(c, tpm2.PolicyPCR{PolicySession: sess.Handle(), Pcrs: selection(s.pcrList())})
	return sess, err
}

// load loads a child and returns the handle with the session that may use it: a
// policy session if its use is bound to PCRs.
func (c *call) load(s *state, obj, dir int) (tpm2.AuthHandle, error) {
	if s.pcrs == 0 || obj == objAK {
		return c.loadPlain(s, obj, dir)
	}
	h, err := c.loadPlain(s, obj, plain)
	if err == nil {
		h.Auth, err = c.policy(s, dir)
	}
	return h, err
}

// loadPlain returns it with an HMAC session, which will do for what is no use of the
// key, such as having it certified.
func (c *call) loadPlain(s *state, obj, dir int) (h tpm2.AuthHandle, err error) {
	sess, err := c.session(s, dir, nil)
	if err != nil {
		return h, err
	}
	r, err := run(c, tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: s.srkHandle(), Name: tpm2.TPM2BName{Buffer: s.srkName}, Auth: sess},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: s.private[obj]},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](s.public[obj]),
	})
	if err != nil {
		if tpmCode(err) == 0 {
			c.bus.lost()
		}
		return h, err
	}
	c.own(r.ObjectHandle)
	if !sameName(r.Name, nameOf(s.public[obj])) {
		return h, errGarbled
	}
	return tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: sess}, nil
}

// unseal returns the seeds; the caller clears them.
func (c *call) unseal(s *state) ([]byte, error) {
	h, err := c.load(s, objSeed, out)
	if err != nil {
		return nil, err
	}
	r, err := run(c, tpm2.Unseal{ItemHandle: h})
	if err != nil {
		return nil, err
	}
	if len(r.OutData.Buffer) != seedLen {
		return nil, errGarbled
	}
	return r.OutData.Buffer, nil
}

// hmac is HMAC-SHA-256 under a key that the TPM made and keeps.
func (c *call) hmac(s *state, msg string) (mac [32]byte, err error) {
	h, err := c.load(s, objHMAC, both)
	if err != nil {
		return mac, err
	}
	r, err := run(c, tpm2.Hmac{Handle: h, Buffer: tpm2.TPM2BMaxBuffer{Buffer: []byte(msg)}, HashAlg: tpm2.TPMAlgSHA256})
	if err != nil {
		return mac, err
	}
	if copy(mac[:], r.OutHMAC.Buffer) != len(mac) {
		return [32]byte{}, errGarbled
	}
	clear(r.OutHMAC.Buffer)
	return mac, nil
}

// labelNV is no label of Derive, for those all begin with "nanolock/1/".
const labelNV = "nanolock/1\x00nv"

// setAuth makes a password of mac. go-tpm cuts a password at its first zero byte where
// a TPM cuts trailing ones only, so there is none in it.
func (k *Keystore) setAuth(mac [32]byte) {
	for i, b := range mac {
		k.auth[i] = max(b, 1)
	}
}

// seeds are the halves that are not inside the TPM.
func mldsaKey(seed []byte) crypto.Signer {
	s := [mldsaSeed]byte(seed[:mldsaSeed])
	defer clear(s[:])
	return cose.NewMLDSA65(&s)
}

func mlkemKey(seed []byte) (*mlkem.DecapsulationKey768, error) {
	return mlkem.NewDecapsulationKey768(seed[mldsaSeed:seedLen])
}

// publics puts the identity's public keys together.
func (s *state) publics(seed []byte) (signing, encap []byte, err error) {
	pub := mldsaKey(seed).Public().(interface{ Bytes() []byte })
	dk, err := mlkemKey(seed)
	if err != nil {
		return nil, nil, err
	}
	signing = append(point(s.public[objSign]), pub.Bytes()...)
	return signing, append(dk.EncapsulationKey().Bytes(), point(s.public[objDH])...), nil
}

// verify asks the TPM for every key that later calls rely on.
func (k *Keystore) verify(c *call) error {
	for h, name := range map[tpm2.TPMHandle][]byte{k.state.ekHandle(): k.state.ekName(), k.state.srkHandle(): k.state.srkName} {
		r, err := run(c, tpm2.ReadPublic{ObjectHandle: h})
		if err != nil {
			return err
		}
		if !sameName(r.Name, name) {
			return k.wrongTPM(c)
		}
	}
	if err := k.verifySeeds(c); err != nil {
		return err
	}
	c.end()
	mac, err := c.hmac(k.state, labelNV)
	if err != nil {
		return err
	}
	k.setAuth(mac)
	return nil
}

// verifyMemory does the same for the NV memory.
func (k *Keystore) verifyMemory(c *call) error {
	if _, err := k.readCounter(c); err != nil {
		return err
	}
	c.end()
	_, err := k.settleLatch(c)
	return err
}

func (k *Keystore) verifySeeds(c *call) error {
	seed, err := c.unseal(k.state)
	if err != nil {
		return err
	}
	defer clear(seed)
	signing, encap, err := k.state.publics(seed)
	if err != nil {
		return err
	}
	if string(signing) != string(k.state.signing) || string(encap) != string(k.state.encap) {
		return fault("open", keystore.ErrForeign, nil)
	}
	return nil
}

// wrongTPM is for a key that is not the one of the blob.
func (k *Keystore) wrongTPM(c *call) error {
	return fault("open", k.diagnose(c, keystore.ErrForeign), nil)
}
