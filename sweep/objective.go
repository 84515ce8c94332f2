package sweep

import (
	"fmt"
	"math"
	"strings"
	"time"

	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets/mask"
)

// describe keeps of the scenario what may be read by anybody: no headers, no bodies, and of its paths what is
// no secret.
func (o *Options) describe() Scenario {
	s := o.Scenario
	d := Scenario{
		Name: mask.Line(s.Name), SHA256: hashOfScenario(s), File: o.ScenarioFile, RateRPS: s.Rate * (1 + o.RateHeadroom), TrafficRPS: s.Rate,
		Connections: s.Connections,
		RateGiven:   o.RateGiven, ObjectiveGiven: o.ObjectiveGiven, ConnectionsGiven: o.ConnectionsGiven,
	}
	taken := map[string]bool{}
	for _, r := range s.Requests {
		path, masked := mask.Path(r.Path)
		if s.Name == r.Path {
			d.Name = path
		}
		name := unique(nameShown(r, path), taken)
		d.Requests = append(d.Requests, Request{Name: name, Method: r.Method, Path: path, Weight: r.Weight, Masked: masked})
	}
	if !s.Objective.Empty() {
		d.Objective = &Objective{LatencySeconds: map[string]float64{}, ErrorShare: s.Objective.Errors}
		for quantile, limit := range s.Objective.Latency {
			d.Objective.LatencySeconds[quantile] = limit.Seconds()
		}
	}
	return d
}

// nameShown is a request's name, which may have been made of its path.
func nameShown(r scenarios.Request, path string) string {
	if after, ok := strings.CutPrefix(r.Name, r.Method+" "+r.Path); ok {
		return r.Method + " " + path + after
	}
	return mask.Line(r.Name)
}

// unique tells names apart that are the same once they are masked.
func unique(base string, taken map[string]bool) string {
	name := base
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s (%d)", base, n)
	}
	taken[name] = true
	return name
}

// Given is the objective as a scenario has it.
func (o *Objective) Given() scenarios.Objective {
	var given scenarios.Objective
	if o == nil {
		return given
	}
	for quantile, limit := range o.LatencySeconds {
		if given.Latency == nil {
			given.Latency = map[string]time.Duration{}
		}
		given.Latency[quantile] = time.Duration(math.Round(limit * float64(time.Second)))
	}
	given.Errors = o.ErrorShare
	return given
}

// Flag is the objective as the flag --slo takes it; empty without one.
func (o *Objective) Flag() string { return o.Given().Flag() }

// meets says whether a trial held the objective: at the scenario's rate where there is one, at
// saturation where not. It is nil without an objective.
func (s *Scenario) meets(t Trial) (ok *bool, why string) {
	if s.Objective == nil && s.RateRPS == 0 {
		return nil, ""
	}
	kind := PhaseSaturation
	if s.RateRPS > 0 {
		kind = PhaseRate
	}
	for _, p := range t.Phases {
		if p.Kind == kind {
			why = s.Missed(p)
			met := why == ""
			return &met, why
		}
	}
	if full := t.hopelessAt(s.RateRPS); full != nil {
		met := false
		return &met, fmt.Sprintf("rate not sustained: %.4g requests/s at full load, of %.4g", full.ThroughputRPS, s.RateRPS)
	}
	return nil, ""
}

// sustained is the least share of the requests that were due that has to be answered in time.
const sustained = 0.98

// Held is false when an open-loop phase did not keep up with what came: with the requests that were due,
// not with the rate, around which those that come by chance scatter.
func (p *Phase) Held() bool {
	due := float64(p.Planned) * (1 - p.errorShare())
	behind := (1 - sustained) * due
	if p.Arrivals == string(generator.Poisson) {
		behind = max(behind, 2*math.Sqrt(due)) // as many may be under way at one end and not at the other
	}
	return p.Sustained && p.ThroughputRPS*p.WindowSeconds >= due-behind
}

// Missed names the first part of the objective that a phase did not hold, the rate itself included;
// empty when it held all.
func (s *Scenario) Missed(p Phase) string {
	if p.Kind != PhaseSaturation && !p.Held() {
		return fmt.Sprintf("rate not sustained: %.4g of %.4g requests/s", p.ThroughputRPS, p.RatePlannedRPS)
	}
	if s.Objective == nil {
		return ""
	}
	for _, quantile := range scenarios.Quantiles() {
		limit, asked := s.Objective.LatencySeconds[quantile]
		if seen := p.Latency.At(quantile); asked && seen > limit {
			return fmt.Sprintf("%s of %.4g ms, over %.4g ms", quantile, 1000*seen, 1000*limit)
		}
	}
	if limit := s.Objective.ErrorShare; limit != nil && p.errorShare() > *limit {
		return fmt.Sprintf("%.3g %% of the answers failed, over %.3g %%", 100*p.errorShare(), 100**limit)
	}
	return ""
}

// At is the latency at a quantile that an objective can name, in seconds.
func (l Latency) At(quantile string) float64 {
	return map[string]float64{"p50": l.P50, "p90": l.P90, "p95": l.P95, "p99": l.P99, "max": l.Max}[quantile]
}
