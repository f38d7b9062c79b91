package policy

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
)

// checkNames: names and ids of regions and areas are unique together, because
// orders and reports use them without saying which of both is meant.
func (p *Policy) checkNames(f *findings) {
	n := len(p.Map) + len(p.Memory.Hidden)
	names := newNameSet(n)
	ids := make([]uint32, 0, n)
	one := func(name string, id uint32, where func() string) {
		if !validName(name) {
			f.add(where(), "use 1 to 128 printable characters", "impossible name")
		}
		if id == 0 {
			f.add(where(), "number regions and hidden areas from 1", "id is missing")
		}
		if !names.add(name) {
			f.add(where(), "rename one", "name is used twice")
		}
		ids = append(ids, id)
	}
	for i := range p.Map {
		one(p.Map[i].Name, p.Map[i].ID, func() string { return regionWhere(&p.Map[i]) })
	}
	for i := range p.Memory.Hidden {
		one(p.Memory.Hidden[i].Name, p.Memory.Hidden[i].ID, func() string { return areaWhere(&p.Memory.Hidden[i]) })
	}
	if !slices.IsSorted(ids) {
		slices.Sort(ids)
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] != 0 && ids[i] == ids[i-1] {
			f.add("policy", "give each region and hidden area its own number", "id %d is used twice", ids[i])
		}
	}
}

func (p *Policy) checkAuthorities(f *findings) {
	var seen [][]byte
	for i := range p.Authorities {
		a := &p.Authorities[i]
		where := "authority " + strconv.Quote(a.Name)
		if !validName(a.Name) {
			f.add(where, "use 1 to 128 printable characters", "impossible name")
		}
		if p.authority(a.Name) != a {
			f.add(where, "rename one", "name is used twice")
		}
		a.check(f, where)
		if len(a.Keys) > MaxKeys {
			continue // comparing them all would take as long as they ask for
		}
		for _, k := range a.Keys {
			halves := a.Suite.halves(k.Public)
			if slices.ContainsFunc(seen, func(o []byte) bool { return bytes.Equal(o, halves[0]) || bytes.Equal(o, halves[1]) }) {
				f.add(where, "make a key for each role", "key %q is used twice: one key in two roles, or counted twice", k.Name)
			}
			if seen = append(seen, halves[0]); halves[1] != nil {
				seen = append(seen, halves[1])
			}
		}
	}
}

// halves are the keys inside a public key: the second is nil, but for a hybrid.
func (s Suite) halves(public []byte) [2][]byte {
	n := s.PublicLen() - MLDSA65.PublicLen()
	if n <= 0 || len(public) != s.PublicLen() {
		return [2][]byte{public}
	}
	return [2][]byte{public[:n], public[n:]}
}

func (a *Authority) check(f *findings, where string) {
	want := a.Suite.PublicLen()
	switch {
	case want == 0:
		f.add(where, "say ed25519, esp256, ml-dsa-65, ed25519+ml-dsa-65 or esp256+ml-dsa-65", "suite %v is unknown", a.Suite)
	case len(a.Keys) > MaxKeys:
		f.add(where, "use fewer", "%d keys are more than %d", len(a.Keys), MaxKeys)
	case len(a.Keys) == 0 && a.Threshold != 0:
		f.add(where, "add keys", "threshold %d without keys", a.Threshold)
	case len(a.Keys) > 0 && (a.Threshold < 1 || a.Threshold > len(a.Keys)):
		f.add(where, "say 1.."+strconv.Itoa(len(a.Keys)), "threshold %d of %d keys", a.Threshold, len(a.Keys))
	}
	for _, k := range a.Keys {
		if want != 0 && len(k.Public) != want {
			f.add(where, "suite "+a.Suite.String()+" takes "+strconv.Itoa(want)+" bytes", "key %q has %d bytes", k.Name, len(k.Public))
		}
	}
}

// nameSet is a set of strings for a known number of them: a third of a map's cost,
// and names are what validation spends most on.
type nameSet struct {
	seed  maphash.Seed
	slots []uint32 // 1 + index in names, 0 = free
	names []string
}

func newNameSet(n int) *nameSet {
	return &nameSet{maphash.MakeSeed(), make([]uint32, 2<<bits.Len(uint(n))), make([]string, 0, n)}
}

// add tells whether name was new.
func (s *nameSet) add(name string) bool {
	mask := uint64(len(s.slots) - 1)
	at := maphash.String(s.seed, name) & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		if s.names[s.slots[at]-1] == name {
			return false
		}
	}
	s.names = append(s.names, name)
	s.slots[at] = uint32(len(s.names))
	return true
}
