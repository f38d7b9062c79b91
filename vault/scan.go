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
	blank := l.blank()
	for i := range l.slots {
		p := m.data[i*l.slot : (i+1)*l.slot]
		_, err := l.mem.ReadAt(p, l.off(block, i))
		switch {
		case errors.Is(err, nvm.ErrUncorrectable):
			m.lost[i], m.last = true, i
			copy(p, l.full())
		case err != nil:
			return nil, fmt.Errorf("vault: block %d slot %d: %w", block, i, err)
		case !bytes.Equal(p, blank):
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
	return f, nil
}

// follow finds the chains of one block.
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
			if f.best == nil || c.seq >= f.best.seq {
				f.best = c
			}
		}
	}
	return nil
}

// extend returns the chain c with r, nil if r does not continue it.
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
		next := *c
		next.settled = true
		return &next, nil
	case r.seq != c.seq+1:
		return nil, nil
	}
	next := &chain{version: c.version, state: c.state.clone(), seq: r.seq, tag: r.tag}
	if err := next.state.patch(r.version, r.body); err != nil {
		return nil, err
	}
	return next, nil
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
