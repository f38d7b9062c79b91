package nvmtest

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// A mem is the smallest strict memory: the contract and nothing else. What Sync
// saved is what a power cut leaves.
type mem struct {
	mu    sync.RWMutex
	g     nvm.Geometry
	now   state
	saved state
}

type state struct {
	b    []byte
	done []bool // units programmed since they were erased
	bad  map[int64]bool
}

func (s state) clone() state {
	return state{slices.Clone(s.b), slices.Clone(s.done), maps.Clone(s.bad)}
}

func newMem(g nvm.Geometry) *mem {
	s := state{bytes.Repeat([]byte{g.Erased}, int(g.Size)), make([]bool, g.Size/g.ProgramSize), map[int64]bool{}}
	return &mem{g: g, now: s, saved: s.clone()}
}

// cut is m after a power cut.
func (m *mem) cut() *mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &mem{g: m.g, now: m.saved.clone(), saved: m.saved}
}

func (m *mem) ReadAt(p []byte, off int64) (int, error) {
	if err := m.g.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return copy(p, m.now.b[off:]), nil
}

func (m *mem) WriteAt(p []byte, off int64) (int, error) {
	if err := m.g.CheckProgram(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.touchesBad(nvm.Span{Off: off, Len: int64(len(p))}) {
		return 0, nvm.ErrBadBlock
	}
	units := m.now.done[off/m.g.ProgramSize : (off+int64(len(p)))/m.g.ProgramSize]
	if m.g.Program == nvm.OncePage && slices.Contains(units, true) {
		return 0, nvm.ErrProgrammed
	}
	for i := range units {
		units[i] = true
	}
	e := &env{geo: m.g}
	copy(m.now.b[off:], e.combine(m.now.b[off:off+int64(len(p))], p))
	return len(p), nil
}

func (m *mem) Erase(off, n int64) error {
	if err := m.g.CheckErase(off, n); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.touchesBad(nvm.Span{Off: off, Len: n}) {
		return nvm.ErrBadBlock
	}
	m.blank(off, n)
	return nil
}

func (m *mem) blank(off, n int64) {
	for i := off; i < off+n; i++ {
		m.now.b[i] = m.g.Erased
	}
	for i := off / m.g.ProgramSize; i < (off+n)/m.g.ProgramSize; i++ {
		m.now.done[i] = false
	}
}

func (m *mem) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved = m.now.clone()
	return nil
}

func (m *mem) Geometry() nvm.Geometry { return m.g }

func (m *mem) IsBad(off int64) (bool, error) {
	if off < 0 || off >= m.g.Size {
		return false, nvm.ErrRange
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.now.bad[m.g.Block(off).Off], nil
}

func (m *mem) MarkBad(off int64) error {
	if off < 0 || off >= m.g.Size {
		return nvm.ErrRange
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.bad[m.g.Block(off).Off] = true
	return nil
}

func (m *mem) touchesBad(s nvm.Span) bool {
	for b := range m.now.bad {
		if m.g.Block(b).Overlaps(s) {
			return true
		}
	}
	return false
}

// plain hides the abilities of a mem.
type plain struct{ nvm.NVM }

// The geometries that the suite is tried on.
var (
	norGeo  = nvm.Geometry{Size: 8 << 10, EraseSize: 1 << 10, ProgramSize: 1, PageSize: 256, Erased: 0xFF}
	zeroGeo = nvm.Geometry{Size: 4 << 10, EraseSize: 1 << 10, ProgramSize: 1, Erased: 0}
	eccGeo  = nvm.Geometry{Size: 4 << 10, EraseSize: 1 << 10, ProgramSize: 8, PageSize: 256, Program: nvm.OncePage, Erased: 0xFF}
	nandGeo = nvm.Geometry{Size: 16 << 10, EraseSize: 2 << 10, ProgramSize: 512, PageSize: 512, Program: nvm.OncePage, Erased: 0xFF, BadBlocks: true}
	fileGeo = nvm.Geometry{Size: 8 << 10, EraseSize: 4 << 10, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF}
	areaGeo = nvm.Geometry{Size: 22 << 10, EraseSize: 1 << 10, ProgramSize: 1, PageSize: 256, Erased: 0xFF,
		Blocks: []nvm.EraseArea{{Len: 4 << 10, EraseSize: 1 << 10}, {Len: 6 << 10, EraseSize: 3 << 10}, {Len: 12 << 10, EraseSize: 4 << 10}}}
	oneGeo = nvm.Geometry{Size: 512, EraseSize: 512, ProgramSize: 512, Program: nvm.OncePage, Erased: 0xFF}
	bigGeo = nvm.Geometry{Size: 2<<20 + 128<<10, EraseSize: 64 << 10, ProgramSize: 1, PageSize: 256, Erased: 0xFF}
)

var geometries = map[string]nvm.Geometry{
	"nor": norGeo, "zero": zeroGeo, "ecc": eccGeo, "nand": nandGeo,
	"file": fileGeo, "areas": areaGeo, "one": oneGeo, "big": bigGeo,
}

// strict is the configuration of a good mem.
func strict(g nvm.Geometry) Config {
	return Config{
		New: func(testing.TB) nvm.NVM {
			m := newMem(g)
			if g.BadBlocks {
				m.now.bad[m.g.Block(g.Size/2).Off] = true
				m.saved = m.now.clone()
			}
			return m
		},
		Reopen:  func(_ testing.TB, m nvm.NVM) nvm.NVM { return m.(*mem).cut() },
		MarkBad: true,
	}
}

func TestStrict(t *testing.T) {
	for name, g := range geometries {
		t.Run(name, func(t *testing.T) { Test(t, strict(g)) })
	}
}

// A guarded memory refuses all but some places, as a host's handle does.
type guarded struct {
	plain
	read, work []nvm.Span
}

func within(list []nvm.Span, off, n int64) error {
	for _, s := range list {
		if n == 0 || s.Contains(nvm.Span{Off: off, Len: n}) {
			return nil
		}
	}
	return fmt.Errorf("nothing to do at %#x", off)
}

func (d guarded) ReadAt(p []byte, off int64) (int, error) {
	if err := d.Geometry().CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	if err := within(append(slices.Clone(d.read), d.work...), off, int64(len(p))); err != nil {
		return 0, err
	}
	return d.NVM.ReadAt(p, off)
}

func (d guarded) WriteAt(p []byte, off int64) (int, error) {
	if err := d.Geometry().CheckProgram(off, int64(len(p))); err != nil {
		return 0, err
	}
	if err := within(d.work, off, int64(len(p))); err != nil {
		return 0, err
	}
	return d.NVM.WriteAt(p, off)
}

func (d guarded) Erase(off, n int64) error {
	if err := d.Geometry().CheckErase(off, n); err != nil {
		return err
	}
	if err := within(d.work, off, n); err != nil {
		return err
	}
	return d.NVM.Erase(off, n)
}

// TestSpans: the suite stays where Config lets it.
func TestSpans(t *testing.T) {
	for name, g := range map[string]nvm.Geometry{"nor": norGeo, "big": bigGeo, "areas": areaGeo} {
		t.Run(name, func(t *testing.T) {
			first := g.Block(0)
			work := []nvm.Span{g.Block(first.End()), g.Block(g.Size / 2)}
			read := []nvm.Span{{Off: 0, Len: 100}}
			Test(t, Config{
				New: func(testing.TB) nvm.NVM {
					return guarded{plain{newMem(g)}, read, work}
				},
				Work: work, Readable: read,
			})
		})
	}
}

func BenchmarkMem(b *testing.B) {
	for _, name := range []string{"file", "nand", "one"} {
		b.Run("geo="+name, func(b *testing.B) { Benchmark(b, strict(geometries[name])) })
	}
}

// TestBenchmark runs each shared benchmark once, so that they cannot rot.
func TestBenchmark(t *testing.T) {
	benchtime := flag.Lookup("test.benchtime")
	defer flag.Set("test.benchtime", benchtime.Value.String())
	if err := flag.Set("test.benchtime", "1x"); err != nil {
		t.Fatal(err)
	}
	for name, g := range geometries {
		ran := false
		testing.Benchmark(func(b *testing.B) {
			Benchmark(b, strict(g))
			ran = true
		})
		if !ran {
			t.Errorf("%s: the benchmark stopped", name)
		}
	}
}
