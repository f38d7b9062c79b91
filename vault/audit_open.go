package vault

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// maxMissing is how many holes one gap record tells apart; those behind are
// joined.
const maxMissing = 12

// AuditReport is what OpenAudit met.
type AuditReport struct {
	// Whole: nothing is missing that was not acknowledged, and that no gap record
	// tells of already.
	Whole       bool
	Why         string // what is not whole
	First, Last uint64 // sequences of the oldest and the newest record; 0 if there is none
	Gaps        int    // gap records
	Torn        bool   // something stands behind the newest record: a cut one, or damage
	// Strange counts what begins like a record, in front of the newest, and is not
	// authentic: what cuts left, or what somebody tried.
	Strange int
}

// missing is a hole: sequences first to last, both of them gone.
type missing struct{ first, last uint64 }

// OpenAudit finds the log and writes nothing: what a cut left is dealt with by
// the first Append. A log that is not whole is returned all the same, with a
// report that says so; its first Append begins with a gap record. ErrVersion if
// there is an authentic record of a later version, ErrLayout if the memory has
// not two blocks of enough slots.
//
// The memory may be empty: that is a new log if nothing was kept of an older one.
func OpenAudit(ctx context.Context, mem nvm.NVM, key [32]byte, o AuditOptions) (*AuditLog, AuditReport, error) {
	var r AuditReport
	a, err := newAudit(mem, key, o)
	if err != nil {
		return nil, r, err
	}
	if err := a.order(ctx, &r); err != nil {
		return nil, r, err
	}
	a.w.known, a.w.acked, a.w.report = o.Known, o.Acknowledged, &r
	for _, b := range a.blocks() {
		if ctx.Err() != nil {
			return nil, r, ctx.Err()
		}
		m, err := a.j.read(b)
		if err != nil {
			return nil, r, err
		}
		if a.walk(&a.w, b, m); a.w.block == b {
			a.end = m.last + 1
		}
	}
	a.w.finish()
	a.w.report = nil
	a.missing = a.w.open()
	if r.Last = a.w.seq; a.w.have {
		r.Torn = a.end > a.w.next
	}
	if r.Whole = len(a.missing) == 0; !r.Whole {
		r.Why = fmt.Sprintf("records %d to %d are missing, or not those that are known", a.missing[0].first, a.missing[0].last)
	}
	return a, r, nil
}

// order finds out with which sequence each block begins.
func (a *AuditLog) order(ctx context.Context, report *AuditReport) error {
	for b := range a.j.blocks {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ok, err := a.j.usable(b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		m, err := a.j.read(b)
		if err != nil {
			return err
		}
		strange := 0
		for r, authentic := range a.records(b, m) {
			if strange++; !authentic {
				continue
			}
			report.Strange, strange = report.Strange+strange-1, 0
			if r.version > a.j.how.version || r.kind != typeAudit || len(r.body) < entryHead {
				return fmt.Errorf("%w: audit record %d", ErrVersion, r.seq)
			}
			if a.first[b] == 0 {
				a.first[b] = r.seq
			}
			a.last[b] = max(a.last[b], r.seq)
		}
	}
	return nil
}

// blocks lists the blocks with records, oldest first. Each was begun with a
// sequence above all that stood in those before it.
func (a *AuditLog) blocks() (list []int) {
	for b := range a.j.blocks {
		if a.first[b] > 0 {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(x, y int) int {
		if a.first[x] < a.first[y] {
			return -1
		}
		return 1
	})
	return list
}

// records yields what is a record or looks like one, in order of the slots.
func (a *AuditLog) records(block int, m *image) iter.Seq2[*record, bool] {
	return func(yield func(*record, bool) bool) {
		for i := 0; i <= m.last; {
			r, authentic := a.j.parse(m, block, i)
			if authentic = authentic && r.epoch == a.j.epoch; authentic {
				i += r.slots
			} else {
				i++
			}
			if r != nil && !yield(r, authentic) {
				return
			}
		}
	}
}

// walk takes the records of a block into the chain.
func (a *AuditLog) walk(w *walker, block int, m *image) {
	for r, authentic := range a.records(block, m) {
		if !authentic || len(r.body) < entryHead { // the latter read otherwise at first
			continue
		}
		w.take(r, a.embedded(r))
		w.block, w.next = block, int(r.slot)+r.slots
	}
}

// embedded returns the record that a repetition repeats, nil if r is none.
func (a *AuditLog) embedded(r *record) *record {
	p := r.body[entryHead:]
	if entryKindOf(r) != KindAgain || len(p) < headerLen+tagLen+entryHead {
		return nil
	}
	e := &record{header: parseHeader(p), body: p[headerLen+tagLen:], tag: r.prev}
	copy(e.prev[:], p[headerLen:])
	if e.seq+1 != r.seq || entryKindOf(e) == KindAgain || !equalTags(a.j.seal.tag(e.header, e.prev, e.body), e.tag) {
		return nil
	}
	return e
}

func entryKindOf(r *record) uint16 { return binary.LittleEndian.Uint16(r.body) }

// recover deals with what the last session left: it makes sure that no slot
// behind the chain ever reads as a record, repeats the last one if a cut may have
// left it half way, and says what is missing.
func (a *AuditLog) recover(at uint64) error {
	if a.w.have {
		a.skip()
		if err := a.repeat(at); err != nil {
			return err
		}
	}
	if len(a.missing) == 0 {
		return nil
	}
	var body []byte
	for i, m := range a.missing {
		if i == maxMissing-1 {
			m.last = a.missing[len(a.missing)-1].last
		}
		if i < maxMissing {
			body = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(body, m.first), m.last)
		}
	}
	if err := a.move(); err != nil {
		return err
	}
	seq := max(a.w.seq, a.o.Known.Seq, a.o.Acknowledged) + 1
	if err := a.write(a.w.tag, seq, a.body(KindGap, at, body)); err != nil {
		return err
	}
	a.missing = nil
	return nil
}

// skip leaves out what a cut can have touched: all up to the last slot that is
// not erased, and the next. Each is retired, if the part lets it; if not, the
// place of what follows outranks it. But the last, which reads erased, has to be,
// or the next start does not see how far this one got: where it refuses, the block
// is left.
func (a *AuditLog) skip() {
	to := a.skipTo()
	for i := a.w.next; i < min(to, a.j.slots); i++ {
		if err := a.j.retireSlot(a.w.block, i); err != nil && i == to-1 {
			to = a.j.slots
		}
	}
	a.w.next = to
}

func (a *AuditLog) skipTo() int { return max(a.end, a.w.next) + 1 }

// doubt: a cut may have left the last record half way.
func (a *AuditLog) doubt() bool { return a.w.mark() != a.w.known }

// repeat writes the last record again, in a record of its own. A repetition is
// replaced by another, so that none holds one.
func (a *AuditLog) repeat(at uint64) error {
	w := &a.w
	switch {
	case !a.doubt():
		return nil
	case w.again != nil:
		return a.put(w.prev, w.seq, a.body(KindAgain, at, w.again))
	}
	return a.put(w.tag, w.seq+1, a.body(KindAgain, at, w.raw))
}
