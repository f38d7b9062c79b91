// Package policy says who may do what to which part of a memory.
//
// A [Policy] is data: what the memory is, what the host sees of it, and for
// each region who may read, write (program) and erase it in which lifecycle
// state. [Policy.Validate] refuses what cannot work, [Policy.Lint] warns of what
// will hurt, [Policy.Compile] turns the rest into a [Table] whose check costs
// the same for four regions and for a hundred thousand. What no rule allows is
// denied; the zero value of everything here denies.
//
// People write YAML (package policyfile), devices read the deterministic CBOR of
// [Policy.MarshalBinary].
package policy

import (
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// Limits. They bound what a policy from outside can make a device allocate.
const (
	MaxRegions     = 1 << 17 // regions of the map, and hidden areas, each
	MaxAuthorities = 64
	MaxKeys        = 32  // per authority
	MaxUpdates     = 64  // regions with an update
	MaxName        = 128 // bytes
)

// Policy is the whole contract for one kind of device. It is itself an order:
// signed, versioned, never rolled back.
type Policy struct {
	Name        string // of the product, for people
	Version     uint64 // from 1; a device never accepts a lower one
	Memory      Memory
	Map         []Region // what the host sees, in any order
	Authorities []Authority
}

// Memory is the physical side.
type Memory struct {
	Size int64 // bytes
	// Granule is the erase block for which the map was drawn, in bytes: a
	// power of two and a multiple of the memory's own smallest erase block.
	Granule int64
	// Blank makes gaps and hidden areas read as erased instead of being
	// refused, so that hosts which read the whole chip still start.
	Blank  bool
	Hidden []Area // closed to every host
}

// AreaKind says what a hidden area is for.
type AreaKind uint8

// Kinds of hidden areas. The zero kind is invalid.
const (
	Vault   AreaKind = 1 + iota // the lock's journal
	Audit                       // the audit chain
	Slot                        // the second slot of an update region
	Staging                     // holds a verified update before it is programmed in place
	Golden                      // an image to fall back to
	Digests                     // digest trailers of an update region
)

// Area is a hidden part of the memory. Its borders are erase block borders.
type Area struct {
	ID      uint32 // stable, from 1; regions and areas share the numbers
	Name    string
	Span    nvm.Span
	Kind    AreaKind
	Courier bool // Golden: the image can fetch an update by itself
}

// Region is a part of the map. Its Span is a host address, which is the physical
// address, but for a flipped update region.
type Region struct {
	ID           uint32 // stable, from 1: orders and reports name it, not the Name
	Name         string
	Span         nvm.Span
	Boot         bool // runs before the host's operating system
	Confidential bool // not readable without a grant, and wiped before rma and decommissioned
	Access
	In     map[State]Access // rules of a lifecycle state; absent = Access
	Update *Update          // nil = not changed by updates
	Wear   Wear
}

// Update says how a new image gets into a region without a moment in which a
// power cut would brick the device. At least one name must be given.
type Update struct {
	Slot    string // an Area of kind Slot, as long as the region: flipped at host reset
	Staging string // an Area of kind Staging that holds every changed block
	Golden  string // an Area of kind Golden whose image contains the courier
}

// Wear is the ledger of a region: how many erases of its blocks, added up, rules
// for hosts and sessions may cause. On memories of class Rewrite a program
// counts as an erase of each block it touches. The zero Wear is unlimited.
type Wear struct {
	Erases   uint32 // in all, or per period
	PerHours uint32 // period; 0 = the life of the device
}

// Access is what a lifecycle state allows. The zero Access denies.
type Access struct {
	Read, Write, Erase Rule
	Blank              bool // a refused read reads as erased instead
}

// Rule says who. The zero Rule is never.
type Rule struct {
	Mode      Mode
	Authority string // for Grant
}

// Mode is the kind of a Rule.
type Mode uint8

// Modes. Once and Append exist for Write alone.
const (
	Never  Mode = iota
	Any         // every host
	Grant       // a session that the named authority opened
	Append      // from the region's mark upwards; the mark only rises
	Once        // until the region is sealed: by Lock.Seal, or by the first start in Deployed
)

// Authority is a named set of keys. Opening what it guards takes Threshold of
// them. One key belongs to one authority.
type Authority struct {
	Name      string
	Suite     Suite // pinned: no other algorithm is accepted
	Threshold int   // 1..len(Keys); 0 only without keys, and then nobody can sign
	Keys      []Key
}

// Owner is the name of the authority that may change the policy itself.
const Owner = "owner"

// Key is a public key. Its length is fixed by the suite.
type Key struct {
	Name        string // whose
	Public      []byte
	Development bool // known to developers; refused in production by Lint
}

// State is a device's lifecycle state.
type State uint8

// Lifecycle states. The zero State is invalid where one is stored, and stands
// for Deployed, the strict one, where one is asked for.
const (
	Manufacturing State = 1 + iota
	Deployed
	RMA
	Decommissioned
)

// states is every lifecycle state in order.
var states = [...]State{Manufacturing, Deployed, RMA, Decommissioned}

// States returns the lifecycle states in their order.
func States() []State { return slices.Clone(states[:]) }

// AccessIn returns the rules that hold in st (0 = Deployed).
func (r *Region) AccessIn(st State) Access {
	if st == 0 {
		st = Deployed
	}
	if a, ok := r.In[st]; ok {
		return a
	}
	return r.Access
}

// Rule returns the rule of one operation; never for anything but one.
func (a Access) Rule(op nvm.Op) Rule {
	switch op {
	case nvm.Read:
		return a.Read
	case nvm.Write:
		return a.Write
	case nvm.Erase:
		return a.Erase
	}
	return Rule{}
}

// Rights is what a session holds beyond a host. The zero Rights is nothing.
type Rights struct {
	Authority string   // whose rules {Grant, Authority} it satisfies
	Ops       nvm.Op   // which operations
	Span      nvm.Span // where; rounded inward to whole erase blocks for Write and Erase
	// Budgets; 0 = none at all. Reads are not metered: that would cost the
	// hot path.
	ProgramBytes int64
	Erases       int64 // erase blocks
}

// Usage is what the Lock counts and somebody above must remember across boots.
// Nothing in it ever goes down, but for Mark when Rounds goes up.
type Usage struct {
	Erases  uint64 // spent of the wear ledger
	Allowed uint64 // the ledger's limit so far, where it has a period
	Rounds  uint64 // Append: how often a grant erased the whole region
	Mark    int64  // Append: first byte not yet programmed this round, from the region's start
	Sealed  bool   // Once is over
}

// Join returns the usage that has seen what either has seen.
func (u Usage) Join(v Usage) Usage {
	w := Usage{
		Erases: max(u.Erases, v.Erases), Allowed: max(u.Allowed, v.Allowed),
		Rounds: max(u.Rounds, v.Rounds), Sealed: u.Sealed || v.Sealed,
	}
	switch {
	case u.Rounds > v.Rounds:
		w.Mark = u.Mark
	case u.Rounds < v.Rounds:
		w.Mark = v.Mark
	default:
		w.Mark = max(u.Mark, v.Mark)
	}
	return w
}

// Covers tells whether u has seen all that v has seen.
func (u Usage) Covers(v Usage) bool { return u.Join(v) == u }

// Geometry is the plainest memory that fits the policy: uniform, in blocks of the
// granule, NOR. Tools use it where there is no memory yet.
func (p *Policy) Geometry() nvm.Geometry {
	return nvm.Geometry{Size: p.Memory.Size, EraseSize: p.Memory.Granule, ProgramSize: 1, Erased: 0xFF}
}

// Region returns the region of that name, or nil.
func (p *Policy) Region(name string) *Region {
	for i := range p.Map {
		if p.Map[i].Name == name {
			return &p.Map[i]
		}
	}
	return nil
}

// Area returns the hidden area of that name, or nil.
func (p *Policy) Area(name string) *Area {
	for i := range p.Memory.Hidden {
		if p.Memory.Hidden[i].Name == name {
			return &p.Memory.Hidden[i]
		}
	}
	return nil
}

// Clone returns a copy that shares nothing with p but strings.
func (p *Policy) Clone() *Policy {
	c := *p
	c.Memory.Hidden = slices.Clone(p.Memory.Hidden)
	c.Map = slices.Clone(p.Map)
	for i := range c.Map {
		c.Map[i].In = cloneIn(c.Map[i].In)
		if u := c.Map[i].Update; u != nil {
			c.Map[i].Update = &Update{u.Slot, u.Staging, u.Golden}
		}
	}
	c.Authorities = slices.Clone(p.Authorities)
	for i := range c.Authorities {
		c.Authorities[i] = c.Authorities[i].clone()
	}
	return &c
}

func (a Authority) clone() Authority {
	a.Keys = slices.Clone(a.Keys)
	for i := range a.Keys {
		a.Keys[i].Public = slices.Clone(a.Keys[i].Public)
	}
	return a
}

// same tells whether b can sign what a can, and nothing else.
func (a Authority) same(b Authority) bool {
	return a.Name == b.Name && a.Suite == b.Suite && a.Threshold == b.Threshold &&
		slices.EqualFunc(a.Keys, b.Keys, func(x, y Key) bool { return string(x.Public) == string(y.Public) })
}

func cloneIn(in map[State]Access) map[State]Access {
	if in == nil {
		return nil
	}
	out := make(map[State]Access, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}
