package order_test

import (
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

// TestOwnerFirst: of the keys in a policy that nobody has verified only the
// owner's are parsed.
func TestOwnerFirst(t *testing.T) {
	p := sample(cose.Ed25519)
	p.Authorities[4].Keys[0].Public = make([]byte, 32) // of small order
	o := sampleOrder(t, order.Policy)
	o.Body = &order.PolicyBody{Policy: policyBytes(t, p)}
	for n, want := range map[byte]error{strangerKey: order.ErrSignature, ownerKey: order.ErrKeys} {
		_, _, _, err := order.OpenPolicy(sign(t, o, signer(cose.Ed25519, n)), device)
		refused(t, err, want)
	}
}

// TestNonceIsWhole: a nonce that begins like the one that was asked with is
// another.
func TestNonceIsWhole(t *testing.T) {
	r := sampleReport(cose.Ed25519)
	msg, key := signReport(t, cose.Ed25519, r), signer(cose.Ed25519, deviceKey).Public()
	for _, nonce := range [][]byte{{}, r.Nonce[:8], r.Nonce[:len(r.Nonce)-1], append(r.Nonce[:len(r.Nonce):len(r.Nonce)], 0)} {
		refused(t, second(order.OpenReport(msg, key, nonce)), order.ErrNonce)
	}
}
