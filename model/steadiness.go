package model

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// A Trend is how much a series changed between its beginning and its end, along the straight line
// that fits it best, as a share of its mean: 0.1 is 10 % more at the end. Low and High are its
// confidence interval.
type Trend struct{ Share, Low, High float64 }

const (
	// trendBatches: as many as leave the batch means of a second of slices nearly independent.
	trendBatches = 15
	// windowConfidence accuses half a percent of steady servers.
	windowConfidence = 0.995
	// warmupConfidence is a matter of milliseconds: a warm-up that goes on for nothing is looked at again
	// soon. At 80 % that costs a steady server 30 ms, and one that quickens is not let through.
	warmupConfidence = 0.8
	// trendAllowed of change over a window moves its mean by half as much: that is within what
	// restarts differ by.
	trendAllowed = 0.05
	// trendFlat is the change that has to be ruled out before a window that follows a warm-up without
	// an end is believed.
	trendFlat = 0.15
)

// TrendOf fits a line through the means of 15 successive parts of a series, one value per slice of
// time in any unit. The parts make the single values' autocorrelation small, what is left of it
// widens the interval, at a confidence of 0.5 to 0.9999. ok is false for any other confidence, for fewer
// than 30 values, for one that is no measurement (NaN, infinite, beyond 1e12), and when the mean is
// below 1e-9.
//
// # References
//
// Draper, Smith, Applied Regression Analysis, 3rd edition, 1998, sections 1.4 and 7.1 (a slope's
// interval, serially correlated residuals); Bence, Analysis of short time series: correcting for
// autocorrelation, Ecology 76, 1995 (the factor and its correction for few values).
func TrendOf(series []float64, confidence float64) (d Trend, ok bool) {
	if len(series) < leastBatch*trendBatches || !measurable(series) || !(confidence >= leastConfidence && confidence <= MostConfidence) {
		return Trend{}, false
	}
	y := batched(series, trendBatches)
	mean := stat.Mean(y, nil)
	if mean < leastThroughput {
		return Trend{}, false
	}
	const n = trendBatches
	x := make([]float64, n)
	for i := range x {
		x[i] = (float64(i) - (n-1)/2.) / n // the whole window is 1
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	residuals := make([]float64, n)
	var squaresX, squares float64
	for i := range x {
		residuals[i] = y[i] - mean - slope*x[i]
		squares += residuals[i] * residuals[i]
		squaresX += x[i] * x[i]
	}
	// A fitted line takes some of the correlation of what is left with it.
	rho := correlation(residuals)
	rho = within(0, rho+1.5*(1+4*rho)/n, mostCorrelation)
	width := studentT(confidence, n-2) * math.Sqrt(squares/(n-2)/squaresX) * widening(rho)
	return Trend{Share: slope / mean, Low: (slope - width) / mean, High: (slope + width) / mean}, true
}

// named tells whether a series surely changed, and by more than is allowed.
func (t Trend) named() bool {
	return math.Abs(t.Share) >= trendAllowed && (t.Low >= 0 || t.High <= 0)
}

// Steadiness judges a server's throughput while it is driven, from its successes per slice of time.
type Steadiness struct{}

// Settled tells whether a warm-up may end: MSER-5 would cut no more than half of it away, and what it
// leaves has no trend. MSER-5 is made for a beginning that flattens out; of a server that quickens ever
// faster it would cut nothing, as its end varies most.
func (Steadiness) Settled(warmup []float64) bool {
	cut, ok := MSER5(warmup)
	if !ok {
		return false
	}
	trend, ok := TrendOf(warmup[cut:], warmupConfidence)
	return !ok || !trend.named()
}

// Steady tells whether a window can stand for the server, and by which share its throughput changed
// over it, with the interval of that share. Behind a warm-up that settled, a window is steady unless
// it surely changed, and by more than 5 %. Behind one that did not, it is steady only if it surely
// changed by less than 15 %: leaks, caches and compilers may still be at work. A window too short to
// tell is as steady as its warm-up was.
func (Steadiness) Steady(window []float64, settled bool) (steady bool, share, low, high float64) {
	d, ok := TrendOf(window, windowConfidence)
	switch {
	case !ok:
		steady = settled
	case settled:
		steady = !d.named()
	default:
		steady = d.Low > -trendFlat && d.High < trendFlat
	}
	return steady, d.Share, d.Low, d.High
}
