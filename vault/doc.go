// Package vault remembers, on the flash that the lock guards, what the lock must
// know after a power cut: counters, usage, lifecycle, owner epoch, boot state and
// an order that has to be finished. It holds no keys; its caller derives the one
// that authenticates the records.
//
//	v, report, err := vault.Open(ctx, window, key, vault.Options{Epoch: 1})
//	err = v.Commit(ctx, vault.RaiseCounter(k, 17), vault.PutUsage(3, u))
//
// Commit is atomic: a cut at any point leaves all of its changes or none, and
// what Open has shown once it shows for ever. The window is two erase blocks or
// more (four on NAND) of a memory of any program class.
//
// # How it survives
//
// A block is a row of slots; a record takes one or more, written one slot at a
// time, in order, each with a first byte that is neither erased nor all
// programmed. So at most one slot is in flight at a cut, and it is not further
// than one behind the last that reads as written.
//
// A bit that a cut caught in flight may read one way today and the other way next
// month, so "reads erased" proves nothing. Before the first record of a session
// the slot behind the settled mark is programmed altogether, which is harmless
// whatever it held; the mark that Settle writes says that everything in front of
// it came to its end. A start is clean if the newest chain ends in such a mark
// and only erased slots follow; it then writes nothing. Every other start
// recovers, in this order:
//
//  1. retire each slot of the active block behind the chain, up to the last that
//     is not erased and those behind it that an earlier start may have touched,
//     unless a second program is forbidden;
//  2. write the decision again, whole, behind all that, and elsewhere only for
//     want of room: to go elsewhere takes an erase, and what is erased may be the
//     only settled copy;
//  3. erase every other block, those that read erased among them;
//  4. settle, and only then show the state.
//
// Every record carries its predecessor's tag, so each one alone proves that its
// predecessor was complete: a hole in the history is ErrLost and never a quiet
// return to older state. The one thing that cannot be told apart is damage to the
// last record of a session that was cut before it settled: that is what a torn
// program looks like. docs/wire/vault.md has the bytes.
//
// # What the caller does
//
// An empty vault is ErrBlank, never a new one: only Format makes one. Whether a
// device was ever provisioned is for the latch in its keystore to say.
//
// Where an Anchor is given, CommitAnchored returns only after the anchor went up
// with the record; a vault older than its anchor opens for reading only.
//
// NextEpoch moves the state to another vault epoch together with the latch.
// Copies keep what an owner signed outside the journal, verbatim and twice; an
// AuditLog is a chain in blocks of its own. Inspect looks at a vault and never
// writes.
//
// # Wear
//
// A commit of one counter takes three slots of 32 bytes, so a 4 KiB block with a
// state of 300 bytes takes about 38 of them between two erases. 50 commits and 5
// power cuts a day for ten years are then about 12 500 erases of each of two
// blocks, of 100 000; with Settle behind the last commit before the power goes,
// 2 400. The host chooses none of these writes: what it asks is charged to a
// rule first.
package vault
