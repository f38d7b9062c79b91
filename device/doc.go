// Package device is what an integrator opens: a lock whose policy, lifecycle and
// sessions follow the signed orders of the device's owner, and which answers with
// signed reports.
//
//	dev, err := device.Open(ctx, mem, keys, nil)
//	gate.Serve(dev.Host())                // what the host gets
//	reply, err := dev.Deliver(ctx, bytes) // what the courier brings
//
// Two kinds of people hold a Device. The courier may call [Device.Deliver] and
// nothing else: what it brings is signed, or changes nothing. The operator, which
// is the code that embeds the device, may call the rest; none of it can be reached
// through Deliver.
//
// # What an order goes through
//
// Signature, device, owner epoch, freshness, and whether the policy lets this
// signer have this now. Then the order is recorded before it acts: in the journal,
// durable, and for what must never act twice in the anchor too. What the record
// alone does not complete (wiping, a new owner, the end) is recorded as an intent
// and redone at every start until it is closed.
//
// # When something is lost
//
// A vault that is damaged, older than its anchor or of another device is not an
// error of Open: the device serves what every host may read, refuses every change,
// says why in [Device.Status] and in its reports, and waits for its owner's order
// to recover. So it is with a latch that reads as never set over a vault of this very
// device: it was taken away, and the device is not new. docs/orders.md has the table of what survives what.
package device
