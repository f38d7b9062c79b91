package vault

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
)

// toll counts what starts make of F8: a cut program that damages, beside its own
// bits, bits that were settled in the same page. A record is kept once, so it can be
// lost; what is promised is that no state is shown that never was.
type toll struct {
	right    int // the state before or after
	detected int // refused
	back     int // an older state, for the newest looked like a torn one
	most     int // by how many commits at most
}

func (h *toll) judge(e *engine, x expect, v *Vault, err error, wrote bool) bool {
	if err != nil {
		h.detected++
		return errors.Is(err, ErrLost) && !wrote || errors.Is(err, errVerify)
	}
	shown := v.j.at.state
	if x.allows(shown) {
		h.right++
		return true
	}
	h.back++
	for i, was := range slices.Backward(e.history) {
		if maps.Equal(was, shown) {
			h.most = max(h.most, len(e.history)-i)
			return true
		}
	}
	return false
}

// TestCollateral has every program damage its page: what comes is right, refused, or
// as many commits back as have their end in one page.
func TestCollateral(t *testing.T) {
	total, states := toll{}, 0
	for _, p := range append(parts(), moreParts()...) {
		if p.config.Cached || raceEnabled && p.name != "nor" {
			continue
		}
		p.config.Faults.Collateral = sim.ScopePage
		h := new(toll)
		e := newEngine(effort{tiers: []sim.Tier{sim.Full}})
		e.only, e.harm = sim.TornCollateral, h
		for _, s := range singles() {
			e.options = Options{Intent: 1}
			if err := e.run(p, s); err != nil && !errors.Is(err, errSkip) {
				t.Fatalf("%s/%s: %v", p.name, s, err)
			}
		}
		t.Logf("%s: %d states, %+v", p.name, e.states, *h)
		g := p.config.Geometry
		page := g.PageSize
		if page == 0 && g.ProgramSize == 1 {
			page = 256 // the buffer that sim assumes
		}
		if ends := max(1, int(page/(2*slotSize))); h.most > ends {
			t.Errorf("%s: back by %d commits, and a page ends %d", p.name, h.most, ends)
		}
		for _, f := range e.faults {
			t.Error(f)
		}
		states += e.states
		total = toll{total.right + h.right, total.detected + h.detected, total.back + h.back, max(total.most, h.most)}
	}
	t.Logf("collateral damage in the page: %d distinct states, %+v", states, total)
	if total.right == 0 || total.back == 0 && !raceEnabled {
		t.Errorf("%+v: nothing was harmed", total)
	}
}
