package keyfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

var suites = []cose.Suite{cose.Ed25519, cose.ESP256, cose.MLDSA65, cose.Ed25519MLDSA65, cose.ESP256MLDSA65}

var passphrase = []byte("correct horse")

// TestMain makes the passphrase cheap, for the race detector makes it very dear. What is
// about the cost itself takes it back by fullCost.
func TestMain(m *testing.M) {
	iterations = 1000
	os.Exit(m.Run())
}

func fullCost(t testing.TB) {
	cheap := iterations
	iterations = minIterations
	t.Cleanup(func() { iterations = cheap })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counting is a source of bytes that is the same each time.
type counting byte

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		*c++
		b[i] = byte(*c)
	}
	return len(b), nil
}

func fixed(t testing.TB, s cose.Suite) *Key {
	t.Helper()
	k, err := Generate(s, new(counting))
	must(t, err)
	return k
}

// A key comes back from its file, signs as the key that its public file says, and the file
// shows none of it.
func TestRoundTrip(t *testing.T) {
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) {
			k, err := Generate(s, nil)
			must(t, err)
			dir := t.TempDir()
			path := filepath.Join(dir, "alice.key")
			must(t, k.Save(path, passphrase))
			text, err := os.ReadFile(path)
			must(t, err)
			if n := bytes.Count(text, []byte("BEGIN ENCRYPTED PRIVATE KEY")); n != len(s.Algs()) {
				t.Errorf("%d blocks", n)
			}
			got, err := Load(path, passphrase)
			must(t, err)
			must(t, (&Public{Name: "alice", Key: k.Public()}).Save(filepath.Join(dir, "alice.pub")))
			p, err := LoadPublic(filepath.Join(dir, "alice.pub"))
			must(t, err)
			if !got.Public().Equal(k.Public()) || !p.Key.Equal(k.Public()) || p.Name != "alice" || p.Development {
				t.Error("another key")
			}
			env, err := cose.Sign([]byte("m"), cose.Order, got.Signer())
			must(t, err)
			_, _, err = cose.Verify(env, cose.Order, &cose.Trust{Suite: s, Keys: []*cose.PublicKey{p.Key}, Threshold: 1})
			must(t, err)
			for _, h := range k.halves {
				blocks, err := split(text)
				must(t, err)
				for _, b := range blocks {
					if bytes.Contains(b.Bytes, h.secret[:8]) {
						t.Error("the file holds a seed")
					}
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
					if shown := fmt.Sprintf(verb, got); strings.Contains(shown, hex.EncodeToString(h.secret[:8])) || !strings.Contains(shown, s.String()) {
						t.Errorf("%s shows %s", verb, shown)
					}
				}
			}
			got.Wipe()
			if _, err := got.Encode(passphrase); !errors.Is(err, ErrMalformed) {
				t.Errorf("after Wipe: %v", err)
			}
		})
	}
}

// The files of fixed keys are written down: people keep them for years.
func TestGolden(t *testing.T) {
	for s, want := range map[cose.Suite]string{
		cose.Ed25519:        "3d80cb63ab1489ee 40e8e99c3db0681b",
		cose.ESP256:         "f04db9ff63044a50 1df55439a5fb05a9",
		cose.MLDSA65:        "9fe4b5893ff4cc54 13fba545bdc40247",
		cose.Ed25519MLDSA65: "4a4a4dfeabaab441 ef8c02617d5ae456",
		cose.ESP256MLDSA65:  "e16525bba03a3afc ed67669e3ffc9839",
	} {
		k := fixed(t, s)
		private, err := k.Encode(nil)
		must(t, err)
		public, err := (&Public{Name: "Ä.b-1", Development: true, Key: k.Public()}).Encode()
		must(t, err)
		a, b := sha256.Sum256(private), sha256.Sum256(public)
		if got := hex.EncodeToString(a[:8]) + " " + hex.EncodeToString(b[:8]); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
		again, err := Parse(private, nil)
		must(t, err)
		p, err := ParsePublic(append([]byte("text before\n"), public...))
		must(t, err)
		if !again.Public().Equal(k.Public()) || !p.Key.Equal(k.Public()) || p.Name != "Ä.b-1" || !p.Development {
			t.Errorf("%v: another key", s)
		}
	}
}

// The seed of ML-DSA-65 in the form of RFC 9881 §6: SEQUENCE {0, {id-ml-dsa-65}, OCTET
// STRING {[0] seed}}, byte by byte.
func TestMLDSAForm(t *testing.T) {
	h := half{alg: cose.AlgMLDSA65}
	want := "3034020100300b060960864801650304031204228020"
	for i := range h.secret {
		h.secret[i] = byte(i)
		want += fmt.Sprintf("%02x", i)
	}
	der, err := h.encode()
	must(t, err)
	if hex.EncodeToString(der) != want {
		t.Errorf("got %x, want %s", der, want)
	}
}

// Files that openssl made; how is in docs/keys.md.
func TestVectors(t *testing.T) {
	fullCost(t)
	for _, tc := range []struct{ file, secret string }{
		{"openssl-ed25519.key", "046af4c4e40b96c70861f58abe93b6b5001b3153997d6b405669724af2b0b6ec"},
		{"openssl-p256.key", "57ff1850c4847917ac2c81e54455c1910faa1de117b9f49d77093a49cf2b36c4"},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", tc.file))
		must(t, err)
		k, err := Parse(text, passphrase)
		must(t, err)
		if got := hex.EncodeToString(k.halves[0].secret[:]); got != tc.secret {
			t.Errorf("%s: %s", tc.file, got)
		}
	}
}

func block(typ string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func TestParseRefuses(t *testing.T) {
	ed, ec, pq := fixed(t, cose.Ed25519), fixed(t, cose.ESP256), fixed(t, cose.MLDSA65)
	text := func(k *Key, pass string) string {
		b, err := k.Encode([]byte(pass))
		must(t, err)
		return string(b)
	}
	der := func(k *Key) []byte { b, err := k.halves[0].encode(); must(t, err); return b }
	sealed, err := seal(der(ed), passphrase)
	must(t, err)
	spoil := func(b []byte, at int, x byte) []byte { b = bytes.Clone(b); b[at] ^= x; return b }
	last := len(sealed) - 1
	rsa := []byte("0\x2e\x02\x01\x000\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x1a")
	rsa = append(rsa, make([]byte, 26)...)
	// A P-256 key whose public half is another's.
	liar := bytes.Clone(der(ec))
	copy(liar[len(liar)-65:], fixedOther(t))
	huge := bytes.Repeat([]byte("x"), maxFile+1)
	for _, tc := range []struct {
		name, text, pass string
		kind             error
	}{
		{"empty", "", "", ErrMalformed},
		{"no PEM", "ssh-ed25519 AAAA", "", ErrMalformed},
		{"too long", string(huge), "", ErrMalformed},
		{"another block", block("PUBLIC KEY", der(ed)), "", ErrMalformed},
		{"old OpenSSL", "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PRIVATE KEY-----\n", "", ErrMalformed},
		{"block too long", block(plainBlock, make([]byte, maxDER+1)), "", ErrMalformed},
		{"three", strings.Repeat(text(ed, ""), 3), "", ErrMalformed},
		{"twice the same", text(ed, "") + text(ed, ""), "", ErrMalformed},
		{"wrong order", text(pq, "") + text(ed, ""), "", ErrMalformed},
		{"two classical", text(ed, "") + text(ec, ""), "", ErrMalformed},
		{"half encrypted", text(ed, "") + block(encryptedBlock, sealed), "", ErrMalformed},
		{"no passphrase", block(encryptedBlock, sealed), "", ErrPassphrase},
		{"not needed", text(ed, ""), "x", ErrPassphrase},
		{"wrong", block(encryptedBlock, sealed), "correct hors", ErrPassphrase},
		{"damaged", block(encryptedBlock, spoil(sealed, last, 1)), string(passphrase), ErrPassphrase},
		{"rubbish", block(plainBlock, []byte("rubbish")), "", ErrMalformed},
		{"rubbish, encrypted", block(encryptedBlock, []byte("rubbish")), "x", ErrMalformed},
		{"a byte more", block(plainBlock, append(der(ed), 0)), "", ErrMalformed},
		{"a byte more, encrypted", block(encryptedBlock, append(bytes.Clone(sealed), 0)), "x", ErrMalformed},
		{"version 1", block(plainBlock, spoil(der(ed), 4, 1)), "", ErrMalformed},
		{"RSA", block(plainBlock, rsa), "", ErrMalformed},
		{"broken Ed25519", block(plainBlock, spoil(der(ed), 15, 1)), "", ErrMalformed},
		{"P-256, other public key", block(plainBlock, liar), "", ErrMalformed},
		{"ML-DSA, other form", block(plainBlock, spoil(der(pq), 20, 0x84)), "", ErrMalformed},
		{"ML-DSA with parameters", block(plainBlock, withParameters(t, der(pq))), "", ErrMalformed},
		{"P-384", block(plainBlock, p384(t)), "", ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := Parse([]byte(tc.text), []byte(tc.pass))
			if k != nil || !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			if err != nil && tc.pass != "" && strings.Contains(err.Error(), tc.pass) {
				t.Errorf("the error shows the passphrase: %v", err)
			}
		})
	}
}

// A wrong passphrase whose padding fits by chance is one that is wrong.
func TestPaddingByChance(t *testing.T) {
	junk, err := seal([]byte("this is no key"), passphrase)
	must(t, err)
	if _, err := Parse([]byte(block(encryptedBlock, junk)), passphrase); !errors.Is(err, ErrPassphrase) || errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// What a file asks for is looked at before the work is done.
func TestBounds(t *testing.T) {
	fullCost(t)
	sealed, err := seal([]byte("key"), passphrase)
	must(t, err)
	for _, tc := range []struct {
		name  string
		spoil func(e *encryptedPrivateKeyInfo)
		ok    bool
	}{
		{"as written", func(e *encryptedPrivateKeyInfo) {
			if n := e.Algorithm.Params.KDF.Params.Iterations; n != 600_000 {
				t.Errorf("%d iterations are written", n)
			}
		}, true},
		{"with the key's length", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.KeyLength = 32 }, true},
		{"most iterations", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Iterations = maxIterations }, true},
		{"too many", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Iterations = maxIterations + 1 }, false},
		{"far too many", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Iterations = 1 << 62 }, false},
		{"too few", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Iterations = minIterations - 1 }, false},
		{"negative", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Iterations = -minIterations }, false},
		{"short key", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.KeyLength = 16 }, false},
		{"long salt", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Salt = make([]byte, 65) }, false},
		{"short salt", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.Salt = make([]byte, 7) }, false},
		{"short IV", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.Cipher.IV = make([]byte, 8) }, false},
		{"no ciphertext", func(e *encryptedPrivateKeyInfo) { e.Data = nil }, false},
		{"part of a block", func(e *encryptedPrivateKeyInfo) { e.Data = make([]byte, 17) }, false},
		{"HMAC-SHA-1", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.Params.PRF.Algorithm[5] = 7 }, false},
		{"AES-128", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.Cipher.OID[8] = 2 }, false},
		{"scrypt", func(e *encryptedPrivateKeyInfo) { e.Algorithm.Params.KDF.OID[6] = 11 }, false},
		{"PBES1", func(e *encryptedPrivateKeyInfo) { e.Algorithm.OID[6] = 10 }, false},
	} {
		e, err := parseSealed(sealed)
		must(t, err)
		tc.spoil(e)
		der, err := asn1.Marshal(*e)
		must(t, err)
		if _, err := parseSealed(der); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestPublicRefuses(t *testing.T) {
	key := fixed(t, cose.Ed25519).Public()
	body := (&Public{Name: "a", Key: key}).appendCBOR(nil)
	change := func(old, new string) []byte { return bytes.Replace(body, []byte(old), []byte(new), 1) }
	good := block(publicBlock, body)
	_, err := ParsePublic([]byte(good))
	must(t, err)
	for name, text := range map[string]string{
		"empty":              "",
		"too long":           good + strings.Repeat("\n", maxFile),
		"another block":      block("PUBLIC KEY", body),
		"headers":            string(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Headers: map[string]string{"a": "b"}, Bytes: body})),
		"two":                good + good,
		"block too long":     block(publicBlock, make([]byte, maxDER+1)),
		"rubbish":            block(publicBlock, []byte("rubbish")),
		"a byte more":        block(publicBlock, append(bytes.Clone(body), 0)),
		"another suite":      block(publicBlock, change("\x01\x01", "\x01\x02")),
		"no suite":           block(publicBlock, change("\x01\x01", "\x01\x00")),
		"empty name":         block(publicBlock, change("\x61a", "\x60")),
		"a path as name":     block(publicBlock, change("\x61a", "\x63a/b")),
		"unknown field":      block(publicBlock, append(append([]byte("\xa4"), body[1:]...), 5, 0)),
		"not in development": block(publicBlock, append([]byte("\xa4"), bytes.Replace(body[1:], []byte("\x61a"), []byte("\x61a\x03\xf4"), 1)...)),
		"no keys":            block(publicBlock, append(bytes.Clone(body[:bytes.IndexByte(body, 0x81)]), 0x80)),
	} {
		if p, err := ParsePublic([]byte(text)); p != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, p := range []Public{{Key: key}, {Name: "a"}, {Name: "a", Key: &cose.PublicKey{}}} {
		if _, err := p.Encode(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", p.Name, err)
		}
	}
	for name, ok := range map[string]bool{"alice": true, "vendor 2": true, "Ä": true, strings.Repeat("x", 64): true,
		"": false, ".x": false, "-x": false, " x": false, "x ": false, "a/b": false, `a\b`: false, "c:": false, "a\x1b": false,
		"\xff": false, "a\u202eb": false, strings.Repeat("x", 65): false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestFiles(t *testing.T) {
	k := fixed(t, cose.Ed25519)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	must(t, k.Save(path, nil))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	pub := filepath.Join(dir, "a.pub")
	must(t, (&Public{Name: "a", Key: k.Public()}).Save(pub))
	before, err := os.ReadFile(path)
	must(t, err)
	// Nothing is overwritten, also not through a link that leads nowhere.
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(filepath.Join(dir, "nowhere"), link))
	for _, p := range []string{path, link} {
		if err := k.Save(p, nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if err := (&Public{Name: "a", Key: k.Public()}).Save(pub); !errors.Is(err, fs.ErrExist) {
		t.Errorf("public: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o644} {
		must(t, os.Chmod(path, mode))
		if _, err := Load(path, nil); !errors.Is(err, ErrExposed) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	must(t, os.Chmod(path, 0o400))
	_, err = Load(path, nil)
	must(t, err)
	if _, err := Load(dir, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := LoadPublic(filepath.Join(dir, "b.pub")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	big := filepath.Join(dir, "big.pub")
	must(t, os.WriteFile(big, make([]byte, maxFile+1), 0o600))
	if _, err := LoadPublic(big); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	if err := (&Public{}).Save(big + "x"); !errors.Is(err, ErrMalformed) {
		t.Errorf("no key: %v", err)
	}
	if err := (&Key{}).Save(big+"x", nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no key: %v", err)
	}
	if err := k.Save(filepath.Join(dir, "none", "a.key"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	if k, err := Generate(0, nil); k != nil || !errors.Is(err, ErrMalformed) {
		t.Errorf("no suite: %v", err)
	}
	if _, err := Generate(cose.Ed25519, bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short source: %v", err)
	}
	// A scalar that is none is drawn again; a source that gives no other is given up.
	order, _ := hex.DecodeString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") // n, SEC 2
	k, err := Generate(cose.ESP256, bytes.NewReader(append(append(make([]byte, 32), order...), bytes.Repeat([]byte{7}, 32)...)))
	must(t, err)
	if k.halves[0].secret[0] != 7 {
		t.Errorf("secret %x", k.halves[0].secret)
	}
	if _, err := Generate(cose.ESP256, bytes.NewReader(make([]byte, 1000))); !errors.Is(err, ErrMalformed) {
		t.Errorf("a source of zeros: %v", err)
	}
	var none Key
	if none.Signer() != nil || none.Public() != nil || fmt.Sprint(&none) != "keyfile.Key()" {
		t.Error("the zero key is something")
	}
	a, err := Generate(cose.Ed25519MLDSA65, nil)
	must(t, err)
	b, err := Generate(cose.Ed25519MLDSA65, nil)
	must(t, err)
	if a.halves[0].secret == b.halves[0].secret || a.halves[0].secret == a.halves[1].secret {
		t.Error("the same secret twice")
	}
}

func fixedOther(t *testing.T) []byte {
	k, err := Generate(cose.ESP256, rand.Reader)
	must(t, err)
	return k.Public().Bytes()
}

func withParameters(t *testing.T, der []byte) []byte {
	t.Helper()
	var info privateKeyInfo
	_, err := asn1.Unmarshal(der, &info)
	must(t, err)
	info.Algorithm.Parameters = asn1.NullRawValue
	der, err = asn1.Marshal(info)
	must(t, err)
	return der
}

func p384(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	return der
}
