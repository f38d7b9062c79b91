package broken

import "github.com/nanolock/nanolock/attack"

// Device is a device with one bug.
type Device struct {
	Name  string // stable, in kebab case
	Bug   string // one line
	Maker attack.Maker
}

// SoundDevice is the plain device without a bug.
func SoundDevice() Device { return Device{"sound", "none", maker("sound")} }

// Devices returns all broken devices.
func Devices() []Device {
	all := make([]Device, len(deviceBugs))
	for i, b := range deviceBugs {
		all[i] = Device{b[0], b[1], maker(b[0])}
	}
	return all
}

var deviceBugs = [...][2]string{
	// Whether an order is new.
	{"challenge-unspent", "an accepted order leaves its challenge alive"},
	{"spent-in-ram", "what was spent is never written down"},
	{"spent-at-close", "what was spent is written down at an orderly end"},
	{"orders-remembered", "refuses the orders that it has seen, and no others"},
	{"checked-then-spent", "lets another order in between check and spending"},
	{"counters-differ", "takes every counter but the last one"},
	{"counters-per-kind", "counts each kind of order by itself"},
	{"step-unbounded", "a counter may jump to its end"},
	{"void-unbounded", "a void may go to the end of a counter"},
	{"void-spares-challenges", "a void raises a number that no challenge depends on"},
	{"challenge-classless", "one challenge for all classes"},
	{"challenge-nameless", "one challenge for all authorities"},
	{"policy-version-unread", "takes a policy for newer if its order is"},
	{"batches-unspent", "leaves of a batch spend nothing"},
	{"leaves-unbound", "does not hold a leaf against the root"},
	{"batches-of-anybody", "whoever may sign an order may sign a batch of it"},
	// Whose it is, and for whom.
	{"device-unread", "does not read for which device an order is"},
	{"epoch-unread", "does not read of which owner epoch an order is"},
	{"platform-may-all", "the platform's key is a master key"},
	{"vendor-may-all", "the vendor's key is a master key"},
	{"plain-names-may-all", "an authority without a role has all of them"},
	{"operations-void-all", "operations may void anybody's orders"},
	{"regions-of-anybody", "a grant opens regions of other authorities"},
	{"one-ring", "any key of the policy signs for any authority"},
	{"own-key-trusted", "takes the device's own key for one of the owner's"},
	{"domain-unread", "does not read what a signature was made for"},
	{"policy-trusts-itself", "verifies a policy by the keys that it brings along"},
	{"owner-changed-by-policy", "a policy may change the owner's keys"},
	{"key-in-two-roles", "one key may belong to two authorities"},
	{"key-listed-twice", "one key may be there twice in an authority"},
	// Signatures.
	{"unsigned-accepted", "verifies all signatures there are, be it none"},
	{"strangers-counted", "skips signers it does not know, and counts them"},
	{"kid-believed", "looks for the key and does not verify"},
	{"first-verified-only", "verifies the first signature"},
	{"mac-as-signature", "takes the algorithm from the message, a MAC as well"},
	{"unknown-algorithm-passes", "what it cannot verify does not fail"},
	{"classical-half-enough", "a hybrid without its post-quantum half will do"},
	{"quantum-half-enough", "a hybrid without its classical half will do"},
	{"halves-pooled", "counts halves per algorithm, whoever made them"},
	{"one-is-enough", "does not read the threshold"},
	{"signatures-counted", "counts signatures where signers are meant"},
	{"quorum-of-all-roles", "fills a quorum up with keys of other authorities"},
	// Reading.
	{"trailing-ignored", "reads to the end of an item, not of the message"},
	{"indefinite-accepted", "reads indefinite lengths"},
	{"last-key-wins", "of two equal keys the last one counts"},
	{"first-key-wins", "of two equal keys the first one counts"},
	{"unknown-fields-ignored", "skips fields that it does not know"},
	{"unprotected-ignored", "skips headers that no signature covers"},
	{"long-integers-accepted", "reads numbers in any length"},
	{"nesting-panics", "keeps what is open in an array of a thousand"},
	{"lengths-believed", "allocates what a length claims"},
	{"short-panics", "reads a field at a fixed place"},
	// What anybody may ask for.
	{"challenges-to-flash", "writes down each challenge that it gives"},
	{"challenge-renewed", "a new challenge for each who asks"},
	{"denials-to-flash", "writes down each access that it refuses"},
	{"failures-to-flash", "counts wrong signatures on the flash"},
	{"locks-out", "takes no order after a hundred wrong ones"},
	{"reports-to-flash", "numbers reports on the flash"},
	{"boots-to-flash", "counts starts on the flash"},
	// Time.
	{"no-time-no-end", "an order does not end while the time is unknown"},
	{"not-after-unread", "does not read when an order ends"},
	{"time-goes-back", "takes an earlier time than it knows"},
	{"live-for-ever", "the time is told to whoever asks, without a challenge"},
	// Owners.
	{"provision-again", "can be provisioned at any time"},
	{"blank-is-new", "takes blank state for a new device"},
	{"blank-opens", "starts with defaults when its state is gone"},
	{"latch-error-is-new", "takes a latch that does not answer for one that was never set"},
	{"latch-unread", "does not hold its state against the latch"},
	{"transfer-of-any-device", "a transfer may carry another device's policy"},
	{"transfer-of-any-epoch", "a transfer may carry a policy of any owner epoch"},
	{"transfer-unproven", "hands over to keys that signed nothing"},
	{"recovers-anything", "recovers what is not lost"},
	{"recovers-for-anybody", "recovers for the owner whom the order names"},
	{"lifecycle-any-way", "any lifecycle state follows any other"},
	{"rma-unwiped", "goes to rma with its secrets"},
	{"rma-before-wipe", "is in rma first and wipes then"},
	{"rma-unremembered", "forgets that it was in rma"},
	// Revocation.
	{"revocations-unread", "writes revocations down and does not read them"},
	{"revoked-in-ram", "revocations end with the boot"},
	{"revoked-lazily", "writes revocations down at an orderly end"},
	{"revocation-spares-sessions", "sessions outlive the key that opened them"},
	{"policy-forgives-keys", "a new policy ends all revocations"},
	{"owner-revocable", "the owner's last key can be revoked"},
	// State.
	{"state-unsigned", "does not verify its own state"},
	{"state-key-shared", "one key for the state of all devices"},
	{"policy-unbound", "takes the policy that is there for the one in force"},
	{"policy-in-place", "writes a policy over the one in force"},
	{"latch-first", "moves the latch before the state that belongs to it"},
	{"anchor-unread", "has an anchor and does not ask it"},
	{"anchor-silence-ok", "goes on when the anchor does not answer"},
	{"anchor-optional", "goes on without an anchor that was there"},
	{"anchor-behind-ok", "goes on when the anchor was set back"},
	{"anchor-ahead-ok", "goes on when the anchor is ahead"},
	{"anchor-afterwards", "acts before the anchor has answered"},
	// Sessions.
	{"sessions-everywhere", "a session is for the whole memory"},
	{"offsets-unadded", "a session is for the whole region"},
	{"grants-for-all-operations", "a grant for one operation is for all"},
	{"sessions-endless", "sessions do not end by themselves"},
	{"budgets-unbooked", "sessions have no budgets"},
	{"reset-unheard", "sessions outlive a reset of the host"},
	{"sessions-kept", "sessions are opened again after a start"},
	{"session-ids-counted", "session ids are numbers"},
	{"sessions-keep-policy", "sessions keep the policy that they began with"},
	{"digests-unread", "does not read the digests of a grant"},
	{"short-programs-unchecked", "holds whole blocks to their digests only"},
	{"sessions-unbounded", "opens any number of sessions"},
	// Freezing.
	{"port-freezes", "the courier port has a command to freeze"},
	{"port-thaws", "the courier port has a command that ends a freeze"},
	{"freeze-in-ram", "a freeze ends with the boot"},
	{"policy-thaws", "a new policy ends a freeze"},
	{"anybody-thaws", "whoever may sign may end a freeze"},
	{"thaw-unspent", "the order that ends a freeze may be kept"},
	{"freeze-spares-sessions", "sessions go on in a freeze"},
	{"grants-in-a-freeze", "opens sessions in a freeze"},
}
