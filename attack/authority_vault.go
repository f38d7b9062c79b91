package attack

import (
	"bytes"
	"errors"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

type signer = cose.Signer

// Keys that were revoked.
var revokedKeys = []move{
	{"revoked-grant", "Open a session with a key that was revoked", "CWE-299", "Revocation lists that nobody reads", famRevoked, plain, revokedGrant},
	{"revoked-after-restart", "Open a session with a revoked key after a power cut", "CWE-299", "Revocation lists in RAM", famRevoked, plain, revokedRestart},
	{"revoked-session", "Go on with a session of a key that is revoked meanwhile", "CWE-613", "Sessions that outlive the credential", famRevoked, plain, revokedSession},
	{"revoked-key-returns", "Bring a revoked key back by a policy that still names it", "CWE-299", "Old configuration restored over a revocation", famRevoked, plain, revokedReturns},
	{"owner-revoked", "Revoke the owner's own key", "CWE-645", "The last administrator deletes himself", famRevoked, plain, ownerRevoked},
}

// The lock's own state on the flash, in somebody's hands.
var forgeries = []move{
	{"vault-bytes-changed", "Change bytes of the lock's state", "CWE-353", "Counters in flash that anybody may edit", famVault, plain, vaultBytes},
	{"vault-of-sibling", "Put another device's state in", "CWE-345", "Settings cloned from an unlocked phone", famVault, plain, vaultSibling},
	{"vault-spliced", "Put single blocks of an old copy back", "CWE-353", "Mix and match of metadata (PFR)", famVault, plain, vaultSpliced},
	{"vault-blocks-copied", "Copy blocks of the lock's state over others", "CWE-345", "An old policy, whole and signed, put in the new one's place", famVault, plain, vaultCopied},
	{"vault-block-erased", "Erase single blocks of the lock's state", "CWE-353", "A journal cut off at a chosen place", famVault, plain, vaultErased},
	{"vault-tail-zeroed", "Zero the newest bytes of the lock's state", "CWE-353", "Torn records taken for the end of the journal", famVault, plain, vaultTail},
}

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

// revoke revokes the vendor's key.
func (s *Scene) revoke() {
	s.must(s.signed(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(order.Vendor)[0].Public().ID()}}), "a revocation")
}

func revokedGrant(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.revoke()
	s.never(msg, "a grant of a key that was revoked")
}

func revokedRestart(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.revoke()
	s.cut()
	s.never(msg, "a grant of a key that was revoked before the power went")
}

func revokedSession(s *Scene) {
	h, _ := s.session(order.Vendor, s.whole("boot"))
	s.revoke()
	if writes(h, s.span("boot"), s) {
		s.Fail("a session programs after its key was revoked")
	}
}

func revokedReturns(s *Scene) {
	msg := s.grant(order.Vendor, "boot")
	s.revoke()
	s.put(nil)
	s.never(msg, "a grant of a revoked key, behind a policy that names it")
}

func ownerRevoked(s *Scene) {
	s.never(s.signed(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(order.Owner)[0].Public().ID()}}), "a revocation of the owner's last key")
	s.must(s.sign(s.voidTo(3)), "an order of the owner's")
}

// aged makes the state that attacks on the vault compare: an order was spent and a
// stricter policy is in force; old is the flash from before.
func (s *Scene) aged() (spent []byte, old []byte) {
	spent = s.grant(order.Vendor, "boot")
	at := s.rig.Policy.Area("vault").Span
	old = make([]byte, at.Len)
	_ = s.rig.Flash.Peek(old, at.Off)
	s.must(spent, "a grant")
	s.put(closed)
	_ = s.dev.Close()
	return spent, old
}

// forged starts the device on a changed vault: it may say that it is lost, or be
// what its owner made it, and nothing else.
func (s *Scene) forged(spent []byte, change func(vault nvm.Span) error, what string) {
	kept := s.rig
	s.rig = kept.Clone()
	defer func() { s.rig = kept }()
	s.ensure(change(kept.Policy.Area("vault").Span), what)
	s.ensure(s.open(), "a device with "+what+" does not start")
	if s.deliver(spent).Code == order.OK {
		s.Fail("%s: a spent grant acts again", what)
	}
	if s.hostWrites("settings") {
		s.Fail("%s: an older policy is in force", what)
	}
	if r, err := s.report(); err == nil && r.Health&lostHealth == 0 && (r.PolicyVersion != s.want.version || r.Epoch != s.want.epoch) {
		s.Fail("%s: policy %d is in force, ordered was %d", what, r.PolicyVersion, s.want.version)
	}
	if !s.hostReads() {
		s.Fail("%s: what is public is not served", what)
	}
	_ = s.dev.Close()
}

// over ends an attack of several starts.
func (s *Scene) back() { s.ensure(s.open(), "the device does not start on its own vault") }

func vaultBytes(s *Scene) {
	spent, _ := s.aged()
	for _, step := range []struct{ from, by int64 }{{0, 97}, {3, 61}, {1, 4096}} {
		s.forged(spent, func(v nvm.Span) error {
			p := make([]byte, v.Len)
			_ = s.rig.Flash.Peek(p, v.Off)
			for i := step.from; i < v.Len; i += step.by {
				if p[i] != 0xFF {
					p[i] ^= 1
				}
			}
			return s.rig.Flash.Poke(p, v.Off)
		}, "changed bytes")
	}
	for i := int64(0); i < 1600; i += 37 { // one at a time, where the newest state may be
		s.forged(spent, func(v nvm.Span) error {
			for block := v.Off; block < v.Off+4*4096; block += 4096 {
				if err := s.rig.Flash.FlipBit(block+i, uint(i%8)); err != nil {
					return err
				}
			}
			return nil
		}, "a changed byte")
	}
	s.back()
}

func vaultSibling(s *Scene) {
	spent, _ := s.aged()
	o := s.sibling()
	_ = o.dev.Close()
	s.forged(spent, func(v nvm.Span) error {
		p := make([]byte, v.Len)
		_ = o.rig.Flash.Peek(p, v.Off)
		return s.rig.Flash.Poke(p, v.Off)
	}, "another device's vault")
	s.forged(spent, func(v nvm.Span) error {
		p := make([]byte, v.Len)
		_ = o.rig.Flash.Peek(p, v.Off)
		s.rig.Anchor.Put(o.rig.Anchor.Value())
		return s.rig.Flash.Poke(p, v.Off)
	}, "another device's vault and anchor")
	s.back()
}

// vaultCopied puts each block that holds something in the place of each that the
// last policy changed.
func vaultCopied(s *Scene) {
	spent, old := s.aged()
	size := s.rig.Mem.Geometry().EraseSize
	now := make([]byte, len(old))
	_ = s.rig.Flash.Peek(now, s.rig.Policy.Area("vault").Span.Off)
	for to := int64(0); to < int64(len(now)); to += size {
		if bytes.Equal(now[to:to+size], old[to:to+size]) {
			continue
		}
		for from := int64(0); from < int64(len(now)); from += size {
			b := now[from : from+size]
			if from != to && !erased(b, s.rig.Mem.Geometry().Erased) {
				s.forged(spent, func(v nvm.Span) error { return s.rig.Flash.Poke(b, v.Off+to) }, "a copied block")
			}
		}
	}
	s.back()
}

func vaultSpliced(s *Scene) {
	spent, old := s.aged()
	size := s.rig.Mem.Geometry().EraseSize
	for b := int64(0); b < int64(len(old)); b += size {
		s.forged(spent, func(v nvm.Span) error { return s.rig.Flash.Poke(old[b:b+size], v.Off+b) }, "an old block")
	}
	for b := size; b < int64(len(old)); b += size {
		s.forged(spent, func(v nvm.Span) error { return s.rig.Flash.Poke(old[:b], v.Off) }, "old blocks")
	}
	s.back()
}

func vaultErased(s *Scene) {
	spent, old := s.aged()
	size := s.rig.Mem.Geometry().EraseSize
	for b := int64(0); b < int64(len(old)); b += size {
		s.forged(spent, func(v nvm.Span) error { return s.rig.Flash.Erase(v.Off+b, size) }, "an erased block")
	}
	s.back()
}

func vaultTail(s *Scene) {
	spent, old := s.aged()
	at := s.rig.Policy.Area("vault").Span
	now := make([]byte, at.Len)
	_ = s.rig.Flash.Peek(now, at.Off)
	for _, n := range []int{16, 64, 256} {
		for b := 0; b < len(now); b += 4096 {
			block := now[b : b+4096]
			end := len(bytes.TrimRight(block, "\xff"))
			if end == 0 || bytes.Equal(block, old[b:b+4096]) {
				continue
			}
			s.forged(spent, func(v nvm.Span) error {
				return s.rig.Flash.Poke(make([]byte, end-max(0, end-n)), v.Off+int64(b+max(0, end-n)))
			}, "a zeroed tail")
		}
	}
	s.back()
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
