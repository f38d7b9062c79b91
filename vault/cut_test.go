package vault

import (
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
)

// cutter cuts the power at every operation of a memory, in every way, and has
// each outcome judged in every world.
type cutter struct {
	tier, nested sim.Tier // of the first cut, and of those behind it
	every, loose uint64   // one in so many states is cut again: of all, and of those with loose bits; 0 = each
	thin         uint64   // of the states without loose bits one in so many is judged at all; 0 = each
	seen         map[[2]uint64]bool
	drawn        uint64
	states       int
	faults       []string
}

// judge opens a memory that a cut left. With depth left it calls watch first, so
// that what opening does is cut as well.
type judge func(id string, f *sim.Flash, depth int)

func (c *cutter) fault(id, f string, a ...any) {
	if len(c.faults) < 5 {
		c.faults = append(c.faults, id+": "+fmt.Sprintf(f, a...))
	}
}

// watch enumerates the cuts of each operation of f from now on. Two states are
// the same if the memory and what salt says are.
func (c *cutter) watch(f *sim.Flash, id string, depth int, salt func() uint64, j judge) {
	tier := c.nested
	if id == "" {
		tier = c.tier
	}
	f.SetHook(func(o *sim.Operation) {
		for torn := range o.Torn(tier) {
			if len(c.faults) > 0 {
				return
			}
			if c.drawn++; !isLoose(torn) && c.drawn%max(c.thin, 1) != 0 {
				continue
			}
			c.each(id+torn.ID, torn.Flash(), salt(), c.left(torn, depth-1), j)
		}
	})
}

func isLoose(torn sim.TornState) bool {
	return torn.Fault&(sim.TornUnstable|sim.TornWeakErase) != 0
}

func (c *cutter) left(torn sim.TornState, depth int) int {
	n := c.every
	if isLoose(torn) {
		n = c.loose
	}
	if c.drawn++; depth > 0 && c.drawn%max(n, 1) != 0 {
		return 0
	}
	return depth
}

// each has one memory judged in every world.
func (c *cutter) each(id string, f *sim.Flash, salt uint64, depth int, j judge) {
	if c.seen == nil {
		c.seen = make(map[[2]uint64]bool)
	}
	key := [2]uint64{f.Fingerprint(), salt<<8 ^ uint64(depth)}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.states++
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.SetWorld(w)
		j(id+"."+w.String(), g, depth)
	}
}

func (c *cutter) report(t *testing.T, name string) {
	t.Helper()
	t.Logf("%s: %d distinct states", name, c.states)
	if c.states == 0 {
		t.Errorf("%s: nothing was cut", name)
	}
	for _, f := range c.faults {
		t.Errorf("%s: %s", name, f)
	}
}

// uncollateral is part without damage to what was settled: docs/wire/vault.md
// says why.
func uncollateral(t testing.TB, c sim.Config) *sim.Flash {
	t.Helper()
	c.Faults.Without |= sim.TornCollateral
	f, err := sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
