package rig

import (
	"context"
	"fmt"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Order makes an order of authority for the device as it is now: the live
// challenge, or the next counter.
func (r *Rig) Order(authority string, kind order.Kind, body order.Body) (*order.Order, error) {
	o := &order.Order{Kind: kind, Device: r.ID, Epoch: r.Epoch, Authority: authority, Body: body}
	if !kind.Opening() {
		o.Fresh.Counter = r.next(authority)
		return o, nil
	}
	c, err := r.Device.Challenge(authority, kind.Class())
	o.Fresh.Challenge = c[:]
	return o, err
}

// next is a counter that authority has not used.
func (r *Rig) next(authority string) uint64 {
	if now, err := r.Device.Counter(authority, order.ClassRoot); err == nil {
		r.counter = max(r.counter, now)
	}
	r.counter++
	return r.counter
}

// Sign signs with as many of the authority's people as it takes.
func (r *Rig) Sign(o *order.Order) ([]byte, error) {
	who := r.people[o.Authority]
	if o.Authority == order.Owner {
		who = who[:r.Quorum]
	}
	return order.Sign(o, who...)
}

// Signed is Order and Sign.
func (r *Rig) Signed(authority string, kind order.Kind, body order.Body) ([]byte, error) {
	o, err := r.Order(authority, kind, body)
	if err != nil {
		return nil, err
	}
	return r.Sign(o)
}

// Do signs an order and has the device obey it.
func (r *Rig) Do(authority string, kind order.Kind, body order.Body) (order.Reply, error) {
	msg, err := r.Signed(authority, kind, body)
	if err != nil {
		return order.Reply{}, err
	}
	return r.Device.Apply(context.Background(), msg)
}

// Lifecycle moves the device to a state.
func (r *Rig) Lifecycle(st policy.State) error {
	_, err := r.Do(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(st)})
	return err
}

// Whole is a grant of all of a region.
func (r *Rig) Whole(region string) *order.GrantBody {
	p := r.Policy.Region(region)
	return &order.GrantBody{Region: p.ID, Ops: order.OpRead | order.OpWrite | order.OpErase, Len: uint64(p.Span.Len),
		Bytes: uint64(4 * p.Span.Len), Erases: 64, Uptime: 600}
}

// Grant opens a session.
func (r *Rig) Grant(authority string, g *order.GrantBody) (*nanolock.Handle, order.SessionID, error) {
	reply, err := r.Do(authority, order.Grant, g)
	if err != nil {
		return nil, order.SessionID{}, err
	}
	if reply.Session == nil {
		return nil, order.SessionID{}, fmt.Errorf("rig: the reply names no session")
	}
	h, err := r.Device.Session(*reply.Session)
	return h, *reply.Session, err
}

// Inner signs p by its owner, as an order of kind policy for an owner epoch.
func (r *Rig) Inner(p *policy.Policy, epoch uint32, counter uint64) ([]byte, error) {
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return r.Sign(&order.Order{Kind: order.Policy, Device: r.ID, Epoch: epoch, Authority: order.Owner,
		Fresh: order.Fresh{Counter: counter}, Body: &order.PolicyBody{Policy: b}})
}

// NextPolicy is the policy in force with a higher version and a change.
func (r *Rig) NextPolicy(change func(*policy.Policy)) *policy.Policy {
	p := r.Policy.Clone()
	p.Version++
	r.sign(p)
	if change != nil {
		change(p)
	}
	return p
}

// PutPolicy orders it.
func (r *Rig) PutPolicy(p *policy.Policy) error {
	msg, err := r.Inner(p, r.Epoch, r.next(order.Owner))
	if err != nil {
		return err
	}
	if _, err = r.Device.Apply(context.Background(), msg); err == nil {
		r.Policy = p
	}
	return err
}

// NewOwner makes the people of another owner take the device over: the old owner
// signs what the new one has signed.
func (r *Rig) NewOwner(kind order.Kind, name string) error {
	msg, next, commit, err := r.Handover(kind, name)
	if err != nil {
		return err
	}
	if _, err := r.Device.Apply(context.Background(), msg); err != nil {
		return err
	}
	_ = next
	commit()
	return nil
}

// Handover signs the order that gives the device to another owner; commit makes
// the rig speak for the new one.
func (r *Rig) Handover(kind order.Kind, name string) (msg []byte, next *policy.Policy, commit func(), err error) {
	old := *r
	r.people = map[string][]*cose.Signer{}
	for k, v := range old.people {
		r.people[k] = v
	}
	r.people[order.Owner] = nil
	for i := range r.Owners {
		s, err := Person(r.Suite, fmt.Sprintf("%s %d", name, i))
		if err != nil {
			return nil, nil, nil, err
		}
		r.people[order.Owner] = append(r.people[order.Owner], s)
	}
	next = r.NextPolicy(nil)
	inner, err := r.Inner(next, r.Epoch+1, 1)
	people := r.people
	r.people = old.people
	if err != nil {
		return nil, nil, nil, err
	}
	var body order.Body = &order.TransferBody{Policy: inner}
	if kind == order.Keys {
		body = &order.KeysBody{Policy: inner}
	}
	msg, err = r.Signed(order.Owner, kind, body)
	return msg, next, func() { r.people, r.Policy, r.Epoch, r.counter = people, next, r.Epoch+1, 1 }, err
}

// Recover has the owner make a lost device's vault anew.
func (r *Rig) Recover(st policy.State, usage ...order.RegionUsage) error {
	next := r.NextPolicy(nil)
	inner, err := r.Inner(next, r.Epoch+1, 1)
	if err != nil {
		return err
	}
	if _, err := r.Do(order.Owner, order.Recover, &order.RecoverBody{Policy: inner, State: uint8(st), Usage: usage}); err != nil {
		return err
	}
	r.Policy, r.Epoch, r.counter = next, r.Epoch+1, 1
	return nil
}

// Report asks for one and verifies it.
func (r *Rig) Report() (*order.Report, error) {
	nonce := []byte("rig nonce")
	b, err := r.Device.Report(context.Background(), nonce)
	if err != nil {
		return nil, err
	}
	return order.OpenReport(b, r.Device.Identity(), nonce)
}
