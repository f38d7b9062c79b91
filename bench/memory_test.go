package bench

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// memory is what the benchmarks of mapped memory need.
type memory interface {
	nvm.NVM
	nvm.Remapper
}

// newRAM returns a memory in pages of RAM, all of them touched.
func newRAM(tb testing.TB, geo nvm.Geometry) *ram {
	tb.Helper()
	m := &ram{geo: geo, data: pages(tb, geo.Size), tb: tb}
	touch(m.data)
	return m
}

// ram is the fastest memory there can be: it refuses what is closed or out of
// range, and copies. It programs in nanoseconds, where a file takes
// microseconds, so that what a Lock adds to a program can be seen at all.
type ram struct {
	closed atomic.Bool
	data   []byte
	geo    nvm.Geometry
	tb     testing.TB
}

func pages(tb testing.TB, size int64) []byte {
	tb.Helper()
	b, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Munmap(b) })
	return b
}

// touch makes every page exist, so that no block pays for a page fault.
func touch(b []byte) {
	for i := 0; i < len(b); i += 4096 {
		b[i] = byte(i>>12) | 1
	}
}

func (m *ram) ready(off int64, n int) error {
	if m.closed.Load() {
		return nvm.ErrClosed
	}
	if !(nvm.Span{Off: off, Len: int64(n)}).In(m.geo.Size) {
		return nvm.ErrRange
	}
	return nil
}

func (m *ram) ReadAt(p []byte, off int64) (int, error) {
	if err := m.ready(off, len(p)); err != nil {
		return 0, err
	}
	return copy(p, m.data[off:]), nil
}

func (m *ram) WriteAt(p []byte, off int64) (int, error) {
	if err := m.ready(off, len(p)); err != nil {
		return 0, err
	}
	return copy(m.data[off:], p), nil
}

func (m *ram) Erase(off, n int64) error {
	if err := m.geo.CheckErase(off, n); err != nil {
		return err
	}
	for i := range m.data[off : off+n] {
		m.data[off+int64(i)] = m.geo.Erased
	}
	return nil
}

func (m *ram) Sync() error            { return nil }
func (m *ram) Geometry() nvm.Geometry { return m.geo }
func (m *ram) Bytes() []byte          { return m.data[:len(m.data):len(m.data)] }

// Remap copies: reading the result costs what reading a second mapping costs.
func (m *ram) Remap(swap [][2]nvm.Span) ([]byte, error) {
	b := pages(m.tb, m.geo.Size)
	copy(b, m.data)
	for _, s := range swap {
		copy(b[s[0].Off:s[0].End()], m.data[s[1].Off:s[1].End()])
		copy(b[s[1].Off:s[1].End()], m.data[s[0].Off:s[0].End()])
	}
	return b, nil
}

// opaque is a memory that is not mapped, as every memory behind a bus is: the
// monitor has to ask it. It is as fast as such a memory can be.
type opaque struct{ m *ram }

func newOpaque(tb testing.TB, geo nvm.Geometry) *opaque { return &opaque{newRAM(tb, geo)} }

func (o *opaque) ReadAt(p []byte, off int64) (int, error) {
	if err := o.m.ready(off, len(p)); err != nil {
		return 0, err
	}
	return copy(p, o.m.data[off:]), nil
}

func (o *opaque) WriteAt(p []byte, off int64) (int, error) { return o.m.WriteAt(p, off) }
func (o *opaque) Erase(off, n int64) error                 { return o.m.Erase(off, n) }
func (o *opaque) Sync() error                              { return o.m.Sync() }
func (o *opaque) Geometry() nvm.Geometry                   { return o.m.Geometry() }
