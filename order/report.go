package order

import (
	"context"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
)

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
)

// Report is what a device says of itself (docs/wire/report.md).
type Report struct {
	Nonce         []byte // 8 .. 64 bytes; nil only in a certificate
	Device        DeviceID
	Boot          [32]byte // bootseed
	Uptime        uint64   // s
	Measurements  []Measurement
	Seq           uint64
	Epoch         uint32
	PolicyVersion uint64
	PolicyDigest  [32]byte // of the policy's own encoding
	State         uint8
	Updates       []UpdateState
	Vault         Head // with VaultEpoch
	VaultEpoch    uint32
	Anchor        AnchorState
	Audit         AuditState
	Health        Health
	Counters      []Counter
	Wear          []RegionUsage
	Previous      [32]byte // digest of the report before; zero if there was none in this boot
	Certificate   *Certificate
}

// Measurement is the digest of one region's content, HMAC with a device key if Keyed (confidential).
type Measurement struct {
	Region uint32
	Keyed  bool
	Digest [32]byte
}

type UpdateState struct {
	Region                  uint32
	Active, State, Attempts uint8
	Manifest                [32]byte
	Sequence, Floor         uint64
}

type Head struct {
	Seq uint64
	Tag [16]byte
}

// AnchorState: Kind is a keystore.Class, 0 without an anchor.
type AnchorState struct {
	Kind           uint8
	Value, Through uint64
}

type AuditState struct {
	Head
	Denied, Unlogged uint64
}

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

// SignReport signs r with the device's identity.
func SignReport(ctx context.Context, r *Report, s keystore.Signer) ([]byte, error) {
	return nil, ErrMalformed
}

// OpenReport verifies a report by the device's public key. nonce nil accepts any.
func OpenReport(msg []byte, key *cose.PublicKey, nonce []byte) (*Report, error) {
	return nil, ErrMalformed
}

// ParseReport reads one that nobody has verified; for tools that look the key up.
func ParseReport(msg []byte) (*Report, error) { return nil, ErrMalformed }

// IdentityKey is the public key of a keystore's identity, and its id is the device's.
func IdentityKey(id keystore.Identity) (*cose.PublicKey, error) { return nil, ErrMalformed }
