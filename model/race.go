package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// An Entrant is one variant of a server, such as a worker class with so many threads, with the plan to
// measure it by and the question that it has to answer.
type Entrant struct {
	// Variant is its name, in words.
	Variant  string
	Search   Search
	Question Question
}

// A Race is one plan over several variants. Each is searched as it would be alone, until it is sure not
// to be chosen: because its best stays below what others reach, or because it surely needs more memory
// for as much. So restarts go where they may still change the choice. Like a Search it holds no state.
//
// # References
//
// Maron, Moore, Hoeffding races, Advances in Neural Information Processing Systems 6, 1994; Birattari
// and others, A racing algorithm for configuring metaheuristics, GECCO 2002.
type Race []Entrant

// Next returns the next step: first looks at all variants in turn, then restarts of those that may
// still be chosen, the one with the fewest first. It is Resolved when one is left, and settled.
func (r Race) Next(observations []Observation) Step {
	field := r.field(observations)
	var looks, open []runner
	for _, x := range field.runners {
		switch {
		case x.step.Done:
		case x.looking:
			looks = append(looks, x)
		case !field.beaten(x):
			open = append(open, x)
		}
	}
	for _, list := range [][]runner{looks, open} {
		if len(list) > 0 {
			next := slices.MinFunc(list, func(a, b runner) int { return cmp.Compare(a.restarts, b.restarts) })
			return next.step
		}
	}
	return r.end(field)
}

// end says how the race ended: as its only survivor did, or with several that can't be told apart.
func (r Race) end(f field) Step {
	left := slices.DeleteFunc(slices.Clone(f.runners), f.beaten)
	switch {
	case len(left) == 0:
		return f.runners[0].step
	case len(left) == 1:
		return left[0].step
	}
	if i := slices.IndexFunc(left, func(x runner) bool { return x.step.GeneratorBound }); i >= 0 {
		return left[i].step // no restart tells more of servers that are faster than the generator
	}
	names := make([]string, len(left))
	for i, x := range left {
		names[i] = x.Variant
	}
	return Step{Done: true, Why: fmt.Sprintf("%s stay too near to each other to tell", joined(names))}
}

// Confirm is the function Confirm for the variant that Advise chooses.
func (r Race) Confirm(observations []Observation) Step {
	e := r[r.Advise(observations).Chosen]
	e.Question.Others = r.field(observations).others[e.Variant]
	step := Confirm(byVariant(observations)[e.Variant], e.Question)
	step.Variant = e.Variant
	return step
}

// LatencyLeft are the counts of the variant that Advise chooses whose latency Confirm would still ask for.
func (r Race) LatencyLeft(observations []Observation) []int {
	standings := r.Advise(observations)
	a := standings.Choice().Advice
	bound := slices.ContainsFunc(a.Points, func(p Point) bool { return p.Workers == a.Workers && p.GeneratorBound })
	if !a.Made || bound {
		return nil
	}
	return latencyLeft(a, byVariant(observations)[r[standings.Chosen].Variant])
}

// FirstLook is the counts of a variant that are measured whatever they show, in their order.
func (r Race) FirstLook(variant string) []int {
	if i := r.index(variant); i >= 0 {
		return r[i].Search.FirstLook()
	}
	return nil
}

func (r Race) index(variant string) int {
	return slices.IndexFunc(r, func(e Entrant) bool { return e.Variant == variant })
}

// A field is where the runners of a race are.
type field struct {
	runners []runner
	// others is the highest throughput that is reached by each runner's rivals, by variant.
	others map[string]float64
}

// A runner is an entrant with what was seen of it.
type runner struct {
	Entrant
	step     Step
	restarts int
	// looking is true before the end of its first look, rising while more workers are still tried.
	looking, rising bool
	// top is the logarithm of its best throughput that fits and meets what is asked, with its error.
	top estimate
	// works is false without one.
	works bool
	// least and most bound the memory of its smallest count that reaches the line and meets what is asked:
	// what may be enough, and what surely is. Infinite where nothing is, zero where memory is not known.
	least, most float64
}

// field surveys all variants.
func (r Race) field(observations []Observation) field {
	f := field{others: map[string]float64{}}
	apart := byVariant(observations)
	tops := make([]float64, len(r))
	for i, e := range r {
		if d := decide(apart[e.Variant], e.Question.complete()); !d.missed() {
			tops[i] = d.best()
		}
	}
	for i, e := range r {
		own := apart[e.Variant]
		rivals := slices.Delete(slices.Clone(tops), i, i+1)
		others := 0.0
		if len(rivals) > 0 && e.Question.Goal != GoalRate { // which each holds, or does not, by itself
			others = slices.Max(rivals)
		}
		f.others[e.Variant] = others
		e.Search.Others = others
		x := runner{Entrant: e, step: e.Search.Next(own), restarts: len(own)}
		x.step.Variant = e.Variant
		x.survey(own)
		x.works = x.works && tops[i] > 0
		f.runners = append(f.runners, x)
	}
	return f
}

func byVariant(observations []Observation) map[string][]Observation {
	apart := map[string][]Observation{}
	for _, o := range observations {
		apart[o.Variant] = append(apart[o.Variant], o)
	}
	return apart
}

// best is the best throughput of the counts that fit, in requests per second; 0 without one.
func (d decision) best() float64 {
	best := math.Inf(-1)
	for i, g := range d.plateau.groups {
		if d.memory.fits(g) {
			best = math.Max(best, d.plateau.fit[i])
		}
	}
	return math.Exp(math.Min(best, d.plateau.level))
}

func (x *runner) survey(observations []Observation) {
	s := x.Search.complete()
	v := s.survey(observations)
	_, x.looking = s.firstLook(v)
	x.least, x.most = math.Inf(1), math.Inf(1)
	if !v.ok {
		return
	}
	p := v.plateau
	if s.Goal == GoalRate {
		x.surveyAtRate(s, v)
		return
	}
	_, x.rising = s.extend(v)
	x.top, x.works = estimate{p.level, p.topError}, true
	// Held against the rivals' line, even one out of its reach.
	line := p.line
	if x.Search.Others > 0 {
		line = math.Max(line, math.Log(x.Search.Others)+math.Log1p(-s.Tolerance))
	}
	_, atLeast := p.fromLeast(s.Least, GoalCapacity, func(g group) bool { return g.meets == nil || *g.meets })
	for i, g := range p.groups {
		if g.meets != nil && !*g.meets || atLeast && g.workers < s.Least {
			continue
		}
		margin := v.settled * p.distanceError(i)
		if p.fit[i]+margin >= line {
			x.least = math.Min(x.least, g.memory)
		}
		if p.fit[i]-margin >= line {
			x.most = math.Min(x.most, g.memory)
		}
	}
}

// beaten is true for a runner that is sure not to be chosen.
func (f field) beaten(x runner) bool {
	if !x.works || x.looking || x.rising {
		return x.step.Done && !x.works
	}
	settled := settledAt(x.Search.complete().Confidence)
	for _, other := range f.runners {
		if other.Variant == x.Variant || !other.works {
			continue
		}
		line := other.top.log + math.Log1p(-x.Search.complete().Tolerance)
		if x.Search.Goal != GoalRate && x.top.log+settled*math.Hypot(x.top.err, other.top.err) < line {
			return true
		}
		if other.most < x.least && other.most > 0 {
			return true
		}
	}
	return false
}

// A Standing is what one variant can do beside the others.
type Standing struct {
	Variant string
	// Advice is that on the variant alone, its knee held against the best of all.
	Advice Advice
	// Enough is true when its recommended count reaches (1 - Tolerance) of the best of all variants.
	Enough bool
	// Ratio is its throughput over that of the chosen shape, each at its recommended count, with its
	// interval; 0 where there is none.
	Ratio, RatioLow, RatioHigh float64
	// Room is the largest measured count that takes no more memory than the chosen shape does; 0 when none
	// is known to. RoomThroughput is what it answers, in requests per second.
	Room           int
	RoomThroughput float64
}

// Standings compares variants.
type Standings struct {
	// All are in the order of the race.
	All []Standing
	// Chosen is an index into All: the variant that needs the least memory for (1 - Tolerance) of the best
	// throughput. Where nothing can be recommended it is the one that was measured most.
	Chosen int
}

// Choice is the standing of the chosen variant.
func (s Standings) Choice() Standing { return s.All[s.Chosen] }

// alikeMemory is the share by which two amounts of memory have to differ to decide between variants.
const alikeMemory = 0.02

// Advise recommends a variant and its count. Each variant is advised on by itself, its knee held against
// the best of all; of those that reach that the one that needs the least memory is chosen, and of those
// that need as much the one that answers most. With a cap on memory, all are compared below that cap.
// With a single variant it is the function Advise.
//
// Where the memory of one is not known, fewer slots stand for less of it.
//
// For GoalRate a variant is enough that holds the rate with some count; of those that need as much memory the
// one with the fewest workers is chosen.
func (r Race) Advise(observations []Observation) Standings {
	apart, f := byVariant(observations), r.field(observations)
	var s Standings
	var made []decision
	for _, e := range r {
		e.Question.Others = f.others[e.Variant]
		made = append(made, decide(apart[e.Variant], e.Question.complete()))
		s.All = append(s.All, Standing{Variant: e.Variant, Advice: Advise(apart[e.Variant], e.Question)})
	}
	best := 0.0
	for _, x := range f.runners {
		best = math.Max(best, f.others[x.Variant])
	}
	for i, d := range made {
		s.All[i].Enough = d.advice.Made && (best == 0 || d.reached() >= math.Log(best)+math.Log1p(-r[i].Question.complete().Tolerance)-rounding)
	}
	s.Chosen = s.choose(made)
	s.compare(made, r[s.Chosen].Question.complete().Confidence)
	s.explain(f)
	return s
}

// reached is the logarithm of the chosen count's throughput, by the curve it was chosen on.
func (d decision) reached() float64 {
	for i, g := range d.plateau.groups {
		if g.workers == d.advice.Workers {
			return d.plateau.fit[i]
		}
	}
	return math.Inf(-1)
}

// choose returns the index of the least costly of those that are enough; where none is, of the one that
// answers most; where nothing can be recommended, of the one that was measured most.
func (s Standings) choose(made []decision) int {
	var enough, advised []int
	for i, x := range s.All {
		if x.Enough {
			enough = append(enough, i)
		}
		if x.Advice.Made {
			advised = append(advised, i)
		}
	}
	throughput := func(a, b int) int { return cmp.Compare(s.All[a].Advice.Throughput, s.All[b].Advice.Throughput) }
	switch {
	case len(enough) > 0:
		cost := costs(made, enough)
		least := slices.Min(cost)
		var alike []int
		for k, i := range enough {
			if cost[k] <= least*(1+alikeMemory) {
				alike = append(alike, i)
			}
		}
		if made[alike[0]].advice.Capacity != nil { // for a rate
			return slices.MinFunc(alike, func(a, b int) int { return cmp.Compare(s.All[a].Advice.Workers, s.All[b].Advice.Workers) })
		}
		return slices.MaxFunc(alike, throughput)
	case len(advised) > 0:
		return slices.MaxFunc(advised, throughput)
	}
	most := 0
	for i, d := range made {
		if len(d.plateau.groups) > len(made[most].plateau.groups) {
			most = i
		}
	}
	return most
}

// costs are the memory of each, or its slots where the memory of one is not known.
func costs(made []decision, of []int) []float64 {
	memory, slots := make([]float64, len(of)), make([]float64, len(of))
	for k, i := range of {
		memory[k], slots[k] = made[i].advice.Memory, float64(made[i].choice.group.slots)
	}
	if slices.Contains(memory, 0) {
		return slots
	}
	return memory
}

// compare sets each variant beside the chosen one: at its own count, and in the same memory.
func (s Standings) compare(made []decision, confidence float64) {
	if !s.Choice().Advice.Made {
		return
	}
	chosen := made[s.Chosen]
	base := chosen.table.cautious(chosen.choice.group)
	for i := range s.All {
		x, d := &s.All[i], made[i]
		if x.Advice.Made {
			own := d.table.cautious(d.choice.group)
			freedom := max(d.table.freedom+chosen.table.freedom, 1)
			c := Comparison{}
			c.ratioOf(own, base, studentT(confidence, freedom))
			x.Ratio, x.RatioLow, x.RatioHigh = c.Ratio, c.RatioLow, c.RatioHigh
		}
		for _, g := range d.plateau.groups {
			if chosen.advice.Memory > 0 && g.memory > 0 && g.memory <= chosen.advice.Memory*(1+alikeMemory) && d.memory.fits(g) {
				x.Room, x.RoomThroughput = g.workers, g.mean
			}
		}
	}
	own := &s.All[s.Chosen]
	own.Ratio, own.RatioLow, own.RatioHigh = 1, 1, 1
}

// explain adds to the chosen advice why it is this variant, and a caveat where that is not sure.
func (s Standings) explain(f field) {
	a := &s.All[s.Chosen].Advice
	if !a.Made || len(s.All) == 1 {
		return
	}
	for i, x := range s.All {
		if i == s.Chosen {
			continue
		}
		a.Reasons = append(a.Reasons, x.against(*a))
		if f.beaten(f.runners[i]) || !x.Advice.Made {
			continue
		}
		a.caveat(CaveatShapesAlike, s.unsure(i, f.runners[i]),
			map[string]float64{"ratio": x.Ratio, "ratio_low": x.RatioLow, "ratio_high": x.RatioHigh})
	}
}

// unsure says why a variant that was not chosen is not beaten: it may do as well, or the chosen one may
// not be enough beside it.
func (s Standings) unsure(i int, other runner) string {
	x, chosen := s.All[i], s.Choice()
	if chosen.Advice.Capacity != nil {
		return fmt.Sprintf("The measurement can't tell %s from %s, which may hold the rate in no more memory.", chosen.Variant, x.Variant)
	}
	answers := fmt.Sprintf("%.0f to %.0f %% of the throughput in %s", 100*x.RatioLow, 100*x.RatioHigh, inMemory(x.Advice.Memory, chosen.Advice.Memory))
	if other.least > chosen.Advice.Memory*(1+alikeMemory) && chosen.Advice.Memory > 0 {
		return fmt.Sprintf("It is not sure that %s comes near enough to %s, which has %s.", chosen.Variant, x.Variant, answers)
	}
	return fmt.Sprintf("The measurement can't tell %s from %s, which may do as well: it has %s.", chosen.Variant, x.Variant, answers)
}

// against says in a sentence why the chosen advice was preferred to this variant.
func (x Standing) against(chosen Advice) string {
	if !x.Advice.Made {
		why := strings.TrimSuffix(x.WhyNot(), ".")
		return fmt.Sprintf("Not %s: %s.", x.Variant, strings.ToLower(why[:1])+why[1:])
	}
	if chosen.Capacity != nil {
		return fmt.Sprintf("Not %s: %s the rate in %s.", x.Variant, hold(x.Advice.Workers), inMemory(x.Advice.Memory, chosen.Memory))
	}
	answers := "answer"
	if x.Advice.Workers == 1 {
		answers = "answers"
	}
	text := fmt.Sprintf("Not %s: %s %s %.0f %% of that in %s", x.Variant, quantity(x.Advice.Workers, "worker"), answers, 100*x.Ratio, inMemory(x.Advice.Memory, chosen.Memory))
	switch {
	case x.Room > 0 && x.Room < x.Advice.Workers:
		text += fmt.Sprintf(", and the same memory holds %d, for %.0f %%", x.Room, 100*x.RoomThroughput/chosen.Throughput)
	case x.Room == 0 && x.Advice.Memory > 0 && chosen.Memory > 0:
		text += ", and the same memory holds none that was measured"
	}
	if x.Advice.LimitedBy == LimitedBySearchRange {
		text += fmt.Sprintf("; more than %d may answer more", x.Advice.Workers)
	}
	return text + "."
}

// WhyNot says, as a sentence, why nothing can be advised on a variant: what failed where nothing worked.
func (x Standing) WhyNot() string {
	why := "Nothing was measured."
	for _, c := range x.Advice.Caveats {
		if c.Code == CaveatNothingMeasured && why != "Nothing was measured." {
			break // why it failed says more than that it did
		}
		why = c.Message
	}
	return why
}

func inMemory(own, chosen float64) string {
	switch {
	case own == 0 || chosen == 0:
		return "memory that was not measured"
	case math.Abs(own/chosen-1) <= alikeMemory:
		return "as much memory"
	}
	return figure(own/chosen) + " times the memory"
}
