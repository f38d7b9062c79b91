package ownerfiles

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Signatures is who has signed a message, and whether a device would believe it.
type Signatures struct {
	Authority string
	Threshold int // 0: the policy is not known
	Signers   []Signer
	Unknown   [][32]byte // kids of nobody in the policy
	Missing   int        // signers, to the threshold
	Verified  bool       // all of it: signatures, threshold, who may sign what
	Why       string     // not Verified
}

// Signer is one key of the authority.
type Signer struct {
	Name   string // as the policy has it
	ID     [32]byte
	Signed bool
}

// Check holds the message against a policy. That of an order of kind policy is
// the one in it, if p is nil: it proves no more than that its own owner signed.
func (m *Message) Check(p *policy.Policy) (*Signatures, error) {
	if p == nil && !m.Batch() && m.Order.Kind == order.Policy {
		inner, err := PolicyIn(m.Order)
		if err != nil {
			return nil, err
		}
		p = inner
	}
	s := &Signatures{Authority: m.Authority()}
	kids := m.kids()
	if p == nil {
		s.Unknown = kids
		s.Why = "not verified: without the policy nobody knows whose keys count"
		return s, nil
	}
	keys, a, err := keysOf(p, s.Authority)
	if err != nil {
		return nil, err
	}
	s.Threshold = a.Threshold
	s.Missing = a.Threshold
	for i, k := range keys {
		signed := true
		for _, t := range k.Thumbprints() {
			at := slices.Index(kids, t)
			if signed = signed && at >= 0; at >= 0 {
				kids = slices.Delete(kids, at, at+1)
			}
		}
		if signed {
			s.Missing = max(s.Missing-1, 0)
		}
		s.Signers = append(s.Signers, Signer{Name: a.Keys[i].Name, ID: k.ID(), Signed: signed})
	}
	s.Unknown = kids
	s.Why = m.verify(p, keys, s)
	s.Verified = s.Why == ""
	return s, nil
}

// verify says why no device would take the message; "" if one with that policy
// would, given that it is fresh.
func (m *Message) verify(p *policy.Policy, keys []*cose.PublicKey, s *Signatures) string {
	switch {
	case !m.Signed():
		return "nobody has signed"
	case s.Threshold == 0:
		return fmt.Sprintf("nobody can sign for %q", s.Authority)
	case s.Missing > 0:
		if err := m.sound(keys, 1); err != nil && s.Missing < s.Threshold {
			return err.Error()
		}
		return fmt.Sprintf("%d more of %q must sign", s.Missing, s.Authority)
	case m.Batch():
		if err := m.sound(keys, s.Threshold); err != nil {
			return err.Error()
		}
		return ""
	}
	if m.Order.Kind == order.Policy {
		if _, _, _, err := order.OpenPolicy(m.bytes(), m.Order.Device); err != nil {
			return err.Error()
		}
	}
	ring, err := order.NewKeyring(p, nil)
	if err == nil {
		_, err = ring.Open(m.bytes(), m.Order.Device, m.Order.Epoch)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// sound verifies the signatures that are there.
func (m *Message) sound(keys []*cose.PublicKey, threshold int) error {
	domain := m.Domain()
	b := m.bytes()
	if m.Leaf != nil {
		b, domain = m.Leaf.Signed.raw, cose.Batch
	}
	_, _, err := cose.Verify(b, domain, &cose.Trust{Suite: keys[0].Suite(), Keys: keys, Threshold: threshold, MaxPayload: order.MaxMessage})
	return err
}

// bytes is Bytes of what was signed.
func (m *Message) bytes() []byte {
	b, err := m.Bytes()
	if err != nil {
		return nil // which nothing takes for a message
	}
	return b
}

func (m *Message) kids() [][32]byte {
	e := m.envelope
	if m.Leaf != nil {
		e = m.Leaf.Signed.envelope
	}
	if e == nil {
		return nil
	}
	return e.KeyIDs()
}

// keysOf parses the keys of an authority.
func keysOf(p *policy.Policy, name string) (keys []*cose.PublicKey, a *policy.Authority, err error) {
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Name != name {
			continue
		}
		for j := range a.Keys {
			k, err := cose.ParsePublicKey(cose.Suite(a.Suite), a.Keys[j].Public)
			if err != nil {
				return nil, nil, fmt.Errorf("key %q of %q: %w", a.Keys[j].Name, name, err)
			}
			keys = append(keys, k)
		}
		return keys, a, nil
	}
	return nil, nil, refuse(order.ErrAuthority, "the policy names no %q", name)
}

// PolicyIn returns the policy that an order carries: of kinds policy, and of
// those that carry a signed order of kind policy.
func PolicyIn(o *order.Order) (*policy.Policy, error) {
	var inner []byte
	switch b := o.Body.(type) {
	case *order.PolicyBody:
		p := new(policy.Policy)
		if err := p.UnmarshalBinary(b.Policy); err != nil {
			return nil, err
		}
		return p, nil
	case *order.KeysBody:
		inner = b.Policy
	case *order.TransferBody:
		inner = b.Policy
	case *order.RecoverBody:
		inner = b.Policy
	}
	if len(inner) == 0 {
		return nil, nil
	}
	_, p, _, err := order.OpenPolicy(inner, o.Device)
	return p, err
}

// Holder names whose key of an authority k is; "" if it is nobody's.
func Holder(p *policy.Policy, authority string, k *cose.PublicKey) string {
	for _, a := range p.Authorities {
		if a.Name != authority || cose.Suite(a.Suite) != k.Suite() {
			continue
		}
		for _, key := range a.Keys {
			if bytes.Equal(key.Public, k.Bytes()) {
				return key.Name
			}
		}
	}
	return ""
}
