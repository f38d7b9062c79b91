package mmap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// The geometries of a file.
var (
	rewrite = nvm.Geometry{Size: 64 << 10, EraseSize: 4096, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF}
	nor     = nvm.Geometry{Size: 32 << 10, EraseSize: 4096, ProgramSize: 1, PageSize: 256, Erased: 0xFF}
	inverse = nvm.Geometry{Size: 32 << 10, EraseSize: 4096, ProgramSize: 1, Erased: 0}
	ecc     = nvm.Geometry{Size: 32 << 10, EraseSize: 4096, ProgramSize: 8, PageSize: 256, Program: nvm.OncePage, Erased: 0xFF}
	nand    = nvm.Geometry{Size: 48 << 10, EraseSize: 16 << 10, ProgramSize: 2048, PageSize: 2048, Program: nvm.OncePage, Erased: 0xFF}
	areas   = nvm.Geometry{Size: 36 << 10, EraseSize: 1 << 10, ProgramSize: 1, Erased: 0xFF,
		Blocks: []nvm.EraseArea{{Len: 4 << 10, EraseSize: 1 << 10}, {Len: 20 << 10, EraseSize: 5 << 10}, {Len: 12 << 10, EraseSize: 12 << 10}}}
	odd = nvm.Geometry{Size: 5 << 9, EraseSize: 512, ProgramSize: 1, Erased: 0xFF}
)

var classes = []struct {
	name string
	g    nvm.Geometry
}{{"rewrite", rewrite}, {"nor", nor}, {"inverse", inverse}, {"ecc", ecc}, {"nand", nand}, {"areas", areas}, {"odd", odd}}

// modes are the two ways to read.
var modes = []struct {
	name   string
	direct bool
}{{"shadow", false}, {"direct", true}}

// made returns the path of a new file of geometry g.
func made(tb testing.TB, g nvm.Geometry) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "image")
	if err := Create(path, g); err != nil {
		tb.Fatal(err)
	}
	return path
}

// opened opens path and closes it at the end.
func opened(tb testing.TB, path string, o *Options) *Memory {
	tb.Helper()
	m, err := Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = m.Close() }) // may be closed, may be failed
	return m
}

func config(o Options) nvmtest.Config {
	return nvmtest.Config{
		New: func(tb testing.TB) nvm.NVM { return opened(tb, made(tb, o.Geometry), &o) },
		Reopen: func(tb testing.TB, mem nvm.NVM) nvm.NVM {
			m := mem.(*Memory)
			if err := m.res.close(); err != nil { // without the Sync of Close
				tb.Error(err)
			}
			return opened(tb, m.path, &o)
		},
		Mapped: !o.Direct,
	}
}

func TestConformance(t *testing.T) {
	for _, mode := range modes {
		for _, c := range classes {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				nvmtest.Test(t, config(Options{Geometry: c.g, Direct: mode.direct}))
			})
		}
	}
	t.Run("limit", func(t *testing.T) {
		m := opened(t, made(t, rewrite), &Options{ShadowLimit: rewrite.Size - 1})
		if !m.direct || m.Bytes() != nil {
			t.Error("a file above the limit has a shadow")
		}
		m = opened(t, made(t, rewrite), &Options{ShadowLimit: rewrite.Size})
		if m.direct || m.Bytes() == nil {
			t.Error("a file at the limit has no shadow")
		}
	})
}

func BenchmarkMemory(b *testing.B) {
	for _, mode := range modes {
		b.Run("mode="+mode.name, func(b *testing.B) {
			g := rewrite
			g.Size = 1 << 20
			nvmtest.Benchmark(b, config(Options{Geometry: g, Direct: mode.direct}))
		})
	}
}

// plain is what a read costs at the least: a bounds test and a copy.
type plain []byte

func (p plain) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(p)) || int64(len(b)) > int64(len(p))-off {
		return 0, nvm.ErrRange
	}
	return copy(b, p[off:]), nil
}

// BenchmarkRead compares ReadAt with the plain copy, through the same interface.
func BenchmarkRead(b *testing.B) {
	g := rewrite
	g.Size = 1 << 20
	shadow := opened(b, made(b, g), nil)
	direct := opened(b, made(b, g), &Options{Direct: true})
	for _, size := range []int{16, 256, 4096} {
		for _, c := range []struct {
			name string
			r    io.ReaderAt
		}{{"plain", plain(shadow.Bytes())}, {"shadow", shadow}, {"direct", direct}} {
			b.Run(fmt.Sprintf("size=%d/mem=%s", size, c.name), func(b *testing.B) {
				p := make([]byte, size)
				b.ReportAllocs()
				var off int64
				for b.Loop() {
					if _, err := c.r.ReadAt(p, off); err != nil {
						b.Fatal(err)
					}
					off = (off + int64(size)) & (256<<10 - 1)
				}
			})
		}
	}
	runtime.KeepAlive(shadow)
}

// TestAllocations: an access costs no memory, in any mode and class.
func TestAllocations(t *testing.T) {
	for _, mode := range modes {
		for _, c := range classes {
			m := opened(t, made(t, c.g), &Options{Geometry: c.g, Direct: mode.direct})
			p := make([]byte, c.g.ProgramSize)
			for name, f := range map[string]func() error{
				"ReadAt":       func() error { _, err := m.ReadAt(p, 0); return err },
				"WriteAt":      func() error { _, err := m.WriteAt(p, 0); return err },
				"Erase":        func() error { b := c.g.Block(0); return m.Erase(b.Off, b.Len) },
				"ReadAt range": func() error { _, err := m.ReadAt(p, -1); return err },
			} {
				if n := testing.AllocsPerRun(20, func() { _ = f() }); n != 0 {
					t.Errorf("%s/%s: %s allocates %v times", mode.name, c.name, name, n)
				}
			}
		}
	}
}

// TestLearn: what a OncePage file holds when it is opened is programmed.
func TestLearn(t *testing.T) {
	for _, mode := range modes {
		path := made(t, ecc)
		o := &Options{Geometry: ecc, Direct: mode.direct}
		m := opened(t, path, o)
		if _, err := m.WriteAt(bytes.Repeat([]byte{1}, 16), 512); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		m = opened(t, path, o)
		for off, want := range map[int64]error{504: nil, 512: nvm.ErrProgrammed, 520: nvm.ErrProgrammed, 528: nil} {
			if _, err := m.WriteAt(make([]byte, 8), off); err != want {
				t.Errorf("%s: program at %d: %v, want %v", mode.name, off, err, want)
			}
		}
	}
}

// FuzzAccess compares two operations at any place with a model that knows
// nothing of pages and mappings.
func FuzzAccess(f *testing.F) {
	const size = 8192
	g := map[bool]nvm.Geometry{
		false: {Size: size, EraseSize: 1024, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF},
		true:  {Size: size, EraseSize: 1024, ProgramSize: 1, Erased: 0xFF},
	}
	mems := map[string]*Memory{}
	dir := f.TempDir()
	for _, bits := range []bool{false, true} {
		for _, direct := range []bool{false, true} {
			key := fmt.Sprint(bits, direct)
			path := filepath.Join(dir, key)
			if err := Create(path, g[bits]); err != nil {
				f.Fatal(err)
			}
			mems[key] = opened(f, path, &Options{Geometry: g[bits], Direct: direct})
		}
	}
	f.Fuzz(func(t *testing.T, bits, direct bool, data []byte, off, eraseOff, eraseLen, readOff int64) {
		m := mems[fmt.Sprint(bits, direct)]
		if err := m.Erase(0, size); err != nil {
			t.Fatal(err)
		}
		model := bytes.Repeat([]byte{0xFF}, size)
		inside := func(off, n int64) bool {
			return off >= 0 && off <= size && n >= 0 && n <= size && off+n <= size
		}
		for range 2 {
			n, err := m.WriteAt(data, off)
			if !inside(off, int64(len(data))) {
				if n != 0 || err != nvm.ErrRange {
					t.Fatalf("WriteAt(%d, %d) = %d, %v", len(data), off, n, err)
				}
			} else if n != len(data) || err != nil {
				t.Fatalf("WriteAt(%d, %d) = %d, %v", len(data), off, n, err)
			} else {
				for i, b := range data {
					if bits {
						b &= model[off+int64(i)]
					}
					model[off+int64(i)] = b
				}
			}
			err = m.Erase(eraseOff, eraseLen)
			switch {
			case !inside(eraseOff, eraseLen):
				if err != nvm.ErrRange {
					t.Fatalf("Erase(%d, %d) = %v", eraseOff, eraseLen, err)
				}
			case eraseLen != 0 && (eraseOff%1024 != 0 || eraseLen%1024 != 0):
				if err != nvm.ErrAlign {
					t.Fatalf("Erase(%d, %d) = %v", eraseOff, eraseLen, err)
				}
			case err != nil:
				t.Fatalf("Erase(%d, %d) = %v", eraseOff, eraseLen, err)
			default:
				for i := eraseOff; i < eraseOff+eraseLen; i++ {
					model[i] = 0xFF
				}
			}
			data = append(data, byte(off))
		}
		got := make([]byte, len(data))
		n, err := m.ReadAt(got, readOff)
		if !inside(readOff, int64(len(got))) {
			if n != 0 || err != nvm.ErrRange {
				t.Fatalf("ReadAt(%d, %d) = %d, %v", len(got), readOff, n, err)
			}
		} else if n != len(got) || err != nil || !bytes.Equal(got, model[readOff:readOff+int64(len(got))]) {
			t.Fatalf("ReadAt(%d, %d) = %d, %v", len(got), readOff, n, err)
		}
		if onDisk, err := os.ReadFile(m.path); err != nil || !bytes.Equal(onDisk, model) {
			t.Fatalf("the file is not what the model is, %v", err)
		}
	})
}
