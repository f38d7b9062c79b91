package order

import (
	"bytes"
	"fmt"
	"math"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

const (
	// MaxBatch is how many orders a batch may hold.
	MaxBatch = 1 << 24

	maxPath         = 24 // of a tree of MaxBatch leaves
	maxBatchPayload = 64
)

// BatchOf is many orders that the owner signs at once. It may be used concurrently.
// The zero BatchOf is empty and has no leaf.
type BatchOf struct {
	orders  []*Order
	tree    tree
	payload []byte
}

// NewBatch hashes orders of the owner, 1 … [MaxBatch] of them. It keeps them, 64
// bytes for each beside; they must not change. Sign [BatchOf.Payload] in domain
// [cose.Batch], and [BatchOf.Leaf] makes what each device gets of it.
func NewBatch(orders []*Order) (*BatchOf, error) {
	if len(orders) < 1 || len(orders) > MaxBatch {
		return nil, refuse(ErrMalformed, "%d orders: %w", len(orders), errLimit)
	}
	leaves := make([]hash, 0, len(orders))
	for i, o := range orders {
		payload, err := marshalLeaf(o)
		if err != nil {
			return nil, fmt.Errorf("order %d: %w", i, err)
		}
		leaves = append(leaves, leafHash(payload))
	}
	b := &BatchOf{orders: orders, tree: newTree(leaves)}
	root := b.tree.root()
	p := cbor.AppendMap(nil, 4)
	p = cbor.AppendInt(cbor.AppendInt(p, keyVersion), formatVersion)
	p = cbor.AppendUint(cbor.AppendInt(p, keyKind), uint64(Batch))
	p = cbor.AppendBytes(cbor.AppendInt(p, keyRoot), root[:])
	b.payload = cbor.AppendUint(cbor.AppendInt(p, keyCount), uint64(len(orders)))
	return b, nil
}

// marshalLeaf refuses what no device would open.
func marshalLeaf(o *Order) ([]byte, error) {
	if o == nil {
		return nil, refuse(ErrMalformed, "there is none")
	}
	payload, err := o.MarshalBinary()
	if err == nil && !(MaySign(o.Authority, Batch) && MaySign(o.Authority, o.Kind)) {
		return nil, refuse(ErrAuthority, "%q does not sign %v in a batch", o.Authority, o.Kind)
	}
	return payload, err
}

// Payload returns what the owner signs, in domain [cose.Batch].
func (b *BatchOf) Payload() []byte { return bytes.Clone(b.payload) }

// Len is the number of orders.
func (b *BatchOf) Len() int { return len(b.orders) }

// Leaf returns the message for the device of order i; signed is the envelope of
// Payload. It verifies no signature. ErrMalformed if signed is of something else,
// order i has changed or the message is longer than MaxMessage.
func (b *BatchOf) Leaf(signed []byte, i int) ([]byte, error) {
	if i < 0 || i >= len(b.orders) {
		return nil, refuse(ErrMalformed, "no order %d", i)
	}
	e, err := cose.Parse(signed, maxBatchPayload)
	if err != nil {
		return nil, refuseCOSE(err, ErrSignature)
	}
	if !bytes.Equal(e.Payload(), b.payload) {
		return nil, refuse(ErrMalformed, "the envelope is of something else")
	}
	payload, err := marshalLeaf(b.orders[i])
	if err != nil {
		return nil, err
	}
	if leafHash(payload) != b.tree[0][i] {
		return nil, refuse(ErrMalformed, "order %d has changed", i)
	}
	path := b.tree.path(i)
	m := cbor.AppendArray(make([]byte, 0, 32+len(signed)+len(payload)+34*len(path)), 4)
	m = cbor.AppendBytes(cbor.AppendBytes(m, signed), payload)
	m = cbor.AppendArray(cbor.AppendUint(m, uint64(i)), len(path))
	for j := range path {
		m = cbor.AppendBytes(m, path[j][:])
	}
	if len(m) > MaxMessage {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(m), errLimit)
	}
	return m, nil
}

// leaf is where in a batch an order stands.
type leaf struct {
	root         hash
	index, count uint64
	path         [maxPath]hash
	steps        int
}

// holds tells whether payload is that leaf.
func (l *leaf) holds(payload []byte) bool {
	root, ok := rootFrom(leafHash(payload), l.index, l.count, l.path[:l.steps])
	return ok && root == l.root
}

// readLeaf reads [envelope, payload, index, path] and what was signed.
func (c *carried) readLeaf(msg []byte) error {
	l := new(leaf)
	d := newDecoder(msg)
	d.ArrayOf(4)
	c.envelope = d.Bytes(MaxMessage)
	c.payload = d.Bytes(MaxMessage)
	l.index = d.UintMax(MaxBatch - 1)
	l.steps = d.Array(maxPath)
	for i := range l.steps {
		l.path[i] = d.digest()
	}
	if err := d.done(); err != nil {
		return err
	}
	e, err := cose.Parse(c.envelope, maxBatchPayload)
	if err != nil {
		return refuseCOSE(err, ErrSignature)
	}
	if err := l.readSigned(e.Payload()); err != nil {
		return err
	}
	if l.index >= l.count {
		return refuse(ErrMalformed, "leaf %d of %d", l.index, l.count)
	}
	c.batch = l
	return nil
}

func (l *leaf) readSigned(payload []byte) error {
	d := newDecoder(payload)
	d.object(&batchObject, func(key int64) {
		switch key {
		case keyVersion:
			d.refuse(d.Uint() == formatVersion, errVersion)
		case keyKind:
			d.refuse(d.UintMax(math.MaxUint8) == uint64(Batch), errKind)
		case keyRoot:
			l.root = d.digest()
		case keyCount:
			l.count = d.nonzero(MaxBatch)
		}
	})
	return d.done()
}
