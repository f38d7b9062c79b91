package device_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// TestStatesFollow walks all pairs of lifecycle states.
func TestStatesFollow(t *testing.T) {
	may := map[[2]policy.State]bool{
		{policy.Manufacturing, policy.Deployed}: true, {policy.Manufacturing, policy.Decommissioned}: true,
		{policy.Deployed, policy.RMA}: true, {policy.Deployed, policy.Decommissioned}: true,
		{policy.RMA, policy.Deployed}: true, {policy.RMA, policy.Decommissioned}: true,
	}
	way := map[policy.State][]policy.State{
		policy.Manufacturing: nil, policy.Deployed: {policy.Deployed}, policy.RMA: {policy.Deployed, policy.RMA},
		policy.Decommissioned: {policy.Decommissioned},
	}
	for from, steps := range way {
		for _, to := range policy.States() {
			r, err := rig.New(rig.Config{})
			ok(t, err)
			for _, s := range steps {
				ok(t, r.Lifecycle(s))
			}
			want := from
			if err := r.Lifecycle(to); may[[2]policy.State{from, to}] {
				ok(t, err)
				want = to
			} else {
				is(t, fmt.Sprintf("%v from %v", to, from), err, device.ErrNotAllowed)
			}
			ok(t, r.Restart())
			if got := r.Device.Status().State; got != want {
				t.Errorf("%v from %v: in %v", to, from, got)
			}
		}
	}
}

var errWorn = errors.New("worn out")

// worn is a part that stops erasing and programming where at is.
type worn struct {
	*sim.Flash
	at     func(off int64) bool
	erases bool // all the same
}

func (w *worn) fails(off int64) bool { return w.at != nil && w.at(off) }

func (w *worn) Erase(off, n int64) error {
	if w.fails(off) && !w.erases {
		return errWorn
	}
	return w.Flash.Erase(off, n)
}

func (w *worn) WriteAt(p []byte, off int64) (int, error) {
	if w.fails(off) {
		return 0, errWorn
	}
	return w.Flash.WriteAt(p, off)
}

// part is a worn NOR part that works as yet.
func part(t *testing.T) *worn {
	t.Helper()
	f, err := sim.New(rig.NOR())
	ok(t, err)
	return &worn{Flash: f}
}

// TestWipedFirst: neither rma nor a certificate before confidential regions read
// erased; what could not be wiped is wiped later.
func TestWipedFirst(t *testing.T) {
	for _, to := range []policy.State{policy.RMA, policy.Decommissioned} {
		mem := part(t)
		r := deployed(t, rig.Config{Memory: mem})
		secret := r.Policy.Region("secret").Span
		h, _, err := r.Grant(rig.Service, r.Whole("secret"))
		ok(t, err)
		_, err = h.WriteAt([]byte("the customer's key"), secret.Off)
		ok(t, err)
		mem.at = func(off int64) bool { return off >= secret.Off && off < secret.End() }
		reply, err := r.Do(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(to)})
		is(t, "not wiped", err, errWorn)
		if s := r.Device.Status().State; s != policy.Deployed || reply.Report != nil {
			t.Errorf("%v without wiping: in %v, %d bytes of certificate", to, s, len(reply.Report))
		}
		if _, err := r.Device.Certificate(ctx); err == nil {
			t.Error("a certificate without wiping")
		}
		mem.at = nil
		ok(t, r.Restart())
		if s := r.Device.Status().State; s != to {
			t.Errorf("%v was not redone: in %v", to, s)
		}
		got := make([]byte, 18)
		_, err = mem.ReadAt(got, secret.Off)
		ok(t, err)
		if !bytes.Equal(got, bytes.Repeat([]byte{0xff}, 18)) {
			t.Errorf("%v: %q is left", to, got)
		}
	}
}

// withDevelopmentKey marks a key of the vendor.
func withDevelopmentKey(p *policy.Policy) { p.Authorities[1].Keys[0].Development = true }

// TestDevelopmentKeys: in manufacturing, on a device that was opened for them,
// and nowhere else.
func TestDevelopmentKeys(t *testing.T) {
	_, err := rig.New(rig.Config{Policy: withDevelopmentKey})
	is(t, "without the flag", err, device.ErrDevelopment)
	c := rig.Config{Device: device.Config{Development: true}}
	r := deployed(t, c)
	is(t, "in deployed", r.PutPolicy(r.NextPolicy(withDevelopmentKey)), device.ErrDevelopment)
	c.Policy = withDevelopmentKey
	r, err = rig.New(c)
	ok(t, err)
	is(t, "into deployed", r.Lifecycle(policy.Deployed), device.ErrDevelopment)
	r.Config.Device.Development = false
	is(t, "opened without the flag", r.Restart(), device.ErrDevelopment)
	r.Config.Device.Development = true
	ok(t, r.Open())
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	ok(t, r.Lifecycle(policy.Deployed))
}

// TestPlacesStay: vault and audit area stay in manufacturing too, where regions
// may move.
func TestPlacesStay(t *testing.T) {
	r, err := rig.New(rig.Config{})
	ok(t, err)
	for name, change := range map[string]func(*policy.Policy){
		"a shorter vault":   func(p *policy.Policy) { p.Area("vault").Span.Len -= block },
		"no vault":          func(p *policy.Policy) { p.Memory.Hidden = p.Memory.Hidden[:1] },
		"another audit log": func(p *policy.Policy) { p.Area("audit").Span.Off += block; p.Area("audit").Span.Len -= block },
		"no audit log":      func(p *policy.Policy) { p.Memory.Hidden = p.Memory.Hidden[1:] },
	} {
		is(t, name, r.PutPolicy(r.NextPolicy(change)), device.ErrPolicy)
	}
	ok(t, r.PutPolicy(r.NextPolicy(func(p *policy.Policy) { p.Region("calibration").Span.Off += block })))
}

// TestNamesThatMeet: two authorities whose counters would be one are refused.
func TestNamesThatMeet(t *testing.T) {
	seen := map[uint32]string{}
	var pair [2]string
	for i := 0; pair[0] == ""; i++ {
		name := fmt.Sprintf("authority %d", i)
		h := sha256.Sum256([]byte(name))
		k := binary.LittleEndian.Uint32(h[:])
		if seen[k] != "" {
			pair = [2]string{seen[k], name}
		}
		seen[k] = name
	}
	r := deployed(t, rig.Config{})
	add := func(names ...string) *policy.Policy {
		return r.NextPolicy(func(p *policy.Policy) {
			for _, n := range names {
				key := must(rig.Person(cose.Ed25519, n)).Public().Bytes()
				p.Authorities = append(p.Authorities, policy.Authority{Name: n, Suite: policy.Ed25519, Threshold: 1, Keys: []policy.Key{{Name: n, Public: key}}})
			}
		})
	}
	is(t, "names that meet", r.PutPolicy(add(pair[:]...)), device.ErrPolicy)
	ok(t, r.PutPolicy(add(pair[0])))
}
