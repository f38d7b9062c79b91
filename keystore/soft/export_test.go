package soft

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/nanolock/nanolock/keystore"
)

// Fail makes c call f before each file operation.
func Fail(c *Config, f func(op string) error) *Config {
	c.fail = f
	return c
}

// XWingSeed is the seed behind a secret's X-Wing key.
func XWingSeed(secret []byte) []byte {
	prk, _ := hkdf.Extract(sha256.New, secret, []byte(branch))
	seed, _ := expand(prk, labelXWing)
	return seed[:]
}

// The file formats, for fuzzing.
var (
	EncodeSecret = encodeSecret
	DecodeSecret = decodeSecret
)

// DecodeLatch decodes b as the latch of the device behind secret.
func DecodeLatch(secret, b []byte) (keystore.Record, []byte, error) {
	k, err := deriveKeys(secret)
	if err != nil {
		return keystore.Record{}, nil, err
	}
	r, err := k.latchKey().decode(b)
	return r, k.latchKey().encode(r), err
}
