package bench

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/bench/internal/paired"
	"github.com/nanolock/nanolock/internal/testdeps"
)

// BenchmarkThreads reads one region through one handle from two threads at once:
// what they share must not be written to.
func BenchmarkThreads(b *testing.B) {
	testdeps.Machine(b, runtime.GOMAXPROCS(0) > 1, "a second processor")
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), regions(geo, 64)
	h := newLock(b, mem, p).Host()
	b.Run("threads=2", func(b *testing.B) {
		sizes(b, func(b *testing.B, size int) {
			offs := offsets(hotAccesses, size, spanOf(p, openRegion))
			d := newDuo(size, offs)
			defer d.stop()
			trial(b, len(offs), d.reads("bare", mem), d.reads("bare again", mem), d.reads("mediated", h))
		})
	})
}

// duo keeps a second thread that starts and ends each block with the first one.
// It spins, for a sleeping thread takes longer to wake than a block lasts.
type duo struct {
	undo func()
	offs []int64
	bufs [2][]byte
	job  atomic.Pointer[duoJob]
	done atomic.Pointer[duoJob]
}

type duoJob struct {
	r   io.ReaderAt // nil = stop
	n   int
	err error
}

func newDuo(size int, offs []int64) *duo {
	d := &duo{undo: pin(0), offs: offs, bufs: [2][]byte{buffer(size), buffer(size)}}
	go d.second()
	return d
}

func (d *duo) second() {
	defer pin(1)()
	var last *duoJob
	for {
		j := d.job.Load()
		if j == last {
			continue
		}
		last = j
		if j.r != nil {
			j.err = d.run(j, d.bufs[1])
		}
		d.done.Store(j)
		if j.r == nil {
			return
		}
	}
}

func (d *duo) run(j *duoJob, p []byte) error {
	for range j.n {
		if err := readAll(j.r, p, d.offs); err != nil {
			return err
		}
	}
	return nil
}

func (d *duo) both(j *duoJob) error {
	d.job.Store(j)
	var err error
	if j.r != nil {
		err = d.run(j, d.bufs[0])
	}
	for d.done.Load() != j {
		runtime.Gosched() // where there is one processor, the other has to get it
	}
	return errors.Join(err, j.err)
}

func (d *duo) reads(name string, r io.ReaderAt) paired.Case {
	j := [2]duoJob{} // in turns: the second thread tells a new job by its address
	turn := 0
	return paired.Case{Name: name, Do: func(n int) error {
		turn = 1 - turn
		j[turn] = duoJob{r: r, n: n}
		return d.both(&j[turn])
	}}
}

func (d *duo) stop() {
	_ = d.both(&duoJob{})
	d.undo()
}
