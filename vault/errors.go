package vault

import "errors"

// Errors of the vault. Unless a comment says otherwise, nothing was written.
var (
	// ErrBlank: every slot reads erased. That is not the same as new.
	ErrBlank = errors.New("vault: blank")
	// ErrLost: no authentic state is left, or some of it proves that newer state
	// is missing.
	ErrLost = errors.New("vault: lost")
	// ErrForeign: records of this format under another key, or of another vault
	// epoch, and none of ours.
	ErrForeign = errors.New("vault: of another device or epoch")
	// ErrVersion: an authentic record of a later version of this format.
	ErrVersion = errors.New("vault: written by a later version")
	// ErrLayout: the memory cannot hold a vault.
	ErrLayout = errors.New("vault: unsuitable memory")

	// ErrAnchorAhead: the anchor has seen newer state than this. The vault is
	// open for reading only.
	ErrAnchorAhead = errors.New("vault: older than its anchor")
	// ErrAnchorBehind: the anchor is older than the vault by more than the one
	// step that may be pending: it was reset or replaced. Reading only.
	ErrAnchorBehind = errors.New("vault: anchor went back")
	// ErrAnchorAbsent: this vault is anchored, and the anchor is not there or
	// does not answer. Reading only.
	ErrAnchorAbsent = errors.New("vault: anchor absent")
	// ErrPending: the record is durable but the anchor could not be advanced, so
	// its effect must wait. CommitAnchored or Open finish it.
	ErrPending = errors.New("vault: recorded, anchor pending")

	// ErrFull: no room for this and for what is reserved. Changes of the owner
	// (see Change) may still fit.
	ErrFull = errors.New("vault: full")
	// ErrBackwards: a value that only goes up would go down, stand still, or
	// jump by more than MaxStep.
	ErrBackwards = errors.New("vault: not an advance")
	// ErrIntent: an intent is open already, or none is to be closed.
	ErrIntent = errors.New("vault: intent")
	// ErrUncertain: the medium failed. Whether the commit happened is decided by
	// the next Open; until then the vault refuses every other.
	ErrUncertain = errors.New("vault: may or may not have happened")
	// ErrElsewhere: the journal is not as this vault left it: somebody else writes
	// the flash. The vault refuses everything until it is opened again.
	ErrElsewhere = errors.New("vault: changed behind its back")
	// ErrClosed: the zero Vault, or one behind Close.
	ErrClosed = errors.New("vault: closed")
)
