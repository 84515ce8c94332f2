package sweep

import (
	"fmt"
	"slices"

	"advise/model"
	"advise/targets/hold"
)

// carried adds the advice for the cores asked for, where fewer were measured; r is the record of the
// recommended variant.
func (r *Record) carried(a model.Advice) model.Advice {
	p := r.Plan
	if p.Budget.Cores <= p.Environment.CoresServer {
		return a
	}
	c := model.Carry{
		Budget: model.Budget{
			Cores: p.Budget.Cores, MemoryBytes: float64(p.Budget.MemoryBytes) * (1 - p.Settings.MemoryHeadroom),
			Threads: p.Settings.Threads, Tolerance: p.Settings.Tolerance,
		},
		CoresMeasured: p.Environment.CoresServer, Measured: r.CoresMeasured(a), Unchecked: r.Unchecked(),
		RuleOfThumb: RuleOfThumb(p.Budget.Cores), RateHeld: p.holdsRate(),
	}
	c.Lowest, c.Highest = p.countsAllowed()
	c.Runnable, c.RunnableOf = r.runnable()
	c.OthersShare = r.othersAt(a.Workers)
	a.Asked = a.Carried(c)
	a.Caveats = slices.DeleteFunc(a.Caveats, func(c model.Caveat) bool { // of a comparison that is not the answer's
		return c.Code == model.CaveatNotConfirmed
	})
	if a.Asked.Caveat != nil {
		a.Caveats = append(a.Caveats, *a.Asked.Caveat)
	}
	return a
}

// othersAt is the share of the cores that other processes used at a count, on average over its restarts.
func (r *Record) othersAt(workers int) float64 {
	mean, n := 0.0, 0.0
	for _, t := range r.Used() {
		full := t.saturation()
		if t.Outcome == OK && t.Shape.Workers == workers && full != nil && full.Disturbance != nil && full.Disturbance.OthersCPUShare != nil {
			n++
			mean += (*full.Disturbance.OthersCPUShare - mean) / n
		}
	}
	return mean
}

// holdsRate is true where the advised count is one that holds a rate. What holds it on some cores does on
// more of them.
func (p *Plan) holdsRate() bool { return p.Settings.Goal == model.GoalRate }

// countsAllowed are the user's own; 0 where they were left to advise.
func (p *Plan) countsAllowed() (lowest, highest int) {
	if p.Settings.Highest == highestFor(p.Settings.Lowest, p.Environment.CoresServer) && len(p.Settings.Counts) == 0 {
		return p.Settings.Lowest, 0
	}
	return p.Settings.Lowest, p.Settings.Highest
}

// Unchecked says why no part of the cores was measured to check predictions; empty where one was.
func (r *Record) Unchecked() string {
	if len(r.onPart()) > 0 {
		return ""
	}
	part, method := r.Plan.Settings.FewerCores, r.Plan.Environment.LimitsMethod
	switch {
	case part == 0 && (method == string(hold.Affinity) || method == string(hold.None)):
		return "half of that can't be held here, which takes a cgroup that advise may write to"
	case part == 0:
		return "half of that was not measured"
	}
	for _, t := range r.Trials {
		if t.OnFewerCores() && t.Outcome != OK {
			return fmt.Sprintf("on %.4g cores it did not work (%s)", part, t.Detail)
		}
	}
	return fmt.Sprintf("there was no time to measure on %.4g cores too", part)
}
