package order_test

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

var suites = []cose.Suite{cose.Ed25519, cose.ESP256, cose.MLDSA65, cose.Ed25519MLDSA65, cose.ESP256MLDSA65}

func TestOpen(t *testing.T) {
	for _, s := range suites {
		for _, k := range kinds {
			o := sampleOrder(t, k)
			o.NotAfter = 1900000000
			v, err := ring(t, s).Open(signed(t, s, o), device, epoch)
			if err != nil {
				t.Errorf("%v: %v: %v", s, k, err)
				continue
			}
			if !reflect.DeepEqual(v.Order, *o) {
				t.Errorf("%v: %v: got %+v", s, k, v.Order)
			}
			id := signer(s, keyOf[o.Authority]).Public().ID()
			if v.Digest != sha256.Sum256(marshal(t, o)) || len(v.Signers) != 1 || v.Signers[0] != id || v.Batch {
				t.Errorf("%v: %v: digest %x signers %x batch %v", s, k, v.Digest, v.Signers, v.Batch)
			}
		}
	}
}

func TestOpenPolicy(t *testing.T) {
	for _, s := range suites {
		p := sample(s)
		o := sampleOrder(t, order.Policy)
		o.Body = &order.PolicyBody{Policy: policyBytes(t, p)}
		v, q, k, err := order.OpenPolicy(signed(t, s, o), device)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(v.Order, *o) || !reflect.DeepEqual(p, q) || k.Root() != ring(t, s).Root() || k.Root() == [32]byte{} {
			t.Errorf("%v: %+v", s, v)
		}
		mustOpen(t, k, signed(t, s, sampleOrder(t, order.Grant)))
	}
}
