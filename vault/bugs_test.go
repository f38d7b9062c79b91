package vault

import (
	"hash"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

// The tiers of cuts in the order of what they cost: one cut, by what it may leave,
// then cuts in recovery as well.
var tiers = []struct {
	name string
	effort
}{
	{"boundary", effort{tiers: []sim.Tier{sim.T0}}},
	{"prefix", effort{tiers: []sim.Tier{sim.T1}}},
	{"any order", effort{tiers: []sim.Tier{sim.T2}}},
	{"torn erase", effort{tiers: []sim.Tier{sim.T3}}},
	{"unstable", effort{tiers: []sim.Tier{sim.T4}}},
	{"2 cuts", effort{tiers: []sim.Tier{sim.T4, sim.T4}, plain: [3]uint64{997}, budget: 12000}},
	{"3 cuts", effort{tiers: []sim.Tier{sim.T4, sim.T4, sim.T4}, plain: [3]uint64{31, 499}, loose: [3]uint64{1, 7}, budget: 12000}},
}

const never = "never"

// bug is one change of the vault that the enumeration has to notice, and the tier
// at which it does.
type bug struct {
	name  string
	want  string // of tiers; never
	at    string // part and scenario; "": all that are named here
	plant func(*procedure, *engine)
}

type step = func(*journal, *recovery) error

func recoverBy(steps ...step) func(*procedure, *engine) {
	return func(p *procedure, _ *engine) { p.recovery = steps }
}

func retireTo(f func(*journal, *found) int) func(*procedure, *engine) {
	return func(p *procedure, _ *engine) { p.retireTo = f }
}

// constant is a MAC that is none: a mark that a record ends with.
type constant struct {
	hash.Hash
	b byte
}

func (c constant) Sum(p []byte) []byte { return append(p, strings.Repeat(string([]byte{c.b}), 32)...) }

func sealed(mark byte) func(*procedure, *engine) {
	return func(p *procedure, e *engine) {
		e.real = true // or the stub would take the mark's place
		p.seal = func(key [32]byte) *sealer { return &sealer{constant{newStub(key), mark}, header.put} }
	}
}

// noBarrier promises what it does not do.
type noBarrier struct{ nvm.NVM }

func (noBarrier) Sync() error { return nil }

// firstBlank is the first slot behind the chain that reads erased.
func firstBlank(j *journal, f *found) int {
	m, err := j.read(f.best.block)
	for i := f.best.next; err == nil && i < j.slots; i++ {
		if string(m.data[i*j.slot:(i+1)*j.slot]) == string(j.blank()) && !m.lost[i] {
			return i
		}
	}
	return j.slots
}

// onto goes on behind what it retired and does not write the decision again.
func onto(j *journal, r *recovery) error {
	j.at.next, j.at.settled = r.slot, false
	return nil
}

// The recoveries v1 to v5 are those that were each meant to be right, in the order
// in which they were found wanting; v5 is the one that stands.
var bugs = []bug{
	{"ack before program", "boundary", "nor/lifecycle@empty", func(_ *procedure, e *engine) { e.ackEarly = true }},
	{"erase old before new is durable", "boundary", "nor/lifecycle@due+warm", func(p *procedure, _ *engine) {
		p.rotate = func(j *journal, s state) error {
			if err := j.erase(j.at.block); err != nil {
				return err
			}
			return j.relocate(s)
		}
	}},
	{"head marker, no MAC", "prefix", "nor/lifecycle@empty", sealed(0xFF)},
	{"tail marker, no MAC", "any order", "nor/lifecycle@empty", sealed(0x3C)},
	{"appends where it only reads erased", "unstable", "nor/lifecycle@empty", func(p *procedure, _ *engine) {
		p.clean = func(f *found) bool { return f.last[f.best.block] < f.best.next }
	}},
	{"decision not written again", "unstable", "nor/lifecycle@due+warm", recoverBy((*journal).retire, onto, (*journal).eraseOthers, (*journal).settled)},
	{"v1: retires the free slot alone", "unstable", "nor/lifecycle@due+warm", func(p *procedure, _ *engine) {
		p.recovery = []step{func(j *journal, r *recovery) error {
			r.slot = firstBlank(j, r.found) + 1
			if r.slot <= j.slots {
				_ = j.retireSlot(r.found.best.block, r.slot-1)
			}
			return nil
		}, onto, (*journal).eraseOthers, (*journal).settled}
	}},
	{"appends behind the last valid record", "unstable", "nor/lifecycle@empty", retireTo(func(_ *journal, f *found) int { return f.best.next })},
	{"v2: stops at the first slot that reads erased", "unstable", "nor/lifecycle@due+warm", retireTo(firstBlank)},
	{"v3: leaves the other blocks", "unstable", "wide/large@due+warm", recoverBy((*journal).retire, (*journal).rewrite, (*journal).settled)},
	{"v4: erases the others first", "2 cuts", "nor3/lifecycle@due+warm", recoverBy((*journal).retire, (*journal).eraseOthers, (*journal).rewrite, (*journal).settled)},
	{"rotates into what reads erased", "unstable", "once/lifecycle@due+warm", func(p *procedure, _ *engine) {
		p.rotate = func(j *journal, s state) error {
			b := j.next(j.at.block)
			m, err := j.read(b)
			if err != nil {
				return err
			}
			return j.snapshot(b, 0, s, s.encode(), m.last >= 0)
		}
	}},
	{"MAC without sequence", "2 cuts", "nor3/lifecycle@empty", func(p *procedure, e *engine) {
		e.real = true
		p.seal = func(key [32]byte) *sealer {
			return &sealer{newStub(key), func(h header, b []byte) []byte { h.seq = 0; return h.put(b) }}
		}
	}},
	// Beyond the research's thirteen.
	{"does not open the settled mark", "2 cuts", "nor/lifecycle@empty", func(p *procedure, _ *engine) {
		p.open = func(j *journal) error { j.at.settled = false; return nil }
	}},
	{"settles before the others are erased", "2 cuts", "wide/large@due+warm", func(p *procedure, e *engine) {
		e.only, e.budget = sim.TornUnstable, 4*e.budget // or it ends before
		p.recovery = []step{(*journal).retire, (*journal).rewrite, (*journal).settled, (*journal).eraseOthers}
	}},
	{"acknowledges without a barrier", "boundary", "file/lifecycle@empty", func(_ *procedure, e *engine) {
		e.wrap = func(m nvm.NVM) nvm.NVM { return noBarrier{m} }
	}},
	{"retires nothing where there is no room", "2 cuts", "nor3/lifecycle@empty", func(p *procedure, _ *engine) {
		p.recovery = append([]step{func(j *journal, r *recovery) error {
			c := r.found.best
			r.slot = j.how.retireTo(j, r.found)
			if r.elsewhere = r.slot+j.need(c.state.size())+j.tail > j.slots; r.elsewhere {
				return nil
			}
			return j.retire(r)
		}}, p.recovery[1:]...)
	}},
	{"abandons a block that cannot be retired", "2 cuts", "once/lifecycle@due+warm", func(p *procedure, _ *engine) {
		p.recovery = append([]step{func(j *journal, r *recovery) error {
			r.elsewhere = !j.inPlace
			return j.retire(r)
		}}, p.recovery[1:]...)
	}},
	{"v5, as it is", never, "", func(*procedure, *engine) {}},
}

// TestBugs: every bug is caught, at the tier that it is known for, and what is
// right never is.
func TestBugs(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			got, states, what := never, 0, ""
			for _, tier := range tiers {
				if raceEnabled && len(tier.tiers) > 1 {
					return // too slow; the plain run has it
				}
				e := b.try(t, tier.effort)
				if states += e.states; len(e.faults) > 0 {
					got, what = tier.name, e.faults[0]
					break
				}
			}
			t.Logf("%-45s %-10s after %6d states; %.150s", b.name, got, states, what)
			if got != b.want {
				t.Errorf("caught at %q, want %q", got, b.want)
			}
		})
	}
}

// try enumerates what b names up to the first fault.
func (b bug) try(t *testing.T, x effort) *engine {
	t.Helper()
	e := newEngine(x)
	e.first = true
	for _, p := range append(parts(), moreParts()...) {
		for _, s := range deep() {
			if !b.looks(p.name + "/" + s.String()) {
				continue
			}
			how := standard()
			e.options, e.real = Options{Intent: 1, how: &how}, false
			b.plant(&how, e)
			if err := e.run(p, s); err != nil && err != errSkip {
				t.Fatalf("%s/%s: %v", p.name, s, err)
			}
			if len(e.faults) > 0 {
				return e
			}
		}
	}
	return e
}

func (b bug) looks(at string) bool {
	return at == b.at || b.at == "" && slices.ContainsFunc(bugs, func(o bug) bool { return o.at == at })
}
