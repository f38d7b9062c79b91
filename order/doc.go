// Package order is what owners say to a lock and locks answer: orders, batches of
// them, challenges and reports, and the closed table of who may sign what.
//
// An order names one device, one owner epoch and one authority, is fresh (a
// counter that only rises, or the answer to a live challenge) and is used once.
// [Keyring.Open] is the one way from bytes to an order that may be obeyed.
package order
