package order_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// TestOpenOrder: what is wrong is looked for in the order in which Open says.
// Each message has all the faults from one place on.
func TestOpenOrder(t *testing.T) {
	k := ring(t, cose.Ed25519)
	stranger := signer(cose.Ed25519, strangerKey)
	spoil := func(change func(*order.Order)) []byte {
		o := sampleOrder(t, order.Policy)
		change(o)
		return sign(t, o, stranger)
	}
	authority := func(o *order.Order) { o.Authority = service }
	old := func(o *order.Order) { authority(o); o.Epoch-- }
	foreign := func(o *order.Order) { old(o); o.Device[0]++ }
	// A body that is one item of CBOR, and no policy order's.
	noBody := bytes.Replace(marshal(t, sampleOrder(t, order.Thaw)), []byte{7, 0xa0}, []byte{7, 0xf5}, 1)
	operations := signer(cose.Ed25519, operationsKey)
	for _, c := range []struct {
		name string
		msg  []byte
		err  error
	}{
		{"size", make([]byte, order.MaxMessage+1), order.ErrMalformed},
		{"shape", append(spoil(foreign), 0), order.ErrMalformed},
		{"device", spoil(foreign), order.ErrForeign},
		{"epoch", spoil(old), order.ErrEpoch},
		{"authority", spoil(authority), order.ErrAuthority},
		{"signature", spoil(func(*order.Order) {}), order.ErrSignature},
		{"body, not signed", sealed(t, noBody, cose.Order, stranger), order.ErrSignature},
		{"body", sealed(t, noBody, cose.Order, operations), order.ErrMalformed},
	} {
		_, err := k.Open(c.msg, device, epoch)
		if err == nil || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		oneKind(t, err)
	}
	if _, err := k.Open(nil, device, epoch); !errors.Is(err, order.ErrMalformed) {
		t.Error(err)
	}
	if _, err := k.Open(spoil(authority), order.DeviceID{}, epoch); !errors.Is(err, order.ErrForeign) {
		t.Error("the zero device gets orders", err)
	}
}

func TestOpenPolicyRefuses(t *testing.T) {
	owner := signer(cose.Ed25519, ownerKey)
	with := func(p *policy.Policy) *order.Order {
		o := sampleOrder(t, order.Policy)
		o.Body = &order.PolicyBody{Policy: policyBytes(t, p)}
		return o
	}
	shared := sample(cose.Ed25519)
	shared.Authorities[4].Keys = shared.Authorities[0].Keys[:1]
	double := sample(cose.Ed25519)
	double.Authorities[0].Keys[1] = double.Authorities[0].Keys[0]
	nobody := sample(cose.Ed25519)
	nobody.Authorities = nobody.Authorities[1:]
	two := sample(cose.Ed25519)
	two.Authorities[0].Threshold = 2
	junk := sampleOrder(t, order.Policy)
	junk.Body = &order.PolicyBody{Policy: []byte("no policy")}
	foreign := sampleOrder(t, order.Policy)
	foreign.Device[31]++
	plain := sampleOrder(t, order.Policy)
	plain.Authority = service
	for name, c := range map[string]struct {
		msg []byte
		err error
	}{
		"nothing":             {nil, order.ErrMalformed},
		"another kind":        {sign(t, sampleOrder(t, order.Keys), owner), order.ErrMalformed},
		"another device":      {sign(t, foreign, owner), order.ErrForeign},
		"another authority":   {sign(t, plain, signer(cose.Ed25519, serviceKey)), order.ErrAuthority},
		"no policy":           {sign(t, junk, owner), order.ErrMalformed},
		"no owner":            {sign(t, with(nobody), owner), order.ErrAuthority},
		"key twice":           {sign(t, with(double), owner), order.ErrKeys},
		"owner's key shared":  {sign(t, with(shared), owner), order.ErrKeys},
		"a stranger":          {sign(t, with(sample(cose.Ed25519)), signer(cose.Ed25519, strangerKey)), order.ErrSignature},
		"too few":             {sign(t, with(two), owner), order.ErrSignature},
		"owner of now, alone": {sign(t, with(sample(cose.ESP256)), owner), order.ErrSignature},
	} {
		v, p, k, err := order.OpenPolicy(c.msg, device)
		if v != nil || p != nil || k != nil || err == nil || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		oneKind(t, err)
	}
	junk.Body = &order.PolicyBody{Policy: []byte{0xa0}}
	if msg := sealed(t, bytes.Replace(marshal(t, junk), []byte{0x41, 0xa0}, []byte{0x61, 0x61}, 1), cose.Order, owner); true {
		_, _, _, err := order.OpenPolicy(msg, device)
		refused(t, err, order.ErrMalformed)
	}
}

// TestMarshalRefuses: what cannot be read back is not written.
func TestMarshalRefuses(t *testing.T) {
	long := make([]byte, order.MaxMessage+1)
	name := strings.Repeat("x", policy.MaxName+1)
	for _, c := range []struct {
		name string
		kind order.Kind
		do   func(*order.Order)
	}{
		{"kind 0", order.Grant, func(o *order.Order) { o.Kind = 0 }},
		{"kind of a batch", order.Grant, func(o *order.Order) { o.Kind = order.Batch }},
		{"no device", order.Grant, func(o *order.Order) { o.Device = order.DeviceID{} }},
		{"nobody", order.Grant, func(o *order.Order) { o.Authority = "" }},
		{"long name", order.Grant, func(o *order.Order) { o.Authority = name }},
		{"name of no UTF-8", order.Grant, func(o *order.Order) { o.Authority = "\xff" }},
		{"name with an escape", order.Grant, func(o *order.Order) { o.Authority = "a\x1b" }},
		{"no body", order.Grant, func(o *order.Order) { o.Body = nil }},
		{"another's body", order.Grant, func(o *order.Order) { o.Body = &order.ThawBody{} }},
		{"grant with a counter", order.Grant, func(o *order.Order) { o.Fresh = order.Fresh{Counter: 1} }},
		{"grant with both", order.Grant, func(o *order.Order) { o.Fresh.Counter = 1 }},
		{"grant with half a challenge", order.Grant, func(o *order.Order) { o.Fresh.Challenge = o.Fresh.Challenge[:31] }},
		{"keys with a challenge", order.Keys, func(o *order.Order) { o.Fresh = order.Fresh{Challenge: make([]byte, 32)} }},
		{"keys with both", order.Keys, func(o *order.Order) { o.Fresh.Challenge = []byte{} }},
		{"keys with counter 0", order.Keys, func(o *order.Order) { o.Fresh.Counter = 0 }},
		{"region 0", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Region = 0 }},
		{"no operation", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Ops = 0 }},
		{"fourth operation", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Ops = 8 }},
		{"empty span", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Len = 0 }},
		{"span behind the largest memory", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Off = 1<<48 - 8191 }},
		{"span that wraps", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Len = math.MaxUint64 - 4095 }},
		{"2^63 bytes", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Bytes = 1 << 63 }},
		{"no time", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Uptime = 0 }},
		{"more than a day", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Uptime = order.MaxUptime + 1 }},
		{"no digests", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Digests = [][32]byte{} }},
		{"1025 digests", order.Grant, func(o *order.Order) { o.Body.(*order.GrantBody).Digests = make([][32]byte, 1025) }},
		{"no policy", order.Policy, func(o *order.Order) { o.Body = &order.PolicyBody{} }},
		{"long policy", order.Policy, func(o *order.Order) { o.Body = &order.PolicyBody{Policy: long[:order.MaxPolicy+1]} }},
		{"neither", order.Keys, func(o *order.Order) { o.Body = &order.KeysBody{} }},
		{"both", order.Keys, func(o *order.Order) { o.Body.(*order.KeysBody).Policy = long[:1] }},
		{"nine keys", order.Keys, func(o *order.Order) { o.Body = &order.KeysBody{Revoke: make([][32]byte, 9)} }},
		{"key twice", order.Keys, func(o *order.Order) { o.Body = &order.KeysBody{Revoke: [][32]byte{fill(1), fill(2), fill(1)}} }},
		{"long rotation", order.Keys, func(o *order.Order) { o.Body = &order.KeysBody{Policy: long} }},
		{"rotation and frame too long", order.Keys, func(o *order.Order) { o.Body = &order.KeysBody{Policy: long[1:]} }},
		{"state 0", order.Lifecycle, func(o *order.Order) { o.Body = &order.LifecycleBody{} }},
		{"state 5", order.Lifecycle, func(o *order.Order) { o.Body = &order.LifecycleBody{State: 5} }},
		{"install in region 0", order.Install, func(o *order.Order) { o.Body = &order.InstallBody{} }},
		{"confirm in region 0", order.Confirm, func(o *order.Order) { o.Body = &order.ConfirmBody{} }},
		{"transfer to nobody", order.Transfer, func(o *order.Order) { o.Body = &order.TransferBody{} }},
		{"recover without policy", order.Recover, func(o *order.Order) { o.Body.(*order.RecoverBody).Policy = nil }},
		{"recover to state 0", order.Recover, func(o *order.Order) { o.Body.(*order.RecoverBody).State = 0 }},
		{"usage twice", order.Recover, func(o *order.Order) {
			o.Body.(*order.RecoverBody).Usage = []order.RegionUsage{{Region: 2}, {Region: 2}}
		}},
		{"usage of region 0", order.Recover, func(o *order.Order) { o.Body.(*order.RecoverBody).Usage[0].Region = 0 }},
		{"mark behind the largest memory", order.Recover, func(o *order.Order) { o.Body.(*order.RecoverBody).Usage[0].Mark = 1<<48 + 1 }},
		{"1025 usages", order.Recover, func(o *order.Order) { o.Body.(*order.RecoverBody).Usage = make([]order.RegionUsage, 1025) }},
		{"void of nobody's", order.Void, func(o *order.Order) { o.Body.(*order.VoidBody).Authority = "" }},
		{"void of the live class", order.Void, func(o *order.Order) { o.Body.(*order.VoidBody).Class = order.ClassLive }},
		{"void of the floor", order.Void, func(o *order.Order) { o.Body.(*order.VoidBody).Class = order.ClassFloor }},
		{"void to 0", order.Void, func(o *order.Order) { o.Body.(*order.VoidBody).To = 0 }},
		{"nonce of 7", order.Challenge, func(o *order.Order) { o.Body = &order.LiveBody{Nonce: long[:7]} }},
		{"nonce of 65", order.Challenge, func(o *order.Order) { o.Body = &order.LiveBody{Nonce: long[:65]} }},
		{"no nonce", order.Challenge, func(o *order.Order) { o.Body = &order.LiveBody{} }},
		{"heartbeat with a nonce", order.Heartbeat, func(o *order.Order) { o.Body = &order.LiveBody{Nonce: long[:8]} }},
		{"time 0", order.Time, func(o *order.Order) { o.Body = &order.TimeBody{} }},
	} {
		o := sampleOrder(t, c.kind)
		c.do(o)
		b, err := o.MarshalBinary()
		if b != nil || !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%s: %x, %v", c.name, b, err)
		}
		if m, err := order.Sign(o, signer(cose.Ed25519, ownerKey)); m != nil || !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%s: signed, %v", c.name, err)
		}
	}
}

// TestBounds: what is at a bound comes back as it was.
func TestBounds(t *testing.T) {
	k, name := ring(t, cose.Ed25519), strings.Repeat("é", policy.MaxName/2)
	for _, o := range []*order.Order{
		{Kind: order.Grant, Authority: service, Epoch: epoch, Body: &order.GrantBody{Region: math.MaxUint32, Ops: 7, Off: 1<<48 - 1, Len: 1,
			Bytes: math.MaxInt64, Erases: math.MaxUint32, Uptime: order.MaxUptime, Digests: make([][32]byte, order.MaxDigests)}, NotAfter: math.MaxUint64},
		{Kind: order.Grant, Authority: service, Epoch: epoch, Body: &order.GrantBody{Region: 1, Ops: 1, Len: 1 << 48, Uptime: 1}},
		{Kind: order.Policy, Authority: order.Owner, Epoch: epoch, Body: &order.PolicyBody{Policy: make([]byte, order.MaxPolicy)}},
		{Kind: order.Void, Authority: order.Owner, Epoch: epoch, Body: &order.VoidBody{Authority: name, To: math.MaxUint64}},
		{Kind: order.Challenge, Authority: order.Platform, Epoch: epoch, Body: &order.LiveBody{Nonce: make([]byte, order.MaxNonce)}},
		{Kind: order.Transfer, Authority: order.Owner, Epoch: epoch, Body: &order.TransferBody{Policy: make([]byte, 200<<10)}},
		{Kind: order.Recover, Authority: order.Owner, Epoch: epoch, Body: &order.RecoverBody{Policy: make([]byte, 180<<10), State: 4, Usage: usages(order.MaxUsage)}},
		{Kind: order.Keys, Authority: order.Owner, Epoch: epoch, Body: &order.KeysBody{Revoke: [][32]byte{{}, fill(1), fill(2), fill(3), fill(4), fill(5), fill(6), fill(255)}}},
	} {
		o.Device = device
		freshen(o)
		v := mustOpen(t, k, signed(t, cose.Ed25519, o))
		if !bytes.Equal(marshal(t, &v.Order), marshal(t, o)) {
			t.Errorf("%v: %+v", o.Kind, v.Order)
		}
	}
}

func usages(n int) (list []order.RegionUsage) {
	for i := range n {
		list = append(list, order.RegionUsage{Region: math.MaxUint32 - uint32(i), Erases: math.MaxUint64, Allowed: math.MaxUint64,
			Rounds: math.MaxUint64, Mark: 1 << 48, Sealed: true})
	}
	return list
}

// TestSets: what is a set has one encoding.
func TestSets(t *testing.T) {
	a, b := sampleOrder(t, order.Keys), sampleOrder(t, order.Keys)
	a.Body = &order.KeysBody{Revoke: [][32]byte{fill(2), fill(1)}}
	b.Body = &order.KeysBody{Revoke: [][32]byte{fill(1), fill(2)}}
	if !bytes.Equal(marshal(t, a), marshal(t, b)) {
		t.Error("the order of what is revoked counts")
	}
	if a.Body.(*order.KeysBody).Revoke[0] != fill(2) {
		t.Error("MarshalBinary sorts what it was given")
	}
}

// TestOpenKeepsNothing: what Open returned does not change with the message.
func TestOpenKeepsNothing(t *testing.T) {
	k := ring(t, cose.Ed25519)
	for _, kind := range kinds {
		o := sampleOrder(t, kind)
		msg := signed(t, cose.Ed25519, o)
		v := mustOpen(t, k, msg)
		clear(msg)
		if !bytes.Equal(marshal(t, &v.Order), marshal(t, o)) {
			t.Errorf("%v: changed with the message", kind)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	o := sampleOrder(t, order.Policy)
	_, err := order.Sign(o)
	refused(t, err, order.ErrMalformed)
	one := signer(cose.Ed25519, 1)
	_, err = order.Sign(o, one, one)
	refused(t, err, order.ErrSignature)
	_, err = order.Sign(o, one, signer(cose.ESP256, 1))
	refused(t, err, order.ErrSignature)
	o = sampleOrder(t, order.Transfer)
	o.Body = &order.TransferBody{Policy: make([]byte, order.MaxMessage-150)}
	_, err = order.Sign(o, one)
	refused(t, err, order.ErrMalformed)
}
