package vault

import (
	"encoding/binary"
	"fmt"
)

// A Change is one step of a commit. Those of the owner (counters of ClassRoot,
// lifecycle, owner epoch, intents, what Owner marks) may use room that is
// reserved for them, so that a full vault can still be revoked, moved on and
// recovered.
type Change struct {
	apply    func(state, limits) error
	owner    bool
	reserved bool // may use the room of the owner's slots, and no more
}

// limits is what a state may grow to, in bytes. Each room holds the smaller ones.
type limits struct{ all, slots, ordinary, intent int }

// Owner marks a change as one that the owner ordered: a slot that says what is
// revoked or frozen. It may then use 256 bytes (a quarter of a state below 1 KiB,
// none below 512 bytes) that ordinary changes leave free, and takes nothing of
// what counters, lifecycle and intent need. In one commit with an ordinary change
// it is ordinary.
func (c Change) Owner() Change {
	c.reserved = !c.owner
	return c
}

// RaiseCounter takes a counter up to a value, by at most MaxStep.
func RaiseCounter(k CounterKey, to uint64) Change {
	return Change{owner: k.Class == ClassRoot, apply: func(s state, _ limits) error {
		if from := s.counter(k); to <= from || to-from > MaxStep {
			return fmt.Errorf("%w: counter %+v from %d to %d", ErrBackwards, k, from, to)
		}
		if k.OwnerEpoch < s.ownerEpoch() {
			return fmt.Errorf("%w: counter of owner epoch %d", ErrBackwards, k.OwnerEpoch)
		}
		s[k.entry()] = string(binary.LittleEndian.AppendUint64(nil, to))
		return nil
	}}
}

// PutUsage replaces what is used of a region by the same or more.
func PutUsage(region uint32, u Usage) Change {
	return Change{apply: func(s state, _ limits) error {
		key := entryKey(entryUsage, region)
		if !u.covers(decodeUsage(s[key])) {
			return fmt.Errorf("%w: usage of region %d", ErrBackwards, region)
		}
		s[key] = u.encode()
		return nil
	}}
}

// SetLifecycle replaces the lifecycle state. Which may follow which is for the
// caller to know.
func SetLifecycle(l uint8) Change {
	return Change{owner: true, apply: func(s state, _ limits) error {
		s[entryKey(entryLifecycle)] = string([]byte{l})
		return nil
	}}
}

// SetOwnerEpoch begins a later epoch and forgets the counters of earlier ones.
func SetOwnerEpoch(e uint32) Change {
	return Change{owner: true, apply: func(s state, _ limits) error {
		if from := s.ownerEpoch(); e <= from {
			return fmt.Errorf("%w: owner epoch from %d to %d", ErrBackwards, from, e)
		}
		s.dropCounters(e)
		s[entryKey(entryEpoch)] = string(binary.LittleEndian.AppendUint32(nil, e))
		return nil
	}}
}

// PutBoot replaces the boot state of an update region; its floor does not go down.
func PutBoot(region uint32, b Boot) Change {
	return Change{apply: func(s state, _ limits) error {
		key := entryKey(entryBoot, region)
		if old := decodeBoot(s[key]); b.Floor < old.Floor {
			return fmt.Errorf("%w: floor of region %d from %d to %d", ErrBackwards, region, old.Floor, b.Floor)
		}
		s[key] = b.encode()
		return nil
	}}
}

// OpenIntent records an order before it acts. There is one at a time.
func OpenIntent(in Intent) Change {
	body := string(in.Body)
	return Change{owner: true, apply: func(s state, l limits) error {
		key := entryKey(entryIntent)
		switch _, open := s[key]; {
		case open || in.Kind == 0:
			return fmt.Errorf("%w: one is open, or it has no kind", ErrIntent)
		case len(body) > l.intent:
			return fmt.Errorf("%w: intent of %d bytes, room for %d", ErrFull, len(body), l.intent)
		}
		s[key] = string([]byte{in.Kind}) + body
		return nil
	}}
}

// CloseIntent says that the order has been carried out.
func CloseIntent() Change {
	return Change{owner: true, apply: func(s state, _ limits) error {
		key := entryKey(entryIntent)
		if _, open := s[key]; !open {
			return fmt.Errorf("%w: none is open", ErrIntent)
		}
		delete(s, key)
		return nil
	}}
}

// PutSlot keeps a few bytes under a number; none removes them.
func PutSlot(id uint16, p []byte) Change {
	value := string(p)
	return Change{apply: func(s state, _ limits) error {
		key := entryKey(entrySlot, uint32(id))
		if delete(s, key); value != "" {
			s[key] = value
		}
		return nil
	}}
}

func setAnchored(a uint64) Change {
	return Change{owner: true, apply: func(s state, _ limits) error {
		s[entryKey(entryAnchor)] = string(binary.LittleEndian.AppendUint64(nil, a))
		return nil
	}}
}

// change applies a batch to a copy of s: all or nothing.
func (s state) change(l limits, batch []Change) (state, error) {
	next, room := s.clone(), l.all
	for _, c := range batch {
		if c.apply == nil {
			return nil, fmt.Errorf("%w: zero Change", ErrClosed)
		}
		if err := c.apply(next, l); err != nil {
			return nil, err
		}
	}
	ordinary := false
	for _, c := range batch {
		switch {
		case c.reserved && !ordinary:
			room = l.slots + min(ownerRoom, next.ownerSize())
		case !c.owner:
			room, ordinary = l.ordinary, true
		}
	}
	was, size := s.size(), next.size()
	if room != l.all { // the intent's room is reserved, used or not
		was, size = was-s.intentSize(), size-next.intentSize()
	}
	if size > room && size > was {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrFull, size, room)
	}
	return next, nil
}

// intentSize is what the open intent takes of a state's size.
func (s state) intentSize() int {
	if v, open := s[entryKey(entryIntent)]; open {
		return 3 + len(v)
	}
	return 0
}

// ownerSize is what the entries for which ownerRoom is kept take.
func (s state) ownerSize() (n int) {
	for k, v := range s {
		switch k[0] {
		case entryCounter:
			if k[9] != ClassRoot {
				continue
			}
		case entryLifecycle, entryEpoch, entryAnchor:
		default:
			continue
		}
		n += len(k) + len(v)
	}
	return n
}
