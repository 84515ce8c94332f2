package reports

import (
	"fmt"
	"slices"
	"strings"

	"advise/model"
	"advise/sweep"
)

// A Measured is what was found on the cores that were measured, where more were asked for: recommended is
// then what is carried from it, or nothing.
type Measured struct {
	Cores float64 `json:"cores"`
	// Recommendation is nil when the measurement can't carry one; there is nothing to paste in it.
	Recommendation *Recommendation `json:"recommendation"`
	RuleOfThumb    RuleOfThumb     `json:"rule_of_thumb"`
}

// A Prediction is what the cores asked for will do; it was not measured. It is the recommendation where there
// is one.
type Prediction struct {
	Cores         float64 `json:"cores"`
	Workers       int     `json:"workers"`
	ThroughputRPS float64 `json:"throughput_rps"`
	UpperBound    bool    `json:"upper_bound"`
	// The interval of the throughput is ThroughputRPS by ErrorShare.
	ThroughputLowRPS  *float64 `json:"throughput_low_rps,omitempty"`
	ThroughputHighRPS *float64 `json:"throughput_high_rps,omitempty"`
	ErrorShare        *float64 `json:"error_share,omitempty"`
}

// answer sets what is recommended: what was found on the cores that were measured, or what is carried from
// there to those asked for.
func (r *Result) answer(adv model.Advice, variant *sweep.Variant, config []ConfigFile) {
	r.RuleOfThumb = ruleOfThumb(adv, r.Points)
	if adv.Made && finite(adv.Throughput) != nil {
		r.Recommendation = recommendation(adv, r.Points)
		r.Recommendation.Variant = variant
	}
	if c := adv.Asked; c != nil {
		r.Measured = &Measured{Cores: c.CoresMeasured, Recommendation: r.Recommendation, RuleOfThumb: r.RuleOfThumb}
		r.carry(c)
	}
	if r.Recommendation != nil {
		r.Recommendation.Config = config
	}
}

func (r *Result) carry(c *model.Carried) {
	on := r.Recommendation
	r.Recommendation = nil
	r.RuleOfThumb = RuleOfThumb{Workers: c.RuleOfThumb.Workers, Predicted: c.RuleOfThumb.Predicted, HoldsObjective: c.RuleOfThumb.Holds, Why: c.RuleOfThumb.Why}
	if !c.Made || on == nil || finite(c.Throughput) == nil {
		return
	}
	r.Recommendation = &Recommendation{
		Workers: c.Workers, Variant: on.Variant, Low: c.Low, High: c.High, HighResolved: c.HighResolved, Confidence: on.Confidence,
		LimitedBy: c.LimitedBy, ThroughputRPS: c.Throughput, MemoryBytes: known(c.Memory), Reasons: orEmpty(c.Reasons),
	}
	r.Prediction = &Prediction{
		Cores: c.Cores, Workers: c.Workers, ThroughputRPS: c.Throughput, UpperBound: true,
		ThroughputLowRPS: finite(c.ThroughputLow), ThroughputHighRPS: finite(c.ThroughputHigh), ErrorShare: finite(c.Error),
	}
	if rule := c.RuleOfThumb; rule.Predicted {
		r.RuleOfThumb.ThroughputRatio, r.RuleOfThumb.ThroughputRatioLow, r.RuleOfThumb.ThroughputRatioHigh = known(rule.Ratio), known(rule.RatioLow), known(rule.RatioHigh)
		if r.Recommendation.MemoryBytes != nil {
			r.RuleOfThumb.MemoryDifferenceBytes = finite(rule.MemoryDifference)
		}
	}
}

// found is what was found on the cores that were measured, which tables and charts of measurements mark.
func (r *Result) found() (*Recommendation, RuleOfThumb) {
	if r.Measured != nil {
		return r.Measured.Recommendation, r.Measured.RuleOfThumb
	}
	return r.Recommendation, r.RuleOfThumb
}

// foundWords name the two counts of found.
func (r *Result) foundWords() (best, usual string) {
	if r.Measured != nil {
		on := " on " + cores(r.Measured.Cores)
		return "best" + on, "usual" + on
	}
	return "recommended", "usual"
}

// measuredWords say what was measured, and how it was carried to the cores asked for.
func measuredWords(r *Result) []string {
	m := r.Measured
	if m == nil || m.Recommendation == nil {
		return nil
	}
	best := m.Recommendation
	line := fmt.Sprintf("on %s: %s", cores(m.Cores), count(best.Workers, "worker"))
	if !best.HighResolved || best.Low < best.High {
		line += " (" + span(best) + ")"
	}
	line += fmt.Sprintf(", %s requests/s", Number(best.ThroughputRPS))
	if m.RuleOfThumb.Measured && m.RuleOfThumb.ThroughputRatio != nil && m.RuleOfThumb.Workers != best.Workers {
		line += ", " + fasterOrSlower(m.RuleOfThumb, fmt.Sprintf("the %d that are usual there", m.RuleOfThumb.Workers))
	}
	lines := []string{line}
	if p := r.Prediction; p != nil && p.ThroughputLowRPS != nil && p.ThroughputHighRPS != nil {
		lines = append(lines, fmt.Sprintf("carried to %s: %s, %s requests/s (%s to %s)", cores(p.Cores), count(p.Workers, "worker"),
			Number(p.ThroughputRPS), Number(*p.ThroughputLowRPS), Number(*p.ThroughputHighRPS)))
	}
	if len(r.Predictions) == 0 { // else it stands there
		lines = append(lines, nonEmpty(heldOutWords(r.HeldOut))...)
	}
	return lines
}

// instead says how to get an answer where none could be carried to the cores asked for.
func instead(r *Result) []string {
	if r.Measured == nil || r.Recommendation != nil {
		return nil
	}
	lines := []string{fmt.Sprintf("measure on a machine with %s and one more for the load: %s", cores(r.Budget.Cores), r.again(r.Budget.Cores))}
	if r.Budget.Cores <= float64(r.Environment.CPUsAllowed) && !r.Settings.ShareCores {
		lines = append(lines, "or here, with the load on the server's cores: add --share-cores")
	}
	if r.Measured.Recommendation != nil {
		lines = append(lines, fmt.Sprintf("or be advised for what was measured: %s", r.again(r.Measured.Cores)))
	}
	return lines
}

// again is the command, in short, with that many cores.
func (r *Result) again(cores float64) string {
	plan := sweep.Plan{Environment: r.Environment, Target: r.Target, Scenario: r.Scenario, Budget: r.Budget, Settings: r.Settings}
	plan.Budget.Cores = cores
	kept := []string{"cores", "mem", "class", "threads", "preload", "path", "scenario", "slo", "rate", "connections", "headroom"}
	var said []sweep.Flag
	for _, f := range plan.Flags() {
		if slices.Contains(kept, f.Name) && (f.Name != "path" || f.Value != "/") {
			said = append(said, f)
		}
	}
	return strings.Join(commandParts(said, r.Target), " ")
}
