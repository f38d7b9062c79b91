package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const in = `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no dtc here\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: broken\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"quiet\n"}
{"Action":"attr","Package":"p","Test":"TestC","Key":"image","Value":"16 KiB"}
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestD","Output":"half a line of a crash\n"}
{"Action":"output","Package":"p","Output":"panic: at once\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.01s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
go: something else
`
	var w strings.Builder
	r := newReport(&w)
	if err := r.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	if err := r.finish(false); err != nil {
		t.Errorf("not strict: %v", err)
	}
	if err := r.finish(true); err == nil {
		t.Error("strict: a skipped test passed")
	}
	for _, want := range []string{"broken", "half a line", "panic: at once", "FAIL\tp", "?   \tq", "go: something else", "image: 16 KiB",
		"skipped: p TestA: a_test.go:3: no dtc here", "1 passed, 1 failed, 1 skipped"} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, w.String())
		}
	}
	if strings.Contains(w.String(), "quiet") {
		t.Error("prints what a passing test says")
	}
}

func TestDatabaseUnreachable(t *testing.T) {
	for out, want := range map[string]bool{
		"govulncheck: fetching vulnerabilities: Get \"...\": no such host": true,
		"Vulnerability #1: GO-2024-0001":                                   false,
		"govulncheck: loading packages: there are errors":                  false,
		"": false,
	} {
		if got := databaseUnreachable(out); got != want {
			t.Errorf("%q: got %v", out, got)
		}
	}
}

func TestEndedByDeadline(t *testing.T) {
	const race = "--- FAIL: FuzzX (10.02s)\n    context deadline exceeded\nFAIL\n"
	for out, want := range map[string]bool{
		race: true,
		race + "    Failing input written to testdata/fuzz/FuzzX/1\n": false,
		"failure while testing seed corpus entry: FuzzX/1\n" + race:   false,
		"panic: x\n" + race:                    false,
		"--- FAIL: FuzzX\n    x.go:3: wrong\n": false,
	} {
		if got := endedByDeadline(out); got != want {
			t.Errorf("%q: got %v", out, got)
		}
	}
}

func TestLocate(t *testing.T) {
	mods := []string{"/a", "/a/bench/peers"}
	for dir, want := range map[string]goPackage{
		"/a":                 {"/a", "."},
		"/a/nvm":             {"/a", "./nvm"},
		"/a/bench/peersmore": {"/a", "./bench/peersmore"},
		"/a/bench/peers":     {"/a/bench/peers", "."},
		"/a/bench/peers/x":   {"/a/bench/peers", "./x"},
	} {
		if got := locate(mods, dir); got != want {
			t.Errorf("%s: got %v, want %v", dir, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		path        string
		device, off bool
	}{
		{modulePath, true, true},
		{modulePath + "/nvm", true, true},
		{modulePath + "/fleet/store", false, false},
		{modulePath + "/backend/mtd", true, false},
		{modulePath + "/cmd/nanolock", true, true},
		{modulePath + "/cmd/nanolock-fleet", false, false},
	} {
		if onDevice(tc.path) != tc.device || offDevice(tc.path) != tc.off {
			t.Errorf("%s: on device %v, off device %v", tc.path, onDevice(tc.path), offDevice(tc.path))
		}
	}
}

func TestWithoutRace(t *testing.T) {
	const file = "//go:build %s\n\npackage p\n\nfunc TestA(t *testing.T) {}\n\nfunc help() {}\n\nfunc FuzzB(f *testing.F) {}\n"
	for constraint, want := range map[string]string{
		"!race": "TestA FuzzB", "linux && !race": "TestA FuzzB", "race": "", "!racehorse": "", "linux": "",
	} {
		if got := strings.Join(testsWithoutRace([]byte(fmt.Sprintf(file, constraint))), " "); got != want {
			t.Errorf("%s: got %q, want %q", constraint, got, want)
		}
	}
}

// A skip says what is missing and fails a strict run: testdeps sees to both.
func TestSkipsAreStrict(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := goFiles(root)
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	skip := regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(|testing\.Short\(`)
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") || strings.Contains(f, "testdeps") || filepath.Base(f) == "dev_test.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if m := skip.Find(b); m != nil {
			t.Errorf("%s: %s: let internal/testdeps end it, or do less without NANOLOCK_LONG", name(root, f), m)
		}
	}
}
