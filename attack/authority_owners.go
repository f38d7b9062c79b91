package attack

import (
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

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
	{"lifecycle-backwards", "Go back to manufacturing, in an order of the owner's", "CWE-1244", "Debug states that can be entered again", famOwner, plain, backwards},
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
func (s *Scene) recovery(p *policy.Policy, outer, inner []*cose.Signer) []byte {
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
