package order_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// spent is how many bytes f allocates, at most, in several runs.
func spent(f func()) (most uint64) {
	f()
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		most = max(most, after.TotalAlloc-before.TotalAlloc)
	}
	return most
}

// Bounds on what a message costs before it is authenticated.
const (
	claimCost = 16 << 10 // before any signature was looked at
	plainCost = 64 << 10 // with signatures looked at: orders without a policy
)

// stripped is msg with the signature of its last signer spoilt.
func stripped(msg []byte) []byte {
	msg = bytes.Clone(msg)
	msg[len(msg)-1] ^= 1
	return msg
}

// padded is an order of which the body is n bytes of nothing, which nobody but
// the reader of the body can tell.
func padded(t testing.TB, k order.Kind, n int) []byte {
	t.Helper()
	o := sampleOrder(t, order.Thaw)
	o.Kind, o.Authority = order.Grant, service
	o.Body = &order.GrantBody{Region: 1, Ops: 1, Len: 1, Uptime: 1}
	p := marshal(t, o)
	at := bytes.Index(p, []byte{7, 0xa7})
	p = cbor.AppendBytes(p[:at+1:at+1], make([]byte, n))
	p[4] = byte(k)
	return p
}

// TestHostileClaimsCostNothing: what is refused before a signature was looked at
// costs a fixed sum, whatever it claims and however long it is.
func TestHostileClaimsCostNothing(t *testing.T) {
	k, owner := ring(t, cose.Ed25519), signer(cose.Ed25519, ownerKey)
	long := make([]byte, order.MaxMessage)
	frame := "\xd8\x62\x84\x40\xa0"
	foreign := sampleOrder(t, order.Transfer)
	foreign.Device[0]++
	foreign.Body = &order.TransferBody{Policy: long[:200<<10]}
	old := sampleOrder(t, order.Policy)
	old.Epoch++
	old.Body = &order.PolicyBody{Policy: long[:order.MaxPolicy]}
	env := sealed(t, batchPayload(long[:32], 1<<24), cose.Batch, owner)
	for name, msg := range map[string][]byte{
		"payload of 2^64−1":             []byte(frame + "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"2^64−1 signatures":             []byte(frame + "\x40\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"batch of 2^32 bytes":           []byte("\x84\x5b\x00\x00\x00\x01\x00\x00\x00\x00"),
		"path of 2^32":                  append(carry(env, long[:64], 0)[:len(env)+3+66+1], 0x9a, 0xff, 0xff, 0xff, 0xff),
		"16 MiB":                        make([]byte, 16<<20),
		"nothing, as long as it may be": make([]byte, order.MaxMessage),
		"nothing as an order":           sealed(t, long[:order.MaxMessage-512], cose.Order, owner),
		"for another device":            sign(t, foreign, owner),
		"of another epoch":              sign(t, old, owner),
		"a long grant":                  sealed(t, padded(t, order.Grant, 100<<10), cose.Order, signer(cose.Ed25519, serviceKey)),
		"a long leaf":                   carry(env, padded(t, order.Grant, 200<<10), 0),
		"a leaf of another batch":       carry(env, marshal(t, sampleOrder(t, order.Transfer)), 0, make([][32]byte, 24)...),
		"by a stranger, 200 KiB":        sealed(t, marshal(t, &order.Order{Kind: order.Transfer, Device: device, Epoch: epoch, Authority: order.Owner, Fresh: order.Fresh{Challenge: long[:32]}, Body: &order.TransferBody{Policy: long[:200<<10]}}), cose.Order, signer(cose.Ed25519, strangerKey)),
	} {
		n := spent(func() {
			if _, err := k.Open(msg, device, epoch); err == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		if n > claimCost {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// TestUnverifiedCost: a bad signature of a key that is trusted costs the payload
// once more. The longest plain order stays within 64 KiB; one that carries a
// policy costs its own length.
func TestUnverifiedCost(t *testing.T) {
	for _, s := range suites {
		k := ring(t, s)
		grant := sampleOrder(t, order.Grant)
		grant.Body.(*order.GrantBody).Digests = make([][32]byte, order.MaxDigests)
		transfer := sampleOrder(t, order.Transfer)
		transfer.Body = &order.TransferBody{Policy: make([]byte, 200<<10)}
		for _, o := range []*order.Order{grant, transfer} {
			msg := stripped(signed(t, s, o))
			most := uint64(plainCost)
			if o == transfer {
				most += uint64(len(msg))
			}
			n := spent(func() {
				_, err := k.Open(msg, device, epoch)
				refused(t, err, order.ErrSignature)
			})
			if n > most {
				t.Errorf("%v: %v: %d bytes allocated", s, o.Kind, n)
			}
		}
	}
}

// policyCost bounds what OpenPolicy allocates for a message that is not
// authenticated: docs/wire/order.md says so.
const policyCost = 5 << 20

// TestOpenPolicyCost: the densest policies of 64 KiB, in regions and in keys.
func TestOpenPolicyCost(t *testing.T) {
	owner := signer(cose.Ed25519, ownerKey)
	regions := &policy.Policy{Authorities: []policy.Authority{authority(cose.Ed25519, order.Owner, 1, ownerKey)}}
	for range 6500 { // of 10 bytes each
		regions.Map = append(regions.Map, policy.Region{ID: 1, Name: "r", Span: nvm.Span{Len: 1}})
	}
	states := &policy.Policy{Authorities: regions.Authorities}
	for range 4650 { // of 14
		states.Map = append(states.Map, policy.Region{ID: 1, Name: "r", Span: nvm.Span{Len: 1}, In: map[policy.State]policy.Access{1: {}}})
	}
	keys := &policy.Policy{Authorities: []policy.Authority{authority(cose.Ed25519, order.Owner, 1, ownerKey)}}
	for n := byte(10); len(policyBytes(t, keys)) < order.MaxPolicy-3000; n++ {
		keys.Authorities = append(keys.Authorities, authority(cose.MLDSA65, fmt.Sprint("vendor", n), 1, n))
	}
	many := &policy.Policy{Authorities: []policy.Authority{authority(cose.MLDSA65, order.Owner, 1, 10)}}
	for n := byte(11); len(policyBytes(t, many)) < order.MaxPolicy-3000 && len(many.Authorities[0].Keys) < policy.MaxKeys; n++ {
		many.Authorities[0].Keys = append(many.Authorities[0].Keys, authority(cose.MLDSA65, "", 1, n).Keys...)
	}
	for name, c := range map[string]struct {
		p   *policy.Policy
		who *cose.Signer
	}{"regions": {regions, owner}, "states": {states, owner}, "keys": {keys, owner}, "owner's keys": {many, signer(cose.MLDSA65, 10)}} {
		o := sampleOrder(t, order.Policy)
		b := policyBytes(t, c.p)
		if len(b) > order.MaxPolicy || len(b) < order.MaxPolicy-4000 {
			t.Fatalf("%s: %d bytes", name, len(b))
		}
		o.Body = &order.PolicyBody{Policy: b}
		msg := stripped(sign(t, o, c.who))
		n := spent(func() {
			_, _, _, err := order.OpenPolicy(msg, device)
			refused(t, err, order.ErrSignature)
		})
		t.Logf("%s: a policy of %d bytes costs %d", name, len(b), n)
		if n > policyCost {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// TestMessagesCost: what claims much on the courier port, or as a report, costs
// no more than it is long.
func TestMessagesCost(t *testing.T) {
	for name, b := range map[string][]byte{
		"request": []byte("\x82\x01\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"block":   []byte("\x82\x06\x83\x01\x01\x5a\x00\x10\x00\x00"),
		"reply":   []byte("\x84\x05\x00\x60\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"runs":    append([]byte("\x84\x05\x00\x60\x99\x04\x00"), make([]byte, 1024)...),
		"report":  sealed(t, []byte("\xb8\x20\x19\x01\x11\x99\x10\x00"), cose.Report, signer(cose.Ed25519, 1)),
	} {
		n := spent(func() {
			_, e1 := order.ParseRequest(b)
			_, e2 := order.ParseReply(b)
			_, e3 := order.ParseReport(b)
			if e1 == nil || e2 == nil || e3 == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		if n > claimCost {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}
