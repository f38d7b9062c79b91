package sim

import (
	"fmt"
	"strconv"

	"github.com/nanolock/nanolock/nvm"
)

// Kind is what an operation does.
type Kind uint8

// Kinds. Sync is an operation only on a cached part.
const (
	Program Kind = iota
	Erase
	Sync
)

// String is the letter used in ids.
func (k Kind) String() string {
	const letters = "wes"
	if int(k) < len(letters) {
		return letters[k : k+1]
	}
	return "?"
}

func (k Kind) op() nvm.Op { return [...]nvm.Op{nvm.Write, nvm.Erase, 0}[min(k, Sync)] }

// Operation is one thing the part does between two instants at which a cut
// tears nothing: the program of one page or unit, the erase of one block, or
// the sync of a cache. A call of WriteAt or Erase may be several. It stays valid
// after the operation is over.
type Operation struct {
	kind  Kind
	span  nvm.Span
	want  []byte // relative to the erased value
	index uint64
	pre   *Flash // as before the operation; nil without a hook
}

// Kind tells what the operation does.
func (o *Operation) Kind() Kind { return o.kind }

// Span is what it programs or erases; empty for Sync.
func (o *Operation) Span() nvm.Span { return o.span }

// Index counts operations from 0; see Flash.Ops.
func (o *Operation) Index() uint64 { return o.index }

// Data returns a copy of what is programmed; nil for other kinds.
func (o *Operation) Data() []byte {
	if o.want == nil || o.pre == nil {
		return nil
	}
	p := append([]byte(nil), o.want...)
	for i := range p {
		p[i] ^= o.pre.part.blank
	}
	return p
}

// Before returns a copy of the part as it was before the operation.
func (o *Operation) Before() *Flash {
	if o.pre == nil {
		return nil
	}
	return o.pre.Clone()
}

// String is the common beginning of the ids of its torn states.
func (o *Operation) String() string { return strconv.FormatUint(o.index, 10) + "." + o.kind.String() }

// SetHook has h called before each operation, with no lock held: h may use the
// part, and enumerate what a cut would leave with Operation.Torn. While a hook is
// set there should be one writer, or the state before an operation is not the
// one it finds. nil removes it.
func (f *Flash) SetHook(h func(*Operation)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// begin admits o: it gets its index, and its pre-image if there is a hook.
func (f *Flash) begin(o *Operation) (hook func(*Operation), boot uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alive() {
		return nil, 0, ErrNoPower
	}
	if err := f.m.refusal(o); err != nil {
		return nil, 0, err
	}
	o.index = f.ops
	f.ops++
	if f.hook != nil {
		o.pre = f.clone()
	}
	return f.hook, f.boot, nil
}

// run carries o out. The lock is open while hook and gate run, so the state is
// checked again behind them.
func (f *Flash) run(o *Operation, gate func(nvm.Span)) error {
	hook, boot, err := f.begin(o)
	if err != nil {
		return err
	}
	if hook != nil {
		hook(o)
	}
	if gate != nil {
		gate(o.span)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alive() || f.boot != boot {
		return ErrNoPower
	}
	if err := f.m.refusal(o); err != nil {
		return err
	}
	return f.perform(o)
}

// perform lets o happen, or what a scheduled cut or a rule makes of it.
func (f *Flash) perform(o *Operation) error {
	d := f.duration(o)
	if f.cutDuring(o, d) {
		return ErrNoPower
	}
	f.pass(d)
	for _, r := range f.part.Faults.Rules {
		if r.hits(o.kind, o.index) {
			return f.fail(o, r)
		}
	}
	if worn := f.apply(change{o, Whole}); worn && !f.part.Faults.Wear.Silent {
		return f.report(o)
	}
	return nil
}

// fail is an operation under a rule (F11, F12).
func (f *Flash) fail(o *Operation, r Rule) error {
	f.apply(change{o, r.Effect})
	if r.Silent {
		return nil
	}
	return f.report(o)
}

// report is the part saying that o failed.
func (f *Flash) report(o *Operation) error {
	f.stats.Failures++
	if f.part.Faults.GrowBad && f.part.Geometry.BadBlocks {
		f.grow(f.part.Geometry.Block(o.span.Off))
	}
	return fmt.Errorf("%w: %v at %v", ErrFailed, o, o.span)
}

// change is what an operation did to the medium.
type change struct {
	o      *Operation
	effect Effect
}

// apply does c to what reads see, and queues it for what is durable.
func (f *Flash) apply(c change) (worn bool) {
	refused, worn := c.to(&f.m)
	f.stats.RefusedBits += refused
	if c.effect == Whole && c.o.kind == Erase {
		f.stats.Erases++
	}
	if c.effect == Whole && c.o.kind == Program {
		f.stats.Programs++
		f.stats.BytesProgrammed += uint64(c.o.span.Len)
	}
	if f.part.Cached {
		f.queue(c)
	}
	return worn
}

// to does c to m.
func (c change) to(m *medium) (refused uint64, worn bool) {
	draw := stream{seed: mix(m.part.Seed, forOver, c.o.index)}
	switch {
	case c.effect == Nothing:
	case c.o.kind == Program && c.effect == Half:
		mask := make([]byte, c.o.span.Len)
		fill(mask[:len(mask)/2], 0xFF)
		t := newTearing(m, c.o, draw)
		t.settle(mask)
		t.done()
	case c.o.kind == Program:
		refused = m.program(c.o.span, c.o.want, nil, draw)
	case c.o.kind == Erase && c.effect == Half:
		t := newTearing(m, c.o, draw)
		t.part(fromStart, t.w.span.Len/2)
		t.done()
	case c.o.kind == Erase:
		worn = m.erase(c.o.span)
	}
	return refused, worn
}
