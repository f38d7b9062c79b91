package order_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// fixed signs the same each time: with no randomness all three algorithms are
// deterministic (RFC 8032, RFC 6979, FIPS 204).
type fixed struct{ crypto.Signer }

func (f fixed) Sign(_ io.Reader, b []byte, o crypto.SignerOpts) ([]byte, error) {
	return f.Signer.Sign(nil, b, o)
}

// private is the key of an algorithm and a number: its seed, or its scalar, is
// 32 bytes of that number.
func private(a cose.Alg, n byte) crypto.Signer {
	seed := [32]byte(bytes.Repeat([]byte{n}, 32))
	switch a {
	case cose.AlgEd25519:
		return ed25519.NewKeyFromSeed(seed[:])
	case cose.AlgESP256:
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			panic(err)
		}
		return k
	}
	return cose.NewMLDSA65(&seed)
}

// noHash has Ed25519 sign the message itself.
const noHash = crypto.Hash(0)

var signers sync.Map

// signer makes the signer of all halves of number n.
func signer(s cose.Suite, n byte) *cose.Signer {
	type id struct {
		s cose.Suite
		n byte
	}
	if x, ok := signers.Load(id{s, n}); ok {
		return x.(*cose.Signer)
	}
	var halves []crypto.Signer
	for _, a := range s.Algs() {
		halves = append(halves, fixed{private(a, n)})
	}
	x, err := cose.NewSigner(s, halves...)
	if err != nil {
		panic(err)
	}
	signers.Store(id{s, n}, x)
	return x
}

// Numbers of keys: the owner has 1, 2 and 3, of which one suffices, and each
// other authority one.
const (
	ownerKey = 1 + iota
	_
	_
	operationsKey
	vendorKey
	platformKey
	serviceKey
	strangerKey
)

const service = "service" // a plain named authority

var keyOf = map[string]byte{
	order.Owner: ownerKey, order.Operations: operationsKey, order.Vendor: vendorKey,
	order.Platform: platformKey, service: serviceKey,
}

func authority(s cose.Suite, name string, threshold int, numbers ...byte) policy.Authority {
	a := policy.Authority{Name: name, Suite: policy.Suite(s), Threshold: threshold}
	for _, n := range numbers {
		a.Keys = append(a.Keys, policy.Key{Public: signer(s, n).Public().Bytes()})
	}
	return a
}

// sample is a policy of every role.
func sample(s cose.Suite) *policy.Policy {
	return &policy.Policy{
		Name: "sample", Version: 7,
		Memory: policy.Memory{Size: 64 << 10, Granule: 4 << 10},
		Map: []policy.Region{{ID: 1, Name: "boot", Span: nvm.Span{Len: 16 << 10}, Boot: true,
			Access: policy.Access{Read: policy.Rule{Mode: policy.Any}}}},
		Authorities: []policy.Authority{
			authority(s, order.Owner, 1, ownerKey, 2, 3),
			authority(s, order.Operations, 1, operationsKey),
			authority(s, order.Vendor, 1, vendorKey),
			authority(s, order.Platform, 1, platformKey),
			authority(s, service, 1, serviceKey),
		},
	}
}

func keyring(t testing.TB, p *policy.Policy, revoked ...[32]byte) *order.Keyring {
	t.Helper()
	k, err := order.NewKeyring(p, revoked)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var rings sync.Map

// ring is the keyring of the sample of a suite.
func ring(t testing.TB, s cose.Suite) *order.Keyring {
	t.Helper()
	if k, ok := rings.Load(s); ok {
		return k.(*order.Keyring)
	}
	k := keyring(t, sample(s))
	rings.Store(s, k)
	return k
}

// The device and owner epoch of the samples.
var device = order.DeviceID(bytes.Repeat([]byte{0xd1}, 32))

const epoch = 3

// fill is 32 bytes of one value, the stand-in for a digest.
func fill(b byte) [32]byte { return [32]byte(bytes.Repeat([]byte{b}, 32)) }

func policyBytes(t testing.TB, p *policy.Policy) []byte {
	t.Helper()
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// kinds are the kinds of orders.
var kinds = []order.Kind{
	order.Grant, order.Policy, order.Keys, order.Lifecycle, order.Thaw, order.Install, order.Confirm,
	order.Transfer, order.Recover, order.Void, order.Challenge, order.Heartbeat, order.Time,
}

// body is a sample of each kind; what has a policy inside has that of suite 1.
func body(t testing.TB, k order.Kind) order.Body {
	t.Helper()
	switch k {
	case order.Grant:
		return &order.GrantBody{Region: 1, Ops: order.OpWrite | order.OpErase, Off: 4096, Len: 8192, Bytes: 8192, Erases: 2, Uptime: 600,
			Digests: [][32]byte{fill(1), fill(2)}}
	case order.Policy:
		return &order.PolicyBody{Policy: policyBytes(t, sample(cose.Ed25519))}
	case order.Keys:
		return &order.KeysBody{Revoke: [][32]byte{fill(3), fill(4)}}
	case order.Lifecycle:
		return &order.LifecycleBody{State: uint8(policy.RMA)}
	case order.Thaw:
		return &order.ThawBody{}
	case order.Install:
		return &order.InstallBody{Region: 1, Manifest: fill(5)}
	case order.Confirm:
		return &order.ConfirmBody{Region: 1, Manifest: fill(5), Boot: [16]byte{15: 6}}
	case order.Transfer:
		return &order.TransferBody{Policy: nested(t)}
	case order.Recover:
		return &order.RecoverBody{Policy: nested(t), State: uint8(policy.Deployed),
			Usage: []order.RegionUsage{{Region: 1, Erases: 10, Allowed: 100, Rounds: 1, Mark: 4096, Sealed: true}, {Region: 2}}}
	case order.Void:
		return &order.VoidBody{Authority: order.Operations, Class: order.ClassOperate, To: 1000}
	case order.Challenge:
		return &order.LiveBody{Nonce: []byte("8 bytes.")}
	case order.Heartbeat:
		return &order.LiveBody{}
	case order.Time:
		return &order.TimeBody{Unix: 1800000000}
	}
	t.Fatalf("no body for %v", k)
	return nil
}

// nested is a policy order for the next owner epoch.
func nested(t testing.TB) []byte {
	t.Helper()
	o := sampleOrder(t, order.Policy)
	o.Epoch++
	return sign(t, o, signer(cose.Ed25519, ownerKey))
}

// signerOf is the first authority of the table that may sign a kind.
func signerOf(k order.Kind) string {
	for _, a := range []string{order.Owner, order.Operations, order.Vendor, order.Platform} {
		if order.MaySign(a, k) && k != order.Grant {
			return a
		}
	}
	return service
}

// sampleOrder is an order of kind k that the sample's device opens.
func sampleOrder(t testing.TB, k order.Kind) *order.Order {
	t.Helper()
	o := &order.Order{Kind: k, Device: device, Epoch: epoch, Authority: signerOf(k), Body: body(t, k)}
	freshen(o)
	return o
}

func freshen(o *order.Order) {
	o.Fresh = order.Fresh{Counter: 42}
	if o.Kind.Opening() {
		c := fill(0xc4)
		o.Fresh = order.Fresh{Challenge: c[:]}
	}
}

func sign(t testing.TB, o *order.Order, who ...*cose.Signer) []byte {
	t.Helper()
	b, err := order.Sign(o, who...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signed is o signed by the key of its authority.
func signed(t testing.TB, s cose.Suite, o *order.Order) []byte {
	t.Helper()
	return sign(t, o, signer(s, keyOf[o.Authority]))
}

func marshal(t testing.TB, o interface{ MarshalBinary() ([]byte, error) }) []byte {
	t.Helper()
	b, err := o.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var refusals = []error{
	order.ErrMalformed, order.ErrForeign, order.ErrEpoch, order.ErrAuthority, order.ErrSignature,
	order.ErrKeys, order.ErrUnverified, order.ErrNonce,
}

// refused: err matches want, and nothing else of the declared errors.
func refused(t testing.TB, err, want error) {
	t.Helper()
	oneKind(t, err)
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func oneKind(t testing.TB, err error) {
	t.Helper()
	n := 0
	for _, r := range refusals {
		if errors.Is(err, r) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%v matches %d errors", err, n)
	}
}

// mustOpen opens msg for the sample's device.
func mustOpen(t testing.TB, k *order.Keyring, msg []byte) *order.Verified {
	t.Helper()
	v, err := k.Open(msg, device, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sealed signs raw bytes as an order, whatever they are.
func sealed(t testing.TB, payload []byte, d cose.Domain, who ...*cose.Signer) []byte {
	t.Helper()
	b, err := cose.Sign(payload, d, who...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return b
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
