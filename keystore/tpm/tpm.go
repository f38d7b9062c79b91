// Package tpm is a keystore in a TPM 2.0.
//
// The identity is suite 5: a P-256 key that never leaves the TPM, and an ML-DSA-65 key whose
// seed is sealed to it and is in this process's memory only while it signs. The KEM
// is MLKEM768-P256, divided the same way. Derive is an HMAC key inside the TPM. The anchor is
// a counter in NV memory, the latch two more NV indices. What the TPM cannot hold
// itself is in a blob that the caller keeps anywhere: it is not secret, but without it the
// device is lost.
//
// Every command that matters runs in an HMAC session salted to the EK that the keystore was
// made with: a reply that was forged, repeated or sent by another TPM is ErrForeign, and
// parameters are encrypted on the bus. The TPM's error codes are not authenticated by anyone;
// so a change is looked at again, in a new session, before it is called failed.
//
// The keys hang below a storage key that is random and in the TPM's persistent memory alone;
// Destroy takes it away, and with it all that the blob is good for.
//
// What it cannot do: who may use the TPM's owner hierarchy can clear the TPM or undefine its
// indices. That is denial, and it is seen: ErrReset, and the operator opens it with
// Config.Mend. And who runs code in the lock's place, with its blob and without PCRs in
// [Config], may use the keys as the lock does.
//
// The transport is a resource manager (/dev/tpmrm0), or, without one, this keystore's
// alone: after a lost reply it flushes all loaded sessions.
package tpm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock/keystore"
)

// Config is what the integrator decides; nil and zero are valid. [Create] and
// [Open] take the same.
type Config struct {
	// OwnerAuth is the owner hierarchy's password. Create, Mend and Keystore.Destroy need it, Open
	// does not: a process that is not to destroy the device opens it without.
	OwnerAuth []byte
	// EndorsementAuth is the endorsement hierarchy's password.
	EndorsementAuth []byte
	// Timeout bounds each command; 0 is a minute. A TPM may take many seconds
	// to make a key. A call whose command takes longer waits for no other but
	// to look whether a change happened, so it ends within three of them.
	Timeout time.Duration

	// Persistent is the first of two persistent handles that Create takes, 0 is
	// 0x81004E4C; NV the first of four NV indices, 0 is 0x01804E4C. The fourth is
	// Destroy's.
	Persistent, NV uint32
	// PCRs (0 to 23, SHA-256) bind the use of the identity, the KEM and Derive to the
	// measurement at Create: ErrSealed under another. nil binds to none.
	// An update of what is measured then needs a new identity.
	PCRs []uint
	// EKCert is the EK's certificate, for Evidence; nil if there is none.
	EKCert []byte
	// Mend has Open define an index anew that is gone, instead of ErrReset. It is the
	// operator's answer to a TPM that was tampered with, never what a start does by
	// itself, and needs OwnerAuth. A new anchor begins two steps beyond the highest count
	// that the TPM ever had, where no vault is; a new latch reads as never set, also if one of its two indices
	// was left. Neither says that the device is new: package device finds the
	// anchor ahead of its vault, or a vault without its latch, and waits for its owner's
	// order to recover. Keys that are gone stay ErrReset. An index that
	// somebody else defined in the place of one of these is undefined by hand first.
	Mend bool
	// Budget of the anchor; zero is 100 000 writes, 27 a day.
	Budget keystore.Budget
}

func (c *Config) defaults() (Config, error) {
	var d Config
	if c != nil {
		d = *c
	}
	if d.Timeout <= 0 {
		d.Timeout = time.Minute
	}
	if d.Persistent == 0 {
		d.Persistent = 0x81004E4C
	}
	if d.NV == 0 {
		d.NV = 0x01804E4C
	}
	if d.Budget == (keystore.Budget{}) {
		d.Budget = keystore.Budget{Writes: 100_000, PerDay: 27}
	}
	for _, p := range d.PCRs {
		if p > 23 {
			return d, fault("create", keystore.ErrMalformed, fmt.Errorf("there is no PCR %d", p))
		}
	}
	if d.Persistent>>23 != 0x81000000>>23 || d.NV>>22 != 0x01800000>>22 {
		return d, fault("create", keystore.ErrMalformed, errors.New("a handle outside the owner's range"))
	}
	if len(d.EKCert) > 4<<10 {
		return d, fault("create", keystore.ErrMalformed, errors.New("the certificate is too long"))
	}
	return d, nil
}

// Keystore is a device secret in a TPM. The zero Keystore is closed. One process at a
// time uses one.
type Keystore struct {
	bus             *bus
	state           *state
	endorsementAuth []byte
	ownerAuth       []byte
	budget          keystore.Budget
	turn            chan struct{} // holds one token while no call is under way
	closed          bool          // under turn
	gone            bool          // destroyed; under turn
	auth            *[32]byte     // of the NV indices; behind a pointer, where fmt does not follow
}

var _ keystore.Keystore = (*Keystore)(nil)

// Open opens what Create made: blob is what Create returned, t the TPM. It asks
// the TPM for everything that it will rely on. ErrAbsent for an empty blob and for a device
// that was destroyed, ErrCorrupt for a damaged blob, ErrForeign for another TPM, ErrReset if
// this one was cleared or an index is gone (see Config.Mend), ErrSealed under another measurement. t stays
// the caller's.
func Open(ctx context.Context, t transport.TPM, blob []byte, c *Config) (*Keystore, error) {
	cfg, err := c.defaults()
	if err != nil {
		return nil, err
	}
	s, err := decode(blob)
	if err != nil {
		return nil, err
	}
	k := newKeystore(t, cfg, s)
	steps := []func(*call) error{k.verify, k.verifyMemory}
	if cfg.Mend {
		steps = []func(*call) error{k.verify, k.mend, k.verifyMemory}
	}
	err = k.with(ctx, "open", func(c *call) error {
		for _, step := range steps {
			c.ctx = ctx
			if err := step(c); err != nil {
				return err
			}
			c.end()
		}
		return nil
	})
	if err != nil {
		k.sweep()
		return nil, err
	}
	return k, nil
}

// sweep leaves nothing in the TPM of an opening that failed.
func (k *Keystore) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*k.bus.timeout)
	defer cancel()
	// with tidies first; about an error there is nothing to be done.
	_ = k.with(ctx, "sweep", func(*call) error { return nil })
}

func newKeystore(t transport.TPM, cfg Config, s *state) *Keystore {
	k := &Keystore{bus: newBus(t, cfg.Timeout), state: s, endorsementAuth: cfg.EndorsementAuth,
		ownerAuth: cfg.OwnerAuth, budget: cfg.Budget, turn: make(chan struct{}, 1), auth: new([32]byte)}
	k.turn <- struct{}{}
	k.bus.lost() // a process that died left what it had in the slots
	return k
}

// with runs f as one call: alone, after what earlier calls left was flushed, and
// flushes what f made. It explains f's error.
func (k *Keystore) with(ctx context.Context, op string, f func(*call) error) error {
	if k.turn == nil {
		return fault(op, keystore.ErrClosed, nil)
	}
	if err := ctx.Err(); err != nil && !k.isClosed() {
		return fault(op, nil, err)
	}
	select {
	case <-k.turn:
	case <-ctx.Done():
		return fault(op, nil, ctx.Err())
	}
	defer func() { k.turn <- struct{}{} }()
	if k.closed {
		return fault(op, keystore.ErrClosed, nil)
	}
	c := &call{ctx: ctx, bus: k.bus}
	c.tidy(k.state.ours)
	err := f(c)
	c.end()
	if c.ctx = ctx; err != nil {
		err = k.explain(c, op, err)
	}
	return err
}

func (k *Keystore) isClosed() bool {
	select {
	case <-k.turn:
		defer func() { k.turn <- struct{}{} }()
		return k.closed
	default:
		return false
	}
}

// Identity returns a copy. Evidence is what [ParseEvidence] reads.
func (k *Keystore) Identity() keystore.Identity {
	if k.state == nil {
		return keystore.Identity{}
	}
	return k.state.identity()
}

// Latch is in two NV indices.
func (k *Keystore) Latch() keystore.Latch {
	if k.state == nil {
		return nil
	}
	return latch{k}
}

// Anchor is an NV counter.
func (k *Keystore) Anchor() keystore.Anchor {
	if k.state == nil {
		return nil
	}
	return anchor{k}
}

// Close forgets the password of the NV indices. The TPM keeps the keys; the
// transport stays open.
func (k *Keystore) Close() error {
	if k.turn == nil {
		return nil
	}
	<-k.turn
	k.closed = true
	clear(k.auth[:])
	k.turn <- struct{}{}
	return nil
}

// Format prints the class and nothing else, whatever the verb.
func (k *Keystore) Format(s fmt.State, _ rune) { fmt.Fprint(s, "tpm.Keystore(hardware)") }

// Format prints no more than Keystore does.
func (a anchor) Format(s fmt.State, _ rune) { fmt.Fprint(s, "tpm.Anchor") }

// Format prints no more than Keystore does.
func (l latch) Format(s fmt.State, _ rune) { fmt.Fprint(s, "tpm.Latch") }
