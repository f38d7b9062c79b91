package ownerfiles

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/order"
)

// Status is a device as its owner sees it, with all that is needed to make an
// order for it. In a file it is what "nanolock status --json" prints.
type Status struct {
	Device      string      `json:"device"`
	State       string      `json:"state"`
	Epoch       uint32      `json:"epoch"`
	Policy      InForce     `json:"policy"`
	Healthy     bool        `json:"healthy"`
	Health      []Symptom   `json:"health"`
	Why         []string    `json:"why,omitempty"` // degraded: what was found
	Sessions    int         `json:"sessions"`
	Anchor      bool        `json:"anchor"`
	Vault       Head        `json:"vault"`
	Audit       Head        `json:"audit"`
	Authorities []Authority `json:"authorities"`
}

// InForce is the policy that a device obeys.
type InForce struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	Digest  string `json:"digest"`
}

// Head is the newest record of a chain.
type Head struct {
	Seq uint64 `json:"seq"`
	Tag string `json:"tag"`
}

// Authority is what orders of an authority must say to be fresh.
type Authority struct {
	Name      string           `json:"name"`
	Threshold int              `json:"threshold"`
	Keys      int              `json:"keys"`
	Fresh     map[string]Fresh `json:"fresh"` // by class: root, operate, live
}

// Fresh is that of one class.
type Fresh struct {
	Counter   uint64 `json:"counter"`             // the last one accepted; an order needs a higher
	Challenge string `json:"challenge,omitempty"` // what an opening order answers
}

// classes are those that challenges are of.
var classes = []order.Class{order.ClassRoot, order.ClassOperate, order.ClassLive}

// kindsOf tells whether an authority may sign any order of a class.
func kindsOf(authority string, c order.Class) bool {
	for k := order.Kind(1); k < order.Batch; k++ {
		if k.Valid() && k.Class() == c && order.MaySign(authority, k) {
			return true
		}
	}
	return false
}

// StatusOf asks a device. report is a signed report of it, as [device.Device.Report]
// makes them.
func StatusOf(dev *device.Device, report []byte, anchor bool) (*Status, error) {
	d := dev.Status()
	s := &Status{Device: d.Device.String(), State: d.State.String(), Epoch: d.OwnerEpoch, Healthy: Healthy(d.Health),
		Health: Symptoms(d.Health), Why: d.Why, Sessions: d.Sessions, Anchor: anchor, Authorities: []Authority{},
		Policy: InForce{Name: d.PolicyName, Version: d.PolicyVersion}}
	if r, err := order.ParseReport(report); err == nil {
		s.Policy.Digest = hex.EncodeToString(r.PolicyDigest[:])
		s.Vault = Head{r.Vault.Seq, hex.EncodeToString(r.Vault.Tag[:])}
		s.Audit = Head{r.Audit.Seq, hex.EncodeToString(r.Audit.Tag[:])}
	} else if report != nil {
		return nil, err
	}
	p := dev.Policy()
	if p == nil { // lost: the owner may still recover it
		if a := freshOf(dev, order.Owner); len(a) > 0 {
			s.Authorities = append(s.Authorities, Authority{Name: order.Owner, Fresh: a})
		}
		return s, nil
	}
	for _, a := range p.Authorities {
		s.Authorities = append(s.Authorities, Authority{Name: a.Name, Threshold: a.Threshold, Keys: len(a.Keys), Fresh: freshOf(dev, a.Name)})
	}
	return s, nil
}

// freshOf leaves out what the device would not answer.
func freshOf(dev *device.Device, authority string) map[string]Fresh {
	out := map[string]Fresh{}
	for _, c := range classes {
		if !kindsOf(authority, c) {
			continue
		}
		ch, err := dev.Challenge(authority, c)
		if err != nil {
			continue
		}
		f := Fresh{Challenge: hex.EncodeToString(ch[:])}
		f.Counter, _ = dev.Counter(authority, c) // a lost device has none
		out[c.String()] = f
	}
	return out
}

// MaxStatus bounds the file of a Status in bytes.
const MaxStatus = 1 << 20

// ParseStatus reads what "nanolock status --json" prints.
func ParseStatus(b []byte) (*Status, error) {
	s := new(Status)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("not a status: %w", err)
	}
	if _, err := ParseID(s.Device); err != nil {
		return nil, fmt.Errorf("not a status: device: %w", err)
	}
	return s, nil
}

// ParseID reads the id of a device: 64 hexadecimal digits.
func ParseID(s string) (id order.DeviceID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not 64 hexadecimal digits", s)
	}
	copy(id[:], b)
	if id == (order.DeviceID{}) {
		return id, fmt.Errorf("%q is nobody's id", s)
	}
	return id, nil
}

// Fill gives an order what makes it fresh for the device that s is of, and its
// owner epoch.
func (s *Status) Fill(o *order.Order) error {
	id, err := ParseID(s.Device)
	if err != nil {
		return err
	}
	o.Device, o.Epoch = id, s.Epoch
	for _, a := range s.Authorities {
		if a.Name != o.Authority {
			continue
		}
		f, ok := a.Fresh[o.Kind.Class().String()]
		if !ok {
			break
		}
		if !o.Kind.Opening() {
			o.Fresh = order.Fresh{Counter: f.Counter + 1}
			return nil
		}
		o.Fresh.Challenge, err = hex.DecodeString(f.Challenge)
		if err != nil || len(o.Fresh.Challenge) != 32 {
			return fmt.Errorf("the challenge of %q is not 64 hexadecimal digits", a.Name)
		}
		return nil
	}
	return fmt.Errorf("%w: the status knows no %v challenge or counter of %q", order.ErrAuthority, o.Kind.Class(), o.Authority)
}

// FillFrom is Status.Fill for what a report tells: counters, but no challenges.
func FillFrom(r *order.Report, o *order.Order) error {
	o.Device, o.Epoch = r.Device, r.Epoch
	if o.Kind.Opening() {
		return fmt.Errorf("%w: %v answers a challenge, and a report holds none", order.ErrMalformed, o.Kind)
	}
	o.Fresh = order.Fresh{Counter: 1}
	for _, c := range r.Counters {
		if c.Authority == o.Authority && c.Class == o.Kind.Class() {
			o.Fresh.Counter = c.Value + 1
		}
	}
	return nil
}

// FillLive makes an order fresh for a device that is open here.
func FillLive(dev *device.Device, o *order.Order) error {
	s, err := StatusOf(dev, nil, false)
	if err != nil {
		return err
	}
	return s.Fill(o)
}
