package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

const output = `goos: linux
goarch: amd64
cpu: A Processor @ 2.00GHz
BenchmarkRead/memory=mapped/size=16-2   	 2020	 5.0 ns/op	 0.9994 aa	 -0.01 added-ns	 0 allocs	 5.0 bare-ns	 1.5 over-copy-ns	 RATIO ratio	 1.01 ratio-hi95	 VERDICT verdict
BenchmarkCompile/regions=64-2 	 4612	 82570 ns/op	 78817 B/op	 157 allocs/op
PASS
ok  	example	1.234s
`

func lines(t *testing.T, ratio, verdict string) []Line {
	t.Helper()
	out, err := Parse(strings.NewReader(strings.NewReplacer("RATIO", ratio, "VERDICT", verdict).Replace(output)))
	if err != nil || out.CPU != "A Processor @ 2.00GHz" {
		t.Fatal(out.CPU, err)
	}
	return out.Lines
}

func TestParse(t *testing.T) {
	ls := lines(t, "0.99", "1")
	if len(ls) != 2 {
		t.Fatalf("%d lines: %v", len(ls), ls)
	}
	if l := ls[0]; l.Name != "Read/memory=mapped/size=16" || l.Metrics["ratio"] != 0.99 || l.Metrics["added-ns"] != -0.01 || !l.Verdict() {
		t.Errorf("%+v", l)
	}
	if l := ls[1]; l.Name != "Compile/regions=64" || l.Metrics["ns/op"] != 82570 || !l.Verdict() {
		t.Errorf("%+v", l)
	}
	for _, bad := range []string{"", "Benchmark", "BenchmarkX-2 12 ns/op", "BenchmarkX-2 many 1 ns/op", "BenchmarkX-2 1 x ns/op", "PASS"} {
		if l, ok := parseLine(bad); ok {
			t.Errorf("%q is read as %+v", bad, l)
		}
	}
}

func results(t *testing.T) *Results {
	t.Helper()
	r := &Results{Date: "2026-01-02", Go: "go1.26", GOOS: "linux", GOARCH: "amd64", CPU: "A Processor", CPUs: 2, Layouts: 3, Benchtime: "1s"}
	for _, build := range Builds {
		var all []Line
		all = append(all, lines(t, "0.98", "1")...)
		all = append(all, lines(t, "1.02", "1")...)
		all = append(all, lines(t, "9.99", "0")...) // disturbed: must not count
		r.Add(build, all)
	}
	return r
}

func TestAggregate(t *testing.T) {
	r := results(t)
	c := r.Case("fast", "Read/memory=mapped/size=16")
	if c == nil || c.Layouts != 2 || c.NoVerdict != 1 {
		t.Fatalf("%+v", c)
	}
	m := c.Metrics["ratio"]
	if math.Abs(m.Mid-math.Sqrt(0.98*1.02)) > 1e-12 || m.Min != 0.98 || m.Max != 1.02 || m.Hi < m.Max {
		t.Errorf("%+v", m)
	}
	if left, all := r.NoVerdicts(); left != 2 || all != 12 {
		t.Errorf("%d of %d lines left out", left, all)
	}
	if r.Cases[0].Name != "Read/memory=mapped/size=16" || r.Cases[0].Build != "fast" || r.Cases[1].Build != "safe" {
		t.Error("cases are out of order")
	}
}

func TestJudge(t *testing.T) {
	for _, x := range []struct {
		name           string
		m              map[string]Spread
		reached, known bool
	}{
		{"Read/memory=mapped/size=16", map[string]Spread{"ratio": {Mid: 1.04, Hi: 1.07}, "over-copy-ns": {Mid: 2}}, true, true},
		{"Read/memory=mapped/size=16", map[string]Spread{"ratio": {Mid: 1.06, Hi: 1.07}}, false, true},
		{"Read/memory=mapped/size=16", map[string]Spread{"ratio": {Mid: 1.04, Hi: 1.09}}, false, true},
		{"Read/memory=mapped/size=16", map[string]Spread{"ratio": {Mid: 1.04, Hi: 1.07}, "over-copy-ns": {Mid: 3.1}}, false, true},
		{"Read/memory=mapped/size=16", map[string]Spread{"ratio": {Mid: math.NaN()}}, false, true},
		{"Compile/regions=64", map[string]Spread{"ns/op": {Mid: 99e3}}, true, true},
		{"Compile/regions=64", map[string]Spread{"ns/op": {Mid: 101e3}}, false, true},
		{"Denied", map[string]Spread{"added-ns": {Mid: 1}}, false, false},
		{"Write/memory=ram/size=16", nil, false, false},
	} {
		c := Case{Name: x.name, Metrics: x.m}
		if reached, known := c.Judge(); reached != x.reached || known != x.known {
			t.Errorf("%s %v: reached %v, known %v", x.name, x.m, reached, known)
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := results(t).Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 of 12 lines had no verdict", "| read, mapped, 16 B | fast | **1.000** |", "[0.980, 1.020]", "| compile 64 regions, 16 MiB | safe | **82.6 µs** |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Error(b.String())
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	for name, r := range map[string]*Results{"some": results(t), "none": {}} {
		var b strings.Builder
		if err := r.SVG(&b); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, never := range []string{"NaN", "Inf", "<script"} {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: %s in the plot", name, never)
			}
		}
	}
	if got := escape("a<b & c"); got != "a&lt;b &amp; c" {
		t.Error(got)
	}
}
