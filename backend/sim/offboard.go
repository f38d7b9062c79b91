package sim

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// What someone does who has the part off the board (F26), and what a test does
// to set a stage. None of it takes time, counts, or asks for power.

// Snapshot is the content of a part at one moment. Taking one costs one struct;
// it is not changed by anything that happens later.
type Snapshot struct{ f *Flash }

// Snapshot returns the content as it is now.
func (f *Flash) Snapshot() *Snapshot { return &Snapshot{f.Clone()} }

// Restore puts the content, with its wear and bad blocks, back into the part.
// Time, counts and the boot go on. A snapshot of a part that is neither this one
// nor a clone of it is refused with ErrConfig; between such parts use Peek and
// Poke.
func (f *Flash) Restore(s *Snapshot) error {
	if s == nil || s.f == nil || s.f.part != f.part {
		return refuse("the snapshot is of another part")
	}
	c := s.f.Clone()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m, f.durable, f.pending = c.m, c.durable, c.pending
	return nil
}

// Peek reads settled content: no unstable or flipped bits, no ECC.
func (f *Flash) Peek(p []byte, off int64) error {
	if err := f.part.Geometry.CheckRead(off, int64(len(p))); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m.cell.read(p, off)
	f.m.finish(p)
	return nil
}

// Poke makes [off, off+len(p)) hold p, settled and durable, whatever was there.
// Units of a OncePage part count as programmed unless they are erased now.
func (f *Flash) Poke(p []byte, off int64) error {
	if err := f.part.Geometry.CheckRead(off, int64(len(p))); err != nil || len(p) == 0 {
		return err
	}
	want := slices.Clone(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m.finish(want)
	f.m.poke(want, off)
	if f.part.Cached {
		f.durable.poke(want, off)
	}
	return nil
}

func (m *medium) poke(want []byte, off int64) {
	s := nvm.Span{Off: off, Len: int64(len(want))}
	m.cell.set(off, want)
	m.weak.wipe(off, s.Len)
	m.flip.wipe(off, s.Len)
	m.eachUnit(s, func(u nvm.Span) { m.poison.wipe(u.Off/u.Len, 1) })
	if m.part.Geometry.Program == nvm.OncePage {
		m.part.blocks(s, func(b nvm.Span) bool { m.recount(b); return true })
	}
}

// recount works out from the content of b which units are programmed and which
// pages are behind the last one.
func (m *medium) recount(b nvm.Span) {
	p, k, cell := m.part, m.mutBlock(b), m.load(b).cell
	ps := p.Geometry.ProgramSize
	m.used.wipe(b.Off/ps, b.Len/ps)
	k.top = 0
	for at := int64(0); at < b.Len; at += ps {
		if !zero(cell[at : at+ps]) {
			m.used.put((b.Off+at)/ps, 1)
			k.top = at/p.page + 1
		}
	}
}

// FlipBit inverts bit (0..7) of the byte at off, as a leaked or disturbed cell
// does (F15). A second flip undoes the first, a program or erase of the bit
// settles it.
func (f *Flash) FlipBit(off int64, bit uint) error {
	if bit > 7 {
		return nvm.ErrRange
	}
	return f.spoil(off, func(m *medium) { m.flip.put(off, m.flip.at(off)^1<<bit) })
}

// Loosen makes the bits of mask in the byte at off unstable, as a torn program
// does (F7), for tests that want them at an exact place.
func (f *Flash) Loosen(off int64, mask byte) error {
	return f.spoil(off, func(m *medium) { m.weak.put(off, m.weak.at(off)|mask) })
}

// spoil does damage at off, to the cells and to the cache in front of them alike:
// a cut does not heal it.
func (f *Flash) spoil(off int64, damage func(*medium)) error {
	if err := f.part.Geometry.CheckRead(off, 1); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	damage(&f.m)
	if f.part.Cached {
		damage(&f.durable)
	}
	return nil
}

// Fingerprint is equal for parts that hold the same content and will read and
// refuse the same, so that a test skips states it has seen: content, unstable,
// flipped and stuck bits, what is programmed, bad blocks. Wear, time and counts
// are left out.
func (f *Flash) Fingerprint() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var h uint64
	for i, p := range []*plane{&f.m.cell, &f.m.weak, &f.m.flip, &f.m.stuck, &f.m.used, &f.m.count, &f.m.poison} {
		p.each(func(at int64, c *chunk) {
			if *c != zeros { // else the same as never written
				h = fold(h^uint64(i), uint64(at))
				for k := 0; k < chunkSize; k += 16 {
					h = fold(h^binary.LittleEndian.Uint64(c[k:]), binary.LittleEndian.Uint64(c[k+8:]))
				}
			}
		})
	}
	f.m.blocks.each(func(at int64, b *block) {
		if b.top != 0 || b.grown {
			h = fold(h^uint64(at), mix(uint64(b.top)))
		}
		if b.grown {
			h = fold(h, 1)
		}
	})
	return mix(h)
}

// fold takes a word into a hash, by one multiplication to 128 bits.
func fold(h, word uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9E3779B97F4A7C15, word^0xD1B54A32D192ED03)
	return hi ^ lo
}

// Unstable tells whether the part holds bits that the World decides about. If it
// does not, all worlds read the same.
func (f *Flash) Unstable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.m.weak.zero(0, f.part.Geometry.Size)
}
