package order

// Bounds of orders.
const (
	// MaxMessage bounds an order as carried, in bytes.
	MaxMessage = 256 << 10
	// MaxPolicy bounds the encoding of a policy in an order, in bytes.
	MaxPolicy = 64 << 10
	// MaxDigests bounds the list of a grant.
	MaxDigests = 1024
	// MaxUsage bounds the list of a recover order.
	MaxUsage = 1024
	// MaxRevoke bounds the list of a keys order.
	MaxRevoke = 8
	// MaxUptime bounds a session in seconds: a day.
	MaxUptime = 86400
	// MinNonce and MaxNonce bound a nonce in bytes (RFC 9711 §4.1).
	MinNonce, MaxNonce = 8, 64
)

// Fresh is why an order is not an old one: Challenge if it is set (32 bytes),
// else Counter (not 0). Which of the two is fixed by the kind, see [Kind.Opening].
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

// Body is what is particular to a kind: *GrantBody for [Grant], *LiveBody for
// [Challenge] and [Heartbeat], and so on by name.
type Body interface {
	kind() Kind
	encode(*encoder)
	decode(*decoder)
}

// Operations of a grant.
const (
	OpRead  = 1
	OpWrite = 2
	OpErase = 4
)

// GrantBody (kind 1) opens a session. Off + Len is at most 2^48.
type GrantBody struct {
	Region  uint32     // not 0
	Ops     uint8      // OpRead | OpWrite | OpErase, not 0
	Off     uint64     // from the region's start, bytes
	Len     uint64     // bytes, not 0
	Bytes   uint64     // that may be programmed; below 2^63
	Erases  uint32     // erase blocks
	Uptime  uint32     // seconds of the lock's uptime; 1 … MaxUptime
	Digests [][32]byte // SHA-256 of each erase block of [Off, Off+Len); nil = any content. At most MaxDigests
}

// PolicyBody (kind 2) carries the policy's own encoding (policy.MarshalBinary),
// 1 … MaxPolicy bytes.
type PolicyBody struct{ Policy []byte }

// KeysBody (kind 3) rotates or revokes. Exactly one of the two is set.
// Policy is a whole signed order of kind 2 for the next owner epoch, signed by
// the owner keys that are in it: that proves their possession. Revoke lists ids
// ([cose.PublicKey.ID]) of keys that may sign nothing any more; keys of the owner
// are rotated, not revoked. It is a set: its order on the wire is ascending.
type KeysBody struct {
	Policy []byte
	Revoke [][32]byte // 1 … MaxRevoke
}

// LifecycleBody (kind 4) changes the lifecycle state: 1 … 4, a policy.State.
type LifecycleBody struct{ State uint8 }

// ThawBody (kind 5) ends a freeze.
type ThawBody struct{}

// InstallBody (kind 6) starts a manifest that was offered.
type InstallBody struct {
	Region   uint32   // not 0
	Manifest [32]byte // digest
}

// ConfirmBody (kind 7) ends a trial well.
type ConfirmBody struct {
	Region   uint32   // not 0
	Manifest [32]byte // digest
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
	State  uint8         // 1 … 4, a policy.State
	Usage  []RegionUsage // one per region, at most MaxUsage; on the wire ascending
}

// RegionUsage is policy.Usage of one region on the wire.
type RegionUsage struct {
	Region                  uint32 // not 0
	Erases, Allowed, Rounds uint64
	Mark                    uint64 // bytes, at most 2^48
	Sealed                  bool
}

// VoidBody (kind 10) raises a counter, so that no unspent order below it and no
// challenge of it lives. With ClassAudit: the audit chain up to To may be dropped,
// and Authority is that of the order.
type VoidBody struct {
	Authority string // whose counter
	Class     Class  // ClassRoot, ClassOperate or ClassAudit
	To        uint64 // not 0
}

// LiveBody (kinds 16, 17): Nonce is what the report to kind 16 shall hold,
// MinNonce … MaxNonce bytes; empty for a heartbeat.
type LiveBody struct{ Nonce []byte }

// TimeBody (kind 18) tells the time: seconds since 1970, not 0.
type TimeBody struct{ Unix uint64 }

func (*GrantBody) kind() Kind     { return Grant }
func (*PolicyBody) kind() Kind    { return Policy }
func (*KeysBody) kind() Kind      { return Keys }
func (*LifecycleBody) kind() Kind { return Lifecycle }
func (*ThawBody) kind() Kind      { return Thaw }
func (*InstallBody) kind() Kind   { return Install }
func (*ConfirmBody) kind() Kind   { return Confirm }
func (*TransferBody) kind() Kind  { return Transfer }
func (*RecoverBody) kind() Kind   { return Recover }
func (*VoidBody) kind() Kind      { return Void }
func (*TimeBody) kind() Kind      { return Time }

func (b *LiveBody) kind() Kind {
	if len(b.Nonce) == 0 {
		return Heartbeat
	}
	return Challenge
}
