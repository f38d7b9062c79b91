// Package devicetest gives a test a whole device: a lock over a simulated flash,
// provisioned by an owner whose keys the test holds, which can lose its power, be
// sent the same order twice, or get an old copy of its flash back.
//
//	d := devicetest.New(t, nil)
//	d.Lifecycle(policy.Deployed)
//	host := d.Host()                               // try what malware would
//	vendor := d.Grant("vendor", d.Whole("boot"))   // what the vendor may
//	d.Cut()                                        // the power goes, and comes back
//
// To test a policy of one's own, put it in with Config.Policy; to test over one's
// own memory, with Config.Memory.
package devicetest

import (
	"context"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Config says what is put together; nil and the zero Config are a serial NOR of
// 128 KiB, one owner with an Ed25519 key, and an anchor.
type Config = rig.Config

// Memories to run a test over, for Config.Sim.
var (
	NOR    = rig.NOR    // serial NOR, 4 KiB blocks
	ECCNOR = rig.ECCNOR // NOR whose words are programmed once
	NAND   = rig.NAND   // pages in order, blocks that go bad
	File   = rig.File   // a disk that loses what was not synced
)

// Device is the device under test and everything around it. The fields of the Rig
// are for what the methods here do not do.
type Device struct {
	*rig.Rig
	t testing.TB
}

// New puts a device together, provisioned and in state manufacturing. It is closed
// when the test ends.
func New(t testing.TB, c *Config) *Device {
	t.Helper()
	if c == nil {
		c = &Config{}
	}
	r, err := rig.New(*c)
	if err != nil {
		t.Fatalf("devicetest: %v", err)
	}
	t.Cleanup(func() {
		if r.Device != nil {
			_ = r.Device.Close()
		}
	})
	return &Device{r, t}
}

func (d *Device) must(what string, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("devicetest: %s: %v", what, err)
	}
}

// Host is what the host gets.
func (d *Device) Host() *nanolock.Handle { return d.Device.Host() }

// Lifecycle orders the next state.
func (d *Device) Lifecycle(st policy.State) {
	d.t.Helper()
	d.must(st.String(), d.Rig.Lifecycle(st))
}

// Grant opens a session by an order of an authority.
func (d *Device) Grant(authority string, g *order.GrantBody) *nanolock.Handle {
	d.t.Helper()
	h, _, err := d.Rig.Grant(authority, g)
	d.must("grant of "+authority, err)
	return h
}

// Policy orders a newer policy: the one in force with a change.
func (d *Device) Policy(change func(*policy.Policy)) {
	d.t.Helper()
	d.must("policy", d.PutPolicy(d.NextPolicy(change)))
}

// Sign makes an order that is fresh now, and delivers it to nobody.
func (d *Device) Sign(authority string, kind order.Kind, body order.Body) []byte {
	d.t.Helper()
	msg, err := d.Signed(authority, kind, body)
	d.must("sign", err)
	return msg
}

// Replay delivers a message again and fails the test if the device obeys.
func (d *Device) Replay(msg []byte) {
	d.t.Helper()
	if _, err := d.Device.Apply(context.Background(), msg); err == nil {
		d.t.Error("devicetest: the device obeys a replay")
	}
}

// Cut takes the power away and starts the device again.
func (d *Device) Cut() {
	d.t.Helper()
	d.must("start after a cut", d.Rig.Cut())
}

// Report asks for a report and verifies it.
func (d *Device) Report() *order.Report {
	d.t.Helper()
	r, err := d.Rig.Report()
	d.must("report", err)
	return r
}

// Status is the device's.
func (d *Device) Status() device.Status { return d.Device.Status() }
