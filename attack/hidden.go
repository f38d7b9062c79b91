package attack

import (
	"bytes"
	"runtime/debug"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Space that no rule speaks of is where persistence hides.
var hidden = []Attack{
	{"gap-persistence", "Hide data in bytes that no region covers", "CWE-1220", "VPNFilter 2018 stage 1 kept itself in NVRAM; service areas of disks", famHidden, gaps},
	{"hidden-area-implant", "Program the lock's own areas", "CWE-284", "Equation group's nls_933w: firmware and hidden areas of disks", famHidden, hiddenImplant},
	{"vault-wipe", "Erase the lock's state to make the device new", "CWE-471", "iPhone 5c NAND mirroring; blank chips taken for first boot", famHidden, vaultWipe},
	{"inactive-slot", "Write the slot that is not in use", "CWE-494", "A/B updates with a writable other slot: the implant waits for the flip", famHidden, inactiveSlot},
}

// Reading is a right too.
var reads = []Attack{
	{"read-denied", "Read what must not be read", "CWE-862", "Keys and credentials read from raw MTD devices", famRead, readDenied},
	{"read-straddle", "Read from the readable into the unreadable", "CWE-125", "OpenTitan passthrough: a read that runs into the mailbox window", famRead, readStraddle},
	{"blank-leak", "Look for content behind bytes that read as erased", "CWE-200", "Hidden sectors that a whole-chip read returns", famRead, blankLeak},
	{"view-denied", "Map what must not be read", "CWE-862", "mmap of /dev/mem beside the read path", famRead, viewDenied},
	{"view-grow", "Grow a view over its neighbours", "CWE-125", "Go slices keep the capacity behind their end", famRead, viewGrow},
	{"view-write", "Write through a view", "CWE-123", "CVE-2019-6260 pantsdown: a side door maps the flash writable", famRead, viewWrite},
	{"view-after-grant", "Keep by a view what a grant lent", "CWE-613", "Mappings that survive the revocation of their file", famRead, viewAfterGrant},
}

func gaps(t *Target) error {
	gs := t.Places(func(p Place) bool { return p.Name == "" })
	if len(gs) == 0 {
		return Skip("the map has no gaps")
	}
	h, u := t.Host(), t.Geo.ProgramSize
	for _, p := range gs {
		_ = h.Write(t.Unit(p.Span.Off).Off, u)
		_ = h.Write((p.Span.End()-1)/u*u, u)
		b := t.Geo.Block(p.Span.Off)
		_ = h.Erase(b.Off, b.Len)
		_ = h.Read(p.Span.Off, min(p.Span.Len, 4096))
	}
	return nil
}

func areas(t *Target, kinds ...policy.AreaKind) []Place {
	return t.Places(func(p Place) bool {
		for _, k := range kinds {
			if p.Area != nil && p.Area.Kind == k {
				return true
			}
		}
		return p.Area != nil && len(kinds) == 0
	})
}

func hiddenImplant(t *Target) error {
	as := areas(t)
	if len(as) == 0 {
		return Skip("no hidden area")
	}
	h := t.Host()
	for _, p := range as {
		_ = h.Write(p.Span.Off, t.Geo.ProgramSize)
		h.chunks(p.Span.Off+p.Span.Len/2, 64)
	}
	return nil
}

func vaultWipe(t *Target) error {
	as := areas(t, policy.Vault, policy.Audit, policy.Digests)
	if len(as) == 0 {
		return Skip("the lock keeps no state in the memory")
	}
	h := t.Host()
	for _, p := range as {
		b := t.Geo.Block(p.Span.Off)
		_ = h.Erase(b.Off, b.Len)
		_ = h.Erase(p.Span.Off, p.Span.Len)
		_ = h.MarkBad(p.Span.Off)
	}
	return nil
}

func inactiveSlot(t *Target) error {
	as := areas(t, policy.Slot)
	if len(as) == 0 {
		return Skip("no second slot")
	}
	h := t.Host()
	for _, slot := range []int{0, 1} {
		for _, r := range t.Policy.Map {
			if r.Update == nil || r.Update.Slot == "" {
				continue
			}
			if err := t.Activate(r.Name, slot); err != nil {
				t.Fail(Breach{What: "a slot cannot be put in place: " + err.Error(), Region: r.Name})
				return nil
			}
			at := t.Policy.Area(r.Update.Slot).Span
			_ = h.Write(at.Off, t.Geo.ProgramSize)
			_ = h.Erase(at.Off, t.Geo.Block(at.Off).Len)
			_ = h.Read(at.Off, 64)
		}
	}
	return nil
}

func readDenied(t *Target) error {
	ps := t.Denied(nvm.Read)
	if len(ps) == 0 {
		return Skip("a host may read everything")
	}
	h := t.Host()
	for _, p := range ps {
		_ = h.Read(p.Span.Off, min(p.Span.Len, 4096))
		_ = h.Read(p.Span.Off+p.Span.Len/2, 1)
		_ = h.Read(p.Span.End()-1, 1)
	}
	return nil
}

func readStraddle(t *Target) error {
	ps := t.Denied(nvm.Read)
	if len(ps) == 0 {
		return Skip("a host may read everything")
	}
	h := t.Host()
	for _, p := range ps {
		for _, k := range []int64{1, 16, 256} {
			_ = h.Read(p.Span.Off-k, 2*k)
			_ = h.Read(p.Span.End()-k, 2*k)
			_ = h.Read(p.Span.Off-k, min(p.Span.Len, 1<<20)+2*k)
		}
	}
	_ = h.Read(0, t.Geo.Size)
	return nil
}

func blankLeak(t *Target) error {
	ps := t.Places(func(p Place) bool {
		t.chip.mu.Lock()
		defer t.chip.mu.Unlock()
		return t.chip.m.may(&subject{}, nvm.Read, p.Span.Off) == blank
	})
	if len(ps) == 0 {
		return Skip("nothing reads as erased")
	}
	h := t.Host()
	for _, p := range ps {
		_ = h.Read(p.Span.Off, min(p.Span.Len, 1<<16))
		_ = h.Read(p.Span.Off-16, 32)
		_ = h.Read(p.Span.End()-16, 32)
		_ = h.Read(p.Span.Off, t.Geo.Block(p.Span.Off).Len)
	}
	return nil
}

// view fails if a view shows what the host may not always read.
func (s *Subject) view(off, n int64) []byte {
	var v []byte
	err := s.act(func() (err error) { v, err = s.h.View(off, n); return })
	if err != nil || n == 0 {
		return nil
	}
	c := s.t.chip
	c.mu.Lock()
	defer c.mu.Unlock()
	span := nvm.Span{Off: off, Len: n}
	if !span.In(c.geo.Size) || int64(len(v)) != n {
		c.fail(Breach{What: "a view of another length than asked", Span: span})
		return nil
	}
	if bad, ok := c.m.all(&subject{}, nvm.Read, span); !ok {
		region, rule := c.m.where(bad.Off, nvm.Read)
		c.fail(Breach{What: "a view of what must not be read", Region: region, Span: bad, Rule: rule})
	}
	return v
}

func viewDenied(t *Target) error {
	ps := t.Denied(nvm.Read)
	if len(ps) == 0 {
		return Skip("a host may read everything")
	}
	h := t.Host()
	for _, p := range ps {
		h.view(p.Span.Off, min(p.Span.Len, 4096))
		h.view(p.Span.Off-16, 32)
		h.view(p.Span.End()-16, 32)
		h.view(p.Span.Off-16, p.Span.Len+32)
	}
	h.view(0, t.Geo.Size)
	return nil
}

// views calls f with a small view of each region that gives one.
func views(t *Target, f func(p Place, v []byte)) error {
	h, found := t.Host(), false
	for _, p := range t.Places(func(p Place) bool { return p.Region != nil && t.May(nvm.Read, p.Span.Off) }) {
		if v := h.view(p.Span.Off, min(p.Span.Len, 64)); v != nil {
			found = true
			f(p, v)
		}
	}
	if !found {
		return Skip("the lock gives no views of this memory")
	}
	return nil
}

func viewGrow(t *Target) error {
	return views(t, func(p Place, v []byte) {
		if cap(v) > len(v) {
			t.Fail(Breach{What: "a view can be grown over what lies behind it", Region: p.Name, Span: p.Span})
		}
	})
}

func viewWrite(t *Target) error {
	if !t.g.c.Faults {
		return Skip("faults are not asked for: see Config.Faults")
	}
	err := views(t, func(p Place, v []byte) {
		if faults(func() { v[0] = ^v[0] }) {
			return
		}
		_ = t.Host().h.Sync()
		got := t.chip.now(nvm.Span{Off: p.Span.Off, Len: 1})
		if !bytes.Equal(got, t.chip.want[p.Span.Off:][:1]) {
			t.chip.touched[t.Geo.Block(p.Span.Off).Off] = true
			t.Fail(Breach{What: "a view is writable memory", Region: p.Name, Span: nvm.Span{Off: p.Span.Off, Len: 1}})
		}
	})
	return err
}

// faults tells whether f faults, which the runtime turns into a panic.
func faults(f func()) (yes bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func viewAfterGrant(t *Target) error {
	rs := t.Regions(func(_ *policy.Region, a policy.Access) bool { return a.Read.Mode == policy.Grant })
	if len(rs) == 0 {
		return Skip("no region is read by a grant")
	}
	for _, r := range rs {
		s, err := t.Grant(r.AccessIn(t.State).Read.Authority, r.Span)
		if err != nil {
			t.Fail(Breach{What: "a session that the policy allows is refused: " + err.Error(), Region: r.Name})
			return nil
		}
		s.view(r.Span.Off, min(r.Span.Len, 64))
		_ = s.Read(r.Span.Off, min(r.Span.Len, 64))
		t.End(s)
		_ = s.Read(r.Span.Off, min(r.Span.Len, 64))
		s.view(r.Span.Off, min(r.Span.Len, 64))
	}
	return nil
}
