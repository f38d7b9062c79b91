package tpm

import (
	"github.com/google/go-tpm/tpm2"
)

// mend makes anew what is gone of the NV memory: the counter, or the latch, of which
// both indices go if one is gone, or it would read as of an earlier owner. What is gone
// the TPM says in a session, and what it undefines has our name, so that nobody on the bus
// can have a whole index taken for one that is missing. A cut leaves something that is
// missing, or blank: the next opening goes on.
//
// An index that somebody else made in the place of ours stays, and is ErrForeign or
// ErrReset: nothing that the TPM says proves that its password is not ours.
func (k *Keystore) mend(c *call) error {
	ctx := c.ctx
	there, err := k.present(c)
	if err != nil {
		return err
	}
	var define []int
	if !there[nvCounter] {
		define = append(define, nvCounter)
	}
	if !there[nvFirst] || !there[nvNext] {
		define = append(define, nvFirst, nvNext)
		for _, n := range []int{nvFirst, nvNext} {
			if !there[n] {
				continue
			}
			if err := k.undefine(c, n); err != nil {
				return err
			}
			c.end()
			c.ctx = ctx
		}
	}
	for _, n := range define {
		if err := k.define(c, n); err != nil {
			return err
		}
		c.end()
		c.ctx = ctx
	}
	return k.resume(c)
}

// resume gives indices their first values where a cut has kept them away. In somebody
// else's index it cannot write.
func (k *Keystore) resume(c *call) error {
	ctx := c.ctx
	for _, n := range []int{nvCounter, nvNext} {
		c.ctx = ctx
		b, _, err := k.read(c, n)
		c.end()
		if err != nil {
			return err
		}
		if b != nil {
			continue
		}
		c.ctx = ctx
		if n == nvCounter {
			err = k.increment(c)
			c.end()
			if c.ctx = ctx; err == nil { // a vault may wait for the step that the old one lacked
				err = k.increment(c)
			}
		} else {
			err = k.emptyLatch(c)
		}
		c.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// emptyLatch writes a latch that was never set, unless there is a first record: then the
// second index is not one that mend has made.
func (k *Keystore) emptyLatch(c *call) error {
	ctx := c.ctx
	first, _, err := k.read(c, nvFirst)
	c.end()
	if err != nil || first != nil {
		return err
	}
	c.ctx = ctx
	return k.write(c, nvNext, make([]byte, recordLen))
}

// present asks the TPM, in a session, which of the indices are there.
func (k *Keystore) present(c *call) (there [indices]bool, err error) {
	list, err := k.list(c, tpm2.TPMHandle(k.state.nv), indices)
	for _, h := range list {
		if n := uint32(h) - k.state.nv; n < indices {
			there[n] = true
		}
	}
	c.end()
	return there, err
}

func (k *Keystore) define(c *call, n int) error {
	owner, err := k.owner(c, in)
	if err != nil {
		return err
	}
	_, err = run(c, tpm2.NVDefineSpace{AuthHandle: owner, Auth: tpm2.TPM2BAuth{Buffer: k.auth[:]}, PublicInfo: tpm2.New2B(k.state.index(n))})
	return err
}

func (k *Keystore) undefine(c *call, n int) error {
	name, _, err := k.public(c, n)
	if err != nil {
		return err
	}
	owner, err := k.owner(c, plain)
	if err != nil {
		return err
	}
	_, err = run(c, tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: k.state.index(n).NVIndex, Name: name}})
	return err
}
