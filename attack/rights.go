package attack

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// A session is an attacker too: what it was not granted it must not get.
var rights = []Attack{
	{"foreign-authority", "Use a grant of one authority on the regions of all others", "CWE-863", "Confused deputy: a settings key that opens firmware", famRights, foreignAuthority},
	{"foreign-op", "Erase with a grant to program, program with a grant to read", "CWE-863", "MTD: whoever opened for writing may erase", famRights, foreignOp},
	{"foreign-span", "Leave the span of a grant", "CWE-863", "A window opened for one image used for another region", famRights, foreignSpan},
	{"grant-rounding", "Use a grant that ends inside a block on the whole block", "CWE-1220", "ASPEED filters round to 4 KiB: an unaligned grant was widened", famRights, grantRounding},
	{"zero-rights", "Use a session whose budgets are zero", "CWE-1188", "Zero taken for unlimited", famRights, zeroRights},
	{"unknown-authority", "Open sessions nobody can have signed", "CWE-863", "Empty or unknown authority taken for the owner", famRights, unknownAuthority},
	{"budget-drain", "Program more than the budget", "CWE-770", "Write budgets checked, but not booked", famRights, budgetDrain},
	{"erase-budget", "Erase more blocks than the budget", "CWE-770", "A budget in bytes that erases do not use up", famRights, eraseBudget},
	{"budget-race", "Spend one budget twice at the same time", "CWE-367", "Speed Racer 2014, CVE-2014-8273: two threads, one check", famRights, budgetRace},
}

// granted are the regions that a grant may op.
func (t *Target) granted(op nvm.Op) []*policy.Region {
	return t.Regions(func(_ *policy.Region, a policy.Access) bool { return a.Rule(op).Mode == policy.Grant })
}

// backed are the authorities that a rule names.
func (t *Target) backed() []string {
	var out []string
	for i := range t.Policy.Authorities {
		out = append(out, t.Policy.Authorities[i].Name)
	}
	return out
}

// session fails the lock if a session that the policy backs is refused.
func (t *Target) session(r policy.Rights) *Subject {
	s, err := t.Session(r)
	if err != nil {
		t.Fail(Breach{What: "a session that the policy backs is refused: " + err.Error(), Span: r.Span})
		return nil
	}
	return s
}

// assault tries everything on a place.
func (s *Subject) assault(p Place) {
	u := s.t.Unit(p.Span.Off)
	_ = s.Write(u.Off, u.Len)
	b := s.t.Inner(p.Span)
	if b.Len == 0 {
		b = s.t.Geo.Block(p.Span.Off)
	}
	_ = s.Erase(b.Off, b.Len)
	_ = s.Read(p.Span.Off, min(p.Span.Len, 64))
	_ = s.MarkBad(b.Off)
}

func everything(Place) bool { return true }

func foreignAuthority(t *Target) error {
	if len(t.backed()) == 0 {
		return Skip("no authorities")
	}
	for _, a := range t.backed() {
		s := t.session(policy.Rights{Authority: a, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30})
		if s == nil {
			return nil
		}
		for _, p := range t.Places(everything) {
			s.assault(p)
		}
		t.End(s)
	}
	return nil
}

func foreignOp(t *Target) error {
	if len(t.backed()) == 0 {
		return Skip("no authorities")
	}
	for _, a := range t.backed() {
		for _, op := range []nvm.Op{0, nvm.Read, nvm.Write, nvm.Erase} {
			s := t.session(policy.Rights{Authority: a, Ops: op, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30})
			if s == nil {
				return nil
			}
			for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
				s.assault(p)
			}
			t.End(s)
		}
	}
	return nil
}

func foreignSpan(t *Target) error {
	rs := t.granted(nvm.Write)
	if len(rs) == 0 {
		return Skip("no region is written by a grant")
	}
	for _, r := range rs {
		b := t.Inner(r.Span)
		if b.Len == 0 {
			continue
		}
		s, err := t.Grant(r.AccessIn(t.State).Write.Authority, b)
		if err != nil {
			return Skip("no session: " + err.Error())
		}
		u := t.Geo.ProgramSize
		_ = s.Write(b.Off-u, 2*u)
		_ = s.Write(b.End()-u, 2*u)
		_ = s.Write(b.End(), u)
		_ = s.Erase(b.End(), t.Geo.Block(b.End()).Len)
		_ = s.Erase(b.Off, b.Len+t.Geo.Block(b.End()).Len)
		for _, p := range t.Places(everything) {
			s.assault(p)
		}
		t.End(s)
	}
	return nil
}

func grantRounding(t *Target) error {
	tried := false
	for _, op := range []nvm.Op{nvm.Write, nvm.Erase} {
		for _, r := range t.granted(op) {
			b := t.Inner(r.Span)
			if b.Len == 0 {
				continue
			}
			tried = true
			u := t.Geo.ProgramSize
			for _, span := range []nvm.Span{{Off: b.Off, Len: b.Len / 2}, {Off: b.Off + b.Len/2, Len: b.Len / 2}, {Off: b.Off + u, Len: u}} {
				s, err := t.Grant(r.AccessIn(t.State).Rule(op).Authority, span)
				if err != nil {
					return Skip("no session: " + err.Error())
				}
				_ = s.Write(b.Off, u)
				_ = s.Write(b.End()-u, u)
				_ = s.Write(span.Off, u)
				_ = s.Erase(b.Off, b.Len)
				_ = s.MarkBad(b.Off)
				t.End(s)
			}
		}
	}
	if !tried {
		return Skip("no region is changed by a grant")
	}
	return nil
}

func zeroRights(t *Target) error {
	if len(t.backed()) == 0 {
		return Skip("no authorities")
	}
	for _, a := range t.backed() {
		for _, r := range []policy.Rights{
			{Authority: a},
			{Authority: a, Ops: nvm.AllOps},
			{Authority: a, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}},
		} {
			s := t.session(r)
			if s == nil {
				return nil
			}
			for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
				s.assault(p)
			}
			t.End(s)
		}
	}
	return nil
}

func unknownAuthority(t *Target) error {
	all := nvm.Span{Len: t.Geo.Size}
	for _, r := range []policy.Rights{
		{}, {Ops: nvm.AllOps, Span: all, ProgramBytes: 1 << 40, Erases: 1 << 30},
		{Authority: "nobody signed this", Ops: nvm.AllOps, Span: all, ProgramBytes: 1 << 40, Erases: 1 << 30},
	} {
		s, err := t.Session(r)
		if err != nil {
			continue
		}
		t.Fail(Breach{What: "a session of an authority that the policy does not have"})
		for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
			s.assault(p)
		}
	}
	return nil
}

func budgetDrain(t *Target) error {
	rs := t.granted(nvm.Write)
	if len(rs) == 0 {
		return Skip("no region is written by a grant")
	}
	for _, r := range rs {
		u := t.Unit(r.Span.Off)
		s := t.session(policy.Rights{Authority: r.AccessIn(t.State).Write.Authority, Ops: nvm.AllOps, Span: r.Span, ProgramBytes: 2 * u.Len})
		if s == nil {
			return nil
		}
		_ = s.Write(u.Off, 3*u.Len)
		for i := range int64(4) {
			_ = s.Write(u.Off+i*u.Len, u.Len)
		}
		t.End(s)
	}
	return nil
}

func eraseBudget(t *Target) error {
	rs := t.granted(nvm.Erase)
	if len(rs) == 0 {
		return Skip("no region is erased by a grant")
	}
	for _, r := range rs {
		b := t.Inner(r.Span)
		if b.Len == 0 {
			continue
		}
		s := t.session(policy.Rights{Authority: r.AccessIn(t.State).Erase.Authority, Ops: nvm.AllOps, Span: r.Span, ProgramBytes: 1 << 40, Erases: 1})
		if s == nil {
			return nil
		}
		_ = s.Erase(b.Off, 2*b.Len)
		for range 3 {
			_ = s.Erase(b.Off, b.Len)
		}
		_ = s.MarkBad(b.Off)
		t.End(s)
	}
	return nil
}

func budgetRace(t *Target) error {
	granted := t.granted(nvm.Write)
	if len(granted) == 0 {
		return Skip("no region is written by a grant")
	}
	r := granted[0]
	u := t.Unit(r.Span.Off)
	if b := t.Inner(r.Span); b.Len > 0 {
		u.Off = b.Off
	}
	s := t.session(policy.Rights{Authority: r.AccessIn(t.State).Write.Authority, Ops: nvm.AllOps, Span: r.Span, ProgramBytes: u.Len})
	if s == nil {
		return nil
	}
	t.held(s, func() { _ = s.Write(u.Off, u.Len) }, func() { _ = s.Write(u.Off, u.Len) })
	t.End(s)
	return nil
}
