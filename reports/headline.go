package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"advise/model"
	"advise/sweep"
)

// headline is the advice in one sentence: the count, its interval, and what it gains over the rule
// of thumb.
func headline(r *Result) string {
	rec := r.Recommendation
	if rec == nil {
		if r.Measured != nil && r.Measured.Recommendation != nil {
			return fmt.Sprintf("no recommendation for %s: %s", cores(r.Budget.Cores), whyNone(r))
		}
		return "no recommendation: " + whyNone(r)
	}
	text := advice(r) + idleWords(r)
	if n := r.Scenario.Connections; n > 0 {
		text = fmt.Sprintf("at %s: %s", count(n, "connection"), text)
		if p := r.Pool; p != nil && p.FullConnections != 0 {
			text += fmt.Sprintf("; that is %s requests/s, and %s", Number(p.ThroughputRPS), fullPool(p))
		}
	}
	if r.Measured != nil {
		how := "predicted from"
		if r.Goal == model.GoalRate { // what holds it on fewer cores
			how = "measured on"
		}
		text = fmt.Sprintf("for %s, %s %s: %s", cores(r.Budget.Cores), how, short(r.Measured.Cores), text)
	}
	return text
}

func advice(r *Result) string {
	rec := r.Recommendation
	workers := count(rec.Workers, "worker")
	forRate := r.Goal == model.GoalRate
	if r.several() {
		workers += " of " + fmt.Sprint(rec.Variant)
	}
	text := "run " + workers
	switch {
	case rec.LowerBound && !forRate:
		text = "run at least " + workers
	case !rec.HighResolved || rec.Low < rec.High:
		text += " (" + span(rec) + ")"
	}
	text += ": "
	if forRate {
		return text + strings.Join(atTheRate(r), "; ")
	}
	if rec.LowerBound && !r.RuleOfThumb.Measured {
		return text + fmt.Sprintf("%s, at %s requests/s", bound(r), Number(rec.ThroughputRPS))
	}
	if why := bound(r); why != "" {
		text += why + "; "
	}
	return text + strings.Join(comparison(r), ", ")
}

// bound says in a few words what else than throughput decided the count.
func bound(r *Result) string {
	rec := r.Recommendation
	switch {
	case rec.LimitedBy == model.LimitedByMemory && r.Budget.MemoryBytes > 0:
		return "as many as fit in " + size(float64(r.Budget.MemoryBytes))
	case rec.LimitedBy == model.LimitedByMemory:
		return "as many as fit in memory"
	case rec.LimitedBy == model.LimitedByObjective:
		return "what the objective needs"
	case rec.LimitedBy == model.LimitedByLeast:
		return leastInHeadline(r)
	case rec.LowerBound && unfilled(r):
		return count(r.Settings.Connections, "connection") + " did not fill the server"
	case rec.LowerBound:
		return "the load generator, not the server, was at its limit"
	case rec.LimitedBy == model.LimitedBySearchRange:
		return fmt.Sprintf("throughput still grows at %d", mostMeasured(r.Points))
	}
	return ""
}

func mostMeasured(points []Point) int {
	most := 0
	for _, p := range points {
		if p.ThroughputRPS != nil {
			most = max(most, p.Workers)
		}
	}
	return most
}

// comparison sets the recommendation beside the usual count: throughput, then memory.
func comparison(r *Result) []string {
	rule, usual := r.RuleOfThumb, fmt.Sprintf("the usual %d", r.RuleOfThumb.Workers)
	if rule.Workers == 0 {
		return []string{Number(r.Recommendation.ThroughputRPS) + " requests/s"}
	}
	if rule.Workers == r.Recommendation.Workers {
		return []string{"the usual count is right here"}
	}
	if !rule.Measured && !rule.Predicted || rule.ThroughputRatio == nil {
		return []string{usual + " " + whyNotCompared(r)}
	}
	text := fasterOrSlower(rule, usual)
	d := rule.MemoryDifferenceBytes
	switch {
	case d == nil:
		return []string{text}
	case math.Abs(*d) < 0.5e6:
		return []string{text, "with the same memory"}
	case *d > 0:
		return []string{text, size(*d) + " more"}
	default:
		return []string{text, size(-*d) + " less"}
	}
}

// tooWide is the width from which on an interval of a ratio says nothing, though 1 is in it.
const tooWide = 0.5

// fasterOrSlower gives a difference as a figure only when the interval says that there is one.
func fasterOrSlower(rule RuleOfThumb, usual string) string {
	ratio, low, high := *rule.ThroughputRatio, *rule.ThroughputRatio, *rule.ThroughputRatio
	if rule.ThroughputRatioLow != nil && rule.ThroughputRatioHigh != nil {
		low, high = *rule.ThroughputRatioLow, *rule.ThroughputRatioHigh
	}
	switch {
	case low <= 1 && high >= 1 && high-low > tooWide:
		return "too noisy to compare with " + usual
	case low <= 1 && high >= 1:
		return "as fast as " + usual + " within the noise"
	case ratio >= 2:
		return Number(ratio) + " times the throughput of " + usual
	case ratio > 1:
		return percent(ratio-1) + " more than " + usual
	default:
		return percent(1-ratio) + " less than " + usual
	}
}

func whyNotCompared(r *Result) string {
	if r.Measured != nil {
		return "can't be compared: " + r.RuleOfThumb.Why
	}
	p := at(r.Points, r.RuleOfThumb.Workers)
	switch {
	case p == nil:
		return "was not measured"
	case p.Outcomes[sweep.KilledForMemory] > 0:
		return "is killed for memory"
	case !p.Feasible:
		return "does not work"
	}
	return "could not be compared"
}

// decisive are the caveats that alone leave no recommendation.
var decisive = []string{
	model.CaveatNothingMeasured, model.CaveatOneCount, model.CaveatObjectiveNotMet, model.CaveatMemoryTooSmall, model.CaveatNotPredicted,
}

func whyNone(r *Result) string {
	missed := func(c model.Caveat) bool { return c.Code == model.CaveatObjectiveNotMet }
	if r.Traffic != nil && slices.ContainsFunc(r.Caveats, missed) {
		return outOfReach(r)
	}
	for _, c := range r.Caveats {
		if slices.Contains(decisive, c.Code) {
			return inSentence(c.Message)
		}
	}
	if len(r.Caveats) > 0 {
		return inSentence(r.Caveats[len(r.Caveats)-1].Message)
	}
	return "the measurement can't carry one"
}

// inSentence turns a sentence into the tail of another.
func inSentence(message string) string {
	message = strings.TrimSuffix(message, ".")
	if message == "" {
		return message
	}
	return strings.ToLower(message[:1]) + message[1:]
}
