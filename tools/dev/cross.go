package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A target is a system to build for.
type target struct {
	name string
	env  []string
	set  func(importPath string) bool
}

var targets = []target{
	{"linux/arm", []string{"GOOS=linux", "GOARCH=arm", "GOARM=5"}, onDevice},
	{"linux/mipsle", []string{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat"}, onDevice},
	{"linux/riscv64", []string{"GOOS=linux", "GOARCH=riscv64"}, onDevice},
	{"linux/arm64", []string{"GOOS=linux", "GOARCH=arm64"}, anywhere},
	{"windows/amd64", []string{"GOOS=windows", "GOARCH=amd64"}, offDevice},
	{"darwin/arm64", []string{"GOOS=darwin", "GOARCH=arm64"}, offDevice},
}

func anywhere(string) bool { return true }

// onDevice leaves out the platform: no device runs it, and a database driver
// for each architecture would cost more time than all the rest.
func onDevice(path string) bool {
	return !within(path, "fleet", "cmd/nanolock-fleet", "examples", "bench")
}

// offDevice leaves out what talks to Linux.
func offDevice(path string) bool {
	return onDevice(path) && !within(path, "backend/mtd", "cmd/nanolockd")
}

func within(path string, dirs ...string) bool {
	rel := strings.TrimPrefix(path, modulePath+"/")
	for _, d := range dirs {
		if rel == d || strings.HasPrefix(rel, d+"/") {
			return true
		}
	}
	return false
}

// runCross builds the library's module for every target; a package that does
// not build there fails, be it a missing file for that system or an error.
func runCross(root string, _ []string) error {
	var errs []error
	for _, t := range targets {
		start := time.Now()
		env := append([]string{"CGO_ENABLED=0"}, t.env...)
		pkgs, err := packagesFor(root, env)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		args := []string{"build"}
		for _, p := range pkgs {
			if t.set(p) {
				args = append(args, p)
			}
		}
		if len(args) > 1 {
			err = show(os.Stdout, goCmd(root, env, args...))
		}
		fmt.Printf("%-14s %3d packages %6.1fs\n", t.name, len(args)-1, time.Since(start).Seconds())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %d packages do not all build", t.name, len(args)-1))
		}
	}
	return errors.Join(errs...)
}

// packagesFor lists packages with code, also those whose files are all left
// out on that system: naming such a package makes the build say so.
func packagesFor(root string, env []string) ([]string, error) {
	out, err := output(goCmd(root, env, "list", "-e", "-json=ImportPath,GoFiles,IgnoredGoFiles", "./..."))
	if err != nil {
		return nil, err
	}
	var pkgs []string
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p struct {
			ImportPath              string
			GoFiles, IgnoredGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		code := len(p.GoFiles) > 0
		for _, f := range p.IgnoredGoFiles {
			code = code || !strings.HasSuffix(f, "_test.go")
		}
		if code {
			pkgs = append(pkgs, p.ImportPath)
		}
	}
}
