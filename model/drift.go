package model

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Drift is how much throughput changed over a sweep for no reason of the worker count.
type Drift struct {
	// Workers is the count that drifted; 0: all of them together did, as far as can be told.
	Workers int
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

const (
	// leastDriftFreedom is how many degrees of freedom a drift is told from chance with.
	leastDriftFreedom = 3
	// slopesDiffer is the p value below which the counts are taken to drift each by its own.
	slopesDiffer = 0.01
)

// A slope is the regression of the logarithm of throughput on time, in units of the span, within one
// count or several: sums of squares and of products, after n restarts of that many counts.
type slope struct {
	workers, n, counts int
	xx, xy, yy         float64
}

func (s slope) value() float64    { return s.xy / s.xx }
func (s slope) residual() float64 { return math.Max(s.yy-s.xy*s.xy/s.xx, 0) }

// driftOf regresses the logarithm of throughput on time within the counts, one line for all of them:
// an analysis of covariance. Where the counts' own lines differ, one count's own is a drift: a server
// that is slow at few workers later on, and at many is not, has no drift that is common to both. It is
// nil as long as too few counts were repeated, or at one moment.
//
// # References
//
// Snedecor, Cochran, Statistical Methods, 8th edition, 1989, sections 18.2 and 18.5 (the pooled slope
// within groups, and the test that the groups' slopes are equal).
func driftOf(observations []Observation, confidence float64) *Drift {
	slopes, span := slopesOf(observations)
	var all slope
	var apart float64 // the residuals of lines of their own
	for _, s := range slopes {
		all.xx, all.xy, all.yy = all.xx+s.xx, all.xy+s.xy, all.yy+s.yy
		all.n, all.counts = all.n+s.n, all.counts+1
		apart += s.residual()
	}
	freedom := all.n - all.counts - 1
	if freedom < leastDriftFreedom || !(all.xx > 1e-9) {
		return nil
	}
	common := all.drift(all.residual()/float64(freedom), freedom, confidence)
	common.Span, common.Restarts = span, all.n

	own := all.n - 2*all.counts
	if all.counts < 2 || own < leastDriftFreedom {
		return common
	}
	variance := math.Max(apart/float64(own), 1e-24)
	f := math.Max(all.residual()-apart, 0) / float64(all.counts-1) / variance
	equal := distuv.F{D1: float64(all.counts - 1), D2: float64(own)}
	if equal.Survival(math.Min(f, 1e12)) >= slopesDiffer {
		return common
	}
	var alone *Drift
	for _, s := range slopes {
		if d := s.drift(variance, own, confidence); alone == nil || d.P < alone.P {
			alone = d
			alone.Workers, alone.Span, alone.Restarts = s.workers, span, s.n
		}
	}
	alone.P = math.Min(alone.P*float64(all.counts), 1) // the clearest of several
	if alone.P >= driftRejects {
		return common
	}
	return alone
}

// slopesOf are those of the counts that were restarted at different moments, in the order of their first
// restart, since sums must not depend on a map's; span is the time from the first restart to the last.
func slopesOf(observations []Observation) (slopes []slope, span float64) {
	type sample struct{ at, log float64 }
	byCount := map[int][]sample{}
	var counts []int
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
	span = last - first
	if !(span > 0) {
		return nil, 0
	}
	for _, count := range counts {
		same := byCount[count]
		var x, y float64
		for _, s := range same {
			x += s.at / span / float64(len(same))
			y += s.log / float64(len(same))
		}
		own := slope{workers: count, n: len(same), counts: 1}
		for _, s := range same {
			dx, dy := s.at/span-x, s.log-y
			own.xx, own.xy, own.yy = own.xx+dx*dx, own.xy+dx*dy, own.yy+dy*dy
		}
		if own.xx > 1e-9 {
			slopes = append(slopes, own)
		}
	}
	return slopes, span
}

// drift is what a slope says when its residuals have this variance.
func (s slope) drift(variance float64, freedom int, confidence float64) *Drift {
	slope, err := s.value(), math.Sqrt(variance/s.xx)
	d := &Drift{Share: math.Expm1(slope), P: 1}
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
