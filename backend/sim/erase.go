package sim

import "github.com/nanolock/nanolock/nvm"

// Erase erases [off, off+n), block by block. A range, an alignment or a bad
// block refuses the whole call and changes nothing.
func (f *Flash) Erase(off, n int64) error {
	if err := f.part.Geometry.CheckErase(off, n); err != nil || n == 0 {
		return err
	}
	s := nvm.Span{Off: off, Len: n}
	if err := f.admit(s, nil); err != nil {
		return err
	}
	var err error
	f.part.blocks(s, func(b nvm.Span) bool {
		err = f.run(&Operation{kind: Erase, span: b}, f.onErase)
		return err == nil
	})
	return err
}
