package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

var benchFunc = regexp.MustCompile(`(?m)^func Benchmark\w*\(\w+ \*testing\.B\)`)

func runBench(root string, args []string) error {
	fl := flag.NewFlagSet("bench", flag.ExitOnError)
	count := fl.String("count", "6", "runs of each benchmark; benchstat wants six or more")
	match := fl.String("match", ".", "which benchmarks")
	if err := fl.Parse(args); err != nil {
		return err
	}
	pkgs, err := packagesWith(root, benchFunc)
	if err != nil {
		return err
	}
	path := filepath.Join(root, ".cache", "bench.txt")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := io.MultiWriter(os.Stdout, f)
	var errs []error
	for _, p := range pkgs {
		errs = append(errs, show(w, goCmd(p.module, []string{firmware(root)},
			"test", "-run=^$", "-bench="+*match, "-benchmem", "-count="+*count, "-timeout=2h", p.pattern)))
	}
	fmt.Printf("\nkept in %s; compare two such files with benchstat\n", name(root, path))
	if len(pkgs) > 0 {
		errs = append(errs, show(os.Stdout, goCmd(filepath.Join(root, "tools"), nil, "tool", "benchstat", filepath.Join("..", name(root, path)))))
	}
	return errors.Join(errs...)
}
