package sim

import (
	"math"

	"github.com/nanolock/nanolock/nvm"
)

// Faults switches on what can go wrong. The zero Faults is a healthy part: it
// obeys its program class, and a power cut can leave every torn state, but
// what was settled stays.
type Faults struct {
	Over        Over    // F2: what a second program of a unit does on a ClearBits part
	MaxPrograms int     // F2: programs of a page between erases before bits get unstable; 0 = no limit, at most 254
	PageWrap    bool    // F3: a program across the page's end wraps to its start instead of nvm.ErrAlign
	Without     Torn    // F4–F10, F18: torn states that are left out
	Collateral  Scope   // F8: how far the damage of a torn program reaches
	WeakPPM     uint32  // F10: per million, a bit programmed into a unit with unstable bits is unstable too
	Rules       []Rule  // F11, F12: operations that fail
	Wear        Wear    // F13: blocks wear out
	Disturb     Disturb // F14: reads disturb their neighbours
	Retention   float64 // F15: flips per programmed bit and hour on a new block; see Flash.Advance
	GrowBad     bool    // F16: a block whose program or erase fails becomes bad (Geometry.BadBlocks)
}

// Over is what a second program of a unit that is not erased does (F2).
type Over uint8

// The ways of parts of the class ClearBits. OncePage parts always refuse.
const (
	OverAnd     Over = iota // the bits add up: plain NOR
	OverRefuse              // nvm.ErrProgrammed
	OverPoison              // the unit's ECC no longer fits: reads are uncorrectable
	OverCorrupt             // some bits of the unit become unstable
)

// Scope is how far the collateral damage of a torn program reaches (F8).
type Scope uint8

// Scopes. The zero value is the worst that a maker admits (SST26VF: the whole
// sector that holds the page).
const (
	ScopeSector Scope = iota
	ScopePage
)

// Wear switches wear-out on (F13). A block lasts Geometry.Endurance erases,
// times a log-normal draw of its own.
type Wear struct {
	On     bool
	Sigma  float64 // of the log-normal distribution, 0..2; makers' parts are near 0.2
	Silent bool    // the erase of a worn block does not report ErrFailed
}

// Disturb is read disturb (F14).
type Disturb struct {
	Limit uint32 // reads of a block since its erase that are harmless (SLC: about 100 000); 0 = off
	PPM   uint32 // per million, that a read beyond them flips an erased bit in another page of the block
}

// Rule makes operations fail or do nothing (F11, F12).
type Rule struct {
	Ops    nvm.Op // nvm.Write, nvm.Erase or both
	At     uint64 // the first operation concerned; Flash.Ops counts them from 0
	Times  uint64 // how many operations from At on; 0 = for ever
	Effect Effect // what was done all the same
	Silent bool   // F11: the part reports success
}

// Effect is how much of a failing operation was done.
type Effect uint8

// Effects.
const (
	Nothing Effect = iota
	Half           // the first half of the bytes; an erase does half of the block
	Whole
)

func (r Rule) hits(k Kind, index uint64) bool {
	return r.Ops&k.op() != 0 && index >= r.At && (r.Times == 0 || index-r.At < r.Times)
}

func (x *Faults) validate(c *Config) error {
	switch {
	case x.Over > OverCorrupt || x.Collateral > ScopePage:
		return refuse("unknown kind of fault")
	case x.Over != OverAnd && c.Geometry.Program != nvm.ClearBits:
		return refuse("a second program is already refused or harmless on %v", c.Geometry.Program)
	case x.Over == OverPoison && c.ECC.Unit == 0:
		return refuse("poison on a part without ECC")
	case x.MaxPrograms < 0 || x.MaxPrograms > 254:
		return refuse("%d programs per page are not in 0..254", x.MaxPrograms)
	case x.PageWrap && (c.Geometry.PageSize == 0 || c.Geometry.ProgramSize != 1):
		return refuse("page wrap needs a page of single bytes")
	case !(x.Wear.Sigma >= 0 && x.Wear.Sigma <= 2):
		return refuse("sigma %v is not in 0..2", x.Wear.Sigma)
	case x.Wear.On && c.Geometry.Endurance == 0:
		return refuse("wear without an endurance")
	case !(x.Retention >= 0) || math.IsInf(x.Retention, 0):
		return refuse("retention rate %v", x.Retention)
	case c.Cached && (x.Wear.On || x.Disturb.Limit > 0 || x.Retention > 0):
		return refuse("a cache belongs to a block device, wear and decay to a bare part")
	}
	return x.validateRules()
}

func (x *Faults) validateRules() error {
	if max(x.WeakPPM, x.Disturb.PPM) > 1_000_000 {
		return refuse("a probability above one million in a million")
	}
	for i, r := range x.Rules {
		if r.Ops == 0 || r.Ops&^(nvm.Write|nvm.Erase) != 0 || r.Effect > Whole {
			return refuse("rule %d: operations %v, effect %d", i, r.Ops, r.Effect)
		}
	}
	return nil
}
