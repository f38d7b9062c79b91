package mmap

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// fillSize is how many bytes of the file are copied at a time.
const fillSize = 256 << 10

// makeShadow copies the file into sealed memory and maps that.
func (m *Memory) makeShadow() (err error) {
	r := m.res
	if r.memfd, err = memfd(); err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	if err := copyFile(r.memfd, r.file, m.geo.Size); err != nil {
		return err
	}
	if !m.readOnly {
		if r.shadow, err = mmap(r.memfd, m.geo.Size, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return fmt.Errorf("shadow: %w", err)
		}
	}
	if err := seal(r.memfd); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	// Mapped behind the seal, not even mprotect makes it writable.
	if m.view, err = mmap(r.memfd, m.geo.Size, unix.PROT_READ); err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	r.keep(m.view)
	return nil
}

// memfd returns anonymous memory that can be sealed.
func memfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("nanolock", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("nanolock", flags)
	}
	return fd, err
}

// copyFile writes size bytes of file to fd. By write, not by a mapping: when
// memory runs out, that is an error and not a fault.
func copyFile(fd, file int, size int64) error {
	if err := retry(func() error { return unix.Ftruncate(fd, size) }); err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	buf := make([]byte, min(size, fillSize))
	for off := int64(0); off < size; {
		p := buf[:min(size-off, int64(len(buf)))]
		if err := readFull(file, p, off); err != nil {
			return err
		}
		for q := p; len(q) > 0; {
			n, err := pwrite(fd, q, off)
			if err != nil {
				return fmt.Errorf("shadow: %w", err)
			}
			q, off = q[n:], off+int64(n)
		}
	}
	return nil
}

func pwrite(fd int, p []byte, off int64) (n int, err error) {
	err = retry(func() error {
		n, err = unix.Pwrite(fd, p, off)
		return err
	})
	if err == nil && n == 0 {
		err = io.ErrShortWrite
	}
	return n, err
}

// readFull reads all of p from the file; ErrTruncated if it ends before.
func readFull(file int, p []byte, off int64) error {
	for len(p) > 0 {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(file, p, off)
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: it ends at %d", ErrTruncated, off)
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// seal fixes the size for ever, forbids new writers, and then other seals.
func seal(fd int) error {
	if err := addSeals(fd, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return err
	}
	// Before Linux 5.1 there is no such seal: then a process that may open
	// /proc/…/fd of this one can write.
	if err := addSeals(fd, unix.F_SEAL_FUTURE_WRITE); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return addSeals(fd, unix.F_SEAL_SEAL)
}

func addSeals(fd, seals int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return err
}
