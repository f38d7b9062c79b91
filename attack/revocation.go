package attack

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Rights that were taken away.
var revocation = []Attack{
	{"use-after-end", "Go on with a session that was ended", "CWE-613", "Tokens that stay valid after logout", famRevoke, useAfterEnd},
	{"use-after-close", "Go on with a handle that was closed", "CWE-672", "File descriptors reused after close", famRevoke, useAfterClose},
	{"handle-copied", "Go on with a copy of a handle that was ended", "CWE-672", "Duplicated descriptors survive the revocation of the first", famRevoke, handleCopied},
	{"freeze-survivors", "Change anything while the lock is frozen", "CWE-863", "Lockdown that forgets connections that are open", famRevoke, freezeSurvivors},
	{"policy-survivors", "Use old rights after a stricter policy", "CWE-613", "Permissions cached in open handles", famRevoke, policySurvivors},
	{"late-write", "Let a program that was accepted land after the freeze", "CWE-367", "Write-behind caches under a revoked grant", famRevoke, lateWrite},
}

// Rights that are taken away at this moment.
var races = []Attack{
	{"end-barrier", "Be inside a program when the session ends", "CWE-362", "Speed Racer 2014, CVE-2014-8273, VU 766164: set write enable, write before the handler clears it", famRevoke, endBarrier},
	{"freeze-barrier", "Be inside a program when the lock freezes", "CWE-362", "CVE-2014-8273", famRevoke, freezeBarrier},
	{"policy-barrier", "Be inside a program when the policy is swapped", "CWE-362", "CVE-2014-8273", famRevoke, policyBarrier},
	{"long-operation", "Have a long erase under way when rights end", "CWE-367", "Erase suspend: a part of the work outlives its permission", famRevoke, longOperation},
	{"revocation-hammer", "Hammer from many handles while rights come and go", "CWE-362", "A15: two threads, many tries, no byte changed", famRevoke, hammer},
}

// changer is somebody who may change something, and what; nil if nobody may.
func (t *Target) changer() (*Subject, nvm.Op, nvm.Span) {
	for _, p := range t.Allowed(nvm.Write) {
		if u := t.Unit(p.Span.Off); p.Span.Contains(u) && p.Region.Wear == (policy.Wear{}) {
			return t.Host(), nvm.Write, u
		}
	}
	for _, op := range []nvm.Op{nvm.Write, nvm.Erase} {
		for _, r := range t.granted(op) {
			b := t.Inner(r.Span)
			if b.Len == 0 {
				continue
			}
			if s, err := t.Grant(r.AccessIn(t.State).Rule(op).Authority, r.Span); err == nil {
				if op == nvm.Write {
					b.Len = t.Geo.ProgramSize
				}
				return s, op, b
			}
		}
	}
	return nil, 0, nvm.Span{}
}

func (s *Subject) do(op nvm.Op, at nvm.Span) error {
	if op == nvm.Erase {
		return s.Erase(at.Off, at.Len)
	}
	return s.Write(at.Off, at.Len)
}

func useAfterEnd(t *Target) error {
	for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
		for _, op := range []nvm.Op{nvm.Read, nvm.Write, nvm.Erase} {
			s := t.Host()
			if rule := p.Region.AccessIn(t.State).Rule(op); rule.Mode == policy.Grant {
				if s = t.session(policy.Rights{Authority: rule.Authority, Ops: nvm.AllOps, Span: p.Span, ProgramBytes: 1 << 40, Erases: 1 << 30}); s == nil {
					return nil
				}
			}
			t.End(s)
			s.assault(p)
		}
	}
	return nil
}

func useAfterClose(t *Target) error {
	for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
		s := t.Host()
		t.CloseHandle(s)
		s.assault(p)
	}
	return nil
}

// copyOf copies what a handle points to, as *h does.
func copyOf(h Handle) (Handle, bool) {
	v := reflect.ValueOf(h)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, false
	}
	c := reflect.New(v.Type().Elem())
	c.Elem().Set(v.Elem())
	copied, ok := c.Interface().(Handle)
	return copied, ok
}

func handleCopied(t *Target) error {
	s, op, at := t.changer()
	if s == nil {
		return Skip("nobody may change anything")
	}
	c, ok := copyOf(s.h)
	if !ok {
		return Skip("handles of this lock cannot be copied")
	}
	t.End(s)
	s.h = c
	_ = s.do(op, at)
	return nil
}

func freezeSurvivors(t *Target) error {
	ps := t.Places(func(p Place) bool { return p.Region != nil })
	var subjects []*Subject
	for _, a := range t.backed() {
		if s := t.session(policy.Rights{Authority: a, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30}); s != nil {
			subjects = append(subjects, s)
		}
	}
	subjects = append(subjects, t.Host())
	t.Freeze()
	subjects = append(subjects, t.Host())
	for _, a := range t.backed() {
		if s, err := t.Session(policy.Rights{Authority: a, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30}); err == nil {
			subjects = append(subjects, s)
		}
	}
	for _, s := range subjects {
		for _, p := range ps {
			s.assault(p)
		}
	}
	return nil
}

// strict is the policy with every change forbidden, and without authorities.
func strict(p *policy.Policy) *policy.Policy {
	p = p.Clone()
	p.Version++
	for i := range p.Map {
		p.Map[i].Write, p.Map[i].Erase, p.Map[i].Access.Read = policy.Rule{}, policy.Rule{}, policy.Rule{}
		p.Map[i].In = nil
	}
	p.Authorities = nil
	return p
}

func policySurvivors(t *Target) error {
	ps := t.Places(func(p Place) bool { return p.Region != nil })
	subjects := []*Subject{t.Host()}
	for _, a := range t.backed() {
		if s := t.session(policy.Rights{Authority: a, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30}); s != nil {
			subjects = append(subjects, s)
		}
	}
	if err := t.SetPolicy(strict(t.Policy), t.State); err != nil {
		t.Fail(Breach{What: "a stricter policy is refused: " + err.Error()})
		return nil
	}
	for _, s := range append(subjects, t.Host()) {
		for _, p := range ps {
			s.assault(p)
		}
	}
	return nil
}

func lateWrite(t *Target) error {
	s, op, at := t.changer()
	if s == nil || op != nvm.Write {
		return Skip("nobody may program anything")
	}
	p := t.payload(at.Len)
	_ = s.WriteAt(p, at.Off)
	t.Freeze()
	for i := range p {
		p[i] = t.Geo.Erased // the caller's buffer is the caller's again
	}
	_ = s.act(s.h.Sync)
	_ = t.Host().act(s.h.Sync)
	return nil
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
		return Skip("nobody may change anything")
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
			return Skip("nobody may change anything")
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
