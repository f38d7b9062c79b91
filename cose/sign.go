package cose

import (
	"bytes"
	"slices"
)

// Sign returns an envelope of payload, signed by signers of one suite in a
// domain. Signers may be added later: [Parse] it, then [Envelope.Add] or
// [Envelope.Attach].
func Sign(payload []byte, d Domain, signers ...*Signer) ([]byte, error) {
	e := New(payload)
	for _, s := range signers {
		if err := e.Add(d, s); err != nil {
			return nil, err
		}
	}
	return e.MarshalBinary()
}

// Add adds the signature of s, all halves of it. On an error the envelope is as
// it was.
func (e *Envelope) Add(d Domain, s *Signer) error {
	if err := e.admits(d, s.public); err != nil {
		return err
	}
	var sigs [][]byte
	for i := range s.halves {
		sig, err := s.sign(i, appendTBS(nil, s.public.halves[i].protected, d, e.payload))
		if err != nil {
			return err
		}
		sigs = append(sigs, sig)
	}
	e.put(s.public, sigs)
	return nil
}

// ToBeSigned returns for each half of k the bytes that it has to sign, for keys
// that cannot be asked from here. An Ed25519 or ML-DSA-65 key signs them as they
// are; for ECDSA they are hashed with SHA-256 first. They depend on the payload,
// the domain and that half alone, not on who else signs, so that several people
// can sign at the same time.
func (e *Envelope) ToBeSigned(d Domain, k *PublicKey) ([][]byte, error) {
	if err := e.admits(d, k); err != nil {
		return nil, err
	}
	var tbs [][]byte
	for i := range k.halves {
		tbs = append(tbs, appendTBS(nil, k.halves[i].protected, d, e.payload))
	}
	return tbs, nil
}

// Attach adds the signatures that k made over the bytes of ToBeSigned, one for
// each half and in its order, those of ECDSA as r ‖ s (see [FromDER]). It
// verifies them; on an error the envelope is as it was.
func (e *Envelope) Attach(d Domain, k *PublicKey, signatures ...[]byte) error {
	tbs, err := e.ToBeSigned(d, k)
	if err != nil {
		return err
	}
	if len(signatures) != len(k.halves) {
		return refuse(ErrSigner, "%d signatures for %v", len(signatures), k.suite)
	}
	for i := range k.halves {
		if !k.halves[i].check(tbs[i], signatures[i]) {
			return refuse(ErrSignature, "%v", k.halves[i].alg)
		}
	}
	e.put(k, signatures)
	return nil
}

// Merge adds the signatures of other, an envelope of the same payload, that e
// lacks: what people signed at the same time becomes one envelope. It verifies
// none of them.
func (e *Envelope) Merge(other *Envelope) error {
	if !bytes.Equal(e.payload, other.payload) {
		return refuse(ErrMalformed, "another payload")
	}
	merged := slices.Clone(e.entries)
	for _, o := range other.entries {
		if !e.signedBy(o.kid) {
			merged = append(merged, o)
		}
	}
	if len(merged) > MaxSignatures {
		return refuse(ErrSigner, "more than %d signatures", MaxSignatures)
	}
	e.entries = merged
	return nil
}

// admits tells whether k may sign: not twice, and only among signers of its own
// suite, as no trust could ever accept a mixture.
func (e *Envelope) admits(d Domain, k *PublicKey) error {
	algs := k.suite.algs()
	switch {
	case d == "":
		return ErrDomain
	case len(algs) == 0:
		return refuse(ErrKey, "no key")
	case len(e.entries)+len(algs) > MaxSignatures:
		return refuse(ErrSigner, "more than %d signatures", MaxSignatures)
	case len(e.entries)%len(algs) != 0:
		return refuse(ErrSigner, "a signer before lacks a half")
	}
	for i := range e.entries {
		if want := algs[i%len(algs)]; e.entries[i].alg.Current() != want {
			return refuse(ErrAlgorithm, "%v among signers of %v", k.suite, e.entries[i].alg)
		}
	}
	for i := range k.halves {
		if e.signedBy(k.halves[i].kid[:]) {
			return refuse(ErrSigner, "has signed already")
		}
	}
	return nil
}

func (e *Envelope) signedBy(kid []byte) bool {
	return slices.ContainsFunc(e.entries, func(x entry) bool { return bytes.Equal(x.kid, kid) })
}

func (e *Envelope) put(k *PublicKey, sigs [][]byte) {
	for i := range k.halves {
		h := &k.halves[i]
		e.entries = append(e.entries, entry{h.alg, h.kid[:], h.protected, slices.Clone(sigs[i])})
	}
}
