package order_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// negative is a line of testdata/refused.txt.
type negative struct {
	by, err string
	msg     []byte
	what    string
}

// edited is the payload of a sample order with the value of one key replaced, or
// with a key more; value "" takes the key out.
func edited(t testing.TB, k order.Kind, key int64, value string) []byte {
	t.Helper()
	d := cbor.NewDecoder(marshal(t, sampleOrder(t, k)))
	at := cbor.AppendInt(nil, key)
	var pairs []cbor.Entry
	for range d.Map(16) {
		if e := (cbor.Entry{Key: d.Raw(), Value: d.Raw()}); !bytes.Equal(e.Key, at) {
			pairs = append(pairs, e)
		}
	}
	if value != "" {
		pairs = append(pairs, cbor.Entry{Key: at, Value: unhex(t, value)})
	}
	b, err := cbor.AppendEntries(nil, pairs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// negatives are all lines.
func negatives(t testing.TB) []negative {
	t.Helper()
	return slices.Concat(badFrames(t), badPayloads(t), badBodies(t), badSigners(t), badBatches(t), badPolicies(t), badReports(t), badMessages(t))
}

// badFrames are wrong around the payload.
func badFrames(t testing.TB) (list []negative) {
	owner := signer(cose.Ed25519, ownerKey)
	good := sign(t, sampleOrder(t, order.Keys), owner)
	body := good[len("\xd8\x62\x84\x40\xa0"):]
	for _, c := range []struct {
		what string
		msg  []byte
	}{
		{"nothing", nil},
		{"a payload without an envelope", marshal(t, sampleOrder(t, order.Keys))},
		{"without the tag", good[2:]},
		{"tag 18 in place of 98", append([]byte{0xd2}, good[2:]...)},
		{"tag in a long form", append([]byte{0xd9, 0, 0x62}, good[2:]...)},
		{"a byte behind", append(bytes.Clone(good), 0)},
		{"cut short by a byte", good[:len(good)-1]},
		{"an unprotected header", append([]byte("\xd8\x62\x84\x40\xa1\x05\x40"), body...)},
		{"a protected header of the body", append([]byte("\xd8\x62\x84\x41\xa0\xa0"), body...)},
		{"an array of indefinite length", append(append([]byte("\xd8\x62\x9f\x40\xa0"), body...), 0xff)},
	} {
		list = append(list, negative{"open", "malformed", c.msg, c.what})
	}
	return list
}

// badPayloads are signed by the owner, and are no orders.
func badPayloads(t testing.TB) (list []negative) {
	h := strings.Repeat("d1", 32)
	for _, c := range []struct {
		err, what string
		payload   []byte
	}{
		{"malformed", "an empty payload", nil},
		{"malformed", "version 2", edited(t, order.Keys, 1, "02")},
		{"malformed", "no version", edited(t, order.Keys, 1, "")},
		{"malformed", "kind 0", edited(t, order.Keys, 2, "00")},
		{"malformed", "kind 11", edited(t, order.Keys, 2, "0b")},
		{"malformed", "kind 64 as an order", edited(t, order.Keys, 2, "1840")},
		{"malformed", "kind 259, which is 3 in a byte", edited(t, order.Keys, 2, "190103")},
		{"malformed", "a device of 31 bytes", edited(t, order.Keys, 3, "581f"+h[:62])},
		{"malformed", "the zero device", edited(t, order.Keys, 3, "5820"+strings.Repeat("00", 32))},
		{"foreign", "another device", edited(t, order.Keys, 3, "5820"+h[:62]+"d2")},
		{"malformed", "an epoch of 33 bits", edited(t, order.Keys, 4, "1b0000000100000003")},
		{"epoch", "the epoch before", edited(t, order.Keys, 4, "02")},
		{"epoch", "the next epoch", edited(t, order.Keys, 4, "04")},
		{"malformed", "no authority", edited(t, order.Keys, 5, "")},
		{"malformed", "an authority without a name", edited(t, order.Keys, 5, "60")},
		{"malformed", "an authority with a control character", edited(t, order.Keys, 5, "6207"+"6f")},
		{"malformed", "an authority as bytes", edited(t, order.Keys, 5, "456f776e6572")},
		{"authority", "keys in the name of operations", edited(t, order.Keys, 5, "6a6f7065726174696f6e73")},
		{"malformed", "keys with a challenge", edited(t, order.Keys, 6, "82015820"+h)},
		{"malformed", "lifecycle with a counter", edited(t, order.Lifecycle, 6, "82001829")},
		{"malformed", "counter 0", edited(t, order.Keys, 6, "820000")},
		{"malformed", "a counter in a long form", edited(t, order.Keys, 6, "8200190029")},
		{"malformed", "a challenge of 31 bytes", edited(t, order.Lifecycle, 6, "8201581f"+h[:62])},
		{"malformed", "fresh of kind 2", edited(t, order.Keys, 6, "820200")},
		{"malformed", "no body", edited(t, order.Keys, 7, "")},
		{"malformed", "a body with a float", edited(t, order.Keys, 7, "a102f90000")},
		{"malformed", "a body of nine levels", edited(t, order.Keys, 7, "a10281818181818181"+"00")},
		{"malformed", "a body with keys out of order", edited(t, order.Keys, 7, "a202000100")},
		{"malformed", "not-after of 0", edited(t, order.Keys, 8, "00")},
		{"malformed", "key 9", edited(t, order.Keys, 9, "00")},
		{"malformed", "key -1", edited(t, order.Keys, -1, "00")},
		{"malformed", "a key twice", append(append([]byte{0xa9}, marshal(t, sampleOrder(t, order.Keys))[1:]...), 7, 0xa0, 7, 0xa0)},
		{"malformed", "a byte behind the payload", append(marshal(t, sampleOrder(t, order.Keys)), 0)},
		{"malformed", "a tagged payload", append([]byte{0xc1}, marshal(t, sampleOrder(t, order.Keys))...)},
	} {
		list = append(list, negative{"open", c.err, sealed(t, c.payload, cose.Order, signer(cose.Ed25519, ownerKey)), c.what})
	}
	return list
}

// badBodies are signed by who may sign them.
func badBodies(t testing.TB) (list []negative) {
	h := "5820" + strings.Repeat("05", 32)
	grant := "a7010102010300040105000600"
	for _, c := range []struct {
		kind       order.Kind
		body, what string
	}{
		{order.Grant, grant, "a grant without uptime"},
		{order.Grant, grant + "0700", "a grant for no time"},
		{order.Grant, grant + "071a00015181", "a grant for more than a day"},
		{order.Grant, strings.Replace(grant, "0201", "0208", 1) + "0701", "a grant of a fourth operation"},
		{order.Grant, strings.Replace(grant, "0101", "0100", 1) + "0701", "a grant for region 0"},
		{order.Grant, strings.Replace(grant, "0300", "031b0001000000000000", 1) + "0701", "a grant behind the largest memory"},
		{order.Grant, "a8" + grant[2:] + "07010880", "a grant with an empty list of digests"},
		{order.Grant, "a8" + grant[2:] + "07010981" + h, "a grant with key 9"},
		{order.Policy, "a10140", "an empty policy"},
		{order.Keys, "a0", "keys that neither rotate nor revoke"},
		{order.Keys, "a201410002" + "81" + h, "keys that rotate and revoke"},
		{order.Keys, "a10282" + h + h, "a key revoked twice"},
		{order.Keys, "a10289" + strings.Repeat(h, 9), "nine keys revoked"},
		{order.Lifecycle, "a10100", "lifecycle state 0"},
		{order.Lifecycle, "a10105", "lifecycle state 5"},
		{order.Thaw, "a10100", "a thaw with a key"},
		{order.Thaw, "80", "a thaw with an array"},
		{order.Install, "a201000258" + h[2:], "an install in region 0"},
		{order.Install, "a101" + "01", "an install of nothing"},
		{order.Confirm, "a30101" + "02" + h + "034f" + strings.Repeat("00", 15), "a confirm with a boot id of 15 bytes"},
		{order.Transfer, "a0", "a transfer to nobody"},
		{order.Recover, "a20141000200", "a recovery to state 0"},
		{order.Recover, "a301410002020380", "a recovery with an empty list"},
		{order.Recover, "a3014100020203" + "8286020000000" + "0f486010000000" + "0f4", "a recovery with regions out of order"},
		{order.Void, "a3016561756469740" + "2020301", "a void of class 2"},
		{order.Void, "a301656f776e65720207" + "0301", "a void of the live class"},
		{order.Void, "a301656f776e65720200" + "0300", "a void to 0"},
		{order.Challenge, "a0", "a challenge without a nonce"},
		{order.Challenge, "a10147" + strings.Repeat("00", 7), "a nonce of 7 bytes"},
		{order.Heartbeat, "a10148" + strings.Repeat("00", 8), "a heartbeat with a nonce"},
		{order.Time, "a10100", "time 0"},
		{order.Time, "a10120", "time before 1970"},
	} {
		who := signer(cose.Ed25519, keyOf[signerOf(c.kind)])
		list = append(list, negative{"open", "malformed", sealed(t, edited(t, c.kind, 7, c.body), cose.Order, who), c.what})
	}
	return list
}

// badSigners are sound orders of who may not sign them.
func badSigners(t testing.TB) (list []negative) {
	s := cose.Ed25519
	keys := sampleOrder(t, order.Keys)
	as := func(k order.Kind, who string) []byte {
		o := sampleOrder(t, k)
		o.Authority = who
		return signed(t, s, o)
	}
	void := sampleOrder(t, order.Void)
	void.Authority, void.Body = order.Operations, &order.VoidBody{Authority: order.Owner, Class: order.ClassOperate, To: 9}
	other := sampleOrder(t, order.Keys)
	other.Fresh.Counter++
	mixed := parse(t, sign(t, other, signer(s, 2)))
	swapped := append(bytes.Clone(sign(t, keys, signer(s, 2))[:len(sign(t, keys, signer(s, 2)))-64]), marshal(t, mixed)[len(marshal(t, mixed))-64:]...)
	for _, c := range []struct {
		err, what string
		msg       []byte
	}{
		{"authority", "a policy by the platform", as(order.Policy, order.Platform)},
		{"authority", "a grant by the platform", as(order.Grant, order.Platform)},
		{"authority", "an install by the owner", as(order.Install, order.Owner)},
		{"authority", "a thaw by the owner", as(order.Thaw, order.Owner)},
		{"authority", "a heartbeat by operations", as(order.Heartbeat, order.Operations)},
		{"authority", "a transfer by a named authority", as(order.Transfer, service)},
		{"authority", "operations void a counter of the owner", signed(t, s, void)},
		{"signature", "keys by a stranger", sign(t, keys, signer(s, strangerKey))},
		{"signature", "keys by operations, in the owner's name", sign(t, keys, signer(s, operationsKey))},
		{"signature", "keys by the owner and a stranger", sign(t, keys, signer(s, ownerKey), signer(s, strangerKey))},
		{"signature", "keys in another suite", sign(t, keys, signer(cose.ESP256, ownerKey))},
		{"signature", "keys by half of a hybrid", sign(t, keys, signer(cose.MLDSA65, ownerKey))},
		{"signature", "keys with the signature of other keys", swapped},
		{"signature", "keys in the domain of batches", sealed(t, marshal(t, keys), cose.Batch, signer(s, ownerKey))},
		{"signature", "keys in the domain of reports", sealed(t, marshal(t, keys), cose.Report, signer(s, ownerKey))},
		{"signature", "keys with a signature that has one bit wrong", stripped(signed(t, s, keys))},
	} {
		list = append(list, negative{"open", c.err, c.msg, c.what})
	}
	return list
}

func badBatches(t testing.TB) []negative {
	owner := signer(cose.Ed25519, ownerKey)
	o := sampleOrder(t, order.Keys)
	leaf, sibling := leafHash(marshal(t, o)), fill(0x51)
	root := nodeHash(leaf, sibling)
	env := sealed(t, batchPayload(root[:], 2), cose.Batch, owner)
	thaw := sampleOrder(t, order.Thaw)
	orders := batchOrders(t)
	return []negative{
		{"open", "signature", carry(env, marshal(t, o), 1, sibling), "a leaf on the other side"},
		{"open", "signature", carry(env, marshal(t, o), 0), "a leaf without its path"},
		{"open", "signature", carry(env, marshal(t, o), 0, sibling, sibling), "a leaf with a path that is too long"},
		{"open", "malformed", carry(env, marshal(t, o), 2, sibling), "leaf 2 of 2"},
		{"open", "malformed", append(carry(env, marshal(t, o), 0, sibling), 0), "a byte behind a leaf"},
		{"open", "malformed", env, "the envelope of a batch alone"},
		{"open", "foreign", batchLeaf(t, 0, owner, orders...), "the leaf of another device"},
		{"open", "authority", forgedBatch(t, thaw, signer(cose.Ed25519, operationsKey)), "a batch by operations"},
		{"open", "signature", forgedBatch(t, o, signer(cose.Ed25519, strangerKey)), "a batch by a stranger"},
	}
}

func badPolicies(t testing.TB) []negative {
	owner := signer(cose.Ed25519, ownerKey)
	with := func(do func(*policy.Policy)) []byte {
		p, o := sample(cose.Ed25519), sampleOrder(t, order.Policy)
		do(p)
		o.Body = &order.PolicyBody{Policy: policyBytes(t, p)}
		return sign(t, o, owner)
	}
	junk := sampleOrder(t, order.Policy)
	junk.Body = &order.PolicyBody{Policy: []byte{0xa1, 1, 2}}
	return []negative{
		{"open-policy", "malformed", sign(t, sampleOrder(t, order.Keys), owner), "an order of another kind"},
		{"open-policy", "malformed", sign(t, junk, owner), "a policy of another format"},
		{"open-policy", "keys", with(func(p *policy.Policy) { p.Authorities[4].Keys = p.Authorities[0].Keys[:1] }), "a key of the owner in another authority"},
		{"open-policy", "keys", with(func(p *policy.Policy) { p.Authorities[0].Keys[2] = p.Authorities[0].Keys[1] }), "a key of the owner twice"},
		{"open-policy", "authority", with(func(p *policy.Policy) { p.Authorities = p.Authorities[1:] }), "a policy without an owner"},
		{"open-policy", "signature", with(func(p *policy.Policy) { p.Authorities[0].Threshold = 2 }), "one signature of two"},
		{"open-policy", "signature", with(func(p *policy.Policy) { p.Authorities[0].Keys = p.Authorities[0].Keys[1:] }), "signed by who is no longer the owner"},
	}
}

func badReports(t testing.TB) []negative {
	s := cose.Ed25519
	good := signReport(t, s, sampleReport(s))
	pairs := claims(t, good)
	other := sampleReport(s)
	other.Nonce = []byte("another nonce")
	strangers, err := order.SignReport(t.Context(), func() *order.Report {
		r := sampleReport(s)
		r.Device = order.DeviceID(signer(s, strangerKey).Public().ID())
		return r
	}(), identity{suite: s, n: strangerKey})
	if err != nil {
		t.Fatal(err)
	}
	return []negative{
		{"open-report", "nonce", signReport(t, s, other), "a report with another nonce"},
		{"open-report", "nonce", signReport(t, s, certificate(s)), "a certificate where a report was asked for"},
		{"open-report", "unverified", strangers, "a report of another device"},
		{"open-report", "unverified", stripped(good), "a report with a signature that has one bit wrong"},
		{"open-report", "unverified", sealed(t, parse(t, good).Payload(), cose.Order, signer(s, deviceKey)), "a report in the domain of orders"},
		{"open-report", "unverified", with(t, pairs, 256, unhex(t, "582101"+strings.Repeat("01", 32))), "a ueid that is not of the key"},
		{"open-report", "malformed", with(t, pairs, 265, unhex(t, "6161")), "a report of another profile"},
		{"open-report", "malformed", with(t, pairs, 11, []byte{0}), "a report with an unknown claim"},
		{"open-report", "malformed", with(t, pairs, -70005, []byte{0x80}), "a report with an empty list"},
		{"open-report", "malformed", with(t, pairs, -70009, unhex(t, "191000")), "a report with an unknown health bit"},
	}
}

func badMessages(t testing.TB) (list []negative) {
	for _, c := range []struct{ by, hex, what string }{
		{"parse-request", "8208f6", "request 8"},
		{"parse-request", "820500", "a need with an argument"},
		{"parse-request", "820140", "an empty order"},
		{"parse-request", "82024700000000000000", "a nonce of 7 bytes"},
		{"parse-request", "820382616102", "a challenge of class 2"},
		{"parse-request", "820683000041" + "00", "a block of region 0"},
		{"parse-request", "830141" + "0000", "a third item"},
		{"parse-reply", "84080060f6", "a reply to request 8"},
		{"parse-reply", "84010b60a0", "code 11"},
		{"parse-reply", "840400" + "6161f6", "a detail although it is well"},
		{"parse-reply", "84010060a0", "an order that was taken, without its name"},
		{"parse-reply", "84050060818301ffffff", "a run without numbers"},
	} {
		list = append(list, negative{c.by, "malformed", unhex(t, c.hex), c.what})
	}
	return list
}
