package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func fakeMutants(t *testing.T) (root string, list []mutant) {
	t.Helper()
	root, err := filepath.Abs("testdata/mutants")
	if err != nil {
		t.Fatal(err)
	}
	if list, err = readMutants(filepath.Join(root, mutantsDir)); err != nil {
		t.Fatal(err)
	}
	return root, list
}

// The tool tells what can become of a mutant apart, in a module of one mutant each,
// and leaves the module as it was.
func TestMutantsTold(t *testing.T) {
	root, list := fakeMutants(t)
	r := &runner{root: root, temp: t.TempDir(), timeout: 5 * time.Second, workers: 2, progress: func(int, int, string) {}}
	if err := r.baseline(context.Background(), list); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(root, "p/p.go"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.all(context.Background(), list)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ name, result, by string }{
		{"killed", killed, "TestSum/three"},
		{"killed by a panic", killed, "TestSum/three"},
		{"in two places", killed, "TestSum/three"},
		{"survives", survived, ""},
		{"does not compile", broken, ""},
		{"hangs", timedOut, "TestSum/three"},
	}
	for i, w := range want {
		if o := out[i]; o.Name != w.name || o.Result != w.result || o.By != w.by {
			t.Errorf("%s: %s by %q, want %s by %q\n%s", o.Name, o.Result, o.By, w.result, w.by, o.Output)
		}
	}
	err = verdict(out)
	if err == nil || !strings.Contains(err.Error(), `"survives" survived TestSum of ./p`) || !strings.Contains(err.Error(), `"does not compile" is none`) {
		t.Errorf("verdict: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(root, "p/p.go")); err != nil || string(after) != string(before) {
		t.Errorf("the tree changed, %v", err)
	}
}

// A test that fails, or does not exist, without any mutant proves nothing.
func TestMutantsBaseline(t *testing.T) {
	root, list := fakeMutants(t)
	r := &runner{root: root, temp: t.TempDir(), timeout: 5 * time.Second}
	for test, want := range map[string]string{"TestBroken": "TestBroken of ./p: fail", "TestNone": "./p has no test TestNone"} {
		m := list[0]
		m.test = test
		if err := r.baseline(context.Background(), []mutant{m}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", test, err)
		}
	}
}

func TestMutantsOutput(t *testing.T) {
	root, _ := fakeMutants(t)
	f := mutantFlags{match: regexp.MustCompile("^killed$"), timeout: 5 * time.Second, workers: 1}
	var w strings.Builder
	if err := f.run(context.Background(), root, &w); err != nil {
		t.Fatal(err)
	}
	if s := w.String(); !strings.Contains(s, "killed  killed  p/p.go  sum    TestSum/three") || !strings.Contains(s, "1 mutants: 1 killed, 0 by time-out, 0 survived, 0 are none") {
		t.Errorf("table:\n%s", s)
	}
	w.Reset()
	f.json = true
	var out []outcome
	if err := f.run(context.Background(), root, &w); err != nil || json.Unmarshal([]byte(w.String()), &out) != nil || len(out) != 1 || out[0].By != "TestSum/three" {
		t.Errorf("%v\n%s", err, w.String())
	}
	f.match = regexp.MustCompile("^nothing$")
	if err := f.run(context.Background(), root, &w); err == nil {
		t.Error("no mutant matches, and that is fine")
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	f.match = regexp.MustCompile("^killed$")
	if err := f.run(done, root, &w); err == nil {
		t.Error("interrupted, and that is fine")
	}
}

func TestMutantsDocument(t *testing.T) {
	root := t.TempDir()
	_, list := fakeMutants(t)
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	var f mutantFlags
	if err := f.document(root, list); err == nil {
		t.Error("there is no page, and that is fine")
	}
	f.update = true
	if err := f.document(root, list); err != nil {
		t.Fatal(err)
	}
	f.update = false
	if err := f.document(root, list); err != nil {
		t.Error(err)
	}
	if err := f.document(root, list[1:]); err == nil {
		t.Error("one less, and that is fine")
	}
}

func TestMutantsApply(t *testing.T) {
	root, list := fakeMutants(t)
	m := list[0]
	for _, old := range []string{"\tn += list[i]\n", "\t\tn += list[j]\n", "}\n"} {
		m.edits = []edit{{file: "p/p.go", old: old, new: "x\n"}}
		if _, err := m.apply(root); err == nil || !strings.Contains(err.Error(), `mutant "killed" no longer applies`) {
			t.Errorf("%q: %v", old, err)
		}
	}
	m.edits = []edit{{file: "p/gone.go", old: "x\n", new: "y\n"}}
	if _, err := m.apply(root); err == nil || !strings.Contains(err.Error(), "no longer applies") {
		t.Error(err)
	}
	if got, n := replaceLines("a\nb\na b\n", "b\n", "c\nd\n"); got != "a\nc\nd\na b\n" || n != 1 {
		t.Errorf("%q, %d", got, n)
	}
}

func TestMutantsParse(t *testing.T) {
	const head = "package: p\nmutant: m\nclass: c\nkill: TestX\nfile: f.go\n"
	for text, want := range map[string]string{
		"-a\n":                         "in front of the first",
		head:                           "wants a name",
		"mutant: m\nclass: c\n-a\n":    "neither a field nor",
		head + "why: so\n-a\n+b\n":     "neither a field nor",
		head + "+b\n":                  "says not where",
		head + " a\n":                  "changes nothing",
		"mutant: m\nfile: f\n-a\n+b\n": "wants a name",
	} {
		if _, err := parseMutants("t.txt", text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "t.txt:") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	list, err := parseMutants("t.txt", head+" x\n-a\n+b\n@@\n-c\nfile: g.go\n-d\n+e\n")
	if err != nil || len(list) != 1 || len(list[0].edits) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if m := list[0]; m.edits[0] != (edit{"p/f.go", "x\na\n", "x\nb\n"}) || m.edits[1] != (edit{"p/f.go", "c\n", ""}) ||
		m.edits[2].file != "p/g.go" || m.pkg != "./p" || m.test != "TestX" {
		t.Errorf("%+v", m)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(head+"-a\n+b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readMutants(dir); err == nil || !strings.Contains(err.Error(), "is there already, at a.txt:") {
		t.Errorf("the same name twice: %v", err)
	}
	if _, err := readMutants(t.TempDir()); err == nil {
		t.Error("no tables, and that is fine")
	}
}

// Every mutant of the tree applies, and the page has it.
func TestMutantsOfTheTree(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	list, err := readMutants(filepath.Join(root, mutantsDir))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if _, err := list[i].apply(root); err != nil {
			t.Error(err)
		}
	}
	if err := (mutantFlags{}).document(root, list); err != nil {
		t.Error(err)
	}
}
