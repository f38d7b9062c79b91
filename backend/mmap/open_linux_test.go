package mmap

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// TestOpenRefuses: everything that is not the file that was meant.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	file := func(name string, n int, mode fs.FileMode) string {
		if err := os.WriteFile(in(name), make([]byte, n), mode); err != nil {
			t.Fatal(err)
		}
		return in(name)
	}
	good := file("good", 8192, 0o600)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink(good, in("link")))
	must(unix.Mkfifo(in("pipe"), 0o600))
	socket, err := net.Listen("unix", in("socket"))
	must(err)
	defer socket.Close()

	small := nvm.Geometry{Size: 4096, EraseSize: 4096, ProgramSize: 1, Program: nvm.Rewrite}
	for _, c := range []struct {
		name, path string
		o          *Options
		want       error
	}{
		{"missing", in("missing"), nil, fs.ErrNotExist},
		{"no name", "", nil, fs.ErrNotExist},
		{"directory", dir, nil, ErrNotFile},
		{"directory to read", dir, &Options{ReadOnly: true}, ErrNotFile},
		{"pipe", in("pipe"), nil, ErrNotFile},
		{"pipe to read", in("pipe"), &Options{ReadOnly: true}, ErrNotFile},
		{"socket", in("socket"), nil, ErrNotFile},
		{"device", "/dev/null", nil, ErrNotFile},
		{"link", in("link"), nil, ErrNotFile},
		{"below a file", good + "/x", nil, unix.ENOTDIR},
		{"empty", file("empty", 0, 0o600), nil, ErrSize},
		{"empty with geometry", in("empty"), &Options{Geometry: small}, ErrSize},
		{"odd size", file("odd", 4097, 0o600), nil, ErrSize},
		{"another size", good, &Options{Geometry: small}, ErrSize},
		{"write-protected", file("protected", 4096, 0o400), nil, nvm.ErrReadOnly},
		{"impossible", good, &Options{Geometry: nvm.Geometry{Size: 5}}, nvm.ErrGeometry},
		{"size without blocks", good, &Options{Geometry: nvm.Geometry{EraseSize: 4096}}, nvm.ErrGeometry},
		{"bad blocks", good, &Options{Geometry: nvm.Geometry{Size: 8192, EraseSize: 4096, ProgramSize: 1, BadBlocks: true}}, nvm.ErrGeometry},
		{"neither AND nor OR", good, &Options{Geometry: nvm.Geometry{Size: 8192, EraseSize: 4096, ProgramSize: 1, Erased: 0xAA}}, nvm.ErrGeometry},
		{"too many units", good, &Options{Geometry: nvm.Geometry{Size: 1 << 31 &^ 4095, EraseSize: 4096, ProgramSize: 1, Program: nvm.OncePage}}, nvm.ErrGeometry},
		{"limit", good, &Options{ShadowLimit: -1}, fs.ErrInvalid},
	} {
		m, err := Open(c.path, c.o)
		var where *fs.PathError
		if m != nil || !errors.Is(err, c.want) || !errors.As(err, &where) || where.Path != c.path {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	opened(t, in("protected"), &Options{ReadOnly: true})
	_, err = Open(good, &Options{Geometry: small})
	if want := "open " + good + ": mmap: wrong size of the file: it has 8192 bytes, the geometry 4096"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// TestBareOpen: the look before is not needed to refuse; it may see another file.
func TestBareOpen(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := openRetry(pipe, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := lock(fd, false); !errors.Is(err, ErrNotFile) {
		t.Errorf("a pipe: %v", err)
	}
	if err := lock(-1, false); !errors.Is(err, unix.EBADF) {
		t.Errorf("no file: %v", err)
	}
	yes, no := func() bool { return true }, func() bool { return false }
	for _, c := range []struct {
		err      error
		readOnly bool
		readable func() bool
		want     error
		not      error
	}{
		{unix.EISDIR, false, yes, ErrNotFile, nvm.ErrReadOnly},
		{unix.ELOOP, true, yes, ErrNotFile, nvm.ErrReadOnly},
		{unix.EROFS, false, no, nvm.ErrReadOnly, ErrNotFile},
		{unix.EACCES, false, yes, nvm.ErrReadOnly, ErrNotFile},
		{unix.EACCES, false, no, fs.ErrPermission, nvm.ErrReadOnly},
		{unix.EACCES, true, yes, fs.ErrPermission, nvm.ErrReadOnly},
		{unix.EMFILE, false, yes, unix.EMFILE, nvm.ErrReadOnly},
	} {
		if err := refusal(c.err, c.readOnly, c.readable); !errors.Is(err, c.want) || errors.Is(err, c.not) {
			t.Errorf("%v: %v, want %v", c.err, err, c.want)
		}
	}
}

// TestCreate: all erased, never over something, nothing left behind.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "image")
	if err := Create(path, inverse); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, make([]byte, inverse.Size)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := Create(path, nor); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if err := Create(filepath.Join(dir, "a", "b"), nor); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	if err := Create(filepath.Join(dir, "zero"), nvm.Geometry{}); !errors.Is(err, nvm.ErrGeometry) {
		t.Errorf("zero geometry: %v", err)
	}
	if err := fillErased(nil, nor); err == nil {
		t.Error("a write that fails is no error")
	}
	if err := syncDir(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of no directory: %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestTooLarge: more than an int is refused where int is small, before any
// allocation; where it is not, the file is not there.
func TestTooLarge(t *testing.T) {
	g := nvm.Geometry{Size: 1 << 40, EraseSize: 4096, ProgramSize: 1, Program: nvm.Rewrite}
	err := possible(g)
	if math.MaxInt == math.MaxInt32 && !errors.Is(err, nvm.ErrGeometry) || math.MaxInt > math.MaxInt32 && err != nil {
		t.Error(err)
	}
}

// TestReadOnly: reads, and shares, and refuses the rest.
func TestReadOnly(t *testing.T) {
	for _, mode := range modes {
		for _, g := range []nvm.Geometry{rewrite, ecc} {
			path := made(t, g)
			o := &Options{Geometry: g, ReadOnly: true, Direct: mode.direct}
			m := opened(t, path, o)
			opened(t, path, o)
			if n, err := m.WriteAt(make([]byte, 8), 0); n != 0 || err != nvm.ErrReadOnly {
				t.Errorf("%s: WriteAt = %d, %v", mode.name, n, err)
			}
			if err := m.Erase(0, 4096); err != nvm.ErrReadOnly {
				t.Errorf("%s: Erase = %v", mode.name, err)
			}
			p := make([]byte, 8)
			if _, err := m.ReadAt(p, 8); err != nil || p[0] != 0xFF {
				t.Errorf("%s: ReadAt = %v, %v", mode.name, p, err)
			}
			if err := m.Sync(); err != nil {
				t.Errorf("%s: Sync = %v", mode.name, err)
			}
			if err := os.Truncate(path, 10); err != nil {
				t.Fatal(err)
			}
			if err := m.Sync(); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s: Sync of a cut file = %v", mode.name, err)
			}
		}
	}
}

// TestZero: the zero Memory is closed.
func TestZero(t *testing.T) {
	var m Memory
	_, rerr := m.ReadAt(nil, 0)
	_, werr := m.WriteAt(nil, 0)
	_, verr := m.Verify()
	_, merr := m.Remap(nil)
	for i, err := range []error{rerr, werr, verr, merr, m.Erase(0, 0), m.Sync(), m.Close()} {
		if err != nvm.ErrClosed {
			t.Errorf("%d: %v", i, err)
		}
	}
	if m.Bytes() != nil || m.Geometry().Validate() == nil {
		t.Error("the zero Memory has something")
	}
}
