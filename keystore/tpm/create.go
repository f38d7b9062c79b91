package tpm

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
)

// Create makes a new device secret in a TPM and opens it. It returns the blob that
// Open needs: store it before anything relies on the device. ErrExists if one of the
// handles is taken, also by an earlier Create or what a Destroy left: who wants a
// new device evicts and undefines them. What a
// failed Create made, it removes; if it cannot, its error says ErrUncertain.
func Create(ctx context.Context, t transport.TPM, c *Config) (*Keystore, []byte, error) {
	cfg, err := c.defaults()
	if err != nil {
		return nil, nil, err
	}
	s := &state{persist: cfg.Persistent, nv: cfg.NV}
	for _, p := range cfg.PCRs {
		s.pcrs |= 1 << p
	}
	k := newKeystore(t, cfg, s)
	m := &maker{k: k, s: s, cfg: cfg}
	if err := k.with(ctx, "create", m.make); err != nil {
		k.sweep()
		return nil, nil, err
	}
	return k, s.encode(), nil
}

// maker is one Create under way.
type maker struct {
	k    *Keystore
	s    *state
	cfg  Config
	undo []func(*call) error
}

func (m *maker) make(c *call) (err error) {
	ctx := c.ctx
	defer func() {
		if err == nil {
			return
		}
		c.end()
		var left error
		for i := len(m.undo) - 1; i >= 0; i-- {
			left = errors.Join(left, m.undo[i](c))
			c.end()
		}
		if left != nil {
			err = fault("create", keystore.ErrUncertain, errors.Join(err, left))
		}
	}()
	for _, step := range []func(*call) error{m.free, m.parents, m.children, m.identity, m.attest, m.indices} {
		c.ctx = ctx
		if err := step(c); err != nil {
			return err
		}
		c.end()
	}
	return nil
}

// free is ErrExists if a handle is taken.
func (m *maker) free(c *call) error {
	for _, h := range []tpm2.TPMHandle{m.s.ekHandle(), m.s.srkHandle()} {
		if _, err := run(c, tpm2.ReadPublic{ObjectHandle: h}); err == nil {
			return fault("create", keystore.ErrExists, nil)
		} else if tpmCode(err) != tpm2.TPMRCHandle {
			return err
		}
	}
	for n := range nvGone + 1 {
		if _, err := run(c, tpm2.NVReadPublic{NVIndex: m.s.index(n).NVIndex}); err == nil {
			return fault("create", keystore.ErrExists, nil)
		} else if tpmCode(err) != tpm2.TPMRCHandle {
			return err
		}
	}
	return nil
}

// parents makes the EK and the storage key and keeps both, so that nobody needs a
// hierarchy's password later and no command has to wait for a key to be made.
func (m *maker) parents(c *call) error {
	ek, err := c.primaryEK(m.cfg.EndorsementAuth)
	if err != nil {
		return err
	}
	pub, err := ek.OutPublic.Contents()
	if err != nil {
		return err
	}
	m.s.ek = tpm2.Marshal(pub)
	if !sameName(ek.Name, m.s.ekName()) {
		return errGarbled
	}
	if err := m.keep(c, ek.ObjectHandle, ek.Name, m.s.ekHandle()); err != nil {
		return err
	}
	c.end()
	return m.storage(c)
}

// storage makes the storage key. It is no primary key, for those can be made again from
// the TPM's seed: it is random, its private area crosses the bus encrypted and is kept
// nowhere, so that the TPM's persistent memory is the only place where it is.
func (m *maker) storage(c *call) error {
	root, err := c.primary(tpm2.TPMRHOwner, m.cfg.OwnerAuth, tpm2.ECCSRKTemplate)
	if err != nil {
		return err
	}
	sess, err := c.session(m.s, both, nil)
	if err != nil {
		return err
	}
	parent := tpm2.AuthHandle{Handle: root.ObjectHandle, Name: root.Name, Auth: sess}
	template := tpm2.ECCSRKTemplate
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	r, err := run(c, tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(template)})
	if err != nil {
		return err
	}
	defer clear(r.OutPrivate.Buffer)
	loaded, err := run(c, tpm2.Load{ParentHandle: parent, InPrivate: r.OutPrivate, InPublic: r.OutPublic})
	if err != nil {
		return err
	}
	c.own(loaded.ObjectHandle)
	pub, err := r.OutPublic.Contents()
	if err != nil {
		return err
	}
	if m.s.srkName = nameOf(tpm2.Marshal(pub)); !sameName(loaded.Name, m.s.srkName) {
		return errGarbled
	}
	return m.keep(c, loaded.ObjectHandle, loaded.Name, m.s.srkHandle())
}

func (m *maker) keep(c *call, h tpm2.TPMHandle, name tpm2.TPM2BName, at tpm2.TPMHandle) error {
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(m.cfg.OwnerAuth)}
	m.undo = append(m.undo, func(c *call) error {
		_, err := run(c, tpm2.EvictControl{Auth: owner, ObjectHandle: tpm2.NamedHandle{Handle: at, Name: name}, PersistentHandle: at})
		return unlessGone(err)
	})
	_, err := run(c, tpm2.EvictControl{Auth: owner, ObjectHandle: tpm2.NamedHandle{Handle: h, Name: name}, PersistentHandle: at})
	return err
}

// unlessGone: what was never made need not be removed.
func unlessGone(err error) error {
	if tpmCode(err) == tpm2.TPMRCHandle {
		return nil
	}
	return err
}

// children makes the keys, and seals the seeds, which come from this system's and the
// TPM's random numbers both.
func (m *maker) children(c *call) error {
	policy, err := c.policyOf(m.cfg.PCRs)
	if err != nil {
		return err
	}
	sess, err := c.session(m.s, both, nil)
	if err != nil {
		return err
	}
	reading, err := c.session(m.s, out, nil)
	if err != nil {
		return err
	}
	seed := make([]byte, seedLen)
	defer clear(seed)
	rand.Read(seed)
	for i := 0; i < seedLen; i += 32 {
		r, err := run(c, tpm2.GetRandom{BytesRequested: 32}, reading)
		if err != nil {
			return err
		}
		if len(r.RandomBytes.Buffer) != 32 {
			return errGarbled
		}
		for j, b := range r.RandomBytes.Buffer {
			seed[i+j] ^= b
		}
	}
	for obj := range objects {
		create := tpm2.Create{
			ParentHandle: tpm2.AuthHandle{Handle: m.s.srkHandle(), Name: tpm2.TPM2BName{Buffer: m.s.srkName}, Auth: sess},
			InPublic:     tpm2.New2B(template(obj, policy)),
		}
		if obj == objSeed {
			create.InSensitive = tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
				Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: seed})}}
		}
		r, err := run(c, create)
		if err != nil {
			return err
		}
		pub, err := r.OutPublic.Contents()
		if err != nil {
			return err
		}
		m.s.private[obj], m.s.public[obj] = r.OutPrivate.Buffer, tpm2.Marshal(pub)
	}
	m.s.signing, m.s.encap, err = m.s.publics(seed)
	return err
}

// identity opens what was made once, before anything is built on it.
func (m *maker) identity(c *call) error {
	if err := m.k.verifySeeds(c); err != nil {
		return err
	}
	c.end()
	mac, err := c.hmac(m.s, labelNV)
	m.k.setAuth(mac)
	return err
}

// attest has the AK certify the two keys inside the TPM.
func (m *maker) attest(c *call) error {
	e := Evidence{EK: m.s.ek, EKCert: m.cfg.EKCert, AK: m.s.public[objAK], Sign: m.s.public[objSign], DH: m.s.public[objDH]}
	var err error
	if e.SignInfo, e.SignSig, err = c.certify(m.s, objSign); err != nil {
		return err
	}
	c.end()
	if e.DHInfo, e.DHSig, err = c.certify(m.s, objDH); err != nil {
		return err
	}
	m.s.evidence = e.encode()
	return nil
}

// indices defines the NV memory, steps the counter once, before which it has no
// value, and writes a latch that was never set.
func (m *maker) indices(c *call) error {
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(m.cfg.OwnerAuth)}
	for n := range indices {
		p := m.s.index(n)
		sess, err := c.session(m.s, in, nil)
		if err != nil {
			return err
		}
		m.undo = append(m.undo, func(c *call) error {
			pub, err := run(c, tpm2.NVReadPublic{NVIndex: p.NVIndex})
			if err != nil {
				return unlessGone(err)
			}
			_, err = run(c, tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: p.NVIndex, Name: pub.NVName}})
			return unlessGone(err)
		})
		_, err = run(c, tpm2.NVDefineSpace{AuthHandle: owner, Auth: tpm2.TPM2BAuth{Buffer: m.k.auth[:]}, PublicInfo: tpm2.New2B(p)}, sess)
		if err != nil {
			return err
		}
		c.end()
	}
	return m.k.begin(c)
}

// begin gives the indices their first values, so that one without is not ours.
func (k *Keystore) begin(c *call) error {
	ctx := c.ctx
	if err := k.increment(c); err != nil {
		return err
	}
	c.end()
	c.ctx = ctx
	return k.write(c, nvNext, make([]byte, recordLen))
}
