package cose

import (
	"bytes"
	"slices"
)

// Trust is what a reader pins before it looks at an envelope: who may sign, how
// many of them have to, and with what. The zero Trust accepts nothing.
type Trust struct {
	Suite     Suite
	Keys      []*PublicKey // all of Suite, no half in two of them
	Threshold int          // 1 … len(Keys)

	// MaxPayload is the longest acceptable payload; 0 is DefaultMaxPayload.
	MaxPayload int
	// Legacy accepts the algorithm numbers −8 and −7 for −19 and −9. Only SUIT
	// needs that; which signatures verify does not depend on it.
	Legacy bool
}

// Verify is the one verification path. It returns the payload of an envelope
// that was signed in domain d by at least as many trusted keys as the threshold
// says, and in ascending order the indices into t.Keys of all that signed; or an
// error and nothing else. The payload is a part of envelope, not a copy: nothing
// may change envelope from here on.
//
// It looks, in this order, at the trust, the encoding and its bounds, every
// signature's algorithm, every signer, the threshold, and only then verifies:
// all signatures, at most as many as t.Keys have halves, until one is wrong.
func Verify(envelope []byte, d Domain, t *Trust) (payload []byte, who []int, err error) {
	if err := t.check(d); err != nil {
		return nil, nil, err
	}
	limit := t.MaxPayload
	if limit == 0 {
		limit = DefaultMaxPayload
	}
	e, err := Parse(envelope, limit)
	if err != nil {
		return nil, nil, err
	}
	signed, err := t.signers(e)
	if err != nil {
		return nil, nil, err
	}
	if len(signed) < t.Threshold {
		return nil, nil, refuse(ErrThreshold, "%d signers of %d", len(signed), t.Threshold)
	}
	if err := t.verify(e, d, signed); err != nil {
		return nil, nil, err
	}
	slices.Sort(signed)
	return e.payload, signed, nil
}

func (t *Trust) check(d Domain) error {
	switch {
	case d == "":
		return ErrDomain
	case t == nil || t.Threshold < 1 || t.Threshold > len(t.Keys):
		return refuse(ErrThreshold, "no such number of trusted keys")
	case len(t.Suite.algs()) == 0:
		return refuse(ErrAlgorithm, "%v is unknown", t.Suite)
	}
	for _, k := range t.Keys {
		if k == nil || k.suite != t.Suite {
			return refuse(ErrSigner, "a trusted key is not of %v", t.Suite)
		}
	}
	return nil
}

// signers finds whom the signatures claim to be of: a signer's halves stand
// together, in the order of the suite. It verifies nothing.
func (t *Trust) signers(e *Envelope) ([]int, error) {
	algs := t.Suite.algs()
	for i := range e.entries {
		alg := e.entries[i].alg
		if t.Legacy {
			alg = alg.Current()
		}
		if want := algs[i%len(algs)]; alg != want {
			return nil, refuse(ErrAlgorithm, "signature %d is of %v, want %v", i, e.entries[i].alg, want)
		}
	}
	if len(e.entries)%len(algs) != 0 {
		return nil, refuse(ErrSigner, "the last signer lacks a half")
	}
	signed := make([]int, 0, len(e.entries)/len(algs))
	for i := 0; i < len(e.entries); i += len(algs) {
		k, err := t.signer(e.entries[i : i+len(algs)])
		if err != nil {
			return nil, err
		}
		if slices.Contains(signed, k) {
			return nil, refuse(ErrSigner, "key %d has signed twice", k)
		}
		signed = append(signed, k)
	}
	return signed, nil
}

// signer finds the one trusted key of which entries are the halves. A half that
// two trusted keys share is nobody's: its signature would count for both.
func (t *Trust) signer(entries []entry) (int, error) {
	found := -1
	for n, k := range t.Keys {
		for i := range entries {
			if !bytes.Equal(entries[i].kid, k.halves[i].kid[:]) {
				continue
			}
			if found >= 0 && found != n {
				return 0, refuse(ErrSigner, "halves of the keys %d and %d", found, n)
			}
			found = n
		}
	}
	if found < 0 {
		return 0, refuse(ErrSigner, "unknown key %x", entries[0].kid)
	}
	for i := range entries {
		if !bytes.Equal(entries[i].kid, t.Keys[found].halves[i].kid[:]) {
			return 0, refuse(ErrSigner, "half %d is not of key %d", i, found)
		}
	}
	return found, nil
}

// verify verifies every signature; signed tells whose they are.
func (t *Trust) verify(e *Envelope, d Domain, signed []int) error {
	n := len(t.Suite.algs())
	tbs := make([]byte, 0, tbsOverhead+len(d)+len(e.payload))
	for i := range e.entries {
		h := &t.Keys[signed[i/n]].halves[i%n]
		tbs = appendTBS(tbs[:0], e.entries[i].protected, d, e.payload)
		if !h.check(tbs, e.entries[i].signature) {
			return refuse(ErrSignature, "%v of key %d", h.alg, signed[i/n])
		}
	}
	return nil
}
