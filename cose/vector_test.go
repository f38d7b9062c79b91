package cose_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

var update = flag.Bool("update", false, "write testdata/suite*.hex anew")

// vector writes out one envelope of a suite and all that goes into it: signed by
// the keys of numbers 1 and 2, deterministically, as an order.
func vector(t *testing.T, s cose.Suite) string {
	t.Helper()
	var w strings.Builder
	line := func(name string, b []byte) { fmt.Fprintf(&w, "%s %s\n", name, hex.EncodeToString(b)) }
	fmt.Fprintf(&w, "suite %d\n", s)
	line("domain", []byte(domain))
	line("payload", payload)
	e := cose.New(payload)
	for n := byte(1); n <= 2; n++ {
		k := signer(s, n).Public()
		line("seed", bytes.Repeat([]byte{n}, 32))
		line("public", k.Bytes())
		id := k.ID()
		line("id", id[:])
		tbs, err := e.ToBeSigned(domain, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range k.COSEKeys() {
			kid := k.Thumbprints()[i]
			line("cose-key", key)
			line("kid", kid[:])
			line("to-be-signed", tbs[i])
		}
		if err := e.Add(domain, signer(s, n)); err != nil {
			t.Fatal(err)
		}
	}
	line("envelope", marshal(t, e))
	return w.String()
}

// TestVectors holds the published vectors against the code, in both directions.
func TestVectors(t *testing.T) {
	for _, s := range suites {
		file, got := filepath.Join("testdata", fmt.Sprintf("suite%d.hex", s)), vector(t, s)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%v: %s is not what the code writes", s, file)
		}
		checkVector(t, s, string(want))
	}
}

// checkVector reads a vector as a stranger would, from public keys to payload.
func checkVector(t *testing.T, s cose.Suite, text string) {
	t.Helper()
	tr := &cose.Trust{Suite: s, Threshold: 2}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "public":
			k, err := cose.ParsePublicKey(s, unhex(t, value))
			if err != nil {
				t.Fatal(err)
			}
			tr.Keys = append(tr.Keys, k)
		case "envelope":
			p, who, err := cose.Verify(unhex(t, value), domain, tr)
			if err != nil || !bytes.Equal(p, payload) || len(who) != 2 {
				t.Errorf("%v: %q %v %v", s, p, who, err)
			}
		}
	}
}
