//go:build unix

package keyfile

import (
	"io/fs"
	"syscall"
)

const nonblock = syscall.O_NONBLOCK

// checkPrivate refuses a file that others than its owner may read or write.
func checkPrivate(info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return refuse(ErrExposed, "mode %#o lets others at a private key", perm)
	}
	return nil
}
