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

// What only the operator or the owner may do to the whole device.
var freezes = []move{
	{"courier-commands", "Send the courier port everything it has no name for", "CWE-749", "Debug commands left in a protocol", famFreeze, plain, courierCommands},
	{"freeze-over-cut", "Take the power away to end a freeze", "CWE-371", "Lockdown that a reset ends", famFreeze, plain, freezeCut},
	{"freeze-over-policy", "Put a policy in force to end a freeze", "CWE-863", "Reloading the rules reopens the port", famFreeze, plain, freezePolicy},
	{"thaw-by-vendor", "End a freeze with another key than that of operations", "CWE-863", "Lockdown that any signed message ends", famFreeze, plain, thawVendor},
	{"thaw-replayed", "End a freeze by the order that ended the last one", "CWE-294", "An all-clear that can be kept", famFreeze, plain, thawReplayed},
	{"frozen-session", "Open a session, or use one, in a freeze", "CWE-863", "Lockdown that forgets open connections", famFreeze, plain, frozenSession},
}

// The power goes while an order acts.
var cuts = []move{
	{"grant-cut-twice", "Cut the power at every flash operation of a grant and deliver it again", "CWE-367", "Specter DIY 229: the power goes before the try is counted", famCut, plain, grantCut},
	{"policy-cut", "Cut the power at every flash operation of a new policy", "CWE-1250", "Half a policy, or none", famCut, plain, policyCut},
	{"transfer-cut", "Cut the power at every flash operation of a transfer", "CWE-1250", "OP-TEE issue 4019: half provisioned", famCut, plain, transferCut},
	{"rma-cut", "Cut the power at every flash operation of the way to rma", "CWE-212", "A wipe that was interrupted and forgotten", famCut, plain, rmaCut},
	{"revocation-cut", "Cut the power at every flash operation of a revocation", "CWE-299", "A revocation reported done and lost", famCut, plain, revocationCut},
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

func courierCommands(s *Scene) {
	for t := range 256 {
		for _, body := range [][]byte{{0xf6}, {0x40}, {0x41, 0}, {0xa0}, {0x80}, {0x82, 0x65, 'o', 'w', 'n', 'e', 'r', 0}} {
			m := []byte{0x82, byte(t)}
			if t > 23 {
				m = []byte{0x82, 0x18, byte(t)}
			}
			s.raw(append(m, body...))
		}
	}
	r, err := s.report()
	s.ensure(err, "no report")
	if r.Health&order.Frozen != 0 || !s.hostWrites("settings") {
		s.Fail("the courier froze the device")
	}
	s.ensure(s.dev.Freeze(), "the operator cannot freeze")
	for t := range 256 {
		m := []byte{0x82, byte(t), 0xf6}
		if t > 23 {
			m = []byte{0x82, 0x18, byte(t), 0xf6}
		}
		s.raw(m)
	}
	if s.hostWrites("settings") {
		s.Fail("the courier ended a freeze")
	}
}

// frozen is the scene in a freeze.
func (s *Scene) frozen() {
	s.ensure(s.dev.Freeze(), "the operator cannot freeze")
	s.stiff("frozen")
}

func (s *Scene) stiff(when string) {
	if s.hostWrites("settings") {
		s.Fail("a host writes: %s", when)
	}
}

func freezeCut(s *Scene) {
	s.frozen()
	s.cut()
	s.stiff("frozen, after the power went")
	s.restart()
	s.stiff("frozen, after a restart")
}

func freezePolicy(s *Scene) {
	s.frozen()
	s.put(nil)
	s.stiff("frozen, under a new policy")
}

func thawVendor(s *Scene) {
	s.frozen()
	for _, who := range []string{order.Vendor, order.Platform, order.Owner, rig0} {
		s.never(s.signed(who, order.Thaw, &order.ThawBody{}), "a thaw by "+who)
	}
	s.stiff("frozen")
}

func thawReplayed(s *Scene) {
	s.frozen()
	msg := s.signed(order.Operations, order.Thaw, &order.ThawBody{})
	s.must(msg, "a thaw")
	if !s.hostWrites("settings") {
		s.Fail("a thaw does not end the freeze")
	}
	s.frozen()
	s.never(msg, "a thaw that was used")
	s.stiff("frozen again")
}

func frozenSession(s *Scene) {
	h, _ := s.session(order.Vendor, s.whole("boot"))
	s.frozen()
	s.used(h, "in a freeze")
	s.never(s.grant(order.Vendor, "boot"), "a grant in a freeze")
}

// eachCut delivers msg on copies of the scene, the power going at its first flash
// operation, its second and so on, and has after look at the device that starts
// again. told is whether the device still said that it had obeyed.
func (s *Scene) eachCut(msg []byte, after func(c *Scene, told bool)) {
	_ = s.dev.Close()
	for n := uint64(0); n < 200; n++ {
		c := s.st.over(s.rig.Clone(), s.want)
		c.counter, c.image = s.counter, s.image
		s.ensure(c.open(), "the device does not start")
		f := c.rig.Flash
		begin := f.Ops()
		f.CutAtOp(begin+n, "")
		r := c.deliver(msg)
		done := f.Ops() <= begin+n
		f.PowerCut()
		f.PowerOn()
		if err := c.open(); err != nil {
			s.Fail("after a cut at flash operation %d the device does not start: %v", n, err)
			break
		}
		func() {
			defer func() {
				if v := recover(); v != nil && v != errOver {
					panic(v)
				}
			}()
			after(c, r.Code == order.OK)
			c.finish()
		}()
		s.mu.Lock()
		s.tried, s.refused = s.tried+c.tried, s.refused+c.refused
		s.mu.Unlock()
		if c.breach != nil {
			s.Fail("cut at flash operation %d: %s", n, c.breach.What)
			break
		}
		if done {
			break
		}
	}
	s.dev = nil
}

func grantCut(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.eachCut(msg, func(c *Scene, told bool) {
		opened := 0
		if told {
			opened++
		}
		for range 2 {
			if c.deliver(msg).Code == order.OK {
				opened++
			}
		}
		if opened > 1 {
			c.Fail("one grant opened %d sessions", opened)
		}
	})
}

func policyCut(s *Scene) {
	p := s.next(closed)
	msg := s.policyOrder(p)
	s.eachCut(msg, func(c *Scene, told bool) {
		now := !c.hostWrites("settings")
		if told && !now {
			c.Fail("a policy was reported in force and is not")
		}
		if !now {
			c.must(msg, "the policy, again")
		}
		c.rig.Policy, c.want.version = p, p.Version
	})
}

func transferCut(s *Scene) {
	p, people := s.crowned("alice", 1)
	msg := s.signed(order.Owner, order.Transfer, &order.TransferBody{Policy: s.inner(p, s.rig.ID, s.want.epoch+1, people)})
	s.eachCut(msg, func(c *Scene, told bool) {
		r, err := c.report()
		c.ensure(err, "no report")
		if told && r.Epoch != 2 {
			c.Fail("a transfer was reported and did not happen")
		}
		if r.Epoch == 2 {
			c.owned(p, people)
		}
		c.must(c.sign(c.voidTo(3)), "an order of the owner's")
	})
}

func rmaCut(s *Scene) {
	msg := s.sign(s.rma())
	s.eachCut(msg, func(c *Scene, told bool) {
		r, err := c.report()
		c.ensure(err, "no report")
		if told && policy.State(r.State) != policy.RMA {
			c.Fail("rma was reported and is not there")
		}
		if c.want.state = policy.State(r.State); c.want.state == policy.RMA {
			c.blankSecret("in rma")
		}
		c.allow() // a wipe may have begun
	})
}

func revocationCut(s *Scene) {
	grant := s.grant(order.Vendor, "boot")
	msg := s.signed(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(order.Vendor)[0].Public().ID()}})
	s.eachCut(msg, func(c *Scene, told bool) {
		if told {
			c.never(grant, "a grant of a key that was reported revoked")
		}
	})
}
