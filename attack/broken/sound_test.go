package broken_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/broken"
	"github.com/nanolock/nanolock/attack/internal/worlds"
)

// beaten are the attacks that succeed on l, each in the first world where it does.
func beaten(t *testing.T, l broken.Lock) map[string]*attack.Breach {
	out := map[string]*attack.Breach{}
	for _, w := range worlds.All() {
		attacks := slices.DeleteFunc(attack.Catalogue(), func(a attack.Attack) bool { return out[a.Name] != nil })
		rep, err := attack.Run(t.Context(), attack.Config{
			Policy: w.Policy, Open: w.Open, New: l.New, Attacks: attacks, Faults: true, Patience: 3 * time.Second,
		})
		if err != nil {
			t.Errorf("%s in %s: %v", l.Name, w.Name, err)
			continue
		}
		for _, r := range rep.Results {
			if r.Verdict == attack.Beaten {
				out[r.Name] = r.Breach
			}
		}
	}
	return out
}

func TestSoundHolds(t *testing.T) {
	for name, b := range beaten(t, broken.Sound()) {
		t.Errorf("%s: %v", name, b)
	}
}

func TestLocksAreDistinct(t *testing.T) {
	names, bugs := map[string]bool{}, map[string]bool{}
	for _, l := range broken.Locks() {
		if l.New == nil || names[l.Name] || bugs[l.Bug] {
			t.Errorf("lock %q (%s) is there twice, or empty", l.Name, l.Bug)
		}
		names[l.Name], bugs[l.Bug] = true, true
	}
	if len(names) < 50 {
		t.Errorf("%d broken locks", len(names))
	}
}
