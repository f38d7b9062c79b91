package attack_test

import (
	"testing"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/internal/worlds"
)

func TestRealLockHolds(t *testing.T) {
	for _, w := range worlds.All() {
		t.Run(w.Name, func(t *testing.T) {
			attack.Check(t, attack.Config{Policy: w.Policy, Open: w.Open, Faults: true})
		})
	}
}
