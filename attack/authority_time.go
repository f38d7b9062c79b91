package attack

import (
	"fmt"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// What a host or a courier sends by the thousand.
var floods = []move{
	{"challenge-flood", "Ask for thousands of challenges", "CWE-770", "SYN floods: state kept for everybody who asks", famFlood, plain, challengeFlood},
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

// Who owns the device.
var owners = []move{
	{"transfer-by-nobody", "Take a device over with the new owner's signature alone", "CWE-862", "First-come enrolment of sold devices", famOwner, plain, transferByNobody},
	{"provision-again", "Provision a device that has an owner", "CWE-862", "Setup pages that stay reachable", famOwner, plain, provisionAgain},
	{"provision-blank-vault", "Erase the lock's state and provision the device", "CWE-636", "OP-TEE issue 4019: a blank store taken for a new device", famOwner, plain, provisionBlank},
	{"blank-vault", "Erase the lock's state and start", "CWE-636", "Defaults that are open when the settings are gone", famOwner, plain, blankVault},
	{"transfer-of-another-device", "Carry a policy for another device in a transfer", "CWE-346", "Vouchers without the device's name", famOwner, plain, innerDevice},
	{"transfer-of-another-epoch", "Carry a policy for another owner epoch in a transfer", "CWE-294", "Vouchers of an earlier sale", famOwner, plain, innerEpoch},
	{"transfer-to-nobody", "Hand a device over to keys that nobody was seen to have", "CWE-287", "A typing error that locks the owner out", famOwner, plain, toNobody},
	{"recover-healthy", "Recover a device that has lost nothing", "CWE-841", "Factory resets that clear counters", famOwner, plain, recoverHealthy},
	{"recover-by-old-owner", "Erase the lock's state and recover as the last owner", "CWE-862", "Resold phones claimed back by a reset", famOwner, plain, recoverOld},
	{"recover-by-stranger", "Erase the lock's state and recover with a policy of one's own", "CWE-862", "Recovery modes that trust the image they are given", famOwner, plain, recoverStranger},
	{"lifecycle-backwards", "Go back to manufacturing, in an order of the owner's", "CWE-1271", "Debug states that can be entered again", famOwner, plain, backwards},
	{"rma-with-secrets", "Hand a device over for repair with its secrets", "CWE-212", "Returned devices with their owners' keys", famOwner, plain, rmaSecrets},
}

func transferByNobody(s *Scene) {
	p, people := s.crowned("mallory", 1)
	o := s.order(order.Owner, order.Transfer, &order.TransferBody{Policy: s.inner(p, s.rig.ID, 2, people)})
	s.never(s.sign(o, people...), "a transfer that the owner did not sign")
}

// mallory is a policy order that makes a stranger the first owner.
func (s *Scene) mallory() []byte {
	p, people := s.crowned("mallory", 1)
	p.Version = 9
	return s.inner(p, s.rig.ID, 1, people)
}

// provision tries to give the device to mallory.
func (s *Scene) provision() {
	msg := s.mallory()
	_ = s.dev.Close()
	p, err := partsOf(s.rig)
	s.ensure(err, "no keystore")
	d, err := s.st.maker.Provision(p, msg)
	s.note(err)
	if err == nil {
		s.Fail("a device that has an owner was provisioned for another")
		s.dev = d
		return
	}
	s.ensure(s.open(), "the device does not start after it refused to be provisioned")
}

func provisionAgain(s *Scene) { s.provision() }

// wipe erases all state of the lock on the flash.
func (s *Scene) wipe() {
	_ = s.dev.Close()
	at := s.rig.Policy.Area("vault").Span
	s.ensure(s.rig.Flash.Erase(at.Off, at.Len), "erase")
	s.lost = true
}

func provisionBlank(s *Scene) {
	s.wipe()
	s.provision()
}

func blankVault(s *Scene) {
	s.wipe()
	s.ensure(s.open(), "a device with a blank vault does not start")
	if !s.degraded() {
		s.Fail("a device with a blank vault says that nothing is wrong")
	}
	s.never(s.grant(order.Vendor, "boot"), "a grant on a blank vault")
}

func (s *Scene) badTransfer(inner []byte, what string) {
	s.never(s.signed(order.Owner, order.Transfer, &order.TransferBody{Policy: inner}), what)
}

func innerDevice(s *Scene) {
	p, people := s.crowned("alice", 1)
	id := s.rig.ID
	id[5]++
	s.badTransfer(s.inner(p, id, 2, people), "a transfer to the owner of another device")
}

func innerEpoch(s *Scene) {
	p, people := s.crowned("alice", 1)
	for _, e := range []uint32{1, 3, 1 << 31, 1<<32 - 1} {
		s.badTransfer(s.inner(p, s.rig.ID, e, people), fmt.Sprintf("a transfer into owner epoch %d", e))
	}
}

func toNobody(s *Scene) {
	p, _ := s.crowned("alice", 1)
	s.badTransfer(s.inner(p, s.rig.ID, 2, s.who(order.Owner)), "a transfer to keys that signed nothing")
}

// recovery is an order to recover by people who claim to be the owner.
func (s *Scene) recovery(p *policy.Policy, outer, inner []*signer) []byte {
	o := s.order(order.Owner, order.Recover, &order.RecoverBody{Policy: s.inner(p, s.rig.ID, s.want.epoch+1, inner), State: uint8(policy.Deployed)})
	return s.sign(o, outer...)
}

func recoverHealthy(s *Scene) {
	s.never(s.recovery(s.next(nil), s.who(order.Owner), s.who(order.Owner)), "an order to recover what is not lost")
}

func recoverOld(s *Scene) {
	old := s.who(order.Owner)
	p := s.next(nil)
	s.transfer("alice")
	s.wipe()
	s.ensure(s.open(), "a device with a blank vault does not start")
	s.never(s.recovery(p, old, old), "recovery by the last owner")
	q := s.next(nil)
	s.must(s.recovery(q, s.who(order.Owner), s.who(order.Owner)), "recovery by the owner")
	s.owned(q, s.who(order.Owner))
	s.lost = false
}

func recoverStranger(s *Scene) {
	s.wipe()
	s.ensure(s.open(), "a device with a blank vault does not start")
	p, people := s.crowned("mallory", 1)
	s.never(s.recovery(p, people, people), "recovery by a stranger")
	s.never(s.recovery(p, s.who(order.Owner), people), "recovery that changes the owner")
}

func backwards(s *Scene) {
	to := func(st policy.State) []byte {
		return s.signed(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(st)})
	}
	s.never(to(policy.Manufacturing), "back to manufacturing")
	s.must(to(policy.RMA), "rma")
	s.want.state = policy.RMA
	s.blankSecret("in rma")
	s.never(to(policy.Manufacturing), "from rma to manufacturing")
}

// blankSecret: the confidential region is erased, as the owner wants it.
func (s *Scene) blankSecret(when string) {
	at := s.span("secret")
	p := make([]byte, at.Len)
	_ = s.rig.Flash.Peek(p, at.Off)
	if !erased(p, s.rig.Mem.Geometry().Erased) {
		s.Fail("secrets are still there %s", when)
	}
	s.allow()
}

func rmaSecrets(s *Scene) {
	s.must(s.sign(s.rma()), "rma")
	s.want.state = policy.RMA
	s.blankSecret("in rma")
	s.cut()
	r, err := s.report()
	s.ensure(err, "no report")
	if r.Health&order.WasRMA == 0 {
		s.Fail("nobody sees that the device was in rma")
	}
}
