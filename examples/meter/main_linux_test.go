package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/testdeps"
	"github.com/nanolock/nanolock/keystore/tpm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

func TestStory(t *testing.T) {
	testdeps.Program(t, "swtpm")
	want, err := os.ReadFile("testdata/story.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var out strings.Builder
	if err := run(context.Background(), dir, "swtpm", &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	b, err := os.ReadFile(filepath.Join(dir, "flash.bin"))
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policyfile.Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	for region, content := range map[string]string{
		"boot": "boot loader 1.0\xff", "firmware": "firmware 2.0, first block\xff", "calibration": "gain=1.0023\xff",
		"tariff": "day=0.31 night=0.19\xff", "events": "1 kWh 42;2 kWh 43;\xff", "customer key": "\xff\xff\xff\xff",
	} {
		if at := pol.Region(region).Span.Off; !strings.HasPrefix(string(b[at:at+64]), content) {
			t.Errorf("%s holds %q, want %q", region, b[at:at+32], content)
		}
	}
}

// A story that goes wrong ends with an error, and what it started has ended.
func TestUnexpected(t *testing.T) {
	if err := run(context.Background(), t.TempDir(), filepath.Join(t.TempDir(), "tpm0"), io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such device: %v", err)
	}
	testdeps.Program(t, "swtpm")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "flash.bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), dir, "swtpm", io.Discard); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a flash that is there already: %v", err)
	}
}

// A meter that was switched off is the same one afterwards.
func TestRestart(t *testing.T) {
	testdeps.Program(t, "swtpm")
	chip, stop, err := openTPM(t.TempDir(), "swtpm")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	m := &meter{ctx: context.Background(), chip: chip, image: filepath.Join(t.TempDir(), "flash.bin"), out: io.Discard}
	defer m.off()
	m.factory()
	m.off()
	if _, err := tpm.Open(m.ctx, chip, m.blob, nil); err != nil {
		t.Fatal(err)
	}
	m.start()
	if s := m.dev.Status(); s.Degraded || s.State != policy.Deployed {
		t.Errorf("started again: %+v", s)
	}
	m.end()
}

func TestAnswer(t *testing.T) {
	for err, want := range map[error]string{
		nil: "done", device.ErrStale: "refused: spent", device.ErrDegraded: "refused: degraded",
		order.ErrSignature: "refused: not by the owner", io.EOF: "EOF",
	} {
		if got := answer(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
