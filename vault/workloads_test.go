package vault

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/nanolock/nanolock/backend/sim"
)

// raise is a commit of two entries, and value what they say: vault tests know a
// half of one by it.
func raise(n uint64) []Change {
	return []Change{RaiseCounter(opened, n), PutUsage(3, Usage{Erases: 10 * n, Mark: int64(n)})}
}

func value(v *Vault) (uint64, error) {
	s := v.Snapshot()
	n := s.Counter(opened)
	if u := s.Usage(3); u.Erases != 10*n {
		return n, fmt.Errorf("counter %d beside usage %d: half a commit", n, u.Erases)
	}
	return n, nil
}

// kind is one sort of commit; it makes the changes that suit a state.
type kind struct {
	name string
	of   func(s state) []Change
}

var kinds10 = []kind{
	{"counter", func(s state) []Change {
		return []Change{RaiseCounter(key(s, ClassOperate), s.counter(key(s, ClassOperate))+1)}
	}},
	{"root", func(s state) []Change {
		return []Change{RaiseCounter(key(s, ClassRoot), s.counter(key(s, ClassRoot))+MaxStep)}
	}},
	{"usage", func(s state) []Change {
		u := decodeUsage(s[entryKey(entryUsage, 3)])
		u.Erases, u.Mark, u.Sealed = u.Erases+1<<40, u.Mark+1, true
		return []Change{PutUsage(3, u)}
	}},
	{"lifecycle", func(s state) []Change { return []Change{SetLifecycle(s.lifecycle() ^ 0xFF)} }},
	{"epoch", func(s state) []Change { return []Change{SetOwnerEpoch(s.ownerEpoch() + 1)} }},
	{"boot", func(s state) []Change {
		b := decodeBoot(s[entryKey(entryBoot, 5)])
		b.Floor, b.Trial, b.Manifest = b.Floor+1, b.Trial+1, [32]byte{0xA5, 1, byte(b.Floor)}
		return []Change{PutBoot(5, b)}
	}},
	{"intent", func(s state) []Change {
		if _, open := s[entryKey(entryIntent)]; open {
			return []Change{CloseIntent()}
		}
		return []Change{OpenIntent(Intent{9, []byte{Version}})}
	}},
	{"slot", func(s state) []Change {
		return []Change{PutSlot(9, []byte(strings.Repeat("\xff", 1+(len(s[entryKey(entrySlot, 9)])+4)%8)))}
	}},
	{"unslot", func(s state) []Change {
		if _, there := s[entryKey(entrySlot, 8)]; there {
			return []Change{PutSlot(8, nil)}
		}
		return []Change{PutSlot(8, []byte{0, more, 0})}
	}},
	{"batch", func(s state) []Change {
		n := s.counter(key(s, ClassOperate)) + 1
		return []Change{RaiseCounter(key(s, ClassOperate), n), SetLifecycle(byte(n)), SetOwnerEpoch(s.ownerEpoch() + 1)}
	}},
}

// large rotates while the block still has room for what is there already, so that a
// start which does not see it recovers in place.
var large = kind{"large", func(state) []Change { return []Change{PutSlot(10, make([]byte, 120))} }}

func key(s state, class uint8) CounterKey {
	return CounterKey{OwnerEpoch: s.ownerEpoch(), Authority: 1, Class: class}
}

// level is how full the active block is when the first commit that is cut begins.
type level uint8

const (
	empty  level = iota // right behind the snapshot
	mid                 // in the second half
	spare               // one slot more than the commit needs
	exact               // no slot more than it needs
	due                 // one less: it rotates
	levels = iota
)

func (l level) String() string { return [...]string{"empty", "mid", "spare", "exact", "due"}[l] }

// scenario is a session on a vault.
type scenario struct {
	steps  []kind
	level  level
	warm   bool   // begins in a session that has written; else behind a clean start
	close  bool   // closes and opens again behind each commit
	brim   bool   // the state is as large as it may be
	seq    uint64 // of the first record
	epoch  uint32
	anchor string // "ok", "lost", "mute"; "": none
	format string // what Format, cut, is to overwrite: "blank", "old", "junk"; "": it is not
}

func (s scenario) String() string {
	var names []string
	for _, k := range s.steps {
		names = append(names, k.name)
	}
	name := strings.Join(names, ",") + "@" + s.level.String()
	for _, x := range []struct {
		on   bool
		name string
	}{{s.warm, "warm"}, {s.close, "close"}, {s.brim, "brim"}, {s.seq > 0, fmt.Sprint("seq", s.seq)},
		{s.epoch > 0, fmt.Sprint("epoch", s.epoch)}, {s.anchor != "", "anchor-" + s.anchor}, {s.format != "", "format-" + s.format}} {
		if x.on {
			name += "+" + x.name
		}
	}
	return name
}

// errSkip: the scenario does not exist on this part, as nothing of that size fits.
var errSkip = errors.New("does not fit")

// run plays s on p: the power is cut in every operation of it.
func (e *engine) run(p part, s scenario) error {
	name := p.name + "/" + s.String() + "#"
	if cut, _, _ := strings.Cut(e.path, "#"); e.path != "" && cut+"#" != name {
		return nil
	}
	without := sim.TornCollateral
	if e.only&without != 0 {
		without = 0
	}
	f, err := p.make(without)
	if err != nil {
		return err
	}
	e.spent, e.options.Epoch, e.history = e.states, s.epoch, nil
	if e.options.how == nil {
		how := standard()
		e.options.how = &how
	}
	how := *e.options.how
	defer func() { *e.options.how = how }()
	if !e.real {
		*e.options.how = withStub(how)
	}
	spot := &spot{id: name, f: f}
	if s.anchor != "" {
		spot.anchor = &modelAnchor{n: 40}
	}
	if s.format != "" {
		return e.formatting(spot, s)
	}
	return e.session(spot, s)
}

var base = []Change{SetLifecycle(1), RaiseCounter(opened, 1)}

// prepare makes the vault of s as it is before the power is cut for the first time.
func (e *engine) prepare(p *spot, s scenario) (*Vault, error) {
	v, err := newVault(e.mem(p.f), testKey, e.with(p.anchor))
	if err != nil {
		return nil, err
	}
	v.j.at.seq = s.seq
	first, err := state{}.change(v.limits, base)
	if err != nil {
		return nil, err
	}
	for n := v.limits.all; s.brim && n >= 0; n-- {
		if full, err := first.change(v.limits, []Change{PutSlot(7, make([]byte, n))}); err == nil {
			first = full
			break
		}
	}
	if err := v.j.format(first); err != nil {
		return nil, err
	}
	if p.anchor != nil {
		if err := v.CommitAnchored(ctx, SetLifecycle(2)); err != nil {
			return nil, err
		}
	}
	if err := e.approach(v, s, p.anchor != nil); err != nil || s.warm {
		return v, err
	}
	if err := v.Close(); err != nil {
		return nil, err
	}
	v, _, err = e.open(p.f, p.anchor)
	return v, err
}

// approach fills the block up to the level with commits of one byte.
func (e *engine) approach(v *Vault, s scenario, anchored bool) error {
	e.history = append(e.history, v.j.at.state)
	if err := v.Commit(ctx, SetLifecycle(3)); err != nil || s.level == empty {
		return err
	}
	batch := s.steps[0].of(v.j.at.state)
	if anchored {
		a, _ := v.j.at.state.anchored()
		batch = append(batch, setAnchored(a+1))
	}
	next, err := v.j.at.state.change(v.limits, batch)
	if err != nil {
		return errSkip
	}
	j := v.j
	need := j.need(len(j.at.state.diff(next)))
	if !s.warm {
		need += j.need(0) + markSlots
	}
	target := j.slots - j.tail - need - map[level]int{spare: 1, exact: 0, due: -1}[s.level]
	if s.level == mid {
		target = max(j.slots/2, j.at.next)
		target += (target - j.at.next) % j.need(2)
	}
	commits, marks, ok := j.steps(target - j.at.next)
	if !ok || target+j.tail > j.slots {
		return errSkip
	}
	for n := range commits {
		if n < marks {
			if err := v.Settle(ctx); err != nil {
				return err
			}
		}
		e.history = append(e.history, v.j.at.state)
		if err := v.Commit(ctx, SetLifecycle(byte(4+n%2))); err != nil {
			return err
		}
	}
	if j.at.next != target {
		return fmt.Errorf("at slot %d, not %d", j.at.next, target)
	}
	return nil
}

// steps is how many small commits, and settled marks in front of some, take n slots.
func (j *journal) steps(n int) (commits, marks int, ok bool) {
	small, mark := j.need(2), j.need(0)+markSlots
	for marks = 0; marks*(small+mark) <= n; marks++ {
		if rest := n - marks*mark; rest%small == 0 {
			return rest / small, marks, true
		}
	}
	return 0, 0, false
}

// session commits, and has every operation of it cut.
func (e *engine) session(p *spot, s scenario) error {
	v, err := e.prepare(p, s)
	if err != nil {
		return err
	}
	now := v.j.at.state
	for _, k := range s.steps {
		batch := k.of(now)
		if _, err := now.change(v.limits, batch); err != nil {
			return errSkip
		}
		if now, v, err = e.step(p, s, v, now, batch); err != nil {
			return err
		}
	}
	p.x = newExpect(now, now, false)
	err = v.Close()
	p.f.SetHook(nil)
	return err
}

func (e *engine) step(p *spot, s scenario, v *Vault, now state, batch []Change) (state, *Vault, error) {
	whole := batch
	if p.anchor != nil {
		a, _ := now.anchored()
		whole = append(batch[:len(batch):len(batch)], setAnchored(a+1))
		p.anchor.lost, p.anchor.mute = s.anchor == "lost", false
	}
	next, err := now.change(v.limits, whole)
	if err != nil {
		return nil, nil, errSkip
	}
	p.x = newExpect(now, next, false)
	if e.ackEarly {
		p.x = newExpect(next, next, false)
	}
	e.watch(p)
	p.anchor.watch(e, p)
	if p.anchor != nil {
		p.anchor.mute = s.anchor == "mute" // finish asks first: not before
	}
	got, pending, err := e.commit(v, p.anchor, batch...)
	if err != nil {
		return nil, nil, fmt.Errorf("commit: %w", err)
	}
	if pending != (s.anchor == "mute") {
		return nil, nil, fmt.Errorf("anchor pending %v, reply %s", pending, s.anchor)
	}
	if pending {
		p.anchor.mute = false
		if err := v.FinishAnchor(ctx); err != nil {
			return nil, nil, fmt.Errorf("finish: %w", err)
		}
	}
	e.history = append(e.history, now)
	p.x = newExpect(next, next, false)
	if !p.x.allows(got) {
		return nil, nil, fmt.Errorf("shows %x, not %x", got.encode(), next.encode())
	}
	e.check(p, fmt.Sprintf("acked%d", p.f.Ops()), 0, func() *sim.Flash { return p.f.CutUnsynced(nil) })
	if !s.close {
		return next, v, nil
	}
	if err := v.Close(); err != nil {
		return nil, nil, err
	}
	v, r, err := e.open(p.f, p.anchor)
	if err == nil && !r.Clean {
		err = errors.New("not clean behind Close")
	}
	return next, v, err
}

// formatting cuts Format itself.
func (e *engine) formatting(p *spot, s scenario) error {
	o := e.with(p.anchor)
	switch s.format {
	case "old":
		old := o
		old.Epoch = s.epoch - 1
		v, err := Format(ctx, p.f, testKey, old, append(base[:len(base):len(base)], SetLifecycle(99))...)
		if err != nil {
			return err
		}
		for i := range byte(5) {
			if err := v.Commit(ctx, SetLifecycle(i)); err != nil {
				return err
			}
		}
	case "junk":
		if err := p.f.Poke([]byte(strings.Repeat("\x01junk\xa4", int(p.f.Geometry().Size)/6)), 0); err != nil {
			return err
		}
	}
	first, err := state{}.change(limits{math.MaxInt, math.MaxInt, math.MaxInt, 0}, base)
	if err != nil {
		return err
	}
	p.x = newExpect(nil, first, true)
	e.watch(p)
	v, err := Format(ctx, e.mem(p.f), testKey, o, base...)
	if err != nil {
		return err
	}
	p.x = newExpect(first, first, false)
	e.check(p, "formatted", 0, func() *sim.Flash { return p.f.CutUnsynced(nil) })
	err = v.Close()
	p.f.SetHook(nil)
	return err
}
