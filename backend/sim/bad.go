package sim

import (
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// factoryBad chooses the blocks that are bad from the factory: exactly the
// share asked for, rounded down, never block 0.
func factoryBad(p *part) map[int64]struct{} {
	g := p.Geometry
	n := g.Size / g.EraseSize * int64(p.BadPPM) / 1_000_000
	bad := make(map[int64]struct{}, n)
	s := stream{seed: mix(p.Seed, forBad)}
	for tries := 20 * n; int64(len(bad)) < n && tries > 0; tries-- {
		if b := g.Block(s.below(g.Size)); b.Off != 0 {
			bad[b.Off] = struct{}{}
		}
	}
	return bad
}

func (m *medium) isBad(b nvm.Span) bool {
	if !m.part.Geometry.BadBlocks {
		return false
	}
	_, factory := m.part.factory[b.Off]
	return factory || m.block(b).grown
}

// anyBad is nvm.ErrBadBlock if s touches a bad block.
func (m *medium) anyBad(s nvm.Span) (err error) {
	if !m.part.Geometry.BadBlocks {
		return nil
	}
	m.part.blocks(s, func(b nvm.Span) bool {
		if m.isBad(b) {
			err = fmt.Errorf("%w at %#x", nvm.ErrBadBlock, b.Off)
		}
		return err == nil
	})
	return err
}

// IsBad tells whether the erase block that contains off is bad, from the
// factory or grown (F16). It is always false on a part without bad blocks.
func (f *Flash) IsBad(off int64) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.part.Geometry.Block(off)
	if b.Len == 0 {
		return false, nvm.ErrRange
	}
	if !f.on {
		return false, ErrNoPower
	}
	return f.m.isBad(b), nil
}

// MarkBad marks the erase block that contains off bad, for ever: it survives
// power cuts at once, without Sync.
func (f *Flash) MarkBad(off int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.part.Geometry.Block(off)
	switch {
	case b.Len == 0:
		return nvm.ErrRange
	case !f.on:
		return ErrNoPower
	case !f.part.Geometry.BadBlocks:
		return fmt.Errorf("%w: the part has no marks", nvm.ErrBadBlock)
	}
	f.grow(b)
	return nil
}

// grow marks b in what is readable and in what is durable.
func (f *Flash) grow(b nvm.Span) {
	f.m.mutBlock(b).grown = true
	if f.part.Cached {
		f.durable.mutBlock(b).grown = true
	}
}
