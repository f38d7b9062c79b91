package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// leafHash is that of RFC 9162 §2.1.1.
func leafHash(payload []byte) [32]byte { return sha256.Sum256(append([]byte{0}, payload...)) }

// Signatures that are sound, of somebody who may not say that.
var keyConfusions = []move{
	{"unsigned-order", "Leave the signatures out", "CWE-347", "JWT: alg none", famKeys, plain, unsignedOrder},
	{"stranger-signs", "Sign with a key of one's own", "CWE-347", "Self-signed certificates taken for signed", famKeys, plain, strangerSigns},
	{"stranger-as-owner", "Sign with a key of one's own under the owner's key id", "CWE-347", "Key ids believed without the key", famKeys, plain, strangerAsOwner},
	{"foreign-authority-signs", "Sign as one authority with another one's key", "CWE-863", "Confused deputy: one key ring for all roles", famKeys, plain, foreignSigns},
	{"grant-of-foreign-region", "Grant a region that belongs to another authority", "CWE-863", "A settings key that opens firmware", famKeys, plain, foreignRegion},
	{"platform-signs-policy", "Sign a policy with the management platform's key", "CWE-863", "SolarWinds 2020: the management plane decides", famKeys, plain, platformPolicy},
	{"vendor-signs-lifecycle", "Take a device back with the vendor's key", "CWE-863", "Vendor keys that open a customer's device", famKeys, plain, vendorLifecycle},
	{"service-voids", "Spend the owner's counters with a service key", "CWE-863", "Roles that may raise any counter", famKeys, plain, serviceVoids},
	{"operations-void-others", "Void another authority's orders with the key of operations", "CWE-863", "Denial of updates by a low role", famKeys, plain, operationsVoids},
	{"device-signs-order", "Have the device's own key sign an order", "CWE-863", "Attestation keys that sign anything", famKeys, plain, deviceSigns},
	{"foreign-domain", "Take a signature that was made for another purpose", "CWE-347", "Cross-protocol reuse of signatures", famKeys, plain, foreignDomain},
	{"owner-swapped-by-policy", "Change the owner's keys by a policy", "CWE-863", "Root keys replaced by a settings change", famKeys, plain, ownerByPolicy},
	{"self-signed-policy", "Sign a policy with the owner keys that are in it", "CWE-347", "Configuration that brings its own trust anchor", famKeys, plain, selfSignedPolicy},
	{"one-key-two-roles", "Give one key to two authorities", "CWE-323", "OP-TEE: test keys in two roles", famKeys, plain, twoRoles},
	{"hmac-with-public-key", "Sign with a MAC whose key is the public key", "CWE-327", "CVE-2015-9235: RS256 taken for HS256", famHybrid, plain, hmacKey},
	{"unknown-algorithm", "Name an algorithm that nobody knows", "CWE-347", "Signatures of unknown types skipped", famHybrid, plain, unknownAlgorithm},
}

// Suites of two halves.
var hybrids = []move{
	{"classical-half-alone", "Leave the post-quantum half of a hybrid out", "CWE-757", "Hybrids that degrade to what is there", famHybrid, hybrid, classicalAlone},
	{"quantum-half-alone", "Leave the classical half of a hybrid out", "CWE-757", "SIKE 2022: a post-quantum scheme that fell to a laptop", famHybrid, hybrid, quantumAlone},
	{"mixed-halves", "Take one half of each of two signers", "CWE-347", "Halves counted per algorithm, not per signer", famHybrid, hybrid, mixedHalves},
	{"suite-of-another-key", "Sign with another suite's key of the same person", "CWE-757", "Downgrade to an older key that is still around", famHybrid, hybrid, otherSuite},
}

// Numbers of signers.
var thresholds = []move{
	{"one-of-two", "Sign alone what takes two", "CWE-305", "Multi-party approval checked by the tool alone", famCount, quorum, oneOfTwo},
	{"same-signature-twice", "Put one signature in twice", "CWE-354", "TUF: CVE-2020-6174, signatures counted, not signers", famCount, quorum, twiceSame},
	{"second-signature-empty", "Sign alone, and put anything in for the second signer", "CWE-347", "The first signature verified, the others counted", famCount, quorum, secondEmpty},
	{"key-listed-twice", "List one key twice in an authority", "CWE-354", "TUF: one key under two ids", famCount, quorum, listedTwice},
	{"stranger-makes-two", "Fill the quorum up with somebody unknown", "CWE-347", "Cosigners that are counted before they are looked up", famCount, quorum, strangerMakesTwo},
	{"other-role-makes-two", "Fill the quorum up with another authority's key", "CWE-863", "Quorums counted over all keys", famCount, quorum, otherRoleMakesTwo},
}

// takeover is an order that shows at once.
func (s *Scene) takeover() *order.Order { return s.rma() }

func unsignedOrder(s *Scene) {
	s.never(envelope(s.payload(s.takeover())), "an order without a signature")
}

func strangerSigns(s *Scene) {
	s.never(s.sealed(s.payload(s.takeover()), cose.Order, s.stranger()), "an order of a stranger")
}

func strangerAsOwner(s *Scene) {
	p := s.payload(s.takeover())
	id := s.who(order.Owner)[0].Public().Thumbprints()
	h := half{alg: int64(cose.AlgEd25519), kid: id[0][:]}
	sig, err := s.stranger().SignHalf(cose.AlgEd25519, toSign(h, cose.Order, p))
	s.ensure(err, "no signature")
	h.signature = sig
	s.never(envelope(p, h), "a stranger's signature under the owner's key id")
}

func foreignSigns(s *Scene) {
	o := s.order(order.Vendor, order.Grant, s.whole("boot"))
	s.never(s.sign(o, s.who(rig0)...), "a grant of the vendor's, signed by service")
	s.never(s.sign(s.takeover(), s.who(order.Platform)...), "an order of the owner's, signed by the platform")
}

func foreignRegion(s *Scene) {
	s.never(s.grant(order.Vendor, "secret"), "the vendor's grant of a region of service")
	g := s.whole("secret")
	g.Off, g.Len = g.Len, 4096
	s.never(s.signed(rig0, order.Grant, g), "a grant behind the end of its region")
	g.Off, g.Len = 1<<47, 1<<46
	s.never(s.signed(rig0, order.Grant, g), "a grant far behind the end of its region")
}

func platformPolicy(s *Scene) {
	b, err := s.next(closed).MarshalBinary()
	s.ensure(err, "a policy has no encoding")
	s.never(s.signed(order.Platform, order.Policy, &order.PolicyBody{Policy: b}), "a policy of the platform")
	s.never(s.signed(order.Platform, order.Keys, &order.KeysBody{Revoke: [][32]byte{s.who(order.Vendor)[0].Public().ID()}}), "a revocation by the platform")
}

func vendorLifecycle(s *Scene) {
	o := s.order(order.Vendor, order.Lifecycle, &order.LifecycleBody{State: uint8(policy.RMA)})
	s.never(s.sign(o), "a change of lifecycle by the vendor")
	p, people := s.crowned("vendor's friend", 1)
	s.never(s.signed(order.Vendor, order.Transfer, &order.TransferBody{Policy: s.inner(p, s.rig.ID, 2, people)}), "a transfer by the vendor")
}

func serviceVoids(s *Scene) {
	s.never(s.signed(rig0, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassRoot, To: 900}), "a void of the owner's counter by service")
	s.must(s.sign(s.voidTo(2)), "the owner's own order")
}

func operationsVoids(s *Scene) {
	for _, v := range []*order.VoidBody{
		{Authority: order.Vendor, Class: order.ClassOperate, To: 60}, {Authority: order.Owner, Class: order.ClassRoot, To: 900},
	} {
		s.never(s.signed(order.Operations, order.Void, v), "a void of another authority's orders by operations")
	}
	s.must(s.grant(order.Vendor, "boot"), "the vendor's grant")
}

func deviceSigns(s *Scene) {
	key, err := order.IdentityKey(s.rig.Keys.Identity())
	s.ensure(err, "no identity")
	ids := key.Thumbprints()
	for _, d := range []cose.Domain{cose.Order, cose.Report} {
		p := s.payload(s.takeover())
		h := half{alg: int64(key.Suite().Algs()[0]), kid: ids[0][:]}
		sig, err := s.rig.Keys.Sign(context.Background(), 0, toSign(h, d, p))
		s.ensure(err, "the keystore does not sign")
		h.signature = sig
		all := []half{h}
		if len(ids) > 1 {
			h = half{alg: int64(key.Suite().Algs()[1]), kid: ids[1][:]}
			h.signature, err = s.rig.Keys.Sign(context.Background(), 1, toSign(h, d, p))
			s.ensure(err, "the keystore does not sign")
			all = append(all, h)
		}
		s.never(envelope(p, all...), "an order signed by the device's own key")
	}
}

func foreignDomain(s *Scene) {
	for _, d := range []cose.Domain{cose.Report, cose.Batch, cose.Enrol, cose.Hello, cose.Block, cose.OperatorLog, ""} {
		s.never(s.sealed(s.payload(s.takeover()), d, s.who(order.Owner)...), "a signature of domain "+string(d))
	}
	msg := s.ask(&order.Request{Type: order.ReqReport, Body: []byte("12345678")}).Report
	s.never(msg, "the device's report as an order")
}

func ownerByPolicy(s *Scene) {
	p, _ := s.crowned("mallory", 1)
	s.never(s.policyOrder(p), "a policy that changes the owner's keys")
}

func selfSignedPolicy(s *Scene) {
	p, people := s.crowned("mallory", 1)
	b, err := p.MarshalBinary()
	s.ensure(err, "a policy has no encoding")
	s.never(s.sign(s.order(order.Owner, order.Policy, &order.PolicyBody{Policy: b}), people...), "a policy signed by the owner that it brings along")
}

func twoRoles(s *Scene) {
	p := s.next(func(p *policy.Policy) {
		for i := range p.Authorities {
			if p.Authorities[i].Name == order.Operations {
				p.Authorities[i].Keys[0].Public = s.who(order.Vendor)[0].Public().Bytes()
			}
		}
	})
	s.never(s.policyOrder(p), "a policy in which one key has two roles")
}

func hmacKey(s *Scene) {
	owner := s.who(order.Owner)[0].Public()
	id := owner.Thumbprints()
	p := s.payload(s.takeover())
	h := half{alg: 5, kid: id[0][:]} // HMAC 256/256 of RFC 9053
	m := hmac.New(sha256.New, owner.Bytes())
	m.Write(toSign(h, cose.Order, p))
	h.signature = m.Sum(nil)
	s.never(envelope(p, h), "a MAC with the public key")
}

func unknownAlgorithm(s *Scene) {
	id := s.who(order.Owner)[0].Public().Thumbprints()
	p := s.payload(s.takeover())
	for _, alg := range []int64{0, -65535, -8, 99} {
		h := half{alg: alg, kid: id[0][:], signature: make([]byte, 64)}
		s.never(envelope(p, h), "a signature of an unknown algorithm")
	}
}

func classicalAlone(s *Scene) {
	p := s.payload(s.takeover())
	s.never(envelope(p, s.halves(s.who(order.Owner)[0], cose.Order, p)[:1]...), "the classical half of a hybrid")
}

func quantumAlone(s *Scene) {
	p := s.payload(s.takeover())
	s.never(envelope(p, s.halves(s.who(order.Owner)[0], cose.Order, p)[1:]...), "the post-quantum half of a hybrid")
}

func mixedHalves(s *Scene) {
	p := s.payload(s.takeover())
	a, b := s.halves(s.who(order.Owner)[0], cose.Order, p), s.halves(s.who(order.Owner)[1], cose.Order, p)
	s.never(envelope(p, a[0], b[1]), "halves of two signers")
}

func otherSuite(s *Scene) {
	p := s.payload(s.takeover())
	owner := s.who(order.Owner)[0].Public().Thumbprints()
	spare, err := rig.Person(cose.ESP256, "owner")
	s.ensure(err, "no key")
	hs := s.halves(spare, cose.Order, p)
	s.never(envelope(p, hs...), "a key of another suite")
	h := half{alg: int64(cose.AlgESP256), kid: owner[0][:]}
	h.signature, err = spare.SignHalf(cose.AlgESP256, toSign(h, cose.Order, p))
	s.ensure(err, "no signature")
	s.never(envelope(p, h, s.halves(s.who(order.Owner)[0], cose.Order, p)[1]), "a half of another suite")
}

func oneOfTwo(s *Scene) {
	s.never(s.sign(s.takeover(), s.who(order.Owner)[0]), "one signature of two")
}

func twiceSame(s *Scene) {
	p := s.payload(s.takeover())
	one := s.halves(s.who(order.Owner)[0], cose.Order, p)
	s.never(envelope(p, one[0], one[0]), "one signature, twice")
}

func listedTwice(s *Scene) {
	p := s.next(func(p *policy.Policy) {
		for i := range p.Authorities {
			if a := &p.Authorities[i]; a.Name == order.Vendor {
				a.Keys, a.Threshold = append(a.Keys, a.Keys[0]), 2
				a.Keys[1].Name = "another"
			}
		}
	})
	s.never(s.policyOrder(p), "a policy that lists one key twice")
}

func strangerMakesTwo(s *Scene) {
	s.never(s.sealed(s.payload(s.takeover()), cose.Order, s.who(order.Owner)[0], s.stranger()), "an owner and a stranger")
}

func otherRoleMakesTwo(s *Scene) {
	s.never(s.sealed(s.payload(s.takeover()), cose.Order, s.who(order.Owner)[0], s.who(order.Vendor)[0]), "an owner and the vendor")
}

func secondEmpty(s *Scene) {
	p := s.payload(s.takeover())
	a, b := s.halves(s.who(order.Owner)[0], cose.Order, p), s.halves(s.who(order.Owner)[1], cose.Order, p)
	b[0].signature = a[0].signature
	s.never(envelope(p, a[0], b[0]), "one sound signature of two")
	s.never(envelope(p, b[0], a[0]), "one sound signature of two, the second")
}
