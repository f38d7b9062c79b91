package order_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/order"
)

// TestEveryBit: whichever bit of a signed order, a leaf or a report changes, and
// whichever byte is left out or doubled, it is refused (P15). A leaf's proof is
// not signed; what it proves is.
func TestEveryBit(t *testing.T) {
	k := ring(t, cose.Ed25519)
	leaf := batchLeaf(t, 2, signer(cose.Ed25519, ownerKey), fleet(2)[0], fleet(2)[1], sampleOrder(t, order.Keys), fleet(1)[0], fleet(4)[3])
	open := func(b []byte) error { return second(k.Open(b, device, epoch)) }
	key := signer(cose.Ed25519, deviceKey).Public()
	report := func(b []byte) error { return second(order.OpenReport(b, key, nil)) }
	hybrid := ring(t, cose.Ed25519MLDSA65)
	for name, c := range map[string]struct {
		msg  []byte
		open func([]byte) error
		step int // every so many bytes
	}{
		"grant":  {signed(t, cose.Ed25519, sampleOrder(t, order.Grant)), open, 1},
		"keys":   {signed(t, cose.Ed25519, sampleOrder(t, order.Keys)), open, 1},
		"void":   {sign(t, sampleOrder(t, order.Void), signer(cose.Ed25519, 1), signer(cose.Ed25519, 2)), open, 3},
		"leaf":   {leaf, open, 1},
		"report": {signReport(t, cose.Ed25519, sampleReport(cose.Ed25519)), report, 5},
		"hybrid": {signed(t, cose.Ed25519MLDSA65, sampleOrder(t, order.Thaw)), func(b []byte) error { return second(hybrid.Open(b, device, epoch)) }, 7},
	} {
		if err := c.open(c.msg); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		refuse := func(what string, at int, b []byte) {
			if bytes.Equal(b, c.msg) {
				return
			}
			if err := c.open(b); err == nil {
				t.Errorf("%s: %s byte %d: accepted", name, what, at)
			} else {
				oneKind(t, err)
			}
		}
		for i := 0; i < len(c.msg); i += c.step {
			for bit := range 8 {
				b := bytes.Clone(c.msg)
				b[i] ^= 1 << bit
				refuse("bit of", i, b)
			}
			refuse("without", i, append(bytes.Clone(c.msg[:i]), c.msg[i+1:]...))
			refuse("twice", i, append(bytes.Clone(c.msg[:i+1]), c.msg[i:]...))
			refuse("up to", i, c.msg[:i])
		}
	}
}

// TestEveryByte: no byte of a small order can have another value. The short run
// tries every ninth, others at each byte.
func TestEveryByte(t *testing.T) {
	step := 9
	if testdeps.Long() {
		step = 1
	}
	k := ring(t, cose.Ed25519)
	msg := signed(t, cose.Ed25519, sampleOrder(t, order.Thaw))
	for i := range msg {
		for v := i % step; v < 256; v += step {
			b := bytes.Clone(msg)
			if b[i] = byte(v); v == int(msg[i]) {
				continue
			}
			if _, err := k.Open(b, device, epoch); err == nil {
				t.Errorf("byte %d may be %d", i, v)
			}
		}
	}
}

// TestCross: an order opens for its own device, epoch and policy, and for no
// other (P22).
func TestCross(t *testing.T) {
	other := order.DeviceID(fill(0xd2))
	strangers := sample(cose.Ed25519)
	for i := range strangers.Authorities {
		strangers.Authorities[i] = authority(cose.Ed25519, strangers.Authorities[i].Name, 1, byte(100+i))
	}
	stranger := keyring(t, strangers)
	k := ring(t, cose.Ed25519)
	for _, kind := range kinds {
		o := sampleOrder(t, kind)
		alone := signed(t, cose.Ed25519, o)
		msgs := [][]byte{alone}
		if order.MaySign(order.Owner, kind) {
			o.Authority = order.Owner
			msgs = append(msgs, batchLeaf(t, 1, signer(cose.Ed25519, 2), fleet(1)[0], o))
		}
		for _, m := range msgs {
			refused(t, second(k.Open(m, other, epoch)), order.ErrForeign)
			refused(t, second(k.Open(m, device, epoch+1)), order.ErrEpoch)
			refused(t, second(k.Open(m, device, epoch-1)), order.ErrEpoch)
			refused(t, second(stranger.Open(m, device, epoch)), order.ErrSignature)
			refused(t, second(ring(t, cose.ESP256).Open(m, device, epoch)), order.ErrSignature)
			mustOpen(t, k, m)
		}
	}
}

// TestCrossSuites: an order opens under the suite that the policy pins, and under
// no other.
func TestCrossSuites(t *testing.T) {
	for _, s := range suites {
		msg := signed(t, s, sampleOrder(t, order.Grant))
		for _, r := range suites {
			if _, err := ring(t, r).Open(msg, device, epoch); (r == s) != (err == nil) {
				t.Errorf("signed in %v opens in %v: %v", s, r, err)
			} else if err != nil {
				refused(t, err, order.ErrSignature)
			}
		}
	}
}

// TestHalves: a hybrid's half alone is nobody's, in either direction.
func TestHalves(t *testing.T) {
	k := ring(t, cose.Ed25519MLDSA65)
	o := sampleOrder(t, order.Policy)
	for _, s := range []cose.Suite{cose.Ed25519, cose.MLDSA65} {
		refused(t, second(k.Open(sign(t, o, signer(s, ownerKey)), device, epoch)), order.ErrSignature)
	}
	whole := parse(t, sign(t, o, signer(cose.Ed25519MLDSA65, ownerKey)))
	if ids := whole.KeyIDs(); len(ids) != 2 || reflect.DeepEqual(ids[0], ids[1]) {
		t.Errorf("%x", ids)
	}
}
