package policy_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func randomSource(rng *rand.Rand) *source {
	b := make([]byte, 600)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return &source{b}
}

// Every access to toy memories under random policies, rights and states.
func TestTableExhaustive(t *testing.T) {
	n := 30
	if long {
		n = 2000
	}
	for seed := range uint64(n) {
		s := randomSource(rand.New(rand.NewPCG(seed, 1)))
		p, g := generate(s)
		rights := rightsFor(s, g.Size)
		for _, st := range policy.States() {
			tab, err := p.Compile(g, st)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			agree(t, oracle{p, g, st}, tab, rights, 1)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// A policy from the bytes of the fuzzer, bent in one place, is refused with
// findings or compiles to what the oracle says.
func FuzzCompile(f *testing.F) {
	f.Add([]byte{}, uint8(0), int64(0))
	f.Add([]byte{3, 1, 9, 2, 0, 0, 1, 4, 5, 5, 5, 1, 0, 0, 2, 7, 7}, uint8(0), int64(0))
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 20), uint8(1), int64(math.MaxInt64))
	f.Add(bytes.Repeat([]byte{2, 7, 1, 8}, 30), uint8(3), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, b []byte, where uint8, v int64) {
		s := &source{b}
		p, g := generate(s)
		bend(p, where, v)
		rights := rightsFor(s, g.Size)[:3]
		st := policy.States()[s.next(4)]
		tab, err := p.Compile(g, st)
		var bad *policy.InvalidError
		switch {
		case err == nil:
			agree(t, oracle{p, g, st}, tab, rights, 5)
		case !errors.As(err, &bad) || len(bad.Findings) == 0 || tab != nil:
			t.Fatalf("got %v, %v", tab, err)
		case where%bends == 0:
			t.Fatalf("generated policy refused: %v", err)
		}
		p.Lint(g)
	})
}

const bends = 12

// bend puts v somewhere in p.
func bend(p *policy.Policy, where uint8, v int64) {
	r := &p.Map[int(where)/bends%len(p.Map)]
	switch where % bends {
	case 1:
		r.Span.Off = v
	case 2:
		r.Span.Len = v
	case 3:
		p.Memory.Size = v
	case 4:
		p.Memory.Granule = v
	case 5:
		r.Write.Mode = policy.Mode(v)
	case 6:
		r.Read.Authority = string(rune(v))
	case 7:
		r.ID = uint32(v)
	case 8:
		r.In = map[policy.State]policy.Access{policy.State(v): r.Access}
	case 9:
		p.Authorities[0].Threshold = int(v)
	case 10:
		if len(p.Memory.Hidden) > 0 {
			p.Memory.Hidden[0].Span = nvm.Span{Off: v, Len: v}
		}
	case 11:
		r.Name = string(rune(v))
	}
}

// Beyond 2^20 blocks the table's block grows, and beyond 4 GiB there is none: the
// arrays stay small and the rest is decided exactly.
func TestTableBigMemory(t *testing.T) {
	g := nvm.Geometry{Size: 4096 * (1<<21 + 1), EraseSize: 4096, ProgramSize: 1, Erased: 0xFF}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: g.Size, Granule: 4096}, Map: []policy.Region{
		{ID: 1, Name: "low", Span: nvm.Span{Off: 4096, Len: 1 << 20}, Access: policy.Access{Read: policy.Rule{Mode: policy.Any}}},
		{ID: 2, Name: "high", Span: nvm.Span{Off: 1 << 31, Len: g.Size - 1<<31}, Access: policy.Access{Read: policy.Rule{Mode: policy.Any}}},
	}}
	tab, err := p.Compile(g, policy.Deployed)
	if err != nil {
		t.Fatal(err)
	}
	if tab.Shift() != 13 {
		t.Fatalf("shift %d, want 13", tab.Shift())
	}
	until := tab.Until(nvm.Read)
	if len(until) != 1<<19-1 {
		t.Fatalf("%d blocks, want those below 4 GiB", len(until))
	}
	const end = 1<<20 + 4096
	for b, want := range map[int]uint32{0: 0, 1: end, end>>13 - 1: end, end >> 13: 0, 1 << 18: math.MaxUint32, 1<<19 - 2: math.MaxUint32} {
		if until[b] != want {
			t.Errorf("block %d until %d, want %d", b, until[b], want)
		}
	}
	o := oracle{p, g, policy.Deployed}
	for _, edge := range []int64{0, 4096, 8192, 1 << 20, 1<<20 + 4096, 1<<20 + 8192, 1 << 31, 1<<32 - 1, 1 << 32, g.Size - 4096, g.Size} {
		for off := max(edge-3, 0); off < min(edge+3, g.Size); off++ {
			for end := off + 1; end <= min(edge+3, g.Size); end++ {
				want := true
				for b := off; b < end; b++ {
					want = want && o.byte(nvm.Read, b, nil) == policy.Allow
				}
				if got := tab.Explain(nvm.Read, nvm.Span{Off: off, Len: end - off}, nil); got.Allow != want {
					t.Errorf("read [%d,%d): %+v, want %v", off, end, got, want)
				}
			}
		}
	}
	for _, off := range []int64{-1, math.MinInt64, g.Size + 8192, math.MaxInt64} {
		if i := tab.Start(off); i != tab.Entries() {
			t.Errorf("Start(%d) = %d, want none", off, i)
		}
	}
}

func TestExplainRefuses(t *testing.T) {
	p := sample()
	tab := compile(t, p, policy.Deployed)
	for _, tc := range []struct {
		op    nvm.Op
		s     nvm.Span
		allow bool
		rule  string
	}{
		{0, nvm.Span{}, false, "not one operation: denied"},
		{nvm.Read | nvm.Write, nvm.Span{}, false, "not one operation: denied"},
		{nvm.Read, nvm.Span{Off: -1, Len: 1}, false, "outside the memory: denied"},
		{nvm.Read, nvm.Span{Off: math.MaxInt64, Len: 1}, false, "outside the memory: denied"},
		{nvm.Read, nvm.Span{Off: 0, Len: math.MinInt64}, false, "outside the memory: denied"},
		{nvm.Write, nvm.Span{Off: 3}, true, "nothing asked"},
		{nvm.Erase, nvm.Span{Off: 1, Len: 1}, false, "not whole erase blocks: refused"},
		{nvm.Write, nvm.Span{Off: 0, Len: 1}, false, "write: grant vendor"},
		{nvm.Read, nvm.Span{Off: 0, Len: 8 << 10}, true, "read: any"},
		{nvm.Read, nvm.Span{Off: 48 << 10, Len: 1}, false, "read: hidden"},
		{nvm.Read, nvm.Span{Off: 63 << 10, Len: 1}, false, "read: no region, denied"},
	} {
		if d := tab.Explain(tc.op, tc.s, nil); d.Allow != tc.allow || d.Rule != tc.rule {
			t.Errorf("%v %v: got %+v, want %v %q", tc.op, tc.s, d, tc.allow, tc.rule)
		}
	}
	d := tab.Explain(nvm.Write, nvm.Span{Off: 32<<10 - 1, Len: 2}, nil)
	if d.Allow || d.Region != "vault" || d.ID != 4 {
		t.Errorf("across regions: %+v, want the refusal of the vault", d)
	}
}

func TestZeroTableDenies(t *testing.T) {
	var tab policy.Table
	if d := tab.Explain(nvm.Read, nvm.Span{Len: 1}, nil); d.Allow {
		t.Errorf("explain: %+v", d)
	}
	if p, _ := tab.Piece(0, nvm.Read, 0, 1, nil); p.Verdict != policy.Deny || p.Entry != -1 {
		t.Errorf("piece: %+v", p)
	}
	for _, op := range []nvm.Op{nvm.Read, nvm.Write, nvm.Erase, 0, 3} {
		if u := tab.Until(op); len(u) != 0 {
			t.Errorf("until %v: %v", op, u)
		}
	}
	if len(tab.UntilFor(policy.Rights{Ops: nvm.Read})) != 0 || tab.Start(0) != 0 || tab.Entries() != 0 || tab.Find("") != -1 ||
		tab.Viewable(0) || tab.Once(0) || tab.SlotOf(0) != -1 || tab.Backs("") || tab.State() != 0 || tab.Version() != 0 ||
		tab.Info(0) != (policy.Info{}) || tab.Geometry().Size != 0 {
		t.Error("the zero Table knows something")
	}
	var zero policy.Verdict
	if zero != policy.Deny || (policy.Decision{}).Allow {
		t.Error("a zero value allows")
	}
}

func TestCompileRefuses(t *testing.T) {
	p := sample()
	if _, err := p.Compile(p.Geometry(), 9); !errors.Is(err, policy.ErrInvalid) || !strings.Contains(err.Error(), "state(9) does not exist") {
		t.Errorf("unknown state: %v", err)
	}
	if _, err := new(policy.Policy).Compile(p.Geometry(), 0); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("zero policy: %v", err)
	}
	p.Map[1].Confidential, p.Map[1].Read = true, policy.Rule{}
	if _, err := p.Compile(p.Geometry(), 0); err != nil {
		t.Errorf("confidential: %v", err)
	}
}

func TestInfo(t *testing.T) {
	p := sample()
	p.Map[1].In = map[policy.State]policy.Access{policy.Manufacturing: {Read: policy.Rule{Mode: policy.Any}, Write: policy.Rule{Mode: policy.Once}}}
	tab := compile(t, p, 0)
	if tab.State() != policy.Deployed || tab.Version() != 7 || tab.Geometry().Size != p.Memory.Size || tab.Entries() != 5 {
		t.Errorf("state %v, version %d, entries %d", tab.State(), tab.Version(), tab.Entries())
	}
	boot, log, data, slot := tab.Find("boot"), tab.Find("log"), tab.Find("data"), tab.Find("boot2")
	if boot < 0 || log < 0 || data < 0 || slot < 0 || tab.Find("none") != -1 {
		t.Fatal("not found by name")
	}
	in := tab.Info(boot)
	want := policy.Info{Name: "boot", ID: 1, Span: p.Map[0].Span, Boot: true, Access: p.Map[0].Access, Slot: p.Area("boot2").Span}
	if in != want {
		t.Errorf("boot: %+v, want %+v", in, want)
	}
	if in := tab.Info(slot); !in.Hidden || in.Access.Read.Mode != policy.Never || in.Why(nvm.Write) != "write: hidden" {
		t.Errorf("slot: %+v", in)
	}
	if in := tab.Info(data); in.Wear != p.Map[2].Wear || !in.View || in.Slot.Len != 0 {
		t.Errorf("data: %+v", in)
	}
	for i, row := range map[int]struct{ view, once bool }{boot: {false, false}, log: {true, true}, data: {true, false}, slot: {}, -1: {}, 99: {}} {
		if tab.Viewable(i) != row.view || tab.Once(i) != row.once {
			t.Errorf("entry %d: view %v once %v", i, tab.Viewable(i), tab.Once(i))
		}
	}
	if tab.SlotOf(slot) != boot || tab.SlotOf(boot) != -1 || tab.SlotOf(-1) != -1 {
		t.Error("SlotOf")
	}
	if !tab.Backs("vendor") || tab.Backs("") || tab.Backs("nobody") {
		t.Error("Backs")
	}
	p.Map[1].In[policy.RMA] = policy.Access{}
	if tab := compile(t, p, 0); tab.Viewable(tab.Find("log")) {
		t.Error("viewable though rma does not allow it")
	}
}

func TestSameExtents(t *testing.T) {
	base := compile(t, sample(), 0)
	for name, tc := range map[string]struct {
		change func(*policy.Policy)
		same   bool
	}{
		"itself":      {func(*policy.Policy) {}, true},
		"rules":       {func(p *policy.Policy) { p.Map[2].Write = policy.Rule{} }, true},
		"name":        {func(p *policy.Policy) { p.Map[2].Name = "else" }, true},
		"order":       {func(p *policy.Policy) { p.Map[0], p.Map[2] = p.Map[2], p.Map[0] }, true},
		"length":      {func(p *policy.Policy) { p.Map[2].Span.Len -= 4096 }, false},
		"id":          {func(p *policy.Policy) { p.Map[2].ID = 99 }, false},
		"less":        {func(p *policy.Policy) { p.Map = p.Map[:2] }, false},
		"slot":        {func(p *policy.Policy) { p.Map[0].Update = nil }, false},
		"vault moves": {func(p *policy.Policy) { p.Memory.Hidden[0].Kind = policy.Audit }, false},
		"hidden": {func(p *policy.Policy) {
			h := p.Memory.Hidden[0]
			p.Memory.Hidden = p.Memory.Hidden[1:]
			p.Map = append(p.Map, policy.Region{ID: h.ID, Name: h.Name, Span: h.Span})
		}, false},
	} {
		p := sample()
		tc.change(p)
		if got := base.SameExtents(compile(t, p, 0)); got != tc.same {
			t.Errorf("%s: %v, want %v", name, got, tc.same)
		}
	}
}

// compile compiles on the plainest memory that fits.
func compile(t testing.TB, p *policy.Policy, st policy.State) *policy.Table {
	t.Helper()
	tab, err := p.Compile(p.Geometry(), st)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}
