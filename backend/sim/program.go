package sim

import (
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// WriteAt programs p at off. A range, an alignment, a bad block, or a program
// that the part's class forbids refuses the whole call and changes nothing; n
// counts the pages or units that were done before one failed.
func (f *Flash) WriteAt(p []byte, off int64) (int, error) {
	if f.wraps(p, off) {
		return f.wrapAround(p, off)
	}
	if err := f.part.Geometry.CheckProgram(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	ops := f.programs(p, off)
	if err := f.admit(nvm.Span{Off: off, Len: int64(len(p))}, ops); err != nil {
		return 0, err
	}
	n := 0
	for _, o := range ops {
		if err := f.run(o, f.onProgram); err != nil {
			return n, err
		}
		n += int(o.span.Len)
	}
	return n, nil
}

// programs cuts a write into what the part programs in one go.
func (f *Flash) programs(p []byte, off int64) (ops []*Operation) {
	p = append([]byte(nil), p...)
	f.m.finish(p)
	for len(p) > 0 {
		n := min(int64(len(p)), f.part.step-off%f.part.step)
		ops = append(ops, &Operation{kind: Program, span: nvm.Span{Off: off, Len: n}, want: p[:n:n]})
		p, off = p[n:], off+n
	}
	return ops
}

// admit refuses a call before its first operation if a later one would be
// refused, so that a refused call changes nothing.
func (f *Flash) admit(s nvm.Span, ops []*Operation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alive() {
		return ErrNoPower
	}
	if err := f.m.anyBad(s); err != nil {
		return err
	}
	for _, o := range ops {
		if err := f.m.refusal(o); err != nil {
			return err
		}
	}
	return nil
}

// refusal is why the part does not begin o.
func (m *medium) refusal(o *Operation) error {
	if o.kind == Sync {
		return nil
	}
	if err := m.anyBad(o.span); err != nil {
		return err
	}
	if o.kind == Erase {
		return nil
	}
	if err := m.classRefusal(o.span); err != nil {
		return err
	}
	p := m.part
	if p.NOP > 0 && int(m.count.at(o.span.Off/p.page)) >= p.NOP {
		return fmt.Errorf("%w: page at %#x", ErrPartial, o.span.Off)
	}
	if p.InOrder {
		b := p.Geometry.Block(o.span.Off)
		if (o.span.Off-b.Off)/p.page+1 < m.block(b).top {
			return fmt.Errorf("%w: page at %#x", ErrOrder, o.span.Off)
		}
	}
	return nil
}

// classRefusal is nvm.ErrProgrammed where the class or Faults.Over forbids a
// second program.
func (m *medium) classRefusal(s nvm.Span) error {
	p := m.part
	again := false
	switch {
	case p.Geometry.Program == nvm.OncePage:
		ps := p.Geometry.ProgramSize
		for at := s.Off; at < s.End() && !again; at += ps {
			again = m.used.at(at/ps) != 0
		}
	case p.Faults.Over == OverRefuse:
		again = !zero(m.load(s).cell)
	}
	if again {
		return fmt.Errorf("%w: %v", nvm.ErrProgrammed, s)
	}
	return nil
}

// wraps tells whether p runs over the end of its page on a part that lets it
// (F3). The contract of nvm.NVM asks for nvm.ErrAlign; the fault shows what a
// bare chip does behind a driver that does not check.
func (f *Flash) wraps(p []byte, off int64) bool {
	g := f.part.Geometry
	return f.part.Faults.PageWrap && off >= 0 && off < g.Size &&
		int64(len(p)) > g.PageSize-off%g.PageSize
}

// wrapAround programs the page that holds off: bytes behind its end land at its
// start, and of more than a page the last bytes win.
func (f *Flash) wrapAround(p []byte, off int64) (int, error) {
	size := f.part.Geometry.PageSize
	page := make([]byte, size)
	fill(page, f.part.blank)
	for i := range p {
		page[(off+int64(i))%size] = p[i]
	}
	o := f.programs(page, off-off%size)[0]
	if err := f.run(o, f.onProgram); err != nil {
		return 0, err
	}
	return len(p), nil
}

func fill(p []byte, b byte) {
	for i := range p {
		p[i] = b
	}
}
