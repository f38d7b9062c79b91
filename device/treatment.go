package device

import (
	"github.com/nanolock/nanolock/order"
)

// once says how often an order acts.
type once uint8

const (
	never  once = iota // it is not recorded: it changes nothing that lasts
	atMost             // recorded before it acts; a cut in between loses it
	surely             // recorded before it acts, and completed at every start until it is
)

// anchoring says what of the record outlives a swap of the whole flash.
type anchoring uint8

const (
	unanchored anchoring = iota
	budgeted             // anchored while the anchor's daily budget lasts
	anchored             // always, before the effect
)

// treatment is how each kind of order is recorded. docs/orders.md is made of it.
var treatment = map[order.Kind]struct {
	once   once
	anchor anchoring
	after  string // what completes it at a start, once it is recorded
}{
	order.Grant:     {atMost, budgeted, "nothing: the session is not opened"},
	order.Policy:    {surely, anchored, "the record names the new policy, which is loaded"},
	order.Keys:      {surely, anchored, "revoked: the record holds the key; rotated: the intent is redone"},
	order.Lifecycle: {surely, anchored, "deployed: the record is the state; rma, decommissioned: the intent is redone, wiping again"},
	order.Thaw:      {atMost, budgeted, "the record is the state: it starts thawed"},
	order.Transfer:  {surely, anchored, "the intent is redone: vault and latch move together"},
	order.Recover:   {surely, anchored, "in front of the latch: as lost as before; behind it: recovered"},
	order.Void:      {surely, anchored, "the record is the counter"},
	order.Challenge: {never, unanchored, "nothing"},
	order.Heartbeat: {never, unanchored, "nothing"},
	order.Time:      {never, unanchored, "nothing: the time is asked for anew"},
}

// anchors tells whether the record of kind k goes through the anchor now. Where there
// is one, a vault that was never anchored is refused at the start: see openVault.
func (d *Device) anchors(k order.Kind) bool {
	if _, on := d.vault.Snapshot().Anchored(); !on {
		return false
	}
	switch treatment[k].anchor {
	case anchored:
		return true
	case budgeted:
		return d.bucket.take(d.ks.Anchor(), d.set.Tick())
	}
	return false
}
