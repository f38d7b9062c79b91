package attack

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// A lock that refuses what its owner allows is broken too: these turn the lock
// against its device.
var availability = []Attack{
	{"must-read", "Be refused, or served wrong, what every host may read", "CWE-703", "Protection of everything stops the boot (fpdoom issue 48)", famWork, mustRead},
	{"must-write", "Be refused, or deceived about, what every host may change", "CWE-703", "iLOBleed 2021: \"updated\" without an update", famWork, mustWrite},
	{"must-grant", "Be refused, or deceived about, what a session was granted", "CWE-703", "Thrangrycat 2019: updates locked out", famWork, mustGrant},
}

func mustRead(t *Target) error {
	h := t.Host()
	for _, p := range t.Places(func(p Place) bool { return t.May(nvm.Read, p.Span.Off) }) {
		h.Must(nvm.Read, nil, p.Span.Off, min(p.Span.Len, 1<<16))
		h.Must(nvm.Read, nil, p.Span.End()-1, 1)
		h.Must(nvm.Read, nil, p.Span.Off-8, 16)
	}
	return t.mustBlank(h)
}

// mustBlank: what reads as erased does, so that hosts that read all still start.
func (t *Target) mustBlank(h *Subject) error {
	for _, p := range t.Places(everything) {
		t.chip.mu.Lock()
		is := t.chip.m.may(h.s, nvm.Read, p.Span.Off) == blank
		t.chip.mu.Unlock()
		if !is {
			continue
		}
		b := make([]byte, min(p.Span.Len, 256))
		b[0] = ^t.Geo.Erased
		if _, err := h.h.ReadAt(b, p.Span.Off); err != nil || !erased(b, t.Geo.Erased) {
			t.Fail(Breach{What: "what should read as erased does not", Region: p.Name, Span: p.Span})
		}
	}
	return nil
}

// mustChange erases a block and programs two units of it.
func (t *Target) mustChange(s *Subject, r *policy.Region) {
	b := t.Inner(r.Span)
	if b.Len == 0 {
		b = t.Geo.Block(r.Span.Off)
	}
	p := t.payload(t.Geo.ProgramSize)
	p[0] = 0x5A
	s.Must(nvm.Erase, nil, b.Off, b.Len)
	for i := range int64(2) {
		u := t.Unit(max(b.Off, r.Span.Off) + i*t.Geo.ProgramSize)
		if t.Geo.Program != nvm.OncePage || erased(t.chip.now(u), t.Geo.Erased) {
			s.Must(nvm.Write, p, u.Off, u.Len)
		}
	}
}

func mustWrite(t *Target) error {
	rs := t.Regions(func(r *policy.Region, _ policy.Access) bool {
		return t.May(nvm.Write, r.Span.Off) || t.May(nvm.Erase, r.Span.Off)
	})
	if len(rs) == 0 {
		return Skip("no host may change anything")
	}
	h := t.Host()
	for _, r := range rs {
		t.mustChange(h, r)
		h.Must(nvm.Read, nil, r.Span.Off, min(r.Span.Len, 64))
	}
	return nil
}

func mustGrant(t *Target) error {
	rs := append(t.granted(nvm.Write), t.granted(nvm.Erase)...)
	if len(rs) == 0 {
		return Skip("no region is changed by a grant")
	}
	for _, r := range rs {
		a := r.AccessIn(t.State)
		for _, who := range []string{a.Write.Authority, a.Erase.Authority} {
			if who == "" {
				continue
			}
			s := t.session(policy.Rights{Authority: who, Ops: nvm.AllOps, Span: r.Span, ProgramBytes: 1 << 30, Erases: 1 << 20})
			if s == nil {
				return nil
			}
			t.mustChange(s, r)
			if b := t.Geo.Inward(r.Span); b.Len > 0 { // the whole of it in one request
				s.Must(nvm.Erase, nil, b.Off, b.Len)
			}
			t.End(s)
		}
	}
	return nil
}
