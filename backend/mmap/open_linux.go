package mmap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// Open opens the file at path. It never waits: not for the lock (ErrLocked), nor
// for the other end of a pipe (ErrNotFile). A file that cannot be written, or that
// nobody is meant to write by its mode, is nvm.ErrReadOnly without
// Options.ReadOnly, for root as well. Other errors: ErrSize, nvm.ErrGeometry, and
// those of the system, such as fs.ErrNotExist.
func Open(path string, o *Options) (*Memory, error) {
	m, err := open(path, o)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: bare(err)}
	}
	return m, nil
}

// bare takes the path off an error that will get it again.
func bare(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

func open(path string, o *Options) (*Memory, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	fd, err := openFile(path, opt.ReadOnly)
	if err != nil {
		return nil, err
	}
	m := &Memory{path: path, readOnly: opt.ReadOnly, msync: msync, res: &resources{file: fd, memfd: -1}}
	if err := m.setUp(opt); err != nil {
		m.res.release()
		return nil, err
	}
	runtime.AddCleanup(m, (*resources).release, m.res)
	m.open.Store(true)
	m.plain.Store(!m.direct)
	return m, nil
}

// openFile opens a regular file and nothing else, and locks it.
func openFile(path string, readOnly bool) (int, error) {
	// To open a device can already do something. That the file is replaced
	// between this look and the next is caught by the next.
	fi, err := os.Lstat(path)
	if err != nil {
		return -1, err
	}
	if !fi.Mode().IsRegular() {
		return -1, fmt.Errorf("%w: %v", ErrNotFile, fi.Mode())
	}
	const flags = unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	mode := unix.O_RDWR
	if readOnly {
		mode = unix.O_RDONLY
	}
	fd, err := openRetry(path, mode|flags)
	if err != nil {
		return -1, refusal(err, readOnly, func() bool {
			fd, err := openRetry(path, unix.O_RDONLY|flags)
			return err == nil && unix.Close(fd) == nil
		})
	}
	if err := lock(fd, readOnly); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func openRetry(path string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, flags, 0)
		return err
	})
	return fd, err
}

// refusal says what an error of open means. readable is asked if it matters.
func refusal(err error, readOnly bool, readable func() bool) error {
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w", ErrNotFile, err)
	case readOnly:
		return err
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.ETXTBSY), errors.Is(err, fs.ErrPermission) && readable():
		return fmt.Errorf("%w: %w", nvm.ErrReadOnly, err)
	}
	return err
}

// lock refuses what is no regular file or not to be written, and locks the rest.
func lock(fd int, readOnly bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%w: file type %#o", ErrNotFile, st.Mode&unix.S_IFMT)
	}
	how := unix.LOCK_EX
	if readOnly {
		how = unix.LOCK_SH
	} else if st.Mode&0o222 == 0 {
		return fmt.Errorf("%w: mode %#o", nvm.ErrReadOnly, st.Mode&0o777)
	}
	err := retry(func() error { return unix.Flock(fd, how|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// setUp makes the mappings. The size counts only now: before the lock, another
// user could have changed it.
func (m *Memory) setUp(opt Options) error {
	var st unix.Stat_t
	if err := unix.Fstat(m.res.file, &st); err != nil {
		return err
	}
	g, err := geometryOf(opt.Geometry, st.Size)
	if err != nil {
		return err
	}
	m.geo = g
	if err := m.intact(&st); err != nil {
		return err
	}
	if !m.readOnly {
		if m.res.disk, err = mmap(m.res.file, g.Size, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return err
		}
		m.res.risky[0] = whole(m.res.disk)
	}
	if m.direct = opt.Direct || g.Size > opt.ShadowLimit; m.direct {
		if m.view, err = mmap(m.res.file, g.Size, unix.PROT_READ); err != nil {
			return err
		}
		m.res.risky[1] = whole(m.view)
		m.res.keep(m.view)
	} else if err := m.makeShadow(); err != nil {
		return err
	}
	return m.learn()
}

// Create makes a new file of g.Size bytes, all erased, durable together with its
// name. It never touches a file that exists: fs.ErrExist. If it is interrupted by
// a power cut, the file is shorter, which Open refuses given the same geometry.
func Create(path string, g nvm.Geometry) error {
	if err := possible(g); err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: err}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fillErased(f, g), f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

func fillErased(f *os.File, g nvm.Geometry) error {
	p := make([]byte, min(g.Size, 64<<10))
	for i := range p {
		p[i] = g.Erased
	}
	for left := g.Size; left > 0; left -= int64(len(p)) {
		p = p[:min(left, int64(len(p)))]
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
