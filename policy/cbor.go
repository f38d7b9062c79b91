package policy

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/internal/cbor"
)

// ErrEncoding is matched by every *EncodingError.
var ErrEncoding = errors.New("policy: encoding refused")

// EncodingError says why bytes are not a policy, or why a policy has none. It
// matches ErrEncoding and what it wraps. Nothing was changed.
type EncodingError struct {
	Field string // such as "map[2].access.read"; "" = the policy itself
	Err   error  // the rule that was broken, with the offset when bytes were read
}

// Error names the field and the rule.
func (e *EncodingError) Error() string {
	if e.Field == "" {
		return ErrEncoding.Error() + ": " + e.Err.Error()
	}
	return ErrEncoding.Error() + ": " + e.Field + ": " + e.Err.Error()
}

// Is matches ErrEncoding.
func (e *EncodingError) Is(target error) bool { return target == ErrEncoding }

// Unwrap returns the rule that was broken.
func (e *EncodingError) Unwrap() error { return e.Err }

// What the schema wants beyond the form of its items.
var (
	errZero   = errors.New("a zero value is written by leaving its key out")
	errAbsent = errors.New("must not be zero")
	errName   = fmt.Errorf("a name is 1 to %d bytes of printable UTF-8", MaxName)
	errFormat = fmt.Errorf("not format %d", formatVersion)
	errValue  = errors.New("unknown value")
	errLimit  = errors.New("outside the limits")
	errRule   = errors.New("a rule is any, append, once, or a grant with the name of its authority")
)

// MarshalBinary returns the one encoding of p that devices read: deterministic
// CBOR as docs/wire/policy.cddl has it. Empty and nil lists are the same to it.
// It does not ask whether p is valid, but p must be within the limits of this
// package, and what it numbers and names must have a number and a name.
func (p *Policy) MarshalBinary() ([]byte, error) {
	e := encoder{b: make([]byte, 0, 64+48*(len(p.Map)+len(p.Memory.Hidden)))}
	e.policy(p)
	if e.err != nil {
		return nil, e.err
	}
	return e.b, nil
}

// UnmarshalBinary makes p the policy that b encodes. It accepts what
// MarshalBinary writes and nothing else, and tells nothing about whether the
// policy is valid. On error p is as it was. b is not kept.
//
// What it allocates is bounded by the length of b, whatever b claims.
func (p *Policy) UnmarshalBinary(b []byte) error {
	d := decoder{Decoder: cbor.NewDecoder(b), size: len(b)}
	q := d.policy()
	d.note()
	if err := d.End(); err != nil {
		return &EncodingError{d.field, err}
	}
	*p = *q
	return nil
}

// path is where in a policy an encoder or decoder is.
type path []step

type step struct {
	name  string
	index int // in a list; -1 = no list
}

func (p *path) push(name string) { *p = append(*p, step{name, -1}) }
func (p *path) pop()             { *p = (*p)[:len(*p)-1] }

// at says which item of the innermost list it is.
func (p path) at(i int) { p[len(p)-1].index = i }

func (p path) String() (s string) {
	for i, st := range p {
		if i > 0 {
			s += "."
		}
		if s += st.name; st.index >= 0 {
			s += fmt.Sprintf("[%d]", st.index)
		}
	}
	return s
}
