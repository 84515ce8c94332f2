package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// The curves that are tried, in Fit.Model and Candidate.Model.
const (
	ModelClosedNetwork = "closed_network"
	ModelUSL           = "usl"
	ModelUnimodal      = "unimodal"
)

// rejectBelow is the p value under which a curve does not pass the lack-of-fit test.
const rejectBelow = 0.05

// longestCurve is the most points a Fit's curve has; longer ranges are sampled evenly.
const longestCurve = 512

// A parametricCurve can be fitted again to other means of the same counts.
type parametricCurve struct {
	candidate  Candidate
	parameters int
	at         func(workers int) float64
	refit      func(groups []group) (at func(workers int) float64, err error)
}

// chooseCurve fits every curve to the counts that work and were not bound by the generator. A
// parametric one is accepted when it passes the lack-of-fit test; of two, that with fewer
// parameters. Otherwise the unimodal fit stands, which claims nothing but one top.
func chooseCurve(groups []group, cores, confidence float64) (Fit, *parametricCurve) {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g group) bool { return g.bound })
	if len(groups) == 0 {
		return Fit{Reading: "nothing was measured that a curve could be fitted to"}, nil
	}
	var fit Fit
	var chosen *parametricCurve
	for _, curve := range []parametricCurve{closedNetworkCurve(groups, cores), uslCurve(groups, confidence)} {
		if curve.candidate.WhyNot == "" {
			curve.test(groups)
		}
		fit.Candidates = append(fit.Candidates, curve.candidate)
		if curve.candidate.Accepted && chosen == nil {
			chosen = &curve
		}
	}
	counts := countsBetween(groups[0].workers, groups[len(groups)-1].workers, longestCurve)
	values := unimodalAt(groups)
	fit.Candidates = append(fit.Candidates, Candidate{Model: ModelUnimodal, Parameters: map[string]float64{}, RMSE: new(rmse(groups, values)), Accepted: chosen == nil})
	if chosen == nil {
		fit.Model, fit.Parameters = ModelUnimodal, map[string]float64{}
		fit.LackOfFitP = fit.Candidates[0].LackOfFitP
		if fit.LackOfFitP == nil {
			fit.LackOfFitP = fit.Candidates[1].LackOfFitP
		}
		fit.Reading = unimodalReading(groups, fit.LackOfFitP != nil)
	} else {
		fit.Accepted, fit.Model, fit.Reading = true, chosen.candidate.Model, chosen.candidate.Reading
		fit.Parameters, fit.LackOfFitP = chosen.candidate.Parameters, chosen.candidate.LackOfFitP
		values = chosen.at
	}
	for _, n := range counts {
		fit.Curve = append(fit.Curve, CurvePoint{Workers: n, Throughput: values(n)})
	}
	return fit, chosen
}

// test runs the lack-of-fit test: what the curve leaves over beyond the spread between restarts,
// against that spread,
//
//	F = [(SSE - SSE_pure) / (m - p)] / [SSE_pure / (n - m)]
//
// with m counts, n restarts and p parameters. Without repeats, or with no more counts than
// parameters, there is no test and the curve is not accepted. Restarts that agree to the last
// digit leave no spread to test against: then only a curve through all of them passes.
//
// # References
//
// Draper, Smith, Applied Regression Analysis, 3rd edition, 1998, section 2.1.
func (c *parametricCurve) test(groups []group) {
	n, pure, lack, size := 0, 0.0, 0.0, 0.0
	for _, g := range groups {
		d := g.mean - c.at(g.workers)
		n += g.n
		pure += g.squares
		lack += float64(g.n) * d * d
		size += float64(g.n) * g.mean * g.mean
	}
	c.candidate.RMSE = new(math.Sqrt((lack + pure) / float64(n)))
	m := len(groups)
	if m <= c.parameters {
		c.candidate.WhyNot = fmt.Sprintf("%s for %s: nothing is left to test it with", quantity(m, "count"), quantity(c.parameters, "parameter"))
		return
	}
	if n <= m {
		c.candidate.WhyNot = "no count was repeated, so its lack of fit can't be tested"
		return
	}
	p := 0.0
	if pure > 1e-18*size {
		f := (lack / float64(m-c.parameters)) / (pure / float64(n-m))
		p = distuv.F{D1: float64(m - c.parameters), D2: float64(n - m)}.Survival(f)
	} else if lack <= 1e-12*size {
		p = 1
	}
	if math.IsNaN(p) {
		p = 0
	}
	c.candidate.LackOfFitP = &p
	c.candidate.Accepted = p >= rejectBelow
	if !c.candidate.Accepted {
		c.candidate.WhyNot = fmt.Sprintf("it misses the measured throughput by more than restarts differ (lack of fit, p = %.2g)", p)
	}
}

func rmse(groups []group, at func(int) float64) float64 {
	sum, n := 0.0, 0
	for _, g := range groups {
		d := g.mean - at(g.workers)
		sum += g.squares + float64(g.n)*d*d
		n += g.n
	}
	return math.Sqrt(sum / float64(n))
}

func closedNetworkCurve(groups []group, cores float64) parametricCurve {
	c := parametricCurve{candidate: Candidate{Model: ModelClosedNetwork}, parameters: 1}
	if !(cores > 0) {
		c.candidate.WhyNot = "the cores the server had are not known"
		return c
	}
	for _, g := range groups {
		if g.demand == 0 {
			c.candidate.WhyNot = "CPU time per request was not measured"
			return c
		}
	}
	wait, _, err := fitWait(demandSamples(groups), cores)
	if err != nil {
		c.candidate.WhyNot = err.Error()
		return c
	}
	c.refit = func(groups []group) (func(int) float64, error) {
		again, _ := fitWaitNear(wait, demandSamples(groups), cores, drawnPrecision)
		return networkAt(groups, cores, again), nil
	}
	c.at = networkAt(groups, cores, wait)
	demand := medianDemand(groups)
	c.candidate.Parameters = map[string]float64{"cores": cores, "demand_seconds": demand, "wait_seconds": wait}
	c.candidate.Reading = fmt.Sprintf("each request holds a core for %s and %s", duration(demand), waits(wait, demand, "waits"))
	// A worker that has many in work is not kept waiting, and more workers wait for longer only for each other,
	// as in a lock.
	elsewhere := groups[0].unloaded > 0 || wait > 2*math.Max(groups[0].wait(), demand)
	if reading, ok := demandReading(groups); ok && elsewhere {
		c.candidate.Reading = reading
	}
	return c
}

func demandSamples(groups []group) []demandSample {
	var samples []demandSample
	for _, g := range groups {
		samples = append(samples, demandSample{slots: g.slots, restarts: g.n, throughput: g.mean, demand: g.demand})
	}
	return samples
}

// networkAt follows the service demand measured at each count, and in between on a straight line.
func networkAt(groups []group, cores, wait float64) func(int) float64 {
	demand := interpolated(groups, func(i int) float64 { return groups[i].demand })
	slots := interpolated(groups, func(i int) float64 { return float64(groups[i].slots) })
	return func(workers int) float64 {
		return ClosedNetwork{Cores: cores, Demand: demand(workers), Wait: wait}.ThroughputAt(int(math.Round(slots(workers))))
	}
}

// medianDemand returns the median CPU time per request over the counts, 0 when it is not known.
func medianDemand(groups []group) float64 {
	var demand []float64
	for _, g := range groups {
		if g.demand > 0 {
			demand = append(demand, g.demand)
		}
	}
	return median(demand)
}

func uslCurve(groups []group, confidence float64) parametricCurve {
	c := parametricCurve{candidate: Candidate{Model: ModelUSL}, parameters: 3}
	c.refit = func(groups []group) (func(int) float64, error) {
		fit, err := FitUSL(samplesIn(groups), confidence)
		return fit.atCount, err
	}
	fit, err := FitUSL(samplesIn(groups), confidence)
	if err != nil {
		c.candidate.WhyNot = err.Error()
		return c
	}
	c.at = fit.atCount
	c.candidate.Parameters = map[string]float64{
		"contention": fit.Contention, "contention_low": fit.ContentionLow, "contention_high": fit.ContentionHigh,
		"coherency": fit.Coherency, "coherency_low": fit.CoherencyLow, "coherency_high": fit.CoherencyHigh,
		"rate_rps": fit.Rate, "rate_low_rps": fit.RateLow, "rate_high_rps": fit.RateHigh,
	}
	if fit.RateError > 0 {
		c.candidate.Parameters["contention_error"] = fit.ContentionError
		c.candidate.Parameters["coherency_error"] = fit.CoherencyError
		c.candidate.Parameters["rate_error_rps"] = fit.RateError
	}
	c.candidate.Reading = uslReading(fit, groups)
	return c
}

func samplesIn(groups []group) []Sample {
	var samples []Sample
	for _, g := range groups {
		samples = append(samples, Sample{Workers: float64(g.workers), Throughput: g.mean, Restarts: g.n, Squares: g.squares})
	}
	return samples
}

func (f USLFit) atCount(workers int) float64 { return f.ThroughputAt(float64(workers)) }

func unimodalAt(groups []group) func(int) float64 {
	var y, weight []float64
	for _, g := range groups {
		y, weight = append(y, g.logMean), append(weight, float64(g.n))
	}
	fit := unimodal(y, weight)
	return interpolated(groups, func(i int) float64 { return math.Exp(fit[i]) })
}

// interpolated joins values at the measured counts by straight lines, level beyond both ends.
func interpolated(groups []group, value func(i int) float64) func(int) float64 {
	return func(workers int) float64 {
		i, found := slices.BinarySearchFunc(groups, workers, func(g group, n int) int { return g.workers - n })
		switch {
		case found:
			return value(i)
		case i == 0:
			return value(0)
		case i == len(groups):
			return value(i - 1)
		}
		share := float64(workers-groups[i-1].workers) / float64(groups[i].workers-groups[i-1].workers)
		return value(i-1) + share*(value(i)-value(i-1))
	}
}

// countsBetween returns every count of a range, or of a longer one some most that are spread evenly.
func countsBetween(lowest, highest, most int) []int {
	var counts []int
	step := max(1, (highest-lowest+most-1)/most)
	for n := lowest; n < highest; n += step {
		counts = append(counts, n)
	}
	return append(counts, highest)
}

const (
	// bootstraps is how many times the means are drawn again.
	bootstraps = 200
	// mostDrawn is to how many counts: 200 fits to thousands take seconds, and the same restarts at
	// fewer counts tell as much.
	mostDrawn = 100
	// drawnPrecision is what a whole count takes.
	drawnPrecision = 1e-6
)

// bootstrap returns the interval of the curve's own plateau knee: the means are drawn again around
// the curve with the spread between restarts, the curve is fitted again, its knee is taken.
//
// # References
//
// Efron, Tibshirani, An Introduction to the Bootstrap, 1993, section 6.5 (parametric bootstrap).
func (c *parametricCurve) bootstrap(t table, groups []group, q Question) (low, high int) {
	random := rand.New(rand.NewPCG(uint64(q.Seed), 0x9e3779b97f4a7c15))
	counts := countsBetween(groups[0].workers, groups[len(groups)-1].workers, mostDrawn)
	drawn := thinned(groups, mostDrawn)
	expected := make([]float64, len(drawn))
	for i, g := range drawn {
		expected[i] = c.at(g.workers)
	}
	var knees []int
	for range bootstraps {
		for i, g := range drawn {
			drawn[i].mean = expected[i] * math.Exp(t.spread/math.Sqrt(float64(g.n))*random.NormFloat64())
		}
		at, err := c.refit(drawn)
		if err != nil {
			continue
		}
		knees = append(knees, curveKnee(counts, at, q.Tolerance))
	}
	if len(knees) == 0 {
		return groups[len(groups)-1].workers, groups[0].workers
	}
	slices.Sort(knees)
	tail := int((1 - q.Confidence) / 2 * float64(len(knees)))
	return knees[tail], knees[len(knees)-1-tail]
}

// thinned is a copy of the groups, no more than most: beyond that neighbours are joined, all their restarts
// at the count in their middle.
func thinned(groups []group, most int) []group {
	if len(groups) <= most {
		return slices.Clone(groups)
	}
	joined := make([]group, most)
	for i := range joined {
		same := groups[i*len(groups)/most : (i+1)*len(groups)/most]
		joined[i] = same[len(same)/2]
		joined[i].n = 0
		for _, g := range same {
			joined[i].n += g.n
		}
	}
	return joined
}

// curveKnee returns the smallest count whose value on the curve reaches (1 - tolerance) of the best. It
// looks at some counts, and between two of them takes the curve to rise where it crosses.
func curveKnee(counts []int, at func(int) float64, tolerance float64) int {
	values, best := make([]float64, len(counts)), 0.0
	for i, n := range counts {
		values[i] = at(n)
		best = math.Max(best, values[i])
	}
	line := (1 - tolerance) * best
	i := slices.IndexFunc(values, func(v float64) bool { return v >= line })
	switch i {
	case -1: // no figure at all
		return counts[len(counts)-1]
	case 0:
		return counts[0]
	}
	low, high := counts[i-1], counts[i]
	for high-low > 1 {
		if middle := low + (high-low)/2; at(middle) >= line {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}
