// Package keyfile keeps the private keys of people: owners, vendors, operators. One
// file NAME.key holds the halves of one signing key under a passphrase, in a format
// that other programs read; NAME.pub is what others get of it.
//
// NAME.key is one PEM block per half of the suite, each a PKCS#8 key: ENCRYPTED PRIVATE
// KEY (RFC 5958) with PBES2, PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018), or PRIVATE
// KEY for one that has no passphrase on purpose. Inside are Ed25519 (RFC 8410), P-256
// (RFC 5915) or the seed of ML-DSA-65 (RFC 9881). docs/keys.md describes both files.
//
// A file of that format is encrypted and not authenticated. Who can write it cannot make it
// sign with a key of the policy, but can break it: compare what it loads with NAME.pub.
//
// Wiping is best effort: seeds and decoded bytes are overwritten once they are used. What
// crypto/pbkdf2 is given of the passphrase is a string, and that copy, like the expanded
// keys, goes with the garbage.
package keyfile

import (
	"errors"
	"fmt"
)

// The kinds of failure, for errors.Is. A file that exists already is fs.ErrExist.
var (
	// ErrMalformed: not a key file as this package writes it, or one that asks
	// for more work or memory than such a file may.
	ErrMalformed = errors.New("keyfile: malformed")
	// ErrPassphrase: it is missing, or wrong, or the file is damaged, which nobody can
	// tell apart; or one was given for a file that has none.
	ErrPassphrase = errors.New("keyfile: wrong passphrase")
	// ErrExposed: others may read or write the private key.
	ErrExposed = errors.New("keyfile: open to others")
)

func refuse(kind error, format string, a ...any) error {
	return fmt.Errorf("%w: %w", kind, fmt.Errorf(format, a...))
}

// Bounds of what is read.
const (
	maxFile = 32 << 10 // bytes; a hybrid has about 1 KiB private and 3 KiB public
	maxDER  = 4 << 10  // of one block
)
