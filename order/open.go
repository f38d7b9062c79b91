package order

import (
	"errors"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/policy"
)

// Errors. Every refusal matches one of them; a refused order did nothing.
var (
	ErrMalformed  = errors.New("order: malformed")
	ErrForeign    = errors.New("order: for another device")
	ErrEpoch      = errors.New("order: of another owner epoch")
	ErrAuthority  = errors.New("order: this authority may not sign that")
	ErrSignature  = errors.New("order: signature refused") // wraps the error of package cose
	ErrKeys       = errors.New("order: unusable keys")     // one key, or half of one, in two roles
	ErrUnverified = errors.New("order: not the device's signature")
)

// Names of authorities to which the table of who may sign what gives more than
// grants for their regions.
const (
	Owner      = policy.Owner
	Operations = "operations"
	Vendor     = "vendor"
	Platform   = "platform"
)

// Keyring is who may sign what for one device. The zero Keyring opens nothing.
type Keyring struct{}

// NewKeyring parses the keys of a policy. Revoked keys (cose.PublicKey.ID) are
// left out; an authority with fewer keys than its threshold signs nothing.
func NewKeyring(p *policy.Policy, revoked [][32]byte) (*Keyring, error) { return nil, errors.ErrUnsupported }

// Root is the digest of the owner authority: suite, threshold and key ids in ascending order.
func (k *Keyring) Root() [32]byte { return [32]byte{} }

// Has tells whether an authority can sign at all.
func (k *Keyring) Has(authority string) bool { return false }

// Holds tells whether the authority has a key of that id that was not revoked.
func (k *Keyring) Holds(authority string, id [32]byte) bool { return false }

// Verified is an order that was signed by whom the policy names. Whether it is
// fresh and may act now is for its reader.
type Verified struct {
	Order
	Digest  [32]byte   // SHA-256 of the payload: the order's name
	Signers [][32]byte // cose.PublicKey.ID of each
	Batch   bool
}

// MaxMessage bounds an order as carried.
const MaxMessage = 256 << 10

// Open verifies an order, or a batch and one leaf of it, for device id in owner
// epoch epoch.
func (k *Keyring) Open(msg []byte, id DeviceID, epoch uint32) (*Verified, error) {
	return nil, ErrMalformed
}

// OpenPolicy verifies a policy order by the owner keys in that very policy. It
// proves that their holders want it, not that they own the device: compare
// Keyring.Root with the latch.
func OpenPolicy(msg []byte, id DeviceID) (*Verified, *policy.Policy, *Keyring, error) {
	return nil, nil, nil, ErrMalformed
}

// MarshalBinary returns the payload that is signed.
func (o *Order) MarshalBinary() ([]byte, error) { return nil, ErrMalformed }

// Parse reads a payload that nobody has verified; for tools.
func Parse(payload []byte) (*Order, error) { return nil, ErrMalformed }

// Sign returns o signed by signers of one suite. Signatures may be added later
// with package cose in domain cose.Order.
func Sign(o *Order, signers ...*cose.Signer) ([]byte, error) { return nil, ErrMalformed }

// NewBatch returns the payload to sign in domain cose.Batch for orders that the
// owner signs at once, and Leaf makes what each device gets of the signed envelope.
type BatchOf struct{}

func NewBatch(orders []*Order) (*BatchOf, error)             { return nil, ErrMalformed }
func (b *BatchOf) Payload() []byte                           { return nil }
func (b *BatchOf) Len() int                                  { return 0 }
func (b *BatchOf) Leaf(signed []byte, i int) ([]byte, error) { return nil, ErrMalformed }

// ChallengeOf derives the one live challenge of an authority and class: HMAC of
// key over owner epoch, authority, class and the last accepted counter. salt is
// nil, but for ClassLive the boot id and for a lost vault what the device draws.
func ChallengeOf(key [32]byte, epoch uint32, authority string, class Class, counter uint64, salt []byte) [32]byte {
	return [32]byte{}
}
