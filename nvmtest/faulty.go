package nvmtest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
)

// FaultyNVM is a memory that fails when its [Injector] says so. It shows no
// ability of the memory behind it but bad blocks: losing a mapping costs speed,
// losing sight of bad blocks would break the contract.
type FaultyNVM struct {
	mem  nvm.NVM
	inj  Injector
	ops  atomic.Int64
	hits atomic.Int64
}

var (
	_ nvm.NVM        = (*FaultyNVM)(nil)
	_ nvm.BadBlocker = (*FaultyNVM)(nil)
)

// Faulty puts inj in front of mem; a nil inj never fails. An operation that
// fails without a [*Partial] changes nothing. What the contract refuses (range,
// alignment) is refused by mem and is no fault, but counts.
func Faulty(mem nvm.NVM, inj Injector) *FaultyNVM {
	if inj == nil {
		inj = Any()
	}
	return &FaultyNVM{mem: mem, inj: inj}
}

// Operations tells how many operations came in.
func (f *FaultyNVM) Operations() int64 { return f.ops.Load() }

// Faults tells how many of them failed by injection. A loop over OnIndex(0),
// OnIndex(1), … has tried every operation of a workload once Faults is 0.
func (f *FaultyNVM) Faults() int64 { return f.hits.Load() }

// fault asks the injector. part is how many bytes are to be done nevertheless.
func (f *FaultyNVM) fault(op Op, s nvm.Span) (part int64, err error) {
	err = f.inj.Fault(Operation{f.ops.Add(1) - 1, op, s})
	if err == nil {
		return 0, nil
	}
	f.hits.Add(1)
	var p *Partial
	if errors.As(err, &p) {
		part = max(0, min(p.N, s.Len-1))
	}
	return part, err
}

// ReadAt reads, or fails.
func (f *FaultyNVM) ReadAt(p []byte, off int64) (int, error) {
	part, err := f.fault(Read, nvm.Span{Off: off, Len: int64(len(p))})
	if err == nil {
		return f.mem.ReadAt(p, off)
	}
	if part <= 0 {
		return 0, err
	}
	n, rerr := f.mem.ReadAt(p[:part], off)
	return n, errors.Join(err, rerr)
}

// WriteAt programs, or fails.
func (f *FaultyNVM) WriteAt(p []byte, off int64) (int, error) {
	part, err := f.fault(Write, nvm.Span{Off: off, Len: int64(len(p))})
	if err == nil {
		return f.mem.WriteAt(p, off)
	}
	if part -= part % f.mem.Geometry().ProgramSize; part <= 0 {
		return 0, err
	}
	n, werr := f.mem.WriteAt(p[:part], off)
	return n, errors.Join(err, werr)
}

// Erase erases, or fails.
func (f *FaultyNVM) Erase(off, n int64) error {
	part, err := f.fault(Erase, nvm.Span{Off: off, Len: n})
	if err == nil {
		return f.mem.Erase(off, n)
	}
	g := f.mem.Geometry()
	if s := g.Inward(nvm.Span{Off: off, Len: part}); part > 0 && s.Off == off && s.Len > 0 {
		return errors.Join(err, f.mem.Erase(s.Off, s.Len))
	}
	return err
}

// Sync is the memory's barrier, or fails without being one.
func (f *FaultyNVM) Sync() error {
	if _, err := f.fault(Sync, nvm.Span{}); err != nil {
		return err
	}
	return f.mem.Sync()
}

// Geometry is that of the memory.
func (f *FaultyNVM) Geometry() nvm.Geometry { return f.mem.Geometry() }

// IsBad asks the memory, and is no operation; false if it knows no bad blocks.
func (f *FaultyNVM) IsBad(off int64) (bool, error) {
	if b, ok := f.mem.(nvm.BadBlocker); ok {
		return b.IsBad(off)
	}
	return false, nil
}

// MarkBad marks the block in the memory, and is no operation; ErrBadBlock if it
// knows no bad blocks.
func (f *FaultyNVM) MarkBad(off int64) error {
	if b, ok := f.mem.(nvm.BadBlocker); ok {
		return b.MarkBad(off)
	}
	return fmt.Errorf("%w: the memory cannot mark blocks", nvm.ErrBadBlock)
}
