package nvmtest

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// hot is the part of the memory, in bytes, that benchmarks go through.
const hot = 256 << 10

// Benchmark measures the memory in the same way for every implementation. The
// names are key=value, as benchstat likes them: op=read/size=256. Sizes are in
// bytes; op=view copies from the mapping, if there is one.
func Benchmark(b *testing.B, c Config) {
	b.Helper()
	e, err := newEnv(b, c)
	if err != nil {
		b.Fatal(err)
	}
	s := e.geo.Inward(nvm.Span{Off: e.work[0].Off, Len: min(hot, e.work[0].Len)})
	if s.Len == 0 {
		s = e.first()
	}
	view, err := e.mapping()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int64{16, 256, 4096, 65536} {
		if n <= s.Len {
			b.Run(fmt.Sprintf("op=read/size=%d", n), func(b *testing.B) { e.benchRead(b, s, n) })
		}
	}
	for _, n := range []int64{16, 256, 4096} {
		if view != nil && n <= s.Len {
			b.Run(fmt.Sprintf("op=view/size=%d", n), func(b *testing.B) { e.benchView(b, s, n, view) })
		}
	}
	for _, n := range []int64{16, 256, 4096} {
		if n%e.unit() == 0 && n <= s.Len && (e.geo.PageSize == 0 || e.geo.PageSize%n == 0) {
			b.Run(fmt.Sprintf("op=write/size=%d", n), func(b *testing.B) { e.benchWrite(b, s, n) })
		}
	}
	b.Run(fmt.Sprintf("op=erase/size=%d", e.first().Len), e.benchErase)
	b.Run("op=sync/size=0", e.benchSync)
	runtime.KeepAlive(e.mem)
}

// next is the offset after off, n bytes on, inside s.
func next(s nvm.Span, off, n int64) int64 {
	if off += n; off+n > s.End() {
		return s.Off
	}
	return off
}

func (e *env) benchRead(b *testing.B, s nvm.Span, n int64) {
	p := make([]byte, n)
	b.SetBytes(n)
	b.ReportAllocs()
	off := s.Off
	for b.Loop() {
		if k, err := e.mem.ReadAt(p, off); err != nil || k != len(p) {
			b.Fatal(k, err)
		}
		off = next(s, off, n)
	}
}

func (e *env) benchView(b *testing.B, s nvm.Span, n int64, view []byte) {
	p := make([]byte, n)
	b.SetBytes(n)
	b.ReportAllocs()
	off := s.Off
	for b.Loop() {
		copy(p, view[off:off+n])
		off = next(s, off, n)
	}
}

// benchWrite programs the same bytes again and again where that is allowed; a
// OncePage memory is erased at each turn, outside the measurement.
func (e *env) benchWrite(b *testing.B, s nvm.Span, n int64) {
	p := e.pattern(0, n, 1)
	b.SetBytes(n)
	b.ReportAllocs()
	if err := e.mem.Erase(s.Off, s.Len); err != nil {
		b.Fatal(err)
	}
	off := s.Off
	for b.Loop() {
		if k, err := e.mem.WriteAt(p, off); err != nil || k != len(p) {
			b.Fatal(k, err)
		}
		if off = next(s, off, n); off == s.Off && e.geo.Program == nvm.OncePage {
			b.StopTimer()
			if err := e.mem.Erase(s.Off, s.Len); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}

func (e *env) benchErase(b *testing.B) {
	s := e.first()
	b.SetBytes(s.Len)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.mem.Erase(s.Off, s.Len); err != nil {
			b.Fatal(err)
		}
	}
}

func (e *env) benchSync(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := e.mem.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
