package policy

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/nanolock/nanolock/nvm"
)

// Validate tells everything that keeps p from being enforced on a memory of
// geometry g. The error is an *InvalidError that names the region and the fix.
func (p *Policy) Validate(g nvm.Geometry) error {
	_, err := p.validate(g)
	return err
}

// extent is a region or a hidden area on the memory, in order of address.
type extent struct {
	span   nvm.Span
	region int32 // index in Map, or -1
	area   int32 // index in Memory.Hidden, or -1
}

// validate returns the extents in order, which Compile needs again.
func (p *Policy) validate(g nvm.Geometry) ([]extent, error) {
	var f findings
	if err := g.Validate(); err != nil {
		f.add("memory", "", "%v", err)
		return nil, f.err()
	}
	p.checkMemory(&f, g)
	p.checkCounts(&f)
	if err := f.err(); err != nil {
		return nil, err // the rest would only repeat it, at length
	}
	p.checkAuthorities(&f)
	p.checkAreas(&f, g)
	p.checkRegions(&f, g)
	p.checkNames(&f)
	ext := p.extents()
	p.checkOverlaps(&f, ext)
	return ext, f.err()
}

func (p *Policy) checkMemory(f *findings, g nvm.Geometry) {
	m := p.Memory
	if p.Version == 0 {
		f.add("policy", "number policies from 1", "version is 0")
	}
	if m.Granule <= 0 || bits.OnesCount64(uint64(m.Granule)) != 1 {
		f.add("memory", "give the erase block size in bytes, a power of two", "granule %d is impossible", m.Granule)
	} else if m.Granule%g.EraseSize != 0 {
		f.add("memory", "draw the map in blocks of "+size(g.EraseSize), "granule %s is finer than the memory's erase block of %s", size(m.Granule), size(g.EraseSize))
	}
	if m.Size != g.Size {
		f.add("memory", "correct memory.size, or take the memory the policy was written for", "policy is for %s, the memory has %s", size(m.Size), size(g.Size))
	}
}

func (p *Policy) checkCounts(f *findings) {
	switch {
	case len(p.Map) == 0:
		f.add("policy", "add at least one region; what no region names is denied", "the map has no regions")
	case len(p.Map) > MaxRegions:
		f.add("policy", "merge neighbours with equal rules", "%d regions are more than %d", len(p.Map), MaxRegions)
	}
	if len(p.Memory.Hidden) > MaxRegions {
		f.add("policy", "merge neighbours", "%d hidden areas are more than %d", len(p.Memory.Hidden), MaxRegions)
	}
	updates := 0
	for i := range p.Map {
		if p.Map[i].Update != nil {
			updates++
		}
	}
	if updates > MaxUpdates { // each of them searches the areas
		f.add("policy", "update regions together", "%d update regions are more than %d", updates, MaxUpdates)
	}
	if len(p.Authorities) > MaxAuthorities {
		f.add("policy", "share authorities between regions", "%d authorities are more than %d", len(p.Authorities), MaxAuthorities)
	}
}

func (p *Policy) checkAreas(f *findings, g nvm.Geometry) {
	vaults := 0
	for i := range p.Memory.Hidden {
		a := &p.Memory.Hidden[i]
		where := areaWhere(a)
		if !checkSpan(f, where, a.Span, g) {
			continue
		}
		if g.CheckErase(a.Span.Off, a.Span.Len) != nil {
			f.add(where, "move its borders to "+g.Outward(a.Span).String(), "%v does not start and end on erase blocks", a.Span)
		}
		if _, ok := areaNames[a.Kind]; !ok {
			f.add(where, "say vault, audit, slot, staging, golden or digests", "kind %v is unknown", a.Kind)
		}
		if a.Kind == Vault {
			vaults++
			if b := g.Block(a.Span.Off); a.Span.Len < 2*b.Len {
				f.add(where, "give it at least "+size(2*b.Len), "a journal needs two erase blocks")
			}
		}
	}
	if vaults > 1 {
		f.add("memory", "keep one", "%d areas of kind vault", vaults)
	}
}

func checkSpan(f *findings, where string, s nvm.Span, g nvm.Geometry) bool {
	if s.Len <= 0 || !s.In(g.Size) {
		f.add(where, "keep it inside the memory of "+size(g.Size), "%v is empty or outside", s)
		return false
	}
	return true
}

func (p *Policy) checkRegions(f *findings, g nvm.Geometry) {
	slotOf := map[string]string{} // area name -> region that uses it
	for i := range p.Map {
		r := &p.Map[i]
		if r.Span.Len <= 0 || !r.Span.In(g.Size) {
			checkSpan(f, regionWhere(r), r.Span, g)
			continue
		}
		p.checkAccess(f, r, r.Access, 0)
		p.checkStates(f, r)
		if r.Update != nil {
			p.checkUpdate(f, r, g, slotOf)
		}
		if s := g.Outward(r.Span); r.Confidential && s != r.Span {
			f.add(regionWhere(r), "move its borders to "+s.String(), "confidential, but shares erase blocks, so it could not be wiped alone")
		}
		if r.Wear.PerHours != 0 && r.Wear.Erases == 0 {
			f.add(regionWhere(r), "say how many erases the period allows", "wear ledger has a period but no erases")
		}
	}
}

func (p *Policy) checkStates(f *findings, r *Region) {
	if len(r.In) == 0 {
		return
	}
	known := 0
	for _, st := range states {
		if a, ok := r.In[st]; ok {
			known++
			p.checkAccess(f, r, a, st)
		}
	}
	if known != len(r.In) {
		f.add(regionWhere(r), "say manufacturing, deployed, rma or decommissioned", "rules for a state that does not exist")
	}
}

// checkAccess checks the rules of one state; st is 0 for the common ones.
func (p *Policy) checkAccess(f *findings, r *Region, a Access, st State) {
	if a == (Access{}) {
		return
	}
	p.checkRule(f, r, st, nvm.Read, a.Read)
	p.checkRule(f, r, st, nvm.Write, a.Write)
	p.checkRule(f, r, st, nvm.Erase, a.Erase)
	if (a.Write.Mode == Append || a.Write.Mode == Once) && a.Erase.Mode == Any {
		f.add(regionWhere(r)+inState(st), "make erase never, or a grant", "any host may erase what it may only %v", a.Write)
	}
	if a.Write.Mode == Append && r.Update != nil {
		f.add(regionWhere(r)+inState(st), "make write a grant", "an update region cannot be append-only")
	}
	if a.Read.Mode == Any && r.Confidential {
		f.add(regionWhere(r)+inState(st), "make read never, or a grant", "confidential, but any host may read it")
	}
}

func (p *Policy) checkRule(f *findings, r *Region, st State, op nvm.Op, rule Rule) {
	if rule == (Rule{}) || rule == (Rule{Mode: Any}) {
		return // nearly all there are; naming the place costs more than all checks
	}
	where := func() string { return regionWhere(r) + inState(st) }
	if rule.Mode > Once {
		f.add(where(), "say never, any, grant, append or once", "%v: %v", op, rule.Mode)
	}
	if (rule.Mode == Append || rule.Mode == Once) && op != nvm.Write {
		f.add(where(), "say never, any or grant", "%v cannot be %v", op, rule.Mode)
	}
	if rule.Mode == Grant && p.authority(rule.Authority) == nil {
		f.add(where(), "add the authority, or name one of the policy's", "%v is granted by %q, which is not an authority", op, rule.Authority)
	}
	if rule.Mode != Grant && rule.Authority != "" {
		f.add(where(), "say "+strconv.Quote("grant "+rule.Authority), "%v: rule %v names an authority", op, rule.Mode)
	}
}

func (p *Policy) authority(name string) *Authority {
	for i := range p.Authorities {
		if p.Authorities[i].Name == name {
			return &p.Authorities[i]
		}
	}
	return nil
}

func (p *Policy) checkUpdate(f *findings, r *Region, g nvm.Geometry, slotOf map[string]string) {
	where, u := regionWhere(r), r.Update
	if g.CheckErase(r.Span.Off, r.Span.Len) != nil {
		f.add(where, "move its borders to "+g.Outward(r.Span).String(), "an update region starts and ends on erase blocks, %v does not", r.Span)
	}
	if *u == (Update{}) {
		f.add(where, "give update.slot (a second slot), update.staging as long as the region, or update.golden with courier: true",
			"one slot without staging or golden image: a power cut while it is programmed would brick the device")
	}
	if a := p.checkRole(f, where, "slot", u.Slot, Slot, r, slotOf); a != nil && !sameBlocks(g, r.Span, a.Span) {
		f.add(where, "place the slot in an area with the same erase blocks", "slot %q has other erase blocks than the region", a.Name)
	}
	p.checkRole(f, where, "staging", u.Staging, Staging, r, nil)
	if a := p.checkRole(f, where, "golden", u.Golden, Golden, r, nil); a != nil && !a.Courier {
		f.add(where, "build the courier into the golden image and say courier: true, or give staging or a slot",
			"golden image %q cannot fetch an update: a cut would leave a device that starts and never heals", a.Name)
	}
}

// checkRole checks the area that an update names; nil if there is none to name.
func (p *Policy) checkRole(f *findings, where, role, name string, kind AreaKind, r *Region, slotOf map[string]string) *Area {
	if name == "" {
		return nil
	}
	a := p.Area(name)
	if a == nil || a.Kind != kind {
		f.add(where, "add it under memory.hidden", "update.%s: no hidden area %q of kind %v", role, name, kind)
		return nil
	}
	if kind == Slot && a.Span.Len != r.Span.Len || kind == Staging && a.Span.Len < r.Span.Len {
		f.add(where, "give it "+size(r.Span.Len), "update.%s: %q has %s", role, name, size(a.Span.Len))
	}
	if other, taken := slotOf[name]; taken {
		f.add(where, "give each region a slot of its own", "slot %q belongs to region %q", name, other)
	}
	if slotOf != nil {
		slotOf[name] = r.Name
	}
	return a
}

// sameBlocks tells whether a and b are cut into erase blocks alike, so that an
// erase means the same in either.
func sameBlocks(g nvm.Geometry, a, b nvm.Span) bool {
	if g.Blocks == nil || !a.In(g.Size) || !b.In(g.Size) || a.Len != b.Len {
		return true // uniform, or refused elsewhere
	}
	for at := int64(0); at < a.Len; {
		x, y := g.Block(a.Off+at), g.Block(b.Off+at)
		if x.Off-a.Off != y.Off-b.Off || x.Len != y.Len {
			return false
		}
		at = x.End() - a.Off
	}
	return true
}

// extents lists regions and areas by address. An input that is in order, as
// most are, costs one pass.
func (p *Policy) extents() []extent {
	ext := make([]extent, 0, len(p.Map)+len(p.Memory.Hidden))
	for i := range p.Map {
		ext = append(ext, extent{p.Map[i].Span, int32(i), -1})
	}
	for i := range p.Memory.Hidden {
		ext = append(ext, extent{p.Memory.Hidden[i].Span, -1, int32(i)})
	}
	byOff := func(a, b extent) int { return cmp.Compare(a.span.Off, b.span.Off) }
	if !slices.IsSortedFunc(ext, byOff) {
		slices.SortFunc(ext, byOff)
	}
	return ext
}

func (p *Policy) checkOverlaps(f *findings, ext []extent) {
	for i := 1; i < len(ext); i++ {
		a, b := ext[i-1], ext[i]
		if b.span.Off-a.span.Off < a.span.Len {
			f.add(p.where(b), "move one of them, or merge them", "%v overlaps %s at %v", b.span, p.where(a), a.span)
		}
	}
}

func (p *Policy) where(e extent) string {
	if e.region >= 0 {
		return regionWhere(&p.Map[e.region])
	}
	return areaWhere(&p.Memory.Hidden[e.area])
}

func regionWhere(r *Region) string { return "region " + strconv.Quote(r.Name) }
func areaWhere(a *Area) string     { return "hidden area " + strconv.Quote(a.Name) }

func inState(st State) string {
	if st == 0 {
		return ""
	}
	return " in " + st.String()
}

// validName: shown in terminals, logs and reports, so no control characters.
func validName(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7F {
			return validRunes(s)
		}
	}
	return true
}

func validRunes(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// size writes bytes the way policy files do.
func size(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n > 0 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
