package attack_test

import (
	"context"
	"testing"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/internal/worlds"
	"github.com/nanolock/nanolock/policy"
)

// A policy that gives each writable region a ledger, as the importers do, is raced
// like any other: on NOR a program costs no erase.
func TestLedgersLeaveTheRaces(t *testing.T) {
	w := worlds.NOR()
	for i := range w.Policy.Map {
		r := &w.Policy.Map[i]
		if r.Write.Mode == policy.Any {
			r.Wear = policy.Wear{Erases: 1000}
		} else {
			r.Write, r.Erase, r.Update = policy.Rule{}, policy.Rule{}, nil
		}
	}
	var races []attack.Attack
	for _, name := range []string{"end-barrier", "freeze-barrier", "policy-barrier", "late-write", "revocation-hammer", "handle-copied", "memory-panic"} {
		a, ok := attack.Find(name)
		if !ok {
			t.Fatalf("no attack %q", name)
		}
		races = append(races, a)
	}
	report, err := attack.Run(context.Background(), attack.Config{Policy: w.Policy, Open: w.Open, Attacks: races})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Verdict != attack.Held {
			t.Errorf("%s: %v %s", r.Name, r.Verdict, r.Why)
		}
	}
}
