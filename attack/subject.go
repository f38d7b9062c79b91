package attack

import (
	"bytes"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Subject is a handle in the hands of an attacker.
type Subject struct {
	t     *Target
	h     Handle
	s     *subject
	crowd bool // others act at the same time
}

// Host opens a host's handle.
func (t *Target) Host() *Subject {
	return t.add(t.Sys.Host(), &subject{})
}

// Session opens a session with r, as the owner's order would. The error is the
// lock's.
func (t *Target) Session(r policy.Rights) (*Subject, error) {
	s := &subject{rights: &r, program: r.ProgramBytes, erases: r.Erases}
	h, err := t.Sys.Session(r)
	if err != nil {
		return nil, err
	}
	return t.add(h, s), nil
}

func (t *Target) add(h Handle, s *subject) *Subject {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	t.chip.live = append(t.chip.live, s)
	return &Subject{t: t, h: h, s: s}
}

// Crowd lets the subjects act at the same time as others: the oracle then asks
// whether anybody had the right.
func Crowd(subjects ...*Subject) {
	for _, s := range subjects {
		s.crowd = true
	}
}

// act runs f with the oracle told who acts.
func (s *Subject) act(f func() error) error {
	c := s.t.chip
	if !s.crowd {
		c.mu.Lock()
		c.actor = s.s
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			c.actor = nil
			c.mu.Unlock()
		}()
	}
	err := f()
	s.t.mu.Lock()
	s.t.tried++
	if err != nil {
		s.t.refused++
	}
	s.t.mu.Unlock()
	return err
}

// payload is what an attacker programs: all bits away from erased, so that NOR
// takes it anywhere.
func (t *Target) payload(n int64) []byte {
	return bytes.Repeat([]byte{^t.Geo.Erased}, int(n))
}

// Write programs n bytes of the attacker's.
func (s *Subject) Write(off, n int64) error { return s.WriteAt(s.t.payload(n), off) }

// WriteAt programs p.
func (s *Subject) WriteAt(p []byte, off int64) error {
	return s.change(nvm.Write, off, int64(len(p)), func() error {
		_, err := s.h.WriteAt(p, off)
		return err
	})
}

// Erase erases.
func (s *Subject) Erase(off, n int64) error {
	return s.change(nvm.Erase, off, n, func() error { return s.h.Erase(off, n) })
}

// MarkBad marks a block.
func (s *Subject) MarkBad(off int64) error {
	b := s.t.Geo.Block(max(0, min(off, s.t.Geo.Size-1)))
	return s.change(nvm.Erase, b.Off, b.Len, func() error { return s.h.MarkBad(off) })
}

// change looks that what has to be refused as a whole has no effect in part.
func (s *Subject) change(op nvm.Op, off, n int64, f func() error) error {
	c := s.t.chip
	if s.crowd || s.s.window.Len != 0 {
		return s.act(f)
	}
	c.mu.Lock()
	allowed, before := c.m.predict(s.s, op, off, n), c.changes
	c.mu.Unlock()
	err := s.act(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !allowed && c.changes != before {
		region, rule := c.m.where(off, op)
		c.fail(Breach{What: op.String() + " that had to be refused as a whole had an effect", Region: region, Span: nvm.Span{Off: off, Len: n}, Rule: rule})
	}
	return err
}

// Read reads and looks for bytes that it must not have seen. The buffer starts
// as the complement of the content, so that each byte that shows is seen, after
// an error too.
func (s *Subject) Read(off, n int64) error {
	p := make([]byte, n)
	in := (nvm.Span{Off: off, Len: n}).In(s.t.Geo.Size) && n > 0
	truth := make([]byte, n)
	if in {
		s.t.chip.content(off, truth)
	}
	for i := range p {
		p[i] = ^truth[i]
	}
	err := s.act(func() error {
		_, err := s.h.ReadAt(p, off)
		return err
	})
	if in && !s.crowd {
		s.leaks(off, p, truth, err)
	}
	return err
}

// leaks compares what came back with what was allowed to.
func (s *Subject) leaks(off int64, p, truth []byte, err error) {
	c := s.t.chip
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.pieces(s.s, nvm.Read, nvm.Span{Off: off, Len: int64(len(p))}, func(x nvm.Span) bool {
		if c.m.may(s.s, nvm.Read, x.Off) == yes {
			return true
		}
		got, was := p[x.Off-off:x.End()-off], truth[x.Off-off:x.End()-off]
		for i := range got {
			if got[i] == was[i] && (was[i] != c.geo.Erased || err != nil) {
				region, rule := c.m.where(x.Off, nvm.Read)
				c.fail(Breach{What: "content leaked that must not be read", Region: region, Span: x, Rule: rule})
				return false
			}
		}
		return true
	})
}

// content reads what the host sees at its address, past the lock.
func (c *chip) content(off int64, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m.active) == 0 {
		_, _ = c.raw.ReadAt(p, off)
		return
	}
	c.m.pieces(&subject{}, nvm.Erase, nvm.Span{Off: off, Len: int64(len(p))}, func(x nvm.Span) bool {
		_, _ = c.raw.ReadAt(p[x.Off-off:x.End()-off], c.m.physical(x.Off))
		return true
	})
}

// Must carries out what the policy allows, and fails the lock if it refuses: a
// lock that denies everything protects nothing worth having.
func (s *Subject) Must(op nvm.Op, p []byte, off, n int64) {
	t := s.t
	t.chip.mu.Lock()
	allowed := t.chip.m.predict(s.s, op, off, n)
	region, rule := t.chip.m.where(off, op)
	t.chip.mu.Unlock()
	if !allowed {
		return
	}
	span := nvm.Span{Off: off, Len: n}
	want := make([]byte, n)
	t.chip.content(off, want)
	var err error
	switch op {
	case nvm.Read:
		got := make([]byte, n)
		err = s.act(func() error { _, err := s.h.ReadAt(got, off); return err })
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("other bytes than the memory's")
		}
	case nvm.Write:
		programmed(t.Geo, want, p)
		err = s.WriteAt(p, off)
	case nvm.Erase:
		want = bytes.Repeat([]byte{t.Geo.Erased}, int(n))
		err = s.Erase(off, n)
	}
	got := make([]byte, n)
	t.chip.content(off, got)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("it reports success, but the memory holds something else")
	}
	if err != nil {
		t.Fail(Breach{What: fmt.Sprintf("%v that the policy allows fails: %v", op, err), Region: region, Span: span, Rule: rule})
	}
}

// programmed is what programming p over old leaves.
func programmed(g nvm.Geometry, old, p []byte) {
	for i := range p {
		switch {
		case g.Program != nvm.ClearBits:
			old[i] = p[i]
		case g.Erased == 0:
			old[i] |= p[i]
		default:
			old[i] &= p[i]
		}
	}
}
