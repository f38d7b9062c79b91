// Package stats holds the little statistics that a comparison of two timings
// needs: medians with an interval that assumes no distribution, geometric means
// with a t-interval, and a shuffle that can be repeated.
package stats

import (
	"math"
	"slices"
)

// Interval is an estimate and the bounds of its confidence interval.
type Interval struct{ Mid, Lo, Hi float64 }

// Median returns the middle of xs, which it sorts; NaN if there is none.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	slices.Sort(xs)
	m := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[m]
	}
	return (xs[m-1] + xs[m]) / 2
}

// MedianInterval returns the median of xs with its confidence interval by order
// statistics, which holds whatever the distribution is. It sorts xs. With too few
// values for the confidence the bounds are infinite: the data cannot say.
func MedianInterval(xs []float64, confidence float64) Interval {
	mid := Median(xs)
	r := Rank(len(xs), confidence)
	if r == 0 {
		return Interval{mid, math.Inf(-1), math.Inf(1)}
	}
	return Interval{mid, xs[r-1], xs[len(xs)-r]}
}

// Rank returns the r for which the r-th smallest and the r-th largest of n
// values enclose the median with at least that confidence; 0 if none does.
// The number of values below the median is binomial with p = 1/2.
func Rank(n int, confidence float64) int {
	tail := (1 - confidence) / 2
	logAll, _ := math.Lgamma(float64(n) + 1)
	sum := 0.0
	for k := 0; k < n/2; k++ {
		a, _ := math.Lgamma(float64(k) + 1)
		b, _ := math.Lgamma(float64(n-k) + 1)
		sum += math.Exp(logAll - a - b - float64(n)*math.Ln2)
		if sum > tail {
			return k
		}
	}
	return n / 2
}
