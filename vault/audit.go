package vault

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/nanolock/nanolock/nvm"
)

// MaxAudit is how many bytes the body of an audit entry may have.
const MaxAudit = 200

// Kinds of audit entries. Which kind means what is the caller's, but for the last
// 256, which the log writes itself.
const (
	// AuditReserved is the first of the kinds that may use the reserve: what the
	// host can cause in numbers should be below it.
	AuditReserved uint16 = 0x8000
	// KindGap says what was missing when it was written: its body is up to twelve
	// pairs of first and last sequence, u64 each, little-endian.
	KindGap uint16 = 0xFFFF
	// KindAgain repeats the entry in front of it, which a cut may have left half
	// way; its body is not shown.
	KindAgain uint16 = 0xFFFE

	firstOwnKind uint16 = 0xFF00
)

// Bytes in front of an entry's body: kind, uptime, boot id.
const entryHead = 2 + 8 + 16

// maxEntry is the longest body of an audit record: one that repeats another.
const maxEntry = entryHead + headerLen + tagLen + entryHead + MaxAudit

// AuditMark is the head of a log: the sequence and the tag of a record.
type AuditMark struct {
	Seq uint64
	Tag [16]byte
}

// AuditOptions say how a log is opened.
type AuditOptions struct {
	Boot  [16]byte  // random, another one at each start
	Known AuditMark // what Head returned when the caller last kept it; zero if never

	// Acknowledged is the highest sequence that Acknowledge was told of, kept by
	// the caller before it did: records up to it may be missing. A log whose
	// journal is lost is opened with zero, and reports its beginning as missing.
	Acknowledged uint64
}

// Entry is one record of the log.
type Entry struct {
	AuditMark
	Kind uint16
	At   uint64 // uptime in seconds, as given to Append
	Boot [16]byte
	Body []byte
}

// AuditLog is a chain of records in blocks of its own, each authenticated over
// its predecessor. It never overwrites what was not acknowledged: one block is
// kept in reserve for the log itself and for the kinds from AuditReserved on, and
// what does not fit is refused and counted.
//
// What Append returned nil for is found by every later OpenAudit, or reported as
// missing, as far as Known reaches: whoever rewrites the flash can cut the log
// behind Known and no further. The methods may be called concurrently. The zero
// AuditLog refuses everything.
type AuditLog struct {
	mu       sync.Mutex
	j        *journal
	o        AuditOptions
	w        walker   // where the chain ends
	last     []uint64 // by block: the highest sequence in it; 0 if there is none
	first    []uint64 // by block: the sequence that it begins with
	end      int      // in the block of the last record, the slot behind all that is not erased
	ready    bool     // what the last session left has been dealt with
	missing  []missing
	unlogged uint64
	refuse   error
}

// Append adds an entry of at most MaxAudit bytes, or none. kind is below 0xFF00;
// at is the uptime in seconds. ErrFull if there is no room but the reserve, or
// none at all; it is counted. ErrUncertain if the medium failed: the log refuses
// everything until it is opened again, which decides.
func (a *AuditLog) Append(ctx context.Context, kind uint16, at uint64, body []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.j == nil:
		return ErrClosed
	case kind >= firstOwnKind || len(body) > MaxAudit:
		return fmt.Errorf("%w: an entry of kind %#x and %d bytes", ErrLayout, kind, len(body))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	err := a.refuse
	if err == nil {
		err = a.append(kind, at, body)
	}
	if err != nil {
		a.unlogged++
	}
	return err
}

func (a *AuditLog) append(kind uint16, at uint64, body []byte) error {
	moves := a.moves()
	if need := moves + 1; kind < AuditReserved && a.free(moves > 0) < need || a.free(moves > 0) < moves {
		return fmt.Errorf("%w: audit log", ErrFull)
	}
	if !a.ready {
		if a.refuse = a.recover(at); a.refuse != nil {
			return a.refuse
		}
		a.ready = true
	}
	a.refuse = a.put(a.w.tag, a.w.seq+1, a.body(kind, at, body))
	return a.refuse
}

// moves is how many blocks an entry begins, what has to be dealt with in front of
// it included.
func (a *AuditLog) moves() (n int) {
	long, at := a.j.need(maxEntry), a.j.slots
	leave := func() {
		if at+long > a.j.slots {
			n, at = n+1, 0
		}
	}
	if a.w.have {
		at = a.w.next
	}
	if a.w.have && !a.ready {
		if at = a.skipTo(); a.doubt() {
			leave()
			at += long
		}
	}
	if !a.ready && len(a.missing) > 0 {
		n, at = n+1, long
	}
	leave()
	return n
}

// free is how many blocks in turn may be erased, with the block of the last
// record as the last of them if it will have been left.
func (a *AuditLog) free(left bool) (n int) {
	b := len(a.j.blocks) - 1
	if a.w.have {
		b = a.w.block
	}
	for range a.j.blocks {
		b = a.j.next(b)
		if ok, err := a.j.usable(b); err != nil || !ok {
			continue
		}
		if a.last[b] > a.o.Acknowledged || a.w.have && b == a.w.block && !left {
			break
		}
		n++
	}
	return n
}

// body is what stands in front of an entry's bytes, and they.
func (a *AuditLog) body(kind uint16, at uint64, rest []byte) []byte {
	p := binary.LittleEndian.AppendUint16(make([]byte, 0, entryHead+len(rest)), kind)
	p = append(binary.LittleEndian.AppendUint64(p, at), a.o.Boot[:]...)
	return append(p, rest...)
}

// stays tells whether the next record goes into the block of the last one. That
// does not depend on the record: a start that cannot see what a cut left behind
// the chain must put the next record no earlier than it.
func (a *AuditLog) stays() bool {
	return a.w.have && a.w.next+a.j.need(maxEntry) <= a.j.slots
}

// put writes a record where the next one goes.
func (a *AuditLog) put(prev tag, seq uint64, body []byte) error {
	if !a.stays() {
		if err := a.move(); err != nil {
			return err
		}
	}
	return a.write(prev, seq, body)
}

func (a *AuditLog) write(prev tag, seq uint64, body []byte) error {
	t, err := a.j.write(a.w.block, a.w.next, typeAudit, seq, prev, body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	if a.first[a.w.block] == 0 {
		a.first[a.w.block] = seq
	}
	a.last[a.w.block] = seq
	a.w.have, a.w.seq, a.w.tag, a.w.prev = true, seq, t, prev
	a.w.next += a.j.need(len(body))
	return nil
}

// move goes to the next good block, erased first, whatever it reads as.
func (a *AuditLog) move() error {
	b := len(a.j.blocks) - 1
	if a.w.have {
		b = a.w.block
	}
	for range a.j.blocks {
		b = a.j.next(b)
		if ok, err := a.j.usable(b); err != nil || !ok {
			continue
		}
		if a.last[b] > a.o.Acknowledged || a.w.have && b == a.w.block {
			break
		}
		if err := a.j.discard(b); err != nil {
			return fmt.Errorf("%w: %w", ErrUncertain, err)
		}
		a.first[b], a.last[b] = 0, 0
		if ok, err := a.j.usable(b); err != nil || !ok {
			continue // it has just gone bad
		}
		a.w.block, a.w.next = b, 0
		return nil
	}
	return fmt.Errorf("%w: audit log", ErrFull)
}

// Acknowledge says that all records up to seq may go: whole blocks of them are
// erased when room is needed. The caller keeps seq first, see AuditOptions.
// Nothing is written. ErrBackwards if there is no such record yet.
func (a *AuditLog) Acknowledge(ctx context.Context, seq uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.j == nil:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case seq > a.w.seq:
		return fmt.Errorf("%w: acknowledged %d of %d", ErrBackwards, seq, a.w.seq)
	}
	a.o.Acknowledged = max(a.o.Acknowledged, seq)
	return nil
}

// Head returns the newest record that no cut can take back. Behind a start that
// is the one in front of the last, unless Known is the last: who tells the head to
// others keeps it first.
func (a *AuditLog) Head() (seq uint64, tag [16]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.j == nil {
		return 0, tag
	}
	m := a.w.mark()
	if !a.ready {
		m = a.w.certain(a.o.Known)
	}
	return m.Seq, m.Tag
}

// Unlogged returns how many entries were not logged since the log was opened.
func (a *AuditLog) Unlogged() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unlogged
}

func newAudit(mem nvm.NVM, key [32]byte, o AuditOptions) (*AuditLog, error) {
	l, err := newLayout(mem)
	if err != nil {
		return nil, err
	}
	if n := l.need(maxEntry); l.slots < 2*n {
		return nil, fmt.Errorf("%w: %d slots, an audit record takes up to %d", ErrLayout, l.slots, n)
	}
	a := &AuditLog{j: &journal{layout: l, seal: newSealer(key), how: standard()}, o: o}
	a.first, a.last = make([]uint64, len(l.blocks)), make([]uint64, len(l.blocks))
	return a, nil
}
