package attack

import (
	"errors"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Latch and anchor that lie, or are not there.
var anchors = []move{
	{"anchor-absent", "Take the anchor's answers away", "CWE-636", "TPM not found: go on without", famAnchor, plain, anchorAbsent},
	{"anchor-removed", "Start an anchored device without an anchor", "CWE-636", "A chip cut off its bus", famAnchor, plain, anchorRemoved},
	{"anchor-reset", "Set the anchor back", "CWE-353", "TPM Genie: values changed on the bus", famAnchor, plain, anchorReset},
	{"anchor-ahead", "Move the anchor on", "CWE-353", "A counter that another copy has moved", famAnchor, plain, anchorAhead},
	{"anchor-uncertain", "Answer that the anchor may or may not have moved", "CWE-394", "RPMB CVE-2020-13799: a frame held back and delivered later", famAnchor, plain, anchorUncertain},
	{"latch-silent", "Take the latch's answers away and provision the device", "CWE-636", "An error taken for not provisioned", famAnchor, plain, latchSilent},
	{"latch-and-flash-old", "Put latch and flash of the last owner back", "CWE-294", "State and counter in one chip, copied together", famAnchor, plain, latchOld},
}

// mistrusts starts the device with a keystore that is not as it should be.
func (s *Scene) mistrusts(what string, spent []byte) {
	s.lost = true
	s.ensure(s.open(), "with "+what+" the device does not start")
	if !s.degraded() {
		s.Fail("with %s the device says that nothing is wrong", what)
	}
	s.never(spent, "a spent grant, with "+what)
	s.never(s.grant(order.Vendor, "boot"), "a grant, with "+what)
}

func anchorAbsent(s *Scene) {
	spent, _ := s.aged()
	s.rig.Anchor.Fail(keystore.ErrBusy, false)
	s.mistrusts("a silent anchor", spent)
}

func anchorRemoved(s *Scene) {
	spent, _ := s.aged()
	s.rig.Anchor = nil
	s.mistrusts("no anchor", spent)
}

func anchorReset(s *Scene) {
	spent, _ := s.aged()
	s.rig.Anchor.Put(3)
	s.mistrusts("an anchor that was set back", spent)
}

func anchorAhead(s *Scene) {
	spent, _ := s.aged()
	s.rig.Anchor.Put(s.rig.Anchor.Value() + 5)
	s.mistrusts("an anchor that is ahead", spent)
}

func anchorUncertain(s *Scene) {
	for _, moves := range []bool{false, true} {
		s.rig.Anchor.Fail(keystore.ErrUncertain, moves)
		p := s.next(closed)
		msg := s.policyOrder(p)
		before := s.hostWrites("settings")
		if s.deliver(msg).Code == order.OK {
			s.Fail("an order is reported done whose anchor did not answer")
		}
		if before && !s.hostWrites("settings") {
			s.Fail("an order acted before its anchor answered")
		}
		s.rig.Anchor.Fail(nil, false)
		_ = s.give(order.Platform, order.Heartbeat, &order.LiveBody{})
		s.rig.Policy, s.want.version = p, p.Version
		if s.hostWrites("settings") {
			s.Fail("an order that was recorded does not act when the anchor answers")
		}
		s.never(msg, "an order that was recorded already")
		if !moves {
			s.put(func(p *policy.Policy) {
				any := policy.Rule{Mode: policy.Any}
				p.Region("settings").Write, p.Region("settings").Erase = any, any
			})
		}
	}
}

func latchSilent(s *Scene) {
	_ = s.dev.Close()
	s.lost = true
	for _, err := range []error{keystore.ErrBusy, keystore.ErrReset, errors.New("i2c: no acknowledge")} {
		s.rig.Latch.Fail(err)
		p, perr := partsOf(s.rig)
		s.ensure(perr, "no keystore")
		d, perr := s.st.maker.Provision(p, s.mallory())
		s.note(perr)
		if perr == nil {
			s.Fail("a device whose latch does not answer was provisioned")
			_ = d.Close()
		}
	}
	s.ensure(s.open(), "a device whose latch does not answer does not start")
	s.never(s.grant(order.Vendor, "boot"), "a grant without a latch")
}

func latchOld(s *Scene) {
	before, rec := s.rig.Flash.Snapshot(), s.rig.Latch.Record()
	old := s.rig.Clone()
	s.transfer("alice")
	_ = s.dev.Close()
	s.ensure(s.rig.Flash.Restore(before), "restore")
	s.rig.Latch.Put(rec)
	s.lost = true
	s.ensure(s.open(), "the device does not start on an old flash")
	o := s.rma()
	o.Epoch = 1
	s.never(s.sign(o, old.People(order.Owner)...), "an order of the last owner")
}
