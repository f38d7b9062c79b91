package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func strict() bool { return os.Getenv("NANOLOCK_STRICT") == "1" }

// firmware tells tests where "make test-deps" put Debian's device trees.
func firmware(root string) string {
	if dir := os.Getenv("NANOLOCK_FIRMWARE"); dir != "" {
		return "NANOLOCK_FIRMWARE=" + dir
	}
	return "NANOLOCK_FIRMWARE=" + filepath.Join(root, ".cache", "firmware")
}

// runTest runs everything even after a failure: one run tells all.
func runTest(root string, _ []string) error {
	race, err := raceFlag(root)
	if err != nil {
		return err
	}
	flags := append(race, "-timeout=25m")
	if strict() {
		flags = append(flags, "-count=1") // what an earlier run found is no proof
	}
	errs := []error{gofmt(root), vet(root)}
	r := newReport(os.Stdout)
	errs = append(errs, testModules(root, r, nil, flags))
	if len(race) > 0 {
		errs = append(errs, testWithoutRace(root, r, flags[len(race):]))
	}
	// The twin of the root's one unsafe file goes through the same tests.
	args := append([]string{"test", "-json", "-tags=nanolock_safe"}, flags...)
	errs = append(errs, r.run(goCmd(root, []string{firmware(root)}, append(args, ".")...)))
	errs = append(errs, r.finish(strict()))
	return errors.Join(errs...)
}

var (
	noRace   = regexp.MustCompile(`(?m)^//go:build (.*&& )?!race\b`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
)

// testsWithoutRace names the tests of a file that the race detector leaves out.
func testsWithoutRace(file []byte) (names []string) {
	if !noRace.Match(file) {
		return nil
	}
	for _, m := range testFunc.FindAllSubmatch(file, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// testWithoutRace runs what the race detector would slow down beyond use: the
// tests in files with the constraint !race, and no others a second time.
func testWithoutRace(root string, r *report, flags []string) error {
	pkgs, err := packagesWith(root, noRace)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range pkgs {
		files, err := filepath.Glob(filepath.Join(p.module, p.pattern, "*_test.go"))
		var names []string
		for _, f := range files {
			b, e := os.ReadFile(f)
			err = errors.Join(err, e)
			names = append(names, testsWithoutRace(b)...)
		}
		args := append([]string{"test", "-json", "-run=^(" + strings.Join(names, "|") + ")$"}, flags...)
		errs = append(errs, err, r.run(goCmd(p.module, []string{firmware(root)}, append(args, p.pattern)...)))
	}
	return errors.Join(errs...)
}

// runLong lets tests that scale with NANOLOCK_LONG take their time.
func runLong(root string, _ []string) error {
	r := newReport(os.Stdout)
	err := testModules(root, r, []string{"NANOLOCK_LONG=1"}, []string{"-timeout=4h"})
	return errors.Join(err, r.finish(strict()))
}

// testModules tests every module with test files, the root first. Seeds and
// corpora below testdata/fuzz are replayed: fuzz targets are tests as well.
func testModules(root string, r *report, env, flags []string) error {
	mods, err := modules(root)
	if err != nil {
		return err
	}
	env = append([]string{firmware(root)}, env...)
	var errs []error
	for _, m := range mods {
		args := append([]string{"test", "-json"}, flags...)
		if err := r.run(goCmd(m, env, append(args, "./...")...)); err != nil {
			errs = append(errs, fmt.Errorf("module %s: %w", name(root, m), err))
		}
	}
	return errors.Join(errs...)
}

// raceFlag: the race detector needs a C compiler, which a fresh machine may
// not have. Tests then run without it; a strict run fails instead.
func raceFlag(root string) ([]string, error) {
	out, err := output(goCmd(root, nil, "env", "CGO_ENABLED"))
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(out) == "1" {
		return []string{"-race"}, nil
	}
	if strict() {
		return nil, errors.New("NANOLOCK_STRICT=1 and no race detector: it needs a C compiler")
	}
	fmt.Println("no C compiler: tests run without the race detector")
	return nil, nil
}
