package order_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/order"
)

// TestCosign: two of three owners sign the same order on machines of their own,
// from the payload alone or from what another has signed already, and whatever
// comes together is the same order.
func TestCosign(t *testing.T) {
	for _, s := range suites {
		k := keyring(t, of(authority(s, order.Owner, 2, 1, 2, 3)))
		o := sampleOrder(t, order.Transfer)
		payload := marshal(t, o)
		var name [32]byte
		for _, pair := range [][2]byte{{1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 3}, {3, 2}} {
			a, b := sign(t, o, signer(s, pair[0])), sealed(t, payload, cose.Order, signer(s, pair[1]))
			for _, msg := range [][]byte{merge(t, a, b), extend(t, a, signer(s, pair[1]))} {
				v := mustOpen(t, k, msg)
				if len(v.Signers) != 2 || name != [32]byte{} && v.Digest != name {
					t.Errorf("%v: %v: %d signers, digest %x", s, pair, len(v.Signers), v.Digest)
				}
				name = v.Digest
			}
			_, err := k.Open(a, device, epoch)
			refused(t, err, order.ErrSignature)
			// Merging what is there already adds nobody.
			_, err = k.Open(merge(t, a, a), device, epoch)
			refused(t, err, order.ErrSignature)
		}
	}
}

// TestCosignBatch: the same holds for what is signed of a batch.
func TestCosignBatch(t *testing.T) {
	k := keyring(t, of(authority(cose.Ed25519, order.Owner, 2, 1, 2, 3)))
	orders := fleet(7)
	b, err := order.NewBatch(orders)
	if err != nil {
		t.Fatal(err)
	}
	one := sealed(t, b.Payload(), cose.Batch, signer(cose.Ed25519, 3))
	two := sealed(t, b.Payload(), cose.Batch, signer(cose.Ed25519, 1))
	leaf, err := b.Leaf(merge(t, one, two), 4)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := k.Open(leaf, orders[4].Device, epoch); err != nil || len(v.Signers) != 2 {
		t.Error(err)
	}
}

func parse(t testing.TB, msg []byte) *cose.Envelope {
	t.Helper()
	e, err := cose.Parse(msg, order.MaxMessage)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func merge(t testing.TB, a, b []byte) []byte {
	t.Helper()
	e := parse(t, a)
	if err := e.Merge(parse(t, b)); err != nil {
		t.Fatal(err)
	}
	return marshal(t, e)
}

func extend(t testing.TB, a []byte, s *cose.Signer) []byte {
	t.Helper()
	e := parse(t, a)
	if err := e.Add(cose.Order, s); err != nil {
		t.Fatal(err)
	}
	return marshal(t, e)
}

// TestDetached: the bytes to be signed are printed, openssl signs them with a key
// that this process does not have in its hands, and the signature comes back.
func TestDetached(t *testing.T) {
	openssl := testdeps.Program(t, "openssl")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("genpkey", "-algorithm", "ed25519", "-out", file("key.pem"))
	run("pkey", "-in", file("key.pem"), "-pubout", "-out", file("pub.pem"))
	raw := publicKey(t, file("pub.pem"))
	key, err := cose.ParsePublicKey(cose.Ed25519, raw)
	if err != nil {
		t.Fatal(err)
	}

	o := sampleOrder(t, order.Policy)
	e := cose.New(marshal(t, o))
	tbs, err := e.ToBeSigned(cose.Order, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("tbs"), tbs[0], 0o600); err != nil {
		t.Fatal(err)
	}
	run("pkeyutl", "-sign", "-rawin", "-inkey", file("key.pem"), "-in", file("tbs"), "-out", file("sig"))
	sig, err := os.ReadFile(file("sig"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Attach(cose.Order, key, sig); err != nil {
		t.Fatal(err)
	}
	p := of(authority(cose.Ed25519, order.Owner, 1, 1))
	p.Authorities[0].Keys[0].Public = raw
	if v := mustOpen(t, keyring(t, p), marshal(t, e)); v.Signers[0] != key.ID() {
		t.Errorf("signed by %x", v.Signers)
	}
}

func publicKey(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PublicKey)
}

// Detached signing: a key that cannot be asked from here signs what ToBeSigned
// returns, and Attach brings the signature back.
func ExampleOrder_detached() {
	o := &order.Order{Kind: order.Keys, Device: device, Epoch: epoch, Authority: order.Owner,
		Fresh: order.Fresh{Counter: 43}, Body: &order.KeysBody{Revoke: [][32]byte{fill(7)}}}
	payload, err := o.MarshalBinary()
	if err != nil {
		panic(err)
	}
	key := signer(cose.Ed25519, ownerKey).Public()
	e := cose.New(payload)
	tbs, err := e.ToBeSigned(cose.Order, key) // one per half of the key
	if err != nil {
		panic(err)
	}
	signature, err := private(cose.AlgEd25519, ownerKey).Sign(nil, tbs[0], noHash) // elsewhere
	if err != nil {
		panic(err)
	}
	if err := e.Attach(cose.Order, key, signature); err != nil {
		panic(err)
	}
	msg, err := e.MarshalBinary()
	fmt.Println(len(msg) > len(payload), err)
	// Output: true <nil>
}
