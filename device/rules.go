package device

import (
	"fmt"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// effective is the policy as it holds now: without revoked keys, and for a device
// that its watchdog holds back without a host's right to change anything.
func (d *Device) effective() *policy.Policy {
	if d.pol == nil {
		return nil
	}
	p := d.pol.Clone()
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if !d.ring.Has(a.Name) {
			a.Keys, a.Threshold = nil, 0
		}
	}
	if d.health&order.HeldBack != 0 {
		eachAccess(p, func(a *policy.Access) {
			a.Write, a.Erase = granted(a.Write), granted(a.Erase)
		})
	}
	return p
}

func granted(r policy.Rule) policy.Rule {
	if r.Mode == policy.Grant {
		return r
	}
	return policy.Rule{}
}

// eachAccess calls f for every access rule of p, those of single states among them.
func eachAccess(p *policy.Policy, f func(*policy.Access)) {
	for i := range p.Map {
		r := &p.Map[i]
		f(&r.Access)
		for st, a := range r.In {
			f(&a)
			r.In[st] = a
		}
	}
}

// readOnly is what remains of p when nobody can say what may change: what every
// host may read in deployed, and nothing else.
func readOnly(p *policy.Policy) *policy.Policy {
	p = p.Clone()
	p.Authorities, p.Version = nil, 1
	for i := range p.Map {
		r := &p.Map[i]
		a := r.AccessIn(policy.Deployed)
		if a.Read.Mode != policy.Any {
			a.Read = policy.Rule{}
		}
		r.Access, r.In, r.Wear = policy.Access{Read: a.Read, Blank: a.Blank}, nil, policy.Wear{}
	}
	return p
}

// development tells whether p knows a key that is not for production.
func development(p *policy.Policy) bool {
	for _, a := range p.Authorities {
		for _, k := range a.Keys {
			if k.Development {
				return true
			}
		}
	}
	return false
}

// acceptable tells why p cannot be this device's policy in state st; old is the
// one in force, nil at the beginning.
func (d *Device) acceptable(p, old *policy.Policy, st policy.State) error {
	table, err := p.Compile(d.set.geo, st)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if p.Memory.Size != d.set.geo.Size {
		return fmt.Errorf("%w: it is for %d bytes, the memory has %d", ErrPolicy, p.Memory.Size, d.set.geo.Size)
	}
	if err := d.places(p); err != nil {
		return err
	}
	if err := checkNames(p); err != nil {
		return err
	}
	if development(p) && (!d.set.Development || st != policy.Manufacturing) {
		return fmt.Errorf("%w: state %v", ErrDevelopment, st)
	}
	if old == nil {
		return nil
	}
	if p.Version <= old.Version {
		return fmt.Errorf("%w: version %d, in force is %d", ErrPolicy, p.Version, old.Version)
	}
	was, err := old.Compile(d.set.geo, st)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if st != policy.Manufacturing && !table.SameExtents(was) {
		return fmt.Errorf("%w: regions, slots and hidden areas stay where they are in %v", ErrPolicy, st)
	}
	if a, b := auditArea(p), auditArea(old); (a == nil) != (b == nil) || a != nil && a.Span != b.Span {
		return fmt.Errorf("%w: the audit area stays where it is", ErrPolicy)
	}
	return nil
}

// places holds the policy to the vault that the device was built with.
func (d *Device) places(p *policy.Policy) error {
	for _, a := range p.Memory.Hidden {
		if a.Kind == policy.Vault {
			if a.Span != d.set.Vault {
				return fmt.Errorf("%w: the vault is at %v, the policy says %v", ErrPolicy, d.set.Vault, a.Span)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: no hidden area of kind vault; it is at %v", ErrPolicy, d.set.Vault)
}

func auditArea(p *policy.Policy) *policy.Area {
	for i := range p.Memory.Hidden {
		if p.Memory.Hidden[i].Kind == policy.Audit {
			return &p.Memory.Hidden[i]
		}
	}
	return nil
}

// checkNames refuses names of authorities whose counters would be one.
func checkNames(p *policy.Policy) error {
	seen := map[uint32]string{}
	for _, a := range p.Authorities {
		k := nameKey(a.Name)
		if other, ok := seen[k]; ok {
			return fmt.Errorf("%w: rename authority %q: it would share the counters of %q", ErrPolicy, a.Name, other)
		}
		seen[k] = a.Name
	}
	return nil
}

// regionByID finds a region of the policy in force.
func (d *Device) regionByID(id uint32) *policy.Region {
	for i := range d.pol.Map {
		if d.pol.Map[i].ID == id {
			return &d.pol.Map[i]
		}
	}
	return nil
}
