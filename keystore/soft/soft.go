// Package soft is a keystore in software: one device secret, in a file or handed in
// from a PUF or fuses, and every key derived from it.
//
// The identity is suite 4 (Ed25519 and ML-DSA-65), the KEM is X-Wing, both from the
// secret by HKDF-SHA256 under a label each, so one secret is one device for ever.
//
// What it cannot do: a file on the host can be read by whoever is root there, and a
// copy of it is the device. A file that is put back brings back the latch of its
// time. There is no anchor, because a file cannot be one; an integrator who has a
// counter elsewhere hands it in ([Config]). docs/keystore.md has the whole table.
//
// Wiping is best effort: the secret and the seeds are overwritten once they are
// used, the expanded keys are dropped at Close, and what the runtime copied or
// swapped out meanwhile is beyond reach.
package soft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nanolock/nanolock/keystore"
)

// Config is what the integrator brings; nil and zero are valid.
type Config struct {
	// Latch takes the place of the latch file: fuses, or a register that
	// only goes forward. It stays the caller's.
	Latch keystore.Latch
	// LatchFile is where [Supply] keeps the latch if Latch is nil; "" is no
	// latch. Create and Open use the secret's path with ".latch" behind it.
	LatchFile string
	// NewLatch makes Supply create LatchFile. Only who provisions sets it: a
	// latch file that is missing is otherwise ErrAbsent.
	NewLatch bool
	// Anchor is a counter that the integrator has; nil is none. It stays the
	// caller's.
	Anchor keystore.Anchor
	// Evidence is what Identity().Evidence says, such as a voucher.
	Evidence []byte
	// Rand is where Create takes the secret from; nil is crypto/rand.
	Rand io.Reader

	fail func(op string) error // tests: called before each file operation
}

// Keystore is a device secret in software. The zero Keystore is closed.
type Keystore struct {
	mu     sync.RWMutex // held for reading by every call, so that Close waits
	id     keystore.Identity
	keys   *keys // nil = closed; behind a pointer, where fmt does not follow
	latch  keystore.Latch
	anchor keystore.Anchor

	disk disk
	path string // of the secret; "" if it was supplied
	gone bool   // destroyed
}

var _ keystore.Keystore = (*Keystore)(nil)

// Create makes a new secret in a file that does not exist yet, and its latch file
// beside it, both of mode 0600, and opens them. It never overwrites a secret, nor
// the latch of a device that has an owner: ErrExists. A cut leaves no secret, and Create
// may be called again. The folder must be writable by its owner alone (ErrExposed).
func Create(path string, c *Config) (*Keystore, error) {
	if c == nil {
		c = &Config{}
	}
	d := disk{c.fail}
	secret := make([]byte, secretLen)
	defer clear(secret)
	r := c.Rand
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, secret); err != nil {
		return nil, fault("create", nil, err)
	}
	if err := d.bury(path); err != nil {
		return nil, err
	}
	if err := d.free(path); err != nil {
		return nil, err
	}
	k, err := newKeystore(secret, keystore.File, c)
	if err != nil {
		return nil, err
	}
	k.disk, k.path = d, path
	if c.Latch == nil {
		if err := d.createLatch(path+latchSuffix, k.keys); err != nil {
			return nil, err
		}
	}
	// The secret comes last: without it there is no device, so that a cut before
	// this moment leaves nothing that could be mistaken for one.
	if err := d.createSecret(path, secret); err != nil {
		return nil, err
	}
	return k.withFile(d, path+latchSuffix, c)
}

// Open opens what Create made. ErrAbsent if the secret or its latch is missing, which
// never means a new device; ErrExposed if a file is a link, is not the user's
// own, or if others may read or replace it; ErrCorrupt for a damaged file; ErrForeign for a latch of
// another device. A [Keystore.Destroy] that a cut interrupted is finished first.
func Open(path string, c *Config) (*Keystore, error) {
	if c == nil {
		c = &Config{}
	}
	d := disk{c.fail}
	if err := d.bury(path); err != nil {
		return nil, err
	}
	secret, err := d.readSecret(path)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	k, err := newKeystore(secret, keystore.File, c)
	if err != nil {
		return nil, err
	}
	k.disk, k.path = d, path
	return k.withFile(d, path+latchSuffix, c)
}

// Supply opens a keystore over a secret of 32 bytes or more that the caller has from a
// PUF, fuses or another lock. ErrMalformed if it is shorter, ErrAbsent if
// all its bytes are the same: those are blank fuses. The slice is not kept and not
// changed; the caller wipes it. The latch is Config.Latch or Config.LatchFile, else
// there is none.
func Supply(secret []byte, c *Config) (*Keystore, error) {
	if c == nil {
		c = &Config{}
	}
	if len(secret) < secretLen {
		return nil, fault("supply", keystore.ErrMalformed, fmt.Errorf("%d bytes are less than %d", len(secret), secretLen))
	}
	if blank(secret) {
		return nil, fault("supply", keystore.ErrAbsent, errors.New("the secret is blank"))
	}
	k, err := newKeystore(secret, keystore.Supplied, c)
	if err != nil || c.Latch != nil || c.LatchFile == "" {
		return k, err
	}
	d := disk{c.fail}
	if c.NewLatch {
		if err := d.createLatch(c.LatchFile, k.keys); err != nil {
			return nil, err
		}
	}
	return k.withFile(d, c.LatchFile, c)
}

func newKeystore(secret []byte, class keystore.Class, c *Config) (*Keystore, error) {
	keys, err := deriveKeys(secret)
	if err != nil {
		return nil, fault("open", nil, err)
	}
	k := &Keystore{keys: keys, anchor: c.Anchor, id: keys.identity(class, c.Evidence)}
	if c.Latch != nil {
		k.latch = guardedLatch{k, c.Latch}
	}
	if c.Anchor != nil {
		k.anchor = guardedAnchor{k, c.Anchor}
	}
	return k, nil
}

// withFile gives k its latch file, unless the integrator brought a latch.
func (k *Keystore) withFile(d disk, path string, c *Config) (*Keystore, error) {
	if c.Latch != nil {
		return k, nil
	}
	l := &fileLatch{disk: d, path: path, keys: k.keys}
	if _, err := l.Read(context.Background()); err != nil {
		return nil, err
	}
	k.latch = guardedLatch{k, l}
	return k, nil
}

// Identity returns a copy.
func (k *Keystore) Identity() keystore.Identity { return k.id.Clone() }

// enter begins a call: it returns the keys, and what ends the call.
func (k *Keystore) enter(ctx context.Context, op string) (*keys, func(), error) {
	k.mu.RLock()
	var err error
	if k.keys == nil {
		err = fault(op, keystore.ErrClosed, nil)
	} else if done := ctx.Err(); done != nil {
		err = fault(op, nil, done)
	}
	if err != nil {
		k.mu.RUnlock()
		return nil, nil, err
	}
	return k.keys, k.mu.RUnlock, nil
}

// Sign signs with half 0, Ed25519, or half 1, ML-DSA-65 (hedged, empty context).
func (k *Keystore) Sign(ctx context.Context, half int, msg []byte) ([]byte, error) {
	keys, leave, err := k.enter(ctx, "sign")
	if err != nil {
		return nil, err
	}
	defer leave()
	return keys.sign(half, msg)
}

// Decapsulate is X-Wing's.
func (k *Keystore) Decapsulate(ctx context.Context, enc []byte) ([32]byte, error) {
	keys, leave, err := k.enter(ctx, "decapsulate")
	if err != nil {
		return [32]byte{}, err
	}
	defer leave()
	return keystore.XWing.Open(keys.mlkem, curve25519{keys.x25519}, enc)
}

// Derive is HKDF-Expand of the secret's branch for derived keys, with the info
// "nanolock/1/" and the label.
func (k *Keystore) Derive(ctx context.Context, label string) ([32]byte, error) {
	keys, leave, err := k.enter(ctx, "derive")
	if err != nil {
		return [32]byte{}, err
	}
	defer leave()
	if err := keystore.CheckLabel(label); err != nil {
		return [32]byte{}, err
	}
	return expand(keys.derive[:], domain+label)
}

// Latch is the latch file, or what the integrator handed in; nil if neither.
func (k *Keystore) Latch() keystore.Latch { return k.latch }

// Anchor is what the integrator handed in; nil otherwise, for a file is no anchor.
func (k *Keystore) Anchor() keystore.Anchor { return k.anchor }

// Close drops the keys.
func (k *Keystore) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop()
	return nil
}

func (k *Keystore) drop() {
	if k.keys != nil {
		k.keys.wipe()
		k.keys = nil
	}
}

// Format prints the class and nothing else, whatever the verb.
func (k *Keystore) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "soft.Keystore(%v)", k.id.Class)
}

func fault(op string, kind, err error) error {
	return &keystore.Error{Op: op, Kind: kind, Err: err}
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}
