package order

// Bounds of a report.
const (
	// MaxReport bounds a signed report in bytes. It is reached before all lists
	// are at their limits.
	MaxReport       = 256 << 10
	MaxMeasurements = 4096
	MaxCounters     = 1024
	MaxWear         = 1024
	MaxWiped        = 1024
)

// Profile is the value of the claim eat_profile (RFC 9711 §4.3.2): a tag URI
// (RFC 4151) that names this very set of claims. Another set is another profile.
const Profile = "tag:nanolock,2026:report/1"

// Health is a set of things that are not as they should be.
type Health uint32

// Health bits (claim -70009).
const (
	VaultLost Health = 1 << iota
	AnchorAhead
	AnchorBehind
	AnchorAbsent
	Frozen
	RecoveryBoot
	HeldBack // by the host: the watchdog narrowed writes
	AuditFull
	WasRMA
	DevelopmentKeys
	AuditBroken
	CopyLost // one of the verbatim copies

	healthBits = iota
)

// Report is what a device says of itself (docs/wire/report.md). Lists are sets:
// SignReport puts them in the order of the wire, which is ascending by region, or
// by authority and class, and refuses two entries of the same.
type Report struct {
	Nonce         []byte        // MinNonce … MaxNonce bytes; nil only in a certificate
	Device        DeviceID      // not zero
	Boot          [32]byte      // bootseed
	Uptime        uint64        // s
	Measurements  []Measurement // at most MaxMeasurements
	Seq           uint64        // of this report
	Epoch         uint32        // owner epoch
	PolicyVersion uint64
	PolicyDigest  [32]byte      // of the policy's own encoding
	State         uint8         // lifecycle state, a policy.State
	Updates       []UpdateState // at most MaxUpdates
	Vault         Head          // the newest record, of VaultEpoch
	VaultEpoch    uint32
	Anchor        AnchorState
	Audit         AuditState
	Health        Health
	Counters      []Counter     // at most MaxCounters
	Wear          []RegionUsage // at most MaxWear
	Previous      [32]byte      // digest of the report before; zero if there was none in this boot
	Certificate   *Certificate
}

// Measurement is the SHA-256 of one region's content, or if that is confidential
// (Keyed) its HMAC-SHA-256 with a key of the device: who does not have the key can
// tell that the content is the same as before, and nothing else.
type Measurement struct {
	Region uint32
	Keyed  bool
	Digest [32]byte
}

// UpdateState is where the update of one region stands. Active is the slot that
// runs, State the phase of the update; package device numbers both.
type UpdateState struct {
	Region                  uint32
	Active, State, Attempts uint8
	Manifest                [32]byte // digest
	Sequence, Floor         uint64   // of the manifest; security floor
}

// Head is the newest record of a chain.
type Head struct {
	Seq uint64
	Tag [16]byte
}

// AnchorState is the counter that only goes up, whatever happens to the flash.
type AnchorState struct {
	Kind    uint8  // a keystore.Class; 0 without an anchor
	Value   uint64 // that it has
	Through uint64 // up to which vault record the vault is anchored
}

// AuditState is the audit chain: its head, how many accesses were denied, and how
// many events found no room in it.
type AuditState struct {
	Head
	Denied, Unlogged uint64
}

// Counter is the last accepted value of one.
type Counter struct {
	Authority string
	Class     Class
	Value     uint64
}

// Certificate says what a decommissioned device has erased.
type Certificate struct {
	Order  [32]byte // digest of the order
	Wiped  []uint32 // confidential regions that were erased and read back
	Secret bool     // the keystore can destroy its secret and does so next
}
