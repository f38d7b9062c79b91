package ownerfiles

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// FirstOrder is the order that gives a new device its owner and policy, not
// signed yet.
func FirstOrder(p *policy.Policy, id order.DeviceID) (*order.Order, error) {
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if len(b) > order.MaxPolicy {
		return nil, refuse(order.ErrMalformed, "the policy has %d bytes, an order takes %d", len(b), order.MaxPolicy)
	}
	return &order.Order{Kind: order.Policy, Device: id, Epoch: 1, Authority: order.Owner,
		Fresh: order.Fresh{Counter: 1}, Body: &order.PolicyBody{Policy: b}}, nil
}

// Enough tells whether signers reach the threshold of an authority, and whose key
// is not one of it.
func Enough(p *policy.Policy, authority string, signers []*cose.Signer) error {
	_, a, err := keysOf(p, authority)
	if err != nil {
		return err
	}
	seen := map[[32]byte]bool{}
	for _, s := range signers {
		id := s.Public().ID()
		if Holder(p, authority, s.Public()) == "" {
			return refuse(order.ErrAuthority, "key %x… is none of %q in the policy", id[:4], authority)
		}
		seen[id] = true
	}
	if len(seen) < a.Threshold || a.Threshold == 0 {
		return refuse(ErrUnsigned, "%d of %d keys of %q must sign, %d are given", a.Threshold, len(a.Keys), authority, len(seen))
	}
	return nil
}

// Outcome is a unit that is provisioned.
type Outcome struct {
	Device  order.DeviceID
	Policy  string // name
	Version uint64
	State   policy.State
	Before  bool // it was provisioned already: nothing was done
}

// Provision gives a device its owner by a signed order of kind policy, and opens
// it again to see that it is so. The same once more is nothing to do. After a cut
// it is repeated.
func Provision(ctx context.Context, mem nvm.NVM, ks keystore.Keystore, msg []byte, c *device.Config) (*Outcome, error) {
	before, err := Provisioned(ctx, ks)
	if err != nil {
		return nil, err
	}
	dev, err := device.Provision(ctx, mem, ks, msg, c)
	if err != nil {
		return nil, err
	}
	if err := dev.Close(); err != nil {
		return nil, err
	}
	if dev, err = device.Open(ctx, mem, ks, c); err != nil {
		return nil, err
	}
	out, err := verified(dev, msg)
	if err = errors.Join(err, dev.Close()); err != nil {
		return nil, err
	}
	out.Before = before
	return out, nil
}

// verified holds what the device says against the order that it was given.
func verified(dev *device.Device, msg []byte) (*Outcome, error) {
	s := dev.Status()
	if s.Degraded {
		return nil, fmt.Errorf("%w: %s", device.ErrDegraded, s.Why[0])
	}
	_, want, _, err := order.OpenPolicy(msg, s.Device)
	if err != nil {
		return nil, err
	}
	if got, err := PolicyDigest(dev.Policy()); err != nil {
		return nil, err
	} else if w, err := PolicyDigest(want); err != nil || got != w {
		return nil, errors.Join(fmt.Errorf("%w: what is in force is not what was signed", device.ErrProvisioned), err)
	}
	return &Outcome{Device: s.Device, Policy: s.PolicyName, Version: s.PolicyVersion, State: s.State}, nil
}

// PolicyDigest is SHA-256 of a policy's own encoding, as reports have it.
func PolicyDigest(p *policy.Policy) (d [32]byte, err error) {
	if p == nil {
		return d, nil
	}
	b, err := p.MarshalBinary()
	return sha256.Sum256(b), err
}

// Duplicates are the places of units whose secret is that of another: a map from
// the place to that of another with the same. None of them can be told from a copy.
func Duplicates(ids []order.DeviceID) map[int]int {
	first, out := map[order.DeviceID]int{}, map[int]int{}
	for i, id := range ids {
		if id == (order.DeviceID{}) {
			continue // it has none
		}
		if j, ok := first[id]; ok {
			out[i] = j
			if _, ok := out[j]; !ok {
				out[j] = i
			}
			continue
		}
		first[id] = i
	}
	return out
}
