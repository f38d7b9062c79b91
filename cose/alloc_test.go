package cose_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

// spent is how many bytes f allocates, at most, in several runs.
func spent(f func()) (most uint64) {
	f()
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		most = max(most, after.TotalAlloc-before.TotalAlloc)
	}
	return most
}

// What is refused before any signature was looked at costs a fixed sum, whatever
// it claims and however long it is.
func TestHostileClaimsCostNothing(t *testing.T) {
	long := bytes.Repeat([]byte{0xff}, 16<<20)
	ok := sign(t, cose.Ed25519MLDSA65, 1)
	frame := "\xd8\x62\x84\x40\xa0"
	claims := map[string][]byte{
		"payload of 2^64−1":        []byte(frame + "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"payload of 2^31":          []byte(frame + "\x5a\x80\x00\x00\x00"),
		"2^64−1 signatures":        []byte(frame + "\x40\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"2^16 signatures":          append([]byte(frame+"\x40\x9a\x00\x01\x00\x00"), long[:1<<17]...),
		"64 signatures of nothing": append([]byte(frame+"\x40\x98\x40"), long[:64]...),
		"signature of 2^32":        append([]byte(frame+"\x40\x81\x83\x40\xa0\x5b\x00\x00\x00\x01\x00\x00\x00\x00"), long[:1000]...),
		"16 MiB of payload":        build(long, sig{}),
		"16 MiB behind":            append(bytes.Clone(ok), long...),
		"16 MiB of nothing":        make([]byte, 16<<20),
		"16 MiB in a header":       build(payload, sig{protected: cbor.AppendBytes(nil, long)}),
		"64 strangers":             build(make([]byte, 60000), strangers(64)...),
	}
	for name, b := range claims {
		tr := trust(cose.Ed25519, 64, 1)
		n := spent(func() {
			if _, _, err := cose.Verify(b, domain, tr); err == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		if n > 16<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// strangers are well-formed signatures of keys that nobody knows.
func strangers(n int) (sigs []sig) {
	for i := range n {
		kid := bytes.Repeat([]byte{byte(i)}, 32)
		sigs = append(sigs, sig{protected: header(cose.AlgEd25519, kid), signature: make([]byte, 64)})
	}
	return sigs
}

// What verifies costs the payload once, and a fixed sum for each signature.
func TestVerifyCost(t *testing.T) {
	for _, s := range suites {
		big, err := cose.Sign(make([]byte, 50000), domain, signer(s, 1), signer(s, 2))
		if err != nil {
			t.Fatal(err)
		}
		tr := trust(s, 3, 2)
		n := spent(func() {
			if _, _, err := cose.Verify(big, domain, tr); err != nil {
				t.Error(err)
			}
		})
		if n > 50000+32<<10 {
			t.Errorf("%v: %d bytes allocated", s, n)
		}
	}
}
