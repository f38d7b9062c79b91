package cose_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

// A sig is one COSE_Signature to be put together at will.
type sig struct{ protected, unprotected, signature []byte }

// build makes an envelope of any signatures, right or wrong.
func build(payload []byte, sigs ...sig) []byte {
	b := cbor.AppendMap(cbor.AppendBytes(cbor.AppendArray(cbor.AppendTag(nil, 98), 4), nil), 0)
	b = cbor.AppendArray(cbor.AppendBytes(b, payload), len(sigs))
	for _, s := range sigs {
		b = cbor.AppendBytes(cbor.AppendArray(b, 3), s.protected)
		if s.unprotected == nil {
			b = cbor.AppendMap(b, 0)
		}
		b = append(b, s.unprotected...)
		b = cbor.AppendBytes(b, s.signature)
	}
	return b
}

// header is the protected header of a signature.
func header(alg cose.Alg, kid []byte) []byte {
	b := cbor.AppendInt(cbor.AppendInt(cbor.AppendMap(nil, 2), 1), int64(alg))
	return cbor.AppendBytes(cbor.AppendInt(b, 4), kid)
}

// over signs with one half of a signer, whatever header claims.
func over(t testing.TB, s *cose.Signer, alg cose.Alg, header []byte) sig {
	t.Helper()
	tbs := cose.SigStructure{Context: cose.InSign, Sign: header, AAD: []byte(domain), Payload: payload}
	b, err := s.SignHalf(alg, tbs.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	return sig{protected: header, signature: b}
}

// half is a proper signature of one half.
func half(t testing.TB, s *cose.Signer, i int) sig {
	t.Helper()
	k := s.Public()
	alg, kid := k.Suite().Algs()[i], k.Thumbprints()[i]
	return over(t, s, alg, header(alg, kid[:]))
}

func TestBuildIsSign(t *testing.T) {
	s := signer(cose.Ed25519MLDSA65, 1)
	if !bytes.Equal(build(payload, half(t, s, 0), half(t, s, 1)), sign(t, cose.Ed25519MLDSA65, 1)) {
		t.Error("what the attacks are made of is not what Sign writes")
	}
}

// Halves of hybrids in every arrangement but the right one.
func TestHalves(t *testing.T) {
	for _, s := range []cose.Suite{cose.Ed25519MLDSA65, cose.ESP256MLDSA65} {
		a, b := signer(s, 1), signer(s, 2)
		a0, a1, b0, b1 := half(t, a, 0), half(t, a, 1), half(t, b, 0), half(t, b, 1)
		strange := header(cose.AlgMLDSA65, make([]byte, 32))
		broken := sig{protected: a1.protected, signature: slices.Clone(a1.signature)}
		broken.signature[100] ^= 1
		for _, v := range []struct {
			name string
			sigs []sig
			want error
		}{
			{"right", []sig{a0, a1}, nil},
			{"right, both", []sig{b0, b1, a0, a1}, nil},
			{"no classical half", []sig{a1}, cose.ErrAlgorithm},
			{"no post-quantum half", []sig{a0}, cose.ErrSigner},
			{"classical half twice", []sig{a0, a0}, cose.ErrAlgorithm},
			{"post-quantum half twice", []sig{a1, a1}, cose.ErrAlgorithm},
			{"half of A, half of B", []sig{a0, b1}, cose.ErrSigner},
			{"half of B, half of A", []sig{b0, a1}, cose.ErrSigner},
			{"crossed", []sig{a0, b1, b0, a1}, cose.ErrSigner},
			{"half of A, half of a stranger", []sig{a0, half(t, signer(s, 9), 1)}, cose.ErrSigner},
			{"half of a stranger, half of A", []sig{half(t, signer(s, 9), 0), a1}, cose.ErrSigner},
			{"right half under a strange name", []sig{a0, over(t, a, cose.AlgMLDSA65, strange)}, cose.ErrSigner},
			{"order of halves", []sig{a1, a0}, cose.ErrAlgorithm},
			{"interleaved", []sig{a0, b0, a1, b1}, cose.ErrAlgorithm},
			{"three halves", []sig{a0, a1, b0}, cose.ErrSigner},
			{"classical halves of two", []sig{a0, b0}, cose.ErrAlgorithm},
			{"signed twice", []sig{a0, a1, a0, a1}, cose.ErrSigner},
			{"one half broken", []sig{a0, broken}, cose.ErrSignature},
			{"one half of the other broken", []sig{b0, b1, a0, broken}, cose.ErrSignature},
			{"signature of the other's half", []sig{a0, {protected: a1.protected, signature: b1.signature}}, cose.ErrSignature},
		} {
			_, _, err := cose.Verify(build(payload, v.sigs...), domain, trust(s, 2, 1))
			if !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
				t.Errorf("%v, %s: %v, want %v", s, v.name, err, v.want)
			}
		}
	}
}

// Envelopes of each suite against trust in each other, with the same halves.
func TestSuitesDoNotMix(t *testing.T) {
	for _, signed := range suites {
		for _, trusted := range suites {
			_, _, err := cose.Verify(sign(t, signed, 1), domain, trust(trusted, 1, 1))
			if (err == nil) != (signed == trusted) {
				t.Errorf("signed with %v, trusted %v: %v", signed, trusted, err)
			}
			if err != nil && !errors.Is(err, cose.ErrAlgorithm) && !errors.Is(err, cose.ErrSigner) {
				t.Errorf("signed with %v, trusted %v: %v came after verifying", signed, trusted, err)
			}
		}
	}
	tr := trust(cose.Ed25519, 1, 1)
	tr.Keys = append(tr.Keys, signer(cose.ESP256, 2).Public())
	refused(t, "a key of another suite among the trusted", sign(t, cose.Ed25519, 1), domain, tr, cose.ErrSigner)
	e, err := cose.Parse(sign(t, cose.Ed25519, 1), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(domain, signer(cose.ESP256, 1)); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("a signer of another suite added: %v", err)
	}
}

// Every algorithm's name over every algorithm's key, kid and signature.
func TestAlgorithmConfusion(t *testing.T) {
	algs := []cose.Alg{cose.AlgEd25519, cose.AlgESP256, cose.AlgMLDSA65, cose.LegacyEdDSA, cose.LegacyES256, -48, -50, -35, 0, 1, 5, -257}
	for _, s := range suites[:3] {
		x := signer(s, 1)
		own, kid := s.Algs()[0], x.Public().Thumbprints()[0]
		for _, claim := range algs {
			for _, legacy := range []bool{false, true} {
				tr := trust(s, 1, 1)
				tr.Legacy = legacy
				b := build(payload, over(t, x, own, header(claim, kid[:])))
				_, _, err := cose.Verify(b, domain, tr)
				want := claim == own || legacy && claim.Current() == own
				if (err == nil) != want {
					t.Errorf("%v, named %v, legacy %v: %v", own, claim, legacy, err)
				}
				if err != nil && !errors.Is(err, cose.ErrAlgorithm) && !errors.Is(err, cose.ErrMalformed) {
					t.Errorf("%v, named %v: %v", own, claim, err)
				}
			}
		}
	}
}

func TestLegacyNumbers(t *testing.T) {
	for s, old := range map[cose.Suite]cose.Alg{cose.Ed25519: cose.LegacyEdDSA, cose.ESP256: cose.LegacyES256} {
		x, tr := signer(s, 1), trust(s, 1, 1)
		kid := x.Public().Thumbprints()[0]
		b := build(payload, over(t, x, s.Algs()[0], header(old, kid[:])))
		refused(t, old.String(), b, domain, tr, cose.ErrAlgorithm)
		tr.Legacy = true
		if _, _, err := cose.Verify(b, domain, tr); err != nil {
			t.Errorf("%v where legacy is allowed: %v", old, err)
		}
		// The number is signed: the same signature under the new one is none.
		now := half(t, x, 0)
		relabelled := sig{protected: header(old, kid[:]), signature: now.signature}
		refused(t, "relabelled", build(payload, relabelled), domain, tr, cose.ErrSignature)
	}
}

func TestSigners(t *testing.T) {
	for _, s := range suites {
		refused(t, "a stranger", sign(t, s, 9), domain, trust(s, 3, 1), cose.ErrSigner)
		refused(t, "a stranger with a friend", sign(t, s, 1, 9), domain, trust(s, 3, 1), cose.ErrSigner)
		tr := trust(s, 2, 2)
		tr.Keys[1] = tr.Keys[0]
		refused(t, "a key trusted twice", sign(t, s, 1), domain, tr, cose.ErrSigner)
		tr.Threshold = 1
		refused(t, "a key trusted twice, once enough", sign(t, s, 1), domain, tr, cose.ErrSigner)
	}
}

// A half that two trusted keys share must not count for both, nor for either.
func TestSharedHalf(t *testing.T) {
	s := cose.Ed25519MLDSA65
	a, b := signer(s, 1), signer(s, 2)
	n := s.Algs()[0]
	raw := append(slices.Clone(a.Public().Bytes()[:32]), b.Public().Bytes()[32:]...)
	mix, err := cose.ParsePublicKey(s, raw)
	if err != nil {
		t.Fatal(n, err)
	}
	tr := &cose.Trust{Suite: s, Keys: []*cose.PublicKey{a.Public(), mix}, Threshold: 1}
	refused(t, "shared half", sign(t, s, 1), domain, tr, cose.ErrSigner)
}

// Shapes that no signer writes.
func TestShapes(t *testing.T) {
	x, tr := signer(cose.Ed25519, 1), trust(cose.Ed25519, 1, 1)
	good := half(t, x, 0)
	kid := x.Public().Thumbprints()[0]
	ok := build(payload, good)
	with := func(protected []byte) []byte { return build(payload, over(t, x, cose.AlgEd25519, protected)) }
	replace := func(old, now string) []byte { return bytes.Replace(ok, []byte(old), []byte(now), 1) }
	many := make([]sig, 65)
	for i := range many {
		many[i] = good
	}
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"no tag":                ok[2:],
		"Sign1's tag":           replace("\xd8\x62", "\xd2"),
		"two tags":              append([]byte{0xd8, 98}, ok...),
		"CWT in front":          append([]byte{0xd8, 61}, ok...),
		"trailing":              append(slices.Clone(ok), 0),
		"long tag":              replace("\xd8\x62", "\xd9\x00\x62"),
		"body header as {}":     replace("\x84\x40\xa0", "\x84\x41\xa0\xa0"),
		"unprotected body kid":  replace("\x84\x40\xa0", "\x84\x40\xa1\x04\x40"),
		"payload detached":      replace("\x53"+string(payload), "\xf6"),
		"payload as text":       replace("\x53"+string(payload), "\x73"+string(payload)),
		"no signatures":         build(payload),
		"65 signatures":         build(payload, many...),
		"unprotected kid":       build(payload, sig{good.protected, []byte("\xa1\x04\x41\x31"), good.signature}),
		"short signature":       build(payload, sig{protected: good.protected, signature: good.signature[:63]}),
		"long signature":        build(payload, sig{protected: good.protected, signature: append(slices.Clone(good.signature), 0)}),
		"longest signature":     build(payload, sig{protected: good.protected, signature: make([]byte, 3309)}),
		"no signature":          build(payload, sig{protected: good.protected}),
		"no header":             build(payload, sig{signature: good.signature}),
		"empty header":          with([]byte{0xa0}),
		"alg alone":             with([]byte{0xa1, 1, 0x32}),
		"kid alone":             with(append([]byte{0xa1}, good.protected[3:]...)),
		"crit":                  with(append([]byte{0xa3, 1, 0x32, 2, 0x81, 4}, good.protected[3:]...)),
		"content type":          with(append([]byte{0xa3, 1, 0x32, 3, 0}, good.protected[3:]...)),
		"alg twice":             with(append([]byte{0xa3, 1, 0x32, 1, 0x32}, good.protected[3:]...)),
		"keys out of order":     with(append(append([]byte{0xa2}, good.protected[3:]...), 1, 0x32)),
		"alg as text":           with(append([]byte{0xa2, 1, 0x67, 'E', 'd', '2', '5', '5', '1', '9'}, good.protected[3:]...)),
		"long alg":              with(append([]byte{0xa2, 1, 0x38, 18}, good.protected[3:]...)),
		"kid cut":               with(header(cose.AlgEd25519, kid[:31])),
		"kid longer":            with(header(cose.AlgEd25519, append(kid[:], 0))),
		"trailing in header":    with(append(slices.Clone(good.protected), 0)),
		"huge header":           with(header(cose.AlgEd25519, make([]byte, 5000))),
		"indefinite signatures": replace("\x81\x83\x58", "\x9f\x83\x58"),
		"four in a signature":   replace("\x81\x83\x58", "\x81\x84\x58"),
	} {
		refused(t, name, b, domain, tr, cose.ErrMalformed)
		if bytes.Equal(b, ok) {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// No bit and no byte of an envelope can be changed, and none cut off or added.
// All suites share the code; the long ones are thinned out without NANOLOCK_LONG.
func TestEveryMutation(t *testing.T) {
	long := os.Getenv("NANOLOCK_LONG") != ""
	for _, s := range suites {
		b, tr := sign(t, s, 1), trust(s, 2, 1)
		refused := func(what string, i int) {
			if p, _, err := cose.Verify(b, domain, tr); err == nil || p != nil {
				t.Errorf("%v: %s at byte %d: accepted", s, what, i)
			}
		}
		for i, old := range b {
			flips := []byte{1, 2, 4, 8, 16, 32, 64, 128}
			if !long && i > 200 {
				flips = []byte{1 << (i % 8)}
				if len(s.Algs()) > 1 && i%5 > 0 {
					flips = nil // the same code as for the halves alone
				}
			}
			if long && len(b) < 1000 {
				flips = flips[:0]
				for x := 1; x < 256; x++ {
					flips = append(flips, byte(x))
				}
			}
			for _, x := range flips {
				b[i] = old ^ x
				refused(fmt.Sprintf("^%02x", x), i)
			}
			b[i] = old
		}
		whole := b
		for i := range whole {
			b = whole[:i:i]
			refused("cut", i)
			if i < 60 {
				b = slices.Insert(slices.Clone(whole), i, 0)
				refused("insertion", i)
				b = slices.Delete(slices.Clone(whole), i, i+1)
				refused("deletion", i)
			}
		}
	}
}
