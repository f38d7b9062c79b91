package bench

import (
	"runtime"
	"syscall"
	"unsafe"
)

type cpuSet [16]uint64

func affinity(call uintptr, set *cpuSet) bool {
	_, _, e := syscall.RawSyscall(call, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	return e == 0
}

// pin keeps the calling goroutine on a thread of its own, and that on the n-th
// processor that the process may use; without it a scheduler lets two spinning
// threads take turns on one. The returned function undoes both.
func pin(n int) (undo func()) {
	runtime.LockOSThread()
	var old, one cpuSet
	if !affinity(syscall.SYS_SCHED_GETAFFINITY, &old) {
		return runtime.UnlockOSThread
	}
	for cpu := range 64 * len(old) {
		if bit := uint64(1) << (cpu % 64); old[cpu/64]&bit != 0 {
			if n == 0 {
				one[cpu/64] = bit
				affinity(syscall.SYS_SCHED_SETAFFINITY, &one)
				break
			}
			n--
		}
	}
	return func() {
		affinity(syscall.SYS_SCHED_SETAFFINITY, &old)
		runtime.UnlockOSThread()
	}
}
