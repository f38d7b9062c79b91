package ownerfiles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Names of the files beside an image.
const (
	SecretSuffix = ".secret" // the software keystore; its latch has ".latch" behind that
	UnitSuffix   = ".unit"   // Unit
	PublicSuffix = ".pub"    // the device's public key
)

// Unit is what must be known of a device before its flash can be read: how the
// memory behaves and where the vault is. Nothing in it is a secret and nobody has
// signed it; a wrong one makes a device that does not open.
type Unit struct {
	Format      int         `json:"nanolock"` // 1
	Device      string      `json:"device"`   // id in hex
	Size        int64       `json:"size"`
	EraseSize   int64       `json:"erase"`
	ProgramSize int64       `json:"unit"`
	Program     nvm.Program `json:"program"` // as package nvm numbers it
	Erased      byte        `json:"erased"`
	Vault       Extent      `json:"vault"`
}

// Extent is a span as files write it.
type Extent struct {
	Off int64 `json:"off"`
	Len int64 `json:"len"`
}

// Span returns it as a span.
func (e Extent) Span() nvm.Span { return nvm.Span(e) }

// MaxUnit bounds the file of a Unit in bytes.
const MaxUnit = 4 << 10

// ParseUnit reads what Encode writes.
func ParseUnit(b []byte) (*Unit, error) {
	u := new(Unit)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(u); err != nil {
		return nil, fmt.Errorf("not the description of a unit: %w", err)
	}
	if u.Format != 1 {
		return nil, fmt.Errorf("the description of a unit has format %d, this program knows 1", u.Format)
	}
	if err := u.Geometry().Validate(); err != nil {
		return nil, err
	}
	if !u.Vault.Span().In(u.Size) {
		return nil, fmt.Errorf("the vault at %v is not inside %d bytes", u.Vault, u.Size)
	}
	return u, nil
}

// UnitOf describes a memory with a policy.
func UnitOf(id order.DeviceID, g nvm.Geometry, p *policy.Policy) *Unit {
	return &Unit{Format: 1, Device: id.String(), Size: g.Size, EraseSize: g.EraseSize, ProgramSize: g.ProgramSize,
		Program: g.Program, Erased: g.Erased, Vault: Extent(VaultOf(p))}
}

// Encode writes the file.
func (u *Unit) Encode() []byte {
	b, err := json.MarshalIndent(u, "", "  ")
	if err != nil {
		panic(err) // numbers and strings
	}
	return append(b, '\n')
}

// Geometry of the memory.
func (u *Unit) Geometry() nvm.Geometry {
	return nvm.Geometry{Size: u.Size, EraseSize: u.EraseSize, ProgramSize: u.ProgramSize, Program: u.Program, Erased: u.Erased}
}

// VaultOf is where a policy has the vault; zero if nowhere.
func VaultOf(p *policy.Policy) nvm.Span {
	for _, a := range p.Memory.Hidden {
		if a.Kind == policy.Vault {
			return a.Span
		}
	}
	return nvm.Span{}
}

// OpenSecret opens a software keystore, or makes it if create says so and there is
// none. What a cut left half made is made good.
func OpenSecret(path string, create bool) (*soft.Keystore, error) {
	ks, err := soft.Open(path, nil)
	if !create || !errors.Is(err, keystore.ErrAbsent) {
		return ks, err
	}
	made, cerr := soft.Create(path, nil)
	if errors.Is(cerr, keystore.ErrExists) {
		return nil, err // a latch without its secret, or the other way round
	}
	return made, cerr
}

// IDOf is the device that a keystore makes.
func IDOf(ks keystore.Signer) (order.DeviceID, error) {
	k, err := order.IdentityKey(ks.Identity())
	if err != nil {
		return order.DeviceID{}, err
	}
	return order.DeviceID(k.ID()), nil
}

// Rehearse is a [device.Config] for an image at a desk.
func Rehearse(vault nvm.Span, development bool) *device.Config {
	return &device.Config{Vault: vault, Development: development}
}

// Provisioned tells whether the latch says that a device has an owner.
func Provisioned(ctx context.Context, ks keystore.Keystore) (bool, error) {
	if ks.Latch() == nil {
		return false, fmt.Errorf("%w: the keystore has no latch", keystore.ErrAbsent)
	}
	r, err := ks.Latch().Read(ctx)
	return r.Set(), err
}
