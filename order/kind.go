package order

import "fmt"

// DeviceID names a device: [cose.PublicKey.ID] of its identity. The zero
// DeviceID is nobody's.
type DeviceID [32]byte

// String is the id in hexadecimal, in full.
func (id DeviceID) String() string { return fmt.Sprintf("%x", id[:]) }

// Kind says what an order asks for. The zero Kind is none.
type Kind uint8

// Kinds, as on the wire.
const (
	Grant     Kind = 1  // open a session
	Policy    Kind = 2  // change the policy
	Keys      Kind = 3  // rotate or revoke keys
	Lifecycle Kind = 4  // change the lifecycle state
	Thaw      Kind = 5  // end a freeze
	Install   Kind = 6  // start a manifest
	Confirm   Kind = 7  // end a trial well
	Transfer  Kind = 8  // to another owner
	Recover   Kind = 9  // make a lost vault anew
	Void      Kind = 10 // raise a counter over unspent orders
	Challenge Kind = 16 // a report is wanted
	Heartbeat Kind = 17 // the platform is there
	Time      Kind = 18 // tell the time
	Batch     Kind = 64 // carries orders and is none
)

// Class is a counter's, and a challenge's.
type Class uint8

// Classes, as on the wire. Live belongs to orders that are never recorded: its
// challenges die with the boot.
const (
	ClassRoot     Class = 0 // of an authority; anchored before effect
	ClassOperate  Class = 1 // of an authority; anchored within the stated budget
	ClassManifest Class = 2 // manifest sequence of a region
	ClassFloor    Class = 3 // security floor of a region
	ClassReport   Class = 4
	ClassAudit    Class = 5
	ClassLive     Class = 7

	noClass Class = 255
)

// kinds is all that is fixed about a kind: one row each, the same as the table in
// docs/wire/order.md.
var kinds = [...]struct {
	name    string
	class   Class
	opening bool // answers a challenge
	body    func() Body
}{
	Grant:     {"grant", ClassOperate, true, func() Body { return new(GrantBody) }},
	Policy:    {"policy", ClassRoot, false, func() Body { return new(PolicyBody) }},
	Keys:      {"keys", ClassRoot, false, func() Body { return new(KeysBody) }},
	Lifecycle: {"lifecycle", ClassRoot, true, func() Body { return new(LifecycleBody) }},
	Thaw:      {"thaw", ClassOperate, true, func() Body { return new(ThawBody) }},
	Install:   {"install", ClassOperate, false, func() Body { return new(InstallBody) }},
	Confirm:   {"confirm", ClassOperate, false, func() Body { return new(ConfirmBody) }},
	Transfer:  {"transfer", ClassRoot, true, func() Body { return new(TransferBody) }},
	Recover:   {"recover", ClassRoot, true, func() Body { return new(RecoverBody) }},
	Void:      {"void", ClassRoot, false, func() Body { return new(VoidBody) }},
	Challenge: {"challenge", ClassLive, true, func() Body { return new(LiveBody) }},
	Heartbeat: {"heartbeat", ClassLive, true, func() Body { return new(LiveBody) }},
	Time:      {"time", ClassLive, true, func() Body { return new(TimeBody) }},
}

// String returns the kind's name.
func (k Kind) String() string {
	switch {
	case k.Valid():
		return kinds[k].name
	case k == Batch:
		return "batch"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Class is the counter that k spends: root 2, 3, 4, 8, 9, 10; operate 1, 5, 6, 7;
// live 16, 17, 18. What is no order has a class that nothing else has.
func (k Kind) Class() Class {
	if !k.Valid() {
		return noClass
	}
	return kinds[k].class
}

// Opening tells whether k answers a challenge (1, 4, 5, 8, 9, 16, 17, 18); the
// others carry a counter.
func (k Kind) Opening() bool { return k.Valid() && kinds[k].opening }

// Valid tells whether k is an order that a device may get.
func (k Kind) Valid() bool { return int(k) < len(kinds) && kinds[k].body != nil }

// String returns the class's name.
func (c Class) String() string {
	if s, ok := classNames[c]; ok {
		return s
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

var classNames = map[Class]string{
	ClassRoot: "root", ClassOperate: "operate", ClassManifest: "manifest", ClassFloor: "floor",
	ClassReport: "report", ClassAudit: "audit", ClassLive: "live",
}

// kindSet is a set of kinds.
type kindSet [4]uint64

func setOf(ks ...Kind) (s kindSet) {
	for _, k := range ks {
		s[k/64] |= 1 << (k % 64)
	}
	return s
}

func (s kindSet) has(k Kind) bool { return s[k/64]>>(k%64)&1 == 1 }
