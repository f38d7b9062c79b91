package policy

import (
	"github.com/nanolock/nanolock/nvm"
)

// Verdict is what a table says of one piece of an access. The zero Verdict
// denies.
type Verdict uint8

// Verdicts.
const (
	Deny    Verdict = iota
	Blank           // a refused read that reads as erased
	Metered         // allowed if the Lock's mark, seal, ledger and budget agree
	Allow
)

// Piece is the part of an access that falls into one region, one hidden area or
// one gap, and of a read in a region of grants, on one side of the session's span.
type Piece struct {
	Span    nvm.Span
	Entry   int // for Info; -1 is a gap
	Verdict Verdict
	Granted bool // a session's rights decide, not a host's
}

// verdict decides about op on span, all of it inside e.
func (t *Table) verdict(e *entry, op nvm.Op, span nvm.Span, r *Rights) Verdict {
	rule := t.rules[e.rule[opIndex(op)]]
	if e.hidden {
		rule = Rule{}
	}
	v := Deny
	switch rule.Mode {
	case Any:
		v = Allow
	case Append, Once:
		v = Metered
	case Grant:
		if t.granted(rule.Authority, op, span, r) {
			v = Metered
			if op == nvm.Read {
				v = Allow
			}
		}
	}
	switch {
	case v == Allow && t.wears(op) && e.wear != (Wear{}):
		v = Metered
	case v == Deny && op == nvm.Read && e.blank:
		v = Blank
	}
	return v
}

// granted: a grant rounds inward, and only reads may be finer than an erase
// block.
func (t *Table) granted(authority string, op nvm.Op, span nvm.Span, r *Rights) bool {
	if r == nil || authority == "" || r.Authority != authority || r.Ops&op == 0 || !r.Span.In(t.geo.Size) {
		return false
	}
	in := r.Span
	if op != nvm.Read {
		in = t.geo.Inward(in)
	}
	return in.Len > 0 && in.Contains(span)
}

// wears tells whether op takes life from the memory's blocks.
func (t *Table) wears(op nvm.Op) bool {
	return op == nvm.Erase || op == nvm.Write && t.geo.Program == nvm.Rewrite
}

func opIndex(op nvm.Op) int {
	switch op {
	case nvm.Read:
		return 0
	case nvm.Write:
		return 1
	}
	return 2
}

// Start returns where to begin with Piece for an access at off: the first entry
// that ends behind it.
func (t *Table) Start(off int64) int {
	if off < 0 || off>>t.shift >= int64(len(t.first)) {
		return len(t.entries)
	}
	i := int(t.first[off>>t.shift])
	for i < len(t.entries) && t.entries[i].span.End() <= off {
		i++
	}
	return i
}

// Piece returns the first piece of [off, end), which must be inside the memory
// and not empty, and where to go on. i comes from Start or the last Piece. r is
// nil for a host.
func (t *Table) Piece(i int, op nvm.Op, off, end int64, r *Rights) (Piece, int) {
	if i < 0 || i >= len(t.entries) || off < t.entries[i].span.Off {
		if i >= 0 && i < len(t.entries) {
			end = min(end, t.entries[i].span.Off)
		}
		p := Piece{Span: nvm.Span{Off: off, Len: end - off}, Entry: -1}
		if op == nvm.Read && t.blank {
			p.Verdict = Blank
		}
		return p, i
	}
	e := &t.entries[i]
	end = min(end, e.span.End())
	mode := t.rules[e.rule[opIndex(op)]].Mode
	if r != nil && op == nvm.Read && mode == Grant {
		// What is granted is read, what is not is blank: a piece is one or the other.
		for _, border := range [...]int64{r.Span.Off, r.Span.End()} {
			if off < border && border < end {
				end = border
			}
		}
	}
	p := Piece{Span: nvm.Span{Off: off, Len: end - off}, Entry: i}
	p.Verdict = t.verdict(e, op, p.Span, r)
	p.Granted = mode == Grant && p.Verdict > Blank
	if end == e.span.End() {
		i++
	}
	return p, i
}

// Decision is the answer to "may this be done, and says who".
type Decision struct {
	Allow   bool
	Blank   bool   // a read that gets erased bytes in some part
	Metered bool   // a mark, seal, ledger or budget has the last word
	Region  string // that decided; "" = no region
	ID      uint32
	Rule    string // "write: never"; "no region: denied" where there is none
}

// Explain decides about one access of a session that holds r (nil: a host) as
// far as the policy alone can. The first piece that is refused is the one named.
func (t *Table) Explain(op nvm.Op, s nvm.Span, r *Rights) Decision {
	if op != nvm.Read && op != nvm.Write && op != nvm.Erase {
		return Decision{Rule: "not one operation: denied"}
	}
	if !s.In(t.geo.Size) {
		return Decision{Rule: "outside the memory: denied"}
	}
	if s.Len == 0 {
		return Decision{Allow: true, Rule: "nothing asked"}
	}
	if op == nvm.Erase && t.geo.CheckErase(s.Off, s.Len) != nil {
		return Decision{Rule: "not whole erase blocks: refused"}
	}
	d := Decision{Allow: true}
	i := t.Start(s.Off)
	for off := s.Off; off < s.End(); {
		var p Piece
		p, i = t.Piece(i, op, off, s.End(), r)
		d.add(t, op, p)
		if !d.Allow {
			return d
		}
		off = p.Span.End()
	}
	return d
}

func (d *Decision) add(t *Table, op nvm.Op, p Piece) {
	first := d.Rule == ""
	if p.Verdict == Deny || first {
		in := t.Info(p.Entry)
		d.Region, d.ID, d.Rule = in.Name, in.ID, in.Why(op)
	}
	d.Allow = p.Verdict != Deny
	d.Blank = d.Blank || p.Verdict == Blank
	d.Metered = d.Metered || p.Verdict == Metered
}
