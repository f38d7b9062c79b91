// Package nvmtest checks implementations of [nvm.NVM] and makes them fail.
//
// Whoever writes a memory calls [Test] from a test of their own; it goes through
// the contract of nvm.NVM sentence by sentence, and names the sentence in every
// failure. [Benchmark] measures every memory in the same way. [Faulty] puts
// faults in front of a memory, to show what the code above it does about them.
//
// The package belongs in tests: it imports testing.
package nvmtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// Config tells [Test] and [Benchmark] how to get at the memory, and what they
// may do to it. Only New is required.
type Config struct {
	// New opens the memory, with any content, and closes it in tb.Cleanup. It
	// is called for each check; the content need not survive from one to the next.
	New func(tb testing.TB) nvm.NVM

	// Reopen takes the power from mem, a memory that New or Reopen returned,
	// and opens it again: what was not synced need not be there any more. nil:
	// whether Sync is a barrier is not checked.
	Reopen func(tb testing.TB, mem nvm.NVM) nvm.NVM

	// Work is where reads, programs and erases are allowed: whole erase blocks,
	// in order and apart. Their content is lost. nil is all of the memory;
	// anything else is for memories that refuse some places, such as a host's
	// handle. Offsets and lengths in bytes.
	Work []nvm.Span

	// Readable is what may be read besides Work, to see that it does not
	// change. nil is all of the memory.
	Readable []nvm.Span

	// Mapped: the memory must hand out a mapping. Without it, a mapping is
	// checked if there is one.
	Mapped bool

	// MarkBad: the suite may mark good blocks of Work bad, for ever. Without
	// it, only blocks that are bad already are tried.
	MarkBad bool
}

// A check is one row of the suite. run returns the first breach it sees.
type check struct {
	name string
	run  func(*env) error
}

// checks is the suite, cheap and telling rows first.
var checks = []check{
	{"geometry", checkGeometry},
	{"range/read", checkRangeRead},
	{"range/write", checkRangeWrite},
	{"range/erase", checkRangeErase},
	{"zero", checkZero},
	{"align/program", checkAlignProgram},
	{"align/page", checkAlignPage},
	{"align/erase", checkAlignErase},
	{"program/erased", checkProgramErased},
	{"program/class", checkProgramClass},
	{"program/addresses", checkAddresses},
	{"program/retain", checkRetain},
	{"erase/exact", checkEraseExact},
	{"read/iotest", checkReader},
	{"random", checkRandom},
	{"concurrent", checkConcurrent},
	{"sync", checkSync},
	{"mapping", checkMapping},
	{"remap", checkRemap},
	{"badblocks", checkBadBlocks},
}

// Test runs the suite: one subtest for each part of the contract. Rows that do
// not apply to the memory, such as bad blocks, pass without doing anything.
//
//	func TestContract(t *testing.T) {
//		nvmtest.Test(t, nvmtest.Config{New: func(tb testing.TB) nvm.NVM { return ours.Open(tb.TempDir()) }})
//	}
func Test(t *testing.T, c Config) {
	t.Helper()
	for _, ck := range checks {
		t.Run(ck.name, func(t *testing.T) {
			if err := ck.do(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// do runs one check on a memory of its own. A panic is a breach as well, and a
// Geometry that changed meanwhile is looked for after every check.
func (ck check) do(tb testing.TB, c Config) (err error) {
	tb.Helper()
	e, err := newEnv(tb, c)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: the memory panicked: %v\n%s", ck.name, r, debug.Stack())
		}
	}()
	if err := ck.run(e); err != nil {
		return err
	}
	if g := e.mem.Geometry(); !reflect.DeepEqual(g, e.geo) {
		return broke(sConstant, "Geometry() was %+v and is %+v after check %q", e.geo, g, ck.name)
	}
	return nil
}

// An env is one memory under check.
type env struct {
	tb   testing.TB
	cfg  Config
	mem  nvm.NVM
	geo  nvm.Geometry
	work []nvm.Span // whole good erase blocks to work in
	read []nvm.Span // what can be read
	rng  *rand.Rand // fixed seed: a failure comes back
}

func newEnv(tb testing.TB, c Config) (*env, error) {
	tb.Helper()
	if c.New == nil {
		return nil, errors.New("nvmtest: Config.New is nil")
	}
	mem := c.New(tb)
	if mem == nil {
		return nil, errors.New("nvmtest: Config.New returned nil")
	}
	e := &env{tb: tb, cfg: c, mem: mem, geo: mem.Geometry(), rng: rand.New(rand.NewPCG(1, 2))}
	if err := e.geo.Validate(); err != nil {
		return nil, broke(sValid, "Geometry() is %+v: %v", e.geo, err)
	}
	if e.geo.BadBlocks {
		if _, ok := mem.(nvm.BadBlocker); !ok {
			return nil, broke(sHasBad, "%T is no nvm.BadBlocker", mem)
		}
	}
	whole := []nvm.Span{{Off: 0, Len: e.geo.Size}}
	work := c.Work
	if work == nil {
		work = whole
	}
	if err := e.setWork(work); err != nil {
		return nil, err
	}
	if e.read = whole; c.Readable != nil {
		e.read = append(slices.Clone(c.Readable), e.work...)
	}
	return e, nil
}

// setWork takes the good blocks of work.
func (e *env) setWork(work []nvm.Span) error {
	var behind int64
	for _, w := range work {
		if w.Len <= 0 || w.Off < behind || e.geo.CheckErase(w.Off, w.Len) != nil {
			return fmt.Errorf("nvmtest: Config.Work: %v is not whole erase blocks of the memory, in order", w)
		}
		behind = w.End()
		if err := e.addGood(w); err != nil {
			return err
		}
	}
	if len(e.work) == 0 {
		return errors.New("nvmtest: Config.Work has no good erase block")
	}
	return nil
}

func (e *env) addGood(w nvm.Span) error {
	bb, ok := e.mem.(nvm.BadBlocker)
	if !ok || !e.geo.BadBlocks {
		e.work = append(e.work, w)
		return nil
	}
	for off := w.Off; off < w.End(); {
		b := e.geo.Block(off)
		bad, err := bb.IsBad(off)
		if err != nil {
			return broke(sIsBad, "IsBad(%#x): %v", off, err)
		}
		if !bad {
			e.work = appendMerged(e.work, b)
		}
		off = b.End()
	}
	return nil
}

// appendMerged appends s, or lengthens the last span if s begins where it ends.
func appendMerged(list []nvm.Span, s nvm.Span) []nvm.Span {
	if k := len(list) - 1; k >= 0 && list[k].End() == s.Off {
		list[k].Len += s.Len
		return list
	}
	return append(list, s)
}
