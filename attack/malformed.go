package attack

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// refuses fails a lock that starts with p, or refuses without saying why.
func (t *Target) refuses(what string, mem nvm.NVM, p *policy.Policy) {
	t.tried++
	sys, err := t.g.c.New(mem, p, &nanolock.Config{State: t.State, Persist: t.durable})
	switch {
	case err == nil:
		t.Fail(Breach{What: "the lock starts with " + what + t.bite(sys)})
	case !errors.Is(err, policy.ErrInvalid) && !errors.Is(err, nanolock.ErrMemory):
		t.Fail(Breach{What: fmt.Sprintf("%s is refused without a typed error: %v", what, err)})
	default:
		t.refused++
	}
}

// bite shows what a lock over a bad policy lets a host do.
func (t *Target) bite(sys System) string {
	if sys == nil {
		return ""
	}
	defer func() { _ = sys.Close() }()
	if _, err := sys.Host().WriteAt(t.payload(t.Geo.ProgramSize), 0); err == nil {
		return ", and a host may program its first byte"
	}
	return ""
}

// spoil calls f with a copy of the policy and expects the result to be refused.
func (t *Target) spoil(what string, f func(*policy.Policy)) {
	p := t.Policy.Clone()
	f(p)
	t.refuses(what, t.chip.nvm(), p)
	if err := t.Sys.SetPolicy(p, t.State); err == nil {
		t.Fail(Breach{What: "the lock takes over " + what})
	}
}

func malformedMap(t *Target) error {
	next := policy.Region{ID: 1 << 30, Name: "intruder", Access: policy.Access{Write: policy.Rule{Mode: policy.Any}, Read: policy.Rule{Mode: policy.Any}}}
	at := t.Policy.Map[0].Span
	for _, c := range []struct {
		what string
		span nvm.Span
	}{
		{"two regions on the same bytes", at},
		{"a region over the last byte of another", nvm.Span{Off: at.End() - 1, Len: 2}},
		{"a region inside another", nvm.Span{Off: at.Off + at.Len/2, Len: 1}},
		{"a region over all others", nvm.Span{Len: t.Geo.Size}},
		{"a region at a negative address", nvm.Span{Off: -4096, Len: 4096}},
		{"a region of negative length", nvm.Span{Off: at.End(), Len: -1}},
		{"an empty region", nvm.Span{Off: at.Off}},
		{"a region behind the end", nvm.Span{Off: t.Geo.Size, Len: 4096}},
		{"a region over the end", nvm.Span{Off: t.Geo.Size - 1, Len: 2}},
		{"a region whose end overflows", nvm.Span{Off: math.MaxInt64 - 1, Len: math.MaxInt64}},
		{"a region whose end wraps to 0", nvm.Span{Off: 4096, Len: math.MaxInt64 - 4095}},
	} {
		t.spoil(c.what, func(p *policy.Policy) {
			next.Span = c.span
			p.Map = append(p.Map, next)
		})
	}
	t.spoil("a hidden area over a region", func(p *policy.Policy) {
		p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: 1 << 30, Name: "intruder", Kind: policy.Staging, Span: t.Geo.Block(at.Off)})
	})
	return nil
}

func malformedNames(t *Target) error {
	first := func(p *policy.Policy) *policy.Region { return &p.Map[0] }
	copied := func(p *policy.Policy) *policy.Region { // a second region in a free byte would need one: split the first
		r := p.Map[0]
		half := r.Span.Len / 2
		p.Map[0].Span.Len = half
		p.Map[0].Update = nil
		r.Update, r.Span = nil, nvm.Span{Off: r.Span.Off + half, Len: r.Span.Len - half}
		r.ID, r.Name = 1<<30, "intruder"
		p.Map = append(p.Map, r)
		return &p.Map[len(p.Map)-1]
	}
	t.spoil("two regions of one id", func(p *policy.Policy) { copied(p).ID = p.Map[0].ID })
	t.spoil("two regions of one name", func(p *policy.Policy) { copied(p).Name = p.Map[0].Name })
	t.spoil("a region without an id", func(p *policy.Policy) { first(p).ID = 0 })
	t.spoil("a region without a name", func(p *policy.Policy) { first(p).Name = "" })
	t.spoil("a name with control characters", func(p *policy.Policy) { first(p).Name = "a\x1b[2Jb" })
	t.spoil("a grant of an unknown authority", func(p *policy.Policy) {
		first(p).Write = policy.Rule{Mode: policy.Grant, Authority: "nobody"}
	})
	t.spoil("a grant of nobody", func(p *policy.Policy) { first(p).Write = policy.Rule{Mode: policy.Grant} })
	t.spoil("an erase rule append", func(p *policy.Policy) { first(p).Erase = policy.Rule{Mode: policy.Append} })
	t.spoil("a rule that does not exist", func(p *policy.Policy) { first(p).Write = policy.Rule{Mode: 99} })
	t.spoil("a state that does not exist", func(p *policy.Policy) {
		first(p).In = map[policy.State]policy.Access{99: {}}
	})
	t.spoil("append that any host may erase", func(p *policy.Policy) {
		first(p).Access = policy.Access{Write: policy.Rule{Mode: policy.Append}, Erase: policy.Rule{Mode: policy.Any}}
	})
	return nil
}

func malformedUpdate(t *Target) error {
	b := func(p *policy.Policy) *policy.Region {
		r := &p.Map[0]
		for i := range p.Map {
			if p.Map[i].Update != nil {
				r = &p.Map[i]
			}
		}
		r.In, r.Access = nil, policy.Access{Read: policy.Rule{Mode: policy.Any}}
		return r
	}
	t.spoil("one slot without staging or golden image", func(p *policy.Policy) { b(p).Update = &policy.Update{} })
	t.spoil("a slot that does not exist", func(p *policy.Policy) { b(p).Update = &policy.Update{Slot: "nowhere"} })
	t.spoil("staging that does not exist", func(p *policy.Policy) { b(p).Update = &policy.Update{Staging: "nowhere"} })
	t.spoil("a golden image that does not exist", func(p *policy.Policy) { b(p).Update = &policy.Update{Golden: "nowhere"} })
	for _, a := range t.Policy.Memory.Hidden {
		if a.Kind == policy.Slot || a.Kind == policy.Staging {
			continue
		}
		t.spoil("a slot in an area of another kind", func(p *policy.Policy) { b(p).Update = &policy.Update{Slot: a.Name} })
	}
	return nil
}

func malformedMemory(t *Target) error {
	mem := t.chip.nvm()
	t.refuses("no policy", mem, nil)
	t.refuses("no memory", nil, t.Policy.Clone())
	t.refuses("an empty policy", mem, &policy.Policy{})
	if err := t.Sys.SetPolicy(nil, t.State); err == nil {
		t.Fail(Breach{What: "the lock takes over no policy"})
	}
	t.spoil("a policy without regions", func(p *policy.Policy) { p.Map = nil })
	t.spoil("version 0", func(p *policy.Policy) { p.Version = 0 })
	t.spoil("a policy for a larger memory", func(p *policy.Policy) { p.Memory.Size *= 2 })
	t.spoil("a policy for a smaller memory", func(p *policy.Policy) { p.Memory.Size /= 2 })
	t.spoil("a granule of 3", func(p *policy.Policy) { p.Memory.Granule = 3 })
	t.spoil("a granule of 0", func(p *policy.Policy) { p.Memory.Granule = 0 })
	t.spoil("a negative granule", func(p *policy.Policy) { p.Memory.Granule = math.MinInt64 })
	if t.Geo.EraseSize > 1 {
		t.spoil("a granule finer than the erase block", func(p *policy.Policy) { p.Memory.Granule = t.Geo.EraseSize / 2 })
	}
	return nil
}

// Tens of megabytes each, and only counted: made once.
var (
	manyRegions = sync.OnceValue(func() []policy.Region { return make([]policy.Region, policy.MaxRegions+1) })
	manyAreas   = sync.OnceValue(func() []policy.Area { return make([]policy.Area, policy.MaxRegions+1) })
)

func hugePolicy(t *Target) error {
	t.spoil("more regions than the limit", func(p *policy.Policy) { p.Map = manyRegions() })
	t.spoil("more hidden areas than the limit", func(p *policy.Policy) {
		p.Memory.Hidden = manyAreas()
	})
	t.spoil("more authorities than the limit", func(p *policy.Policy) {
		for i := range policy.MaxAuthorities + 1 {
			p.Authorities = append(p.Authorities, policy.Authority{Name: fmt.Sprint("a", i), Suite: policy.Ed25519})
		}
	})
	t.spoil("more keys than the limit", func(p *policy.Policy) {
		a := policy.Authority{Name: "many", Suite: policy.Ed25519, Threshold: 1}
		for i := range policy.MaxKeys + 1 {
			a.Keys = append(a.Keys, policy.Key{Name: fmt.Sprint(i), Public: append(make([]byte, 31), byte(i))})
		}
		p.Authorities = append(p.Authorities, a)
	})
	t.spoil("a name beyond the limit", func(p *policy.Policy) { p.Map[0].Name = string(make([]byte, policy.MaxName+1)) })
	return nil
}
