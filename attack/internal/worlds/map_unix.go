//go:build unix

package worlds

import (
	"os"
	"syscall"
)

// mapTwice maps the same n bytes writable and read-only, for the life of the
// process.
func mapTwice(n int) (rw, ro []byte) {
	f, err := os.CreateTemp("", "attack-*")
	if err != nil {
		return nil, nil
	}
	defer func() { _ = f.Close() }()
	if err := os.Remove(f.Name()); err != nil {
		return nil, nil
	}
	if err := f.Truncate(int64(n)); err != nil {
		return nil, nil
	}
	rw, err = syscall.Mmap(int(f.Fd()), 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil
	}
	ro, err = syscall.Mmap(int(f.Fd()), 0, n, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil
	}
	return rw, ro
}
