package bench

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nanolock/nanolock/bench/internal/paired"
	"github.com/nanolock/nanolock/bench/internal/stats"
	"github.com/nanolock/nanolock/nvm"
)

var errShort = errors.New("short access")

// readAll is the one loop that all reads go through, so that cases differ in
// nothing but the dynamic type of r: two copies of one loop can differ by 7 %
// for where the linker put them.
//
//go:noinline
func readAll(r io.ReaderAt, p []byte, offs []int64) error {
	for _, off := range offs {
		if n, err := r.ReadAt(p, off); n != len(p) || err != nil {
			return errors.Join(errShort, err)
		}
	}
	return nil
}

// writeAll is readAll for programs.
//
//go:noinline
func writeAll(w io.WriterAt, p []byte, offs []int64) error {
	for _, off := range offs {
		if n, err := w.WriteAt(p, off); n != len(p) || err != nil {
			return errors.Join(errShort, err)
		}
	}
	return nil
}

// copyAll is what readAll would be without any memory in between: a program that
// has the mapping and asks nobody.
//
//go:noinline
func copyAll(mapping, p []byte, offs []int64) error {
	for _, off := range offs {
		if n := copy(p, mapping[off:]); n != len(p) {
			return errShort
		}
	}
	return nil
}

func reads(name string, r io.ReaderAt, p []byte, offs []int64) paired.Case {
	return repeat(name, func() error { return readAll(r, p, offs) })
}

func writes(name string, w io.WriterAt, p []byte, offs []int64) paired.Case {
	return repeat(name, func() error { return writeAll(w, p, offs) })
}

func repeat(name string, once func() error) paired.Case {
	return paired.Case{Name: name, Do: func(n int) error {
		for range n {
			if err := once(); err != nil {
				return err
			}
		}
		return nil
	}}
}

// buffer is alone on its cache lines: two that share one triple each other's
// time on two threads.
func buffer(size int) []byte { return make([]byte, size+256)[128 : 128+size : 128+size] }

// hotAccesses is how many different accesses a block repeats where nothing else
// is said.
const hotAccesses = 1024

// offsets are n random starts of accesses of that size inside the spans, on
// multiples of 16.
func offsets(n, size int, spans ...nvm.Span) []int64 {
	rand := stats.NewShuffler(uint64(size))
	offs := make([]int64, n)
	for i := range offs {
		s := spans[rand.Below(len(spans))]
		offs[i] = s.Off + 16*int64(rand.Below(int((s.Len-int64(size))/16)+1))
	}
	return offs
}

// trial runs rounds for as long as the benchmark wants, again if the machine was
// too restless, and reports case 2 against case 0.
func trial(b *testing.B, accesses int, cases ...paired.Case) *paired.Trial {
	b.Helper()
	t, err := paired.NewTrial(accesses, 1, cases...)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		round(b, t)
	}
	const fewest, tries = 25, 3
	for t.Rounds() < fewest {
		round(b, t)
	}
	for rounds, i := t.Rounds(), 1; i < tries && !t.Steady(); i++ {
		for t.Reset(); t.Rounds() < rounds; {
			round(b, t)
		}
	}
	report(b, t, cases[2])
	return t
}

func round(b *testing.B, t *paired.Trial) {
	if err := t.Round(); err != nil {
		b.Fatal(err)
	}
}

func report(b *testing.B, t *paired.Trial, mediated paired.Case) {
	verdict := 0.0
	if t.Steady() {
		verdict = 1
	}
	ratio := t.Ratio(2, 0)
	b.ReportMetric(t.PerAccess(2), "ns/op") // of one access, not of a round
	b.ReportMetric(t.PerAccess(0), "bare-ns")
	b.ReportMetric(ratio.Mid, "ratio")
	b.ReportMetric(ratio.Hi, "ratio-hi95")
	b.ReportMetric(t.Added(2, 0).Mid, "added-ns")
	b.ReportMetric(t.AA(), "aa")
	b.ReportMetric(verdict, "verdict")
	b.ReportMetric(testing.AllocsPerRun(10, func() { _ = mediated.Do(1) }), "allocs")
}

func sizes(b *testing.B, f func(b *testing.B, size int)) {
	for _, size := range []int{16, 256, 4096} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) { f(b, size) })
	}
}
