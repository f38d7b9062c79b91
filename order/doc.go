// Package order is what owners say to a lock and locks answer: orders, batches of
// them, challenges and reports, and the closed table of who may sign what.
//
// An order names one device, one owner epoch and one authority, is fresh (a
// counter that only rises, or the answer to a live challenge) and is used once.
// [Keyring.Open] is the one way from bytes to an order that may be obeyed, and
// says that the right keys signed it for this device in this epoch. Whether it is
// fresh, may act in this state and fits the policy is for its reader, who is
// package device.
//
// Everything is strict, deterministic CBOR and bounded. What a build does not
// know it refuses; [Order.MarshalBinary] writes what [Parse] reads, and there is
// one encoding of each order. Its SHA-256 is the order's name ([Verified.Digest]):
// signatures are not, see package cose.
//
// # Signing
//
// [Sign] takes keys that can be asked from here. For all others package cose has
// the parts: people on different machines sign the same payload in any order and
// cose.Envelope.Merge puts the envelopes together; a key in an HSM signs what
// cose.Envelope.ToBeSigned returns, and cose.Envelope.Attach brings the signature
// back. [NewBatch] has the owner sign once for a million devices.
//
// # Reports
//
// A [Report] is what a device says of itself, as an EAT (RFC 9711) signed with
// its identity: [SignReport], [OpenReport]. [Request] and [Reply] are what an
// untrusted courier exchanges with a lock; nothing in them is evidence.
//
// The bytes are laid out in docs/wire/order.md, report.md and courier.md, each
// with its grammar in CDDL; order/testdata has vectors of what is accepted and of
// what is refused.
package order
