package rig

import (
	"context"
	"fmt"
	"sync"

	"github.com/nanolock/nanolock/keystore"
)

// Latch is one that lives in this process. It outlasts power cuts, as fuses do.
type Latch struct {
	mu  sync.Mutex
	rec keystore.Record
	err error
	cut func() bool
}

// Read returns the record, or the error that Fail has set.
func (l *Latch) Read(ctx context.Context) (keystore.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return keystore.Record{}, l.err
	}
	return l.rec, ctx.Err()
}

// Set moves the latch under the rule of keystore.Record.Forward.
func (l *Latch) Set(ctx context.Context, r keystore.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.cut != nil && l.cut() {
		return fmt.Errorf("rig: power cut: %w", keystore.ErrUncertain)
	}
	write, err := l.rec.Forward(r)
	if err == nil && write {
		l.rec = r
	}
	if l.cut != nil && l.cut() {
		return fmt.Errorf("rig: power cut: %w", keystore.ErrUncertain)
	}
	return err
}

// Fail makes every call return err; nil is healthy again.
func (l *Latch) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// Blank makes the latch read as never set, as no honest latch can.
func (l *Latch) Blank() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rec = keystore.Record{}
}

// Anchor is a counter in this process.
type Anchor struct {
	mu     sync.Mutex
	value  uint64
	err    error
	silent bool // does what it is asked, and does not answer
	cut    func() bool
	budget keystore.Budget
	steps  int
}

// Read returns the value.
func (a *Anchor) Read(ctx context.Context) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return 0, a.err
	}
	return a.value, ctx.Err()
}

// Advance moves the value under the rule of keystore.Steps.
func (a *Anchor) Advance(ctx context.Context, to uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil && !a.silent {
		return a.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.cut != nil && a.cut() {
		return fmt.Errorf("rig: power cut: %w", keystore.ErrUncertain)
	}
	n, err := keystore.Steps(a.value, to)
	if err != nil {
		return err
	}
	a.value += uint64(n)
	a.steps += n
	if a.err != nil {
		return a.err
	}
	if a.cut != nil && a.cut() {
		return fmt.Errorf("rig: power cut: %w", keystore.ErrUncertain)
	}
	return nil
}

// Budget is what the anchor endures.
func (a *Anchor) Budget() keystore.Budget { return a.budget }

// Put replaces the value, as no honest anchor can.
func (a *Anchor) Put(v uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.value = v
}

// Value returns it.
func (a *Anchor) Value() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}

// Steps is how often it went up.
func (a *Anchor) Steps() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.steps
}

// Fail makes every call return err, after doing what it was asked if silent. nil
// is healthy again.
func (a *Anchor) Fail(err error, silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err, a.silent = err, silent
}
