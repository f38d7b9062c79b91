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
	private := filepath.Join(dir, "new.svg")
	if err := os.Chmod(private, 0o600); err != nil {
		t.Fatal(err)
	}
	do("map", policy, "--svg", private)
	if fi, err := os.Stat(private); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("what was private is not: %v, %v", fi.Mode(), err)
	}
}

// Each message names the file or the flag once, and what to do.
func TestMessages(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 64<<20); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"policy", "check", big}, exitInput, big + ": wrong size: 67108864 bytes"},
		{[]string{"policy", "import", "--dtb", "x", "--fmap", "y"}, exitUsage, "--dtb and --fmap; name one"},
		{[]string{"policy", "explain", big}, exitUsage, "REGION or OFF, LEN is missing"},
	} {
		r := do(tc.args...)
		if r.code != tc.code || !strings.Contains(r.out+r.err, tc.want) || strings.Contains(r.out, big+": "+big) {
			t.Errorf("%v: exit code %d: %s%s", tc.args, r.code, r.out, r.err)
		}
	}
}
