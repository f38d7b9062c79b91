package nanolock

import (
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// table is a compiled policy with its denials.
type table struct {
	*policy.Table
	plain []atomic.Pointer[DenyError] // by entry+1 and operation: CauseRule
	mu    sync.Mutex
	other map[denyKey]*DenyError // the rest
}

type denyKey struct {
	entry int
	op    nvm.Op
	cause Cause
}

func newTable(t *policy.Table) *table {
	return &table{Table: t, plain: make([]atomic.Pointer[DenyError], 3*(t.Entries()+1)), other: map[denyKey]*DenyError{}}
}

// denial returns the one error of an entry (-1: no region) and operation. Making
// it at the first denial keeps compiling a hundred thousand regions cheap; two
// racing goroutines make it twice, and one is kept.
func (t *table) denial(entry int, op nvm.Op) *DenyError {
	slot := &t.plain[3*(entry+1)+int(op>>1)]
	if e := slot.Load(); e != nil {
		return e
	}
	slot.CompareAndSwap(nil, t.newDenial(entry, op, CauseRule))
	return slot.Load()
}

// denialFor is denial with a cause.
func (t *table) denialFor(entry int, op nvm.Op, c Cause) *DenyError {
	k := denyKey{entry, op, c}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.other[k]
	if e == nil {
		e = t.newDenial(entry, op, c)
		t.other[k] = e
	}
	return e
}

func (t *table) newDenial(entry int, op nvm.Op, c Cause) *DenyError {
	in := t.Info(entry)
	return &DenyError{Op: op, Region: in.Name, ID: in.ID, Rule: in.Why(op), Cause: c}
}

// ended holds the error of each set of operations: it needs no region.
var ended = func() (e [nvm.AllOps + 1]*DenyError) {
	for op := range e {
		e[op] = &DenyError{Op: nvm.Op(op), Cause: CauseEnded}
	}
	return e
}()

func endedError(op nvm.Op) *DenyError { return ended[op&nvm.AllOps] }

// deny counts and reports a denial. No mutex is held.
func (h *Handle) deny(e *DenyError, off, n int64) error {
	l := h.lock
	l.denied.Add(1)
	if l.cfg.OnDeny != nil {
		l.cfg.OnDeny(Denial{Err: e, Off: off, Len: n, Handle: h.id})
	}
	return e
}

func (h *Handle) denyEnded(op nvm.Op, off, n int64) error {
	if h.lock == nil {
		return endedError(op)
	}
	return h.deny(endedError(op), off, n)
}

// Explain tells what a host that asked for op on [off, off+n) now would get, and
// which rule says so. It changes nothing and is not counted.
func (l *Lock) Explain(op nvm.Op, off, n int64) policy.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil || l.closed {
		return policy.Decision{Rule: CauseEnded.String()}
	}
	d := l.table.Explain(op, nvm.Span{Off: off, Len: n}, nil)
	if !d.Allow || op == nvm.Read || n == 0 {
		return d
	}
	if err := l.possible(op, off, n); err != nil {
		return policy.Decision{Rule: err.Error()}
	}
	if e := l.check(nil, l.host, op, off, n); e != nil {
		return policy.Decision{Region: e.Region, ID: e.ID, Rule: e.Rule + ": " + e.Cause.String()}
	}
	return d
}
