package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// What a Question's zero values stand for.
const (
	DefaultTolerance  = 0.05
	DefaultConfidence = 0.95
)

// Advise recommends a worker count from what restarts at several counts showed.
//
// For GoalRate it is the fewest workers that hold the objective at the rate: see margins. For GoalCapacity:
//
// The throughput knee is the smallest measured count that reaches (1 - Tolerance) of the best, over
// a unimodal fit. The objective may ask for more workers; memory caps what both ask for; LimitedBy
// names which of them decided. A count below Least is raised to it where that gives up no more than the
// tolerance either. Only measured counts from Lowest to Highest are recommended. A
// parametric curve never decides the count: when it passes its test it can only widen the interval.
//
// Where the objective is met by no count that fits, nothing is recommended: the asked-for promise
// can't be kept here, and a count beside it would read as if it could.
//
// Any input is answered: observations that are no measurements are left out with a caveat, and
// with nothing left Made is false.
func Advise(observations []Observation, q Question) Advice {
	q = q.complete()
	d := decide(observations, q)
	a := &d.advice
	if !a.Made {
		return *a
	}
	if q.Goal == GoalRate {
		a.bracketAtRate(d.choice, d.plateau, d.table, d.margins, q)
	} else {
		a.bracket(d.choice, d.plateau, d.table, q, d.curve)
	}
	a.Drift = driftOf(observations, q.Confidence)
	if q.Goal == GoalRate {
		a.doubtsAtRate(observations, d.choice, d.plateau, d.table, d.margins, q)
	} else {
		a.doubts(observations, d.choice, d.plateau, d.table, q)
	}
	a.startNearLimit(d.choice, d.memory)
	a.Waiting = d.waits(q)
	a.Reasons = a.reasons(d, q)
	return *a
}

// A decision is an advice without what only qualifies it, and what it was made from.
type decision struct {
	advice  Advice
	choice  choice
	plateau plateau
	table   table
	memory  memoryCap
	margins margins
	curve   *parametricCurve
}

// decide makes the choice, by the restarts of the search alone; q is complete.
func decide(everything []Observation, q Question) decision {
	observations := ofSearch(everything)
	t := tabulate(observations)
	h := marginsOf(everything, q.Confidence)
	if q.Goal == GoalRate {
		h.judge(t.groups)
	}
	line := fitMemory(everything, q.usableMemory(), q.Confidence)
	m := memoryCap{line: line, limit: q.usableMemory(), killed: t.smallestKilled()}
	m.over, m.overBytes = t.smallestOver(m.limit)
	m.starting = fitBytes(everything, 0, q.Confidence, func(o Observation) float64 { return o.StartPeak })
	m.perWorker = t.perWorker()
	d := decision{table: t, memory: m, margins: h, advice: Advice{Confidence: q.Confidence, MemoryLine: line, LimitedBy: LimitedByThroughput}}
	a := &d.advice
	a.RuleOfThumb = Comparison{Workers: q.RuleOfThumb, Why: "nothing to compare it with"}
	a.StartPeak = m.startPeak(t)
	a.failures(t)

	p, ok := plateauOf(t, q.yardstick())
	d.plateau = p
	a.Fit, d.curve = chooseCurve(worked(t), q.CoresMeasured, q.Confidence)
	// The knee above is that of the figures as they are: an estimated spread moves intervals alone.
	t = a.estimateSpread(t, q)
	d.table = t
	a.Points = t.points(q.Confidence, m.feasible)
	if !ok {
		a.nothingMeasured(t, q)
		return d
	}
	a.OtherKnees = otherKnees(p.groups, a.Fit.Candidates)
	if len(p.groups) == 1 && q.Goal != GoalRate && !m.endsAt(p.groups[0].workers, q.Highest) {
		only := p.groups[0]
		a.caveat(CaveatOneCount, fmt.Sprintf("Of the counts allowed, only %s could be measured: there is nothing to compare with.", quantity(only.workers, "worker")),
			map[string]float64{"workers": float64(only.workers), "throughput_rps": only.mean})
		return d
	}
	c, ok := a.choose(p, m, h, q)
	d.choice = c
	if !ok {
		return d
	}
	c = a.atLeast(c, p, m, q)
	d.choice = c
	a.Made, a.Workers, a.LimitedBy = true, c.group.workers, c.limitedBy
	a.Throughput, a.Memory = c.group.mean, m.at(c.group)
	a.RuleOfThumb = compare(everything, c.group, t, m, q)
	return d
}

// missed is true where every count that fits missed the objective.
func (d *decision) missed() bool {
	return slices.ContainsFunc(d.advice.Caveats, func(c Caveat) bool { return c.Code == CaveatObjectiveNotMet })
}

// complete replaces what is missing or makes no sense by its default.
func (q Question) complete() Question {
	if !(q.Tolerance > 0 && q.Tolerance < 1) {
		q.Tolerance = DefaultTolerance
	}
	if !(q.Confidence > 0 && q.Confidence < 1) {
		q.Confidence = DefaultConfidence
	}
	q.Confidence = min(q.Confidence, MostConfidence)
	if !(q.MemoryHeadroom >= 0 && q.MemoryHeadroom < 1) {
		q.MemoryHeadroom = 0
	}
	if !(q.MemoryBytes > 0 && q.MemoryBytes <= mostMemory) {
		q.MemoryBytes = 0
	}
	if !(q.Cores > 0 && q.Cores <= mostSlots) {
		q.Cores = 0
	}
	if !(q.CoresMeasured > 0 && q.CoresMeasured <= mostSlots) {
		q.CoresMeasured = q.Cores
	}
	if !(q.Others >= leastThroughput && q.Others <= mostThroughput) {
		q.Others = 0
	}
	q.Lowest = min(max(q.Lowest, 1), mostWorkers)
	if q.Highest < q.Lowest || q.Highest > mostWorkers {
		q.Highest = mostWorkers
	}
	return q
}

func (q Question) yardstick() yardstick {
	return yardstick{cores: q.CoresMeasured, lowest: q.Lowest, highest: q.Highest, tolerance: q.Tolerance, others: q.Others}
}

// usableMemory is the limit less the headroom, in bytes; 0 without a limit.
func (q Question) usableMemory() float64 { return q.MemoryBytes * (1 - q.MemoryHeadroom) }

func worked(t table) []group {
	return slices.DeleteFunc(slices.Clone(t.groups), func(g group) bool { return !g.works() })
}

// A memoryCap says which counts fit.
type memoryCap struct {
	line   *MemoryLine
	limit  float64 // bytes, headroom taken off; 0 without
	killed int     // the smallest count that was killed; 0 without
	// over is the smallest count that took more than the limit, overBytes what it took; 0 without.
	over      int
	overBytes float64
	// starting is the line of the peaks of starts; nil without. perWorker is for where there is no line.
	starting  *MemoryLine
	perWorker float64
}

// needs is what a count may need, in bytes: the upper bound of the line, or the most that was
// measured where that is more; 0 when nothing is known. Memory may be known for some counts only: above
// one that took too much it is at least that.
func (m memoryCap) needs(g group) float64 {
	needs := g.memoryMost
	if m.over > 0 && g.workers > m.over {
		needs = math.Max(needs, m.overBytes)
	}
	if m.line != nil {
		needs = math.Max(needs, m.line.UpperAt(float64(g.workers)))
	}
	return needs
}

// at is the memory of a count: as measured, or else from the line; 0 when nothing is known.
func (m memoryCap) at(g group) float64 {
	if g.memory == 0 && m.line != nil {
		return math.Max(0, m.line.At(float64(g.workers)))
	}
	return g.memory
}

func (m memoryCap) fits(g group) bool {
	return (m.killed == 0 || g.workers < m.killed) && (m.limit == 0 || m.needs(g) <= m.limit)
}

// endsAt is true when memory is why nothing above a count was measured: the next one was killed,
// or does not fit.
func (m memoryCap) endsAt(workers, highest int) bool {
	if workers >= highest {
		return false
	}
	return m.killed > workers && m.killed <= highest || m.line != nil && m.line.HighestWithinCap >= 0 && m.line.HighestWithinCap <= workers
}

// feasible says whether a count can be run at all, and why not.
func (m memoryCap) feasible(g group) (bool, string) {
	switch {
	case g.killed:
		return false, m.killedWhy(g)
	case !g.works() && g.why != "":
		return false, g.why
	case !g.works():
		return false, "did not work"
	case m.killed > 0 && g.workers > m.killed:
		return false, fmt.Sprintf("%s already ran out of memory", quantity(m.killed, "worker"))
	case m.over > 0 && g.workers > m.over:
		return false, fmt.Sprintf("%s already took more than the %s it can have", quantity(m.over, "worker"), megabytes(m.limit))
	case !m.fits(g):
		return false, fmt.Sprintf("may need %s of the %s it can have", megabytes(m.needs(g)), megabytes(m.limit))
	}
	return true, ""
}

// A choice is a count with what decided it.
type choice struct {
	group     group
	limitedBy LimitedBy
	// fewer would do, where limitedBy is LimitedByLeast.
	fewer group
	// floor is the smallest count that the objective leaves, 0 without an objective; ceiling the
	// largest that memory leaves.
	floor, ceiling int
	rising         bool
}

// choose takes the throughput knee, raises it to what the objective needs and cuts it to what fits.
func (a *Advice) choose(p plateau, m memoryCap, h margins, q Question) (choice, bool) {
	c := choice{group: p.groups[p.knee], limitedBy: LimitedByThroughput, rising: p.rising(q.Tolerance)}
	fitting := slices.DeleteFunc(slices.Clone(p.groups), func(g group) bool { return !m.fits(g) })
	if len(fitting) == 0 {
		least := p.groups[0]
		a.caveat(CaveatMemoryTooSmall, fmt.Sprintf("Even %s may need %s, and %s can be used.", quantity(least.workers, "worker"), megabytes(m.needs(least)), megabytes(m.limit)),
			map[string]float64{"workers": float64(least.workers), "memory_bytes": m.needs(least), "limit_bytes": m.limit})
		return c, false
	}
	c.ceiling = fitting[len(fitting)-1].workers
	switch {
	case (c.rising || len(p.groups) == 1) && m.endsAt(p.groups[len(p.groups)-1].workers, q.Highest):
		c.limitedBy = LimitedByMemory
	case c.rising:
		c.limitedBy = LimitedBySearchRange
	}
	if !m.fits(c.group) {
		above := slices.IndexFunc(fitting, func(g group) bool { return g.workers > c.group.workers })
		switch {
		case above < 0:
			above = len(fitting)
		case above == 0:
			above = 1
		}
		c.group, c.limitedBy = fitting[above-1], LimitedByMemory
	}
	if q.Goal == GoalRate {
		return a.fewestHolding(c, fitting, p, m, h)
	}
	return a.meetObjective(c, fitting)
}

// meetObjective moves the choice to the nearest count above, or else below, that meets the
// objective, where there is one.
func (a *Advice) meetObjective(c choice, fitting []group) (choice, bool) {
	asked := slices.ContainsFunc(fitting, func(g group) bool { return g.meets != nil })
	if !asked {
		return c, true
	}
	meeting := slices.DeleteFunc(slices.Clone(fitting), func(g group) bool { return g.meets == nil || !*g.meets })
	if len(meeting) == 0 {
		message := fmt.Sprintf("No measured count meets the objective; %s, the throughput knee, misses it", quantity(c.group.workers, "worker"))
		if c.group.missed != "" {
			message += ": " + c.group.missed
		}
		a.caveat(CaveatObjectiveNotMet, message+".", map[string]float64{"workers": float64(c.group.workers), "throughput_rps": c.group.mean})
		return c, false
	}
	c.floor = meeting[0].workers
	if slices.ContainsFunc(meeting, func(g group) bool { return g.workers == c.group.workers }) {
		return c, true
	}
	above := slices.IndexFunc(meeting, func(g group) bool { return g.workers > c.group.workers })
	if above < 0 {
		above = len(meeting) - 1
		c.ceiling = meeting[above].workers
	}
	c.group, c.limitedBy = meeting[above], LimitedByObjective
	return c, true
}

// bracket sets the interval: the ratio test's, with an accepted curve's bootstrap, within what the
// objective and memory leave, and around the choice. Where the fewest that were measured may be enough,
// fewer may be too.
func (a *Advice) bracket(c choice, p plateau, t table, q Question, curve *parametricCurve) {
	in := p.interval(t, q.Confidence)
	if in.low == p.groups[0].workers {
		in.low = t.untriedBelow(in.low, q.Lowest)
	}
	if curve != nil {
		low, high := curve.bootstrap(t, p.groups, q)
		in.low = min(in.low, low)
		if in.resolved {
			in.high = max(in.high, high)
		}
	}
	a.HighResolved = in.resolved && !(c.rising && c.limitedBy != LimitedByMemory)
	if c.ceiling <= in.high {
		in.high = c.ceiling
		a.HighResolved = a.HighResolved || c.limitedBy == LimitedByMemory
	}
	a.Low, a.High = min(max(in.low, c.floor), a.Workers), max(in.high, a.Workers)
}

// compare sets the rule of thumb beside the choice by the ratio of throughputs: from the restarts that
// confirm it, or, as long as there are too few of these, from those of the search. Without repeats the
// interval is the ratio itself.
func compare(observations []Observation, chosen group, t table, m memoryCap, q Question) Comparison {
	rule, ok := t.at(q.RuleOfThumb)
	c := Comparison{Workers: q.RuleOfThumb, Holds: rule.meets}
	switch {
	case !ok:
		c.Why = "it was not measured"
		return c
	case !rule.works():
		_, c.Why = m.feasible(rule)
		return c
	case rule.bound:
		c.Why = "the load was the bottleneck"
		return c
	case rule.workers == chosen.workers:
		c.Measured, c.Ratio, c.RatioLow, c.RatioHigh = true, 1, 1, 1
		return c
	}
	if firm, ok := confirmation(observations, chosen, rule, t, q.Confidence); ok {
		firm.Workers, firm.Holds = c.Workers, c.Holds
		c = firm
	} else {
		c.ratioOf(t.estimate(chosen), t.estimate(rule), t.factor(q.Confidence))
		c.Restarts = min(chosen.n, rule.n)
	}
	c.Measured = true
	if mine, other := m.at(chosen), m.at(rule); mine > 0 && other > 0 {
		c.MemoryDifference = mine - other
	}
	return c
}

func (a *Advice) nothingMeasured(t table, q Question) {
	tried, allowed, inRange := 0, 0, 0
	for _, g := range t.groups {
		tried += g.n + g.failed
		if g.works() {
			allowed++
		}
		if g.workers >= q.Lowest && g.workers <= q.Highest {
			inRange++
		}
	}
	message := "Not one restart worked, so there is nothing to go by."
	switch {
	case tried == 0:
		message = "Nothing was measured."
	case allowed > 0 && inRange == 0:
		message = fmt.Sprintf("No count from %d to %d was tried in the time there was, and no other may be recommended.", q.Lowest, q.Highest)
	case allowed > 0:
		message = fmt.Sprintf("None of the counts from %d to %d that were tried worked, and no other may be recommended.", q.Lowest, q.Highest)
	}
	a.caveat(CaveatNothingMeasured, message, map[string]float64{"restarts": float64(tried)})
}

// failures tells of counts that did not work, and of observations that were none.
func (a *Advice) failures(t table) {
	var killed, starting, loaded, failed []int
	restarts, why := 0, ""
	for _, g := range t.groups {
		switch {
		case g.killedLoaded:
			killed, loaded = append(killed, g.workers), append(loaded, g.workers)
		case g.killed:
			killed, starting = append(killed, g.workers), append(starting, g.workers)
		case g.failed > 0:
			failed = append(failed, g.workers)
			restarts += g.failed
			why = g.why
		}
	}
	if len(killed) > 0 {
		a.caveat(CaveatKilledForMemory, fmt.Sprintf("The kernel killed the server for memory%s.", killedAt(starting, loaded)),
			map[string]float64{"workers": float64(killed[0])})
	}
	if len(failed) > 0 {
		message := fmt.Sprintf("%s failed at %s", quantity(restarts, "restart"), workersOf(failed))
		if why != "" {
			message += ": " + why
		}
		a.caveat(CaveatCountFailed, message+".", map[string]float64{"workers": float64(failed[0]), "restarts_failed": float64(restarts)})
	}
	if t.ignored > 0 {
		a.caveat(CaveatIgnored, fmt.Sprintf("%s left out: the figures are no measurements.", quantity(t.ignored, "observation")),
			map[string]float64{"observations": float64(t.ignored)})
	}
}

// killedAt says when counts were killed, and which.
func killedAt(starting, loaded []int) string {
	var parts []string
	if len(starting) > 0 {
		parts = append(parts, " while it started, at "+workersOf(starting))
	}
	if len(loaded) > 0 {
		parts = append(parts, " under load, at "+workersOf(loaded))
	}
	return strings.Join(parts, ", and")
}

// doubts tells what makes the recommendation less sure.
func (a *Advice) doubts(observations []Observation, c choice, p plateau, t table, q Question) {
	last := p.groups[len(p.groups)-1]
	if c.rising && c.limitedBy != LimitedByMemory {
		a.caveat(CaveatSearchRange, fmt.Sprintf("Throughput was still rising at %s, the most that were measured: not resolved up to there, the best count may be higher.", quantity(last.workers, "worker")),
			map[string]float64{"workers": float64(last.workers), "throughput_rps": last.mean})
	}
	if i := slices.IndexFunc(p.groups, func(g group) bool { return g.bound }); i >= 0 {
		bound := p.groups[i]
		a.caveat(CaveatGeneratorBound, fmt.Sprintf("The load was the bottleneck at %s, not the server, so %s requests per second and %s are a lower bound.",
			quantity(bound.workers, "worker"), figure(bound.mean), quantity(c.group.workers, "worker")),
			map[string]float64{"workers": float64(bound.workers), "throughput_rps": bound.mean})
		a.HighResolved = false
	}
	if c.group.bound { // a lower bound: what follows is about how good an estimate it is
		return
	}
	if !a.HighResolved && !(c.rising && c.limitedBy != LimitedByMemory) {
		a.caveat(CaveatNotResolved, fmt.Sprintf("Not resolved up to %s: the restarts differ too much, or are too few, to say which count is enough; more time would tell.", quantity(last.workers, "worker")),
			map[string]float64{"workers_measured": float64(last.workers), "spread_share": t.spread})
	}
	if n := c.group.n + len(confirmed(observations, c.group.workers)); n < 3 || t.freedom == 0 {
		a.caveat(CaveatFewRepeats, fmt.Sprintf("%s had %s; three or more make the figures firm.", quantity(c.group.workers, "worker"), quantity(n, "restart")),
			map[string]float64{"restarts": float64(n)})
	}
	a.unconfirmed(observations, c, t, q)
	if t.freedom > 0 && !t.estimated && t.spread > q.Tolerance {
		a.caveat(CaveatNoisy, fmt.Sprintf("Throughput differed by %s between restarts of the same count, more than the %s that decide.", percent(t.spread), percent(q.Tolerance)),
			map[string]float64{"spread_share": t.spread, "tolerance_share": q.Tolerance})
	}
	if q.MemoryBytes > 0 && a.Memory == 0 {
		a.caveat(CaveatMemoryUnknown, "Memory was not measured, so the limit was not checked beyond what ran.", map[string]float64{"limit_bytes": q.MemoryBytes})
	}
}

// unconfirmed tells when the comparison with the rule of thumb rests on the search alone, when the
// restarts that confirm it say something else, and when the machine changed meanwhile.
func (a *Advice) unconfirmed(observations []Observation, c choice, t table, q Question) {
	r := a.RuleOfThumb
	rule, measured := t.at(q.RuleOfThumb)
	if q.Goal != GoalRate && r.Measured && !r.Confirmed && r.Workers != a.Workers && slices.ContainsFunc(observations, func(o Observation) bool { return o.At > 0 }) {
		a.caveat(CaveatNotConfirmed, fmt.Sprintf("%s and %d were not run against each other at the end, three times each: their ratio is the search's own.", quantity(a.Workers, "worker"), r.Workers),
			map[string]float64{"restarts": float64(r.Restarts)})
	}
	if r.Confirmed && measured {
		searched := t.estimate(c.group).log - t.estimate(rule).log
		err := math.Hypot(t.cautious(c.group).err, t.cautious(rule).err)
		err = math.Hypot(err, math.Log(r.RatioHigh/r.RatioLow)/2/studentT(q.Confidence, max(t.freedom, 1)))
		if off := math.Abs(searched - math.Log(r.Ratio)); off > q.Tolerance/2 && off > settledAt(0.99)*err {
			a.caveat(CaveatConfirmationDiffers, fmt.Sprintf("In the search the recommended count answered %.2f times what the rule of thumb does, and %.2f times when both ran in alternation: the machine or the server changed meanwhile.", math.Exp(searched), r.Ratio),
				map[string]float64{"ratio_searched": math.Exp(searched), "ratio_confirmed": r.Ratio})
		}
	}
	if a.Drift.matters(q.Tolerance) {
		d := a.Drift
		where := "all worker counts taken together"
		if d.Workers > 0 {
			where = fmt.Sprintf("with %s; with other counts it changed otherwise or not at all", quantity(d.Workers, "worker"))
		}
		a.caveat(CaveatDrift, fmt.Sprintf("Throughput drifted by %+.1f %% (%+.1f to %+.1f) over the %.0f s of the sweep, %s.", 100*d.Share, 100*d.Low, 100*d.High, d.Span, where),
			map[string]float64{"workers": float64(d.Workers), "share": d.Share, "share_low": d.Low, "share_high": d.High, "p": d.P, "span_seconds": d.Span})
	}
}

// reasons justify the number in a few sentences.
func (a *Advice) reasons(d decision, q Question) []string {
	c, p, m := d.choice, d.plateau, d.memory
	knee, level := p.groups[p.knee], p.line-math.Log1p(-q.Tolerance)
	first := fmt.Sprintf("%s answered %s requests per second, ", quantity(knee.workers, "worker"), figure(knee.mean))
	switch {
	case p.knee == p.best && knee.n == p.topRestarts:
		first += "the most of all"
	case p.others:
		first += fmt.Sprintf("%.1f %% of the %s that another shape reaches", 100*math.Exp(p.fit[p.knee]-level), figure(math.Exp(level)))
	case p.fit[p.knee] >= level-0.0005: // no more than the last digit shown
		first += "as many as any"
	default:
		share := math.Exp(p.fit[p.knee] - level)
		if own := knee.mean / math.Exp(level); math.Abs(own-share) > 0.01 { // what stands beside it says otherwise
			first += "by all counts together "
		}
		first += fmt.Sprintf("%.1f %% of the %s that more reach", 100*share, figure(math.Exp(level)))
	}
	if p.knee > 0 {
		first += fmt.Sprintf("; %d reached %.1f %%.", p.groups[p.knee-1].workers, 100*math.Exp(p.fit[p.knee-1]-level))
	} else {
		first += "; no fewer were measured."
	}
	reasons := []string{first}
	switch {
	case q.Goal == GoalRate:
		reasons = []string{a.reasonAtRate(p, d.margins), first}
		if c.limitedBy == LimitedByLeast {
			reasons = slices.Insert(reasons, 1, c.whyLeast(p, m, q.Goal))
		}
	case c.limitedBy == LimitedByMemory:
		reasons = append(reasons, fmt.Sprintf("Memory allows no more than %s.", quantity(c.ceiling, "worker")))
	case c.limitedBy == LimitedByObjective:
		reasons = append(reasons, fmt.Sprintf("The objective decides: it is met at %s and not at %d.", quantity(c.group.workers, "worker"), knee.workers))
	case c.limitedBy == LimitedBySearchRange:
		reasons = append(reasons, "Throughput was still rising at the end of the range.")
	case c.limitedBy == LimitedByLeast:
		reasons = append(reasons, c.whyLeast(p, m, q.Goal))
	}
	if a.Fit.Accepted || medianDemand(p.groups) > 0 {
		reasons = append(reasons, capital(a.Fit.Reading)+".")
	}
	if a.Waiting != nil {
		reasons = append(reasons, a.Waiting.reason())
	}
	if m.line != nil && a.Memory > 0 {
		memory := fmt.Sprintf("Each worker adds %s: %s in all", megabytes(m.line.Marginal), megabytes(a.Memory))
		if q.MemoryBytes > 0 {
			memory += fmt.Sprintf(" of %s", megabytes(q.MemoryBytes))
		}
		reasons = append(reasons, memory+".")
	}
	return reasons
}
