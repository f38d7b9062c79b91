package testdeps_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/internal/testdeps"
)

// outcome runs f as a test of its own would run, and tells how it ended.
type outcome struct {
	testing.TB
	skipped, failed bool
	why             string
}

func (o *outcome) Helper() {}

func (o *outcome) Skipf(f string, a ...any) {
	o.skipped, o.why = true, fmt.Sprintf(f, a...)
	panic(o)
}

func (o *outcome) Fatalf(f string, a ...any) {
	o.failed, o.why = true, fmt.Sprintf(f, a...)
	panic(o)
}

func run(t *testing.T, f func(testing.TB)) (o *outcome) {
	o = &outcome{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(o) {
			panic(r)
		}
	}()
	f(o)
	return o
}

func TestNeed(t *testing.T) {
	for what, missing := range map[string]func(testing.TB){
		"no-such-program-anywhere": func(t testing.TB) { testdeps.Program(t, "no-such-program-anywhere") },
		"package nothing":          func(t testing.TB) { testdeps.File(t, "nothing", "/no/such/file") },
		"package folder":           func(t testing.TB) { testdeps.File(t, "folder", "/") },
		"a thousand processors":    func(t testing.TB) { testdeps.Machine(t, false, "a thousand processors") },
	} {
		t.Setenv("NANOLOCK_STRICT", "")
		if o := run(t, missing); !o.skipped || o.failed || !strings.Contains(o.why, what) {
			t.Errorf("%s: %+v", what, o)
		}
		t.Setenv("NANOLOCK_STRICT", "1")
		if o := run(t, missing); !o.failed || !strings.Contains(o.why, what) {
			t.Errorf("%s, strict: %+v", what, o)
		}
	}
	if o := run(t, func(t testing.TB) { testdeps.File(t, "testing", os.Args[0]) }); o.failed || o.skipped {
		t.Errorf("%+v", o)
	}
	if o := run(t, func(t testing.TB) { testdeps.Need(t, true, "nothing") }); o.failed || o.skipped {
		t.Errorf("%+v", o)
	}
}

func TestFirmware(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("NANOLOCK_FIRMWARE", dir)
	t.Setenv("NANOLOCK_STRICT", "")
	if o := run(t, func(t testing.TB) { testdeps.Firmware(t, "dtb") }); !o.skipped {
		t.Error("a folder that does not exist was found")
	}
	if err := os.Mkdir(filepath.Join(dir, "dtb"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := testdeps.Firmware(t, "dtb"); got != filepath.Join(dir, "dtb") {
		t.Errorf("got %s", got)
	}
	t.Setenv("NANOLOCK_FIRMWARE", "")
	run(t, func(t testing.TB) {
		if got := testdeps.Firmware(t, ""); !filepath.IsAbs(got) {
			t.Errorf("got %s", got)
		}
	})
}
