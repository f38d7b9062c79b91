package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/demo"
)

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	for _, path := range []string{dir, missing} {
		for _, args := range [][]string{
			{"policy", "check", path}, {"policy", "lint", path}, {"policy", "plan", path}, {"policy", "explain", path, "read", "0", "1"},
			{"map", path}, {"attack", "--policy", path}, {"attack", "--image", path},
			{"policy", "import", "--dtb", path}, {"policy", "import", "--fmap", path}, {"policy", "import", "--layout", path},
		} {
			r := do(args...)
			if r.code != exitIO || !strings.HasPrefix(r.err, "nanolock: "+path+": ") || strings.Count(r.err, "\n") != 1 {
				t.Errorf("%v: exit code %d, %q", args, r.code, r.err)
			}
		}
	}
	if _, _, err := openFile(dir); !errors.Is(err, errNotFile) {
		t.Errorf("a directory: %v", err)
	}
	if _, _, err := openFile(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestPoliciesThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "binary": "\x00\x01\x02\xff", "yaml of something else": "a: 1\n", "list": "- a\n", "tab": "nanolock:\t[",
		"bomb": "a: &a [x,x]\nb: &b [*a,*a]\nnanolock: 1\n",
	} {
		path := write(t, "p.yaml", []byte(text))
		for _, cmd := range []string{"policy check", "policy lint", "policy plan", "map"} {
			r := do(append(strings.Fields(cmd), path)...)
			if r.code != exitInput || !strings.Contains(r.out+r.err, path) {
				t.Errorf("%s of %s: exit code %d, %q %q", cmd, name, r.code, r.out, r.err)
			}
		}
	}
	if r := do("policy", "lint", "testdata/broken.yaml"); !strings.Contains(r.err, "line 7") || !strings.Contains(r.err, "line 11") {
		t.Errorf("lines are missing: %q", r.err)
	}
	if r := do("policy", "plan", "testdata/overlap.yaml"); r.code != exitInput || !strings.Contains(r.err, "overlaps") {
		t.Errorf("%+v", r)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	policy := write(t, "router.yaml", demo.RouterYAML)
	readOnly := write(t, "old.svg", []byte("old"))
	if err := os.Chmod(readOnly, 0o444); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		out  string
		code int
	}{
		{filepath.Join(dir, "new.svg"), exitOK},
		{filepath.Join(dir, "new.svg"), exitOK}, // again, over the first
		{filepath.Join(dir, "none", "new.svg"), exitIO},
		{dir, exitIO},
		{readOnly, exitIO},
		{policy, exitUsage},
	} {
		r := do("map", policy, "--svg", tc.out)
		if r.code != tc.code {
			t.Errorf("--svg %s: exit code %d, want %d: %s", tc.out, r.code, tc.code, r.err)
		}
	}
	if b, err := os.ReadFile(policy); err != nil || !bytes.Equal(b, demo.RouterYAML) {
		t.Error("the policy was overwritten")
	}
	if b, _ := os.ReadFile(readOnly); string(b) != "old" {
		t.Error("a read-only file was overwritten")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("leftovers: %v", list)
	}
}
