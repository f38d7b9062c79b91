package nanolock

import (
	"errors"
	"fmt"
	"io"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// markBad is an erase that ends in a mark. It never leaves this package.
const markBad nvm.Op = 1 << 7

// change decides a program or an erase as a whole and carries it out in steps,
// each decided again under the mutex, so that whatever took rights away in
// between is obeyed: who waits to do so gets its turn before the next step. n is
// the number of bytes done.
func (h *Handle) change(op nvm.Op, p []byte, off, size int64) (int, error) {
	what := op
	if op == markBad {
		what = nvm.Erase
	}
	for done := int64(0); ; {
		if done > 0 {
			h.lock.yield()
		}
		n, deny, err := h.step(op, what, p, off+done, size-done, done == 0)
		done += n
		if deny != nil {
			return int(done), h.deny(deny, off, size)
		}
		if err != nil || done >= size {
			return int(done), err
		}
	}
}

// step does the first part of what is left. It decides about that part; the
// first step, about all.
func (h *Handle) step(op, what nvm.Op, p []byte, off, size int64, first bool) (int64, *refusal, error) {
	l := h.lock
	l.mu.Lock()
	defer l.mu.Unlock()
	s := h.s.Load()
	if s.cause == CauseEnded {
		return 0, ended[what&nvm.AllOps], nil
	}
	entry, only := h.contentOnly(s, op, off, size)
	if err := l.possible(what, off, size); !only && err != nil || size == 0 {
		return 0, nil, err
	}
	n := l.part(what, off, size)
	if only { // a block of its own each time, whatever the page
		n = min(size, l.geo.Block(off).Len)
	}
	decide := n
	if first {
		decide = size
	}
	if deny := l.check(h, s, op, off, decide); deny != nil {
		return 0, deny, nil
	}
	marker, ok := l.mem.(nvm.BadBlocker)
	if op == markBad && !ok {
		return 0, nil, fmt.Errorf("marking a bad block: %w", errors.ErrUnsupported)
	}
	data := p
	if op == nvm.Write {
		data = p[int64(len(p))-size:][:n]
	}
	if only {
		block, ok, err := l.known(h, data, off)
		if err != nil {
			return 0, nil, err
		}
		if !ok {
			return 0, s.table.denialFor(entry, op, CauseContent), nil
		}
		data = block
	}
	if err := l.charge(h, s, what, off, n); err != nil {
		return 0, nil, err
	}
	at, _ := l.physical(off, n)
	switch op {
	case nvm.Write:
		k, err := l.program(data, at)
		return k, nil, err
	case nvm.Erase:
		if err := l.mem.Erase(at, n); err != nil {
			return 0, nil, err
		}
		l.erased(h, s, off, n)
		return n, nil, nil
	}
	return n, nil, marker.MarkBad(at)
}

// program hands p to the memory, in its pages if it crosses one: known content
// alone does.
func (l *Lock) program(p []byte, at int64) (done int64, err error) {
	for len(p) > 0 {
		n := int64(len(p))
		if page := l.geo.PageSize; page > 0 {
			n = min(n, page-at%page)
		}
		k, err := l.mem.WriteAt(p[:n], at)
		if done += int64(k); err != nil {
			return done, err
		}
		if int64(k) != n {
			return done, io.ErrShortWrite
		}
		p, at = p[n:], at+n
	}
	return done, nil
}

// possible checks the request against the memory, so that a memory which rounds
// or wraps is never asked to.
func (l *Lock) possible(op nvm.Op, off, size int64) error {
	if op == nvm.Erase {
		return l.geo.CheckErase(off, size)
	}
	return l.geo.CheckProgram(off, size)
}

// part is how much of [off, off+size) is done under one hold of the mutex, and
// is contiguous on the memory.
func (l *Lock) part(op nvm.Op, off, size int64) int64 {
	n := size
	if chunk := max(writeChunk, l.geo.ProgramSize); op == nvm.Erase {
		n = min(n, l.geo.Block(off).Len)
	} else if n > chunk {
		n = chunk
		if l.geo.Program == nvm.Rewrite { // a block cut in two would be charged twice
			b := l.geo.Block(off + n)
			if n = b.Off - off; n <= 0 {
				n = min(size, b.End()-off)
			}
		}
	}
	_, n = l.physical(off, n)
	return n
}

// check tells who refuses op on [off, off+size), nil if nobody. It changes
// nothing. Caller holds l.mu.
func (l *Lock) check(h *Handle, s *snap, op nvm.Op, off, size int64) *refusal {
	t, end, forever := s.table, off+size, op == markBad
	if forever {
		op = nvm.Erase
	}
	var bytes, blocks int64 // what the session's budget must still hold
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, op, at, end, s.rights)
		switch {
		case part.Verdict != policy.Allow && part.Verdict != policy.Metered:
			return t.denial(part.Entry, op)
		case s.cause != CauseRule:
			return t.denialFor(part.Entry, op, s.cause)
		case forever && !part.Granted:
			return t.denialFor(part.Entry, op, CauseGrant)
		case part.Verdict == policy.Metered:
			if c := l.meter(t, part, op); c != CauseRule {
				return t.denialFor(part.Entry, op, c)
			}
		}
		if part.Granted {
			bytes, blocks = bytes+part.Span.Len, blocks+l.blocks(part.Span)
			if op == nvm.Write && bytes > h.session.program || op == nvm.Erase && blocks > h.session.erases {
				return t.denialFor(part.Entry, op, CauseBudget)
			}
		}
		at = part.Span.End()
	}
	return nil
}

// meter asks what the region has used. CauseRule means that nothing is against it.
func (l *Lock) meter(t *table, part policy.Piece, op nvm.Op) Cause {
	in := t.Info(part.Entry)
	u := l.usage(in.ID)
	if op == nvm.Write {
		switch in.Access.Write.Mode {
		case policy.Once:
			if u.Sealed {
				return CauseSealed
			}
		case policy.Append:
			if part.Span.Off-in.Span.Off < u.Mark {
				return CauseMark
			}
		}
	}
	if cost := l.wear(in, op, part.Span); cost > 0 && !affords(u, in.Wear, cost) {
		return CauseLedger
	}
	return CauseRule
}

// charge books what a step will use, durably where the caller asked for it, before
// anything is done. Nothing is ever refunded. Caller holds l.mu and has checked.
func (l *Lock) charge(h *Handle, s *snap, op nvm.Op, off, size int64) error {
	t, end := s.table, off+size
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, op, at, end, s.rights)
		if part.Verdict == policy.Metered {
			if err := l.book(t.Info(part.Entry), op, part.Span); err != nil {
				return err
			}
		}
		if part.Granted && op == nvm.Write {
			h.session.program -= part.Span.Len
		} else if part.Granted {
			h.session.erases -= l.blocks(part.Span)
		}
		at = part.Span.End()
	}
	return nil
}

// blocks counts the erase blocks that s touches.
func (l *Lock) blocks(s nvm.Span) (n int64) {
	areas := l.geo.Blocks
	if areas == nil {
		areas = []nvm.EraseArea{{Len: l.geo.Size, EraseSize: l.geo.EraseSize}}
	}
	var start int64
	for _, a := range areas {
		if in := s.Intersect(nvm.Span{Off: start, Len: a.Len}); in.Len > 0 {
			n += (in.End()-1-start)/a.EraseSize - (in.Off-start)/a.EraseSize + 1
		}
		start += a.Len
	}
	return n
}
