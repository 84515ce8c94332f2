package model

import "math"

const (
	// mserBatch is the 5 of MSER-5: so many values make one mean, so that single values decide nothing.
	mserBatch = 5
	// mserKept batch means at the end are never looked at alone: few of them are alike by chance, and
	// the last one by itself always is.
	mserKept = 5
	// mserLeast batch means are the fewest of which more than half can be cut.
	mserLeast = 2*mserKept + 1
)

// MSER5 returns how many values at the beginning of a series, one per slice of time in any unit, do
// not belong to its steady state: the cut that makes the standard error of what is left smallest.
//
// With Y the means of five successive values, n of them, the cut is the d that minimises
//
//	sum over i > d of (Y_i - mean of those)^2 / (n - d)^2
//
// and five values for each Y cut away. ok is false when the series has not settled: the cut is
// beyond its middle, so the cut itself moves with every new value; or there is nothing to tell, with
// fewer than 55 values or one that is no measurement (NaN, infinite, beyond 1e12).
//
// # References
//
// White, An effective truncation heuristic for bias reduction in simulation output, Simulation 69,
// 1997; White, Cobb, Spratt, A comparison of five steady-state truncation heuristics for simulation,
// 2000 (MSER-5); Hoad, Robinson, Davies, Automating warm-up length estimation, Journal of the
// Operational Research Society 61, 2010 (no cut within the last five batches nor beyond the middle).
func MSER5(series []float64) (cut int, ok bool) {
	n := len(series) / mserBatch
	if n < mserLeast || !measurable(series) {
		return 0, false
	}
	y := batched(series[:n*mserBatch], n)
	// Sums of squares from the back, by Welford: no difference of large numbers.
	var mean, squares float64
	least, d := math.Inf(1), 0
	for i := n - 1; i >= 0; i-- {
		kept := float64(n - i)
		from := y[i] - mean
		mean += from / kept
		squares += from * (y[i] - mean)
		// Of equal ones the earliest: it keeps most.
		if error2 := squares / (kept * kept); n-i >= mserKept && error2 <= least {
			least, d = error2, i
		}
	}
	return d * mserBatch, 2*d <= n
}

// batched returns the means of so many equal and successive parts; the values left over are the first.
func batched(series []float64, parts int) []float64 {
	size := len(series) / parts
	rest := series[len(series)-parts*size:]
	means := make([]float64, parts)
	for i := range means {
		for _, v := range rest[i*size : (i+1)*size] {
			means[i] += v // sums of counts are exact: equal ones stay equal
		}
		means[i] /= float64(size)
	}
	return means
}

// measurable tells whether all values can be measurements, and sums of their squares be finite.
func measurable(series []float64) bool {
	for _, v := range series {
		if !(math.Abs(v) <= mostThroughput) {
			return false
		}
	}
	return true
}
