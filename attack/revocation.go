package attack

import (
	"reflect"

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
	{"authority-rekeyed", "Use a session after its authority got other keys", "CWE-613", "Sessions that outlive the revocation of the key that opened them", famRevoke, authorityRekeyed},
	{"late-write", "Let a program that was accepted land after the freeze", "CWE-367", "Write-behind caches under a revoked grant", famRevoke, lateWrite},
}

// changer is somebody who may change something as often as they like, and what; nil
// if nobody may. A ledger counts programs on memories of class Rewrite alone.
func (t *Target) changer() (*Subject, nvm.Op, nvm.Span) {
	for _, p := range t.Allowed(nvm.Write) {
		if u := t.Unit(p.Span.Off); p.Span.Contains(u) && (p.Region.Wear == (policy.Wear{}) || t.Geo.Program != nvm.Rewrite) {
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
		return Skip("nobody may change anything without a ledger")
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

func authorityRekeyed(t *Target) error {
	if len(t.backed()) == 0 {
		return Skip("no authorities")
	}
	all := policy.Rights{Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30}
	var subjects []*Subject
	for _, a := range t.backed() {
		all.Authority = a
		if s := t.session(all); s != nil {
			subjects = append(subjects, s)
		}
	}
	next := t.Policy.Clone()
	next.Version++
	for i := range next.Authorities {
		a := &next.Authorities[i]
		a.Threshold, a.Keys = 1, []policy.Key{{Name: "next", Public: make([]byte, a.Suite.PublicLen())}}
		a.Keys[0].Public[0] = byte(i + 1)
	}
	if err := t.SetPolicy(next, t.State); err != nil {
		t.Fail(Breach{What: "a policy with new keys is refused: " + err.Error()})
	}
	for _, s := range subjects {
		for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
			s.assault(p)
		}
	}
	return nil
}

func lateWrite(t *Target) error {
	s, op, at := t.changer()
	if s == nil || op != nvm.Write {
		return Skip("nobody may program anything without a ledger")
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
