package report

import (
	"math"
	"slices"
	"sort"

	"github.com/nanolock/nanolock/bench/internal/stats"
)

// Builds of the core that are measured: with the one file of unsafe, and without.
var Builds = []string{"fast", "safe"}

// Spread is one metric over the code layouts.
type Spread struct {
	Mid float64 `json:"mid"` // geomean of ratios, mean of everything else
	Lo  float64 `json:"lo95"`
	Hi  float64 `json:"hi95"`
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// Case is one benchmark of one build over the layouts.
type Case struct {
	Build     string            `json:"build"`
	Name      string            `json:"name"`
	Layouts   int               `json:"layouts"`    // that count
	NoVerdict int               `json:"no_verdict"` // lines left out by the A/A gate
	Metrics   map[string]Spread `json:"metrics"`
}

// Results is one run of everything, and says nothing of whose machine it was.
type Results struct {
	Date      string `json:"date"`
	Go        string `json:"go"`
	GOOS      string `json:"goos"`
	GOARCH    string `json:"goarch"`
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	Layouts   int    `json:"layouts"`
	Benchtime string `json:"benchtime"`
	Cases     []Case `json:"cases"`
}

// Case returns one of them, nil if it was not measured.
func (r *Results) Case(build, name string) *Case {
	for i := range r.Cases {
		if r.Cases[i].Build == build && r.Cases[i].Name == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// NoVerdicts is how many lines were left out, and of how many.
func (r *Results) NoVerdicts() (left, all int) {
	for _, c := range r.Cases {
		left, all = left+c.NoVerdict, all+c.NoVerdict+c.Layouts
	}
	return left, all
}

// Add takes in the lines of one build over all its layouts.
func (r *Results) Add(build string, lines []Line) {
	byName := map[string][]Line{}
	for _, l := range lines {
		byName[l.Name] = append(byName[l.Name], l)
	}
	for name, ls := range byName {
		r.Cases = append(r.Cases, aggregate(build, name, ls))
	}
	sort.Slice(r.Cases, func(i, j int) bool { return before(&r.Cases[i], &r.Cases[j]) })
}

func before(a, b *Case) bool {
	_, x := reachOf(a.Name)
	_, y := reachOf(b.Name)
	switch {
	case x != y:
		return x < y
	case a.Name != b.Name:
		return a.Name < b.Name
	}
	return a.Build < b.Build
}

func aggregate(build, name string, lines []Line) Case {
	c := Case{Build: build, Name: name, Metrics: map[string]Spread{}}
	values := map[string][]float64{}
	for _, l := range lines {
		if !l.Verdict() {
			c.NoVerdict++
			continue
		}
		c.Layouts++
		for unit, v := range l.Metrics {
			if unit != "verdict" {
				values[unit] = append(values[unit], v)
			}
		}
	}
	for unit, vs := range values {
		c.Metrics[unit] = spread(unit, vs)
	}
	return c
}

func spread(unit string, vs []float64) Spread {
	average := stats.Mean
	if unit == "ratio" || unit == "ratio-hi95" || unit == "aa" {
		average = stats.Geomean
	}
	i := average(vs, 0.95)
	s := Spread{Mid: i.Mid, Lo: i.Lo, Hi: i.Hi, Min: slices.Min(vs), Max: slices.Max(vs)}
	if len(vs) < 2 { // no interval; infinity has no place in JSON
		s.Lo, s.Hi = s.Mid, s.Mid
	}
	return s
}

// Judge tells whether a case gets as far as it is meant to; known is false where
// nothing was set, or nothing counted.
func (c *Case) Judge() (reached, known bool) {
	r, _ := reachOf(c.Name)
	reached = true
	for _, limit := range []struct {
		unit  string
		most  float64
		upper bool
	}{{"ratio", r.Ratio, false}, {"ratio", r.Hi95, true}, {"added-ns", r.Added, false}, {"over-copy-ns", r.Over, false}, {"ns/op", r.Nanos, false}} {
		s, ok := c.Metrics[limit.unit]
		if limit.most == 0 || !ok {
			continue
		}
		got := s.Mid
		if limit.upper {
			got = s.Hi
		}
		known = true
		reached = reached && !math.IsNaN(got) && got <= limit.most
	}
	return reached && known, known
}
