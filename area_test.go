package nanolock_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Persist erases a block of the vault, as a journal must, while somebody ends a
// handle, for which the host's own Close is enough: neither waits for the other.
func TestPersistErasesVaultWhileEnding(t *testing.T) {
	var vault nvm.NVM
	inside, goOn := make(chan bool), make(chan bool)
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{Persist: func(_ uint32, want policy.Usage) (policy.Usage, error) {
		if vault == nil {
			return want, nil
		}
		close(inside)
		<-goOn
		return want, vault.Erase(0, 16)
	}})
	var err error
	if vault, err = l.Area("vault", 0); err != nil {
		t.Fatal(err)
	}
	h, victim := l.Host(), l.Host()
	done := make(chan error, 2)
	go func() { done <- write(h, 96, "ab") }()
	<-inside
	go func() { done <- victim.Close() }()
	for !l.Waiting() { // End has its turn and waits for the mutex
	}
	close(goOn)
	for range 2 {
		select {
		case err := <-done:
			ok(t, err)
		case <-time.After(10 * time.Second):
			t.Fatal("deadlock: the host's Close and the host's append wait for each other")
		}
	}
}

// A host changes the error that it got by a plain assignment: OnDeny goes on
// telling the owner the truth.
func TestToldDenialChanged(t *testing.T) {
	var got []string
	var mu sync.Mutex
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{OnDeny: func(d nanolock.Denial) {
		mu.Lock()
		got = append(got, d.Err.Region)
		mu.Unlock()
	}})
	evil, other := l.Host(), l.Host()
	var deny *nanolock.DenyError
	errors.As(write(evil, 0, "x"), &deny)
	deny.Region, deny.Cause = "nothing here", nanolock.CauseEnded
	if err := write(other, 0, "x"); !errors.Is(err, nanolock.ErrDenied) || got[1] != "boot" {
		t.Errorf("the owner's log says %q, the other host gets %v", got[1], err)
	}
}

// Persist panics inside SetPolicy: the policy that was refused is not in force for
// what is opened or explained afterwards.
func TestPersistPanicsInSetPolicy(t *testing.T) {
	boom := false
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{State: policy.Manufacturing, Persist: func(_ uint32, u policy.Usage) (policy.Usage, error) {
		if boom {
			panic("driver")
		}
		return u, nil
	}})
	next := toy()
	next.Map[1].Write = policy.Rule{}
	boom = true
	func() {
		defer func() { _ = recover() }()
		_ = l.SetPolicy(next, policy.Deployed)
	}()
	boom = false
	if d := l.Explain(nvm.Write, 64, 1); !d.Allow {
		t.Errorf("explains the policy that was refused: %+v", d)
	}
	if err := write(session(t, l, everything()), 64, "x"); err != nil {
		t.Errorf("a session obeys the policy that was refused: %v", err)
	}
}

// held is a memory whose programs wait to be let go.
type held struct {
	*ram
	in, out chan bool
}

func (s *held) WriteAt(p []byte, off int64) (int, error) {
	s.in <- true
	<-s.out
	return s.ram.WriteAt(p, off)
}

// Close returns when no program through an area is under way, as SetPolicy does that
// moves extents.
func TestCloseWaitsForAreas(t *testing.T) {
	mem := &held{newRAM(nor), make(chan bool), make(chan bool)}
	l := newLock(t, mem, toy(), nil)
	vault, _ := l.Area("vault", 0)
	go func() { _, _ = vault.WriteAt([]byte("x"), 0) }()
	<-mem.in
	closed := make(chan bool)
	go func() { _ = l.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("Close returned while a program through an area is under way")
	case <-time.After(200 * time.Millisecond):
	}
	mem.out <- true
}

// A window that ended reads nothing: what it showed may be a host's region by now.
func TestEndedAreaReads(t *testing.T) {
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{State: policy.Manufacturing})
	vault, _ := l.Area("vault", 0)
	moved := toy()
	moved.Map[3].Span.Off, moved.Memory.Hidden[1].Span.Off = 224, 192
	ok(t, l.SetPolicy(moved, policy.Manufacturing))
	if _, err := vault.ReadAt(make([]byte, 1), 0); !errors.Is(err, nanolock.ErrEnded) {
		t.Errorf("reads on: %v", err)
	}
}

// shortMem programs less than asked and says nil, which io.Writer forbids.
type shortMem struct{ *ram }

func (s shortMem) WriteAt(p []byte, off int64) (int, error) { return s.ram.WriteAt(p[:len(p)/2], off) }

func TestShortProgram(t *testing.T) {
	l := newLock(t, shortMem{newRAM(nor)}, toy(), nil)
	if n, err := l.Host().WriteAt([]byte("abcd"), 64); n != 4 && err == nil {
		t.Errorf("n=%d err=%v", n, err)
	}
}
