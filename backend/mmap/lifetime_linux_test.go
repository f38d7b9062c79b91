package mmap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// TestSealed: the shadow has one writer and one size.
func TestSealed(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		m := opened(t, made(t, rewrite), &Options{ReadOnly: readOnly})
		fd := m.res.memfd
		if err := unix.Ftruncate(fd, 0); err == nil {
			t.Error("the shadow can be cut")
		}
		if _, err := unix.Pwrite(fd, []byte{1}, 0); err == nil {
			t.Error("the shadow can be written by its descriptor")
		}
		if _, err := mmap(fd, rewrite.Size, unix.PROT_READ|unix.PROT_WRITE); err == nil {
			t.Error("the shadow can be mapped for writing")
		}
		if err := unix.Mprotect(m.Bytes(), unix.PROT_READ|unix.PROT_WRITE); err == nil {
			t.Error("the view can be made writable")
		}
		if err := addSeals(fd, unix.F_SEAL_WRITE); err == nil {
			t.Error("the shadow can be sealed by others")
		}
	}
	if err := seal(-1); err == nil {
		t.Error("nothing was sealed")
	}
	if err := copyFile(-1, -1, 10); err == nil {
		t.Error("nothing was copied")
	}
}

// TestCloseRace: readers and writers run into Close; those under way end well,
// the others are told, and views stay readable.
func TestCloseRace(t *testing.T) {
	for _, mode := range modes {
		for range 20 {
			m := opened(t, made(t, rewrite), &Options{Direct: mode.direct})
			view := m.Bytes()
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					p := make([]byte, 5000)
					for {
						var err error
						switch i {
						case 0:
							_, err = m.ReadAt(p, 0)
						case 1:
							_, err = m.WriteAt(p, 8192)
						default:
							err = m.Sync()
						}
						if err != nil {
							if err != nvm.ErrClosed {
								t.Errorf("worker %d: %v", i, err)
							}
							return
						}
					}
				})
			}
			runtime.Gosched()
			if err := m.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			wg.Wait()
			if view != nil && view[0] != 0xFF {
				t.Error("the view has changed")
			}
			if err := m.Close(); err != nvm.ErrClosed {
				t.Errorf("second Close = %v", err)
			}
			if m.Bytes() != nil {
				t.Error("a closed memory hands out a view")
			}
			runtime.KeepAlive(m)
		}
	}
}

// TestClosedInside: what finds the memory closed only when it has its turn.
func TestClosedInside(t *testing.T) {
	m := opened(t, made(t, rewrite), &Options{Direct: true})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.open.Store(true) // as seen by who looked a moment too early
	if _, err := m.WriteAt([]byte{1}, 0); err != nvm.ErrClosed {
		t.Errorf("WriteAt = %v", err)
	}
	if err := m.Erase(0, 4096); err != nvm.ErrClosed {
		t.Errorf("Erase = %v", err)
	}
	if err := m.diagnose(ErrFault); err != nvm.ErrClosed {
		t.Errorf("diagnose = %v", err)
	}
	m.open.Store(false)
}

// TestRemap: what the suite does not reach.
func TestRemap(t *testing.T) {
	page := int64(unix.Getpagesize())
	g := rewrite
	g.Size = 16 * page
	m := opened(t, made(t, g), &Options{Geometry: g})
	for i := range int64(16) {
		if _, err := m.WriteAt([]byte{byte(i)}, i*page); err != nil {
			t.Fatal(err)
		}
	}
	at := func(first, n int64) nvm.Span { return nvm.Span{Off: first * page, Len: n * page} }
	b, err := m.Remap([][2]nvm.Span{{at(0, 3), at(10, 3)}, {at(15, 1), at(4, 1)}, {at(5, 0), at(6, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte{10, 11, 12, 3, 15, 5, 6, 7, 8, 9, 0, 1, 2, 13, 14, 4} {
		if b[int64(i)*page] != want {
			t.Errorf("page %d is %d, want %d", i, b[int64(i)*page], want)
		}
	}
	for name, c := range map[string]struct {
		swap [][2]nvm.Span
		want error
	}{
		"outside":       {[][2]nvm.Span{{at(0, 1), at(16, 1)}}, nvm.ErrRange},
		"overflow":      {[][2]nvm.Span{{at(0, 1), {Off: math.MaxInt64 - page + 1, Len: page}}}, nvm.ErrRange},
		"negative":      {[][2]nvm.Span{{at(0, -1), at(3, -1)}}, nvm.ErrRange},
		"overlap":       {[][2]nvm.Span{{at(0, 2), at(1, 2)}}, errors.ErrUnsupported},
		"overlap pairs": {[][2]nvm.Span{{at(0, 1), at(1, 1)}, {at(1, 1), at(2, 1)}}, errors.ErrUnsupported},
		"with itself":   {[][2]nvm.Span{{at(3, 1), at(3, 1)}}, errors.ErrUnsupported},
	} {
		if b, err := m.Remap(c.swap); b != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	d := opened(t, made(t, rewrite), &Options{Direct: true})
	if _, err := d.Remap(nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("direct: %v", err)
	}
	runtime.KeepAlive(m)
}

// TestCleanup: mappings go when the Memory does, closed or forgotten.
func TestCleanup(t *testing.T) {
	path := made(t, rewrite)
	m, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Remap(nil); err != nil {
		t.Fatal(err)
	}
	at := uintptr(unsafe.Pointer(&m.view[0]))
	if !isMapped(t, at) {
		t.Fatal("an open memory is not mapped")
	}
	runtime.KeepAlive(m)
	m = nil // not closed: the lock goes as well
	for range 1000 {
		runtime.GC()
		if !isMapped(t, at) {
			break
		}
		runtime.Gosched()
	}
	if isMapped(t, at) {
		t.Error("the mapping of a forgotten memory is still there")
	}
	opened(t, path, nil)
}

// isMapped looks for a shadow's mapping that begins at addr.
func isMapped(t *testing.T, addr uintptr) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, fmt.Sprintf("%x-", addr)) && strings.Contains(line, "nanolock") {
			return true
		}
	}
	return false
}
