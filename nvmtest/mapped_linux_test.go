package nvmtest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// pageGeo has room for two pages of any usual size.
var pageGeo = nvm.Geometry{Size: 256 << 10, EraseSize: 64 << 10, ProgramSize: 1, Erased: 0xFF}

// A mapped is a mem that lives in a file, mapped once to write and once to read.
type mapped struct {
	*mem
	view  []byte
	remap func(*mapped, [][2]nvm.Span) ([]byte, error)
}

func newMapped(tb testing.TB) *mapped {
	tb.Helper()
	m := newMem(pageGeo)
	name := filepath.Join(tb.TempDir(), "memory")
	if err := os.WriteFile(name, m.now.b, 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	pages := func(prot int) []byte {
		b, err := syscall.Mmap(int(f.Fd()), 0, int(pageGeo.Size), prot, syscall.MAP_SHARED)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = syscall.Munmap(b) })
		return b
	}
	m.now.b = pages(syscall.PROT_READ | syscall.PROT_WRITE)
	return &mapped{mem: m, view: pages(syscall.PROT_READ)}
}

func (m *mapped) Bytes() []byte { return m.view }

// A remapped copies at Remap, what a real one must not do; for all checks before
// the first change it is good enough.
type remapped struct{ *mapped }

func (m remapped) Remap(swap [][2]nvm.Span) ([]byte, error) { return m.remap(m.mapped, swap) }

func TestMapped(t *testing.T) {
	Test(t, Config{New: func(tb testing.TB) nvm.NVM { return newMapped(tb) }, Mapped: true})
}

func TestMappedMutants(t *testing.T) {
	for name, spoil := range map[string]func(m *mapped) nvm.NVM{
		"not mapped":     func(m *mapped) nvm.NVM { return m.mem },
		"nil":            func(m *mapped) nvm.NVM { m.view = nil; return m },
		"a copy":         func(m *mapped) nvm.NVM { m.view = bytes.Clone(m.view); return m },
		"writable":       func(m *mapped) nvm.NVM { m.view = m.now.b; return m },
		"too short":      func(m *mapped) nvm.NVM { m.view = m.view[: len(m.view)-1 : len(m.view)-1]; return m },
		"cap too long":   func(m *mapped) nvm.NVM { m.view = append(m.view, 0)[:len(m.view)]; return m },
		"shifted by one": func(m *mapped) nvm.NVM { m.view = append(m.view[1:], 0)[:len(m.view):len(m.view)]; return m },
	} {
		t.Run(name, func(t *testing.T) {
			mustFail(t, Config{New: func(tb testing.TB) nvm.NVM { return spoil(newMapped(tb)) }, Mapped: true}, "mapping")
		})
	}
}

// swapCopy is Remap by a copy.
func swapCopy(m *mapped, swap [][2]nvm.Span) ([]byte, error) {
	out := bytes.Clone(m.view)
	page := int64(os.Getpagesize())
	for _, p := range swap {
		if p[0].Len != p[1].Len || p[0].Off%page != 0 || p[0].Len%page != 0 {
			return nil, errors.ErrUnsupported
		}
		copy(out[p[0].Off:p[0].End()], m.view[p[1].Off:p[1].End()])
		copy(out[p[1].Off:p[1].End()], m.view[p[0].Off:p[0].End()])
	}
	return slices.Clip(out), nil
}

func TestRemapMutants(t *testing.T) {
	for name, f := range map[string]func(*mapped, [][2]nvm.Span) ([]byte, error){
		"refuses all":     func(*mapped, [][2]nvm.Span) ([]byte, error) { return nil, errOther },
		"identity":        func(m *mapped, _ [][2]nvm.Span) ([]byte, error) { return m.view, nil },
		"not coherent":    swapCopy,
		"takes any spans": func(m *mapped, _ [][2]nvm.Span) ([]byte, error) { return m.view, nil },
		"one way": func(m *mapped, swap [][2]nvm.Span) ([]byte, error) {
			out, err := swapCopy(m, swap)
			for _, p := range swap {
				if err == nil {
					copy(out[p[1].Off:p[1].End()], m.view[p[1].Off:p[1].End()])
				}
			}
			return out, err
		},
		"changes the first": func(m *mapped, swap [][2]nvm.Span) ([]byte, error) {
			out, err := swapCopy(m, swap)
			if err == nil {
				copy(m.now.b, out)
			}
			return out, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			mustFail(t, Config{New: func(tb testing.TB) nvm.NVM {
				m := newMapped(tb)
				m.remap = f
				return remapped{m}
			}}, "remap")
		})
	}
}

func BenchmarkMapped(b *testing.B) {
	Benchmark(b, Config{New: func(tb testing.TB) nvm.NVM { return newMapped(tb) }})
}
