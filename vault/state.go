package vault

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxStep is how far a counter may advance in one commit: an order that names a
// value near the end of a counter would lock its owner out.
const MaxStep = 1 << 20

// CounterKey names a counter.
type CounterKey struct {
	OwnerEpoch, Authority uint32
	Class                 uint8 // ClassRoot, …
}

// Classes of counters, as the wire format numbers them.
const (
	ClassRoot     uint8 = iota // policy, keys, lifecycle, transfer, recover, void
	ClassOperate               // grant, thaw, install, confirm
	ClassManifest              // manifest sequence of a region
	ClassFloor                 // floor of a region
	ClassReport
	ClassAudit
)

// Usage is what a region's rules have used up. Nothing in it goes down but Mark
// when Rounds goes up.
type Usage struct {
	Erases, Allowed, Rounds uint64
	Mark                    int64
	Sealed                  bool
}

// covers tells whether u is v or later.
func (u Usage) covers(v Usage) bool {
	return u.Mark >= 0 && u.Erases >= v.Erases && u.Allowed >= v.Allowed && (u.Sealed || !v.Sealed) &&
		(u.Rounds > v.Rounds || u.Rounds == v.Rounds && u.Mark >= v.Mark)
}

// Boot is the state of an update region. What the numbers of Active and Trial
// mean is the caller's; Floor never goes down.
type Boot struct {
	Active, Trial, Attempts uint8
	Sequence, Floor         uint64
	Manifest                [32]byte
}

// Intent is an order that must be carried out once and surely: it is redone at
// each start until it is closed. The zero Intent is none.
type Intent struct {
	Kind uint8 // not zero
	Body []byte
}

// Kinds of entries: the key and value lengths of each are fixed, but for a value
// of variable length, which is -1. A record of a version before since has none.
type entryKind struct {
	key, value int
	since      byte
}

const (
	entryCounter   = 1
	entryUsage     = 2
	entryLifecycle = 3
	entryEpoch     = 4
	entryBoot      = 5
	entryIntent    = 6
	entrySlot      = 7
	entryAnchor    = 8

	removed = 0x80 // added to the kind of an entry that is no more
)

var kinds = map[byte]entryKind{
	entryCounter:   {9, 8, 1},
	entryUsage:     {4, 33, 1},
	entryLifecycle: {0, 1, 1},
	entryEpoch:     {0, 4, 1},
	entryBoot:      {4, 51, 1},
	entryIntent:    {0, -1, 1},
	entrySlot:      {2, -1, 1},
	entryAnchor:    {0, 8, 1},
}

// state is a set of entries: kind and key, to value. The map is never changed
// once a Vault shows it.
type state map[string]string

func (s state) clone() state { return maps.Clone(s) }

func entryKey(kind byte, parts ...uint32) string {
	p := []byte{kind}
	for i, v := range parts {
		switch {
		case kind == entryCounter && i == 2:
			p = append(p, byte(v))
		case kind == entrySlot:
			p = binary.LittleEndian.AppendUint16(p, uint16(v))
		default:
			p = binary.LittleEndian.AppendUint32(p, v)
		}
	}
	return string(p)
}

// put encodes one entry.
func putEntry(p []byte, key, value string) []byte {
	p = append(p, key...)
	if kinds[key[0]].value < 0 {
		p = binary.LittleEndian.AppendUint16(p, uint16(len(value)))
	}
	return append(p, value...)
}

// encode returns all entries in order of their keys.
func (s state) encode() (p []byte) {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		p = putEntry(p, k, s[k])
	}
	return p
}

// size is len(s.encode()).
func (s state) size() (n int) {
	for k, v := range s {
		n += len(k) + len(v)
		if kinds[k[0]].value < 0 {
			n += 2
		}
	}
	return n
}

// diff returns what makes next of s.
func (s state) diff(next state) (p []byte) {
	keys := make(map[string]bool)
	for k, v := range next {
		if old, ok := s[k]; !ok || old != v {
			keys[k] = true
		}
	}
	for k := range s {
		if _, ok := next[k]; !ok {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if v, ok := next[k]; ok {
			p = putEntry(p, k, v)
		} else {
			p = append(p, k[0]|removed)
			p = append(p, k[1:]...)
		}
	}
	return p
}

// patch applies the encoded entries of a record of a version. The state is not changed unless all are well
// formed.
func (s state) patch(version byte, p []byte) error {
	next := make(map[string]*string)
	for len(p) > 0 {
		kind := p[0] &^ removed
		k, ok := kinds[kind]
		if !ok || k.since > version || len(p) < 1+k.key {
			return fmt.Errorf("%w: entry of kind %d", ErrVersion, kind)
		}
		key := string([]byte{kind}) + string(p[1:1+k.key])
		gone := p[0]&removed != 0
		if p = p[1+k.key:]; gone {
			next[key] = nil
			continue
		}
		n := k.value
		if n < 0 {
			if len(p) < 2 {
				return fmt.Errorf("%w: entry of kind %d", ErrVersion, kind)
			}
			n, p = int(binary.LittleEndian.Uint16(p)), p[2:]
		}
		if len(p) < n {
			return fmt.Errorf("%w: entry of kind %d", ErrVersion, kind)
		}
		v := string(p[:n])
		next[key], p = &v, p[n:]
	}
	for k, v := range next {
		if v == nil {
			delete(s, k)
		} else {
			s[k] = *v
		}
	}
	return nil
}

func (s state) u64(key string) uint64 {
	if v := s[key]; len(v) >= 8 {
		return binary.LittleEndian.Uint64([]byte(v))
	}
	return 0
}

func (s state) counter(k CounterKey) uint64 { return s.u64(k.entry()) }

func (k CounterKey) entry() string {
	return entryKey(entryCounter, k.OwnerEpoch, k.Authority, uint32(k.Class))
}

func (s state) ownerEpoch() uint32 {
	if v := s[entryKey(entryEpoch)]; len(v) == 4 {
		return binary.LittleEndian.Uint32([]byte(v))
	}
	return 0
}

func (u Usage) encode() string {
	le := binary.LittleEndian
	p := le.AppendUint64(nil, u.Erases)
	p = le.AppendUint64(p, u.Allowed)
	p = le.AppendUint64(p, u.Rounds)
	p = le.AppendUint64(p, uint64(u.Mark))
	if u.Sealed {
		return string(append(p, 1))
	}
	return string(append(p, 0))
}

func decodeUsage(v string) (u Usage) {
	if len(v) != kinds[entryUsage].value {
		return u
	}
	le, p := binary.LittleEndian, []byte(v)
	return Usage{le.Uint64(p), le.Uint64(p[8:]), le.Uint64(p[16:]), int64(le.Uint64(p[24:])), p[32] != 0}
}

func (b Boot) encode() string {
	p := []byte{b.Active, b.Trial, b.Attempts}
	p = binary.LittleEndian.AppendUint64(p, b.Sequence)
	p = binary.LittleEndian.AppendUint64(p, b.Floor)
	return string(append(p, b.Manifest[:]...))
}

func decodeBoot(v string) (b Boot) {
	if len(v) != kinds[entryBoot].value {
		return b
	}
	b = Boot{Active: v[0], Trial: v[1], Attempts: v[2]}
	b.Sequence = binary.LittleEndian.Uint64([]byte(v[3:]))
	b.Floor = binary.LittleEndian.Uint64([]byte(v[11:]))
	copy(b.Manifest[:], v[19:])
	return b
}

// counters of owner epochs before e can decide nothing any more.
func (s state) dropCounters(e uint32) {
	maps.DeleteFunc(s, func(k, _ string) bool {
		return strings.HasPrefix(k, string([]byte{entryCounter})) && binary.LittleEndian.Uint32([]byte(k[1:])) < e
	})
}
