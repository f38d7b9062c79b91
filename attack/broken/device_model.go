package broken

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// model is a small device of its own: it reads, verifies, remembers and obeys, and
// shares with package device what both are built on. With a bug it leaves out one
// check, or gets one thing wrong.
type model struct {
	bug string
	p   attack.Parts
	geo nvm.Geometry
	id  order.DeviceID
	key [32]byte // of the MAC
	ask [32]byte // of challenges

	mu       sync.Mutex
	latch    keystore.Record
	s        *state
	why      error // degraded
	pol      *policy.Policy
	ring     map[string]*keys
	lock     *nanolock.Lock
	boot     [32]byte
	live     uint64
	sessions map[order.SessionID]*window
	opened   uint64
	unix, at uint64 // time as told, and when
	seq      uint64
	kind     string // what is being committed
	dirty    bool   // something is not on the flash yet
	later    func() error
	failed   int
	nonce    uint64
	wear     uint64
}

// keys of an authority.
type keys struct {
	suite     cose.Suite
	list      []*cose.PublicKey
	threshold int
}

// window is an open session.
type window struct {
	handle *nanolock.Handle
	given  attack.Handle // what the host gets
	ends   uint64
}

var errBusy = errors.New("broken: later")

func (m *model) is(bug string) bool { return m.bug == bug }

// maker makes models with one bug.
type maker string

func (b maker) model(p attack.Parts) (*model, error) {
	m := &model{bug: string(b), p: p, geo: p.Memory.Geometry(), sessions: map[order.SessionID]*window{}}
	id := p.Keys.Identity()
	key, err := parsed(cose.Suite(id.Suite), id.Public)
	if err != nil {
		return nil, err
	}
	m.id = order.DeviceID(key.ID())
	if _, err := io.ReadFull(p.Config.Rand, m.boot[:]); err != nil {
		return nil, err
	}
	if m.key, err = p.Keys.Derive(context.Background(), "vault-mac"); err != nil {
		return nil, err
	}
	if m.ask, err = p.Keys.Derive(context.Background(), "challenge"); err != nil {
		return nil, err
	}
	if m.is("state-key-shared") {
		m.key = sha256.Sum256([]byte("the product's key"))
	}
	return m, nil
}

// Provision gives a device its owner.
func (b maker) Provision(p attack.Parts, msg []byte) (attack.Device, error) {
	m, err := b.model(p)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	latch := p.Keys.Latch()
	if m.latch, err = latch.Read(ctx); err != nil && !m.is("latch-error-is-new") {
		return nil, err
	}
	blank := false
	if m.is("blank-is-new") {
		_, lost := m.newest()
		blank = lost != nil
	}
	if m.latch.Set() && !m.is("provision-again") && !blank {
		return nil, errors.New("broken: it has an owner")
	}
	pol, err := m.inner(msg, 1)
	if err != nil {
		return nil, err
	}
	next := &state{Seq: 1, Epoch: 1, Life: policy.Manufacturing, Counters: map[string]uint64{}, Root: rootOf(pol)}
	m.s = next.clone()
	if err := m.keep(next, msg); err != nil {
		return nil, err
	}
	if a := p.Keys.Anchor(); a != nil {
		v, err := a.Read(ctx)
		if err != nil {
			return nil, err
		}
		next.Anchor = v
	}
	if err := m.write(next); err != nil {
		return nil, err
	}
	if err := m.write(next); err != nil {
		return nil, err
	}
	m.latch = keystore.Record{}
	if m.is("blank-is-new") || m.is("provision-again") || m.is("latch-error-is-new") {
		_ = latch.Set(ctx, keystore.Record{Root: next.Root, Epoch: 1})
	} else if err := m.crown(ctx, next); err != nil {
		return nil, err
	}
	return b.Open(p)
}

// Open boots a device.
func (b maker) Open(p attack.Parts) (attack.Device, error) {
	m, err := b.model(p)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if m.latch, err = p.Keys.Latch().Read(ctx); err == nil && !m.latch.Set() {
		return nil, errors.New("broken: not provisioned")
	}
	if m.why = err; err == nil {
		m.why = m.load(ctx)
	}
	if m.why != nil && m.is("blank-opens") {
		m.s = &state{Epoch: uint32(m.latch.Epoch), Life: policy.Manufacturing, Counters: map[string]uint64{}, Usage: map[uint32]policy.Usage{}}
		m.pol, m.why = p.Config.Baseline.Clone(), nil
		m.ring, _ = m.ringOf(m.pol, nil)
	}
	if err := m.serve(); err != nil {
		return nil, err
	}
	m.count("boots-to-flash")
	return m, nil
}

func (m *model) load(ctx context.Context) error {
	s, err := m.newest()
	if err != nil {
		return err
	}
	if err := m.settle(ctx, s); err != nil {
		return err
	}
	msg, err := m.kept(s)
	if err != nil {
		return err
	}
	o, err := order.Peek(msg)
	if err != nil {
		return err
	}
	b, ok := o.Body.(*order.PolicyBody)
	if !ok {
		return errLost
	}
	pol := new(policy.Policy)
	if err := pol.UnmarshalBinary(b.Policy); err != nil {
		return err
	}
	if m.ring, err = m.ringOf(pol, s.Revoked); err != nil {
		return err
	}
	m.s, m.pol = s, pol
	return nil
}

// serve puts the lock over the memory.
func (m *model) serve() error {
	pol, st := m.p.Config.Baseline, policy.Manufacturing
	c := &nanolock.Config{OnDeny: func(nanolock.Denial) { m.count("denials-to-flash") }}
	if m.why == nil {
		pol, st, c.Usage = m.pol, m.s.Life, m.s.Usage
		c.Persist = m.persist
	} else {
		pol = readable(pol)
	}
	c.State = st
	var err error
	if m.lock, err = nanolock.New(m.p.Memory, pol, c); err != nil {
		return fmt.Errorf("broken: %w", err)
	}
	if m.why != nil || m.s.Frozen {
		m.lock.Freeze()
	}
	if m.why == nil {
		m.restore()
		return m.wiped()
	}
	return nil
}

// readable is what may be read while nothing may change.
func readable(p *policy.Policy) *policy.Policy {
	p = p.Clone()
	p.Authorities = nil
	for i := range p.Map {
		r := &p.Map[i]
		if r.Read.Mode != policy.Any {
			r.Read = policy.Rule{}
		}
		r.Access, r.In, r.Wear = policy.Access{Read: r.Read, Blank: r.Blank}, nil, policy.Wear{}
	}
	return p
}

func (m *model) persist(region uint32, want policy.Usage) (policy.Usage, error) {
	if m.why != nil {
		return policy.Usage{}, m.why
	}
	next := m.s.clone()
	next.Usage[region] = want
	if err := m.write(next); err != nil {
		return policy.Usage{}, err
	}
	m.s = next
	return want, nil
}

// count is the bug of those who write for everybody who asks.
func (m *model) count(bug string) {
	if !m.is(bug) || m.why != nil {
		return
	}
	next := m.s.clone()
	next.Used = next.Used[:0]
	if m.write(next) == nil {
		m.s = next
	}
}
