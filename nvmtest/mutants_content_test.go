package nvmtest

import (
	"errors"
	"runtime"
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// contentMutants break programs, what is retained, concurrency, Sync, geometry and
// bad blocks.
var contentMutants = []row{
	{"does nothing and says so", norGeo, "erase/exact", func(m *mutant) {
		m.write = func([]byte, int64) (int, error) { return 0, nil }
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
