package order

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/cose"
)

// What a refusal matches, one of these each. A refused order did nothing.
var (
	// ErrMalformed: the bytes are not a message in the one encoding that it
	// has, or exceed a bound; or a value has no encoding.
	ErrMalformed = errors.New("order: malformed")
	// ErrForeign: the order names another device.
	ErrForeign = errors.New("order: for another device")
	// ErrEpoch: the order is of another owner epoch.
	ErrEpoch = errors.New("order: of another owner epoch")
	// ErrAuthority: the table of who may sign what does not give this kind to
	// this authority, or the authority cannot sign at all.
	ErrAuthority = errors.New("order: this authority may not sign that")
	// ErrSignature wraps the error of package cose; or a leaf is not in the
	// batch that was signed.
	ErrSignature = errors.New("order: signature refused")
	// ErrKeys: a key of a policy is none of its suite, or it or one half of it is
	// there twice; or an identity has no usable key.
	ErrKeys = errors.New("order: unusable keys")
	// ErrUnverified: the report is not signed by the device's key, or not of it.
	ErrUnverified = errors.New("order: not the device's signature")
	// ErrNonce: the report answers another question.
	ErrNonce = errors.New("order: not the nonce that was asked with")
)

func refuse(kind error, format string, a ...any) error {
	return fmt.Errorf("%w: %w", kind, fmt.Errorf(format, a...))
}

// refuseCOSE sorts an error of package cose: bytes that are no envelope are
// malformed, the rest is kind.
func refuseCOSE(err, kind error) error {
	if errors.Is(err, cose.ErrMalformed) {
		kind = ErrMalformed
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// What messages want beyond the form of their items.
var (
	errVersion = errors.New("not version 1")
	errKind    = errors.New("no kind of order")
	errFresh   = errors.New("a kind has a counter or a challenge, not both and not the other")
	errZero    = errors.New("must not be zero")
	errName    = errors.New("not a name")
	errValue   = errors.New("unknown value")
	errOrder   = errors.New("not in ascending order")
	errLimit   = errors.New("outside the limits")
	errEither  = errors.New("exactly one of two")
	errExtra   = errors.New("does not go with the rest")
)
