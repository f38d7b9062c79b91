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

// The policy itself, and the state in which it holds.
var policies = []Attack{
	{"malformed-map", "Start a lock with an impossible map", "CWE-1284", "Project Cerberus PR 10; overlapping flash partitions", famPolicy, malformedMap},
	{"malformed-names", "Start a lock with ambiguous names and unknown authorities", "CWE-20", "Two partitions of one name, and the wrong one protected", famPolicy, malformedNames},
	{"malformed-update", "Start a lock with an update that a power cut bricks", "CWE-1250", "One-slot updates without staging", famPolicy, malformedUpdate},
	{"malformed-memory", "Start a lock with a policy for another memory, or none", "CWE-636", "A filter that opens when its table does not load", famPolicy, malformedMemory},
	{"huge-policy", "Start a lock with counts beyond every limit", "CWE-400", "A71: lengths from the outside that allocate", famPolicy, hugePolicy},
	{"policy-rollback", "Put an older policy in force", "CWE-294", "A68: an old policy with wider rights, correctly signed", famPolicy, policyRollback},
	{"moved-extents", "Move a region in deployed", "CWE-471", "A68: the protected range moved off the code", famPolicy, movedExtents},
	{"failed-swap", "Loosen something by a policy swap that fails", "CWE-460", "Half-applied configuration", famPolicy, failedSwap},
	{"policy-mutated", "Change the policy's memory after the check", "CWE-367", "Tektagon: the manifest is read again from flash after it was verified", famPolicy, policyMutated},
	{"state-zero", "Start with the lifecycle state missing", "CWE-1188", "A blank state taken for manufacturing", famPolicy, stateZero},
	{"state-override", "Use the rules of another lifecycle state", "CWE-284", "OpenTitan, RMA: debug states that open more than they say", famPolicy, stateOverride},
}

// refuses fails a lock that starts with p, or refuses without saying why.
func (t *Target) refuses(what string, mem nvm.NVM, p *policy.Policy) {
	t.tried++
	sys, err := t.g.c.New(mem, p, &nanolock.Config{State: t.State, Persist: t.durable})
	switch {
	case err == nil:
		t.Fail(Breach{What: "the lock starts with " + what + t.bite(sys)})
	case !errors.Is(err, policy.ErrInvalid) && !errors.Is(err, policy.ErrUnsupported) && !errors.Is(err, nanolock.ErrMemory):
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

func policyRollback(t *Target) error {
	old, next := t.Policy.Clone(), t.Policy.Clone()
	next.Version += 2
	if err := t.SetPolicy(next, t.State); err != nil {
		t.Fail(Breach{What: "a newer policy is refused: " + err.Error()})
		return nil
	}
	for i := range old.Map {
		old.Map[i].Access = policy.Access{Read: policy.Rule{Mode: policy.Any}, Write: policy.Rule{Mode: policy.Any}, Erase: policy.Rule{Mode: policy.Any}}
		old.Map[i].In = nil
	}
	for _, v := range []uint64{old.Version, next.Version - 1} {
		old.Version = v
		if err := t.Sys.SetPolicy(old, t.State); err == nil {
			t.Fail(Breach{What: fmt.Sprintf("policy version %d replaced %d", v, next.Version)})
		}
		h := t.Host()
		for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
			h.assault(p)
		}
	}
	return nil
}

func movedExtents(t *Target) error {
	if t.State != policy.Deployed && !t.Restart(t.Policy, policy.Deployed) {
		return nil
	}
	move := func(what string, f func(*policy.Policy)) {
		p := t.Policy.Clone()
		p.Version++
		f(p)
		if p.Validate(t.Geo) != nil {
			return // not a move, but nonsense
		}
		if err := t.Sys.SetPolicy(p, policy.Deployed); err == nil {
			t.Fail(Breach{What: "in deployed, " + what, Region: t.Policy.Map[0].Name})
		}
	}
	move("a region shrank", func(p *policy.Policy) { p.Map[0].Span.Len /= 2; p.Map[0].Update = nil })
	move("a region disappeared", func(p *policy.Policy) { p.Map = p.Map[1:] })
	move("a region took another's number", func(p *policy.Policy) { p.Map[0].ID = 1 << 30 })
	move("a region became hidden", func(p *policy.Policy) {
		r := p.Map[0]
		p.Map = p.Map[1:]
		p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: r.ID, Name: r.Name, Span: r.Span, Kind: policy.Audit})
	})
	for i, a := range t.Policy.Memory.Hidden {
		move("a hidden area became a region", func(p *policy.Policy) {
			p.Memory.Hidden = append(p.Memory.Hidden[:i:i], p.Memory.Hidden[i+1:]...)
			p.Map = append(p.Map, policy.Region{ID: a.ID, Name: a.Name, Span: a.Span, Access: policy.Access{Write: policy.Rule{Mode: policy.Any}}})
		})
	}
	h := t.Host()
	for _, p := range t.Places(everything) {
		h.assault(p)
	}
	return nil
}

func failedSwap(t *Target) error {
	h := t.Host()
	t.Freeze()
	bad := t.Policy.Clone()
	for i := range bad.Map {
		bad.Map[i].Access.Write, bad.Map[i].Access.Erase, bad.Map[i].Access.Read = policy.Rule{Mode: policy.Any}, policy.Rule{Mode: policy.Any}, policy.Rule{Mode: policy.Any}
		bad.Map[i].In = nil
	}
	bad.Version++
	bad.Map[0].ID = 0
	_ = t.Sys.SetPolicy(bad, t.State)
	bad.Map[0].ID = t.Policy.Map[0].ID
	_ = t.Sys.SetPolicy(bad, 99)
	for _, s := range []*Subject{h, t.Host()} {
		for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
			s.assault(p)
		}
	}
	return nil
}

func policyMutated(t *Target) error {
	p := t.Policy.Clone()
	sys, err := t.g.c.New(t.chip.nvm(), p, &nanolock.Config{State: t.State, Persist: t.durable})
	if err != nil {
		return nil // said elsewhere
	}
	t.Sys = sys
	h := t.Host()
	for i := range p.Map {
		r := &p.Map[i]
		r.Access = policy.Access{Read: policy.Rule{Mode: policy.Any}, Write: policy.Rule{Mode: policy.Any}, Erase: policy.Rule{Mode: policy.Any}}
		for st := range r.In {
			r.In[st] = r.Access
		}
		r.Wear = policy.Wear{}
	}
	for i := range p.Memory.Hidden {
		p.Memory.Hidden[i].Span = nvm.Span{}
	}
	for _, s := range []*Subject{h, t.Host()} {
		for _, x := range t.Places(everything) {
			s.assault(x)
		}
	}
	return nil
}

func stateZero(t *Target) error {
	if !t.Restart(t.Policy, 0) {
		return nil
	}
	h := t.Host()
	for _, p := range t.Places(everything) {
		h.assault(p)
	}
	if err := t.SetPolicy(t.Policy, 0); err != nil {
		t.Fail(Breach{What: "state 0, which stands for deployed, is refused: " + err.Error()})
	}
	for _, p := range t.Places(everything) {
		h.assault(p)
	}
	return nil
}

func stateOverride(t *Target) error {
	for _, st := range policy.States() {
		if !t.Restart(t.Policy, st) {
			return nil
		}
		h := t.Host()
		for _, p := range t.Places(everything) {
			h.assault(p)
		}
	}
	h := t.Host()
	for _, st := range policy.States() {
		if t.SetPolicy(t.Policy, st) != nil {
			continue
		}
		for _, p := range t.Places(everything) {
			h.assault(p)
		}
	}
	return nil
}
