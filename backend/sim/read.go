package sim

import (
	"crypto/subtle"
	"math/bits"

	"github.com/nanolock/nanolock/nvm"
)

// World says how unstable bits read. A program checked in every world is
// checked against all that such bits can do.
type World uint8

// Worlds.
const (
	AllProgrammed World = iota // as if the cut operation had got that far
	AllErased                  // as if it had not
	RandomRead                 // anew for each read
	RandomBoot                 // the same until the power goes, then anew
)

// Worlds lists every World, for loops.
func Worlds() []World { return []World{AllProgrammed, AllErased, RandomRead, RandomBoot} }

// String names the world as test ids do.
func (w World) String() string {
	names := [...]string{"P", "E", "R", "B"}
	if int(w) < len(names) {
		return names[w]
	}
	return "?"
}

// eye is how one read sees unstable bits.
type eye struct {
	world World
	seed  uint64 // of this read or this boot
}

// weak returns the value of unstable bits in the byte at off.
func (e eye) weak(off int64) byte {
	switch e.world {
	case AllProgrammed:
		return 0xFF
	case AllErased:
		return 0
	}
	return byte(mix(e.seed, forWorld, uint64(off)))
}

// raw fills dst with the bits at off as the sense amplifiers give them.
func (m *medium) raw(dst []byte, off int64, e eye) {
	m.cell.read(dst, off)
	if m.weak.empty() && m.flip.empty() && m.stuck.empty() {
		return
	}
	for len(dst) > 0 {
		at, lo := off/chunkSize, off%chunkSize
		n := min(int64(len(dst)), chunkSize-lo)
		if weak := m.weak.get(at); weak != nil {
			for i, w := range weak[lo : lo+n] {
				if w != 0 {
					dst[i] = dst[i]&^w | e.weak(off+int64(i))&w
				}
			}
		}
		if flip := m.flip.get(at); flip != nil {
			subtle.XORBytes(dst[:n], dst[:n], flip[lo:lo+n])
		}
		if stuck := m.stuck.get(at); stuck != nil {
			for i, s := range stuck[lo : lo+n] {
				dst[i] |= s
			}
		}
		dst, off = dst[n:], off+n
	}
}

// sound tells whether ECC has nothing to do anywhere.
func (m *medium) sound() bool {
	return m.part.ECC.Unit == 0 ||
		m.weak.empty() && m.flip.empty() && m.stuck.empty() && m.poison.empty()
}

// read fills dst with what the part delivers: corrected is the number of bits
// that ECC mended. On an ECCError n bytes in front of the unit are good.
func (m *medium) read(dst []byte, off int64, e eye) (n, corrected int, err error) {
	s := nvm.Span{Off: off, Len: int64(len(dst))}
	if m.sound() {
		m.raw(dst, off, e)
	} else if n, corrected, err = m.readUnits(dst, s, e); err != nil {
		return n, corrected, err
	}
	m.finish(dst)
	return len(dst), corrected, nil
}

func (m *medium) readUnits(dst []byte, s nvm.Span, e eye) (n, corrected int, err error) {
	var unit []byte
	size := m.part.ECC.Unit
	for at := s.Off - s.Off%size; at < s.End(); at += size {
		u := nvm.Span{Off: at, Len: size}
		in := u.Intersect(s)
		if m.sane(u) {
			m.cell.read(dst[n:n+int(in.Len)], in.Off)
			n += int(in.Len)
			continue
		}
		if unit == nil {
			unit = make([]byte, size)
		}
		k, err := m.decode(unit, u, e)
		if err != nil {
			m.finish(dst[:n])
			return n, corrected, err
		}
		corrected += k
		copy(dst[n:], unit[in.Off-u.Off:][:in.Len])
		n += int(in.Len)
	}
	return n, corrected, nil
}

// sane tells whether the unit u reads as it was written, so that ECC has nothing
// to do.
func (m *medium) sane(u nvm.Span) bool {
	return m.poison.at(u.Off/u.Len) == 0 && m.weak.zero(u.Off, u.Len) &&
		m.flip.zero(u.Off, u.Len) && m.stuck.zero(u.Off, u.Len)
}

// finish turns bits relative to erased into bytes.
func (m *medium) finish(p []byte) {
	for m.part.blank != 0 && len(p) > 0 {
		p = p[subtle.XORBytes(p, p, m.part.blanks[:]):]
	}
}

// decode is the ECC: dst is the unit u as stored, with the number of bits that
// differed when it was read.
func (m *medium) decode(dst []byte, u nvm.Span, e eye) (int, error) {
	if m.poison.at(u.Off/u.Len) != 0 {
		return 0, &ECCError{Span: u}
	}
	m.raw(dst, u.Off, e)
	want := make([]byte, u.Len)
	if m.flip.read(want, u.Off); zero(dst) && zero(want) {
		// Erased, and not by chance: all bits of the unit, those of its ECC among
		// them, read so. All erased is a code word of its own.
		return 0, nil
	}
	m.cell.read(want, u.Off)
	wrong := 0
	for i := range want {
		wrong += bits.OnesCount8(want[i] ^ dst[i])
	}
	if wrong > m.part.ECC.Correct {
		return 0, &ECCError{u, wrong}
	}
	copy(dst, want)
	return wrong, nil
}
