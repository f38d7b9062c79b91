package nvmtest

import (
	"math"

	"github.com/nanolock/nanolock/nvm"
)

// checkBadBlocks: blocks that are bad, and with Config.MarkBad one that becomes
// bad, refuse programs and erases, alone and in a run with good ones.
func checkBadBlocks(e *env) error {
	bb, ok := e.mem.(nvm.BadBlocker)
	if !ok || !e.geo.BadBlocks {
		return nil
	}
	for _, off := range []int64{-1, e.geo.Size, math.MaxInt64, math.MinInt64} {
		if _, err := bb.IsBad(off); err == nil {
			return broke(sIsBad, "IsBad(%#x) outside the memory has no error", off)
		}
		if err := bb.MarkBad(off); err == nil {
			return broke(sIsBad, "MarkBad(%#x) outside the memory has no error", off)
		}
	}
	for off, tried := int64(0), 0; off < e.geo.Size && tried < 1<<12; tried++ {
		b := e.geo.Block(off)
		bad, err := bb.IsBad(b.End() - 1)
		if err != nil {
			return broke(sIsBad, "IsBad(%#x): %v", b.End()-1, err)
		}
		if bad && e.asked(b) {
			if err := e.refusesBad(b, nil); err != nil {
				return err
			}
		}
		off = b.End()
	}
	if !e.cfg.MarkBad {
		return nil
	}
	return e.markBad(bb)
}

// asked tells whether b is in what the caller gave as Work.
func (e *env) asked(b nvm.Span) bool {
	if e.cfg.Work == nil {
		return true
	}
	for _, w := range e.cfg.Work {
		if w.Contains(b) {
			return true
		}
	}
	return false
}

// markBad marks the middle one of some blocks.
func (e *env) markBad(bb nvm.BadBlocker) error {
	bs := e.blocks(e.work[0], 3)
	b := bs[len(bs)/2]
	for _, g := range bs {
		if err := e.fill(g, 600); err != nil {
			return err
		}
	}
	if err := bb.MarkBad(b.Off + b.Len/2); err != nil {
		return broke(sForever, "MarkBad(%#x) = %v", b.Off+b.Len/2, err)
	}
	if err := e.stillBad(b); err != nil {
		return err
	}
	if err := e.refusesBad(b, bs); err != nil {
		return err
	}
	if e.cfg.Reopen == nil {
		return nil
	}
	if err := e.mem.Sync(); err != nil {
		return broke(sSync, "Sync() = %v", err)
	}
	if e.mem = e.cfg.Reopen(e.tb, e.mem); e.mem == nil {
		return broke(sForever, "Config.Reopen returned nil")
	}
	return e.stillBad(b)
}

func (e *env) stillBad(b nvm.Span) error {
	bb, ok := e.mem.(nvm.BadBlocker)
	if !ok {
		return broke(sHasBad, "%T is no nvm.BadBlocker", e.mem)
	}
	for _, off := range []int64{b.Off, b.Off + b.Len/2, b.End() - 1} {
		if bad, err := bb.IsBad(off); err != nil || !bad {
			return broke(sForever, "IsBad(%#x) = %v, %v after MarkBad", off, bad, err)
		}
	}
	return nil
}

// refusesBad tries to change the bad block b, and the run of blocks around it,
// whose other blocks hold pattern 600.
func (e *env) refusesBad(b nvm.Span, run []nvm.Span) error {
	p := e.pattern(b.Off, e.unit(), 601)
	n, err := e.mem.WriteAt(p, b.Off+b.Len-e.unit())
	if err := refused(sBad, n, err, nvm.ErrBadBlock, "WriteAt(%d bytes) in the bad block %v", len(p), b); err != nil {
		return err
	}
	if err := refused(sBad, 0, e.mem.Erase(b.Off, b.Len), nvm.ErrBadBlock, "Erase of the bad block %v", b); err != nil {
		return err
	}
	if len(run) < 2 {
		return nil
	}
	all := nvm.Span{Off: run[0].Off, Len: run[len(run)-1].End() - run[0].Off}
	if err := refused(sBad, 0, e.mem.Erase(all.Off, all.Len), nvm.ErrBadBlock, "Erase(%v) with the bad block %v inside", all, b); err != nil {
		return err
	}
	for _, g := range run {
		if g == b {
			continue
		}
		got, err := e.get(g)
		if err != nil {
			return err
		}
		if i := differAt(got, e.pattern(g.Off, g.Len, 600)); i >= 0 {
			return broke(sBad, "the refused erase of %v changed the byte at %#x", all, g.Off+int64(i))
		}
	}
	return nil
}
