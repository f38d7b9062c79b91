package nanolock

import (
	"fmt"
	"io"

	"github.com/nanolock/nanolock/nvm"
)

// flip is a region whose second slot is active: reads and programs of the
// region's addresses go delta bytes away.
type flip struct {
	region nvm.Span
	slot   nvm.Span
	entry  int
}

// physical translates the start of [off, off+n) and says how much of it is
// contiguous there.
func (l *Lock) physical(off, n int64) (int64, int64) { return translate(l.flips, off, n) }

func translate(flips []flip, off, n int64) (int64, int64) {
	for i := range flips {
		r := flips[i].region
		switch {
		case off >= r.Off && off < r.End():
			return off - r.Off + flips[i].slot.Off, min(n, r.End()-off)
		case off < r.Off:
			n = min(n, max(r.Off-off, 0))
		}
	}
	return off, n
}

// Activate puts a slot of an update region in place: 0 is the region's own
// extent, 1 its second slot. Call it only while the host is held in reset: reads
// that had begun finish in the old slot. ErrRegion if there is no such slot.
func (l *Lock) Activate(region string, slot int) error {
	l.take()
	defer l.mu.Unlock()
	i, in, err := l.region(region)
	if err != nil {
		return err
	}
	if slot != 0 && slot != 1 || in.Slot.Len == 0 {
		return fmt.Errorf("%w: %q has no slot %d", ErrRegion, region, slot)
	}
	if l.closed {
		return endedError(0)
	}
	flips := make([]flip, 0, len(l.flips)+1)
	for _, f := range l.flips {
		if f.entry != i {
			flips = append(flips, f)
		}
	}
	if slot == 1 {
		flips = append(flips, flip{in.Span, in.Slot, i})
	}
	l.remap(flips)
	l.publish()
	return nil
}

// remap lets the MMU translate where the memory can; elsewhere each read does.
func (l *Lock) remap(flips []flip) {
	l.flips, l.mapping = flips, l.bytes
	if len(flips) == 0 {
		return
	}
	l.mapping = nil
	m, ok := l.mem.(nvm.Remapper)
	if !ok || l.bytes == nil {
		return
	}
	swap := make([][2]nvm.Span, len(flips))
	for i, f := range flips {
		swap[i] = [2]nvm.Span{f.region, f.slot}
	}
	if b, err := m.Remap(swap); err == nil && int64(len(b)) == l.geo.Size {
		l.mapping = b[:len(b):len(b)]
	}
}

// Area is the trusted side's private window to a hidden area (slot 0), or to a
// slot of an update region (0: its own extent, 1: the second slot). It must never
// reach a gate. Programs and erases of the slot in use are denied with
// CauseActive; a policy that moves extents ends the window. ErrRegion if there is
// no such area or slot.
func (l *Lock) Area(name string, slot int) (nvm.NVM, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, in, err := l.region(name)
	if err != nil {
		return nil, err
	}
	owner := l.table.SlotOf(i)
	span := in.Span
	switch {
	case in.Hidden && slot == 0 && owner >= 0:
		i, slot = owner, 1
	case in.Hidden && slot == 0:
		i = -1
	case !in.Hidden && in.Slot.Len > 0 && slot == 1:
		span = in.Slot
	case !in.Hidden && in.Slot.Len > 0 && slot == 0:
	default:
		return nil, fmt.Errorf("%w: %q has no slot %d of its own", ErrRegion, name, slot)
	}
	w, err := nvm.NewWindow(l.mem, span)
	if err != nil {
		return nil, err
	}
	return &area{w, l, l.layout, i, slot, name}, nil
}

// area is a Window that ends with the extents it was opened under, and does not
// change the slot in use under the host.
type area struct {
	*nvm.Window
	lock   *Lock
	layout uint64 // Lock.layout when it was opened
	entry  int    // of the update region; -1 = none
	slot   int
	name   string
}

// enter tells whether op may go on, and if so what to call when it is done. Only
// changes of a slot need the mutex: no host ever reaches a hidden area, and the
// vault is written from inside Config.Persist, when the mutex is held.
func (a *area) enter(op nvm.Op) (leave func(), err error) {
	slot := a.entry >= 0 && op != nvm.Read
	if slot {
		a.lock.mu.Lock()
	}
	a.lock.areas.RLock()
	leave = func() {
		a.lock.areas.RUnlock()
		if slot {
			a.lock.mu.Unlock()
		}
	}
	switch {
	case a.layout != a.lock.layout:
		err = endedError(op)
	case slot && a.slot == a.lock.active(a.entry):
		err = &DenyError{Op: op, Region: a.name, Rule: "area", Cause: CauseActive}
	default:
		return leave, nil
	}
	leave()
	return nil, err
}

// active is the slot of an update region that is in place. Caller holds l.mu.
func (l *Lock) active(entry int) int {
	for _, f := range l.flips {
		if f.entry == entry {
			return 1
		}
	}
	return 0
}

// yield lets a change of rights go first, unless it may be what waits for us: the
// vault is written while it waits.
func (a *area) yield() {
	if a.entry >= 0 {
		a.lock.yield()
	}
}

// ReadAt reads until the window ends.
func (a *area) ReadAt(p []byte, off int64) (int, error) {
	leave, err := a.enter(nvm.Read)
	if err != nil {
		return 0, err
	}
	defer leave()
	return a.Window.ReadAt(p, off)
}

// Sync is the memory's barrier, until the window ends.
func (a *area) Sync() error {
	leave, err := a.enter(nvm.Read)
	if err != nil {
		return err
	}
	defer leave()
	return a.Window.Sync()
}

// WriteAt programs unless the slot is in use, in chunks as a Handle does.
func (a *area) WriteAt(p []byte, off int64) (int, error) {
	g := a.Geometry()
	if err := g.CheckProgram(off, int64(len(p))); err != nil {
		return 0, err
	}
	chunk := max(writeChunk, g.ProgramSize)
	for n := 0; ; a.yield() {
		k, err := a.writeChunk(p[n:][:min(int64(len(p)-n), chunk)], off+int64(n))
		if n += k; err != nil || n >= len(p) {
			return n, err
		}
	}
}

func (a *area) writeChunk(p []byte, off int64) (int, error) {
	leave, err := a.enter(nvm.Write)
	if err != nil {
		return 0, err
	}
	defer leave()
	n, err := a.Window.WriteAt(p, off)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// Erase erases unless the slot is in use, block by block.
func (a *area) Erase(off, n int64) error {
	g := a.Geometry()
	if err := g.CheckErase(off, n); err != nil {
		return err
	}
	for at := off; at < off+n; a.yield() {
		b := g.Block(at)
		if err := a.eraseBlock(b); err != nil {
			return err
		}
		at = b.End()
	}
	return nil
}

func (a *area) eraseBlock(b nvm.Span) error {
	leave, err := a.enter(nvm.Erase)
	if err != nil {
		return err
	}
	defer leave()
	return a.Window.Erase(b.Off, b.Len)
}

// MarkBad marks unless the slot is in use.
func (a *area) MarkBad(off int64) error {
	leave, err := a.enter(nvm.Erase)
	if err != nil {
		return err
	}
	defer leave()
	return a.Window.MarkBad(off)
}

func shortRead(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
