package model

import (
	"fmt"
	"math"
	"slices"
)

// A plateau is the smallest of the counts that may be recommended whose throughput reaches
// (1 - tolerance) of the best, over a unimodal fit: single restarts make a tooth of one count and
// a gap of another, and the highest of many noisy means is too high.
type plateau struct {
	groups    []group
	estimates []estimate
	// fit is the unimodal fit of the estimates, weighted by what they are worth.
	fit []float64
	// best is the first index of the top, knee that of the choice, both into groups.
	best, knee int
	// topRestarts is how many restarts stand behind the top's value, topError its standard error.
	topRestarts int
	topError    float64
	// line is the logarithm of the throughput that has to be reached.
	line float64
	// proven is the first index of a count that is surely enough because it leaves so little of the
	// cores unused, whatever others may reach; len(groups) when none is.
	proven int
	// full is true when the largest count leaves no more than half the tolerance of the cores unused.
	full bool
}

// plateauOf looks among the counts that work, from lowest to highest. cores are what the server was
// held to; 0 is not known. ok is false without any count.
func plateauOf(t table, cores float64, lowest, highest int, tolerance float64) (p plateau, ok bool) {
	for _, g := range t.groups {
		if g.works() && g.workers >= lowest && g.workers <= highest {
			p.groups = append(p.groups, g)
		}
	}
	if len(p.groups) == 0 {
		return p, false
	}
	p.estimates = estimates(p.groups, cores, t.expected())
	var y, weight []float64
	for _, e := range p.estimates {
		y, weight = append(y, e.log), append(weight, 1/(e.err*e.err))
	}
	p.fit = unimodal(y, weight)
	top := slices.Max(p.fit)
	p.best = slices.Index(p.fit, top)
	level := p.level(top-math.Min(tolerance/2, t.spread), weight)
	p.line = level + math.Log1p(-tolerance)
	p.knee = slices.IndexFunc(p.fit, func(v float64) bool { return v >= p.line })
	p.proven = t.proven(p.groups, cores, tolerance)
	reach, known := t.reach(p.groups[len(p.groups)-1], cores)
	p.full = known && reach > math.Log1p(-tolerance/2)
	return p, true
}

// level returns the mean over the counts no lower than from: what the line is drawn from. The
// highest of several equal counts is highest by chance.
func (p *plateau) level(from float64, weight []float64) float64 {
	sum, weights := 0.0, 0.0
	for i, v := range p.fit {
		if v >= from {
			sum += v * weight[i]
			weights += weight[i]
			p.topRestarts += p.groups[i].n
		}
	}
	p.topError = math.Sqrt(1 / weights)
	return sum / weights
}

// distanceError is the standard error of a count's distance to the line.
func (p plateau) distanceError(i int) float64 {
	return math.Hypot(p.estimates[i].err, p.topError)
}

// rising is true when the best count is the largest that was measured, cores are left to use, and the
// throughput there is still growing by more than half the tolerance over the last quarter of the range.
func (p plateau) rising(tolerance float64) bool {
	last := len(p.groups) - 1
	if last == 0 || p.best != last || p.proven <= last || p.full {
		return false
	}
	before := last - 1
	for before > 0 && 4*p.groups[before].workers > 3*p.groups[last].workers {
		before--
	}
	return p.knee == last || p.fit[last]-p.fit[before] > tolerance/2
}

// An interval of counts. resolved is false when no count is surely good enough.
type interval struct {
	low, high int
	resolved  bool
}

// interval holds each count against the level of the top by the ratio of their throughputs: a
// difference of mean logarithms, with the pooled spread and Student's t. A count below the top whose
// ratio is surely under (1 - tolerance) is ruled out, and so is everything below it. The first whose
// ratio is surely no less ends the interval. The top's own error counts even for a count that is
// part of it: being the highest is no proof of being the best. A count that leaves less than the
// tolerance of the cores unused needs no comparison.
//
// # References
//
// Fieller, Some problems in interval estimation, 1954 (intervals of ratios; on the logarithmic
// scale they are those of a difference); Hsu, Multiple Comparisons, 1996, chapter 4 (comparison
// with the best).
func (p plateau) interval(t table, confidence float64) interval {
	in := interval{low: p.groups[0].workers, high: p.groups[len(p.groups)-1].workers}
	if t.freedom == 0 {
		return in
	}
	factor := studentT(confidence, t.freedom) * t.spread
	for i, g := range p.groups {
		above := g.logMean - p.line
		width := factor * math.Sqrt(1/float64(g.n)+1/float64(p.topRestarts))
		if above+width < 0 && i < p.best {
			in.low = g.workers + 1
		}
		if (above-width >= 0 || i >= p.proven) && !in.resolved {
			in.high, in.resolved = g.workers, true
		}
	}
	return in
}

// otherKnees returns what other rules would choose among the measured means: for comparison only.
func otherKnees(groups []group, candidates []Candidate) []Knee {
	var x, y []float64
	for _, g := range groups {
		x, y = append(x, float64(g.workers)), append(y, g.mean)
	}
	if len(x) < 3 {
		return nil
	}
	knees := []Knee{{Rule: "kneedle", Note: "the curve has no bend"}}
	if i, ok := kneedle(x, y); ok {
		knees[0] = Knee{Rule: "kneedle", Workers: groups[i].workers, Note: "the bend of the curve, whatever throughput that gives up"}
	}
	power := 0
	for i := range y {
		if y[i]*y[i]/x[i] > y[power]*y[power]/x[power] {
			power = i
		}
	}
	knees = append(knees, Knee{Rule: "power", Workers: groups[power].workers, Note: "where throughput squared per worker is highest"})
	for _, c := range candidates {
		if c.Model == ModelUSL && c.Parameters != nil {
			knees = append(knees, uslPeak(c, x[0], x[len(x)-1]))
		}
	}
	return knees
}

func uslPeak(c Candidate, lowest, highest float64) Knee {
	n, _, ok := USL{c.Parameters["contention"], c.Parameters["coherency"], c.Parameters["rate_rps"]}.Peak()
	switch {
	case !ok:
		return Knee{Rule: "usl_peak", Note: "the fitted curve has no peak"}
	case n < lowest || n > highest:
		return Knee{Rule: "usl_peak", Note: fmt.Sprintf("the fitted peak, %.1f, is outside the measured range %.0f to %.0f", n, lowest, highest)}
	case !c.Accepted:
		return Knee{Rule: "usl_peak", Workers: int(math.Round(n)), Note: "the peak of a curve that does not fit"}
	}
	return Knee{Rule: "usl_peak", Workers: int(math.Round(n)), Note: "the peak of the fitted curve"}
}

// kneedle returns the index of the first knee of a rising concave curve with x ascending: the
// highest point of its difference to the diagonal, once both are scaled to 0..1, that is followed
// by a fall below the threshold of sensitivity 1 before the next high. ok is false without one.
//
// # References
//
// Satopaa, Albrecht, Irwin, Raghavan, Finding a "Kneedle" in a Haystack, 2011, section III.
func kneedle(x, y []float64) (index int, ok bool) {
	n := len(x)
	low, high := slices.Min(y), slices.Max(y)
	if n < 3 || x[n-1] == x[0] || high == low {
		return 0, false
	}
	difference := make([]float64, n)
	for i := range x {
		difference[i] = (y[i]-low)/(high-low) - (x[i]-x[0])/(x[n-1]-x[0])
	}
	threshold, candidate := 0.0, -1
	for i := 1; i < n; i++ {
		if i < n-1 && difference[i] >= difference[i-1] && difference[i] >= difference[i+1] && difference[i] > 0 {
			candidate, threshold = i, difference[i]-1/float64(n-1)
			continue
		}
		if candidate >= 0 && difference[i] < threshold {
			return candidate, true
		}
	}
	return 0, false
}
