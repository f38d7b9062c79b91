package device

import (
	"slices"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Status is what the embedding code sees at a glance. The zero Status is of a
// device that is none.
type Status struct {
	Device        order.DeviceID
	State         policy.State
	Degraded      bool // every change is refused
	Frozen        bool
	Narrowed      bool // by the watchdog
	Development   bool
	Pending       bool // an order was recorded and waits for the anchor
	Health        order.Health
	Why           []string // Degraded: reasons, the first one first
	OwnerEpoch    uint32
	PolicyName    string
	PolicyVersion uint64
	Sessions      int
	Denied        uint64 // in this boot
}

// Status returns it.
func (d *Device) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return Status{}
	}
	h := d.healthNow()
	s := Status{
		Device: d.id, State: d.state, Degraded: d.degraded(), Frozen: h&order.Frozen != 0,
		Narrowed: h&order.HeldBack != 0, Development: d.set.Development || h&order.DevelopmentKeys != 0,
		Pending: d.later != nil, Health: h, Why: slices.Clone(d.why), OwnerEpoch: d.epoch(), Sessions: len(d.sessions),
	}
	if d.pol != nil {
		s.PolicyName, s.PolicyVersion = d.pol.Name, d.pol.Version
	}
	if d.lock != nil {
		s.Denied = d.lock.Denials()
	}
	return s
}

// Policy returns a copy of the policy in force, nil if there is none.
func (d *Device) Policy() *policy.Policy {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pol == nil {
		return nil
	}
	return d.pol.Clone()
}
