package nvm_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// A ram is a Rewrite memory of two erase areas that can mark blocks.
type ram struct {
	mu  sync.RWMutex
	geo nvm.Geometry
	b   []byte
	bad map[int64]bool
}

func newRAM() *ram {
	g := nvm.Geometry{Size: 40 << 10, EraseSize: 1 << 10, ProgramSize: 4, PageSize: 256, Program: nvm.Rewrite, Erased: 0xEE, BadBlocks: true,
		Blocks: []nvm.EraseArea{{Len: 8 << 10, EraseSize: 1 << 10}, {Len: 32 << 10, EraseSize: 4 << 10}}}
	return &ram{geo: g, b: make([]byte, g.Size), bad: map[int64]bool{}}
}

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	if err := r.geo.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return copy(p, r.b[off:]), nil
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	if err := r.geo.CheckProgram(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad[r.geo.Block(off).Off] {
		return 0, nvm.ErrBadBlock
	}
	return copy(r.b[off:], p), nil
}

func (r *ram) Erase(off, n int64) error {
	if err := r.geo.CheckErase(off, n); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for b := range r.bad {
		if r.geo.Block(b).Overlaps(nvm.Span{Off: off, Len: n}) {
			return nvm.ErrBadBlock
		}
	}
	copy(r.b[off:off+n], bytes.Repeat([]byte{r.geo.Erased}, int(n)))
	return nil
}

func (r *ram) Sync() error            { return nil }
func (r *ram) Geometry() nvm.Geometry { return r.geo }

func (r *ram) IsBad(off int64) (bool, error) {
	if off < 0 || off >= r.geo.Size {
		return false, nvm.ErrRange
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bad[r.geo.Block(off).Off], nil
}

func (r *ram) MarkBad(off int64) error {
	if off < 0 || off >= r.geo.Size {
		return nvm.ErrRange
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad[r.geo.Block(off).Off] = true
	return nil
}

// windows of a ram: all, one block, across the areas' border, at the end.
var windows = []nvm.Span{{Off: 0, Len: 40 << 10}, {Off: 1 << 10, Len: 1 << 10}, {Off: 6 << 10, Len: 10 << 10}, {Off: 36 << 10, Len: 4 << 10}}

// TestWindow: a window is a memory, and what is outside stays as it is.
func TestWindow(t *testing.T) {
	for _, s := range windows {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			var made []*ram
			nvmtest.Test(t, nvmtest.Config{MarkBad: true, New: func(tb testing.TB) nvm.NVM {
				r := newRAM()
				made = append(made, r)
				w, err := nvm.NewWindow(r, s)
				if err != nil {
					tb.Fatal(err)
				}
				return w
			}})
			for _, r := range made {
				for i, b := range r.b {
					if b != 0 && !s.Contains(nvm.Span{Off: int64(i), Len: 1}) {
						t.Fatalf("the byte at %#x outside the window became %#02x", i, b)
					}
				}
			}
		})
	}
}

func TestWindowGeometry(t *testing.T) {
	w, err := nvm.NewWindow(newRAM(), windows[2])
	if err != nil {
		t.Fatal(err)
	}
	want := newRAM().geo
	want.Size, want.Blocks = 10<<10, []nvm.EraseArea{{Len: 2 << 10, EraseSize: 1 << 10}, {Len: 8 << 10, EraseSize: 4 << 10}}
	if g := w.Geometry(); !reflect.DeepEqual(g, want) || g.Validate() != nil {
		t.Errorf("%+v", g)
	}
	if _, ok := nvm.NVM(w).(nvm.Mapper); ok {
		t.Error("a window hands out a mapping")
	}
	// A window in a window is the sum of their offsets.
	inner, err := nvm.NewWindow(w, nvm.Span{Off: 2 << 10, Len: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inner.WriteAt([]byte("here"), 4); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	if _, err := w.ReadAt(p, 2<<10+4); err != nil || string(p) != "here" {
		t.Errorf("%q, %v", p, err)
	}
}

func TestWindowRefuses(t *testing.T) {
	r := newRAM()
	for _, c := range []struct {
		s    nvm.Span
		want error
	}{
		{nvm.Span{}, nvm.ErrRange}, {nvm.Span{Off: 40 << 10}, nvm.ErrRange},
		{nvm.Span{Off: 0, Len: 41 << 10}, nvm.ErrRange}, {nvm.Span{Off: -1024, Len: 1024}, nvm.ErrRange},
		{nvm.Span{Off: 0, Len: 100}, nvm.ErrAlign}, {nvm.Span{Off: 9 << 10, Len: 4 << 10}, nvm.ErrAlign},
	} {
		if w, err := nvm.NewWindow(r, c.s); w != nil || !errors.Is(err, c.want) {
			t.Errorf("NewWindow(%v) = %v, %v", c.s, w, err)
		}
	}
	r.geo = nvm.Geometry{}
	if _, err := nvm.NewWindow(r, nvm.Span{Off: 0, Len: 1024}); !errors.Is(err, nvm.ErrGeometry) {
		t.Errorf("of an impossible memory: %v", err)
	}
}

// TestWindowBadBlocks: over a memory that knows none.
func TestWindowBadBlocks(t *testing.T) {
	r := newRAM()
	r.geo.BadBlocks = false
	w, err := nvm.NewWindow(struct{ nvm.NVM }{r}, windows[1])
	if err != nil {
		t.Fatal(err)
	}
	if bad, err := w.IsBad(0); bad || err != nil {
		t.Errorf("IsBad = %v, %v", bad, err)
	}
	if err := w.MarkBad(0); !errors.Is(err, nvm.ErrBadBlock) {
		t.Errorf("MarkBad = %v", err)
	}
}

// TestProgramAll: in pages, and no further than the first fault.
func TestProgramAll(t *testing.T) {
	p := bytes.Repeat([]byte{7}, 1000)
	r := newRAM()
	f := nvmtest.Faulty(r, nil)
	if n, err := nvm.ProgramAll(f, p, 100); n != 1000 || err != nil || f.Operations() != 5 {
		t.Errorf("%d, %v in %d programs", n, err, f.Operations())
	}
	if !bytes.Equal(r.b[100:1100], p) || r.b[99] != 0 || r.b[1100] != 0 {
		t.Error("it programmed something else")
	}
	f = nvmtest.Faulty(newRAM(), nvmtest.Short(8, nvmtest.OnIndex(2)))
	if n, err := nvm.ProgramAll(f, p, 100); n != 156+256+8 || !errors.Is(err, nvmtest.ErrInjected) {
		t.Errorf("with a fault: %d, %v", n, err)
	}
	r.geo.PageSize = 0
	f = nvmtest.Faulty(r, nil)
	if n, err := nvm.ProgramAll(f, p, 100); n != 1000 || err != nil || f.Operations() != 1 {
		t.Errorf("without pages: %d, %v in %d programs", n, err, f.Operations())
	}
	if n, err := nvm.ProgramAll(f, p, -100); n != 0 || !errors.Is(err, nvm.ErrRange) {
		t.Errorf("outside: %d, %v", n, err)
	}
}
