package cose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"github.com/nanolock/nanolock/cose"
)

// bare verifies the signatures of an envelope with the primitives alone: parsed
// keys, messages as signed. It returns a function for each half.
func bare(b *testing.B, s cose.Suite) (halves []func() bool) {
	x := signer(s, 1)
	e := cose.New(payload)
	tbs, err := e.ToBeSigned(domain, x.Public())
	if err != nil {
		b.Fatal(err)
	}
	raw := x.Public().Bytes()
	for i, a := range s.Algs() {
		var priv = private(a, 1)
		message := tbs[i]
		switch a {
		case cose.AlgEd25519:
			sig := ed25519.Sign(priv.(ed25519.PrivateKey), message)
			key := ed25519.PublicKey(raw[:32])
			halves, raw = append(halves, func() bool { return ed25519.Verify(key, message, sig) }), raw[32:]
		case cose.AlgESP256:
			digest := sha256.Sum256(message)
			sig, err := ecdsa.SignASN1(nil, priv.(*ecdsa.PrivateKey), digest[:])
			if err != nil {
				b.Fatal(err)
			}
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw[:65])
			if err != nil {
				b.Fatal(err)
			}
			halves, raw = append(halves, func() bool {
				digest := sha256.Sum256(message)
				return ecdsa.VerifyASN1(key, digest[:], sig)
			}), raw[65:]
		case cose.AlgMLDSA65:
			key := new(mldsa65.PublicKey)
			if err := key.UnmarshalBinary(raw); err != nil {
				b.Fatal(err)
			}
			sig, err := priv.Sign(nil, message, nil)
			if err != nil {
				b.Fatal(err)
			}
			halves = append(halves, func() bool { return mldsa65.Verify(key, message, nil, sig) })
		}
	}
	return halves
}

// BenchmarkVerify compares Verify with the sum of the bare verifications in the
// same run, turn by turn: "ratio" is the median of the turns' ratios, so that
// what slows the machine for longer than a turn slows both sides.
func BenchmarkVerify(b *testing.B) {
	for _, s := range suites {
		b.Run("suite="+s.String(), func(b *testing.B) {
			env, tr, halves := sign(b, s, 1), trust(s, 1, 1), bare(b, s)
			var ratios, whole []float64
			b.ReportAllocs()
			for b.Loop() {
				t0 := time.Now()
				if _, _, err := cose.Verify(env, domain, tr); err != nil {
					b.Fatal(err)
				}
				t1 := time.Now()
				for _, h := range halves {
					if !h() {
						b.Fatal("bare verification fails")
					}
				}
				t2 := time.Now()
				whole = append(whole, float64(t1.Sub(t0)))
				ratios = append(ratios, float64(t1.Sub(t0))/float64(t2.Sub(t1)))
			}
			slices.Sort(ratios)
			slices.Sort(whole)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(whole[len(whole)/2], "verify-ns")
		})
	}
}

// BenchmarkRefuse is all that an envelope costs before its first signature is
// verified: that of an unknown signer.
func BenchmarkRefuse(b *testing.B) {
	for _, s := range suites {
		b.Run("suite="+s.String(), func(b *testing.B) {
			env, tr := sign(b, s, 2), trust(s, 1, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := cose.Verify(env, domain, tr); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkParsePublicKey shows why parsed keys are kept.
func BenchmarkParsePublicKey(b *testing.B) {
	for _, s := range suites {
		b.Run("suite="+s.String(), func(b *testing.B) {
			raw := signer(s, 1).Public().Bytes()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cose.ParsePublicKey(s, raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, s := range suites {
		b.Run("suite="+s.String(), func(b *testing.B) {
			for b.Loop() {
				sign(b, s, 1)
			}
		})
	}
}
