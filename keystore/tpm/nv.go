package tpm

import (
	"context"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/keystore"
)

// The NV indices, from state.nv on.
const (
	nvCounter = iota // the anchor: not orderly, so each step is durable when it returns
	nvFirst          // the first record of the latch: written once, then locked for ever
	nvNext           // the newest record; Create writes an empty one
	indices
)

// nvGone is the index that Destroy defines and nothing writes: that it is there says
// that the storage key's absence is meant.
const nvGone = indices

const recordLen = 32 + 8

// index is an index as Create defines it. Its password is a secret of the TPM's HMAC
// key; NoDA, because there is nothing to guess and no lockout is to stop the lock.
func (s *state) index(n int) tpm2.TPMSNVPublic {
	p := tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(s.nv + uint32(n)), NameAlg: tpm2.TPMAlgSHA256, DataSize: recordLen,
		Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, NoDA: true, NT: tpm2.TPMNTOrdinary},
	}
	switch n {
	case nvCounter:
		p.Attributes.NT, p.DataSize = tpm2.TPMNTCounter, 8
	case nvFirst:
		p.Attributes.WriteDefine, p.Attributes.WriteAll = true, true
	case nvNext:
		p.Attributes.WriteAll = true
	}
	return p
}

// public reads an index's public area and compares it with what Create defined. The
// name changes with the first write and with the lock. Nobody signs what it returns: a use of
// the index with that name proves it, and blank proves it where there is none.
func (k *Keystore) public(c *call, n int) (name tpm2.TPM2BName, a tpm2.TPMANV, err error) {
	want := k.state.index(n)
	r, err := run(c, tpm2.NVReadPublic{NVIndex: want.NVIndex})
	if err != nil {
		return name, a, err
	}
	p, err := r.NVPublic.Contents()
	if err != nil {
		return name, a, err
	}
	a = p.Attributes
	want.Attributes.Written, want.Attributes.WriteLocked = a.Written, a.WriteLocked
	own, err := tpm2.NVName(&want)
	if err != nil {
		return name, a, err
	}
	if !sameName(r.NVName, own.Buffer) {
		return name, a, fault("nv", keystore.ErrForeign, nil)
	}
	return r.NVName, a, nil
}

func (k *Keystore) auths(c *call, n, dir int) (auth tpm2.AuthHandle, plain tpm2.NamedHandle, a tpm2.TPMANV, err error) {
	name, a, err := k.public(c, n)
	if err != nil {
		return auth, plain, a, err
	}
	sess, err := c.session(k.state, dir, k.auth[:])
	h := k.state.index(n).NVIndex
	return tpm2.AuthHandle{Handle: h, Name: name, Auth: sess}, tpm2.NamedHandle{Handle: h, Name: name}, a, err
}

// read reads a whole index; nil if it was never written.
func (k *Keystore) read(c *call, n int) ([]byte, tpm2.TPMANV, error) {
	name, a, err := k.public(c, n)
	if err == nil && !a.Written {
		return nil, a, k.blank(c, n, name)
	}
	if err != nil {
		return nil, a, err
	}
	auth, h, a, err := k.auths(c, n, out)
	if err != nil {
		return nil, a, err
	}
	size := k.state.index(n).DataSize
	r, err := run(c, tpm2.NVRead{AuthHandle: auth, NVIndex: h, Size: size})
	if err != nil {
		return nil, a, err
	}
	if len(r.Data.Buffer) != int(size) {
		return nil, a, errGarbled
	}
	return r.Data.Buffer, a, nil
}

// blank has the TPM say in a session that the index has this name, which says that it
// was never written. Without that, who sits on the transport could hide a latch.
func (k *Keystore) blank(c *call, n int, name tpm2.TPM2BName) error {
	sess, err := c.session(k.state, out, nil)
	if err != nil {
		return err
	}
	h := tpm2.NamedHandle{Handle: k.state.index(n).NVIndex, Name: name}
	_, err = run(c, tpm2.NVReadPublic{NVIndex: h}, sess)
	return err
}

func (k *Keystore) write(c *call, n int, b []byte) error {
	auth, h, _, err := k.auths(c, n, in)
	if err != nil {
		return err
	}
	c.sent = true
	_, err = run(c, tpm2.NVWrite{AuthHandle: auth, NVIndex: h, Data: tpm2.TPM2BMaxNVBuffer{Buffer: b}})
	return err
}

func (k *Keystore) lockIndex(c *call, n int) error {
	auth, h, _, err := k.auths(c, n, plain)
	if err != nil {
		return err
	}
	_, err = run(c, tpm2.NVWriteLock{AuthHandle: auth, NVIndex: h})
	return err
}

func (k *Keystore) increment(c *call) error {
	auth, h, _, err := k.auths(c, nvCounter, plain)
	if err != nil {
		return err
	}
	c.sent = true
	_, err = run(c, tpm2.NVIncrement{AuthHandle: auth, NVIndex: h})
	return err
}

// change runs do, which changes the TPM, and does not believe that it failed: an
// error code is authenticated by nobody, and a reply may be lost. look reads, in a new
// session, whether it happened.
func (k *Keystore) change(c *call, op string, do func() error, look func() (bool, error)) error {
	c.sent = false
	err := do()
	c.end()
	if err == nil || !c.sent {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*k.bus.timeout)
	defer cancel()
	c.ctx, c.hung = ctx, false
	done, lerr := look()
	c.end()
	switch {
	case lerr == nil && done:
		return nil
	case lerr == nil && tpmCode(err) != 0:
		return err // the TPM refused, and nothing changed
	}
	return fault(op, keystore.ErrUncertain, err)
}

func (k *Keystore) readCounter(c *call) (uint64, error) {
	b, _, err := k.read(c, nvCounter)
	if err != nil {
		return 0, err
	}
	if b == nil {
		// Create steps it once: an index that never was is not Create's.
		return 0, fault("anchor", keystore.ErrReset, nil)
	}
	return binary.BigEndian.Uint64(b), nil
}

type anchor struct{ k *Keystore }

func (a anchor) Budget() keystore.Budget { return a.k.budget }

func (a anchor) Read(ctx context.Context) (n uint64, err error) {
	err = a.k.with(ctx, "anchor", func(c *call) error {
		n, err = a.k.readCounter(c)
		return err
	})
	return n, err
}

func (a anchor) Advance(ctx context.Context, to uint64) error {
	return a.k.with(ctx, "advance", func(c *call) error {
		now, err := a.k.readCounter(c)
		if err != nil {
			return err
		}
		c.end()
		n, err := keystore.Steps(now, to)
		for i := range n {
			c.ctx = ctx // between two steps the context counts again
			err = a.k.change(c, "advance", func() error { return a.k.increment(c) }, func() (bool, error) {
				got, err := a.k.readCounter(c)
				return got > now+uint64(i), err
			})
			if err != nil && i > 0 {
				return fault("advance", keystore.ErrUncertain, err)
			} else if err != nil {
				return err
			}
		}
		return err
	})
}

type latch struct{ k *Keystore }

func (l latch) Read(ctx context.Context) (r keystore.Record, err error) {
	err = l.k.with(ctx, "latch", func(c *call) error {
		r, _, err = l.k.readLatch(c)
		return err
	})
	return r, err
}

// readLatch reads both records; the later counts. open tells that the first is
// written and a cut has kept the rest of its Set away.
//
// Who may use the owner hierarchy can undefine an index and define one that looks the
// same, but writes none with our password. So a blank index proves nothing: the second is
// written by Create already, and repeats the first record before that is locked.
func (k *Keystore) readLatch(c *call) (r keystore.Record, open bool, err error) {
	b, a, err := k.read(c, nvFirst)
	c.end()
	if err != nil {
		return r, false, err
	}
	first := parseRecord(b)
	b, _, err = k.read(c, nvNext)
	c.end()
	if err != nil {
		return r, false, err
	}
	next := parseRecord(b)
	if b == nil || next.Set() != first.Set() && (next.Set() || a.WriteLocked) {
		return r, false, fault("latch", keystore.ErrReset, nil) // one was made anew
	}
	if next.Epoch > first.Epoch {
		first = next
	}
	return first, a.Written && !a.WriteLocked, nil
}

// settleLatch completes a first Set that a cut has ended.
func (k *Keystore) settleLatch(c *call) (keystore.Record, error) {
	r, open, err := k.readLatch(c)
	if err == nil && open {
		err = k.closeLatch(c, r)
	}
	return r, err
}

// closeLatch is what follows the first record: it is repeated in the second index, and
// then locked.
func (k *Keystore) closeLatch(c *call, r keystore.Record) error {
	ctx := c.ctx
	err := k.write(c, nvNext, formatRecord(r))
	c.end()
	if err == nil {
		c.ctx = ctx
		err = k.lockIndex(c, nvFirst)
		c.end()
	}
	return err
}

func (l latch) Set(ctx context.Context, r keystore.Record) error {
	return l.k.with(ctx, "latch", func(c *call) error {
		held, err := l.k.settleLatch(c)
		if err != nil {
			return err
		}
		write, err := held.Forward(r)
		if err != nil || !write {
			return err
		}
		n := nvNext
		if !held.Set() {
			n = nvFirst
		}
		err = l.k.change(c, "latch", func() error { return l.k.write(c, n, formatRecord(r)) }, func() (bool, error) {
			got, _, err := l.k.readLatch(c)
			return got == r, err
		})
		if err != nil || n != nvFirst {
			return err
		}
		c.ctx = ctx
		if err := l.k.closeLatch(c, r); err != nil {
			return fault("latch", keystore.ErrUncertain, err)
		}
		return nil
	})
}

func formatRecord(r keystore.Record) []byte {
	return binary.BigEndian.AppendUint64(r.Root[:], r.Epoch)
}

func parseRecord(b []byte) (r keystore.Record) {
	if len(b) == recordLen {
		copy(r.Root[:], b)
		r.Epoch = binary.BigEndian.Uint64(b[32:])
	}
	return r
}
