package model

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// A Goal is what a count is chosen for.
type Goal string

// The goals. GoalCapacity asks for all that the cores can do; an empty goal stands for it. GoalRate asks for
// the fewest workers that hold the objective at the rate of the traffic.
const (
	GoalCapacity Goal = "capacity"
	GoalRate     Goal = "rate"
)

const (
	// mostMargin bounds a margin on both sides: what is away from its limit by a factor of e is not near it,
	// and how far it is says nothing about the noise of what is near.
	mostMargin = 1.0
	// expectedMarginSpread weighs as much as expectedFreedom repeats would: the 95th percentile of a window of
	// two hundred requests with an exponential tail scatters by a tenth.
	expectedMarginSpread = 0.10
)

// margins say of each count by how much it holds the objective at the rate. A margin is the logarithm of the
// limit over what was seen, the least over the parts of the objective. All restarts count that were loaded at
// the rate, whatever they were for: an objective is a promise. The spread between the restarts of one count is
// pooled over the counts whose margins are not at their bounds.
type margins struct {
	of map[int][]float64
	// best is the largest of each count before it was bounded.
	best map[int]float64
	// hopeless are counts of which every restart answered far less than the rate at full load: how much less
	// varies as throughput does, and not as an objective's margin.
	hopeless map[int]bool
	spread   float64 // that is to be expected of the next restart
	settled  float64 // the distance to zero, in standard errors, past which a side is sure
}

func marginsOf(observations []Observation, confidence float64) margins {
	m := margins{of: map[int][]float64{}, best: map[int]float64{}, hopeless: map[int]bool{}, settled: settledAt(confidence)}
	for _, o := range observations {
		if o.Failed || o.Margin == nil || math.IsNaN(*o.Margin) {
			continue
		}
		if best, seen := m.best[o.Workers]; !seen || *o.Margin > best {
			m.best[o.Workers] = *o.Margin
		}
		m.hopeless[o.Workers] = o.Hopeless && (len(m.of[o.Workers]) == 0 || m.hopeless[o.Workers])
		m.of[o.Workers] = append(m.of[o.Workers], math.Max(-mostMargin, math.Min(*o.Margin, mostMargin)))
	}
	m.spread = m.spreadBut(0)
	return m
}

// spreadBut leaves the restarts of a count out; 0 is none.
func (m margins) spreadBut(workers int) float64 {
	squares, freedom := 0.0, 0
	for n, list := range m.of {
		if n == workers {
			continue
		}
		if inside := slices.Max(list) < mostMargin && slices.Min(list) > -mostMargin; inside && len(list) > 1 {
			squares += stat.Variance(list, nil) * float64(len(list)-1)
			freedom += len(list) - 1
		}
	}
	return math.Sqrt((expectedFreedom*expectedMarginSpread*expectedMarginSpread + squares) / float64(expectedFreedom+freedom))
}

// at is the mean margin of a count with its standard error, by its own spread where that is larger than the
// pooled one. n is how many restarts it has; 0 is none.
func (m margins) at(workers int) (mean, err float64, n int) {
	list := m.of[workers]
	if len(list) == 0 {
		return 0, math.Inf(1), 0
	}
	spread := m.spread
	if len(list) > 1 {
		spread = math.Max(spread, stat.StdDev(list, nil))
	}
	return stat.Mean(list, nil), spread / math.Sqrt(float64(len(list))), len(list)
}

// holds is true for a count whose mean margin is not below zero, and of whose restarts none missed by more than
// the noise of the others: a restart that is far off would hide in the noise that it makes.
func (m margins) holds(workers int) bool {
	mean, _, n := m.at(workers)
	return n > 0 && mean >= 0 && slices.Min(m.of[workers]) >= -m.settled*m.spreadBut(workers)
}

// clearlyHolds and surelyMisses are false for a count that is near the limit.
func (m margins) clearlyHolds(workers int) bool {
	mean, err, _ := m.at(workers)
	return mean > m.settled*err && m.holds(workers)
}

// surelyHolds takes a second restart to say so too: the first one that was lucky is the one that is chosen.
func (m margins) surelyHolds(workers int) bool {
	return len(m.of[workers]) > 1 && m.clearlyHolds(workers)
}

func (m margins) surelyMisses(workers int) bool {
	mean, err, n := m.at(workers)
	return n > 0 && (m.hopeless[workers] || mean < -m.settled*err)
}

// judge replaces each count's word on the objective by that of its margins.
func (m margins) judge(groups []group) {
	for i := range groups {
		g := &groups[i]
		if g.meets = nil; len(m.of[g.workers]) > 0 {
			holds := m.holds(g.workers)
			g.meets = &holds
		}
	}
}

// first returns the index of the first of the groups for which ok is true, -1 without one.
func first(groups []group, ok func(workers int) bool) int {
	return slices.IndexFunc(groups, func(g group) bool { return ok(g.workers) })
}

// A Capacity is the count for all that the cores can do, beside one that was chosen for a rate.
type Capacity struct {
	Workers int
	// Throughput in requests per second and Memory in bytes, at Workers; Memory 0 is unknown.
	Throughput, Memory float64
	// AtLeast is true where more workers, or a stronger load generator, may do more.
	AtLeast   bool
	LimitedBy LimitedBy
}

// fewestHolding moves the choice from the count for all the cores can do to the fewest that hold the
// objective at the rate. More workers may hold it worse, where they are more than the cores; the fewest are
// taken whatever those above do.
func (a *Advice) fewestHolding(c choice, fitting []group, p plateau, m memoryCap, h margins) (choice, bool) {
	a.Capacity = &Capacity{
		Workers: c.group.workers, Throughput: c.group.mean, Memory: m.at(c.group),
		AtLeast: c.group.bound || c.limitedBy == LimitedBySearchRange, LimitedBy: c.limitedBy,
	}
	i := first(fitting, h.holds)
	if i < 0 {
		a.caveat(CaveatObjectiveNotMet, noneHolds(fitting, p.groups, h), map[string]float64{"workers": float64(c.group.workers), "throughput_rps": c.group.mean})
		return c, false
	}
	c.group, c.limitedBy, c.rising = fitting[i], LimitedByObjective, false
	return c, true
}

// noneHolds names the count that comes nearest, and one that would hold the rate but does not fit.
func noneHolds(fitting, all []group, h margins) string {
	nearest, best := fitting[0], math.Inf(-1)
	for _, g := range fitting {
		if margin, seen := h.best[g.workers]; seen && margin > best {
			nearest, best = g, margin
		}
	}
	message := fmt.Sprintf("No measured count holds the objective at the rate; %s nearest", comes(nearest.workers))
	if nearest.missed != "" {
		message += ": " + nearest.missed
	}
	if i := first(all, h.holds); i >= 0 {
		message += fmt.Sprintf("; %s it, but may not fit into memory", hold(all[i].workers))
	}
	return message + "."
}

func comes(workers int) string {
	if workers == 1 {
		return "1 worker comes"
	}
	return fmt.Sprintf("%d workers come", workers)
}

func hold(workers int) string {
	if workers == 1 {
		return "1 worker holds"
	}
	return fmt.Sprintf("%d workers hold", workers)
}

// bracketAtRate sets the interval of that decision: from the fewest that do not surely miss to the fewest that
// surely hold. What lies between two measured counts is as unsure as the upper one.
func (a *Advice) bracketAtRate(c choice, p plateau, t table, h margins, q Question) {
	a.Low = t.untriedBelow(p.groups[0].workers, q.Lowest)
	for _, g := range p.groups {
		if g.workers >= a.Workers || !h.surelyMisses(g.workers) {
			break
		}
		a.Low = g.workers + 1
	}
	a.Low = min(max(a.Low, c.floor), a.Workers)
	a.High, a.HighResolved = c.ceiling, false
	for _, g := range p.groups {
		if g.workers >= a.Workers && g.workers <= c.ceiling && h.surelyHolds(g.workers) {
			a.High, a.HighResolved = g.workers, true
			break
		}
	}
}

// doubtsAtRate tells what makes a count that was chosen for a rate less sure.
func (a *Advice) doubtsAtRate(observations []Observation, c choice, p plateau, t table, h margins, q Question) {
	mean, err, n := h.at(a.Workers)
	switch {
	case !a.HighResolved:
		a.caveat(CaveatNotResolved, fmt.Sprintf("No count surely holds the objective at the rate: %s it with %s to spare, too little to be sure of after %s; more time would tell.", hold(a.Workers), percent(spare(mean)), quantity(n, "restart")),
			map[string]float64{"workers_measured": float64(p.groups[len(p.groups)-1].workers), "spread_share": h.spread, "margin_share": spare(mean), "margin_error_share": err})
	case a.High > a.Workers:
		a.caveat(CaveatNearObjective, fmt.Sprintf("%s the objective at the rate with %s to spare, too little to be sure of after %s; %d surely do.", capital(hold(a.Workers)), percent(spare(mean)), quantity(n, "restart"), a.High),
			map[string]float64{"workers": float64(a.Workers), "workers_surely": float64(a.High), "margin_share": spare(mean), "margin_error_share": err})
	}
	if n < 3 {
		a.caveat(CaveatFewRepeats, fmt.Sprintf("%s had %s at the rate; three or more make the figures firm.", quantity(a.Workers, "worker"), quantity(n, "restart")),
			map[string]float64{"restarts": float64(n)})
	}
	a.unconfirmed(observations, c, t, q)
	if q.MemoryBytes > 0 && a.Memory == 0 {
		a.caveat(CaveatMemoryUnknown, "Memory was not measured, so the limit was not checked beyond what ran.", map[string]float64{"limit_bytes": q.MemoryBytes})
	}
}

// spare is the share of a limit that is left below it.
func spare(margin float64) float64 { return -math.Expm1(-margin) }

// reasonAtRate says why it is this count, beside the one below.
func (a *Advice) reasonAtRate(p plateau, h margins) string {
	mean, _, n := h.at(a.Workers)
	text := fmt.Sprintf("%s the objective at the rate with %s to spare, by %s", capital(hold(a.Workers)), percent(spare(mean)), quantity(n, "restart"))
	if mean >= mostMargin {
		text = fmt.Sprintf("%s the objective at the rate easily, by %s", capital(hold(a.Workers)), quantity(n, "restart"))
	}
	at := slices.IndexFunc(p.groups, func(g group) bool { return g.workers == a.Workers })
	if at == 0 {
		return text + "; no fewer were measured."
	}
	below := p.groups[at-1]
	if h.holds(below.workers) {
		return text + "."
	}
	if len(h.of[below.workers]) == 0 {
		return text + fmt.Sprintf("; whether %d would is not known.", below.workers)
	}
	if below.workers == 1 {
		text += "; 1 does not"
	} else {
		text += fmt.Sprintf("; %d do not", below.workers)
	}
	if below.missed != "" {
		text += ": " + below.missed
	}
	return text + "."
}

// QuantileError is the relative standard error of a quantile of so many independent times with an exponential
// tail, as those of a queue have: that of an order statistic is sqrt(q (1-q) / n) over the density there.
//
// # References
//
// David, Nagaraja, Order Statistics, 3rd edition, 2003, section 10.2.
func QuantileError(q float64, n uint64) float64 {
	if !(q > 0 && q < 1) || n == 0 {
		return math.Inf(1)
	}
	return math.Sqrt(q/((1-q)*float64(n))) / -math.Log1p(-q)
}
