package device_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// world is all that outlives a power cut, with what had left the device before.
type world struct {
	flash *sim.Flash
	mem   nvm.NVM // what stands in front of flash; nil: nothing does
	chip  *chip
	out   outside
}

// front is the memory as a device gets it.
func (w *world) front() nvm.NVM {
	if w.mem != nil {
		return w.mem
	}
	return w.flash
}

// outside is what others have seen.
type outside struct {
	opened int  // sessions
	acked  bool // the step under way was answered
}

// engine plays a session with a device, cuts the power in every operation on its
// flash and at every step of latch and anchor, starts what is left, and holds it
// against the states in front of the step that was cut and behind it.
type engine struct {
	name   string
	fill   int      // orders that the journal holds already
	tier   sim.Tier // of the cuts
	nested sim.Tier // of the cuts in the start behind them
	every  int      // of so many starts one is cut again
	sparse int      // of so many torn states of an operation on the copies, one is judged
	copies nvm.Span // where those are
	budget int      // distinct states; 0 = all

	config *device.Config
	boots  uint64 // seed of the boot ids
	steps  []step
	redo   []byte     // the order that is delivered again after each cut
	dead   []byte     // what must be refused once the last step is done
	retry  step       // instead of redo, where the step has not happened
	same   bool       // steps that change nothing that a start shows
	open   opener     // how a start is made
	fixed  []nvm.Span // protected: never differs
	wiped  nvm.Span   // erased behind the last step, unchanged in front of it
	hold   []byte     // of fixed and wiped, as they were
	blank  byte       // what erased reads as
	views  []string   // views[i] is what a start shows behind i steps
	anchor []uint64   // the same of the anchor
	seen   map[[2]uint64]bool
	count  counts
	faults []string
	next   int  // the step under way
	brief  bool // another world of the same state was judged in full
}

type counts struct{ cuts, states, starts, nested, redelivered int }

func (c *counts) add(o counts) {
	c.cuts += o.cuts
	c.states += o.states
	c.starts += o.starts
	c.nested += o.nested
	c.redelivered += o.redelivered
}

// step is something that changes durable state once.
type step func(*world, *device.Device) error

// opener starts a device. It is device.Open but for scenarios that provision.
type opener func(w *world, c *device.Config) (*device.Device, error)

func plainly(w *world, c *device.Config) (*device.Device, error) {
	return device.Open(ctx, w.flash, w.chip, c)
}

func (e *engine) fault(id, f string, a ...any) {
	if len(e.faults) < 4 {
		e.faults = append(e.faults, e.name+"#"+id+": "+fmt.Sprintf(f, a...))
	}
}

// boot starts a world. No network and no host helps it.
func (e *engine) boot(w *world) (*device.Device, string, error) {
	e.count.starts++
	e.boots++
	c := *e.config
	c.Rand = rand.NewChaCha8([32]byte{0: byte(e.boots), 1: byte(e.boots >> 8), 2: byte(e.boots >> 16), 3: byte(e.boots >> 24)})
	c.OnEvent = func(ev device.Event) {
		if ev.Kind == device.EventSession {
			w.out.opened++
		}
	}
	d, err := e.open(w, &c)
	switch {
	case errors.Is(err, device.ErrNotProvisioned):
		return nil, "blank", nil
	case err != nil:
		return nil, "", err
	}
	return d, d.View(), nil
}

// clone is the world after a cut that lost what was not synced.
func (w *world) clone() *world {
	return &world{flash: w.flash.CutUnsynced(nil), chip: w.chip.clone(), out: w.out}
}

// run plays the steps from w: first without cuts, for what each may lead to, then
// with a cut wherever there can be one.
func (e *engine) run(w *world) {
	e.seen = map[[2]uint64]bool{}
	if e.open == nil {
		e.open = plainly
	}
	if !e.rehearse(w.clone()) {
		return
	}
	e.play(w.clone())
	e.unanswered(w)
}

// rehearse finds the states between the steps.
func (e *engine) rehearse(w *world) bool {
	e.hold = e.protected(w)
	look := func() bool {
		_, v, err := e.boot(w.clone())
		if err != nil {
			e.fault("rehearsal", "start: %v", err)
			return false
		}
		e.views, e.anchor = append(e.views, v), append(e.anchor, w.chip.value)
		return true
	}
	if !look() {
		return false
	}
	d, _, err := e.boot(w)
	if err != nil {
		e.fault("rehearsal", "start: %v", err)
		return false
	}
	for i, s := range e.steps {
		if err := s(w, d); err != nil {
			e.fault("rehearsal", "step %d: %v", i, err)
			return false
		}
		if !look() {
			return false
		}
		if e.views[i+1] == e.views[i] && !e.same {
			e.fault("rehearsal", "step %d changes nothing that shows", i)
		}
	}
	return true
}

// play goes through the steps with every cut.
func (e *engine) play(w *world) {
	d, _, err := e.boot(w)
	if err != nil {
		e.fault("play", "start: %v", err)
		return
	}
	e.watch(w, "", 1, e.tier, e.judge)
	for i, s := range e.steps {
		e.next, w.out = i+1, outside{}
		if err := s(w, d); err != nil {
			e.fault("play", "step %d: %v", i, err)
			return
		}
		w.out.acked = true
		e.state(fmt.Sprintf("acked%d", i+1), w.clone(), e.judge)
		if w.chip.value != e.anchor[i+1] && len(e.views) > 1 {
			e.fault("play", "anchor at %d, was %d", w.chip.value, e.anchor[i+1])
		}
	}
	if d != nil {
		_ = d.Close()
	}
}

// watch calls judge with what each cut from now on leaves.
func (e *engine) watch(w *world, id string, stride int, tier sim.Tier, judge func(string, *world)) {
	n := 0
	w.flash.SetHook(func(o *sim.Operation) {
		every := stride
		if o.Span().Len > 0 && o.Span().In(e.copies.End()) && o.Span().Off >= e.copies.Off {
			every *= max(e.sparse, 1)
		}
		for torn := range o.Torn(tier) {
			if n++; n%every == 0 {
				cut := &world{flash: torn.Flash(), chip: w.chip.clone(), out: w.out}
				e.worlds(id+torn.ID, cut, torn.Fault, judge)
			}
		}
	})
	w.chip.at = func(op string, done bool) error {
		if op == "latch.set" || op == "anchor.advance" || op == "destroy" {
			e.state(fmt.Sprintf("%s%s.%v", id, op, done), w.clone(), judge)
		}
		return nil
	}
}

// worlds judges a torn state as its loose bits may read.
func (e *engine) worlds(id string, cut *world, fault sim.Torn, judge func(string, *world)) {
	e.count.cuts++
	if e.known(cut) {
		return
	}
	all := sim.Worlds()
	if fault&(sim.TornUnstable|sim.TornWeakErase|sim.TornErase) == 0 {
		all = all[:1] // no bit of it is loose
	}
	e.brief = false
	for i, w := range all {
		one := cut
		if i < len(all)-1 {
			one = &world{flash: cut.flash.Clone(), chip: cut.chip.clone(), out: cut.out}
		}
		one.flash.SetWorld(w)
		judge(id+"."+w.String(), one)
		e.brief = true
	}
}

// state judges a state in which nothing is torn.
func (e *engine) state(id string, w *world, judge func(string, *world)) {
	e.count.cuts++
	if e.brief = false; !e.known(w) {
		judge(id, w)
	}
}

// known tells whether a state was judged already.
func (e *engine) known(w *world) bool {
	if e.budget > 0 && e.count.states >= e.budget {
		return true
	}
	key := [2]uint64{w.flash.Fingerprint(), w.chip.rec.Epoch<<56 ^ w.chip.value<<16 ^ uint64(w.out.opened)<<9 ^ uint64(e.next)<<1}
	if w.out.acked {
		key[1]++
	}
	if e.seen[key] {
		return true
	}
	e.seen[key] = true
	e.count.states++
	return false
}

// judge starts what a cut has left, cuts some of these starts again, and looks.
func (e *engine) judge(id string, w *world) {
	if e.every > 0 && e.count.states%e.every == 0 {
		again := &world{flash: w.flash.Clone(), chip: w.chip.clone(), out: w.out}
		e.watch(again, id+"/", 7, e.nested, func(id string, w *world) {
			e.count.nested++
			e.look(id, w)
		})
		if _, _, err := e.boot(again); err != nil {
			e.fault(id, "start that is cut: %v", err)
		}
		again.flash.SetHook(nil)
	}
	e.look(id, w)
}

// look starts w and holds it against what the step that was cut allows.
func (e *engine) look(id string, w *world) {
	d, view, err := e.boot(w)
	if err != nil {
		e.fault(id, "start: %v", err)
		return
	}
	at := -1
	for _, i := range []int{e.next, e.next - 1} {
		if i >= 0 && e.views[i] == view {
			at = i
			break
		}
	}
	switch {
	case at < 0:
		e.fault(id, "a start shows\n\t%s\nwant\n\t%s\nor\n\t%s", view, e.views[max(e.next-1, 0)], e.views[e.next])
		return
	case w.out.acked && at != e.next:
		e.fault(id, "acknowledged and gone: %s", view)
	case w.out.opened > 0 && at != e.next:
		e.fault(id, "a session was opened, and nothing remembers: %s", view)
	}
	e.content(id, w, at)
	if e.brief && e.count.states%4 != 0 {
		return
	}
	e.again(id, w, view)
	e.redeliver(id, w, d, at)
}

// again: a second start shows the same.
func (e *engine) again(id string, w *world, view string) {
	if e.count.states%8 != 0 {
		return
	}
	w2 := w.clone()
	d, v, err := e.boot(w2)
	if err != nil || v != view {
		e.fault(id, "a second start shows\n\t%s\nand not\n\t%s (%v)", v, view, err)
		return
	}
	if d == nil {
		return
	}
	if err := d.Close(); err != nil {
		e.fault(id, "close: %v", err)
	}
	before := w2.flash.Ops()
	if _, v, err := e.boot(w2); err != nil || v != view || w2.flash.Ops() != before {
		e.fault(id, "a clean start: %d operations, shows %s (%v)", w2.flash.Ops()-before, v, err)
	}
}

// protected is the content of what no order of the scenario may change.
func (e *engine) protected(w *world) []byte {
	var b []byte
	for _, s := range append(e.fixed, e.wiped) {
		p := make([]byte, s.Len)
		for i := range p {
			p[i] = 0xEE // where it cannot be read
		}
		_, _ = w.flash.ReadAt(p, s.Off)
		b = append(b, p...)
	}
	return b
}

func (e *engine) content(id string, w *world, at int) {
	now := e.protected(w)
	n := len(now) - int(e.wiped.Len)
	if string(now[:n]) != string(e.hold[:n]) {
		e.fault(id, "protected content has changed")
	}
	if e.wiped.Len == 0 {
		return
	}
	if at == len(e.views)-1 {
		for _, c := range now[n:] {
			if c != e.blank {
				e.fault(id, "not wiped")
				return
			}
		}
	} else if string(now[n:]) != string(e.hold[n:]) {
		e.fault(id, "wiped, and nothing says so")
	}
}

// redeliver brings the same order again, as a courier may. It acts if it has not.
func (e *engine) redeliver(id string, w *world, d *device.Device, at int) {
	if e.retry != nil && at < e.next {
		e.count.redelivered++
		if err := e.retry(w, d); err != nil {
			e.fault(id, "once more: %v", err)
		} else if _, view, err := e.boot(w.clone()); err != nil || view != e.views[e.next] {
			e.fault(id, "done once more, a start shows\n\t%s\nand not\n\t%s (%v)", view, e.views[e.next], err)
		}
		return
	}
	if d == nil || e.redo == nil {
		return
	}
	e.count.redelivered++
	if at == e.next && e.dead != nil {
		if _, err := d.Apply(ctx, e.dead); err == nil {
			e.fault(id, "an order that must be dead acts")
		}
	}
	_, err := d.Apply(ctx, e.redo)
	switch view := d.View(); {
	case at == e.next && err == nil:
		e.fault(id, "it acts twice")
	case w.out.opened > 1:
		e.fault(id, "%d sessions of one order", w.out.opened)
	case at < e.next && err != nil:
		e.fault(id, "delivered again: %v", err)
	case err == nil && view != e.views[e.next]:
		e.fault(id, "delivered again, the device shows\n\t%s\nand not\n\t%s", view, e.views[e.next])
	}
}

// unanswered: latch and anchor do what they are asked, or do not, and fail, once
// or from then on; the device goes on, and is cut afterwards.
func (e *engine) unanswered(w *world) {
	for _, mode := range []struct {
		name        string
		done, stays bool
	}{{"lost reply", true, false}, {"refused", false, false}, {"lost replies", true, true}, {"dead", false, true}} {
		for k := 0; ; k++ {
			if !e.silent(w.clone(), fmt.Sprintf("%s %d", mode.name, k), k, mode.done, mode.stays) {
				break
			}
		}
	}
}

// silent has the k-th change of latch or anchor fail; false if there is none.
func (e *engine) silent(w *world, id string, k int, done, stays bool) bool {
	d, _, err := e.boot(w)
	if err != nil {
		return false
	}
	n := 0
	w.chip.at = func(op string, after bool) error {
		if op != "latch.set" && op != "anchor.advance" || after != done {
			return nil
		}
		if n++; n == k+1 || stays && n > k {
			return errSilent
		}
		return nil
	}
	for i, s := range e.steps {
		e.next = i + 1
		w.out.acked = s(w, d) == nil
		if n > k {
			break
		}
	}
	w.chip.at = nil
	if n <= k {
		return false
	}
	cut := w.clone()
	e.count.cuts++
	if !e.known(cut) {
		e.look(id, cut)
	}
	return true
}

var errSilent = errors.New("no answer")

// parts are memories to cut: the four of the rig, smaller.
func parts() []sim.Config {
	resize := func(c sim.Config, program, page int64) sim.Config {
		c.Geometry.Size, c.Geometry.EraseSize = 32<<11, 1<<11
		c.Geometry.ProgramSize, c.Geometry.PageSize = program, page
		c.ECC.Unit = min(c.ECC.Unit, program)
		// Damage to what was settled elsewhere in a block is beyond what a journal of
		// one copy promises: docs/wire/vault.md.
		c.Faults.Without |= sim.TornCollateral
		return c
	}
	return []sim.Config{resize(rig.NOR(), 1, 256), resize(rig.ECCNOR(), 16, 0), resize(rig.NAND(), 128, 128), resize(rig.File(), 128, 0)}
}

// spans are the regions of a policy by name.
func spans(p *policy.Policy, names ...string) (s []nvm.Span) {
	for _, n := range names {
		s = append(s, p.Region(n).Span)
	}
	return s
}

// provisioned is a deployed device with a history, closed: its flash and keystore.
func provisioned(t testing.TB, c sim.Config, chip *chip) (*rig.Rig, *world, *device.Config) {
	t.Helper()
	f, err := sim.New(c)
	ok(t, err)
	r, err := rig.New(rig.Config{Memory: f, Keystore: opened(chip), Device: *device.Remember(&device.Config{})})
	ok(t, err)
	r.Flash = f
	ok(t, r.Lifecycle(policy.Deployed))
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ok(t, program(r.Device.Host(), make([]byte, max(256, len(page(r)))), r.Policy.Region("log").Span.Off))
	ok(t, r.Device.Close())
	return r, &world{flash: f.Clone(), chip: chip.clone()}, device.Remember(&device.Config{Vault: r.Policy.Area("vault").Span})
}
