package attack

import (
	"sync"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// What the owner said once must not be heard twice.
var replays = []move{
	{"order-replayed", "Deliver a grant a second time", "CWE-294", "Replayed garage door codes", famReplay, plain, orderReplayed},
	{"replay-after-restart", "Deliver a grant again after an orderly restart", "CWE-294", "Nonces kept in RAM alone", famReplay, plain, replayAfterRestart},
	{"replay-after-cut", "Deliver a grant again after the power went, right after the reply", "CWE-294", "iPhone 5c: the power goes before the try is counted", famReplay, plain, replayAfterCut},
	{"replay-on-sibling", "Deliver an order to another device of the same owner", "CWE-346", "One signed unlock for a whole product line", famReplay, plain, replayOnSibling},
	{"replay-restored-flash", "Put an old copy of the flash back and deliver the spent order again", "CWE-294", "iPhone 5c: NAND mirroring", famReplay, plain, replayRestored},
	{"restored-old-owner", "Put the flash back that the last owner knew, on a device without an anchor", "CWE-294", "Resold devices restored by who sold them", famReplay, bare, restoredOldOwner},
	{"replay-concurrent", "Deliver one order eight times at the same moment", "CWE-367", "Coupons redeemed by two requests at once", famReplay, plain, replayConcurrent},
	{"batch-leaf-replayed", "Deliver a leaf of a batch twice", "CWE-294", "Batch approvals that bypass the counter", famReplay, plain, batchReplayed},
	{"batch-foreign-leaf", "Put another order into the place of a leaf", "CWE-347", "CVE-2012-2459: Merkle trees whose leaves are not bound", famReplay, plain, batchForeignLeaf},
	{"batch-of-another", "Have somebody sign a batch who may sign single orders", "CWE-863", "Bulk interfaces that skip the check of roles", famReplay, plain, batchOfAnother},
	{"older-after-newer", "Deliver an order that was withheld, after a newer one", "CWE-294", "TUF: the freeze and rollback of metadata", famWithheld, plain, olderAfterNewer},
	{"older-kind-after-newer", "Deliver a withheld order of one kind after a newer one of another", "CWE-294", "Counters per message type where one per signer is meant", famWithheld, plain, olderKind},
	{"older-policy-signed-later", "Sign an older policy again, with a newer counter", "CWE-1328", "Android: an old image signed anew for a hotfix", famWithheld, plain, olderPolicySignedLater},
	{"older-grant-after-newer", "Deliver the first of two grants after the second", "CWE-294", "Caches of nonces that forget what was not used", famWithheld, plain, olderGrant},
	{"voided-grant", "Deliver a grant that its owner has voided", "CWE-613", "Revoked vouchers that were not redeemed yet", famWithheld, plain, voidedGrant},
	{"withheld-over-transfer", "Deliver an order of the last owner to the next one's device", "CWE-613", "Cloud accounts that keep control of a sold camera", famWithheld, plain, withheldOverTransfer},
	{"challenge-of-other-class", "Answer the challenge of one class with an order of another", "CWE-294", "Tokens accepted for another purpose than theirs", famWithheld, plain, otherClass},
	{"challenge-of-other-authority", "Answer one authority's challenge by another", "CWE-294", "Nonces not bound to who asked for them", famWithheld, plain, otherAuthority},
}

func orderReplayed(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.must(msg, "a grant")
	s.never(msg, "a grant that was used")
}

func replayAfterRestart(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.must(msg, "a grant")
	s.restart()
	s.never(msg, "a grant that was used before the restart")
}

func replayAfterCut(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.must(msg, "a grant")
	s.cut()
	s.never(msg, "a grant that was used before the power went")
}

func replayOnSibling(s *Scene) {
	o := s.sibling()
	msg := s.signed(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 7})
	o.never(msg, "an order for another device")
	o.never(s.grant(order.Vendor, "boot"), "a grant for another device")
	s.absorb(o)
}

func replayRestored(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	before := s.rig.Flash.Snapshot()
	s.must(msg, "a grant")
	_ = s.dev.Close()
	s.ensure(s.rig.Flash.Restore(before), "restore")
	s.lost = true
	s.ensure(s.open(), "the device does not start on an old flash")
	s.never(msg, "a grant that was used, on an old copy of the flash")
}

func restoredOldOwner(s *Scene) {
	before := s.rig.Flash.Snapshot()
	old := s.rig.Clone()
	s.transfer("alice")
	_ = s.dev.Close()
	s.ensure(s.rig.Flash.Restore(before), "restore")
	s.lost = true
	s.ensure(s.open(), "the device does not start on an old flash")
	for _, epoch := range []uint32{1, 2} {
		o := s.order(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.RMA)})
		o.Epoch = epoch
		s.never(s.sign(o, old.People(order.Owner)...), "an order of the last owner")
	}
	if s.hostWrites("settings") {
		s.Fail("the flash of the last owner is in force again")
	}
}

func replayConcurrent(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	var all sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 8 {
		all.Go(func() {
			if r := s.deliver(msg); s.opened(r) {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n != 1 {
		s.Fail("one grant, delivered eight times at once, opened %d sessions", n)
	}
}

// batch signs orders at once and returns what the device gets of them.
func (s *Scene) batch(who *cose.Signer, orders ...*order.Order) (leaves [][]byte) {
	b, err := order.NewBatch(orders)
	s.ensure(err, "a batch")
	signed, err := cose.Sign(b.Payload(), cose.Batch, who)
	s.ensure(err, "a batch")
	for i := range orders {
		leaf, err := b.Leaf(signed, i)
		s.ensure(err, "a leaf")
		leaves = append(leaves, leaf)
	}
	return leaves
}

func (s *Scene) voidTo(to uint64) *order.Order {
	return s.order(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: to})
}

// rma is an order that can act once, as a challenge is in it.
func (s *Scene) rma() *order.Order {
	return s.order(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.RMA)})
}

func batchReplayed(s *Scene) {
	// Revoking one key twice is harmless, and an order acts once all the same.
	o := s.order(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(rig0)[0].Public().ID()}})
	leaves := s.batch(s.who(order.Owner)[0], o, s.voidTo(9))
	s.must(leaves[0], "a leaf of the owner's batch")
	s.never(leaves[0], "a leaf that was used")
}

func batchForeignLeaf(s *Scene) {
	here := s.voidTo(5)
	there := *here
	there.Device = s.sibling().rig.ID
	leaves := s.batch(s.who(order.Owner)[0], &there, here)
	mine := s.order(order.Owner, order.Void, &order.VoidBody{Authority: order.Vendor, Class: order.ClassOperate, To: 90})
	b, err := order.NewBatch([]*order.Order{mine, mine})
	s.ensure(err, "a batch")
	signed, err := cose.Sign(b.Payload(), cose.Batch, s.stranger())
	s.ensure(err, "a batch")
	forged, err := b.Leaf(signed, 1)
	s.ensure(err, "a leaf")
	s.never(graft(leaves[1], forged), "an order that is no leaf of the owner's batch")
	s.must(leaves[1], "a leaf of the owner's batch")
}

func batchOfAnother(s *Scene) {
	o := s.order(order.Vendor, order.Grant, s.whole("boot"))
	s.never(s.leafOf(o, s.who(order.Vendor)[0]), "a batch of somebody who may sign none")
}

func olderAfterNewer(s *Scene) {
	older, newer := s.voidTo(3), s.voidTo(4)
	s.must(s.sign(newer), "a void")
	older.Body.(*order.VoidBody).To = 9 // higher than what is there: the order is old all the same
	s.never(s.sign(older), "an order older than one that acted")
}

func olderKind(s *Scene) {
	keys := s.signed(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(rig0)[0].Public().ID()}})
	s.put(nil)
	s.never(keys, "an order to revoke, older than the policy in force")
}

func olderPolicySignedLater(s *Scene) {
	old := s.next(nil)
	p := s.next(closed)
	p.Version += 3
	s.inForce(s.policyOrder(p), p)
	s.never(s.policyOrder(old), "a policy older than the one in force")
	if s.hostWrites("settings") {
		s.Fail("the older policy is in force")
	}
}

func olderGrant(s *Scene) {
	first := s.grant(order.Vendor, "boot")
	g := s.whole("boot")
	g.Len /= 2
	s.must(s.signed(order.Vendor, order.Grant, g), "a grant")
	s.never(first, "a grant older than one that acted")
}

func voidedGrant(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.must(s.sign(s.voidTo(50)), "a void")
	s.never(msg, "a grant that was voided")
}

func withheldOverTransfer(s *Scene) {
	o := s.rma()
	counted := s.voidTo(20)
	counted.Fresh.Counter = 500
	old := s.who(order.Owner)
	s.transfer("alice")
	s.never(s.sign(o, old...), "an order of the last owner")
	s.never(s.sign(counted, old...), "a void of the last owner")
	// The platform's keys stay the same over a transfer: its old orders do not.
	v := s.order(order.Vendor, order.Grant, s.whole("boot"))
	v.Epoch = 1
	s.never(s.sign(v), "a grant from the time of the last owner")
}

func otherClass(s *Scene) {
	o := s.rma()
	o.Fresh.Challenge = s.challenge(order.Owner, order.ClassOperate)
	s.never(s.sign(o), "an order that answers the challenge of another class")
}

func otherAuthority(s *Scene) {
	o := s.order(order.Vendor, order.Grant, s.whole("boot"))
	o.Fresh.Challenge = s.challenge(rig0, order.ClassOperate)
	s.never(s.sign(o), "a grant that answers another authority's challenge")
}
