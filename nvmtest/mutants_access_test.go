package nvmtest

import (
	"bytes"
	"io"

	"github.com/nanolock/nanolock/nvm"
)

// accessMutants break range, length zero, alignment and erase.
var accessMutants = []row{
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
}
