// Package worlds holds small memories and sound policies for the tests of
// package attack.
package worlds

import (
	"slices"
	"sync"

	"github.com/nanolock/nanolock/nvm"
)

// ram is a memory that is as strict as the contract of package nvm.
type ram struct {
	mu         sync.RWMutex
	geo        nvm.Geometry
	b          []byte
	view       []byte // a read-only mapping of b, or nil
	programmed []bool // units of a OncePage memory
	bad        map[int64]bool
}

// newRAM returns a memory of geometry g that holds image.
func newRAM(g nvm.Geometry, image []byte, mapped bool) nvm.NVM {
	m := &ram{geo: g, bad: map[int64]bool{}}
	if mapped {
		m.b, m.view = mapTwice(len(image))
	}
	if m.view == nil {
		m.b = make([]byte, len(image))
	}
	copy(m.b, image)
	if g.Program == nvm.OncePage {
		m.programmed = make([]bool, g.Size/g.ProgramSize)
		for i := range m.programmed {
			m.programmed[i] = slices.ContainsFunc(m.unit(i), func(b byte) bool { return b != g.Erased })
		}
	}
	switch {
	case g.BadBlocks:
		return badRAM{m}
	case m.view != nil:
		return mappedRAM{m}
	}
	return m
}

// Memories with one more ability.
type (
	mappedRAM struct{ *ram }
	badRAM    struct{ *ram }
)

func (m mappedRAM) Bytes() []byte { return m.view }

func (m *ram) unit(i int) []byte { return m.b[int64(i)*m.geo.ProgramSize:][:m.geo.ProgramSize] }

func (m *ram) Geometry() nvm.Geometry { return m.geo }
func (m *ram) Sync() error            { return nil }

func (m *ram) ReadAt(p []byte, off int64) (int, error) {
	if err := m.geo.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return copy(p, m.b[off:]), nil
}

func (m *ram) WriteAt(p []byte, off int64) (int, error) {
	if err := m.geo.CheckProgram(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bad[m.geo.Block(off).Off] {
		return 0, nvm.ErrBadBlock
	}
	if m.programmed != nil {
		lo, hi := off/m.geo.ProgramSize, (off+int64(len(p)))/m.geo.ProgramSize
		if slices.Contains(m.programmed[lo:hi], true) {
			return 0, nvm.ErrProgrammed
		}
		for i := lo; i < hi; i++ {
			m.programmed[i] = true
		}
	}
	for i, v := range p {
		switch {
		case m.geo.Program != nvm.ClearBits:
			m.b[off+int64(i)] = v
		case m.geo.Erased == 0:
			m.b[off+int64(i)] |= v
		default:
			m.b[off+int64(i)] &= v
		}
	}
	return len(p), nil
}

func (m *ram) Erase(off, n int64) error {
	if err := m.geo.CheckErase(off, n); err != nil || n == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for at := off; at < off+n; at = m.geo.Block(at).End() {
		if m.bad[at] {
			return nvm.ErrBadBlock
		}
	}
	for i := off; i < off+n; i++ {
		m.b[i] = m.geo.Erased
	}
	if m.programmed != nil {
		clear(m.programmed[off/m.geo.ProgramSize : (off+n)/m.geo.ProgramSize])
	}
	return nil
}

func (m badRAM) IsBad(off int64) (bool, error) {
	if off < 0 || off >= m.geo.Size {
		return false, nvm.ErrRange
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.bad[m.geo.Block(off).Off], nil
}

func (m badRAM) MarkBad(off int64) error {
	if off < 0 || off >= m.geo.Size {
		return nvm.ErrRange
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad[m.geo.Block(off).Off] = true
	return nil
}
