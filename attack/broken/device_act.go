package broken

import (
	"context"
	"fmt"
	"slices"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// apply obeys an order, or does not.
func (m *model) apply(msg []byte) (r order.Reply, err error) {
	if m.why != nil {
		return m.recover(msg)
	}
	if err := m.catchUp(); err != nil {
		return r, err
	}
	if m.is("locks-out") && m.failed > 100 {
		return r, fmt.Errorf("%w: too many failures", errRefused)
	}
	s, err := m.read(msg, m.ring)
	if err != nil {
		m.failed++
		m.count("failures-to-flash")
		return r, err
	}
	r.Kind, r.Digest = s.Kind, s.digest
	next := m.s.clone()
	if err := m.fresh(s, next); err != nil {
		return r, err
	}
	m.kind = "order"
	switch b := s.Body.(type) {
	case *order.GrantBody:
		r.Session, err = m.grant(s, b, next)
	case *order.PolicyBody:
		err = m.policy(s, b.Policy, next)
	case *order.KeysBody:
		err = m.keys(s, b, next)
	case *order.LifecycleBody:
		err = m.lifecycle(policy.State(b.State), next)
	case *order.ThawBody:
		next.Frozen = false
		err = m.commit(next, m.enforce)
	case *order.TransferBody:
		err = m.transfer(s, b.Policy, next)
	case *order.VoidBody:
		err = m.void(s, b, next)
	case *order.TimeBody:
		if now := m.unix + m.p.Config.Tick() - m.at; m.unix != 0 && b.Unix < now && !m.is("time-goes-back") {
			return r, errRefused
		}
		m.unix, m.at = b.Unix, m.p.Config.Tick()
	case *order.LiveBody:
	case *order.RecoverBody:
		if !m.is("recovers-anything") {
			return r, errRefused
		}
		err = m.rebuild(b.Policy, s)
	default:
		err = errRefused
	}
	return r, err
}

// catchUp finishes what the anchor held up.
func (m *model) catchUp() error {
	if m.later == nil {
		return nil
	}
	if err := m.p.Keys.Anchor().Advance(context.Background(), m.s.Anchor); err != nil {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	f := m.later
	m.later = nil
	return f()
}

// enforce gives the lock the policy in force.
func (m *model) enforce() error {
	if m.is("sessions-keep-policy") {
		c := &nanolock.Config{State: m.s.Life, Usage: m.s.Usage, Persist: m.persist}
		l, err := nanolock.New(m.p.Memory, m.pol, c)
		if err == nil {
			m.lock = l
		}
		return err
	}
	if err := m.lock.SetPolicy(m.apart(m.pol), m.s.Life); err != nil {
		return err
	}
	if m.s.Frozen {
		m.lock.Freeze()
	}
	return nil
}

// fits tells whether a policy can be in force here.
func (m *model) fits(p *policy.Policy, life policy.State) (map[string]*keys, error) {
	if _, err := m.apart(p).Compile(m.geo, life); err != nil {
		return nil, err
	}
	return m.ringOf(p, nil)
}

// apart is a policy as a model sees it that does not compare keys.
func (m *model) apart(p *policy.Policy) *policy.Policy {
	if !m.is("key-listed-twice") && !m.is("key-in-two-roles") {
		return p
	}
	p, n := p.Clone(), byte(0)
	for i := range p.Authorities {
		for j := range p.Authorities[i].Keys {
			k := &p.Authorities[i].Keys[j]
			n++
			k.Public = append([]byte{n}, k.Public[1:]...)
		}
	}
	return p
}

func (m *model) policy(s *said, b []byte, next *state) error {
	p := new(policy.Policy)
	if err := p.UnmarshalBinary(b); err != nil {
		return err
	}
	if _, err := m.fits(p, m.s.Life); err != nil {
		return err
	}
	if p.Version <= m.pol.Version && !m.is("policy-version-unread") {
		return fmt.Errorf("%w: an older policy", errRefused)
	}
	if rootOf(p) != m.latch.Root && !m.is("owner-changed-by-policy") && !m.is("policy-trusts-itself") {
		return fmt.Errorf("%w: another owner", errRefused)
	}
	if m.is("policy-forgives-keys") {
		next.Revoked = nil
	}
	if m.is("policy-thaws") {
		next.Frozen = false
	}
	ring, err := m.ringOf(p, next.Revoked)
	if err != nil {
		return err
	}
	if err := m.keep(next, s.msg); err != nil {
		return err
	}
	return m.commit(next, func() error {
		m.pol, m.ring = p, ring
		return m.enforce()
	})
}

func (m *model) keys(s *said, b *order.KeysBody, next *state) error {
	if b.Policy != nil {
		return m.transfer(s, b.Policy, next)
	}
	for _, id := range b.Revoke {
		if slices.ContainsFunc(m.ring[order.Owner].list, m.named(id)) && !m.is("owner-revocable") {
			return errRefused
		}
	}
	next.Revoked = append(next.Revoked, b.Revoke...)
	ring, err := m.ringOf(m.pol, next.Revoked)
	if err != nil {
		return err
	}
	m.kind = "revoke"
	return m.commit(next, func() error {
		m.ring = ring
		if !m.is("revocation-spares-sessions") {
			m.endAll()
		}
		return nil
	})
}

// mayFollow is the table of lifecycle states.
func mayFollow(from, to policy.State) bool {
	return to == policy.Deployed && from != policy.Decommissioned && from != policy.Deployed ||
		to == policy.RMA && from == policy.Deployed || to == policy.Decommissioned && from != to
}

func (m *model) lifecycle(to policy.State, next *state) error {
	if !mayFollow(m.s.Life, to) && !m.is("lifecycle-any-way") {
		return errRefused
	}
	if to != policy.RMA && to != policy.Decommissioned {
		next.Life = to
		return m.commit(next, m.enforce)
	}
	next.RMA = true
	switch {
	case m.is("rma-unwiped"):
		next.Life = to
		return m.commit(next, m.reopen)
	case m.is("rma-before-wipe"):
		next.Life = to
		return m.commit(next, func() error { return m.lock.Wipe("secret") })
	}
	next.Wipe = true
	return m.commit(next, m.wiped)
}

// wiped finishes the way to rma.
func (m *model) wiped() error {
	if !m.s.Wipe {
		return nil
	}
	if err := m.lock.Wipe("secret"); err != nil {
		return err
	}
	next := m.s.clone()
	next.Wipe, next.Life = false, policy.RMA
	if err := m.write(next); err != nil {
		return err
	}
	m.s = next
	return m.enforce()
}

// reopen puts a new lock over the memory, whatever was there.
func (m *model) reopen() error {
	l, err := nanolock.New(m.p.Memory, m.pol, &nanolock.Config{State: m.s.Life, Usage: m.s.Usage, Persist: m.persist})
	if err == nil {
		m.lock = l
	}
	return err
}

func (m *model) void(s *said, b *order.VoidBody, next *state) error {
	name, own := m.name(b.Authority, b.Class, s.Kind), m.name(s.Authority, s.Kind.Class(), s.Kind)
	if b.Class == order.ClassAudit || m.pol.Authorities == nil {
		return errRefused
	}
	now := next.Counters[name]
	least := now + 1
	if name == own {
		least = now
	}
	if b.To < least || b.To-now > vault.MaxStep && !m.is("void-unbounded") {
		return errRefused
	}
	next.Counters[name] = b.To
	return m.commit(next, func() error { return nil })
}
