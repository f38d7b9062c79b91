package stats

import (
	"math"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestMedian(t *testing.T) {
	near(t, "median of odd", Median([]float64{3, 1, 2}), 2, 0)
	near(t, "median of even", Median([]float64{4, 1, 3, 2}), 2.5, 0)
	if !math.IsNaN(Median(nil)) {
		t.Error("median of nothing is a number")
	}
}

// The ranks are those of the tables for the sign test's interval (for example
// Conover, Practical Nonparametric Statistics, table A3).
func TestRank(t *testing.T) {
	for _, c := range []struct {
		n, want int
	}{{0, 0}, {1, 0}, {5, 0}, {6, 1}, {8, 1}, {9, 2}, {10, 2}, {12, 3}, {15, 4}, {20, 6}, {25, 8}, {30, 10}, {40, 14}, {50, 18}, {100, 40}} {
		if got := Rank(c.n, 0.95); got != c.want {
			t.Errorf("Rank(%d) = %d, want %d", c.n, got, c.want)
		}
	}
	// Large n: n/2 - 1.96*sqrt(n)/2.
	near(t, "Rank(10000)", float64(Rank(10000, 0.95)), 4902, 1)
}

func TestMedianInterval(t *testing.T) {
	xs := []float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	if got, want := MedianInterval(xs, 0.95), (Interval{5.5, 2, 9}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := MedianInterval([]float64{1, 2, 3}, 0.95); got.Mid != 2 || !math.IsInf(got.Lo, -1) || !math.IsInf(got.Hi, 1) {
		t.Errorf("three values claim to know: %v", got)
	}
}

// The interval must enclose the true median as often as it says.
func TestMedianIntervalCovers(t *testing.T) {
	s := NewShuffler(1)
	const runs, n = 2000, 41
	inside := 0
	for range runs {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = -math.Log(1 - float64(s.Next()>>11)/(1<<53)) // exponential: skewed, as timings are
		}
		if m := MedianInterval(xs, 0.95); m.Lo <= math.Ln2 && math.Ln2 <= m.Hi {
			inside++
		}
	}
	if inside < runs*94/100 {
		t.Errorf("%d of %d intervals hold the median", inside, runs)
	}
}

// Values as in any table of Student's distribution.
func TestTQuantile(t *testing.T) {
	for _, c := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.7062}, {0.975, 2, 4.30265}, {0.975, 5, 2.57058}, {0.975, 9, 2.26216},
		{0.975, 11, 2.20099}, {0.975, 30, 2.04227}, {0.975, 1000, 1.96234}, {0.95, 11, 1.79588}, {0.025, 11, -2.20099}, {0.5, 3, 0},
	} {
		near(t, "t quantile", TQuantile(c.p, c.df), c.want, 1e-4)
	}
}

func TestMeans(t *testing.T) {
	m := Mean([]float64{1, 2, 3, 4, 5}, 0.95)
	near(t, "mean", m.Mid, 3, 1e-12)
	near(t, "upper bound", m.Hi, 3+2.77645*math.Sqrt(0.5), 1e-4)
	near(t, "lower bound", m.Lo, 3-2.77645*math.Sqrt(0.5), 1e-4)
	g := Geomean([]float64{0.5, 2}, 0.95)
	near(t, "geomean", g.Mid, 1, 1e-12)
	near(t, "geomean of bounds", math.Sqrt(g.Lo*g.Hi), 1, 1e-9)
	if one := Mean([]float64{7}, 0.95); one.Mid != 7 || !math.IsInf(one.Hi, 1) {
		t.Errorf("one value claims to know its spread: %v", one)
	}
	if !math.IsNaN(Mean(nil, 0.95).Mid) {
		t.Error("mean of nothing is a number")
	}
}

func TestShuffle(t *testing.T) {
	s := NewShuffler(7)
	var first [4]int // how often each item comes first
	for range 40000 {
		xs := []int{0, 1, 2, 3}
		s.Shuffle(xs)
		first[xs[0]]++
		slices.Sort(xs)
		if !slices.Equal(xs, []int{0, 1, 2, 3}) {
			t.Fatalf("lost an item: %v", xs)
		}
	}
	for i, n := range first {
		if n < 9500 || n > 10500 {
			t.Errorf("item %d came first %d times of 40000", i, n)
		}
	}
	if a, b := NewShuffler(3), NewShuffler(3); a.Next() != b.Next() {
		t.Error("the same seed deals different orders")
	}
}
