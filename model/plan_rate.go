package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// The steps of a search for the fewest workers that hold a rate, in the order of Search.Next: more workers
// while none holds it, the counts between the last that misses and the first that holds halved, and restarts
// of those near the edge until their side is sure. Then the count for all the cores can do is looked for as
// without a rate, but not repeated: it is told beside the other, and decides nothing.

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
	g := v.plateau.groups
	holds := first(g, v.margins.holds)
	if holds <= 0 {
		return Step{}, false
	}
	return s.halve(v, g[holds-1].workers, g[holds].workers, "bisect %d..%d for the rate")
}

// repeatAtRate restarts the counts near the edge until it is sure on which side of it they are, or so well
// known that it makes no difference: those up to the first that clearly holds. That one, the choice and the
// count below it are restarted once more whatever the first restart said.
func (s Search) repeatAtRate(v survey) (Step, bool) {
	near := v.nearEdge(s.Tolerance)
	if len(near) == 0 {
		return Step{}, false
	}
	n := v.plateau.groups[near[0]].workers
	return Step{Workers: n, Why: fmt.Sprintf("repeat: %d is near the edge of the rate", n)}, true
}

// nearEdge are the indexes of the counts to restart, that with the fewest restarts first.
func (v survey) nearEdge(tolerance float64) []int {
	if !v.ok {
		return nil
	}
	g := v.plateau.groups
	holds, clear := first(g, v.margins.holds), first(g, v.margins.clearlyHolds)
	if clear < 0 {
		clear = len(g) - 1
	}
	var near []int
	for i := range g[:clear+1] {
		mean, err, n := v.margins.at(g[i].workers)
		sure := v.margins.clearlyHolds(g[i].workers) || v.margins.surelyMisses(g[i].workers)
		bears := holds >= 0 && (i == holds || i == holds-1 || i == clear) && mean > -mostMargin && n < 2
		unsure := !sure && v.margins.settled*err > tolerance/2
		if n > 0 && (bears || unsure) && v.tried[g[i].workers] < mostEnough && v.open(g[i].workers) {
			near = append(near, i)
		}
	}
	slices.SortStableFunc(near, func(a, b int) int {
		return cmp.Compare(len(v.margins.of[g[a].workers]), len(v.margins.of[g[b].workers]))
	})
	return near
}

// endAtRate says how the search ended.
func (v survey) endAtRate() Step {
	g := v.plateau.groups
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
	for _, g := range v.plateau.groups {
		if !v.margins.surelyMisses(g.workers) {
			x.works, x.least = true, math.Min(x.least, g.memory)
		}
		if v.margins.surelyHolds(g.workers) {
			x.most = math.Min(x.most, g.memory)
		}
	}
}
