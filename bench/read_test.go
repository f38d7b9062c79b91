package bench

import (
	"errors"
	"io"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

const deviceSize = 16 * mib

// spanOf is the first region of that kind behind the first round of kinds.
func spanOf(p *policy.Policy, kind int) nvm.Span { return p.Map[kinds+kind].Span }

// BenchmarkRead is the main claim: a host's reads of a memory of 64 regions.
func BenchmarkRead(b *testing.B) {
	b.Run("memory=mapped", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkMapped(b, size, hostOf) })
	})
	b.Run("memory=opaque", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) {
			mem, p := newOpaque(b, geometry(deviceSize)), regions(geometry(deviceSize), 64)
			benchmarkReads(b, mem, newLock(b, mem, p).Host(), size, spanOf(p, openRegion))
		})
	})
}

// BenchmarkSession reads what a session alone may read.
func BenchmarkSession(b *testing.B) {
	b.Run("memory=mapped", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkMapped(b, size, sessionOf) })
	})
}

type openFunc func(testing.TB, *nanolock.Lock, *policy.Policy) (*nanolock.Handle, nvm.Span)

func hostOf(_ testing.TB, l *nanolock.Lock, p *policy.Policy) (*nanolock.Handle, nvm.Span) {
	return l.Host(), spanOf(p, openRegion)
}

func sessionOf(tb testing.TB, l *nanolock.Lock, p *policy.Policy) (*nanolock.Handle, nvm.Span) {
	h, err := l.Session(policy.Rights{Authority: "maker", Ops: nvm.Read, Span: nvm.Span{Len: p.Memory.Size}})
	if err != nil {
		tb.Fatal(err)
	}
	return h, spanOf(p, makerRegion)
}

// benchmarkMapped also compares with a copy out of the mapping that asks nobody.
func benchmarkMapped(b *testing.B, size int, open openFunc) {
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), regions(geo, 64)
	h, span := open(b, newLock(b, mem, p), p)
	offs, buf, mapping := offsets(hotAccesses, size, span), buffer(size), mem.Bytes()
	t := trial(b, len(offs), reads("bare", mem, buf, offs), reads("bare again", mem, buf, offs), reads("mediated", h, buf, offs),
		repeat("copy", func() error { return copyAll(mapping, buf, offs) }))
	b.ReportMetric(t.Added(2, 3).Mid, "over-copy-ns")
}

func benchmarkReads(b *testing.B, mem io.ReaderAt, h *nanolock.Handle, size int, span nvm.Span) {
	offs, buf := offsets(hotAccesses, size, span), buffer(size)
	trial(b, len(offs), reads("bare", mem, buf, offs), reads("bare again", mem, buf, offs), reads("mediated", h, buf, offs))
}

// BenchmarkFlipped reads an update region whose second slot is active, against
// the same region before it was flipped.
func BenchmarkFlipped(b *testing.B) {
	geo := geometry(deviceSize)
	b.Run("memory=mapped", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkFlipped(b, newMapped(b, geo), size) })
	})
	b.Run("memory=opaque", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) { benchmarkFlipped(b, newOpaque(b, geo), size) })
	})
}

func benchmarkFlipped(b *testing.B, mem nvm.NVM, size int) {
	p := flipped(mem.Geometry())
	straight, turned := newLock(b, mem, p), newLock(b, mem, p)
	if err := turned.Activate("image", 1); err != nil {
		b.Fatal(err)
	}
	offs, buf, s := offsets(hotAccesses, size, p.Region("image").Span), buffer(size), straight.Host()
	trial(b, len(offs), reads("straight", s, buf, offs), reads("straight again", s, buf, offs), reads("flipped", turned.Host(), buf, offs))
}

// BenchmarkDenied is what a refused read costs, against one of a bare memory
// that is carried out.
func BenchmarkDenied(b *testing.B) {
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), regions(geo, 64)
	h := newLock(b, mem, p).Host()
	buf := buffer(16)
	offs, shut := offsets(hotAccesses, 16, spanOf(p, openRegion)), offsets(hotAccesses, 16, spanOf(p, shutRegion))
	trial(b, len(offs), reads("bare", mem, buf, offs), reads("bare again", mem, buf, offs),
		repeat("denied", func() error { return deniedAll(h, buf, shut) }))
}

//go:noinline
func deniedAll(r io.ReaderAt, p []byte, offs []int64) error {
	for _, off := range offs {
		if _, err := r.ReadAt(p, off); err == nil {
			return errors.New("a denied read was carried out")
		}
	}
	return nil
}

// BenchmarkShared reads across the border of two regions, or in a block that two
// regions share: what the table leaves to the exact way.
func BenchmarkShared(b *testing.B) {
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), emptyPolicy(geo)
	half := geo.EraseSize / 2 // so the regions' inner border lies inside a block
	p.Map = []policy.Region{
		{ID: 1, Name: "first", Span: nvm.Span{Len: mib + half}, Access: accesses[openRegion]},
		{ID: 2, Name: "second", Span: nvm.Span{Off: mib + half, Len: mib}, Access: accesses[readRegion]},
	}
	h := newLock(b, mem, p).Host()
	b.Run("across=0", func(b *testing.B) { benchmarkReads(b, mem, h, 16, nvm.Span{Off: mib, Len: half}) })
	b.Run("across=1", func(b *testing.B) { benchmarkReads(b, mem, h, 16, nvm.Span{Off: mib + half - 8, Len: 16}) })
}

// BenchmarkRegions reads all over a device with 100 000 regions, against one
// with 4: the number must not matter.
func BenchmarkRegions(b *testing.B) {
	b.Run("regions=100000/size=16", func(b *testing.B) { benchmarkRegions(b, 16, 8192) })
	b.Run("regions=100000/size=4096", func(b *testing.B) { benchmarkRegions(b, 4096, 512) })
}

// benchmarkRegions makes so many different accesses that they do not fit in the
// caches near the core, and neither do their places in the table.
func benchmarkRegions(b *testing.B, size, n int) {
	geo := geometry(512 * mib)
	mem, many := newRAM(b, geo), regions(geo, 100_000) // larger than package mmap copies
	var spans []nvm.Span                               // of regions that hosts read, between regions that they do not
	for i := range many.Map {
		if i%kinds == openRegion || i%kinds == readRegion {
			spans = append(spans, many.Map[i].Span)
		}
	}
	few := regions(geo, 4)
	for i := range few.Map {
		few.Map[i].Access = accesses[openRegion]
	}
	f, m := newLock(b, mem, few).Host(), newLock(b, mem, many).Host()
	offs, buf := offsets(n, size, spans...), buffer(size)
	trial(b, len(offs), reads("4 regions", f, buf, offs), reads("4 regions again", f, buf, offs), reads("100000 regions", m, buf, offs))
}
