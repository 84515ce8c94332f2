package reports

import (
	"fmt"
	"math"
	"slices"

	"advise/model"
	"advise/sweep"
)

// A Traffic is how these cores bear the rate that was asked about, and what they bear at all.
type Traffic struct {
	// RateRPS is the rate measured at: TrafficRPS with its headroom.
	RateRPS    float64 `json:"rate_rps"`
	TrafficRPS float64 `json:"traffic_rps"`
	// Met is true when the recommended count meets the objective at RateRPS.
	Met bool `json:"met"`
	// Workers is the count that the rest is about: the recommended one, or else that which was measured
	// at lower rates, or else that which answered the most.
	Workers int `json:"workers"`
	// Restarts of it were loaded at RateRPS, and RestartsHeld of them held all that was asked for.
	Restarts     int `json:"restarts"`
	RestartsHeld int `json:"restarts_held"`
	// UtilisationShare is RateRPS x CPU time per request, over the cores; above 1 they can't bear it.
	UtilisationShare *float64 `json:"utilisation_share"`
	// The objective holds at HoldsRPS and breaks at BreaksRPS, or somewhere below it. BreaksMeasured is
	// true when that rate was tried; otherwise it is the upper end of what was answered at full load.
	HoldsRPS       *float64 `json:"holds_rps"`
	BreaksRPS      *float64 `json:"breaks_rps"`
	BreaksMeasured bool     `json:"breaks_measured"`
	// EstimateRPS is where the throughput curve puts the break between the two: an estimate by mean
	// latencies, with the measured proportion of percentile to mean.
	EstimateRPS *float64 `json:"estimate_rps"`
	// MostRPS is the most that any count which can be run answered at full load; nil where the load
	// generator decided it.
	MostRPS *float64 `json:"most_rps"`
	// CoresAtLeast is how many cores RateRPS takes at least; fewer can't do it, as many may not.
	CoresAtLeast *int `json:"cores_at_least"`
	// AloneSeconds is the mean time of a request that is alone in the server, by the throughput curve.
	AloneSeconds *float64 `json:"alone_seconds"`
}

// traffic is nil without a rate, and where no count worked.
func traffic(rec *sweep.Record, adv model.Advice, points []Point) *Traffic {
	plan := rec.Plan
	rate := plan.Scenario.RateRPS
	p := spokenOf(rec, adv, points)
	if rate == 0 || p == nil {
		return nil
	}
	t := &Traffic{RateRPS: rate, TrafficRPS: plan.Scenario.TrafficRPS, Met: adv.Made, Workers: p.Workers}
	if t.TrafficRPS == 0 {
		t.TrafficRPS = rate // an older record
	}
	if p.CPUSecondsPerAnswer != nil && plan.Environment.CoresServer > 0 {
		t.UtilisationShare = finite(rate * *p.CPUSecondsPerAnswer / plan.Environment.CoresServer)
	}
	tried, fastest := t.tried(rec)
	capacity := 0.0
	if p.ThroughputHighRPS != nil && !p.GeneratorBound {
		capacity = *p.ThroughputHighRPS
	}
	b := model.BracketRate(tried, capacity)
	t.HoldsRPS, t.BreaksRPS, t.BreaksMeasured = known(b.Holds), known(b.Breaks), b.Measured
	if flow, err := adv.FlowServer(p.Workers, plan.Settings.Threads); err == nil {
		if alone, err := flow.LatencyAt(0); err == nil {
			t.AloneSeconds = known(alone)
		}
		t.estimate(flow, plan.Scenario.Objective, fastest)
	}
	t.MostRPS = mostAnswered(points)
	if m, ok := adv.AtCores(plan.Environment.CoresServer, plan.Settings.Threads); ok {
		if s, err := model.FitScaling([]model.CoresMeasured{m}); err == nil {
			if n, ok := s.CoresFor(rate); ok {
				t.CoresAtLeast = &n
			}
		}
	}
	return t
}

// spokenOf is the count that the traffic is about.
func spokenOf(rec *sweep.Record, adv model.Advice, points []Point) *Point {
	if adv.Made {
		return at(points, adv.Workers)
	}
	for _, t := range rec.Used() {
		if t.Purpose == model.PurposeLatency && t.Outcome == sweep.OK {
			return at(points, t.Shape.Workers)
		}
	}
	var most *Point
	for i, p := range points {
		if p.Feasible && p.ThroughputRPS != nil && (most == nil || *p.ThroughputRPS > *most.ThroughputRPS) {
			most = &points[i]
		}
	}
	return most
}

func mostAnswered(points []Point) *float64 {
	var most *float64
	for _, p := range points {
		if p.GeneratorBound {
			return nil
		}
		if p.Feasible && p.ThroughputRPS != nil && (most == nil || *p.ThroughputRPS > *most) {
			most = p.ThroughputRPS
		}
	}
	return most
}

// tried are the rates that the count was loaded at, and the fastest phase that held. A rate missed while
// the generator was at its limit says nothing of the server.
func (t *Traffic) tried(rec *sweep.Record) (tried []model.RateTried, fastest *sweep.Phase) {
	for _, trial := range rec.Used() {
		if trial.Outcome != sweep.OK || trial.Shape.Workers != t.Workers {
			continue
		}
		for _, p := range trial.Phases {
			held := rec.Plan.Scenario.Missed(p) == ""
			if p.Kind == sweep.PhaseSaturation || p.Kind == sweep.PhaseStuck || !held && p.GeneratorVerdict == sweep.GeneratorBound {
				continue
			}
			tried = append(tried, model.RateTried{Rate: p.RatePlannedRPS, Held: held})
			if p.Kind == sweep.PhaseRate {
				t.Restarts++
				if held {
					t.RestartsHeld++
				}
			}
			if held && (fastest == nil || p.RatePlannedRPS > fastest.RatePlannedRPS) {
				fastest = &p
			}
		}
	}
	return tried, fastest
}

// estimate places the break by the curve of means, where that lies between the rates that were measured.
func (t *Traffic) estimate(flow model.FlowServer, o *sweep.Objective, fastest *sweep.Phase) {
	if o == nil || fastest == nil || t.HoldsRPS == nil {
		return
	}
	least := math.Inf(1)
	for quantile, limit := range o.LatencySeconds {
		seen := fastest.Latency.At(quantile)
		if quantile == "max" || !(seen > 0) { // the slowest of all is no measure of the others
			continue
		}
		rate, err := flow.RateFor(limit * fastest.Latency.Mean / seen)
		if err != nil {
			return
		}
		least = math.Min(least, rate)
	}
	if least > *t.HoldsRPS && t.BreaksRPS != nil && least < *t.BreaksRPS {
		t.EstimateRPS = finite(least)
	}
}

// trafficWords say how the traffic fares, and where it does not, what would do.
func trafficWords(r *Result) []string {
	t := r.Traffic
	if t == nil {
		return nil
	}
	if !t.Met {
		return []string{outOfReach(r), breaks(t)}
	}
	line := fmt.Sprintf("%s held %s requests/s", count(t.Workers, "worker"), Number(t.RateRPS))
	if s := r.Settings.RateHeadroom; s > 0 {
		line += fmt.Sprintf(" (%s and %s of headroom)", Number(t.TrafficRPS), percent(s))
	}
	if t.Restarts > 0 && t.RestartsHeld < t.Restarts {
		line += fmt.Sprintf(" in only %d of %s", t.RestartsHeld, count(t.Restarts, "restart"))
	}
	if t.UtilisationShare != nil {
		line += fmt.Sprintf(", and used %s of %s for it", percent(*t.UtilisationShare), cores(r.Environment.CoresServer))
	}
	return []string{line, breaks(t)}
}

// breaks says where the objective breaks, as far as that is known.
func breaks(t *Traffic) string {
	with := "with " + count(t.Workers, "worker") + " it breaks "
	var line string
	switch {
	case t.HoldsRPS == nil && t.BreaksRPS == nil:
		return with + "at a rate that is not known"
	case t.BreaksRPS == nil:
		return fmt.Sprintf("%ssomewhere above %s requests/s", with, Number(*t.HoldsRPS))
	case t.HoldsRPS == nil && t.BreaksMeasured:
		return fmt.Sprintf("%ssomewhere below %s requests/s, the lowest rate that was tried", with, Number(*t.BreaksRPS))
	case t.HoldsRPS == nil:
		return fmt.Sprintf("%ssomewhere below %s requests/s, the upper end of what it answers at full load", with, Number(*t.BreaksRPS))
	case t.BreaksMeasured:
		line = fmt.Sprintf("%sbetween %s and %s requests/s, both measured", with, Number(*t.HoldsRPS), Number(*t.BreaksRPS))
	default:
		line = fmt.Sprintf("%sbetween %s requests/s, the highest rate that held, and %s, the upper end of what it answers at full load", with, Number(*t.HoldsRPS), Number(*t.BreaksRPS))
	}
	if t.EstimateRPS != nil {
		line += fmt.Sprintf("; about %s is an estimate from mean latencies", Number(*t.EstimateRPS))
	}
	return line
}

// outOfReach says plainly that the traffic asks for too much, and what it would take.
func outOfReach(r *Result) string {
	t, on := r.Traffic, cores(r.Environment.CoresServer)
	rate := Number(t.RateRPS) + " requests/s"
	switch {
	case t.MostRPS == nil:
		return rate + " were not held by any count, and the load generator was at its limit: how much is reachable is not known"
	case *t.MostRPS < t.RateRPS && t.CoresAtLeast != nil && float64(*t.CoresAtLeast) > r.Environment.CoresServer:
		return fmt.Sprintf("%s are not reachable on %s: %s is the most they answer; it takes %s at least, by the CPU time of a request", rate, on, Number(*t.MostRPS), cores(float64(*t.CoresAtLeast)))
	case *t.MostRPS < t.RateRPS && t.UtilisationShare != nil && *t.UtilisationShare < 1:
		return fmt.Sprintf("%s are not reachable with the counts that were measured, or fit into memory: %s is the most they answer; the CPU time would do, at %s of %s", rate, Number(*t.MostRPS), percent(*t.UtilisationShare), on)
	case *t.MostRPS < t.RateRPS:
		return fmt.Sprintf("%s are not reachable on %s: %s is the most they answer", rate, on, Number(*t.MostRPS))
	case t.tooSlowAlone(r.Scenario.Objective):
		return fmt.Sprintf("the objective is not reachable with any number of workers or cores: a request that is alone takes %s on average", duration(*t.AloneSeconds))
	case t.HoldsRPS != nil:
		return fmt.Sprintf("the objective is not reachable at %s on %s: %s requests/s is the highest rate that held it", rate, on, Number(*t.HoldsRPS))
	}
	return fmt.Sprintf("the objective is not reachable at %s on %s, and held at no lower rate that was tried", rate, on)
}

// tooSlowAlone is true where nine tenths of the requests or more have to be faster than the mean of those
// that wait for nobody.
func (t *Traffic) tooSlowAlone(o *sweep.Objective) bool {
	if o == nil || t.AloneSeconds == nil {
		return false
	}
	return slices.ContainsFunc([]string{"p90", "p95", "p99", "max"}, func(quantile string) bool {
		limit, asked := o.LatencySeconds[quantile]
		return asked && *t.AloneSeconds > limit
	})
}
