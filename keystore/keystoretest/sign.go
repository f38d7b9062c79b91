package keystoretest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"github.com/nanolock/nanolock/keystore"
)

func checkIdentity(e *env) error {
	if !e.id.Valid() {
		return broke(sValid, "Identity() is suite %d with %d bytes, KEM %#x with %d bytes, %v",
			e.id.Suite, len(e.id.Public), e.id.KEM, len(e.id.Encap), e.id.Class)
	}
	for range 3 {
		if !e.ks.Identity().Equal(e.id) {
			return broke(sFixed, "Identity() is not the same twice")
		}
	}
	return nil
}

// verify tells whether sig is the half's signature of msg.
func verify(id keystore.Identity, half int, msg, sig []byte) bool {
	h, pub := id.Suite.Halves()[half], id.Suite.Split(id.Public)[half]
	if len(sig) != h.SignatureLen {
		return false
	}
	switch h.Alg {
	case -19:
		return ed25519.Verify(pub, msg, sig)
	case -9:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), pub)
		digest := sha256.Sum256(msg)
		return err == nil && ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case -49:
		var key mldsa65.PublicKey
		return key.UnmarshalBinary(pub) == nil && mldsa65.Verify(&key, msg, nil, sig)
	}
	return false
}

func checkSign(e *env) error {
	ctx := context.Background()
	for half, h := range e.id.Suite.Halves() {
		for _, msg := range [][]byte{nil, []byte("m"), bytes.Repeat([]byte{7}, 100_000)} {
			sig, err := e.ks.Sign(ctx, half, msg)
			if err != nil {
				return broke(sSign, "Sign(%d, %d bytes): %v", half, len(msg), err)
			}
			if len(sig) != h.SignatureLen {
				return broke(sRaw, "Sign(%d): %d bytes, want %d", half, len(sig), h.SignatureLen)
			}
			if !verify(e.id, half, msg, sig) {
				return broke(sSign, "Sign(%d, %d bytes) does not verify", half, len(msg))
			}
			if verify(e.id, half, append([]byte("x"), msg...), sig) {
				return broke(sSign, "Sign(%d) verifies another message", half)
			}
		}
	}
	return nil
}

func checkSignBad(e *env) error {
	for _, half := range []int{-1, len(e.id.Suite.Halves()), 1 << 30} {
		sig, err := e.ks.Sign(context.Background(), half, []byte("m"))
		if err := want(err, keystore.ErrMalformed, sHalf, "Sign(%d)", half); err != nil {
			return err
		}
		if sig != nil {
			return broke(sHalf, "Sign(%d) returned a signature", half)
		}
	}
	return nil
}

func checkRetain(e *env) error {
	ctx := context.Background()
	id := e.ks.Identity()
	for _, b := range [][]byte{id.Public, id.Encap, id.Evidence} {
		clear(b)
	}
	if !e.ks.Identity().Equal(e.id) || !bytes.Equal(e.ks.Identity().Evidence, e.id.Evidence) {
		return broke(sRetain, "writing to what Identity() returned changed the identity")
	}
	msg := []byte("message")
	if _, err := e.ks.Sign(ctx, 0, msg); err != nil {
		return broke(sSign, "Sign: %v", err)
	}
	enc, secret, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	again := bytes.Clone(enc)
	if _, err := e.ks.Decapsulate(ctx, enc); err != nil {
		return broke(sDecap, "Decapsulate: %v", err)
	}
	if !bytes.Equal(msg, []byte("message")) || !bytes.Equal(enc, again) {
		return broke(sRetain, "a call wrote to its argument")
	}
	clear(enc)
	if got, err := e.ks.Decapsulate(ctx, again); err != nil || secret(got) != nil {
		return broke(sRetain, "Decapsulate remembers its argument: %v", err)
	}
	return nil
}
