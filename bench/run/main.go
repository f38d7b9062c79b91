// Command run measures the cost of mediation over many code layouts and both
// builds, and writes the figures that the project publishes.
//
//	go run ./bench/run                        # everything, about a quarter of an hour
//	go run ./bench/run -layouts 3 -time 100ms # a first look
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/nanolock/nanolock/bench/internal/report"
)

const pkg = "github.com/nanolock/nanolock/bench"

type options struct {
	layouts int
	time    time.Duration
	limit   time.Duration
	bench   string
	out     string
	work    string // for test binaries
}

func main() {
	o := options{}
	flag.IntVar(&o.layouts, "layouts", 12, "code layouts for each build")
	flag.DurationVar(&o.time, "time", 500*time.Millisecond, "how long each benchmark runs in each layout")
	flag.DurationVar(&o.limit, "limit", 10*time.Minute, "the longest a test binary may run")
	flag.StringVar(&o.bench, "bench", ".", "which benchmarks, as for go test")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "results"), "directory for the results")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	work, err := os.MkdirTemp("", "nanolock-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	o.work = work
	r := &report.Results{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH,
		CPUs: runtime.NumCPU(), Layouts: o.layouts, Benchtime: o.time.String(),
	}
	lines := map[string][]report.Line{}
	for layout := 1; layout <= o.layouts; layout++ {
		for _, build := range report.Builds { // in turns, so that both see the same hours
			out, err := measure(ctx, o, build, layout)
			if err != nil {
				return fmt.Errorf("%s build, layout %d: %w", build, layout, err)
			}
			r.CPU = out.CPU
			lines[build] = append(lines[build], out.Lines...)
			fmt.Fprintf(os.Stderr, "layout %2d of %d, %s: %s\n", layout, o.layouts, build, summary(out.Lines))
		}
	}
	for _, build := range report.Builds {
		r.Add(build, lines[build])
	}
	return write(o.out, r)
}

func summary(lines []report.Line) string {
	silent := 0
	for _, l := range lines {
		if !l.Verdict() {
			silent++
		}
	}
	return fmt.Sprintf("%d lines, %d without a verdict", len(lines), silent)
}

// measure builds the test binary with its functions in another order and runs it.
func measure(ctx context.Context, o options, build string, layout int) (report.Output, error) {
	bin := filepath.Join(o.work, "bench.test")
	args := []string{"test", "-c", "-o", bin, "-ldflags=-randlayout=" + strconv.Itoa(layout)}
	if build == "safe" {
		args = append(args, "-tags", "nanolock_safe")
	}
	compile := exec.CommandContext(ctx, "go", append(args, pkg)...)
	compile.Stderr = os.Stderr
	if err := compile.Run(); err != nil {
		return report.Output{}, fmt.Errorf("building: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	var text bytes.Buffer
	test := exec.CommandContext(ctx, bin, "-test.run=^$", "-test.bench="+o.bench, "-test.benchtime="+o.time.String(), "-test.timeout="+o.limit.String())
	test.Stdout, test.Stderr, test.Dir = &text, os.Stderr, o.work
	if err := test.Run(); err != nil {
		os.Stderr.Write(text.Bytes())
		return report.Output{}, fmt.Errorf("running: %w", err)
	}
	return report.Parse(&text)
}

func write(dir string, r *report.Results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var table, plot bytes.Buffer
	if err := r.Markdown(&table); err != nil {
		return err
	}
	if err := r.SVG(&plot); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		r.Date + "-" + r.GOARCH + ".json": append(data, '\n'), "latest.md": table.Bytes(), "latest.svg": plot.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
