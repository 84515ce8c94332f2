package model

import (
	"math"
	"slices"
)

// A plateau is the smallest of the counts that may be recommended whose throughput reaches
// (1 - tolerance) of the best, over a unimodal fit: single restarts make a tooth of one count and
// a gap of another, and the highest of many noisy means is too high.
type plateau struct {
	groups []group
	// fit is the unimodal fit of the logarithm of throughput, weighted by restarts.
	fit []float64
	// best is the first index of the top, knee that of the choice, both into groups.
	best, knee int
	// topRestarts is how many restarts stand behind the top's value.
	topRestarts int
	// line is the logarithm of the throughput that has to be reached.
	line float64
}

// plateauOf looks among the counts that work, from lowest to highest. ok is false without any.
func plateauOf(t table, lowest, highest int, tolerance float64) (p plateau, ok bool) {
	var y, weight []float64
	for _, g := range t.groups {
		if g.works() && g.workers >= lowest && g.workers <= highest {
			p.groups = append(p.groups, g)
			y, weight = append(y, g.logMean), append(weight, float64(g.n))
		}
	}
	if len(p.groups) == 0 {
		return p, false
	}
	p.fit = unimodal(y, weight)
	top := slices.Max(p.fit)
	p.best = slices.Index(p.fit, top)
	level := p.level(top - math.Min(tolerance/2, t.spread))
	p.line = level + math.Log1p(-tolerance)
	p.knee = slices.IndexFunc(p.fit, func(v float64) bool { return v >= p.line })
	return p, true
}

// level returns the mean over the counts no lower than from: what the line is drawn from. The
// highest of several equal counts is highest by chance.
func (p *plateau) level(from float64) float64 {
	sum := 0.0
	for i, v := range p.fit {
		if v >= from {
			sum += v * float64(p.groups[i].n)
			p.topRestarts += p.groups[i].n
		}
	}
	return sum / float64(p.topRestarts)
}

// rising is true when the best count is the largest that was measured and the throughput there is
// still growing by more than half the tolerance over the last quarter of the range.
func (p plateau) rising(tolerance float64) bool {
	last := len(p.groups) - 1
	if last == 0 || p.best != last {
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
// part of it: being the highest is no proof of being the best.
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
		if above-width >= 0 && !in.resolved {
			in.high, in.resolved = g.workers, true
		}
	}
	return in
}
