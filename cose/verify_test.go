package cose_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

func TestSignVerify(t *testing.T) {
	for _, s := range suites {
		b := sign(t, s, 3, 1)
		got, who, err := cose.Verify(b, domain, trust(s, 3, 2))
		if err != nil || !bytes.Equal(got, payload) || !slices.Equal(who, []int{0, 2}) {
			t.Errorf("%v: %q %v %v", s, got, who, err)
		}
		e, err := cose.Parse(b, len(payload))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := e.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%v: parsed and encoded it is not the same (%v)", s, err)
		}
	}
}

// refused wants kind, and nothing of the envelope.
func refused(t *testing.T, what string, b []byte, d cose.Domain, tr *cose.Trust, kind error) {
	t.Helper()
	p, who, err := cose.Verify(b, d, tr)
	if !errors.Is(err, kind) || p != nil || who != nil {
		t.Errorf("%s: %q %v %v, want %v", what, p, who, err, kind)
	}
}

func TestThresholds(t *testing.T) {
	for _, s := range suites {
		b := sign(t, s, 1, 2)
		for _, v := range []struct {
			name            string
			keys, threshold int
			want            error
		}{
			{"1 of 2", 2, 1, nil},
			{"2 of 2", 2, 2, nil},
			{"2 of 3", 3, 2, nil},
			{"3 of 3", 3, 3, cose.ErrThreshold},
			{"0 of 2", 2, 0, cose.ErrThreshold},
			{"−1 of 2", 2, -1, cose.ErrThreshold},
			{"3 of 2", 2, 3, cose.ErrThreshold},
			{"0 of 0", 0, 0, cose.ErrThreshold},
			{"1 of 1, and a stranger", 1, 1, cose.ErrSigner},
		} {
			_, who, err := cose.Verify(b, domain, trust(s, v.keys, v.threshold))
			if !errors.Is(err, v.want) || (err == nil) != (v.want == nil) || err == nil && len(who) != 2 {
				t.Errorf("%v, %s: %v %v, want %v", s, v.name, who, err, v.want)
			}
		}
	}
}

func TestZeroTrustRefuses(t *testing.T) {
	b := sign(t, cose.Ed25519, 1)
	refused(t, "nil", b, domain, nil, cose.ErrThreshold)
	refused(t, "zero", b, domain, &cose.Trust{}, cose.ErrThreshold)
	tr := trust(cose.Ed25519, 1, 1)
	tr.Suite = 0
	refused(t, "no suite", b, domain, tr, cose.ErrAlgorithm)
	tr.Suite = 6
	refused(t, "a suite to come", b, domain, tr, cose.ErrAlgorithm)
	refused(t, "nil key", b, domain, &cose.Trust{Suite: 1, Keys: []*cose.PublicKey{nil}, Threshold: 1}, cose.ErrSigner)
	refused(t, "zero key", b, domain, &cose.Trust{Suite: 1, Keys: []*cose.PublicKey{{}}, Threshold: 1}, cose.ErrSigner)
}

func TestDomains(t *testing.T) {
	all := []cose.Domain{cose.Order, cose.Batch, cose.Report, cose.Enrol, cose.Hello, cose.Block, cose.OperatorLog, "nanolock/1/orde", "x"}
	for _, s := range suites {
		for _, d := range all {
			want := cose.ErrSignature
			if d == cose.Order {
				want = nil
			}
			if _, _, err := cose.Verify(sign(t, s, 1), d, trust(s, 1, 1)); !errors.Is(err, want) {
				t.Errorf("%v signed as an order and read as %s: %v", s, d, err)
			}
		}
		refused(t, s.String(), sign(t, s, 1), "", trust(s, 1, 1), cose.ErrDomain)
	}
	if _, err := cose.Sign(payload, "", signer(cose.Ed25519, 1)); !errors.Is(err, cose.ErrDomain) {
		t.Errorf("signed in no domain: %v", err)
	}
}

func TestPayloadBound(t *testing.T) {
	tr := trust(cose.Ed25519, 1, 1)
	for _, v := range []struct {
		max, size int
		want      error
	}{
		{0, cose.DefaultMaxPayload, nil},
		{0, cose.DefaultMaxPayload + 1, cose.ErrMalformed},
		{10, 10, nil},
		{10, 11, cose.ErrMalformed},
		{10, 1 << 20, cose.ErrMalformed},
		{-1, 0, cose.ErrMalformed},
		{1, 0, nil},
		{1 << 20, 1 << 20, nil},
	} {
		b, err := cose.Sign(make([]byte, v.size), domain, signer(cose.Ed25519, 1))
		if err != nil {
			t.Fatal(err)
		}
		tr.MaxPayload = v.max
		p, _, err := cose.Verify(b, domain, tr)
		if !errors.Is(err, v.want) || (err == nil) != (v.want == nil) || len(p) != v.size && err == nil {
			t.Errorf("%d bytes of %d: %v", v.size, v.max, err)
		}
	}
}
