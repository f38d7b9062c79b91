package nvm

import (
	"fmt"
	"io"
)

// Window is a part of a memory that looks like a memory of its own, from 0. It
// passes on no ability but bad blocks: a mapping of the whole would show the rest.
// The zero Window is empty.
type Window struct {
	mem NVM
	at  Span
	geo Geometry
}

var (
	_ NVM        = (*Window)(nil)
	_ BadBlocker = (*Window)(nil)
)

// NewWindow returns the part s of mem. s must be whole erase blocks (ErrAlign)
// inside mem (ErrRange), and not empty.
func NewWindow(mem NVM, s Span) (*Window, error) {
	if mem == nil {
		return nil, fmt.Errorf("window %v: %w", s, ErrClosed)
	}
	g := mem.Geometry()
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if err := g.CheckErase(s.Off, s.Len); err != nil {
		return nil, fmt.Errorf("window %v: %w", s, err)
	}
	if s.Len == 0 {
		return nil, fmt.Errorf("window %v: %w", s, ErrRange)
	}
	return &Window{mem, s, clipGeometry(g, s)}, nil
}

func clipGeometry(g Geometry, s Span) Geometry {
	areas := g.Blocks
	g.Size, g.Blocks = s.Len, nil
	var start int64
	for _, a := range areas {
		if part := (Span{start, a.Len}).Intersect(s); part.Len > 0 {
			g.Blocks = append(g.Blocks, EraseArea{part.Len, a.EraseSize})
		}
		start += a.Len
	}
	return g
}

// ReadAt reads from the window.
func (w *Window) ReadAt(p []byte, off int64) (int, error) {
	if err := w.geo.CheckRead(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	return w.mem.ReadAt(p, w.at.Off+off)
}

// WriteAt programs inside the window.
func (w *Window) WriteAt(p []byte, off int64) (int, error) {
	if err := w.geo.CheckProgram(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	return w.mem.WriteAt(p, w.at.Off+off)
}

// Erase erases whole blocks inside the window.
func (w *Window) Erase(off, n int64) error {
	if err := w.geo.CheckErase(off, n); err != nil || n == 0 {
		return err
	}
	return w.mem.Erase(w.at.Off+off, n)
}

// Sync is the memory's barrier; ErrClosed for the zero Window.
func (w *Window) Sync() error {
	if w.mem == nil {
		return ErrClosed
	}
	return w.mem.Sync()
}

// Geometry is that of the part: Size is the window's, erase areas are clipped.
func (w *Window) Geometry() Geometry { return w.geo }

// IsBad asks the memory; false if it knows no bad blocks.
func (w *Window) IsBad(off int64) (bool, error) {
	if off < 0 || off >= w.at.Len {
		return false, ErrRange
	}
	if b, ok := w.mem.(BadBlocker); ok {
		return b.IsBad(w.at.Off + off)
	}
	return false, nil
}

// MarkBad marks the block in the memory; ErrBadBlock if it knows no bad blocks.
func (w *Window) MarkBad(off int64) error {
	if off < 0 || off >= w.at.Len {
		return ErrRange
	}
	if b, ok := w.mem.(BadBlocker); ok {
		return b.MarkBad(w.at.Off + off)
	}
	return fmt.Errorf("%w: the memory cannot mark blocks", ErrBadBlock)
}

// ProgramAll programs p at off in steps that respect the page size, for callers
// whose buffer knows nothing of pages. It stops at the first error; n is the
// number of bytes done.
func ProgramAll(mem NVM, p []byte, off int64) (n int, err error) {
	page := mem.Geometry().PageSize
	for n < len(p) {
		step := int64(len(p) - n)
		if page > 0 {
			step = min(step, page-(off+int64(n))%page)
		}
		k, err := mem.WriteAt(p[n:n+int(step)], off+int64(n))
		n += k
		if err == nil && int64(k) != step {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
