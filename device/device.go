package device

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// Device is a lock with an owner. Its methods may be called concurrently; orders
// act one after the other. The zero Device refuses everything.
type Device struct {
	set *settings
	mem nvm.NVM
	ks  keystore.Keystore // nil if there is none
	id  order.DeviceID
	key *cose.PublicKey // identity; nil without a keystore

	mu     sync.Mutex
	closed bool
	boot   [32]byte // of this start
	secret secrets
	latch  keystore.Record
	lock   *nanolock.Lock              // nil: nothing can be served
	vault  *vault.Vault                // nil if it is lost
	books  atomic.Pointer[vault.Vault] // the same, for hosts' writes: see persist
	orphan *orphan                     // nil unless the vault is there and its latch is not
	copies *vault.Copies
	audit  *vault.AuditLog // nil if the policy has no area for it
	ring   *order.Keyring  // nil if no policy could be believed
	pol    *policy.Policy  // as signed; nil like ring
	doc    document        // where pol is kept
	state  policy.State
	health order.Health
	why    []string
	later  func(context.Context) error // the effect that an anchor holds up

	// What a host's access or the operator's freeze needs without waiting for mu.
	serving atomic.Pointer[nanolock.Lock]

	sessions map[order.SessionID]*session
	live     uint64 // orders of class live that were accepted in this boot
	reported reported
	clock    clock
	watch    watchdog
	bucket   bucket
	ledger   ledger
	measured map[uint32][32]byte
	folded   uint64 // denials that the audit chain has
	audited  uint64 // uptime of its last entry about them
	scrubbed int    // where Scrub goes on
	retry    uint64 // uptime before which handing over is not tried again

	idleSeq, idleSince uint64 // see settle
}

// secrets are keys that the keystore derives; see wire.md for the labels.
type secrets struct{ vault, audit, challenge [32]byte }

func newDevice(mem nvm.NVM, ks keystore.Keystore, c *Config) (*Device, error) {
	set, err := newSettings(mem, c)
	if err != nil {
		return nil, err
	}
	d := &Device{set: set, mem: mem, ks: ks, sessions: map[order.SessionID]*session{}, measured: map[uint32][32]byte{}}
	if _, err := io.ReadFull(set.Rand, d.boot[:]); err != nil {
		return nil, fmt.Errorf("%w: no randomness: %w", ErrConfig, err)
	}
	if ks == nil {
		return d, nil
	}
	if d.key, err = d.set.verify.identity(ks.Identity()); err != nil {
		return nil, fmt.Errorf("%w: identity: %w", ErrConfig, err)
	}
	d.id = order.DeviceID(d.key.ID())
	if ks.Latch() == nil {
		return nil, fmt.Errorf("%w: the keystore has no latch, so a blank vault could not be told from a new device", ErrConfig)
	}
	return d, nil
}

// derive asks the keystore for the keys of this device.
func (d *Device) derive(ctx context.Context) (err error) {
	var s secrets
	for _, k := range []struct {
		label string
		key   *[32]byte
	}{{"vault-mac", &s.vault}, {"audit-mac", &s.audit}, {"challenge", &s.challenge}} {
		if *k.key, err = d.ks.Derive(ctx, k.label); err != nil {
			return fmt.Errorf("device: key %s: %w", k.label, err)
		}
	}
	d.secret = s
	return nil
}

// ID is the device's identity: the digest of its public keys. Zero without a keystore.
func (d *Device) ID() order.DeviceID { return d.id }

// Identity is the device's public key; nil without a keystore.
func (d *Device) Identity() *cose.PublicKey { return d.key }

// Host returns a new handle with a host's rights, one for each gate. It denies
// everything where nothing could be served, and ends when the device recovers:
// then ask again.
func (d *Device) Host() *nanolock.Handle {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil || d.closed {
		return new(nanolock.Handle)
	}
	return d.lock.Host()
}

// Close ends all sessions and handles and settles the vault. Memory and keystore
// stay open.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.set == nil {
		return nil
	}
	d.closed = true
	return d.shut()
}

// shut ends what boot began.
func (d *Device) shut() error {
	var errs []error
	d.serving.Store(nil)
	d.endSessions()
	d.books.Store(nil)
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	if d.vault != nil {
		errs = append(errs, d.vault.Close())
	}
	d.lock, d.vault, d.audit, d.copies, d.ring, d.pol, d.later = nil, nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

// window is a hidden part of the memory. It never reaches a gate.
func (d *Device) window(s nvm.Span) (nvm.NVM, error) { return nvm.NewWindow(d.mem, s) }

// counterKey names an authority's counter. Names are hashed to 32 bits, and
// checkNames refuses a policy in which two names meet.
func (d *Device) counterKey(authority string, c order.Class) vault.CounterKey {
	return vault.CounterKey{OwnerEpoch: d.epoch(), Authority: nameKey(authority), Class: uint8(c)}
}

func nameKey(authority string) uint32 {
	h := sha256.Sum256([]byte(authority))
	return binary.LittleEndian.Uint32(h[:])
}

// usable is why no order can be taken now; nil if one can.
func (d *Device) usable() error {
	switch {
	case d.set == nil || d.closed:
		return ErrClosed
	case d.vault == nil || d.degraded():
		return fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	return nil
}

// lost are the conditions that only an owner's order to recover ends.
const lost = order.VaultLost | order.AnchorAhead | order.AnchorBehind | order.AnchorAbsent

func (d *Device) degraded() bool { return d.health&lost != 0 }

func (d *Device) reason() string {
	if len(d.why) == 0 {
		return "closed"
	}
	return d.why[0]
}

// epoch is the vault's, and the owner's: they are one number. findVault refuses a
// latch that is beyond 32 bits.
func (d *Device) epoch() uint32 { return uint32(d.latch.Epoch) }
