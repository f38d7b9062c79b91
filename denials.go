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
	plain []atomic.Pointer[refusal] // by entry+1 and operation: CauseRule
	mu    sync.Mutex
	other map[denyKey]*refusal // the rest
}

// A refusal is one denial twice: the fields of a DenyError are open, and what a
// host writes into the one that it was told must not be what the owner reads.
type refusal struct{ told, own DenyError }

func newRefusal(e DenyError) *refusal { return &refusal{e, e} }

type denyKey struct {
	entry int
	op    nvm.Op
	cause Cause
}

func newTable(t *policy.Table) *table {
	return &table{Table: t, plain: make([]atomic.Pointer[refusal], 3*(t.Entries()+1)), other: map[denyKey]*refusal{}}
}

// denial returns the one error of an entry (-1: no region) and operation. Making
// it at the first denial keeps compiling a hundred thousand regions cheap; two
// racing goroutines make it twice, and one is kept.
func (t *table) denial(entry int, op nvm.Op) *refusal {
	slot := &t.plain[3*(entry+1)+int(op>>1)]
	if e := slot.Load(); e != nil {
		return e
	}
	slot.CompareAndSwap(nil, t.newDenial(entry, op, CauseRule))
	return slot.Load()
}

// denialFor is denial with a cause.
func (t *table) denialFor(entry int, op nvm.Op, c Cause) *refusal {
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

func (t *table) newDenial(entry int, op nvm.Op, c Cause) *refusal {
	in := t.Info(entry)
	return newRefusal(DenyError{Op: op, Region: in.Name, ID: in.ID, Rule: in.Why(op), Cause: c})
}

// ended holds the denial of each set of operations by a handle without rights: it
// needs no region.
var ended = func() (e [nvm.AllOps + 1]*refusal) {
	for op := range e {
		e[op] = newRefusal(DenyError{Op: nvm.Op(op), Cause: CauseEnded})
	}
	return e
}()

// endedError is for the trusted side.
func endedError(op nvm.Op) error {
	e := ended[op&nvm.AllOps].own
	return &e
}

// deny counts and reports a denial. No mutex is held.
func (h *Handle) deny(r *refusal, off, n int64) error {
	l := h.lock
	l.denied.Add(1)
	if l.cfg.OnDeny != nil {
		l.cfg.OnDeny(Denial{Err: &r.own, Off: off, Len: n, Handle: h.id})
	}
	return &r.told
}

func (h *Handle) denyEnded(op nvm.Op, off, n int64) error {
	if h.lock == nil {
		return endedError(op)
	}
	return h.deny(ended[op&nvm.AllOps], off, n)
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
		return policy.Decision{Region: e.own.Region, ID: e.own.ID, Rule: e.own.Rule + ": " + e.own.Cause.String()}
	}
	return d
}
