package ownerfiles

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// Message is an order file: a payload that nobody has signed, an envelope with
// signatures, the same of a batch, or what one device gets of a batch. The first
// byte tells which. Nothing in it is verified; see [Message.Check].
type Message struct {
	Payload []byte       // of the order; of the batch if Order is nil
	Order   *order.Order // nil: a batch
	Root    [32]byte     // of a batch
	Count   uint64       // orders in it
	Leaf    *Leaf        // not nil: one order of a batch, as a device gets it

	raw      []byte
	envelope *cose.Envelope // nil: nobody has signed
}

// Leaf says where in its batch an order stands.
type Leaf struct {
	Index  uint64
	Signed *Message // the batch
}

// maxBatchPayload is more than what is signed of a batch.
const maxBatchPayload = 64

// Parse reads an order file of at most order.MaxMessage bytes. It keeps b.
func Parse(b []byte) (*Message, error) {
	if len(b) > order.MaxMessage {
		return nil, refuse(ErrMalformed, "%d bytes are more than %d", len(b), order.MaxMessage)
	}
	m := &Message{raw: b, Payload: b}
	switch cbor.NewDecoder(b).Peek() {
	case cbor.Map:
		return m, m.read()
	case cbor.Tag:
		e, err := cose.Parse(b, order.MaxMessage)
		if err != nil {
			return nil, refuse(ErrMalformed, "%w", err)
		}
		m.envelope, m.Payload = e, e.Payload()
		return m, m.read()
	case cbor.Array:
		return m, m.readLeaf()
	}
	return nil, refuse(ErrMalformed, "it begins with none of what orders begin with")
}

// read reads the payload.
func (m *Message) read() (err error) {
	if m.Root, m.Count, err = parseBatch(m.Payload); err == nil {
		return nil
	}
	if m.Order, err = order.Parse(m.Payload); err != nil {
		return refuse(ErrMalformed, "%w", err)
	}
	return nil
}

// readLeaf reads [envelope, payload, index, path].
func (m *Message) readLeaf() error {
	o, err := order.Peek(m.raw)
	if err != nil {
		return refuse(ErrMalformed, "%w", err)
	}
	d := cbor.NewDecoder(m.raw)
	d.ArrayOf(4)
	envelope := d.Bytes(order.MaxMessage)
	m.Payload = d.Bytes(order.MaxMessage)
	l := &Leaf{Index: d.Uint()}
	if d.Err() != nil {
		return refuse(ErrMalformed, "%w", d.Err())
	}
	if l.Signed, err = Parse(envelope); err != nil {
		return err
	}
	m.Order, m.Leaf = o, l
	return nil
}

// parseBatch reads {1: 1, 2: 64, 3: root, 4: count}; docs/wire/order.cddl.
func parseBatch(b []byte) (root [32]byte, count uint64, err error) {
	if len(b) > maxBatchPayload {
		return root, 0, ErrMalformed
	}
	d := cbor.NewDecoder(b)
	d.Fields([]int64{1, 2, 3, 4}, func(key int64) bool {
		switch key {
		case 1:
			if d.Uint() != 1 {
				d.Fail(ErrMalformed)
			}
		case 2:
			if d.Uint() != uint64(order.Batch) {
				d.Fail(ErrMalformed)
			}
		case 3:
			copy(root[:], d.BytesOf(len(root)))
		case 4:
			count = d.UintMax(order.MaxBatch)
		default:
			return false
		}
		return true
	})
	return root, count, d.End()
}

// New is the file of an order that nobody has signed.
func New(o *order.Order) (*Message, error) {
	b, err := o.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return Parse(b)
}

// Bytes returns the file as it is now.
func (m *Message) Bytes() ([]byte, error) {
	if m.envelope == nil || m.Leaf != nil {
		return m.raw, nil
	}
	b, err := m.envelope.MarshalBinary()
	if err == nil && len(b) > order.MaxMessage {
		return nil, refuse(ErrSigned, "%d bytes are more than a device takes", len(b))
	}
	return b, err
}

// Signed tells whether anybody has signed it.
func (m *Message) Signed() bool { return m.envelope != nil || m.Leaf != nil }

// Batch tells whether it is one that carries orders.
func (m *Message) Batch() bool { return m.Order == nil }

// Authority is who has to sign it.
func (m *Message) Authority() string {
	if m.Batch() {
		return order.Owner
	}
	return m.Order.Authority
}

// Digest names the order however it is carried.
func (m *Message) Digest() [32]byte { return sha256.Sum256(m.Payload) }

// Domain is the one that it is signed in.
func (m *Message) Domain() cose.Domain {
	if m.Batch() {
		return cose.Batch
	}
	return cose.Order
}

// open returns the envelope that further signatures go to.
func (m *Message) open() (*cose.Envelope, error) {
	switch {
	case m.Leaf != nil:
		return nil, refuse(ErrSigned, "it is one order of a batch: its owner signs the batch")
	case m.envelope != nil:
		return m.envelope, nil
	case !m.Batch() && !order.MaySign(m.Order.Authority, m.Order.Kind):
		return nil, refuse(order.ErrAuthority, "%q signs no orders of kind %v", m.Order.Authority, m.Order.Kind)
	}
	return cose.New(m.Payload), nil
}

// Sign adds the signatures of a person.
func (m *Message) Sign(s *cose.Signer) error {
	e, err := m.open()
	if err != nil {
		return err
	}
	if err := e.Add(m.Domain(), s); err != nil {
		return refuse(ErrSigned, "%w", err)
	}
	m.envelope = e
	return nil
}

// ToBeSigned returns for each half of a key the bytes that it has to sign.
func (m *Message) ToBeSigned(k *cose.PublicKey) ([][]byte, error) {
	e, err := m.open()
	if err != nil {
		return nil, err
	}
	return e.ToBeSigned(m.Domain(), k)
}

// Attach adds signatures that were made elsewhere over what ToBeSigned returned,
// one for each half of the key; an ECDSA one may be in DER.
func (m *Message) Attach(k *cose.PublicKey, signatures ...[]byte) error {
	e, err := m.open()
	if err != nil {
		return err
	}
	algs := k.Suite().Algs()
	if len(signatures) != len(algs) {
		return refuse(ErrSigned, "%d signatures, the key has %d halves", len(signatures), len(algs))
	}
	for i, alg := range algs {
		if raw, err := cose.FromDER(signatures[i]); alg == cose.AlgESP256 && err == nil {
			signatures[i] = raw
		}
	}
	if err := e.Attach(m.Domain(), k, signatures...); err != nil {
		return refuse(ErrSigned, "%w", err)
	}
	m.envelope = e
	return nil
}

// Merge adds the signatures that other has and m lacks.
func (m *Message) Merge(other *Message) error {
	switch {
	case m.Leaf != nil || other.Leaf != nil:
		return refuse(ErrSigned, "one order of a batch has no signatures of its own")
	case !bytes.Equal(m.Payload, other.Payload):
		return refuse(ErrOther, "one is %v, the other %v", m, other)
	case other.envelope == nil:
		return refuse(ErrUnsigned, "there is nothing to merge")
	case m.envelope == nil:
		m.envelope = other.envelope
		return nil
	}
	if err := m.envelope.Merge(other.envelope); err != nil {
		return refuse(ErrSigned, "%w", err)
	}
	return nil
}

// String names the order for people.
func (m *Message) String() string {
	if m.Batch() {
		return fmt.Sprintf("a batch of %d orders", m.Count)
	}
	return fmt.Sprintf("%v for device %.16s", m.Order.Kind, m.Order.Device.String())
}
