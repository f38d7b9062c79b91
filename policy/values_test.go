package policy_test

import (
	"reflect"
	"testing"
	"testing/quick"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func TestParseRule(t *testing.T) {
	for _, r := range []policy.Rule{{}, {Mode: policy.Any}, {Mode: policy.Append}, {Mode: policy.Once}, {Mode: policy.Grant, Authority: "a b"}} {
		if got, err := policy.ParseRule(r.String()); err != nil || got != r {
			t.Errorf("%q: got %v, %v", r.String(), got, err)
		}
	}
	for _, s := range []string{"", "grant", "grant ", "Any", "any ", "mode(9)", "grantvendor"} {
		if got, err := policy.ParseRule(s); err == nil || got != (policy.Rule{}) {
			t.Errorf("%q: got %v, want an error and the rule that denies", s, got)
		}
	}
}

// Names round-trip, and no number beyond the known ones has one.
func TestNames(t *testing.T) {
	states, kinds, suites := 0, 0, 0
	for i := range 256 {
		st, k, su := policy.State(i), policy.AreaKind(i), policy.Suite(i)
		if got, err := policy.ParseState(st.String()); err == nil {
			if states++; got != st {
				t.Errorf("state %v reads as %v", st, got)
			}
		}
		if got, err := policy.ParseAreaKind(k.String()); err == nil {
			if kinds++; got != k {
				t.Errorf("kind %v reads as %v", k, got)
			}
		}
		if got, err := policy.ParseSuite(su.String()); err == nil {
			if suites++; got != su {
				t.Errorf("suite %v reads as %v", su, got)
			}
			if su.PublicLen() == 0 {
				t.Errorf("suite %v has keys of no length", su)
			}
		} else if su.PublicLen() != 0 {
			t.Errorf("suite %d has keys but no name", i)
		}
	}
	if states != 4 || kinds != 6 || suites != 5 {
		t.Errorf("%d states, %d kinds, %d suites", states, kinds, suites)
	}
	if s := policy.Mode(200).String(); s != "mode(200)" {
		t.Errorf("unknown mode: %q", s)
	}
	if policy.Ed25519MLDSA65.PublicLen() != policy.Ed25519.PublicLen()+policy.MLDSA65.PublicLen() ||
		policy.ESP256MLDSA65.PublicLen() != policy.ESP256.PublicLen()+policy.MLDSA65.PublicLen() {
		t.Error("a hybrid key is both keys")
	}
	all := policy.States()
	all[0] = 99
	if policy.States()[0] != policy.Manufacturing {
		t.Error("States gives its own array away")
	}
}

// Usage is a join-semilattice and Covers its order, so that records of a journal
// may be folded in any order, and more than once.
func TestUsageLattice(t *testing.T) {
	type usage = policy.Usage
	for name, law := range map[string]any{
		"commutative": func(a, b usage) bool { return a.Join(b) == b.Join(a) },
		"associative": func(a, b, c usage) bool { return a.Join(b).Join(c) == a.Join(b.Join(c)) },
		"idempotent":  func(a usage) bool { return a.Join(a) == a },
		"upper bound": func(a, b usage) bool { return a.Join(b).Covers(a) && a.Join(b).Covers(b) },
		"least": func(a, b, c usage) bool {
			up := a.Join(b).Join(c)
			return up.Covers(a.Join(b))
		},
		"antisymmetric": func(a, b usage) bool { return a == b || !(a.Covers(b) && b.Covers(a)) },
		"near": func(a, b usage) bool { // equal rounds are rare among random numbers
			b.Rounds = a.Rounds
			j := a.Join(b)
			return j == b.Join(a) && j.Mark == max(a.Mark, b.Mark) && j.Covers(a)
		},
		"a later round forgets the mark": func(a, b usage) bool {
			a.Rounds, b.Rounds = 1, 2
			return a.Join(b).Mark == b.Mark && b.Join(a).Mark == b.Mark
		},
	} {
		if err := quick.Check(law, &quick.Config{MaxCount: 2000}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloneShares(t *testing.T) {
	p := sample()
	p.Map[0].In = map[policy.State]policy.Access{policy.RMA: {Read: anyone}}
	want, c := p.Clone(), p.Clone()
	if !reflect.DeepEqual(p, c) {
		t.Fatalf("got %+v, want %+v", c, p)
	}
	p.Name, p.Memory.Size = "x", 1
	p.Memory.Hidden[0].Name = "x"
	p.Map[0].Name, p.Map[0].Update.Slot = "x", "x"
	p.Map[0].In[policy.Deployed] = policy.Access{}
	p.Authorities[0].Name, p.Authorities[0].Keys[0].Name = "x", "x"
	p.Authorities[0].Keys[0].Public[0]++
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the copy changed: %+v", c)
	}
	if z := new(policy.Policy).Clone(); !reflect.DeepEqual(z, new(policy.Policy)) {
		t.Errorf("zero: %+v", z)
	}
}

func TestFindByName(t *testing.T) {
	p := sample()
	if p.Region("log") != &p.Map[1] || p.Area("boot2") != &p.Memory.Hidden[1] || p.Region("boot2") != nil || p.Area("log") != nil {
		t.Error("Region and Area")
	}
	want := nvm.Geometry{Size: 64 << 10, EraseSize: 4 << 10, ProgramSize: 1, Erased: 0xFF}
	if got := p.Geometry(); !reflect.DeepEqual(got, want) || got.Validate() != nil {
		t.Errorf("geometry %+v", got)
	}
}

func TestAccessIn(t *testing.T) {
	r := policy.Region{Access: policy.Access{Read: anyone}, In: map[policy.State]policy.Access{policy.Deployed: {Write: vendor, Erase: anyone}}}
	strict := r.In[policy.Deployed]
	if r.AccessIn(policy.RMA) != r.Access || r.AccessIn(policy.Deployed) != strict {
		t.Error("AccessIn")
	}
	if r.AccessIn(0) != strict {
		t.Error("state 0 is not the strict one")
	}
	if strict.Rule(nvm.Write) != vendor || strict.Rule(nvm.Erase) != anyone || strict.Rule(nvm.Read) != (policy.Rule{}) {
		t.Error("Rule")
	}
	for _, op := range []nvm.Op{0, nvm.Read | nvm.Write, nvm.AllOps, 1 << 7} {
		if strict.Rule(op) != (policy.Rule{}) {
			t.Errorf("%v is not one operation, yet has a rule", op)
		}
	}
}
