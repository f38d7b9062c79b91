package vault

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

var (
	long = os.Getenv("NANOLOCK_LONG") == "1"
	// replay is the id of a state, up to its world, as a failure prints it: only
	// what leads there is opened. NANOLOCK_CUT="nor/grow#17.w.unstable.0"
	replay  = os.Getenv("NANOLOCK_CUT")
	ctx     = context.Background()
	testKey = [32]byte{1, 2, 3}
	opened  = CounterKey{Authority: 1, Class: ClassOperate}
)

// part is a memory to cut: two blocks or more, small enough to enumerate.
type part struct {
	name   string
	config sim.Config
}

func flash(class nvm.Program, blocks, size, unit, page int64, erased byte) sim.Config {
	return sim.Config{Seed: 7, Geometry: nvm.Geometry{Size: blocks * size, EraseSize: size, ProgramSize: unit,
		PageSize: page, Program: class, Erased: erased, Endurance: 1000}}
}

func parts() []part {
	nor, nor0 := flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF), flash(nvm.ClearBits, 3, 512, 1, 0, 0x00)
	once := flash(nvm.OncePage, 2, 512, 8, 0, 0xFF)
	ecc := flash(nvm.OncePage, 2, 512, 8, 0, 0xFF)
	ecc.ECC = sim.ECC{Unit: 8, Correct: 1}
	nand := flash(nvm.OncePage, 4, 1024, 64, 64, 0xFF)
	nand.InOrder, nand.NOP, nand.Geometry.BadBlocks, nand.BadPPM = true, 1, true, 0
	nand.ECC = sim.ECC{Unit: 64, Correct: 1}
	file := flash(nvm.Rewrite, 2, 512, 32, 0, 0x00)
	file.Cached = true
	refuse := flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF)
	refuse.Faults.Over = sim.OverRefuse
	return []part{{"nor", nor}, {"nor-00", nor0}, {"nor-refuse", refuse}, {"once", once}, {"ecc", ecc}, {"nand", nand}, {"file", file}}
}

func (p part) new(t testing.TB) *sim.Flash {
	t.Helper()
	// F8 damages what was settled elsewhere in the block. A journal of one copy
	// does not survive that, and does not promise to: docs/wire/vault.md.
	p.config.Faults.Without |= sim.TornCollateral
	f, err := sim.New(p.config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// engine cuts a session at every operation, in every way, opens what is left in
// every world, cuts that again while depth lasts, and holds the outcome against
// what the oracle allows.
type engine struct {
	tier, nested sim.Tier
	depth        int
	options      Options
	seen         map[[2]uint64]bool
	after        map[[2]uint64]bool // states behind a start that were followed
	states, cuts int
	mounts       int
	budget       int    // states; 0 = no bound
	every, drawn uint64 // recovery is cut in one state of so many; 0 = 1
	ackEarly     bool   // a seeded bug
	wrap         func(nvm.NVM) nvm.NVM
	first        bool // stop at the first fault
	faults       []string
}

// expect is what a start may show: the value that was acknowledged last and the
// one that was under way.
type expect struct{ before, after uint64 }

func (x expect) allows(v uint64) bool { return v == x.before || v == x.after }

func (e *engine) fault(id, f string, a ...any) {
	if len(e.faults) < 5 {
		e.faults = append(e.faults, id+": "+fmt.Sprintf(f, a...))
	}
}

// value reads the counter that the scenarios raise by one each time, and checks
// that what was committed together is together.
func value(v *Vault) (uint64, error) {
	s := v.Snapshot()
	n := s.Counter(opened)
	if u := s.Usage(3); u.Erases != 10*n {
		return n, fmt.Errorf("counter %d beside usage %d: half a commit", n, u.Erases)
	}
	return n, nil
}

func raise(n uint64) []Change {
	return []Change{RaiseCounter(opened, n), PutUsage(3, Usage{Erases: 10 * n, Mark: int64(n)})}
}

// watch sets a hook that enumerates the cuts of each operation from now on.
func (e *engine) watch(f *sim.Flash, id string, depth int, x func() expect) {
	tier := e.tier
	if depth < e.depth {
		tier = e.nested
	}
	f.SetHook(func(o *sim.Operation) {
		for torn := range o.Torn(tier) {
			if e.budget > 0 && e.states >= e.budget || e.first && len(e.faults) > 0 {
				return
			}
			e.check(id+torn.ID, torn.Flash(), e.sampled(torn, depth-1), x())
		}
	})
}

// sampled is the depth left for a torn state: recovery is cut in one of every so
// many, and in each that leaves bits which read either way.
func (e *engine) sampled(torn sim.TornState, depth int) int {
	loose := torn.Fault&(sim.TornUnstable|sim.TornWeakErase) != 0
	if e.drawn++; e.every > 1 && depth > 0 && !loose && e.drawn%e.every != 0 {
		return 0
	}
	return depth
}

// check opens a torn state in every world.
func (e *engine) check(id string, torn *sim.Flash, depth int, x expect) {
	if replay != "" && !strings.HasPrefix(replay, id) && !strings.HasPrefix(id, replay) {
		return
	}
	e.cuts++
	key := [2]uint64{torn.Fingerprint(), x.before<<32 ^ x.after<<8 ^ uint64(depth)}
	if e.seen[key] {
		return
	}
	e.seen[key] = true
	e.states++
	for _, w := range sim.Worlds() {
		f := torn.Clone()
		f.SetWorld(w)
		e.mount(id+"."+w.String(), f, depth, x)
	}
}

func (e *engine) open(f nvm.NVM) (*Vault, Report, error) {
	e.mounts++
	if e.wrap != nil {
		f = e.wrap(f)
	}
	return Open(ctx, f, testKey, e.options)
}

func (e *engine) mount(id string, f *sim.Flash, depth int, x expect) {
	if depth > 0 {
		e.watch(f, id+"/", depth, func() expect { return x })
	}
	v, r, err := e.open(f)
	f.SetHook(nil)
	if err != nil {
		e.fault(id, "open: %v", err)
		return
	}
	shown, err := value(v)
	if err != nil || !x.allows(shown) {
		e.fault(id, "shows %d, want %d or %d (%v)", shown, x.before, x.after, err)
		return
	}
	if r.Clean && r.Sequence != v.j.at.seq {
		e.fault(id, "clean, but wrote")
	}
	f.Reboot()
	at := v.j.at
	key := [2]uint64{f.Fingerprint() ^ at.seq<<48, shown<<32 ^ uint64(at.next)<<8 ^ uint64(at.block)}
	if e.after[key] {
		return // what follows from here was seen
	}
	e.after[key] = true
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.SetWorld(w)
		e.sticky(id+"|"+w.String(), g, shown)
	}
	e.another(id, f, v, shown)
}

// sticky: what was shown once is shown for ever, whatever loose bits read as.
func (e *engine) sticky(id string, g *sim.Flash, shown uint64) {
	v, _, err := e.open(g)
	if err != nil {
		e.fault(id, "second open: %v", err)
		return
	}
	if again, err := value(v); err != nil || again != shown {
		e.fault(id, "second open shows %d after %d (%v)", again, shown, err)
	}
}

// another commit goes through, is settled or cut off, and lasts in every world.
func (e *engine) another(id string, f *sim.Flash, v *Vault, shown uint64) {
	if err := v.Commit(ctx, raise(shown+1)...); err != nil {
		e.fault(id, "next commit: %v", err)
		return
	}
	for _, settle := range []bool{false, true} {
		if settle {
			if err := v.Settle(ctx); err != nil {
				e.fault(id, "settle: %v", err)
				return
			}
		}
		for _, w := range sim.Worlds() {
			g := f.Clone()
			g.Reboot()
			g.SetWorld(w)
			e.sticky(fmt.Sprintf("%s+%v|%v", id, settle, w), g, shown+1)
		}
	}
}

// scenario is a session on a vault: commits, settling, reopening.
type scenario struct {
	name  string
	fill  int  // commits before the power is cut for the first time
	steps int  // commits that are cut
	close bool // settle behind each commit
	bulk  int  // bytes that make the state longer
	grow  bool // the commit is far longer than the state: it rotates with room left
	turn  bool // commits go on uncut until the next one rotates
}

// run plays s on p: the power is cut in every operation of it.
func (e *engine) run(t testing.TB, p part, s scenario) {
	t.Helper()
	e.seen, e.after = make(map[[2]uint64]bool), make(map[[2]uint64]bool)
	name := p.name + "/" + s.name + "#"
	f := p.new(t)
	n, err := e.prepare(f, s)
	if err != nil {
		e.fault(name, "prepare: %v", err)
		return
	}
	v, _, err := e.open(f)
	if err != nil {
		e.fault(name, "open: %v", err)
		return
	}
	if n, err = e.approach(v, s, n); err != nil {
		e.fault(name, "approach: %v", err)
		return
	}
	x := expect{n, n}
	e.watch(f, name, e.depth, func() expect { return x })
	for range s.steps {
		x.after = n + 1
		if e.ackEarly {
			x.before = n + 1
		}
		batch := raise(n + 1)
		if s.grow {
			batch = append(batch, PutSlot(2, make([]byte, 15)))
		}
		if err := v.Commit(ctx, batch...); err != nil {
			e.fault(name, "commit: %v", err)
			return
		}
		n++
		x = expect{n, n}
		e.check(fmt.Sprintf("%sacked%d", name, n), f.CutUnsynced(nil), 0, x)
		if !s.close {
			continue
		}
		if err := v.Close(); err != nil {
			e.fault(name, "close: %v", err)
			return
		}
		if v, _, err = e.open(f); err != nil {
			e.fault(name, "reopen: %v", err)
			return
		}
	}
	if err := v.Close(); err != nil {
		e.fault(name, "close: %v", err)
	}
}

// approach brings the vault, with no cuts yet, to where the scenario begins.
func (e *engine) approach(v *Vault, s scenario, n uint64) (uint64, error) {
	for i := range uint8(2) {
		if s.grow {
			if err := v.Commit(ctx, SetLifecycle(i+1)); err != nil {
				return n, err
			}
		}
	}
	for s.turn && v.j.at.next+v.j.need(56)+v.j.tail <= v.j.slots {
		n++
		if err := v.Commit(ctx, raise(n)...); err != nil {
			return n, err
		}
	}
	return n, nil
}

// prepare formats the part and fills it as far as the scenario wants.
func (e *engine) prepare(f *sim.Flash, s scenario) (n uint64, err error) {
	v, err := Format(ctx, f, testKey, e.options, PutSlot(1, []byte(strings.Repeat("\xff", s.bulk))))
	if err != nil {
		return 0, err
	}
	for n < uint64(s.fill) {
		n++
		if err := v.Commit(ctx, raise(n)...); err != nil {
			return n, err
		}
	}
	return n, v.Close()
}

// scenarios: each class of program meets a delta, a settled mark, an opened one,
// a rotation and the way back, from every fill.
func scenarios() []scenario {
	return []scenario{
		{name: "session", fill: 0, steps: 3},
		{name: "marks", fill: 1, steps: 2, close: true},
		{name: "rotation", fill: 2, steps: 4},
		{name: "long", fill: 1, steps: 2, bulk: 10},
		{name: "turn", steps: 1, turn: true},
		{name: "grow", steps: 1, grow: true},
	}
}

// size says how much a run does: everything in the long one, a sample of the cuts
// in recovery in the plain one, and a glance under the race detector.
func size(e *engine, plain, brief int) {
	switch {
	case long:
	case raceEnabled:
		e.budget, e.every = brief, 97
	default:
		e.budget, e.every = plain, 97
	}
}

func TestCuts(t *testing.T) {
	var states, mounts int
	for _, p := range parts() {
		for _, s := range scenarios() {
			e := &engine{tier: sim.T4, depth: 1, options: Options{Intent: 1}}
			if size(e, 0, 150); long {
				e.tier = sim.Full
			}
			e.run(t, p, s)
			states, mounts = states+e.states, mounts+e.mounts
			t.Logf("%s/%s: %d cuts, %d distinct states, %d mounts", p.name, s.name, e.cuts, e.states, e.mounts)
			for _, fault := range e.faults {
				t.Error(fault)
			}
		}
	}
	t.Logf("depth 1: %d distinct states, %d mounts", states, mounts)
}

// TestNestedCuts cuts recovery itself.
func TestNestedCuts(t *testing.T) {
	var states, mounts int
	for _, p := range parts() {
		e := &engine{tier: sim.T4, nested: sim.T4, depth: 2, options: Options{Intent: 1}}
		size(e, 3000, 100)
		e.run(t, p, scenario{name: "nested", fill: 0, steps: 3})
		states, mounts = states+e.states, mounts+e.mounts
		t.Logf("%s: %d cuts, %d distinct states, %d mounts", p.name, e.cuts, e.states, e.mounts)
		for _, fault := range e.faults {
			t.Error(fault)
		}
	}
	t.Logf("depth 2: %d distinct states, %d mounts", states, mounts)
}
