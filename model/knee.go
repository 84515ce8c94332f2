package model

import (
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
	// level is the logarithm of the best throughput, and line of that which has to be reached; others is
	// true when another variant's best draws it.
	level, line float64
	others      bool
	// proven is the first index of a count that is surely enough because it leaves so little of the
	// cores unused, whatever others may reach; len(groups) when none is.
	proven int
	// full is true when the largest count leaves no more than half the tolerance of the cores unused.
	full bool
}

// rounding of a logarithm of throughput: 19 of 20 are 95 %, however the sums come out.
const rounding = 1e-9

// A yardstick is what a plateau is measured by.
type yardstick struct {
	// cores are what the server was held to; 0 is not known.
	cores float64
	// lowest and highest are the counts that may be recommended.
	lowest, highest int
	tolerance       float64
	// others is the best throughput of other variants; 0 is none.
	others float64
}

// plateauOf looks among the counts that work. ok is false without any count.
func plateauOf(t table, by yardstick) (p plateau, ok bool) {
	for _, g := range t.groups {
		if g.works() && g.workers >= by.lowest && g.workers <= by.highest {
			p.groups = append(p.groups, g)
		}
	}
	if len(p.groups) == 0 {
		return p, false
	}
	p.estimates = estimates(p.groups, by.cores, t.expected())
	var y, weight []float64
	for _, e := range p.estimates {
		y, weight = append(y, e.log), append(weight, 1/(e.err*e.err))
	}
	p.fit = unimodal(y, weight)
	top := slices.Max(p.fit)
	p.best = slices.Index(p.fit, top)
	p.level = p.levelFrom(top-math.Min(by.tolerance/2, t.spread), weight)
	p.line = p.level + math.Log1p(-by.tolerance)
	if by.others > 0 {
		if line := math.Log(by.others) + math.Log1p(-by.tolerance); line > p.line && line <= top {
			p.line, p.others = line, true
		}
	}
	// Of the counts that the generator decided, the smallest already does more than could be measured:
	// what lies between them is the generator's own.
	p.knee = slices.IndexFunc(p.fit, func(v float64) bool { return v >= p.line-rounding })
	if bound := slices.IndexFunc(p.groups, func(g group) bool { return g.bound }); bound >= 0 {
		p.knee = min(p.knee, bound)
	}
	if p.proven = len(p.groups); !p.others { // what this one can do at most says nothing about another
		p.proven = t.proven(p.groups, by.cores, by.tolerance)
	}
	reach, known := t.reach(p.groups[len(p.groups)-1], by.cores)
	p.full = known && reach > math.Log1p(-by.tolerance/2)
	return p, true
}

// levelFrom returns the mean over the counts no lower than from: what the line is drawn from. The
// highest of several equal counts is highest by chance.
func (p *plateau) levelFrom(from float64, weight []float64) float64 {
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
// difference of mean logarithms, with the pooled spread and Student's t. Up to the top, the counts whose
// ratio is surely under (1 - tolerance) are ruled out until the first that is not: a tooth further up
// says nothing about that one. The first whose ratio is surely no less ends the interval. The top's own
// error counts even for a count that is part of it: being the highest is no proof of being the best. A
// count that leaves less than the tolerance of the cores unused needs no comparison.
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
	ruledOut := true // as every count before
	for i, g := range p.groups {
		above := g.logMean - p.line
		width := factor * math.Sqrt(1/float64(g.n)+1/float64(p.topRestarts))
		if ruledOut = ruledOut && above+width < 0 && i < p.best; ruledOut {
			in.low = g.workers + 1
		}
		if (above-width >= 0 || i >= p.proven) && !in.resolved {
			in.high, in.resolved = g.workers, true
		}
	}
	return in
}
