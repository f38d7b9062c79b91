package attack

import (
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// hybridSuite is that of a world of hybrids.
const hybridSuite = cose.Ed25519MLDSA65

// ask sends a request and returns the reply. The code of what is no reply is
// order.Failed.
func (s *Scene) ask(q *order.Request) *order.Reply {
	b, err := q.MarshalBinary()
	if err != nil {
		return &order.Reply{Code: order.Malformed}
	}
	return s.raw(b)
}

// raw sends bytes to the courier port.
func (s *Scene) raw(b []byte) *order.Reply {
	out, err := s.dev.Deliver(b)
	r, perr := order.ParseReply(out)
	if perr != nil {
		r = &order.Reply{Code: order.Failed}
		if err == nil {
			err = perr
		}
	}
	if r.Code != order.OK && err == nil {
		err = fmt.Errorf("refused: %v", r.Code)
	}
	s.note(err)
	return r
}

// deliver sends an order.
func (s *Scene) deliver(msg []byte) *order.Reply {
	return s.ask(&order.Request{Type: order.ReqDeliver, Body: msg})
}

// never delivers what must be refused.
func (s *Scene) never(msg []byte, what string) {
	if s.deliver(msg).Code == order.OK {
		s.Fail("accepted: %s", what)
	}
}

// must delivers what the owner has ordered, and ends the attack if it is refused.
func (s *Scene) must(msg []byte, what string) *order.Reply {
	r := s.deliver(msg)
	if r.Code != order.OK {
		s.Fail("refused: %s: %v: %s", what, r.Code, r.Detail)
		panic(errOver)
	}
	return r
}

// challenge asks for the live one.
func (s *Scene) challenge(authority string, c order.Class) []byte {
	r := s.ask(&order.Request{Type: order.ReqChallenge, Authority: authority, Class: c})
	return append([]byte(nil), r.Challenge[:]...)
}

// order makes one that is fresh now.
func (s *Scene) order(authority string, kind order.Kind, body order.Body) *order.Order {
	o := &order.Order{Kind: kind, Device: s.rig.ID, Epoch: s.want.epoch, Authority: authority, Body: body}
	if o.Epoch == 0 {
		o.Epoch = 1
	}
	if kind.Opening() {
		o.Fresh.Challenge = s.challenge(authority, kind.Class())
		return o
	}
	s.counter += 10
	o.Fresh.Counter = s.counter
	return o
}

// sign signs by those whose order it is, or by others.
func (s *Scene) sign(o *order.Order, who ...*cose.Signer) (msg []byte) {
	var err error
	if who == nil {
		msg, err = s.rig.Sign(o)
	} else {
		msg, err = order.Sign(o, who...)
	}
	s.ensure(err, "an order cannot be signed")
	return msg
}

// signed is order and sign.
func (s *Scene) signed(authority string, kind order.Kind, body order.Body) []byte {
	return s.sign(s.order(authority, kind, body))
}

// give orders something and returns what the device said of it.
func (s *Scene) give(authority string, kind order.Kind, body order.Body) order.Code {
	return s.deliver(s.signed(authority, kind, body)).Code
}

// who are the signers of an authority.
func (s *Scene) who(authority string) []*cose.Signer { return s.rig.People(authority) }

// whole is a grant of all of a region.
func (s *Scene) whole(region string) *order.GrantBody { return s.rig.Whole(region) }

// grant is a signed grant of a region.
func (s *Scene) grant(authority, region string) []byte {
	return s.signed(authority, order.Grant, s.whole(region))
}

// opened tells whether a reply opened a session that is there.
func (s *Scene) opened(r *order.Reply) bool {
	if r.Code != order.OK || r.Session == nil {
		return false
	}
	_, err := s.dev.Session(*r.Session)
	return err == nil
}

// session opens one, as the owner wants it.
func (s *Scene) session(authority string, g *order.GrantBody) (Handle, order.SessionID) {
	r := s.must(s.signed(authority, order.Grant, g), "a grant of "+authority)
	if r.Session == nil {
		s.Fail("a grant opens no session")
		panic(errOver)
	}
	h, err := s.dev.Session(*r.Session)
	s.ensure(err, "the session of a grant")
	return h, *r.Session
}

// next is the next policy, with a change.
func (s *Scene) next(change func(*policy.Policy)) *policy.Policy {
	p := s.rig.NextPolicy(change)
	p.Version = s.want.version + 1
	return p
}

// policyOrder is a signed order for p.
func (s *Scene) policyOrder(p *policy.Policy) []byte {
	b, err := p.MarshalBinary()
	s.ensure(err, "a policy has no encoding")
	return s.signed(order.Owner, order.Policy, &order.PolicyBody{Policy: b})
}

// inForce delivers a policy order and takes note of it.
func (s *Scene) inForce(msg []byte, p *policy.Policy) {
	s.must(msg, "a policy")
	s.rig.Policy, s.want.version = p, p.Version
}

// put puts the next policy in force.
func (s *Scene) put(change func(*policy.Policy)) *policy.Policy {
	p := s.next(change)
	s.inForce(s.policyOrder(p), p)
	return p
}

// closed takes the hosts' right to write settings away: a policy that shows.
func closed(p *policy.Policy) {
	r := p.Region("settings")
	r.Write, r.Erase = policy.Rule{}, policy.Rule{}
}

// crowned is a policy whose owner is somebody else.
func (s *Scene) crowned(name string, n int) (*policy.Policy, []*cose.Signer) {
	people, err := s.rig.NewPeople(n, name)
	s.ensure(err, "no people")
	p := s.next(nil)
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Name != order.Owner {
			continue
		}
		a.Keys, a.Threshold = nil, n
		for _, k := range people {
			a.Keys = append(a.Keys, policy.Key{Name: name, Public: k.Public().Bytes()})
		}
	}
	return p, people
}

// inner is the policy order that a transfer or recovery carries.
func (s *Scene) inner(p *policy.Policy, id order.DeviceID, epoch uint32, who []*cose.Signer) []byte {
	b, err := p.MarshalBinary()
	s.ensure(err, "a policy has no encoding")
	return s.sign(&order.Order{Kind: order.Policy, Device: id, Epoch: epoch, Authority: order.Owner,
		Fresh: order.Fresh{Counter: 1}, Body: &order.PolicyBody{Policy: b}}, who...)
}

// transfer gives the device to somebody, and the scene with it.
func (s *Scene) transfer(name string) {
	p, people := s.crowned(name, 1)
	s.must(s.signed(order.Owner, order.Transfer, &order.TransferBody{Policy: s.inner(p, s.rig.ID, s.want.epoch+1, people)}), "a transfer")
	s.owned(p, people)
}

func (s *Scene) owned(p *policy.Policy, people []*cose.Signer) {
	s.rig.Hire(order.Owner, people...)
	s.rig.Owners, s.rig.Quorum, s.rig.Policy = len(people), len(people), p
	s.rig.Epoch++
	s.want.epoch++
	s.want.version = p.Version
}

// report asks the device what it is, and believes it if it is signed.
func (s *Scene) report() (*order.Report, error) {
	nonce := []byte("12345678")
	r := s.ask(&order.Request{Type: order.ReqReport, Body: nonce})
	if r.Code != order.OK {
		return nil, fmt.Errorf("%v: %s", r.Code, r.Detail)
	}
	if s.key == nil || order.DeviceID(s.key.ID()) != s.rig.ID {
		key, err := order.IdentityKey(s.rig.Keys.Identity())
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	return order.OpenReport(r.Report, s.key, nonce)
}

// degraded tells whether the device says that it refuses change.
func (s *Scene) degraded() bool {
	r, err := s.report()
	return err != nil || r.Health&lostHealth != 0
}

// restart switches the device off in order, and on.
func (s *Scene) restart() {
	_ = s.dev.Close()
	s.ensure(s.open(), "the device does not start again")
}

// cut takes the power away, and gives it back.
func (s *Scene) cut() {
	s.rig.Flash.Reboot()
	s.ensure(s.open(), "the device does not start after a cut")
}

// stranger is somebody who is not in any policy.
func (s *Scene) stranger() *cose.Signer {
	p, err := rig.Person(s.rig.Suite, "a stranger")
	s.ensure(err, "no stranger")
	return p
}

// tick lets seconds of uptime pass.
func (s *Scene) tick(seconds uint64) {
	s.rig.Now += seconds
	s.dev.Poll()
}
