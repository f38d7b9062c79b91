package soft

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"errors"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
)

// The labels under which keys come from the secret. They are the identity of
// every device in the field: a change of one letter makes all of them strangers.
const (
	domain       = "nanolock/1/"
	branch       = domain + "keystore"
	labelEd25519 = branch + "/ed25519"   // seed, RFC 8032 §5.1.5
	labelMLDSA   = branch + "/ml-dsa-65" // seed ξ, FIPS 204 algorithm 6
	labelXWing   = branch + "/x-wing"    // seed, expanded by SHAKE-256 as X-Wing does
	labelDerive  = branch + "/derive"    // PRK of all that Derive returns
	labelLatch   = branch + "/latch"     // HMAC key of the latch file
)

// keys is what is made from one secret. The secret itself is not kept.
type keys struct {
	ed     ed25519.PrivateKey
	mldsa  crypto.Signer
	mlkem  *mlkem.DecapsulationKey768
	x25519 *ecdh.PrivateKey
	derive [32]byte
	latch  [32]byte
}

// deriveKeys is HKDF (RFC 5869) with SHA-256: Extract once, and Expand for each label.
func deriveKeys(secret []byte) (*keys, error) {
	prk, err := hkdf.Extract(sha256.New, secret, []byte(branch))
	if err != nil {
		return nil, err
	}
	defer clear(prk)
	var k keys
	var seeds [3][32]byte
	defer func() { clear(seeds[:]) }()
	for label, to := range map[string]*[32]byte{
		labelEd25519: &seeds[0], labelMLDSA: &seeds[1], labelXWing: &seeds[2],
		labelDerive: &k.derive, labelLatch: &k.latch,
	} {
		if *to, err = expand(prk, label); err != nil {
			return nil, err
		}
	}
	k.ed = ed25519.NewKeyFromSeed(seeds[0][:])
	k.mldsa = cose.NewMLDSA65(&seeds[1])
	err = k.xwing(seeds[2])
	return &k, err
}

// xwing expands a seed as X-Wing's key generation: 64 bytes for ML-KEM-768, 32 for
// X25519.
func (k *keys) xwing(seed [32]byte) (err error) {
	long := sha3.SumSHAKE256(seed[:], 96)
	defer clear(long)
	if k.mlkem, err = mlkem.NewDecapsulationKey768(long[:64]); err != nil {
		return err
	}
	k.x25519, err = ecdh.X25519().NewPrivateKey(long[64:])
	return err
}

func expand(prk []byte, info string) (out [32]byte, err error) {
	b, err := hkdf.Expand(sha256.New, prk, info, len(out))
	copy(out[:], b)
	clear(b)
	return out, err
}

func (k *keys) identity(class keystore.Class, evidence []byte) keystore.Identity {
	id := keystore.Identity{Suite: keystore.Ed25519MLDSA65, KEM: keystore.XWing, Class: class, Evidence: evidence}
	id.Public = append(id.Public, k.ed.Public().(ed25519.PublicKey)...)
	id.Public = append(id.Public, k.mldsa.Public().(interface{ Bytes() []byte }).Bytes()...)
	id.Encap = append(k.mlkem.EncapsulationKey().Bytes(), k.x25519.PublicKey().Bytes()...)
	return id.Clone()
}

func (k *keys) sign(half int, msg []byte) ([]byte, error) {
	switch half {
	case 0:
		return ed25519.Sign(k.ed, msg), nil
	case 1:
		sig, err := k.mldsa.Sign(rand.Reader, msg, nil) // hedged
		if err != nil {
			return nil, fault("sign", nil, err)
		}
		return sig, nil
	}
	return nil, fault("sign", keystore.ErrMalformed, errors.New("the identity has two halves"))
}

// wipe overwrites what it can; the expanded keys inside other packages go with
// the garbage.
func (k *keys) wipe() {
	clear(k.ed)
	clear(k.derive[:])
	clear(k.latch[:])
	k.mldsa, k.mlkem, k.x25519 = nil, nil, nil
}

// curve25519 says what a failed exchange means: the point has low order, so no
// honest sender made it.
type curve25519 struct{ *ecdh.PrivateKey }

func (c curve25519) ECDH(point *ecdh.PublicKey) ([]byte, error) {
	secret, err := c.PrivateKey.ECDH(point)
	if err != nil {
		return nil, fault("decapsulate", keystore.ErrMalformed, err)
	}
	return secret, nil
}
