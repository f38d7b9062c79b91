package policyfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nanolock/nanolock/nvm"
)

// noteSource says where the policy comes from, and what the source says besides.
func (im *importer) noteSource() {
	from := im.m.Source
	if im.m.Device != "" {
		from += fmt.Sprintf(", device %q", im.m.Device)
	}
	if len(im.m.Compatible) > 0 {
		from += " (" + strings.Join(im.m.Compatible, ", ") + ")"
	}
	im.note("imported from %s; guesses follow, check each before the policy is signed", from)
	im.notes = append(im.notes, im.m.Notes...)
	var hints []string
	for _, p := range im.m.Flat() {
		var h []string
		if p.ReadOnly {
			h = append(h, "read-only")
		}
		h = append(h, p.Flags...)
		if len(p.Compatible) > 0 {
			h = append(h, "holds "+strings.Join(p.Compatible, "/"))
		}
		if len(h) > 0 {
			hints = append(hints, fmt.Sprintf("%q: %s", p.Name, strings.Join(h, ", ")))
		}
	}
	if len(hints) > 0 {
		im.note("hints of the source that are no rules here: %s", capped(hints, "; "))
	}
	if slices.ContainsFunc(append(slices.Clone(im.m.Compatible), im.m.Device), func(s string) bool { return strings.Contains(s, "nand") }) {
		im.note("the device seems to be NAND: the granule has to be its erase block, and it may stand fewer cycles than assumed here")
	}
}

// noteRegions explains what was guessed of each region, and what is open.
func (im *importer) noteRegions() {
	for _, l := range im.leaves {
		if l.boot != "" {
			im.note("%q was taken for boot code because %s", l.name, l.boot)
		}
		if l.open {
			im.noteOpen(l)
		}
	}
	if split := im.containers(); len(split) > 0 {
		im.note("partitions with others inside became those and the rest of them: %s", capped(quoted(split), ", "))
	}
	if len(im.o.Writable) == 0 {
		im.note("any host may read every region, and none may write or erase one; open what a host has to change (--writable NAME)")
	} else {
		im.note("any host may read every region, and change those that were opened: %s", capped(quoted(im.o.Writable), ", "))
	}
}

// containers are the names of partitions with others inside.
func (im *importer) containers() (names []string) {
	seen := map[string]bool{}
	for _, l := range im.leaves {
		for _, c := range l.around {
			if !seen[c.name] {
				seen[c.name] = true
				names = append(names, c.name)
			}
		}
	}
	return names
}

func (im *importer) noteOpen(l leaf) {
	if l.boot != "" {
		im.note("WARNING: %q seems to be boot code and was opened on request: whoever owns the host can replace what runs before it, or brick the device; lint and the attack catalogue will object", l.name)
	}
	if l.env {
		im.note("WARNING: %q seems to hold the boot loader's environment, whose commands run before the host: whoever may write it may change how the device starts", l.name)
	}
	w, blocks := im.wear(l.span), im.inward(l.span)
	if blocks == 0 {
		im.note("%q was opened, but has no whole erase block of its own: the ledger allows it %d erases a day", l.name, w.Erases)
		return
	}
	im.note("%q was opened with a ledger of %d erases a day, %d for each of its erase blocks (%d): %d cycles then last ten years (%d / 3650); "+
		"the ledger adds up all blocks, so a host that spends it on one block wears that one out in %d days; correct it by the data sheet",
		l.name, w.Erases, erasesPerDay, blocks, cycles, cycles, cycles/int64(w.Erases))
}

// gaps are the spans without a region, in order.
func (im *importer) gaps() (gaps []nvm.Span) {
	at := int64(0)
	for _, l := range im.leaves {
		if at < l.span.Off {
			gaps = append(gaps, nvm.Span{Off: at, Len: l.span.Off - at})
		}
		at = l.span.End()
	}
	if at < im.m.Size {
		gaps = append(gaps, nvm.Span{Off: at, Len: im.m.Size - at})
	}
	return gaps
}

func (im *importer) noteGaps() {
	var list []string
	for _, g := range im.gaps() {
		list = append(list, g.String())
	}
	if len(list) > 0 {
		im.note("no partition covers %s: closed to every host", capped(list, ", "))
	}
	im.note("memory.blank: what is closed reads as erased, so that hosts which read the whole chip still start")
}

// owner is one side of a shared erase block.
type owner struct {
	name string
	open bool
}

// noteShared names the erase blocks that belong to more than one region, or to a
// region and a gap. An erase of such a block needs the right to all of it.
func (im *importer) noteShared() {
	var blocks []int64
	owners := map[int64][]owner{}
	side := func(s nvm.Span, o owner) {
		first, last := s.Off/im.granule, (s.End()-1)/im.granule
		for _, b := range []struct {
			block int64
			cut   bool
		}{{first, s.Off%im.granule != 0 || first == last && s.End()%im.granule != 0}, {last, first != last && s.End()%im.granule != 0}} {
			if b.cut {
				if owners[b.block] == nil {
					blocks = append(blocks, b.block)
				}
				owners[b.block] = append(owners[b.block], o)
			}
		}
	}
	for _, l := range im.leaves {
		side(l.span, owner{fmt.Sprintf("%q", l.name), l.open})
	}
	for _, g := range im.gaps() {
		side(g, owner{"the gap " + g.String(), false})
	}
	slices.Sort(blocks)
	for i, b := range blocks {
		if i == maxListed {
			im.note("and %d more erase blocks are shared", len(blocks)-i)
			break
		}
		im.noteBlock(nvm.Span{Off: b * im.granule, Len: im.granule}, owners[b])
	}
}

func (im *importer) noteBlock(block nvm.Span, sides []owner) {
	var names []string
	closed := 0
	for _, o := range sides {
		names = append(names, o.name)
		if !o.open {
			closed++
		}
	}
	effect := "to erase it takes the right to each of them"
	switch closed {
	case 0:
		effect = "hosts may erase it, because each of them is open"
	case len(sides):
	default:
		effect = "no host may erase it, because not each of them is open; move the border to a multiple of the granule"
	}
	im.note("the erase block %v is shared by %s: %s", block, capped(names, " and "), effect)
}

// noteMissing says what no flash map can tell.
func (im *importer) noteMissing() {
	im.note("no vault: seals, marks and ledgers do not survive a power cut until memory.hidden has an area of kind vault")
	im.note("no authority: nobody can change this policy in the field until it has an authority \"owner\" with keys")
}
