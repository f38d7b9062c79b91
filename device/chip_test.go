package device_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/nanolock/nanolock/keystore"
)

// chip is a keystore whose every call a test can watch, refuse or leave without
// an answer. Copies are independent; the keys are shared, and derived once. Its
// identity is a single Ed25519 key, so that a start costs little.
type chip struct {
	*secretKeys
	rec      keystore.Record
	value    uint64 // of the anchor
	budget   keystore.Budget
	noLatch  bool
	noAnchor bool
	destroys int
	// at is called before each call and, where the call changes something, when
	// it is done. An error is the call's answer.
	at func(op string, done bool) error
}

type secretKeys struct {
	id      keystore.Identity
	key     ed25519.PrivateKey
	derived sync.Map
}

// newChip makes the keystore of a device by its name.
func newChip(name string) *chip {
	seed := sha256.Sum256([]byte("nanolock test chip " + name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return &chip{value: 41, secretKeys: &secretKeys{key: key, id: keystore.Identity{
		Suite: keystore.Ed25519, Public: key.Public().(ed25519.PublicKey), KEM: keystore.XWing,
		Encap: make([]byte, keystore.XWing.PublicLen()), Class: keystore.Supplied}}}
}

func (c *chip) clone() *chip {
	d := *c
	d.at = nil
	return &d
}

func (c *chip) call(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil || c.at == nil {
		return err
	}
	return c.at(op, false)
}

func (c *chip) done(op string) error {
	if c.at == nil {
		return nil
	}
	return c.at(op, true)
}

func (c *chip) Identity() keystore.Identity { return c.id }
func (c *chip) Close() error                { return nil }

func (c *chip) Sign(ctx context.Context, half int, msg []byte) ([]byte, error) {
	if half != 0 {
		return nil, keystore.ErrMalformed
	}
	return ed25519.Sign(c.key, msg), c.call(ctx, "sign")
}

func (c *chip) Decapsulate(ctx context.Context, _ []byte) (s [32]byte, err error) {
	return s, c.call(ctx, "decapsulate")
}

func (c *chip) Derive(ctx context.Context, label string) (out [32]byte, err error) {
	if err := c.call(ctx, "derive"); err != nil {
		return out, err
	}
	if v, ok := c.derived.Load(label); ok {
		return v.([32]byte), nil
	}
	h := hmac.New(sha256.New, c.key.Seed())
	h.Write([]byte(label))
	out = [32]byte(h.Sum(nil))
	c.derived.Store(label, out)
	return out, nil
}

func (c *chip) Destroy(ctx context.Context) error {
	if err := c.call(ctx, "destroy"); err != nil {
		return err
	}
	c.destroys++
	return errors.ErrUnsupported
}

func (c *chip) Latch() keystore.Latch {
	if c.noLatch {
		return nil
	}
	return chipLatch{c}
}

func (c *chip) Anchor() keystore.Anchor {
	if c.noAnchor {
		return nil
	}
	return chipAnchor{c}
}

type chipLatch struct{ *chip }

func (c chipLatch) Read(ctx context.Context) (keystore.Record, error) {
	return c.rec, c.call(ctx, "latch.read")
}

func (c chipLatch) Set(ctx context.Context, r keystore.Record) error {
	if err := c.call(ctx, "latch.set"); err != nil {
		return err
	}
	if _, err := c.rec.Forward(r); err != nil {
		return err
	}
	c.rec = r
	return c.done("latch.set")
}

type chipAnchor struct{ *chip }

func (c chipAnchor) Read(ctx context.Context) (uint64, error) {
	return c.value, c.call(ctx, "anchor.read")
}

func (c chipAnchor) Advance(ctx context.Context, to uint64) error {
	if err := c.call(ctx, "anchor.advance"); err != nil {
		return err
	}
	if _, err := keystore.Steps(c.value, to); err != nil {
		return err
	}
	c.value = to
	return c.done("anchor.advance")
}

func (c chipAnchor) Budget() keystore.Budget { return c.budget }

// opened is a keystore that is open already, at each start.
func opened(ks keystore.Keystore) func() (keystore.Keystore, error) {
	return func() (keystore.Keystore, error) { return ks, nil }
}
