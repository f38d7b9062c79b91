package policy_test

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Pieces of encodings: region is id 1, name "a", span [0, 1], and authority is
// name "o", suite 1.
const (
	cborRegionHead    = "01010261610382" + "0001"
	cborAuthorityHead = "0161" + "6f" + "0201"
)

func TestCBORRefuses(t *testing.T) {
	region := func(pairs, more string) string { return "a201010581" + pairs + cborRegionHead + more }
	authority := func(pairs, more string) string { return "a201010681" + pairs + cborAuthorityHead + more }
	memory := func(s string) string { return "a2010104" + s }
	long := "78" + "81" + strings.Repeat("61", 129)
	for _, c := range []struct {
		name, hex, field string
		err              error // that it wraps, if that is one of cbor's
		text             string
	}{
		{"empty", "", "", cbor.ErrTruncated, ""},
		{"no map", "80", "", cbor.ErrType, ""},
		{"no format", "a0", "", cbor.ErrMissingKey, "key 1"},
		{"format of the future", "a10102", "format", nil, "not format 1"},
		{"unknown key", "a201010700", "", cbor.ErrUnknownKey, "key 7"},
		{"key 0", "a200010101", "", cbor.ErrUnknownKey, "key 0"},
		{"negative key", "a201012000", "", cbor.ErrUnknownKey, "key -1"},
		{"order of keys", "a203010101", "", cbor.ErrOrder, ""},
		{"key twice", "a201010101", "", cbor.ErrDuplicate, ""},
		{"version 0", "a201010300", "version", nil, "zero value"},
		{"version long", "a20101031801", "version", cbor.ErrLongHead, ""},
		{"name empty", "a201010260", "name", nil, "a name is"},
		{"name long", "a2010102" + long, "name", cbor.ErrLimit, ""},
		{"name not UTF-8", "a2010102" + "61ff", "name", cbor.ErrUTF8, ""},
		{"name with an escape", "a2010102" + "611b", "name", nil, "printable"},
		{"name as bytes", "a2010102" + "4161", "name", cbor.ErrType, ""},
		{"memory empty", memory("a0"), "memory", nil, "zero value"},
		{"memory unknown key", memory("a10501"), "memory", cbor.ErrUnknownKey, "key 5"},
		{"size 0", memory("a10100"), "memory.size", nil, "zero value"},
		{"size negative", memory("a10120"), "memory.size", cbor.ErrType, ""},
		{"size above the largest memory", memory("a1011b0001000000000001"), "memory.size", cbor.ErrLimit, ""},
		{"blank false", memory("a103f4"), "memory.blank", nil, "zero value"},
		{"hidden empty", memory("a10480"), "memory.hidden", nil, "zero value"},
		{"hidden without kind", memory("a10481a3" + cborRegionHead), "memory.hidden[0]", cbor.ErrMissingKey, "key 4"},
		{"kind unknown", memory("a10481a4" + cborRegionHead + "0407"), "memory.hidden[0].kind", nil, "unknown value"},
		{"kind above a byte", memory("a10481a4" + cborRegionHead + "04190101"), "memory.hidden[0].kind", cbor.ErrLimit, ""},
		{"courier false", memory("a10481a5" + cborRegionHead + "040105f4"), "memory.hidden[0].courier", nil, "zero value"},
		{"map empty", "a201010580", "map", nil, "zero value"},
		{"map claims more than there is", "a20101059affffffff", "map", cbor.ErrTruncated, ""},
		{"region without id", "a201010581a2" + cborRegionHead[4:], "map[0]", cbor.ErrMissingKey, "key 1"},
		{"region id 0", "a201010581a10100", "map[0].id", nil, "zero value"},
		{"region id above 32 bits", "a201010581a1011b0000000100000000", "map[0].id", cbor.ErrLimit, ""},
		{"span empty", "a201010581a30101026161038200" + "00", "map[0].span", nil, "zero value"},
		{"span of three", "a201010581a3010102616103830001" + "02", "map[0].span", cbor.ErrLimit, ""},
		{"second region", "a201010582a3" + cborRegionHead + "a10a00", "map[1]", cbor.ErrUnknownKey, "key 10"},
		{"boot false", region("a4", "04f4"), "map[0].boot", nil, "zero value"},
		{"access empty", region("a4", "06a0"), "map[0].access", nil, "zero value"},
		{"rule never", region("a4", "06a10100"), "map[0].access.read", nil, "a rule is"},
		{"rule grant as a number", region("a4", "06a10102"), "map[0].access.read", nil, "a rule is"},
		{"rule unknown", region("a4", "06a10305"), "map[0].access.erase", nil, "a rule is"},
		{"grant of nobody", region("a4", "06a10160"), "map[0].access.read", nil, "a name is"},
		{"rule as a bool", region("a4", "06a102f5"), "map[0].access.write", cbor.ErrType, ""},
		{"in empty", region("a4", "07a0"), "map[0].in", nil, "zero value"},
		{"in state 0", region("a4", "07a100a0"), "map[0].in", cbor.ErrUnknownKey, "key 0"},
		{"in state 5", region("a4", "07a105a0"), "map[0].in", cbor.ErrUnknownKey, "key 5"},
		{"in state 257", region("a4", "07a1190101a0"), "map[0].in", cbor.ErrUnknownKey, "key 257"},
		{"in rma", region("a4", "07a103a104f4"), "map[0].in.rma.blank", nil, "zero value"},
		{"update slot empty", region("a4", "08a10160"), "map[0].update.slot", nil, "a name is"},
		{"wear empty", region("a4", "09a0"), "map[0].wear", nil, "zero value"},
		{"wear without limit", region("a4", "09a10100"), "map[0].wear.erases", nil, "zero value"},
		{"authorities empty", "a201010680", "authorities", nil, "zero value"},
		{"65 authorities", "a2010106" + "9841" + strings.Repeat("a2"+cborAuthorityHead, 65), "authorities", cbor.ErrLimit, ""},
		{"authority without suite", "a201010681a101616f", "authorities[0]", cbor.ErrMissingKey, "key 2"},
		{"suite 6", "a201010681a20161" + "6f0206", "authorities[0].suite", nil, "unknown value"},
		{"threshold 33", authority("a3", "031821"), "authorities[0].threshold", cbor.ErrLimit, ""},
		{"keys empty", authority("a3", "0480"), "authorities[0].keys", nil, "zero value"},
		{"33 keys", authority("a3", "049821"+strings.Repeat("a1024101", 33)), "authorities[0].keys", cbor.ErrLimit, ""},
		{"key without its bytes", authority("a3", "0481a1016161"), "authorities[0].keys[0]", cbor.ErrMissingKey, "key 2"},
		{"public empty", authority("a3", "0481a10240"), "authorities[0].keys[0].public", nil, "zero value"},
		{"public of 2018 bytes", authority("a3", "0481a1025907e2"+strings.Repeat("00", 2018)), "authorities[0].keys[0].public", cbor.ErrLimit, ""},
		{"development false", authority("a3", "0481a202410103f4"), "authorities[0].keys[0].development", nil, "zero value"},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var p policy.Policy
		err = p.UnmarshalBinary(b)
		var e *policy.EncodingError
		if !errors.Is(err, policy.ErrEncoding) || !errors.As(err, &e) || !reflect.DeepEqual(p, policy.Policy{}) {
			t.Errorf("%s: %v, %+v", c.name, err, p)
			continue
		}
		var at *cbor.Error
		if e.Field != c.field || c.err != nil && !errors.Is(err, c.err) || !errors.As(err, &at) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: field %q: %v", c.name, e.Field, err)
		}
		if !strings.Contains(err.Error(), "at byte ") || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: the place is missing: %v", c.name, err)
		}
	}
}

func TestCBORUpdatesBound(t *testing.T) {
	p := &policy.Policy{}
	for i := range policy.MaxUpdates {
		p.Map = append(p.Map, policy.Region{ID: uint32(i + 1), Name: "r", Span: nvm.Span{Len: 1}, Update: &policy.Update{}})
	}
	b := cborMarshal(t, p)
	if err := new(policy.Policy).UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	// One more by hand: the array has a head of two bytes up to 255 items.
	last := cborMarshal(t, &policy.Policy{Map: p.Map[:1]})[5:]
	b[5]++
	var e *policy.EncodingError
	if err := new(policy.Policy).UnmarshalBinary(append(b, last...)); !errors.As(err, &e) || e.Field != "map[64].update" {
		t.Errorf("%v", err)
	}
	p.Map = append(p.Map, p.Map[0])
	if _, err := p.MarshalBinary(); !errors.As(err, &e) || e.Field != "map[64]" {
		t.Errorf("%v", err)
	}
}

// TestCBORMarshalRefuses: what cannot be read back is not written.
func TestCBORMarshalRefuses(t *testing.T) {
	for _, c := range []struct {
		field string
		do    func(*policy.Policy)
	}{
		{"name", func(p *policy.Policy) { p.Name = "a\n" }},
		{"memory.size", func(p *policy.Policy) { p.Memory.Size = nvm.MaxSize + 1 }},
		{"memory.granule", func(p *policy.Policy) { p.Memory.Granule = -1 }},
		{"memory.hidden", func(p *policy.Policy) { p.Memory.Hidden = make([]policy.Area, policy.MaxRegions+1) }},
		{"memory.hidden[1].kind", func(p *policy.Policy) { p.Memory.Hidden[1].Kind = 0 }},
		{"memory.hidden[1].kind", func(p *policy.Policy) { p.Memory.Hidden[1].Kind = 77 }},
		{"map", func(p *policy.Policy) { p.Map = make([]policy.Region, policy.MaxRegions+1) }},
		{"map[0].id", func(p *policy.Policy) { p.Map[0].ID = 0 }},
		{"map[0].name", func(p *policy.Policy) { p.Map[0].Name = "" }},
		{"map[0].name", func(p *policy.Policy) { p.Map[0].Name = strings.Repeat("x", policy.MaxName+1) }},
		{"map[0].span", func(p *policy.Policy) { p.Map[0].Span = nvm.Span{} }},
		{"map[0].span", func(p *policy.Policy) { p.Map[0].Span.Off = -1 }},
		{"map[0].span", func(p *policy.Policy) { p.Map[0].Span.Len = math.MaxInt64 }},
		{"map[1].access.read", func(p *policy.Policy) { p.Map[1].Access.Read.Authority = "" }},
		{"map[0].access.read", func(p *policy.Policy) { p.Map[0].Access.Read.Authority = "x" }},
		{"map[0].access.erase", func(p *policy.Policy) { p.Map[0].Access.Erase.Mode = 9 }},
		{"map[1].in", func(p *policy.Policy) { p.Map[1].In[9] = policy.Access{} }},
		{"map[1].in.rma.read", func(p *policy.Policy) {
			p.Map[1].In[policy.RMA] = policy.Access{Read: policy.Rule{Authority: "x"}}
		}},
		{"map[3].update.golden", func(p *policy.Policy) { p.Map[3].Update.Golden = "\xff" }},
		{"authorities", func(p *policy.Policy) { p.Authorities = make([]policy.Authority, policy.MaxAuthorities+1) }},
		{"authorities[0].suite", func(p *policy.Policy) { p.Authorities[0].Suite = 0 }},
		{"authorities[0].threshold", func(p *policy.Policy) { p.Authorities[0].Threshold = -1 }},
		{"authorities[0].threshold", func(p *policy.Policy) { p.Authorities[0].Threshold = policy.MaxKeys + 1 }},
		{"authorities[0].keys", func(p *policy.Policy) { p.Authorities[0].Keys = make([]policy.Key, policy.MaxKeys+1) }},
		{"authorities[0].keys[1].public", func(p *policy.Policy) { p.Authorities[0].Keys[1].Public = nil }},
		{"authorities[0].keys[1].public", func(p *policy.Policy) { p.Authorities[0].Keys[1].Public = make([]byte, 2018) }},
	} {
		p := cborGolden()
		c.do(p)
		b, err := p.MarshalBinary()
		var e *policy.EncodingError
		if b != nil || !errors.Is(err, policy.ErrEncoding) || !errors.As(err, &e) || e.Field != c.field || e.Unwrap() == nil {
			t.Errorf("%s: %d bytes, %v", c.field, len(b), err)
		}
	}
}
