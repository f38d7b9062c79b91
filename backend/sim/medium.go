package sim

import (
	"math/bits"

	"github.com/nanolock/nanolock/nvm"
)

// medium is the physical state of a part. Bits are held relative to the erased
// value: 0 is erased, 1 is programmed, whatever Geometry.Erased is.
//
// What a bit reads as: weak bits read as their World says, others as cell; then
// flip inverts and stuck sets. cell is also what a unit's ECC was computed over,
// so that ECC sees each difference as a wrong bit.
type medium struct {
	part   *part
	cell   plane       // last settled content
	weak   plane       // bits that read differently from one time to the next
	flip   plane       // bits changed by retention, read disturb or Flash.FlipBit
	stuck  plane       // bits that an erase no longer erases
	used   plane       // per program unit: programmed since the erase (OncePage)
	count  plane       // per page: programs since the erase, up to 255
	poison plane       // per ECC unit: no code word
	blocks tree[block] // by offset in units of Geometry.EraseSize
}

// block is what is kept per erase block.
type block struct {
	wear  uint32 // erases
	reads uint32 // since the erase; counted only under Faults.Disturb
	top   int64  // pages [0, top) are behind the last program (InOrder)
	grown bool   // bad since the factory
}

func newMedium(p *part) medium {
	size := p.Geometry.Size
	bytes := func() plane { return newPlane(size) }
	return medium{
		part: p, cell: bytes(), weak: bytes(), flip: bytes(), stuck: bytes(),
		used: newPlane(size/p.Geometry.ProgramSize + 1), count: newPlane(size/p.page + 1),
		poison: newPlane(size/max(1, p.ECC.Unit) + 1),
		blocks: newTree[block](size / p.Geometry.EraseSize),
	}
}

func (m *medium) clone() medium {
	a, b := new(owner), new(owner)
	return medium{
		part: m.part, cell: m.cell.clone(a, b), weak: m.weak.clone(a, b), flip: m.flip.clone(a, b),
		stuck: m.stuck.clone(a, b), used: m.used.clone(a, b), count: m.count.clone(a, b),
		poison: m.poison.clone(a, b), blocks: m.blocks.clone(a, b),
	}
}

// block returns the state of the erase block b for reading.
func (m *medium) block(b nvm.Span) block {
	if p := m.blocks.get(b.Off / m.part.Geometry.EraseSize); p != nil {
		return *p
	}
	return block{}
}

func (m *medium) mutBlock(b nvm.Span) *block {
	return m.blocks.mut(b.Off / m.part.Geometry.EraseSize)
}

// window is the content of a span, taken out to be changed and put back.
type window struct {
	span             nvm.Span
	cell, weak, flip []byte
}

func newWindow(s nvm.Span) window {
	buf := make([]byte, 3*s.Len)
	return window{s, buf[:s.Len], buf[s.Len : 2*s.Len], buf[2*s.Len:]}
}

func (m *medium) load(s nvm.Span) window {
	w := newWindow(s)
	m.cell.read(w.cell, s.Off)
	m.weak.read(w.weak, s.Off)
	m.flip.read(w.flip, s.Off)
	return w
}

func (m *medium) store(w window) {
	m.cell.set(w.span.Off, w.cell)
	m.weak.set(w.span.Off, w.weak)
	m.flip.set(w.span.Off, w.flip)
}

// settle brings the bits of mask in byte i to want, for good. On flash only
// programmed bits of want act: that is F1.
func (w *window) settle(class nvm.Program, i int, want, mask byte) {
	if class != nvm.Rewrite {
		mask &= want
	}
	w.cell[i] = w.cell[i]&^mask | want&mask
	w.weak[i] &^= mask
	w.flip[i] &^= mask
}

// inflight returns the bits of byte i that programming want has to move: those
// a cut can leave anywhere.
func (w *window) inflight(class nvm.Program, i int, want byte) byte {
	loose := w.weak[i] | w.flip[i]
	if class == nvm.Rewrite {
		return w.cell[i] ^ want | loose
	}
	return want & (^w.cell[i] | loose)
}

// program settles the bits of want under mask (nil = all) and returns how many
// bits want asked to set back to erased, which flash cannot.
func (m *medium) program(s nvm.Span, want, mask []byte, draw stream) (refused uint64) {
	g, w := m.part.Geometry, m.load(s)
	again, loose := !zero(w.cell), !zero(w.weak)
	for i := range want {
		k := byte(0xFF)
		if mask != nil {
			k = mask[i]
		}
		if g.Program != nvm.Rewrite {
			refused += uint64(bits.OnesCount8(w.cell[i] &^ want[i] & k))
		}
		w.settle(g.Program, i, want[i], k)
	}
	if loose {
		m.unreliable(&w, want, draw)
	}
	m.store(w)
	m.over(s, again, draw)
	m.mark(s)
	return refused
}

// unreliable is F10's second half: what is programmed where an erase or a
// program was cut short may not hold.
func (m *medium) unreliable(w *window, want []byte, draw stream) {
	if m.part.Faults.WeakPPM == 0 {
		return
	}
	for i, b := range want {
		for ; b != 0; b &= b - 1 {
			if draw.ppm(m.part.Faults.WeakPPM) {
				w.weak[i] |= b & -b
			}
		}
	}
}

// over is F2: what a program of a page that is not erased does beyond adding
// bits.
func (m *medium) over(s nvm.Span, again bool, draw stream) {
	x := &m.part.Faults
	if again && x.Over == OverPoison {
		m.eachUnit(s, func(u nvm.Span) { m.poison.put(u.Off/u.Len, 1) })
	}
	page := m.pageOf(s.Off)
	tired := x.MaxPrograms > 0 && int(m.count.at(page.Off/m.part.page)) >= x.MaxPrograms
	if again && x.Over == OverCorrupt || tired {
		m.loosen(page, 2, draw)
	}
}

// loosen makes a bit in a hundred times percent of s unstable.
func (m *medium) loosen(s nvm.Span, percent uint32, draw stream) {
	w := m.load(s)
	for n := max(1, s.Len*8*int64(percent)/100); n > 0; n-- {
		bit := draw.below(s.Len * 8)
		w.weak[bit/8] |= 1 << (bit % 8)
	}
	m.store(w)
}

// mark notes that s was programmed, wholly or torn.
func (m *medium) mark(s nvm.Span) {
	p := m.part
	if p.Geometry.Program == nvm.OncePage {
		ps := p.Geometry.ProgramSize
		for at := s.Off; at < s.End(); at += ps {
			m.used.put(at/ps, 1)
		}
	}
	if p.NOP > 0 || p.Faults.MaxPrograms > 0 {
		if n := m.count.at(s.Off / p.page); n < 255 {
			m.count.put(s.Off/p.page, n+1)
		}
	}
	if p.InOrder {
		b := p.Geometry.Block(s.Off)
		k := m.mutBlock(b)
		k.top = max(k.top, (s.Off-b.Off)/p.page+1)
	}
	if p.Geometry.Program == nvm.Rewrite {
		m.eachUnit(s, func(u nvm.Span) { m.poison.wipe(u.Off/u.Len, 1) })
	}
}

// pageOf is the page that holds off, as NOP and F2 count.
func (m *medium) pageOf(off int64) nvm.Span {
	at := off - off%m.part.page
	return nvm.Span{Off: at, Len: min(m.part.page, m.part.Geometry.Size-at)}
}

// eachUnit calls f for the ECC units that s touches; none without ECC.
func (m *medium) eachUnit(s nvm.Span, f func(nvm.Span)) {
	u := m.part.ECC.Unit
	if u == 0 {
		return
	}
	for at := s.Off - s.Off%u; at < s.End(); at += u {
		f(nvm.Span{Off: at, Len: u})
	}
}

// erase erases the block b and reports whether it left bits behind (F13).
func (m *medium) erase(b nvm.Span) (worn bool) {
	m.blank(b)
	k := m.age(b)
	k.reads, k.top = 0, 0
	return m.wearOut(b, k.wear)
}

// age counts an erase of b.
func (m *medium) age(b nvm.Span) *block {
	k := m.mutBlock(b)
	if k.wear != ^uint32(0) {
		k.wear++
	}
	return k
}

// blank makes s read erased and forget that it was programmed.
func (m *medium) blank(s nvm.Span) {
	p := m.part
	for _, pl := range []*plane{&m.cell, &m.weak, &m.flip} {
		pl.wipe(s.Off, s.Len)
	}
	m.used.wipe(s.Off/p.Geometry.ProgramSize, s.Len/p.Geometry.ProgramSize)
	m.count.wipe(s.Off/p.page, max(1, s.Len/p.page))
	if p.ECC.Unit > 0 {
		m.poison.wipe(s.Off/p.ECC.Unit, s.Len/p.ECC.Unit)
	}
}
