package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// CoresMeasured is what one sweep showed of a server on so many cores: whole ones, or a fraction by
// quota.
type CoresMeasured struct {
	Cores float64
	// Throughput is the best, in requests per second.
	Throughput float64
	// Demand is the CPU time of one request and Wait the time it waits, in seconds.
	Demand, Wait float64
}

// AtCores is what an advice showed of the cores it was measured on, with so many threads per worker.
// ok is false where nothing worked or CPU time was not measured; a throughput that the load generator
// decided is no measurement of the server, and not used.
func (a Advice) AtCores(cores float64, threads int) (m CoresMeasured, ok bool) {
	m.Cores = cores
	first := Point{}
	for _, p := range a.Points {
		if !p.Feasible || p.GeneratorBound || !(p.CPUPerRequest > 0) {
			continue
		}
		if first.Workers == 0 {
			first = p
		}
		if p.Throughput > m.Throughput {
			m.Throughput, m.Demand = p.Throughput, p.CPUPerRequest
		}
	}
	if first.Workers == 0 || m.check() != nil {
		return CoresMeasured{}, false
	}
	if wait, fitted := a.Fit.Parameters["wait_seconds"]; fitted {
		m.Wait = wait
	} else {
		// Little's law at the smallest count, where requests queue least.
		m.Wait = math.Max(0, float64(first.Workers)*float64(max(1, threads))/first.Throughput-first.CPUPerRequest)
	}
	return m, m.check() == nil
}

// leastCores is a quota smaller than any that can be measured.
const leastCores = 1e-3

func (m CoresMeasured) check() error {
	switch {
	case !(m.Cores >= leastCores) || m.Cores > mostSlots:
		return fmt.Errorf("%g cores: want %g to %d", m.Cores, leastCores, mostSlots)
	case !(m.Throughput >= leastThroughput) || m.Throughput > mostThroughput:
		return fmt.Errorf("%g requests per second on %g cores is no measurement", m.Throughput, m.Cores)
	case !(m.Demand >= leastDemand) || m.Demand > mostDemand:
		return fmt.Errorf("%g seconds of CPU time per request on %g cores is no measurement", m.Demand, m.Cores)
	case !(m.Wait >= 0) || m.Wait > mostDemand:
		return fmt.Errorf("%g seconds of waiting per request on %g cores is no measurement", m.Wait, m.Cores)
	}
	return nil
}

// A Scaling says how a server goes on from the cores that were measured to others: as far as they
// can keep busy, cores over CPU time per request, with the CPU time carried on along a straight line
// over the cores.
//
// It is an upper bound. A lock, a full database, or hyper-threads that share a core are invisible
// while there are too few cores to meet them. HeldOut shows how far such a prediction was off where
// it could be checked.
type Scaling struct {
	// Measured, by cores ascending.
	Measured []CoresMeasured
	// DemandBase and DemandPerCore are the line of CPU time per request over cores, in seconds. It
	// never falls: a request that costs less on more cores would promise more than the cores do, and
	// what makes a small quota dear does not go on getting cheaper. And where a core count was measured
	// more than once, it rises by no more than the spread between those restarts leaves beyond doubt:
	// carried on to many cores, a slope that is noise would be no upper bound.
	DemandBase, DemandPerCore float64
	// Busy is the share of the cores that the best throughput kept busy at the largest measured count;
	// where it is far under 1, something else than the cores was short, and more of them may not help.
	Busy float64
	// HeldOut is nil when a single core count was measured.
	HeldOut *HeldOut
	// DoublingError is how far off a prediction for twice the cores may be, as a share: the held-out error
	// over the doublings it spans, or what the spread between restarts may hide of it, whichever is more.
	DoublingError float64
}

// A HeldOut is the prediction for the largest measured core count from the smaller ones alone.
type HeldOut struct {
	Cores float64
	// Predicted and Measured throughput, in requests per second; Error is Predicted/Measured - 1.
	Predicted, Measured, Error float64
}

// ErrNoCores is returned where there is nothing to predict from.
var ErrNoCores = errors.New("no core count was measured")

// FitScaling carries the CPU time per request on from the cores that were measured. Several
// measurements of one core count are averaged, and their spread bounds the slope: of its 95 % interval
// (Student t, pooled within the core counts) the lower end is carried on. Nothing measured is [ErrNoCores];
// figures that are no measurements are an error.
//
// # References
//
// Lazowska and others, Quantitative System Performance, 1984, section 5.2 (asymptotic bounds); Hastie,
// Tibshirani, Friedman, The Elements of Statistical Learning, 2nd edition, 2009, section 7.2 (held-out
// error).
func FitScaling(measured []CoresMeasured) (Scaling, error) {
	byCores := map[float64][]CoresMeasured{}
	for _, m := range measured {
		if err := m.check(); err != nil {
			return Scaling{}, fmt.Errorf("predict from %w", err)
		}
		byCores[m.Cores] = append(byCores[m.Cores], m)
	}
	if len(byCores) == 0 {
		return Scaling{}, fmt.Errorf("predict other cores: %w", ErrNoCores)
	}
	var groups []coresGroup
	for _, same := range byCores {
		groups = append(groups, grouped(same))
	}
	slices.SortFunc(groups, func(a, b coresGroup) int { return cmp.Compare(a.Cores, b.Cores) })
	s := scalingOf(groups)
	last := groups[len(groups)-1]
	s.Busy = last.Throughput * last.Demand / last.Cores
	if rest := groups[:len(groups)-1]; len(rest) > 0 {
		predicted := scalingOf(rest).Capacity(last.Cores)
		s.HeldOut = &HeldOut{Cores: last.Cores, Predicted: predicted, Measured: last.Throughput, Error: predicted/last.Throughput - 1}
		off := math.Max(math.Abs(s.HeldOut.Error), hidden(rest[len(rest)-1], last))
		s.DoublingError = math.Max(off/math.Log2(last.Cores/rest[len(rest)-1].Cores), leastDoublingError)
	}
	return s, nil
}

// leastDoublingError is what no few restarts can promise to stay below, and usualSpread what those of one count
// differ by where none was repeated.
const (
	leastDoublingError = 0.01
	usualSpread        = 0.05
)

// hidden is the half-width of the 95 % interval of the ratio of two groups' CPU times (Student t, pooled),
// as a share: an error up to that would not have shown.
func hidden(a, b coresGroup) float64 {
	freedom := a.restarts + b.restarts - 2
	if freedom == 0 {
		return usualSpread
	}
	relative := a.squares/(a.Demand*a.Demand) + b.squares/(b.Demand*b.Demand)
	return studentT(DefaultConfidence, freedom) * math.Sqrt(relative/float64(freedom)*(1/float64(a.restarts)+1/float64(b.restarts)))
}

func scalingOf(groups []coresGroup) Scaling {
	var s Scaling
	for _, g := range groups {
		s.Measured = append(s.Measured, g.CoresMeasured)
	}
	s.DemandBase, s.DemandPerCore = demandLine(groups)
	return s
}

// A coresGroup is the mean of the measurements of one core count. Squares are those of their CPU times'
// distances from it.
type coresGroup struct {
	CoresMeasured
	restarts int
	squares  float64
}

func grouped(same []CoresMeasured) coresGroup {
	g := coresGroup{restarts: len(same)}
	for _, one := range same {
		g.Throughput += one.Throughput / float64(len(same))
		g.Demand += one.Demand / float64(len(same))
		g.Wait += one.Wait / float64(len(same))
	}
	g.Cores = same[0].Cores
	for _, one := range same {
		g.squares += (one.Demand - g.Demand) * (one.Demand - g.Demand)
	}
	return g
}

// demandLine is the line of least squares through CPU time per request, as far as it rises beyond doubt;
// where it does not, the level of the largest core count, which is nearest to what is predicted.
func demandLine(groups []coresGroup) (base, perCore float64) {
	meanCores, meanDemand, n := 0.0, 0.0, float64(len(groups))
	for _, g := range groups {
		meanCores, meanDemand = meanCores+g.Cores/n, meanDemand+g.Demand/n
	}
	across, along, squares, ofSlope, freedom := 0.0, 0.0, 0.0, 0.0, 0
	for _, g := range groups {
		away := g.Cores - meanCores
		across, along = across+away*(g.Demand-meanDemand), along+away*away
		squares, freedom = squares+g.squares, freedom+g.restarts-1
		ofSlope += away * away / float64(g.restarts)
	}
	if along > 0 {
		perCore = across / along
		if freedom > 0 {
			perCore -= studentT(DefaultConfidence, freedom) * math.Sqrt(squares/float64(freedom)*ofSlope) / along
		}
	}
	if perCore > 0 {
		if base = meanDemand - perCore*meanCores; base > 0 {
			return base, perCore
		}
		// Dearer in proportion to the cores, or worse: no throughput is gained by any of them.
		return 0, meanDemand / meanCores
	}
	return groups[len(groups)-1].Demand, 0
}

// DemandAt returns the CPU time per request on so many cores, in seconds: that of the line beyond the
// largest core count, and never less than what was measured there.
func (s Scaling) DemandAt(cores float64) float64 {
	demand := s.DemandBase + s.DemandPerCore*cores
	if last := s.Measured[len(s.Measured)-1]; cores >= last.Cores {
		demand = math.Max(demand, last.Demand)
	}
	return demand
}

// Capacity returns the most that so many cores can answer, in requests per second: an upper bound.
func (s Scaling) Capacity(cores float64) float64 { return cores / s.DemandAt(cores) }

// A Budget is what to predict for.
type Budget struct {
	Cores float64
	// MemoryBytes is the cap with the headroom taken off; 0 is none. Line says how many workers fit.
	MemoryBytes float64
	Line        *MemoryLine
	// Threads per worker; 0 counts as 1.
	Threads int
	// Tolerance is the share of the capacity that may be given up for fewer workers.
	Tolerance float64
}

// A Prediction is what could be done within a budget: always an upper bound.
type Prediction struct {
	Cores, MemoryBytes float64
	// Throughput is cores over CPU time per request, in requests per second; less when memory holds no
	// more than Workers, the smallest count that reaches (1 - tolerance) of it in the closed network.
	Throughput float64
	Workers    int
	// LimitedBy is LimitedByMemory where fewer workers fit than the cores could use.
	LimitedBy LimitedBy
	// Extrapolated is true for more cores than were measured.
	Extrapolated bool
}

// ErrNoRoom is returned where not even one worker fits into the memory.
var ErrNoRoom = errors.New("not even one worker fits")

// Predict returns the throughput within a budget and the smallest count that comes within the tolerance
// of it in a closed network, or as many as fit into memory. No cores, a cap without a line, or a
// server that waits too long for any count, is an error; where not one worker fits it is [ErrNoRoom].
func (s Scaling) Predict(b Budget) (Prediction, error) {
	if len(s.Measured) == 0 {
		return Prediction{}, fmt.Errorf("predict %g cores: %w", b.Cores, ErrNoCores)
	}
	if !(b.Cores >= leastCores) || b.Cores > mostSlots {
		return Prediction{}, fmt.Errorf("predict %g cores: want %g to %d", b.Cores, leastCores, mostSlots)
	}
	if !(b.Tolerance > 0 && b.Tolerance < 1) {
		b.Tolerance = DefaultTolerance
	}
	b.Threads = min(max(b.Threads, 1), mostSlots)
	last := s.Measured[len(s.Measured)-1]
	network := ClosedNetwork{Cores: b.Cores, Demand: s.DemandAt(b.Cores), Wait: last.Wait}
	slots, ok := network.SlotsFor(1-b.Tolerance, mostSlots)
	if !ok {
		return Prediction{}, fmt.Errorf("predict %g cores: more than %d slots would be needed to keep them busy", b.Cores, mostSlots)
	}
	p := Prediction{
		Cores: b.Cores, Throughput: network.Saturation(), Workers: (slots + b.Threads - 1) / b.Threads,
		MemoryBytes: b.MemoryBytes, LimitedBy: LimitedByThroughput, Extrapolated: b.Cores > last.Cores,
	}
	if b.MemoryBytes == 0 {
		return p, nil
	}
	if !(b.MemoryBytes > 0) || b.MemoryBytes > mostMemory || b.Line == nil {
		return Prediction{}, fmt.Errorf("predict %g bytes of memory: what a worker needs is not known", b.MemoryBytes)
	}
	fits := b.Line.highestUnder(b.MemoryBytes)
	if fits == 0 {
		return Prediction{}, fmt.Errorf("predict %g cores in %s: %w", b.Cores, megabytes(b.MemoryBytes), ErrNoRoom)
	}
	if fits < p.Workers {
		p.Workers, p.LimitedBy = fits, LimitedByMemory
		p.Throughput = network.ThroughputAt(fits * b.Threads)
	}
	return p, nil
}
