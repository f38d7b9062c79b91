package order

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/nanolock/nanolock/internal/cbor"
)

// ChallengeOf derives the one live challenge of an authority and class: the
// HMAC-SHA-256 with key of the deterministic CBOR ["nanolock/1/challenge", owner
// epoch, authority, class, the last accepted counter, salt]. key is for nothing
// else. salt is nil, but for ClassLive the boot id and for a lost vault what the
// device draws.
//
// An answer is a secret of nobody, but who guesses one has guessed a MAC; compare
// with [crypto/hmac.Equal].
func ChallengeOf(key [32]byte, epoch uint32, authority string, class Class, counter uint64, salt []byte) [32]byte {
	b := cbor.AppendText(cbor.AppendArray(nil, 6), "nanolock/1/challenge")
	b = cbor.AppendText(cbor.AppendUint(b, uint64(epoch)), authority)
	b = cbor.AppendUint(cbor.AppendUint(b, uint64(class)), counter)
	m := hmac.New(sha256.New, key[:])
	m.Write(cbor.AppendBytes(b, salt))
	return [32]byte(m.Sum(nil))
}
