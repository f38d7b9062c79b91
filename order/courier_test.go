package order_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nanolock/nanolock/order"
)

func sampleRequests() []*order.Request {
	return []*order.Request{
		{Type: order.ReqDeliver, Body: []byte("order")},
		{Type: order.ReqReport, Body: []byte("8 bytes.")},
		{Type: order.ReqChallenge, Authority: order.Owner, Class: order.ClassRoot},
		{Type: order.ReqChallenge, Authority: order.Platform, Class: order.ClassLive},
		{Type: order.ReqOffer, Body: []byte("manifest")},
		{Type: order.ReqNeed},
		{Type: order.ReqBlock, Region: 1, Index: 0, Body: []byte("block")},
		{Type: order.ReqProgress},
	}
}

func sampleReplies() []*order.Reply {
	return []*order.Reply{
		{Type: order.ReqDeliver, Kind: order.Policy, Digest: fill(1)},
		{Type: order.ReqDeliver, Kind: order.Grant, Digest: fill(1), Session: &order.SessionID{15: 1}},
		{Type: order.ReqDeliver, Kind: order.Challenge, Digest: fill(1), Report: []byte("report")},
		{Type: order.ReqDeliver, Kind: order.Lifecycle, Digest: fill(1), Report: []byte("certificate")},
		{Type: order.ReqDeliver, Code: order.Malformed, Detail: "order: malformed"},
		{Type: order.ReqDeliver, Code: order.Stale, Detail: "used", Kind: order.Grant, Digest: fill(1)},
		{Type: order.ReqReport, Report: []byte("report")},
		{Type: order.ReqReport, Code: order.Failed, Detail: "keystore"},
		{Type: order.ReqChallenge, Challenge: fill(2)},
		{Type: order.ReqOffer},
		{Type: order.ReqOffer, Code: order.Unsupported},
		{Type: order.ReqNeed},
		{Type: order.ReqNeed, Need: []order.Run{{Region: 2, First: 7, Count: 1}, {Region: 1, First: 0, Count: math.MaxUint32}}},
		{Type: order.ReqBlock},
		{Type: order.ReqBlock, Code: order.Busy},
		{Type: order.ReqProgress},
		{Type: order.ReqProgress, Progress: []order.UpdateProgress{{Region: 1, Done: 3, Total: 3}, {Region: 2, Done: 0, Total: math.MaxUint32}}},
	}
}

func TestRequests(t *testing.T) {
	for _, r := range sampleRequests() {
		got, err := order.ParseRequest(marshal(t, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v: %+v, %v", r, got, err)
		}
	}
	most := &order.Request{Type: order.ReqBlock, Region: math.MaxUint32, Index: math.MaxUint32, Body: make([]byte, order.MaxBlock)}
	for _, r := range []*order.Request{most, {Type: order.ReqDeliver, Body: make([]byte, order.MaxMessage)}, {Type: order.ReqOffer, Body: make([]byte, order.MaxManifest)}} {
		b := marshal(t, r)
		if got, err := order.ParseRequest(b); err != nil || len(got.Body) != len(r.Body) || len(b) > order.MaxRequest {
			t.Errorf("type %d, %d bytes: %v", r.Type, len(b), err)
		}
	}
}

func TestRequestRefuses(t *testing.T) {
	for _, r := range []*order.Request{
		{}, {Type: 8}, {Type: 255, Body: []byte("x")},
		{Type: order.ReqDeliver}, {Type: order.ReqDeliver, Body: make([]byte, order.MaxMessage+1)},
		{Type: order.ReqDeliver, Body: []byte("x"), Region: 1},
		{Type: order.ReqReport}, {Type: order.ReqReport, Body: make([]byte, 7)}, {Type: order.ReqReport, Body: make([]byte, 65)},
		{Type: order.ReqChallenge}, {Type: order.ReqChallenge, Authority: "a", Class: order.ClassManifest},
		{Type: order.ReqChallenge, Authority: "a", Body: []byte("x")},
		{Type: order.ReqOffer}, {Type: order.ReqOffer, Body: make([]byte, order.MaxManifest+1)},
		{Type: order.ReqNeed, Body: []byte("x")}, {Type: order.ReqProgress, Index: 1}, {Type: order.ReqProgress, Authority: "a"},
		{Type: order.ReqBlock, Body: []byte("x")}, {Type: order.ReqBlock, Region: 1}, {Type: order.ReqBlock, Region: 1, Body: make([]byte, order.MaxBlock+1)},
		{Type: order.ReqBlock, Region: 1, Body: []byte("x"), Class: 1},
	} {
		if b, err := r.MarshalBinary(); b != nil || !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%+v: %v", r.Type, err)
		}
	}
	for _, s := range []string{
		"", "80", "8101", "820100", "8200f6", "8208f6", "82190101f6", "820140", "820161" + "61", "8302" + "4100f6",
		"820247" + "00000000000000", "8203" + "816161", "8203" + "82616102", "8203" + "826000", "8203" + "82610100",
		"820440", "820500", "8205" + "80", "8207" + "a0", "8206" + "83000041" + "00", "8206" + "82010041", "8206" + "83010040",
		"8206" + "831b000000010000000000" + "4100", "8206" + "83011b0000000100000000" + "4100", "820141" + "0000", "9f01" + "4100ff",
		"82180141" + "00", "8201" + "5f4100ff", "c1820141" + "00", "820158" + "0100",
	} {
		r, err := order.ParseRequest(unhex(t, s))
		if r != nil || err == nil {
			t.Errorf("%s: accepted %+v", s, r)
			continue
		}
		refused(t, err, order.ErrMalformed)
	}
	_, err := order.ParseRequest(make([]byte, order.MaxRequest+1))
	refused(t, err, order.ErrMalformed)
}

func TestReplies(t *testing.T) {
	for _, r := range sampleReplies() {
		got, err := order.ParseReply(marshal(t, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v: %+v, %v", r, got, err)
		}
	}
	for _, r := range []*order.Reply{
		{Type: order.ReqReport, Report: make([]byte, order.MaxReport)},
		{Type: order.ReqDeliver, Kind: order.Challenge, Digest: fill(1), Report: make([]byte, order.MaxReport)},
	} {
		if b := marshal(t, r); len(b) > order.MaxReply {
			t.Errorf("%d bytes", len(b))
		} else if _, err := order.ParseReply(b); err != nil {
			t.Error(err)
		}
	}
}

// TestDetail: whatever an error says becomes a detail.
func TestDetail(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 200), strings.Repeat("x", 201), strings.Repeat("é", 150), "x" + strings.Repeat("é", 150),
		strings.Repeat("\xff", 100), strings.Repeat("€", 67), strings.Repeat("🔒", 51)} {
		r := &order.Reply{Type: order.ReqBlock, Code: order.Failed, Detail: s}
		got, err := order.ParseReply(marshal(t, r))
		if err != nil {
			t.Fatal(err)
		}
		d := got.Detail
		if len(d) > order.MaxDetail || !utf8.ValidString(d) || utf8.ValidString(s) && !strings.HasPrefix(s, d) || len(s) <= 200 && utf8.ValidString(s) && d != s || len(s) > 203 && len(d) < 196 {
			t.Errorf("%q became %q", s, d)
		}
	}
}

func TestReplyRefuses(t *testing.T) {
	d, s := fill(1), &order.SessionID{}
	run := []order.Run{{Region: 1, Count: 1}}
	for i, r := range []*order.Reply{
		{}, {Type: 8}, {Type: order.ReqOffer, Code: 11}, {Type: order.ReqOffer, Detail: "fine"},
		{Type: order.ReqDeliver}, {Type: order.ReqDeliver, Kind: order.Grant}, {Type: order.ReqDeliver, Digest: d},
		{Type: order.ReqDeliver, Kind: order.Batch, Digest: d}, {Type: order.ReqDeliver, Code: order.Stale, Kind: 99},
		{Type: order.ReqDeliver, Kind: order.Policy, Digest: d, Session: s}, {Type: order.ReqDeliver, Kind: order.Grant, Digest: d, Session: s, Code: order.Full},
		{Type: order.ReqDeliver, Kind: order.Policy, Digest: d, Report: []byte("x")}, {Type: order.ReqDeliver, Kind: order.Challenge, Digest: d, Report: []byte{}},
		{Type: order.ReqDeliver, Kind: order.Challenge, Digest: d, Report: make([]byte, order.MaxReport+1)},
		{Type: order.ReqReport}, {Type: order.ReqReport, Code: order.Busy, Report: []byte("x")}, {Type: order.ReqReport, Report: []byte("x"), Kind: order.Grant},
		{Type: order.ReqReport, Report: []byte("x"), Digest: d}, {Type: order.ReqChallenge}, {Type: order.ReqChallenge, Code: order.Busy, Challenge: d},
		{Type: order.ReqOffer, Challenge: d}, {Type: order.ReqOffer, Report: []byte("x")}, {Type: order.ReqOffer, Need: run}, {Type: order.ReqNeed, Code: order.Busy, Need: run},
		{Type: order.ReqNeed, Need: []order.Run{{Count: 1}}}, {Type: order.ReqNeed, Need: []order.Run{{Region: 1}}},
		{Type: order.ReqNeed, Need: []order.Run{{Region: 1, First: 1, Count: math.MaxUint32}}}, {Type: order.ReqNeed, Need: make([]order.Run, order.MaxRuns+1)},
		{Type: order.ReqProgress, Progress: []order.UpdateProgress{{}}}, {Type: order.ReqProgress, Progress: []order.UpdateProgress{{Region: 1, Done: 2, Total: 1}}},
		{Type: order.ReqProgress, Progress: []order.UpdateProgress{{Region: 1}, {Region: 1}}}, {Type: order.ReqNeed, Progress: []order.UpdateProgress{{Region: 1}}},
		{Type: order.ReqProgress, Progress: make([]order.UpdateProgress, order.MaxUpdates+1)}, {Type: order.ReqBlock, Session: s},
	} {
		if b, err := r.MarshalBinary(); b != nil || !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%d: %+v: %x, %v", i, r.Type, b, err)
		}
	}
	h := strings.Repeat("01", 32)
	for _, s := range []string{
		"", "83010060", "84080060f6", "84000060f6", "840100", "84010060a0", "84010060f6", "8401006061", "84010b60f6",
		"84010060a2010c02" + "5820" + h, "84010060a2010102" + "5820" + strings.Repeat("00", 32), "84010060a201010241" + "01",
		"84010060a3010102" + "5820" + h + "0500", "84010060a3010102" + "5820" + h + "034101", "84010060a2025820" + h + "0101",
		"84010560a10100", "84010560a103" + "50" + h[:32], "84020060f6", "8402006040", "840200606161", "84020860" + "4101", "84030060" + "4101", "84030060f6",
		"84030060" + "5820" + strings.Repeat("00", 32), "84040060a0", "84040061" + "61f6", "84050060f6", "8405006081" + "820101", "8405006081" + "83000001",
		"8407006082" + "83020000" + "83010000", "84070060" + "8183010201", "84060060" + "80", "84060060f600", "9f060060f6ff", "84060861fff6",
		"84060878c9" + strings.Repeat("61", 201) + "f6",
	} {
		r, err := order.ParseReply(unhex(t, s))
		if r != nil || err == nil {
			t.Errorf("%s: accepted %+v", s, r)
			continue
		}
		refused(t, err, order.ErrMalformed)
	}
	_, err := order.ParseReply(make([]byte, order.MaxReply+1))
	refused(t, err, order.ErrMalformed)
}

// TestReplySorts: progress is a set.
func TestReplySorts(t *testing.T) {
	a := &order.Reply{Type: order.ReqProgress, Progress: []order.UpdateProgress{{Region: 2, Total: 1}, {Region: 1}}}
	b := &order.Reply{Type: order.ReqProgress, Progress: []order.UpdateProgress{{Region: 1}, {Region: 2, Total: 1}}}
	if !bytes.Equal(marshal(t, a), marshal(t, b)) {
		t.Error("the order counts")
	}
}

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for c := order.OK; c <= order.Failed; c++ {
		if seen[c.String()] || c.String() == "unknown" {
			t.Errorf("code %d is %v", c, c)
		}
		seen[c.String()] = true
	}
	if order.Code(11).String() != "unknown" {
		t.Error("code 11 has a name")
	}
}
