package sim

import (
	"math/bits"

	"github.com/nanolock/nanolock/nvm"
)

// tearing is an operation that a cut stops: w is the content in flight, which a
// class of torn states changes as it does.
type tearing struct {
	m    *medium
	o    *Operation
	draw stream
	pre  window // as before
	w    window
}

func newTearing(m *medium, o *Operation, draw stream) *tearing {
	t := &tearing{m: m, o: o, draw: draw, pre: m.load(o.span), w: newWindow(o.span)}
	copy(t.w.cell, t.pre.cell)
	copy(t.w.weak, t.pre.weak)
	copy(t.w.flip, t.pre.flip)
	return t
}

// done puts the content back, with what a torn operation leaves beside it: the
// unit counts as programmed, the block as erased once more, and where neither
// the old nor the new code word stands, ECC has none.
func (t *tearing) done() {
	if t.o.kind == Program {
		if !zero(t.pre.weak) {
			t.m.unreliable(&t.w, t.o.want, t.draw)
		}
		t.m.mark(t.o.span)
	} else {
		t.m.age(t.o.span)
		t.touch()
	}
	t.m.store(t.w)
	t.repoison()
}

// touch marks the units that an erase left anything in: they are not free
// before the next whole erase.
func (t *tearing) touch() {
	if t.m.part.Geometry.Program != nvm.OncePage {
		return
	}
	ps := t.m.part.Geometry.ProgramSize
	for at := int64(0); at < t.w.span.Len; at += ps {
		if !zero(t.w.cell[at:at+ps]) || !zero(t.w.weak[at:at+ps]) {
			t.m.used.put((t.w.span.Off+at)/ps, 1)
		}
	}
}

func (t *tearing) repoison() {
	t.m.eachUnit(t.w.span, func(u nvm.Span) {
		lo := u.Off - t.w.span.Off
		now, old := t.w.cell[lo:lo+u.Len], t.pre.cell[lo:lo+u.Len]
		switch {
		case t.arrived(lo, now):
			t.m.poison.wipe(u.Off/u.Len, 1)
		case string(now) != string(old):
			t.m.poison.put(u.Off/u.Len, 1)
		}
	})
}

// arrived tells whether the unit at lo holds what the operation was to leave.
func (t *tearing) arrived(lo int64, now []byte) bool {
	if t.o.kind == Erase {
		return zero(now)
	}
	return string(now) == string(t.o.want[lo:lo+int64(len(now))])
}

// moving is how many bits a program has to move.
func (w *window) moving(class nvm.Program, want []byte) (n int) {
	for i, b := range want {
		n += bits.OnesCount8(w.inflight(class, i, b))
	}
	return n
}

// settle programs the bits of mask for good.
func (t *tearing) settle(mask []byte) {
	for i := range t.w.cell {
		t.w.settle(t.m.part.Geometry.Program, i, t.o.want[i], mask[i])
	}
}

// between is a mask of the bytes [lo, hi).
func (t *tearing) between(lo, hi int) []byte {
	mask := make([]byte, t.w.span.Len)
	fill(mask[min(lo, len(mask)):min(hi, len(mask))], 0xFF)
	return mask
}

// onlyBit settles the k-th moving bit alone, or all but it.
func (t *tearing) onlyBit(k int, allBut bool) {
	mask := t.between(0, 0)
	if allBut {
		fill(mask, 0xFF)
	}
	for i, want := range t.o.want {
		b := t.w.inflight(t.m.part.Geometry.Program, i, want)
		if n := bits.OnesCount8(b); k >= n {
			k -= n
			continue
		}
		for ; k > 0; k-- {
			b &= b - 1
		}
		mask[i] ^= b & -b
		break
	}
	t.settle(mask)
}

// some settles random bits: half, an eighth, or seven eighths of them.
func (t *tearing) some(arg int) {
	mask := t.between(0, 0)
	t.draw.fill(mask, []int{1, 3, 3}[arg%3])
	for i := range mask {
		if arg%3 == 2 {
			mask[i] = ^mask[i]
		}
	}
	t.settle(mask)
}

// garbage settles the bytes in front of k and leaves what a confused write
// buffer holds behind them (F6).
func (t *tearing) garbage(k int, random bool) {
	t.settle(t.between(0, k))
	class := t.m.part.Geometry.Program
	for i := k; i < len(t.w.cell); i++ {
		b := byte(0xFF) // all programmed
		switch {
		case random:
			b = byte(t.draw.next())
		case class == nvm.Rewrite:
			b = 0
		}
		t.w.settle(class, i, b, 0xFF)
	}
}

// unstable settles part of the program and leaves bits in flight that read one
// way or the other (F7): 0 all of them, 1 the second half behind a settled
// first, 2 the first half before the second was begun, else each at random.
func (t *tearing) unstable(arg int) {
	half := len(t.w.cell) / 2
	for i, want := range t.o.want {
		move := t.w.inflight(t.m.part.Geometry.Program, i, want)
		loose, settled := move, byte(0)
		switch {
		case arg == 1 && i < half:
			loose, settled = 0, move
		case arg == 2 && i >= half:
			loose = 0
		case arg > 2:
			loose = move & byte(t.draw.next())
			settled = move &^ loose & byte(t.draw.next())
		}
		t.w.settle(t.m.part.Geometry.Program, i, want, settled|loose)
		t.w.weak[i] |= loose
	}
}

// collateral tears the program and makes up to four erased bits elsewhere in
// the block or page unstable (F8).
func (t *tearing) collateral(arg int) {
	if t.some(0); arg%2 == 0 {
		t.settle(t.between(0, len(t.w.cell)))
	}
	scope := t.m.part.Geometry.Block(t.w.span.Off)
	if t.m.part.Faults.Collateral == ScopePage {
		scope = t.m.pageOf(t.w.span.Off)
	}
	for range 1 + t.draw.below(4) {
		at, bit := scope.Off+t.draw.below(scope.Len), byte(1)<<t.draw.below(8)
		outside := !t.w.span.Contains(nvm.Span{Off: at, Len: 1})
		if outside && t.m.cell.at(at)&bit == 0 {
			t.m.weak.put(at, t.m.weak.at(at)|bit)
		}
	}
}

// Orders in which an interrupted erase goes through a block.
const (
	fromStart = iota
	fromEnd
	anywhere
)

// reach calls f for each byte of the block with the bits that n bytes' worth of
// an erase have reached.
func (t *tearing) reach(order int, n int64, f func(i int, mask byte)) {
	size := t.w.span.Len
	share := uint64(n * 256 / size) // of 256: eight draws to a word
	for i := range t.w.cell {
		at, mask := int64(i), byte(0)
		switch {
		case order == fromStart && at < n, order == fromEnd && at >= size-n:
			mask = 0xFF
		case order == anywhere:
			draw := t.draw.next()
			for bit := range 8 {
				if draw>>(8*bit)&0xFF < share {
					mask |= 1 << bit
				}
			}
		}
		f(i, mask)
	}
}

// zero is the first phase: what was reached is programmed (F9).
func (t *tearing) zero(order int, n int64) {
	t.reach(order, n, func(i int, mask byte) { t.force(i, 0xFF, mask) })
}

// pulse is the second phase: everything was programmed, what was reached is
// erased.
func (t *tearing) pulse(order int, n int64) {
	t.reach(order, n, func(i int, mask byte) { t.force(i, ^mask, 0xFF) })
}

// part is an erase without the first phase: what was not reached still holds
// its content.
func (t *tearing) part(order int, n int64) {
	t.reach(order, n, func(i int, mask byte) { t.force(i, 0, mask) })
}

// force brings the bits of mask in byte i to b, as an erase can.
func (t *tearing) force(i int, b, mask byte) { t.w.settle(nvm.Rewrite, i, b, mask) }

// soft is the last phase: all is erased, but not deeply enough to last.
func (t *tearing) soft(arg int) {
	for i := range t.w.cell {
		t.force(i, 0, 0xFF)
		t.w.weak[i] = t.looseMask(arg)
	}
}

// weakErase reads erased and is not: what was programmed can come back (F10).
func (t *tearing) weakErase(arg int) {
	for i := range t.w.cell {
		t.w.cell[i] |= t.w.weak[i]
		t.force(i, 0, ^t.looseMask(arg))
		t.w.weak[i] = t.w.cell[i]
	}
}

func (t *tearing) looseMask(arg int) byte {
	if arg == 0 {
		return 0xFF
	}
	return byte(t.draw.next())
}
