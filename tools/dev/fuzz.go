package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

type fuzzTarget struct {
	goPackage
	name string
}

var (
	fuzzFunc  = regexp.MustCompile(`(?m)^func Fuzz\w*\(\w+ \*testing\.F\)`)
	fuzzExecs = regexp.MustCompile(`execs: (\d+)`)
)

func runFuzz(root string, args []string) error {
	fl := flag.NewFlagSet("fuzz", flag.ExitOnError)
	each := fl.Duration("time", 10*time.Second, "time for each target")
	budget := fl.Duration("budget", 0, "time for all targets together; 0 = no bound")
	if err := fl.Parse(args); err != nil {
		return err
	}
	targets, err := fuzzTargets(root)
	if err != nil {
		return err
	}
	if n := len(targets); n > 0 && *budget > 0 {
		*each = max(min(*each, *budget/time.Duration(n)), time.Second)
	}
	fmt.Printf("%d fuzz targets, %v each\n", len(targets), each.Round(time.Millisecond))
	var errs []error
	for _, t := range targets {
		execs, err := t.fuzz(root, *each)
		fmt.Printf("%12s executions  %s %s\n", execs, t.name, name(root, t.module)+strings.TrimPrefix(t.pattern, "."))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// fuzzTargets asks the Go tool, so a target counts exactly if it would run.
func fuzzTargets(root string) ([]fuzzTarget, error) {
	pkgs, err := packagesWith(root, fuzzFunc)
	if err != nil {
		return nil, err
	}
	var targets []fuzzTarget
	for _, p := range pkgs {
		out, err := output(goCmd(p.module, nil, "test", "-list", "^Fuzz", p.pattern))
		if err != nil {
			return nil, err
		}
		for l := range strings.Lines(out) {
			if l = strings.TrimSpace(l); strings.HasPrefix(l, "Fuzz") {
				targets = append(targets, fuzzTarget{p, l})
			}
		}
	}
	return targets, nil
}

func (t fuzzTarget) fuzz(root string, d time.Duration) (execs string, err error) {
	c := goCmd(t.module, []string{firmware(root)},
		"test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+d.String(),
		// By default Go spends up to a minute on making one input smaller,
		// and counts no executions meanwhile.
		"-fuzzminimizetime=10x", t.pattern)
	var out bytes.Buffer
	err = show(&out, c)
	execs = "0"
	if all := fuzzExecs.FindAllStringSubmatch(out.String(), -1); len(all) > 0 {
		execs = all[len(all)-1][1]
	}
	if err != nil && !endedByDeadline(out.String()) {
		os.Stdout.Write(out.Bytes())
		return execs, fmt.Errorf("%s in %s: %w", t.name, t.pattern, err)
	}
	return execs, nil
}

// endedByDeadline recognises the Go tool's own race at the end of -fuzztime: it
// reports its expired context as a failure although no input failed.
func endedByDeadline(out string) bool {
	deadline := false
	for l := range strings.Lines(out) {
		deadline = deadline || strings.TrimSpace(l) == "context deadline exceeded"
	}
	return deadline && !strings.Contains(out, "Failing input written") &&
		!strings.Contains(out, "seed corpus entry") && !strings.Contains(out, "panic")
}
