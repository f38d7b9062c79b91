package nvm_test

import (
	"errors"
	"io"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// TestZeroRefuses: zero values refuse, and do not panic.
func TestZeroRefuses(t *testing.T) {
	var w nvm.Window
	if _, err := w.ReadAt(make([]byte, 1), 0); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("ReadAt: %v", err)
	}
	if n, err := w.ReadAt(nil, 0); n != 0 || err != nil {
		t.Errorf("ReadAt of nothing: %d, %v", n, err)
	}
	if n, err := w.WriteAt(nil, 0); n != 0 || err != nil {
		t.Errorf("WriteAt of nothing: %d, %v", n, err)
	}
	if err := w.Erase(0, 0); err != nil {
		t.Errorf("Erase of nothing: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, nvm.ErrClosed) {
		t.Errorf("Sync: %v", err)
	}
	if _, err := w.IsBad(0); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("IsBad: %v", err)
	}
	if err := w.MarkBad(0); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("MarkBad: %v", err)
	}
	if _, err := nvm.NewWindow(nil, nvm.Span{Len: 1}); !errors.Is(err, nvm.ErrClosed) {
		t.Errorf("NewWindow without a memory: %v", err)
	}
	if err := (nvm.Geometry{Size: 10}).CheckProgram(0, 1); !errors.Is(err, nvm.ErrAlign) {
		t.Errorf("CheckProgram of an invalid geometry: %v", err)
	}
	g := nvm.Geometry{Size: 8, EraseSize: 8, ProgramSize: 1, Erased: 0x55}
	if err := g.Validate(); !errors.Is(err, nvm.ErrGeometry) {
		t.Errorf("a part that clears bits and erases to 0x55: %v", err)
	}
}

// short is a memory that programs nothing and says so without an error.
type short struct{ nvm.NVM }

func (short) Geometry() nvm.Geometry             { return nvm.Geometry{Size: 8, EraseSize: 8, ProgramSize: 1} }
func (short) WriteAt([]byte, int64) (int, error) { return 0, nil }

func TestProgramAllEnds(t *testing.T) {
	if n, err := nvm.ProgramAll(short{}, make([]byte, 4), 0); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%d, %v", n, err)
	}
}
