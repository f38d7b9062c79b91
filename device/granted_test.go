package device_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

const block = 4 << 10 // of the NOR part

// TestGrantRefused: a grant is for what the rule of the region gives to that very
// authority, inside of the region; a refused one spends nothing.
func TestGrantRefused(t *testing.T) {
	r := deployed(t, rig.Config{})
	whole := func(region string, change func(*order.GrantBody)) *order.GrantBody {
		g := r.Whole(region)
		change(g)
		return g
	}
	same := func(*order.GrantBody) {}
	ops := func(o uint8) func(*order.GrantBody) { return func(g *order.GrantBody) { g.Ops = o } }
	digests := func(n int) func(*order.GrantBody) {
		return func(g *order.GrantBody) { g.Digests = make([][32]byte, n) }
	}
	for name, c := range map[string]struct {
		who string
		g   *order.GrantBody
	}{
		"another's region":         {order.Vendor, whole("secret", same)},
		"another's read":           {order.Vendor, whole("secret", ops(order.OpRead))},
		"another's boot":           {rig.Service, whole("boot", same)},
		"operations":               {order.Operations, whole("boot", same)},
		"the owner":                {order.Owner, whole("boot", same)},
		"what is written once":     {rig.Service, whole("calibration", ops(order.OpWrite))},
		"what is never erased":     {rig.Service, whole("calibration", ops(order.OpErase))},
		"what is appended to":      {rig.Service, whole("log", ops(order.OpWrite))},
		"what every host may":      {rig.Service, whole("settings", same)},
		"no region":                {order.Vendor, whole("boot", func(g *order.GrantBody) { g.Region = 99 })},
		"a byte behind":            {order.Vendor, whole("boot", func(g *order.GrantBody) { g.Len++ })},
		"into the next":            {order.Vendor, whole("boot", func(g *order.GrantBody) { g.Off = block; g.Len = 2 * block })},
		"behind the region":        {order.Vendor, whole("boot", func(g *order.GrantBody) { g.Off = 3 * block; g.Len = block })},
		"one digest for two":       {order.Vendor, whole("boot", digests(1))},
		"three digests for two":    {order.Vendor, whole("boot", digests(3))},
		"a digest of half a block": {order.Vendor, whole("boot", func(g *order.GrantBody) { g.Len = block / 2; digests(1)(g) })},
	} {
		before, err := r.Device.Challenge(c.who, order.ClassOperate)
		ok(t, err)
		_, _, err = r.Grant(c.who, c.g)
		is(t, name, err, device.ErrNotAllowed)
		if after, err := r.Device.Challenge(c.who, order.ClassOperate); err != nil || after != before {
			t.Errorf("%s: spent, %v", name, err)
		}
	}
}

// TestGrantInState: the rule of the lifecycle state counts.
func TestGrantInState(t *testing.T) {
	r, err := rig.New(rig.Config{Policy: func(p *policy.Policy) {
		a := p.Region("boot").Access
		a.Write, a.Erase = policy.Rule{}, policy.Rule{}
		p.Region("boot").In = map[policy.State]policy.Access{policy.Deployed: a}
	}})
	ok(t, err)
	_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ok(t, r.Lifecycle(policy.Deployed))
	_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
	is(t, "never in deployed", err, device.ErrNotAllowed)
}

// TestGrantLimits: a session programs and erases what its grant says, where it
// says so.
func TestGrantLimits(t *testing.T) {
	r := deployed(t, rig.Config{})
	g := r.Whole("boot")
	g.Len, g.Bytes, g.Erases = block, 256, 1
	h, _, err := r.Grant(order.Vendor, g)
	ok(t, err)
	at := r.Policy.Region("boot").Span.Off
	is(t, "beside the span", h.Erase(at+block, block), nanolock.ErrDenied)
	ok(t, h.Erase(at, block))
	is(t, "a second erase", h.Erase(at, block), nanolock.ErrDenied)
	_, err = h.WriteAt(make([]byte, 256), at)
	ok(t, err)
	_, err = h.WriteAt(make([]byte, 1), at+256)
	is(t, "a byte too many", err, nanolock.ErrDenied)
}

// TestGrantContent: a grant with digests is for that content alone.
func TestGrantContent(t *testing.T) {
	r := deployed(t, rig.Config{Sim: rig.ECCNOR()})
	good, at := bytes.Repeat([]byte("good"), block/4), r.Policy.Region("boot").Span.Off
	g := r.Whole("boot")
	g.Off, g.Len, g.Digests = block, block, [][32]byte{sha256.Sum256(good)}
	h, _, err := r.Grant(order.Vendor, g)
	ok(t, err)
	ok(t, h.Erase(at+block, block))
	_, err = h.WriteAt(bytes.Repeat([]byte("evil"), block/4), at+block)
	is(t, "other content", err, nanolock.ErrDenied)
	_, err = h.WriteAt(good, at+block)
	ok(t, err)
}

// TestSessionEnds: whatever ends a session, its handle has ended when the call
// returns.
func TestSessionEnds(t *testing.T) {
	spare := must(rig.Person(cose.Ed25519, "spare"))
	for name, end := range map[string]func(*rig.Rig) error{
		"its time":  func(r *rig.Rig) error { r.Tick(600); return nil },
		"a reset":   func(r *rig.Rig) error { return r.Device.HostReset(ctx) },
		"a freeze":  func(r *rig.Rig) error { return r.Device.Freeze(ctx) },
		"transfer":  func(r *rig.Rig) error { return r.NewOwner(order.Transfer, "bob") },
		"rma":       func(r *rig.Rig) error { return r.Lifecycle(policy.RMA) },
		"the close": func(r *rig.Rig) error { return r.Device.Close() },
		"a revoked key": func(r *rig.Rig) error {
			_, err := r.Do(order.Owner, order.Keys, &order.KeysBody{Revoke: [][32]byte{spare.Public().ID()}})
			return err
		},
		"a freeze that is over": func(r *rig.Rig) error {
			ok(t, r.Device.Freeze(ctx))
			_, err := r.Do(order.Operations, order.Thaw, &order.ThawBody{})
			return err
		},
	} {
		r := deployed(t, rig.Config{Policy: func(p *policy.Policy) {
			for i := range p.Authorities {
				if p.Authorities[i].Name == order.Vendor {
					p.Authorities[i].Keys = append(p.Authorities[i].Keys, policy.Key{Name: "spare", Public: spare.Public().Bytes()})
				}
			}
		}})
		h, id, err := r.Grant(order.Vendor, r.Whole("boot"))
		ok(t, err)
		r.Tick(599)
		ok(t, h.Erase(0, block))
		r.Now -= 599
		ok(t, end(r))
		if err := h.Erase(0, block); !errors.Is(err, nanolock.ErrEnded) && !errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Device.Session(id); !errors.Is(err, device.ErrSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSessionsAreBounded: sixteen at a time; one that ends makes room.
func TestSessionsAreBounded(t *testing.T) {
	r := deployed(t, rig.Config{})
	for range 16 {
		_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
		ok(t, err)
	}
	_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	is(t, "a seventeenth", err, device.ErrBusy)
	r.Tick(600)
	_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
}
