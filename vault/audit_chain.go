package vault

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// link is a record of the chain.
type link struct {
	seq       uint64
	tag, prev tag
	again     []byte    // what it repeats; nil if it is no repetition
	inside    AuditMark // in front of what it repeats
	raw       []byte    // header, previous tag and body
	entry     *Entry    // not shown yet
}

// walker follows the chain from record to record.
type walker struct {
	link        // the last record
	older *link // in front of it, if that is not settled
	have  bool  // there is a last record

	block, next int
	known       AuditMark
	acked       uint64
	holes, told []missing
	report      *AuditReport       // nil: nobody counts
	emit        func(Entry, error) // nil: nobody listens
}

func (w *walker) mark() AuditMark { return AuditMark{w.seq, w.tag} }

// certain is the newest record of which a start knows that it is whole.
func (w *walker) certain(known AuditMark) AuditMark {
	switch {
	case !w.have || w.mark() == known:
		return w.mark()
	case w.again != nil:
		return w.inside
	}
	return AuditMark{w.seq - 1, w.prev}
}

func (w *walker) follows(r *record) bool { return w.have && r.prev == w.tag && r.seq == w.seq+1 }

// takes tells whether r takes the place of l: of two records that claim one place
// in the chain, the second was written because the first, or what stood behind it,
// did not read as a record then.
func (l *link) takes(r *record) bool { return r.prev == l.prev && r.seq == l.seq }

// take adds r to the chain; e is what it repeats, or nil.
func (w *walker) take(r, e *record) {
	last := w.have && w.link.takes(r)
	both := w.older != nil && w.older.takes(r)
	if e != nil && !w.follows(r) && !last && !both {
		w.take(e, nil)
	}
	switch {
	case last:
	case both:
		w.older = nil
	case !w.have:
		w.hole(w.acked, r.seq)
		if w.report != nil {
			w.report.First = r.seq
		}
	case w.follows(r):
		w.flush(w.older)
		older := w.link
		w.older = &older
	default:
		w.flush(w.older)
		w.flush(&w.link)
		w.hole(w.seq, r.seq)
		w.older = nil
	}
	w.have = true
	w.link = link{seq: r.seq, tag: r.tag, prev: r.prev, entry: entryOf(r)}
	w.raw = append(append(r.put(nil), r.prev[:]...), r.body...)
	if e != nil {
		w.again, w.inside = slices.Clone(r.body[entryHead:]), AuditMark{e.seq - 1, e.prev}
	}
	if w.entry.Kind == KindGap {
		w.gap(w.entry.Body)
	}
}

func entryOf(r *record) *Entry {
	le, p := binary.LittleEndian, r.body
	e := &Entry{AuditMark: AuditMark{r.seq, r.tag}, Kind: le.Uint16(p), At: le.Uint64(p[2:]), Boot: [16]byte(p[10:entryHead])}
	if e.Kind != KindAgain {
		e.Body = slices.Clone(p[entryHead:])
	}
	return e
}

// flush shows a record that nothing can replace any more.
func (w *walker) flush(l *link) {
	if l == nil || l.entry == nil {
		return
	}
	e := l.entry
	if l.entry = nil; w.emit != nil {
		w.emit(*e, nil)
	}
	if e.Seq == w.known.Seq && e.Tag != w.known.Tag {
		w.lost(e.Seq, e.Seq)
	}
}

// hole: seq does not continue the chain that ends with after. What was
// acknowledged may be gone; a chain that goes back or forks is a hole where it
// does so.
func (w *walker) hole(after, seq uint64) {
	first, last := max(after, w.acked)+1, seq-1
	if seq <= after {
		first, last = seq, seq
	}
	if last >= first && last > w.acked {
		w.lost(first, last)
	} else if seq == after+1 && seq > w.acked+1 { // the predecessor is another one
		w.lost(after, after)
	}
}

func (w *walker) lost(first, last uint64) {
	if w.holes = append(w.holes, missing{first, last}); w.emit != nil {
		w.emit(Entry{}, fmt.Errorf("%w: audit records %d to %d", ErrLost, first, last))
	}
}

// gap takes note of what a gap record tells of.
func (w *walker) gap(p []byte) {
	if w.report != nil {
		w.report.Gaps++
	}
	for ; len(p) >= 16; p = p[16:] {
		w.told = append(w.told, missing{binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])})
	}
}

// finish looks at the end of the chain: is what the caller knows there?
func (w *walker) finish() {
	w.flush(w.older)
	w.flush(&w.link)
	if !w.have && w.acked > 0 {
		w.lost(w.acked, w.acked)
	}
	if after := max(w.seq, w.acked); after < w.known.Seq {
		w.lost(after+1, w.known.Seq)
	}
}

// open returns the holes of which no gap record tells.
func (w *walker) open() (list []missing) {
	for _, h := range w.holes {
		if !slices.ContainsFunc(w.told, func(t missing) bool { return t.first <= h.first && h.last <= t.last }) {
			list = append(list, h)
		}
	}
	return list
}
