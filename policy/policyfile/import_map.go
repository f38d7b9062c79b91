package policyfile

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/nanolock/nanolock/internal/flashmap"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// importer is a flash map on its way to a policy.
type importer struct {
	m       flashmap.Map
	o       ImportOptions
	granule int64
	leaves  []leaf
	notes   []string
}

// leaf is what becomes a region: a partition with none inside, or what is left of
// one that has some.
type leaf struct {
	source string // the name in the map
	name   string // of the region
	span   nvm.Span
	boot   string      // why it is taken for boot code; "" = it is not
	around []container // outermost first
	env    bool        // holds the boot loader's environment
	open   bool        // a host may write and erase it
}

// container is a partition with others inside.
type container struct {
	name string
	span nvm.Span
	role role
}

func (im *importer) note(format string, args ...any) {
	im.notes = append(im.notes, fmt.Sprintf(format, args...))
}

// importMap makes the policy. What it returns validates for the policy's own
// geometry and has a binary form.
func importMap(m flashmap.Map, o ImportOptions) (*Imported, error) {
	im := &importer{m: m, o: o}
	im.noteSource()
	if err := im.measure(); err != nil {
		return nil, err
	}
	im.flatten(im.m.Parts, nil)
	im.name()
	if err := im.openWritable(); err != nil {
		return nil, err
	}
	p := im.policy()
	if err := p.Validate(p.Geometry()); err != nil {
		return nil, &ImportError{Kind: ErrImport, Text: err.Error(), Err: err}
	}
	if _, err := p.MarshalBinary(); err != nil {
		return nil, &ImportError{Kind: ErrImport, Text: err.Error(), Err: err}
	}
	im.noteRegions()
	im.noteGaps()
	im.noteShared()
	im.noteMissing()
	return &Imported{p, im.notes}, nil
}

// measure settles size and granule.
func (im *importer) measure() error {
	size := im.o.Size
	if size == 0 {
		size = im.m.Size
	}
	if size == 0 {
		return &ImportError{Kind: ErrSize, Text: im.m.Source + " does not say how large the memory is: give its size in bytes (--size)"}
	}
	im.granule = im.o.Granule
	if im.granule == 0 {
		im.granule = im.m.EraseSize
	}
	if im.granule == 0 {
		return &ImportError{Kind: ErrSize, Text: im.m.Source + " does not say how large an erase block is: give it in bytes (--granule)"}
	}
	if im.granule < 0 || bits.OnesCount64(uint64(im.granule)) != 1 || size%im.granule != 0 {
		return &ImportError{Kind: ErrSize, Text: fmt.Sprintf("a memory of %d bytes has no erase blocks of %d: give a power of two that divides the size (--granule)", size, im.granule)}
	}
	var open []string
	for _, p := range im.m.Flat() {
		if p.Len == 0 {
			open = append(open, p.Name)
		}
	}
	sized, err := im.m.WithSize(size)
	if err != nil {
		kind := ErrImport
		if errors.Is(err, flashmap.ErrRange) {
			kind = ErrSize
		}
		return &ImportError{Kind: kind, Text: err.Error(), Err: err}
	}
	im.m = sized
	if len(open) > 0 {
		im.note("%s: takes all the rest, up to %#x by the size given", capped(quoted(open), ", "), size)
	}
	return nil
}

// flatten turns nested partitions into leaves. What children leave free of their
// container is part of what the container protects, not a gap.
func (im *importer) flatten(parts []flashmap.Part, around []container) {
	for _, p := range parts {
		r := im.roleOf(p)
		if len(p.Children) == 0 {
			im.leaf(p.Name, nvm.Span{Off: p.Off, Len: p.Len}, r, around)
			continue
		}
		inside := append(slices.Clone(around), container{p.Name, nvm.Span{Off: p.Off, Len: p.Len}, r})
		at := p.Off
		for i, k := range p.Children {
			im.rest(p.Name, at, k.Off, r, inside)
			im.flatten(p.Children[i:i+1], inside)
			at = k.End()
		}
		im.rest(p.Name, at, p.End(), r, inside)
	}
}

func (im *importer) rest(name string, from, to int64, r role, around []container) {
	if from < to {
		im.leaf(name+" (rest)", nvm.Span{Off: from, Len: to - from}, r, around)
	}
}

func (im *importer) leaf(name string, s nvm.Span, r role, around []container) {
	l := leaf{source: name, span: s, around: around, boot: r.boot, env: r.env}
	for _, c := range around {
		if l.boot == "" && c.role.inherited {
			l.boot = fmt.Sprintf("it lies in %q", c.name)
		}
	}
	im.leaves = append(im.leaves, l)
}

// name gives each leaf a name of its own. Of several with one name all get their
// address behind it: if one kept the bare name, opening it by that name would be
// a guess.
func (im *importer) name() {
	count := map[string]int{}
	for i := range im.leaves {
		l := &im.leaves[i]
		if l.name = fit(l.source, ""); l.name != l.source {
			im.note("the name %q is longer than %d bytes: cut", l.source, policy.MaxName)
		}
		count[l.name]++
	}
	taken, said := map[string]bool{}, map[string]bool{}
	for name, n := range count {
		taken[name] = n == 1
	}
	for i := range im.leaves {
		l := &im.leaves[i]
		if count[l.name] == 1 {
			continue
		}
		if !said[l.name] {
			said[l.name] = true
			im.note("%d regions would be called %q: each got its address behind the name", count[l.name], l.name)
		}
		base, suffix := l.name, fmt.Sprintf(" @%#x", l.span.Off)
		for n := 2; l.name == base || taken[l.name]; n++ {
			l.name = fit(base, suffix)
			suffix = fmt.Sprintf(" @%#x #%d", l.span.Off, n)
		}
		taken[l.name] = true
	}
}

// fit cuts s between characters so that it is a name of a policy together with
// suffix.
func fit(s, suffix string) string {
	n := min(len(s), policy.MaxName-len(suffix))
	for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + suffix
}

// openWritable opens what the caller named.
func (im *importer) openWritable() error {
	for _, name := range im.o.Writable {
		hits := im.find(name)
		if len(hits) == 0 {
			return &ImportError{Kind: ErrWritable, Text: fmt.Sprintf("%q cannot be made writable: name one of these (--writable)", name), Choices: im.choices()}
		}
		for _, i := range hits {
			im.leaves[i].open = true
		}
	}
	return nil
}

// find returns the leaf of that name, or those of the one container of that name.
func (im *importer) find(name string) (hits []int) {
	var in *container
	for i, l := range im.leaves {
		if l.name == name {
			return []int{i}
		}
		for j := range l.around {
			c := &l.around[j]
			if c.name != name {
				continue
			}
			if in != nil && in.span != c.span {
				in = &container{} // two of that name: neither
				hits = nil
				continue
			}
			in, hits = c, append(hits, i)
		}
	}
	return hits
}

// choices is what Writable may name.
func (im *importer) choices() (names []string) {
	for _, l := range im.leaves {
		names = append(names, l.name)
	}
	return append(names, im.containers()...)
}

func (im *importer) policy() *policy.Policy {
	p := &policy.Policy{Name: im.o.Name, Version: 1}
	// Many hosts read the whole chip once at start, gaps included.
	p.Memory = policy.Memory{Size: im.m.Size, Granule: im.granule, Blank: true}
	anyone := policy.Rule{Mode: policy.Any}
	for i, l := range im.leaves {
		r := policy.Region{ID: uint32(i + 1), Name: l.name, Span: l.span, Boot: l.boot != ""}
		r.Access.Read = anyone
		if l.open {
			r.Access.Write, r.Access.Erase = anyone, anyone
			r.Wear = im.wear(l.span)
		}
		p.Map = append(p.Map, r)
	}
	return p
}

// erasesPerDay is how often each block may be erased a day so that the cycles
// that data sheets of NOR flash commonly promise last ten years: 100 000 / 3 650.
const (
	cycles       = 100_000
	erasesPerDay = cycles / (10 * 365)
)

// wear is the ledger of a region that hosts may erase. It counts the erases of
// all blocks added up, so the budget of a day is that of a block times the
// blocks. Only blocks that are the region's alone count.
func (im *importer) wear(s nvm.Span) policy.Wear {
	blocks := max(im.inward(s), 1)
	return policy.Wear{Erases: uint32(min(blocks*erasesPerDay, 1<<32-1)), PerHours: 24}
}

// inward is how many whole blocks s has.
func (im *importer) inward(s nvm.Span) int64 {
	return max(s.End()/im.granule-(s.Off+im.granule-1)/im.granule, 0)
}
