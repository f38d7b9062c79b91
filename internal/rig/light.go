package rig

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/keystore"
)

// light is a keystore whose identity is one Ed25519 key: a start costs next to
// nothing. It has no KEM.
type light struct {
	key    ed25519.PrivateKey
	secret [32]byte
	latch  keystore.Latch
	anchor keystore.Anchor
}

func newLight(secret [32]byte, l *Latch, a *Anchor) *light {
	seed := sha256.Sum256(append([]byte("identity"), secret[:]...))
	k := &light{key: ed25519.NewKeyFromSeed(seed[:]), secret: secret, latch: l}
	if a != nil {
		k.anchor = a
	}
	return k
}

func (k *light) Identity() keystore.Identity {
	pub, _ := k.key.Public().(ed25519.PublicKey)
	return keystore.Identity{Suite: keystore.Ed25519, Public: pub, Class: keystore.Supplied}
}

func (k *light) Sign(ctx context.Context, half int, msg []byte) ([]byte, error) {
	if half != 0 {
		return nil, fmt.Errorf("%w: half %d", keystore.ErrMalformed, half)
	}
	return ed25519.Sign(k.key, msg), ctx.Err()
}

func (k *light) Decapsulate(context.Context, []byte) ([32]byte, error) {
	return [32]byte{}, errors.ErrUnsupported
}

func (k *light) Derive(ctx context.Context, label string) ([32]byte, error) {
	if err := keystore.CheckLabel(label); err != nil {
		return [32]byte{}, err
	}
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte(label))
	return [32]byte(m.Sum(nil)), ctx.Err()
}

func (k *light) Latch() keystore.Latch         { return k.latch }
func (k *light) Anchor() keystore.Anchor       { return k.anchor }
func (k *light) Destroy(context.Context) error { return errors.ErrUnsupported }
func (k *light) Close() error                  { return nil }
