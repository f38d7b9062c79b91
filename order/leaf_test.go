package order_test

import (
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// TestPathLength: a path that is a step too long or too short is none, whatever
// comes out of it.
func TestPathLength(t *testing.T) {
	for n := 1; n <= 20; n++ {
		var leaves [][32]byte
		for i := range n {
			leaves = append(leaves, leafHash([]byte{byte(i)}))
		}
		for i := range n {
			p := path(i, leaves)
			if _, ok := order.RootFrom(leaves[i], uint64(i), uint64(n), append(p, fill(1))); ok {
				t.Errorf("%d of %d: a step too many", i, n)
			}
			if len(p) == 0 {
				continue
			}
			if _, ok := order.RootFrom(leaves[i], uint64(i), uint64(n), p[:len(p)-1]); ok {
				t.Errorf("%d of %d: a step too few", i, n)
			}
		}
	}
}

// TestBatchPayload: what the owner signed in the domain of batches has to be a
// batch of this version.
func TestBatchPayload(t *testing.T) {
	k, owner := ring(t, cose.Ed25519), signer(cose.Ed25519, ownerKey)
	payload := marshal(t, sampleOrder(t, order.Keys))
	root := leafHash(payload)
	for _, c := range []struct {
		version, kind uint64
		ok            bool
	}{{1, 64, true}, {2, 64, false}, {0, 64, false}, {1, 3, false}, {1, 65, false}, {1, 320, false}} {
		b := cbor.AppendUint(append(cbor.AppendMap(nil, 4), 1), c.version)
		b = cbor.AppendUint(append(b, 2), c.kind)
		b = append(cbor.AppendBytes(append(b, 3), root[:]), 4, 1)
		_, err := k.Open(carry(sealed(t, b, cose.Batch, owner), payload, 0), device, epoch)
		if c.ok != (err == nil) {
			t.Errorf("version %d, kind %d: %v", c.version, c.kind, err)
		} else if err != nil {
			refused(t, err, order.ErrMalformed)
		}
	}
}
