package cbor

import (
	"errors"
	"strconv"
)

// The two families that every error of a Decoder belongs to.
var (
	// ErrSyntax: the bytes are not one item of deterministic CBOR.
	ErrSyntax = errors.New("cbor: not deterministic CBOR")
	// ErrSchema: the bytes are sound, but not what the caller asked for.
	ErrSchema = errors.New("cbor: not the expected item")
)

// Reason says which rule an input broke. It is an error, to be used with
// errors.Is, and a constant, so that nobody can change it.
type Reason uint8

// Reasons of the family ErrSyntax.
const (
	// ErrTruncated: the input ends inside an item, or a length or count claims
	// more than the input holds.
	ErrTruncated Reason = iota + 1
	// ErrTrailing: bytes follow the one item.
	ErrTrailing
	// ErrLongHead: a head is not in its shortest form (RFC 8949 §4.2.1).
	ErrLongHead
	// ErrIndefinite: an indefinite length, or a break (RFC 8949 §3.2).
	ErrIndefinite
	// ErrReserved: additional information 28 to 30 (RFC 8949 §3).
	ErrReserved
	// ErrForbidden: a float, undefined, a simple value other than true, false
	// and null, or a bignum tag: well-formed CBOR that this codec has no use for.
	ErrForbidden
	// ErrOrder: the keys of a map are not in ascending order of their encodings.
	ErrOrder
	// ErrDuplicate: a map has the same key twice.
	ErrDuplicate
	// ErrUTF8: a text string is not valid UTF-8.
	ErrUTF8
	// ErrDepth: arrays, maps and tags nest deeper than MaxDepth.
	ErrDepth
)

// Reasons of the family ErrSchema.
const (
	// ErrType: the item is of another kind.
	ErrType Reason = iota + 32
	// ErrLimit: a number, length or count is outside the caller's limits.
	ErrLimit
	// ErrUnknownKey: a map has a key that the caller does not know.
	ErrUnknownKey
	// ErrMissingKey: a map lacks a key that the caller requires.
	ErrMissingKey
	// ErrUnread: the caller left a part of the item unread.
	ErrUnread
)

var reasons = map[Reason]string{
	ErrTruncated:  "truncated",
	ErrTrailing:   "bytes behind the item",
	ErrLongHead:   "head not in its shortest form",
	ErrIndefinite: "indefinite length",
	ErrReserved:   "reserved head",
	ErrForbidden:  "float, undefined, simple value or bignum",
	ErrOrder:      "map keys out of order",
	ErrDuplicate:  "duplicate map key",
	ErrUTF8:       "text is not UTF-8",
	ErrDepth:      "nested too deep",
	ErrType:       "wrong type",
	ErrLimit:      "outside the limits",
	ErrUnknownKey: "unknown key",
	ErrMissingKey: "missing key",
	ErrUnread:     "part of the item left unread",
}

// Error names the rule without the place.
func (r Reason) Error() string {
	if s := reasons[r]; s != "" {
		return "cbor: " + s
	}
	return "cbor: reason " + strconv.Itoa(int(r))
}

// family is ErrSyntax or ErrSchema.
func (r Reason) family() error {
	if r < ErrType {
		return ErrSyntax
	}
	return ErrSchema
}

// Error is what a Decoder fails with. It matches its Reason, the family of that
// Reason, and whatever a caller passed to [Decoder.Fail].
type Error struct {
	Off int   // where in the input the offending item starts
	Err error // a Reason, or the caller's own error
	// Key is the key of an ErrUnknownKey or ErrMissingKey.
	Key int64
}

// Error names the place and the rule.
func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Err == ErrUnknownKey || e.Err == ErrMissingKey {
		s += " " + strconv.FormatInt(e.Key, 10)
	}
	return s + " at byte " + strconv.Itoa(e.Off)
}

// Unwrap returns the Reason or the caller's error.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the family.
func (e *Error) Is(target error) bool {
	r, ok := e.Err.(Reason)
	return ok && target == r.family()
}
