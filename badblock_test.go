package nanolock_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
)

func TestBadBlocks(t *testing.T) {
	g := nor
	g.BadBlocks = true
	mem := &flawed{newRAM(g), map[int64]bool{80: true, 144: true}}
	l := newLock(t, mem, toy(), nil)
	host, s := l.Host(), session(t, l, everything())
	is := func(h *nanolock.Handle, off int64, want bool) {
		t.Helper()
		if got, err := h.IsBad(off); err != nil || got != want {
			t.Errorf("IsBad(%d) = %v, %v", off, got, err)
		}
	}
	is(host, 95, true)
	is(host, 64, false)
	is(host, 16, false)
	if err := l.Activate("boot", 1); err != nil {
		t.Fatal(err)
	}
	is(host, 16, true) // the block of the slot in use
	for _, off := range []int64{-1, 256} {
		if _, err := host.IsBad(off); err != nvm.ErrRange {
			t.Errorf("IsBad(%d): %v", off, err)
		}
		if err := host.MarkBad(off); err != nvm.ErrRange {
			t.Errorf("MarkBad(%d): %v", off, err)
		}
	}
	if err := host.MarkBad(35); !errors.Is(err, nanolock.ErrDenied) || mem.bad[160] {
		t.Errorf("host marks boot: %v", err)
	}
	if err := s.MarkBad(35); err != nil || !mem.bad[160] {
		t.Errorf("vendor marks boot: %v", err)
	}
	var deny *nanolock.DenyError
	if err := host.MarkBad(70); !errors.As(err, &deny) || deny.Cause != nanolock.CauseGrant || mem.bad[64] {
		t.Errorf("host marks for ever what it may only erase: %v", err)
	}
	one := everything()
	one.Erases = 1
	s = session(t, l, one)
	if err := s.MarkBad(192); err != nil || l.Usage("cal").Erases != 1 {
		t.Errorf("charged: %v, %+v", err, l.Usage("cal"))
	}
	if err := s.MarkBad(192); !errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("beyond the budget: %v", err)
	}

	good := newLock(t, newRAM(nor), toy(), nil)
	is(good.Host(), 64, false)
	s = session(t, good, everything())
	if err := s.MarkBad(192); !errors.Is(err, errors.ErrUnsupported) || good.Usage("cal").Erases != 0 {
		t.Errorf("a memory without marks: %v, charged %+v", err, good.Usage("cal"))
	}
}

// A host may ask for bad blocks while the operator changes slots.
func TestBadBlocksDuringActivate(t *testing.T) {
	g := nor
	g.BadBlocks = true
	l := newLock(t, &flawed{newRAM(g), map[int64]bool{}}, toy(), nil)
	host := l.Host()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if err := l.Activate("boot", i%2); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range int64(200) {
		if bad, err := host.IsBad(i); bad || err != nil {
			t.Error(bad, err)
		}
	}
	wg.Wait()
}
