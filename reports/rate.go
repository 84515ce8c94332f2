package reports

import (
	"fmt"
	"math"
	"strings"

	"advise/model"
	"advise/sweep"
)

// A Capacity is the count for all the cores can do, beside one that was chosen for a rate.
type Capacity struct {
	Workers       int      `json:"workers"`
	ThroughputRPS float64  `json:"throughput_rps"`
	MemoryBytes   *float64 `json:"memory_bytes"`
	// MemoryDifferenceBytes is its memory less the recommendation's.
	MemoryDifferenceBytes *float64 `json:"memory_difference_bytes"`
	// AtLeast is true where more workers, or a stronger load generator, may do more.
	AtLeast   bool            `json:"at_least"`
	LimitedBy model.LimitedBy `json:"limited_by"`
}

func capacity(adv model.Advice) *Capacity {
	c := adv.Capacity
	if c == nil || finite(c.Throughput) == nil {
		return nil
	}
	out := &Capacity{Workers: c.Workers, ThroughputRPS: c.Throughput, MemoryBytes: known(c.Memory), AtLeast: c.AtLeast, LimitedBy: c.LimitedBy}
	if adv.Made && c.Memory > 0 && adv.Memory > 0 {
		out.MemoryDifferenceBytes = finite(c.Memory - adv.Memory)
	}
	return out
}

// atTheRate says what the recommended count holds, what the usual one would, and what all the cores can do.
func atTheRate(r *Result) []string {
	held := fmt.Sprintf("%s %s requests/s", holdWords("they", r.Recommendation.Workers), Number(r.Scenario.RateRPS))
	if parts := objective(r); len(parts) > 0 {
		held += " with " + strings.Join(parts, " and ")
	}
	parts := append([]string{held}, nonEmpty(usualAtTheRate(r))...)
	return append(parts, nonEmpty(allTheCores(r))...)
}

// holdWords are for they and it, or for a number of workers where who is empty.
func holdWords(who string, workers int) string {
	switch {
	case workers == 1 && who != "":
		return "it holds"
	case workers == 1:
		return "1 holds"
	case who == "":
		return fmt.Sprintf("%d hold", workers)
	}
	return who + " hold"
}

// usualAtTheRate compares the usual count by whether it holds the rate too, and by its memory.
func usualAtTheRate(r *Result) string {
	rule, usual := r.RuleOfThumb, fmt.Sprintf("the usual %d", r.RuleOfThumb.Workers)
	switch {
	case rule.Workers == 0:
		return ""
	case rule.Workers == r.Recommendation.Workers:
		return "the usual count is right here"
	case rule.HoldsObjective == nil || !rule.Predicted && !works(r, rule.Workers):
		return usual + " " + whyNotCompared(r)
	case !*rule.HoldsObjective:
		return usual + " would not"
	}
	if d := rule.MemoryDifferenceBytes; d != nil {
		return usual + " would too" + costs(-*d)
	}
	return usual + " would too"
}

// p95AtRate is the median over the restarts of a count, in words; too slow where half of them or more did
// not keep up.
func p95AtRate(r *Result, p Point) string {
	held, behind := 0, 0
	for _, t := range r.Trials {
		for _, phase := range t.Phases {
			switch {
			case t.Shape.Workers != p.Workers || t.Outcome != sweep.OK || phase.Kind != sweep.PhaseRate:
			case phase.Held():
				held++
			default:
				behind++
			}
		}
	}
	hopeless := held+behind == 0 && p.ThroughputRPS != nil && *p.ThroughputRPS < r.Scenario.RateRPS
	switch {
	case hopeless || behind > 0 && behind >= held:
		return "too slow"
	case held == 0:
		return ""
	}
	return duration(atRate(r.Trials, p.Workers).P95)
}

// works is true for a count that could be run.
func works(r *Result, workers int) bool {
	p := at(r.Points, workers)
	return p != nil && p.ThroughputRPS != nil && p.Outcomes[sweep.KilledForMemory] == 0
}

// allTheCores says what the count for all the cores can do does, and what it costs beside the other.
func allTheCores(r *Result) string {
	c := r.Capacity
	if c == nil {
		return ""
	}
	most, what := Number(c.ThroughputRPS)+"/s", "all the cores can"
	if r.Measured != nil {
		what = "all that " + cores(r.Measured.Cores) + " can"
	}
	if c.AtLeast {
		most += " or more"
	}
	if c.Workers == r.Recommendation.Workers {
		return "that is " + what + " do too, " + most
	}
	text := fmt.Sprintf("%d do %s, %s", c.Workers, what, most)
	switch {
	case c.LimitedBy == model.LimitedBySearchRange:
		text = fmt.Sprintf("throughput still grows at %d, %s/s", c.Workers, Number(c.ThroughputRPS))
	case c.LimitedBy == model.LimitedByMemory:
		text = fmt.Sprintf("%d, as many as fit in memory, do %s", c.Workers, most)
	case c.Workers == 1:
		text = "1 does " + what + ", " + most
	}
	if d := c.MemoryDifferenceBytes; d != nil {
		text += costs(*d)
	}
	return text
}

// costs says what a count takes in memory beside the recommended one, in bytes.
func costs(difference float64) string {
	switch {
	case math.Abs(difference) < 0.5e6:
		return ", in the same memory"
	case difference > 0:
		return ", for " + size(difference) + " more"
	}
	return ", for " + size(-difference) + " less"
}

// derived says where an objective comes from that nobody gave.
func derived(r *Result) string {
	u := r.Unloaded
	switch {
	case u == nil:
		return ""
	case u.P95Seconds == 0:
		return " (none was given, and no answer came without load)"
	}
	return fmt.Sprintf(" (none was given: waiting for a worker may add as much as the p95 of %s that an answer takes without load, over one connection to %s, %d answers)",
		duration(u.P95Seconds), count(u.Workers, "worker"), u.Answers)
}
