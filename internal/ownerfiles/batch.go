package ownerfiles

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/nanolock/nanolock/order"
)

// Batch is many orders of the owner that one signature is for.
type Batch struct {
	of     *order.BatchOf
	orders []*Message
}

// NewBatch makes a batch of orders that nobody has signed. They are put in order
// of device and digest, so that the same files make the same batch whatever names
// they have. Two orders that are the same are refused.
func NewBatch(orders []*Message) (*Batch, error) {
	sorted := slices.Clone(orders)
	for _, m := range sorted {
		if m.Batch() || m.Signed() {
			return nil, refuse(ErrSigned, "%v is a batch, or signed already", m)
		}
	}
	slices.SortFunc(sorted, func(a, b *Message) int {
		da, db := a.Digest(), b.Digest()
		return cmp.Or(bytes.Compare(a.Order.Device[:], b.Order.Device[:]), bytes.Compare(da[:], db[:]))
	})
	bare := make([]*order.Order, 0, len(sorted))
	for i, m := range sorted {
		if i > 0 && m.Digest() == sorted[i-1].Digest() {
			return nil, refuse(ErrOther, "%v is there twice", m)
		}
		bare = append(bare, m.Order)
	}
	of, err := order.NewBatch(bare)
	if err != nil {
		return nil, err
	}
	return &Batch{of, sorted}, nil
}

// Message is what the owner signs.
func (b *Batch) Message() (*Message, error) { return Parse(b.of.Payload()) }

// Orders are those of the batch, in its order.
func (b *Batch) Orders() []*Message { return b.orders }

// Matches tells whether m is this batch, signed or not.
func (b *Batch) Matches(m *Message) bool { return m.Batch() && bytes.Equal(m.Payload, b.of.Payload()) }

// Leaf returns what the device of order i gets; signed is the batch as signed.
func (b *Batch) Leaf(signed *Message, i int) ([]byte, error) {
	if !b.Matches(signed) {
		return nil, refuse(ErrOther, "it is %v, and these are not its orders", signed)
	}
	if !signed.Signed() {
		return nil, refuse(ErrUnsigned, "the batch has to be signed first")
	}
	raw, err := signed.Bytes()
	if err != nil {
		return nil, err
	}
	return b.of.Leaf(raw, i)
}
