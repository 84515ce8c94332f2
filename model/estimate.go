package model

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// An estimate is the logarithm of a count's throughput, with its standard error.
type estimate struct{ log, err float64 }

const (
	// expectedSpread between restarts weighs as much as expectedFreedom repeats would, since the
	// spread of the first two or three says next to nothing.
	expectedSpread, expectedFreedom = 0.03, 2
	// leastMisfit is how far off the closed network is taken to be at the least: no server is one
	// to the last digit.
	leastMisfit = 0.01
	// fewestForMisfit is how many counts tell a misfit from chance.
	fewestForMisfit = 4
)

// expected is the spread that the next restarts are to be expected to have.
func (t table) expected() float64 {
	return math.Max(expectedOf(t.spread, t.freedom), t.counting)
}

func expectedOf(spread float64, freedom int) float64 {
	known := float64(freedom)
	return math.Sqrt((expectedFreedom*expectedSpread*expectedSpread + known*spread*spread) / (expectedFreedom + known))
}

// estimates returns what the restarts of each count say, drawn towards the closed network that has
// the service demand measured at each: the more, the better that network fits all the counts. Where
// it does not fit, or no demand was measured, it is the restarts alone.
//
// The network has one unknown, the wait, so all restarts together say what a repeat of one count
// would. How far off it is, beyond the spread between restarts, is estimated by moments and from
// above: the chi-squared quantile of a quarter stands where its mean would.
//
// # References
//
// Morris, Parametric empirical Bayes inference, Journal of the American Statistical Association
// 78, 1983 (shrinkage towards a regression); DerSimonian, Laird, Meta-analysis in clinical trials,
// 1986 (the variance beyond that of sampling by moments).
func estimates(groups []group, cores, spread float64) []estimate {
	alone := make([]estimate, len(groups))
	for i, g := range groups {
		alone[i] = estimate{g.logMean, spread / math.Sqrt(float64(g.n))}
	}
	at, ok := networkThrough(groups, cores)
	if !ok || len(groups) < fewestForMisfit {
		return alone
	}
	excess, weights, squaredWeights := 0.0, 0.0, 0.0
	network := make([]float64, len(groups))
	for i, g := range groups {
		network[i] = math.Log(at(g.workers))
		n, off := float64(g.n), g.logMean-network[i]
		excess += n * off * off / (spread * spread)
		weights += n
		squaredWeights += n * n
	}
	freedom := float64(len(groups) - 1)
	quarter := distuv.ChiSquared{K: freedom}.Quantile(0.25)
	misfit := (excess*freedom/quarter - freedom) * spread * spread / (weights - squaredWeights/weights)
	misfit = math.Max(misfit, leastMisfit*leastMisfit)
	if math.IsNaN(misfit) || math.IsInf(misfit, 0) {
		return alone
	}
	drawn := make([]estimate, len(groups))
	for i, e := range alone {
		own := misfit / (misfit + e.err*e.err)
		drawn[i] = estimate{
			log: own*e.log + (1-own)*network[i],
			err: math.Sqrt(own) * e.err,
		}
	}
	return drawn
}

// networkThrough fits a closed network to the counts. ok is false when the service demand of one, or
// the cores, are not known, or a generator decided a throughput.
func networkThrough(groups []group, cores float64) (at func(workers int) float64, ok bool) {
	if !(cores > 0) || len(groups) == 0 {
		return nil, false
	}
	for _, g := range groups {
		if g.demand == 0 || g.bound {
			return nil, false
		}
	}
	wait, _, err := fitWait(demandSamples(groups), cores)
	if err != nil {
		return nil, false
	}
	return networkAt(groups, cores, wait), true
}
