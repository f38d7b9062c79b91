package attack

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Rights that are taken away at this moment.
var races = []Attack{
	{"end-barrier", "Be inside a program when the session ends", "CWE-362", "Speed Racer 2014, CVE-2014-8273, VU 766164: set write enable, write before the handler clears it", famRevoke, endBarrier},
	{"freeze-barrier", "Be inside a program when the lock freezes", "CWE-362", "CVE-2014-8273", famRevoke, freezeBarrier},
	{"policy-barrier", "Be inside a program when the policy is swapped", "CWE-362", "CVE-2014-8273", famRevoke, policyBarrier},
	{"long-operation", "Have a long erase under way when rights end", "CWE-367", "Erase suspend: a part of the work outlives its permission", famRevoke, longOperation},
	{"revocation-hammer", "Hammer from many handles while rights come and go", "CWE-362", "Two threads, many tries, no byte changed", famRevoke, hammer},
}

// held runs first until it is inside the memory, then second for a moment, and
// lets go.
func (t *Target) held(s *Subject, first, second func()) {
	Crowd(s)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	t.hook(func(nvm.Op) error {
		once.Do(func() {
			close(entered)
			<-release
		})
		return nil
	})
	defer t.hook(nil)
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		first()
	})
	select {
	case <-entered:
	case <-done: // refused: nothing to hold
	}
	came := make(chan struct{})
	all.Go(func() {
		defer close(came)
		second()
	})
	select {
	case <-came:
	case <-time.After(10 * time.Millisecond):
	}
	close(release)
	t.Within(all.Wait)
}

func (t *Target) hook(f func(nvm.Op) error) {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	t.chip.onChange = f
}

// barrier takes rights away while a program is held inside the memory.
func barrier(t *Target, what string, take func(*Subject)) error {
	s, op, at := t.changer()
	if s == nil {
		return Skip("nobody may change anything without a ledger")
	}
	t.held(s, func() { _ = s.do(op, at) }, func() {
		take(s)
		t.chip.mu.Lock()
		defer t.chip.mu.Unlock()
		if t.chip.running > 0 {
			region, rule := t.chip.m.where(at.Off, op)
			t.chip.fail(Breach{What: what + " returned while " + op.String() + " was under way", Region: region, Span: at, Rule: rule})
		}
	})
	return nil
}

func endBarrier(t *Target) error { return barrier(t, "End", t.End) }

func freezeBarrier(t *Target) error {
	return barrier(t, "Freeze", func(*Subject) { t.Freeze() })
}

func policyBarrier(t *Target) error {
	return barrier(t, "SetPolicy", func(*Subject) { _ = t.SetPolicy(strict(t.Policy), t.State) })
}

// long is an access of many steps; nil if nobody may do one.
func (t *Target) long() (*Subject, nvm.Op, nvm.Span) {
	for _, r := range t.Regions(func(r *policy.Region, a policy.Access) bool { return r.Wear == (policy.Wear{}) }) {
		b, a := t.Inner(r.Span), r.AccessIn(t.State).Erase
		n := (r.Span.End() - b.Off) / max(b.Len, 1)
		if b.Len == 0 || n < 4 || t.Geo.CheckErase(b.Off, min(n, 12)*b.Len) != nil {
			continue
		}
		at := nvm.Span{Off: b.Off, Len: min(n, 12) * b.Len}
		switch a.Mode {
		case policy.Any:
			return t.Host(), nvm.Erase, at
		case policy.Grant:
			if s, err := t.Grant(a.Authority, r.Span); err == nil {
				return s, nvm.Erase, at
			}
		}
	}
	return nil, 0, nvm.Span{}
}

func longOperation(t *Target) error {
	s, op, at := t.long()
	if s == nil {
		return Skip("nobody may erase several blocks without a ledger")
	}
	Crowd(s)
	entered := make(chan struct{})
	var once sync.Once
	t.hook(func(nvm.Op) error {
		once.Do(func() { close(entered) })
		time.Sleep(2 * time.Millisecond)
		return nil
	})
	defer t.hook(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.do(op, at)
	}()
	select {
	case <-entered:
	case <-done:
	}
	t.Within(func() {
		t.End(s)
		<-done
	})
	return nil
}

func hammer(t *Target) error {
	var all sync.WaitGroup
	var stop atomic.Bool
	defer stop.Store(true)
	var subjects []*Subject
	for range 3 {
		s, op, at := t.changer()
		if s == nil {
			return Skip("nobody may change anything without a ledger")
		}
		Crowd(s)
		subjects = append(subjects, s)
		all.Go(func() {
			for !stop.Load() {
				_ = s.do(op, at)
				time.Sleep(20 * time.Microsecond) // a greedy writer keeps the scheduler from those it races
			}
		})
	}
	time.Sleep(2 * time.Millisecond)
	t.Within(func() {
		t.End(subjects[0])
		t.End(subjects[1])
		_ = t.SetPolicy(strict(t.Policy), t.State)
		time.Sleep(2 * time.Millisecond) // for those who have not heard of it
		t.Freeze()
		time.Sleep(time.Millisecond)
		stop.Store(true)
		all.Wait()
	})
	return nil
}
