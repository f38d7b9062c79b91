package attack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// Messages that have more than one reading, or none.
var malformed = []move{
	{"trailing-bytes", "Put bytes behind an order", "CWE-130", "Archives and images with something behind the signed part", famParser, plain, trailingBytes},
	{"indefinite-lengths", "Encode an order with indefinite lengths", "CWE-20", "Two encodings of one message", famParser, plain, indefinite},
	{"duplicate-keys", "Name two devices in one order", "CWE-436", "CVE-2013-4787, Android master key: one entry checked, its namesake installed", famParser, plain, duplicateKeys},
	{"unknown-field", "Add a field that nobody knows", "CWE-20", "Critical extensions that are ignored", famParser, plain, unknownField},
	{"unprotected-header", "Add a header that no signature covers", "CWE-345", "COSE and JOSE: unprotected headers believed", famParser, plain, unprotectedHeader},
	{"long-integers", "Encode a number longer than it needs", "CWE-20", "BER where DER is meant", famParser, plain, longIntegers},
	{"deep-nesting", "Nest a hundred thousand arrays", "CWE-674", "CVE-2022-24675 (Go, PEM): a stack as deep as the input says", famParser, plain, deepNesting},
	{"claimed-lengths", "Claim a length of 64 MiB in a short message", "CWE-789", "CVE-2020-28491 (Jackson, CBOR): memory by what a length claims", famParser, plain, claimedLengths},
	{"truncated-order", "Cut an order off at every byte", "CWE-125", "Project Cerberus PR 10: lengths believed", famParser, plain, truncatedOrder},
	{"one-bit-flipped", "Flip bits of an order, one at a time", "CWE-354", "Fields outside of what is signed", famParser, plain, bitFlips},
	{"counter-jump", "Let a counter jump to its end", "CWE-190", "Sequence numbers exhausted by one message (OSPF MaxSeq)", famParser, plain, counterJump},
	{"void-jump", "Void so far that nothing can be ordered any more", "CWE-190", "Fuses blown to the last by one order", famParser, plain, voidJump},
}

// byOwner is any payload under the owner's signatures.
func (s *Scene) byOwner(payload []byte) []byte {
	return s.sealed(payload, cose.Order, s.who(order.Owner)...)
}

func trailingBytes(s *Scene) {
	p := s.payload(s.takeover())
	s.never(append(s.byOwner(p), 0), "a byte behind the envelope")
	s.never(s.byOwner(append(bytes.Clone(p), 0)), "a byte behind the payload")
}

func indefinite(s *Scene) {
	p := s.payload(s.takeover())
	msg := bytes.Clone(s.byOwner(p)) // d8 62 84 …
	msg[2] = 0x9f
	s.never(append(msg, 0xff), "an envelope of indefinite length")
	open := bytes.Clone(p)
	open[0] = 0xbf
	s.never(s.byOwner(append(open, 0xff)), "a payload of indefinite length")
}

// pair appends a pair to an encoded map of fewer than 23.
func pair(m []byte, key int64, value []byte) []byte {
	out := bytes.Clone(m)
	out[0]++
	return append(cbor.AppendInt(out, key), value...)
}

func duplicateKeys(s *Scene) {
	o := s.takeover()
	mine := cbor.AppendBytes(nil, s.rig.ID[:])
	o.Device[0]++
	s.never(s.byOwner(pair(s.payload(o), 3, mine)), "an order with two devices, this one the last")
	o.Device = s.rig.ID
	other := bytes.Clone(mine)
	other[len(other)-1]++
	s.never(s.byOwner(pair(s.payload(o), 3, other)), "an order with two devices, this one the first")
}

func unknownField(s *Scene) {
	s.never(s.byOwner(pair(s.payload(s.takeover()), 9, []byte{1})), "an order with an unknown field")
}

func unprotectedHeader(s *Scene) {
	msg := s.byOwner(s.payload(s.takeover()))
	// d8 62 84 40 a0: the outer unprotected map becomes {1: 1}.
	s.never(splice(msg, 4, []byte{0xa1, 1, 1}), "an order with an unprotected header")
}

// splice replaces the byte at i by b.
func splice(msg []byte, i int, b []byte) []byte {
	return append(append(bytes.Clone(msg[:i]), b...), msg[i+1:]...)
}

func longIntegers(s *Scene) {
	p := s.payload(s.takeover()) // a7 01 01 …
	s.never(s.byOwner(splice(p, 2, []byte{0x18, 1})), "a payload with a long integer")
	msg := s.byOwner(p)
	s.never(splice(msg, 0, []byte{0xd9, 0}), "an envelope with a long tag")
}

func deepNesting(s *Scene) {
	deep := bytes.Repeat([]byte{0x81}, 100_000)
	s.never(append(deep, 0), "nested arrays")
	s.never(s.byOwner(append(append([]byte{0xa1, 7}, deep[:30_000]...), 0)), "a payload of nested arrays")
	s.raw(append([]byte{0x82, 1}, deep...))
	s.must(s.byOwner(s.payload(s.voidTo(3))), "a sound order after nested ones")
}

// claimed is the most that a refused message may make a device allocate, in bytes.
const claimed = 32 << 20

func claimedLengths(s *Scene) {
	big := func(major byte) []byte { return binary.BigEndian.AppendUint32([]byte{major | 26}, 64<<20) }
	for _, msg := range [][]byte{
		append([]byte{0xd8, 98, 0x84, 0x40, 0xa0}, big(0x40)...),          // payload
		append([]byte{0xd8, 98, 0x84, 0x40, 0xa0, 0x41, 0}, big(0x80)...), // signatures
		append(append([]byte{0x84}, big(0x40)...), 0),                     // of a leaf
		s.byOwner(append([]byte{0xa1, 1}, append(big(0x60), 0)...)),       // signed
	} {
		least := uint64(1 << 62) // others allocate as well: the quietest try tells
		for range 3 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s.never(msg, "a length that is not there")
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if least > claimed {
			s.Fail("a message of %d bytes made the device allocate %d MiB", len(msg), least>>20)
		}
	}
}

func truncatedOrder(s *Scene) {
	msg := s.byOwner(s.payload(s.takeover()))
	for n := 1; n < len(msg); n++ {
		s.never(msg[:n], fmt.Sprintf("the first %d of %d bytes of an order", n, len(msg)))
	}
}

func bitFlips(s *Scene) {
	o := s.voidTo(4)
	msg := s.byOwner(s.payload(o))
	for i := range msg {
		m := bytes.Clone(msg)
		m[i] ^= 1 << (i % 8)
		s.never(m, fmt.Sprintf("an order with a flipped bit in byte %d", i))
	}
	s.must(msg, "the order itself")
}

// far are jumps of a counter that starts near now.
func far(now uint64) []uint64 { return []uint64{now + 1<<20 + 1000, 1 << 40, 1<<64 - 1} }

func counterJump(s *Scene) {
	for _, to := range far(s.counter) {
		o := s.voidTo(40)
		o.Fresh.Counter = to
		s.never(s.sign(o), fmt.Sprintf("a counter of %d", to))
	}
	s.must(s.sign(s.voidTo(41)), "an order after all that")
}

func voidJump(s *Scene) {
	for _, to := range far(s.counter) {
		s.never(s.sign(s.voidTo(to)), fmt.Sprintf("a void of the vendor's counter to %d", to))
		own := s.order(order.Owner, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassRoot, To: to})
		s.never(s.sign(own), fmt.Sprintf("a void of the owner's counter to %d", to))
	}
	s.must(s.grant(order.Vendor, "boot"), "a grant after all that")
}
