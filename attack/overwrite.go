package attack

import (
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// What malware with root does first.
var overwrite = []Attack{
	{"raw-overwrite", "Program and erase every protected place", "CWE-862", "Mirai 2016 droppers and their successors", famOverwrite, rawOverwrite},
	{"vpnfilter-dstr", "Overwrite the first 5000 bytes of every place", "CWE-862", "VPNFilter 2018, module dstr", famOverwrite, dstr},
	{"acidrain-wipe", "Erase, then program, block after block", "CWE-862", "AcidRain, Viasat 2022: MEMUNLOCK, MEMERASE, MEMWRITE", famOverwrite, acidRain},
	{"random-wipe", "Random accesses of random kinds", "CWE-20", "BrickerBot 2017: dd from urandom over every device", famOverwrite, randomWipe},
	{"update-overwrite", "Write an update region without an update", "CWE-494", "Cyclops Blink 2022: firmware repacked on the device", famOverwrite, updateOverwrite},
}

// Code that runs before the operating system.
var boot = []Attack{
	{"trickboot", "Write and erase what boots", "CWE-1233", "TrickBoot 2020, LoJax 2018", famBoot, trickBoot},
	{"bit-clear-implant", "Plant code by clearing bits, without an erase", "CWE-1233", "MoonBounce 2022: an implant inside an existing module; NOR programs only clear bits", famBoot, bitClear},
	{"boot-environment", "Change boot code through the block it shares with its settings", "CWE-1220", "U-Boot environment next to U-Boot; OpenWrt issue 2791", famBoot, bootEnvironment},
}

func rawOverwrite(t *Target) error {
	h := t.Host()
	for _, p := range t.Places(func(Place) bool { return true }) {
		for _, at := range []int64{p.Span.Off, p.Span.Off + p.Span.Len/2, p.Span.End() - 1} {
			b := t.Geo.Block(at)
			u := at - at%t.Geo.ProgramSize
			_ = h.Write(u, t.Geo.ProgramSize)
			_ = h.Erase(b.Off, b.Len)
			_ = h.Write(u, t.Geo.ProgramSize)
		}
	}
	return nil
}

// chunks programs as a driver does: page by page.
func (s *Subject) chunks(off, n int64) {
	u, page := s.t.Geo.ProgramSize, s.t.Geo.PageSize
	off = off / u * u
	for end := min(off+n, s.t.Geo.Size); off < end; {
		step := (end - off + u - 1) / u * u
		if page > 0 {
			step = min(step, page-off%page)
		}
		_ = s.Write(off, step)
		off += step
	}
}

func dstr(t *Target) error {
	h := t.Host()
	for _, p := range t.Places(func(Place) bool { return true }) {
		_ = h.Write(p.Span.Off, 5000/t.Geo.ProgramSize*t.Geo.ProgramSize)
		h.chunks(p.Span.Off, 5000)
	}
	return nil
}

func acidRain(t *Target) error {
	h := t.Host()
	step := max(1, t.Geo.Size/t.Geo.EraseSize/512)
	for at, i := int64(0), int64(0); at < t.Geo.Size; i++ {
		b := t.Geo.Block(at)
		if i%step == 0 {
			_ = h.Erase(b.Off, b.Len)
			_ = h.Write(b.Off, t.Geo.ProgramSize)
			_ = h.Write(b.End()-t.Geo.ProgramSize, t.Geo.ProgramSize)
		}
		at = b.End()
	}
	return nil
}

func randomWipe(t *Target) error {
	h := t.Host()
	var ends []int64
	for _, p := range t.Places(func(Place) bool { return true }) {
		ends = append(ends, p.Span.Off, p.Span.End())
	}
	u := t.Geo.ProgramSize
	for range 600 {
		off := ends[t.Rand.IntN(len(ends))]
		switch t.Rand.IntN(4) {
		case 0:
			n := int64(1+t.Rand.IntN(64)) * u
			_ = h.Write(off/u*u-int64(t.Rand.IntN(32))*u, n)
		case 1:
			b := t.Geo.Block(max(0, min(off, t.Geo.Size-1)))
			_ = h.Erase(b.Off, b.Len*int64(1+t.Rand.IntN(4)))
		case 2:
			_ = h.Erase(off-int64(t.Rand.IntN(64)), int64(1+t.Rand.IntN(1<<16)))
		case 3:
			_ = h.Read(off-int64(t.Rand.IntN(64)), int64(1+t.Rand.IntN(256)))
		}
	}
	return nil
}

// intent fails if a host may change r at all. The policy allows it, so that the
// oracle has nothing against it: what is wrong is the rule.
func intent(t *Target, h *Subject, r *policy.Region, why string) {
	a := r.AccessIn(t.State)
	u := t.Unit(r.Span.Off)
	for _, at := range []int64{u.Off, r.Span.Off + r.Span.Len/2/u.Len*u.Len} {
		if err := h.Write(at, u.Len); err == nil && a.Write.Mode != policy.Grant {
			t.tooWeak(r, nvm.Span{Off: at, Len: u.Len}, "write", a.Write, why)
		}
	}
	b := t.Inner(r.Span)
	if b.Len == 0 {
		b = t.Geo.Block(r.Span.Off)
	}
	if err := h.Erase(b.Off, b.Len); err == nil {
		t.tooWeak(r, b, "erase", a.Erase, why)
	}
}

func (t *Target) tooWeak(r *policy.Region, s nvm.Span, op string, rule policy.Rule, why string) {
	before := Digest{}
	if s.In(t.Geo.Size) {
		before = sum(t.g.golden[s.Off:s.End()])
	}
	t.Fail(Breach{
		What: why, Region: r.Name, Span: s, Before: before,
		Rule:   "region \"" + r.Name + "\": " + op + ": " + rule.String(),
		Advice: "make " + op + " never or a grant",
	})
}

func updateOverwrite(t *Target) error {
	rs := t.Regions(func(r *policy.Region, _ policy.Access) bool { return r.Update != nil })
	if len(rs) == 0 {
		return Skip("no update region")
	}
	h := t.Host()
	for _, r := range rs {
		intent(t, h, r, "a host may change an update region past the update")
	}
	return nil
}

func bootRegions(t *Target) []*policy.Region {
	return t.Regions(func(r *policy.Region, _ policy.Access) bool { return r.Boot })
}

func trickBoot(t *Target) error {
	rs := bootRegions(t)
	if len(rs) == 0 {
		return Skip("no region is marked boot: true")
	}
	h := t.Host()
	for _, r := range rs {
		intent(t, h, r, "a host may change what runs before the operating system")
	}
	return nil
}

func bitClear(t *Target) error {
	rs := bootRegions(t)
	if len(rs) == 0 {
		return Skip("no region is marked boot: true")
	}
	h, u := t.Host(), t.Geo.ProgramSize
	for _, r := range rs {
		for i := range int64(16) {
			at := t.Unit(r.Span.Off + i*max(r.Span.Len/16, 1)).Off
			if at+u > r.Span.End() {
				break
			}
			if h.Write(at, u) == nil {
				t.tooWeak(r, nvm.Span{Off: at, Len: u}, "write", r.AccessIn(t.State).Write, "a host may plant code in what runs before the operating system")
			}
		}
		h.chunks(r.Span.Off, min(r.Span.Len, 1024))
	}
	return nil
}

func bootEnvironment(t *Target) error {
	h, tried := t.Host(), false
	for _, r := range bootRegions(t) {
		for _, b := range []nvm.Span{t.Geo.Block(r.Span.Off), t.Geo.Block(r.Span.End() - 1)} {
			if r.Span.Contains(b) {
				continue
			}
			tried = true
			for _, at := range []int64{b.Off, b.End() - 1} {
				if nb := t.Policy.Region(t.nameAt(at)); nb != nil && nb.ID != r.ID {
					lo, hi := max(b.Off, nb.Span.Off), min(b.End(), nb.Span.End())
					_ = h.Erase(lo, hi-lo)
				}
			}
			if h.Erase(b.Off, b.Len) == nil {
				t.tooWeak(r, b, "erase", r.AccessIn(t.State).Erase, "a host may erase boot code with its neighbour")
			}
		}
	}
	if !tried {
		return Skip("no boot region shares an erase block")
	}
	return nil
}

func (t *Target) nameAt(off int64) string {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	name, _ := t.chip.m.where(off, nvm.Write)
	return name
}
