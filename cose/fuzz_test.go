package cose_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

var kinds = []error{cose.ErrMalformed, cose.ErrDomain, cose.ErrKey, cose.ErrAlgorithm, cose.ErrSigner, cose.ErrThreshold, cose.ErrSignature}

// oneKind: every refusal matches exactly one of the kinds.
func oneKind(t *testing.T, err error) {
	t.Helper()
	n := 0
	for _, k := range kinds {
		if errors.Is(err, k) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%v matches %d kinds", err, n)
	}
}

func seedEnvelopes(f *testing.F) {
	for _, s := range suites {
		f.Add(sign(f, s, 1))
	}
	f.Add(sign(f, cose.Ed25519, 1, 2))
	f.Add(build(nil, strangers(2)...))
	f.Add(build(payload, sig{unprotected: []byte{0xa1, 4, 0x41, 1}}))
}

// FuzzParse: what Parse takes has one encoding, which is its input.
func FuzzParse(f *testing.F) {
	seedEnvelopes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := cose.Parse(b, 1<<10)
		if err != nil {
			oneKind(t, err)
			return
		}
		again, err := e.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) || cbor.Valid(b) != nil {
			t.Fatalf("%x\nbecame %x (%v)", b, again, err)
		}
		if len(e.Payload()) > 1<<10 || len(e.KeyIDs()) > cose.MaxSignatures {
			t.Error("beyond the bounds")
		}
	})
}

// FuzzVerify: nobody without the keys makes an envelope with another payload,
// or of other signers, than those that were signed here.
func FuzzVerify(f *testing.F) {
	seedEnvelopes(f)
	var trusted []*cose.Trust
	for _, s := range suites {
		trusted = append(trusted, trust(s, 2, 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, tr := range trusted {
			p, who, err := cose.Verify(b, domain, tr)
			if err != nil {
				oneKind(t, err)
				continue
			}
			if !bytes.Equal(p, payload) || len(who) == 0 {
				t.Errorf("%v: accepted %q of %v", tr.Suite, p, who)
			}
		}
	})
}

// FuzzKeys: a public key and a COSE_Key have one encoding.
func FuzzKeys(f *testing.F) {
	for i, s := range suites[:3] {
		k := signer(s, 1).Public()
		f.Add(byte(i), k.Bytes())
		f.Add(byte(i), k.COSEKeys()[0])
	}
	f.Fuzz(func(t *testing.T, i byte, b []byte) {
		s := suites[i%3]
		if k, err := cose.ParsePublicKey(s, b); err != nil {
			oneKind(t, err)
		} else if !bytes.Equal(k.Bytes(), b) {
			t.Errorf("%v: %x became %x", s, b, k.Bytes())
		}
		if k, err := cose.ParseCOSEKeys(s, b); err != nil {
			oneKind(t, err)
		} else if !bytes.Equal(k.COSEKeys()[0], b) {
			t.Errorf("%v: COSE_Key %x became %x", s, b, k.COSEKeys()[0])
		}
	})
}
