package sim

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/nanolock/nanolock/nvm"
)

// Tier is how thoroughly torn states are enumerated; each holds those in front
// of it.
type Tier uint8

// Tiers. Up to T4 they are samples of bounded number; Full has every byte
// prefix, every single bit and every position, and F8.
const (
	T0   Tier = iota // boundary: not begun, or complete
	T1               // a byte prefix
	T2               // bits and bytes in any order, garbage
	T3               // torn erase
	T4               // unstable bits
	Full             // exhaustive
)

// Torn is a set of kinds of torn states, named by fault number.
type Torn uint16

// Kinds of torn states.
const (
	TornPrefix     Torn = 1 << iota // F4
	TornOrder                       // F5
	TornGarbage                     // F6
	TornUnstable                    // F7
	TornCollateral                  // F8
	TornErase                       // F9
	TornWeakErase                   // F10
	TornUnsynced                    // F18
)

// String is the fault number, joined by "+"; "none" for the empty set.
func (t Torn) String() string {
	var s []string
	for i, name := range []string{"F4", "F5", "F6", "F7", "F8", "F9", "F10", "F18"} {
		if t&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	if s == nil {
		return "none"
	}
	return strings.Join(s, "+")
}

// TornState is one state in which a cut can leave an operation.
type TornState struct {
	// ID names the state: INDEX.KIND.CLASS.ARG. The same part, seed and operations
	// give the same id the same bytes; see Operation.Replay.
	ID    string
	Fault Torn // 0 = the state before, or the complete one
	make  func() *Flash
}

// Flash returns a new part in that state, its power off and on again, without
// hooks.
func (t TornState) Flash() *Flash {
	if t.make == nil {
		return nil
	}
	return t.make()
}

// class is a family of torn states of one kind of operation.
type class struct {
	name  string
	fault Torn
	tier  Tier
	kind  Kind
	args  func(o *Operation, full bool) []int
	tear  func(t *tearing, arg int)
}

// eraseSteps is into how many parts an erase is cut; eraseSamples how many of
// them the tiers below Full show.
const (
	eraseSteps   = 64
	prefixSample = 64
	sample       = 16
)

var classes = []class{
	{"prefix", TornPrefix, T1, Program, prefixes(prefixSample), func(t *tearing, k int) { t.settle(t.between(0, k)) }},
	{"suffix", TornOrder, T2, Program, prefixes(sample / 2), func(t *tearing, k int) { t.settle(t.between(len(t.w.cell)-k, len(t.w.cell))) }},
	{"one", TornOrder, T2, Program, movingBits, func(t *tearing, k int) { t.onlyBit(k, false) }},
	{"butone", TornOrder, T2, Program, movingBits, func(t *tearing, k int) { t.onlyBit(k, true) }},
	{"some", TornOrder, T2, Program, count(sample, 4*sample), (*tearing).some},
	{"garbage", TornGarbage, T2, Program, prefixes(sample / 4), func(t *tearing, k int) { t.garbage(k, true) }},
	{"flat", TornGarbage, T2, Program, prefixes(sample / 4), func(t *tearing, k int) { t.garbage(k, false) }},
	{"unstable", TornUnstable, T4, Program, flashOnly(count(6, sample)), (*tearing).unstable},
	{"collateral", TornCollateral, Full, Program, flashOnly(count(sample, sample)), (*tearing).collateral},
	{"zero-end", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.zero(fromEnd, t.step(j)) }},
	{"zero-start", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.zero(fromStart, t.step(j)) }},
	{"zero-rand", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.zero(anywhere, t.step(j)) }},
	{"pulse-start", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.pulse(fromStart, t.step(j)) }},
	{"pulse-end", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.pulse(fromEnd, t.step(j)) }},
	{"pulse-rand", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.pulse(anywhere, t.step(j)) }},
	{"part-start", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.part(fromStart, t.step(j)) }},
	{"part-end", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.part(fromEnd, t.step(j)) }},
	{"part-rand", TornErase, T3, Erase, steps, func(t *tearing, j int) { t.part(anywhere, t.step(j)) }},
	{"soft", TornErase, T4, Erase, flashOnly(count(3, sample)), (*tearing).soft},
	{"weak", TornWeakErase, T4, Erase, flashOnly(count(3, sample)), (*tearing).weakErase},
}

// step is j parts of the block, in bytes, at least one.
func (t *tearing) step(j int) int64 { return max(1, t.w.span.Len*int64(j)/eraseSteps) }

// prefixes are the lengths in front of the whole; at most n of them below Full.
func prefixes(n int) func(*Operation, bool) []int {
	return func(o *Operation, full bool) []int { return spread(1, int(o.span.Len), n, full) }
}

func steps(o *Operation, full bool) []int {
	return spread(1, int(min(eraseSteps, max(2, o.span.Len))), sample, full)
}

func movingBits(o *Operation, full bool) []int {
	w := o.pre.m.load(o.span)
	return spread(0, w.moving(o.pre.part.Geometry.Program, o.want), sample, full)
}

func count(some, full int) func(*Operation, bool) []int {
	return func(_ *Operation, all bool) []int {
		if all {
			return spread(0, full, full, true)
		}
		return spread(0, some, some, true)
	}
}

// flashOnly is for what needs cells: a RAM or a block device has no unstable bits.
func flashOnly(args func(*Operation, bool) []int) func(*Operation, bool) []int {
	return func(o *Operation, full bool) []int {
		if o.pre.part.Geometry.Program == nvm.Rewrite {
			return nil
		}
		return args(o, full)
	}
}

// spread returns [lo, hi), or n of them evenly, the first and the last included.
func spread(lo, hi, n int, full bool) (at []int) {
	size := hi - lo
	if full || size <= n {
		n = size
	}
	for i := range n {
		at = append(at, lo+i*max(0, size-1)/max(1, n-1))
	}
	return at
}

// Torn yields the states in which a cut can leave the operation, up to tier, in
// an order that never changes. Each is forked, not re-run: it costs a Clone and
// what is torn. On a cached part what was queued before has reached the medium in
// these states, and the subsets in which it has not (F18) come last.
func (o *Operation) Torn(tier Tier) iter.Seq[TornState] {
	return func(yield func(TornState) bool) {
		if o.pre == nil {
			return
		}
		for _, whole := range []string{"none", "done"} {
			if o.kind != Sync && !yield(o.state(class{name: whole}, 0)) {
				return
			}
		}
		for _, c := range classes {
			if !o.has(c, tier) {
				continue
			}
			for _, arg := range c.args(o, tier == Full) {
				if !yield(o.state(c, arg)) {
					return
				}
			}
		}
		o.unsynced(tier, yield)
	}
}

func (o *Operation) has(c class, tier Tier) bool {
	return c.kind == o.kind && c.tier <= tier && c.fault&o.pre.part.Faults.Without == 0
}

// Replay returns the part in the state that id names. The error wraps ErrReplay
// if this operation has no such state.
func (o *Operation) Replay(id string) (*Flash, error) {
	rest, ok := strings.CutPrefix(id, o.String()+".")
	name, arg, two := strings.Cut(rest, ".")
	if !ok || !two || o.pre == nil {
		return nil, fmt.Errorf("%w: %q of operation %v", ErrReplay, id, o)
	}
	if name == unsyncedName {
		return o.replayUnsynced(arg)
	}
	n, err := strconv.Atoi(arg)
	if err != nil || o.kind == Sync || strconv.Itoa(n) != arg {
		return nil, fmt.Errorf("%w: %q", ErrReplay, id)
	}
	if n == 0 && (name == "none" || name == "done") {
		return o.state(class{name: name}, n).Flash(), nil
	}
	i := slices.IndexFunc(classes, func(c class) bool { return c.name == name && o.has(c, Full) })
	if i < 0 || !slices.Contains(classes[i].args(o, true), n) {
		return nil, fmt.Errorf("%w: %q", ErrReplay, id)
	}
	return o.state(classes[i], n).Flash(), nil
}

func (o *Operation) state(c class, arg int) TornState {
	id := o.String() + "." + c.name + "." + strconv.Itoa(arg)
	return TornState{id, c.fault, func() *Flash { return o.leave(c, arg) }}
}

// leave forks the part as it was before and does to it what c says.
func (o *Operation) leave(c class, arg int) *Flash {
	f := o.pre.Clone()
	switch {
	case c.tear != nil:
		t := newTearing(&f.m, o, stream{seed: mix(f.part.Seed, forTear, o.index, hashName(c.name), uint64(arg))})
		c.tear(t, arg)
		t.done()
	case c.name == "done":
		f.pass(f.duration(o))
		change{o, Whole}.to(&f.m)
	}
	if f.part.Cached { // what was queued before reached the medium; see unsynced for the rest
		f.durable, f.pending = f.m.clone(), nil
	}
	f.powerOff()
	f.powerOn()
	return f
}
