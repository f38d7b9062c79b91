package keyfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Save writes the key to a new file of mode 0600. What is at path stays: fs.ErrExist. A
// failed Save leaves no file.
func (k *Key) Save(path string, passphrase []byte) error {
	text, err := k.Encode(passphrase)
	if err != nil {
		return err
	}
	defer clear(text)
	return write(path, text, 0o600)
}

// Load reads a private key. ErrExposed if others may read or write the file, where the
// system says so; ErrMalformed, ErrPassphrase, or what the system says.
func Load(path string, passphrase []byte) (*Key, error) {
	text, err := read(path, checkPrivate)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return Parse(text, passphrase)
}

// Save writes the public key to a new file; fs.ErrExist if there is one.
func (p *Public) Save(path string) error {
	text, err := p.Encode()
	if err != nil {
		return err
	}
	return write(path, text, 0o644)
}

// LoadPublic reads a public key.
func LoadPublic(path string) (*Public, error) {
	text, err := read(path, func(fs.FileInfo) error { return nil })
	if err != nil {
		return nil, err
	}
	return ParsePublic(text)
}

// write makes a file that was not there, and makes it survive a cut: a key that is in a
// policy already must not be gone.
func write(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
		return err
	}
	// Not every system syncs a folder; the file is there in any case.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// read reads a regular file that check lets pass, and never waits for a pipe.
func read(path string, check func(fs.FileInfo) error) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, refuse(ErrMalformed, "%s is not a regular file", path)
	case info.Size() > maxFile:
		return nil, refuse(ErrMalformed, "%s has more than %d bytes", path, maxFile)
	}
	if err := check(info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}
