package model

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// A BatchInterval is the mean of an autocorrelated series with its confidence interval, in the
// series' unit.
type BatchInterval struct {
	Mean, Low, High float64
	// Batches is how many successive parts the interval was made from, Correlation what was left of
	// the autocorrelation between neighbouring ones: the interval is wider for it.
	Batches     int
	Correlation float64
}

const (
	// Schmeiser: more than 30 batches hardly narrow the interval, fewer than 10 widen it.
	mostBatches, fewestBatches = 30, 10
	// leastBatch values make a batch mean.
	leastBatch = 2

	leastConfidence = 0.5
	// MostConfidence is the most that an interval can be asked for: nearer to 1 it has no end.
	MostConfidence = 0.9999
	// mostCorrelation is as far as a correlation is corrected for: the factor has a pole at 1.
	mostCorrelation = 0.9
)

// ErrShortSeries is returned for a series too short to have an interval.
var ErrShortSeries = errors.New("too short a series")

// BatchMeans returns the mean of a steady series, one value per slice of time, and its two-sided
// Student t interval at a confidence of 0.5 to 0.9999, by non-overlapping batch means: neighbouring
// values of a server's throughput depend on each other, and as single values they would make the
// interval several times too narrow.
//
// The number of batches is the largest of 30, 29 .. 10 at which the batch means pass von Neumann's
// test of independence at 10 %. At 10 batches what correlation is left widens the interval, as that
// of an autoregressive process of order one would.
//
// A series of fewer than 20 values is ErrShortSeries; a value that is no measurement (NaN, infinite,
// beyond 1e12) and any other confidence are errors too.
//
// # References
//
// Schmeiser, Batch size effects in the analysis of simulation output, Operations Research 30, 1982
// (10 to 30 batches); Fishman, Grouping observations in digital simulation, Management Science 24,
// 1978 (the batches' size by von Neumann's test); Law, Simulation Modeling and Analysis, 5th edition,
// 2015, section 9.5.3; Tafazzoli, Wilson, Lada, Steiger, Performance of Skart, INFORMS Journal on
// Computing 23, 2011 (the correction for what correlation is left).
func BatchMeans(series []float64, confidence float64) (BatchInterval, error) {
	switch {
	case len(series) < fewestBatches*leastBatch:
		return BatchInterval{}, fmt.Errorf("estimate the mean of %d values: %w", len(series), ErrShortSeries)
	case !measurable(series):
		return BatchInterval{}, errors.New("estimate a mean: a value is no measurement")
	case !(confidence >= leastConfidence && confidence <= MostConfidence):
		return BatchInterval{}, fmt.Errorf("estimate a mean: a confidence of %g: want %g to %g", confidence, leastConfidence, MostConfidence)
	}
	batches := min(mostBatches, len(series)/leastBatch)
	means := batched(series, batches)
	for batches > fewestBatches && dependent(means) {
		batches--
		means = batched(series, batches)
	}
	b := BatchInterval{Mean: stat.Mean(series, nil), Batches: batches}
	// Of independent means the correlation is below 0 by 1/batches on average.
	b.Correlation = within(0, correlation(means)+1/float64(batches), mostCorrelation)
	width := studentT(confidence, batches-1) * stat.StdDev(means, nil) / math.Sqrt(float64(batches)) * widening(b.Correlation)
	b.Low, b.High = b.Mean-width, b.Mean+width
	return b, nil
}

// vonNeumann is the one-sided 10 % point of the standard normal distribution.
const vonNeumann = 1.2815515655446004

// dependent tells by von Neumann's ratio whether neighbouring values are correlated positively. For
// independent ones the ratio has a mean of 2 and a variance of 4 (n-2)/(n^2-1), and is close to
// normal from ten values on.
//
// # References
//
// Young, On randomness in ordered sequences, Annals of Mathematical Statistics 12, 1941 (these
// moments, and the normal approximation).
func dependent(values []float64) bool {
	n := float64(len(values))
	mean := stat.Mean(values, nil)
	var successive, squares float64
	for i, v := range values {
		squares += (v - mean) * (v - mean)
		if i > 0 {
			successive += (v - values[i-1]) * (v - values[i-1])
		}
	}
	if squares == 0 {
		return false
	}
	// 1 - ratio/2, whose mean is 0.
	c := 1 - successive/(2*squares)
	return c > vonNeumann*math.Sqrt((n-2)/(n*n-1))
}

// widening is the factor by which a correlation of neighbours makes a standard error larger, for an
// autoregressive process of order one.
func widening(correlation float64) float64 {
	return math.Sqrt((1 + correlation) / (1 - correlation))
}

func within(low, v, high float64) float64 { return math.Min(math.Max(low, v), high) }

// correlation returns that of neighbouring values, 0 for equal ones.
func correlation(values []float64) float64 {
	mean := stat.Mean(values, nil)
	var products, squares float64
	for i, v := range values {
		squares += (v - mean) * (v - mean)
		if i > 0 {
			products += (v - mean) * (values[i-1] - mean)
		}
	}
	if squares == 0 {
		return 0
	}
	return products / squares
}
