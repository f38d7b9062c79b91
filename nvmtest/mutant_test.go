package nvmtest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// A mutant is a mem with a method or two replaced by a wrong one.
type mutant struct {
	*mem
	read  func(p []byte, off int64) (int, error)
	write func(p []byte, off int64) (int, error)
	erase func(off, n int64) error
	sync  func() error
	geo   func() nvm.Geometry
	mark  func(off int64) error
}

func (m *mutant) ReadAt(p []byte, off int64) (int, error) {
	if m.read != nil {
		return m.read(p, off)
	}
	return m.mem.ReadAt(p, off)
}

func (m *mutant) WriteAt(p []byte, off int64) (int, error) {
	if m.write != nil {
		return m.write(p, off)
	}
	return m.mem.WriteAt(p, off)
}

func (m *mutant) Erase(off, n int64) error {
	if m.erase != nil {
		return m.erase(off, n)
	}
	return m.mem.Erase(off, n)
}

func (m *mutant) Sync() error {
	if m.sync != nil {
		return m.sync()
	}
	return m.mem.Sync()
}

func (m *mutant) Geometry() nvm.Geometry {
	if m.geo != nil {
		return m.geo()
	}
	return m.mem.Geometry()
}

func (m *mutant) MarkBad(off int64) error {
	if m.mark != nil {
		return m.mark(off)
	}
	return m.mem.MarkBad(off)
}

var errOther = errors.New("some other error")

// mutants: each breaks one sentence, and the named check must see it.
var mutants = []struct {
	name  string
	geo   nvm.Geometry
	check string
	spoil func(m *mutant)
}{
	{"read clips at the end", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			if off >= 0 && off <= m.g.Size {
				p = p[:min(int64(len(p)), m.g.Size-off)]
			}
			return m.mem.ReadAt(p, off)
		}
	}},
	{"read clips with EOF", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) { return bytes.NewReader(m.now.b).ReadAt(p, off) }
	}},
	{"end of file as nil", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			if off >= m.g.Size {
				return 0, nil
			}
			return m.mem.ReadAt(p, off)
		}
	}},
	{"EOF with the last bytes", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			n, err := m.mem.ReadAt(p, off)
			if err == nil && off+int64(n) == m.g.Size {
				err = io.EOF
			}
			return n, err
		}
	}},
	{"short read without an error", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			p = p[:min(len(p), 1000)]
			return m.mem.ReadAt(p, off)
		}
	}},
	{"write clips at the end", norGeo, "range/write", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if off >= 0 && off <= m.g.Size {
				p = p[:min(int64(len(p)), m.g.Size-off)]
			}
			return m.mem.WriteAt(p, off)
		}
	}},
	{"bounds test overflows", fileGeo, "range/write", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if off < 0 || off+int64(len(p)) > m.g.Size {
				return 0, nvm.ErrRange
			}
			return copy(m.now.b[off:], p), nil
		}
	}},
	{"offset as n on failure", norGeo, "range/write", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			if err != nil {
				n = int(off)
			}
			return n, err
		}
	}},
	{"another error than ErrRange", norGeo, "range/read", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			n, err := m.mem.ReadAt(p, off)
			if err != nil {
				err = errOther
			}
			return n, err
		}
	}},
	{"negative erase is fine", norGeo, "range/erase", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if n < 0 {
				return nil
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"erase clips at the end", norGeo, "range/erase", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if off >= 0 && off < m.g.Size {
				n = min(n, m.g.Size-off)
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"length zero is an error", norGeo, "zero", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if len(p) == 0 {
				return 0, errOther
			}
			return m.mem.WriteAt(p, off)
		}
	}},
	{"length zero at the end is outside", norGeo, "zero", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			if off >= m.g.Size {
				return 0, nvm.ErrRange
			}
			return m.mem.ReadAt(p, off)
		}
	}},
	{"length zero is fine everywhere", norGeo, "zero", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if n == 0 {
				return nil
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"length zero must be aligned", eccGeo, "zero", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if off%m.g.ProgramSize != 0 && off > 0 && off < m.g.Size {
				return 0, nvm.ErrAlign
			}
			return m.mem.WriteAt(p, off)
		}
	}},
	{"length zero panics", norGeo, "zero", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			if off >= 0 && off < m.g.Size {
				_ = p[0]
			}
			return m.mem.ReadAt(p, off)
		}
	}},
	{"program ignores its unit", eccGeo, "align/program", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if m.g.CheckRead(off, int64(len(p))) != nil {
				return 0, nvm.ErrRange
			}
			return copy(m.now.b[off:], p), nil
		}
	}},
	{"program of half a unit is padded", eccGeo, "align/program", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if k := len(p) % 8; k != 0 && off%8 == 0 {
				n, err := m.mem.WriteAt(append(bytes.Clone(p), make([]byte, 8-k)...), off)
				return min(n, len(p)), err
			}
			return m.mem.WriteAt(p, off)
		}
	}},
	{"program wraps in its page", norGeo, "align/page", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if m.g.CheckRead(off, int64(len(p))) != nil {
				return 0, nvm.ErrRange
			}
			for i := range p {
				m.now.b[off/256*256+(off+int64(i))%256] &= p[i]
			}
			return len(p), nil
		}
	}},
	{"program goes over the page", norGeo, "align/page", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			g := m.g
			if g.PageSize = 0; g.CheckProgram(off, int64(len(p))) != nil {
				return 0, nvm.ErrRange
			}
			return nvm.ProgramAll(m.mem, p, off)
		}
	}},
	{"erase is widened to blocks", norGeo, "align/erase", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if s := m.g.Outward(nvm.Span{Off: off, Len: n}); s.Len > 0 {
				off, n = s.Off, s.Len
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"erase is narrowed to blocks", norGeo, "align/erase", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if s := (nvm.Span{Off: off, Len: n}); n > 0 && s.In(m.g.Size) {
				s = m.g.Inward(s)
				return m.mem.Erase(s.Off, s.Len)
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"erase areas are ignored", areaGeo, "align/erase", func(m *mutant) {
		m.erase = func(off, n int64) error {
			g := m.g
			g.Blocks = nil
			if err := g.CheckErase(off, n); err != nil {
				return err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.blank(off, n)
			return nil
		}
	}},
	{"erase takes the next block too", norGeo, "erase/exact", func(m *mutant) {
		m.erase = func(off, n int64) error {
			err := m.mem.Erase(off, n)
			if err == nil && n == 2048 && off+n < m.g.Size {
				err = m.mem.Erase(off+n, 1024)
			}
			return err
		}
	}},
	{"big erase opcode chosen by length", norGeo, "erase/exact", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if m.g.CheckErase(off, n) == nil && n >= 4096 {
				off, n = off/4096*4096, n/4096*4096
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"erase forgets its last block", norGeo, "erase/exact", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if m.g.CheckErase(off, n) == nil && n > 1024 {
				n -= 1024
			}
			return m.mem.Erase(off, n)
		}
	}},
	{"erase to the wrong value", zeroGeo, "erase/exact", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if err := m.mem.Erase(off, n); err != nil {
				return err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if n > 0 {
				m.now.b[off+n-1] = 0xFF
			}
			return nil
		}
	}},
	{"n is too small", norGeo, "program/erased", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			return n / 2, err
		}
	}},
	{"program hits a neighbour", norGeo, "program/erased", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			if n > 0 && (off+int64(n))%1024 != 0 {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.now.b[off+int64(n)] = 0
			}
			return n, err
		}
	}},
	{"AND is missing", norGeo, "program/class", overwrite},
	{"OR is missing", zeroGeo, "program/class", overwrite},
	{"AND instead of rewriting", fileGeo, "program/class", func(m *mutant) {
		m.g.Program = nvm.ClearBits
		m.geo = func() nvm.Geometry { return fileGeo }
	}},
	{"program erases first", norGeo, "program/erased", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			if n := int64(len(p)); n > 0 && m.g.CheckProgram(off, n) == nil {
				b := m.g.Block(off)
				if err := m.mem.Erase(b.Off, b.Len); err != nil {
					return 0, err
				}
			}
			return m.mem.WriteAt(p, off)
		}
	}},
	{"second program is done", eccGeo, "program/class", overwrite},
	{"second program is told and done", eccGeo, "program/class", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			if errors.Is(err, nvm.ErrProgrammed) {
				copy(m.now.b[off:], p)
			}
			return n, err
		}
	}},
	{"erase leaves units programmed", eccGeo, "program/class", func(m *mutant) {
		m.erase = func(off, n int64) error {
			was := slices.Clone(m.now.done)
			err := m.mem.Erase(off, n)
			m.now.done = was
			return err
		}
	}},
	{"addresses are cut", bigGeo, "program/addresses", func(m *mutant) {
		m.read = func(p []byte, off int64) (int, error) {
			if m.g.CheckRead(off, int64(len(p))) != nil {
				return 0, nvm.ErrRange
			}
			return m.mem.ReadAt(p, off%(1<<20))
		}
		m.write = func(p []byte, off int64) (int, error) {
			if err := m.g.CheckProgram(off, int64(len(p))); err != nil {
				return 0, err
			}
			return m.mem.WriteAt(p, off%(1<<20))
		}
	}},
	{"retains p until Sync", norGeo, "program/retain", func(m *mutant) {
		var held [][]byte
		var at []int64
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			if n > 0 {
				held, at = append(held, p), append(at, off)
			}
			return n, err
		}
		m.sync = func() error {
			for i, p := range held {
				copy(m.now.b[at[i]:], p)
			}
			held, at = nil, nil
			return m.mem.Sync()
		}
	}},
	{"writes into p", norGeo, "program/retain", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			clear(p)
			return n, err
		}
	}},
	{"reads the block, changes and writes it unlocked", fileGeo, "concurrent", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			b := m.g.Block(off)
			if m.g.CheckProgram(off, int64(len(p))) != nil || int64(len(p)) >= b.Len {
				return m.mem.WriteAt(p, off)
			}
			whole := make([]byte, b.Len)
			if _, err := m.mem.ReadAt(whole, b.Off); err != nil {
				return 0, err
			}
			runtime.Gosched()
			copy(whole[off-b.Off:], p)
			if _, err := m.mem.WriteAt(whole, b.Off); err != nil {
				return 0, err
			}
			return len(p), nil
		}
	}},
	{"two at a time are too many", norGeo, "concurrent", func(m *mutant) {
		busy := make(chan bool, 1)
		m.write = func(p []byte, off int64) (int, error) {
			select {
			case busy <- true:
				defer func() { <-busy }()
				runtime.Gosched()
				return m.mem.WriteAt(p, off)
			default:
				return 0, errOther
			}
		}
	}},
	{"Sync does nothing", norGeo, "sync", func(m *mutant) {
		m.sync = func() error { return nil }
	}},
	{"Sync saves once", norGeo, "sync", func(m *mutant) {
		saved := false
		m.sync = func() error {
			if saved {
				return nil
			}
			saved = true
			return m.mem.Sync()
		}
	}},
	{"Sync fails", norGeo, "sync", func(m *mutant) {
		m.sync = func() error { return errOther }
	}},
	{"geometry changes", norGeo, "geometry", func(m *mutant) {
		calls := 0
		m.geo = func() nvm.Geometry {
			g := m.g
			if calls++; calls > 1 {
				g.Endurance++
			}
			return g
		}
	}},
	{"geometry is impossible", norGeo, "geometry", func(m *mutant) {
		m.geo = func() nvm.Geometry { return nvm.Geometry{Size: 10, EraseSize: 3} }
	}},
	{"bad block is erased", nandGeo, "badblocks", func(m *mutant) {
		m.erase = func(off, n int64) error {
			err := m.mem.Erase(off, n)
			if errors.Is(err, nvm.ErrBadBlock) {
				m.blank(off, n)
				err = nil
			}
			return err
		}
	}},
	{"bad block is programmed", nandGeo, "badblocks", func(m *mutant) {
		m.write = func(p []byte, off int64) (int, error) {
			n, err := m.mem.WriteAt(p, off)
			if errors.Is(err, nvm.ErrBadBlock) {
				return len(p), nil
			}
			return n, err
		}
	}},
	{"erases up to the bad block", nandGeo, "badblocks", func(m *mutant) {
		m.erase = func(off, n int64) error {
			if m.g.CheckErase(off, n) != nil {
				return m.mem.Erase(off, n)
			}
			for ; n > 0; off, n = off+2048, n-2048 {
				if err := m.mem.Erase(off, 2048); err != nil {
					return err
				}
			}
			return nil
		}
	}},
	{"MarkBad does nothing", nandGeo, "badblocks", func(m *mutant) {
		m.mark = func(off int64) error {
			if off < 0 || off >= m.g.Size {
				return nvm.ErrRange
			}
			return nil
		}
	}},
	{"MarkBad outside the memory", nandGeo, "badblocks", func(m *mutant) {
		m.mark = func(off int64) error { return nil }
	}},
	{"MarkBad is forgotten", nandGeo, "badblocks", func(m *mutant) {
		m.sync = func() error {
			err := m.mem.Sync()
			clear(m.saved.bad)
			return err
		}
	}},
}

func overwrite(m *mutant) {
	m.write = func(p []byte, off int64) (int, error) {
		if err := m.g.CheckProgram(off, int64(len(p))); err != nil {
			return 0, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		return copy(m.now.b[off:], p), nil
	}
}

func TestMutants(t *testing.T) {
	for _, mu := range mutants {
		t.Run(mu.name, func(t *testing.T) {
			t.Parallel()
			c := strict(mu.geo)
			good := c.New
			c.New = func(tb testing.TB) nvm.NVM {
				m := &mutant{mem: good(tb).(*mem)}
				mu.spoil(m)
				return m
			}
			c.Reopen = func(_ testing.TB, m nvm.NVM) nvm.NVM { return m.(*mutant).cut() }
			mustFail(t, c, mu.check)
		})
	}
}

// panicking: where the breach is that the memory panics.
var panicking = map[string]bool{
	"TestMutants/bounds_test_overflows": true,
	"TestMutants/length_zero_panics":    true,
}

// mustFail runs the named check and wants a failure that quotes the contract.
func mustFail(t *testing.T, c Config, name string) {
	t.Helper()
	i := slices.IndexFunc(checks, func(ck check) bool { return ck.name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	err := checks[i].do(t, c)
	if err == nil {
		t.Fatalf("check %q passed", name)
	}
	want := "breaks the contract"
	if panicking[t.Name()] {
		want = "panicked"
	}
	if !strings.Contains(err.Error(), want) {
		t.Fatalf("check %q does not say what is broken: %v", name, err)
	}
}

// TestHidden: a memory that says BadBlocks and cannot tell them.
func TestHidden(t *testing.T) {
	c := strict(nandGeo)
	mustFail(t, Config{New: func(tb testing.TB) nvm.NVM { return plain{c.New(tb)} }}, "geometry")
}

// TestConfig: what no memory can be checked with.
func TestConfig(t *testing.T) {
	mk := strict(norGeo).New
	for name, c := range map[string]Config{
		"zero":           {},
		"nil memory":     {New: func(testing.TB) nvm.NVM { return nil }},
		"half a block":   {New: mk, Work: []nvm.Span{{Off: 0, Len: 512}}},
		"empty span":     {New: mk, Work: []nvm.Span{{Off: 0, Len: 0}}},
		"no span":        {New: mk, Work: []nvm.Span{}},
		"not in order":   {New: mk, Work: []nvm.Span{{Off: 1024, Len: 1024}, {Off: 0, Len: 1024}}},
		"outside":        {New: mk, Work: []nvm.Span{{Off: 8192, Len: 1024}}},
		"all blocks bad": {New: allBad},
	} {
		if err := checks[0].do(t, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func allBad(testing.TB) nvm.NVM {
	m := newMem(nandGeo)
	for off := int64(0); off < m.g.Size; off += m.g.EraseSize {
		m.now.bad[off] = true
	}
	return m
}

// TestReopenNil: a Reopen that has nothing to give.
func TestReopenNil(t *testing.T) {
	c := strict(nandGeo)
	c.Reopen = func(testing.TB, nvm.NVM) nvm.NVM { return nil }
	mustFail(t, c, "sync")
	mustFail(t, c, "badblocks")
}

// TestSentences: what the suite quotes is what package nvm says.
func TestSentences(t *testing.T) {
	contract := flat(t, "../nvm/nvm.go") + flat(t, "../nvm/geometry.go")
	src, err := os.ReadFile("sentences.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\ts\w+ += "(.*)"$`).FindAllSubmatch(src, -1)
	if len(found) < 20 {
		t.Fatalf("only %d sentences", len(found))
	}
	for _, f := range found {
		if s := string(f[1]); !strings.HasPrefix(s, "io.") && !strings.Contains(contract, s) {
			t.Errorf("package nvm does not say %q", s)
		}
	}
}

// flat is the comments and code of a file as one line.
func flat(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(b), "//", " ")), " ")
}
