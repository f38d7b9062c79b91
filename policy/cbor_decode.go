package policy

import (
	"bytes"
	"math"

	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/nvm"
)

// decoder reads what encoder writes. The errors of the Decoder stick, so that
// nothing below asks for them; only End decides.
type decoder struct {
	*cbor.Decoder
	size    int // of the input
	path    path
	field   string // where the first error was
	noted   bool
	updates int
}

// note keeps the place of the first error. The innermost field calls it first.
func (d *decoder) note() {
	if !d.noted && d.Err() != nil {
		d.noted, d.field = true, d.path.String()
	}
}

// refuse fails unless ok.
func (d *decoder) refuse(ok bool, err error) {
	if !ok {
		d.Fail(err)
	}
}

// object reads a map of the schema.
func (d *decoder) object(of *object, read func(key int64)) {
	d.Fields(of.required, func(key int64) bool {
		if key <= 0 || key >= int64(len(of.fields)) {
			return false
		}
		d.path.push(of.fields[key])
		read(key)
		d.note()
		d.path.pop()
		return true
	})
}

// items reads a list of 1 to limit items, each of which takes at least that many
// bytes on the wire. There is room for as many as the input can hold before any
// of them is read, and no more.
func items[T any](d *decoder, limit, least int, item func() T) []T {
	n := d.Array(limit)
	d.refuse(n > 0, errZero)
	list := make([]T, 0, min(n, d.size/least))
	for i := 0; i < n && d.Err() == nil; i++ {
		d.path.at(i)
		list = append(list, item())
		d.note()
	}
	return list
}

func (d *decoder) nonzero(limit uint64) uint64 {
	v := d.UintMax(limit)
	d.refuse(v != 0, errZero)
	return v
}

func (d *decoder) word() uint32  { return uint32(d.nonzero(math.MaxUint32)) }
func (d *decoder) length() int64 { return int64(d.nonzero(uint64(nvm.MaxSize))) }

// yes reads true: false is written by absence.
func (d *decoder) yes() bool {
	v := d.Bool()
	d.refuse(v, errZero)
	return v
}

func (d *decoder) name() string {
	s := d.Text(MaxName)
	d.refuse(validName(s), errName)
	return s
}

func (d *decoder) span() nvm.Span {
	d.ArrayOf(2)
	s := nvm.Span{Off: int64(d.UintMax(uint64(nvm.MaxSize))), Len: int64(d.UintMax(uint64(nvm.MaxSize)))}
	d.refuse(s != nvm.Span{}, errZero)
	return s
}

// known reads a number that has a name.
func known[K interface{ ~uint8 }](d *decoder, names map[K]string) K {
	k := K(d.UintMax(math.MaxUint8))
	_, ok := names[k]
	d.refuse(ok, errValue)
	return k
}

func (d *decoder) policy() *Policy {
	p := &Policy{}
	d.object(&policyObject, func(key int64) {
		switch key {
		case keyFormat:
			d.refuse(d.Uint() == formatVersion, errFormat)
		case keyName:
			p.Name = d.name()
		case keyVersion:
			p.Version = d.nonzero(math.MaxUint64)
		case keyMemory:
			p.Memory = d.memory()
		case keyMap:
			p.Map = items(d, MaxRegions, minEntry, d.region)
		case keyAuthorities:
			p.Authorities = items(d, MaxAuthorities, minAuthority, d.authority)
		}
	})
	return p
}

func (d *decoder) memory() (m Memory) {
	d.object(&memoryObject, func(key int64) {
		switch key {
		case keySize:
			m.Size = d.length()
		case keyGranule:
			m.Granule = d.length()
		case keyBlank:
			m.Blank = d.yes()
		case keyHidden:
			m.Hidden = items(d, MaxRegions, minEntry, d.area)
		}
	})
	d.refuse(m.Size != 0 || m.Granule != 0 || m.Blank || m.Hidden != nil, errZero)
	return m
}

func (d *decoder) area() (a Area) {
	d.object(&areaObject, func(key int64) {
		switch key {
		case keyID:
			a.ID = d.word()
		case keyEntryName:
			a.Name = d.name()
		case keySpan:
			a.Span = d.span()
		case keyKind:
			a.Kind = known(d, areaNames)
		case keyCourier:
			a.Courier = d.yes()
		}
	})
	return a
}

func (d *decoder) region() (r Region) {
	d.object(&regionObject, func(key int64) {
		switch key {
		case keyID:
			r.ID = d.word()
		case keyEntryName:
			r.Name = d.name()
		case keySpan:
			r.Span = d.span()
		case keyBoot:
			r.Boot = d.yes()
		case keyConfidential:
			r.Confidential = d.yes()
		case keyAccess:
			r.Access = d.access()
			d.refuse(r.Access != Access{}, errZero)
		case keyIn:
			r.In = d.in()
		case keyUpdate:
			r.Update = d.update()
		case keyWear:
			r.Wear = d.wear()
		}
	})
	return r
}

func (d *decoder) access() (a Access) {
	d.object(&accessObject, func(key int64) {
		switch key {
		case keyRead:
			a.Read = d.rule()
		case keyWrite:
			a.Write = d.rule()
		case keyErase:
			a.Erase = d.rule()
		case keyBlankRead:
			a.Blank = d.yes()
		}
	})
	return a
}

func (d *decoder) rule() Rule {
	if d.Peek() == cbor.Text {
		return Rule{Grant, d.name()}
	}
	m := Mode(d.UintMax(math.MaxUint8))
	d.refuse(plainMode(m), errRule)
	return Rule{Mode: m}
}

// in reads the rules of lifecycle states.
func (d *decoder) in() map[State]Access {
	in := make(map[State]Access)
	d.Fields(nil, func(key int64) bool {
		st := State(key)
		name, ok := stateNames[st]
		if !ok || int64(st) != key {
			return false
		}
		d.path.push(name)
		in[st] = d.access()
		d.note()
		d.path.pop()
		return true
	})
	d.refuse(len(in) > 0, errZero)
	return in
}

func (d *decoder) update() *Update {
	d.updates++
	d.refuse(d.updates <= MaxUpdates, errLimit)
	u := &Update{}
	d.object(&updateObject, func(key int64) {
		switch key {
		case keySlot:
			u.Slot = d.name()
		case keyStaging:
			u.Staging = d.name()
		case keyGolden:
			u.Golden = d.name()
		}
	})
	return u
}

func (d *decoder) wear() (w Wear) {
	d.object(&wearObject, func(key int64) {
		switch key {
		case keyErases:
			w.Erases = d.word()
		case keyHours:
			w.PerHours = d.word()
		}
	})
	d.refuse(w != Wear{}, errZero)
	return w
}

func (d *decoder) authority() (a Authority) {
	d.object(&authorityObject, func(key int64) {
		switch key {
		case keyAuthority:
			a.Name = d.name()
		case keySuite:
			a.Suite = known(d, suiteNames)
		case keyThreshold:
			a.Threshold = int(d.nonzero(MaxKeys))
		case keyKeys:
			a.Keys = items(d, MaxKeys, minKey, d.key)
		}
	})
	return a
}

func (d *decoder) key() (k Key) {
	d.object(&keyObject, func(key int64) {
		switch key {
		case keyHolder:
			k.Name = d.name()
		case keyPublic:
			k.Public = bytes.Clone(d.Bytes(maxPublic))
			d.refuse(len(k.Public) > 0, errZero)
		case keyDevelopment:
			k.Development = d.yes()
		}
	})
	return k
}
