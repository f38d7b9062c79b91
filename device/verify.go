package device

import (
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// verifier is every way from bytes to keys, a policy or an order. It is a type so
// that tests which start a device a million times may put one in its place that
// remembers what verified. Nothing else does.
type verifier struct {
	identity func(keystore.Identity) (*cose.PublicKey, error)
	policy   func(msg []byte, id order.DeviceID) (*order.Verified, *policy.Policy, *order.Keyring, error)
	ring     func(p *policy.Policy, gone [][32]byte) (*order.Keyring, error)
	order    func(k *order.Keyring, msg []byte, id order.DeviceID, epoch uint32) (*order.Verified, error)
}

func standard() *verifier {
	return &verifier{order.IdentityKey, order.OpenPolicy, order.NewKeyring, (*order.Keyring).Open}
}
