package rig

import (
	"crypto/sha256"
	"maps"
	"math/rand/v2"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
)

// What somebody needs who puts another device into the rig than the real one.

// Parts opens the keystore anew, as a start does, and returns what a device is
// built with. The memory is r.Mem.
func (r *Rig) Parts() (keystore.Keystore, *device.Config, error) {
	if err := r.openKeys(); err != nil {
		return nil, nil, err
	}
	return r.Keys, r.Settings(), nil
}

// Clone is a rig in the same state that shares nothing with r that changes. It has
// no Device. Only rigs with a simulated part have clones.
func (r *Rig) Clone() *Rig {
	c := *r
	c.Flash = r.Flash.Clone()
	c.Mem, c.Device, c.Events = c.Flash, nil, nil
	c.people = maps.Clone(r.people)
	c.Policy = r.Policy.Clone()
	c.Latch = new(Latch)
	c.Latch.Put(r.Latch.Record())
	if r.Anchor != nil {
		c.Anchor = &Anchor{value: r.Anchor.Value(), budget: r.Anchor.budget}
	}
	var seed [32]byte
	_, _ = r.rand.Read(seed[:])
	c.rand = rand.NewChaCha8(seed)
	return &c
}

// Sibling is a new device of the same model and the same people, with a secret of
// its own, not provisioned.
func (r *Rig) Sibling() (*Rig, error) {
	c := r.Clone()
	c.secret = sha256.Sum256(append([]byte("sibling"), r.secret[:]...))
	c.Latch, c.Epoch, c.counter = new(Latch), 1, 0
	f, err := sim.New(r.Sim)
	if err != nil {
		return nil, err
	}
	c.Mem, c.Flash = f, f
	return c, c.openKeys()
}

// NewPeople are signers who do not exist yet, of the rig's suite.
func (r *Rig) NewPeople(n int, name string) (people []*cose.Signer, err error) {
	for i := range n {
		s, err := Person(r.Suite, name+" "+string(rune('a'+i)))
		if err != nil {
			return nil, err
		}
		people = append(people, s)
	}
	return people, nil
}

// Put replaces the latch's record, as no honest latch can.
func (l *Latch) Put(rec keystore.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rec = rec
}

// Record is what the latch holds, whatever Fail says.
func (l *Latch) Record() keystore.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec
}
