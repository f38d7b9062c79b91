package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// A report reads the events of "go test -json", prints what a person wants to
// see (the closing line of each package, the whole output of what failed) and
// remembers every skipped test.
type report struct {
	w       io.Writer
	pending map[string][]string // output of tests that have not ended, by package and test
	skipped []string
	passed  int
	failed  int
}

type event struct {
	Action, Package, Test, Output string
	Key, Value                    string // of t.Attr
}

func newReport(w io.Writer) *report {
	return &report{w: w, pending: map[string][]string{}}
}

// run runs c, a "go test -json", and reads what it prints.
func (r *report) run(c *exec.Cmd) error {
	pr, pw := io.Pipe()
	c.Stdout, c.Stderr = pw, pw
	done := make(chan error, 1)
	go func() {
		err := r.read(pr)
		pr.CloseWithError(err)
		done <- err
	}()
	err := c.Run()
	pw.Close()
	if rerr := <-done; err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("go %s: %w", c.Args[1], err)
	}
	return nil
}

func (r *report) read(src io.Reader) error {
	br := bufio.NewReader(src)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(r.w, line) // the Go tool itself, not a test
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "output":
		if e.Test == "" {
			r.packageOutput(key, e.Output)
		} else {
			r.pending[key] = append(r.pending[key], e.Output)
		}
	case "attr": // what a test wants to be read although it passes
		fmt.Fprintf(r.w, "  %s: %s\n", e.Key, e.Value)
	case "pass":
		if e.Test != "" {
			r.passed++
		}
		delete(r.pending, key)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, key+": "+reason(r.pending[key]))
		}
		delete(r.pending, key)
	case "fail":
		if e.Test != "" {
			r.failed++
		}
		fmt.Fprint(r.w, strings.Join(r.pending[key], ""))
		delete(r.pending, key)
		if e.Test == "" {
			r.flush(e.Package)
		}
	}
}

// packageOutput prints closing lines at once and keeps the rest (what TestMain
// or a crash prints) until the package is known to have failed.
func (r *report) packageOutput(key, out string) {
	for _, p := range []string{"ok  ", "FAIL\t", "?  ", "\t"} {
		if strings.HasPrefix(out, p) {
			fmt.Fprint(r.w, out)
			return
		}
	}
	r.pending[key] = append(r.pending[key], out)
}

// flush prints what tests said that a crash or a time limit cut off.
func (r *report) flush(pkg string) {
	for key, out := range r.pending {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(r.w, strings.Join(out, ""))
			delete(r.pending, key)
		}
	}
}

// reason picks the words of t.Skip out of a test's output.
func reason(out []string) string {
	why := "no reason given"
	for _, l := range out {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") {
			why = l
		}
	}
	return why
}

// finish prints the skips and fails on them if they are not allowed.
func (r *report) finish(strict bool) error {
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	for _, s := range r.skipped {
		fmt.Fprintln(r.w, "skipped:", s)
	}
	if strict && len(r.skipped) > 0 {
		return fmt.Errorf("NANOLOCK_STRICT=1 and %d tests were skipped", len(r.skipped))
	}
	return nil
}
