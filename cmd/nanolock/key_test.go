package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/keyfile"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// counting is a source of bytes that is the same each time.
type counting byte

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		*c++
		b[i] = byte(*c)
	}
	return len(b), nil
}

// in runs the program in a folder, with keys that are the same each time.
func in(t *testing.T, dir string, w with, args ...string) result {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(dir); err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(here)
	w.random = new(counting)
	return w.do(args...)
}

func TestKeyGolden(t *testing.T) {
	dir := t.TempDir()
	open := map[string]string{passphraseVariable: "correct horse"}
	for _, tc := range []struct{ file, args string }{
		{"keygen-help.txt", "keygen --help"},
		{"keygen.txt", "keygen alice"},
		{"keygen-development.txt", "keygen lab --suite ed25519 --development --no-passphrase"},
		{"keygen.json", "keygen bob --suite esp256 --json"},
		{"key-show-help.txt", "key show --help"},
		{"key-show.txt", "key show alice.pub"},
		{"key-show.json", "key show lab.pub --json"},
	} {
		r := in(t, dir, with{env: open}, strings.Fields(tc.args)...)
		if r.code != exitOK {
			t.Fatalf("%s: exit code %d, %q", tc.args, r.code, r.err)
		}
		if strings.HasSuffix(tc.file, ".json") && !json.Valid([]byte(r.out)) {
			t.Errorf("%s: not one JSON document", tc.args)
		}
		golden(t, tc.file, r.out)
		if warned := strings.Contains(r.err, "WARNING: lab.key has no passphrase"); warned != strings.Contains(tc.args, "--no-passphrase") {
			t.Errorf("%s: standard error: %q", tc.args, r.err)
		}
	}
}

// What keygen prints goes into a policy as it is, and the key that is loaded is the one in it.
func TestKeyInPolicy(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"keygen", "alice"}, {"keygen", "b \"c\" Ä", "--suite", "esp256+ml-dsa-65", "--development"}, {"keygen", "d", "--suite", "ml-dsa-65"},
	} {
		r := in(t, dir, with{}, append(args, "--no-passphrase")...)
		_, yaml, ok := strings.Cut(r.out, "\nauthorities:\n")
		if r.code != 0 || !ok {
			t.Fatalf("%v: exit code %d, %q", args, r.code, r.err)
		}
		text := "nanolock: 1\nname: x\nversion: 1\nmemory:\n  size: 1MiB\n  granule: 4KiB\nmap:\n  - {name: boot, id: 1, at: 0, size: 4KiB, read: any}\nauthorities:\n" + yaml
		p, err := policyfile.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v: %v in\n%s", args, err, text)
		}
		if err := p.Validate(p.Geometry()); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		got := p.Authorities[0].Keys[0]
		k, err := keyfile.Load(filepath.Join(dir, args[1]+".key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != args[1] || string(got.Public) != string(k.Public().Bytes()) || got.Development != (len(args) > 4) ||
			p.Authorities[0].Suite != policy.Suite(k.Public().Suite()) {
			t.Errorf("%v: the policy has another key", args)
		}
	}
}

func TestPassphraseSources(t *testing.T) {
	pass := write(t, "pass", []byte("from a file\r\n"))
	env := map[string]string{passphraseVariable: "from the environment"}
	for i, tc := range []struct {
		w    with
		args []string
		want string // passphrase
		code int
	}{
		{with{env: env}, nil, "from the environment", 0},
		{with{env: env}, []string{"--passphrase-file", pass}, "from a file", 0},
		{with{stdin: "from a pipe\n"}, []string{"--passphrase-file", "-"}, "from a pipe", 0},
		{with{env: env}, []string{"--no-passphrase"}, "", 0},
		{with{}, []string{"--passphrase-file", write(t, "empty", []byte("\n"))}, "", exitUsage},
		{with{env: env}, []string{"--passphrase-file", write(t, "none", nil)}, "", exitUsage},
		{with{}, []string{"--passphrase-file", write(t, "two", []byte("a\nb\n"))}, "", exitInput},
		{with{}, []string{"--passphrase-file", write(t, "long", make([]byte, 1025))}, "", exitInput},
		{with{stdin: strings.Repeat("x", 1025)}, []string{"--passphrase-file", "-"}, "", exitUsage},
		{with{}, []string{"--passphrase-file", "/no/such/file"}, "", exitIO},
	} {
		dir := t.TempDir()
		r := tc.w.do(append([]string{"keygen", "a", "--suite", "ed25519", "--out", dir}, tc.args...)...)
		if r.code != tc.code {
			t.Errorf("row %d: exit code %d, %q", i, r.code, r.err)
			continue
		}
		if strings.Contains(r.out+r.err, "from ") {
			t.Errorf("row %d: the passphrase is shown: %q %q", i, r.out, r.err)
		}
		if _, err := keyfile.Load(filepath.Join(dir, "a.key"), []byte(tc.want)); (err == nil) != (tc.code == 0) {
			t.Errorf("row %d: %v", i, err)
		}
	}
}

// Nothing is overwritten, and what cannot be made whole is not made at all.
func TestKeygenFails(t *testing.T) {
	dir := t.TempDir()
	for _, taken := range []string{"a.key", "a.pub"} {
		path := filepath.Join(dir, taken)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := do("keygen", "a", "--no-passphrase", "--out", dir)
		if r.code != exitIO || !strings.Contains(r.err, taken+": it exists already") {
			t.Errorf("%s: exit code %d, %q", taken, r.code, r.err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("%s: %q, %v", taken, b, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if r := do("keygen", "a", "--no-passphrase", "--out", filepath.Join(dir, "none")); r.code != exitIO || !strings.Contains(r.err, "check the path") {
		t.Errorf("no folder: exit code %d, %q", r.code, r.err)
	}
	if r := (with{random: strings.NewReader("short")}).do("keygen", "a", "--no-passphrase", "--out", dir); r.code != exitIO {
		t.Errorf("no random numbers: exit code %d, %q", r.code, r.err)
	}
	// The public file appears while the private one is written.
	key, err := keyfile.Generate(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	private, public := filepath.Join(dir, "b.key"), filepath.Join(dir, "b.pub")
	if err := os.WriteFile(public, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = save(key, &keyfile.Public{Name: "b", Key: key.Public()}, private, public, nil)
	if f := asFailure(err); err == nil || f.code != exitIO || f.where != public {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(public); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := os.WriteFile(private, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := save(key, &keyfile.Public{Name: "b", Key: key.Public()}, private, public, nil); err == nil || asFailure(err).where != private {
		t.Errorf("got %v", err)
	}
}

func TestKeyShowRefuses(t *testing.T) {
	for name, hint := range map[string]string{"x.pub": "name the .pub file", "x.key": "beside it"} {
		r := do("key", "show", write(t, name, []byte("rubbish")))
		if r.code != exitInput || !strings.Contains(r.err, hint) {
			t.Errorf("%s: exit code %d, %q", name, r.code, r.err)
		}
	}
	if r := do("key", "show", "/no/such.pub"); r.code != exitIO {
		t.Errorf("missing: exit code %d, %q", r.code, r.err)
	}
	if r := do("key", "show", write(t, "x", make([]byte, maxKeyFile+1))); r.code != exitInput {
		t.Errorf("too long: exit code %d, %q", r.code, r.err)
	}
	if r := do("__complete", "keygen", "a", "--suite", ""); !strings.Contains(r.out, "esp256+ml-dsa-65") {
		t.Errorf("completion: %s", fmt.Sprint(r))
	}
}
