package order_test

import (
	"crypto/sha256"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func of(authorities ...policy.Authority) *policy.Policy {
	return &policy.Policy{Authorities: authorities}
}

func TestKeyringRefuses(t *testing.T) {
	ed, p256, ml, hybrid, tpm := cose.Ed25519, cose.ESP256, cose.MLDSA65, cose.Ed25519MLDSA65, cose.ESP256MLDSA65
	bad := authority(ed, "a", 1, 1)
	bad.Keys[0].Public = bad.Keys[0].Public[:31]
	small := authority(ed, "a", 1, 1)
	small.Keys[0].Public = make([]byte, 32)
	other := authority(ed, "a", 1, 1)
	other.Suite = policy.ESP256
	unknown := authority(ed, "a", 1, 1)
	unknown.Suite = 6
	for name, p := range map[string]*policy.Policy{
		"nothing":                         nil,
		"key twice in one":                of(authority(ed, "a", 1, 1, 2, 1)),
		"key in two authorities":          of(authority(ed, "a", 1, 1), authority(ed, "b", 1, 2, 1)),
		"key in one that cannot sign":     of(authority(ed, "a", 0, 1), authority(ed, "b", 1, 1)),
		"classical half alone":            of(authority(hybrid, "a", 1, 1), authority(ed, "b", 1, 1)),
		"post-quantum half alone":         of(authority(ml, "a", 1, 1), authority(hybrid, "b", 1, 1)),
		"half of two hybrids":             of(authority(hybrid, "a", 1, 1), authority(tpm, "b", 1, 1)),
		"P-256 half alone":                of(authority(p256, "a", 1, 4), authority(tpm, "b", 1, 4)),
		"one authority twice":             of(authority(ed, "a", 1, 1), authority(ed, "a", 1, 2)),
		"short key":                       of(bad),
		"key of small order":              of(small),
		"key of another suite":            of(other),
		"unknown suite":                   of(unknown),
		"halves of two hybrids, in a row": of(mixed(1, 1), mixed(2, 1)),
	} {
		k, err := order.NewKeyring(p, nil)
		if k != nil || err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		refused(t, err, order.ErrKeys)
	}
	// The same seed in another algorithm is another key.
	keyring(t, of(authority(ed, "a", 1, 1), authority(p256, "b", 1, 1), authority(ml, "c", 1, 1)))
}

// mixed is a hybrid of two numbers.
func mixed(ed, ml byte) policy.Authority {
	a := authority(cose.Ed25519MLDSA65, string('a'+rune(ed)), 1, ed)
	copy(a.Keys[0].Public[32:], signer(cose.MLDSA65, ml).Public().Bytes())
	return a
}

func TestThreshold(t *testing.T) {
	one, two, three := signer(cose.Ed25519, 1), signer(cose.Ed25519, 2), signer(cose.Ed25519, 3)
	o := sampleOrder(t, order.Policy)
	for _, c := range []struct {
		threshold int
		who       []*cose.Signer
		err       error
	}{
		{1, []*cose.Signer{two}, nil},
		{2, []*cose.Signer{two}, order.ErrSignature},
		{2, []*cose.Signer{three, one}, nil},
		{2, []*cose.Signer{one, two, three}, nil},
		{3, []*cose.Signer{one, two}, order.ErrSignature},
		{3, []*cose.Signer{three, two, one}, nil},
		{4, []*cose.Signer{one, two, three}, order.ErrAuthority},
		{0, []*cose.Signer{one, two, three}, order.ErrAuthority},
		{-1, []*cose.Signer{one, two, three}, order.ErrAuthority},
	} {
		k := keyring(t, of(authority(cose.Ed25519, order.Owner, c.threshold, 1, 2, 3)))
		v, err := k.Open(sign(t, o, c.who...), device, epoch)
		if c.err != nil {
			refused(t, err, c.err)
			continue
		}
		if err != nil || len(v.Signers) != len(c.who) {
			t.Errorf("%d of %d: %v", c.threshold, len(c.who), err)
		}
	}
}

func TestRevoked(t *testing.T) {
	p := of(authority(cose.Ed25519, order.Owner, 2, 1, 2, 3), authority(cose.Ed25519, service, 1, 4))
	id := func(n byte) [32]byte { return signer(cose.Ed25519, n).Public().ID() }
	root := keyring(t, p).Root()
	k := keyring(t, p, id(3), id(4))
	if !k.Has(order.Owner) || k.Has(service) || k.Has("nobody") {
		t.Error("who can sign at all")
	}
	if !k.Holds(order.Owner, id(1)) || k.Holds(order.Owner, id(3)) || k.Holds(service, id(4)) || k.Holds(service, id(1)) || k.Holds("nobody", id(1)) {
		t.Error("who holds what")
	}
	if k.Root() != root {
		t.Error("a revoked key changes the root")
	}
	o := sampleOrder(t, order.Policy)
	mustOpen(t, k, sign(t, o, signer(cose.Ed25519, 1), signer(cose.Ed25519, 2)))
	_, err := k.Open(sign(t, o, signer(cose.Ed25519, 1), signer(cose.Ed25519, 3)), device, epoch)
	refused(t, err, order.ErrSignature)
	// Not even beside enough others.
	_, err = k.Open(sign(t, o, signer(cose.Ed25519, 1), signer(cose.Ed25519, 2), signer(cose.Ed25519, 3)), device, epoch)
	refused(t, err, order.ErrSignature)
	_, err = k.Open(sign(t, sampleOrder(t, order.Grant), signer(cose.Ed25519, 4)), device, epoch)
	refused(t, err, order.ErrAuthority)
	if k := keyring(t, p, id(2), id(3)); k.Has(order.Owner) {
		t.Error("one key of two suffices")
	}
}

func TestRoot(t *testing.T) {
	root := func(threshold int, s cose.Suite, numbers ...byte) [32]byte {
		return keyring(t, of(authority(s, order.Owner, threshold, numbers...))).Root()
	}
	seen := map[[32]byte]bool{{}: true}
	for _, r := range [][32]byte{
		root(1, cose.Ed25519, 1, 2), root(2, cose.Ed25519, 1, 2), root(1, cose.Ed25519, 1), root(1, cose.Ed25519, 2),
		root(1, cose.ESP256, 1), root(1, cose.Ed25519MLDSA65, 1), root(1, cose.Ed25519, 1, 3), root(1, cose.Ed25519, 2, 3),
	} {
		if seen[r] {
			t.Errorf("%x is there twice", r)
		}
		seen[r] = true
	}
	if root(2, cose.Ed25519, 1, 2, 3) != root(2, cose.Ed25519, 3, 1, 2) {
		t.Error("the order of keys counts")
	}
	none := [][32]byte{root(0, cose.Ed25519), root(3, cose.Ed25519, 1, 2), keyring(t, of(authority(cose.Ed25519, service, 1, 1))).Root(), new(order.Keyring).Root()}
	for i, r := range none {
		if r != [32]byte{} {
			t.Errorf("%d: a root of nobody", i)
		}
	}
}

func TestZeroKeyring(t *testing.T) {
	var k order.Keyring
	if k.Has(order.Owner) || k.Holds(order.Owner, [32]byte{}) {
		t.Error("the zero Keyring has somebody")
	}
	for _, kind := range kinds {
		_, err := k.Open(signed(t, cose.Ed25519, sampleOrder(t, kind)), device, epoch)
		refused(t, err, order.ErrAuthority)
	}
}

func TestDigestIsOfThePayload(t *testing.T) {
	o := sampleOrder(t, order.Policy)
	want := sha256.Sum256(marshal(t, o))
	k := ring(t, cose.Ed25519)
	msgs := [][]byte{
		sign(t, o, signer(cose.Ed25519, 1)),
		sign(t, o, signer(cose.Ed25519, 2)),
		sign(t, o, signer(cose.Ed25519, 2), signer(cose.Ed25519, 1)),
		forgedBatch(t, o, signer(cose.Ed25519, 1)),
		batchLeaf(t, 0, signer(cose.Ed25519, 3), o, sampleOrder(t, order.Lifecycle)),
	}
	for i, m := range msgs {
		if v := mustOpen(t, k, m); v.Digest != want {
			t.Errorf("%d: %x", i, v.Digest)
		}
	}
}
