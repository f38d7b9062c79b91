package soft_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	k, err := soft.Create(path, nil)
	must(t, err)
	must(t, k.Latch().Set(ctx, keystore.Record{Root: [32]byte{1}, Epoch: 1}))
	must(t, k.Close())
	return path
}

// Each way in which a file can be wrong has its error, and none makes a new device.
func TestOpenRefuses(t *testing.T) {
	rewrite := func(t *testing.T, path string, f func([]byte) []byte) {
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, f(b), 0o600))
	}
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		kind  error
	}{
		{"missing", func(t *testing.T, p string) { must(t, os.Remove(p)) }, keystore.ErrAbsent},
		{"world-readable", func(t *testing.T, p string) { must(t, os.Chmod(p, 0o644)) }, keystore.ErrExposed},
		{"group-readable", func(t *testing.T, p string) { must(t, os.Chmod(p, 0o640)) }, keystore.ErrExposed},
		{"symlink", func(t *testing.T, p string) {
			must(t, os.Rename(p, p+".moved"))
			must(t, os.Symlink(p+".moved", p))
		}, keystore.ErrExposed},
		{"hard link", func(t *testing.T, p string) { must(t, os.Link(p, p+".copy")) }, keystore.ErrExposed},
		{"folder in its place", func(t *testing.T, p string) { must(t, os.Remove(p)); must(t, os.Mkdir(p, 0o700)) }, keystore.ErrExposed},
		{"fifo in its place", func(t *testing.T, p string) { must(t, os.Remove(p)); must(t, syscall.Mkfifo(p, 0o600)) }, keystore.ErrExposed},
		{"folder open to others", func(t *testing.T, p string) { must(t, os.Chmod(filepath.Dir(p), 0o777)) }, keystore.ErrExposed},
		{"empty", func(t *testing.T, p string) { rewrite(t, p, func([]byte) []byte { return nil }) }, keystore.ErrCorrupt},
		{"short", func(t *testing.T, p string) { rewrite(t, p, func(b []byte) []byte { return b[1:] }) }, keystore.ErrCorrupt},
		{"long", func(t *testing.T, p string) { rewrite(t, p, func(b []byte) []byte { return append(b, 0) }) }, keystore.ErrCorrupt},
		{"a bit", func(t *testing.T, p string) { rewrite(t, p, func(b []byte) []byte { b[20] ^= 4; return b }) }, keystore.ErrCorrupt},
		{"checksum", func(t *testing.T, p string) { rewrite(t, p, func(b []byte) []byte { b[71] ^= 4; return b }) }, keystore.ErrCorrupt},
		{"magic", func(t *testing.T, p string) { rewrite(t, p, func(b []byte) []byte { b[0] ^= 4; return b }) }, keystore.ErrCorrupt},
		{"blank", func(t *testing.T, p string) {
			rewrite(t, p, func([]byte) []byte { return soft.EncodeSecret(make([]byte, 32)) })
		}, keystore.ErrAbsent},
		{"latch missing", func(t *testing.T, p string) { must(t, os.Remove(p+".latch")) }, keystore.ErrAbsent},
		{"latch readable", func(t *testing.T, p string) { must(t, os.Chmod(p+".latch", 0o604)) }, keystore.ErrExposed},
		{"latch a bit", func(t *testing.T, p string) {
			rewrite(t, p+".latch", func(b []byte) []byte { b[75] ^= 1; return b })
		}, keystore.ErrCorrupt},
		{"latch zeroed", func(t *testing.T, p string) {
			rewrite(t, p+".latch", func(b []byte) []byte { clear(b[40:80]); return b })
		}, keystore.ErrCorrupt},
		{"latch of another", func(t *testing.T, p string) {
			b, err := os.ReadFile(create(t) + ".latch")
			must(t, err)
			rewrite(t, p+".latch", func([]byte) []byte { return b })
		}, keystore.ErrForeign},
		{"latch magic", func(t *testing.T, p string) {
			rewrite(t, p+".latch", func(b []byte) []byte { b[3] ^= 1; return b })
		}, keystore.ErrCorrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := create(t)
			if k, err := soft.Open(path, nil); err != nil {
				t.Fatal(err)
			} else {
				k.Close()
			}
			tc.spoil(t, path)
			k, err := soft.Open(path, nil)
			if k != nil || !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
		})
	}
}

// A secret of another user's, or in another user's folder.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: a file cannot be given away, nothing is checked")
		return
	}
	path := create(t)
	must(t, os.Chown(path, 12345, 12345))
	if _, err := soft.Open(path, nil); !errors.Is(err, keystore.ErrExposed) {
		t.Errorf("file: %v", err)
	}
	must(t, os.Chown(path, 0, 0))
	must(t, os.Chown(filepath.Dir(path), 12345, 12345))
	if _, err := soft.Open(path, nil); !errors.Is(err, keystore.ErrExposed) {
		t.Errorf("folder: %v", err)
	}
	// Only the root folder's own stickiness makes a shared one good enough.
	must(t, os.Chown(filepath.Dir(path), 0, 0))
	must(t, os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky))
	k, err := soft.Open(path, nil)
	must(t, err)
	k.Close()
}

// Every file operation of Create fails once, and then the power goes: what is
// there afterwards is no device, or the whole of it.
func TestCreateFaults(t *testing.T) {
	broken := errors.New("broken")
	for n := 0; ; n++ {
		path := filepath.Join(t.TempDir(), "secret")
		i, at := 0, ""
		k, err := soft.Create(path, soft.Fail(&soft.Config{}, func(op string) error {
			if i++; i == n+1 {
				at = op
				return broken
			}
			return nil
		}))
		if at == "" {
			must(t, err)
			if n < 10 {
				t.Errorf("only %d operations", n)
			}
			return
		}
		if k != nil || !errors.Is(err, broken) && !errors.Is(err, keystore.ErrExists) {
			t.Errorf("%d %s: %v", n, at, err)
		}
		k, err = soft.Open(path, nil)
		if err == nil {
			k.Close()
			continue
		}
		if !errors.Is(err, keystore.ErrAbsent) {
			t.Errorf("%d %s: afterwards %v", n, at, err)
		}
		if k, err = soft.Create(path, nil); err != nil {
			t.Errorf("%d %s: cannot be repeated: %v", n, at, err)
		} else {
			k.Close()
		}
	}
}

// Every file operation of Set fails once: the old record is there, or the error
// says ErrUncertain; repeating it helps.
func TestSetFaults(t *testing.T) {
	broken := errors.New("broken")
	old, next := keystore.Record{Root: [32]byte{1}, Epoch: 1}, keystore.Record{Root: [32]byte{2}, Epoch: 2}
	for n := 0; ; n++ {
		path := create(t)
		i, armed, at := 0, false, ""
		k, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
			if !armed {
				return nil
			}
			if i++; i == n+1 {
				at = op
				return broken
			}
			return nil
		}))
		must(t, err)
		armed = true
		err = k.Latch().Set(ctx, next)
		armed = false
		if at == "" {
			must(t, err)
			if n < 8 {
				t.Errorf("only %d operations", n)
			}
			return
		}
		if !errors.Is(err, broken) {
			t.Errorf("%d %s: %v", n, at, err)
		}
		held, rerr := k.Latch().Read(ctx)
		must(t, rerr)
		if held != old && !errors.Is(err, keystore.ErrUncertain) {
			t.Errorf("%d %s: changed, but says %v", n, at, err)
		}
		must(t, k.Latch().Set(ctx, next))
		must(t, k.Close())
		if k, err = soft.Open(path, nil); err != nil {
			t.Fatal(err)
		}
		if held, err := k.Latch().Read(ctx); err != nil || held != next {
			t.Errorf("%d %s: epoch %d, %v", n, at, held.Epoch, err)
		}
		k.Close()
	}
}

// What a dying process may have left unsynced is synced before Set says that it is
// there; after a failed sync the file is written again; otherwise nothing is written.
func TestSetAgain(t *testing.T) {
	path := create(t)
	var ops []string
	var fail string
	k, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
		ops = append(ops, op)
		if op == fail {
			return errors.New("broken")
		}
		return nil
	}))
	must(t, err)
	held := keystore.Record{Root: [32]byte{1}, Epoch: 1}
	set := func(want string, kind error) {
		t.Helper()
		ops = nil
		err := k.Latch().Set(ctx, held)
		if !errors.Is(err, kind) {
			t.Errorf("got %v, want %v", err, kind)
		}
		wrote := "nothing"
		for _, op := range ops {
			switch op {
			case "sync again":
				wrote = "synced"
			case "rename":
				wrote = "written"
			}
		}
		if wrote != want {
			t.Errorf("%s, want %s: %v", wrote, want, ops)
		}
	}
	set("synced", nil)
	set("nothing", nil)
	held.Epoch = 2
	fail = "sync folder"
	set("written", keystore.ErrUncertain)
	set("written", keystore.ErrUncertain)
	fail = "write"
	held.Epoch = 2
	ops = nil
	if err := k.Latch().Set(ctx, held); err == nil {
		t.Error("a failed write")
	}
	fail = ""
	set("written", nil)
	set("nothing", nil)
	must(t, k.Close())

	fail = "sync again"
	k, err = soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
		if op == fail {
			return errors.New("broken")
		}
		return nil
	}))
	must(t, err)
	for _, fail = range []string{"sync again", "sync folder"} {
		if err := k.Latch().Set(ctx, held); !errors.Is(err, keystore.ErrUncertain) {
			t.Errorf("%s: %v", fail, err)
		}
	}
}

// Every file operation of Open fails once.
func TestOpenFaults(t *testing.T) {
	broken := errors.New("broken")
	path := create(t)
	for n := 0; ; n++ {
		i, at := 0, ""
		k, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
			if i++; i == n+1 {
				at = op
				return broken
			}
			return nil
		}))
		if at == "" {
			must(t, err)
			k.Close()
			return
		}
		if k != nil || !errors.Is(err, broken) {
			t.Errorf("%d %s: %v", n, at, err)
		}
	}
}

// A cut between the two names that createSecret gives.
func TestTwoNames(t *testing.T) {
	path := create(t)
	must(t, os.Link(path, path+".new"))
	_, err := soft.Open(path, soft.Fail(&soft.Config{}, func(op string) error {
		if op == "unlink" {
			return fs.ErrInvalid
		}
		return nil
	}))
	if !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	k, err := soft.Open(path, nil)
	must(t, err)
	k.Close()
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the second name is still there")
	}
}

func FuzzSecret(f *testing.F) {
	f.Add(soft.EncodeSecret(bytes.Repeat([]byte("ab"), 16)))
	f.Add(soft.EncodeSecret(make([]byte, 32)))
	f.Add([]byte("NLSECRT1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		secret, err := soft.DecodeSecret(b)
		if err != nil {
			if secret != nil || !errors.Is(err, keystore.ErrCorrupt) && !errors.Is(err, keystore.ErrAbsent) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(soft.EncodeSecret(secret), b) {
			t.Error("another file for the same secret")
		}
	})
}

func FuzzLatch(f *testing.F) {
	secret := bytes.Repeat([]byte("ab"), 16)
	path := filepath.Join(f.TempDir(), "latch")
	k, err := soft.Supply(secret, &soft.Config{LatchFile: path, NewLatch: true})
	must(f, err)
	for epoch := range uint64(2) {
		if epoch > 0 {
			must(f, k.Latch().Set(ctx, keystore.Record{Root: [32]byte{1}, Epoch: epoch}))
		}
		b, err := os.ReadFile(path)
		must(f, err)
		f.Add(b)
		b[79] ^= 1
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, again, err := soft.DecodeLatch(secret, b)
		if err != nil {
			if r != (keystore.Record{}) || !errors.Is(err, keystore.ErrCorrupt) && !errors.Is(err, keystore.ErrForeign) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(again, b) {
			t.Error("another file for the same record")
		}
	})
}
