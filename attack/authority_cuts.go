package attack

import (
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// The power goes while an order acts.
var cuts = []move{
	{"grant-cut-twice", "Cut the power at every flash operation of a grant and deliver it again", "CWE-367", "Specter DIY 229: the power goes before the try is counted", famCut, plain, grantCut},
	{"policy-cut", "Cut the power at every flash operation of a new policy", "CWE-1250", "Half a policy, or none", famCut, plain, policyCut},
	{"transfer-cut", "Cut the power at every flash operation of a transfer", "CWE-1250", "OP-TEE issue 4019: half provisioned", famCut, plain, transferCut},
	{"rma-cut", "Cut the power at every flash operation of the way to rma", "CWE-212", "A wipe that was interrupted and forgotten", famCut, plain, rmaCut},
	{"revocation-cut", "Cut the power at every flash operation of a revocation", "CWE-299", "A revocation reported done and lost", famCut, plain, revocationCut},
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
