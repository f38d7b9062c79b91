package broken

import (
	"fmt"
	"reflect"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// lock takes both mutexes: who holds them knows that no change is under way.
func (g *guard) lock(noBarrier string) (unlock func()) {
	if g.is(noBarrier) {
		g.mu.Lock()
		return g.mu.Unlock
	}
	g.io.Lock()
	g.mu.Lock()
	return func() {
		g.mu.Unlock()
		g.io.Unlock()
	}
}

func (g *guard) Host() attack.Handle {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.add(&handle{})
}

func (g *guard) unknown(authority string) bool {
	for i := range g.pol.Authorities {
		if g.pol.Authorities[i].Name == authority {
			return false
		}
	}
	return true
}

func (g *guard) Session(r policy.Rights) (attack.Handle, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, nanolock.ErrEnded
	case g.unknown(r.Authority) && !g.is("unsigned-sessions"):
		return nil, nanolock.ErrRegion
	case !r.Span.In(g.geo.Size):
		return nil, nvm.ErrRange
	}
	return g.add(&handle{rights: &r, program: r.ProgramBytes, erases: r.Erases}), nil
}

func (g *guard) end(h *handle) {
	defer g.lock("end-no-barrier")()
	h.ended = true
	delete(g.live, h)
}

func (g *guard) End(h attack.Handle) {
	if own, ok := h.(*handle); ok && own.g == g && !g.is("end-forgets") {
		g.end(own)
	}
}

func (g *guard) Freeze() {
	defer g.lock("freeze-no-barrier")()
	g.frozen = true
	for h := range g.live {
		h.frozen = true
	}
}

func (g *guard) SetPolicy(p *policy.Policy, st policy.State) error {
	defer g.lock("swap-no-barrier")()
	if g.is("failed-swap-thaws") {
		g.frozen = false
	}
	if p == nil {
		return fmt.Errorf("%w: no policy", nanolock.ErrMemory)
	}
	old := g.pol
	if g.is("failed-swap-applies") && len(p.Map) == len(old.Map) {
		g.pol, g.frozen = p.Clone(), false
	}
	st = g.stateOf(st)
	switch err := g.valid(p); {
	case err != nil:
		return err
	case st > policy.Decommissioned:
		return policy.ErrInvalid
	case p.Version < old.Version && !g.is("rollback-accepted"):
		return nanolock.ErrRollback
	case (g.state == policy.Deployed || len(g.active) > 0) && !sameExtents(p, old) && !g.is("moves-accepted"):
		return fmt.Errorf("%w: extents moved", nanolock.ErrMemory)
	}
	moved := g.state != st || !sameExtents(p, old)
	g.pol, g.state, g.frozen = p.Clone(), st, false
	for id, u := range g.use {
		switch {
		case g.is("ledger-reset-by-swap"):
			u.Erases = 0
		case g.is("seal-undone-by-swap") && st != policy.Deployed:
			u.Sealed = false
		}
		g.use[id] = u
	}
	g.endSessions(old, moved)
	return g.sealDeployed()
}

// endSessions ends those that were opened under something else than what holds now.
func (g *guard) endSessions(old *policy.Policy, moved bool) {
	signers := func(p *policy.Policy, name string) (a policy.Authority) {
		for _, x := range p.Authorities {
			if x.Name == name {
				a = x
			}
		}
		return a
	}
	for h := range g.live {
		if h.rights == nil || g.is("swap-forgets-sessions") {
			continue
		}
		name := h.rights.Authority
		rekeyed := !reflect.DeepEqual(signers(old, name), signers(g.pol, name)) && !g.is("rekeying-forgotten")
		if g.unknown(name) || rekeyed || moved {
			h.ended = true
		}
	}
}

// sameExtents compares the layout of two policies.
func sameExtents(p, q *policy.Policy) bool {
	type place struct {
		span   nvm.Span
		hidden bool
		slot   string
	}
	layout := func(p *policy.Policy) map[uint32]place {
		m := map[uint32]place{}
		for i := range p.Map {
			x := place{span: p.Map[i].Span}
			if u := p.Map[i].Update; u != nil {
				x.slot = u.Slot
			}
			m[p.Map[i].ID] = x
		}
		for _, a := range p.Memory.Hidden {
			m[a.ID] = place{span: a.Span, hidden: true}
		}
		return m
	}
	a, b := layout(p), layout(q)
	for id, x := range a {
		if b[id] != x {
			return false
		}
	}
	return len(a) == len(b)
}

func (g *guard) Seal(region string) error {
	defer g.lock("")()
	r := g.pol.Region(region)
	if r == nil {
		return nanolock.ErrRegion
	}
	u := g.use[r.ID]
	u.Sealed = true
	return g.raise(r.ID, u)
}

func (g *guard) Usage(region string) policy.Usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.pol.Region(region); r != nil {
		return g.use[r.ID]
	}
	return policy.Usage{}
}

func (g *guard) SetUsage(region string, u policy.Usage) error {
	defer g.lock("")()
	r := g.pol.Region(region)
	if r == nil {
		return nanolock.ErrRegion
	}
	if u.Mark < 0 || u.Mark > r.Span.Len {
		return nvm.ErrRange
	}
	if g.is("mark-settable") {
		g.use[r.ID] = u
		return nil
	}
	delete(g.grown, r.ID)
	return g.raise(r.ID, u)
}

func (g *guard) Activate(region string, slot int) error {
	defer g.lock("")()
	r := g.pol.Region(region)
	if r == nil || slot != 0 && (slot != 1 || r.Update == nil || r.Update.Slot == "") {
		return nanolock.ErrRegion
	}
	if delete(g.active, region); slot == 1 && !g.is("flip-ignored") {
		g.active[region] = true
	}
	return nil
}

func (g *guard) Explain(op nvm.Op, off, n int64) policy.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := &handle{g: g, spent: map[uint32]uint64{}}
	if op != nvm.Write && op != nvm.Erase || g.possible(op, off, n) != nil || n == 0 {
		return policy.Decision{}
	}
	var need budget
	span := nvm.Span{Off: off, Len: g.next(g.pol, off, off+n) - off}
	e := h.refuse(g.pol, op, span, &need)
	if r, _ := g.at(g.pol, off); g.is("explain-charges") && e == nil && r != nil {
		_ = h.book(r, op, span)
	}
	return policy.Decision{Allow: e == nil}
}

func (g *guard) Denials() uint64 { return g.denials.Load() }

func (g *guard) Close() error {
	defer g.lock("")()
	g.closed = true
	for h := range g.live {
		h.ended = true
	}
	clear(g.live)
	return g.mem.Sync()
}
