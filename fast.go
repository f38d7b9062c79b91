//go:build !nanolock_safe

package nanolock

import (
	"runtime"
	"unsafe"
)

// hot is what an allowed read touches: the array of package policy, and the
// mapping. This file is the only one of the core that uses unsafe; building with
// the tag nanolock_safe replaces it by safe.go, which passes the same tests and
// costs two bounds checks more.
//
// What makes the pointers sound, all established by set and never changed after:
// until points to n entries, none of which exceeds the size of the memory; mem, if
// not nil, to a mapping of that size that is not unmapped while its owner is
// reachable.
type hot struct {
	until unsafe.Pointer // *[n]uint32
	n     uint64
	mem   unsafe.Pointer // *[size]byte, nil = not mapped
	shift uint
}

func (t *hot) set(until []uint32, shift uint, size int64, mem []byte) {
	checkHot(until, shift, size, mem)
	*t = hot{n: uint64(len(until)), shift: shift, until: unsafe.Pointer(unsafe.SliceData(until))}
	if mem != nil {
		t.mem = unsafe.Pointer(unsafe.SliceData(mem))
	}
}

// allows tells whether [o, o+n) lies in one allowed run. A negative offset is a
// huge o and fails a compare, as a huge n does; o+n cannot wrap then. n == 0 may
// be allowed anywhere: it does nothing.
func (t *hot) allows(o, n uint64) bool {
	b := o >> (t.shift & 63)
	return n <= maxCopy && b < t.n && o+n <= uint64(*(*uint32)(unsafe.Add(t.until, b*4)))
}

// anywhere: the processor loads and stores eight bytes at any address.
const anywhere = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// copyTo copies what allows has allowed.
func (t *hot) copyTo(p []byte, o uint64) {
	src, n := unsafe.Add(t.mem, o), uintptr(len(p))
	if anywhere && n-8 <= 8 { // two moves that overlap cost less than the call that copy is
		dst := unsafe.Pointer(unsafe.SliceData(p))
		head, tail := *(*uint64)(src), *(*uint64)(unsafe.Add(src, n-8))
		*(*uint64)(dst), *(*uint64)(unsafe.Add(dst, n-8)) = head, tail
		return
	}
	copy(p, (*[maxCopy]byte)(src)[:len(p):len(p)])
}

func (t *hot) mapped() bool { return t.mem != nil }

// slice is the part of the mapping that allows has allowed.
func (t *hot) slice(o, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(t.mem, o)), n)
}
