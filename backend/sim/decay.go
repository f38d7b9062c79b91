package sim

import (
	"math"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

// limit is the number of erases that the block b survives (F13).
func (p *part) limit(b nvm.Span) float64 {
	s := stream{seed: mix(p.Seed, forWear, uint64(b.Off))}
	return max(1, float64(p.Geometry.Endurance)*math.Exp(p.Faults.Wear.Sigma*s.normal()))
}

// wearOut makes bits of a worn block stick: one when it is past its limit, one
// more for every percent beyond, at places that do not change.
func (m *medium) wearOut(b nvm.Span, wear uint32) (worn bool) {
	if !m.part.Faults.Wear.On {
		return false
	}
	limit := m.part.limit(b)
	beyond := float64(wear) - limit
	if beyond <= 0 {
		return false
	}
	s := stream{seed: mix(m.part.Seed, forStuck, uint64(b.Off))}
	for range int64(min(float64(b.Len*8), 1+100*beyond/limit)) {
		bit := s.below(b.Len * 8)
		at := b.Off + bit/8
		m.stuck.put(at, m.stuck.at(at)|1<<(bit%8))
	}
	return true
}

// disturb counts a read of s and, past the limit, may flip an erased bit in
// another page of the block (F14).
func (m *medium) disturb(s nvm.Span, draw stream) {
	d := m.part.Faults.Disturb
	if d.Limit == 0 {
		return
	}
	m.part.blocks(s, func(b nvm.Span) bool {
		k := m.mutBlock(b)
		if k.reads != ^uint32(0) {
			k.reads++
		}
		if k.reads > d.Limit && draw.ppm(d.PPM) {
			m.disturbOne(b, s.Intersect(b), draw)
		}
		return true
	})
}

func (m *medium) disturbOne(b, read nvm.Span, draw stream) {
	at := b.Off + draw.below(b.Len)
	first, last := m.pageOf(read.Off), m.pageOf(read.End()-1)
	if at >= first.Off && at < last.End() {
		return // the page that was read is not stressed, its neighbours are
	}
	if bit := byte(1) << draw.below(8); m.cell.at(at)&bit == 0 {
		m.flip.put(at, m.flip.at(at)|bit)
	}
}

// decay lets d pass: programmed bits lose their charge at the rate of
// Faults.Retention, faster in worn blocks (F15).
func (m *medium) decay(d time.Duration, draw stream) {
	rate := m.part.Faults.Retention * d.Hours()
	if rate <= 0 {
		return
	}
	m.cell.each(func(i int64, c *chunk) {
		n := ones(c[:])
		if n == 0 {
			return
		}
		k := poisson(float64(n)*rate*m.tired(i*chunkSize), &draw)
		for ; k > 0; k-- {
			m.leak(i*chunkSize, c, &draw)
		}
	})
}

// tired is how much faster a block of that wear leaks: twice as fast at the end
// of its endurance.
func (m *medium) tired(off int64) float64 {
	g := m.part.Geometry
	if g.Endurance == 0 {
		return 1
	}
	return 1 + float64(m.block(g.Block(min(off, g.Size-1))).wear)/float64(g.Endurance)
}

// leak flips one programmed bit of the chunk at base.
func (m *medium) leak(base int64, c *chunk, draw *stream) {
	for range 4 * chunkSize * 8 { // enough to meet the only programmed bit, and bounded
		bit := draw.below(chunkSize * 8)
		if mask := byte(1) << (bit % 8); c[bit/8]&mask != 0 {
			at := base + bit/8
			m.flip.put(at, m.flip.at(at)|mask)
			return
		}
	}
}

// poisson draws how many of many rare events happen.
func poisson(mean float64, draw *stream) int {
	if mean > 30 {
		return int(max(0, mean+math.Sqrt(mean)*draw.normal()))
	}
	n, p, floor := 0, 1.0, math.Exp(-mean)
	for p *= draw.unit(); p > floor; p *= draw.unit() {
		n++
	}
	return n
}
