package nvmtest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
)

// Op is a set of operations of a memory: those of [nvm.Op], and Sync.
type Op uint8

// The operations that can be made to fail.
const (
	Read  = Op(nvm.Read)
	Write = Op(nvm.Write)
	Erase = Op(nvm.Erase)
	Sync  = Op(nvm.AllOps + 1)

	Changes = Write | Erase | Sync // what a cut of power can hit
)

// String names the operations, joined by "+".
func (o Op) String() string {
	switch {
	case o&Sync == 0:
		return nvm.Op(o).String()
	case o == Sync:
		return "sync"
	}
	return nvm.Op(o&^Sync).String() + "+sync"
}

// Operation is one call that reached a [FaultyNVM].
type Operation struct {
	Index int64    // 0, 1, 2, … in the order in which calls came in
	Op    Op       // exactly one
	Span  nvm.Span // bytes asked for; empty for Sync
}

// String is like "write 0x100+0x20 (operation 7)".
func (o Operation) String() string {
	if o.Op == Sync {
		return fmt.Sprintf("sync (operation %d)", o.Index)
	}
	return fmt.Sprintf("%v %v (operation %d)", o.Op, o.Span, o.Index)
}

// ErrInjected is in every fault that the injectors of this package make.
var ErrInjected = errors.New("nvmtest: injected fault")

// An Injector decides which operations fail. Fault returns the error that the
// operation is to fail with, or nil. A fault that wraps a [*Partial] lets the
// operation be done in part. Injectors may be called concurrently.
type Injector interface {
	Fault(Operation) error
}

// InjectorFunc is a function as Injector.
type InjectorFunc func(Operation) error

// Fault calls f.
func (f InjectorFunc) Fault(o Operation) error { return f(o) }

func injected(o Operation) error { return fmt.Errorf("%w: %v", ErrInjected, o) }

// Always fails every operation it is asked about.
func Always() Injector { return InjectorFunc(injected) }

// OnIndex fails the i-th operation it is asked about, counted from 0, and no
// other. Inside another injector it counts only what that lets through:
// OnOp(Write, OnIndex(3)) is the fourth write.
func OnIndex(i int64) Injector {
	var seen atomic.Int64
	return InjectorFunc(func(o Operation) error {
		if seen.Add(1)-1 != i {
			return nil
		}
		return injected(o)
	})
}

// From fails the i-th operation it is asked about and all that follow: the
// power is gone.
func From(i int64) Injector {
	var seen atomic.Int64
	return InjectorFunc(func(o Operation) error {
		if seen.Add(1)-1 < i {
			return nil
		}
		return injected(o)
	})
}

// OnOp asks inner about the operations of the set ops alone.
func OnOp(ops Op, inner Injector) Injector {
	return InjectorFunc(func(o Operation) error {
		if o.Op&ops == 0 {
			return nil
		}
		return inner.Fault(o)
	})
}

// OnSpan asks inner about the operations that touch s alone.
func OnSpan(s nvm.Span, inner Injector) Injector {
	return InjectorFunc(func(o Operation) error {
		if !o.Span.Overlaps(s) {
			return nil
		}
		return inner.Fault(o)
	})
}

// Any asks all of list about every operation and takes the first fault, so that
// each of them counts all operations.
func Any(list ...Injector) Injector {
	return InjectorFunc(func(o Operation) error {
		var first error
		for _, i := range list {
			if err := i.Fault(o); err != nil && first == nil {
				first = err
			}
		}
		return first
	})
}

// With replaces the faults of inner by err, such as nvm.ErrBadBlock.
func With(err error, inner Injector) Injector {
	return InjectorFunc(func(o Operation) error {
		if inner.Fault(o) == nil {
			return nil
		}
		return err
	})
}

// Short turns the faults of inner into partial ones: the first n bytes of the
// operation are done.
func Short(n int64, inner Injector) Injector {
	return InjectorFunc(func(o Operation) error {
		err := inner.Fault(o)
		if err == nil {
			return nil
		}
		return &Partial{N: n, Err: err}
	})
}

// Partial is a fault after N bytes. Programs are done up to a whole program
// unit, erases up to a whole erase block, and never wholly.
type Partial struct {
	N   int64 // bytes
	Err error
}

// Error says how far the operation got, and why no further.
func (p *Partial) Error() string { return fmt.Sprintf("after %d bytes: %v", p.N, p.Err) }

// Unwrap returns Err.
func (p *Partial) Unwrap() error { return p.Err }
