// Package testdeps finds what integration tests need from outside the tree:
// programs and firmware that "make test-deps" installs. What is missing skips
// the test and says how to get it; with NANOLOCK_STRICT=1 it fails instead, so
// that a run which has to prove something cannot pass by testing nothing.
package testdeps

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Strict tells whether a missing dependency is a failure.
func Strict() bool { return os.Getenv("NANOLOCK_STRICT") == "1" }

// Long tells whether tests that scale should take their time.
func Long() bool { return os.Getenv("NANOLOCK_LONG") == "1" }

// Need ends the test unless ok. what is what is missing.
func Need(t testing.TB, ok bool, what string) {
	t.Helper()
	end(t, ok, what+" is missing: run make test-deps")
}

// Machine ends the test unless ok, where no package helps. what is what this
// machine would have to have.
func Machine(t testing.TB, ok bool, what string) {
	t.Helper()
	end(t, ok, "this machine lacks "+what)
}

func end(t testing.TB, ok bool, why string) {
	t.Helper()
	switch {
	case ok:
	case Strict():
		t.Fatalf("%s", why)
	default:
		t.Skipf("%s", why)
	}
}

// File returns path if the Debian package that puts a file there is installed.
func File(t testing.TB, pkg, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	Need(t, err == nil && info.Mode().IsRegular(), path+" of Debian's package "+pkg)
	return path
}

// Program returns the path of a program. Debian keeps some of them where a
// user's PATH does not look.
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, p := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if found, err := exec.LookPath(p); err == nil {
			return found
		}
	}
	Need(t, false, "the program "+name)
	return ""
}

// Firmware returns a folder below NANOLOCK_FIRMWARE, which is .cache/firmware of
// the module unless that variable says otherwise.
func Firmware(t testing.TB, sub string) string {
	t.Helper()
	dir := os.Getenv("NANOLOCK_FIRMWARE")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), ".cache", "firmware")
	}
	dir = filepath.Join(dir, sub)
	info, err := os.Stat(dir)
	Need(t, err == nil && info.IsDir(), "the folder "+dir)
	return dir
}

// moduleRoot is the folder of go.mod above the test's own.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}
