package tpm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
)

// sample is a blob that Create once returned, so that fuzzing needs no TPM.
func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/blob")
	must(t, err)
	return b
}

// seal mends the checksum at the end of a blob.
func seal(b []byte) []byte {
	sum := sha256.Sum256(b[:len(b)-32])
	return append(b[:len(b)-32:len(b)-32], sum[:]...)
}

func TestBlob(t *testing.T) {
	blob := sample(t)
	if again, err := tpm.Decode(blob); err != nil || !bytes.Equal(again, blob) {
		t.Fatalf("the sample: %v", err)
	}
	for n := range blob {
		if _, err := tpm.Decode(blob[:n]); err == nil {
			t.Errorf("%d bytes of it", n)
		}
	}
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 0x10
		if _, err := tpm.Decode(bad); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for i, spoil := range []func(b []byte) []byte{
		func(b []byte) []byte { b[8] = 0x80; return b },                                           // no persistent handle
		func(b []byte) []byte { b[12] = 0x02; return b },                                          // no NV index
		func(b []byte) []byte { b[16] = 1; return b },                                             // PCR 24
		func(b []byte) []byte { b[23] ^= 1; return b },                                            // EK of another type
		func(b []byte) []byte { binary.BigEndian.PutUint16(b[20:], 0xffff); return b },            // longer than there is
		func(b []byte) []byte { return append(b[:len(b)-32:len(b)-32], make([]byte, 33)...) },     // a byte more
		func(b []byte) []byte { return append(b[:len(b)-32:len(b)-32], make([]byte, 20<<10)...) }, // far too long
	} {
		if _, err := tpm.Decode(seal(spoil(bytes.Clone(blob)))); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("row %d: %v", i, err)
		}
	}
}

func FuzzBlob(f *testing.F) {
	blob := sample(f)
	f.Add(blob)
	f.Add(blob[:60])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 32 {
			b = seal(bytes.Clone(b)) // the checksum would stop nearly everything
		}
		again, err := tpm.Decode(b)
		if err != nil {
			if !errors.Is(err, keystore.ErrCorrupt) && !errors.Is(err, keystore.ErrAbsent) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(again, b) {
			t.Error("another blob for the same state")
		}
	})
}

func FuzzEvidence(f *testing.F) {
	e, err := os.ReadFile("testdata/evidence")
	must(f, err)
	f.Add(e)
	f.Add(e[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := tpm.ParseEvidence(b)
		if err != nil {
			if !errors.Is(err, keystore.ErrMalformed) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(e.Encode(), b) {
			t.Error("another encoding of the same evidence")
		}
		e.Verify(keystore.Identity{})
		e.Challenge([]byte("secret"))
	})
}
