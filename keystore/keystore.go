// Package keystore names what a keystore is: where one device's secret lives, and
// the few things that may be done with it. It holds no key and decides nothing.
//
// A vendor implements [Keystore] for a secure element, fuses or a PUF and runs
// package keystoretest over it; everything above (reports, the vault, sessions)
// relies on the contract written here and on nothing else. Packages soft and tpm
// are two implementations. What each class of keystore promises, and what it
// cannot, is a table in docs/keystore.md.
package keystore

import (
	"context"
	"io"
)

// Keystore is one device's secret with what has to outlive the flash beside it.
// Keys never leave it. Package keystoretest checks an implementation.
//
// Failure: a failed call changed nothing or says [ErrUncertain]. After ErrUncertain
// the caller reads the Latch or the Anchor again and repeats the call, which is
// harmless. A call that only reads (Sign, Decapsulate, Derive and both Reads)
// never says ErrUncertain. No error and no formatted value contains a key.
//
// Context: a call whose context is done before it begins returns the context's
// error and does nothing. One whose context ends meanwhile returns within the
// implementation's stated bound; calls may take long (a TPM: 10 to 500 ms).
//
// Concurrency: methods may be called concurrently.
//
// Closing: Close wipes what it can of the secrets in memory, is safe to call
// twice and waits for calls under way. Each later call that returns an error
// returns [ErrClosed]; Identity goes on answering. A zero value of an
// implementation is a closed keystore.
//
// An implementation never retains a slice that it was given, nor hands out one
// that it keeps.
type Keystore interface {
	Signer
	Secrets
	Memory
	Ender
	io.Closer
}

// Signer is the half of a keystore that proves who the device is.
type Signer interface {
	// Identity is fixed while the keystore is open, and the same each time
	// the same secret is opened. It depends on the secret alone, not on what
	// software runs.
	Identity() Identity
	// Sign signs msg with one half of the identity, an index into
	// Identity().Suite.Halves(). It takes the message, not a digest: Ed25519
	// and ML-DSA read all of it. The signature is raw as COSE wants it, of
	// the half's SignatureLen. It is one half a call because a hybrid signer in
	// COSE_Sign signs different bytes with each half: the algorithm is in them.
	// [SignAll] signs the same bytes with all. [ErrMalformed] for a half that the
	// suite has not.
	Sign(ctx context.Context, half int, msg []byte) ([]byte, error)
}

// Secrets is the half of a keystore that shares and derives secrets.
type Secrets interface {
	// Decapsulate is the KEM half of HPKE (RFC 9180 §4) for Identity().KEM: it
	// returns the shared secret of enc. [ErrMalformed] if enc has not the KEM's
	// EncLen or its point is none that a sender can have. A forged enc of the right
	// shape is no error: it gives a secret that nobody else has (FIPS 203 §6.3).
	Decapsulate(ctx context.Context, enc []byte) ([32]byte, error)
	// Derive returns a key for label, which is 1 to [MaxLabel] bytes of
	// printable ASCII without space ([ErrMalformed] otherwise). The same label gives the
	// same key for ever; different labels give independent keys, and none
	// tells anything about the identity's keys. On the wire's list of labels
	// each purpose has one.
	Derive(ctx context.Context, label string) ([32]byte, error)
}

// Memory is what a keystore remembers beside the flash. They are methods, not
// abilities found by assertion: a wrapper must not lose them unnoticed.
type Memory interface {
	// Latch is nil if the keystore has none. Who finds nil must not take a
	// blank vault for a new device without being told so by the placement.
	Latch() Latch
	// Anchor is nil if the keystore has none, and the device reports that it
	// has none.
	Anchor() Anchor
}

// Ender is the half of a keystore that ends a device, to decommission it.
type Ender interface {
	// Destroy makes an end of the secret: from here it is gone for ever. It
	// returns nil once that survives a power cut. From then on Destroy is nil
	// again, each other call that returns an error returns [ErrAbsent] or [ErrClosed],
	// and to open the device again is [ErrAbsent], never a new device: the latch
	// stays where it is. A cut meanwhile, like [ErrUncertain], leaves the device
	// whole or destroyed, and the call may be repeated. A keystore that cannot,
	// such as one over fuses, returns [errors.ErrUnsupported], and nothing changes.
	// What was copied before, no Destroy reaches.
	Destroy(ctx context.Context) error
}

// Latch remembers, one way, that the device has an owner. A blank vault on a
// latched device is lost, not new.
type Latch interface {
	// Read returns the record; the zero Record means that the latch was never
	// set. A latch that is missing or damaged is an error, never the zero Record.
	Read(ctx context.Context) (Record, error)
	// Set moves the latch to r under the rule of [Record.Forward], and returns
	// once r survives a power cut. A cut meanwhile leaves the old or the new record.
	Set(ctx context.Context, r Record) error
}

// Anchor is a counter that only ever goes up, whatever happens to the flash.
//
// Its first value is whatever Read says, not 0: a TPM's fresh counter begins at
// the highest count that the TPM has ever had. Who uses an anchor remembers the
// value that it began with.
type Anchor interface {
	// Read returns the value. [ErrReset] if the anchor that was there is gone.
	Read(ctx context.Context) (uint64, error)
	// Advance moves the anchor to exactly to, under the rule of [Steps]: a
	// no-op if it is there already, so that a call which said ErrUncertain may
	// be repeated; [ErrAhead] if it is beyond, for then somebody else moved
	// it or the caller is an old copy; [ErrMalformed] beyond [MaxSteps].
	Advance(ctx context.Context, to uint64) error
	// Budget is constant.
	Budget() Budget
}

// Budget is what an anchor endures; 0 is unlimited. The anchor does not enforce
// it, because it has no clock: who advances it counts.
type Budget struct {
	Writes uint32 // in its life
	PerDay uint32 // if it is to live for ten years
}

const (
	// MaxLabel is the length of a label in bytes.
	MaxLabel = 64
	// MaxSteps bounds one Advance: a step is a write to a medium that wears.
	MaxSteps = 64
)

// CheckLabel returns [ErrMalformed] unless label is one that Derive takes.
func CheckLabel(label string) error {
	ok := len(label) > 0 && len(label) <= MaxLabel
	for i := 0; ok && i < len(label); i++ {
		ok = label[i] > ' ' && label[i] < 0x7f
	}
	if !ok {
		return &Error{Op: "derive", Kind: ErrMalformed}
	}
	return nil
}

// SignAll signs msg with every half of the identity and returns the signatures
// one behind the other, Identity().Suite.SignatureLen() bytes.
func SignAll(ctx context.Context, s Signer, msg []byte) ([]byte, error) {
	suite := s.Identity().Suite
	halves := suite.Halves()
	if len(halves) == 0 {
		return nil, &Error{Op: "sign", Kind: ErrMalformed}
	}
	sig := make([]byte, 0, suite.SignatureLen())
	for i := range halves {
		one, err := s.Sign(ctx, i, msg)
		if err != nil {
			return nil, err
		}
		sig = append(sig, one...)
	}
	return sig, nil
}
