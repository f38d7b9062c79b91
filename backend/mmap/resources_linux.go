package mmap

import (
	"errors"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resources is what the system lends to a Memory. It knows nothing of the Memory,
// so that it can be given back when that is garbage.
type resources struct {
	file   int    // -1: closed
	memfd  int    // the shadow; -1: none, or closed
	disk   []byte // PROT_WRITE of the file; nil if read-only
	shadow []byte // PROT_WRITE of the memfd; nil if direct or read-only

	mu    sync.Mutex
	views []pages // PROT_READ mappings, which outlive Close
	risky [2]pages
}

// pages is a mapping as the kernel counts it.
type pages struct {
	at  unsafe.Pointer
	len uintptr
}

func (p pages) has(addr uintptr) bool { return addr-uintptr(p.at) < p.len }

// mmap maps size bytes of fd, all of it shared. len and cap are size.
func mmap(fd int, size int64, prot int) ([]byte, error) {
	at, err := unix.MmapPtr(fd, 0, nil, uintptr(size), prot, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(at), int(size)), nil
}

// whole returns the pages under a mapping.
func whole(b []byte) pages {
	if b == nil {
		return pages{}
	}
	page := uintptr(unix.Getpagesize())
	return pages{unsafe.Pointer(unsafe.SliceData(b)), (uintptr(len(b)) + page - 1) / page * page}
}

func unmap(p pages) error {
	if p.at == nil {
		return nil
	}
	return unix.MunmapPtr(p.at, p.len)
}

// keep lets a mapping live until r is garbage.
func (r *resources) keep(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.views = append(r.views, whole(b))
}

// mayFault tells whether addr is in a mapping of the file. risky is set before the
// Memory is used, and not changed: a closed mapping is not looked at any more.
func (r *resources) mayFault(addr uintptr) bool {
	return r.risky[0].has(addr) || r.risky[1].has(addr)
}

// close gives back all but the mappings for readers.
func (r *resources) close() error {
	var errs []error
	errs = append(errs, unmap(whole(r.disk)), unmap(whole(r.shadow)))
	r.disk, r.shadow = nil, nil
	if r.file >= 0 {
		// A child that was forked and not yet replaced shares the lock:
		// closing alone would leave it to that child.
		errs = append(errs, unix.Flock(r.file, unix.LOCK_UN), unix.Close(r.file))
	}
	if r.memfd >= 0 {
		errs = append(errs, unix.Close(r.memfd))
	}
	r.file, r.memfd = -1, -1
	return errors.Join(errs...)
}

// release gives back everything. Nobody holds the Memory any more.
func (r *resources) release() {
	_ = r.close() // nobody is left to be told
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.views {
		_ = unmap(v)
	}
	r.views = nil
}
