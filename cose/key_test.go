package cose_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/policy"
)

// Policies hold the keys that this package parses.
func TestSuitesAreThoseOfPolicies(t *testing.T) {
	for s := range 256 {
		c, p := cose.Suite(s), policy.Suite(s)
		if c.PublicLen() != p.PublicLen() || c.PublicLen() > 0 && c.String() != p.String() {
			t.Errorf("%v has %d bytes, in policies %v has %d", c, c.PublicLen(), p, p.PublicLen())
		}
		if (c.PublicLen() > 0) != (len(c.Algs()) > 0) {
			t.Errorf("%v has algorithms %v", c, c.Algs())
		}
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]string{
		"Ed25519": cose.AlgEd25519.String(), "ESP256": cose.AlgESP256.String(), "ML-DSA-65": cose.AlgMLDSA65.String(),
		"EdDSA": cose.LegacyEdDSA.String(), "ES256": cose.LegacyES256.String(), "algorithm -48": cose.Alg(-48).String(),
		"suite 6": cose.Suite(6).String(), "suite 0": cose.Suite(0).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	cose.MLDSA65.Algs()[0] = cose.AlgEd25519
	if cose.MLDSA65.Algs()[0] != cose.AlgMLDSA65 {
		t.Error("a caller can change a suite")
	}
}

func TestPublicKeys(t *testing.T) {
	for _, s := range suites {
		k := signer(s, 1).Public()
		again, err := cose.ParsePublicKey(s, k.Bytes())
		if err != nil || !again.Equal(k) || again.ID() != k.ID() || again.Suite() != s || len(k.Bytes()) != s.PublicLen() {
			t.Errorf("%v: %v", s, err)
		}
		keys := k.COSEKeys()
		again, err = cose.ParseCOSEKeys(s, keys...)
		if err != nil || !again.Equal(k) {
			t.Errorf("%v from COSE_Keys: %v", s, err)
		}
		for _, b := range keys {
			if err := cbor.Valid(b); err != nil {
				t.Error(err)
			}
		}
		if k.Equal(signer(s, 2).Public()) {
			t.Errorf("%v: two keys are equal", s)
		}
		for _, n := range []int{0, s.PublicLen() - 1, s.PublicLen() + 1} {
			if _, err := cose.ParsePublicKey(s, make([]byte, n)); !errors.Is(err, cose.ErrKey) {
				t.Errorf("%v of %d bytes: %v", s, n, err)
			}
		}
	}
	if _, err := cose.ParsePublicKey(0, nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("suite 0: %v", err)
	}
	if _, err := cose.ParseCOSEKeys(6); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("suite 6: %v", err)
	}
}

// The key must not change with the buffer that it was read from, or given out in.
func TestPublicKeyIsACopy(t *testing.T) {
	raw := signer(cose.Ed25519MLDSA65, 1).Public().Bytes()
	k, err := cose.ParsePublicKey(cose.Ed25519MLDSA65, raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(raw)
	clear(k.Bytes())
	clear(k.Thumbprints())
	tr := &cose.Trust{Suite: k.Suite(), Keys: []*cose.PublicKey{k}, Threshold: 1}
	if _, _, err := cose.Verify(sign(t, k.Suite(), 1), domain, tr); err != nil {
		t.Error(err)
	}
}

// The identity written out, byte by byte.
func TestID(t *testing.T) {
	k := signer(cose.Ed25519MLDSA65, 1).Public()
	p := k.Thumbprints()
	b := append([]byte("\x83\x6dnanolock/1/id\x04\x82\x58\x20"), p[0][:]...)
	b = append(append(b, "\x58\x20"...), p[1][:]...)
	if k.ID() != sha256.Sum256(b) {
		t.Error("another identity")
	}
	okp := append([]byte{0xa3, 1, 1, 0x20, 6, 0x21, 0x58, 32}, k.Bytes()[:32]...)
	akp := append([]byte{0xa3, 1, 7, 3, 0x38, 48, 0x20, 0x59, 0x07, 0xa0}, k.Bytes()[32:]...)
	if p[0] != sha256.Sum256(okp) || p[1] != sha256.Sum256(akp) {
		t.Error("another thumbprint")
	}
	seen := map[[32]byte]bool{}
	for _, s := range suites {
		seen[signer(s, 1).Public().ID()] = true
	}
	if len(seen) != len(suites) {
		t.Error("two suites share an identity")
	}
}

// The example of RFC 9679 §6: a COSE_Key with more in it than its thumbprint has.
func TestRFC9679(t *testing.T) {
	raw := append([]byte{4}, unhex(t, `65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d
		1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c`)...)
	k, err := cose.ParsePublicKey(cose.ESP256, raw)
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec")
	if got := k.Thumbprints()[0]; !bytes.Equal(got[:], want) {
		t.Errorf("thumbprint %x", got)
	}
}

// Ed25519 keys that the standard library would take.
func TestEd25519WeakKeys(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).Mod(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p)), p)
	le := func(n *big.Int, sign byte) []byte {
		b := n.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		b[31] |= sign
		return b
	}
	// y of a point of order 8: d·y⁴ + 2y² − 1 = 0, whence y² = (−1 ± √(1+d))/d.
	var weak [][]byte
	root := new(big.Int).ModSqrt(new(big.Int).Add(d, big.NewInt(1)), p)
	for _, r := range []*big.Int{root, new(big.Int).Neg(root)} {
		yy := new(big.Int).Sub(r, big.NewInt(1))
		yy.Mul(yy, new(big.Int).ModInverse(d, p)).Mod(yy, p)
		if y := new(big.Int).ModSqrt(yy, p); y != nil {
			weak = append(weak, le(y, 0), le(y, 0x80), le(new(big.Int).Sub(p, y), 0), le(new(big.Int).Sub(p, y), 0x80))
		}
	}
	if len(weak) != 4 {
		t.Fatalf("%d points of order 8", len(weak))
	}
	one := big.NewInt(1)
	for _, y := range []*big.Int{new(big.Int), one, new(big.Int).Sub(p, one)} {
		weak = append(weak, le(y, 0), le(y, 0x80))
	}
	for i := range int64(19) { // y not reduced: p … 2^255 − 1
		y := new(big.Int).Add(p, big.NewInt(i))
		weak = append(weak, le(y, 0), le(y, 0x80))
	}
	for _, b := range weak {
		if _, err := cose.ParsePublicKey(cose.Ed25519, b); !errors.Is(err, cose.ErrKey) {
			t.Errorf("%x: %v", b, err)
		}
	}
	if _, err := cose.ParsePublicKey(cose.Ed25519, le(big.NewInt(2), 0)); !errors.Is(err, cose.ErrKey) {
		t.Errorf("y = 2, not on the curve: %v", err)
	}
}

// Half of all y are on the curve; which ones, each signer's key tells.
func TestEd25519Keys(t *testing.T) {
	points := 0
	for i := range uint32(400) {
		b := make([]byte, 32)
		binary.LittleEndian.PutUint32(b, i+2)
		if _, err := cose.ParsePublicKey(cose.Ed25519, b); err == nil {
			points++
		}
	}
	if points < 150 || points > 250 {
		t.Errorf("%d of 400 are points", points)
	}
	for i := range byte(50) {
		signer(cose.Ed25519, i+1)
	}
}

func TestESP256Keys(t *testing.T) {
	good := signer(cose.ESP256, 1).Public().Bytes()
	off := slices.Clone(good)
	off[64] ^= 1
	over := slices.Clone(good)
	for i := range 32 {
		over[1+i] = 0xff // x ≥ p
	}
	compressed := make([]byte, 65)
	copy(compressed, append([]byte{2 + good[64]&1}, good[1:33]...))
	hybrid := slices.Clone(good)
	hybrid[0] = 6 + good[64]&1
	for name, b := range map[string][]byte{"off the curve": off, "not reduced": over, "compressed": compressed, "hybrid form": hybrid, "infinity": make([]byte, 65)} {
		if _, err := cose.ParsePublicKey(cose.ESP256, b); !errors.Is(err, cose.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A COSE_Key has one form; every change of a byte of the frame is refused.
func TestCOSEKeyStrict(t *testing.T) {
	for _, s := range suites[:3] {
		k := signer(s, 1).Public()
		good := k.COSEKeys()[0]
		frame := len(good) - s.PublicLen() + 1
		for i := range frame {
			for x := 1; x < 256; x++ {
				b := slices.Clone(good)
				b[i] ^= byte(x)
				if got, err := cose.ParseCOSEKeys(s, b); err == nil && got.Equal(k) {
					t.Errorf("%v: byte %d ^ %02x gives the same key", s, i, x)
				}
			}
		}
		for n := range good {
			if _, err := cose.ParseCOSEKeys(s, good[:n]); err == nil {
				t.Errorf("%v: cut to %d", s, n)
			}
		}
		for _, other := range suites[:3] {
			if _, err := cose.ParseCOSEKeys(other, good); (err == nil) != (other == s) {
				t.Errorf("%v as %v: %v", s, other, err)
			}
		}
		if _, err := cose.ParseCOSEKeys(s, good, good); !errors.Is(err, cose.ErrKey) {
			t.Errorf("%v: two halves: %v", s, err)
		}
	}
	x := string(signer(cose.Ed25519, 1).Public().Bytes())
	for name, v := range map[string]struct {
		b    string
		want error
	}{
		"right":      {"\xa4\x01\x01\x03\x32\x20\x06\x21\x58\x20" + x, nil},
		"no alg":     {"\xa3\x01\x01\x20\x06\x21\x58\x20" + x, cose.ErrMalformed},
		"EdDSA":      {"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" + x, cose.ErrAlgorithm},
		"kid":        {"\xa5\x01\x01\x02\x41\x31\x03\x32\x20\x06\x21\x58\x20" + x, cose.ErrMalformed},
		"X25519":     {"\xa4\x01\x01\x03\x32\x20\x04\x21\x58\x20" + x, cose.ErrMalformed},
		"private":    {"\xa5\x01\x01\x03\x32\x20\x06\x21\x58\x20" + x + "\x23\x58\x20" + x, cose.ErrMalformed},
		"EC2":        {"\xa4\x01\x02\x03\x32\x20\x06\x21\x58\x20" + x, cose.ErrMalformed},
		"y as a bit": {"\xa5\x01\x02\x03\x28\x20\x01\x21\x58\x20" + x + "\x22\xf5", cose.ErrMalformed},
		"no x":       {"\xa3\x01\x01\x03\x32\x20\x06", cose.ErrMalformed},
		"trailing":   {"\xa4\x01\x01\x03\x32\x20\x06\x21\x58\x20" + x + "\x00", cose.ErrMalformed},
		"order":      {"\xa4\x03\x32\x01\x01\x20\x06\x21\x58\x20" + x, cose.ErrMalformed},
		"array":      {"\x80", cose.ErrMalformed},
	} {
		if _, err := cose.ParseCOSEKeys(cose.Ed25519, []byte(v.b)); !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, v.want)
		}
	}
}
