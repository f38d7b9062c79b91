// Package cose signs and verifies what owners, vendors, platforms and devices
// say to each other: COSE_Sign envelopes (RFC 9052) under one of five signature
// [Suite]s, two of which are hybrids of a classical and a post-quantum half.
//
// There is one verification path, [Verify]. It takes the bytes of an envelope,
// the [Domain] that the reader expects and the [Trust] that policy pins (suite,
// keys, threshold) and returns the payload or an error, never both. What it
// holds to:
//
//   - The envelope is strict, deterministic CBOR and bounded; nothing is
//     allocated in proportion to what it claims.
//   - Every signature in it belongs to a trusted key of the pinned suite and
//     verifies. One that is unknown, double, of another algorithm or wrong
//     refuses the whole.
//   - A signer counts once, and only with all halves of its own key.
//   - All that is cheap is checked first. The number of signatures verified is
//     at most that of the trusted keys' halves.
//
// Who signs gives a [crypto.Signer] for each half, so that a key may live in an
// HSM, a TPM or a KMS; or has [Envelope.ToBeSigned] print the bytes, signs them
// elsewhere and brings the signatures back to [Envelope.Attach].
//
// Verification handles no secrets and compares in variable time; what is
// constant-time about signing is the business of each crypto.Signer.
//
// # Signatures are not names
//
// The same payload may be signed more than once and validly in different bytes:
// ECDSA and hedged ML-DSA are randomised, whoever sees an ECDSA signature (r, s)
// can make (r, n−s) of it, which verifies as well, and signers may stand in any
// order. Whoever remembers what was used must remember digests of payloads.
//
// The two halves of a hybrid are signatures of their own. Strip the ML-DSA half
// and what is left is a valid envelope to somebody who trusts the classical half
// as a key of suite 1 or 2: never trust a half of a hybrid key alone.
//
// The bytes are laid out in docs/wire/cose.md, with one vector per suite.
package cose
