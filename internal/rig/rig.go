// Package rig puts a whole device together on a simulated flash: memory, keystore,
// latch, anchor, the owner's keys and those of the others, and the orders they
// sign. Package devicetest gives it to tests, package attack attacks it.
package rig

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Config of a Rig; the zero Config is a NOR part, Ed25519, one owner, an anchor.
type Config struct {
	Memory   nvm.NVM // nil: a simulated part of Sim
	Sim      sim.Config
	Seed     uint64
	Suite    cose.Suite // of all keys of people; 0 = Ed25519
	Owners   int        // 0 = 1
	Quorum   int        // 0 = Owners
	NoAnchor bool
	Budget   keystore.Budget      // of the anchor
	Policy   func(*policy.Policy) // changes it before it is signed
	Device   device.Config        // Vault, Tick and Rand are the rig's
	Blank    bool                 // do not provision

	// Keystore opens the device's at each start; (nil, nil) if it cannot be opened.
	// nil is one in software, with Latch and Anchor.
	Keystore func() (keystore.Keystore, error)
	Light    bool // an identity of Ed25519 alone, for devices that start by the thousand
}

// Rig is a device with everything around it.
type Rig struct {
	Config
	Mem    nvm.NVM
	Flash  *sim.Flash // Mem, if it is simulated
	Latch  *Latch
	Anchor *Anchor // nil if there is none
	Keys   keystore.Keystore
	Device *device.Device
	Policy *policy.Policy // in force
	ID     order.DeviceID
	Now    uint64 // uptime in seconds; Tick moves it
	Unix   uint64
	Epoch  uint32
	Events []device.Event // read it when nothing is under way

	secret  [32]byte
	people  map[string][]*cose.Signer // by authority
	counter uint64                    // of the owner
	telling *sync.Mutex               // of Events
	rand    *rand.ChaCha8
}

// Names of the authorities of the rig's policy beside order.Owner and the other
// names with a role.
const Service = "service"

var authorities = []string{order.Owner, order.Vendor, order.Operations, order.Platform, Service}

// New puts a rig together and provisions its device, in state manufacturing.
func New(c Config) (*Rig, error) {
	r := &Rig{Config: c, Latch: new(Latch), people: map[string][]*cose.Signer{}, Epoch: 1, Unix: 1_800_000_000, telling: new(sync.Mutex)}
	if err := r.memory(); err != nil {
		return nil, err
	}
	if !c.NoAnchor {
		r.Anchor = &Anchor{budget: c.Budget, value: 41}
	}
	seed := sha256.Sum256(fmt.Appendf(nil, "nanolock rig %d", c.Seed))
	r.secret, r.rand = sha256.Sum256(seed[:]), rand.NewChaCha8(seed)
	if err := r.hire(); err != nil {
		return nil, err
	}
	if err := r.openKeys(); err != nil {
		return nil, err
	}
	r.Policy = r.layout()
	if c.Policy != nil {
		c.Policy(r.Policy)
	}
	if c.Blank {
		return r, nil
	}
	return r, r.Provision()
}

func (r *Rig) memory() error {
	if r.Mem = r.Config.Memory; r.Mem != nil {
		return nil
	}
	if r.Sim.Geometry.Size == 0 {
		r.Sim = NOR()
	}
	f, err := sim.New(r.Sim)
	if err != nil {
		return err
	}
	r.Mem, r.Flash = f, f
	return nil
}

// openKeys opens the device's keystore again, as a start does.
func (r *Rig) openKeys() error {
	if r.Keystore != nil {
		ks, err := r.Keystore()
		if err != nil {
			return err
		}
		return r.use(ks)
	}
	c := &soft.Config{Latch: r.Latch}
	if r.Anchor != nil {
		c.Anchor = r.Anchor
	}
	var ks keystore.Keystore
	if r.Light {
		ks = newLight(r.secret, r.Latch, r.Anchor)
	} else {
		own, err := soft.Supply(r.secret[:], c)
		if err != nil {
			return err
		}
		ks = own
	}
	return r.use(ks)
}

// use makes ks the device's keystore. Without one the device keeps its name.
func (r *Rig) use(ks keystore.Keystore) error {
	if r.Keys = ks; ks == nil {
		return nil
	}
	key, err := order.IdentityKey(ks.Identity())
	if err != nil {
		return err
	}
	r.ID = order.DeviceID(key.ID())
	return nil
}

// hire makes everybody's keys.
func (r *Rig) hire() error {
	if r.Suite == 0 {
		r.Suite = cose.Ed25519
	}
	if r.Owners == 0 {
		r.Owners = 1
	}
	if r.Quorum == 0 {
		r.Quorum = r.Owners
	}
	for _, name := range authorities {
		n := 1
		if name == order.Owner {
			n = r.Owners
		}
		for i := range n {
			s, err := Person(r.Suite, fmt.Sprintf("%s %d %d", name, i, r.Seed))
			if err != nil {
				return err
			}
			r.people[name] = append(r.people[name], s)
		}
	}
	return nil
}

// Person makes the key of somebody who does not exist: it follows from the name.
func Person(s cose.Suite, name string) (*cose.Signer, error) {
	var halves []crypto.Signer
	for _, alg := range s.Algs() {
		seed := sha256.Sum256(fmt.Appendf(nil, "nanolock rig person %v %s", alg, name))
		switch alg {
		case cose.AlgEd25519:
			halves = append(halves, ed25519.NewKeyFromSeed(seed[:]))
		case cose.AlgMLDSA65:
			halves = append(halves, cose.NewMLDSA65(&seed))
		case cose.AlgESP256:
			k, err := p256(seed)
			if err != nil {
				return nil, err
			}
			halves = append(halves, k)
		}
	}
	return cose.NewSigner(s, halves...)
}

func p256(seed [32]byte) (*ecdsa.PrivateKey, error) {
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
}

// People are the signers of an authority.
func (r *Rig) People(authority string) []*cose.Signer { return r.people[authority] }

// Hire replaces the signers of an authority, for the next policy.
func (r *Rig) Hire(authority string, s ...*cose.Signer) { r.people[authority] = s }

// Settings is the device's configuration.
func (r *Rig) Settings() *device.Config {
	c := r.Config.Device
	c.Vault = r.Policy.Area("vault").Span
	c.Tick, c.Rand = func() uint64 { return r.Now }, r.rand
	told := c.OnEvent
	c.OnEvent = func(e device.Event) {
		r.telling.Lock()
		r.Events = append(r.Events, e)
		r.telling.Unlock()
		if told != nil {
			told(e)
		}
	}
	return &c
}

// Provision gives the device its owner.
func (r *Rig) Provision() error {
	msg, err := r.FirstPolicy()
	if err != nil {
		return err
	}
	r.Device, err = device.Provision(context.Background(), r.Mem, r.Keys, msg, r.Settings())
	return err
}

// FirstPolicy is the order that provisions.
func (r *Rig) FirstPolicy() ([]byte, error) {
	r.counter = max(r.counter, 1)
	return r.Inner(r.Policy, r.Epoch, r.counter)
}

// Restart closes the device and opens it again.
func (r *Rig) Restart() error {
	if r.Device != nil {
		if err := r.Device.Close(); err != nil {
			return err
		}
	}
	return r.Open()
}

// Open starts the device: on the memory as it is, with the keystore opened anew.
func (r *Rig) Open() (err error) {
	if err := r.openKeys(); err != nil {
		return err
	}
	r.Device, err = device.Open(context.Background(), r.Mem, r.Keys, r.Settings())
	return err
}

// Cut takes the power away, without closing anything, and starts again.
func (r *Rig) Cut() error {
	if c, ok := r.Mem.(interface{ Cut() }); ok {
		c.Cut()
	} else if r.Flash != nil {
		f := r.Flash.CutUnsynced(nil)
		f.Reboot()
		r.Mem, r.Flash = f, f
	}
	return r.Open()
}

// Tick lets seconds of uptime pass.
func (r *Rig) Tick(seconds uint64) {
	r.Now += seconds
	r.Device.Poll(context.Background())
}
