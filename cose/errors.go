package cose

import (
	"errors"
	"fmt"
)

// What a refusal matches, one of these each. Nothing of the input was used.
var (
	// ErrMalformed: the bytes are not an envelope or COSE_Key in the one
	// encoding it has, or exceed a bound.
	ErrMalformed = errors.New("cose: malformed")
	// ErrDomain: no domain was given. Nothing is signed or verified without.
	ErrDomain = errors.New("cose: no domain")
	// ErrKey: a public or private key is not one of its suite, or one that
	// must not be used.
	ErrKey = errors.New("cose: unusable key")
	// ErrAlgorithm: a signature is of an algorithm that the pinned suite does
	// not have in this place.
	ErrAlgorithm = errors.New("cose: algorithm not allowed")
	// ErrSigner: a signer is unknown, there twice, or without all halves of
	// its own key.
	ErrSigner = errors.New("cose: signer not allowed")
	// ErrThreshold: there are too few signers, or the trust asks for an
	// impossible number of them.
	ErrThreshold = errors.New("cose: threshold not reached")
	// ErrSignature: a signature does not verify.
	ErrSignature = errors.New("cose: bad signature")
)

func refuse(kind error, format string, a ...any) error {
	return fmt.Errorf("%w: %w", kind, fmt.Errorf(format, a...))
}
