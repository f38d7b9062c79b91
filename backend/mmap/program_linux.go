package mmap

import (
	"runtime/debug"

	"github.com/nanolock/nanolock/nvm"
)

// WriteAt programs p at off, in the file and then in the shadow, with the
// geometry's program class. It is durable after Sync. Errors: nvm.ErrRange,
// nvm.ErrAlign, nvm.ErrProgrammed, nvm.ErrReadOnly and nvm.ErrClosed, which
// change nothing, and ErrTruncated, ErrRemoved and ErrFault, which stay; n is 0
// with each of them, since nothing is certain in a file that others cut.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if !m.open.Load() {
		return 0, nvm.ErrClosed
	}
	n := int64(len(p))
	if err := m.geo.CheckProgram(off, n); err != nil || n == 0 {
		return 0, err
	}
	if err := m.begin(); err != nil {
		return 0, err
	}
	defer m.end()
	if err := m.intact(&m.stat); err != nil {
		return 0, err
	}
	if m.units != nil {
		if m.anyProgrammed(off, n) {
			return 0, nvm.ErrProgrammed
		}
		m.mark(off, n, true) // before the first byte: a torn program counts
	}
	for done := 0; done < len(p); {
		// p is read once: the file and the shadow get the same bytes, even
		// if the caller changes p meanwhile.
		k := copy(m.buf[:], p[done:])
		if err := m.step(off+int64(done), k, m.geo.Program); err != nil {
			return 0, err
		}
		done += k
	}
	return len(p), nil
}

// Erase sets [off, off+n), whole erase blocks, to the erased value. Errors as
// with WriteAt.
func (m *Memory) Erase(off, n int64) error {
	if !m.open.Load() {
		return nvm.ErrClosed
	}
	if err := m.geo.CheckErase(off, n); err != nil || n == 0 {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	defer m.end()
	if err := m.intact(&m.stat); err != nil {
		return err
	}
	for i := range m.buf {
		m.buf[i] = m.geo.Erased
	}
	for at := off; at < off+n; {
		k := min(piece, off+n-at)
		if err := m.step(at, int(k), nvm.Rewrite); err != nil {
			return err
		}
		at += k
	}
	if m.units != nil {
		m.mark(off, n, false)
	}
	return nil
}

// begin claims the memory for one change; end gives it back.
func (m *Memory) begin() error {
	if m.readOnly {
		return nvm.ErrReadOnly
	}
	m.life.RLock()
	m.prog.Lock()
	if m.res.file < 0 { // closed while we waited
		m.end()
		return nvm.ErrClosed
	}
	return nil
}

func (m *Memory) end() {
	m.prog.Unlock()
	m.life.RUnlock()
}

// step programs the first k bytes of buf at off, first in the file: the shadow,
// which cannot fail, never shows what the file does not have.
func (m *Memory) step(off int64, k int, class nvm.Program) error {
	if err := m.store(off, k, class); err != nil {
		if gone := m.intact(&m.stat); gone != nil {
			return gone
		}
		return m.fail(m.named("access", err))
	}
	if m.res.shadow != nil {
		copy(m.res.shadow[off:], m.buf[:k])
	}
	return nil
}

// store combines buf with what is there and copies it to the file, which may
// fault.
func (m *Memory) store(off int64, k int, class nvm.Program) (err error) {
	defer m.catch(debug.SetPanicOnFault(true), &err)
	buf, disk := m.buf[:k], m.res.disk[off:off+int64(k)]
	if class == nvm.ClearBits {
		old := disk
		if m.res.shadow != nil {
			old = m.res.shadow[off : off+int64(k)] // what was verified counts
		}
		if m.geo.Erased == 0 {
			for i, b := range old {
				buf[i] |= b
			}
		} else {
			for i, b := range old {
				buf[i] &= b
			}
		}
	}
	copy(disk, buf)
	return nil
}

// learn finds the programmed units of a OncePage file.
func (m *Memory) learn() (err error) {
	if m.geo.Program != nvm.OncePage || m.readOnly {
		return nil
	}
	unit := m.geo.ProgramSize
	m.units = make([]uint64, (m.geo.Size/unit+63)/64)
	defer m.catch(debug.SetPanicOnFault(true), &err)
	for i, b := range m.view {
		if b != m.geo.Erased {
			u := int64(i) / unit
			m.units[u/64] |= 1 << (u % 64)
		}
	}
	return nil
}

// anyProgrammed and mark take whole units.
func (m *Memory) anyProgrammed(off, n int64) bool {
	for u := off / m.geo.ProgramSize; u < (off+n)/m.geo.ProgramSize; u++ {
		if m.units[u/64]&(1<<(u%64)) != 0 {
			return true
		}
	}
	return false
}

func (m *Memory) mark(off, n int64, programmed bool) {
	for u := off / m.geo.ProgramSize; u < (off+n)/m.geo.ProgramSize; u++ {
		if programmed {
			m.units[u/64] |= 1 << (u % 64)
		} else {
			m.units[u/64] &^= 1 << (u % 64)
		}
	}
}
