//go:build !unix

package soft

import (
	"errors"
	"io/fs"

	"github.com/nanolock/nanolock/keystore"
)

const noFollow = 0

func isLink(error) bool { return false }

// Where a file's mode does not say who may read it, a file keeps no secret.
var errMode = errors.New("this system does not tell who may read a file")

func checkFile(fs.FileInfo) error { return errMode }

func checkFolder(string) error {
	return &keystore.Error{Op: "open", Kind: keystore.ErrExposed, Err: errMode}
}
