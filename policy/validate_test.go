package policy_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

var (
	anyone = policy.Rule{Mode: policy.Any}
	vendor = policy.Rule{Mode: policy.Grant, Authority: "vendor"}
)

func TestValidateSample(t *testing.T) {
	p := sample()
	if err := p.Validate(p.Geometry()); err != nil {
		t.Fatal(err)
	}
	if f := p.Lint(p.Geometry()); len(f) != 0 {
		t.Fatalf("lint: %v", f)
	}
}

// One row for each thing that can be wrong: what is done to the sample, and the
// finding, which names the place and the fix.
func TestValidateFindings(t *testing.T) {
	const boot, log, data = 0, 1, 2
	hidden := func(p *policy.Policy, k policy.AreaKind, off, n int64) *policy.Area {
		id := uint32(100 + len(p.Memory.Hidden))
		p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: id, Name: fmt.Sprintf("extra%d", id), Span: nvm.Span{Off: off, Len: n}, Kind: k})
		return &p.Memory.Hidden[len(p.Memory.Hidden)-1]
	}
	for _, tc := range []struct {
		name   string
		change func(*policy.Policy)
		want   string // "where: text; fix", or parts of it joined by "…"
	}{
		{"version", func(p *policy.Policy) { p.Version = 0 }, "policy: version is 0; number policies from 1"},
		{"no granule", func(p *policy.Policy) { p.Memory.Granule = 0 }, "memory: granule 0 is impossible; give the erase block size"},
		{"negative granule", func(p *policy.Policy) { p.Memory.Granule = math.MinInt64 }, "memory: granule -9223372036854775808 is impossible; "},
		{"odd granule", func(p *policy.Policy) { p.Memory.Granule = 3000 }, "memory: granule 3000 is impossible; "},
		{"fine granule", func(p *policy.Policy) { p.Memory.Granule = 2048 }, "memory: granule 2KiB is finer than the memory's erase block of 4KiB; draw the map in blocks of 4KiB"},
		{"size", func(p *policy.Policy) { p.Memory.Size = 1 << 20 }, "memory: policy is for 1MiB, the memory has 64KiB; correct memory.size"},
		{"odd size", func(p *policy.Policy) { p.Memory.Size = -5 }, "memory: policy is for -5 bytes, the memory has 64KiB; "},

		{"no regions", func(p *policy.Policy) { p.Map = nil }, "policy: the map has no regions; add at least one"},
		{"many regions", func(p *policy.Policy) { p.Map = make([]policy.Region, policy.MaxRegions+1) }, "policy: 131073 regions are more than 131072; merge"},
		{"many areas", func(p *policy.Policy) { p.Memory.Hidden = make([]policy.Area, policy.MaxRegions+1) }, "policy: 131073 hidden areas are more than 131072; merge"},
		{"many updates", func(p *policy.Policy) {
			p.Map = make([]policy.Region, policy.MaxUpdates+1)
			for i := range p.Map {
				p.Map[i].Update = &policy.Update{}
			}
		}, "policy: 65 update regions are more than 64; update regions together"},
		{"many authorities", func(p *policy.Policy) { p.Authorities = make([]policy.Authority, policy.MaxAuthorities+1) }, "policy: 65 authorities are more than 64; share"},

		{"empty area", func(p *policy.Policy) { p.Memory.Hidden[0].Span.Len = 0 }, `hidden area "vault": 0x8000+0x0 is empty or outside; keep it inside the memory of 64KiB`},
		{"area unaligned", func(p *policy.Policy) { hidden(p, policy.Audit, 60<<10+1, 100) }, `hidden area "extra102": 0xf001+0x64 does not start and end on erase blocks; move its borders to 0xf000+0x1000`},
		{"area kind 0", func(p *policy.Policy) { p.Memory.Hidden[0].Kind = 0 }, `hidden area "vault": kind area(0) is unknown; say vault, audit`},
		{"area kind", func(p *policy.Policy) { p.Memory.Hidden[0].Kind = 77 }, `hidden area "vault": kind area(77) is unknown; say`},
		{"small vault", func(p *policy.Policy) { p.Memory.Hidden[0].Span.Len = 4 << 10 }, `hidden area "vault": a journal needs two erase blocks; give it at least 8KiB`},
		{"two vaults", func(p *policy.Policy) { hidden(p, policy.Vault, 56<<10, 8<<10) }, "memory: 2 areas of kind vault; keep one"},

		{"empty region", func(p *policy.Policy) { p.Map[data].Span.Len = 0 }, `region "data": 0x6000+0x0 is empty or outside; keep it inside`},
		{"negative offset", func(p *policy.Policy) { p.Map[data].Span.Off = math.MinInt64 }, `region "data": -0x8000000000000000+0x2000 is empty or outside`},
		{"huge offset", func(p *policy.Policy) { p.Map[data].Span.Off = math.MaxInt64 }, `region "data": 0x7fffffffffffffff+0x2000 is empty or outside`},
		{"overflowing length", func(p *policy.Policy) { p.Map[data].Span.Len = math.MaxInt64 }, `region "data": 0x6000+0x7fffffffffffffff is empty or outside`},
		{"negative length", func(p *policy.Policy) { p.Map[data].Span.Len = math.MinInt64 }, `region "data": 0x6000+-0x8000000000000000 is empty or outside`},
		{"one byte too far", func(p *policy.Policy) { p.Map[data].Span = nvm.Span{Off: 64<<10 - 1, Len: 2} }, `region "data": 0xffff+0x2 is empty or outside`},

		{"unknown mode", func(p *policy.Policy) { p.Map[data].Read.Mode = 99 }, `region "data": read: mode(99); say never, any, grant, append or once`},
		{"read append", func(p *policy.Policy) { p.Map[data].Read.Mode = policy.Append }, `region "data": read cannot be append; say never, any or grant`},
		{"erase once", func(p *policy.Policy) { p.Map[data].Erase.Mode = policy.Once }, `region "data": erase cannot be once; say never, any or grant`},
		{"grant by nobody", func(p *policy.Policy) { p.Map[data].Write = policy.Rule{Mode: policy.Grant, Authority: "nobody"} }, `region "data": write is granted by "nobody", which is not an authority; add the authority`},
		{"grant without name", func(p *policy.Policy) { p.Map[data].Write = policy.Rule{Mode: policy.Grant} }, `region "data": write is granted by "", which is not an authority`},
		{"authority without grant", func(p *policy.Policy) { p.Map[data].Write = policy.Rule{Mode: policy.Any, Authority: "vendor"} }, `region "data": write: rule any names an authority; say "grant vendor"`},
		{"append, erase any", func(p *policy.Policy) { p.Map[log].Erase = anyone }, `region "log": any host may erase what it may only append; make erase never, or a grant`},
		{"once, erase any", func(p *policy.Policy) {
			p.Map[log].Access = policy.Access{Write: policy.Rule{Mode: policy.Once}, Erase: anyone}
		}, `region "log": any host may erase what it may only once; make erase never`},
		{"append in a state", func(p *policy.Policy) {
			p.Map[data].In = map[policy.State]policy.Access{policy.RMA: {Write: policy.Rule{Mode: policy.Append}, Erase: anyone}}
		}, `region "data" in rma: any host may erase what it may only append; make`},
		{"update appends", func(p *policy.Policy) { p.Map[boot].Write = policy.Rule{Mode: policy.Append} }, `region "boot": an update region cannot be append-only; make write a grant`},
		{"confidential", func(p *policy.Policy) { p.Map[data].Confidential = true }, `region "data": confidential, but any host may read it; make read never, or a grant`},
		{"confidential in a state", func(p *policy.Policy) {
			p.Map[data].Confidential, p.Map[data].Read = true, policy.Rule{}
			p.Map[data].In = map[policy.State]policy.Access{policy.Decommissioned: {Read: anyone}}
		}, `region "data" in decommissioned: confidential, but any host may read it`},
		{"state 0", func(p *policy.Policy) { p.Map[data].In = map[policy.State]policy.Access{0: {}} }, `region "data": rules for a state that does not exist; say manufacturing`},
		{"state 9", func(p *policy.Policy) { p.Map[data].In = map[policy.State]policy.Access{9: {Read: anyone}} }, `region "data": rules for a state that does not exist; say manufacturing`},
		{"wear without erases", func(p *policy.Policy) { p.Map[data].Wear = policy.Wear{PerHours: 1} }, `region "data": wear ledger has a period but no erases; say how many`},

		{"update unaligned", func(p *policy.Policy) { p.Map[boot].Span.Len = 16<<10 - 1 }, `region "boot": an update region starts and ends on erase blocks, 0x0+0x3fff does not; move its borders to 0x0+0x4000`},
		{"one slot alone", func(p *policy.Policy) { p.Map[boot].Update = &policy.Update{} }, `region "boot": one slot without staging or golden image: a power cut…would brick the device; give update.slot`},
		{"no such slot", func(p *policy.Policy) { p.Map[boot].Update.Slot = "none" }, `region "boot": update.slot: no hidden area "none" of kind slot; add it under memory.hidden`},
		{"slot of a kind", func(p *policy.Policy) { p.Map[boot].Update.Slot = "vault" }, `region "boot": update.slot: no hidden area "vault" of kind slot`},
		{"slot length", func(p *policy.Policy) { p.Memory.Hidden[1].Span.Len = 8 << 10 }, `region "boot": update.slot: "boot2" has 8KiB; give it 16KiB`},
		{"slot shared", func(p *policy.Policy) {
			p.Map[data].Update = &policy.Update{Slot: "boot2"}
		}, `region "data": slot "boot2" belongs to region "boot"; give each region a slot of its own`},
		{"small staging", func(p *policy.Policy) {
			p.Map[boot].Update.Staging = hidden(p, policy.Staging, 56<<10, 4<<10).Name
		}, `region "boot": update.staging: "extra102" has 4KiB; give it 16KiB`},
		{"golden without courier", func(p *policy.Policy) {
			p.Map[boot].Update = &policy.Update{Golden: hidden(p, policy.Golden, 56<<10, 4<<10).Name}
		}, `region "boot": golden image "extra102" cannot fetch an update: …never heals; build the courier into the golden image`},

		{"overlap", func(p *policy.Policy) { p.Map[data].Span.Off -= 1 }, `region "data": 0x5fff+0x2000 overlaps region "log" at 0x4000+0x2000; move one of them`},
		{"overlap with hidden", func(p *policy.Policy) { p.Map[data].Span.Len++ }, `hidden area "vault": 0x8000+0x2000 overlaps region "data" at 0x6000+0x2001; move`},
		{"overlap of two that are no neighbours", func(p *policy.Policy) { p.Map[log].Span.Len = 40 << 10 }, `region "data": 0x6000+0x2000 overlaps region "log" at 0x4000+0xa000`},
		{"same place", func(p *policy.Policy) { p.Map[data].Span = p.Map[log].Span }, `overlaps region "`},

		{"no name", func(p *policy.Policy) { p.Map[data].Name = "" }, `region "": impossible name; use 1 to 128 printable characters`},
		{"long name", func(p *policy.Policy) { p.Map[data].Name = strings.Repeat("x", 129) }, `: impossible name; use`},
		{"control character", func(p *policy.Policy) { p.Map[data].Name = "a\x1b[2J" }, `region "a\x1b[2J": impossible name; use`},
		{"invisible character", func(p *policy.Policy) { p.Map[data].Name = "a\u202eb" }, `region "a\u202eb": impossible name; use`},
		{"not UTF-8", func(p *policy.Policy) { p.Map[data].Name = "a\xff" }, `region "a\xff": impossible name; use`},
		{"area without name", func(p *policy.Policy) { p.Memory.Hidden[0].Name = "" }, `hidden area "": impossible name; use`},
		{"no id", func(p *policy.Policy) { p.Map[data].ID = 0 }, `region "data": id is missing; number regions`},
		{"name twice", func(p *policy.Policy) { p.Map[data].Name = "log" }, `region "log": name is used twice; rename one`},
		{"name of an area", func(p *policy.Policy) { p.Memory.Hidden[0].Name = "log" }, `hidden area "log": name is used twice; rename one`},
		{"id twice", func(p *policy.Policy) { p.Memory.Hidden[0].ID = 3 }, `policy: id 3 is used twice; give each region`},

		{"authority name", func(p *policy.Policy) { p.Authorities[1].Name = "a\n" }, `authority "a\n": impossible name; use`},
		{"authority twice", func(p *policy.Policy) { p.Authorities[0].Name = "vendor" }, `authority "vendor": name is used twice; rename one`},
		{"no suite", func(p *policy.Policy) { p.Authorities[1].Suite = 0 }, `authority "vendor": suite suite(0) is unknown; say ed25519, esp256`},
		{"unknown suite", func(p *policy.Policy) { p.Authorities[1].Suite = 200 }, `authority "vendor": suite suite(200) is unknown`},
		{"many keys", func(p *policy.Policy) { p.Authorities[1].Keys = make([]policy.Key, policy.MaxKeys+1) }, `authority "vendor": 33 keys are more than 32; use fewer`},
		{"threshold 0", func(p *policy.Policy) { p.Authorities[1].Threshold = 0 }, `authority "vendor": threshold 0 of 1 keys; say 1..1`},
		{"negative threshold", func(p *policy.Policy) { p.Authorities[1].Threshold = -1 }, `authority "vendor": threshold -1 of 1 keys; say 1..1`},
		{"high threshold", func(p *policy.Policy) { p.Authorities[1].Threshold = 2 }, `authority "vendor": threshold 2 of 1 keys; say 1..1`},
		{"threshold without keys", func(p *policy.Policy) { p.Authorities[1].Keys = nil }, `authority "vendor": threshold 1 without keys; add keys`},
		{"key length", func(p *policy.Policy) { p.Authorities[1].Keys[0].Public = make([]byte, 31) }, `authority "vendor": key "build" has 31 bytes; suite ed25519 takes 32 bytes`},
		{"key of another authority", func(p *policy.Policy) { p.Authorities[1].Keys[0] = key("mine", 1) }, `authority "vendor": key "mine" is used twice: one key in two roles…make a key for each role`},
		{"key twice", func(p *policy.Policy) { p.Authorities[0].Keys[1] = key("again", 1) }, `authority "owner": key "again" is used twice`},
		{"half of a hybrid key", func(p *policy.Policy) {
			k := make([]byte, policy.Ed25519MLDSA65.PublicLen())
			copy(k, key("", 1).Public)
			p.Authorities[1].Suite, p.Authorities[1].Keys[0].Public = policy.Ed25519MLDSA65, k
		}, `authority "vendor": key "build" is used twice`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := sample()
			g := p.Geometry()
			tc.change(p)
			err := p.Validate(g)
			var bad *policy.InvalidError
			if !errors.As(err, &bad) || !errors.Is(err, policy.ErrInvalid) {
				t.Fatalf("got %v, want an InvalidError", err)
			}
			if !said(err.Error(), tc.want) {
				t.Errorf("got\n%v\nwant %s", err, tc.want)
			}
			for _, f := range bad.Findings {
				if f.Where == "" || f.Text == "" || f.Fix == "" {
					t.Errorf("finding without place, text or fix: %+v", f)
				}
				if strings.ContainsAny(f.String(), "\n\x1b") {
					t.Errorf("control characters reach the reader: %q", f.String())
				}
			}
			if tab, err := p.Compile(g, 0); tab != nil || err == nil {
				t.Error("compiles all the same")
			}
			if !reflect.DeepEqual(err, p.Validate(g)) {
				t.Error("says something else the second time")
			}
			if len(p.Lint(g)) == 0 {
				t.Error("lint is content")
			}
		})
	}
}

// said tells whether the parts of want, joined by "…", appear in order.
func said(got, want string) bool {
	for _, part := range strings.Split(want, "…") {
		i := strings.Index(got, part)
		if i < 0 {
			return false
		}
		got = got[i:]
	}
	return true
}

func TestValidateGeometry(t *testing.T) {
	err := sample().Validate(nvm.Geometry{})
	if !errors.Is(err, policy.ErrInvalid) || !strings.Contains(err.Error(), "memory: nvm: impossible geometry") {
		t.Errorf("got %v", err)
	}
}

// A slot is erased like the region that it stands for.
func TestValidateSlotBlocks(t *testing.T) {
	g := nvm.Geometry{Size: 64, EraseSize: 4, ProgramSize: 1, Blocks: []nvm.EraseArea{{Len: 16, EraseSize: 4}, {Len: 48, EraseSize: 16}}}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: 64, Granule: 4, Hidden: []policy.Area{{ID: 2, Name: "b", Span: nvm.Span{Off: 32, Len: 16}, Kind: policy.Slot}}},
		Map: []policy.Region{{ID: 1, Name: "a", Span: nvm.Span{Len: 16}, Update: &policy.Update{Slot: "b"}}}}
	if err := p.Validate(g); !errors.Is(err, policy.ErrInvalid) || !strings.Contains(err.Error(), `region "a": slot "b" has other erase blocks than the region; place the slot`) {
		t.Errorf("got %v", err)
	}
	p.Map[0].Span.Off = 16
	if err := p.Validate(g); err != nil {
		t.Errorf("alike: %v", err)
	}
	p.Map[0].Update.Golden = "g"
	p.Memory.Hidden = append(p.Memory.Hidden, policy.Area{ID: 3, Name: "g", Span: nvm.Span{Off: 48, Len: 16}, Kind: policy.Golden, Courier: true})
	if err := p.Validate(g); err != nil {
		t.Errorf("with golden: %v", err)
	}
}

// What a stranger sends costs no more than reading it.
func TestValidateHostile(t *testing.T) {
	p := sample()
	g := p.Geometry()
	p.Map = make([]policy.Region, 1_000_000)
	var bad *policy.InvalidError
	if err := p.Validate(g); !errors.As(err, &bad) || len(bad.Findings) != 1 {
		t.Errorf("a million regions: %v", err)
	}
	p = sample()
	p.Authorities[0].Keys = make([]policy.Key, 1_000_000)
	if err := p.Validate(g); !errors.As(err, &bad) {
		t.Errorf("a million keys: %v", err)
	}
	p = sample()
	p.Map = make([]policy.Region, policy.MaxRegions)
	for i := range p.Map {
		p.Map[i].Span = nvm.Span{Off: math.MinInt64, Len: math.MaxInt64}
	}
	err := p.Validate(g)
	if !errors.As(err, &bad) || len(bad.Findings) != 20 || bad.More < policy.MaxRegions {
		t.Fatalf("got %d findings", len(bad.Findings))
	}
	if want := fmt.Sprintf("\nand %d more", bad.More); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("text does not end with %q", want)
	}
}

func TestLimitsAllowed(t *testing.T) {
	g := nvm.Geometry{Size: policy.MaxRegions * 4, EraseSize: 4, ProgramSize: 1}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: g.Size, Granule: 4}}
	for i := range int64(policy.MaxRegions) {
		p.Map = append(p.Map, policy.Region{ID: uint32(i + 1), Name: fmt.Sprint("r", i), Span: nvm.Span{Off: 4 * i, Len: 4}, Access: policy.Access{Read: anyone}})
	}
	for i := range policy.MaxAuthorities {
		p.Authorities = append(p.Authorities, policy.Authority{Name: fmt.Sprint("a", i), Suite: policy.ESP256})
	}
	tab, err := p.Compile(g, 0)
	if err != nil {
		t.Fatal(err)
	}
	if u := tab.Until(nvm.Read); u[0] != uint32(g.Size) || u[policy.MaxRegions-1] != uint32(g.Size) {
		t.Errorf("one run of all: %d", u[0])
	}
}

func TestInvalidError(t *testing.T) {
	var zero policy.InvalidError
	if zero.Error() == "" || !errors.Is(&zero, policy.ErrInvalid) {
		t.Errorf("zero: %v", &zero)
	}
	if s := (policy.Finding{Where: "a", Text: "b"}).String(); s != "a: b" {
		t.Errorf("without a fix: %q", s)
	}
}

func TestLint(t *testing.T) {
	const boot, log, data = 0, 1, 2
	for _, tc := range []struct {
		name   string
		change func(*policy.Policy, *nvm.Geometry)
		want   string
	}{
		{"invalid", func(p *policy.Policy, _ *nvm.Geometry) { p.Version = 0 }, "policy: version is 0; number"},
		{"no vault", func(p *policy.Policy, _ *nvm.Geometry) { p.Memory.Hidden = p.Memory.Hidden[1:] }, "memory: no vault: seals, marks and ledgers are lost at power-off; add"},
		{"no boot", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[boot].Boot = false }, "policy: no region is marked boot; mark"},
		{"no owner", func(p *policy.Policy, _ *nvm.Geometry) { p.Authorities = p.Authorities[1:] }, "policy: nobody can ever change this policy; add"},
		{"owner without keys", func(p *policy.Policy, _ *nvm.Geometry) { p.Authorities[0].Keys, p.Authorities[0].Threshold = nil, 0 }, "policy: nobody can ever change this policy"},
		{"lone owner", func(p *policy.Policy, _ *nvm.Geometry) { p.Authorities[0].Keys = p.Authorities[0].Keys[:1] }, `authority "owner": a lone owner key: lost once, lost for ever; add`},
		{"unused slot", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[boot].Update = nil }, `hidden area "boot2": no region uses it; name it`},
		{"boot writable", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[boot].Write = anyone }, `region "boot": the host may change what runs before it (write any, erase grant vendor); make`},
		{"boot appendable", func(p *policy.Policy, _ *nvm.Geometry) {
			p.Map[boot].Update, p.Map[boot].Write = nil, policy.Rule{Mode: policy.Append}
		}, `region "boot": the host may change what runs before it (write append`},
		{"update writable", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[boot].Erase = anyone }, `region "boot": the host may change an update region past the update; make`},
		{"erase without limit", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[data].Wear = policy.Wear{} }, `region "data": any host may erase without limit and wear it out; add wear`},
		{"rewrite without limit", func(p *policy.Policy, g *nvm.Geometry) {
			p.Map[data].Wear, p.Map[data].Erase, g.Program = policy.Wear{}, policy.Rule{}, nvm.Rewrite
		}, `region "data": any host may rewrite without limit and wear it out; add wear`},
		{"shared block", func(p *policy.Policy, _ *nvm.Geometry) { p.Map[data].Span.Len-- }, `region "data": shares an erase block: the shared block can only be erased by who may erase both sides; move its borders to 0x6000+0x2000`},
		{"no keys", func(p *policy.Policy, _ *nvm.Geometry) { p.Authorities[1].Keys, p.Authorities[1].Threshold = nil, 0 }, `region "boot": grant vendor, but "vendor" has no keys: nobody can open it; add keys`},
		{"boot in rma", func(p *policy.Policy, _ *nvm.Geometry) {
			p.Map[boot].In = map[policy.State]policy.Access{policy.RMA: {Erase: anyone}}
		}, `region "boot": the host may change boot code in rma; make`},
		{"development key", func(p *policy.Policy, _ *nvm.Geometry) { p.Authorities[1].Keys[0].Development = true }, `authority "vendor": key "build" is a development key; replace it`},
	} {
		p := sample()
		g := p.Geometry()
		tc.change(p, &g)
		var lines []string
		for _, f := range p.Lint(g) {
			lines = append(lines, f.String())
		}
		if got := strings.Join(lines, "\n"); !said(got, tc.want) {
			t.Errorf("%s: got\n%s\nwant %s", tc.name, got, tc.want)
		}
	}
}
