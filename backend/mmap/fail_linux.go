package mmap

import (
	"fmt"
	"io/fs"
	"runtime/debug"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// catch, deferred around an access to the file's mapping, makes a fault there an
// error; what was to be read or written is then done in part. old is what
// debug.SetPanicOnFault returned at the start.
func (m *Memory) catch(old bool, err *error) {
	debug.SetPanicOnFault(old)
	r := recover()
	if r == nil {
		return
	}
	// Only our own mapping: a fault elsewhere is a fault of the program.
	f, ok := r.(interface{ Addr() uintptr })
	if !ok || !m.res.mayFault(f.Addr()) {
		panic(r)
	}
	*err = ErrFault
}

// fail makes err the answer to all further changes, unless there is one already,
// and returns the one that holds.
func (m *Memory) fail(err error) error {
	m.failed.CompareAndSwap(nil, &failure{err})
	return m.failed.Load().err
}

// named adds the operation and the file.
func (m *Memory) named(op string, err error) error {
	return &fs.PathError{Op: op, Path: m.path, Err: err}
}

// intact tells whether the file is still the one that was opened; life is held.
// st is room for the answer of the system.
func (m *Memory) intact(st *unix.Stat_t) error {
	if f := m.failed.Load(); f != nil {
		return f.err
	}
	if err := unix.Fstat(m.res.file, st); err != nil {
		return m.fail(m.named("stat", err))
	}
	if st.Size != m.geo.Size {
		return m.fail(m.named("stat", fmt.Errorf("%w: it was %d and is %d bytes", ErrTruncated, m.geo.Size, st.Size)))
	}
	if st.Nlink == 0 {
		return m.fail(m.named("stat", ErrRemoved))
	}
	return nil
}

// diagnose tells why there was a fault: mostly because the file was cut.
func (m *Memory) diagnose(fault error) error {
	m.life.RLock()
	defer m.life.RUnlock()
	if m.res.file < 0 {
		return nvm.ErrClosed
	}
	var st unix.Stat_t
	if err := m.intact(&st); err != nil {
		return err
	}
	return m.fail(m.named("access", fault))
}

// retry calls f until no signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
