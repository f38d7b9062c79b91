package tpm

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// Destroy takes the storage key out of the TPM. That is the whole of the secret: the key
// was random and its private area is stored nowhere else, so nothing can decrypt what the
// blob holds, which is the P-256 keys, the HMAC key and the sealed seeds, ever again. Keys of
// the blob that somebody made persistent under other handles go as well. It needs
// Config.OwnerAuth; ErrForeign if that is not the owner's password.
//
// Before that it defines an index as a mark, by which a later Open tells ErrAbsent from
// ErrReset. The EK, which belongs to the TPM, the counter and the latch stay. The latch's
// password is gone with the keys, so nobody reads it any more, but that it was written
// anybody can see (TPM2_NV_ReadPublic).
//
// What no Destroy reaches: seeds that were read while they were unsealed; the
// storage key's private area, if whoever ran Create kept it; contexts of loaded keys that a
// second user of the TPM saved (TPM2_ContextSave), until the TPM's next reset; and keys that
// the owner made persistent and somebody hides from this call on the bus. Each of these
// needs what the package's comment says an attacker then has already: the blob and
// the TPM while the device lived. TPM2_Clear ends the last two.
func (k *Keystore) Destroy(ctx context.Context) error {
	err := k.with(ctx, "destroy", func(c *call) error {
		for _, step := range []func(*call) error{k.mark, k.evictCopies} {
			c.ctx = ctx
			if err := step(c); err != nil {
				return err
			}
			c.end()
		}
		c.ctx = ctx
		err := k.change(c, "destroy", func() error { return k.evictStorage(c) }, func() (bool, error) { return k.storageGone(c) })
		if err != nil {
			return err
		}
		k.gone, k.closed = true, true
		clear(k.auth[:])
		return nil
	})
	if errors.Is(err, keystore.ErrClosed) && k.isGone() {
		return nil
	}
	return err
}

func (k *Keystore) isGone() bool {
	if k.turn == nil {
		return false
	}
	<-k.turn
	defer func() { k.turn <- struct{}{} }()
	return k.gone
}

// markOf is the public area of the mark. Its policy, which opens it to nobody, says whose
// end it is. The owner may undefine it; then a destroyed device is one that was reset.
func (s *state) markOf() tpm2.TPMSNVPublic {
	sum := sha256.Sum256(append([]byte("nanolock/1/destroyed"), s.signing...))
	return tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(s.nv + nvGone), NameAlg: tpm2.TPMAlgSHA256, DataSize: 1,
		Attributes: tpm2.TPMANV{PolicyRead: true, PolicyWrite: true, NoDA: true, NT: tpm2.TPMNTOrdinary},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: sum[:]},
	}
}

// marked tells whether the mark is there.
func (c *call) marked(s *state) bool {
	want := s.markOf()
	name, err := tpm2.NVName(&want)
	if err != nil {
		return false
	}
	r, err := run(c, tpm2.NVReadPublic{NVIndex: want.NVIndex})
	return err == nil && sameName(r.NVName, name.Buffer)
}

func (c *call) sameEK(s *state) bool {
	r, err := run(c, tpm2.ReadPublic{ObjectHandle: s.ekHandle()})
	return err == nil && sameName(r.Name, s.ekName())
}

// owner is the owner's authority in a session: its password does not cross the bus, and
// what the TPM says it did is authenticated.
func (k *Keystore) owner(c *call, dir int) (tpm2.AuthHandle, error) {
	sess, err := c.session(k.state, dir, k.ownerAuth)
	return tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: sess}, err
}

func (k *Keystore) mark(c *call) error {
	if c.marked(k.state) {
		return nil
	}
	owner, err := k.owner(c, in)
	if err != nil {
		return err
	}
	_, err = run(c, tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(k.state.markOf())})
	if tpmCode(err) == tpm2.TPMRCNVDefined {
		return fault("destroy", keystore.ErrExists, errors.New("the index of the mark is taken"))
	}
	return err
}

// evictCopies looks through all persistent objects for children of the storage key.
func (k *Keystore) evictCopies(c *call) error {
	const most = 64 // more than a TPM has room for
	ctx := c.ctx
	list, err := k.list(c, 0x81000000, most)
	if err != nil {
		return err
	}
	for _, h := range list {
		c.end()
		c.ctx = ctx
		r, err := run(c, tpm2.ReadPublic{ObjectHandle: h})
		if err != nil {
			return err
		}
		if !k.state.ours(r.Name.Buffer) {
			continue
		}
		if err := k.evict(c, h, r.Name); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keystore) evictStorage(c *call) error {
	return k.evict(c, k.state.srkHandle(), tpm2.TPM2BName{Buffer: k.state.srkName})
}

func (k *Keystore) evict(c *call, h tpm2.TPMHandle, name tpm2.TPM2BName) error {
	owner, err := k.owner(c, plain)
	if err != nil {
		return err
	}
	c.sent = true
	_, err = run(c, tpm2.EvictControl{Auth: owner, ObjectHandle: tpm2.NamedHandle{Handle: h, Name: name}, PersistentHandle: h})
	return err
}

// storageGone asks the TPM in a session, for nobody signs the error that an absent
// handle gives.
func (k *Keystore) storageGone(c *call) (bool, error) {
	list, err := k.list(c, k.state.srkHandle(), 1)
	return err == nil && (len(list) == 0 || list[0] != k.state.srkHandle()), err
}

// list lists at most n handles of first's kind from first on, in an audit session.
func (k *Keystore) list(c *call, first tpm2.TPMHandle, n uint32) ([]tpm2.TPMHandle, error) {
	opts, err := options(k.state, plain, nil)
	if err != nil {
		return nil, err
	}
	sess, err := c.start(func() (tpm2.Session, error) {
		sess, _, err := tpm2.HMACSession(c, tpm2.TPMAlgSHA256, 16, append(opts, tpm2.Audit())...)
		return sess, err
	})
	if err != nil {
		return nil, err
	}
	r, err := run(c, tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(first), PropertyCount: n}, sess)
	if err != nil {
		return nil, err
	}
	h, err := r.CapabilityData.Data.Handles()
	if err != nil {
		return nil, errGarbled
	}
	return h.Handle, nil
}
