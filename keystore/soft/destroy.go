package soft

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io/fs"
	"os"

	"github.com/nanolock/nanolock/keystore"
)

// goneSuffix ends the name that a secret takes when its end has begun. Who finds such
// a file finishes the work: there is no way back from that name.
const goneSuffix = ".gone"

// Destroy overwrites the file of the secret in place, syncs it, removes it and
// syncs the folder, then drops the keys. The latch file stays: it proves that there was
// a device, and a latch with an owner keeps Create away from the path. First of all
// the file takes a name under which no secret is opened; a cut after that is made
// good by the next Open or Create at this path. ErrForeign if the file is another secret's
// by now, ErrExposed or ErrCorrupt as for Open: then nothing is touched.
//
// Overwriting asks the medium to forget, and not every medium does. Behind a flash
// translation layer (SSD, eMMC, SD, UBI), on a file system that copies on write or
// keeps a journal of data, in a snapshot or a backup, the old 32 bytes may live on in
// pages that no file names any more. Where that counts, keep the file on an encrypted
// medium whose key is destroyed as well, or use the medium's own secure erase.
//
// A secret that was supplied is not this package's to destroy: errors.ErrUnsupported.
func (k *Keystore) Destroy(ctx context.Context) error {
	const op = "destroy"
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.gone:
		return nil
	case k.keys == nil:
		return fault(op, keystore.ErrClosed, nil)
	case ctx.Err() != nil:
		return fault(op, nil, ctx.Err())
	case k.path == "":
		return fault(op, nil, errors.ErrUnsupported)
	}
	if err := k.lay(); err != nil {
		return err
	}
	err := k.disk.bury(k.path)
	if err == nil { // also if there was nothing: a call before may have failed here
		err = k.disk.syncFolder(k.path)
	}
	if err != nil {
		return fault(op, keystore.ErrUncertain, err)
	}
	k.gone = true
	k.drop()
	return nil
}

// lay gives the secret's file the name of one that is gone, if the file is still that of k.
func (k *Keystore) lay() error {
	const op = "destroy"
	secret, err := k.disk.readSecret(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // laid by a call before, or by somebody else
	} else if err != nil {
		return err
	}
	defer clear(secret)
	there, err := deriveKeys(secret)
	if err != nil {
		return fault(op, nil, err)
	}
	defer there.wipe()
	if subtle.ConstantTimeCompare(there.derive[:], k.keys.derive[:]) != 1 {
		return fault(op, keystore.ErrForeign, nil)
	}
	if err := k.disk.step("rename", func() error { return os.Rename(k.path, k.path+goneSuffix) }); err != nil {
		return fault(op, nil, err)
	}
	return nil
}

// bury overwrites and removes a secret whose end has begun; nil if there is none. The
// folder is synced before the file is overwritten, so that no cut brings its old name
// back with noise in it. It is not synced afterwards: what could come back is
// the name of a file of noise.
func (d disk) bury(path string) error {
	const op = "destroy"
	gone := path + goneSuffix
	err := d.step("lstat", func() error { _, err := os.Lstat(gone); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return absent(op, err)
	}
	b, err := d.load(gone, secretFileLen) // for its checks: it must be what may be written to
	if err != nil {
		return err
	}
	clear(b)
	if err := d.syncFolder(path); err != nil {
		return fault(op, nil, err)
	}
	if err := d.overwrite(gone, len(b)); err != nil {
		return fault(op, nil, err)
	}
	if err := d.step("unlink", func() error { return os.Remove(gone) }); err != nil {
		return fault(op, nil, err)
	}
	return nil
}

// overwrite writes random bytes, which no file system turns into a hole or packs.
func (d disk) overwrite(path string, size int) (err error) {
	noise := make([]byte, size)
	rand.Read(noise)
	var f *os.File
	err = d.step("open", func() error {
		f, err = os.OpenFile(path, os.O_WRONLY|noFollow, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.step("write", func() error { _, err := f.WriteAt(noise, 0); return err }); err != nil {
		return err
	}
	return d.step("sync", f.Sync)
}
