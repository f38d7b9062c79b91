package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

// Bounds of what is read into memory.
const (
	maxImage   = int64(1) << 30
	maxMap     = int64(64) << 20 // a device tree, a layout
	maxKeyFile = int64(32) << 10
)

// openFile opens a regular file for reading and never waits: a pipe without a
// writer would hang, and to open a device can already do something. The lock is
// shared and is asked for so that a file which is being written is not read.
func openFile(path string) (*os.File, fs.FileInfo, error) {
	fi, err := os.Stat(path)
	if err == nil {
		err = regular(fi)
	}
	if err != nil {
		return nil, nil, ioFailure(path, err, hintFor(err, fi))
	}
	f, err := openNonblock(path)
	if err != nil {
		return nil, nil, ioFailure(path, err, hintFor(err, fi))
	}
	fi, err = f.Stat() // what was opened may be another file
	if err == nil {
		err = regular(fi)
	}
	if err == nil {
		err = lockShared(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, ioFailure(path, err, hintFor(err, fi))
	}
	return f, fi, nil
}

func regular(fi fs.FileInfo) error {
	switch m := fi.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		return fmt.Errorf("%w: a directory", errNotFile)
	case m&fs.ModeNamedPipe != 0:
		return fmt.Errorf("%w: a pipe", errNotFile)
	case m&fs.ModeDevice != 0:
		return fmt.Errorf("%w: a device", errNotFile)
	}
	return fmt.Errorf("%w: a %v", errNotFile, fi.Mode().Type())
}

func hintFor(err error, fi fs.FileInfo) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the path"
	case errors.Is(err, fs.ErrPermission):
		return "check its permissions"
	case errors.Is(err, errLocked):
		return "wait for the program that uses it, or take a copy"
	case errors.Is(err, errNotFile) && fi != nil && !fi.IsDir():
		return "copy its content to a file and name that"
	case errors.Is(err, errNotFile):
		return "name a file inside it"
	}
	return ""
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, fi, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi.Size() > limit {
		return nil, badInput(path, fmt.Errorf("%w: %d bytes are more than %d", errSize, fi.Size(), limit), "is it the right file?")
	}
	b := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, ioFailure(path, err, "it became shorter while it was read; try again")
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return nil, ioFailure(path, errors.New("it grew while it was read"), "try again")
	}
	return b, nil
}

// readImage reads a flash image; an empty one is no image.
func readImage(path string) ([]byte, error) {
	b, err := readFile(path, maxImage)
	if err == nil && len(b) == 0 {
		err = badInput(path, fmt.Errorf("%w: it is empty", errSize), "name an image of the whole flash")
	}
	return b, err
}

// readPolicy reads a policy file, or standard input for "-": YAML, or the CBOR that
// devices read. Faults name their lines.
func (a *app) readPolicy(path string) (*policy.Policy, error) {
	var text []byte
	var err error
	if path == "-" {
		path = "standard input"
		if text, err = io.ReadAll(io.LimitReader(a.in, policyfile.MaxFile+1)); err != nil {
			return nil, ioFailure(path, err, "")
		}
	} else if text, err = readFile(path, policyfile.MaxFile); err != nil {
		return nil, err
	}
	if len(text) > 0 && text[0]>>5 == 5 { // a CBOR map, and no text: what devices read
		p := new(policy.Policy)
		if err := p.UnmarshalBinary(text); err != nil {
			return nil, badInput(path, err, "")
		}
		return p, nil
	}
	p, err := policyfile.Parse(text)
	if err != nil {
		return nil, badInput(path, err, syntaxHint(err))
	}
	return p, nil
}

func syntaxHint(err error) string {
	if strings.Contains(err.Error(), "nanolock: 1") {
		return "" // says it itself
	}
	return "correct the lines named"
}

// writeFile writes what is complete in memory, and only where nothing else is
// lost: an existing file must be regular, writable and none of keep.
func writeFile(path string, content []byte, keep ...string) error {
	mode := fs.FileMode(0o644)
	if fi, err := os.Stat(path); err == nil {
		mode = fi.Mode().Perm()
		if err := regular(fi); err != nil {
			return ioFailure(path, err, "name another file for the output")
		}
		for _, k := range keep {
			if ki, err := os.Stat(k); err == nil && os.SameFile(fi, ki) {
				return usage("name another file for the output", "%s is an input", path)
			}
		}
		if fi.Mode().Perm()&0o222 == 0 {
			return ioFailure(path, fmt.Errorf("%w: it is read-only", fs.ErrPermission), "name another file for the output")
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return ioFailure(path, err, hintFor(err, nil))
	}
	return replace(path, content, mode)
}

// replace puts content in place in one step: whoever looks sees the old file or
// the new one.
func replace(path string, content []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // keep the link
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".nanolock-*")
	if err != nil {
		return ioFailure(path, err, hintFor(err, nil))
	}
	defer os.Remove(f.Name()) // nothing is left after Rename
	_, err = io.Copy(f, bytes.NewReader(content))
	if err == nil {
		err = f.Chmod(mode)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return ioFailure(path, err, hintFor(err, nil))
	}
	return nil
}
