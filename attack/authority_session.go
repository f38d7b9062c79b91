package attack

import (
	"bytes"
	"crypto/sha256"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// What a session is, and is not.
var sessions = []move{
	{"session-elsewhere", "Leave the region of a grant", "CWE-863", "A window for one image used for another", famSession, plain, sessionElsewhere},
	{"session-narrow", "Leave the part of a region that was granted", "CWE-863", "Offsets of a grant that are not added up", famSession, plain, sessionNarrow},
	{"session-other-op", "Erase with a grant to program", "CWE-863", "MTD: whoever opened for writing may erase", famSession, plain, sessionOp},
	{"session-overtime", "Use a session after its time", "CWE-613", "Maintenance windows that stay open", famSession, plain, sessionOvertime},
	{"session-overspent", "Program more than was granted", "CWE-770", "Budgets checked and not booked", famSession, plain, sessionOverspent},
	{"session-after-reset", "Use a session after the host was reset", "CWE-613", "Rights of a host that is gone", famSession, plain, sessionReset},
	{"session-after-cut", "Use the id of a session after the power went", "CWE-613", "Session ids that are restored", famSession, plain, sessionCut},
	{"session-guessed", "Guess the id of somebody's session", "CWE-340", "Session ids that are numbers", famSession, plain, sessionGuessed},
	{"session-after-policy", "Use a session after a policy that forbids it", "CWE-613", "Open handles keep old rights", famSession, plain, sessionPolicy},
	{"session-other-content", "Program other bytes than the digest says", "CWE-345", "A grant for one image used for another image", famSession, pageless, sessionContent},
	{"session-half-block", "Program a part of a block whose digest was granted", "CWE-345", "Half an update", famSession, pageless, sessionHalf},
	{"sessions-without-end", "Open session after session", "CWE-770", "Handles until the memory is gone", famSession, plain, sessionsMany},
}

func sessionElsewhere(s *Scene) {
	h, _ := s.session(order.Vendor, s.whole("boot"))
	for _, name := range []string{"secret", "calibration", "log"} {
		at := s.span(name)
		before := make([]byte, at.Len)
		_ = s.rig.Flash.Peek(before, at.Off)
		s.note(h.Erase(at.Off, at.Len))
		_, err := h.WriteAt(make([]byte, 16), at.Off)
		s.note(err)
		after := make([]byte, at.Len)
		_ = s.rig.Flash.Peek(after, at.Off)
		if name == "log" {
			continue // which every host may write
		}
		if !bytes.Equal(before, after) {
			s.Fail("a session for boot changes %s", name)
		}
	}
	p := make([]byte, 16)
	if _, err := h.ReadAt(p, s.span("secret").Off); err == nil && bytes.HasPrefix(p, []byte("secret")) {
		s.Fail("a session for boot reads secret")
	}
}

func sessionNarrow(s *Scene) {
	g := s.whole("boot")
	g.Off, g.Len = 4096, 4096
	h, _ := s.session(order.Vendor, g)
	at := s.span("boot")
	if writes(h, nvm.Span{Off: at.Off, Len: 4096}, s) || h.Erase(at.Off, 4096) == nil {
		s.Fail("a session for the second block of boot changes the first")
	}
	s.ensure(h.Erase(at.Off+4096, 4096), "a session cannot erase what it was granted")
	s.allow()
}

func sessionOp(s *Scene) {
	g := s.whole("boot")
	g.Ops = order.OpWrite
	h, _ := s.session(order.Vendor, g)
	if h.Erase(s.span("boot").Off, 4096) == nil {
		s.Fail("a session that may program erases")
	}
}

// used fails if a session changes anything.
func (s *Scene) used(h Handle, when string) {
	if writes(h, s.span("boot"), s) {
		s.Fail("a session programs %s", when)
	}
}

func sessionOvertime(s *Scene) {
	g := s.whole("boot")
	g.Uptime = 30
	h, _ := s.session(order.Vendor, g)
	s.tick(29)
	if !writes(h, s.span("boot"), s) {
		s.Fail("a session ends before its time")
	}
	s.allow()
	s.tick(1)
	s.used(h, "after its time")
}

func sessionOverspent(s *Scene) {
	g := s.whole("boot")
	g.Bytes, g.Erases = 100, 1
	h, _ := s.session(order.Vendor, g)
	at := s.span("boot")
	for i := range int64(8) {
		_, err := h.WriteAt(make([]byte, 25), at.Off+25*i)
		s.note(err)
		if i == 3 {
			s.allow()
		}
	}
	s.note(h.Erase(at.Off+4096, 4096))
	s.bounded("a session programs beyond its budget", func() bool {
		p := make([]byte, 200)
		_ = s.rig.Flash.Peek(p, at.Off)
		return bytes.Count(p, []byte{0}) > 100
	})
	if h.Erase(at.Off, 4096) == nil {
		s.Fail("a session erases beyond its budget")
	}
}

// bounded takes over what the flash holds unless bad says that it must not.
func (s *Scene) bounded(what string, bad func() bool) {
	if bad() {
		s.Fail("%s", what)
	}
	s.allow()
}

func sessionReset(s *Scene) {
	h, id := s.session(order.Vendor, s.whole("boot"))
	_ = s.dev.HostReset()
	s.used(h, "after the host was reset")
	if h, err := s.dev.Session(id); err == nil {
		s.used(h, "after the host was reset")
	}
}

func sessionCut(s *Scene) {
	_, id := s.session(order.Vendor, s.whole("boot"))
	for range 2 {
		s.cut()
		if h, err := s.dev.Session(id); err == nil {
			s.used(h, "after the power went")
		}
	}
}

func sessionGuessed(s *Scene) {
	_, a := s.session(order.Vendor, s.whole("boot"))
	_, b := s.session(order.Vendor, s.whole("boot"))
	var guesses []order.SessionID
	for _, id := range []order.SessionID{{}, a, b} {
		for d := -3; d <= 3; d++ {
			for _, at := range []int{0, 15} {
				g := id
				g[at] += byte(d)
				guesses = append(guesses, g)
			}
		}
	}
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	if same > 8 {
		s.Fail("the ids of two sessions differ in %d of 16 bytes", 16-same)
	}
	for _, g := range guesses {
		if _, err := s.dev.Session(g); err == nil && g != a && g != b {
			s.Fail("a session id was guessed")
		}
	}
}

func sessionPolicy(s *Scene) {
	h, _ := s.session(order.Vendor, s.whole("boot"))
	s.put(func(p *policy.Policy) { p.Region("boot").Write, p.Region("boot").Erase = policy.Rule{}, policy.Rule{} })
	s.used(h, "under a policy that forbids it")
}

// bound is a session for one block of given content.
func (s *Scene) bound(content []byte) Handle {
	g := s.whole("boot")
	g.Off, g.Len, g.Digests = 0, 4096, [][32]byte{sha256.Sum256(content)}
	h, _ := s.session(order.Vendor, g)
	s.ensure(h.Erase(s.span("boot").Off, 4096), "a session cannot erase what it was granted")
	s.allow()
	return h
}

func sessionContent(s *Scene) {
	good := bytes.Repeat([]byte("new boot"), 512)
	h := s.bound(good)
	bad := bytes.Clone(good)
	bad[4095] &= 0x0F
	_, err := h.WriteAt(bad, s.span("boot").Off)
	s.note(err)
	if !bytes.Equal(s.protected(), s.image) {
		s.Fail("other content than was granted is programmed")
	}
	_, err = h.WriteAt(good, s.span("boot").Off)
	s.ensure(err, "the content that was granted is refused")
	s.allow()
}

func sessionHalf(s *Scene) {
	good := bytes.Repeat([]byte("new boot"), 512)
	h := s.bound(good)
	for _, n := range []int{1, 256, 2048, 4095} {
		_, err := h.WriteAt(good[:n], s.span("boot").Off)
		s.note(err)
	}
}

func sessionsMany(s *Scene) {
	open := 0
	for range 80 {
		if s.give(order.Vendor, order.Grant, s.whole("boot")) == order.OK {
			open++
		}
	}
	if open > 64 {
		s.Fail("%d sessions are open at a time", open)
	}
	s.tick(601)
	s.must(s.grant(order.Vendor, "boot"), "a grant, when all others have ended")
}
