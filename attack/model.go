package attack

import (
	"fmt"
	"slices"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// model is the oracle's own reading of a policy: for one byte, one operation and
// one subject, is it allowed now? It is slow and plain on purpose and uses
// neither policy.Table nor a lock. Guarded by chip.mu.
type model struct {
	geo    nvm.Geometry
	pol    *policy.Policy
	state  policy.State
	cuts   []int64 // every border of a region or area, in order
	use    map[uint32]*used
	active map[string]bool // update regions whose second slot is in place
	frozen bool
}

// used is what happened to a region as seen from below.
type used struct {
	erases  uint64 // that reached the memory, or were booked by the trusted side
	allowed uint64
	mark    int64          // end of what was programmed since all was last erased
	live    map[int64]bool // blocks that hold appended bytes
	sealed  bool
	told    bool // sealed by Lock.Seal, so that the lock has to say so
}

// subject is who asks.
type subject struct {
	rights          *policy.Rights // nil = a host
	program, erases int64          // budget left
	ended           bool
	window          nvm.Span // of the trusted side; empty = not the trusted side
}

func newModel(g nvm.Geometry, p *policy.Policy, st policy.State, old *model) *model {
	m := &model{geo: g, pol: p.Clone(), state: st, use: map[uint32]*used{}, active: map[string]bool{}}
	if old != nil {
		m.use, m.active = old.use, old.active
	}
	if m.state == 0 {
		m.state = policy.Deployed
	}
	m.cuts = []int64{0, g.Size}
	for i := range p.Map {
		m.cuts = append(m.cuts, p.Map[i].Span.Off, p.Map[i].Span.End())
		if m.state == policy.Deployed && everOnce(&p.Map[i]) {
			m.of(p.Map[i].ID).sealed = true
		}
	}
	for _, a := range p.Memory.Hidden {
		m.cuts = append(m.cuts, a.Span.Off, a.Span.End())
	}
	slices.Sort(m.cuts)
	m.cuts = slices.Compact(m.cuts)
	return m
}

func everOnce(r *policy.Region) bool {
	once := r.Access.Write.Mode == policy.Once
	for _, a := range r.In {
		once = once || a.Write.Mode == policy.Once
	}
	return once
}

func (m *model) of(id uint32) *used {
	u := m.use[id]
	if u == nil {
		u = &used{live: map[int64]bool{}}
		m.use[id] = u
	}
	return u
}

// region and area look a byte up in the policy's own lists.
func (m *model) region(off int64) *policy.Region {
	for i := range m.pol.Map {
		if s := m.pol.Map[i].Span; off >= s.Off && off < s.End() {
			return &m.pol.Map[i]
		}
	}
	return nil
}

func (m *model) area(off int64) *policy.Area {
	for i := range m.pol.Memory.Hidden {
		if s := m.pol.Memory.Hidden[i].Span; off >= s.Off && off < s.End() {
			return &m.pol.Memory.Hidden[i]
		}
	}
	return nil
}

// logical is the host address of a physical one, -1 if the host has none: the
// extent of a flipped region.
func (m *model) logical(off int64) int64 {
	for name := range m.active {
		r := m.pol.Region(name)
		if r == nil {
			continue
		}
		if s := m.pol.Area(r.Update.Slot).Span; off >= s.Off && off < s.End() {
			return off - s.Off + r.Span.Off
		}
		if off >= r.Span.Off && off < r.Span.End() {
			return -1
		}
	}
	return off
}

// physical is the inverse of logical.
func (m *model) physical(off int64) int64 {
	if r := m.region(off); r != nil && m.active[r.Name] {
		return off - r.Span.Off + m.pol.Area(r.Update.Slot).Span.Off
	}
	return off
}

// answer to "may it?" for one byte.
type answer uint8

const (
	no answer = iota
	blank
	yes
)

// may decides about one host address.
func (m *model) may(s *subject, op nvm.Op, off int64) answer {
	r := m.region(off)
	if s.ended {
		return no
	}
	if r == nil {
		if op == nvm.Read && m.pol.Memory.Blank {
			return blank
		}
		return no
	}
	a := r.AccessIn(m.state)
	if m.rule(s, r, a.Rule(op), op, off) && (op == nvm.Read || !m.frozen) {
		return yes
	}
	if op == nvm.Read && a.Blank {
		return blank
	}
	return no
}

func (m *model) rule(s *subject, r *policy.Region, rule policy.Rule, op nvm.Op, off int64) bool {
	switch rule.Mode {
	case policy.Any:
		return true
	case policy.Append:
		return off-r.Span.Off >= m.of(r.ID).mark
	case policy.Once:
		return !m.of(r.ID).sealed
	case policy.Grant:
		if s.rights == nil || s.rights.Authority != rule.Authority || s.rights.Ops&op == 0 {
			return false
		}
		need := nvm.Span{Off: off, Len: 1}
		if op != nvm.Read { // a grant reaches whole erase blocks
			need = m.geo.Block(off)
		}
		return s.rights.Span.Contains(need)
	}
	return false
}

// pieces cuts a span where an answer may change and calls f with each; it stops
// when f returns false.
func (m *model) pieces(s *subject, op nvm.Op, span nvm.Span, f func(nvm.Span) bool) bool {
	for at := span.Off; at < span.End(); {
		end := span.End()
		if i, _ := slices.BinarySearch(m.cuts, at+1); i < len(m.cuts) {
			end = min(end, m.cuts[i])
		}
		if op != nvm.Read {
			end = min(end, m.geo.Block(at).End())
		}
		if s.rights != nil {
			for _, cut := range [...]int64{s.rights.Span.Off, s.rights.Span.End()} {
				if cut > at {
					end = min(end, cut)
				}
			}
		}
		if !f(nvm.Span{Off: at, Len: end - at}) {
			return false
		}
		at = end
	}
	return true
}

// all tells whether op is allowed on every byte; if not, where not.
func (m *model) all(s *subject, op nvm.Op, span nvm.Span) (nvm.Span, bool) {
	var bad nvm.Span
	ok := m.pieces(s, op, span, func(p nvm.Span) bool {
		bad = p
		return m.may(s, op, p.Off) == yes
	})
	return bad, ok
}

// forever tells whether s may destroy a block for good: the right to erase it is
// not enough, somebody must have granted it.
func (m *model) forever(s *subject, block nvm.Span) bool {
	return m.pieces(s, nvm.Erase, block, func(p nvm.Span) bool {
		r := m.region(m.logical(p.Off))
		return r != nil && r.AccessIn(m.state).Erase.Mode == policy.Grant && m.may(s, nvm.Erase, m.logical(p.Off)) == yes
	})
}

// limit of a region's ledger; ok is false if it has none.
func (m *model) limit(r *policy.Region) (limit uint64, ok bool) {
	limit = uint64(r.Wear.Erases)
	if r.Wear.PerHours != 0 {
		limit = max(limit, m.of(r.ID).allowed)
	}
	return limit, r.Wear != (policy.Wear{})
}

// wears tells whether op costs blocks their life.
func (m *model) wears(op nvm.Op) bool {
	return op == nvm.Erase || op == nvm.Write && m.geo.Program == nvm.Rewrite
}

// costs lists what op on a host span costs each region with a ledger.
func (m *model) costs(op nvm.Op, span nvm.Span) map[*policy.Region]uint64 {
	c := map[*policy.Region]uint64{}
	if !m.wears(op) {
		return c
	}
	m.pieces(&subject{}, op, span, func(p nvm.Span) bool {
		if r := m.region(p.Off); r != nil {
			if _, ok := m.limit(r); ok {
				c[r]++
			}
		}
		return true
	})
	return c
}

// predict tells whether the lock has to carry out the access as a whole.
func (m *model) predict(s *subject, op nvm.Op, off, n int64) bool {
	if op == nvm.Erase && m.geo.CheckErase(off, n) != nil || op == nvm.Write && m.geo.CheckProgram(off, n) != nil {
		return false
	}
	span := nvm.Span{Off: off, Len: n}
	if n == 0 || s.ended {
		return n == 0
	}
	if _, ok := m.all(s, op, span); !ok {
		return false
	}
	for r, cost := range m.costs(op, span) {
		if limit, _ := m.limit(r); m.of(r.ID).erases > limit || cost > limit-m.of(r.ID).erases {
			return false
		}
	}
	return m.granted(s, op, span) <= s.budget(op)
}

// granted is how much of the session's budget op on span takes.
func (m *model) granted(s *subject, op nvm.Op, span nvm.Span) (n int64) {
	m.pieces(s, op, span, func(p nvm.Span) bool {
		r := m.region(p.Off)
		switch {
		case r == nil || r.AccessIn(m.state).Rule(op).Mode != policy.Grant:
		case op == nvm.Write:
			n += p.Len
		case op == nvm.Erase:
			n++
		}
		return true
	})
	return n
}

func (s *subject) budget(op nvm.Op) int64 {
	if s.rights == nil {
		return 0
	}
	if op == nvm.Erase {
		return s.erases
	}
	return s.program
}

// where describes a host address and the rule of op there.
func (m *model) where(off int64, op nvm.Op) (region, rule string) {
	if r := m.region(off); r != nil {
		return r.Name, fmt.Sprintf("region %q: %v: %v", r.Name, op, r.AccessIn(m.state).Rule(op))
	}
	if a := m.area(off); a != nil {
		return a.Name, fmt.Sprintf("hidden area %q: %v: never", a.Name, op)
	}
	return "", fmt.Sprintf("no region: %v: never", op)
}
