package keystore

import "fmt"

// Record is what a latch holds. The zero Record is a latch that was never set.
type Record struct {
	Root  [32]byte // digest of the owner's root authority; not zero once set
	Epoch uint64   // of the vault; 1 is the first
}

// Set tells whether the device was provisioned.
func (r Record) Set() bool { return r != Record{} }

// Forward tells whether a latch that holds r has to be written to hold next.
// A record moves only to a higher epoch, and another root comes only with one.
// The same record again is nothing to do. Everything else is [ErrLatched], and
// a next without root or epoch is [ErrMalformed].
func (r Record) Forward(next Record) (write bool, err error) {
	switch {
	case next.Epoch == 0 || next.Root == [32]byte{}:
		return false, &Error{Op: "latch", Kind: ErrMalformed}
	case next == r:
		return false, nil
	case next.Epoch <= r.Epoch:
		return false, &Error{Op: "latch", Kind: ErrLatched, Err: fmt.Errorf("epoch %d is there, %d is not beyond it", r.Epoch, next.Epoch)}
	}
	return true, nil
}

// Steps is the rule of [Anchor.Advance]: by how many steps an anchor at now moves to
// to. ErrAhead if it is beyond, ErrMalformed for more than [MaxSteps].
func Steps(now, to uint64) (int, error) {
	switch {
	case now > to:
		return 0, &Error{Op: "advance", Kind: ErrAhead, Err: fmt.Errorf("the anchor is at %d, beyond %d", now, to)}
	case to-now > MaxSteps:
		return 0, &Error{Op: "advance", Kind: ErrMalformed, Err: fmt.Errorf("from %d to %d is more than %d steps", now, to, MaxSteps)}
	}
	return int(to - now), nil
}
