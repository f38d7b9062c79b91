package vault

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Snapshot is the state at one moment. It does not change, and what it returns
// is the caller's. The zero Snapshot is empty.
type Snapshot struct {
	s        state
	epoch    uint32
	sequence uint64
	tag      tag
}

// Snapshot returns the state as it is now; the empty one of the zero Vault.
func (v *Vault) Snapshot() Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.j == nil {
		return Snapshot{}
	}
	// A state is replaced, never changed.
	return Snapshot{v.j.at.state, v.j.epoch, v.j.at.seq, v.j.at.tag}
}

// Head is what a report says of the vault: its epoch, the sequence of the newest
// record and its tag.
func (s Snapshot) Head() (epoch uint32, seq uint64, tag [16]byte) {
	return s.epoch, s.sequence, s.tag
}

// Counter returns a counter; 0 if it was never raised.
func (s Snapshot) Counter(k CounterKey) uint64 { return s.s.counter(k) }

// Counters lists the counters that were raised, in order.
func (s Snapshot) Counters() (keys []CounterKey) {
	for _, k := range s.keys(entryCounter) {
		le := binary.LittleEndian
		keys = append(keys, CounterKey{le.Uint32([]byte(k[1:])), le.Uint32([]byte(k[5:])), k[9]})
	}
	return keys
}

// Usage returns what a region has used up; zero if nothing was recorded.
func (s Snapshot) Usage(region uint32) Usage {
	return decodeUsage(s.s[entryKey(entryUsage, region)])
}

// Boot returns the boot state of an update region; zero if none was recorded.
func (s Snapshot) Boot(region uint32) Boot {
	return decodeBoot(s.s[entryKey(entryBoot, region)])
}

// Usages and Boots list the regions that have one, in order of their encoding.
func (s Snapshot) Usages() []uint32 { return s.regions(entryUsage) }

// Boots: see Usages.
func (s Snapshot) Boots() []uint32 { return s.regions(entryBoot) }

// Lifecycle returns the lifecycle state; 0 if none was recorded.
func (s Snapshot) Lifecycle() uint8 {
	if v := s.s[entryKey(entryLifecycle)]; len(v) == 1 {
		return v[0]
	}
	return 0
}

// OwnerEpoch returns the owner epoch; 0 if none was recorded.
func (s Snapshot) OwnerEpoch() uint32 { return s.s.ownerEpoch() }

// Intent returns the intent that is open, or the zero Intent.
func (s Snapshot) Intent() Intent {
	v := s.s[entryKey(entryIntent)]
	if len(v) == 0 {
		return Intent{}
	}
	return Intent{v[0], []byte(v[1:])}
}

// Slot returns what is kept under a number; nil if nothing is.
func (s Snapshot) Slot(id uint16) []byte {
	if v, ok := s.s[entryKey(entrySlot, uint32(id))]; ok {
		return []byte(v)
	}
	return nil
}

// Slots lists the numbers under which something is kept, in order of their
// encoding.
func (s Snapshot) Slots() (ids []uint16) {
	for _, k := range s.keys(entrySlot) {
		ids = append(ids, binary.LittleEndian.Uint16([]byte(k[1:])))
	}
	return ids
}

// Changes returns what makes usage, boot state, lifecycle and slots of this
// snapshot again in another vault, as changes of the owner. Counters, owner epoch,
// intent and anchor belong to the vault they are in and are left out.
func (s Snapshot) Changes() (all []Change) {
	for _, id := range s.Usages() {
		all = append(all, PutUsage(id, s.Usage(id)).Owner())
	}
	for _, id := range s.Boots() {
		all = append(all, PutBoot(id, s.Boot(id)).Owner())
	}
	if l, ok := s.s[entryKey(entryLifecycle)]; ok && len(l) == 1 {
		all = append(all, SetLifecycle(l[0]))
	}
	for _, id := range s.Slots() {
		all = append(all, PutSlot(id, s.Slot(id)).Owner())
	}
	return all
}

// Anchored returns the anchor's value that this state belongs to; false if it
// never was anchored.
func (s Snapshot) Anchored() (uint64, bool) { return s.s.anchored() }

func (s Snapshot) regions(kind byte) (ids []uint32) {
	for _, k := range s.keys(kind) {
		ids = append(ids, binary.LittleEndian.Uint32([]byte(k[1:])))
	}
	return ids
}

func (s Snapshot) keys(kind byte) (keys []string) {
	for _, k := range slices.Sorted(maps.Keys(s.s)) {
		if k[0] == kind {
			keys = append(keys, k)
		}
	}
	return keys
}
