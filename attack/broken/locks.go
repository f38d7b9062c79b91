package broken

import (
	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Lock is a lock with one bug.
type Lock struct {
	Name string // stable, in kebab case
	Bug  string // one line
	New  func(nvm.NVM, *policy.Policy, *nanolock.Config) (attack.System, error)
}

// Sound is the plain lock without a bug.
func Sound() Lock { return lock("sound", "none") }

func lock(name, bug string) Lock {
	return Lock{name, bug, func(mem nvm.NVM, p *policy.Policy, c *nanolock.Config) (attack.System, error) {
		return open(name, mem, p, c)
	}}
}

// Locks returns all broken locks.
func Locks() []Lock {
	all := make([]Lock, len(bugs))
	for i, b := range bugs {
		all[i] = lock(b[0], b[1])
	}
	return all
}

var bugs = [...][2]string{
	// Which bytes are decided about.
	{"first-byte", "decides about the first region of an access only"},
	{"ends-only", "decides about the first and the last byte, not what is between"},
	{"inclusive-end", "a region's end belongs to it"},
	{"signed-offset", "compares offsets with the end only"},
	{"negative-length", "compares lengths with the size only"},
	{"no-upper-bound", "bytes behind the end are nobody's and allowed"},
	{"sum-overflow", "adds offset and length before it compares"},
	{"end-32", "computes the end in 32 bits"},
	{"length-32", "decides about the low 32 bits of an erase's length"},
	{"length-16", "decides about the low 16 bits of a program's length"},
	{"zero-forwarded", "hands an erase of length zero to the memory undecided"},
	// What the memory makes of it.
	{"erase-unaligned", "decides about the request and lets the memory round it"},
	{"erase-widened", "rounds an erase to whole blocks after it decided"},
	{"uniform-blocks", "takes all erase blocks for the smallest"},
	{"no-page-check", "lets programs wrap in their page"},
	{"units-ignored", "lets programs take a part of a unit"},
	{"chip-erase-open", "has a short way for erasing everything"},
	{"shared-block-any", "erases a shared block if one of its regions may be erased"},
	{"mark-bad-unchecked", "marks blocks bad for everybody"},
	{"mark-bad-uncharged", "marks blocks bad without booking it"},
	{"mark-bad-by-hosts", "whoever may erase a block may mark it bad"},
	{"geometry-shared", "hands out the block list that it decides by"},
	{"bit-clearing-open", "takes programs that only clear bits for harmless"},
	// What no region covers.
	{"gaps-open", "allows what no rule forbids"},
	{"hidden-open", "lets hosts write hidden areas"},
	{"gaps-readable", "lets hosts read gaps"},
	{"hidden-readable", "lets hosts read hidden areas"},
	// Reading.
	{"reads-unchecked", "decides about changes only"},
	{"error-leaks", "reads into the caller's buffer before it decides"},
	{"blank-shows", "returns content where it should read as erased"},
	{"blank-composed", "blanks whole reads only, not parts of them"},
	{"view-unchecked", "gives views of everything"},
	{"view-first-byte", "decides about the first region of a view only"},
	{"view-uncapped", "leaves the capacity of views as it is"},
	{"view-written-back", "writes changed views back at the next sync"},
	{"view-granted", "gives sessions views that outlive them"},
	// Sessions.
	{"any-authority", "takes every session for the authority that a rule names"},
	{"ops-ignored", "a grant for one operation opens all"},
	{"span-ignored", "a grant for one place opens all of its authority's"},
	{"grants-outward", "rounds grants outward to whole blocks"},
	{"zero-unlimited", "a budget of zero is no limit"},
	{"unsigned-sessions", "sessions of unknown authorities act for all"},
	{"budget-unbooked", "checks budgets and does not book them"},
	{"erases-unbudgeted", "erases use up no budget"},
	{"budget-late", "books a budget when the program is over, unlocked meanwhile"},
	// Revocation.
	{"end-forgets", "End does nothing"},
	{"close-does-nothing", "closing a handle does nothing"},
	{"copies-live", "a copied handle keeps its rights"},
	{"freeze-hosts-only", "Freeze forgets sessions"},
	{"freeze-writes-only", "Freeze forgets erases"},
	{"freeze-existing-only", "Freeze forgets handles that are opened later"},
	{"swap-forgets-hosts", "hosts keep the policy they started with"},
	{"swap-forgets-sessions", "sessions keep the policy they started with"},
	{"rekeying-forgotten", "sessions outlive the keys that opened them"},
	{"end-no-barrier", "End returns while a program is under way"},
	{"freeze-no-barrier", "Freeze returns while a program is under way"},
	{"swap-no-barrier", "SetPolicy returns while a program is under way"},
	{"long-unchecked", "decides once about an access of many steps"},
	{"write-behind", "programs at the next sync, from the caller's buffer"},
	// Append and once.
	{"append-unmarked", "append is any"},
	{"append-if-erased", "append asks whether the bytes read as erased"},
	{"append-end-only", "append compares the end of the program with the mark"},
	{"append-any-erase-resets", "one erased block resets the mark"},
	{"append-sweep-blind", "resets the mark when the last block is erased, whatever came in between"},
	{"mark-late", "raises the mark when the program is over, unlocked meanwhile"},
	{"mark-settable", "the mark can be set to less"},
	{"mark-forgotten", "a restart forgets marks"},
	{"persist-ignored", "goes on when usage could not be made durable"},
	{"persist-late", "makes usage durable after the access"},
	{"seal-new-handles-only", "a seal binds handles that are opened later"},
	{"seal-forgotten", "a restart forgets seals"},
	{"deployed-unsealed", "entering deployed seals nothing"},
	{"seal-undone-by-swap", "leaving deployed undoes seals"},
	// Wear.
	{"ledger-missing", "has no wear ledgers"},
	{"ledger-per-handle", "counts erases per handle"},
	{"ledger-hosts-only", "sessions erase for free"},
	{"ledger-reset-by-swap", "a policy swap resets the ledgers"},
	{"ledger-forgotten", "a restart forgets the ledgers"},
	{"ledger-refunds", "gives back what a failed erase cost"},
	{"ledger-per-request", "counts requests instead of blocks"},
	{"ledger-erases-only", "programs are free where they wear the memory"},
	{"ledger-wraps-32", "counts erases in 32 bits"},
	{"denied-charged", "books before it decides"},
	// The policy.
	{"overlap-accepted", "of overlapping regions the first wins"},
	{"outside-accepted", "takes regions outside the memory"},
	{"twins-accepted", "takes two regions of one name or number"},
	{"unknown-authority", "takes grants of authorities that do not exist"},
	{"brick-accepted", "takes updates that a power cut bricks"},
	{"limits-ignored", "has no limits on a policy's size"},
	{"size-ignored", "takes policies for another memory"},
	{"nil-policy-open", "without a policy everything is allowed"},
	{"untyped-refusal", "refuses policies without saying what is wrong"},
	{"bad-policy-panics", "panics on an empty map"},
	{"rollback-accepted", "takes older policies"},
	{"moves-accepted", "regions move in deployed"},
	{"failed-swap-thaws", "a policy swap that fails lifts the freeze"},
	{"failed-swap-applies", "puts a policy in force before it checks it"},
	{"policy-aliased", "keeps the caller's policy instead of a copy"},
	{"overrides-ignored", "the rules of a lifecycle state do not count"},
	{"state-zero-manufacturing", "takes a missing state for manufacturing"},
	{"rma-open", "opens everything in rma"},
	// Slots.
	{"active-slot-open", "the trusted side's window reaches the slot in use"},
	{"flip-ignored", "goes on with the old slot after a flip"},
	{"flip-reads-only", "programs land in the slot that was left"},
	{"flip-mirrored", "the second slot is open at its own address too"},
	// Besides.
	{"writes-first", "programs, then decides"},
	{"denial-keeps-prefix", "carries out what comes before the part it refuses"},
	{"denials-to-flash", "logs denials to the flash"},
	{"silent", "does not report denials"},
	{"callback-locked", "calls back with its mutex held"},
	{"panic-keeps-mutex", "a panic in the driver leaves it locked"},
	{"explain-charges", "books what is only asked about"},
	// Availability.
	{"deny-everything", "denies every change"},
	{"writes-dropped", "reports programs that it never did"},
	{"blank-refused", "refuses what should read as erased"},
	{"grants-refused", "honours no grant"},
}
