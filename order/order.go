package order

// Fresh is why an order is not an old one: Challenge if it is set (32 bytes), else Counter (not 0).
type Fresh struct {
	Counter   uint64
	Challenge []byte
}

// Order is one order as signed. Body is that of its Kind.
type Order struct {
	Kind      Kind
	Device    DeviceID
	Epoch     uint32 // owner epoch
	Authority string // who gives it, as the policy names it
	Fresh     Fresh
	Body      Body
	NotAfter  uint64 // Unix time in seconds; 0 = no end
}

// Body is what is particular to a kind: *GrantBody, ...
type Body interface{ kind() Kind }

// Operations of a grant.
const (
	OpRead  = 1
	OpWrite = 2
	OpErase = 4
)

// GrantBody (kind 1) opens a session.
type GrantBody struct {
	Region  uint32
	Ops     uint8  // OpRead | OpWrite | OpErase, not 0
	Off     uint64 // from the region's start, bytes
	Len     uint64 // not 0
	Bytes   uint64 // that may be programmed
	Erases  uint32 // erase blocks
	Uptime  uint32 // seconds of the lock's uptime; 1 .. 86400
	Digests [][32]byte // SHA-256 of each erase block of [Off, Off+Len); nil = any content. At most MaxDigests
}

// MaxDigests bounds one grant's list.
const MaxDigests = 1024

// PolicyBody (kind 2) carries the policy's own encoding (policy.MarshalBinary).
type PolicyBody struct{ Policy []byte }

// KeysBody (kind 3) rotates or revokes. Exactly one of the two is set.
// Policy is a whole signed order of kind 2 for the next owner epoch, signed by
// the owner keys that are in it: that proves their possession. Revoke lists ids
// (cose.PublicKey.ID) of keys that may sign nothing any more; keys of the owner
// are rotated, not revoked.
type KeysBody struct {
	Policy []byte
	Revoke [][32]byte // 1 .. 8
}

// LifecycleBody (kind 4) changes the lifecycle state.
type LifecycleBody struct{ State uint8 }

// ThawBody (kind 5) ends a freeze.
type ThawBody struct{}

// InstallBody (kind 6) starts a manifest that was offered.
type InstallBody struct {
	Region   uint32
	Manifest [32]byte // digest
}

// ConfirmBody (kind 7) ends a trial well.
type ConfirmBody struct {
	Region   uint32
	Manifest [32]byte
	Boot     [16]byte // boot id in which it was seen to work
}

// TransferBody (kind 8): Policy is a whole signed order of kind 2 for the next
// owner epoch, signed by the new owner's keys, which are the owner in it.
type TransferBody struct{ Policy []byte }

// RecoverBody (kind 9) makes a lost vault anew. Policy as in TransferBody, signed
// by the owner keys that the latch remembers. Usage is what is known of wear; a
// region that is not listed counts as used up.
type RecoverBody struct {
	Policy []byte
	State  uint8
	Usage  []RegionUsage // ascending by region, at most 1024
}

// RegionUsage is policy.Usage on the wire.
type RegionUsage struct {
	Region                  uint32
	Erases, Allowed, Rounds uint64
	Mark                    uint64
	Sealed                  bool
}

// VoidBody (kind 10) raises a counter, so that no unspent order below it and no
// challenge of it lives. With ClassAudit: the audit chain up to To may be dropped.
type VoidBody struct {
	Authority string // whose counter
	Class     Class
	To        uint64
}

// LiveBody (kinds 16, 17): Nonce is what the report to kind 16 shall hold; empty for a heartbeat.
type LiveBody struct{ Nonce []byte }

// TimeBody (kind 18) tells the time.
type TimeBody struct{ Unix uint64 }
