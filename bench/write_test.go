package bench

import (
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// BenchmarkWrite programs what hosts may program: memory that takes nanoseconds
// for it, mapped and not, and a file, which takes a microsecond.
func BenchmarkWrite(b *testing.B) {
	geo := geometry(deviceSize)
	b.Run("memory=ram", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkWrite(b, newRAM(b, geo), size, hotAccesses) })
	})
	b.Run("memory=opaque", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkWrite(b, newOpaque(b, geo), size, hotAccesses) })
	})
	b.Run("memory=mapped", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkWrite(b, newMapped(b, geo), size, 16) })
	})
}

func benchmarkWrite(b *testing.B, mem nvm.NVM, size, n int) {
	p := regions(mem.Geometry(), 64)
	h := newLock(b, mem, p).Host()
	offs, buf := offsets(n, size, spanOf(p, openRegion)), buffer(size)
	trial(b, len(offs), writes("bare", mem, buf, offs), writes("bare again", mem, buf, offs), writes("mediated", h, buf, offs))
}

// counted counts what reaches the memory.
type counted struct {
	nvm.NVM
	reads, writes, erases, syncs, bytes atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	return c.NVM.ReadAt(p, off)
}

func (c *counted) WriteAt(p []byte, off int64) (int, error) {
	c.writes.Add(1)
	c.bytes.Add(int64(len(p)))
	return c.NVM.WriteAt(p, off)
}

func (c *counted) Erase(off, n int64) error {
	c.erases.Add(1)
	return c.NVM.Erase(off, n)
}

func (c *counted) Sync() error {
	c.syncs.Add(1)
	return c.NVM.Sync()
}

// TestNothingElseReachesTheMemory: mediation adds no operation of its own, and a
// refused one reaches the memory not at all.
func TestNothingElseReachesTheMemory(t *testing.T) {
	geo := geometry(deviceSize)
	p := regions(geo, 64)
	c := &counted{NVM: newOpaque(t, geo)}
	h := newLock(t, c, p).Host()
	open, shut, buf := spanOf(p, openRegion), spanOf(p, shutRegion), buffer(256)
	const times = 100
	for i := range int64(times) {
		if _, err := h.WriteAt(buf, open.Off+i*256); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ReadAt(buf, open.Off+i*256); err != nil {
			t.Fatal(err)
		}
		_, r := h.ReadAt(buf, shut.Off)
		_, w := h.WriteAt(buf, shut.Off)
		if e := h.Erase(shut.Off, geo.EraseSize); r == nil || w == nil || e == nil {
			t.Fatal("a denied access was carried out")
		}
	}
	if c.reads.Load() != times || c.writes.Load() != times || c.bytes.Load() != times*256 || c.erases.Load() != 0 || c.syncs.Load() != 0 {
		t.Errorf("%d reads, %d programs of %d bytes, %d erases, %d syncs reached the memory",
			c.reads.Load(), c.writes.Load(), c.bytes.Load(), c.erases.Load(), c.syncs.Load())
	}
}

// TestNothingAllocates: allowed and denied accesses and views.
func TestNothingAllocates(t *testing.T) {
	geo := geometry(deviceSize)
	mem, p := newMapped(t, geo), regions(geo, 64)
	l := newLock(t, mem, p)
	h := l.Host()
	s, readable := sessionOf(t, l, p)
	open, read, shut, buf := spanOf(p, openRegion), spanOf(p, readRegion), spanOf(p, shutRegion), buffer(256)
	for name, access := range map[string]func() bool{
		"read":          func() bool { _, err := h.ReadAt(buf, open.Off); return err == nil },
		"session read":  func() bool { _, err := s.ReadAt(buf, readable.Off); return err == nil },
		"exact read":    func() bool { _, err := h.ReadAt(buf, read.Off-128); return err == nil },
		"write":         func() bool { _, err := h.WriteAt(buf, open.Off); return err == nil },
		"view":          func() bool { _, err := h.View(open.Off, 256); return err == nil },
		"denied read":   func() bool { _, err := h.ReadAt(buf, shut.Off); return err != nil },
		"denied write":  func() bool { _, err := h.WriteAt(buf, shut.Off); return err != nil },
		"denied erase":  func() bool { return h.Erase(shut.Off, geo.EraseSize) != nil },
		"denied view":   func() bool { _, err := h.View(shut.Off, 256); return err != nil },
		"outside":       func() bool { _, err := h.ReadAt(buf, geo.Size); return err != nil },
		"below nothing": func() bool { _, err := h.ReadAt(buf, -1); return err != nil },
	} {
		right := true
		if n := testing.AllocsPerRun(100, func() { right = access() && right }); n != 0 || !right {
			t.Errorf("%s: %v allocations, as expected: %v", name, n, right)
		}
	}
}
