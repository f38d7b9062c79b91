package mmap

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// piece is how many bytes are programmed in one step, and compared by Verify.
const piece = 4096

// Memory is a file as nvm.NVM. The zero Memory is closed. Methods may be called
// concurrently.
type Memory struct {
	plain atomic.Bool // open, and view never faults: ReadAt's only question
	open  atomic.Bool

	view     []byte // PROT_READ, of the shadow or the file; until m is garbage
	geo      nvm.Geometry
	path     string
	direct   bool
	readOnly bool
	failed   atomic.Pointer[failure]

	// life is held by all who use a descriptor or a writable mapping, which
	// Close takes away.
	life sync.RWMutex
	res  *resources

	prog  sync.Mutex           // one program or erase at a time, and all below
	stat  unix.Stat_t          // here, so that a program allocates nothing
	buf   [piece]byte          // what goes to the file and to the shadow alike
	units []uint64             // OncePage: a bit for each programmed unit
	msync func(b []byte) error // a field for the tests of a failing disk
}

// failure is the first error that a Memory does not come back from.
type failure struct{ err error }

var (
	_ nvm.NVM      = (*Memory)(nil)
	_ nvm.Remapper = (*Memory)(nil)
)

// Geometry of the memory; see Options. It is the same after Close.
func (m *Memory) Geometry() nvm.Geometry { return m.geo }

// Bytes returns the read-only mapping of the shadow, of Size bytes; nil if there
// is none (direct) and after Close. Keep m as long as the slice: see Lifetime.
func (m *Memory) Bytes() []byte {
	if !m.plain.Load() {
		return nil
	}
	return m.view
}

// ReadAt reads len(p) bytes at off. Errors: nvm.ErrRange, nvm.ErrClosed; without
// a shadow also ErrTruncated and ErrFault.
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	if !m.plain.Load() {
		return m.readGuarded(p, off)
	}
	// Unsigned, a negative off is larger than any mapping.
	if uint64(off) > uint64(len(m.view)) || len(p) > len(m.view)-int(off) {
		return 0, nvm.ErrRange
	}
	n := copy(p, m.view[off:])
	runtime.KeepAlive(m) // the mapping lives as long as m
	return n, nil
}

// readGuarded is ReadAt of a memory that is direct, or closed.
func (m *Memory) readGuarded(p []byte, off int64) (int, error) {
	if !m.open.Load() {
		return 0, nvm.ErrClosed
	}
	if err := m.geo.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	if f := m.failed.Load(); f != nil {
		return 0, f.err
	}
	if err := m.load(p, off); err != nil {
		return 0, m.diagnose(err)
	}
	return len(p), nil
}

// load copies from a mapping that may fault.
func (m *Memory) load(p []byte, off int64) (err error) {
	defer m.catch(debug.SetPanicOnFault(true), &err)
	copy(p, m.view[off:])
	return nil
}

// Sync writes all that was programmed and erased to the disk. It fails with
// ErrTruncated or ErrRemoved if the file is not what was opened, and for ever
// after the disk has failed once: the system forgets what it could not write.
func (m *Memory) Sync() error {
	m.life.RLock()
	defer m.life.RUnlock()
	return m.sync()
}

// sync is Sync with life held.
func (m *Memory) sync() error {
	if m.res == nil || m.res.file < 0 {
		return nvm.ErrClosed
	}
	var st unix.Stat_t
	if err := m.intact(&st); err != nil || m.readOnly {
		return err
	}
	if err := m.msync(m.res.disk); err != nil {
		return m.fail(m.named("sync", err))
	}
	return m.intact(&st) // it may have been cut while it was written
}

// msync writes the pages of a mapping, and the file's size, to the disk.
func msync(b []byte) error { return retry(func() error { return unix.Msync(b, unix.MS_SYNC) }) }

// Close waits for programs, erases and Syncs under way, does a last Sync, and
// gives the file back. Its error is that of the Sync, or nvm.ErrClosed the second
// time. See Lifetime for what stays.
func (m *Memory) Close() error {
	if !m.open.CompareAndSwap(true, false) {
		return nvm.ErrClosed
	}
	m.plain.Store(false)
	m.life.Lock()
	defer m.life.Unlock()
	return errors.Join(m.sync(), m.res.close())
}
