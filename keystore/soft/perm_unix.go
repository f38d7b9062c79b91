//go:build unix

package soft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/nanolock/nanolock/keystore"
)

// A link is not followed, and a FIFO in the file's place does not block.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) }

// checkFile says why a file is not the user's own and nobody else's.
func checkFile(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("mode %#o lets others in", info.Mode().Perm())
	case !ok || int(st.Uid) != os.Geteuid():
		return errors.New("the file is another user's")
	case st.Nlink != 1:
		return errors.New("the file has a second name")
	}
	return nil
}

// checkFolder: who may write the folder may replace the file. A sticky folder lets
// nobody replace another's.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
		err = fmt.Errorf("the folder's mode %#o lets others replace the file", info.Mode().Perm())
	case !ok || int(st.Uid) != os.Geteuid() && st.Uid != 0:
		err = errors.New("the folder is another user's")
	default:
		return nil
	}
	return &keystore.Error{Op: "open", Kind: keystore.ErrExposed, Err: err}
}
