package model

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// A Search decides which count to restart the server at next. It holds no state: the observations
// so far are the state, so a resumed sweep goes on where it stopped.
type Search struct {
	// Goal as in Question.
	Goal Goal
	// Lowest and Highest bound the counts; 0 stands for 1 and for no bound.
	Lowest, Highest int
	// Exact are the only counts, when the user listed them.
	Exact []int
	// Always are counts to measure in any case, inside the bounds or not: the rule of thumb.
	Always []int
	// Least as in Question: that count is measured, and repeated as the choice is.
	Least int
	// Threads per worker; 0 counts as 1. The first look is at as many slots, whatever they are made of.
	Threads int
	// Cores the server is held to; 0 is not known.
	Cores float64
	// Others as in Question.
	Others float64
	// Tolerance and Confidence as in Question; Confidence says when a count's side of the line is
	// settled.
	Tolerance, Confidence float64
	// MemoryBytes and MemoryHeadroom as in Question: counts that can't fit are not measured again,
	// nor any above them.
	MemoryBytes, MemoryHeadroom float64
	// Seed decides the order of the first look.
	Seed int64
}

// A Step is what to do next.
type Step struct {
	// Variant is that of an entrant of a Race.
	Variant string
	// Workers is the count to restart at; 0 when Done.
	Workers int
	// Why is a phrase for people: "first look", "bisect 4..8".
	Why string
	// Purpose of the restart. Capacity, in requests per second, is what rates are shares of when that
	// is PurposeLatency.
	Purpose  Purpose
	Capacity float64
	// Way is how to start it, of PurposeStart.
	Way string
	// Left is how many restarts of PurposeConfirm are to come, this one included.
	Left int
	// Done is true when more restarts are not worth their time, Resolved when that is because the
	// decision is settled.
	Done, Resolved bool
	// GeneratorBound is true when Done because the load generator, not the server, was at its limit.
	GeneratorBound bool
}

const (
	// firstHighest is the slots that the first look ends at; more is tried while throughput rises.
	firstHighest = 8
	// leastEnough and mostEnough bound how many restarts of one count are enough.
	leastEnough, mostEnough = 3, 12
	// givingUp is how many counts may fail, with none that works, before the search ends.
	givingUp = 3
)

// Next returns the next step: a first look at 1, 2, 4, 8 and the counts of Always in random order;
// that of Always first, and alone where waiting is nearly everything; then, as long as they apply, in the
// order of what they are worth when time runs out: more workers while throughput rises, the counts around
// the (1 - Tolerance) line halved, the counts beside a sharp top; second restarts of what bears on the
// decision, a third one of the choice; the counts below those that may be enough; and at last restarts where
// the distance to the line is least certain, and those that the interval still needs.
//
// For GoalRate they are those of stepsForRate.
//
// Next is deterministic: the same observations and seed give the same step.
func (s Search) Next(observations []Observation) Step {
	s = s.complete()
	v := s.survey(observations)
	proposals := []func(survey) (Step, bool){
		s.firstLook, s.retry, s.extend, s.bisect, s.besideBest, s.bisectObjective, s.full, s.again, s.pinDown, s.leastCertain, s.narrow,
	}
	if s.Goal == GoalRate {
		proposals = s.stepsForRate()
	}
	for _, propose := range proposals {
		if step, ok := propose(v); ok {
			return step
		}
	}
	if !v.ok {
		return Step{Done: true, Why: "no count worked"}
	}
	if s.Goal == GoalRate {
		return s.endAtRate(v)
	}
	return Step{Done: true, Resolved: len(v.undecided) == 0 && v.resolved, Why: v.verdict(s.Least)}
}

func (s Search) complete() Search {
	q := Question{
		Tolerance: s.Tolerance, Confidence: s.Confidence, MemoryBytes: s.MemoryBytes, MemoryHeadroom: s.MemoryHeadroom,
		Lowest: s.Lowest, Highest: s.Highest,
	}.complete()
	s.Confidence = q.Confidence
	s.Tolerance, s.MemoryBytes, s.MemoryHeadroom, s.Lowest, s.Highest = q.Tolerance, q.usableMemory(), 0, q.Lowest, q.Highest
	inside := func(counts []int) []int {
		counts = slices.DeleteFunc(slices.Clone(counts), func(n int) bool { return n < 1 || n > mostWorkers })
		slices.Sort(counts)
		return slices.Compact(counts)
	}
	s.Exact, s.Always = inside(s.Exact), inside(s.Always)
	if len(s.Exact) > 0 {
		s.Lowest, s.Highest = s.Exact[0], s.Exact[len(s.Exact)-1]
	}
	return s
}

// A survey is what the observations say to the search.
type survey struct {
	table table
	// plateau is that of the counts that fit; ok is false while nothing works.
	plateau plateau
	ok      bool
	// tried counts restarts by count, whatever came of them.
	tried map[int]int
	// highest is the largest count that is still worth trying, and wall the smallest that is known
	// not to work, 0 without.
	highest, wall int
	// line is that of memory; nil without one.
	line *MemoryLine
	// straight is the count that waiting and memory say to go to at once; 0 where they say none.
	straight int
	// enough is how many restarts of a count are.
	enough int
	// settled is the distance to the line, in standard errors, past which a count is decided.
	settled float64
	// undecided are the indexes of the counts that are not settled, the nearest to the line first.
	undecided []int
	// resolved is true when the interval has an end.
	resolved bool
	// margins are of the counts at the rate, for GoalRate.
	margins margins
}

func (s Search) survey(everything []Observation) survey {
	v := survey{tried: map[int]int{}, highest: s.Highest, margins: marginsOf(everything, s.Confidence)}
	observations := ofSearch(everything)
	sound := slices.Clone(observations)
	for i := range sound {
		v.tried[sound[i].Workers]++
		if !usable(sound[i]) {
			sound[i] = Observation{Workers: sound[i].Workers, Failed: true}
		}
	}
	v.table = tabulate(sound)
	v.limit(sound, s.MemoryBytes)
	fitting := v.table
	fitting.groups = slices.DeleteFunc(slices.Clone(v.table.groups), func(g group) bool {
		return s.MemoryBytes > 0 && g.memoryMost > s.MemoryBytes
	})
	v.plateau, v.ok = plateauOf(fitting, yardstick{cores: s.Cores, lowest: s.Lowest, highest: v.highest, tolerance: s.Tolerance, others: s.Others})
	v.settled = settledAt(s.Confidence)
	v.enough = enoughRestarts(v.table.expected(), s.Tolerance, v.settled)
	if v.ok {
		v.undecided = v.notSettled(s.Tolerance, s.Least)
		v.resolved = v.plateau.interval(v.table, s.Confidence).resolved
	}
	v.straight, _ = s.straight(v)
	return v
}

// limit lowers the highest count to what memory, or failures, leave.
func (v *survey) limit(observations []Observation, memory float64) {
	working := 0
	for _, g := range v.table.groups {
		if g.works() {
			working = g.workers
		}
	}
	for _, g := range v.table.groups {
		failedForGood := g.n == 0 && g.failed > 1 && g.workers > working
		if g.killed || failedForGood || memory > 0 && g.memoryMost > memory {
			v.wall, v.highest = g.workers, min(v.highest, g.workers-1)
			break
		}
	}
	v.line = fitMemory(observations, memory, DefaultConfidence)
	if line := v.line; line != nil && memory > 0 && line.Marginal > 0 {
		fits := math.Floor((memory - line.Base) / line.Marginal)
		v.highest = min(v.highest, max(int(math.Min(fits, mostWorkers)), 1))
	}
}

// settledAt is a one-sided Student t, with about as many degrees of freedom as a sweep ends with:
// 1.7 at 95 %.
func settledAt(confidence float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: 25}.Quantile(math.Max(confidence, 0.5))
}

// enoughRestarts is how many restarts of a count, and twice as many of the top, tell half the
// tolerance from nothing. What is still on the line then will not be settled at a sensible price.
func enoughRestarts(spread, tolerance, settled float64) int {
	one := settled * spread / (tolerance / 2)
	return int(math.Ceil(math.Min(math.Max(1.5*one*one, leastEnough), mostEnough)))
}

// distance of a count to the line, in standard errors of their difference.
func (v survey) distance(i int) float64 {
	return math.Abs(v.plateau.estimates[i].log-v.plateau.line) / v.plateau.distanceError(i)
}

// notSettled looks among the counts up to the knee: those above it only draw the line. A count is
// settled when it is surely on one side of the line, or so near that it makes no difference: known
// to within half the tolerance, whichever side it is on. The smallest count of least workers is chosen if it
// reaches the line too.
func (v survey) notSettled(tolerance float64, least int) []int {
	var near []int
	last := max(v.plateau.knee, slices.IndexFunc(v.plateau.groups, func(g group) bool { return g.workers >= least }))
	for i := range last + 1 {
		if v.distance(i) < v.settled && v.settled*v.plateau.distanceError(i) > tolerance/2 {
			near = append(near, i)
		}
	}
	slices.SortStableFunc(near, func(a, b int) int { return cmp.Compare(v.distance(a), v.distance(b)) })
	return near
}

func (v survey) verdict(least int) string {
	chosen := v.plateau.groups[v.plateau.sought(least)].workers
	if len(v.undecided) == 0 && !v.resolved {
		return fmt.Sprintf("%s, though the restarts differ too much to be sure", quantity(chosen, "worker"))
	}
	if len(v.undecided) == 0 {
		return fmt.Sprintf("settled: %s", quantity(chosen, "worker"))
	}
	return fmt.Sprintf("%d stays too near to the line to tell", v.plateau.groups[v.undecided[0]].workers)
}

// open is true for a count that may be restarted: not past what memory and failures leave.
func (v survey) open(workers int) bool {
	return v.wall == 0 || workers < v.wall
}

// FirstLook is the counts that are measured whatever they show, in their order.
func (s Search) FirstLook() []int {
	s = s.complete()
	counts := slices.Clone(s.Exact)
	if len(counts) == 0 {
		counts = append(counts, s.Lowest)
		first := max(firstHighest/max(s.Threads, 1), 2)
		for n := 1; n <= min(s.Highest, max(first, 2*s.Lowest)); n *= 2 {
			if n > s.Lowest && !s.closeToAlways(n) {
				counts = append(counts, n)
			}
		}
		if s.Highest <= first {
			counts = append(counts, s.Highest)
		}
		if s.Least > s.Lowest && s.Least <= s.Highest {
			counts = append(counts, s.Least)
		}
	}
	counts = append(counts, s.Always...)
	slices.Sort(counts)
	counts = slices.Compact(counts)
	random := rand.New(rand.NewPCG(uint64(s.Seed), 0xd1342543de82ef95))
	random.Shuffle(len(counts), func(i, j int) { counts[i], counts[j] = counts[j], counts[i] })
	// What is measured in any case is the reference that drift is told by: at the beginning, when the
	// second restarts come, and when the choice is confirmed.
	slices.SortStableFunc(counts, func(a, b int) int { return s.always(b) - s.always(a) })
	return counts
}

// always is 1 for a count that is measured in any case, 0 for others.
func (s Search) always(n int) int {
	if slices.Contains(s.Always, n) {
		return 1
	}
	return 0
}

func (s Search) firstLook(v survey) (Step, bool) {
	if !v.ok && v.failures() >= givingUp {
		return Step{}, false
	}
	for _, n := range s.FirstLook() {
		known := v.straight > 0 && !v.asked() && s.always(n) == 0
		if v.tried[n] == 0 && v.open(n) && !known {
			return Step{Workers: n, Why: "first look"}, true
		}
	}
	return Step{}, false
}

// asked is true where there is an objective, which fewer workers may meet.
func (v survey) asked() bool {
	return slices.ContainsFunc(v.table.groups, func(g group) bool { return g.meets != nil })
}

// closeToAlways is true for a count that one measured in any case makes superfluous at first.
func (s Search) closeToAlways(n int) bool {
	return slices.ContainsFunc(s.Always, func(a int) bool {
		return a >= s.Lowest && a <= s.Highest && 8*max(a-n, n-a) <= n
	})
}

// failures counts the counts that failed for another reason than memory.
func (v survey) failures() int {
	n := 0
	for _, g := range v.table.groups {
		if g.n == 0 && !g.killed {
			n++
		}
	}
	return n
}

// retry gives a count that failed a second chance, unless memory was the reason or nothing works.
func (s Search) retry(v survey) (Step, bool) {
	for _, g := range v.table.groups {
		if g.n == 0 && g.failed == 1 && !g.killed && s.allows(g.workers) && v.open(g.workers) && (v.ok || v.failures() < givingUp) {
			return Step{Workers: g.workers, Why: fmt.Sprintf("again: %d failed", g.workers)}, true
		}
	}
	return Step{}, false
}

func (s Search) allows(workers int) bool {
	return workers >= s.Lowest && workers <= s.Highest || slices.Contains(s.Always, workers)
}

func (s Search) extend(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 {
		return Step{}, false
	}
	last := v.plateau.groups[len(v.plateau.groups)-1].workers
	alone := len(v.plateau.groups) == 1
	if last >= v.highest || !alone && !v.plateau.rising(s.Tolerance) {
		return Step{}, false
	}
	next, why := min(2*last, v.highest), fmt.Sprintf("extend: %d is the best so far", last)
	if v.straight > last {
		next, why = v.straight, fmt.Sprintf("requests wait: straight from %d to what fits", last)
	}
	if v.wall > 0 && next == v.wall-1 {
		// Nothing but the failure says where it begins.
		next = last + (v.wall-last)/2
	}
	return s.fresh(v, next, why)
}

// fresh proposes a count that was not tried.
func (s Search) fresh(v survey, n int, why string) (Step, bool) {
	if v.tried[n] > 0 || n < s.Lowest || n > v.highest {
		return Step{}, false
	}
	return Step{Workers: n, Why: why}, true
}

// bisect closes in on the knee: where the closed network through all counts has it, as long as that
// is inside, or else in the middle.
func (s Search) bisect(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 || v.plateau.knee == 0 {
		return Step{}, false
	}
	low, high := v.plateau.groups[v.plateau.knee-1].workers, v.plateau.groups[v.plateau.knee].workers
	if n, ok := s.foreseen(v, low, high); ok && !narrowEnough(low, high) {
		return s.fresh(v, n, fmt.Sprintf("the bend foreseen between %d and %d", low, high))
	}
	return s.halve(v, low, high, "bisect %d..%d")
}

// foreseen is the count strictly between two at which the closed network through what was measured
// bends, or the neighbour of the one it bends at. ok is false where the network says nothing: it has
// no top inside the range, or misses the measured counts by more than the tolerance.
func (s Search) foreseen(v survey, low, high int) (n int, ok bool) {
	at, ok := networkThrough(v.plateau.groups, s.Cores)
	if !ok || high-low < 2 {
		return 0, false
	}
	for i, g := range v.plateau.groups {
		if math.Abs(math.Log(at(g.workers))-v.plateau.estimates[i].log) > 2*s.Tolerance {
			return 0, false
		}
	}
	last := v.plateau.groups[len(v.plateau.groups)-1].workers
	return min(max(curveKnee(countsBetween(low, last, longestCurve), at, s.Tolerance), low+1), high-1), true
}

func narrowEnough(low, high int) bool { return high-low <= max(1, high/16) }

// halve proposes the middle of two counts that are further apart than a sixteenth.
func (s Search) halve(v survey, low, high int, why string) (Step, bool) {
	if narrowEnough(low, high) {
		return Step{}, false
	}
	return s.fresh(v, low+(high-low)/2, fmt.Sprintf(why, low, high))
}

// besideBest looks between the best count and its neighbours where a concave curve through them
// leaves room for a top that is more than the tolerance higher.
func (s Search) besideBest(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 {
		return Step{}, false
	}
	g, at := v.plateau.groups, func(i int) float64 { return math.Exp(v.plateau.fit[i]) }
	best := v.plateau.best
	// room is how far a straight line from `from` through the best reaches at n.
	room := func(from, n int) float64 {
		slope := (at(best) - at(from)) / float64(g[best].workers-g[from].workers)
		return at(best) + slope*float64(n-g[best].workers)
	}
	for _, side := range []int{1, -1} {
		beside, opposite := best+side, best-side
		if beside < 0 || beside >= len(g) || opposite < 0 || opposite >= len(g) {
			continue
		}
		middle := (g[best].workers + g[beside].workers) / 2
		if middle == g[best].workers || middle == g[beside].workers || room(opposite, middle) <= at(best)*(1+s.Tolerance) {
			continue
		}
		if step, ok := s.fresh(v, middle, fmt.Sprintf("look beside %d, the best so far", g[best].workers)); ok {
			return step, true
		}
	}
	return Step{}, false
}

// bisectObjective closes in on the smallest count that meets the objective.
func (s Search) bisectObjective(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 {
		return Step{}, false
	}
	g := v.plateau.groups
	for i := 1; i < len(g); i++ {
		if g[i].meets != nil && *g[i].meets {
			if g[i-1].meets == nil || *g[i-1].meets {
				return Step{}, false
			}
			return s.halve(v, g[i-1].workers, g[i].workers, "bisect %d..%d for the objective")
		}
	}
	return Step{}, false
}

// full ends the search where the load generator decided the highest throughput: no repeat of the server
// tells more.
func (s Search) full(v survey) (Step, bool) {
	if !v.ok || !v.plateau.groups[v.plateau.best].bound {
		return Step{}, false
	}
	return Step{Done: true, GeneratorBound: true, Why: "the load generator is at its limit"}, true
}

// again asks for second restarts of the counts that bear on the decision, and a third one of the
// choice.
func (s Search) again(v survey) (Step, bool) {
	if !v.ok {
		return Step{}, false
	}
	p := v.plateau
	chosen := p.groups[p.sought(s.Least)].workers
	bearing := []int{chosen, p.groups[p.knee].workers}
	if p.knee > 0 {
		bearing = append(bearing, p.groups[p.knee-1].workers)
	}
	bearing = append(bearing, p.groups[p.best].workers)
	if step, ok := s.upTo(v, append(bearing, s.Always...), 2); ok {
		return step, true
	}
	return s.upTo(v, []int{chosen}, 3)
}

func (s Search) upTo(v survey, counts []int, restarts int) (Step, bool) {
	for _, n := range counts {
		g, found := v.table.at(n)
		if found && g.works() && g.n < restarts && v.tried[n] < v.enough && v.open(n) {
			return Step{Workers: n, Why: fmt.Sprintf("repeat: %d bears on the choice", n)}, true
		}
	}
	return Step{}, false
}

// pinDown closes the gap below counts that may be enough though they are not chosen: as long as
// fewer were not measured, nothing says that those would not do.
func (s Search) pinDown(v survey) (Step, bool) {
	if !v.ok || len(s.Exact) > 0 {
		return Step{}, false
	}
	p := v.plateau
	maybe := p.knee
	for maybe > 0 && (p.estimates[maybe-1].log >= p.line || v.distance(maybe-1) < v.settled) {
		maybe--
	}
	if maybe == 0 || maybe == p.knee {
		return Step{}, false
	}
	return s.halve(v, p.groups[maybe-1].workers, p.groups[maybe].workers, "look below: between %d and %d")
}

// leastCertain repeats the count whose side of the line is least certain, or the top the line is
// drawn from, where that has fewer restarts.
func (s Search) leastCertain(v survey) (Step, bool) {
	p := v.plateau
	for _, i := range v.undecided {
		counts := []int{p.groups[i].workers}
		if p.topRestarts < p.groups[i].n {
			counts = []int{p.groups[p.best].workers, p.groups[i].workers}
		}
		for _, n := range counts {
			if v.tried[n] < v.enough {
				return Step{Workers: n, Why: fmt.Sprintf("repeat: %d is within %.1f standard errors of the line", p.groups[i].workers, v.distance(i))}, true
			}
		}
	}
	return Step{}, false
}

// narrow repeats the choice and the top until the interval has an end.
func (s Search) narrow(v survey) (Step, bool) {
	if !v.ok || v.resolved {
		return Step{}, false
	}
	p := v.plateau
	counts := []group{p.groups[p.knee], p.groups[p.best]}
	slices.SortStableFunc(counts, func(a, b group) int { return a.n - b.n })
	for _, g := range counts {
		if v.tried[g.workers] < v.enough {
			return Step{Workers: g.workers, Why: fmt.Sprintf("repeat: %d is not surely enough yet", g.workers)}, true
		}
	}
	return Step{}, false
}
