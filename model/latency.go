package model

import (
	"fmt"
	"math"
	"slices"
)

// A FlowServer is a whole server put in one place: with n requests inside it answers as many per
// second as n slots do in a closed loop, and with more than Slots inside the rest queue. (The
// flow-equivalent server.) So the curve that was measured at saturation says what latency to expect
// at a rate below it.
//
// It gives means: percentiles are measured, not predicted.
//
// # References
//
// Chandy, Herzog, Woo, Parametric Analysis of Queuing Networks, 1975; Lazowska and others,
// Quantitative System Performance, 1984, section 8.2.
type FlowServer struct {
	// Slots is how many requests are worked on at once: workers x threads.
	Slots int
	// ThroughputAt is the throughput of a closed loop of so many slots, in requests per second,
	// from 1 to Slots.
	ThroughputAt func(slots int) float64
}

// FlowServer returns the network with so many slots as seen from an open stream of requests.
func (n ClosedNetwork) FlowServer(slots int) FlowServer {
	return FlowServer{Slots: slots, ThroughputAt: n.ThroughputAt}
}

// MeasuredFlowServer returns a server of so many slots whose throughput was measured at some numbers
// of slots, in Sample.Workers; samples of one number are averaged. In between throughput is on the
// straight line, and below the smallest in proportion: a curve that bends down lies above both, so
// the latency comes out rather too high.
//
// A sample that is no measurement is an error, and so are slots outside of 1 to the largest sample:
// what was not measured is not made up.
func MeasuredFlowServer(samples []Sample, slots int) (FlowServer, error) {
	var groups []group
	for _, s := range samples {
		if !(s.Workers >= 1) || s.Workers > mostSlots || s.Workers != math.Trunc(s.Workers) || !(s.Throughput >= leastThroughput) || s.Throughput > mostThroughput {
			return FlowServer{}, fmt.Errorf("follow the measured curve: %g requests per second with %g slots is no measurement", s.Throughput, s.Workers)
		}
		groups = addSample(groups, s)
	}
	slices.SortFunc(groups, func(a, b group) int { return a.workers - b.workers })
	switch last := len(groups) - 1; {
	case len(groups) == 0:
		return FlowServer{}, fmt.Errorf("follow the measured curve of %d: %w", len(groups), ErrTooFewCounts)
	case slots < 1 || slots > groups[last].workers:
		return FlowServer{}, fmt.Errorf("follow the measured curve to %d slots: measured up to %d", slots, groups[last].workers)
	}
	between := interpolated(groups, func(i int) float64 { return groups[i].mean })
	at := func(slots int) float64 {
		if first := groups[0]; slots < first.workers {
			return first.mean * float64(slots) / float64(first.workers)
		}
		return between(slots)
	}
	return FlowServer{Slots: slots, ThroughputAt: at}, nil
}

// FlowServer returns the server of so many workers that the measured counts speak of, each with so many
// threads. Counts that did not work are left out, and so are those whose throughput the load generator
// decided. Workers outside of 1 to the largest count that is left are an error.
func (a Advice) FlowServer(workers, threads int) (FlowServer, error) {
	threads = max(threads, 1)
	var samples []Sample
	for _, p := range a.Points {
		if p.Throughput > 0 && !p.GeneratorBound {
			samples = append(samples, Sample{Workers: float64(p.Workers) * float64(threads), Throughput: p.Throughput})
		}
	}
	if workers < 1 || workers > mostWorkers {
		return FlowServer{}, fmt.Errorf("follow the measured curve to %d workers: want 1 to %d", workers, mostWorkers)
	}
	return MeasuredFlowServer(samples, workers*min(threads, mostSlots))
}

// addSample adds a sample to the mean at its number of slots.
func addSample(groups []group, s Sample) []group {
	n := int(s.weight())
	i := slices.IndexFunc(groups, func(g group) bool { return g.workers == int(s.Workers) })
	if i < 0 {
		return append(groups, group{workers: int(s.Workers), n: n, mean: s.Throughput})
	}
	g := &groups[i]
	g.n += n
	g.mean += (s.Throughput - g.mean) * float64(n) / float64(g.n)
	return groups
}

// Capacity is the rate the server can't keep up with, in requests per second: its throughput with
// all slots in use. On a curve that falls that is less than its best.
func (f FlowServer) Capacity() float64 {
	if f.Slots < 1 || f.Slots > mostSlots {
		return 0
	}
	return f.ThroughputAt(f.Slots)
}

// LatencyAt returns the mean time a request spends in the server, queueing included, in seconds,
// where requests come by chance (Poisson) at a rate in requests per second. It is the time of a
// request alone at the rate 0. A rate at or above the capacity is [ErrSaturated]; a rate below zero,
// or a curve that is not positive, is an error.
//
// The number inside is a birth-death process: p(n) is proportional to the product of rate/X(i) for
// i up to n, X(i) being that of Slots from there on, so the tail is geometric. Little's law then gives
// the time as the mean number over the rate.
func (f FlowServer) LatencyAt(rate float64) (float64, error) {
	capacity := f.Capacity()
	switch {
	case !(rate >= 0):
		return 0, fmt.Errorf("find the latency at %g requests per second: want 0 or more", rate)
	case !(capacity >= leastThroughput) || capacity > mostThroughput:
		return 0, fmt.Errorf("find the latency: a server of %s with a capacity of %g requests per second", quantity(f.Slots, "slot"), capacity)
	case rate >= capacity:
		return 0, fmt.Errorf("find the latency at %g requests per second: %w of %s", rate, ErrSaturated, figure(capacity))
	}
	// Divided by the rate from the start, so that a rate of zero is no special case: the probability
	// of n over the rate is that of n-1 over X(n).
	total, weighted, p := 1.0, 0.0, 1.0
	for n := 1; n <= f.Slots; n++ {
		x := f.ThroughputAt(n)
		if !(x >= leastThroughput) || x > mostThroughput {
			return 0, fmt.Errorf("find the latency: %g requests per second with %s is no throughput", x, quantity(n, "slot"))
		}
		perRate := p / x
		p = perRate * rate
		total += p
		weighted += float64(n) * perRate
		if n == f.Slots {
			// Beyond, each p is the one before times r: sum r^k = r/(1-r), sum k r^k = r/(1-r)^2.
			r := rate / x
			total += p * r / (1 - r)
			weighted += perRate * (float64(n)*r/(1-r) + r/((1-r)*(1-r)))
		}
		if total > 1e200 {
			total, weighted, p = total/1e200, weighted/1e200, p/1e200
		}
	}
	seconds := weighted / total
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return 0, fmt.Errorf("find the latency at %g requests per second, too near the capacity of %g: %w", rate, capacity, ErrSaturated)
	}
	return seconds, nil
}

// RateFor returns the highest rate at which the mean time in the server stays within a limit in
// seconds, in requests per second; 0 when a request alone takes longer. A limit that is no number
// from 0, or a curve that is not positive, is an error.
func (f FlowServer) RateFor(limit float64) (float64, error) {
	if !(limit >= 0) {
		return 0, fmt.Errorf("find the rate for a latency of %g seconds: want 0 or more", limit)
	}
	alone, err := f.LatencyAt(0)
	if err != nil || alone > limit {
		return 0, err
	}
	low, high := 0.0, f.Capacity()
	for range 100 {
		middle := low + (high-low)/2
		if seconds, err := f.LatencyAt(middle); err == nil && seconds <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}
