package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/demo"
)

// asMain makes the test binary the program, for tests that need a process.
const asMain = "NANOLOCK_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a run of the program left.
type result struct {
	code     int
	out, err string
}

// with is the world of a run.
type with struct {
	stdin  string
	env    map[string]string
	random io.Reader
	ctx    context.Context
}

// do runs the program in this process.
func (w with) do(args ...string) result {
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(w.stdin), out: &out, err: &err, env: func(k string) string { return w.env[k] }, random: w.random}
	ctx := w.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	code := a.run(ctx, args)
	return result{code, out.String(), err.String()}
}

func do(args ...string) result { return with{}.do(args...) }

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}

// write puts content into a file of the test's own folder.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// times are what no two runs have in common.
var times = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`"(measured|estimated|took)": \d+`), `"$1": 0`},
	{regexp.MustCompile(`(here|device) +[0-9.]+(ns|µs|ms|s)`), "$1 TIME"},
}

func TestGolden(t *testing.T) {
	tests := []struct {
		file string
		code int
		args string
	}{
		{"help.txt", 0, "--help"},
		{"exit-codes.txt", 0, "help exit-codes"},
		{"json.txt", 0, "help json"},
		{"provision-help.txt", 0, "provision --help"},
		{"status-help.txt", 0, "status --help"},
		{"order-help.txt", 0, "order --help"},
		{"order-new-help.txt", 0, "order new --help"},
		{"order-apply-help.txt", 0, "order apply --help"},
		{"report-verify-help.txt", 0, "report verify --help"},
		{"inspect-help.txt", 0, "inspect --help"},
		{"decommission-help.txt", 0, "decommission --help"},
		{"check.txt", 0, "policy check -"},
		{"check.json", 0, "policy check - --json"},
		{"check-broken.txt", 3, "policy check testdata/broken.yaml"},
		{"check-broken.json", 3, "policy check testdata/broken.yaml --json"},
		{"check-overlap.txt", 3, "policy check testdata/overlap.yaml"},
		{"lint.txt", 0, "policy lint -"},
		{"lint-weak.txt", 1, "policy lint testdata/weak.yaml"},
		{"lint-weak.json", 1, "policy lint testdata/weak.yaml --json"},
		{"plan.txt", 0, "policy plan -"},
		{"plan.json", 0, "policy plan - --json"},
		{"explain-deny.txt", 0, "policy explain - write 0x20000 128k"},
		{"explain-deny.json", 0, "policy explain - write 0x20000 128k --json"},
		{"explain-grant.txt", 0, "policy explain - erase firmware --as vendor"},
		{"explain-allow.txt", 0, "policy explain - read 0 8MiB"},
		{"explain-align.txt", 0, "policy explain - erase 0x650000 4KiB"},
		{"explain-outside.txt", 0, "policy explain - write 16MiB 1"},
		{"explain-factory.txt", 0, "policy explain - write calibration --state manufacturing --expect allow"},
		{"map.txt", 0, "map -"},
		{"map-ascii.txt", 0, "map - --ascii --width 60"},
		{"map-colour.txt", 0, "map - --color always"},
		{"map.json", 0, "map - --json"},
		{"map.svg", 0, "map - --svg -"},
	}
	for _, tc := range tests {
		t.Run(tc.file, func(t *testing.T) {
			r := with{stdin: string(demo.RouterYAML)}.do(strings.Fields(tc.args)...)
			if r.code != tc.code {
				t.Errorf("exit code %d, want %d: %s", r.code, tc.code, r.err)
			}
			out := r.out
			for _, x := range times {
				out = x.re.ReplaceAllString(out, x.to)
			}
			if strings.HasSuffix(tc.file, ".json") && !json.Valid([]byte(out)) {
				t.Error("not one JSON document")
			}
			golden(t, tc.file, out)
		})
	}
}

// The picture in the documentation is the one that the program draws.
func TestDocumentedPicture(t *testing.T) {
	r := with{stdin: string(demo.RouterYAML)}.do("map", "-", "--svg", "-")
	const path = "../../docs/flash-map.svg"
	if *update {
		if err := os.WriteFile(path, []byte(r.out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != r.out {
		t.Errorf("docs/flash-map.svg is not what is drawn (go test -update writes it anew): %v", err)
	}
}
