package model

import (
	"fmt"
	"math"
)

// leastNeighbours is the fewest counts whose spread can be estimated from their neighbours.
const leastNeighbours = 5

// neighbourSpread estimates the standard deviation of the logarithm of throughput between
// measurements where no count was measured twice: from how far each lies from the straight line
// between its two neighbours, on logarithmic axes. It presumes no formula, only that the curve is
// smooth over three counts; where it bends, the estimate is too high and what rests on it too wide.
// ok is false with fewer than leastNeighbours counts that work.
//
// The differences of neighbours overlap: those of an evenly spaced curve correlate by -2/3 and 1/6,
// so they tell as much as m-2 over 1 + 2 (4/9 + 1/36) = 1.94 independent ones.
//
// # References
//
// Gasser, Sroka, Jennen-Steinmetz, Residual variance and residual pattern in nonlinear regression,
// Biometrika 73, 1986.
func neighbourSpread(groups []group) (spread float64, freedom int, ok bool) {
	m := len(groups)
	if m < leastNeighbours {
		return 0, 0, false
	}
	sum := 0.0
	for i := 1; i+1 < m; i++ {
		before, at, after := math.Log(float64(groups[i-1].workers)), math.Log(float64(groups[i].workers)), math.Log(float64(groups[i+1].workers))
		share := (at - before) / (after - before)
		d := groups[i].logMean - (1-share)*groups[i-1].logMean - share*groups[i+1].logMean
		sum += d * d / (1 + share*share + (1-share)*(1-share))
	}
	return math.Sqrt(sum / float64(m-2)), max(1, int(float64(m-2)/1.94)), true
}

// estimateSpread gives a table without repeats the spread of its neighbours, as one that the question
// asks for, and says so.
func (a *Advice) estimateSpread(t table, q Question) table {
	if !q.SpreadFromNeighbours || t.freedom > 0 {
		return t
	}
	groups := worked(t)
	if len(groups) < 2 {
		return t // there is nothing to lay an interval around
	}
	if t.spread, t.freedom, t.estimated = neighbourSpread(groups); !t.estimated {
		a.caveat(CaveatNoRepeats, "No count was measured twice, and too few were measured to tell noise from the curve: there are no intervals.",
			map[string]float64{"counts": float64(len(groups))})
		return t
	}
	a.caveat(CaveatNoRepeats, fmt.Sprintf("No count was measured twice, so the intervals rest on how far each lies from its neighbours, %s; between restarts throughput may differ by more, and no formula could be tested.", percent(t.spread)),
		map[string]float64{"counts": float64(len(groups)), "spread_share": t.spread})
	return t
}
