package model

import (
	"fmt"
	"math"
	"slices"
)

// The rules of [Knee], other than the plateau that decides.
const (
	RuleKneedle          = "kneedle"
	RuleMaximumCurvature = "maximum_curvature"
	RulePower            = "power"
	RuleUSLPeak          = "usl_peak"
	RuleUSLContention    = "usl_contention"
	RuleAsymptotes       = "asymptotes"
)

// otherKnees returns what other rules would choose among the measured means, each with what is to be
// said against it: for comparison only. Fewer than three counts have no knee.
func otherKnees(groups []group, candidates []Candidate) []Knee {
	var x, y []float64
	for _, g := range groups {
		x, y = append(x, float64(g.workers)), append(y, g.mean)
	}
	if len(x) < 3 {
		return nil
	}
	knees := []Knee{
		measuredKnee(RuleKneedle, groups, "the bend of the curve, whatever throughput that gives up", kneedle, x, y),
		measuredKnee(RuleMaximumCurvature, groups, "where the curve bends most with both axes scaled to 0..1: another range or unit bends it elsewhere", maximumCurvature, x, y),
		measuredKnee(RulePower, groups, "where throughput squared per worker is highest", power, x, y),
	}
	for _, c := range candidates {
		switch {
		case c.Parameters == nil:
		case c.Model == ModelUSL:
			knees = append(knees, uslKnees(c, x[0], x[len(x)-1])...)
		case c.Model == ModelClosedNetwork:
			threads := float64(groups[0].slots) / float64(groups[0].workers)
			n := ClosedNetwork{Cores: c.Parameters["cores"], Demand: c.Parameters["demand_seconds"], Wait: c.Parameters["wait_seconds"]}
			knees = append(knees, fittedKnee(RuleAsymptotes, "crossing of the two bounds", n.Crossing()/threads, x[0], x[len(x)-1], c.Accepted))
		}
	}
	return knees
}

func measuredKnee(rule string, groups []group, note string, find func(x, y []float64) (int, bool), x, y []float64) Knee {
	i, ok := find(x, y)
	if !ok {
		return Knee{Rule: rule, Note: "the curve has no bend"}
	}
	return Knee{Rule: rule, Workers: groups[i].workers, Note: note}
}

// uslKnees are the peak of a fitted law, and the count at which linear growth would meet the ceiling
// that contention alone puts over it, 1/contention.
//
// # References
//
// Gunther, Guerrilla Capacity Planning, 2007, sections 4.3 (the ceiling) and 4.4 (the peak).
func uslKnees(c Candidate, lowest, highest float64) []Knee {
	law := USL{c.Parameters["contention"], c.Parameters["coherency"], c.Parameters["rate_rps"]}
	peak := Knee{Rule: RuleUSLPeak, Note: "the fitted curve has no peak"}
	if n, _, ok := law.Peak(); ok {
		peak = fittedKnee(RuleUSLPeak, "peak", n, lowest, highest, c.Accepted)
	}
	ceiling := Knee{Rule: RuleUSLContention, Note: "the fitted curve has no contention"}
	if law.Contention > 0 {
		ceiling = fittedKnee(RuleUSLContention, "1/contention", 1/law.Contention, lowest, highest, c.Accepted)
	}
	return []Knee{peak, ceiling}
}

// fittedKnee is a count that was not measured but calculated: outside of the measured range it is
// named and not given.
func fittedKnee(rule, what string, n, lowest, highest float64, accepted bool) Knee {
	switch {
	case n < lowest || n > highest:
		return Knee{Rule: rule, Fitted: n, Note: fmt.Sprintf("the fitted %s, %s, is outside the measured range %.0f to %.0f", what, tenths(n), lowest, highest)}
	case !accepted:
		return Knee{Rule: rule, Workers: int(math.Round(n)), Fitted: n, Note: fmt.Sprintf("the %s of a curve that was not accepted", what)}
	}
	return Knee{Rule: rule, Workers: int(math.Round(n)), Fitted: n, Note: fmt.Sprintf("the %s of the fitted curve", what)}
}

// tenths writes a count that may be as large as a parameter is small.
func tenths(n float64) string {
	if n >= mostWorkers {
		return fmt.Sprintf("more than %d", mostWorkers)
	}
	return fmt.Sprintf("%.1f", n)
}

// power returns the index of the highest throughput squared per worker: Kleinrock's power, the rate
// over the time a request takes, which in a closed loop of N is N/X. It always finds one.
//
// # References
//
// Kleinrock, Power and deterministic rules of thumb for probabilistic problems in computer
// communications, 1979.
func power(x, y []float64) (index int, ok bool) {
	for i := range y {
		if y[i]*y[i]/x[i] > y[index]*y[index]/x[index] {
			index = i
		}
	}
	return index, true
}

// maximumCurvature returns the index where the curve bends down most, once both axes are scaled to
// 0..1: curvature is no property of the data alone but of the units of the axes, and without scaling
// requests per second against workers would bend wherever one worker adds about one request per
// second. Scaled, it still moves with the range that was measured. ok is false when nothing bends
// down.
func maximumCurvature(x, y []float64) (index int, ok bool) {
	x, y, ok = unit(x, y)
	if !ok {
		return 0, false
	}
	return sharpest(x, y)
}

// sharpest returns the index of the highest downward curvature through three neighbours.
func sharpest(x, y []float64) (index int, ok bool) {
	most := 1e-9 // below that, a straight line in rounding
	for i := 1; i+1 < len(x); i++ {
		if c := curvature(x[i-1:i+2], y[i-1:i+2]); c > most {
			index, most, ok = i, c, true
		}
	}
	return index, ok
}

// curvature is one over the radius of the circle through three points, positive where they bend down:
// four times the triangle's area over the product of its sides. (Menger curvature.)
func curvature(x, y []float64) float64 {
	side := func(i, j int) float64 { return math.Hypot(x[j]-x[i], y[j]-y[i]) }
	twiceArea := (x[1]-x[0])*(y[0]-y[2]) - (x[0]-x[2])*(y[1]-y[0])
	return 2 * twiceArea / (side(0, 1) * side(1, 2) * side(0, 2))
}

// unit scales both axes to 0..1, with x ascending. ok is false for fewer than three points, and where
// one axis has no extent.
func unit(x, y []float64) (scaledX, scaledY []float64, ok bool) {
	n := len(x)
	if n < 3 {
		return nil, nil, false
	}
	low, high := slices.Min(y), slices.Max(y)
	if x[n-1] == x[0] || high == low {
		return nil, nil, false
	}
	for i := range x {
		scaledX, scaledY = append(scaledX, (x[i]-x[0])/(x[n-1]-x[0])), append(scaledY, (y[i]-low)/(high-low))
	}
	return scaledX, scaledY, true
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
	x, y, ok = unit(x, y)
	if !ok {
		return 0, false
	}
	difference := make([]float64, n)
	for i := range x {
		difference[i] = y[i] - x[i]
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
