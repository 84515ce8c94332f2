package model

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// A Purpose says what a restart was for.
type Purpose string

// The purposes. The search's restarts decide the count. Those that confirm it are no part of that
// decision: a count that was chosen because it came out well comes out too well where it was chosen. Those
// of PurposeCores had fewer cores than the others: they are no observations for Advise, but measurements
// for FitScaling. Those of PurposeStart were started in another way, at a count that was killed for memory
// while it started: they show that it fits, and nothing else.
const (
	PurposeSearch  Purpose = ""
	PurposeConfirm Purpose = "confirm"
	PurposeLatency Purpose = "latency"
	PurposeCores   Purpose = "cores"
	PurposeStart   Purpose = "start"
)

// confirmRestarts is how many restarts of each of the two counts confirm the choice.
const confirmRestarts = 3

// LatencyShares of the recommended count's throughput are the rates at which latency is measured.
var LatencyShares = []float64{0.5, 0.7, 0.9}

// ConfirmRestarts is how many restarts Confirm asks for in PurposeConfirm at the most.
func ConfirmRestarts() int { return 2 * confirmRestarts }

// Confirm returns what to do when the search is over: the recommended count and the rule of thumb in
// alternation; then each of both and of the recommended count's neighbours once more, for latency at
// rates that Step.Capacity is the measure of. A rule of thumb that is itself recommended, or does not
// work, leaves one restart of the recommended count, so that there is one at the end of the sweep.
//
// Where every count misses the objective, it is one restart of the throughput knee for latency: it tells
// at what rate the objective would hold.
//
// For GoalRate all of these restarts are loaded at the rate too, and their margins count: where the choice
// turns out not to hold it, the next one is confirmed.
//
// Like Search.Next it is deterministic and holds no state.
func Confirm(observations []Observation, q Question) Step {
	q = q.complete()
	d := decide(observations, q)
	a := d.advice
	if !a.Made && d.missed() && !d.choice.group.bound {
		// What these cores can do within the objective is worth one restart.
		knee := d.choice.group
		if slices.ContainsFunc(observations, func(o Observation) bool { return o.Purpose == PurposeLatency && o.Workers == knee.workers }) {
			return Step{Done: true, Resolved: true, Why: "the objective is out of reach"}
		}
		return Step{Workers: knee.workers, Purpose: PurposeLatency, Capacity: knee.mean, Why: "the objective is missed: latency at lower rates"}
	}
	if !a.Made || d.choice.group.bound && q.Goal != GoalRate {
		return Step{Done: true, Why: "nothing to confirm"}
	}
	tried := map[Purpose]map[int]int{PurposeConfirm: {}, PurposeLatency: {}}
	for _, o := range observations {
		if counts := tried[o.Purpose]; counts != nil {
			counts[o.Workers]++
		}
	}
	counts, restarts := []int{a.Workers}, 1
	if a.RuleOfThumb.Measured && q.RuleOfThumb != a.Workers {
		counts, restarts = append(counts, q.RuleOfThumb), confirmRestarts
	}
	left := 0
	for _, n := range counts {
		left += max(restarts-tried[PurposeConfirm][n], 0)
	}
	for round := range restarts {
		for _, n := range counts {
			if tried[PurposeConfirm][n] == round {
				return Step{Workers: n, Purpose: PurposeConfirm, Left: left, Why: confirmWhy(counts)}
			}
		}
	}
	if left := latencyLeft(a, observations); len(left) > 0 && !d.choice.group.bound {
		return Step{Workers: left[0], Purpose: PurposeLatency, Capacity: a.Throughput, Why: "latency below saturation"}
	}
	return Step{Done: true, Resolved: true, Why: "confirmed"}
}

// latencyLeft are the counts whose latency matters and was not measured, the first the most: the
// recommended one, the fewer that would do where only the least asks for more, the rule of thumb, and the
// recommended one's neighbours.
func latencyLeft(a Advice, observations []Observation) []int {
	counts, beside := []int{a.Workers}, neighbours(a)
	if i := slices.IndexFunc(beside, func(n int) bool { return n < a.Workers }); i >= 0 && a.LimitedBy == LimitedByLeast {
		counts = append(counts, beside[i])
	}
	if n := a.RuleOfThumb.Workers; a.RuleOfThumb.Measured && !slices.Contains(counts, n) {
		counts = append(counts, n)
	}
	for _, n := range beside {
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	return slices.DeleteFunc(counts, func(n int) bool {
		return slices.ContainsFunc(observations, func(o Observation) bool { return o.Purpose == PurposeLatency && o.Workers == n })
	})
}

func confirmWhy(counts []int) string {
	if len(counts) == 1 {
		return fmt.Sprintf("once more at the end: %d", counts[0])
	}
	return fmt.Sprintf("confirm: %d against %d", counts[0], counts[1])
}

// neighbours are the feasible counts next to the recommended one, the one above first.
func neighbours(a Advice) []int {
	points := slices.DeleteFunc(slices.Clone(a.Points), func(p Point) bool { return !p.Feasible })
	at := slices.IndexFunc(points, func(p Point) bool { return p.Workers == a.Workers })
	var counts []int
	for _, i := range []int{at + 1, at - 1} {
		if at >= 0 && i >= 0 && i < len(points) {
			counts = append(counts, points[i].Workers)
		}
	}
	return counts
}

// ofSearch are the observations that decide the count: those of the search, and whatever failed.
func ofSearch(observations []Observation) []Observation {
	return slices.DeleteFunc(slices.Clone(observations), func(o Observation) bool {
		return o.Purpose == PurposeLatency || o.Purpose == PurposeConfirm && !o.Failed
	})
}

// confirmed returns the logarithms of the throughput at which a count answered while it was confirmed.
func confirmed(observations []Observation, workers int) []float64 {
	var logs []float64
	for _, o := range observations {
		if o.Purpose == PurposeConfirm && o.Workers == workers && !o.Failed && usable(o) && !o.GeneratorBound {
			logs = append(logs, math.Log(o.Throughput))
		}
	}
	return logs
}

// confirmation compares the choice with the rule of thumb by the restarts that were made for it. ok is
// false when there are too few.
func confirmation(observations []Observation, chosen, rule group, t table, confidence float64) (c Comparison, ok bool) {
	mine, other := confirmed(observations, chosen.workers), confirmed(observations, rule.workers)
	if len(mine) < confirmRestarts || len(other) < confirmRestarts {
		return Comparison{}, false
	}
	spread, freedom := t.pooledWith(mine, other)
	c.ratioOf(cautious(mine, spread), cautious(other, spread), studentT(confidence, freedom))
	c.Confirmed, c.Restarts = true, min(len(mine), len(other))
	return c, true
}

// cautious is the mean of a sample with the standard error of its own spread or of the pooled one,
// whichever is larger: where little of the cores is used, restarts can differ more than elsewhere.
func cautious(logs []float64, spread float64) estimate {
	return estimate{stat.Mean(logs, nil), math.Max(spread, stat.StdDev(logs, nil)) / math.Sqrt(float64(len(logs)))}
}

// ratioOf sets the ratio of two throughputs and its interval.
func (c *Comparison) ratioOf(chosen, rule estimate, factor float64) {
	ratio := chosen.log - rule.log
	width := math.Min(factor*math.Hypot(chosen.err, rule.err), 100)
	c.Ratio, c.RatioLow, c.RatioHigh = math.Exp(ratio), math.Exp(ratio-width), math.Exp(ratio+width)
}

// pooledWith is the spread between restarts when some more samples of one count each are taken in.
func (t table) pooledWith(samples ...[]float64) (spread float64, freedom int) {
	squares := t.spread * t.spread * float64(t.freedom)
	freedom = t.freedom
	for _, s := range samples {
		if len(s) > 1 {
			squares += stat.Variance(s, nil) * float64(len(s)-1)
			freedom += len(s) - 1
		}
	}
	return math.Sqrt(squares / float64(max(freedom, 1))), max(freedom, 1)
}
