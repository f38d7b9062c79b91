package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// What became of a mutant.
const (
	killed   = "killed"
	timedOut = "killed by time-out"
	survived = "SURVIVED"
	broken   = "NO MUTANT" // it does not compile, or nothing was tested
)

// An outcome is a row of the table.
type outcome struct {
	Name    string   `json:"name"`
	Class   string   `json:"class"`
	Files   []string `json:"files"`
	Package string   `json:"package"`
	Test    string   `json:"test"`   // what has to fail
	Result  string   `json:"result"` // killed, killed by time-out, SURVIVED, NO MUTANT
	By      string   `json:"by,omitempty"`
	Seconds float64  `json:"seconds"`
	Output  string   `json:"output,omitempty"` // of a mutant that is none
}

// runner runs mutants, workers at a time, and never touches the tree: the Go tool
// is told to read other files in the place of some (-overlay).
type runner struct {
	root, temp string
	timeout    time.Duration
	workers    int
	progress   func(done, of int, name string)
}

// all runs the mutants and returns their outcomes in the same order.
func (r *runner) all(ctx context.Context, list []mutant) ([]outcome, error) {
	out, errs := make([]outcome, len(list)), make([]error, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range r.workers {
		wg.Go(func() {
			for i := range next {
				out[i], errs[i] = r.one(ctx, i, &list[i])
				mu.Lock()
				done++
				r.progress(done, len(list), list[i].name)
				mu.Unlock()
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	return out, errors.Join(append(errs, ctx.Err())...)
}

func (r *runner) one(ctx context.Context, i int, m *mutant) (outcome, error) {
	o := outcome{Name: m.name, Class: m.class, Files: m.files(), Package: m.pkg, Test: m.test}
	files, err := m.apply(r.root)
	if err != nil || ctx.Err() != nil {
		return o, err
	}
	overlay, err := r.overlay(i, files)
	if err != nil {
		return o, err
	}
	start := time.Now()
	v, err := r.test(ctx, m.pkg, exactly(m.test), r.timeout, "-overlay="+overlay)
	o.Seconds = time.Since(start).Seconds()
	o.judge(v)
	return o, err
}

// overlay writes what the Go tool is to read instead of the tree.
func (r *runner) overlay(i int, files map[string]string) (string, error) {
	dir := filepath.Join(r.temp, fmt.Sprint(i))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var o struct{ Replace map[string]string }
	o.Replace = map[string]string{}
	for k, name := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(dir, fmt.Sprintf("%d.go", k))
		if err := os.WriteFile(to, []byte(files[name]), 0o600); err != nil {
			return "", err
		}
		o.Replace[filepath.Join(r.root, name)] = to
	}
	b, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, b, 0o600)
}

// exactly is the -run pattern of one test, or of one subtest.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i := range parts {
		parts[i] = "^" + parts[i] + "$"
	}
	return strings.Join(parts, "/")
}

// seen is what a run of "go test" showed.
type seen struct {
	ended    map[string]string // test to pass, fail or skip
	begun    []string
	noBuild  bool
	timeOut  bool
	ok       bool
	failures []string // in order
	text     string   // what to show to people
}

// test runs tests of one package. That they fail is no error.
func (r *runner) test(ctx context.Context, pkg, pattern string, timeout time.Duration, flags ...string) (*seen, error) {
	args := append([]string{"test", "-json", "-count=1", "-failfast", "-vet=off", "-timeout=" + timeout.String(), "-run=" + pattern}, flags...)
	// The quick form of each test is enough, and is what was chosen.
	c := goCmd(r.root, []string{firmware(r.root), "NANOLOCK_LONG="}, append(args, pkg)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Process.Signal(os.Interrupt) })
	defer stop()
	err := c.Wait()
	v := &seen{ended: map[string]string{}, ok: err == nil}
	v.read(out.Bytes())
	return v, ctx.Err()
}

func (v *seen) read(out []byte) {
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil || e.Action == "" {
			v.text += sc.Text() + "\n"
			continue
		}
		switch e.Action {
		case "build-fail":
			v.noBuild = true
		case "build-output":
			v.text += e.Output
		case "run":
			v.begun = append(v.begun, e.Test)
		case "output":
			v.text += e.Output
			v.timeOut = v.timeOut || strings.HasPrefix(e.Output, "panic: test timed out after ") ||
				strings.HasPrefix(e.Output, "*** Test killed with ")
		case "pass", "fail", "skip":
			if e.Test == "" {
				continue
			}
			if v.ended[e.Test] = e.Action; e.Action == "fail" {
				v.failures = append(v.failures, e.Test)
			}
		}
	}
}

// culprit is the test that failed, or that was under way when all came down.
func (v *seen) culprit() string {
	for _, f := range v.failures { // a subtest ends in front of its parent
		return f
	}
	for _, b := range slices.Backward(v.begun) {
		if v.ended[b] == "" {
			return b
		}
	}
	return ""
}

func (o *outcome) judge(v *seen) {
	if v == nil {
		return
	}
	o.By = v.culprit()
	switch {
	case v.noBuild || !v.ok && o.By == "":
		o.Result, o.Output = broken, v.text
	case v.timeOut:
		o.Result = timedOut
	case !v.ok:
		o.Result = killed
	case v.ended[o.Test] != "pass":
		o.Result, o.Output = broken, "the test did not run"
	default:
		o.Result = survived
	}
}

// baseline runs every test that has to kill something on the source as it is: if
// one fails there, or does not exist, it proves nothing.
func (r *runner) baseline(ctx context.Context, list []mutant) error {
	tests := map[string][]string{}
	for _, m := range list {
		if !slices.Contains(tests[m.pkg], m.test) {
			tests[m.pkg] = append(tests[m.pkg], m.test)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(tests)) {
		var patterns []string
		for _, t := range tests[pkg] {
			patterns = append(patterns, exactly(t))
		}
		// All of them together may take longer than one mutant is given.
		v, err := r.test(ctx, pkg, strings.Join(patterns, "|"), 10*r.timeout)
		if err != nil {
			return err
		}
		for _, t := range tests[pkg] {
			switch end := v.ended[t]; {
			case end == "" && v.ok:
				return fmt.Errorf("%s has no test %s", pkg, t)
			case end != "pass":
				return fmt.Errorf("without any mutant, %s of %s: %s\n%s", t, pkg, cmp.Or(end, "did not end"), v.text)
			}
		}
	}
	return nil
}
