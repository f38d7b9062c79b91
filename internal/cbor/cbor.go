// Package cbor is a small codec for deterministic CBOR: the one encoding per
// value that RFC 8949 §4.2.1 calls core deterministic, with less in it.
//
// A [Decoder] accepts shortest heads, definite lengths, map keys in strictly
// ascending order of their encodings, valid UTF-8, at most [MaxDepth] levels,
// and nothing behind the item. There are no floats, no undefined, no simple
// values but true, false and null, and no bignums. It never panics, needs no
// recursion, and checks every claimed length against the bytes that are really
// there and the caller's limit before it acts on it: what it costs is bounded
// by the input.
//
// The Append functions write. They leave only the order of keys and the counts
// of arrays and maps to the caller; [Valid] checks both.
package cbor
