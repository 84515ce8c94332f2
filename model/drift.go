package model

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Drift is how much throughput changed over a sweep for no reason of the worker count.
type Drift struct {
	// Share is the change from the first restart to the last, as a share: -0.03 is 3 % less. Low and
	// High are its interval at the confidence asked for.
	Share, Low, High float64
	// P is the probability of so large a change without any drift.
	P float64
	// Span is the time from the first restart to the last, in seconds; Restarts those of counts that
	// were restarted more than once: only these tell.
	Span     float64
	Restarts int
}

// leastDriftFreedom is how many degrees of freedom a drift is told from chance with.
const leastDriftFreedom = 3

// driftOf regresses the logarithm of throughput on time within the counts, one line for all of them:
// an analysis of covariance. It is nil as long as too few counts were repeated, or at one moment.
//
// # References
//
// Snedecor, Cochran, Statistical Methods, 8th edition, 1989, section 18.2 (the pooled slope within
// groups).
func driftOf(observations []Observation, confidence float64) *Drift {
	type sample struct{ at, log float64 }
	byCount := map[int][]sample{}
	var counts []int // in the order of their first restart: sums don't depend on a map's order
	first, last := math.Inf(1), math.Inf(-1)
	for _, o := range observations {
		if o.Failed || o.Purpose == PurposeLatency || o.GeneratorBound || !usable(o) || math.IsNaN(o.At) || math.IsInf(o.At, 0) {
			continue
		}
		if byCount[o.Workers] == nil {
			counts = append(counts, o.Workers)
		}
		byCount[o.Workers] = append(byCount[o.Workers], sample{o.At, math.Log(o.Throughput)})
		first, last = math.Min(first, o.At), math.Max(last, o.At)
	}
	span := last - first
	if !(span > 0) {
		return nil
	}
	var xx, xy, yy float64
	n, freedom := 0, -1
	for _, count := range counts {
		same := byCount[count]
		if len(same) < 2 {
			continue
		}
		var x, y float64
		for _, s := range same {
			x += s.at / span / float64(len(same))
			y += s.log / float64(len(same))
		}
		for _, s := range same {
			dx, dy := s.at/span-x, s.log-y
			xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
		}
		n += len(same)
		freedom += len(same) - 1
	}
	if freedom < leastDriftFreedom || !(xx > 1e-9) {
		return nil
	}
	slope := xy / xx
	err := math.Sqrt(math.Max(yy-slope*xy, 0) / float64(freedom) / xx)
	d := &Drift{Span: span, Restarts: n, Share: math.Expm1(slope), P: 1}
	width := math.Min(studentT(confidence, freedom)*err, 100)
	d.Low, d.High = math.Expm1(slope-width), math.Expm1(slope+width)
	switch {
	case err > 1e-12:
		d.P = 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.Survival(math.Abs(slope)/err)
	case math.Abs(slope) > 1e-9:
		d.P = 0
	}
	return d
}

// driftRejects is the p value below which a drift is taken for one.
const driftRejects = 0.01

// matters is true for a drift that is one, and large enough to move a decision made by the tolerance.
func (d *Drift) matters(tolerance float64) bool {
	return d != nil && d.P < driftRejects && math.Abs(d.Share) > tolerance/2
}
