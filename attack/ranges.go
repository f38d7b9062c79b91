package attack

import (
	"math"

	"github.com/nanolock/nanolock/nvm"
)

// Addresses and lengths that arithmetic gets wrong. A part decodes as many
// address bits as it has, so that each of them ends on a real byte.
var ranges = []Attack{
	{"negative-offset", "Address protected bytes below zero", "CWE-1285", "Signed addresses tested against the end of the flash only", famRange, negativeOffset},
	{"negative-length", "Erase with a length below zero", "CWE-839", "Signed lengths tested against an upper bound only", famRange, negativeLength},
	{"sum-overflow", "Let offset plus length exceed 63 bits", "CWE-190", "Range filters that compute offset plus length before they compare", famRange, sumOverflow},
	{"address-wrap-32", "Let the end of an access wrap at 4 GiB", "CWE-190", "Project Cerberus: region end 0 stands for the top of the flash", famRange, addressWrap},
	{"length-32", "Erase a length whose low 32 bits are harmless", "CWE-197", "MTD MEMERASE takes 32-bit lengths, MEMERASE64 does not", famRange, length32},
	{"length-16", "Program a length whose low 16 bits are harmless", "CWE-197", "16-bit transfer counters of SPI controllers", famRange, length16},
	{"past-end", "Wrap around the end of the memory", "CWE-787", "SPI NOR: addresses at or above the size alias to 0", famRange, pastEnd},
	{"off-by-one", "Change the first and the last byte of protected places", "CWE-193", "Intel PRx base and limit registers: the limit is inclusive", famRange, offByOne},
	{"straddle", "Start an access where it is allowed, end it where it is not", "CWE-787", "OpenTitan passthrough: reads and writes across an intercepted window", famRange, straddle},
	{"span-middle", "Span a protected place between two open ones", "CWE-787", "flashrom layouts: one erase over several regions", famRange, spanMiddle},
	{"zero-length", "Ask for nothing at protected addresses", "CWE-1284", "Project Cerberus PR 10: length 0 meant all of the flash", famRange, zeroLength},
}

// everywhere tries to program, erase and read protected places at an alias of
// their address.
func everywhere(t *Target, alias func(off int64) int64) {
	h := t.Host()
	for _, p := range t.Places(func(Place) bool { return true }) {
		off := alias(p.Span.Off)
		_ = h.Write(off, t.Geo.ProgramSize)
		_ = h.Erase(off, t.Geo.Block(p.Span.Off).Len)
		_ = h.Read(off, 16)
	}
}

func negativeOffset(t *Target) error {
	everywhere(t, func(off int64) int64 { return off - t.Geo.Size })
	everywhere(t, func(off int64) int64 { return math.MinInt64 + off })
	h := t.Host()
	_ = h.Write(-t.Geo.ProgramSize, 2*t.Geo.ProgramSize)
	return nil
}

func negativeLength(t *Target) error {
	h := t.Host()
	for _, p := range t.Denied(nvm.Erase) {
		for _, n := range []int64{-1, -t.Geo.EraseSize, -p.Span.Off, math.MinInt64} {
			if n < 0 {
				_ = h.Erase(p.Span.Off, n)
			}
		}
	}
	return nil
}

func sumOverflow(t *Target) error {
	h := t.Host()
	u := max(t.Geo.ProgramSize, 8)
	_ = h.Write(math.MaxInt64-u+1, 2*u)
	_ = h.Read(math.MaxInt64-u+1, 2*u)
	for _, p := range t.Denied(nvm.Erase) {
		_ = h.Erase(p.Span.Off, math.MaxInt64)
		_ = h.Erase(p.Span.Off, math.MaxInt64-p.Span.Off+1)
		_ = h.Erase(math.MaxInt64-t.Geo.EraseSize+1, 2*t.Geo.EraseSize)
	}
	return nil
}

func addressWrap(t *Target) error {
	h := t.Host()
	for _, top := range []int64{1 << 24, 1 << 31, 1 << 32} {
		u := max(t.Geo.ProgramSize, 8)
		_ = h.Write(top-u, 2*u)
		_ = h.Erase(top-t.Geo.EraseSize, 2*t.Geo.EraseSize)
		for _, p := range t.Denied(nvm.Erase) {
			_ = h.Erase(p.Span.Off, top-p.Span.Off)
		}
	}
	return nil
}

func length32(t *Target) error {
	h := t.Host()
	for _, p := range t.Places(func(Place) bool { return true }) {
		b := t.Geo.Block(p.Span.Off)
		for _, n := range []int64{1 << 32, 1<<32 + b.Len, 1<<33 + b.Len} {
			_ = h.Erase(b.Off, n)
		}
	}
	return nil
}

func length16(t *Target) error {
	open := t.Allowed(nvm.Write)
	if len(open) == 0 {
		return Skip("no region that any host may program")
	}
	h := t.Host()
	for _, p := range open {
		at := t.Unit(p.Span.Off)
		_ = h.Write(at.Off, 1<<16+at.Len)
		_ = h.Write(at.Off, 1<<16)
	}
	return nil
}

func pastEnd(t *Target) error {
	everywhere(t, func(off int64) int64 { return off + t.Geo.Size })
	h := t.Host()
	last := t.Geo.Block(t.Geo.Size - 1)
	_ = h.Write(t.Geo.Size-t.Geo.ProgramSize, 2*t.Geo.ProgramSize)
	_ = h.Write(t.Geo.Size-1, 2)
	_ = h.Erase(last.Off, 2*last.Len)
	_ = h.Read(t.Geo.Size-8, 16)
	return nil
}

func offByOne(t *Target) error {
	h, u := t.Host(), t.Geo.ProgramSize
	for _, p := range t.Denied(nvm.Write) {
		_ = h.Write(p.Span.Off, u)
		_ = h.Write(p.Span.Off-u, 2*u)
		_ = h.Write(p.Span.End()-u, u)
		_ = h.Write(p.Span.End()-u, 2*u)
	}
	for _, p := range t.Denied(nvm.Erase) {
		first, last := t.Geo.Block(p.Span.Off), t.Geo.Block(p.Span.End()-1)
		_ = h.Erase(first.Off, first.Len)
		_ = h.Erase(last.Off, last.Len)
	}
	for _, p := range t.Denied(nvm.Read) {
		_ = h.Read(p.Span.Off, 1)
		_ = h.Read(p.Span.End()-1, 1)
	}
	return nil
}

func straddle(t *Target) error {
	open := t.Places(func(p Place) bool {
		return t.May(nvm.Write, p.Span.Off) || t.May(nvm.Erase, p.Span.Off) || t.May(nvm.Read, p.Span.Off)
	})
	if len(open) == 0 {
		return Skip("no region that is open to a host")
	}
	h, u := t.Host(), t.Geo.ProgramSize
	for _, p := range open {
		for _, k := range []int64{1, 2, 64} {
			_ = h.Write(p.Span.End()-k*u, 2*k*u)
			_ = h.Write(p.Span.Off-k*u, 2*k*u)
			_ = h.Read(p.Span.End()-k, 2*k)
			_ = h.Read(p.Span.Off-k, 2*k)
		}
		last, first := t.Geo.Block(p.Span.End()-1), t.Geo.Block(p.Span.Off)
		_ = h.Erase(last.Off, last.Len+t.Geo.Block(last.End()).Len)
		if first.Off > 0 {
			before := t.Geo.Block(first.Off - 1)
			_ = h.Erase(before.Off, before.Len+first.Len)
		}
	}
	return nil
}

func spanMiddle(t *Target) error {
	h := t.Host()
	tried := false
	for _, op := range []nvm.Op{nvm.Write, nvm.Erase, nvm.Read} {
		open := t.Places(func(p Place) bool { return t.May(op, p.Span.Off) })
		for i := 1; i < len(open); i++ {
			lo, hi := open[i-1].Span, open[i].Span
			if hi.Off < lo.End() || hi.Off-lo.End() > 8<<20 || hi.Off == lo.End() {
				continue
			}
			tried = true
			u := t.Geo.ProgramSize
			switch op {
			case nvm.Write:
				_ = h.Write(t.Unit(lo.End()-2*u).Off, hi.Off-lo.End()+4*u)
			case nvm.Read:
				_ = h.Read(lo.End()-1, hi.Off-lo.End()+2)
			case nvm.Erase:
				a, b := t.Geo.Block(lo.End()-1), t.Geo.Block(hi.Off)
				_ = h.Erase(a.Off, b.End()-a.Off)
			}
		}
	}
	if !tried {
		return Skip("no protected place between two open ones")
	}
	return nil
}

func zeroLength(t *Target) error {
	h := t.Host()
	for _, p := range t.Places(func(Place) bool { return true }) {
		_ = h.Write(p.Span.Off, 0)
		_ = h.Erase(p.Span.Off, 0)
		_ = h.Read(p.Span.Off, 0)
		if v, err := h.h.View(p.Span.Off, 0); err == nil && cap(v) != 0 {
			t.Fail(Breach{What: "an empty view can be grown", Region: p.Name, Span: p.Span})
		}
	}
	return nil
}
