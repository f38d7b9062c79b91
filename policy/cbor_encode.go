package policy

import (
	"github.com/nanolock/nanolock/internal/cbor"
	"github.com/nanolock/nanolock/nvm"
)

// encoder writes in the order of the keys, which is that of the code below. Its
// first error sticks.
type encoder struct {
	b    []byte
	err  error
	path path
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = &EncodingError{e.path.String(), err}
	}
}

// fields is a map that is being written.
type fields struct {
	*encoder
	of   *object
	head int
}

// object starts a map. No map of the schema has 24 keys, so its head is one byte
// with the count in the lower bits: add counts there, and nothing has to be
// counted in advance.
func (e *encoder) object(of *object) fields {
	f := fields{e, of, len(e.b)}
	e.b = cbor.AppendMap(e.b, 0)
	return f
}

// add writes a key and has its value written, unless that is zero.
func (f fields) add(key int, present bool, value func()) {
	name := f.of.fields[key]
	f.path.push(name)
	defer f.path.pop()
	if !present {
		for _, r := range f.of.required {
			if r == int64(key) {
				f.fail(errAbsent)
			}
		}
		return
	}
	f.b[f.head]++
	f.b = cbor.AppendUint(f.b, uint64(key))
	value()
}

func (f fields) flag(key int, on bool) {
	f.add(key, on, func() { f.b = cbor.AppendBool(f.b, true) })
}

func (f fields) uint(key int, v uint64) {
	f.add(key, v != 0, func() { f.b = cbor.AppendUint(f.b, v) })
}

// number writes what is known under a name.
func number[K interface{ ~uint8 }](f fields, key int, v K, names map[K]string) {
	f.add(key, v != 0, func() {
		if _, ok := names[v]; !ok {
			f.fail(errValue)
		}
		f.b = cbor.AppendUint(f.b, uint64(v))
	})
}

// bytes writes a count of bytes.
func (f fields) bytes(key int, v int64) {
	f.add(key, v != 0, func() { f.offset(v) })
}

func (e *encoder) offset(v int64) {
	if v < 0 || v > nvm.MaxSize {
		e.fail(errLimit)
		v = 0
	}
	e.b = cbor.AppendUint(e.b, uint64(v))
}

func (f fields) span(key int, s nvm.Span) {
	f.add(key, s != nvm.Span{}, func() {
		f.b = cbor.AppendArray(f.b, 2)
		f.offset(s.Off)
		f.offset(s.Len)
	})
}

func (f fields) text(key int, s string) {
	f.add(key, s != "", func() { f.encoder.text(s) })
}

func (e *encoder) text(s string) {
	if !validName(s) {
		e.fail(errName)
	}
	e.b = cbor.AppendText(e.b, s)
}

// list writes an array of n items, none if there are none.
func (f fields) list(key, n, limit int, item func(int)) {
	f.add(key, n > 0, func() {
		if n > limit {
			f.fail(errLimit)
			return
		}
		f.b = cbor.AppendArray(f.b, n)
		for i := 0; i < n && f.err == nil; i++ {
			f.path.at(i)
			item(i)
		}
	})
}

func (e *encoder) policy(p *Policy) {
	f := e.object(&policyObject)
	f.uint(keyFormat, formatVersion)
	f.text(keyName, p.Name)
	f.uint(keyVersion, p.Version)
	m := &p.Memory
	f.add(keyMemory, m.Size != 0 || m.Granule != 0 || m.Blank || len(m.Hidden) > 0, func() { e.memory(m) })
	updates := 0
	f.list(keyMap, len(p.Map), MaxRegions, func(i int) {
		if p.Map[i].Update != nil {
			updates++
		}
		if updates > MaxUpdates {
			e.fail(errLimit)
		}
		e.region(&p.Map[i])
	})
	f.list(keyAuthorities, len(p.Authorities), MaxAuthorities, func(i int) { e.authority(&p.Authorities[i]) })
}

func (e *encoder) memory(m *Memory) {
	f := e.object(&memoryObject)
	f.bytes(keySize, m.Size)
	f.bytes(keyGranule, m.Granule)
	f.flag(keyBlank, m.Blank)
	f.list(keyHidden, len(m.Hidden), MaxRegions, func(i int) { e.area(&m.Hidden[i]) })
}

func (e *encoder) area(a *Area) {
	f := e.object(&areaObject)
	f.uint(keyID, uint64(a.ID))
	f.text(keyEntryName, a.Name)
	f.span(keySpan, a.Span)
	number(f, keyKind, a.Kind, areaNames)
	f.flag(keyCourier, a.Courier)
}

func (e *encoder) region(r *Region) {
	f := e.object(&regionObject)
	f.uint(keyID, uint64(r.ID))
	f.text(keyEntryName, r.Name)
	f.span(keySpan, r.Span)
	f.flag(keyBoot, r.Boot)
	f.flag(keyConfidential, r.Confidential)
	f.add(keyAccess, r.Access != Access{}, func() { e.access(r.Access) })
	f.add(keyIn, len(r.In) > 0, func() { e.states(r.In) })
	f.add(keyUpdate, r.Update != nil, func() {
		f := e.object(&updateObject)
		f.text(keySlot, r.Update.Slot)
		f.text(keyStaging, r.Update.Staging)
		f.text(keyGolden, r.Update.Golden)
	})
	f.add(keyWear, r.Wear != Wear{}, func() {
		f := e.object(&wearObject)
		f.uint(keyErases, uint64(r.Wear.Erases))
		f.uint(keyHours, uint64(r.Wear.PerHours))
	})
}

func (e *encoder) states(in map[State]Access) {
	e.b = cbor.AppendMap(e.b, len(in))
	known := 0
	for _, st := range states {
		a, ok := in[st]
		if !ok {
			continue
		}
		known++
		e.path.push(st.String())
		e.b = cbor.AppendUint(e.b, uint64(st))
		e.access(a)
		e.path.pop()
	}
	if known != len(in) {
		e.fail(errValue)
	}
}

func (e *encoder) access(a Access) {
	f := e.object(&accessObject)
	f.rule(keyRead, a.Read)
	f.rule(keyWrite, a.Write)
	f.rule(keyErase, a.Erase)
	f.flag(keyBlankRead, a.Blank)
}

// rule writes a grant as the name of its authority, any other mode as its number.
func (f fields) rule(key int, r Rule) {
	f.add(key, r != Rule{}, func() {
		switch {
		case r.Mode == Grant:
			f.encoder.text(r.Authority)
		case r.Authority != "" || !plainMode(r.Mode):
			f.fail(errRule)
		default:
			f.b = cbor.AppendUint(f.b, uint64(r.Mode))
		}
	})
}

// plainMode tells whether a mode stands on the wire as its number.
func plainMode(m Mode) bool { return m == Any || m == Append || m == Once }

func (e *encoder) authority(a *Authority) {
	f := e.object(&authorityObject)
	f.text(keyAuthority, a.Name)
	number(f, keySuite, a.Suite, suiteNames)
	f.add(keyThreshold, a.Threshold != 0, func() {
		if a.Threshold < 0 || a.Threshold > MaxKeys {
			e.fail(errLimit)
		}
		e.b = cbor.AppendUint(e.b, uint64(a.Threshold))
	})
	f.list(keyKeys, len(a.Keys), MaxKeys, func(i int) { e.key(&a.Keys[i]) })
}

func (e *encoder) key(k *Key) {
	f := e.object(&keyObject)
	f.text(keyHolder, k.Name)
	f.add(keyPublic, len(k.Public) > 0, func() {
		if len(k.Public) > maxPublic {
			e.fail(errLimit)
			return
		}
		e.b = cbor.AppendBytes(e.b, k.Public)
	})
	f.flag(keyDevelopment, k.Development)
}
