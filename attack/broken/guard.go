// Package broken holds locks and devices with one bug each, to prove that the
// attacks of package attack find what they are for. None of this protects anything.
//
// All locks are one plain lock, written for this purpose and independent of
// the real one: a guard asks at the place in question whether it is the one with
// this bug. Without a bug it is sound, and every attack must fail on it. The
// devices are one plain model in the same way.
package broken

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// guard is the plain lock.
type guard struct {
	bug string
	mem nvm.NVM
	geo nvm.Geometry
	cfg nanolock.Config

	io sync.Mutex // held while the memory is changed, and while rights are
	mu sync.Mutex // guards what follows, taken after io

	pol     *policy.Policy
	state   policy.State
	use     map[uint32]policy.Usage
	grown   map[uint32]map[int64]bool // blocks that hold appended bytes, by region
	swept   map[uint32]int64
	live    map[*handle]bool
	active  map[string]bool
	frozen  bool
	closed  bool
	denials atomic.Uint64
	queue   []func() // of the one that writes behind
	cached  []cachedView
}

type cachedView struct {
	off int64
	p   []byte
}

var _ attack.System = (*guard)(nil)

// is tells whether this is the guard with that bug.
func (g *guard) is(bug string) bool { return g.bug == bug }

func open(bug string, mem nvm.NVM, p *policy.Policy, c *nanolock.Config) (attack.System, error) {
	g := &guard{
		bug: bug, mem: mem, use: map[uint32]policy.Usage{}, grown: map[uint32]map[int64]bool{},
		swept: map[uint32]int64{}, live: map[*handle]bool{}, active: map[string]bool{},
	}
	if c != nil {
		g.cfg = *c
	}
	if mem == nil || p == nil && !g.is("nil-policy-open") {
		return nil, fmt.Errorf("%w: no memory or no policy", nanolock.ErrMemory)
	}
	g.geo = mem.Geometry()
	g.geo.Blocks = slices.Clone(g.geo.Blocks)
	if p == nil {
		p = &policy.Policy{Version: 1, Map: []policy.Region{{ID: 1, Name: "all", Span: nvm.Span{Len: g.geo.Size}, Access: policy.Access{
			Read: policy.Rule{Mode: policy.Any}, Write: policy.Rule{Mode: policy.Any}, Erase: policy.Rule{Mode: policy.Any}}}}}
	} else if err := g.valid(p); err != nil {
		return nil, err
	}
	for id, u := range g.cfg.Usage {
		g.remember(id, u)
	}
	g.pol, g.state = p.Clone(), g.stateOf(g.cfg.State)
	if g.is("policy-aliased") {
		g.pol = p
	}
	return g, g.sealDeployed()
}

// remember takes over what a region had used before the restart.
func (g *guard) remember(id uint32, u policy.Usage) {
	switch {
	case g.is("mark-forgotten"):
		u.Mark = 0
	case g.is("seal-forgotten"):
		u.Sealed = false
	case g.is("ledger-forgotten"):
		u.Erases = 0
	}
	g.use[id] = u
}

func (g *guard) stateOf(st policy.State) policy.State {
	switch {
	case st == 0 && g.is("state-zero-manufacturing"):
		return policy.Manufacturing
	case st == 0:
		return policy.Deployed
	}
	return st
}

// sealDeployed seals what was ever writable once, for ever.
func (g *guard) sealDeployed() error {
	if g.state != policy.Deployed || g.is("deployed-unsealed") {
		return nil
	}
	for i := range g.pol.Map {
		r := &g.pol.Map[i]
		once := r.Write.Mode == policy.Once
		for _, a := range r.In {
			once = once || a.Write.Mode == policy.Once
		}
		if u := g.use[r.ID]; once && !u.Sealed {
			u.Sealed = true
			if err := g.raise(r.ID, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// raise makes usage durable, then counts it.
func (g *guard) raise(id uint32, want policy.Usage) error {
	next := g.use[id].Join(want)
	if g.is("persist-late") {
		defer func() { g.queue = append(g.queue, func() { _, _ = g.cfg.Persist(id, next) }) }()
	} else if g.cfg.Persist != nil && next != g.use[id] {
		got, err := g.cfg.Persist(id, next)
		if err == nil && !got.Covers(next) {
			err = errors.New("less was made durable than asked")
		}
		if err != nil && !g.is("persist-ignored") {
			return fmt.Errorf("%w: %w", nanolock.ErrPersist, err)
		}
	}
	g.use[id] = next
	return nil
}

// deny builds the error of a refusal.
func (g *guard) deny(r *policy.Region, op nvm.Op, c nanolock.Cause) *nanolock.DenyError {
	e := &nanolock.DenyError{Op: op, Cause: c, Rule: "no region, denied"}
	if r != nil {
		e.Region, e.ID, e.Rule = r.Name, r.ID, op.String()+": "+r.AccessIn(g.state).Rule(op).String()
	}
	return e
}

// report counts a refusal and tells of it.
func (g *guard) report(h *handle, e *nanolock.DenyError, off, n int64) error {
	if g.is("silent") {
		return e
	}
	g.denials.Add(1)
	if g.is("callback-locked") {
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	if g.is("denials-to-flash") {
		if a := slices.IndexFunc(g.pol.Memory.Hidden, func(a policy.Area) bool { return a.Kind == policy.Vault }); a >= 0 {
			_, _ = g.mem.WriteAt(make([]byte, g.geo.ProgramSize), g.pol.Memory.Hidden[a].Span.Off)
		}
	}
	if g.cfg.OnDeny != nil {
		g.cfg.OnDeny(nanolock.Denial{Err: e, Off: off, Len: n, Handle: h.id})
	}
	return e
}

// told reports err if it is a refusal. Neither mutex is held.
func (g *guard) told(h *handle, err error, off, n int64) error {
	if e, ok := err.(*nanolock.DenyError); ok {
		return g.report(h, e, off, n)
	}
	return err
}

// at finds the region or hidden area of a host address.
func (g *guard) at(pol *policy.Policy, off int64) (*policy.Region, *policy.Area) {
	for i := range pol.Map {
		s := pol.Map[i].Span
		if off >= s.Off && off < s.End() || g.is("inclusive-end") && off == s.End() {
			return &pol.Map[i], nil
		}
		if u := pol.Map[i].Update; g.is("flip-mirrored") && u != nil && u.Slot != "" && g.active[pol.Map[i].Name] {
			if a := pol.Area(u.Slot).Span; off >= a.Off && off < a.End() {
				return &pol.Map[i], nil
			}
		}
	}
	for i := range pol.Memory.Hidden {
		if s := pol.Memory.Hidden[i].Span; off >= s.Off && off < s.End() {
			return nil, &pol.Memory.Hidden[i]
		}
	}
	return nil, nil
}

// next is the next border behind off, or end.
func (g *guard) next(pol *policy.Policy, off, end int64) int64 {
	to := end
	cut := func(s nvm.Span) {
		for _, at := range [...]int64{s.Off, s.End()} {
			if at > off {
				to = min(to, at)
			}
			if g.is("inclusive-end") && at+1 > off {
				to = min(to, at+1)
			}
		}
	}
	for i := range pol.Map {
		cut(pol.Map[i].Span)
	}
	for i := range pol.Memory.Hidden {
		cut(pol.Memory.Hidden[i].Span)
	}
	return to
}

// physical translates a host address through the active slots.
func (g *guard) physical(off int64, op nvm.Op) int64 {
	r, _ := g.at(g.pol, off)
	if r == nil || !g.active[r.Name] || !r.Span.Contains(nvm.Span{Off: off, Len: 1}) {
		return off
	}
	if g.is("flip-reads-only") && op != nvm.Read {
		return off
	}
	return off - r.Span.Off + g.pol.Area(r.Update.Slot).Span.Off
}
