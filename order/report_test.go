package order_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// identity signs as a keystore does, with the keys of number n.
type identity struct {
	suite cose.Suite
	n     byte
	err   error
	wrong bool // signs something else
}

func (i identity) Identity() keystore.Identity {
	return keystore.Identity{Suite: keystore.Suite(i.suite), Public: signer(i.suite, i.n).Public().Bytes()}
}

func (i identity) Sign(_ context.Context, half int, msg []byte) ([]byte, error) {
	if i.wrong {
		msg = msg[1:]
	}
	if i.err != nil {
		return nil, i.err
	}
	return signer(i.suite, i.n).SignHalf(i.suite.Algs()[half], msg)
}

const deviceKey = 0xd0

// sampleReport has something in every field but the certificate.
func sampleReport(s cose.Suite) *order.Report {
	return &order.Report{
		Nonce: []byte("nonce of the platform"), Device: order.DeviceID(signer(s, deviceKey).Public().ID()), Boot: fill(0xb0), Uptime: 86401,
		Measurements: []order.Measurement{{Region: 1, Digest: fill(1)}, {Region: 2, Keyed: true, Digest: fill(2)}, {Region: math.MaxUint32, Digest: fill(3)}},
		Seq:          17, Epoch: epoch, PolicyVersion: 7, PolicyDigest: fill(7), State: uint8(policy.Deployed),
		Updates:    []order.UpdateState{{Region: 1, Active: 1, State: 2, Attempts: 3, Manifest: fill(4), Sequence: 5, Floor: 4}},
		VaultEpoch: 1, Vault: order.Head{Seq: 99, Tag: [16]byte{9}},
		Anchor: order.AnchorState{Kind: uint8(keystore.Hardware), Value: 50, Through: 98},
		Audit:  order.AuditState{Head: order.Head{Seq: 12, Tag: [16]byte{12}}, Denied: 1000, Unlogged: 2},
		Health: order.Frozen | order.AuditFull | order.CopyLost,
		Counters: []order.Counter{{Authority: order.Operations, Class: order.ClassOperate, Value: 3},
			{Authority: order.Owner, Class: order.ClassRoot, Value: 42}, {Authority: order.Owner, Class: order.ClassOperate, Value: 1}},
		Wear:     []order.RegionUsage{{Region: 1, Erases: 10, Allowed: 100}, {Region: 2, Rounds: 1, Mark: 4096, Sealed: true}},
		Previous: fill(0xee),
	}
}

// leastReport has nothing that may be left out.
func leastReport(s cose.Suite) *order.Report {
	return &order.Report{Nonce: []byte("8 bytes."), Device: order.DeviceID(signer(s, deviceKey).Public().ID()), Boot: fill(0xb0), Uptime: 60,
		Seq: 1, Epoch: epoch, PolicyVersion: 7, PolicyDigest: fill(7), State: uint8(policy.Deployed), VaultEpoch: 1,
		Vault: order.Head{Seq: 2, Tag: [16]byte{2}}}
}

// certificate is the last report of a device.
func certificate(s cose.Suite) *order.Report {
	r := sampleReport(s)
	r.Nonce, r.State = nil, uint8(policy.Decommissioned)
	r.Certificate = &order.Certificate{Order: fill(0xde), Wiped: []uint32{2, 5}, Secret: true}
	return r
}

func signReport(t testing.TB, s cose.Suite, r *order.Report) []byte {
	t.Helper()
	b, err := order.SignReport(t.Context(), r, identity{suite: s, n: deviceKey})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReport(t *testing.T) {
	least := &order.Report{Nonce: make([]byte, order.MinNonce)}
	for _, s := range suites {
		key := signer(s, deviceKey).Public()
		least.Device = order.DeviceID(key.ID())
		for _, r := range []*order.Report{sampleReport(s), certificate(s), least} {
			msg := signReport(t, s, r)
			got, err := order.OpenReport(msg, key, r.Nonce)
			if err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%v: %+v, %v", s, got, err)
			}
			if got, err := order.ParseReport(msg); err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%v: parsed %+v, %v", s, got, err)
			}
			if _, err := order.OpenReport(msg, key, nil); err != nil {
				t.Errorf("%v: any nonce: %v", s, err)
			}
			_, err = order.OpenReport(msg, key, []byte("another one"))
			refused(t, err, order.ErrNonce)
			_, err = order.OpenReport(msg, signer(s, strangerKey).Public(), r.Nonce)
			refused(t, err, order.ErrUnverified)
			_, err = order.OpenReport(msg, nil, r.Nonce)
			refused(t, err, order.ErrKeys)
			_, err = order.OpenReport(stripped(msg), key, r.Nonce)
			refused(t, err, order.ErrUnverified)
			clear(msg)
			if got.Device != r.Device || !reflect.DeepEqual(got, r) {
				t.Error("a report changes with its message")
			}
		}
	}
}

// TestReportOfAKeystore: the identity of a real keystore signs each half.
func TestReportOfAKeystore(t *testing.T) {
	secret := sha256.Sum256([]byte("a secret of tests"))
	ks, err := soft.Supply(secret[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ks.Close()
	key, err := order.IdentityKey(ks.Identity())
	if err != nil {
		t.Fatal(err)
	}
	r := sampleReport(cose.Ed25519)
	r.Device = order.DeviceID(key.ID())
	msg, err := order.SignReport(t.Context(), r, ks)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := order.OpenReport(msg, key, r.Nonce); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestReportSorts: the lists of a report are sets.
func TestReportSorts(t *testing.T) {
	r := sampleReport(cose.Ed25519)
	want := signReport(t, cose.Ed25519, r)
	slices.Reverse(r.Measurements)
	slices.Reverse(r.Counters)
	slices.Reverse(r.Wear)
	if !bytes.Equal(signReport(t, cose.Ed25519, r), want) {
		t.Error("the order of lists counts")
	}
	if r.Wear[0].Region != 2 {
		t.Error("SignReport sorts what it was given")
	}
}

func TestSignReportRefuses(t *testing.T) {
	broken := errors.New("the chip is gone")
	r := sampleReport(cose.Ed25519)
	_, err := order.SignReport(t.Context(), r, identity{suite: cose.Ed25519, n: deviceKey, err: broken})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	_, err = order.SignReport(t.Context(), r, identity{suite: cose.Ed25519, n: deviceKey, wrong: true})
	refused(t, err, order.ErrUnverified)
	_, err = order.SignReport(t.Context(), r, identity{suite: cose.Ed25519, n: strangerKey})
	refused(t, err, order.ErrMalformed)
	_, err = order.IdentityKey(keystore.Identity{})
	refused(t, err, order.ErrKeys)
	_, err = order.SignReport(t.Context(), r, nobody{})
	refused(t, err, order.ErrKeys)

	for name, do := range map[string]func(*order.Report){
		"no nonce":              func(r *order.Report) { r.Nonce = nil },
		"short nonce":           func(r *order.Report) { r.Nonce = r.Nonce[:7] },
		"long nonce":            func(r *order.Report) { r.Nonce = make([]byte, 65) },
		"state 5":               func(r *order.Report) { r.State = 5 },
		"anchor of no class":    func(r *order.Report) { r.Anchor.Kind = 4 },
		"health without a name": func(r *order.Report) { r.Health = order.CopyLost << 1 },
		"measurement twice":     func(r *order.Report) { r.Measurements[1].Region = 1 },
		"measurement of 0":      func(r *order.Report) { r.Measurements[0].Region = 0 },
		"4097 measurements":     func(r *order.Report) { r.Measurements = measurements(order.MaxMeasurements+1, 1) },
		"too many altogether":   func(r *order.Report) { r.Measurements = measurements(order.MaxMeasurements, math.MaxUint32-5000) },
		"update twice":          func(r *order.Report) { r.Updates = append(r.Updates, r.Updates[0]) },
		"update of 0":           func(r *order.Report) { r.Updates[0].Region = 0 },
		"1025 updates":          func(r *order.Report) { r.Updates = make([]order.UpdateState, 1025) },
		"counter twice":         func(r *order.Report) { r.Counters[1] = r.Counters[2] },
		"counter of nobody":     func(r *order.Report) { r.Counters[1].Authority = "" },
		"counter of class 6":    func(r *order.Report) { r.Counters[1].Class = 6 },
		"1025 counters":         func(r *order.Report) { r.Counters = make([]order.Counter, 1025) },
		"wear twice":            func(r *order.Report) { r.Wear[0] = r.Wear[1] },
		"1025 wears":            func(r *order.Report) { r.Wear = usages(1025) },
		"wiped twice":           func(r *order.Report) { r.Certificate = &order.Certificate{Wiped: []uint32{3, 3}} },
		"wiped 0":               func(r *order.Report) { r.Certificate = &order.Certificate{Wiped: []uint32{0}} },
		"1025 wiped":            func(r *order.Report) { r.Certificate = &order.Certificate{Wiped: make([]uint32, 1025)} },
	} {
		r := sampleReport(cose.Ed25519)
		do(r)
		if b, err := order.SignReport(t.Context(), r, identity{suite: cose.Ed25519, n: deviceKey}); b != nil || !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	// Within the bound as claims, beyond it once it is signed.
	r = sampleReport(cose.MLDSA65)
	r.Measurements = measurements(order.MaxMeasurements, 100000)
	for len(r.Counters) < 265 {
		r.Counters = append(r.Counters, order.Counter{Authority: strings.Repeat("a", len(r.Counters)%100+1), Class: order.Class(len(r.Counters) / 100)})
	}
	b, err := order.SignReport(t.Context(), r, identity{suite: cose.MLDSA65, n: deviceKey})
	if b != nil || !errors.Is(err, order.ErrMalformed) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// nobody has no key.
type nobody struct{ keystore.Signer }

func (nobody) Identity() keystore.Identity { return keystore.Identity{} }

func measurements(n int, from uint32) (list []order.Measurement) {
	for i := range n {
		list = append(list, order.Measurement{Region: from + uint32(i), Digest: fill(1)})
	}
	return list
}

func TestReportBounds(t *testing.T) {
	r := sampleReport(cose.Ed25519)
	r.Measurements = measurements(order.MaxMeasurements, 1)
	msg := signReport(t, cose.Ed25519, r)
	if got, err := order.OpenReport(msg, signer(cose.Ed25519, deviceKey).Public(), nil); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("4096 measurements: %v", err)
	}
	r.Measurements, r.Wear = nil, usages(order.MaxWear)
	r.Updates, r.Counters = nil, nil
	for i := range order.MaxUpdates {
		r.Updates = append(r.Updates, order.UpdateState{Region: uint32(i + 1), Active: 255, State: 255, Attempts: 255, Sequence: math.MaxUint64, Floor: math.MaxUint64})
		r.Counters = append(r.Counters, order.Counter{Authority: strings.Repeat("a", i%64+1), Class: order.Class(i / 64 % 6), Value: uint64(i)})
	}
	r.Counters = r.Counters[:64*6]
	msg = signReport(t, cose.Ed25519, r)
	if got, err := order.ParseReport(msg); err != nil || len(got.Wear) != order.MaxWear || len(got.Updates) != order.MaxUpdates || len(got.Counters) != 64*6 {
		t.Errorf("full lists: %v", err)
	}
	for _, parse := range []func([]byte) error{
		func(b []byte) error { _, err := order.ParseReport(b); return err },
		func(b []byte) error {
			_, err := order.OpenReport(b, signer(cose.Ed25519, deviceKey).Public(), nil)
			return err
		},
	} {
		refused(t, parse(make([]byte, order.MaxReport+1)), order.ErrMalformed)
		refused(t, parse(nil), order.ErrMalformed)
	}
}

// claims takes a report apart: what is signed, as pairs of encoded items.
func claims(t testing.TB, msg []byte) (pairs []cbor.Entry) {
	t.Helper()
	d := cbor.NewDecoder(parse(t, msg).Payload())
	for range d.Map(64) {
		pairs = append(pairs, cbor.Entry{Key: d.Raw(), Value: d.Raw()})
	}
	if err := d.End(); err != nil {
		t.Fatal(err)
	}
	return pairs
}

// with is a report of which claim key is value, signed by the device; nil takes
// it out.
func with(t testing.TB, pairs []cbor.Entry, key int64, value []byte) []byte {
	t.Helper()
	k := cbor.AppendInt(nil, key)
	pairs = slices.DeleteFunc(slices.Clone(pairs), func(e cbor.Entry) bool { return bytes.Equal(e.Key, k) })
	if value != nil {
		pairs = append(pairs, cbor.Entry{Key: k, Value: value})
	}
	b, err := cbor.AppendEntries(nil, pairs)
	if err != nil {
		t.Fatal(err)
	}
	return sealed(t, b, cose.Report, signer(cose.Ed25519, deviceKey))
}

// TestReportClaims: signed claims that are not what a report holds.
func TestReportClaims(t *testing.T) {
	key := signer(cose.Ed25519, deviceKey).Public()
	pairs := claims(t, signReport(t, cose.Ed25519, sampleReport(cose.Ed25519)))
	h := strings.Repeat("00", 32)
	measured := func(s string) string { b := unhex(t, s); return "81821901" + "27" + hexOf(cbor.AppendBytes(nil, b)) }
	for _, c := range []struct {
		name  string
		key   int64
		value string // hex; "" is none
	}{
		{"no nonce", 10, ""}, {"nonce of 7", 10, "47" + "00000000000000"}, {"nonce as text", 10, "68" + "3030303030303030"},
		{"no ueid", 256, ""}, {"short ueid", 256, "58200101" + h[:60]}, {"ueid of type 2", 256, "582102" + h}, {"ueid of nobody", 256, "582101" + h},
		{"no uptime", 261, ""}, {"uptime as a float", 261, "f90000"},
		{"no profile", 265, ""}, {"another profile", 265, "61" + "61"}, {"profile as long, another", 265, "781a" + strings.Repeat("61", 26)},
		{"no bootseed", 268, ""}, {"bootseed of 31", 268, "581f" + h[:62]},
		{"no measurement in the list", 273, "80"}, {"content format 296", 273, "8182190128" + "5827a2018168726567696f6e2f31055820" + h},
		{"measurement as text", 273, "8182190127" + "60"}, {"measurement of three", 273, "81831901274000"},
		{"measured nothing", 273, measured("a1018168" + "726567696f6e2f31")},
		{"measured both", 273, measured("a3018168" + "726567696f6e2f31" + "02820158" + "20" + h + "055820" + h)},
		{"measured with a version", 273, measured("a2018268" + "726567696f6e2f31" + "8161" + "31" + "055820" + h)},
		{"measured with flags", 273, measured("a3018168" + "726567696f6e2f31" + "0448" + "0000000000000000" + "055820" + h)},
		{"measured by sha-384", 273, measured("a2018168" + "726567696f6e2f31" + "02820758" + "20" + h)},
		{"region 0", 273, measured("a2018168" + "726567696f6e2f30" + "055820" + h)},
		{"region 01", 273, measured("a2018169" + "726567696f6e2f3031" + "055820" + h)},
		{"region +1", 273, measured("a2018169" + "726567696f6e2f2b31" + "055820" + h)},
		{"no region", 273, measured("a2018161" + "31" + "055820" + h)},
		{"region of 33 bits", 273, measured("a2018171" + "726567696f6e2f34323934393637323936" + "055820" + h)},
		{"trailing in the measurement", 273, measured("a2018168" + "726567696f6e2f31" + "055820" + h + "00")},
		{"measurements out of order", 273, "82" + measured("a2018168" + "726567696f6e2f32" + "055820" + h)[2:] + measured("a2018168" + "726567696f6e2f31" + "055820" + h)[2:]},
		{"no seq", -70001, ""}, {"epoch of 33 bits", -70002, "1b0000000100000000"},
		{"policy without digest", -70003, "8107"}, {"state 5", -70004, "05"}, {"no state", -70004, ""},
		{"no update in the list", -70005, "80"}, {"update of six", -70005, "8186010000" + "5820" + h + "0000"},
		{"update of region 0", -70005, "8187000000" + "5820" + h + "000000"}, {"slot 256", -70005, "818701190100" + "00" + "5820" + h + "000000"},
		{"updates out of order", -70005, "8287020000" + "5820" + h + "00000087010000" + "5820" + h + "000000"},
		{"head of 15", -70006, "83010" + "14f" + h[:30]}, {"anchor 4", -70007, "83040000"}, {"no anchor", -70007, ""},
		{"audit of three", -70008, "830050" + h[:32] + "00"}, {"health bit 12", -70009, "191000"},
		{"no counter in the list", -70010, "80"}, {"counter of nobody", -70010, "81836000" + "00"}, {"class 6", -70010, "818361" + "610600"},
		{"counters out of order", -70010, "828361" + "6200008361" + "610000"}, {"counter twice", -70010, "828361" + "6100008361" + "610001"},
		{"no wear in the list", -70011, "80"}, {"wear twice", -70011, "828601000000" + "00f4" + "8601000000" + "00f4"},
		{"wear sealed 1", -70011, "81860100000000" + "01"}, {"previous of zero", -70012, "5820" + h},
		{"certificate of two", -70013, "825820" + h + "80"}, {"wiped 0", -70013, "835820" + h + "8100f4"},
		{"wiped out of order", -70013, "835820" + h + "820201f4"}, {"claim 11", 11, "00"}, {"claim -70014", -70014, "00"}, {"claim iat", 6, "00"},
	} {
		var value []byte
		if c.value != "" {
			value = unhex(t, c.value)
		}
		msg := with(t, pairs, c.key, value)
		for _, err := range []error{second(order.OpenReport(msg, key, nil)), second(order.ParseReport(msg))} {
			if err == nil {
				t.Errorf("%s: accepted", c.name)
				continue
			}
			if oneKind(t, err); !errors.Is(err, order.ErrMalformed) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	// Signed by the device's key, and of another device.
	_, err := order.OpenReport(with(t, pairs, 256, unhex(t, "582101"+strings.Repeat("01", 32))), key, nil)
	refused(t, err, order.ErrUnverified)
	// Signed by it as something else.
	payload := parse(t, signReport(t, cose.Ed25519, sampleReport(cose.Ed25519))).Payload()
	for _, d := range []cose.Domain{cose.Order, cose.Batch, cose.Enrol, cose.Hello} {
		_, err := order.OpenReport(sealed(t, payload, d, signer(cose.Ed25519, deviceKey)), key, nil)
		refused(t, err, order.ErrUnverified)
	}
}

func second[T any](_ T, err error) error { return err }

// TestReportIsEAT: the claims are where RFC 9711 has them.
func TestReportIsEAT(t *testing.T) {
	r := sampleReport(cose.Ed25519)
	want := map[int64][]byte{
		10:  cbor.AppendBytes(nil, r.Nonce),
		256: cbor.AppendBytes(nil, append([]byte{1}, r.Device[:]...)),
		261: cbor.AppendUint(nil, 86401),
		265: cbor.AppendText(nil, "tag:nanolock,2026:report/1"),
		268: cbor.AppendBytes(nil, r.Boot[:]),
	}
	n := 0
	for _, c := range claims(t, signReport(t, cose.Ed25519, r)) {
		d := cbor.NewDecoder(c.Key)
		if v, ok := want[d.Int()]; ok {
			n++
			if !bytes.Equal(v, c.Value) {
				t.Errorf("claim %x: %x", c.Key, c.Value)
			}
		}
	}
	if n != len(want) {
		t.Errorf("%d claims of RFC 9711", n)
	}
}
