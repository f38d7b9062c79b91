package keystoretest

import "fmt"

// The sentences of the contract, word for word, so that a failure names the one
// that is broken. A test compares them with the text of package keystore.
const (
	sFailed     = "a failed call changed nothing or says [ErrUncertain]"
	sNoKey      = "No error and no formatted value contains a key"
	sContext    = "a call whose context is done before it begins returns the context's error and does nothing"
	sConcurrent = "methods may be called concurrently"
	sClose      = "Close wipes what it can of the secrets in memory, is safe to call twice and waits for calls under way"
	sClosed     = "Each later call that returns an error returns [ErrClosed]; Identity goes on answering"
	sRetain     = "An implementation never retains a slice that it was given, nor hands out one that it keeps"

	sFixed   = "Identity is fixed while the keystore is open, and the same each time the same secret is opened"
	sValid   = "Valid tells whether the lengths fit the suite and the KEM and the class is known"
	sSign    = "Sign signs msg with one half of the identity, an index into Identity().Suite.Halves()"
	sRaw     = "The signature is raw as COSE wants it, of the half's SignatureLen"
	sHalf    = "[ErrMalformed] for a half that the suite has not"
	sDecap   = "Decapsulate is the KEM half of HPKE (RFC 9180 §4) for Identity().KEM: it returns the shared secret of enc"
	sEnc     = "[ErrMalformed] if enc has not the KEM's EncLen or its point is none that a sender can have"
	sForged  = "A forged enc of the right shape is no error: it gives a secret that nobody else has"
	sDerive  = "The same label gives the same key for ever; different labels give independent keys, and none tells anything about the identity's keys"
	sLabel   = "Derive returns a key for label, which is 1 to [MaxLabel] bytes of printable ASCII without space ([ErrMalformed] otherwise)"
	sSecret  = "Keystore is one device's secret with what has to outlive the flash beside it"
	sLatch   = "Read returns the record; the zero Record means that the latch was never set"
	sSet     = "Set moves the latch to r under the rule of [Record.Forward], and returns once r survives a power cut"
	sForward = "A record moves only to a higher epoch, and another root comes only with one"
	sGoesUp  = "Anchor is a counter that only ever goes up, whatever happens to the flash"
	sAdvance = "Advance moves the anchor to exactly to, under the rule of [Steps]: a no-op if it is there already"
	sAhead   = "[ErrAhead] if it is beyond, for then somebody else moved it or the caller is an old copy"
	sMax     = "[ErrMalformed] beyond [MaxSteps]"
	sDestroy = "Destroy makes an end of the secret: from here it is gone for ever"
	sAgain   = "From then on Destroy is nil again, each other call that returns an error returns [ErrAbsent] or [ErrClosed]"
	sNever   = "to open the device again is [ErrAbsent], never a new device"
	sCannot  = "A keystore that cannot, such as one over fuses, returns [errors.ErrUnsupported], and nothing changes"
	sBudget  = "Budget is constant"
)

// broke is the one way a check reports: what was seen, and the sentence that
// does not allow it.
func broke(sentence, format string, a ...any) error {
	return fmt.Errorf("%s\n\tbreaks the contract: %q", fmt.Sprintf(format, a...), sentence)
}
