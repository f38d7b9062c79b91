package order_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// batchLeaf is leaf i of a batch of orders.
func batchLeaf(t testing.TB, i int, who *cose.Signer, orders ...*order.Order) []byte {
	t.Helper()
	b, err := order.NewBatch(orders)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Leaf(sealed(t, b.Payload(), cose.Batch, who), i)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// forgedBatch is a batch of one order, made by hand, so that nobody asks whose
// it is.
func forgedBatch(t testing.TB, o *order.Order, who *cose.Signer) []byte {
	t.Helper()
	payload := marshal(t, o)
	root := leafHash(payload)
	return carry(sealed(t, batchPayload(root[:], 1), cose.Batch, who), payload, 0)
}

func batchPayload(root []byte, count uint64) []byte {
	b := append(cbor.AppendMap(nil, 4), 1, 1, 2, 24, 64, 3)
	return cbor.AppendUint(append(cbor.AppendBytes(b, root), 4), count)
}

func carry(envelope, payload []byte, index uint64, path ...[32]byte) []byte {
	b := cbor.AppendBytes(cbor.AppendBytes(cbor.AppendArray(nil, 4), envelope), payload)
	b = cbor.AppendArray(cbor.AppendUint(b, index), len(path))
	for _, p := range path {
		b = cbor.AppendBytes(b, p[:])
	}
	return b
}

// fleet is orders for n devices.
func fleet(n int) (orders []*order.Order) {
	for i := range n {
		o := &order.Order{Kind: order.Keys, Device: order.DeviceID{0: 1}, Epoch: epoch, Authority: order.Owner,
			Fresh: order.Fresh{Counter: 1}, Body: &order.KeysBody{Revoke: [][32]byte{fill(9)}}}
		binary.BigEndian.PutUint64(o.Device[24:], uint64(i))
		orders = append(orders, o)
	}
	return orders
}

func TestBatch(t *testing.T) {
	k, owner := ring(t, cose.Ed25519), signer(cose.Ed25519, 2)
	for n := 1; n <= 33; n++ {
		orders := fleet(n)
		b, err := order.NewBatch(orders)
		if err != nil || b.Len() != n {
			t.Fatalf("%d orders: %v", n, err)
		}
		env := sealed(t, b.Payload(), cose.Batch, owner)
		for i, o := range orders {
			m, err := b.Leaf(env, i)
			if err != nil {
				t.Fatal(err)
			}
			v, err := k.Open(m, o.Device, epoch)
			if err != nil || !reflect.DeepEqual(&v.Order, o) || !v.Batch || len(v.Signers) != 1 || v.Signers[0] != owner.Public().ID() {
				t.Fatalf("%d of %d: %+v, %v", i, n, v, err)
			}
			_, err = k.Open(m, orders[(i+1)%n].Device, epoch)
			if n > 1 {
				refused(t, err, order.ErrForeign)
			}
		}
	}
}

// TestBatchOfAll: each kind that the owner signs comes in a batch as well.
func TestBatchOfAll(t *testing.T) {
	var orders []*order.Order
	for _, k := range kinds {
		if order.MaySign(order.Owner, k) {
			o := sampleOrder(t, k)
			o.Authority = order.Owner
			orders = append(orders, o)
		}
	}
	for _, s := range suites {
		for i, o := range orders {
			v, err := ring(t, s).Open(batchLeaf(t, i, signer(s, ownerKey), orders...), device, epoch)
			if err != nil || !reflect.DeepEqual(&v.Order, o) {
				t.Errorf("%v: %v: %v", s, o.Kind, err)
			}
		}
	}
	v, _, _, err := order.OpenPolicy(batchLeaf(t, 1, signer(cose.Ed25519, ownerKey), orders...), device)
	if err != nil || !v.Batch {
		t.Errorf("policy in a batch: %v", err)
	}
}

func TestBatchRefuses(t *testing.T) {
	owner := signer(cose.Ed25519, ownerKey)
	orders := fleet(5)
	b, err := order.NewBatch(orders)
	if err != nil {
		t.Fatal(err)
	}
	env := sealed(t, b.Payload(), cose.Batch, owner)
	other, err := order.NewBatch(fleet(4))
	if err != nil {
		t.Fatal(err)
	}
	for name, leaf := range map[string]func() ([]byte, error){
		"negative":     func() ([]byte, error) { return b.Leaf(env, -1) },
		"behind":       func() ([]byte, error) { return b.Leaf(env, 5) },
		"no envelope":  func() ([]byte, error) { return b.Leaf(env[1:], 0) },
		"other's":      func() ([]byte, error) { return other.Leaf(env, 0) },
		"of zero":      func() ([]byte, error) { return new(order.BatchOf).Leaf(env, 0) },
		"none":         func() ([]byte, error) { _, err := order.NewBatch(nil); return nil, err },
		"nil order":    func() ([]byte, error) { _, err := order.NewBatch([]*order.Order{nil}); return nil, err },
		"without body": func() ([]byte, error) { _, err := order.NewBatch([]*order.Order{{}}); return nil, err },
		"too many": func() ([]byte, error) {
			_, err := order.NewBatch(make([]*order.Order, order.MaxBatch+1))
			return nil, err
		},
		"changed since": func() ([]byte, error) { orders[3].Epoch++; return b.Leaf(env, 3) },
		"spoilt since":  func() ([]byte, error) { orders[4].Body = nil; return b.Leaf(env, 4) },
	} {
		m, err := leaf()
		if m != nil || err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		refused(t, err, order.ErrMalformed)
	}
	o := sampleOrder(t, order.Thaw)
	_, err = order.NewBatch([]*order.Order{o})
	refused(t, err, order.ErrAuthority)
	o.Authority = order.Owner
	_, err = order.NewBatch([]*order.Order{o})
	refused(t, err, order.ErrAuthority)

	// A leaf that would not fit into a message.
	o = sampleOrder(t, order.Transfer)
	o.Body = &order.TransferBody{Policy: make([]byte, order.MaxMessage-150)}
	if b, err = order.NewBatch([]*order.Order{o}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Leaf(sealed(t, b.Payload(), cose.Batch, owner), 0)
	refused(t, err, order.ErrMalformed)
}

// TestBatchForged: what an attacker can build from a batch that was signed.
func TestBatchForged(t *testing.T) {
	k, owner := ring(t, cose.Ed25519), signer(cose.Ed25519, ownerKey)
	evil := sampleOrder(t, order.Keys)
	payload, good := marshal(t, evil), sampleOrder(t, order.Policy)
	leaf, sibling := leafHash(marshal(t, good)), leafHash([]byte("sibling"))
	root := nodeHash(leaf, sibling)
	env := sealed(t, batchPayload(root[:], 2), cose.Batch, owner)
	open := func(m []byte) error { _, err := k.Open(m, device, epoch); return err }
	if err := open(carry(env, marshal(t, good), 0, sibling)); err != nil {
		t.Fatal(err)
	}
	inner := append(append([]byte{}, leaf[:]...), sibling[:]...)
	for name, c := range map[string]struct {
		msg []byte
		err error
	}{
		"another payload":          {carry(env, payload, 0, sibling), order.ErrSignature},
		"on the other side":        {carry(env, marshal(t, good), 1, sibling), order.ErrSignature},
		"index at count":           {carry(env, marshal(t, good), 2, sibling), order.ErrMalformed},
		"index of 2^24":            {carry(env, marshal(t, good), 1<<24, sibling), order.ErrMalformed},
		"no path":                  {carry(env, marshal(t, good), 0), order.ErrSignature},
		"long path":                {carry(env, marshal(t, good), 0, sibling, sibling), order.ErrSignature},
		"path of 25":               {carry(env, marshal(t, good), 0, make([][32]byte, 25)...), order.ErrMalformed},
		"a node as a leaf":         {carry(env, inner, 0), order.ErrMalformed},
		"the batch as its leaf":    {carry(env, batchPayload(root[:], 2), 0, sibling), order.ErrMalformed},
		"signed as an order":       {carry(sealed(t, batchPayload(root[:], 2), cose.Order, owner), marshal(t, good), 0, sibling), order.ErrSignature},
		"an order's signature":     {carry(sign(t, good, owner), marshal(t, good), 0, sibling), order.ErrMalformed},
		"batch payload as order":   {env, order.ErrMalformed},
		"order signed as a batch":  {sealed(t, marshal(t, good), cose.Batch, owner), order.ErrSignature},
		"signed by operations":     {carry(sealed(t, batchPayload(root[:], 2), cose.Batch, signer(cose.Ed25519, operationsKey)), marshal(t, good), 0, sibling), order.ErrSignature},
		"count 0":                  {carry(sealed(t, batchPayload(root[:], 0), cose.Batch, owner), marshal(t, good), 0), order.ErrMalformed},
		"count above 2^24":         {carry(sealed(t, batchPayload(root[:], 1<<24+1), cose.Batch, owner), marshal(t, good), 0, sibling), order.ErrMalformed},
		"count that hides a level": {carry(sealed(t, batchPayload(root[:], 3), cose.Batch, owner), marshal(t, good), 0, sibling), order.ErrSignature},
		"short root":               {carry(sealed(t, batchPayload(root[:31], 2), cose.Batch, owner), marshal(t, good), 0, sibling), order.ErrMalformed},
		"behind the leaf":          {append(carry(env, marshal(t, good), 0, sibling), 0), order.ErrMalformed},
	} {
		err := open(c.msg)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if oneKind(t, err); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBatchMillion: a large batch costs its tree, and a leaf of it is as long
// as its path.
func TestBatchMillion(t *testing.T) {
	n := 1 << 16
	orders := fleet(n)
	b, err := order.NewBatch(orders)
	if err != nil {
		t.Fatal(err)
	}
	env := sealed(t, b.Payload(), cose.Batch, signer(cose.Ed25519, ownerKey))
	for _, i := range []int{0, 1, n/2 - 1, n - 1} {
		m, err := b.Leaf(env, i)
		if err != nil || len(m) > len(env)+300+34*16 {
			t.Fatalf("%d bytes, %v", len(m), err)
		}
		if _, err := ring(t, cose.Ed25519).Open(m, orders[i].Device, epoch); err != nil {
			t.Error(err)
		}
	}
}

func ExampleBatchOf() {
	// The owner's keys are offline; the payload goes there, the envelope comes
	// back, and each device gets its leaf.
	owner := signer(cose.Ed25519, ownerKey)
	orders := fleet(1000)
	b, err := order.NewBatch(orders)
	if err != nil {
		panic(err)
	}
	envelope, err := cose.Sign(b.Payload(), cose.Batch, owner)
	if err != nil {
		panic(err)
	}
	leaf, err := b.Leaf(envelope, 617)
	if err != nil {
		panic(err)
	}
	k, err := order.NewKeyring(sample(cose.Ed25519), nil)
	if err != nil {
		panic(err)
	}
	v, err := k.Open(leaf, orders[617].Device, epoch)
	fmt.Println(v.Kind, v.Batch, err)
	_, err = k.Open(leaf, orders[618].Device, epoch)
	fmt.Println(errors.Is(err, order.ErrForeign))
	// Output:
	// keys true <nil>
	// true
}
