package broken

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

var errRefused = errors.New("broken: refused")

// ringOf parses the keys of a policy.
func (m *model) ringOf(p *policy.Policy, gone [][32]byte) (map[string]*keys, error) {
	ring, seen := map[string]*keys{}, map[[32]byte]string{}
	for i := range p.Authorities {
		a := &p.Authorities[i]
		k := &keys{suite: cose.Suite(a.Suite), threshold: a.Threshold}
		for _, one := range a.Keys {
			key, err := parsed(k.suite, one.Public)
			if err != nil {
				return nil, err
			}
			for _, t := range key.Thumbprints() {
				whose, there := seen[t]
				if there && !(whose == a.Name && m.is("key-listed-twice")) && !(whose != a.Name && m.is("key-in-two-roles")) {
					return nil, fmt.Errorf("%w: a key is there twice", errRefused)
				}
				seen[t] = a.Name
			}
			if !slices.Contains(gone, key.ID()) || m.is("revocations-unread") {
				k.list = append(k.list, key)
			}
		}
		ring[a.Name] = k
	}
	return ring, nil
}

// known are keys that were parsed already: the same people meet every model.
var known sync.Map

func parsed(s cose.Suite, public []byte) (*cose.PublicKey, error) {
	name := s.String() + string(public)
	if k, ok := known.Load(name); ok {
		if key, ok := k.(*cose.PublicKey); ok {
			return key, nil
		}
	}
	key, err := cose.ParsePublicKey(s, public)
	if err == nil {
		known.Store(name, key)
	}
	return key, err
}

// rootOf is a name for the owner's keys.
func rootOf(p *policy.Policy) [32]byte {
	h := sha256.New()
	for _, a := range p.Authorities {
		if a.Name == order.Owner {
			fmt.Fprintln(h, a.Suite, a.Threshold)
			for _, k := range a.Keys {
				h.Write(k.Public)
			}
		}
	}
	return [32]byte(h.Sum(nil))
}

// said is an order whose signatures were verified.
type said struct {
	*order.Order
	digest [32]byte
	msg    []byte
	batch  bool
}

// half is one signature of an envelope.
type half struct {
	alg            int64
	kid, protected []byte
	signature      []byte
}

// envelope takes a COSE_Sign apart.
func envelope(b []byte) (payload []byte, sigs []half, err error) {
	d := cbor.NewDecoder(b)
	if d.Tag() != 98 {
		d.Fail(errRefused)
	}
	d.ArrayOf(4)
	d.BytesOf(0)
	d.Map(0)
	payload = d.Bytes(order.MaxMessage)
	for range d.Array(64) {
		d.ArrayOf(3)
		h := half{protected: d.Bytes(64)}
		d.Map(0)
		h.signature = d.Bytes(4096)
		in := cbor.NewDecoder(h.protected)
		if in.Map(2) != 2 || in.Int() != 1 {
			return nil, nil, errRefused
		}
		if h.alg = in.Int(); in.Int() != 4 {
			return nil, nil, errRefused
		}
		if h.kid = in.BytesOf(32); in.End() != nil {
			return nil, nil, errRefused
		}
		sigs = append(sigs, h)
	}
	return payload, sigs, d.End()
}

// read takes a message to an order that its authority signed.
func (m *model) read(msg []byte, ring map[string]*keys) (*said, error) {
	if len(msg) > order.MaxMessage {
		return nil, errRefused
	}
	if m.is("short-panics") {
		_ = msg[6] // where the payload begins
	}
	sound, err := m.tolerate(msg, false)
	if err != nil {
		return nil, err
	}
	s := &said{msg: msg}
	payload, env, domain := []byte(nil), sound, cose.Order
	if cbor.NewDecoder(sound).Peek() == cbor.Array {
		s.batch, domain = true, cose.Batch
		if payload, env, err = m.leaf(sound); err != nil {
			return nil, err
		}
	}
	signed, sigs, err := envelope(env)
	if err != nil {
		return nil, err
	}
	if !s.batch {
		payload = signed
	}
	if s.Order, err = m.peek(payload); err != nil {
		return nil, err
	}
	s.digest = sha256.Sum256(payload)
	if err := m.addressed(s); err != nil {
		return nil, err
	}
	if k := s.Body; m.is("policy-trusts-itself") && ring != nil {
		if b, ok := k.(*order.PolicyBody); ok {
			ring = m.brought(b.Policy, ring)
		}
	}
	return s, m.verified(s, signed, sigs, domain, ring)
}

// brought is the key ring that a policy brings along.
func (m *model) brought(policyBytes []byte, ring map[string]*keys) map[string]*keys {
	p := new(policy.Policy)
	if p.UnmarshalBinary(policyBytes) == nil {
		if own, err := m.ringOf(p, nil); err == nil {
			return own
		}
	}
	return ring
}

// peek reads a payload: in an envelope that says nothing, as package order reads.
func (m *model) peek(payload []byte) (*order.Order, error) {
	sound, err := m.tolerate(payload, true)
	if err != nil {
		return nil, err
	}
	b := cbor.AppendMap(cbor.AppendBytes(cbor.AppendArray(cbor.AppendTag(nil, 98), 4), nil), 0)
	b = cbor.AppendArray(cbor.AppendArray(cbor.AppendBytes(b, sound), 1), 3)
	head := cbor.AppendInt(cbor.AppendInt(cbor.AppendMap(nil, 2), 1), int64(cose.AlgEd25519))
	head = cbor.AppendBytes(cbor.AppendInt(head, 4), make([]byte, 32))
	b = cbor.AppendMap(cbor.AppendBytes(b, head), 0)
	return order.Peek(cbor.AppendBytes(b, make([]byte, 64)))
}

// leaf reads a leaf of a batch and holds it against the root.
func (m *model) leaf(msg []byte) (payload, env []byte, err error) {
	d := cbor.NewDecoder(msg)
	d.ArrayOf(4)
	env, payload = d.Bytes(order.MaxMessage), d.Bytes(order.MaxMessage)
	index := d.UintMax(order.MaxBatch)
	var path [][]byte
	for range d.Array(24) {
		path = append(path, d.BytesOf(32))
	}
	if err := d.End(); err != nil {
		return nil, nil, err
	}
	signed, _, err := envelope(env)
	if err != nil {
		return nil, nil, err
	}
	in := cbor.NewDecoder(signed)
	var root []byte
	var count uint64
	in.Fields([]int64{1, 2, 3, 4}, func(key int64) bool {
		switch key {
		case 3:
			root = in.BytesOf(32)
		case 4:
			count = in.Uint()
		default:
			in.Uint()
		}
		return key <= 4
	})
	if err := in.End(); err != nil {
		return nil, nil, err
	}
	if !m.is("leaves-unbound") && (index >= count || !under(payload, index, count, path, root)) {
		return nil, nil, errRefused
	}
	return payload, env, nil
}

// under tells whether payload is that leaf of the tree (RFC 9162 §2.1.3.2).
func under(payload []byte, fn, count uint64, path [][]byte, root []byte) bool {
	r, sn := sha256.Sum256(append([]byte{0}, payload...)), count-1
	for _, p := range path {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			r = sha256.Sum256(slices.Concat([]byte{1}, p, r[:]))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = sha256.Sum256(slices.Concat([]byte{1}, r[:], p))
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && hmac.Equal(r[:], root)
}

// addressed: device, epoch and who may sign what.
func (m *model) addressed(s *said) error {
	switch {
	case s.Device != m.id && !m.is("device-unread"):
		return fmt.Errorf("%w: for another device", errRefused)
	case uint64(s.Epoch) != m.latch.Epoch && !m.is("epoch-unread"):
		return fmt.Errorf("%w: of another epoch", errRefused)
	case s.batch && !order.MaySign(s.Authority, order.Batch) && !m.is("batches-of-anybody"):
		return fmt.Errorf("%w: no batches", errRefused)
	}
	any := m.is("platform-may-all") && s.Authority == order.Platform || m.is("vendor-may-all") && s.Authority == order.Vendor ||
		m.is("plain-names-may-all") && s.Authority == "service" || m.is("anybody-thaws") && s.Kind == order.Thaw
	if !any && !order.MaySign(s.Authority, s.Kind) {
		return fmt.Errorf("%w: %q does not sign %v", errRefused, s.Authority, s.Kind)
	}
	if v, ok := s.Body.(*order.VoidBody); ok && !any {
		own := v.Authority == s.Authority && v.Class != order.ClassRoot
		if s.Authority != order.Owner && !own && !m.is("operations-void-all") {
			return fmt.Errorf("%w: not its counter", errRefused)
		}
	}
	return nil
}
