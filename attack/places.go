package attack

import (
	"cmp"
	"slices"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Place is a region, a hidden area or a gap.
type Place struct {
	Name   string // "" = a gap
	Span   nvm.Span
	Region *policy.Region
	Area   *policy.Area
}

// places lists the whole memory in order.
func (m *model) places() []Place {
	var all []Place
	for i := range m.pol.Map {
		r := &m.pol.Map[i]
		all = append(all, Place{r.Name, r.Span, r, nil})
	}
	for i := range m.pol.Memory.Hidden {
		a := &m.pol.Memory.Hidden[i]
		all = append(all, Place{a.Name, a.Span, nil, a})
	}
	slices.SortFunc(all, func(a, b Place) int { return cmp.Compare(a.Span.Off, b.Span.Off) })
	var out []Place
	at := int64(0)
	for _, p := range append(all, Place{Span: nvm.Span{Off: m.geo.Size}}) {
		if p.Span.Off > at {
			out = append(out, Place{Span: nvm.Span{Off: at, Len: p.Span.Off - at}})
		}
		if p.Span.Len > 0 {
			out = append(out, p)
		}
		at = p.Span.End()
	}
	return out
}

// maxPlaces bounds an attack on a map of a hundred thousand regions.
const maxPlaces = 48

// Places are the places that f picks, a random selection if there are many.
func (t *Target) Places(f func(Place) bool) []Place {
	var out []Place
	for _, p := range t.chip.m.places() {
		if f(p) {
			out = append(out, p)
		}
	}
	if len(out) > maxPlaces {
		t.Rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		out = out[:maxPlaces]
	}
	return out
}

// May tells what the policy says of a host's op at a host address now.
func (t *Target) May(op nvm.Op, off int64) bool {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	return t.chip.m.may(&subject{}, op, off) == yes
}

// Denied are the places where no host may do op.
func (t *Target) Denied(op nvm.Op) []Place {
	return t.Places(func(p Place) bool { return !t.May(op, p.Span.Off) })
}

// Allowed are the regions where any host may do op.
func (t *Target) Allowed(op nvm.Op) []Place {
	return t.Places(func(p Place) bool { return p.Region != nil && t.mode(p, op) == policy.Any })
}

func (t *Target) mode(p Place, op nvm.Op) policy.Mode {
	if p.Region == nil {
		return policy.Never
	}
	return p.Region.AccessIn(t.State).Rule(op).Mode
}

// Regions are the regions whose rules now satisfy f.
func (t *Target) Regions(f func(*policy.Region, policy.Access) bool) []*policy.Region {
	var out []*policy.Region
	for _, p := range t.Places(func(p Place) bool { return p.Region != nil && f(p.Region, p.Region.AccessIn(t.State)) }) {
		out = append(out, p.Region)
	}
	return out
}

// In starts the lock again in the first lifecycle state in which a region
// satisfies f, the present one first, and returns the region; nil if there is none.
func (t *Target) In(f func(*policy.Region, policy.Access) bool) *policy.Region {
	for _, st := range append([]policy.State{t.State}, policy.States()...) {
		for i := range t.Policy.Map {
			r := &t.Policy.Map[i]
			if f(r, r.AccessIn(st)) && (st == t.State || t.Restart(t.Policy, st)) {
				return r
			}
		}
	}
	return nil
}

// Unit is the program unit at or behind off.
func (t *Target) Unit(off int64) nvm.Span {
	u := t.Geo.ProgramSize
	return nvm.Span{Off: (off + u - 1) / u * u, Len: u}
}

// Inner is the first whole erase block inside s, empty if there is none.
func (t *Target) Inner(s nvm.Span) nvm.Span {
	for at := s.Off; at < s.End(); at = t.Geo.Block(at).End() {
		if b := t.Geo.Block(at); s.Contains(b) {
			return b
		}
	}
	return nvm.Span{}
}

// Grant opens a session with all that authority may do on span, and ample
// budgets.
func (t *Target) Grant(authority string, span nvm.Span) (*Subject, error) {
	return t.Session(policy.Rights{Authority: authority, Ops: nvm.AllOps, Span: span, ProgramBytes: 1 << 40, Erases: 1 << 30})
}
