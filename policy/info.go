package policy

import (
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// Info is what a table knows of one entry.
type Info struct {
	Name   string // "" for a gap
	ID     uint32
	Span   nvm.Span
	Hidden bool
	Boot   bool
	// Confidential regions are wiped before the device is handed to others.
	Confidential bool
	Access       Access // of the table's state
	Wear         Wear
	Slot         nvm.Span // second slot; empty if there is none
	View         bool     // every host may read it in every lifecycle state
}

// Why is the rule of one operation as errors and logs show it.
func (in Info) Why(op nvm.Op) string {
	switch {
	case in.Name == "":
		return op.String() + ": no region, denied"
	case in.Hidden:
		return op.String() + ": hidden"
	}
	return op.String() + ": " + in.Access.Rule(op).String()
}

// Info describes entry i; the zero Info for a gap or an i that does not exist.
func (t *Table) Info(i int) Info {
	if i < 0 || i >= len(t.entries) {
		return Info{}
	}
	e := &t.entries[i]
	in := Info{
		Name: e.name, ID: e.id, Span: e.span, Hidden: e.hidden, Boot: e.boot, Confidential: e.secret, Wear: e.wear, View: e.viewing,
		Access: Access{Read: t.rules[e.rule[0]], Write: t.rules[e.rule[1]], Erase: t.rules[e.rule[2]], Blank: e.blank},
	}
	if e.slot >= 0 {
		in.Slot = t.entries[e.slot].span
	}
	return in
}

// Entries is the number of regions and hidden areas.
func (t *Table) Entries() int { return len(t.entries) }

// Find returns the entry of a region or hidden area by name, -1 if there is none.
func (t *Table) Find(name string) int {
	for i := range t.entries {
		if t.entries[i].name == name {
			return i
		}
	}
	return -1
}

// Viewable tells whether entry i may be read by every host in every lifecycle
// state, at one and the same place.
func (t *Table) Viewable(i int) bool {
	return i >= 0 && i < len(t.entries) && t.entries[i].viewing
}

// Once tells whether entry i may be written once in some lifecycle state.
func (t *Table) Once(i int) bool { return i >= 0 && i < len(t.entries) && t.entries[i].once }

// SlotOf returns the entry of the update region whose second slot is entry i, -1
// if it is nobody's.
func (t *Table) SlotOf(i int) int {
	for j := range t.entries {
		if i >= 0 && t.entries[j].slot == int32(i) {
			return j
		}
	}
	return -1
}

// Backs tells whether the policy has that authority.
func (t *Table) Backs(authority string) bool {
	return slices.Contains(t.rules, Rule{Grant, authority})
}

// SameAuthority tells whether both policies have that authority, with the same
// suite, keys and threshold. A session outlives no change of who may open it.
func (t *Table) SameAuthority(u *Table, name string) bool {
	named := func(a Authority) bool { return a.Name == name }
	i, j := slices.IndexFunc(t.authorities, named), slices.IndexFunc(u.authorities, named)
	return i >= 0 && j >= 0 && t.authorities[i].same(u.authorities[j])
}

// Geometry is the memory's.
func (t *Table) Geometry() nvm.Geometry { return t.geo }

// State is the lifecycle state that was compiled; 0 for the zero Table.
func (t *Table) State() State { return t.state }

// Version is the policy's.
func (t *Table) Version() uint64 { return t.version }

// Shift is log2 of the block that indexes Until.
func (t *Table) Shift() uint { return t.shift }

// Until is the hot array of one operation for hosts: for each block the byte up
// to which the operation is allowed from its first byte on without a break, 0 =
// not for all of the block, or not decided there. It reaches 4 GiB far. Callers
// must not change it. nil for anything but one operation.
func (t *Table) Until(op nvm.Op) []uint32 {
	if op != nvm.Read && op != nvm.Write && op != nvm.Erase {
		return nil
	}
	return t.until[opIndex(op)]
}

// UntilFor is Until(Read) for a session that holds r.
func (t *Table) UntilFor(r Rights) []uint32 {
	if r.Ops&nvm.Read == 0 || !r.Span.In(t.geo.Size) {
		return t.until[0]
	}
	return t.runs(nvm.Read, r, false)
}

// SameExtents tells whether u lays out the same regions and areas, by id, place,
// kind and slot. In Deployed nothing but rules may change.
func (t *Table) SameExtents(u *Table) bool {
	if len(t.entries) != len(u.entries) || t.geo.Size != u.geo.Size {
		return false
	}
	for i := range t.entries {
		a, b := &t.entries[i], &u.entries[i]
		if a.span != b.span || a.id != b.id || a.hidden != b.hidden || a.kind != b.kind || a.slot != b.slot {
			return false
		}
	}
	return true
}

// UntilView is Until(Read) for what is [Table.Viewable].
func (t *Table) UntilView() []uint32 { return t.view }
