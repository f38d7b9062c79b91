package broken

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

// domains are what a model tries that does not care what a signature was for.
var domains = []cose.Domain{cose.Order, cose.Batch, cose.Report, cose.Enrol, cose.Hello, cose.Block, cose.OperatorLog}

// candidates are the keys that may sign for s, those of its authority first.
func (m *model) candidates(s *said, ring map[string]*keys) (own *keys, all []*cose.PublicKey) {
	own = ring[s.Authority]
	if own == nil {
		return nil, nil
	}
	all = slices.Clone(own.list)
	if m.is("one-ring") || m.is("quorum-of-all-roles") {
		for name, k := range ring {
			if name != s.Authority {
				all = append(all, k.list...)
			}
		}
	}
	if m.is("own-key-trusted") {
		if key, err := order.IdentityKey(m.p.Keys.Identity()); err == nil {
			all = append(all, key)
		}
	}
	return own, all
}

// verified holds signatures against the keys of an authority.
func (m *model) verified(s *said, payload []byte, sigs []half, d cose.Domain, ring map[string]*keys) error {
	own, all := m.candidates(s, ring)
	if own == nil || own.threshold < 1 || own.threshold > len(own.list) {
		return fmt.Errorf("%w: nobody can sign for %q", errRefused, s.Authority)
	}
	if len(sigs) == 0 && m.is("unsigned-accepted") {
		return nil
	}
	got := map[[32]byte]map[int64]bool{} // halves by signer
	entries, ours := 0, 0
	for n, h := range sigs {
		key := holder(all, h.kid)
		if key == nil {
			if m.is("strangers-counted") {
				entries++
				continue
			}
			return fmt.Errorf("%w: an unknown signer", errRefused)
		}
		if !m.sound(key, h, payload, d, n) {
			return fmt.Errorf("%w: a signature is wrong", errRefused)
		}
		if got[key.ID()] == nil {
			got[key.ID()] = map[int64]bool{}
		}
		if got[key.ID()][h.alg] && !m.is("signatures-counted") {
			return fmt.Errorf("%w: there twice", errRefused)
		}
		got[key.ID()][h.alg] = true
		entries++
		if holder(own.list, h.kid) != nil {
			ours++
		}
	}
	if m.is("quorum-of-all-roles") && ours == 0 {
		return errRefused
	}
	return m.enough(own, got, entries)
}

// holder finds whose half a kid names.
func holder(all []*cose.PublicKey, kid []byte) *cose.PublicKey {
	for _, k := range all {
		for _, t := range k.Thumbprints() {
			if bytes.Equal(t[:], kid) {
				return k
			}
		}
	}
	return nil
}

// sound verifies one signature.
func (m *model) sound(key *cose.PublicKey, h half, payload []byte, d cose.Domain, n int) bool {
	tbs := func(d cose.Domain) []byte {
		return (&cose.SigStructure{Context: cose.InSign, Sign: h.protected, AAD: []byte(d), Payload: payload}).Append(nil)
	}
	i := slices.Index(key.Suite().Algs(), cose.Alg(h.alg))
	switch {
	case m.is("kid-believed"), m.is("first-verified-only") && n > 0:
		return true
	case m.is("mac-as-signature") && h.alg == 5:
		mac := hmac.New(sha256.New, key.Bytes())
		mac.Write(tbs(d))
		return hmac.Equal(mac.Sum(nil), h.signature)
	case i < 0:
		return m.is("unknown-algorithm-passes")
	}
	if id := key.Thumbprints()[i]; !bytes.Equal(id[:], h.kid) {
		return false
	}
	try := []cose.Domain{d}
	if m.is("domain-unread") {
		try = domains
	}
	return slices.ContainsFunc(try, func(d cose.Domain) bool {
		return key.VerifyHalf(cose.Alg(h.alg), tbs(d), h.signature) == nil
	})
}

// enough counts signers.
func (m *model) enough(own *keys, got map[[32]byte]map[int64]bool, entries int) error {
	algs := own.suite.Algs()
	full, per := 0, map[int64]int{}
	for _, halves := range got {
		for alg := range halves {
			per[alg]++
		}
		switch {
		case len(halves) == len(algs), m.is("unknown-algorithm-passes"), m.is("mac-as-signature"), m.is("kid-believed"),
			m.is("classical-half-enough") && halves[int64(algs[0])],
			m.is("quantum-half-enough") && halves[int64(algs[len(algs)-1])]:
			full++
		case m.is("halves-pooled"):
		default:
			return fmt.Errorf("%w: half a signer", errRefused)
		}
	}
	if m.is("halves-pooled") {
		full = per[int64(algs[0])]
		for _, a := range algs {
			full = min(full, per[int64(a)])
		}
	}
	want := own.threshold
	switch {
	case m.is("one-is-enough"):
		want = 1
	case m.is("signatures-counted"), m.is("strangers-counted"):
		full = max(full, entries/len(algs))
	}
	if full < want {
		return fmt.Errorf("%w: %d of %d", errRefused, full, want)
	}
	return nil
}
