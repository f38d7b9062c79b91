package nvmtest

import (
	"errors"
	"os"
	"regexp"
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

// A row breaks one sentence, and the named check must see it.
type row struct {
	name  string
	geo   nvm.Geometry
	check string
	spoil func(m *mutant)
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
	for _, mu := range slices.Concat(accessMutants, contentMutants) {
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
