package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
)

// With a rate the answer is for the rate: the fewest workers that hold it, unless all that the cores can do is
// asked for. A rate that comes without an objective has one: no errors, and at the rate the p95 may be twice
// what it is without load, so that waiting for a worker adds at most as much as the answer takes. It is
// measured before the first trial, on a server of the fewest workers, and fixed then.

// unloadedFactor is how many times the p95 without load the default objective allows.
const unloadedFactor = 2

const (
	// unloadedWanted answers tell the p95 of an exponential time within 7 %, if they come within
	// unloadedShare of the time.
	unloadedWanted = 400
	unloadedShare  = 0.05
	unloadedMost   = 30 * time.Second
)

// Unloaded is the latency over a single connection, which the default objective follows from.
type Unloaded struct {
	Shape
	// P95Seconds is 0 where no answer came.
	P95Seconds     float64 `json:"p95_seconds"`
	Answers        int     `json:"answers"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// goal is what was asked for, or follows from whether there is a rate.
func (o *Options) goal() model.Goal {
	switch {
	case o.Goal != "":
		return o.Goal
	case o.Scenario.Rate > 0:
		return model.GoalRate
	}
	return model.GoalCapacity
}

func (o *Options) checkGoal() error {
	switch {
	case o.Goal != "" && o.Goal != model.GoalRate && o.Goal != model.GoalCapacity:
		return fmt.Errorf("plan the sweep: goal %q: want %s or %s", o.Goal, model.GoalRate, model.GoalCapacity)
	case o.Goal == model.GoalRate && o.Scenario.Rate == 0:
		return errors.New("plan the sweep: the goal is a rate, and there is none: add --rate, or rate in the file, in requests per second")
	}
	return nil
}

// WantsObjective is true where the rate came without an objective, and the default one was not measured yet.
func (p *Plan) WantsObjective() bool {
	return p.Settings.Goal == model.GoalRate && p.Scenario.Objective == nil
}

// objectiveAsked is the objective that was given: the default one is found.
func (p *Plan) objectiveAsked() *Objective {
	if p.Unloaded != nil {
		return nil
	}
	return p.Scenario.Objective
}

// setObjective measures what the default objective follows from, and puts it on disk. Of several variants the first
// that answers counts. A server that does not start leaves an objective of no errors alone: the trials tell why.
func (s *Sweep) setObjective(ctx, abort context.Context, r *Record) error {
	if !s.plan.WantsObjective() {
		return nil
	}
	var found Unloaded
	began := time.Now()
	for _, v := range s.plan.Variants() {
		found.Shape = v.At(s.plan.Settings.Lowest)
		if err := s.measureUnloaded(ctx, abort, &found); err != nil {
			return fmt.Errorf("measure an answer without load: %w", err)
		}
		if found.Answers > 0 {
			break
		}
	}
	found.ElapsedSeconds = time.Since(began).Seconds()
	none := 0.0
	o := &Objective{ErrorShare: &none}
	if limit := unloadedFactor * found.P95Seconds; limit > 0 {
		o.LatencySeconds = map[string]float64{"p95": math.Ceil(limit*1e4) / 1e4} // as it is shown
	}
	s.plan.Unloaded, s.plan.Scenario.Objective = &found, o
	r.Plan = s.plan
	if err := s.journal.savePlan(s.plan); err != nil {
		return &UnsavedError{Dir: r.Dir, Err: err}
	}
	return nil
}

// measureUnloaded drives a server of the shape over one connection.
func (s *Sweep) measureUnloaded(ctx, abort context.Context, u *Unloaded) error {
	s.tell(Event{Stage: StageUnloaded, Workers: u.Workers, Variant: s.several(u.Variant().String()), Budget: s.options.Time})
	limit := min(max(seconds(unloadedShare*s.options.Time.Seconds()), unloadedLimit), unloadedMost)
	return s.onServer(ctx, abort, u.Shape, func(server instance) error {
		summary, err := s.attackUntilEnd(ctx, server, s.unloadedAttack(server, unloadedWanted, limit), func(generator.Progress) {})
		if summary != nil && summary.OK > 0 {
			u.P95Seconds, u.Answers = summary.Latency.P95, int(summary.OK)
		}
		return err
	})
}

func (u *Unloaded) elapsed() time.Duration {
	if u == nil {
		return 0
	}
	return seconds(u.ElapsedSeconds)
}

// onServer does something with a server of a shape that is started for it. That it does not start is for the
// trials to tell.
func (s *Sweep) onServer(ctx, abort context.Context, shape Shape, do func(instance) error) error {
	if err := s.stopRunning(abort); err != nil {
		return err
	}
	log, err := filepath.Abs(filepath.Join(s.options.Dir, s.log))
	if err != nil {
		return fmt.Errorf("keep the server's log: %w", err)
	}
	server, err := s.launcher.start(ctx, shape, log)
	if err != nil {
		return ctx.Err()
	}
	err = do(server)
	if stopped := server.Stop(abort); err == nil {
		err = stopped
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// margin is by how much a trial held the objective at the rate, and whether that was hopeless, as
// model.Observation has them. nil: it was not loaded at the rate, or the generator was at its limit when it missed.
func (s *Scenario) margin(t Trial) (margin *float64, isHopeless bool) {
	if s.RateRPS == 0 {
		return nil, false
	}
	for _, p := range t.Phases {
		if p.Kind != PhaseRate {
			continue
		}
		m := s.marginOf(p)
		if m < 0 && p.GeneratorVerdict == GeneratorBound {
			return nil, false
		}
		return &m, false
	}
	if full := t.hopelessAt(s.RateRPS); full != nil {
		m := math.Log(full.ThroughputRPS / s.RateRPS)
		return &m, true
	}
	return nil, false
}

// leastMiss is the margin of a rate that was not sustained though as much was answered as came: a queue that
// grows is a miss, by however little.
const leastMiss = 1 - sustained

// marginOf is that of a phase at the rate: infinite where nothing limits it. It is below zero where Missed
// says what was missed.
func (s *Scenario) marginOf(p Phase) float64 {
	least := math.Inf(1)
	if !p.Held() {
		least = math.Min(math.Log(p.ThroughputRPS/p.RatePlannedRPS), -leastMiss)
	}
	if s.Objective == nil {
		return least
	}
	for _, quantile := range scenarios.Quantiles() {
		limit, asked := s.Objective.LatencySeconds[quantile]
		if seen := p.Latency.At(quantile); asked && seen > 0 {
			least = math.Min(least, math.Log(limit/seen))
		}
	}
	if limit, seen := s.Objective.ErrorShare, p.errorShare(); limit != nil && seen > *limit {
		least = math.Min(least, math.Log(*limit/seen))
	}
	return least
}

// nearFactor standard errors of its quantile are what a margin has to be away from zero. The estimate takes
// requests to be independent of each other, which those that wait in one queue are not.
const nearFactor = 2

// longer is how long the window of a phase at the rate should be in all; no longer than it was where the phase is
// not near to the objective, and where there is no time.
func (s *Sweep) longer(l load, a generator.Attack, so *generator.Summary) time.Duration {
	was := seconds(so.WindowSeconds)
	if l.kind != PhaseRate || s.plan.Settings.Goal != model.GoalRate || so.Interrupted {
		return was
	}
	times := s.plan.Scenario.near(phaseOf(l, a, so, errorConfidence))
	return max(was, min(seconds(math.Min(times, mostTimes)*so.WindowSeconds), s.timing.windowLimit))
}

// mostTimes as long is longer than any window may be.
const mostTimes = 1e3

// near is how many times as long a window would tell on which side of its limit each latency of the objective
// is; up to 1 where this one does. Errors fall with the root of the length.
func (s *Scenario) near(p Phase) (times float64) {
	if s.Objective == nil || !p.Held() {
		return 0
	}
	for quantile, limit := range s.Objective.LatencySeconds {
		q, known := quantiles[quantile]
		seen := p.Latency.At(quantile)
		if !known || !(seen > 0) {
			continue
		}
		off := nearFactor * model.QuantileError(q, p.OK+p.Failed) / math.Abs(math.Log(limit/seen)) // infinite on the limit
		times = math.Max(times, off*off)
	}
	return times
}

// quantiles are those that an objective can name, but the slowest of all, which no length makes surer.
var quantiles = map[string]float64{"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

// prolonged is an attack that goes on with a phase for so much longer.
func (s *Sweep) prolonged(a generator.Attack, so *generator.Summary, by time.Duration) generator.Attack {
	a.Window = by.Round(windowStep)
	a.WarmupLimit = a.Warmup    // what runs is warm: only the queue has to come back
	a.Seed += int64(so.Planned) // other moments and other requests than before
	return a
}

// windowStep is the least that a window is prolonged by, the period of a processor quota.
const windowStep = 100 * time.Millisecond

const (
	// CaveatFewAtRate marks windows at the rate that held so few requests that the objective can't be told
	// from them. Figures: workers, requests, requests_wanted, window_seconds, time_seconds (a budget whose
	// windows would hold enough; 0 where none would).
	CaveatFewAtRate = "few_at_rate"
	// CaveatNoUnloaded marks a default objective without a latency, since no answer came without load.
	// Figures: workers.
	CaveatNoUnloaded = "no_unloaded_answer"
)

// leastAtRate is how many requests an objective is told from at the least: two are slower than its highest
// quantile then.
func leastAtRate(o *Objective) float64 {
	highest := 0.9
	if o != nil {
		for quantile := range o.LatencySeconds {
			highest = math.Max(highest, quantiles[quantile])
		}
	}
	return math.Round(2 / (1 - highest))
}

// fewAtRate is the caveat on a rate that is low for the time there was, at the counts that bear on the choice.
func (r *Record) fewAtRate(a model.Advice) *model.Caveat {
	if !a.Made || r.Plan.Settings.Goal != model.GoalRate {
		return nil
	}
	wanted := leastAtRate(r.Plan.Scenario.Objective)
	var worst *Phase
	workers := 0
	for _, t := range r.Used() {
		for i, p := range t.Phases {
			bears := t.Outcome == OK && p.Kind == PhaseRate && t.Shape.Workers >= a.Low && t.Shape.Workers <= max(a.High, a.Workers)
			if n := p.OK + p.Failed; bears && float64(n) < wanted && (worst == nil || n < worst.OK+worst.Failed) {
				worst, workers = &t.Phases[i], t.Shape.Workers
			}
		}
	}
	if worst == nil {
		return nil
	}
	n := worst.OK + worst.Failed
	c := &model.Caveat{
		Code: CaveatFewAtRate,
		Message: fmt.Sprintf("At %.4g requests per second and a worker count of %d, a window of %.3g s held %d of the %.0f requests that the objective is told from.",
			worst.RatePlannedRPS, workers, worst.WindowSeconds, n, wanted),
		Figures: map[string]float64{"workers": float64(workers), "requests": float64(n), "requests_wanted": wanted, "window_seconds": worst.WindowSeconds, "time_seconds": 0},
	}
	window := seconds(1.5 * wanted / worst.RatePlannedRPS) // those that come by chance may be fewer
	if window > longestWindow {
		c.Message += " No window is long enough for that rate: ask about the rate of the busiest minutes."
		return c
	}
	minutes := math.Ceil((window * windowsInBudget * time.Duration(len(r.Plan.Variants()))).Minutes())
	c.Message += fmt.Sprintf(" With --time %.0fm windows are long enough.", minutes)
	c.Figures["time_seconds"] = 60 * minutes
	return c
}

func (p *Plan) noUnloaded() *model.Caveat {
	u := p.Unloaded
	if u == nil || u.P95Seconds > 0 {
		return nil
	}
	return &model.Caveat{
		Code:    CaveatNoUnloaded,
		Message: fmt.Sprintf("Without load no answer came at a worker count of %d, so that no latency is asked for at the rate: give one with --slo p95=200ms.", u.Workers),
		Figures: map[string]float64{"workers": float64(u.Workers)},
	}
}
