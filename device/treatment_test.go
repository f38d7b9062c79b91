package device

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/order"
)

var update = flag.Bool("update", false, "write docs/orders.md anew")

const ordersFile = "../docs/orders.md"

// TestOrdersDocument holds docs/orders.md to the tables that the code goes by.
func TestOrdersDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(ordersHead)
	names := map[once]string{never: "never recorded", atMost: "at most once", surely: "once and surely"}
	anchors := map[anchoring]string{unanchored: "no", budgeted: "while the budget lasts", anchored: "before the effect"}
	for k := order.Kind(1); k < order.Batch; k++ {
		if !k.Valid() {
			continue
		}
		r, ok := treatment[k]
		fresh := "counter"
		if k.Opening() {
			fresh = "challenge"
		}
		if !ok {
			fmt.Fprintf(&b, "| %d | %v | %v | %s | – | – | – | refused: there is no update engine yet |\n", k, k, k.Class(), fresh)
			continue
		}
		front := "the device as it was; the order may be delivered again"
		if r.once == never {
			front = "nothing"
		}
		fmt.Fprintf(&b, "| %d | %v | %v | %s | %s | %s | %s | %s |\n", k, k, k.Class(), fresh, names[r.once], anchors[r.anchor], front, r.after)
	}
	b.WriteString(ordersTail)
	if *update {
		if err := os.WriteFile(ordersFile, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(ordersFile)
	if err != nil || string(got) != b.String() {
		t.Errorf("docs/orders.md is not what the code does; run go test ./device -run Orders -update (%v)", err)
	}
}

const ordersHead = `# What becomes of an order, and which cuts survive

Generated from the tables of package device; see device/treatment.go.

An order is verified, found fresh, recorded, and acts, in this order. The record is one
commit of the journal, whole or absent after any cut. What is anchored waits for the
anchor between the record and the effect.

| kind | | counter | fresh by | acts | anchored | a cut in front of the record leaves | a cut behind it |
|---|---|---|---|---|---|---|---|
`

const ordersTail = `
## Cuts

| the power goes | what the next start finds |
|---|---|
| while a policy is copied beside the journal | the policy in force: its two copies are in the other set, which is not touched |
| while the record is written | the record, or none; decided once, at that start |
| between record and anchor | the record; the start makes the anchor's step before it shows anything |
| between anchor and effect | the record; the effect is redone, or for at-most-once orders lost |
| while confidential regions are wiped | the intent; they are wiped again, and only then the state changes |
| between the new owner's vault and the latch | the old owner and the intent, which is redone |
| behind the latch | the new owner |
| while a device is provisioned, in front of the latch | a device without an owner, which may be provisioned again |
| while an order to recover is carried out | a device as lost as before, until the latch has moved |
| while a host programs or erases what it may | that block torn, as without a lock; its wear is charged already |
| while an audit entry is written | the entry, or none; what is in front of it stays whole |

## What the anchor does not cover

| | window |
|---|---|
| no anchor (a secret in a file) | whoever rewrites the whole flash brings back an older state of the same owner epoch: spent grants, older policies, wear. Never an older owner: the latch is not on the flash |
| an anchor with a budget | the same for grants and thaws accepted since the last anchored record, and for wear charged since. With 27 writes a day the budget holds for 27 such orders |
| an anchor without a budget | wear charged since the last anchored record |

Wear alone is never anchored: a host would choose how often the anchor is written.

## A latch that is gone

A latch that reads as never set is a new device only where the flash holds no vault of this
very device. Over one it is a lost device: it serves what is public, and takes an order to
recover from the owner whom the newest state of the vault names, for an owner epoch above all
that is there. Whoever can blank the latch and put an old copy of the flash back can make that
an earlier owner, and with that owner's key recover; whoever can blank the latch and erase the
vault can provision, without any key. Either shows in the reports: an owner epoch that went back,
a policy that nobody sent.
`
