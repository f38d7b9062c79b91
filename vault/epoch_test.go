package vault

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

// move is a vault that goes to its next epoch, and the latch beside it.
type move struct {
	cutter
	how     procedure
	latched uint32
	epochs  [2]uint32
	after   map[[2]uint64]bool // states behind a start that were followed
}

func (m *move) options(epoch uint32) Options {
	return Options{Epoch: epoch, Intent: 1, how: &m.how}
}

// want is what a start under an epoch has to show: 2 before, 3 behind.
func (m *move) want(epoch uint32) uint64 {
	if epoch == m.epochs[0] {
		return 2
	}
	return 3
}

// shows opens f under the epoch of its latch.
func (m *move) shows(id string, f *sim.Flash, epoch uint32, want uint64) *Vault {
	v, _, err := Open(ctx, f, testKey, m.options(epoch))
	if err != nil {
		m.fault(id, "open under epoch %d: %v", epoch, err)
		return nil
	}
	if n, err := value(v); n != want || err != nil {
		m.fault(id, "under epoch %d shows %d, want %d (%v)", epoch, n, want, err)
		return nil
	}
	return v
}

// everywhere is shows in each world.
func (m *move) everywhere(id string, f *sim.Flash, epoch uint32, want uint64) {
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.Reboot()
		g.SetWorld(w)
		m.shows(id+"|"+w.String(), g, epoch, want)
	}
}

// judge is for cuts under one value of the latch.
func (m *move) judge(epoch uint32) judge {
	var j judge
	j = func(id string, f *sim.Flash, depth int) {
		if depth > 0 {
			m.watch(f, id+"/", depth, func() uint64 { return uint64(epoch) }, j)
		}
		v := m.shows(id, f, epoch, m.want(epoch))
		f.SetHook(nil)
		if v == nil {
			return
		}
		f.Reboot()
		key := [2]uint64{f.Fingerprint() ^ v.j.at.seq<<48, uint64(epoch)<<32 ^ uint64(v.j.at.next)<<8 ^ uint64(v.j.at.block)}
		if m.after[key] {
			return // what follows from here was seen
		}
		m.after[key] = true
		m.everywhere(id+"|again", f, epoch, m.want(epoch))
		m.again(id, f, v, epoch)
	}
	return j
}

// again: what is done behind the cut, a move to the very epoch that was cut
// included, is not disturbed by anything that the cut left.
func (m *move) again(id string, f *sim.Flash, v *Vault, epoch uint32) {
	next := m.epochs[1]
	if epoch == next {
		next++
	}
	err := v.NextEpoch(ctx, next, func() error {
		m.everywhere(id+"|at latch", f, epoch, m.want(epoch))
		m.everywhere(id+"|latched", f, next, 5)
		return nil
	}, raise(5)...)
	if err != nil {
		m.fault(id, "next move: %v", err)
		return
	}
	m.everywhere(id+"|moved", f, next, 5)
}

// run moves a vault with two commits to its next epoch, cut at every operation.
func (m *move) run(t *testing.T, f *sim.Flash, settled bool, depth int) {
	t.Helper()
	v, err := Format(ctx, f, testKey, m.options(m.epochs[0]))
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n < 3; n++ {
		if err := v.Commit(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	if settled {
		if err := v.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m.latched = m.epochs[0]
	under := func() uint64 { return uint64(m.latched) }
	both := func(id string, f *sim.Flash, depth int) { m.judge(m.latched)(id, f, depth) }
	m.watch(f, "", depth, under, both)
	err = v.NextEpoch(ctx, m.epochs[1], func() error {
		m.each("at latch", f.CutUnsynced(nil), under(), depth-1, both)
		m.latched = m.epochs[1]
		m.each("latched", f.CutUnsynced(nil), under(), depth-1, both)
		return nil
	}, raise(3)...)
	f.SetHook(nil)
	if err != nil {
		m.fault("", "%v", err)
	}
	if n, err := value(v); n != 3 || err != nil {
		m.fault("", "the vault itself shows %d, %v", n, err)
	}
	if e, _, _ := v.Snapshot().Head(); e != m.epochs[1] {
		m.fault("", "head of epoch %d", e)
	}
	m.each("done", f.CutUnsynced(nil), under(), 0, both)
}

func newMove() *move {
	return &move{cutter: cutter{tier: sim.T4, nested: sim.T4}, how: standard(), epochs: [2]uint32{4, 6}, after: map[[2]uint64]bool{}}
}

// epochParts has a NOR part with blocks that a move leaves alone at first.
func epochParts() []part {
	four := flash(nvm.ClearBits, 4, 512, 1, 64, 0xFF)
	return append(parts(), part{"nor-4", four})
}

func TestNextEpoch(t *testing.T) {
	for _, p := range epochParts() {
		for _, settled := range []bool{false, true} {
			m := newMove()
			m.run(t, p.new(t), settled, 1)
			m.report(t, fmt.Sprintf("%s settled=%v", p.name, settled))
		}
	}
}

// TestNextEpochNested cuts what recovers from a cut move.
func TestNextEpochNested(t *testing.T) {
	for _, p := range epochParts() {
		for _, settled := range []bool{false, true} {
			m := newMove()
			if m.every, m.loose, m.thin = 1009, 307, 5; long {
				m.every, m.loose, m.thin = 1, 1, 1
			} else if raceEnabled {
				m.every, m.loose, m.thin = 4001, 1009, 211
			}
			m.run(t, p.new(t), settled, 2)
			m.report(t, fmt.Sprintf("%s settled=%v", p.name, settled))
		}
	}
}

// TestNextEpochMutants: the enumeration notices each step that is left out.
func TestNextEpochMutants(t *testing.T) {
	type next = func(*journal, uint32, state, func() error) error
	for name, bug := range map[string]next{
		"latch first": func(j *journal, e uint32, s state, latch func() error) error {
			return j.nextEpochAs(e, s, latch, true, false)
		},
		"erases the old state before the latch": func(j *journal, e uint32, s state, latch func() error) error {
			return j.nextEpochAs(e, s, latch, false, true)
		},
		"latches before it is durable": func(j *journal, e uint32, s state, latch func() error) error {
			l := *j.layout
			l.mem, j.layout = noBarrier{l.mem}, &l
			return j.nextEpoch(e, s, latch)
		},
	} {
		m := newMove()
		m.how.epoch = bug
		c := flash(nvm.ClearBits, 3, 512, 1, 64, 0xFF)
		c.Cached = name == "latches before it is durable"
		m.run(t, uncollateral(t, c), true, 1)
		if len(m.faults) == 0 {
			t.Errorf("%s: survives %d states", name, m.states)
		}
	}
}

func (j *journal) nextEpochAs(e uint32, s state, latch func() error, latchFirst, eraseFirst bool) error {
	if err := j.how.open(j); err != nil {
		return err
	}
	j.epoch = e
	if latchFirst {
		return errors.Join(latch(), j.relocate(s), j.eraseOthers(nil), j.settle())
	}
	err := j.relocate(s)
	if eraseFirst {
		err = errors.Join(err, j.eraseOthers(nil))
	}
	return errors.Join(err, latch(), j.eraseOthers(nil), j.settle())
}

func TestNextEpochRefuses(t *testing.T) {
	f := roomy(t)
	v, err := Format(ctx, f, testKey, Options{Epoch: 3, Intent: 8}, raise(2)...)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	latch := func() error { calls++; return nil }
	ops := f.Ops()
	for _, err := range []error{
		v.NextEpoch(ctx, 3, latch), v.NextEpoch(ctx, 2, latch), v.NextEpoch(ctx, 4, latch, RaiseCounter(opened, 2)),
	} {
		if !errors.Is(err, ErrBackwards) {
			t.Error(err)
		}
	}
	if err := v.NextEpoch(ctx, 4, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := new(Vault).NextEpoch(ctx, 4, latch); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if f.Ops() != ops || calls != 0 {
		t.Error("a refused move did something")
	}
	bad := errors.New("latch")
	for range 2 { // the second time it refuses without asking
		if err := v.NextEpoch(ctx, 4, func() error { calls++; return bad }, raise(3)...); !errors.Is(err, ErrUncertain) || !errors.Is(err, bad) {
			t.Error(err)
		}
	}
	if err := v.Commit(ctx, raise(3)...); !errors.Is(err, ErrUncertain) || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
	for epoch, want := range map[uint32]uint64{3: 2, 4: 3} {
		v, r, err := Open(ctx, f.Clone(), testKey, Options{Epoch: epoch, Intent: 8})
		if err != nil || r.Clean {
			t.Fatalf("epoch %d: %+v, %v", epoch, r, err)
		}
		if n, err := value(v); n != want || err != nil {
			t.Errorf("epoch %d shows %d, %v", epoch, n, err)
		}
	}
}

// TestAhead: an old chain that ends clean beside a record of a later epoch.
func TestAhead(t *testing.T) {
	f := roomy(t)
	v, err := Format(ctx, f, testKey, Options{Epoch: 3, Intent: 8}, raise(2)...)
	if err != nil {
		t.Fatal(err)
	}
	j := *v.j
	j.epoch = 4
	if err := j.relocate(state{}); err != nil {
		t.Fatal(err)
	}
	v, r, err := Open(ctx, f, testKey, Options{Epoch: 3, Intent: 8})
	if n, verr := value(v); err != nil || verr != nil || n != 2 || r.Clean || !r.Settled {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, _, err := Open(ctx, f, testKey, Options{Epoch: 4, Intent: 8}); !errors.Is(err, ErrForeign) {
		t.Errorf("the later epoch is still there: %v", err)
	}
}

// TestNextEpochAnchored: the anchor belongs to the device, not to an epoch.
func TestNextEpochAnchored(t *testing.T) {
	f, c, v, o := anchored(t)
	for _, fail := range []bool{false, true} {
		if c.fail = fail; fail {
			if err := v.CommitAnchored(ctx, raise(2)...); !errors.Is(err, ErrPending) {
				t.Fatal(err)
			}
		}
		was, _ := v.Snapshot().Anchored()
		o.Epoch++
		if err := v.NextEpoch(ctx, o.Epoch, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if a, ok := v.Snapshot().Anchored(); !ok || a != was {
			t.Errorf("anchored to %d, %v; was %d", a, ok, was)
		}
	}
	c.fail = false
	if _, _, err := Open(ctx, f.Clone(), testKey, o); err != nil || c.n != 42 {
		t.Errorf("anchor at %d: %v", c.n, err)
	}
	if err := v.FinishAnchor(ctx); err != nil {
		t.Error(err)
	}
}
