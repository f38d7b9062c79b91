package order

import (
	"crypto/sha256"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/policy"
)

// Verified is an order that was signed by whom the policy names. Whether it is
// fresh and may act now is for its reader.
type Verified struct {
	Order
	Digest  [32]byte   // SHA-256 of the payload: the order's name, however it was carried
	Signers [][32]byte // cose.PublicKey.ID of each
	Batch   bool
}

// Open verifies an order, or a batch and one leaf of it, for device id in owner
// epoch epoch. Nothing in what it returns is a part of msg, which must not change
// meanwhile.
//
// It looks, in this order, at the size, the shape of the envelope, the fields of
// the payload (of the body only that it is one sound item), the device
// (ErrForeign), the epoch (ErrEpoch) and the table of who may sign what
// (ErrAuthority); then it verifies the signatures (ErrSignature), and only then
// reads the body. Up to the signatures memory is a fixed sum, whatever msg
// claims. To verify them takes the payload once more: at most 35 KiB, but for
// orders that carry a policy.
func (k *Keyring) Open(msg []byte, id DeviceID, epoch uint32) (*Verified, error) {
	c, err := readCarried(msg)
	if err != nil {
		return nil, err
	}
	if err := c.header.addressed(id); err != nil {
		return nil, err
	}
	if c.header.Epoch != epoch {
		return nil, refuse(ErrEpoch, "of %d, this is %d", c.header.Epoch, epoch)
	}
	v, err := k.open(c)
	if err != nil {
		return nil, err
	}
	if err := c.header.readBody(); err != nil {
		return nil, err
	}
	v.Order = c.header.Order
	if b, ok := v.Body.(*VoidBody); ok && !voids(v.Authority, b) {
		return nil, refuse(ErrAuthority, "%q raises the %v counter of %q", v.Authority, b.Class, b.Authority)
	}
	return v, nil
}

// addressed tells whether an order is for a device. The zero device is nobody.
func (h *header) addressed(id DeviceID) error {
	if h.Device != id {
		return refuse(ErrForeign, "for %v", h.Device)
	}
	return nil
}

// open holds a message against the table of who may sign what and verifies it.
func (k *Keyring) open(c *carried) (*Verified, error) {
	h := &c.header
	switch {
	case !MaySign(h.Authority, h.Kind):
		return nil, refuse(ErrAuthority, "%q does not sign orders of kind %v", h.Authority, h.Kind)
	case c.batch != nil && !MaySign(h.Authority, Batch):
		return nil, refuse(ErrAuthority, "%q does not sign batches", h.Authority)
	}
	domain, limit := cose.Order, maxPayload(h.Kind)
	if c.batch != nil {
		domain, limit = cose.Batch, maxBatchPayload
		if !c.batch.holds(c.payload) {
			return nil, refuse(ErrSignature, "not a leaf of this batch")
		}
	}
	signers, err := k.verify(c.envelope, domain, h.Authority, limit)
	if err != nil {
		return nil, err
	}
	return &Verified{Digest: sha256.Sum256(c.payload), Signers: signers, Batch: c.batch != nil}, nil
}

// carried is a message before anything in it was verified.
type carried struct {
	header   header
	payload  []byte // of the order; a part of the message
	envelope []byte // of the order, or of the batch
	batch    *leaf
}

// readCarried tells an order from a leaf by the first byte: a tag or an array.
func readCarried(msg []byte) (*carried, error) {
	if len(msg) > MaxMessage {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(msg), errLimit)
	}
	c := &carried{envelope: msg}
	if cbor.NewDecoder(msg).Peek() == cbor.Array {
		if err := c.readLeaf(msg); err != nil {
			return nil, err
		}
	} else {
		e, err := cose.Parse(msg, MaxMessage)
		if err != nil {
			return nil, refuseCOSE(err, ErrSignature)
		}
		c.payload = e.Payload()
	}
	h, err := readHeader(c.payload)
	if err != nil {
		return nil, err
	}
	c.header = h
	return c, nil
}

// OpenPolicy verifies a policy order by the owner keys in that very policy. It
// proves that their holders want it, not that they own the device: compare
// [Keyring.Root] with the latch. The order may be of any owner epoch; the policy
// is as [policy.Policy.UnmarshalBinary] reads it, and was not validated for a memory.
//
// A policy is read before it is authenticated here. What that costs is bounded
// by its length, which is at most MaxPolicy; docs/wire/order.md has the figure.
// Of its keys only the owner's are parsed before they have verified.
func OpenPolicy(msg []byte, id DeviceID) (*Verified, *policy.Policy, *Keyring, error) {
	c, err := readCarried(msg)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.header.addressed(id); err != nil {
		return nil, nil, nil, err
	}
	switch {
	case c.header.Kind != Policy:
		return nil, nil, nil, refuse(ErrMalformed, "an order of kind %v, not a policy", c.header.Kind)
	case c.header.Authority != Owner:
		return nil, nil, nil, refuse(ErrAuthority, "%q does not sign policies", c.header.Authority)
	}
	if err := c.header.readBody(); err != nil {
		return nil, nil, nil, err
	}
	p := new(policy.Policy)
	if err := p.UnmarshalBinary(c.header.Body.(*PolicyBody).Policy); err != nil {
		return nil, nil, nil, refuse(ErrMalformed, "%w", err)
	}
	owner, err := NewKeyring(ownerOf(p), nil)
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := owner.open(c)
	if err != nil {
		return nil, nil, nil, err
	}
	v.Order = c.header.Order
	k, err := NewKeyring(p, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	return v, p, k, nil
}

// ownerOf is a policy of nothing but the owner's keys.
func ownerOf(p *policy.Policy) *policy.Policy {
	q := new(policy.Policy)
	for _, a := range p.Authorities {
		if a.Name == Owner {
			q.Authorities = append(q.Authorities, a)
		}
	}
	return q
}

// Sign returns o signed by signers of one suite, ready to be carried. Signatures
// may be added later with package cose in domain [cose.Order]: parse what Sign
// returned, or begin with cose.New of [Order.MarshalBinary], then Add, Attach or
// Merge. It does not ask whether these signers may sign that; see [MaySign].
func Sign(o *Order, signers ...*cose.Signer) ([]byte, error) {
	payload, err := o.MarshalBinary()
	if err != nil {
		return nil, err
	}
	msg, err := cose.Sign(payload, cose.Order, signers...)
	if err != nil {
		return nil, refuseCOSE(err, ErrSignature)
	}
	if len(msg) > MaxMessage {
		return nil, refuse(ErrMalformed, "%d bytes: %w", len(msg), errLimit)
	}
	return msg, nil
}
