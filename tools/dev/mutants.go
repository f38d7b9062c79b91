package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

const mutantsHelp = `usage: make mutants, or go -C tools run ./dev mutants [flags]

Puts one bug at a time into the shipped source, never into the tree, and runs
the one test that has to fail over it. A mutant that survives fails the command;
so does one that no longer applies, or does not compile. The bugs are in
tools/dev/mutants; docs/mutants.md is the table that a full run has shown.

  make mutants                                    all of them
  go -C tools run ./dev mutants -run vault        those of vault
  go -C tools run ./dev mutants -run 'anchor .*accepted'
  go -C tools run ./dev mutants -json > all.json
  go -C tools run ./dev mutants -update           and write docs/mutants.md

`

// Where mutants are, and where the table goes, from the root.
const (
	mutantsDir = "tools/dev/mutants"
	mutantsDoc = "docs/mutants.md"
)

// mutantFlags is what a run of mutants was asked for.
type mutantFlags struct {
	match        *regexp.Regexp
	json, update bool
	timeout      time.Duration
	workers      int
}

func runMutants(root string, args []string) error {
	fl := flag.NewFlagSet("mutants", flag.ExitOnError)
	fl.Usage = func() {
		fmt.Fprint(fl.Output(), mutantsHelp)
		fl.PrintDefaults()
	}
	var f mutantFlags
	match := fl.String("run", "", "only those of which the name, the class or a file matches this `regexp`")
	fl.BoolVar(&f.json, "json", false, "the table as JSON")
	fl.BoolVar(&f.update, "update", false, "write "+mutantsDoc+" if all are killed")
	fl.DurationVar(&f.timeout, "timeout", 30*time.Second, "for each test; one that takes longer kills by time-out")
	fl.IntVar(&f.workers, "workers", 2, "mutants at a time")
	if err := fl.Parse(args); err != nil {
		return err
	}
	re, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	if f.match = re; f.workers < 1 || f.update && *match != "" {
		return errors.New("mutants: at least one worker, and -update with all of them")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return f.run(ctx, root, os.Stdout)
}

// run shows the table, and tells whether all is well.
func (f mutantFlags) run(ctx context.Context, root string, w io.Writer) error {
	all, err := readMutants(filepath.Join(root, mutantsDir))
	if err != nil {
		return err
	}
	list := f.chosen(all)
	if len(list) == 0 {
		return fmt.Errorf("no mutant matches %q", f.match)
	}
	temp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	r := &runner{root: root, temp: temp, timeout: f.timeout, workers: f.workers, progress: progress(os.Stderr)}
	if err := r.baseline(ctx, list); err != nil {
		return err
	}
	start := time.Now()
	out, err := r.all(ctx, list)
	if err != nil {
		return err
	}
	if err := f.show(w, out, time.Since(start)); err != nil {
		return err
	}
	if err := verdict(out); err != nil || len(list) < len(all) {
		return err
	}
	return f.document(root, all)
}

func (f mutantFlags) chosen(all []mutant) (list []mutant) {
	for _, m := range all {
		if f.match.MatchString(m.name) || f.match.MatchString(m.class) || f.match.MatchString(strings.Join(m.files(), " ")) {
			list = append(list, m)
		}
	}
	return list
}

// document writes the table, or tells that it is not the one in the tree.
func (f mutantFlags) document(root string, all []mutant) error {
	path, want := filepath.Join(root, mutantsDoc), mutantsMarkdown(all)
	if f.update {
		return os.WriteFile(path, []byte(want), 0o644)
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		return fmt.Errorf("%s is stale: run \"go -C tools run ./dev mutants -update\"", mutantsDoc)
	}
	return nil
}

// progress tells a person at a terminal how far it is, and nobody else.
func progress(f *os.File) func(done, of int, name string) {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func(int, int, string) {}
	}
	return func(done, of int, name string) {
		if fmt.Fprintf(f, "\r\x1b[K%d/%d %s", done, of, name); done == of {
			fmt.Fprint(f, "\r\x1b[K")
		}
	}
}

func (f mutantFlags) show(w io.Writer, out []outcome, took time.Duration) error {
	if f.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(out)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "result\tmutant\twhere\tclass\tby\tseconds")
	count := map[string]int{}
	for _, o := range out {
		count[o.Result]++
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%.1f\n", o.Result, o.Name, strings.Join(o.Files, " "), o.Class, o.By, o.Seconds)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d mutants: %d killed, %d by time-out, %d survived, %d are none; %.0f s\n",
		len(out), count[killed], count[timedOut], count[survived], count[broken], took.Seconds())
	return err
}

// verdict is nil if every mutant was killed.
func verdict(out []outcome) error {
	var errs []error
	for _, o := range out {
		switch o.Result {
		case survived:
			errs = append(errs, fmt.Errorf("mutant %q survived %s of %s", o.Name, o.Test, o.Package))
		case broken:
			errs = append(errs, fmt.Errorf("mutant %q is none: %s", o.Name, o.Output))
		}
	}
	return errors.Join(errs...)
}

// mutantsMarkdown is what docs/mutants.md says. It depends on the tables alone, and
// is written after a run in which all of it held.
func mutantsMarkdown(all []mutant) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Mutants

Each row is the shipped source with one bug put into it, and the test that fails over
it. %q runs all %d; one that survives fails it. The bugs themselves are
in [%s](../%s), a few lines each.

This page is written by "go -C tools run ./dev mutants -update"; the tests of tools
fail if it is not what the tables say.
`, "make mutants", len(all), mutantsDir, mutantsDir)
	dir, about := "", ""
	for _, m := range all {
		if m.dir != dir {
			dir = m.dir
			fmt.Fprintf(&b, "\n## %s\n", strings.Replace(dir, ".", "package nanolock", 1))
		}
		if m.about != about {
			about = m.about
			fmt.Fprintf(&b, "\n%s\n\n| bug | class | file | killed by |\n|---|---|---|---|\n", about)
		}
		cell := strings.NewReplacer("|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell.Replace(m.name), cell.Replace(m.class), strings.Join(m.files(), " "), cell.Replace(m.test))
	}
	return b.String()
}
