package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"advise/model"
	"advise/sweep"
)

// A Further is what some workers more cost and buy: the recommended count beside its neighbours.
type Further struct {
	Fewer int `json:"fewer"`
	More  int `json:"more"`
	// MemoryBytes is what more take in addition, and ThroughputShare the throughput of more over that of fewer,
	// less 1.
	MemoryBytes     *float64 `json:"memory_bytes"`
	ThroughputShare *float64 `json:"throughput_share"`
	// Alike is true where the intervals of the two throughputs overlap.
	Alike bool `json:"throughput_alike"`
	// P95 are of ordinary requests, at the rates below full load that both were measured at, and SoonerFactor by
	// what more answer them sooner; see model.LatencyGain. It is nil without two such rates.
	P95          []P95Beside `json:"p95"`
	SoonerFactor *float64    `json:"sooner_factor"`
}

// A P95Beside is the 95th percentile at one rate, with fewer and with more workers.
type P95Beside struct {
	CapacityShare float64 `json:"capacity_share"`
	FewerSeconds  float64 `json:"fewer_seconds"`
	MoreSeconds   float64 `json:"more_seconds"`
}

// A Stuck is how the requests were answered that came while one worker was stopped.
type Stuck struct {
	Workers        int           `json:"workers"`
	StuckSeconds   float64       `json:"stuck_seconds"`
	CapacityShare  float64       `json:"capacity_share"`
	RatePlannedRPS float64       `json:"rate_planned_rps"`
	OK             uint64        `json:"ok"`
	Failed         uint64        `json:"failed"`
	Latency        sweep.Latency `json:"latency_seconds"`
}

// CaveatLatencyBeside marks a count beside which a larger one answers ordinary requests surely sooner, with as
// much throughput. Figures: workers (the larger), factor, memory_bytes (in addition; 0: not known).
const CaveatLatencyBeside = "latency_beside"

func stuck(rec *sweep.Record) []Stuck {
	list := []Stuck{}
	for _, t := range rec.Used() {
		for _, p := range t.Phases {
			if p.Kind != sweep.PhaseStuck || p.StuckSeconds == 0 || t.Outcome != sweep.OK {
				continue
			}
			list = append(list, Stuck{
				Workers: t.Shape.Workers, StuckSeconds: p.StuckSeconds, CapacityShare: p.CapacityShare, RatePlannedRPS: p.RatePlannedRPS,
				OK: p.OK, Failed: p.Failed, Latency: p.Latency,
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Stuck) int { return a.Workers - b.Workers })
	return list
}

// further compares the recommended count with the feasible ones next to it.
func further(r *Result) []Further {
	list := []Further{}
	if r.Recommendation == nil || r.Recommendation.LowerBound || r.Measured != nil { // what fewer cores do decides nothing
		return list
	}
	points := slices.DeleteFunc(slices.Clone(r.Points), func(p Point) bool { return !p.Feasible || p.ThroughputRPS == nil })
	i := slices.IndexFunc(points, func(p Point) bool { return p.Workers == r.Recommendation.Workers })
	for more := max(i, 1); i >= 0 && more <= i+1 && more < len(points); more++ {
		list = append(list, r.step(points[more-1], points[more]))
	}
	return list
}

func (r *Result) step(fewer, more Point) Further {
	f := Further{Fewer: fewer.Workers, More: more.Workers, P95: []P95Beside{}}
	f.ThroughputShare = finite(*more.ThroughputRPS / *fewer.ThroughputRPS - 1)
	f.Alike = overlap(fewer, more)
	if fewer.MemoryBytes != nil && more.MemoryBytes != nil {
		f.MemoryBytes = finite(*more.MemoryBytes - *fewer.MemoryBytes)
	}
	var pairs []model.LatencyPair
	for _, share := range model.LatencyShares {
		a, b := r.p95At(fewer.Workers, share), r.p95At(more.Workers, share)
		if a == nil || b == nil {
			continue
		}
		f.P95 = append(f.P95, P95Beside{share, *a, *b})
		pairs = append(pairs, model.LatencyPair{Share: share, Fewer: *a, More: *b})
	}
	if len(pairs) > 1 {
		factor, _ := model.LatencyGain(pairs)
		f.SoonerFactor = known(factor)
	}
	return f
}

// overlap is true for counts that the noise does not tell apart.
func overlap(a, b Point) bool {
	return a.ThroughputLowRPS != nil && a.ThroughputHighRPS != nil && b.ThroughputLowRPS != nil && b.ThroughputHighRPS != nil &&
		*a.ThroughputLowRPS <= *b.ThroughputHighRPS && *b.ThroughputLowRPS <= *a.ThroughputHighRPS
}

// p95At is that of ordinary requests, or of all where none are; nil where the count was not measured at the
// rate, or did not hold it.
func (r *Result) p95At(workers int, share float64) *float64 {
	var seconds []float64
	for _, l := range r.Latencies {
		if l.Workers != workers || l.CapacityShare != share || !l.Sustained || l.GeneratorBound {
			continue
		}
		of := l.Latency
		if l.Ordinary != nil {
			of = *l.Ordinary
		}
		seconds = append(seconds, of.P95)
	}
	return medianOf(seconds)
}

// sooner is the caveat on the first larger count that has as much throughput and answers surely sooner; nil
// where none does.
func sooner(r *Result) *model.Caveat {
	for _, f := range r.Further {
		var pairs []model.LatencyPair
		for _, p := range f.P95 {
			pairs = append(pairs, model.LatencyPair{Share: p.CapacityShare, Fewer: p.FewerSeconds, More: p.MoreSeconds})
		}
		factor, sure := model.LatencyGain(pairs)
		if f.Fewer != r.Recommendation.Workers || !sure || orZero(f.ThroughputShare) < -r.Settings.Tolerance {
			continue
		}
		which := "requests"
		if hasOrdinary(r) {
			which = "the most frequent request"
		}
		return &model.Caveat{
			Code: CaveatLatencyBeside,
			Message: fmt.Sprintf("%s answer as much, and %s %s times as soon (p95 up to 70 %% of the capacity), for %s: --least %d recommends them.",
				count(f.More, "worker"), which, Number(factor), f.costs(), f.More),
			Figures: map[string]float64{"workers": float64(f.More), "factor": factor, "memory_bytes": orZero(f.MemoryBytes)},
		}
	}
	return nil
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// hasOrdinary is true where latencies are of the most frequent request, and not of all.
func hasOrdinary(r *Result) bool {
	return slices.ContainsFunc(r.Latencies, func(l LatencyAt) bool { return l.Ordinary != nil })
}

// costs are the memory and the throughput that more workers take.
func (f Further) costs() string {
	var parts []string
	if f.MemoryBytes != nil && *f.MemoryBytes >= 0.5e6 {
		parts = append(parts, size(*f.MemoryBytes))
	}
	if share := orZero(f.ThroughputShare); share < 0 && !f.Alike {
		parts = append(parts, percent(-share)+" of the throughput")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " and ")
}

// fewWorkers are so few that one more or less is always worth a word.
const fewWorkers = 2

// furtherWords say what some workers more cost and buy, what a stuck one does to the others, and what one lost
// takes away.
func furtherWords(r *Result) []string {
	rec, ordinary := r.Recommendation, hasOrdinary(r)
	if rec == nil || r.Measured != nil || rec.Workers > fewWorkers && len(r.Stuck) == 0 && !ordinary {
		return nil // what the table has says as much
	}
	var lines []string
	for _, f := range r.Further {
		line := fmt.Sprintf("%s instead of %d: ", count(f.More, "worker"), f.Fewer)
		switch share := orZero(f.ThroughputShare); {
		case f.Alike:
			line += "as fast within the noise, "
		case share > 0:
			line += fmt.Sprintf("%s more throughput, ", percent(share))
		}
		line += "for " + f.costs()
		var rates []string
		for _, p := range f.P95 {
			rates = append(rates, fmt.Sprintf("%s to %s at %s", duration(p.FewerSeconds), duration(p.MoreSeconds), percent(p.CapacityShare)))
		}
		if ordinary && len(rates) > 0 { // those of all are in the table above
			line += "; p95 of the most frequent request from " + strings.Join(rates, ", ")
		}
		lines = append(lines, line)
	}
	return append(append(lines, nonEmpty(stuckWords(r))...), nonEmpty(lostWords(r))...)
}

// stuckWords are the p95 while a worker was stopped, by count.
func stuckWords(r *Result) string {
	var parts []string
	for i, s := range r.Stuck {
		if i > 0 && s.Workers == r.Stuck[i-1].Workers { // the first of two says it
			continue
		}
		text := fmt.Sprintf("%s with %s", duration(s.Latency.P95), count(s.Workers, "worker"))
		if len(parts) > 0 {
			text = fmt.Sprintf("%s with %d", duration(s.Latency.P95), s.Workers)
		}
		if s.Failed > 0 {
			text += fmt.Sprintf(" (%d of %d failed)", s.Failed, s.OK+s.Failed)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	first := r.Stuck[0]
	return fmt.Sprintf("one worker stopped for %s s, as by a slow request: of the requests that came meanwhile (%s of the capacity), p95 was %s",
		strconv.FormatFloat(math.Round(10*first.StuckSeconds)/10, 'g', -1, 64), percent(first.CapacityShare), strings.Join(parts, ", "))
}

// lostWords say what the loss of one worker of the recommended count takes away: all of one, and of more what
// was measured with one less.
func lostWords(r *Result) string {
	rec := r.Recommendation
	if rec == nil || rec.LowerBound {
		return ""
	}
	if rec.Workers == 1 {
		return "one worker lost, or restarted: nobody answers"
	}
	less, all := at(r.Points, rec.Workers-1), at(r.Points, rec.Workers)
	if less == nil || all == nil || less.ThroughputRPS == nil || all.ThroughputRPS == nil {
		return ""
	}
	left := fmt.Sprintf("%s of %s requests/s", Number(*less.ThroughputRPS), Number(*all.ThroughputRPS))
	if overlap(*less, *all) {
		left = "as much within the noise"
	}
	return fmt.Sprintf("one worker lost, or restarted: the other %s %s", answerWords(rec.Workers-1), left)
}

func answerWords(n int) string {
	if n == 1 {
		return "answers"
	}
	return fmt.Sprintf("%d answer", n)
}
