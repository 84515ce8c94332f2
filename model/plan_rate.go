package model

import (
	"fmt"
	"math"
	"slices"
)

// The steps of a search for the fewest workers that hold a rate, in the order of Search.Next: the first look
// below a count that holds it, more workers while none does, the counts between the last that misses and the
// first that holds halved, and second restarts of those. After the rest of the first look, restarts of those near
// the edge until their side is sure. At last the count for all the cores can do is looked for as without a rate,
// but not repeated: it is told beside the other, and decides nothing. Where time is left, the choice has a third
// restart.

// stepsForRate are these, each a proposal.
func (s Search) stepsForRate() []func(survey) (Step, bool) {
	return []func(survey) (Step, bool){
		s.lookBelow, s.retry, s.reachRate, s.bisectRate, s.secondAtRate, s.firstLook, s.repeatAtRate, s.extend, s.bisect, s.besideBest,
		s.thirdAtRate,
	}
}

// candidates are the counts of which one is recommended: those of Least workers or more, as soon as one of these
// holds the rate.
func (s Search) candidates(v survey) []group {
	enough := slices.DeleteFunc(slices.Clone(v.plateau.groups), func(g group) bool { return g.workers < s.Least })
	if first(enough, v.margins.holds) < 0 {
		return v.plateau.groups
	}
	return enough
}

// lookBelow is the part of the first look that is not above a count that holds the rate.
func (s Search) lookBelow(v survey) (Step, bool) {
	step, ok := s.firstLook(v)
	if !v.ok || !ok {
		return step, ok
	}
	g := s.candidates(v)
	holds := first(g, v.margins.holds)
	if holds < 0 {
		return step, ok
	}
	for _, n := range s.FirstLook() {
		if v.tried[n] == 0 && v.open(n) && n < g[holds].workers {
			return Step{Workers: n, Why: step.Why}, true
		}
	}
	return Step{}, false
}

// reachRate tries more workers while none holds the rate and throughput rises, and else between the count that
// comes nearest and those beside it.
func (s Search) reachRate(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 || first(v.plateau.groups, v.margins.holds) >= 0 {
		return Step{}, false
	}
	if step, ok := s.extend(v); ok {
		return step, true
	}
	g, best, most := v.plateau.groups, -1, -mostMargin
	for i := range g {
		if mean, _, n := v.margins.at(g[i].workers); n > 0 && mean > most {
			best, most = i, mean
		}
	}
	if best < 0 {
		return Step{}, false // all are far from it
	}
	for _, below := range []int{best, best - 1} {
		if below < 0 || below+1 >= len(g) {
			continue
		}
		if step, ok := s.halve(v, g[below].workers, g[below+1].workers, "none holds the rate yet: between %d and %d"); ok {
			return step, true
		}
	}
	return Step{}, false
}

// bisectRate closes in on the fewest that hold the rate.
func (s Search) bisectRate(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 {
		return Step{}, false
	}
	g := s.candidates(v)
	holds := first(g, v.margins.holds)
	if holds <= 0 {
		return Step{}, false
	}
	return s.halve(v, g[holds-1].workers, g[holds].workers, "bisect %d..%d for the rate")
}

// secondAtRate restarts the choice, the count below it, and the first that clearly holds, once more whatever the
// first restart said. A count that is far away from holding the rate needs no second.
func (s Search) secondAtRate(v survey) (Step, bool) {
	if !v.ok {
		return Step{}, false
	}
	g := s.candidates(v)
	holds := first(g, v.margins.holds)
	for _, i := range []int{holds, holds - 1, first(g, v.margins.clearlyHolds)} {
		if holds < 0 || i < 0 {
			continue
		}
		if mean, _, n := v.margins.at(g[i].workers); n == 1 && mean > -mostMargin && s.repeatable(v, g[i].workers) {
			return Step{Workers: g[i].workers, Why: fmt.Sprintf("repeat: %d bears on the choice", g[i].workers)}, true
		}
	}
	return Step{}, false
}

// repeatAtRate restarts the counts near the edge, that with the fewest restarts first, until it is sure on which
// side of it they are, or so well known that it makes no difference: those up to the first that clearly holds.
func (s Search) repeatAtRate(v survey) (Step, bool) {
	if !v.ok {
		return Step{}, false
	}
	next, fewest := 0, mostEnough
	for _, g := range s.candidates(v) {
		if v.margins.clearlyHolds(g.workers) {
			break
		}
		_, err, n := v.margins.at(g.workers)
		unsure := n > 0 && !v.margins.surelyMisses(g.workers) && v.margins.settled*err > s.Tolerance/2
		if unsure && n < fewest && s.repeatable(v, g.workers) {
			next, fewest = g.workers, n
		}
	}
	if next == 0 {
		return Step{}, false
	}
	return Step{Workers: next, Why: fmt.Sprintf("repeat: %d is near the edge of the rate", next)}, true
}

// thirdAtRate makes the figures of the choice firm.
func (s Search) thirdAtRate(v survey) (Step, bool) {
	if !v.ok {
		return Step{}, false
	}
	g := s.candidates(v)
	if holds := first(g, v.margins.holds); holds >= 0 {
		return s.upTo(v, []int{g[holds].workers}, leastEnough)
	}
	return Step{}, false
}

func (s Search) repeatable(v survey, workers int) bool {
	return v.tried[workers] < mostEnough && v.open(workers)
}

// endAtRate says how the search ended.
func (s Search) endAtRate(v survey) Step {
	g := s.candidates(v)
	holds := first(g, v.margins.holds)
	if holds < 0 {
		return Step{Done: true, Resolved: first(g, func(n int) bool { return !v.margins.surelyMisses(n) }) < 0, Why: "no count holds the rate"}
	}
	chosen := g[holds].workers
	if doubt := first(g[:holds], func(n int) bool { return !v.margins.surelyMisses(n) }); doubt >= 0 {
		return Step{Done: true, Why: fmt.Sprintf("%d stays too near to the edge to tell", g[doubt].workers)}
	}
	if !v.margins.surelyHolds(chosen) {
		return Step{Done: true, Why: fmt.Sprintf("%s the rate, though the restarts differ too much to be sure", hold(chosen))}
	}
	return Step{Done: true, Resolved: true, Why: fmt.Sprintf("settled: %s", quantity(chosen, "worker"))}
}

// surveyAtRate bounds the memory in which the runner holds the rate. One that no count of may hold it does not work.
func (x *runner) surveyAtRate(s Search, v survey) {
	if _, reaching := s.reachRate(v); reaching {
		x.rising = true
	}
	for _, g := range s.candidates(v) {
		if !v.margins.surelyMisses(g.workers) {
			x.works, x.least = true, math.Min(x.least, g.memory)
		}
		if v.margins.surelyHolds(g.workers) {
			x.most = math.Min(x.most, g.memory)
		}
	}
}
