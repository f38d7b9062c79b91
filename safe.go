//go:build nanolock_safe

package nanolock

// hot is the twin of the one in fast.go, without unsafe.
type hot struct {
	until []uint32
	mem   []byte
	shift uint
}

func (t *hot) set(until []uint32, shift uint, size int64, mem []byte) {
	checkHot(until, shift, size, mem)
	*t = hot{until, mem, shift}
}

// allows: see fast.go.
func (t *hot) allows(o, n uint64) bool {
	b := o >> (t.shift & 63)
	return b < uint64(len(t.until)) && n <= maxCopy && o+n <= uint64(t.until[b])
}

// copyTo copies what allows has allowed.
func (t *hot) copyTo(p []byte, o uint64) { copy(p, t.mem[o:][:len(p)]) }

func (t *hot) mapped() bool { return t.mem != nil }

// slice is the part of the mapping that allows has allowed.
func (t *hot) slice(o, n uint64) []byte { return t.mem[o : o+n : o+n] }
