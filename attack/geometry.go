package attack

import "github.com/nanolock/nanolock/nvm"

// What a part does differs from what it was asked: it rounds, wraps and takes
// whole units.
var geometry = []Attack{
	{"partial-erase", "Erase a part of a block that holds protected bytes", "CWE-1220", "Intel PFR: a 64 KiB erase checked as 16 KiB; OpenWrt issue 2791: erasing a config killed the bootloader", famGeometry, partialErase},
	{"shared-block", "Erase a block that two regions share", "CWE-1220", "OpenWrt issue 2791", famGeometry, sharedBlock},
	{"uneven-blocks", "Erase in steps of the smallest block where blocks are larger", "CWE-1220", "S25FL-S: D8 erases 256 KiB where drivers assume 64 KiB", famGeometry, unevenBlocks},
	{"page-wrap", "Program across the end of a page", "CWE-119", "SPI NOR page program wraps to the page's start", famGeometry, pageWrap},
	{"sub-unit", "Program a part of a unit that holds protected bytes", "CWE-119", "ECC NOR (Semper): the second program of a 16-byte unit disables its ECC", famGeometry, subUnit},
	{"chip-erase", "Erase the whole chip", "CWE-1220", "CIH 1998; opcodes C7, 60 and C4", famGeometry, chipErase},
	{"erase-escalation", "Retry a refused erase with ever larger blocks", "CWE-1220", "flashrom escalates 20, 52, D8, 60, C7", famGeometry, eraseEscalation},
	{"mark-bad", "Destroy blocks for ever by marking them bad", "CWE-862", "MTD ioctl MEMSETBADBLOCK: destroys a block without erasing it", famGeometry, markBad},
	{"geometry-tamper", "Change the geometry that the lock handed out", "CWE-374", "SFDP that lies about erase sizes", famGeometry, geometryTamper},
}

// borders are the host-erasable places that begin or end inside a block.
func (t *Target) borders() []Place {
	return t.Places(func(p Place) bool {
		return t.May(nvm.Erase, p.Span.Off) && (t.Geo.Block(p.Span.Off).Off != p.Span.Off || t.Geo.Block(p.Span.End()-1).End() != p.Span.End())
	})
}

func partialErase(t *Target) error {
	b := t.borders()
	if len(b) == 0 {
		return Skip("no region that a host may erase shares a block")
	}
	h := t.Host()
	for _, p := range b {
		first, last := t.Geo.Block(p.Span.Off), t.Geo.Block(p.Span.End()-1)
		_ = h.Erase(p.Span.Off, min(first.End(), p.Span.End())-p.Span.Off)
		_ = h.Erase(max(last.Off, p.Span.Off), p.Span.End()-max(last.Off, p.Span.Off))
		_ = h.Erase(p.Span.Off, p.Span.Len)
		_ = h.Erase(p.Span.Off, 1)
	}
	return nil
}

func sharedBlock(t *Target) error {
	b := t.borders()
	if len(b) == 0 {
		return Skip("no region that a host may erase shares a block")
	}
	h := t.Host()
	for _, p := range b {
		out := t.Geo.Outward(p.Span)
		_ = h.Erase(out.Off, out.Len)
		for _, x := range []nvm.Span{t.Geo.Block(p.Span.Off), t.Geo.Block(p.Span.End() - 1)} {
			_ = h.Erase(x.Off, x.Len)
			_ = h.MarkBad(x.Off)
		}
	}
	return nil
}

func unevenBlocks(t *Target) error {
	if t.Geo.Blocks == nil {
		return Skip("all erase blocks are equal")
	}
	h := t.Host()
	for _, p := range t.Allowed(nvm.Erase) {
		e := t.Geo.EraseSize
		for at := (p.Span.Off + e - 1) / e * e; at+e <= p.Span.End(); at += e {
			_ = h.Erase(at, e)
		}
	}
	return nil
}

func pageWrap(t *Target) error {
	page := t.Geo.PageSize
	if page == 0 {
		return Skip("the memory has no pages")
	}
	h := t.Host()
	for _, p := range t.Allowed(nvm.Write) {
		start := p.Span.Off - p.Span.Off%page + page
		for _, n := range []int64{2, 32, page} {
			n = max(n/t.Geo.ProgramSize, 2) * t.Geo.ProgramSize
			_ = h.Write(start-t.Geo.ProgramSize, n)
			_ = h.Write(start-n/2/t.Geo.ProgramSize*t.Geo.ProgramSize, n)
		}
	}
	return nil
}

func subUnit(t *Target) error {
	u := t.Geo.ProgramSize
	if u == 1 {
		return Skip("the memory programs single bytes")
	}
	h := t.Host()
	for _, p := range t.Allowed(nvm.Write) {
		_ = h.Write(p.Span.Off, 1)
		_ = h.Write(p.Span.Off, (u-p.Span.Off%u)%u)
		_ = h.Write(p.Span.End()-1, 1)
		_ = h.Write(p.Span.End()-p.Span.End()%u, p.Span.End()%u)
		_ = h.Write(t.Unit(p.Span.Off).Off-u, u)
	}
	return nil
}

func chipErase(t *Target) error {
	h := t.Host()
	_ = h.Erase(0, t.Geo.Size)
	return nil
}

func eraseEscalation(t *Target) error {
	h := t.Host()
	for _, p := range t.Denied(nvm.Erase) {
		for n := t.Geo.EraseSize; n > 0 && n <= t.Geo.Size; n *= 2 {
			at := p.Span.Off - p.Span.Off%n
			_ = h.Erase(at, min(n, t.Geo.Size-at))
			if at >= n { // the open neighbour in front, with this place at its end
				_ = h.Erase(at-n, 2*n)
			}
		}
	}
	return nil
}

func markBad(t *Target) error {
	h := t.Host()
	for _, p := range t.Denied(nvm.Erase) {
		_ = h.MarkBad(p.Span.Off)
		_ = h.MarkBad(p.Span.End() - 1)
	}
	for _, p := range t.Allowed(nvm.Erase) { // an erase can be undone, this cannot
		_ = h.MarkBad(p.Span.Off)
	}
	return nil
}

func geometryTamper(t *Target) error {
	if t.Geo.Blocks == nil {
		return Skip("all erase blocks are equal")
	}
	h := t.Host()
	g := h.h.Geometry()
	saved := append([]nvm.EraseArea(nil), g.Blocks...)
	for i := range g.Blocks {
		g.Blocks[i].EraseSize = g.EraseSize
	}
	err := unevenBlocks(t)
	copy(g.Blocks, saved) // in case the slice is the memory's own
	return err
}
