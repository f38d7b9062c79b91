package nvmtest

import (
	"bytes"
	"runtime"
	"sync"

	"github.com/nanolock/nanolock/nvm"
)

// rounds of each worker; the scheduler, not the count, finds the faults.
const rounds = 24

// checkConcurrent runs readers beside two writers whose units lie one next to
// the other, beside a writer that erases, and beside Sync and Geometry. What
// does not overlap must come out as if alone. Run it with -race.
func checkConcurrent(e *env) error {
	pieces := e.pieces()
	bs := e.blocks(pieces[0], smallBlocks)
	if len(pieces) > 1 && len(bs) == 1 {
		bs = append(bs, e.blocks(pieces[1], 1)...)
	}
	if err := e.fillAll(200); err != nil {
		return err
	}
	if err := e.erase(bs[0]); err != nil {
		return err
	}
	w := &workers{e: e}
	n := min(bs[0].Len/e.unit(), 128)
	w.start(func() error { return e.everyOther(bs[0], 0, n) })
	w.start(func() error { return e.everyOther(bs[0], 1, n) })
	if len(bs) > 1 {
		w.start(func() error { return e.cycle(bs[1]) })
	}
	for range 2 {
		w.start(func() error { return e.look(pieces) })
	}
	w.start(e.syncs)
	if err := w.wait(); err != nil {
		return err
	}
	return e.compareUnits(bs, n)
}

func (e *env) compareUnits(bs []nvm.Span, n int64) error {
	got, err := e.get(nvm.Span{Off: bs[0].Off, Len: n * e.unit()})
	if err != nil {
		return err
	}
	if i := differAt(got, e.pattern(bs[0].Off, n*e.unit(), 201)); i >= 0 {
		return broke(sConc, "two writers of neighbouring units: the byte at %#x is lost", bs[0].Off+int64(i))
	}
	for i, b := range bs[1:] {
		seed := uint64(200)
		if i == 0 {
			seed += rounds
		}
		got, err := e.get(b)
		if err != nil {
			return err
		}
		if at := differAt(got, e.pattern(b.Off, b.Len, seed)); at >= 0 {
			return broke(sConc, "the byte at %#x is not the last that was programmed there", b.Off+int64(at))
		}
	}
	return nil
}

// everyOther programs every second unit of b, from unit first to n.
func (e *env) everyOther(b nvm.Span, first, n int64) error {
	want := e.pattern(b.Off, n*e.unit(), 201)
	for i := first; i < n; i += 2 {
		at := i * e.unit()
		if err := e.program(want[at:at+e.unit()], b.Off+at); err != nil {
			return err
		}
		if i%16 == first {
			runtime.Gosched()
		}
	}
	return nil
}

// cycle erases and programs b, and sees its own work in between.
func (e *env) cycle(b nvm.Span) error {
	for i := range uint64(rounds) {
		if err := e.fill(b, 201+i); err != nil {
			return err
		}
		got, err := e.get(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, e.pattern(b.Off, b.Len, 201+i)) {
			return broke(sConc, "round %d: %v does not hold what its only writer programmed", i, b)
		}
	}
	return nil
}

// look reads everywhere. What it reads is unspecified, that it reads is not.
func (e *env) look(pieces []nvm.Span) error {
	for range rounds {
		for _, s := range pieces {
			for _, b := range e.blocks(s, smallBlocks) {
				if _, err := e.get(b); err != nil {
					return err
				}
			}
		}
		if g := e.mem.Geometry(); g.Size != e.geo.Size {
			return broke(sConstant, "Geometry().Size is %d and was %d", g.Size, e.geo.Size)
		}
	}
	return nil
}

func (e *env) syncs() error {
	for range rounds / 4 {
		if err := e.mem.Sync(); err != nil {
			return broke(sSync, "Sync() = %v", err)
		}
	}
	return nil
}

// workers gathers the first error of several goroutines; a panic is one too.
type workers struct {
	e    *env
	wg   sync.WaitGroup
	once sync.Once
	err  error
}

func (w *workers) start(f func() error) {
	w.wg.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				w.fail(broke(sConc, "panic: %v", r))
			}
		}()
		if err := f(); err != nil {
			w.fail(err)
		}
	})
}

func (w *workers) fail(err error) { w.once.Do(func() { w.err = err }) }

func (w *workers) wait() error {
	w.wg.Wait()
	return w.err
}

// checkSync: what was done before Sync is there when the power is back.
func checkSync(e *env) error {
	bs := e.blocks(e.pieces()[0], 3)
	for _, b := range bs {
		if err := e.fill(b, 300); err != nil {
			return err
		}
	}
	if err := e.mem.Sync(); err != nil {
		return broke(sSync, "Sync() = %v", err)
	}
	if e.cfg.Reopen == nil {
		return nil
	}
	// A second generation on top of one that is already safe: a Sync that
	// does nothing would bring the first back.
	for i, b := range bs {
		if err := e.erase(b); err != nil {
			return err
		}
		if i != 1 {
			if err := e.programAll(e.pattern(b.Off, b.Len, 301), b.Off); err != nil {
				return err
			}
		}
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	if err := e.mem.Sync(); err != nil {
		return broke(sSync, "Sync() = %v", err)
	}
	if e.mem = e.cfg.Reopen(e.tb, e.mem); e.mem == nil {
		return broke(sSync, "Config.Reopen returned nil")
	}
	return im.differ(sSync, "opened again after Sync")
}
