package sim

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Sync is the barrier of nvm.NVM. A bare part programs at once, so that it only
// counts; on a cached part it makes what was queued durable (F18).
func (f *Flash) Sync() error {
	if f.part.Cached {
		return f.run(&Operation{kind: Sync}, nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alive() {
		return ErrNoPower
	}
	f.stats.Syncs++
	return nil
}

// queue notes c as not yet durable. A cache is finite: the oldest goes to the
// medium when it is full.
func (f *Flash) queue(c change) {
	if c.o.kind == Sync {
		f.durable, f.pending = f.m.fork(), nil
		f.stats.Syncs++
		return
	}
	if len(f.pending) == MaxPending {
		f.pending[0].to(f.durable)
		f.pending = f.pending[1:]
	}
	f.pending = append(f.pending, c)
}

// Pending returns how many operations a cut can lose.
func (f *Flash) Pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pending)
}

// CutUnsynced returns a copy of the part after a cut that kept, of the
// operations not synced, only those with keep[i] true, in their order; power is
// on again. keep shorter than Pending loses the rest.
func (f *Flash) CutUnsynced(keep []bool) *Flash {
	c := f.Clone()
	if c.part.Cached {
		for i, p := range c.pending {
			if i < len(keep) && keep[i] {
				p.to(c.durable)
			}
		}
	}
	c.powerOff()
	c.powerOn()
	return c
}

// Unsynced yields the states that a cut now can leave: up to limit subsets of
// what is not synced. If all fit they all come; else none, all, each prefix,
// each alone, all but each, and draws. The ids are for ReplayUnsynced.
func (f *Flash) Unsynced(limit int) iter.Seq[TornState] {
	now := f.Clone()
	return func(yield func(TornState) bool) {
		now.eachUnsynced("", limit, yield)
	}
}

// ReplayUnsynced is CutUnsynced for an id of Unsynced.
func (f *Flash) ReplayUnsynced(id string) (*Flash, error) {
	bits, ok := strings.CutPrefix(id, unsyncedName+".")
	keep, err := parseSubset(bits)
	if !ok || err != nil || len(keep) != f.Pending() {
		return nil, fmt.Errorf("%w: %q", ErrReplay, id)
	}
	return f.CutUnsynced(keep), nil
}

const unsyncedName = "unsynced"

func (f *Flash) eachUnsynced(prefix string, limit int, yield func(TornState) bool) {
	if f.part.Faults.Without&TornUnsynced != 0 || !f.part.Cached {
		return
	}
	draw := stream{seed: mix(f.part.Seed, forCache, f.ops)}
	for keep := range subsets(len(f.pending), limit, draw) {
		id := prefix + unsyncedName + "." + subsetString(keep)
		if !yield(TornState{id, TornUnsynced, func() *Flash { return f.CutUnsynced(keep) }}) {
			return
		}
	}
}

// unsyncedLimit bounds the subsets that one operation shows, by tier.
var unsyncedLimit = [...]int{T0: 2, T1: 16, T2: 64, T3: 64, T4: 64, Full: 1024}

// unsynced yields the subsets of what is queued, the operation itself included.
func (o *Operation) unsynced(tier Tier, yield func(TornState) bool) {
	o.queued().eachUnsynced(o.String()+".", unsyncedLimit[min(tier, Full)], yield)
}

func (o *Operation) replayUnsynced(bits string) (*Flash, error) {
	return o.queued().ReplayUnsynced(unsyncedName + "." + bits)
}

// queued is the part with the operation in its cache; a Sync under way has
// changed nothing yet.
func (o *Operation) queued() *Flash {
	f := o.pre.Clone()
	if f.part.Cached && o.kind != Sync {
		f.apply(change{o, Whole})
	}
	return f
}

// subsets yields up to limit different subsets of n things, as masks.
func subsets(n, limit int, draw stream) iter.Seq[[]bool] {
	return func(yield func([]bool) bool) {
		seen := make(map[string]bool)
		all := n < 20 && 1<<n <= limit
		emit := func(pick func(i int) bool) bool {
			keep := make([]bool, n)
			for i := range keep {
				keep[i] = pick(i)
			}
			id := subsetString(keep)
			if len(seen) >= limit || seen[id] {
				return len(seen) < limit
			}
			seen[id] = true
			return yield(keep)
		}
		if !emitNamed(n, emit) {
			return
		}
		for k := 0; k < 1<<min(n, 20) && all; k++ {
			if !emit(func(i int) bool { return k>>i&1 != 0 }) {
				return
			}
		}
		for tries := 0; tries < 4*limit && !all; tries++ {
			if !emit(func(int) bool { return draw.next()&1 != 0 }) {
				return
			}
		}
	}
}

// emitNamed shows the subsets that find most: none, all, each prefix, each
// alone, all but each.
func emitNamed(n int, emit func(func(int) bool) bool) bool {
	ok := emit(func(int) bool { return false }) && emit(func(int) bool { return true })
	for k := 1; k < n && ok; k++ {
		ok = emit(func(i int) bool { return i < k })
	}
	for k := 0; k < n && ok; k++ {
		ok = emit(func(i int) bool { return i == k }) && emit(func(i int) bool { return i != k })
	}
	return ok
}

func subsetString(keep []bool) string {
	s := make([]byte, len(keep))
	for i, k := range keep {
		s[i] = '0'
		if k {
			s[i] = '1'
		}
	}
	return string(s)
}

func parseSubset(s string) ([]bool, error) {
	if len(s) > MaxPending+1 || strings.Trim(s, "01") != "" {
		return nil, ErrReplay
	}
	keep := make([]bool, len(s))
	for i := range keep {
		keep[i] = s[i] == '1'
	}
	return slices.Clip(keep), nil
}
