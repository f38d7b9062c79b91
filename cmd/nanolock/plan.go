package main

import (
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func (a *app) planCommand() *cobra.Command {
	m, slower := &part{}, 30.0
	c := &cobra.Command{
		Use: "plan FILE", Short: "Tell what a policy costs: flash, RAM and boot time",
		Long: `Counts what a lock with this policy takes. Flash and RAM follow from the policy.
Boot time is measured here, by compiling the policy, and estimated for a slower
core; reading the flash, the vault and signatures are not in it.`,
		Example: `  nanolock policy plan router.yaml
  nanolock policy plan router.yaml --erase-size 4KiB --slowdown 50`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if !(slower > 0) || math.IsInf(slower, 0) {
				return usage("give a factor such as 30", "--slowdown %v makes no sense", slower)
			}
			return a.plan(c, args[0], m, slower)
		},
	}
	m.flags(c)
	c.Flags().Float64Var(&slower, "slowdown", slower, "how much slower the device's core is than this machine")
	return c
}

// classBytes is one line of the flash budget.
type classBytes struct {
	Class string `json:"class"`
	Bytes int64  `json:"bytes"`
}

// ramPlan counts what a Lock keeps for as long as it lives.
type ramPlan struct {
	Block      int64 `json:"block"`       // that the table counts in
	Blocks     int   `json:"blocks"`      //
	Arrays     int64 `json:"arrays"`      // bytes: read, write, erase, view, index; 4 for each block
	Entries    int   `json:"entries"`     // regions and hidden areas
	Entries64  int64 `json:"entries_64"`  // bytes, on a 64-bit core
	Entries32  int64 `json:"entries_32"`  // bytes, on a 32-bit core
	Total64    int64 `json:"total_64"`    //
	Total32    int64 `json:"total_32"`    //
	PerSession int64 `json:"per_session"` // bytes for each session that may read by a grant
}

// bootPlan is how long it takes from a policy to a table.
type bootPlan struct {
	Measured  time.Duration `json:"measured"` // here
	Slowdown  float64       `json:"slowdown"`
	Estimated time.Duration `json:"estimated"` // Measured times Slowdown
}

// Bytes that a region or area takes: its entry in the table, the place of its
// three denials, the head of its name. A test holds them against the heap.
const (
	entryBytes64 = 64 + 3*8
	entryBytes32 = 52 + 3*4
	arrays       = 5
)

func newRAMPlan(p *policy.Policy, t *policy.Table) ramPlan {
	blocks := len(t.Until(nvm.Read))
	r := ramPlan{Block: 1 << t.Shift(), Blocks: blocks, Arrays: arrays * 4 * int64(blocks), Entries: t.Entries(), PerSession: 4 * int64(blocks)}
	var names int64
	for i := range p.Map {
		names += int64(len(p.Map[i].Name))
	}
	for i := range p.Memory.Hidden {
		names += int64(len(p.Memory.Hidden[i].Name))
	}
	r.Entries64 = int64(r.Entries)*entryBytes64 + names
	r.Entries32 = int64(r.Entries)*entryBytes32 + names
	r.Total64, r.Total32 = r.Arrays+r.Entries64, r.Arrays+r.Entries32
	return r
}

// measure compiles until the best time is believable: five times, or a quarter
// of a second.
func measure(p *policy.Policy, t *policy.Table) time.Duration {
	best, begin := time.Duration(math.MaxInt64), time.Now()
	for n := 0; n < 5 && (n == 0 || time.Since(begin) < 250*time.Millisecond); n++ {
		start := time.Now()
		if _, err := p.Compile(t.Geometry(), t.State()); err != nil {
			return 0 // not reached: it compiled before
		}
		best = min(best, time.Since(start))
	}
	return best
}

func (a *app) plan(c *cobra.Command, file string, m *part, slower float64) error {
	p, t, err := a.load(file, m)
	if err != nil {
		return err
	}
	total := flashpic.New(p, t.State()).Totals()
	var flash []classBytes
	for _, k := range flashpic.Classes() {
		flash = append(flash, classBytes{k.String(), total[k]})
	}
	ram := newRAMPlan(p, t)
	boot := bootPlan{Measured: measure(p, t), Slowdown: slower}
	boot.Estimated = time.Duration(min(float64(boot.Measured)*slower, math.MaxInt64/2))
	if a.json {
		a.emit(struct {
			document
			File  string       `json:"file"`
			Size  int64        `json:"size"`
			Flash []classBytes `json:"flash"`
			RAM   ramPlan      `json:"ram"`
			Boot  bootPlan     `json:"boot"`
		}{newDocument(c.CommandPath()), file, p.Memory.Size, flash, ram, boot})
		return nil
	}
	a.printPlan(p, flash, ram, boot)
	return nil
}

func (a *app) printPlan(p *policy.Policy, flash []classBytes, ram ramPlan, boot bootPlan) {
	s := a.style
	a.printf("%s\n", s.bold("Flash"))
	for _, f := range flash {
		if f.Bytes > 0 {
			a.printf("  %-10s %9s  %s\n", f.Class, flashpic.Size(f.Bytes), a.share(f.Bytes, p.Memory.Size))
		}
	}
	a.printf("  %-10s %9s\n\n", "all", flashpic.Size(p.Memory.Size))

	a.printf("%s  counted, for as long as the lock lives\n", s.bold("RAM"))
	a.printf("  tables     %9d B  %d arrays of %d blocks of %s\n", ram.Arrays, arrays, ram.Blocks, flashpic.Size(ram.Block))
	a.printf("  regions    %9d B  %d regions and areas (%d B on a 32-bit core)\n", ram.Entries64, ram.Entries, ram.Entries32)
	a.printf("  all        %9d B  (%d B on a 32-bit core)\n", ram.Total64, ram.Total32)
	a.printf("  session    %9d B  more for each session that may read by a grant\n\n", ram.PerSession)

	a.printf("%s  from the policy to a table\n", s.bold("Boot"))
	a.printf("  here       %11s  measured on this machine\n", round(boot.Measured))
	a.printf("  device     %11s  estimated: a core %g times slower; not measured\n", round(boot.Estimated), boot.Slowdown)
}

// share is a bar and a percentage.
func (a *app) share(n, all int64) string {
	part := float64(n) / float64(all)
	cells := int(math.Ceil(part * 30))
	bar := ""
	for range cells {
		bar += a.style.pick("█", "#")
	}
	return padLeft(formatPercent(part), 7) + "  " + a.style.dim(bar)
}
