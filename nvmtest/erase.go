package nvmtest

import (
	"errors"

	"github.com/nanolock/nanolock/nvm"
)

// checkEraseExact erases every run of whole blocks of the pieces and looks at
// every byte that is watched, inside and outside.
func checkEraseExact(e *env) error {
	if err := e.fillAll(100); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for _, piece := range e.pieces() {
		bs := e.blocks(piece, smallBlocks)
		for i, first := range bs {
			for _, last := range bs[i:] {
				s := nvm.Span{Off: first.Off, Len: last.End() - first.Off}
				if err := e.eraseOnce(im, s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// eraseOnce erases s, compares, and fills s again.
func (e *env) eraseOnce(im *image, s nvm.Span) error {
	if err := e.erase(s); err != nil {
		return err
	}
	im.blank(s)
	if err := im.differ(sErase, "after Erase(%v)", s); err != nil {
		return err
	}
	p := e.pattern(s.Off, s.Len, 100)
	if err := e.programAll(p, s.Off); err != nil {
		return err
	}
	im.put(p, s.Off)
	return nil
}

// checkRandom does what nobody thought of, with a fixed seed, and compares with
// a model made of nothing but the contract.
func checkRandom(e *env) error {
	pieces := e.pieces()
	if err := e.fillAll(110); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	for step := range 400 {
		if err := e.randomStep(im, pieces[e.rng.IntN(len(pieces))]); err != nil {
			return err
		}
		if step%40 == 39 {
			if err := im.differ(sProgram, "after %d random operations", step+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// randomStep does one operation in piece, right or wrong.
func (e *env) randomStep(im *image, piece nvm.Span) error {
	bs := e.blocks(piece, smallBlocks)
	b := bs[e.rng.IntN(len(bs))]
	if e.rng.IntN(4) == 0 {
		s := b
		if e.rng.IntN(3) == 0 {
			s = nvm.Span{Off: b.Off + e.rng.Int64N(b.Len), Len: e.rng.Int64N(b.Len)}
			s.Len = min(s.Len, piece.End()-s.Off)
		}
		want := e.geo.CheckErase(s.Off, s.Len)
		if err := e.mem.Erase(s.Off, s.Len); !errors.Is(err, want) {
			return broke(sErase, "Erase(%v) = %v, want %v", s, err, want)
		}
		if want == nil {
			im.blank(s)
		}
		return nil
	}
	n := e.rng.Int64N(min(b.Len, 4*e.unit()+64) + 1)
	off := b.Off + e.rng.Int64N(b.Len-n+1)
	if e.rng.IntN(3) > 0 { // mostly aligned
		off -= off % e.unit()
		n -= n % e.unit()
	}
	return e.randomProgram(im, e.pattern(off, n, e.rng.Uint64()), off)
}

func (e *env) randomProgram(im *image, p []byte, off int64) error {
	want := e.geo.CheckProgram(off, int64(len(p)))
	old := im.bytes(nvm.Span{Off: off, Len: int64(len(p))})
	n, err := e.mem.WriteAt(p, off)
	once := e.geo.Program == nvm.OncePage
	if want == nil && once && errors.Is(err, nvm.ErrProgrammed) {
		if n < 0 || n > len(p) || e.allErased(old) {
			return broke(sOnce, "WriteAt(%d bytes, %#x) over erased units = %d, %v", len(p), off, n, err)
		}
		im.put(p[:n], off)
		return nil
	}
	if !errors.Is(err, want) {
		return broke(sAlign, "WriteAt(%d bytes, %#x) = %d, %v; want %v", len(p), off, n, err, want)
	}
	if want != nil {
		return refused(sAlign, n, err, want, "WriteAt(%d bytes, %#x)", len(p), off)
	}
	if n != len(p) {
		return broke(sWriteAt, "WriteAt(%d bytes, %#x) = %d, nil", len(p), off, n)
	}
	im.put(e.combine(old, p), off)
	return nil
}

func (e *env) allErased(p []byte) bool {
	for _, b := range p {
		if b != e.geo.Erased {
			return false
		}
	}
	return true
}

// combine is what a program of p over old leaves.
func (e *env) combine(old, p []byte) []byte {
	out := make([]byte, len(p))
	for i := range p {
		switch {
		case e.geo.Program != nvm.ClearBits:
			out[i] = p[i]
		case e.geo.Erased == 0:
			out[i] = old[i] | p[i]
		default:
			out[i] = old[i] & p[i]
		}
	}
	return out
}

// bytes is what the image holds at s, which is inside a piece.
func (im *image) bytes(s nvm.Span) []byte {
	for _, pt := range im.parts {
		if pt.at.Contains(s) {
			i := s.Off - pt.at.Off
			return append([]byte(nil), pt.b[i:i+s.Len]...)
		}
	}
	return make([]byte, s.Len)
}
