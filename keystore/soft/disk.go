package soft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nanolock/nanolock/keystore"
)

// newSuffix ends the name of a file that is being written.
const newSuffix = ".new"

// disk does what is done with files. fail is nil but in tests.
type disk struct{ fail func(op string) error }

// step runs one file operation.
func (d disk) step(op string, f func() error) error {
	if d.fail != nil {
		if err := d.fail(op); err != nil {
			return err
		}
	}
	return f()
}

// load reads a file of exactly size bytes that is the user's own and nobody else's.
func (d disk) load(path string, size int64) (b []byte, err error) {
	const op = "open"
	if err := d.step("folder", func() error { return checkFolder(filepath.Dir(path)) }); err != nil {
		return nil, absent(op, err)
	}
	var f *os.File
	err = d.step("open", func() error {
		f, err = os.OpenFile(path, os.O_RDONLY|noFollow, 0)
		return err
	})
	if isLink(err) {
		return nil, fault(op, keystore.ErrExposed, err)
	} else if err != nil {
		return nil, absent(op, err)
	}
	defer f.Close()
	var info fs.FileInfo
	if err := d.step("stat", func() error { info, err = f.Stat(); return err }); err != nil {
		return nil, fault(op, nil, err)
	}
	if err := checkFile(info); err != nil {
		return nil, fault(op, keystore.ErrExposed, err)
	}
	if info.Size() != size {
		return nil, fault(op, keystore.ErrCorrupt, fmt.Errorf("%d bytes, want %d", info.Size(), size))
	}
	b = make([]byte, size)
	if err := d.step("read", func() error { _, err = io.ReadFull(f, b); return err }); err != nil {
		clear(b)
		return nil, fault(op, nil, err)
	}
	return b, nil
}

// absent gives a missing file its kind.
func absent(op string, err error) error {
	var e *keystore.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault(op, keystore.ErrAbsent, err)
	case errors.Is(err, fs.ErrPermission):
		return fault(op, keystore.ErrExposed, err) // of another user
	}
	return fault(op, nil, err)
}

// readSecret first drops the name that a cut within createSecret may have left.
func (d disk) readSecret(path string) ([]byte, error) {
	old, err1 := os.Lstat(path + newSuffix)
	now, err2 := os.Lstat(path)
	if err1 == nil && err2 == nil && os.SameFile(old, now) {
		if err := d.step("unlink", func() error { return os.Remove(path + newSuffix) }); err != nil {
			return nil, fault("open", nil, err)
		}
	}
	b, err := d.load(path, secretFileLen)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return decodeSecret(b)
}

// free is ErrExists if there is anything at path.
func (d disk) free(path string) error {
	err := d.step("lstat", func() error { _, err := os.Lstat(path); return err })
	switch {
	case err == nil:
		return fault("create", keystore.ErrExists, nil)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fault("create", nil, err)
}

// createSecret writes a file beside path and gives it the name by a link, which fails
// if the name is taken, also in a race, and leaves all or nothing.
func (d disk) createSecret(path string, secret []byte) error {
	const op = "create"
	b := encodeSecret(secret)
	defer clear(b)
	tmp := path + newSuffix
	if err := d.writeNew(tmp, b); err != nil {
		return fault(op, nil, err)
	}
	defer os.Remove(tmp)
	err := d.step("link", func() error { return os.Link(tmp, path) })
	if errors.Is(err, fs.ErrExist) {
		return fault(op, keystore.ErrExists, nil)
	} else if err != nil {
		return fault(op, nil, err)
	}
	if err := d.step("unlink", func() error { return os.Remove(tmp) }); err != nil {
		return fault(op, keystore.ErrUncertain, err)
	}
	if err := d.syncFolder(path); err != nil {
		return fault(op, keystore.ErrUncertain, err)
	}
	return nil
}

// replace puts b in the place of path as a whole.
func (d disk) replace(path string, b []byte) error {
	const op = "latch"
	if err := d.step("folder", func() error { return checkFolder(filepath.Dir(path)) }); err != nil {
		return absent(op, err)
	}
	tmp := path + newSuffix
	if err := d.writeNew(tmp, b); err != nil {
		return fault(op, nil, err)
	}
	if err := d.step("rename", func() error { return os.Rename(tmp, path) }); err != nil {
		os.Remove(tmp)
		return fault(op, nil, err)
	}
	if err := d.syncFolder(path); err != nil {
		return fault(op, keystore.ErrUncertain, err)
	}
	return nil
}

// writeNew writes and syncs a file of mode 0600 that was not there. What is there
// under a name that only this package uses was left by a cut.
func (d disk) writeNew(tmp string, b []byte) (err error) {
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var f *os.File
	err = d.step("new", func() error {
		f, err = os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = d.step("write", func() error { _, err := f.Write(b); return err })
	if err == nil {
		err = d.step("sync", f.Sync)
	}
	if cerr := f.Close(); err == nil {
		err = d.step("close", func() error { return cerr })
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// syncFolder makes the name of path survive a cut.
func (d disk) syncFolder(path string) error {
	return d.step("sync folder", func() error { return syncPath(filepath.Dir(path)) })
}

// syncAll makes what is at path survive a cut; nothing is written if it does.
func (d disk) syncAll(path string) error {
	if err := d.step("sync again", func() error { return syncPath(path) }); err != nil {
		return fault("latch", keystore.ErrUncertain, err)
	}
	if err := d.syncFolder(path); err != nil {
		return fault("latch", keystore.ErrUncertain, err)
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
