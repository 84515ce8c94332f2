package model

import (
	"fmt"
	"math"
	"slices"
)

// fromLeast returns the index of the smallest count of least workers or more that may be chosen and, unless a
// rate decides, reaches the line: it gives up no more throughput than any other choice may. ok is false without
// one.
func (p plateau) fromLeast(least int, goal Goal, may func(group) bool) (i int, ok bool) {
	for i, g := range p.groups {
		if g.workers >= least && (goal == GoalRate || p.fit[i] >= p.line-rounding) && may(g) {
			return i, true
		}
	}
	return 0, false
}

// sought is the index of the count that is recommended where nothing but throughput and the least decides.
func (p plateau) sought(least int) int {
	if p.groups[p.knee].workers >= least {
		return p.knee
	}
	if i, ok := p.fromLeast(least, GoalCapacity, func(g group) bool { return g.meets == nil || *g.meets }); ok {
		return i
	}
	return p.knee
}

// atLeast raises the choice to Question.Least workers, where so many fit into memory, meet the objective and
// give up no more throughput than the tolerance, or hold the rate. Where they don't, the choice stays and is a doubt: throughput
// alone does not show that a worker that is stuck, or restarted, leaves nobody to answer.
func (a *Advice) atLeast(c choice, p plateau, m memoryCap, q Question) choice {
	if c.group.workers >= q.Least {
		return c
	}
	may := func(g group) bool { return m.fits(g) && (g.meets == nil || *g.meets) }
	if i, ok := p.fromLeast(q.Least, q.Goal, may); ok {
		c.fewer, c.group, c.limitedBy, c.floor = c.group, p.groups[i], LimitedByLeast, p.groups[i].workers
		return c
	}
	figures := map[string]float64{"workers": float64(c.group.workers), "least": float64(q.Least)}
	message := fmt.Sprintf("%s and not %d: %s.", quantity(c.group.workers, "worker"), q.Least, c.whyFewer(p, m, q, figures))
	if c.group.workers == 1 {
		message += " A single slow request stops everybody there, and nobody answers while the worker is restarted."
	}
	a.caveat(CaveatFewerThanLeast, message, figures)
	return c
}

// whyFewer says why there is no count of the least workers or more, and adds the figures behind it.
func (c choice) whyFewer(p plateau, m memoryCap, q Question, figures map[string]float64) string {
	i := slices.IndexFunc(p.groups, func(g group) bool { return g.workers >= q.Least })
	switch {
	case q.Highest < q.Least:
		return fmt.Sprintf("no more than %d are allowed", q.Highest)
	case i < 0 && m.endsAt(c.group.workers, q.Highest), i >= 0 && !m.fits(p.groups[i]):
		return "more do not fit in memory"
	case i < 0:
		return "more were not measured"
	case p.groups[i].meets != nil && !*p.groups[i].meets:
		return "more miss the objective"
	}
	lost := 1 - math.Exp(p.fit[i]-p.level)
	figures["throughput_lost_share"] = lost
	return fmt.Sprintf("%d would answer %s less, more than the %s that may be given up", p.groups[i].workers, percent(lost), percent(q.Tolerance))
}

// whyLeast is the reason for a choice that was raised, with what that costs beside the fewer.
func (c choice) whyLeast(p plateau, m memoryCap, goal Goal) string {
	would, but := "do for throughput", "and more are asked for"
	if goal == GoalRate {
		would = "hold the rate"
	}
	if c.fewer.workers == 1 {
		but = "but a slow request, or a restart, would stop everybody"
	}
	return fmt.Sprintf("%s would %s, %s: %d cost %s more.", quantity(c.fewer.workers, "worker"), would, but, c.group.workers, c.cost(p, m))
}

// cost is what the choice takes more than the fewer: memory, as far as it is known, and throughput, by the fit
// through all counts.
func (c choice) cost(p plateau, m memoryCap) string {
	at := func(g group) int {
		return slices.IndexFunc(p.groups, func(other group) bool { return other.workers == g.workers })
	}
	throughput := "no throughput"
	if lost := 1 - math.Exp(p.fit[at(c.group)]-p.fit[at(c.fewer)]); lost >= 0.0005 { // no more than the last digit shown
		throughput = fmt.Sprintf("%.1f %% of the throughput", 100*lost)
	}
	if before, after := m.at(c.fewer), m.at(c.group); before > 0 && after > 0 {
		return fmt.Sprintf("%s and %s", megabytes(math.Max(after-before, 0)), throughput)
	}
	return throughput
}
