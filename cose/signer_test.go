package cose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"github.com/nanolock/nanolock/cose"
)

// odd is a private key that misbehaves.
type odd struct {
	crypto.Signer
	public crypto.PublicKey
	sign   func(sig []byte) ([]byte, error)
}

func (o odd) Public() crypto.PublicKey {
	if o.public != nil {
		return o.public
	}
	return o.Signer.Public()
}

func (o odd) Sign(r io.Reader, b []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := o.Signer.Sign(r, b, opts)
	if err != nil || o.sign == nil {
		return sig, err
	}
	return o.sign(sig)
}

func TestNewSignerRefuses(t *testing.T) {
	ed, p256, ml := private(cose.AlgEd25519, 1), private(cose.AlgESP256, 1), private(cose.AlgMLDSA65, 1)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name   string
		suite  cose.Suite
		halves []crypto.Signer
		want   error
	}{
		{"right", cose.Ed25519MLDSA65, []crypto.Signer{ed, ml}, nil},
		{"no suite", 0, nil, cose.ErrAlgorithm},
		{"no halves", cose.Ed25519, nil, cose.ErrKey},
		{"nil half", cose.Ed25519, []crypto.Signer{nil}, cose.ErrKey},
		{"one half", cose.Ed25519MLDSA65, []crypto.Signer{ed}, cose.ErrKey},
		{"a half too many", cose.Ed25519, []crypto.Signer{ed, ml}, cose.ErrKey},
		{"halves in the other order", cose.Ed25519MLDSA65, []crypto.Signer{ml, ed}, cose.ErrKey},
		{"ECDSA for Ed25519", cose.Ed25519, []crypto.Signer{p256}, cose.ErrKey},
		{"Ed25519 for ECDSA", cose.ESP256, []crypto.Signer{ed}, cose.ErrKey},
		{"P-384", cose.ESP256, []crypto.Signer{p384}, cose.ErrKey},
		{"Ed25519 for ML-DSA", cose.MLDSA65, []crypto.Signer{ed}, cose.ErrKey},
		{"short key", cose.Ed25519, []crypto.Signer{odd{Signer: ed, public: ed25519.PublicKey("x")}}, cose.ErrKey},
		{"no key at all", cose.ESP256, []crypto.Signer{odd{Signer: p256, public: "key"}}, cose.ErrKey},
	} {
		if _, err := cose.NewSigner(v.suite, v.halves...); !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		}
	}
}

// What a private key returns is verified before anybody sees it.
func TestFaultySigners(t *testing.T) {
	lost := errors.New("token removed")
	for _, a := range []cose.Alg{cose.AlgEd25519, cose.AlgESP256, cose.AlgMLDSA65} {
		s := map[cose.Alg]cose.Suite{cose.AlgEd25519: cose.Ed25519, cose.AlgESP256: cose.ESP256, cose.AlgMLDSA65: cose.MLDSA65}[a]
		for name, v := range map[string]struct {
			sign func([]byte) ([]byte, error)
			want error
		}{
			"fault":  {func(b []byte) ([]byte, error) { b[len(b)-1] ^= 1; return b, nil }, cose.ErrSignature},
			"silent": {func([]byte) ([]byte, error) { return nil, nil }, nil},
			"gone":   {func([]byte) ([]byte, error) { return nil, lost }, lost},
		} {
			x, err := cose.NewSigner(s, odd{Signer: private(a, 1), sign: v.sign})
			if err != nil {
				t.Fatal(err)
			}
			if b, err := cose.Sign(payload, domain, x); err == nil || b != nil || !errors.Is(err, v.want) && v.want != nil {
				t.Errorf("%v, %s: %x %v", a, name, b, err)
			}
		}
		other := odd{Signer: private(a, 2), public: private(a, 1).Public()}
		x, err := cose.NewSigner(s, other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cose.Sign(payload, domain, x); !errors.Is(err, cose.ErrSignature) {
			t.Errorf("%v of another key: %v", a, err)
		}
	}
}

// Keys as they come, with real randomness; circl's own among them.
func TestRandomisedSigners(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(nil)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ml, _ := mldsa65.GenerateKey(nil)
	seed := [32]byte{7}
	for s, halves := range map[cose.Suite][]crypto.Signer{
		cose.Ed25519MLDSA65: {ed, ml},
		cose.ESP256MLDSA65:  {p256, cose.NewMLDSA65(&seed)},
	} {
		x, err := cose.NewSigner(s, halves...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cose.Sign(payload, domain, x)
		if err != nil {
			t.Fatal(err)
		}
		tr := &cose.Trust{Suite: s, Keys: []*cose.PublicKey{x.Public()}, Threshold: 1}
		if _, _, err := cose.Verify(b, domain, tr); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestMLDSAHedged(t *testing.T) {
	k := cose.NewMLDSA65(&[32]byte{1})
	var sigs [4][]byte
	for i, r := range []io.Reader{nil, nil, rand.Reader, rand.Reader} {
		var err error
		if sigs[i], err = k.Sign(r, payload, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(sigs[0], sigs[1]) || bytes.Equal(sigs[1], sigs[2]) || bytes.Equal(sigs[2], sigs[3]) {
		t.Error("hedged without randomness, or not hedged with it")
	}
	if _, err := k.Sign(nil, payload, crypto.SHA512); err == nil {
		t.Error("signed a digest")
	}
}

// (r, s) and (r, n−s) are both accepted, as package documentation says. S + L of
// Ed25519 is not: the standard library refuses it.
func TestMalleability(t *testing.T) {
	n := elliptic.P256().Params().N
	s := half(t, signer(cose.ESP256, 1), 0)
	twin := sig{protected: s.protected, signature: slices.Clone(s.signature)}
	new(big.Int).Sub(n, new(big.Int).SetBytes(s.signature[32:])).FillBytes(twin.signature[32:])
	for _, x := range []sig{s, twin} {
		if p, _, err := cose.Verify(build(payload, x), domain, trust(cose.ESP256, 1, 1)); err != nil || !bytes.Equal(p, payload) {
			t.Errorf("%x: %v", x.signature, err)
		}
	}
	for name, bad := range map[string][2]*big.Int{
		"r = 0":     {new(big.Int), big.NewInt(1)},
		"s = 0":     {big.NewInt(1), new(big.Int)},
		"both 0":    {new(big.Int), new(big.Int)},
		"r = n":     {n, big.NewInt(1)},
		"s = n":     {big.NewInt(1), n},
		"r = 1":     {big.NewInt(1), big.NewInt(1)},
		"both most": {new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), n},
	} {
		raw := make([]byte, 64)
		bad[0].FillBytes(raw[:32])
		bad[1].FillBytes(raw[32:])
		refused(t, name, build(payload, sig{protected: s.protected, signature: raw}), domain, trust(cose.ESP256, 1, 1), cose.ErrSignature)
	}

	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	e := half(t, signer(cose.Ed25519, 1), 0)
	le := slices.Clone(e.signature[32:])
	slices.Reverse(le)
	le = new(big.Int).Add(new(big.Int).SetBytes(le), l).FillBytes(make([]byte, 32))
	slices.Reverse(le)
	twin = sig{protected: e.protected, signature: append(slices.Clone(e.signature[:32]), le...)}
	refused(t, "S + L", build(payload, twin), domain, trust(cose.Ed25519, 1, 1), cose.ErrSignature)
}

func TestFromDER(t *testing.T) {
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	big256 := new(big.Int).Lsh(big.NewInt(1), 256)
	got, err := cose.FromDER(der(big.NewInt(1), big.NewInt(0x80)))
	if err != nil || len(got) != 64 || got[31] != 1 || got[63] != 0x80 {
		t.Errorf("%x %v", got, err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "raw": make([]byte, 64), "trailing": append(der(big.NewInt(1), big.NewInt(1)), 0),
		"zero": der(new(big.Int), big.NewInt(1)), "negative": der(big.NewInt(1), big.NewInt(-1)),
		"too long": der(big256, big.NewInt(1)), "s too long": der(big.NewInt(1), big256),
	} {
		if got, err := cose.FromDER(b); !errors.Is(err, cose.ErrMalformed) || got != nil {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
}

// In both directions short r and s are padded, and those with the top bit set
// marked as positive.
func TestScalarEncoding(t *testing.T) {
	k := private(cose.AlgESP256, 1).(*ecdsa.PrivateKey)
	public, short, top := signer(cose.ESP256, 1).Public(), 0, 0
	for i := 0; (short < 3 || top < 3) && i < 5000; i++ {
		m := []byte{byte(i), byte(i >> 8)}
		digest := sha256.Sum256(m)
		d, err := k.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := cose.FromDER(d)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case raw[0] == 0 || raw[32] == 0:
			short++
		case raw[0] == 0x80 || raw[32] == 0x80:
			top++
		default:
			continue
		}
		if err := public.VerifyHalf(cose.AlgESP256, m, raw); err != nil {
			t.Errorf("%x: %v", raw, err)
		}
	}
	if short < 3 || top < 3 {
		t.Errorf("found %d short scalars, %d with the top bit alone", short, top)
	}
}

func TestHalvesAlone(t *testing.T) {
	s := signer(cose.ESP256MLDSA65, 1)
	for _, a := range s.Public().Suite().Algs() {
		b, err := s.SignHalf(a, payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Public().VerifyHalf(a, payload, b); err != nil {
			t.Error(err)
		}
		if err := s.Public().VerifyHalf(a, payload[1:], b); !errors.Is(err, cose.ErrSignature) {
			t.Error(err)
		}
		for _, bad := range [][]byte{nil, b[:10], b[:32], b[1:], append(b, 0), append(b, b...)} {
			if err := s.Public().VerifyHalf(a, payload, bad); !errors.Is(err, cose.ErrSignature) {
				t.Errorf("%d bytes: %v", len(bad), err)
			}
		}
	}
	for _, a := range []cose.Alg{cose.AlgEd25519, cose.LegacyES256, 0} {
		if _, err := s.SignHalf(a, payload); !errors.Is(err, cose.ErrAlgorithm) {
			t.Errorf("%v: %v", a, err)
		}
		if err := s.Public().VerifyHalf(a, payload, make([]byte, 64)); !errors.Is(err, cose.ErrAlgorithm) {
			t.Errorf("%v: %v", a, err)
		}
	}
}
