package attack

import (
	"context"
	"fmt"
	"time"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
)

// Device is a whole device under attack: whatever of it somebody can reach. What
// is around it (flash, power, latch, anchor) is in the attacker's hands, and the
// Scene's.
type Device interface {
	Courier
	Local
	Operator
}

// Courier is the courier port: all that the network reaches, and the host with it.
type Courier interface {
	// Deliver takes a message and returns the reply, nil if it was no request.
	Deliver(msg []byte) (reply []byte, err error)
}

// Local is the side of the host.
type Local interface {
	Host() Handle
	Session(order.SessionID) (Handle, error)
}

// Operator is the side of the placement. Nobody else reaches it.
type Operator interface {
	Freeze() error
	HostReset() error
	Poll() // once a second
	Close() error
}

// Maker builds devices.
type Maker interface {
	// Provision gives a device its owner, as device.Provision does.
	Provision(p Parts, signedPolicy []byte) (Device, error)
	// Open boots one, as device.Open does.
	Open(p Parts) (Device, error)
}

// Parts is what a device is built with.
type Parts struct {
	Memory nvm.NVM
	Keys   keystore.Keystore
	Config *device.Config
}

// DeviceAttack is an attack on a device and its owner's authority. Its Run is nil.
type DeviceAttack struct {
	Attack
	Against func(*Scene) `json:"-"`

	in world
}

// DeviceConfig says which device is attacked; the zero DeviceConfig is the real
// one and the whole catalogue.
type DeviceConfig struct {
	Maker    Maker
	Attacks  []DeviceAttack                     // nil = DeviceCatalogue()
	Progress func(done, total int, name string) // called after each attack
	Patience time.Duration                      // how long an attack may take before the device counts as hanging; 0 = 30 s
}

// RunDevice runs attacks on a device that it builds itself: on a simulated flash,
// with keys of owners who do not exist. The oracle knows which orders the owner
// gave; it looks at the flash below the device and at what the device says of
// itself, and shares no code with it. The error is ctx's, with the results so far.
func RunDevice(ctx context.Context, c DeviceConfig) ([]Result, error) {
	if c.Maker == nil {
		c.Maker = realMaker{}
	}
	if c.Attacks == nil {
		c.Attacks = DeviceCatalogue()
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	st := &stage{maker: c.Maker, ready: map[world]*template{}}
	var out []Result
	for i, a := range c.Attacks {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		out = append(out, st.try(a, c.Patience))
		if c.Progress != nil {
			c.Progress(i+1, len(c.Attacks), a.Name)
		}
	}
	return out, nil
}

// try runs one attack. A device that panics or hangs is beaten.
func (st *stage) try(a DeviceAttack, patience time.Duration) Result {
	res := make(chan Result, 1)
	go func() { res <- st.attempt(a) }()
	select {
	case r := <-res:
		return r
	case <-time.After(patience):
		st.ready = map[world]*template{} // the one that hangs keeps the old
		return Result{Attack: a.Attack, Verdict: Beaten, Breach: &Breach{What: "the device hangs"}}
	}
}

func (st *stage) attempt(a DeviceAttack) (res Result) {
	res = Result{Attack: a.Attack, Verdict: Held}
	s := new(Scene)
	func() {
		defer func() {
			switch v := recover(); v {
			case nil:
			case errOver: // says why, unless another scene has said it
				s.Fail("a device does not do what its owner orders")
			default:
				s.Fail("panic: %v\n%s", v, firstFrames())
			}
		}()
		if err := st.scene(s, a.in); err != nil {
			s.Fail("a device of a sound policy cannot be provisioned: %v", err)
			return
		}
		a.Against(s)
		s.finish()
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	res.Tried, res.Refused = s.tried, s.refused
	if s.breach != nil {
		res.Verdict, res.Breach = Beaten, s.breach
	}
	return res
}

// realMaker is package device.
type realMaker struct{}

// realDevice is the real one, seen from outside.
type realDevice struct{ *device.Device }

func (realMaker) Provision(p Parts, signedPolicy []byte) (Device, error) {
	return seen(device.Provision(context.Background(), p.Memory, p.Keys, signedPolicy, p.Config))
}

func (realMaker) Open(p Parts) (Device, error) {
	return seen(device.Open(context.Background(), p.Memory, p.Keys, p.Config))
}

func seen(d *device.Device, err error) (Device, error) {
	if err != nil {
		return nil, err
	}
	return realDevice{d}, nil
}

func (d realDevice) Deliver(msg []byte) ([]byte, error) {
	return d.Device.Deliver(context.Background(), msg)
}

func (d realDevice) Host() Handle { return d.Device.Host() }

func (d realDevice) Session(id order.SessionID) (Handle, error) {
	h, err := d.Device.Session(id)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (d realDevice) Freeze() error    { return d.Device.Freeze(context.Background()) }
func (d realDevice) HostReset() error { return d.Device.HostReset(context.Background()) }
func (d realDevice) Poll()            { d.Device.Poll(context.Background()) }

// Fail records what an attack got away with; the first one counts.
func (s *Scene) Fail(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breach == nil {
		s.breach = &Breach{What: fmt.Sprintf(format, a...)}
	}
}
