package keystore

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of failure, for errors.Is. Nothing changed, unless it is ErrUncertain.
var (
	// ErrAbsent: no secret, or no latch, where one should be. It never means a
	// fresh device: only who provisions may create one.
	ErrAbsent = errors.New("keystore: no secret here")
	// ErrExists: a secret or its state is there already, and stays.
	ErrExists = errors.New("keystore: exists already")
	// ErrForeign: what answers, or what was found, belongs to another device,
	// or somebody sits in between.
	ErrForeign = errors.New("keystore: of another device")
	// ErrExposed: others may read or replace the secret.
	ErrExposed = errors.New("keystore: open to others")
	// ErrCorrupt: a file or blob is damaged. It is not repaired here.
	ErrCorrupt = errors.New("keystore: damaged")
	// ErrBusy: busy, locked out or not answering. [BusyError] tells when to retry.
	ErrBusy = errors.New("keystore: busy or locked out")
	// ErrUncertain: the change may or may not have happened. Read again.
	ErrUncertain = errors.New("keystore: may or may not have happened")
	// ErrReset: what must never go away is gone: the TPM was cleared, the
	// anchor or the latch undefined. The device is lost, not new.
	ErrReset = errors.New("keystore: was reset")
	// ErrSealed: the secret is bound to another measurement than today's.
	ErrSealed = errors.New("keystore: sealed to another measurement")
	// ErrLatched: the latch goes forward only.
	ErrLatched = errors.New("keystore: the latch goes forward only")
	// ErrAhead: the anchor is beyond the wanted value; it was not moved.
	ErrAhead = errors.New("keystore: the anchor is ahead")
	// ErrMalformed: an argument that no keystore takes.
	ErrMalformed = errors.New("keystore: malformed argument")
	// ErrClosed: the keystore is closed, or was never opened.
	ErrClosed = errors.New("keystore: closed")
)

// Error says which operation failed, of which kind, and why. It matches Kind
// and Err with errors.Is and errors.As.
type Error struct {
	Op   string // "sign", "open", ...
	Kind error  // one of the kinds above; nil if none fits: nothing changed
	Err  error  // the cause, or nil; never holds a key
}

// Error is the kind, the operation and the cause.
func (e *Error) Error() string {
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("keystore: %s: %v", e.Op, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("%v (%s)", e.Kind, e.Op)
	}
	return fmt.Sprintf("%v (%s): %v", e.Kind, e.Op, e.Err)
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	list := make([]error, 0, 2)
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// BusyError matches ErrBusy: the keystore cannot be used just now. Nothing changed.
type BusyError struct {
	RetryAfter time.Duration // when a retry makes sense; 0 = not known
	Err        error         // the cause, or nil
}

// Error is the text of ErrBusy with the cause.
func (e *BusyError) Error() string {
	s := ErrBusy.Error()
	if e.RetryAfter > 0 {
		s += ", retry after " + e.RetryAfter.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is matches ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// Unwrap returns the cause.
func (e *BusyError) Unwrap() error { return e.Err }
