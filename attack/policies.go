package attack

import (
	"fmt"

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
	{"huge-policy", "Start a lock with counts beyond every limit", "CWE-400", "Lengths from the outside that allocate", famPolicy, hugePolicy},
	{"policy-rollback", "Put an older policy in force", "CWE-294", "An old policy with wider rights, correctly signed", famPolicy, policyRollback},
	{"moved-extents", "Move a region in deployed", "CWE-471", "The protected range moved off the code", famPolicy, movedExtents},
	{"failed-swap", "Loosen something by a policy swap that fails", "CWE-460", "Half-applied configuration", famPolicy, failedSwap},
	{"policy-mutated", "Change the policy's memory after the check", "CWE-367", "Tektagon: the manifest is read again from flash after it was verified", famPolicy, policyMutated},
	{"state-zero", "Start with the lifecycle state missing", "CWE-1188", "A blank state taken for manufacturing", famPolicy, stateZero},
	{"state-override", "Use the rules of another lifecycle state", "CWE-284", "OpenTitan, RMA: debug states that open more than they say", famPolicy, stateOverride},
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
