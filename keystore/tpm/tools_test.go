package tpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/keystore/tpm"
)

// tool runs another implementation's program in dir, against the chip.
func tool(t *testing.T, c *chip, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testdeps.Program(t, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+c.socket())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func pemOf(t *testing.T, point []byte) []byte {
	t.Helper()
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(pub)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func derOf(t *testing.T, raw []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	must(t, err)
	return der
}

// Other people's programs agree: openssl about a signature, tpm2-tools about a quote, the
// counter, the latch, the EK and a credential.
func TestTools(t *testing.T) {
	d := newDevice(t, tpm.Config{})
	dir := t.TempDir()
	write := func(name string, b []byte) { must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	e, err := tpm.ParseEvidence(d.Identity().Evidence)
	must(t, err)

	msg := []byte("report")
	sig, err := d.Sign(ctx, 0, msg)
	must(t, err)
	write("id.pem", pemOf(t, d.Identity().Public[:65]))
	write("msg", msg)
	write("sig", derOf(t, sig))
	tool(t, d.chip, dir, "openssl", "dgst", "-sha256", "-verify", "id.pem", "-signature", "sig", "msg")

	q, err := d.Quote(ctx, []byte{0xab, 0xcd}, 0, 7)
	must(t, err)
	ak, err := tpm2.Unmarshal[tpm2.TPMTPublic](e.AK)
	must(t, err)
	unique, err := ak.Unique.ECC()
	must(t, err)
	point := append([]byte{4}, make([]byte, 64)...)
	copy(point[33-len(unique.X.Buffer):], unique.X.Buffer)
	copy(point[65-len(unique.Y.Buffer):], unique.Y.Buffer)
	write("ak.pem", pemOf(t, point))
	write("quote", q.Info)
	write("quote.sig", derOf(t, q.Sig))
	tool(t, d.chip, dir, "tpm2_checkquote", "-u", "ak.pem", "-m", "quote", "-s", "quote.sig", "-g", "sha256", "-q", "abcd")

	// The indices as tpm2-tools see them, with the password that only the TPM derives.
	secrets, err := d.Secrets()
	must(t, err)
	pass := "hex:" + hex.EncodeToString(secrets[1])
	now, err := d.Anchor().Read(ctx)
	must(t, err)
	must(t, d.Anchor().Advance(ctx, now+3))
	tool(t, d.chip, dir, "tpm2_nvread", "0x01804E4C", "-C", "0x01804E4C", "-P", pass, "-o", "count")
	b, err := os.ReadFile(filepath.Join(dir, "count"))
	must(t, err)
	if got := new(big.Int).SetBytes(b).Uint64(); len(b) != 8 || got != now+3 {
		t.Errorf("tpm2_nvread says %d, the keystore %d", got, now+3)
	}
	// And they step it: the keystore sees that.
	tool(t, d.chip, dir, "tpm2_nvincrement", "0x01804E4C", "-C", "0x01804E4C", "-P", pass)
	if got, err := d.Anchor().Read(ctx); err != nil || got != now+4 {
		t.Errorf("%d, %v", got, err)
	}
	must(t, d.Latch().Set(ctx, record(1)))
	public := tool(t, d.chip, dir, "tpm2_nvreadpublic", "0x01804E4D")
	for _, attr := range []string{"writedefine", "writelocked", "written", "no_da"} {
		if !strings.Contains(public, attr) {
			t.Errorf("the latch is not %s:\n%s", attr, public)
		}
	}
	write("other", make([]byte, 40))
	over := exec.Command(testdeps.Program(t, "tpm2_nvwrite"), "0x01804E4D", "-C", "0x01804E4D", "-P", pass, "-i", filepath.Join(dir, "other"))
	over.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+d.chip.socket())
	if out, err := over.CombinedOutput(); err == nil {
		t.Errorf("a locked latch was written over: %s", out)
	}

	tool(t, d.chip, dir, "tpm2_readpublic", "-c", "0x81004E4C", "-o", "ek.pub")
	ek, err := os.ReadFile(filepath.Join(dir, "ek.pub"))
	must(t, err)
	if !bytes.HasSuffix(ek, e.EK) {
		t.Error("tpm2_readpublic shows another EK")
	}
	// A credential by tpm2_makecredential opens here.
	akName, err := tpm2.ObjectName(ak)
	must(t, err)
	write("secret", []byte("from elsewhere"))
	tool(t, d.chip, dir, "tpm2_makecredential", "-T", "none", "-u", "ek.pub", "-s", "secret", "-n", hex.EncodeToString(akName.Buffer), "-o", "cred")
	cred, err := os.ReadFile(filepath.Join(dir, "cred"))
	must(t, err)
	// tpm2-tools: magic u32, version u32, then the two sized buffers.
	id := 2 + int(cred[8])<<8 + int(cred[9])
	ch := tpm.Challenge{Credential: cred[10 : 8+id], Secret: cred[8+id+2:]}
	if got, err := d.Activate(ctx, ch); err != nil || string(got) != "from elsewhere" {
		t.Errorf("%q, %v", got, err)
	}
	d.chip.clean(t)
}
