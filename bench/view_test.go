package bench

import (
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// viewer is what a Handle and a bare mapping have in common.
type viewer interface {
	View(off, n int64) ([]byte, error)
}

// bareView slices a mapping after the bounds check that any careful owner of one
// makes.
type bareView struct{ mapping []byte }

func (v *bareView) View(off, n int64) ([]byte, error) {
	s := nvm.Span{Off: off, Len: n}
	if !s.In(int64(len(v.mapping))) {
		return nil, nvm.ErrRange
	}
	return v.mapping[off:s.End():s.End()], nil
}

//go:noinline
func viewAll(v viewer, n int64, offs []int64) error {
	for _, off := range offs {
		if b, err := v.View(off, n); int64(len(b)) != n || err != nil {
			return errShort
		}
	}
	return nil
}

// BenchmarkView gets pages without copying them.
func BenchmarkView(b *testing.B) {
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), regions(geo, 64)
	h, bare := newLock(b, mem, p).Host(), &bareView{mem.Bytes()}
	sizes(b, func(b *testing.B, size int) {
		offs := offsets(hotAccesses, size, spanOf(p, openRegion))
		trial(b, len(offs),
			repeat("bare", func() error { return viewAll(bare, int64(size), offs) }),
			repeat("bare again", func() error { return viewAll(bare, int64(size), offs) }),
			repeat("view", func() error { return viewAll(h, int64(size), offs) }))
	})
}
