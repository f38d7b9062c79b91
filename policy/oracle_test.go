package policy_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// long asks for the number of cases that a release is tested with.
var long = os.Getenv("NANOLOCK_LONG") == "1"

// The oracle below decides byte by byte from the Policy alone. It knows no
// table, no array and no index, and asks nothing of package policy but its data,
// so that a mistake in the compiler is not repeated here.
type oracle struct {
	p  *policy.Policy
	g  nvm.Geometry
	st policy.State
}

// at finds what a byte belongs to; nil, nil is a gap.
func (o oracle) at(off int64) (*policy.Region, *policy.Area) {
	for i := range o.p.Map {
		if s := o.p.Map[i].Span; off >= s.Off && off-s.Off < s.Len {
			return &o.p.Map[i], nil
		}
	}
	for i := range o.p.Memory.Hidden {
		if s := o.p.Memory.Hidden[i].Span; off >= s.Off && off-s.Off < s.Len {
			return nil, &o.p.Memory.Hidden[i]
		}
	}
	return nil, nil
}

// block is the erase block of a byte, counted from the start of the memory.
func (o oracle) block(off int64) (from, to int64) {
	areas := o.g.Blocks
	if areas == nil {
		areas = []nvm.EraseArea{{Len: o.g.Size, EraseSize: o.g.EraseSize}}
	}
	for _, a := range areas {
		for n := int64(0); n < a.Len; n += a.EraseSize {
			if to = from + a.EraseSize; off < to {
				return from, to
			}
			from = to
		}
	}
	return off, off
}

// byte decides about one byte.
func (o oracle) byte(op nvm.Op, off int64, r *policy.Rights) policy.Verdict {
	reg, _ := o.at(off)
	if reg == nil {
		if op == nvm.Read && o.p.Memory.Blank {
			return policy.Blank
		}
		return policy.Deny
	}
	a, ok := reg.In[o.st]
	if !ok {
		a = reg.Access
	}
	rule := map[nvm.Op]policy.Rule{nvm.Read: a.Read, nvm.Write: a.Write, nvm.Erase: a.Erase}[op]
	wears := op == nvm.Erase || op == nvm.Write && o.g.Program == nvm.Rewrite
	switch rule.Mode {
	case policy.Any:
		if wears && reg.Wear != (policy.Wear{}) {
			return policy.Metered
		}
		return policy.Allow
	case policy.Append, policy.Once:
		return policy.Metered
	case policy.Grant:
		if r == nil || r.Authority != rule.Authority || r.Ops&op == 0 || r.Span.Off < 0 || r.Span.Off > o.g.Size || r.Span.Len > o.g.Size-r.Span.Off {
			break
		}
		from, to := off, off+1
		if op != nvm.Read {
			from, to = o.block(off)
		}
		if from < r.Span.Off || to > r.Span.Off+r.Span.Len {
			break
		}
		if op == nvm.Read {
			return policy.Allow
		}
		return policy.Metered
	}
	if op == nvm.Read && a.Blank {
		return policy.Blank
	}
	return policy.Deny
}

// until is the array that Table.Until or UntilFor should hold.
func (o oracle) until(op nvm.Op, r *policy.Rights, shift uint) []uint32 {
	end := make([]int64, o.g.Size+1) // of the run that a byte is in, 0 = none
	var next *policy.Region
	for off := o.g.Size - 1; off >= 0; off-- {
		reg, _ := o.at(off)
		switch {
		case o.byte(op, off, r) != policy.Allow:
		case end[off+1] != 0 && (reg == next || !flips(reg) && !flips(next)):
			end[off] = end[off+1]
		default:
			end[off] = off + 1
		}
		next = reg
	}
	until := make([]uint32, o.g.Size>>shift)
	for b := range until {
		if e := end[int64(b)<<shift]; e >= int64(b+1)<<shift {
			until[b] = uint32(e)
		}
	}
	return until
}

func flips(r *policy.Region) bool { return r.Update != nil && r.Update.Slot != "" }

// source is where a generated policy takes its choices from: random bytes, or
// those of the fuzzer. An exhausted source gives zeros.
type source struct{ b []byte }

func (s *source) next(n int) int {
	if len(s.b) == 0 {
		return 0
	}
	v := int(s.b[0]) % n
	s.b = s.b[1:]
	return v
}

func (s *source) flip() bool { return s.next(2) == 1 }

var geometries = []nvm.Geometry{
	{Size: 64, EraseSize: 4, ProgramSize: 1, Erased: 0xFF},
	{Size: 64, EraseSize: 8, ProgramSize: 1, Erased: 0xFF, Program: nvm.Rewrite},
	{Size: 64, EraseSize: 1, ProgramSize: 1, Program: nvm.Rewrite},
	{Size: 64, EraseSize: 4, ProgramSize: 2, PageSize: 4, Program: nvm.OncePage, Erased: 0xFF,
		Blocks: []nvm.EraseArea{{Len: 16, EraseSize: 4}, {Len: 24, EraseSize: 12}, {Len: 24, EraseSize: 8}}},
	{Size: 64, EraseSize: 2, ProgramSize: 1, Erased: 0xFF,
		Blocks: []nvm.EraseArea{{Len: 32, EraseSize: 16}, {Len: 32, EraseSize: 2}}},
}

// generate makes a valid policy of a toy memory.
func generate(s *source) (*policy.Policy, nvm.Geometry) {
	g := geometries[s.next(len(geometries))]
	o := oracle{g: g}
	p := &policy.Policy{Name: "toy", Version: 1, Memory: policy.Memory{Size: g.Size, Granule: max(8, g.EraseSize), Blank: s.flip()},
		Authorities: []policy.Authority{{Name: "a", Suite: policy.Ed25519}, {Name: "b", Suite: policy.MLDSA65}}}
	id := uint32(0)
	name := func() (uint32, string) { id++; return id, fmt.Sprintf("n%d", id) }
	for at := int64(0); at < g.Size; {
		size := min(int64(1+s.next(20)), g.Size-at)
		from, to := o.block(at)
		switch kind := s.next(8); {
		case kind == 0: // a gap
		case kind == 1 && from == at:
			size = to - from
			n, str := name()
			p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: n, Name: str, Span: nvm.Span{Off: at, Len: size}, Kind: policy.Digests})
		case kind == 2 && from == at && to < g.Size && twin(o, from, to):
			size = 2 * (to - from)
			n, str := name()
			m, slot := name()
			p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: m, Name: slot, Span: nvm.Span{Off: to, Len: to - from}, Kind: policy.Slot})
			r := policy.Region{ID: n, Name: str, Span: nvm.Span{Off: from, Len: to - from}, Update: &policy.Update{Slot: slot}}
			rules(s, &r)
			p.Map = append(p.Map, r)
		default:
			n, str := name()
			r := policy.Region{ID: n, Name: str, Span: nvm.Span{Off: at, Len: size}, Boot: s.flip()}
			rules(s, &r)
			p.Map = append(p.Map, r)
		}
		at += size
	}
	if len(p.Map) == 0 {
		last := &p.Memory.Hidden
		*last = nil
		p.Map = []policy.Region{{ID: 1, Name: "all", Span: nvm.Span{Len: g.Size}}}
	}
	if s.flip() { // order in the file means nothing
		for i, j := 0, len(p.Map)-1; i < j; i, j = i+1, j-1 {
			p.Map[i], p.Map[j] = p.Map[j], p.Map[i]
		}
	}
	return p, g
}

// twin tells whether the block behind [from, to) is as long.
func twin(o oracle, from, to int64) bool {
	f, t := o.block(to)
	return f == to && t-f == to-from
}

func rules(s *source, r *policy.Region) {
	r.Access = access(s, r)
	for _, st := range policy.States() {
		if s.next(4) == 3 {
			if r.In == nil {
				r.In = map[policy.State]policy.Access{}
			}
			r.In[st] = access(s, r)
		}
	}
	if s.next(3) == 2 {
		r.Wear = policy.Wear{Erases: uint32(s.next(5)), PerHours: 0}
	}
}

func access(s *source, r *policy.Region) policy.Access {
	one := func(n int) policy.Rule {
		return []policy.Rule{
			{Mode: policy.Any}, {}, {Mode: policy.Grant, Authority: "a"}, {Mode: policy.Any}, {Mode: policy.Grant, Authority: "b"},
			{Mode: policy.Append}, {Mode: policy.Once},
		}[s.next(n)]
	}
	a := policy.Access{Read: one(5), Write: one(7), Erase: one(5), Blank: s.flip()}
	if a.Write.Mode == policy.Append && r.Update != nil {
		a.Write = policy.Rule{}
	}
	if (a.Write.Mode == policy.Append || a.Write.Mode == policy.Once) && a.Erase.Mode == policy.Any {
		a.Erase = policy.Rule{Mode: policy.Grant, Authority: "a"}
	}
	return a
}

// rightsFor are what the table is asked with: none, everything, odd borders, the
// wrong authority, nothing at all, and what no memory has.
func rightsFor(s *source, size int64) []*policy.Rights {
	off := int64(s.next(int(size)))
	return []*policy.Rights{
		nil,
		{Authority: "a", Ops: nvm.AllOps, Span: nvm.Span{Len: size}},
		{Authority: "b", Ops: nvm.AllOps, Span: nvm.Span{Off: off, Len: min(int64(1+s.next(40)), size-off)}},
		{Authority: "a", Ops: nvm.Op(s.next(8)), Span: nvm.Span{Off: off / 2, Len: size - off}},
		{Authority: "c", Ops: nvm.AllOps, Span: nvm.Span{Len: size}},
		{Authority: "a", Ops: nvm.AllOps},
		{Authority: "a", Ops: nvm.AllOps, Span: nvm.Span{Off: -1, Len: size}},
		{Ops: nvm.AllOps, Span: nvm.Span{Len: size}},
	}
}

// agree compares a table with the oracle over every access there is, or, for a
// fuzzer that has many policies to try, those from every stride-th byte.
func agree(t testing.TB, o oracle, tab *policy.Table, rights []*policy.Rights, stride int64) {
	t.Helper()
	for _, op := range []nvm.Op{nvm.Read, nvm.Write, nvm.Erase} {
		for _, r := range rights {
			if r == nil {
				sameUntil(t, fmt.Sprint(op), tab.Until(op), o.until(op, nil, tab.Shift()))
			} else if op == nvm.Read {
				sameUntil(t, fmt.Sprintf("%v for %+v", op, *r), tab.UntilFor(*r), o.until(op, r, tab.Shift()))
			}
			agreeOn(t, o, tab, op, r, stride)
		}
	}
}

func sameUntil(t testing.TB, what string, got, want []uint32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d blocks, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: block %d until %d, want %d", what, i, got[i], want[i])
		}
	}
}

// agreeOn walks all pairs of offset and length.
func agreeOn(t testing.TB, o oracle, tab *policy.Table, op nvm.Op, r *policy.Rights, stride int64) {
	t.Helper()
	size := o.g.Size
	verdicts := make([]policy.Verdict, size)
	starts := make([]bool, size+1)
	starts[size] = true
	for off := range size {
		verdicts[off] = o.byte(op, off, r)
		from, _ := o.block(off)
		starts[from] = true
	}
	for off := int64(0); off < size; off += stride {
		want := policy.Decision{Allow: true}
		for end := off + 1; end <= size; end++ {
			v := verdicts[end-1]
			want.Allow = want.Allow && v != policy.Deny
			want.Blank = want.Blank || v == policy.Blank
			want.Metered = want.Metered || v == policy.Metered
			got := tab.Explain(op, nvm.Span{Off: off, Len: end - off}, r)
			if op == nvm.Erase && (!starts[off] || !starts[end]) {
				if got.Allow || got.Rule != "not whole erase blocks: refused" {
					t.Fatalf("%v [%d,%d): got %+v, want a refusal of the borders", op, off, end, got)
				}
				continue
			}
			if got.Allow != want.Allow || got.Allow && (got.Blank != want.Blank || got.Metered != want.Metered) {
				t.Fatalf("%v [%d,%d) with %+v in %v:\ngot  %+v\nwant %+v", op, off, end, r, o.st, got, want)
			}
		}
		pieces(t, o, tab, op, off, r, verdicts)
	}
}

// pieces walks one access to the end of the memory: no hole, no overlap, each
// piece inside one region and, where it is allowed, exact to the byte.
func pieces(t testing.TB, o oracle, tab *policy.Table, op nvm.Op, off int64, r *policy.Rights, verdicts []policy.Verdict) {
	t.Helper()
	i := tab.Start(off)
	for at := off; at < o.g.Size; {
		var p policy.Piece
		p, i = tab.Piece(i, op, at, o.g.Size, r)
		if p.Span.Off != at || p.Span.Len <= 0 || p.Span.End() > o.g.Size {
			t.Fatalf("piece at %d is %v", at, p.Span)
		}
		in := tab.Info(p.Entry)
		denied := false
		for b := at; b < p.Span.End(); b++ {
			reg, area := o.at(b)
			switch {
			case reg != nil && (in.Name != reg.Name || in.ID != reg.ID || in.Span != reg.Span || in.Hidden),
				area != nil && (in.Name != area.Name || in.ID != area.ID || in.Span != area.Span || !in.Hidden),
				reg == nil && area == nil && p.Entry != -1:
				t.Fatalf("byte %d is in %+v", b, in)
			case p.Verdict != policy.Deny && p.Verdict != verdicts[b]:
				t.Fatalf("%v of byte %d with %+v: %v, want %v", op, b, r, p.Verdict, verdicts[b])
			case p.Granted != (p.Verdict > policy.Blank && in.Access.Rule(op).Mode == policy.Grant):
				t.Fatalf("%v of byte %d: granted %v under %v", op, b, p.Granted, in.Access.Rule(op))
			}
			denied = denied || verdicts[b] == policy.Deny
		}
		if denied != (p.Verdict == policy.Deny) {
			t.Fatalf("%v of %v with %+v: %v, oracle denies: %v", op, p.Span, r, p.Verdict, denied)
		}
		at = p.Span.End()
	}
}
