package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/testdeps"
)

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(testdeps.Program(t, "openssl"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// digits takes the hexadecimal dump that follows a line out of openssl's text.
func digits(text, after string) string {
	_, text, _ = strings.Cut(text, after+"\n")
	var hexed strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "    ") {
			break
		}
		hexed.WriteString(strings.ReplaceAll(strings.TrimSpace(line), ":", ""))
	}
	return hexed.String()
}

// openssl opens each half that it has the algorithm for, and finds the same key in it.
func TestOpenSSLReads(t *testing.T) {
	fullCost(t)
	algorithms := openssl(t, "list", "-public-key-algorithms")
	for _, s := range []cose.Suite{cose.Ed25519MLDSA65, cose.ESP256} {
		k, err := Generate(s, nil)
		must(t, err)
		text, err := k.Encode(passphrase)
		must(t, err)
		blocks, err := split(text)
		must(t, err)
		raw := k.Public().Bytes()
		classical := map[cose.Suite]int{cose.Ed25519MLDSA65: 32, cose.ESP256: 65}[s]
		for i, public := range [][]byte{raw[:classical], raw[classical:]}[:len(blocks)] {
			if k.halves[i].alg == cose.AlgMLDSA65 && !strings.Contains(algorithms, "ML-DSA-65") {
				t.Log("this openssl is older than 3.5 and knows no ML-DSA; TestMLDSAForm looks at the bytes")
				continue
			}
			path := filepath.Join(t.TempDir(), "half.key")
			must(t, os.WriteFile(path, []byte(block(blocks[i].Type, blocks[i].Bytes)), 0o600))
			out := openssl(t, "pkey", "-in", path, "-passin", "pass:"+string(passphrase), "-noout", "-text")
			if !strings.Contains(out, hex.EncodeToString(public)) && digits(out, "pub:") != hex.EncodeToString(public) {
				t.Errorf("%v: openssl sees another key in it:\n%s", k.halves[i].alg, out)
			}
		}
		// Of the file as it is, openssl reads the first half.
		path := filepath.Join(t.TempDir(), "alice.key")
		must(t, os.WriteFile(path, text, 0o600))
		if out := openssl(t, "pkey", "-in", path, "-passin", "pass:"+string(passphrase), "-noout", "-text"); digits(out, "pub:") != hex.EncodeToString(raw[:classical]) {
			t.Errorf("%v: the whole file:\n%s", s, out)
		}
	}
}

// A key that openssl makes and encrypts is one that we load; a signature by the one is
// verified by the other.
func TestOpenSSLWrites(t *testing.T) {
	fullCost(t)
	dir := t.TempDir()
	plain, path := filepath.Join(dir, "plain"), filepath.Join(dir, "a.key")
	openssl(t, "genpkey", "-algorithm", "ed25519", "-out", plain)
	openssl(t, "pkcs8", "-topk8", "-in", plain, "-out", path, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256",
		"-iter", "600000", "-passout", "pass:"+string(passphrase))
	must(t, os.Chmod(path, 0o600))
	k, err := Load(path, passphrase)
	must(t, err)
	if same, err := Load(plain, nil); err != nil || same.halves[0] != k.halves[0] {
		t.Errorf("another key: %v", err)
	}
	msg, sig := filepath.Join(dir, "msg"), filepath.Join(dir, "sig")
	must(t, os.WriteFile(msg, []byte("message"), 0o600))
	openssl(t, "pkeyutl", "-sign", "-rawin", "-inkey", path, "-passin", "pass:"+string(passphrase), "-in", msg, "-out", sig)
	b, err := os.ReadFile(sig)
	must(t, err)
	ours, err := k.Signer().SignHalf(cose.AlgEd25519, []byte("message"))
	must(t, err)
	if !ed25519.Verify(k.Public().Bytes(), []byte("message"), b) || !bytes.Equal(ours, b) {
		t.Error("another signature")
	}
}
