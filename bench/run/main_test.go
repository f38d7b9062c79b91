package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/bench/internal/report"
)

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	r := &report.Results{Date: "2026-01-02", GOARCH: "amd64", Layouts: 1}
	r.Add("fast", []report.Line{{Name: "Read/memory=mapped/size=16", Metrics: map[string]float64{"ratio": 1, "verdict": 1}}})
	if err := write(dir, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "2026-01-02-amd64.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report.Results
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if c := back.Case("fast", "Read/memory=mapped/size=16"); c == nil || c.Layouts != 1 || c.Metrics["ratio"].Mid != 1 {
		t.Errorf("%s", data)
	}
	for _, name := range []string{"latest.md", "latest.svg"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSummary(t *testing.T) {
	lines := []report.Line{{Metrics: map[string]float64{"verdict": 1}}, {Metrics: map[string]float64{"verdict": 0}}, {}}
	if got, want := summary(lines), "3 lines, 1 without a verdict"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
