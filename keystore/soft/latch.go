package soft

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/nanolock/nanolock/keystore"
)

// fileLatch is a latch in a file of its own. It is one way for whoever goes through
// it, and for power cuts. It is not for whoever may write the file: an older copy
// put back is an older latch, and nothing in the file can tell.
//
// One process at a time uses a latch file.
type fileLatch struct {
	disk
	path string
	keys *keys

	mu     sync.Mutex
	synced bool // what the file holds survives a cut
	redo   bool // a sync failed: the medium's word is not worth much, write again
}

// Read reads the file each time: what is on the medium counts.
func (l *fileLatch) Read(context.Context) (keystore.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read()
}

func (l *fileLatch) read() (keystore.Record, error) {
	b, err := l.load(l.path, latchFileLen)
	if err != nil {
		return keystore.Record{}, err
	}
	return l.keys.latchKey().decode(b)
}

// Set replaces the file as a whole: a new one is written and synced, then takes the
// name, then the folder is synced. ErrUncertain only if the last step fails.
func (l *fileLatch) Set(_ context.Context, r keystore.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, err := l.read()
	if err != nil {
		return err
	}
	write, err := held.Forward(r)
	switch {
	case err != nil:
		return err
	case write || l.redo:
		err = l.replace(l.path, l.keys.latchKey().encode(r))
	case !l.synced:
		// The same record, but perhaps of a process that died before its sync.
		err = l.syncAll(l.path)
	}
	l.synced = err == nil
	l.redo = errors.Is(err, keystore.ErrUncertain) || l.redo && err != nil
	return err
}

// createLatch makes the file of a latch that was never set. One that a Create left
// which was cut short holds nothing, and is replaced; one with an owner in
// it stays.
func (d disk) createLatch(path string, k *keys) error {
	b, err := d.load(path, latchFileLen)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fault("create", keystore.ErrExists, err)
	default:
		if _, r, err := latchRecord(b); err != nil || r.Set() {
			return fault("create", keystore.ErrExists, errors.New("a latch of an owner"))
		}
	}
	return d.replace(path, k.latchKey().encode(keystore.Record{}))
}
