package nanolock_test

import (
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/policy"
)

// A ledger that a stricter policy made smaller than what was spent has no room.
func TestOverdrawnLedger(t *testing.T) {
	mem := newRAM(nor)
	p := toy()
	p.Map[1].Wear = policy.Wear{Erases: 3}
	l := newLock(t, mem, p, &nanolock.Config{Usage: map[uint32]policy.Usage{p.Map[1].ID: {Erases: 7}}})
	mem.taken()
	denied(t, mem, l.Host().Erase(64, 16), nanolock.CauseLedger)
}

// What publishes other rights, such as a flip of slots, lifts no freeze.
func TestFreezeOutlivesActivate(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	host, s := l.Host(), session(t, l, everything())
	l.Freeze()
	ok(t, l.Activate("boot", 1))
	ok(t, l.Activate("boot", 0))
	mem.taken()
	for _, h := range []*nanolock.Handle{host, s, l.Host()} {
		denied(t, mem, write(h, 64, "x"), nanolock.CauseFrozen)
		denied(t, mem, h.Erase(64, 16), nanolock.CauseFrozen)
	}
}
