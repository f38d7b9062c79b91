package stats

import "math"

// Mean returns the arithmetic mean of xs with its t-interval; without spread to
// judge by, for fewer than two values, the bounds are infinite.
func Mean(xs []float64, confidence float64) Interval {
	n := float64(len(xs))
	if n == 0 {
		return Interval{math.NaN(), math.Inf(-1), math.Inf(1)}
	}
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	mean := sum / n
	if n < 2 {
		return Interval{mean, math.Inf(-1), math.Inf(1)}
	}
	squares := 0.0
	for _, x := range xs {
		squares += (x - mean) * (x - mean)
	}
	half := TQuantile(1-(1-confidence)/2, n-1) * math.Sqrt(squares/(n-1)/n)
	return Interval{mean, mean - half, mean + half}
}

// Geomean returns the geometric mean of xs, all positive, with the t-interval of
// their logarithms: a ratio of 2 and one of 1/2 average to 1.
func Geomean(xs []float64, confidence float64) Interval {
	logs := make([]float64, len(xs))
	for i, x := range xs {
		logs[i] = math.Log(x)
	}
	m := Mean(logs, confidence)
	return Interval{math.Exp(m.Mid), math.Exp(m.Lo), math.Exp(m.Hi)}
}

// TQuantile returns the p-quantile of Student's t distribution with df degrees
// of freedom, for p in (0, 1).
func TQuantile(p, df float64) float64 {
	if p == 0.5 {
		return 0
	}
	if p < 0.5 {
		return -TQuantile(1-p, df)
	}
	lo, hi := 0.0, 1.0
	for tCDF(hi, df) < p {
		hi *= 2
	}
	for range 80 {
		mid := (lo + hi) / 2
		if tCDF(mid, df) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// tCDF is the distribution function for t >= 0.
func tCDF(t, df float64) float64 {
	return 1 - incompleteBeta(df/2, 0.5, df/(df+t*t))/2
}

// incompleteBeta is the regularised I_x(a, b), by its continued fraction
// (Abramowitz and Stegun 26.5.8), on the side where that converges fast.
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return max(0, min(x, 1))
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x)
	}
	ab, _ := math.Lgamma(a + b)
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	front := math.Exp(ab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	return front / betaFraction(a, b, x)
}

// betaFraction evaluates 1 + d1/(1 + d2/(1 + ...)) from the inside out.
func betaFraction(a, b, x float64) float64 {
	f := 1.0
	for i := 200; i > 0; i-- {
		m := float64(i / 2)
		d := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		if i%2 == 1 {
			d = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		f = 1 + d/f
	}
	return f
}
