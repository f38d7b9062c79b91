package attack

import "github.com/nanolock/nanolock/order"

// What only the operator or the owner may do to the whole device.
var freezes = []move{
	{"courier-commands", "Send the courier port everything it has no name for", "CWE-749", "Debug commands left in a protocol", famFreeze, plain, courierCommands},
	{"freeze-over-cut", "Take the power away to end a freeze", "CWE-1231", "Lockdown that a reset ends", famFreeze, plain, freezeCut},
	{"freeze-over-policy", "Put a policy in force to end a freeze", "CWE-863", "Reloading the rules reopens the port", famFreeze, plain, freezePolicy},
	{"thaw-by-vendor", "End a freeze with another key than that of operations", "CWE-863", "Lockdown that any signed message ends", famFreeze, plain, thawVendor},
	{"thaw-replayed", "End a freeze by the order that ended the last one", "CWE-294", "An all-clear that can be kept", famFreeze, plain, thawReplayed},
	{"frozen-session", "Open a session, or use one, in a freeze", "CWE-863", "Lockdown that forgets open connections", famFreeze, plain, frozenSession},
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
