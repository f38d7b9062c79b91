package vault

import (
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanolock/nanolock/backend/sim"
)

// job is what one goroutine does with an engine of its own: all scenarios of one
// part, so that a state which two of them reach counts once. Nothing in it depends
// on when it runs.
type job struct {
	part part
	work []scenario
	once effort // for work
	deep []scenario
	nest effort // for deep: cuts in recovery
}

// outcome is what came of a job.
type outcome struct {
	tally
	scenarios, skipped int
	faults             []string
	took               time.Duration
}

func (j job) run() (o outcome) {
	begin := time.Now()
	e := newEngine(j.once)
	for i, s := range append(slices.Clone(j.work), j.deep...) {
		if e.effort = j.once; i >= len(j.work) {
			e.effort = j.nest
		}
		e.options = Options{Intent: 1}
		e.real = i%realShare == 0
		switch err := e.run(j.part, s); {
		case errors.Is(err, errSkip):
			o.skipped++
		case err != nil:
			e.fault(j.part.name+"/"+s.String()+"#", "%v", err)
		default:
			o.scenarios++
		}
	}
	o.tally, o.faults, o.took = e.tally, e.faults, time.Since(begin)
	return o
}

// realShare: one scenario of so many is sealed with HMAC-SHA-256.
const realShare = 8

// TestEnumeration cuts the power in every operation of every scenario on every
// part, and in the recoveries behind.
func TestEnumeration(t *testing.T) {
	jobs := plan()
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	begin := time.Now()
	results := make([]outcome, len(jobs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(jobs); i = int(next.Add(1)) - 1 {
				results[i] = jobs[i].run()
			}
		})
	}
	wg.Wait()
	var all tally
	var faults, busy = 0, time.Duration(0)
	for i, r := range results {
		all.add(r.tally)
		busy += r.took
		t.Logf("%s: %d scenarios, %d that do not fit, %d cuts, %d distinct states, %d mounts, %.0f/s", jobs[i].part.name,
			r.scenarios, r.skipped, r.cuts, r.states, r.mounts, float64(r.mounts)/r.took.Seconds())
		for _, f := range r.faults {
			t.Error(f)
		}
		faults += len(r.faults)
	}
	t.Logf("power cuts of the vault: %d distinct states, %d mounts, %.1f %% of them under HMAC-SHA-256, seed %d: %d violations (%d mounts/s per core, %v)",
		all.states, all.mounts, 100*float64(all.real)/float64(max(1, all.mounts)), seed, faults,
		int(float64(all.mounts)/busy.Seconds()), time.Since(begin).Round(time.Second/10))
	if replay != "" || raceEnabled {
		return
	}
	if all.states < 2_000_000 || all.mounts < 10_000_000 || all.real*16 < all.mounts {
		t.Errorf("%d states, %d mounts, %d of them under HMAC-SHA-256: fewer than this test is for", all.states, all.mounts, all.real)
	}
}

// TestFound goes behind the cuts at which this enumeration once found that a commit
// was lost, or undone, or that the vault did not open: all that two more cuts make of
// them.
func TestFound(t *testing.T) {
	for _, path := range []string{
		"nor/lifecycle@empty#13.w.unstable.0.P/17.w.unstable.0.E",          // clean and recovered by turns
		"nor/@empty+epoch2+format-old#27.w.prefix.27.E/32.w.unstable.0.P/", // two slots that only read erased
		"once/lifecycle@empty#43.w.unstable.0.R/54.w.unstable.",            // the settled copy erased
		"slot256/counter@mid+warm#11.w.unstable.0.P/12.w.unstable.0.E",     // a record hides behind the decision
		"slot256/lifecycle@empty#8.w.prefix.89.E/11.w.unstable.2.R/12.w.",  // no mark where something hides
	} {
		e, ran := newEngine(effort{tiers: []sim.Tier{sim.T4, sim.T4, sim.T4}}), false
		e.options, e.path = Options{Intent: 1}, path
		for _, p := range append(parts(), moreParts()...) {
			for _, s := range deep() {
				if ran = ran || strings.HasPrefix(path, p.name+"/"+s.String()+"#"); !strings.HasPrefix(path, p.name+"/") {
					continue
				}
				if err := e.run(p, s); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		t.Logf("%s: %d states, %d mounts", path, e.states, e.mounts)
		if !ran || e.states == 0 {
			t.Errorf("%s: nothing was tried", path)
		}
		for _, f := range e.faults {
			t.Error(f)
		}
	}
}

// plan: the long run takes everything, the plain one all pairs over all parts, the
// one under the race detector a glance.
func plan() (jobs []job) {
	single := effort{tiers: []sim.Tier{sim.Full}}
	nested := effort{tiers: []sim.Tier{sim.T4, sim.T4, sim.T4}, plain: [3]uint64{23, 997}, loose: [3]uint64{1, 37}, budget: 3000}
	all := append(parts(), moreParts()...)
	switch {
	case long:
		nested.plain, nested.loose, nested.budget = [3]uint64{}, [3]uint64{}, 0
	case raceEnabled:
		single = effort{tiers: []sim.Tier{sim.T4}, budget: 40}
		nested.budget = 40
		all = parts()
	}
	for i, p := range all {
		j := job{part: p, once: single, nest: nested, deep: deep()}
		if p.config.Geometry.EraseSize > 1024 && !long {
			j.once.tiers = []sim.Tier{sim.T4}
		}
		j.work = append(singles(), specials()...)
		j.work = append(j.work, pairs(i)...)
		if raceEnabled {
			j.work, j.deep = specials(), j.deep[:1]
		}
		if name, _, _ := strings.Cut(replay, "/"); replay == "" || name == p.name {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// singles: each kind of commit at each level, in a session that has written.
func singles() (all []scenario) {
	for _, k := range kinds10 {
		for l := range level(levels) {
			all = append(all, scenario{steps: []kind{k}, level: l, warm: true})
		}
	}
	return all
}

// pairs: each kind behind each, at a level that goes round, so that the parts
// together have each pair at each of them. The plain run has a quarter on each part.
func pairs(part int) (all []scenario) {
	for i, a := range kinds10 {
		for k, b := range kinds10 {
			n := part + i + 3*k
			if (part+i+k)%4 != 0 && !long {
				continue
			}
			all = append(all, scenario{steps: []kind{a, b}, level: level(n % levels), warm: n/4%2 == 0, close: n%3 == 0})
		}
	}
	return all
}

func pick(names ...string) (all []kind) {
	for _, n := range names {
		i := slices.IndexFunc(kinds10, func(k kind) bool { return k.name == n })
		all = append(all, kinds10[i])
	}
	return all
}

// specials: full states, anchors, Format, and numbers at the edge of their width.
func specials() (all []scenario) {
	for l := range level(levels) {
		for _, a := range []string{"ok", "lost", "mute"} {
			all = append(all, scenario{steps: pick("counter", "lifecycle"), level: l, warm: l%2 == 0, anchor: a})
		}
		for _, n := range []uint64{1<<32 - 6, 1<<63 - 6, 1<<64 - 64} {
			all = append(all, scenario{steps: pick("counter", "epoch"), level: l, warm: l%2 == 1, seq: n, epoch: 1<<32 - 1})
		}
		for _, k := range []string{"root", "lifecycle", "epoch", "intent", "unslot"} {
			all = append(all, scenario{steps: pick(k), level: l, brim: true, warm: l%2 == 0})
		}
	}
	for _, n := range []string{"blank", "old", "junk"} {
		all = append(all, scenario{format: n, epoch: 2})
	}
	return append(all, scenario{steps: pick("counter", "usage"), brim: true, anchor: "ok", close: true})
}

// deep are those whose recovery is cut, twice.
func deep() []scenario {
	return []scenario{
		{steps: pick("lifecycle"), level: empty},
		{steps: pick("lifecycle"), level: due, warm: true},
		{steps: []kind{large}, level: due, warm: true},
		{steps: pick("slot"), level: exact, anchor: "ok"},
		{steps: pick("counter"), level: mid, warm: true},
		{steps: pick("epoch"), level: spare, brim: true, warm: true},
		{steps: pick("root"), level: due, brim: true, warm: true},
		{format: "old", epoch: 2},
	}
}
