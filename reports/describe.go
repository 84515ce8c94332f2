package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"advise/model"
	"advise/sweep"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

// What the text and the page both say about a sweep, in sentences.

// limitedBy says what decided the count.
func limitedBy(r *Result) string {
	switch r.Recommendation.LimitedBy {
	case model.LimitedByMemory:
		return "memory: no more workers fit"
	case model.LimitedByObjective:
		if r.Goal == model.GoalRate {
			return "the objective: the fewest workers that hold it at " + Number(r.Scenario.RateRPS) + " requests/s"
		}
		return "the objective: throughput alone would take another count"
	case model.LimitedByLeast:
		return leastWords(r)
	case model.LimitedBySearchRange:
		return "the search range: throughput still grows at its end"
	default:
		return "throughput: the fewest workers within " + percent(r.Settings.Tolerance) + " of the best"
	}
}

func server(r *Result) []string {
	var lines []string
	if r.Target.Adapter == targets.DemoName {
		lines = append(lines, "the built-in demo server: these figures say nothing about your application")
	}
	name := r.Target.Adapter
	if r.Target.Version != "" {
		name += " " + r.Target.Version
	}
	lines = append(lines, name+": "+shell(r.Target.Command))
	if r.Target.Workdir != "" {
		lines = append(lines, "in "+r.Target.Workdir)
	}
	if r.Target.Found != "" {
		lines = append(lines, strings.Split(r.Target.Found, "\n")...)
	}
	return lines
}

func load(r *Result) []string {
	s, what := r.Settings, "scenario "+r.Scenario.Name
	if one := r.Scenario.Requests; r.Scenario.File == "" && len(one) == 1 {
		what = one[0].Method + " " + one[0].Path
	}
	window := tenths(s.WindowSeconds)
	if longest := longestWindow(r.Trials); longest >= s.WindowSeconds+0.1 {
		window += " to " + tenths(longest)
	}
	lines := []string{fmt.Sprintf("%s: %s without a pause, for %s s after at least %s s of warm-up",
		what, count(s.Connections, "connection"), window, tenths(s.WarmupSeconds))}
	lines = append(lines, connections(r)...)
	if len(r.Latencies) > 0 || r.Scenario.RateRPS > 0 {
		lines = append(lines, arrivalWords[r.Settings.Arrivals])
	}
	if c := r.Calibration; c != nil {
		lines = append(lines, fmt.Sprintf("the generator could do %s requests/s, against a server that does nothing", Number(c.CeilingRPS)))
	}
	if r.Scenario.RateRPS > 0 {
		line := fmt.Sprintf("rate: %s requests/s", Number(r.Scenario.RateRPS))
		if r.Settings.RateHeadroom > 0 {
			line += fmt.Sprintf(", %s and %s of headroom", Number(r.Scenario.TrafficRPS), percent(r.Settings.RateHeadroom))
		}
		lines = append(lines, line)
	}
	if parts := objective(r); len(parts) > 0 {
		lines = append(lines, "objective: "+strings.Join(parts, ", ")+derived(r))
	}
	return lines
}

// arrivalWords say how requests come below full load.
var arrivalWords = map[string]string{
	string(generator.Poisson):  "below full load at random intervals, as visitors come (Poisson)",
	string(generator.Constant): "below full load at equal intervals",
}

// longestWindow of full load, in seconds; a slow page has longer ones than the plan says.
func longestWindow(trials []sweep.Trial) float64 {
	longest := 0.0
	for _, t := range trials {
		if full := saturation(t); full != nil {
			longest = max(longest, full.WindowSeconds)
		}
	}
	return longest
}

func tenths(seconds float64) string { return short(math.Round(10*seconds) / 10) }

// objective has a phrase for each part of it.
func objective(r *Result) (parts []string) {
	o := r.Scenario.Objective
	if o == nil {
		return nil
	}
	for _, quantile := range []string{"p50", "p90", "p95", "p99", "max"} {
		if limit, asked := o.LatencySeconds[quantile]; asked {
			parts = append(parts, quantile+" within "+duration(limit))
		}
	}
	switch {
	case o.ErrorShare == nil:
	case *o.ErrorShare == 0:
		parts = append(parts, "no errors")
	default:
		parts = append(parts, "errors within "+percent(*o.ErrorShare))
	}
	return parts
}

// methods are the ways to hold a server, in words.
var methods = map[string]string{
	string(hold.Cgroup2):  "by cgroup v2",
	string(hold.Cgroup1):  "by cgroup v1",
	string(hold.Affinity): "by processor affinity alone",
	string(hold.None):     "by nothing",
}

// held says how the server was held to its cores and memory, and where the load came from.
func held(r *Result) string {
	e := r.Environment
	line := cmp.Or(methods[e.LimitsMethod], "by "+e.LimitsMethod) + ": server on " + cores(e.CoresServer)
	if len(e.CPUsServer) > 0 {
		line += " (cpu " + CPUList(e.CPUsServer) + ")"
	}
	if r.Budget.MemoryBytes > 0 {
		line += ", " + size(float64(r.Budget.MemoryBytes))
	}
	if len(e.CPUsGenerator) > 0 {
		line += "; load from cpu " + CPUList(e.CPUsGenerator)
	}
	return line
}

// processors says how many the server finds, where they are not all the same.
func processors(r *Result) string {
	seen := r.Environment.CPUsSeen
	if seen == nil || seen.Affinity == seen.Host && seen.Quota == nil {
		return ""
	}
	text := fmt.Sprintf("the server finds %s of the machine, may run on %d", count(seen.Host, "processor"), seen.Affinity)
	if seen.Quota != nil {
		text += fmt.Sprintf(", and has a quota of %s", cores(*seen.Quota))
	}
	return text
}

func machine(r *Result) string {
	e := r.Environment
	parts := []string{e.CPUModel, count(e.CPUsOnline, "core"), size(float64(e.MemoryBytes)), strings.TrimSpace(e.OS + " " + e.Kernel), e.Arch}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" || p == "0 kB" || p == "0 cores" })
	return strings.Join(parts, ", ")
}

// restarts says how many there were, what for, and how the search ended.
func restarts(r *Result) string {
	restarts, counts := 0, 0
	for _, s := range r.Shapes {
		restarts, counts = restarts+s.Restarts, counts+s.Counts
	}
	text := fmt.Sprintf("%d at %s, in random order of seed %d", restarts, count(counts, "worker count"), r.Settings.Seed)
	if r.several() {
		text = fmt.Sprintf("%d at %s of %d shapes, in random order of seed %d", restarts, count(counts, "worker count"), len(r.Shapes), r.Settings.Seed)
	}
	if restarts == 0 {
		return text
	}
	text += fmt.Sprintf(": %d to find the count (%s)", r.Search.Restarts, searchEnds[r.Search.Ended])
	if n := r.Search.ConfirmRestarts; n > 0 {
		text += fmt.Sprintf(", %d to confirm it", n)
	}
	if n := r.Search.LatencyRestarts; n > 0 {
		text += fmt.Sprintf(", %d for latency", n)
	}
	if n := r.Search.CoresRestarts; n > 0 {
		text += fmt.Sprintf(", %d on %s to check what is predicted", n, cores(partMeasured(r)))
	}
	if n := r.Search.StartRestarts; n > 0 {
		text += fmt.Sprintf(", %d to start a count otherwise that was killed while it started", n)
	}
	if left := r.Search.LatencyLeft; len(left) > 0 {
		counts := make([]string, len(left))
		for i, n := range left {
			counts[i] = strconv.Itoa(n)
		}
		text += "; no time for latency at " + strings.Join(counts, ", ")
	}
	return text + liveWords(r.Live)
}

// partMeasured is the part of the cores that was measured: a record that was begun by an older advise may have it
// in its restarts alone.
func partMeasured(r *Result) float64 {
	for _, t := range r.Trials {
		if t.OnFewerCores() {
			return t.Cores
		}
	}
	return r.Settings.FewerCores
}

// liveWords say how fresh starts compare with live changes.
func liveWords(l *sweep.Live) string {
	switch {
	case l == nil:
		return ""
	case l.DifferenceShare == nil:
		return "; counts were changed live, and no restart was compared with that"
	}
	return fmt.Sprintf("; counts were changed live: at %s a fresh start answered %+.1f %% against that", count(l.Workers, "worker"), math.Round(1000**l.DifferenceShare)/10+0) // + 0: no -0.0
}

// searchEnds are the ends of a search, in words.
var searchEnds = map[string]string{
	EndedSettled:   "settled",
	EndedUndecided: "not settled: too near to call",
	EndedTime:      "not settled: time was up",
	EndedGenerator: "not settled: the load generator was at its limit",
}

// foreseen sets the mean latency that the curve makes one expect beside the one that was measured: at the
// scenario's own rate, or else at the middle one, with the recommended count.
func foreseen(r *Result) string {
	best, _ := r.found()
	if best == nil {
		return ""
	}
	var at *LatencyAt
	for i, l := range r.Latencies {
		own := r.Scenario.RateRPS > 0 && l.RatePlannedRPS == r.Scenario.RateRPS
		middle := r.Scenario.RateRPS == 0 && l.CapacityShare == model.LatencyShares[len(model.LatencyShares)/2]
		if l.Workers == best.Workers && (own || middle) {
			at = &r.Latencies[i]
		}
	}
	if at == nil || at.PredictedMeanSeconds == nil || !at.Sustained {
		return ""
	}
	take := "take"
	if at.Workers == 1 {
		take = "takes"
	}
	return fmt.Sprintf("%s %s %s on average at %s requests/s; the throughput curve foresees %s",
		count(at.Workers, "worker"), take, duration(at.Latency.Mean), Number(at.RatePlannedRPS), duration(*at.PredictedMeanSeconds))
}

// probed says how the cheap path was answered, and what a liveness check has to wait for.
func probed(r *Result) string {
	p := r.Probe
	if p == nil {
		return ""
	}
	answers := p.OK + p.Failed
	if p.LivenessTimeoutSeconds == nil {
		return fmt.Sprintf("while %s full none of %d probes of %s was answered as expected", areFull(p.Workers), answers, p.Path)
	}
	text := fmt.Sprintf("while %s full GET %s took %s (p50), %s (p99), %s at the most, of %d probes",
		areFull(p.Workers), p.Path, duration(p.Latency.P50), duration(p.Latency.P99), duration(p.Latency.Max), answers)
	if p.Failed > 0 {
		text += fmt.Sprintf("; %d failed", p.Failed)
	}
	return text + fmt.Sprintf(". Liveness timeout: at least %s s (%d x p99, rounded up, never below %s s): a shorter one restarts a server that is only full",
		short(*p.LivenessTimeoutSeconds), livenessMargin, short(leastLiveness))
}

// inFront says what the server before the workers takes of the CPU time, and what it can do alone.
func inFront(r *Result) string {
	if r.Front == nil {
		return ""
	}
	a := r.Front.Alone
	alone := fmt.Sprintf("alone it answers %s requests/s", Number(a.ThroughputRPS))
	if a.GeneratorBound {
		alone += ", or more: the load generator was at its limit"
	}
	best, _ := r.found()
	p := at(r.Points, best.Workers)
	if r.Front.CPUShare == nil || r.Front.CPUSecondsPerRequest == nil || p == nil || p.CPUSecondsPerAnswer == nil {
		return a.Server + ": " + alone
	}
	return fmt.Sprintf("the %s before %s takes %s of the CPU time: %s of %s; %s",
		a.Server, count(best.Workers, "worker"), percent(*r.Front.CPUShare), duration(*r.Front.CPUSecondsPerRequest), duration(*p.CPUSecondsPerAnswer), alone)
}

func areFull(workers int) string {
	if workers == 1 {
		return "1 worker is"
	}
	return fmt.Sprintf("%d workers are", workers)
}

// spread says how evenly the work fell to the recommended count's workers, and what each holds: in the
// restart where the busiest did most.
func spread(r *Result) string {
	best, _ := r.found()
	if best == nil || best.Workers < 2 {
		return ""
	}
	var busiest sweep.Worker
	var bytes []int64
	for _, t := range r.Trials {
		list := t.Server.PerWorker
		if t.Shape.Workers != best.Workers || t.Apart() || t.Outcome != sweep.OK || len(list) == 0 || list[0].Share() == nil {
			continue
		}
		if most := busiest.Share(); most != nil && *most >= *list[0].Share() {
			continue
		}
		busiest, bytes = list[0], nil
		for _, w := range list {
			if w.PSSBytes != nil {
				bytes = append(bytes, *w.PSSBytes)
			}
		}
	}
	most := busiest.Share()
	if most == nil {
		return ""
	}
	what := "CPU time"
	if busiest.RequestsShare != nil {
		what = "requests"
	}
	text := fmt.Sprintf("the busiest of %d took %s of the %s at the most; even would be %s",
		best.Workers, percent(*most), what, percent(1/float64(best.Workers)))
	if len(bytes) > 0 {
		text += fmt.Sprintf("; each holds %s", between(size(float64(slices.Min(bytes))), size(float64(slices.Max(bytes)))))
	}
	return text
}

// between is a range in words, or one of its ends where they read the same.
func between(low, high string) string {
	if low == high {
		return low
	}
	return low + " to " + high
}

// A latencyGrid has the p95 below full load, in words: a row for each rate, a column for each count.
type latencyGrid struct {
	counts []string
	rows   []latencyRow
}

type latencyRow struct {
	rate  string
	cells []string
}

func newLatencyGrid(r *Result) latencyGrid {
	var g latencyGrid
	byShare, counts := map[float64]map[int]LatencyAt{}, []int{}
	for _, l := range r.Latencies {
		if byShare[l.CapacityShare] == nil {
			byShare[l.CapacityShare] = map[int]LatencyAt{}
		}
		byShare[l.CapacityShare][l.Workers] = l
		counts = append(counts, l.Workers)
	}
	slices.Sort(counts)
	counts = slices.Compact(counts)
	for _, n := range counts {
		g.counts = append(g.counts, count(n, "worker"))
	}
	for _, share := range slices.Sorted(maps.Keys(byShare)) {
		row := latencyRow{}
		for _, n := range counts {
			l, ok := byShare[share][n]
			switch {
			case !ok:
				row.cells = append(row.cells, "")
				continue
			case l.GeneratorBound && !l.Sustained:
				row.cells = append(row.cells, "not driven")
			case !l.Sustained:
				row.cells = append(row.cells, "too slow")
			default:
				row.cells = append(row.cells, duration(l.Latency.P95))
			}
			row.rate = Number(l.RatePlannedRPS) + "/s"
			if share > 0 {
				row.rate += " (" + percent(share) + ")"
			}
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// What the adapters call a command line to paste, and variables to set.
const (
	commandFile     = "command.txt"
	environmentFile = "environment"
)

// pasteTitle says where the nth text to paste belongs: each is a way of its own.
func pasteTitle(n int, path string) string {
	title := "paste into " + path
	switch path {
	case commandFile:
		title = "start it with"
	case environmentFile:
		title = "set in its environment"
	}
	if n > 0 {
		title = "or " + title
	}
	return title
}
