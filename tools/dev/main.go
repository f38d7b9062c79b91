// Command dev is what the Makefile and the continuous integration run: tests,
// lint, fuzzing, coverage, cross builds and the size of the core. It finds
// modules, packages and targets by itself, so that a new one cannot be forgotten.
// It imports the standard library alone: "make test" needs no download for it.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/nanolock/nanolock"

// A command is one subcommand; root is the folder of the library's go.mod.
type command struct {
	name, help string
	run        func(root string, args []string) error
}

var commands = []command{
	{"test", "gofmt, vet and every module's tests under the race detector", runTest},
	{"test-long", "every module's tests with NANOLOCK_LONG=1", runLong},
	{"lint", "gofmt, vet, staticcheck and govulncheck", runLint},
	{"fuzz", "every fuzz target for -time each, within -budget in all", runFuzz},
	{"cover", "statement coverage; fails below the mark of the trusted core", runCover},
	{"mutants", "one bug at a time in the shipped source, and the test that must fail", runMutants},
	{"bench", "every package's benchmarks, summed up by benchstat", runBench},
	{"cross", "builds for the systems that are not this one", runCross},
	{"size", "what the core adds to a stripped mipsle program", runSize},
}

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name == args[0] {
				root, err := findRoot()
				if err != nil {
					return err
				}
				return c.run(root, args[1:])
			}
		}
	}
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "\n  %-10s %s", c.name, c.help)
	}
	return fmt.Errorf("want one of:%s", b.String())
}

// findRoot walks up from the working directory to the library's own go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(b, []byte("module "+modulePath+"\n")) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not inside the nanolock tree")
		}
		dir = up
	}
}

// goCmd prepares the Go tool in dir. GOWORK is off, so that a go.work of the
// developer's own changes no result.
func goCmd(dir string, env []string, args ...string) *exec.Cmd {
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir)
	c.Env = append(c.Env, env...)
	return c
}

// output runs c and returns what it printed; its error carries the reason.
func output(c *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// show runs c with its output going to w.
func show(w io.Writer, c *exec.Cmd) error {
	c.Stdout, c.Stderr = w, w
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
	}
	return nil
}
