package mmap

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/nanolock/nanolock/nvm"
	"golang.org/x/sys/unix"
)

// A move puts Len bytes from the memory at from to the mapping at Off.
type move struct {
	nvm.Span
	from int64
}

// Remap returns a fresh read-only mapping of the shadow in which the spans of
// each pair have changed places. Spans are of equal length, multiples of the
// system's page size, and do not overlap each other; errors.ErrUnsupported if they
// do, and if there is no shadow; nvm.ErrRange, nvm.ErrClosed. It costs address
// space, no memory, until m is garbage.
func (m *Memory) Remap(swap [][2]nvm.Span) ([]byte, error) {
	m.life.RLock()
	defer m.life.RUnlock()
	switch {
	case m.res == nil || m.res.file < 0:
		return nil, nvm.ErrClosed
	case m.direct:
		return nil, fmt.Errorf("%w: no shadow to map again", errors.ErrUnsupported)
	}
	moves, err := plan(swap, m.geo.Size, int64(unix.Getpagesize()))
	if err != nil {
		return nil, err
	}
	b, err := mmap(m.res.memfd, m.geo.Size, unix.PROT_READ)
	if err != nil {
		return nil, m.named("mmap", err)
	}
	for _, v := range moves {
		// Over pages of b alone: the address range is ours.
		_, err := unix.MmapPtr(m.res.memfd, v.from, unsafe.Pointer(&b[v.Off]), uintptr(v.Len),
			unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			return nil, errors.Join(m.named("mmap", err), unmap(whole(b)))
		}
	}
	m.res.keep(b)
	return b, nil
}

// plan turns pairs into moves, in order, and refuses what pages cannot do.
func plan(swap [][2]nvm.Span, size, page int64) ([]move, error) {
	var moves []move
	for _, p := range swap {
		for i, s := range p {
			if !s.In(size) {
				return nil, fmt.Errorf("%v: %w", s, nvm.ErrRange)
			}
			if s.Off%page != 0 || s.Len%page != 0 || s.Len != p[1-i].Len {
				return nil, fmt.Errorf("%w: %v for %v with pages of %d", errors.ErrUnsupported, s, p[1-i], page)
			}
			if s.Len > 0 {
				moves = append(moves, move{s, p[1-i].Off})
			}
		}
	}
	slices.SortFunc(moves, func(a, b move) int { return cmp.Compare(a.Off, b.Off) })
	for i := 1; i < len(moves); i++ {
		if moves[i-1].Overlaps(moves[i].Span) {
			return nil, fmt.Errorf("%w: %v overlaps %v", errors.ErrUnsupported, moves[i-1].Span, moves[i].Span)
		}
	}
	return moves, nil
}
