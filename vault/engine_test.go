package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"strings"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

var (
	long = os.Getenv("NANOLOCK_LONG") == "1"
	// replay is the id of a state, up to its world, as a failure prints it: only
	// what leads there is opened. NANOLOCK_CUT="nor/boot,slot@exact#17.w.unstable.0"
	replay  = os.Getenv("NANOLOCK_CUT")
	ctx     = context.Background()
	testKey = [32]byte{1, 2, 3}
	opened  = CounterKey{Authority: 1, Class: ClassOperate}
)

// expect is what a start may show: the state that was acknowledged last and the
// one that was under way.
type expect struct {
	before, after state
	fresh         bool // Format is under way: there may be no vault yet
	key           uint64
}

func newExpect(before, after state, fresh bool) expect {
	x := expect{before: before, after: after, fresh: fresh}
	x.key = join(hashOf(before), hashOf(after))
	if fresh {
		x.key = join(x.key, 1)
	}
	return x
}

func hashOf(s state) (h uint64) {
	for _, b := range s.encode() {
		h = join(h, uint64(b)+1)
	}
	return h
}

// join folds a word into a hash.
func join(h, word uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9E3779B97F4A7C15, word^0xD1B54A32D192ED03)
	return hi ^ lo
}

func (x expect) allows(s state) bool {
	return maps.Equal(s, x.after) || x.before != nil && maps.Equal(s, x.before)
}

// spot is a moment at which the power can go.
type spot struct {
	id     string
	f      *sim.Flash
	x      expect
	anchor *modelAnchor // nil: none
	level  int          // cuts so far
}

func (p *spot) anchored() uint64 {
	if p.anchor == nil {
		return 0
	}
	return p.anchor.n + 1
}

// tally is what an enumeration did.
type tally struct {
	cuts   int // torn states made
	states int // of them, different in content or in what they may show
	mounts int // calls of Open, each in one world of unstable bits
	real   int // of them, with HMAC-SHA-256
}

func (a *tally) add(b tally) {
	a.cuts, a.states, a.mounts, a.real = a.cuts+b.cuts, a.states+b.states, a.mounts+b.mounts, a.real+b.real
}

// effort is how much of the tree of cuts is walked. By level: 0 is the session, 1
// the recovery after its cut, 2 the recovery after a cut in that.
type effort struct {
	tiers []sim.Tier // one cut at each level; as many as there are levels
	// The recovery of a torn state is cut in one of so many, by its level; those
	// that leave unstable bits have a share of their own. 0 is all.
	plain, loose [3]uint64
	budget       int // states of one scenario; 0 = no bound
}

// engine cuts a session at every operation, in every way, opens what is left in
// every world that reads it differently, cuts that again while depth lasts, and
// holds the outcome against what the oracle allows.
type engine struct {
	effort
	options Options
	real    bool
	seen    map[uint64]int8     // to how many cuts more a state was followed
	after   map[uint64]struct{} // states behind a start that were followed
	tally
	spent    int  // states when the scenario began
	ackEarly bool // a seeded bug
	wrap     func(nvm.NVM) nvm.NVM
	path     string   // only what begins with it, or leads there; "": all
	history  []state  // acknowledged before, oldest first
	harm     *toll    // F8: what is promised is less
	only     sim.Torn // of the session's cuts, those of these faults alone; 0 = all
	first    bool     // stop at the first fault
	faults   []string
}

func newEngine(x effort) *engine {
	return &engine{effort: x, path: replay, seen: make(map[uint64]int8), after: make(map[uint64]struct{})}
}

func (e *engine) fault(id, f string, a ...any) {
	if len(e.faults) < 5 {
		e.faults = append(e.faults, id+": "+fmt.Sprintf(f, a...))
	}
}

func (e *engine) over() bool {
	return e.budget > 0 && e.states-e.spent >= e.budget || e.first && len(e.faults) > 0
}

// watch enumerates the cuts of each operation from now on.
func (e *engine) watch(p *spot) {
	tier := e.tiers[p.level]
	p.f.SetHook(func(o *sim.Operation) {
		for torn := range o.Torn(tier) {
			if e.over() {
				return
			}
			if e.only == 0 || p.level > 0 || torn.Fault&e.only != 0 {
				e.check(p, torn.ID, torn.Fault, torn.Flash)
			}
		}
	})
}

// left is how many cuts more are made in the recovery of a state.
func (e *engine) left(id string, level int, fault sim.Torn) int {
	n := len(e.tiers) - 1 - level
	share := e.plain[min(level, 2)]
	if fault&(sim.TornUnstable|sim.TornWeakErase) != 0 {
		share = e.loose[min(level, 2)]
	}
	if n <= 0 || share < 2 || e.path != "" {
		return n
	}
	h := uint64(0) // of the id, not a count: a state's share does not hang on others
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001B3
	}
	if join(h, share)%share != 0 {
		return 0
	}
	return n
}

// check opens one torn state in every world.
func (e *engine) check(p *spot, id string, fault sim.Torn, torn func() *sim.Flash) {
	id = p.id + id
	if e.path != "" && !strings.HasPrefix(e.path, id) && !strings.HasPrefix(id, e.path) {
		return
	}
	f, left := torn(), e.left(id, p.level, fault)
	e.cuts++
	key := join(join(f.Fingerprint(), p.x.key), p.anchored())
	switch deep, ok := e.seen[key]; {
	case ok && int(deep) >= left:
		return
	case !ok:
		e.states++
	}
	e.seen[key] = int8(left)
	for _, w := range worlds(f) {
		q := &spot{id + "." + w.String(), f.Clone(), p.x, p.anchor.clone(), p.level + 1}
		q.f.SetWorld(w)
		e.mount(q, left)
	}
}

// worlds are those that can differ.
func worlds(f *sim.Flash) []sim.World {
	if f.Unstable() {
		return sim.Worlds()
	}
	return []sim.World{sim.AllErased}
}

// mem is a spot's memory, as a seeded bug may have it.
func (e *engine) mem(f *sim.Flash) nvm.NVM {
	if e.wrap != nil {
		return e.wrap(f)
	}
	return f
}

func (e *engine) with(a *modelAnchor) Options {
	o := e.options
	if a != nil {
		o.Anchor = a
	}
	return o
}

func (e *engine) open(f *sim.Flash, a *modelAnchor) (*Vault, Report, error) {
	if e.mounts++; e.real {
		e.tally.real++
	}
	return Open(ctx, e.mem(f), testKey, e.with(a))
}

// mount starts from a torn state, cut again if left, and follows what it shows.
func (e *engine) mount(p *spot, left int) {
	if left > 0 {
		q := *p
		q.id += "/"
		e.watch(&q)
		p.anchor.watch(e, &q)
	}
	ops, erases := p.f.Ops(), p.f.Stats().Erases
	v, r, err := e.open(p.f, p.anchor)
	if err != nil && p.x.fresh && notOurs(err) && p.f.Ops() == ops {
		v, err = Format(ctx, e.mem(p.f), testKey, e.with(p.anchor), p.x.changes()...)
	}
	p.f.SetHook(nil)
	p.anchor.unwatch()
	if e.harm != nil {
		if !e.harm.judge(e, p.x, v, err, p.f.Ops() != ops) {
			e.fault(p.id, "%v, or a state that never was", err)
		}
		return
	}
	if err != nil {
		e.fault(p.id, "open: %v", err)
		return
	}
	shown := v.j.at.state
	switch {
	case !p.x.allows(shown):
		e.fault(p.id, "shows %x, want %x or %x", shown.encode(), p.x.before.encode(), p.x.after.encode())
		return
	case r.Clean && p.f.Ops() != ops:
		e.fault(p.id, "clean, but wrote")
	case p.f.Stats().Erases-erases > 2*uint64(len(v.j.blocks)):
		e.fault(p.id, "%d erases", p.f.Stats().Erases-erases)
	}
	p.f.Reboot()
	e.follow(p, v, shown)
}

func notOurs(err error) bool {
	return errors.Is(err, ErrBlank) || errors.Is(err, ErrForeign) || errors.Is(err, ErrLost)
}

// changes make x.after of an empty state.
func (x expect) changes() []Change {
	return []Change{{owner: true, apply: func(s state, _ limits) error {
		maps.Copy(s, x.after)
		return nil
	}}}
}

// follow checks that what was shown once is shown for ever, whatever loose bits
// read as, and that another commit goes through and lasts, settled or cut off.
func (e *engine) follow(p *spot, v *Vault, shown state) {
	at := &v.j.at
	key := join(join(p.f.Fingerprint(), at.seq), uint64(at.next)<<16|uint64(at.block))
	key = join(join(key, hashOf(shown)), p.anchored())
	if _, ok := e.after[key]; ok {
		return // what follows from here was seen
	}
	e.after[key] = struct{}{}
	e.sticky(p, "", shown)
	c := SetLifecycle(shown.lifecycle() + 1)
	next, _, err := e.commit(v, p.anchor, c)
	if err != nil {
		e.fault(p.id, "next commit: %v", err)
		return
	}
	e.sticky(p, "+", next)
	if err := v.Settle(ctx); err != nil {
		e.fault(p.id, "settle: %v", err)
		return
	}
	e.sticky(p, "+settled", next)
}

func (s state) lifecycle() uint8 {
	if v := s[entryKey(entryLifecycle)]; len(v) == 1 {
		return v[0]
	}
	return 0
}

// commit commits, anchored if there is an anchor, and says what has to be there.
func (e *engine) commit(v *Vault, a *modelAnchor, c ...Change) (next state, pending bool, err error) {
	if a == nil {
		err = v.Commit(ctx, c...)
	} else {
		err = v.CommitAnchored(ctx, c...)
	}
	if errors.Is(err, ErrPending) {
		pending, err = true, nil
	}
	return v.j.at.state, pending, err
}

func (e *engine) sticky(p *spot, what string, shown state) {
	for _, w := range worlds(p.f) {
		f := p.f.Clone()
		f.Reboot()
		f.SetWorld(w)
		v, _, err := e.open(f, p.anchor.clone())
		if err != nil {
			e.fault(p.id, "opened again in %s%s: %v", w, what, err)
		} else if !maps.Equal(v.j.at.state, shown) {
			e.fault(p.id, "opened again in %s%s: shows %x after %x", w, what, v.j.at.state.encode(), shown.encode())
		}
	}
}
