package mmap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// TestTruncate: somebody cuts the file under readers and writers. Nobody dies,
// every change is refused from then on.
func TestTruncate(t *testing.T) {
	for _, mode := range modes {
		for _, size := range []int64{0, rewrite.Size/2 + 100, rewrite.Size + 4096} {
			t.Run(fmt.Sprintf("%s/%d", mode.name, size), func(t *testing.T) {
				path := made(t, rewrite)
				m := opened(t, path, &Options{Direct: mode.direct})
				cutUnderLoad(t, m, path, size)
				failed(t, m, ErrTruncated)
				p := make([]byte, 100)
				_, err := m.ReadAt(p, 4096) // where nobody writes
				if mode.direct {
					if !errors.Is(err, ErrTruncated) {
						t.Errorf("direct read: %v", err)
					}
				} else if err != nil || !bytes.Equal(p, bytes.Repeat([]byte{0xFF}, 100)) {
					t.Errorf("the shadow is gone: %v", err)
				}
				if err := m.Close(); !errors.Is(err, ErrTruncated) {
					t.Errorf("Close = %v", err)
				}
			})
		}
	}
}

// cutUnderLoad has readers and writers run while the file changes its size, until
// each writer has seen an error.
func cutUnderLoad(t *testing.T, m *Memory, path string, size int64) {
	t.Helper()
	var wg sync.WaitGroup
	var done atomic.Bool
	for range 2 {
		wg.Go(func() {
			p := make([]byte, 8192)
			for off := int64(0); !done.Load(); off = (off + 8192) % rewrite.Size {
				if n, err := m.ReadAt(p, off); err != nil && (n != 0 || !errors.Is(err, ErrTruncated)) {
					t.Errorf("ReadAt = %d, %v", n, err)
				}
			}
		})
	}
	var writers sync.WaitGroup
	running := make(chan bool, 2)
	for _, change := range []func() error{
		func() error { _, err := m.WriteAt(bytes.Repeat([]byte{3}, 9000), rewrite.Size-9000); return err },
		func() error { return m.Erase(rewrite.Size/2, 8192) },
	} {
		writers.Go(func() {
			running <- true
			for {
				if err := change(); err != nil {
					if !errors.Is(err, ErrTruncated) {
						t.Errorf("change: %v", err)
					}
					return
				}
			}
		})
	}
	<-running
	<-running
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	done.Store(true)
	wg.Wait()
}

// failed: all changes are refused with want, and the same error each time.
func failed(t *testing.T, m *Memory, want error) {
	t.Helper()
	first := m.Sync()
	if !errors.Is(first, want) {
		t.Errorf("Sync = %v, want %v", first, want)
	}
	if n, err := m.WriteAt([]byte{1}, 0); n != 0 || err != first {
		t.Errorf("WriteAt = %d, %v, want %v", n, err, first)
	}
	if err := m.Erase(0, 4096); err != first {
		t.Errorf("Erase = %v, want %v", err, first)
	}
}

// TestFirstSeen: each operation notices the cut when it is the first to come.
func TestFirstSeen(t *testing.T) {
	for _, mode := range modes {
		for name, f := range map[string]func(m *Memory) error{
			"write": func(m *Memory) error { _, err := m.WriteAt([]byte{1}, 0); return err },
			"erase": func(m *Memory) error { return m.Erase(0, 4096) },
			"sync":  func(m *Memory) error { return m.Sync() },
			"close": func(m *Memory) error { return m.Close() },
			// Behind the look at the size, where the cut is a fault.
			"store": func(m *Memory) error { return m.step(0, 100, nvm.Rewrite) },
			"read": func(m *Memory) error {
				if !m.direct {
					return ErrTruncated // cannot notice
				}
				_, err := m.ReadAt(make([]byte, 10), 4096)
				return err
			},
			"verify": func(m *Memory) error {
				if m.direct {
					return ErrTruncated // not supported
				}
				_, err := m.Verify()
				return err
			},
		} {
			path := made(t, rewrite)
			m := opened(t, path, &Options{Direct: mode.direct})
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			if err := f(m); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s/%s: %v", mode.name, name, err)
			}
		}
	}
}

// TestTruncateAndBack: a cut that is undone is found by Verify, since zeros are
// not what was there.
func TestTruncateAndBack(t *testing.T) {
	path := made(t, rewrite)
	m := opened(t, path, nil)
	for _, n := range []int64{8192, rewrite.Size} {
		if err := os.Truncate(path, n); err != nil {
			t.Fatal(err)
		}
	}
	spans, err := m.Verify()
	if want := (nvm.Span{Off: 8192, Len: rewrite.Size - 8192}); err != nil || len(spans) != 1 || spans[0] != want {
		t.Errorf("Verify = %v, %v, want %v", spans, err, want)
	}
}

// TestRemoved: what has no name is not there after the next boot.
func TestRemoved(t *testing.T) {
	path := made(t, rewrite)
	m := opened(t, path, nil)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	failed(t, m, ErrRemoved)
}

// TestFault: a fault in a file of the right size is not a cut; one elsewhere is
// not ours.
func TestFault(t *testing.T) {
	for _, mode := range modes {
		m := opened(t, made(t, rewrite), &Options{Direct: mode.direct})
		if err := unix.Mprotect(m.res.disk, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
		if n, err := m.WriteAt([]byte{1}, 0); n != 0 || !errors.Is(err, ErrFault) {
			t.Errorf("%s: %d, %v", mode.name, n, err)
		}
		failed(t, m, ErrFault)
	}
	m := opened(t, made(t, rewrite), &Options{Direct: true})
	if err := unix.Mprotect(m.view, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if n, err := m.ReadAt(make([]byte, 5), 0); n != 0 || !errors.Is(err, ErrFault) {
		t.Errorf("read: %d, %v", n, err)
	}
	m = opened(t, made(t, rewrite), &Options{Direct: true})
	other, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(other)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a fault in the caller's memory was taken for one of the file")
			}
		}()
		_, _ = m.ReadAt(other, 0)
	}()
	if debug.SetPanicOnFault(false) {
		t.Error("the guard was left on")
	}
}

// TestSyncFails: a disk that failed once is not believed again.
func TestSyncFails(t *testing.T) {
	path := made(t, rewrite)
	m := opened(t, path, nil)
	m.msync = func([]byte) error { return unix.EIO }
	if err := m.Sync(); !errors.Is(err, unix.EIO) {
		t.Errorf("Sync = %v", err)
	}
	m.msync = msync
	failed(t, m, unix.EIO)

	m = opened(t, made(t, rewrite), nil)
	m.msync = func(b []byte) error { return errors.Join(os.Truncate(m.path, 1), msync(b)) }
	if err := m.Sync(); !errors.Is(err, ErrTruncated) {
		t.Errorf("cut during Sync: %v", err)
	}
}

// TestVerify: bytes that came round the lock are told, and not served.
func TestVerify(t *testing.T) {
	path := made(t, rewrite)
	m := opened(t, path, nil)
	if _, err := m.WriteAt([]byte("verified"), 100); err != nil {
		t.Fatal(err)
	}
	if spans, err := m.Verify(); spans != nil || err != nil {
		t.Fatalf("at first: %v, %v", spans, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off, s := range map[int64]string{102: "foreign", 8190: "over a border", rewrite.Size - 1: "x"} {
		if _, err := f.WriteAt([]byte(s), off); err != nil {
			t.Fatal(err)
		}
	}
	spans, err := m.Verify()
	want := []nvm.Span{{Off: 102, Len: 7}, {Off: 8190, Len: 13}, {Off: rewrite.Size - 1, Len: 1}}
	if err != nil || fmt.Sprint(spans) != fmt.Sprint(want) {
		t.Errorf("Verify = %v, %v, want %v", spans, err, want)
	}
	p := make([]byte, 8)
	if _, err := m.ReadAt(p, 100); err != nil || string(p) != "verified" || string(m.Bytes()[100:108]) != "verified" {
		t.Errorf("read %q, %v", p, err)
	}
	if _, err := f.WriteAt([]byte{0}, rewrite.Size); err != nil { // grown by a byte
		t.Fatal(err)
	}
	if _, err := m.Verify(); !errors.Is(err, ErrTruncated) {
		t.Errorf("of a grown file: %v", err)
	}
	d := opened(t, made(t, rewrite), &Options{Direct: true})
	if _, err := d.Verify(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("direct: %v", err)
	}
}

// TestJoin: the list is bounded, and loses nothing.
func TestJoin(t *testing.T) {
	var list []nvm.Span
	for i := range int64(3 * maxSpans) {
		list = join(list, nvm.Span{Off: i * 10, Len: 5})
	}
	if len(list) != maxSpans || list[maxSpans-1].End() != (3*maxSpans-1)*10+5 {
		t.Errorf("%d spans, the last is %v", len(list), list[len(list)-1])
	}
}
