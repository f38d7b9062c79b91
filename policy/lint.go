package policy

import (
	"slices"
	"strconv"

	"github.com/nanolock/nanolock/nvm"
)

// Lint warns of what a policy allows but its author will regret, as it holds in
// Deployed. A policy that Validate refuses gets the findings of that.
func (p *Policy) Lint(g nvm.Geometry) []Finding {
	if err := p.Validate(g); err != nil {
		if e, ok := err.(*InvalidError); ok {
			return e.Findings
		}
		return []Finding{{Where: "policy", Text: err.Error()}}
	}
	var f findings
	p.lintMemory(&f)
	for i := range p.Map {
		p.lintRegion(&f, &p.Map[i], g)
	}
	for i := range p.Authorities {
		p.Authorities[i].lint(&f)
	}
	return f.list
}

func (p *Policy) lintMemory(f *findings) {
	if !slices.ContainsFunc(p.Memory.Hidden, func(a Area) bool { return a.Kind == Vault }) {
		f.add("memory", "add a hidden area of kind vault", "no vault: seals, marks and ledgers are lost at power-off")
	}
	if !slices.ContainsFunc(p.Map, func(r Region) bool { return r.Boot }) {
		f.add("policy", "mark the regions that run before the operating system with boot: true", "no region is marked boot")
	}
	switch o := p.authority(Owner); {
	case o == nil || len(o.Keys) == 0:
		f.add("policy", "add an authority \"owner\" with two keys or more", "nobody can ever change this policy")
	case len(o.Keys) == 1:
		f.add("authority \"owner\"", "add a second key and keep it elsewhere", "a lone owner key: lost once, lost for ever")
	}
	used := map[string]bool{}
	for i := range p.Map {
		if u := p.Map[i].Update; u != nil {
			used[u.Slot], used[u.Staging], used[u.Golden] = true, true, true
		}
	}
	for i := range p.Memory.Hidden {
		a := &p.Memory.Hidden[i]
		if (a.Kind == Slot || a.Kind == Staging || a.Kind == Golden) && !used[a.Name] {
			f.add(areaWhere(a), "name it in the update of a region, or drop it", "no region uses it")
		}
	}
}

func (p *Policy) lintRegion(f *findings, r *Region, g nvm.Geometry) {
	a := r.AccessIn(Deployed)
	where := regionWhere(r)
	changes := a.Write.Mode != Never || a.Erase.Mode != Never
	if r.Boot && hostMay(a) {
		f.add(where, "make write and erase never, or a grant", "the host may change what runs before it (write %v, erase %v)", a.Write, a.Erase)
	}
	if r.Update != nil && hostMay(a) {
		f.add(where, "make write and erase a grant of the vendor", "the host may change an update region past the update")
	}
	if a.Erase.Mode == Any && r.Wear == (Wear{}) {
		f.add(where, "add wear: {erases: N, hours: H}", "any host may erase without limit and wear it out")
	}
	if a.Write.Mode == Any && g.Program == nvm.Rewrite && r.Wear == (Wear{}) {
		f.add(where, "add wear: {erases: N, hours: H}", "any host may rewrite without limit and wear it out")
	}
	if changes && g.CheckErase(r.Span.Off, r.Span.Len) != nil {
		f.add(where, "move its borders to "+g.Outward(r.Span).String(), "shares an erase block: the shared block can only be erased by who may erase both sides")
	}
	for _, rule := range []Rule{a.Read, a.Write, a.Erase} {
		if o := p.authority(rule.Authority); o != nil && len(o.Keys) == 0 {
			f.add(where, "add keys to the authority", "%v, but %q has no keys: nobody can open it", rule, o.Name)
			break
		}
	}
	for _, st := range []State{RMA, Decommissioned} {
		if in, ok := r.In[st]; ok && r.Boot && hostMay(in) {
			f.add(where, "make write and erase never, or a grant", "the host may change boot code in %v", st)
		}
	}
}

// hostMay tells whether a host alone can change content.
func hostMay(a Access) bool {
	return a.Write.Mode == Any || a.Write.Mode == Append || a.Erase.Mode == Any
}

func (a *Authority) lint(f *findings) {
	for _, k := range a.Keys {
		if k.Development {
			f.add("authority "+strconv.Quote(a.Name), "replace it before devices are deployed", "key %q is a development key", k.Name)
		}
	}
}
