package nanolock_test

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/policy"
)

// Whatever is limited ends after exactly as many steps as it was given. The tries
// are bounded: a Lock that charges nothing fails here, and does not go on for ever.
func TestEverythingLimitedEnds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit int
		cause nanolock.Cause
		open  func(*nanolock.Lock) *nanolock.Handle
		do    func(h *nanolock.Handle, i int) error
	}{
		{"programs of a session", 9, nanolock.CauseBudget, limited(t, 9, 100), func(h *nanolock.Handle, i int) error { return write(h, int64(i), "x") }},
		{"erases of a session", 3, nanolock.CauseBudget, limited(t, 100, 3), func(h *nanolock.Handle, i int) error { return h.Erase(int64(i%4)*16, 16) }},
		{"marks of a session", 3, nanolock.CauseBudget, limited(t, 100, 3), func(h *nanolock.Handle, i int) error { return h.MarkBad(int64(i%4) * 16) }},
		{"ledger of a region", 5, nanolock.CauseLedger, (*nanolock.Lock).Host, func(h *nanolock.Handle, _ int) error { return h.Erase(64, 16) }},
		{"ledger, by a session", 5, nanolock.CauseLedger, limited(t, 100, 100), func(h *nanolock.Handle, _ int) error { return h.Erase(64, 16) }},
		{"same place of a log", 1, nanolock.CauseMark, (*nanolock.Lock).Host, func(h *nanolock.Handle, _ int) error { return write(h, 96, "x") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := toy()
			p.Map[1].Wear = policy.Wear{Erases: 5}
			h := tc.open(newLock(t, &flawed{newRAM(nor), map[int64]bool{}}, p, nil))
			for i := range tc.limit {
				if err := tc.do(h, i); err != nil {
					t.Fatalf("%d of %d: %v", i+1, tc.limit, err)
				}
			}
			var deny *nanolock.DenyError
			for i := range 3 {
				if err := tc.do(h, tc.limit+i); !errors.As(err, &deny) || deny.Cause != tc.cause {
					t.Errorf("%d more than %d: %v", i+1, tc.limit, err)
				}
			}
		})
	}
}

func limited(t *testing.T, bytes, erases int64) func(*nanolock.Lock) *nanolock.Handle {
	return func(l *nanolock.Lock) *nanolock.Handle {
		r := everything()
		r.ProgramBytes, r.Erases = bytes, erases
		return session(t, l, r)
	}
}
