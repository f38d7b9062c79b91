package policy_test

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

var (
	_ encoding.BinaryMarshaler   = (*policy.Policy)(nil)
	_ encoding.BinaryUnmarshaler = (*policy.Policy)(nil)
)

// cborUpdate writes the golden files anew. They change with the format alone.
var cborUpdate = flag.Bool("update-golden", false, "write the golden vector of the policy's CBOR form")

// cborGolden uses every key of the format.
func cborGolden() *policy.Policy {
	grant := policy.Rule{Mode: policy.Grant, Authority: "vendor"}
	anyone := policy.Rule{Mode: policy.Any}
	return &policy.Policy{
		Name: "Kamera «Süd»", Version: 7,
		Memory: policy.Memory{Size: 16 << 20, Granule: 64 << 10, Blank: true, Hidden: []policy.Area{
			{ID: 20, Name: "vault", Span: nvm.Span{Off: 0xFC0000, Len: 0x40000}, Kind: policy.Vault},
			{ID: 21, Name: "golden", Span: nvm.Span{Off: 0x800000, Len: 0x400000}, Kind: policy.Golden, Courier: true},
			{ID: 22, Name: "slot b", Span: nvm.Span{Off: 0x400000, Len: 0x400000}, Kind: policy.Slot},
		}},
		Map: []policy.Region{
			{ID: 1, Name: "u-boot", Span: nvm.Span{Len: 0x30000}, Boot: true, Access: policy.Access{Read: anyone}},
			{ID: 2, Name: "keys", Span: nvm.Span{Off: 0x30000, Len: 0x10000}, Confidential: true, Access: policy.Access{Read: grant, Blank: true},
				In: map[policy.State]policy.Access{
					policy.Manufacturing:  {Write: policy.Rule{Mode: policy.Once}},
					policy.Decommissioned: {},
				}},
			{ID: 3, Name: "log", Span: nvm.Span{Off: 0x40000, Len: 0x20000}, Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Append}, Erase: grant}},
			{ID: 4, Name: "firmware", Span: nvm.Span{Off: 0xC00000, Len: 0x300000}, Access: policy.Access{Read: anyone, Write: grant, Erase: grant},
				Update: &policy.Update{Slot: "slot b", Staging: "stage", Golden: "golden"}},
			{ID: 5, Name: "data", Span: nvm.Span{Off: 0x60000, Len: 0x20000}, Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone},
				Wear: policy.Wear{Erases: 54, PerHours: 24}},
		},
		Authorities: []policy.Authority{
			{Name: "owner", Suite: policy.ESP256, Threshold: 2, Keys: []policy.Key{
				{Name: "safe 1", Public: bytes.Repeat([]byte{4}, 65)}, {Public: bytes.Repeat([]byte{5}, 65)},
			}},
			{Name: "vendor", Suite: policy.Ed25519, Threshold: 1, Keys: []policy.Key{
				{Name: "build", Public: bytes.Repeat([]byte{0xA5}, 32), Development: true},
			}},
			{Name: "nobody", Suite: policy.Ed25519MLDSA65},
		},
	}
}

func cborMarshal(t testing.TB, p *policy.Policy) []byte {
	t.Helper()
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCBORGolden: what devices in the field hold does not change its meaning.
func TestCBORGolden(t *testing.T) {
	b := cborMarshal(t, cborGolden())
	text := "# policy format 1; policy-v1.diag says what it means\n"
	for rest := b; len(rest) > 0; rest = rest[min(32, len(rest)):] {
		text += hex.EncodeToString(rest[:min(32, len(rest))]) + "\n"
	}
	for name, got := range map[string]string{"testdata/policy-v1.hex": text, "testdata/policy-v1.diag": cborDiag(b)} {
		if *cborUpdate {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: the format has changed; devices in the field read the old one:\n%s", name, got)
		}
	}
	var p policy.Policy
	if err := p.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&p, cborGolden()) {
		t.Errorf("read back as %+v", p)
	}
}

// cborDiag writes diagnostic notation (RFC 8949 §8), a line per item of the
// outer three levels.
func cborDiag(b []byte) string {
	return cborItem(cbor.NewDecoder(b), 0) + "\n"
}

func cborItem(d *cbor.Decoder, depth int) string {
	switch d.Peek() {
	case cbor.Uint:
		return fmt.Sprint(d.Uint())
	case cbor.Text:
		return fmt.Sprintf("%q", d.Text(math.MaxInt))
	case cbor.Bytes:
		return fmt.Sprintf("h'%x'", d.Bytes(math.MaxInt))
	case cbor.Bool:
		return fmt.Sprint(d.Bool())
	case cbor.Array:
		items := make([]string, d.Array(math.MaxInt))
		for i := range items {
			items[i] = cborItem(d, depth+1)
		}
		return "[" + cborLines(items, depth) + "]"
	case cbor.Map:
		items := make([]string, d.Map(math.MaxInt))
		for i := range items {
			items[i] = fmt.Sprint(d.Uint()) + ": " + cborItem(d, depth+1)
		}
		return "{" + cborLines(items, depth) + "}"
	}
	return "?"
}

func cborLines(items []string, depth int) string {
	if depth > 2 || depth == 2 && len(items) < 3 {
		return strings.Join(items, ", ")
	}
	in := "\n" + strings.Repeat("  ", depth)
	return in + "  " + strings.Join(items, ","+in+"  ") + in
}

// cborRandom is any policy that has an encoding, valid or not.
func cborRandom(r *rand.Rand) *policy.Policy {
	p := &policy.Policy{}
	maybe := func(f func()) {
		if r.IntN(2) == 0 {
			f()
		}
	}
	maybe(func() { p.Name = cborName(r) })
	maybe(func() { p.Version = r.Uint64() >> r.IntN(64) })
	maybe(func() { p.Memory.Size = r.Int64N(nvm.MaxSize + 1) })
	maybe(func() { p.Memory.Granule = 1 << r.IntN(20) })
	maybe(func() { p.Memory.Blank = true })
	maybe(func() {
		for range r.IntN(4) {
			p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{
				ID: 1 + r.Uint32N(math.MaxUint32), Name: cborName(r), Span: cborSpan(r),
				Kind: policy.AreaKind(1 + r.IntN(6)), Courier: r.IntN(2) == 0,
			})
		}
	})
	for range r.IntN(6) {
		p.Map = append(p.Map, cborRegion(r))
	}
	for range r.IntN(3) {
		a := policy.Authority{Name: cborName(r), Suite: policy.Suite(1 + r.IntN(5)), Threshold: r.IntN(policy.MaxKeys + 1)}
		for range r.IntN(3) {
			k := policy.Key{Public: make([]byte, 1+r.IntN(2017)), Development: r.IntN(2) == 0}
			maybe(func() { k.Name = cborName(r) })
			a.Keys = append(a.Keys, k)
		}
		p.Authorities = append(p.Authorities, a)
	}
	return p
}

func cborRegion(r *rand.Rand) policy.Region {
	g := policy.Region{ID: 1 + r.Uint32()>>(1+r.IntN(30)), Name: cborName(r), Span: cborSpan(r), Boot: r.IntN(2) == 0, Confidential: r.IntN(2) == 0}
	if r.IntN(3) > 0 {
		g.Access = cborAccess(r)
	}
	if r.IntN(2) == 0 {
		g.In = map[policy.State]policy.Access{}
		for range 1 + r.IntN(4) {
			g.In[policy.State(1+r.IntN(4))] = cborAccess(r)
		}
	}
	if r.IntN(3) == 0 {
		g.Update = &policy.Update{}
		for _, s := range []*string{&g.Update.Slot, &g.Update.Staging, &g.Update.Golden} {
			if r.IntN(2) == 0 {
				*s = cborName(r)
			}
		}
	}
	g.Wear = policy.Wear{Erases: r.Uint32() * r.Uint32N(2), PerHours: r.Uint32() * r.Uint32N(2)}
	return g
}

func cborName(r *rand.Rand) string { return string([]rune("a é水𐅑-z")[r.IntN(3) : 3+r.IntN(5)]) }

func cborSpan(r *rand.Rand) nvm.Span {
	return nvm.Span{Off: r.Int64N(nvm.MaxSize + 1), Len: 1 + r.Int64N(nvm.MaxSize)}
}

func cborAccess(r *rand.Rand) policy.Access {
	rule := func() policy.Rule {
		m := policy.Mode(r.IntN(5))
		if m == policy.Grant {
			return policy.Rule{Mode: m, Authority: cborName(r)}
		}
		return policy.Rule{Mode: m}
	}
	return policy.Access{Read: rule(), Write: rule(), Erase: rule(), Blank: r.IntN(2) == 0}
}

func TestCBORRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := cborRandom(r)
		b := cborMarshal(t, p)
		q := &policy.Policy{Name: "what was there before"}
		if err := q.UnmarshalBinary(b); err != nil {
			t.Fatalf("%v\n%s", err, cborDiag(b))
		}
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("changed:\n%+v\n%+v", p, q)
		}
	}
}

// TestCBORCanonical: empty lists and nil ones are the same policy, and read back
// as nil.
func TestCBORCanonical(t *testing.T) {
	region := policy.Region{ID: 1, Name: "a", Span: nvm.Span{Len: 1}}
	empty := region
	empty.In = map[policy.State]policy.Access{}
	a := &policy.Policy{Memory: policy.Memory{Hidden: []policy.Area{}}, Map: []policy.Region{empty},
		Authorities: []policy.Authority{{Name: "x", Suite: policy.Ed25519, Keys: []policy.Key{}}}}
	want := &policy.Policy{Map: []policy.Region{region}, Authorities: []policy.Authority{{Name: "x", Suite: policy.Ed25519}}}
	b := cborMarshal(t, a)
	var q policy.Policy
	if err := q.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(&q, want) {
		t.Errorf("%+v, %v", q, err)
	}
	if !bytes.Equal(b, cborMarshal(t, want)) {
		t.Error("empty and nil are encoded differently")
	}
	if b := cborMarshal(t, &policy.Policy{}); hex.EncodeToString(b) != "a10101" {
		t.Errorf("the empty policy is %x", b)
	}
}

// TestCBORKept: a policy that is replaced is replaced as a whole, and shares
// nothing with the bytes it came from.
func TestCBORKept(t *testing.T) {
	b := cborMarshal(t, cborGolden())
	p := &policy.Policy{Name: "old", Version: 1}
	if err := p.UnmarshalBinary(b[:len(b)-1]); err == nil || !reflect.DeepEqual(p, &policy.Policy{Name: "old", Version: 1}) {
		t.Errorf("changed by an error (%v): %+v", err, p)
	}
	if err := p.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !reflect.DeepEqual(p, cborGolden()) {
		t.Error("the policy shares memory with its encoding")
	}
}

// TestCBORTruncated: no beginning of a policy is a policy, and neither is one
// with more behind it.
func TestCBORTruncated(t *testing.T) {
	b := cborMarshal(t, cborGolden())
	for n := range b {
		if err := new(policy.Policy).UnmarshalBinary(b[:n]); !errors.Is(err, policy.ErrEncoding) || !errors.Is(err, cbor.ErrSyntax) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if err := new(policy.Policy).UnmarshalBinary(append(b, 0)); !errors.Is(err, cbor.ErrTrailing) {
		t.Errorf("a byte more: %v", err)
	}
}
