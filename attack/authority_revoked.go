package attack

import "github.com/nanolock/nanolock/order"

// Keys that were revoked.
var revokedKeys = []move{
	{"revoked-grant", "Open a session with a key that was revoked", "CWE-299", "Revocation lists that nobody reads", famRevoked, plain, revokedGrant},
	{"revoked-after-restart", "Open a session with a revoked key after a power cut", "CWE-299", "Revocation lists in RAM", famRevoked, plain, revokedRestart},
	{"revoked-session", "Go on with a session of a key that is revoked meanwhile", "CWE-613", "Sessions that outlive the credential", famRevoked, plain, revokedSession},
	{"revoked-key-returns", "Bring a revoked key back by a policy that still names it", "CWE-299", "Old configuration restored over a revocation", famRevoked, plain, revokedReturns},
	{"owner-revoked", "Revoke the owner's own key", "CWE-645", "The last administrator deletes himself", famRevoked, plain, ownerRevoked},
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
