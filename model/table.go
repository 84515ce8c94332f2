package model

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// What a figure has to lie within to be a measurement and not a slip: generous, and narrow enough
// that sums of squares stay finite.
const (
	leastThroughput, mostThroughput = 1e-9, 1e12
	leastDemand, mostDemand         = 1e-12, 1e6
	mostMemory                      = 1e18
	mostWorkers                     = 10_000
	mostSlots                       = 100_000
)

// A group is all restarts at one count.
type group struct {
	workers, slots int
	// n restarts worked; failed did not, killed when memory was the reason of one, why of the last.
	// killedLoaded is true when one was killed under load, and not while it started.
	n, failed            int
	killed, killedLoaded bool
	why                  string

	// mean throughput, and the mean and sum of squares of its logarithm.
	mean, logMean, logSquares float64
	// squares is the sum of squares of the throughput itself.
	squares float64
	// busyN restarts have a service demand; logBusy is the mean of the logarithm of the cores they kept
	// busy, throughput x demand, and busySquares its sum of squares.
	busyN                int
	logBusy, busySquares float64
	// demand (CPU seconds per request) and memory (bytes) are medians; 0 is unknown.
	demand, memory, memoryMost float64
	// startMost is the most that it took while it started, in bytes; 0 is unknown.
	startMost float64
	// unloaded is a median too, of the time of an answer without load; 0 is unknown.
	unloaded float64
	// bound is true when the generator decided every restart's throughput.
	bound bool
	meets *bool
	// missed is what was missed of the objective.
	missed string
}

// works is true for a count that can be run: some restart worked, no more failed than worked, and
// none was killed for memory.
func (g group) works() bool { return g.n > 0 && g.failed <= g.n && !g.killed }

// A table is all observations by count, with the spread between restarts pooled over the counts:
// a count restarted twice says little about spread by itself, all of them together enough.
//
// # References
//
// Box, Hunter, Hunter, Statistics for Experimenters, 2nd edition, 2005, section 4.2 (pooled
// variance of replicates).
type table struct {
	groups []group
	// spread is the standard deviation of the logarithm of throughput between restarts of one
	// count, with its degrees of freedom; without any the spread is 0. It is never below counting, that
	// of counting whole answers: two windows of three answers are equal, and say nothing.
	spread   float64
	counting float64
	freedom  int
	// estimated is true when no count was repeated and the spread is that of neighbours.
	estimated bool
	// leastDemand is the least service demand of the counts that work; infinite without any.
	leastDemand float64
	// ignored counts the observations that were no measurements.
	ignored int
}

func tabulate(observations []Observation) table {
	t := table{leastDemand: math.Inf(1)}
	byCount := map[int][]Observation{}
	for _, o := range observations {
		if !usable(o) {
			t.ignored++
			continue
		}
		byCount[o.Workers] = append(byCount[o.Workers], o)
	}
	squares := 0.0
	for _, same := range byCount {
		t.groups = append(t.groups, gather(same))
	}
	t.counting = countingSpread(observations)
	slices.SortFunc(t.groups, func(a, b group) int { return a.workers - b.workers })
	for _, g := range t.groups {
		if g.busyN > 0 && g.works() {
			t.leastDemand = math.Min(t.leastDemand, g.demand)
		}
		if g.n > 1 {
			squares += g.logSquares
			t.freedom += g.n - 1
		}
	}
	if t.freedom > 0 {
		t.spread = math.Max(math.Sqrt(squares/float64(t.freedom)), t.counting)
	}
	return t
}

// countingSpread is the standard deviation of the logarithm of throughput that comes of counting whole
// answers in a window, the root mean square over the restarts. At its ends as many answers as there are
// slots fall inside or outside: workers that share a core end together. Where that falls is as good as
// uniform, whose deviation is its width over the root of 12.
func countingSpread(observations []Observation) float64 {
	squares, n := 0.0, 0
	for _, o := range observations {
		if !usable(o) || o.Failed || o.Answers == 0 {
			continue
		}
		off := float64(o.Workers*max(1, o.Threads)) / float64(o.Answers)
		squares += off * off / 12
		n++
	}
	return math.Sqrt(squares / float64(max(n, 1)))
}

func usable(o Observation) bool {
	if o.Workers < 1 || o.Workers > mostWorkers || o.Threads < 0 || o.Threads > mostSlots/o.Workers {
		return false
	}
	return o.Failed || (o.Throughput >= leastThroughput && o.Throughput <= mostThroughput)
}

func gather(same []Observation) group {
	g := group{workers: same[0].Workers, slots: same[0].Workers * max(1, same[0].Threads), bound: true}
	for _, o := range same {
		if o.Failed {
			g.failed++
			g.killed = g.killed || o.MemoryKilled
			g.killedLoaded = g.killedLoaded || o.MemoryKilled && !o.KilledStarting
			g.why = o.Why
		} else if !o.GeneratorBound {
			g.bound = false
		}
	}
	figures := func() []float64 { return make([]float64, 0, len(same)) }
	throughput, logs, demand, busy, memory, unloaded := figures(), figures(), figures(), figures(), figures(), figures()
	for _, o := range same {
		if o.Failed || (o.GeneratorBound && !g.bound) {
			continue
		}
		g.n++
		throughput, logs = append(throughput, o.Throughput), append(logs, math.Log(o.Throughput))
		if o.CPUPerRequest >= leastDemand && o.CPUPerRequest <= mostDemand {
			demand = append(demand, o.CPUPerRequest)
			busy = append(busy, math.Log(o.Throughput*o.CPUPerRequest))
		}
		if o.Unloaded > 0 && o.Unloaded <= mostDemand {
			unloaded = append(unloaded, o.Unloaded)
		}
		if o.Memory > 0 && o.Memory <= mostMemory {
			memory = append(memory, o.Memory)
		}
		if o.StartPeak > 0 && o.StartPeak <= mostMemory {
			g.startMost = math.Max(g.startMost, o.StartPeak)
		}
		if o.MeetsObjective != nil {
			// One restart that misses is enough: an objective is a promise.
			meets := *o.MeetsObjective && (g.meets == nil || *g.meets)
			g.meets = &meets
			if !*o.MeetsObjective {
				g.missed = o.ObjectiveWhy
			}
		}
	}
	if g.n == 0 {
		g.bound = false
		return g
	}
	g.mean, g.logMean = stat.Mean(throughput, nil), stat.Mean(logs, nil)
	for i := range throughput {
		g.squares += (throughput[i] - g.mean) * (throughput[i] - g.mean)
		g.logSquares += (logs[i] - g.logMean) * (logs[i] - g.logMean)
	}
	if g.busyN = len(busy); g.busyN > 0 {
		g.logBusy = stat.Mean(busy, nil)
		for _, b := range busy {
			g.busySquares += (b - g.logBusy) * (b - g.logBusy)
		}
	}
	g.demand, g.memory, g.unloaded = median(demand), median(memory), median(unloaded)
	if len(memory) > 0 {
		g.memoryMost = slices.Max(memory)
	}
	return g
}

// reach returns the logarithm of the share that a count reaches of what these cores can do at most:
// throughput can't pass cores over the least service demand that was seen. What is between a count
// and that bound is idle time, and the work that its requests need more than elsewhere. ok is false
// where the demand or the cores are not known.
//
// # References
//
// Denning, Buzen, The operational analysis of queueing network models, Computing Surveys 10, 1978
// (the utilisation law, X = U/D).
func (t table) reach(g group, cores float64) (log float64, ok bool) {
	if g.busyN == 0 || g.bound || !(cores > 0) {
		return 0, false
	}
	return g.logBusy - math.Log(cores) + math.Log(t.leastDemand/g.demand), true
}

// provenConfidence is that of a count's proof: one-sided.
const provenConfidence = 0.975

// proven returns the index of the first of the groups that surely reaches (1 - tolerance) of anything
// these cores can do, len(groups) when none does.
func (t table) proven(groups []group, cores, tolerance float64) int {
	squares, freedom := 0.0, 0
	for _, g := range t.groups {
		if g.busyN > 0 && g.works() {
			squares += g.busySquares
			freedom += g.busyN - 1
		}
	}
	if freedom == 0 {
		return len(groups)
	}
	// What keeps the cores busy is not counted in answers, but what each of them takes is.
	spread := expectedOf(math.Max(math.Sqrt(squares/float64(freedom)), t.counting), freedom)
	factor := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom + expectedFreedom)}.Quantile(provenConfidence)
	for i, g := range groups {
		reach, ok := t.reach(g, cores)
		if ok && g.busyN > 1 && reach-factor*spread/math.Sqrt(float64(g.busyN)) >= math.Log1p(-tolerance) {
			return i
		}
	}
	return len(groups)
}

// median of the values, 0 without any.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// studentT returns the factor of a two-sided Student t interval.
func studentT(confidence float64, freedom int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.Quantile((1 + confidence) / 2)
}

func (t table) at(workers int) (group, bool) {
	i, found := slices.BinarySearchFunc(t.groups, workers, func(g group, n int) int { return g.workers - n })
	if !found {
		return group{}, false
	}
	return t.groups[i], true
}

// smallestKilled returns the smallest count that ran out of memory, 0 when none did.
func (t table) smallestKilled() int {
	for _, g := range t.groups {
		if g.killed {
			return g.workers
		}
	}
	return 0
}

// perWorker returns the memory of the largest count that was measured, for each of its workers, in bytes;
// 0 when memory is not known.
func (t table) perWorker() float64 {
	for _, g := range slices.Backward(t.groups) {
		if g.works() && g.memoryMost > 0 {
			return g.memoryMost / float64(g.workers)
		}
	}
	return 0
}

// smallestOver returns the smallest count that took more memory than limit, and how much, in bytes; 0
// when none did, or there is no limit.
func (t table) smallestOver(limit float64) (workers int, bytes float64) {
	for _, g := range t.groups {
		if limit > 0 && g.memoryMost > limit {
			return g.workers, g.memoryMost
		}
	}
	return 0, 0
}

// untriedBelow returns the smallest count from lowest on that none which failed rules out, where no
// count below that of workers worked.
func (t table) untriedBelow(workers, lowest int) int {
	n := min(lowest, workers)
	for _, g := range t.groups {
		if g.workers < workers {
			n = max(n, g.workers+1)
		}
	}
	return n
}

// estimate is a count's own throughput; without any repeat its error is not known and 0.
func (t table) estimate(g group) estimate {
	return estimate{g.logMean, t.spread / math.Sqrt(float64(max(g.n, 1)))}
}

// cautious is estimate by the count's own spread where that is larger than the pooled one.
func (t table) cautious(g group) estimate {
	e := t.estimate(g)
	if g.n > 1 {
		e.err = math.Max(e.err, math.Sqrt(g.logSquares/float64(g.n-1)/float64(g.n)))
	}
	return e
}

// factor is that of an interval by the pooled spread; 0 without any repeat.
func (t table) factor(confidence float64) float64 {
	if t.freedom == 0 {
		return 0
	}
	return studentT(confidence, t.freedom)
}

// points returns the table as it is reported. The interval of a throughput is its mean with a
// Student t interval on the logarithmic scale, by the pooled spread or the count's own, whichever is
// larger; without any repeat it is as narrow as it is unknown: the mean itself.
func (t table) points(confidence float64, fits func(group) (bool, string)) []Point {
	factor := t.factor(confidence)
	var points []Point
	for _, g := range t.groups {
		p := Point{
			Workers: g.workers, Trials: g.n + g.failed,
			Throughput: g.mean, ThroughputLow: g.mean, ThroughputHigh: g.mean,
			CPUPerRequest: g.demand, Memory: g.memory, GeneratorBound: g.bound, MeetsObjective: g.meets,
		}
		p.Feasible, p.WhyInfeasible = fits(g)
		p.LacksMemory = !p.Feasible && (g.killed || g.works())
		if g.n > 0 {
			width := math.Min(factor*t.cautious(g).err, 100)
			p.ThroughputLow, p.ThroughputHigh = g.mean*math.Exp(-width), g.mean*math.Exp(width)
		}
		points = append(points, p)
	}
	return points
}
