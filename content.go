package nanolock

import (
	"fmt"
	"slices"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// contentOnly returns the entry whose grant lets a session program known content
// alone on [off, off+n), and false if host rules allow all of it, any content goes,
// or it is not inside the memory.
func (h *Handle) contentOnly(s *snap, op nvm.Op, off, n int64) (entry int, only bool) {
	if op != nvm.Write || h.session == nil || h.session.content == nil || !(nvm.Span{Off: off, Len: n}).In(h.lock.geo.Size) {
		return -1, false
	}
	t, end := s.table, off+n
	for i, at := t.Start(off), off; at < end; {
		var part policy.Piece
		part, i = t.Piece(i, op, at, end, s.rights)
		if part.Granted {
			return part.Entry, true
		}
		at = part.Span.End()
	}
	return -1, false
}

// known asks about the first erase block of p and returns the bytes that were
// looked at, for p may hold others by the time they are programmed. Caller holds
// l.mu.
func (l *Lock) known(h *Handle, p []byte, off int64) (block []byte, ok bool, err error) {
	b := l.geo.Block(off)
	if b.Off != off || int64(len(p)) < b.Len {
		return nil, false, nil
	}
	if l.geo.Program != nvm.Rewrite {
		at, _ := l.physical(off, b.Len)
		if blank, err := l.blank(nvm.Span{Off: at, Len: b.Len}); err != nil || !blank {
			return nil, false, err
		}
	}
	block = slices.Clone(p[:b.Len])
	return block, h.session.content(off, block), nil
}

// blank tells whether a physical span reads erased.
func (l *Lock) blank(s nvm.Span) (bool, error) {
	p := make([]byte, min(s.Len, 4096))
	for at := s.Off; at < s.End(); at += int64(len(p)) {
		p = p[:min(int64(len(p)), s.End()-at)]
		if _, err := l.mem.ReadAt(p, at); err != nil {
			return false, err
		}
		for _, c := range p {
			if c != l.geo.Erased {
				return false, nil
			}
		}
	}
	return true, nil
}

// Wipe erases a confidential region with all its slots and reads that back,
// whatever the rules say, for the trusted side that is about to hand the device
// to others. Bad blocks are left: they cannot be erased. ErrRegion if there is no
// such region or it is not confidential, ErrConfidential if it does not read
// erased afterwards, or the memory's error.
func (l *Lock) Wipe(region string) error {
	l.take()
	defer l.mu.Unlock()
	_, in, err := l.region(region)
	if err != nil {
		return err
	}
	if l.closed {
		return endedError(nvm.Erase)
	}
	if !in.Confidential {
		return fmt.Errorf("%w: %q is not confidential", ErrRegion, region)
	}
	for _, s := range []nvm.Span{in.Span, in.Slot} {
		if err := l.wipe(s); err != nil {
			return err
		}
	}
	if err := l.mem.Sync(); err != nil {
		return err
	}
	return l.wiped(in)
}

// wipe erases the good blocks of s.
func (l *Lock) wipe(s nvm.Span) error {
	return l.goodBlocks(s, func(b nvm.Span) error { return l.mem.Erase(b.Off, b.Len) })
}

// wiped is nil if a confidential entry reads erased in all its good blocks.
func (l *Lock) wiped(in policy.Info) error {
	for _, s := range []nvm.Span{in.Span, in.Slot} {
		err := l.goodBlocks(s, func(b nvm.Span) error {
			blank, err := l.blank(b)
			if err == nil && !blank {
				err = fmt.Errorf("%w: region %q at %v", ErrConfidential, in.Name, b)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// goodBlocks calls f for each erase block of s that is not bad.
func (l *Lock) goodBlocks(s nvm.Span, f func(nvm.Span) error) error {
	marks, _ := l.mem.(nvm.BadBlocker)
	for at := s.Off; at < s.End(); {
		b := l.geo.Block(at)
		at = b.End()
		if marks != nil {
			if bad, err := marks.IsBad(b.Off); err != nil || bad {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := f(b); err != nil {
			return err
		}
	}
	return nil
}

// handsOver refuses t if it begins a state in which others hold the device while
// confidential content is left. Caller holds l.mu.
func (l *Lock) handsOver(t *policy.Table) error {
	handed := func(st policy.State) bool { return st == policy.RMA || st == policy.Decommissioned }
	if !handed(t.State()) || handed(l.table.State()) {
		return nil
	}
	for i := range l.table.Entries() {
		if in := l.table.Info(i); in.Confidential {
			if err := l.wiped(in); err != nil {
				return err
			}
		}
	}
	return nil
}
