package broken

import (
	"crypto/hmac"
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func (m *model) named(id [32]byte) func(*cose.PublicKey) bool {
	return func(k *cose.PublicKey) bool { return k.ID() == id }
}

// inner opens a policy order that is signed by the owner who is in it, and belongs
// to an epoch.
func (m *model) inner(msg []byte, epoch uint32) (*policy.Policy, error) {
	o, err := order.Peek(msg)
	if err != nil {
		return nil, err
	}
	b, ok := o.Body.(*order.PolicyBody)
	if !ok {
		return nil, errRefused
	}
	p := new(policy.Policy)
	if err := p.UnmarshalBinary(b.Policy); err != nil {
		return nil, err
	}
	if _, err := m.fits(p, policy.Manufacturing); err != nil {
		return nil, err
	}
	switch {
	case o.Device != m.id && !m.is("transfer-of-any-device"):
		return nil, fmt.Errorf("%w: for another device", errRefused)
	case o.Epoch != epoch && !m.is("transfer-of-any-epoch"):
		return nil, fmt.Errorf("%w: for another epoch", errRefused)
	case m.is("transfer-unproven"):
		return p, nil
	}
	ring, err := m.ringOf(p, nil)
	if err != nil {
		return nil, err
	}
	payload, sigs, err := envelope(msg)
	if err != nil {
		return nil, err
	}
	return p, m.verified(&said{Order: o}, payload, sigs, cose.Order, ring)
}

// transfer gives the device to the owner of the policy inside.
func (m *model) transfer(s *said, msg []byte, next *state) error {
	p, err := m.inner(msg, s.Epoch+1)
	if err != nil {
		return err
	}
	ring, err := m.ringOf(p, next.Revoked)
	if err != nil {
		return err
	}
	next.Epoch, next.Root = s.Epoch+1, rootOf(p)
	if err := m.keep(next, msg); err != nil {
		return err
	}
	return m.commit(next, func() error {
		m.endAll()
		if err := m.crown(m.ctx(), next); err != nil {
			return err
		}
		m.pol, m.ring = p, ring
		return m.enforce()
	})
}

// recover takes the owner's order to make lost state anew.
func (m *model) recover(msg []byte) (r order.Reply, err error) {
	o, err := order.Peek(msg)
	if err != nil {
		return r, err
	}
	b, ok := o.Body.(*order.RecoverBody)
	if !ok || m.latch.Root == [32]byte{} {
		return r, fmt.Errorf("%w: %w", errRefused, m.why)
	}
	p, err := m.inner(b.Policy, uint32(m.latch.Epoch)+1)
	if err != nil {
		return r, err
	}
	if rootOf(p) != m.latch.Root && !m.is("recovers-for-anybody") {
		return r, errRefused
	}
	ring, err := m.ringOf(p, nil)
	if err != nil {
		return r, err
	}
	s, err := m.read(msg, ring)
	if err != nil {
		return r, err
	}
	want := m.challenge(order.Owner, order.ClassRoot)
	if !hmac.Equal(want[:], s.Fresh.Challenge) {
		return r, errRefused
	}
	r.Kind, r.Digest = s.Kind, s.digest
	return r, m.rebuild(b.Policy, s)
}

// rebuild makes the state anew, in the next epoch.
func (m *model) rebuild(msg []byte, s *said) error {
	p, err := m.inner(msg, uint32(m.latch.Epoch)+1)
	if err != nil {
		return err
	}
	ring, err := m.ringOf(p, nil)
	if err != nil {
		return err
	}
	next := &state{Seq: 10, Epoch: s.Epoch + 1, Life: policy.Deployed, Counters: map[string]uint64{}, Usage: map[uint32]policy.Usage{}, Root: rootOf(p)}
	if m.s != nil {
		next.Seq = m.s.Seq
	}
	m.s = next.clone()
	if a := m.p.Keys.Anchor(); a != nil {
		if next.Anchor, err = a.Read(m.ctx()); err != nil {
			return err
		}
	}
	if err := m.keep(next, msg); err != nil {
		return err
	}
	for range 2 {
		if err := m.write(next); err != nil {
			return err
		}
	}
	if err := m.crown(m.ctx(), next); err != nil {
		return err
	}
	m.s, m.pol, m.ring, m.why = next, p, ring, nil
	_ = m.lock.Close()
	return m.serve()
}
