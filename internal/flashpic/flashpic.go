// Package flashpic draws a policy: the flash from its first byte to its last, and
// who may change which part. [Text] draws for a terminal, [SVG] for a page.
package flashpic

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Class is who may change a piece of the flash, which is what a reader wants to
// see first.
type Class uint8

// Classes, from closed to open.
const (
	Boot      Class = iota // runs before the operating system; nobody changes it
	Protected              // nobody changes it
	Updatable              // changed by a signed update
	Granted                // changed under an authority's grant
	Append                 // any host adds to it
	Writable               // any host changes it
	Hidden                 // no host sees it
	Free                   // no region names it, so all is denied
	classes
)

var about = [classes]struct{ name, text string }{
	Boot:      {"boot", "runs first, nobody changes it"},
	Protected: {"protected", "nobody changes it"},
	Updatable: {"updatable", "changed by signed updates alone"},
	Granted:   {"grant", "changed by signed grants alone"},
	Append:    {"append", "the host may add, not change"},
	Writable:  {"writable", "the host's own"},
	Hidden:    {"hidden", "the lock's own, no host sees it"},
	Free:      {"free", "no region: everything is denied"},
}

// Classes returns all classes, from closed to open.
func Classes() []Class {
	return []Class{Boot, Protected, Updatable, Granted, Append, Writable, Hidden, Free}
}

// String is one word; it is a stable name in reports.
func (c Class) String() string {
	if c < classes {
		return about[c].name
	}
	return "class(" + strconv.Itoa(int(c)) + ")"
}

// About explains the class in a few words.
func (c Class) About() string {
	if c < classes {
		return about[c].text
	}
	return ""
}

// Locked tells whether nobody at all may change what has this class.
func (c Class) Locked() bool { return c == Boot || c == Protected }

// Piece is a region, a hidden area or a gap.
type Piece struct {
	Name   string // "" for a gap
	ID     uint32
	Span   nvm.Span
	Class  Class
	Kind   string // of a hidden area
	Access policy.Access
	Boot   bool
	Slot   string // area that holds the second slot
	Wear   policy.Wear
	Count  int // regions that this piece stands for; 1 unless folded
}

// Picture is what is drawn.
type Picture struct {
	Title   string
	Size    int64
	Granule int64
	State   policy.State
	Pieces  []Piece // by address, together the whole flash
}

// New makes the picture of p as it holds in lifecycle state st (0 = Deployed). p
// must be valid.
func New(p *policy.Policy, st policy.State) *Picture {
	if st == 0 {
		st = policy.Deployed
	}
	pic := &Picture{Title: p.Name, Size: p.Memory.Size, Granule: p.Memory.Granule, State: st}
	pieces := make([]Piece, 0, len(p.Map)+len(p.Memory.Hidden))
	for i := range p.Map {
		pieces = append(pieces, regionPiece(&p.Map[i], st))
	}
	for _, a := range p.Memory.Hidden {
		pieces = append(pieces, Piece{Name: a.Name, ID: a.ID, Span: a.Span, Class: Hidden, Kind: a.Kind.String(), Count: 1})
	}
	slices.SortFunc(pieces, func(a, b Piece) int { return cmp.Compare(a.Span.Off, b.Span.Off) })
	at := int64(0)
	gap := func(to int64) {
		if to > at {
			pic.Pieces = append(pic.Pieces, Piece{Span: nvm.Span{Off: at, Len: to - at}, Class: Free, Count: 1})
		}
	}
	for _, x := range pieces {
		gap(x.Span.Off)
		pic.Pieces = append(pic.Pieces, x)
		at = x.Span.End()
	}
	gap(pic.Size)
	return pic
}

func regionPiece(r *policy.Region, st policy.State) Piece {
	x := Piece{Name: r.Name, ID: r.ID, Span: r.Span, Access: r.AccessIn(st), Boot: r.Boot, Wear: r.Wear, Count: 1}
	if r.Update != nil {
		x.Slot = r.Update.Slot
	}
	x.Class = classify(r, x.Access, st)
	return x
}

// classify takes the most open rule, so that the picture never looks safer than
// the policy is.
func classify(r *policy.Region, a policy.Access, st policy.State) Class {
	either := func(m policy.Mode) bool { return a.Write.Mode == m || a.Erase.Mode == m }
	switch {
	case either(policy.Any), a.Write.Mode == policy.Once && st != policy.Deployed:
		return Writable
	case a.Write.Mode == policy.Append:
		return Append
	case either(policy.Grant) && r.Update != nil:
		return Updatable
	case either(policy.Grant):
		return Granted
	case r.Boot:
		return Boot
	}
	return Protected // once is sealed in deployed
}

// Totals is how many bytes each class has.
func (pic *Picture) Totals() map[Class]int64 {
	sum := map[Class]int64{}
	for i := range pic.Pieces {
		sum[pic.Pieces[i].Class] += pic.Pieces[i].Span.Len
	}
	return sum
}

// label is the name that is drawn.
func (x *Piece) label() string {
	switch {
	case x.Count > 1:
		return x.Name + " and " + strconv.Itoa(x.Count-1) + " more"
	case x.Name == "":
		return "(no region)"
	}
	return x.Name
}

// rules is read, write and erase as a reader expects them.
func (x *Piece) rules() [3]string {
	switch {
	case x.Class == Hidden || x.Class == Free:
		return [3]string{"-", "-", "-"}
	case x.Count > 1:
		return [3]string{"mixed", "mixed", "mixed"}
	}
	return [3]string{x.Access.Read.String(), x.Access.Write.String(), x.Access.Erase.String()}
}

// Size writes bytes exactly, in the largest whole unit.
func Size(n int64) string {
	for i, u := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if one := int64(1) << (40 - 10*i); n >= one && n%one == 0 {
			return strconv.FormatInt(n/one, 10) + " " + u
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}
