package order_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
)

// FuzzOpen: nobody without the keys makes a message that opens, but for the ones
// that were signed here.
func FuzzOpen(f *testing.F) {
	names := map[[32]byte]bool{}
	k := ring(f, cose.Ed25519)
	for _, kind := range kinds {
		msg := signed(f, cose.Ed25519, sampleOrder(f, kind))
		names[mustOpen(f, k, msg).Digest] = true
		f.Add(msg)
	}
	leaf := batchLeaf(f, 1, signer(cose.Ed25519, ownerKey), fleet(1)[0], sampleOrder(f, order.Keys))
	names[mustOpen(f, k, leaf).Digest] = true
	f.Add(leaf)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := k.Open(b, device, epoch)
		if err != nil {
			oneKind(t, err)
		} else if !names[v.Digest] || v.Device != device || v.Epoch != epoch || len(v.Signers) == 0 {
			t.Errorf("opened %+v", v)
		}
		if _, _, _, err := order.OpenPolicy(b, device); err != nil {
			oneKind(t, err)
		}
	})
}

// FuzzOrder: what Parse takes has one encoding, which is its input.
func FuzzOrder(f *testing.F) {
	for _, kind := range kinds {
		f.Add(marshal(f, sampleOrder(f, kind)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := order.Parse(b)
		if err != nil {
			refused(t, err, order.ErrMalformed)
			return
		}
		if again := marshal(t, o); !bytes.Equal(again, b) || cbor.Valid(b) != nil {
			t.Fatalf("%x\nbecame %x", b, again)
		}
	})
}

// FuzzReport: what ParseReport takes has one encoding of its claims.
func FuzzReport(f *testing.F) {
	for _, r := range []*order.Report{sampleReport(cose.Ed25519), certificate(cose.Ed25519)} {
		f.Add(parse(f, signReport(f, cose.Ed25519, r)).Payload())
	}
	key := signer(cose.Ed25519, deviceKey).Public()
	f.Fuzz(func(t *testing.T, claims []byte) {
		msg := sealed(t, claims, cose.Report, signer(cose.Ed25519, deviceKey))
		r, err := order.ParseReport(msg)
		if err != nil {
			refused(t, err, order.ErrMalformed)
			return
		}
		if r.Device == order.DeviceID(key.ID()) {
			again, err := order.SignReport(t.Context(), r, identity{suite: cose.Ed25519, n: deviceKey})
			if err != nil || !bytes.Equal(again, msg) {
				t.Fatalf("%x\nbecame %x (%v)", msg, again, err)
			}
		} else {
			refused(t, second(order.OpenReport(msg, key, nil)), order.ErrUnverified)
		}
	})
}

// FuzzParseReport: any bytes as a signed report.
func FuzzParseReport(f *testing.F) {
	key := signer(cose.Ed25519, deviceKey).Public()
	want := sampleReport(cose.Ed25519)
	f.Add(signReport(f, cose.Ed25519, want))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if _, err := order.ParseReport(msg); err != nil {
			oneKind(t, err)
		}
		if r, err := order.OpenReport(msg, key, nil); err != nil {
			oneKind(t, err)
		} else if !reflect.DeepEqual(r, want) {
			t.Errorf("opened %+v", r)
		}
	})
}

// FuzzParseRequest and FuzzParseReply: a message on the courier port has one
// encoding.
func FuzzParseRequest(f *testing.F) {
	for _, r := range sampleRequests() {
		f.Add(marshal(f, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := order.ParseRequest(b)
		if err != nil {
			refused(t, err, order.ErrMalformed)
			return
		}
		if again := marshal(t, r); !bytes.Equal(again, b) || cbor.Valid(b) != nil {
			t.Fatalf("%x\nbecame %x", b, again)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	for _, r := range sampleReplies() {
		f.Add(marshal(f, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := order.ParseReply(b)
		if err != nil {
			refused(t, err, order.ErrMalformed)
			return
		}
		if again := marshal(t, r); !bytes.Equal(again, b) || cbor.Valid(b) != nil {
			t.Fatalf("%x\nbecame %x", b, again)
		}
	})
}
