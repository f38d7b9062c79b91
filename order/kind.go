package order

// DeviceID names a device: cose.PublicKey.ID of its identity.
type DeviceID [32]byte

// Kind says what an order asks for. The zero Kind is none.
type Kind uint8

// Kinds, as on the wire.
const (
	Grant     Kind = 1
	Policy    Kind = 2
	Keys      Kind = 3
	Lifecycle Kind = 4
	Thaw      Kind = 5
	Install   Kind = 6
	Confirm   Kind = 7
	Transfer  Kind = 8
	Recover   Kind = 9
	Void      Kind = 10
	Challenge Kind = 16 // a report is wanted
	Heartbeat Kind = 17
	Time      Kind = 18
	Batch     Kind = 64
)

// Class is a counter's, and a challenge's.
type Class uint8

// Classes, as on the wire. Live belongs to orders that are never recorded: its
// challenges die with the boot.
const (
	ClassRoot     Class = 0
	ClassOperate  Class = 1
	ClassManifest Class = 2
	ClassFloor    Class = 3
	ClassReport   Class = 4
	ClassAudit    Class = 5
	ClassLive     Class = 7
)

func (k Kind) String() string { return "" }

// Class is the counter that k spends: root 2, 3, 4, 8, 9, 10; operate 1, 5, 6, 7; live 16, 17, 18.
func (k Kind) Class() Class { return 0 }

// Opening tells whether k answers a challenge (1, 4, 5, 8, 9, 16, 17, 18); the others carry a counter.
func (k Kind) Opening() bool { return false }

// Valid tells whether k is an order that a device may get.
func (k Kind) Valid() bool { return false }
