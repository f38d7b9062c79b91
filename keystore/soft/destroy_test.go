package soft_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
)

// The bytes of the secret are written over in the file that held them: a second name
// for it, made when nobody looks any more, shows noise.
func TestDestroyOverwrites(t *testing.T) {
	path := create(t)
	old, err := os.ReadFile(path)
	must(t, err)
	kept := filepath.Join(filepath.Dir(path), "kept")
	k, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
		if op == "unlink" {
			must(t, os.Link(path+".gone", kept))
		}
		return nil
	}))
	must(t, err)
	must(t, k.Destroy(ctx))
	now, err := os.ReadFile(kept)
	must(t, err)
	if len(now) != len(old) || bytes.Contains(now, old[8:16]) || bytes.Equal(now, make([]byte, len(now))) {
		t.Errorf("left in the file: %x", now)
	}
	must(t, os.Remove(kept))
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(left) != 1 || left[0].Name() != "secret.latch" {
		t.Errorf("left: %v", left)
	}
	// The latch has an owner in it: no new device at this path.
	if _, err := soft.Create(path, nil); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("create: %v", err)
	}
}

// Every file operation of Destroy fails once. The device is whole or the error says
// ErrUncertain; a repeat helps, and so does a power cut and an Open, after which there
// is the whole device or none, and no trace of its secret.
func TestDestroyFaults(t *testing.T) {
	broken := errors.New("broken")
	for n := 0; ; n++ {
		for _, cut := range []bool{false, true} {
			path := create(t)
			secret := secretOf(t, path)[0]
			i, armed, at := 0, false, ""
			k, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
				if armed {
					if i++; i == n+1 {
						at = op
						return broken
					}
				}
				return nil
			}))
			must(t, err)
			armed = true
			err = k.Destroy(ctx)
			armed = false
			if at == "" {
				must(t, err)
				if n < 10 {
					t.Errorf("only %d operations", n)
				}
				return
			}
			if !errors.Is(err, broken) {
				t.Errorf("%d %s: %v", n, at, err)
			}
			if _, serr := k.Sign(ctx, 0, nil); serr != nil {
				t.Errorf("%d %s: not destroyed, but Sign: %v", n, at, serr)
			}
			if cut {
				k.Close()
				again, oerr := soft.Open(path, nil)
				switch {
				case oerr == nil && errors.Is(err, keystore.ErrUncertain):
					t.Errorf("%d %s: uncertain, and whole", n, at)
				case oerr == nil:
					again.Close()
					continue
				case !errors.Is(err, keystore.ErrUncertain) || !errors.Is(oerr, keystore.ErrAbsent):
					t.Errorf("%d %s: %v, then open: %v", n, at, err, oerr)
				}
			} else {
				must(t, k.Destroy(ctx))
				must(t, k.Close())
				if _, err := soft.Open(path, nil); !errors.Is(err, keystore.ErrAbsent) {
					t.Errorf("%d %s: open: %v", n, at, err)
				}
			}
			noTrace(t, filepath.Dir(path), secret)
		}
	}
}

func noTrace(t *testing.T, dir string, secret []byte) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		if bytes.Contains(b, secret[:8]) {
			t.Errorf("%s holds the secret", f.Name())
		}
	}
}

// What is at the path is not this device's file, or not fit to be written to: it is
// not touched.
func TestDestroyRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		kind  error
	}{
		{"another device", func(t *testing.T, p string) {
			must(t, os.Rename(create(t), p))
		}, keystore.ErrForeign},
		{"damaged", func(t *testing.T, p string) { must(t, os.WriteFile(p, make([]byte, 72), 0o600)) }, keystore.ErrCorrupt},
		{"readable", func(t *testing.T, p string) { must(t, os.Chmod(p, 0o644)) }, keystore.ErrExposed},
		{"second name", func(t *testing.T, p string) { must(t, os.Link(p, p+".copy")) }, keystore.ErrExposed},
		{"folder of others", func(t *testing.T, p string) { must(t, os.Chmod(filepath.Dir(p), 0o777)) }, keystore.ErrExposed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := create(t)
			k, err := soft.Open(path, nil)
			must(t, err)
			defer k.Close()
			tc.spoil(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			if err := k.Destroy(ctx); !errors.Is(err, tc.kind) || errors.Is(err, keystore.ErrUncertain) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was touched: %v", err)
			}
			if _, err := k.Sign(ctx, 0, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A second opening of the device that was destroyed; a file in the place of one that
// is gone that must not be written to.
func TestDestroyTwice(t *testing.T) {
	path := create(t)
	a, err := soft.Open(path, nil)
	must(t, err)
	b, err := soft.Open(path, nil)
	must(t, err)
	must(t, a.Destroy(ctx))
	must(t, b.Destroy(ctx))
	if _, err := b.Derive(ctx, "a"); !errors.Is(err, keystore.ErrClosed) {
		t.Errorf("derive: %v", err)
	}

	path = create(t)
	other := filepath.Join(t.TempDir(), "other")
	must(t, os.WriteFile(other, make([]byte, 72), 0o600))
	must(t, os.Symlink(other, path+".gone"))
	if _, err := soft.Open(path, nil); !errors.Is(err, keystore.ErrExposed) {
		t.Errorf("open: %v", err)
	}
	if _, err := soft.Create(path, nil); !errors.Is(err, keystore.ErrExposed) {
		t.Errorf("create: %v", err)
	}
	if b, err := os.ReadFile(other); err != nil || !bytes.Equal(b, make([]byte, 72)) {
		t.Errorf("written through a link: %v", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Error("the secret went")
	}
}
