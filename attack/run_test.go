package attack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/internal/worlds"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// known are attacks that still beat the real lock. An entry that holds again
// must leave the list.
var known = map[string]bool{}

func run(t *testing.T, c attack.Config) *attack.Report {
	t.Helper()
	rep, err := attack.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestRealLockHolds(t *testing.T) {
	lost, applied := map[string]bool{}, map[string]bool{}
	for _, w := range worlds.All() {
		rep := run(t, attack.Config{Policy: w.Policy, Open: w.Open, Faults: true})
		for _, r := range rep.Results {
			applied[r.Name] = applied[r.Name] || r.Verdict != attack.NotApplicable
			if r.Verdict == attack.Beaten {
				lost[r.Name] = true
				if !known[r.Name] {
					t.Errorf("%s: %s: %v", w.Name, r.Name, r.Breach)
				}
			}
		}
	}
	for name := range known {
		if !lost[name] {
			t.Errorf("%s holds: take it off the list", name)
		}
	}
	for _, a := range attack.Catalogue() {
		if !applied[a.Name] {
			t.Errorf("%s applies to no world", a.Name)
		}
	}
}

// holding are the attacks that the real lock withstands.
func holding() (as []attack.Attack) {
	for _, a := range attack.Catalogue() {
		if !known[a.Name] {
			as = append(as, a)
		}
	}
	return as
}

func TestEveryState(t *testing.T) {
	w := worlds.NOR()
	for _, st := range policy.States() {
		rep := run(t, attack.Config{Policy: w.Policy, State: st, Open: w.Open, Attacks: holding()})
		for _, r := range rep.Results {
			intended := st == policy.Manufacturing && (r.Name == "trickboot" || r.Name == "bit-clear-implant" || r.Name == "wear-out") // boot is open there
			if r.Verdict == attack.Beaten && !intended {
				t.Errorf("%v: %s: %v", st, r.Name, r.Breach)
			}
		}
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	names := map[string]bool{}
	kebab, cwe := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), regexp.MustCompile(`^CWE-[0-9]+$`)
	for _, a := range attack.Catalogue() {
		if names[a.Name] || !kebab.MatchString(a.Name) || !cwe.MatchString(a.CWE) || a.Title == "" || a.Case == "" || a.Family == "" || a.Run == nil {
			t.Errorf("%+v is incomplete or there twice", a)
		}
		names[a.Name] = true
	}
	if _, ok := attack.Find("trickboot"); !ok {
		t.Error("trickboot is gone; names are stable")
	}
	if _, ok := attack.Find("no-such-attack"); ok {
		t.Error("found what does not exist")
	}
}

func TestWeakPolicies(t *testing.T) {
	for what, want := range map[string]struct{ attack, region, rule string }{
		"boot region writable":    {"trickboot", "boot", `region "boot": write: any`},
		"boot region erasable":    {"trickboot", "boot", `region "boot": erase: any`},
		"update region writable":  {"update-overwrite", "firmware", `region "firmware": write: any`},
		"erase without a ledger":  {"wear-out", "env", `region "env": erase: any, without wear`},
		"ledger beyond endurance": {"wear-out", "env", `region "env": wear: 2147483648 erases`},
	} {
		w := worlds.NOR()
		worlds.Weak()[what](w.Policy)
		rep := run(t, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: holding()})
		found := false
		for _, r := range rep.Results {
			if r.Name == want.attack && r.Verdict == attack.Beaten {
				found = r.Breach.Region == want.region && r.Breach.Rule == want.rule && r.Breach.Advice != ""
			}
		}
		if !found || rep.Held() {
			t.Errorf("%s: not named", what)
		}
	}
}

func TestSoundPolicyHolds(t *testing.T) {
	w := worlds.NOR()
	var seen []string
	rep := run(t, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: holding(), Progress: func(done, total int, name string) {
		if seen = append(seen, name); done != len(seen) || total != len(holding()) {
			t.Errorf("progress %d of %d after %d attacks", done, total, len(seen))
		}
	}})
	if !rep.Held() || len(seen) != len(holding()) {
		t.Error("a sound policy is beaten")
	}
	for _, r := range rep.Results {
		if r.Name == "raw-overwrite" && (r.Tried == 0 || r.Refused == 0 || len(r.By) == 0) {
			t.Errorf("raw-overwrite tried %d, was refused %d, by %v", r.Tried, r.Refused, r.By)
		}
	}
	protected := 0
	for _, d := range rep.Regions {
		if d.Before != d.After {
			t.Errorf("region %s is not as it was", d.Name)
		}
		if d.Protected {
			protected++
		}
	}
	if protected == 0 || protected == len(rep.Regions) {
		t.Errorf("%d of %d regions are protected", protected, len(rep.Regions))
	}
}

func TestReportShowsDamage(t *testing.T) {
	w := worlds.NOR()
	worlds.Weak()["boot region writable"](w.Policy)
	a, _ := attack.Find("trickboot")
	rep := run(t, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: []attack.Attack{a}})
	b := rep.Results[0].Breach
	if b == nil || b.Before == b.After {
		t.Fatalf("breach %v shows no change", b)
	}
	if d := rep.Regions[0]; d.Name != "boot" || d.Before == d.After {
		t.Errorf("region %s shows no change", d.Name)
	}
	text, err := rep.JSON()
	if err != nil || !json.Valid(text) || !strings.Contains(string(text), `"verdict": "beaten"`) {
		t.Errorf("report %s: %v", text, err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := worlds.NOR()
	rep, err := attack.Run(ctx, attack.Config{Policy: w.Policy, Open: w.Open, Progress: func(done, _ int, _ string) {
		if done == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || rep == nil || len(rep.Results) != 3 {
		t.Errorf("cancelled run: %v, %v", rep, err)
	}
}

func TestNothingToAttack(t *testing.T) {
	w := worlds.NOR()
	bad := w.Policy.Clone()
	bad.Map[0].ID = 0
	for name, c := range map[string]attack.Config{
		"no policy":      {Open: w.Open},
		"no memory":      {Policy: w.Policy},
		"broken policy":  {Policy: bad, Open: w.Open},
		"failing memory": {Policy: w.Policy, Open: func() (nvm.NVM, error) { return nil, nvm.ErrClosed }},
	} {
		if _, err := attack.Run(t.Context(), c); !errors.Is(err, attack.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// recorder is a TB that only remembers.
type recorder struct {
	*testing.T
	errors []string
}

func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }

func TestCheck(t *testing.T) {
	w := worlds.NOR()
	r := &recorder{T: t}
	attack.Check(r, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: holding()})
	if len(r.errors) != 0 {
		t.Errorf("a sound policy: %v", r.errors)
	}
	worlds.Weak()["boot region writable"](w.Policy)
	attack.Check(r, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: holding()})
	if len(r.errors) != 2 || !strings.Contains(r.errors[0], "make write never or a grant") {
		t.Errorf("a weak policy: %v", r.errors)
	}
	r.errors = nil
	attack.Check(r, attack.Config{})
	if len(r.errors) != 1 {
		t.Errorf("no policy: %v", r.errors)
	}
}

// TestSixteenMegabytes holds the time of a run on an image of a usual size.
func TestSixteenMegabytes(t *testing.T) {
	w := worlds.Large(16 << 20)
	start := time.Now()
	rep := run(t, attack.Config{Policy: w.Policy, Open: w.Open, Attacks: holding(), Faults: true, New: func(mem nvm.NVM, p *policy.Policy, c *nanolock.Config) (attack.System, error) {
		return attack.Guard(mem, p, c)
	}})
	took := time.Since(start)
	t.Logf("%d attacks on 16 MiB: %v", len(rep.Results), took.Round(time.Millisecond))
	if !rep.Held() {
		for _, r := range rep.Results {
			if r.Breach != nil {
				t.Errorf("%s: %v", r.Name, r.Breach)
			}
		}
	}
}
