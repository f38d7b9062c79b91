package vault

import (
	"slices"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

type step = func(*journal, *recovery) error

// mutant is the journal with one bug; the enumeration has to notice.
type mutant struct {
	name  string
	parts []string // where it can show
	depth int      // how many cuts it takes
	bug   func(*procedure, *engine)
}

func recoverBy(steps ...step) func(*procedure, *engine) {
	return func(p *procedure, _ *engine) { p.recovery = steps }
}

func retireTo(f func(*found) int) func(*procedure, *engine) {
	return func(p *procedure, _ *engine) { p.retireTo = func(_ *journal, f2 *found) int { return f(f2) } }
}

// keep is a recovery that goes on behind what it retired without writing its
// decision again.
func keep(j *journal, r *recovery) error {
	if r.elsewhere {
		return j.how.rotate(j, j.at.state)
	}
	j.at.next, j.at.settled = r.slot, false
	return nil
}

func keepOnce(j *journal, r *recovery) error { return nil }

var mutants = []mutant{
	{"ack before program", []string{"nor"}, 1, func(_ *procedure, e *engine) { e.ackEarly = true }},
	{"erase old before new is durable", []string{"nor", "once"}, 1, func(p *procedure, _ *engine) {
		p.rotate = func(j *journal, s state) error {
			old := j.at.block
			if err := j.erase(old); err != nil {
				return err
			}
			return j.relocate(s)
		}
	}},
	{"clean is what reads erased", []string{"nor", "nor-00"}, 1, func(p *procedure, _ *engine) {
		p.clean = func(f *found) bool { return f.last[f.best.block] < f.best.next }
	}},
	{"does not open the settled mark", []string{"nor", "once"}, 1, func(p *procedure, _ *engine) {
		p.open = func(j *journal) error { j.at.settled = false; return nil }
	}},
	{"decision not written again", []string{"nor", "nor-00"}, 1, recoverBy((*journal).retire, keep, (*journal).eraseOthers, (*journal).settled)},
	{"decision not written again, not even elsewhere", []string{"once"}, 1, recoverBy(keepOnce, (*journal).eraseOthers, (*journal).settled)},
	{"retires the free slot alone", []string{"nor", "nor-00"}, 1, retireTo(func(f *found) int { return f.best.next + 1 })},
	{"retires nothing", []string{"nor", "nor-00"}, 1, retireTo(func(f *found) int { return f.best.next })},
	{"does not retire the next slot", []string{"nor", "nor-00"}, 2, retireTo(func(f *found) int { return max(f.last[f.best.block]+1, f.best.next) })},
	{"leaves the other blocks", []string{"nor", "once"}, 2, recoverBy((*journal).retire, (*journal).rewrite, (*journal).settled)},
	{"erases the others first", []string{"nor", "once"}, 2, recoverBy((*journal).retire, (*journal).eraseOthers, (*journal).rewrite, (*journal).settled)},
	{"settles before the others are erased", []string{"nor", "once"}, 2, recoverBy((*journal).retire, (*journal).rewrite, (*journal).settled, (*journal).eraseOthers)},
	{"acknowledges without a barrier", []string{"file"}, 1, func(_ *procedure, e *engine) {
		e.wrap = func(m nvm.NVM) nvm.NVM { return noBarrier{m} }
	}},
	{"rotates into what reads erased", []string{"nor", "nor-00"}, 2, func(p *procedure, _ *engine) {
		p.rotate = func(j *journal, s state) error {
			b := j.next(j.at.block)
			m, err := j.read(b)
			if err != nil {
				return err
			}
			return j.snapshot(b, 0, s, s.encode(), m.last >= 0)
		}
	}},
}

func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			if raceEnabled && m.depth > 1 && !long {
				m.parts = nil // too slow; the plain run has it
			}
			tried := 0
			for _, p := range parts() {
				if !slices.Contains(m.parts, p.name) {
					continue
				}
				for depth := 1; depth <= m.depth; depth++ {
					for _, s := range m.scenarios() {
						e := m.try(t, p, s, depth)
						if tried += e.states; len(e.faults) > 0 {
							t.Logf("caught after %d states: %s", tried, e.faults[0])
							return
						}
					}
				}
			}
			if m.parts != nil {
				t.Errorf("survives %d states", tried)
			}
		})
	}
}

// scenarios: a bug that takes two cuts shows at a rotation, or never.
func (m mutant) scenarios() []scenario {
	all := scenarios()
	if m.depth > 1 {
		slices.Reverse(all)
		return all[:2]
	}
	return all
}

// noBarrier promises what it does not do.
type noBarrier struct{ nvm.NVM }

func (noBarrier) Sync() error { return nil }

func (m mutant) try(t *testing.T, p part, s scenario, depth int) *engine {
	how := standard()
	e := &engine{tier: sim.T4, nested: sim.T4, depth: depth, first: true, options: Options{Intent: 1, how: &how}}
	if !long {
		e.every = 11
	}
	m.bug(&how, e)
	e.run(t, p, s)
	return e
}
