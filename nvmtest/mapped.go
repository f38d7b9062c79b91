package nvmtest

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/nanolock/nanolock/nvm"
)

// mapping returns the mapping, nil if the memory has none.
func (e *env) mapping() ([]byte, error) {
	m, ok := e.mem.(nvm.Mapper)
	if !ok {
		if e.cfg.Mapped {
			return nil, broke(sMapping, "%T is no nvm.Mapper, though Config.Mapped says so", e.mem)
		}
		return nil, nil
	}
	b := m.Bytes()
	if b == nil && e.cfg.Mapped {
		return nil, broke(sMapping, "Bytes() = nil, though Config.Mapped says that there is a mapping")
	}
	if b != nil && (int64(len(b)) != e.geo.Size || int64(cap(b)) != e.geo.Size) {
		return nil, broke(sMapping, "len %d, cap %d, Size %d", len(b), cap(b), e.geo.Size)
	}
	return b, nil
}

// checkMapping: a mapping taken first shows each change that returned, and
// refuses a write.
func checkMapping(e *env) error {
	view, err := e.mapping()
	if view == nil || err != nil {
		return err
	}
	same := func(what string) error { return e.sameAs(view, what) }
	if err := same("at first"); err != nil {
		return err
	}
	if err := e.fillAll(400); err != nil {
		return err
	}
	if err := same("after a program"); err != nil {
		return err
	}
	b := e.first()
	if err := e.erase(b); err != nil {
		return err
	}
	if err := same("after an erase"); err != nil {
		return err
	}
	if err := e.program(e.pattern(b.Off, e.unit(), 401), b.Off); err != nil {
		return err
	}
	if err := same("after a small program"); err != nil {
		return err
	}
	if !faults(view, b.Off) {
		return broke(sFaults, "a byte was stored at %#x of the mapping", b.Off)
	}
	runtime.KeepAlive(e.mem)
	return nil
}

// sameAs compares the mapping with what ReadAt tells, where the suite watches.
func (e *env) sameAs(view []byte, what string) error {
	for _, s := range e.watched() {
		got, err := e.get(s)
		if err != nil {
			return err
		}
		if i := differAt(view[s.Off:s.End()], got); i >= 0 {
			return broke(sCoherent, "%s the mapping and ReadAt differ at %#x", what, s.Off+int64(i))
		}
	}
	return nil
}

// faults tries to store the byte that is there already.
func faults(b []byte, at int64) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { faulted = recover() != nil }()
	store(&b[at], b[at])
	return false
}

// store is a call so that no compiler leaves the store out.
//
//go:noinline
func store(p *byte, v byte) { *p = v }

// checkRemap exchanges spans and looks at all sides of it.
func checkRemap(e *env) error {
	r, ok := e.mem.(nvm.Remapper)
	if !ok {
		return nil
	}
	view, err := e.mapping()
	if view == nil || err != nil {
		return err
	}
	if err := e.fillAll(500); err != nil {
		return err
	}
	same, err := r.Remap(nil)
	if err != nil || !bytes.Equal(same, view) {
		return broke(sRemap, "Remap(nil) is not the same as Bytes(), error %v", err)
	}
	x, y, ok := e.pagePair()
	if !ok {
		return nil
	}
	if err := e.remapRefuses(r, x, y); err != nil {
		return err
	}
	was := bytes.Clone(view[x.Off:x.End()])
	m, err := r.Remap([][2]nvm.Span{{x, y}})
	if err != nil || len(m) != len(view) || cap(m) != len(view) {
		return broke(sRemap, "Remap(%v, %v): len %d, cap %d, %v", x, y, len(m), cap(m), err)
	}
	if err := e.swapped(m, view, x, y); err != nil {
		return err
	}
	if !bytes.Equal(view[x.Off:x.End()], was) {
		return broke(sEarlier, "Bytes() changed by a Remap")
	}
	b := e.first()
	if err := e.erase(b); err != nil {
		return err
	}
	if err := e.swapped(m, view, x, y); err != nil {
		return err
	}
	if !faults(m, 0) {
		return broke(sFaults, "a byte was stored in the mapping of Remap")
	}
	runtime.KeepAlive(e.mem)
	return nil
}

// swapped compares m with view, x and y exchanged.
func (e *env) swapped(m, view []byte, x, y nvm.Span) error {
	want := bytes.Clone(view)
	copy(want[x.Off:x.End()], view[y.Off:y.End()])
	copy(want[y.Off:y.End()], view[x.Off:x.End()])
	if i := differAt(m, want); i >= 0 {
		return broke(sRemap, "with %v and %v exchanged, the byte at %#x is wrong", x, y, i)
	}
	return nil
}

// remapRefuses: pairs that no MMU can exchange.
func (e *env) remapRefuses(r nvm.Remapper, x, y nvm.Span) error {
	half := x
	half.Off += x.Len / 2
	for _, p := range [][2]nvm.Span{
		{{Off: x.Off, Len: x.Len - 1}, {Off: y.Off, Len: y.Len - 1}},
		{{Off: x.Off + 1, Len: x.Len}, y},
		{{Off: x.Off, Len: 2 * x.Len}, y},
	} {
		if m, err := r.Remap([][2]nvm.Span{p}); m != nil || !errors.Is(err, errors.ErrUnsupported) {
			return broke(sRemapBad, "Remap(%v, %v) = %d bytes, %v", p[0], p[1], len(m), err)
		}
	}
	return nil
}

// pagePair returns the first and the last page of the memory's work spans.
func (e *env) pagePair() (x, y nvm.Span, ok bool) {
	page := int64(os.Getpagesize())
	x = nvm.Span{Off: (e.work[0].Off + page - 1) / page * page, Len: page}
	end := e.work[len(e.work)-1].End()
	y = nvm.Span{Off: end/page*page - page, Len: page}
	return x, y, y.Off >= x.End()
}
