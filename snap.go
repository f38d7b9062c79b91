package nanolock

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// snap is everything a handle may do, immutable. Rights change by storing
// another one: policy swap, revocation and freezing cost readers nothing.
type snap struct {
	read   hot    // allowed without asking further
	flips  []flip // slots that reads which are not mapped go to
	write  hot    // never mapped
	view   hot    // what every host may always see; nothing if not mapped
	whole  uint64 // a program of at most this length that is a multiple of unit and
	unit   uint64 //   stays in its page goes to the memory in one piece
	page   uint64 // 0 = none
	table  *table
	bytes  []byte         // the first mapping, for View; nil = none
	rights *policy.Rights // nil = a host's
	cause  Cause          // CauseFrozen: no change; CauseEnded: nothing at all
}

// programs tells whether a program needs no accounting and goes to the memory in
// one piece.
func (s *snap) programs(o, size uint64) bool {
	return size <= s.whole && s.write.allows(o, size) && (o|size)&(s.unit-1) == 0 &&
		(s.page == 0 || o&(s.page-1)+size <= s.page)
}

// maxCopy bounds what is copied in one piece, so that the compiler knows the
// length. What is longer is read piece by piece.
const maxCopy = 1 << 30

// checkHot holds what hot relies on. A failure is a bug in package policy or in
// a backend's mapping, and a monitor that is not sure does not start.
func checkHot(until []uint32, shift uint, size int64, mem []byte) {
	if shift > 62 || size < 0 || uint64(len(until)) > uint64(size)>>shift || mem != nil && int64(len(mem)) != size {
		panic("nanolock: table or mapping exceeds the memory")
	}
	for _, u := range until {
		if int64(u) > size {
			panic("nanolock: run leads out of the memory")
		}
	}
}

// writeChunk is how much is programmed under one hold of the mutex: End, Freeze
// and SetPolicy wait for one chunk, or for one erase block, and no longer.
const writeChunk = 64 << 10

// snapFor builds what a handle with these rights may do now. Caller holds l.mu.
func (l *Lock) snapFor(rights *policy.Rights) *snap {
	s := &snap{
		flips: l.flips, table: l.table, bytes: l.bytes, rights: rights,
		unit: uint64(l.geo.ProgramSize), page: uint64(l.geo.PageSize),
		whole: uint64(max(writeChunk, l.geo.ProgramSize)),
	}
	t := l.table.Table
	until := t.Until(nvm.Read)
	if rights != nil {
		until = t.UntilFor(*rights)
	}
	s.read.set(until, t.Shift(), l.geo.Size, l.mapping)
	if l.bytes != nil {
		s.view.set(t.UntilView(), t.Shift(), l.geo.Size, l.bytes)
	}
	if l.frozen {
		s.cause = CauseFrozen
		return s
	}
	if len(l.flips) == 0 { // a flipped region's programs are translated piece by piece
		s.write.set(t.Until(nvm.Write), t.Shift(), l.geo.Size, nil)
	}
	return s
}

// publish gives every handle what it may do now. Caller holds l.mu, so no
// program and no erase is under way; reads that started before finish.
func (l *Lock) publish() {
	l.host = l.snapFor(nil)
	for h := range l.handles {
		if h.session == nil {
			h.s.Store(l.host)
			continue
		}
		h.s.Store(l.snapFor(&h.session.rights))
		h.session.swept = -1 // other rules may have let content in
	}
}

// freeze is s without any change of the memory.
func (s *snap) freeze() *snap {
	f := *s
	f.write, f.cause = hot{}, CauseFrozen
	return &f
}

// end takes everything from h. Caller holds l.mu.
func (l *Lock) end(h *Handle) {
	delete(l.handles, h)
	h.s.Store(&snap{table: l.table, cause: CauseEnded})
}
