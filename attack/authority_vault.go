package attack

import (
	"bytes"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
)

// The lock's own state on the flash, in somebody's hands.
var forgeries = []move{
	{"vault-bytes-changed", "Change bytes of the lock's state", "CWE-353", "Counters in flash that anybody may edit", famVault, plain, vaultBytes},
	{"vault-of-sibling", "Put another device's state in", "CWE-345", "Settings cloned from an unlocked phone", famVault, plain, vaultSibling},
	{"vault-spliced", "Put single blocks of an old copy back", "CWE-353", "Mix and match of metadata (PFR)", famVault, plain, vaultSpliced},
	{"vault-blocks-copied", "Copy blocks of the lock's state over others", "CWE-345", "An old policy, whole and signed, put in the new one's place", famVault, plain, vaultCopied},
	{"vault-block-erased", "Erase single blocks of the lock's state", "CWE-353", "A journal cut off at a chosen place", famVault, plain, vaultErased},
	{"vault-tail-zeroed", "Zero the newest bytes of the lock's state", "CWE-353", "Torn records taken for the end of the journal", famVault, plain, vaultTail},
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

// back ends an attack of several starts.
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
