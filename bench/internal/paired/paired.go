// Package paired compares ways of doing the same work by timing them in turns.
//
// In each round every case does the same number of accesses once, in a random
// order, and the round gives one ratio for each pair of cases. What slows the
// machine for longer than a round slows both sides of a ratio; what strikes
// inside a round strikes either side as often. The median of the ratios
// therefore stands still while the timings themselves run away.
package paired

import (
	"errors"
	"fmt"
	"time"

	"github.com/nanolock/nanolock/bench/internal/stats"
)

// Block is how long a case works before the next takes its turn: long against
// the 40 ns that reading the clock takes, short against a scheduler's time slice.
const Block = 50 * time.Microsecond

// Gate is how far the A/A median may be from 1: beyond it the machine was too
// restless for any verdict.
const Gate = 0.002

// Confidence of all intervals.
const Confidence = 0.95

// Case is one way. Do does n times the work, all cases the same.
type Case struct {
	Name string
	Do   func(n int) error
}

// Trial times cases. Case 0 is what the others are compared with, and case 1
// must be the very same again.
type Trial struct {
	cases []Case
	n     int // times the work per block
	unit  int // accesses per time
	order []int
	rand  *stats.Shuffler
	times [][]float64 // nanoseconds per access, by case and round
}

// NewTrial warms the cases up and finds the n that makes a block of case 0 last
// about Block. unit is how many accesses n = 1 stands for.
func NewTrial(unit int, seed uint64, cases ...Case) (*Trial, error) {
	if len(cases) < 2 || unit < 1 {
		return nil, errors.New("a trial needs a case, the same again, and accesses")
	}
	t := &Trial{cases: cases, n: 1, unit: unit, rand: stats.NewShuffler(seed), times: make([][]float64, len(cases))}
	for i := range cases {
		t.order = append(t.order, i)
		if err := cases[i].Do(1); err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return t, t.calibrate()
}

// calibrate takes the fastest of several blocks: a disturbed one would make all
// of them short.
func (t *Trial) calibrate() error {
	for range 24 {
		best := time.Duration(1 << 62)
		for range 8 {
			d, err := t.time(0)
			if err != nil {
				return err
			}
			best = min(best, d)
		}
		n := int(int64(t.n) * int64(Block) / max(int64(best), 1))
		if n <= t.n || best >= Block*3/4 {
			return nil
		}
		t.n = min(n, 4*t.n) // a first, cold block misleads
	}
	return nil
}

func (t *Trial) time(i int) (time.Duration, error) {
	start := time.Now()
	err := t.cases[i].Do(t.n)
	d := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", t.cases[i].Name, err)
	}
	return d, nil
}

// Round gives each case one turn.
func (t *Trial) Round() error {
	t.rand.Shuffle(t.order)
	for _, i := range t.order {
		d, err := t.time(i)
		if err != nil {
			return err
		}
		t.times[i] = append(t.times[i], float64(d.Nanoseconds())/float64(t.n*t.unit))
	}
	return nil
}

// Rounds is how many there were.
func (t *Trial) Rounds() int { return len(t.times[0]) }

// Reset forgets the rounds, so that a disturbed trial can be tried again.
func (t *Trial) Reset() {
	for i := range t.times {
		t.times[i] = t.times[i][:0]
	}
}

// AA is the median ratio of the same case with itself.
func (t *Trial) AA() float64 { return t.Ratio(1, 0).Mid }

// Steady tells whether the A/A gate is passed.
func (t *Trial) Steady() bool {
	aa := t.AA()
	return aa >= 1-Gate && aa <= 1+Gate
}

// Ratio is the time of case a over that of case b.
func (t *Trial) Ratio(a, b int) stats.Interval {
	return t.compare(a, b, func(x, y float64) float64 { return x / y })
}

// Added is how many nanoseconds per access case a takes more than case b.
func (t *Trial) Added(a, b int) stats.Interval {
	return t.compare(a, b, func(x, y float64) float64 { return x - y })
}

func (t *Trial) compare(a, b int, f func(x, y float64) float64) stats.Interval {
	xs := make([]float64, t.Rounds())
	for i := range xs {
		xs[i] = f(t.times[a][i], t.times[b][i])
	}
	return stats.MedianInterval(xs, Confidence)
}

// PerAccess is the median time of case i in nanoseconds.
func (t *Trial) PerAccess(i int) float64 {
	return stats.Median(append([]float64(nil), t.times[i]...))
}
