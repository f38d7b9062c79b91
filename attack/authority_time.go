package attack

import "github.com/nanolock/nanolock/order"

// What a host or a courier sends by the thousand.
var floods = []move{
	{"challenge-flood", "Ask for a thousand challenges", "CWE-770", "SYN floods: state kept for everybody who asks", famFlood, plain, challengeFlood},
	{"denial-flood", "Be refused thousands of times", "CWE-779", "ASPEED: a log of 512 bytes, overwritten by whoever is refused", famFlood, plain, denialFlood},
	{"bad-order-flood", "Deliver orders with wrong signatures", "CWE-770", "wolfTPM PR 541: failed tries wear the memory", famFlood, plain, badOrderFlood},
	{"lockout", "Lock the owner out by orders with wrong signatures", "CWE-645", "Accounts locked by anybody who knows the name", famFlood, plain, lockout},
	{"report-flood", "Ask for reports and restart in between", "CWE-770", "Boot counters in flash", famFlood, plain, reportFlood},
	{"reset-flood", "Take the power away every second", "CWE-770", "Boot loops that wear out a settings sector", famFlood, plain, resetFlood},
}

// The time, as somebody wants it to be.
var times = []move{
	{"time-withheld", "Keep the time from a device that has an order that ends", "CWE-672", "Certificates valid for ever on devices without a clock", famTime, plain, timeWithheld},
	{"expired-order", "Deliver an order after its end", "CWE-672", "Expiry dates that are parsed and not compared", famTime, plain, expiredOrder},
	{"time-turned-back", "Tell a device a time that is over", "CWE-346", "NTP: clocks that go where they are told", famTime, plain, timeBack},
	{"time-replayed", "Tell the time by an answer from an hour ago", "CWE-294", "NTP: replayed replies", famTime, plain, timeReplayed},
}

// quiet fails the device if f makes it change the flash more than allowed.
func (s *Scene) quiet(allowed uint64, what string, f func()) {
	before := s.changes()
	f()
	if n := s.changes() - before; n > allowed {
		s.Fail("%s made the device program or erase %d times", what, n)
	}
}

func challengeFlood(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.quiet(0, "asking for challenges", func() {
		for range 200 {
			for _, who := range []string{order.Owner, order.Vendor, rig0} {
				s.challenge(who, order.ClassOperate)
				s.challenge(who, order.ClassRoot)
			}
		}
	})
	s.must(msg, "a grant that answers a challenge of before the flood")
}

func denialFlood(s *Scene) {
	s.quiet(8, "2000 refused accesses and 20 resets", func() {
		h := s.dev.Host()
		for i := range 2000 {
			_, err := h.WriteAt([]byte{0}, s.span("boot").Off+int64(i))
			s.note(err)
			s.note(h.Erase(s.span("secret").Off, 4096))
			if i%100 == 99 {
				_ = s.dev.HostReset()
				s.tick(1)
				h = s.dev.Host()
			}
		}
	})
}

func badOrderFlood(s *Scene) {
	msg := s.sign(s.takeover(), s.stranger())
	s.quiet(0, "orders of a stranger", func() {
		for range 120 {
			s.never(msg, "an order of a stranger")
		}
	})
}

func lockout(s *Scene) {
	bad := s.sign(s.takeover(), s.stranger())
	good := s.grant(order.Vendor, "boot")
	for range 120 {
		s.never(bad, "an order of a stranger")
	}
	s.must(good, "a grant, after orders of a stranger")
}

func reportFlood(s *Scene) {
	s.restart()
	s.quiet(0, "reports and orderly restarts", func() {
		for range 5 {
			for range 5 {
				_, err := s.report()
				s.ensure(err, "no report")
			}
			s.restart()
		}
	})
}

func resetFlood(s *Scene) {
	s.cut()
	s.quiet(12, "twenty power cuts with nothing to do", func() {
		for range 20 {
			s.cut()
			s.tick(1)
		}
	})
}

// told makes an order of the platform that tells the time.
func (s *Scene) told(unix uint64) []byte {
	return s.signed(order.Platform, order.Time, &order.TimeBody{Unix: unix})
}

// until is a grant that ends.
func (s *Scene) until(unix uint64) []byte {
	o := s.order(order.Vendor, order.Grant, s.whole("boot"))
	o.NotAfter = unix
	return s.sign(o)
}

func timeWithheld(s *Scene) {
	s.never(s.until(s.rig.Unix), "an order that ends, by a device that does not know the time")
}

func expiredOrder(s *Scene) {
	s.must(s.told(s.rig.Unix), "the time")
	s.never(s.until(s.rig.Unix-1), "an order that ended a second ago")
	late := s.until(s.rig.Unix + 30)
	s.tick(60)
	s.never(late, "an order that ended while it was withheld")
	s.restart()
	s.never(late, "an order that ended before the restart")
}

func timeBack(s *Scene) {
	s.must(s.told(s.rig.Unix), "the time")
	s.never(s.told(s.rig.Unix-3600), "a time of an hour ago")
	s.never(s.until(s.rig.Unix-1800), "an order that ended half an hour ago")
}

func timeReplayed(s *Scene) {
	now := s.told(s.rig.Unix)
	s.must(now, "the time")
	msg := s.until(s.rig.Unix + 30)
	s.tick(60)
	s.restart()
	s.never(now, "the time, from before the restart")
	s.never(msg, "an order that ended while it was withheld")
}
