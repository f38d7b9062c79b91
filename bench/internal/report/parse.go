// Package report turns the output of the benchmarks into the published figures:
// one value per case over many code layouts, a table and a plot.
package report

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Line is one result of one benchmark in one test binary.
type Line struct {
	Name    string             // without "Benchmark" and the number of processors
	Metrics map[string]float64 // by unit
}

// Verdict tells whether the line may count: it passed the A/A gate, or has none.
func (l Line) Verdict() bool {
	v, gated := l.Metrics["verdict"]
	return !gated || v == 1
}

// Output is what one test binary printed.
type Output struct {
	CPU   string
	Lines []Line
}

var procs = regexp.MustCompile(`-\d+$`)

// Parse reads the text that go test -bench prints. Other lines are passed over.
func Parse(r io.Reader) (Output, error) {
	var out Output
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		text := sc.Text()
		if cpu, ok := strings.CutPrefix(text, "cpu: "); ok {
			out.CPU = strings.TrimSpace(cpu)
		}
		if l, ok := parseLine(text); ok {
			out.Lines = append(out.Lines, l)
		}
	}
	return out, sc.Err()
}

// parseLine wants a name, a count, and pairs of value and unit.
func parseLine(text string) (Line, bool) {
	f := strings.Fields(text)
	if len(f) < 4 || len(f)%2 != 0 || !strings.HasPrefix(f[0], "Benchmark") {
		return Line{}, false
	}
	if _, err := strconv.ParseUint(f[1], 10, 64); err != nil {
		return Line{}, false
	}
	l := Line{procs.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), ""), map[string]float64{}}
	for i := 2; i < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return Line{}, false
		}
		l.Metrics[f[i+1]] = v
	}
	return l, true
}
