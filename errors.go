package nanolock

import (
	"errors"
	"io/fs"
	"strconv"

	"github.com/nanolock/nanolock/nvm"
)

// The errors of this package. Range and alignment errors are the memory's own:
// nvm.ErrRange and nvm.ErrAlign.
var (
	// ErrDenied: the policy said no. Nothing was read, changed or sent to the
	// memory, unless rights ended in the middle of a long access: then n says
	// how much was done before. Every such error is a *DenyError.
	ErrDenied = errors.New("nanolock: denied")
	// ErrEnded: the handle's rights are gone for good. It also matches ErrDenied.
	ErrEnded = errors.New("nanolock: handle ended")
	// ErrMemory: the memory does not fit the policy. New, SetPolicy.
	ErrMemory = errors.New("nanolock: memory does not fit the policy")
	// ErrRollback: an older policy than the one in force. SetPolicy.
	ErrRollback = errors.New("nanolock: older policy than the one in force")
	// ErrRegion: no such region, slot or authority, or not of the kind that the
	// call is for.
	ErrRegion = errors.New("nanolock: no such region")
	// ErrPersist: usage could not be made durable, so the access that needed it
	// was refused. It wraps the caller's error.
	ErrPersist = errors.New("nanolock: usage not persisted")
	// ErrConfidential: a confidential region is not erased, so the state that
	// hands the device to others does not begin. SetPolicy, Wipe.
	ErrConfidential = errors.New("nanolock: confidential content not wiped")
)

// A DenyError says who refused an access. There is one for each region,
// operation and cause, made once, so that a flood of denials allocates nothing;
// the access itself is in Denial. It is shared by the handles of a Lock: do not
// change it (OnDeny gets one of its own). It is used as *DenyError only, and matches ErrDenied and fs.ErrPermission.
type DenyError struct {
	Op     nvm.Op
	Region string // "" = no region: default deny
	ID     uint32 // the region's; 0 = none
	Rule   string // "write: never"
	Cause  Cause
}

// Cause says what besides the rule led to a denial.
type Cause uint8

// Causes. CauseRule is the rule itself.
const (
	CauseRule     Cause = iota
	CauseSealed         // once, and the region is sealed
	CauseMark           // append, and below the mark
	CauseLedger         // the region's wear ledger is spent
	CauseBudget         // the session's budget is spent
	CauseFrozen         // the Lock is frozen
	CauseEnded          // the handle ended, or never began
	CauseActive         // the slot is the one in use
	CauseNoView         // a View of what not every host may always read
	CauseUnmapped       // a View of a memory without a mapping
	CauseGrant          // a mark that stays for ever takes a grant
	CauseContent        // other content than the grant is for
)

var causeText = [...]string{
	CauseRule: "", CauseSealed: "sealed", CauseMark: "below the mark", CauseLedger: "wear ledger spent",
	CauseBudget: "session budget spent", CauseFrozen: "lock frozen", CauseEnded: "handle ended",
	CauseActive: "slot in use", CauseNoView: "not always readable by every host", CauseUnmapped: "memory not mapped",
	CauseGrant: "takes a grant", CauseContent: "not the content that was granted",
}

// String names the cause; "" for CauseRule.
func (c Cause) String() string {
	if int(c) < len(causeText) {
		return causeText[c]
	}
	return "cause(" + strconv.Itoa(int(c)) + ")"
}

// Error is one line: operation, region, rule and cause.
func (e *DenyError) Error() string {
	s := "nanolock: " + e.Op.String() + " denied"
	if e.Region != "" {
		s += ": region " + strconv.Quote(e.Region)
	}
	if e.Rule != "" {
		s += " (" + e.Rule + ")"
	}
	if e.Cause != CauseRule {
		s += ": " + e.Cause.String()
	}
	return s
}

// Is matches ErrDenied and fs.ErrPermission, and ErrEnded where that is the cause.
func (e *DenyError) Is(target error) bool {
	return target == ErrDenied || target == fs.ErrPermission || target == ErrEnded && e.Cause == CauseEnded
}

// Denial is one refused access. It is passed by value: a flood allocates nothing.
type Denial struct {
	Err      *DenyError
	Off, Len int64  // as asked
	Handle   uint32 // Handle.ID
}
