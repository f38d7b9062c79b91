//go:build !race

package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/keystore"
)

// TestCuts: every kind of order, and whatever else changes durable state.
func TestCuts(t *testing.T) {
	total := runCuts(t, []int{0, 2}, func(e *engine) {
		e.tier, e.nested, e.every, e.sparse = sim.T4, sim.T2, 800, 6
		if e.fill > 0 {
			e.sparse = 16 // the copies do not know how full the journal is
		}
		if long {
			e.tier, e.nested, e.every, e.sparse = sim.Full, sim.T4, 50, 1
		}
	})
	if total.states < 200_000 {
		t.Errorf("%d distinct states, want 200 000", total.states)
	}
	t.Logf("device cuts: seed 7, %d cuts, %d distinct states, %d starts, %d of them behind a cut in a start, %d deliveries repeated",
		total.cuts, total.states, total.starts, total.nested, total.redelivered)
}

// TestFailingKeystoreEveryWay is TestFailingKeystore with every error there is.
func TestFailingKeystoreEveryWay(t *testing.T) {
	failingKeystore(t, keystore.ErrAbsent, keystore.ErrReset, keystore.ErrForeign, &keystore.BusyError{}, keystore.ErrUncertain, errSilent)
}
