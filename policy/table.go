package policy

import (
	"github.com/nanolock/nanolock/nvm"
)

// Table is a policy compiled for one memory and one lifecycle state. It is
// immutable and shares nothing with the Policy. The zero Table denies.
//
// Its hot half is, per operation, one array indexed by block: the byte up to
// which a host may do it from that block on without a break, 0 = not at all. One
// shift, one bounds check, one load and one compare decide range, right and span
// together; the number of regions does not matter. Blocks that are not allowed as
// a whole, and all that a mark, a seal, a ledger or a grant decides, are 0 there
// and go through [Table.Piece], which is exact to the byte.
type Table struct {
	geo         nvm.Geometry
	state       State
	version     uint64
	name        string
	blank       bool    // gaps read as erased
	entries     []entry // by address
	rules       []Rule  // what entry.rule counts in
	authorities []Authority
	shift       uint // log2 of the table's block
	until       [3][]uint32
	view        []uint32 // as until: what every host may read in every lifecycle state
	first       []uint32 // per block: the first entry that ends behind its start
}

// entry is a region or a hidden area, as small as a hundred thousand of them
// want it.
type entry struct {
	span    nvm.Span
	name    string
	id      uint32
	slot    int32    // entry of the second slot, or -1
	wear    Wear     // ledger
	rule    [3]uint8 // read, write, erase: index in Table.rules
	blank   bool
	hidden  bool // an area
	kind    AreaKind
	boot    bool
	secret  bool // confidential
	once    bool // Once in some lifecycle state
	viewing bool // every host may read it in every lifecycle state
}

// reach is how far the arrays see: their ends are 32 bits, for they share the
// caches with the content. What lies beyond, or across, takes the exact way.
const reach = 1<<32 - 1

// maxTableBlocks bounds a table over a large memory of small blocks; beyond it
// the table's block grows, and more accesses take the exact way.
const maxTableBlocks = 1 << 20

// Compile validates p for a memory of geometry g and compiles what holds in
// lifecycle state st (0 = Deployed).
func (p *Policy) Compile(g nvm.Geometry, st State) (*Table, error) {
	ext, err := p.validate(g)
	if err != nil {
		return nil, err
	}
	if st == 0 {
		st = Deployed
	}
	if _, ok := stateNames[st]; !ok {
		var f findings
		f.add("policy", "say manufacturing, deployed, rma or decommissioned", "%v does not exist", st)
		return nil, f.err()
	}
	t := &Table{geo: g, state: st, version: p.Version, name: p.Name, blank: p.Memory.Blank}
	t.setShift()
	t.addRules(p)
	t.linkSlots(t.addEntries(p, ext))
	t.index()
	for op := range t.until {
		t.until[op] = t.runs(nvm.Op(1)<<op, Rights{}, false)
	}
	t.view = t.runs(nvm.Read, Rights{}, true)
	return t, nil
}

func (t *Table) setShift() {
	for int64(1)<<t.shift < t.geo.EraseSize {
		t.shift++
	}
	for t.geo.Size>>t.shift > maxTableBlocks {
		t.shift++
	}
}

// addRules numbers the rules: the modes that name nobody, then a grant for each
// authority.
func (t *Table) addRules(p *Policy) {
	t.rules = make([]Rule, 0, 4+len(p.Authorities))
	for _, m := range [...]Mode{Never, Any, Append, Once} { // ruleIndex knows the first two
		t.rules = append(t.rules, Rule{Mode: m})
	}
	t.authorities = make([]Authority, len(p.Authorities))
	for i := range p.Authorities {
		t.rules = append(t.rules, Rule{Grant, p.Authorities[i].Name})
		t.authorities[i] = p.Authorities[i].clone()
	}
}

func (t *Table) ruleIndex(r Rule) uint8 {
	switch {
	case r.Mode == Never:
		return 0
	case r.Mode == Any:
		return 1
	}
	for i := range t.rules {
		if t.rules[i] == r {
			return uint8(i)
		}
	}
	return 0 // not reached after validation; denies
}

// addEntries returns the entries that have a second slot, by its name.
func (t *Table) addEntries(p *Policy, ext []extent) map[string]int {
	slots := map[string]int{}
	t.entries = make([]entry, len(ext))
	for i, x := range ext {
		e := &t.entries[i]
		e.span, e.slot = x.span, -1
		if x.area >= 0 {
			a := &p.Memory.Hidden[x.area]
			e.name, e.id, e.hidden, e.kind, e.blank = a.Name, a.ID, true, a.Kind, p.Memory.Blank
			continue
		}
		r := &p.Map[x.region]
		a := r.AccessIn(t.state)
		e.name, e.id, e.blank, e.wear, e.boot, e.secret = r.Name, r.ID, a.Blank, r.Wear, r.Boot, r.Confidential
		e.rule = [3]uint8{t.ruleIndex(a.Read), t.ruleIndex(a.Write), t.ruleIndex(a.Erase)}
		e.viewing = r.Access.Read.Mode == Any && r.Update == nil
		e.once = r.Access.Write.Mode == Once
		for _, a := range r.In { // none, mostly
			e.viewing = e.viewing && a.Read.Mode == Any
			e.once = e.once || a.Write.Mode == Once
		}
		if r.Update != nil && r.Update.Slot != "" {
			slots[r.Update.Slot] = i
		}
	}
	return slots
}

// linkSlots finds the entry of each second slot.
func (t *Table) linkSlots(slots map[string]int) {
	if len(slots) == 0 {
		return
	}
	for j := range t.entries {
		if i, ok := slots[t.entries[j].name]; ok && t.entries[j].hidden {
			t.entries[i].slot = int32(j)
		}
	}
}

// index fills first, so that finding an entry takes no search however many
// there are.
func (t *Table) index() {
	n := int((t.geo.Size + 1<<t.shift - 1) >> t.shift)
	t.first = make([]uint32, n)
	b := 0
	for e := range t.entries { // it is the first for all blocks left that start before its end
		if end := min(n, t.blocksUp(t.entries[e].span.End())); end > b {
			fill(t.first[b:end], uint32(e))
			b = end
		}
	}
	fill(t.first[b:], uint32(len(t.entries)))
}

// blocksUp is how many blocks of the table it takes to cover [0, off).
func (t *Table) blocksUp(off int64) int { return int((off + 1<<t.shift - 1) >> t.shift) }

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// runs builds the array of one operation for a host, or for a session that holds
// r. Only reads are ever granted here: what changes the memory is metered. With
// view only entries count that every host may read in every lifecycle state.
func (t *Table) runs(op nvm.Op, r Rights, view bool) []uint32 {
	until := make([]uint32, min(t.geo.Size, reach)>>t.shift)
	var run nvm.Span
	flips := false // run is of a region with two slots
	for i := range t.entries {
		e := &t.entries[i]
		span := t.allowed(e, op, &r)
		if span.Len == 0 || view && !e.viewing {
			continue
		}
		// No run crosses the border of a region with two slots: its neighbours
		// are neighbours in one of them only.
		if span.Off == run.End() && !flips && e.slot < 0 {
			run.Len += span.Len
			continue
		}
		t.paint(until, run)
		run, flips = span, e.slot >= 0
	}
	t.paint(until, run)
	return until
}

// allowed is the part of e where op needs no accounting; empty if there is none.
func (t *Table) allowed(e *entry, op nvm.Op, r *Rights) nvm.Span {
	switch t.verdict(e, op, e.span, r) {
	case Allow:
		return e.span
	case Metered:
		return nvm.Span{}
	}
	if s := e.span.Intersect(r.Span); s.Len > 0 && t.verdict(e, op, s, r) == Allow {
		return s
	}
	return nvm.Span{}
}

// paint lets the blocks that are whole inside run lead to its end.
func (t *Table) paint(until []uint32, run nvm.Span) {
	end := min(run.End(), reach)
	if from, to := t.blocksUp(run.Off), int(end>>t.shift); from < to {
		fill(until[from:to], uint32(end))
	}
}
