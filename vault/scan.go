package vault

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// chain is a snapshot and the deltas behind it: a state and where it ends.
type chain struct {
	version byte // of all its records: a later library begins a chain of its own
	state   state
	seq     uint64
	tag     tag // of the last snapshot or delta
	block   int
	next    int // the slot behind the last record
	settled bool
	head    int    // the slot where the last snapshot or delta begins
	data    []byte // its slots, as they were read or written
}

// found is what a scan of all blocks saw. Every slot is read once, so that bits
// that read differently each time cannot make it contradict itself.
type found struct {
	best    *chain
	blank   bool   // every slot that could be read is erased
	foreign bool   // records of this format that are not ours
	ahead   bool   // authentic records of a later epoch: NextEpoch was cut in front of the latch
	orphan  uint64 // highest sequence of an authentic record without its predecessor
	later   uint64 // highest sequence of an authentic record that is not understood
	last    []int  // per block: the last slot that is not erased; -1
}

// clean tells whether a start has nothing to do: the newest chain is settled and
// what follows it reads erased. Other blocks do not matter, as nothing is
// written there before the settled mark is opened; a later epoch there says that
// this mark was.
func (f *found) clean() bool {
	return f.best.settled && !f.ahead && f.last[f.best.block] < f.best.next
}

// image is one block as it was read.
type image struct {
	data []byte
	lost []bool // slots that the part could not read
	last int    // the last slot that is not erased; -1
}

func (l *layout) read(block int) (*image, error) {
	m := &image{data: make([]byte, l.slots*l.slot), lost: make([]bool, l.slots), last: -1}
	for i := 0; i < l.slots; {
		n, err := l.mem.ReadAt(m.data[i*l.slot:], l.off(block, i))
		if i += min(max(n, 0)/l.slot, l.slots-i); err == nil {
			break
		}
		if !errors.Is(err, nvm.ErrUncorrectable) || i == l.slots {
			return nil, fmt.Errorf("vault: block %d slot %d: %w", block, i, err)
		}
		// n ends in front of the damaged unit; go on behind the slot that has it.
		m.lost[i] = true
		copy(m.data[i*l.slot:], l.full())
		i++
	}
	blank := l.blank()
	for i := range l.slots {
		if p := m.data[i*l.slot : (i+1)*l.slot]; m.lost[i] || !bytes.Equal(p, blank) {
			m.last = i
		}
	}
	return m, nil
}

// scan reads the journal.
func (j *journal) scan() (*found, error) {
	f := &found{blank: true, last: make([]int, len(j.blocks))}
	for b := range j.blocks {
		f.last[b] = -1
		ok, err := j.usable(b)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		m, err := j.read(b)
		if err != nil {
			return nil, err
		}
		f.last[b] = m.last
		f.blank = f.blank && m.last < 0
		if err := j.follow(f, b, m); err != nil {
			return nil, err
		}
	}
	if f.best != nil {
		f.best.data = bytes.Clone(f.best.data) // and not the whole block
	}
	return f, nil
}

// follow finds the chains of one block. The last one counts, whatever its
// sequence: what a recovery could not retire stands in front of what it wrote.
func (j *journal) follow(f *found, block int, m *image) error {
	var c *chain
	for i := 0; i <= m.last; {
		r, authentic := j.parse(m, block, i)
		if r == nil {
			i++
			continue
		}
		if !authentic || r.epoch != j.epoch {
			f.foreign, f.ahead = true, f.ahead || authentic && r.epoch > j.epoch
			i++
			continue
		}
		i += r.slots
		next, err := j.extend(c, r)
		switch {
		case errors.Is(err, ErrVersion):
			f.later = max(f.later, r.seq)
		case err != nil:
			return err
		case next == nil:
			f.orphan = max(f.orphan, r.seq)
		default:
			c = next
			c.block, c.next = block, i
			if r.kind != typeSettled {
				c.head, c.data = int(r.slot), m.data[int(r.slot)*j.slot:i*j.slot]
			}
		}
	}
	if c != nil && (f.best == nil || c.seq >= f.best.seq) {
		f.best = c
	}
	return nil
}

// extend returns the chain c with r, which is c itself, changed, unless r begins
// one; nil if r does not continue it, and then c is as it was.
func (j *journal) extend(c *chain, r *record) (*chain, error) {
	switch {
	case r.version > j.how.version || r.kind < typeSnapshot || r.kind > typeSettled:
		return nil, ErrVersion
	case r.kind == typeSnapshot:
		c = &chain{version: r.version, state: state{}}
	case c == nil || r.prev != c.tag || r.version != c.version:
		return nil, nil
	case r.kind == typeSettled:
		if r.seq != c.seq {
			return nil, nil
		}
		c.settled = true
		return c, nil
	case r.seq != c.seq+1:
		return nil, nil
	}
	if err := c.state.patch(r.version, r.body); err != nil {
		return nil, err
	}
	c.seq, c.tag, c.settled = r.seq, r.tag, false
	return c, nil
}

// parse looks for a record that begins at a slot. nil: there is none of this
// format. A record may be well formed and yet not authentic, or authentic and of
// another epoch. r.body aliases nothing.
func (j *journal) parse(m *image, block, slot int) (r *record, authentic bool) {
	if v := m.data[slot*j.slot]; v == 0 || v > maxVersion {
		return nil, false
	}
	head := j.gather(m, slot, headerLen)
	if head == nil {
		return nil, false
	}
	h := parseHeader(head)
	n := int(h.length)
	if int(h.block) != block || int(h.slot) != slot || n > maxBody || slot+j.need(n) > j.slots {
		return nil, false
	}
	p := j.gather(m, slot, n+overhead)
	if p == nil {
		return nil, false
	}
	r = &record{header: h, slots: j.need(n), body: p[headerLen+tagLen : headerLen+tagLen+n]}
	copy(r.prev[:], p[headerLen:])
	copy(r.tag[:], p[len(p)-tagLen:])
	return r, equalTags(j.seal.tag(h, r.prev, r.body), r.tag)
}

// gather takes n bytes of a record out of its slots, nil if they are not there.
func (j *journal) gather(m *image, slot, n int) []byte {
	p := make([]byte, 0, n)
	for k := 0; len(p) < n; k++ {
		if slot+k >= j.slots || m.lost[slot+k] {
			return nil
		}
		s := m.data[(slot+k)*j.slot : (slot+k+1)*j.slot]
		if k > 0 {
			if s[0] != more {
				return nil
			}
			s = s[1:]
		}
		p = append(p, s[:min(len(s), n-len(p))]...)
	}
	return p
}

// verdict is what the scan means for Open: nil, or why the state is not shown.
func (f *found) verdict() error {
	var seq uint64
	if f.best != nil {
		seq = f.best.seq
	}
	switch {
	case f.later > seq:
		return fmt.Errorf("%w: record %d", ErrVersion, f.later)
	case f.orphan > seq:
		return fmt.Errorf("%w: record %d without its predecessor", ErrLost, f.orphan)
	case f.best == nil && f.blank:
		return ErrBlank
	case f.best == nil && f.foreign:
		return ErrForeign
	case f.best == nil:
		return ErrLost
	}
	return nil
}
