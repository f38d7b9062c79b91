package vault
import ("testing";"os";"strings";"time";"github.com/nanolock/nanolock/backend/sim";"runtime/debug")
var _ = sim.T4
func TestDbg(t *testing.T) {
	debug.SetGCPercent(400)
	for _, j := range plan() {
		if w := os.Getenv("DBGPART"); w != "" && !strings.Contains(","+w+",", ","+j.part.name+",") { continue }
		d := j
		d.deep = nil
		o := d.run()
		t.Logf("%s work: %d sc, %d skip, %d cuts %d st %d mo, %v %.0f/s %v", j.part.name, o.scenarios, o.skipped, o.cuts, o.states, o.mounts, o.took.Round(time.Millisecond), float64(o.mounts)/o.took.Seconds(), o.faults)
		if os.Getenv("DEEP") == "" { continue }
		for _, s := range j.deep {
			d := j; d.work = nil; d.deep = []scenario{s}
			d.nest.budget = 30000
			o := d.run()
			t.Logf("%s deep %s: %d cuts %d st %d mo, %v %.0f/s %v", j.part.name, s, o.cuts, o.states, o.mounts, o.took.Round(time.Millisecond), float64(o.mounts)/o.took.Seconds(), o.faults)
		}
	}
}
