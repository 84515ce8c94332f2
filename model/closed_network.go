package model

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// A ClosedNetwork is N slots that take turns on some cores: each request holds a core for Demand
// seconds and waits Wait seconds elsewhere, both exponentially distributed. (The machine repairman
// model, with the cores as repairmen.) Servers whose requests are all alike bend more sharply at
// the knee than this curve does.
//
// # References
//
// Lazowska and others, Quantitative System Performance, 1984, section 8.3; Kleinrock, Queueing
// Systems volume 1, 1975, section 3.8 (finite population).
type ClosedNetwork struct {
	// Cores may be a fraction: a quota.
	Cores float64
	// Demand is the CPU time of one request and Wait the time it waits, in seconds.
	Demand, Wait float64
}

// ThroughputAt returns the throughput of so many slots (workers x threads), in requests per
// second: that of the birth-death process whose k requests at the cores complete at the rate
// min(k, Cores)/Demand while the others come back at the rate (slots-k)/Wait.
func (n ClosedNetwork) ThroughputAt(slots int) float64 {
	if slots < 1 || !(n.Demand > 0) || !(n.Cores > 0) {
		return 0
	}
	if !(n.Wait > 0) {
		return math.Min(float64(slots), n.Cores) / n.Demand
	}
	rate := func(k int) float64 { return math.Min(float64(k), n.Cores) / n.Demand }
	// ratio is the probability of k requests at the cores over that of k-1; it falls with k.
	ratio := func(k int) float64 { return float64(slots-k+1) / n.Wait / rate(k) }
	// Only ratios matter, so the sums start at the most likely number and stop on either side
	// where the rest is lost in rounding: about the square root of slots terms.
	likeliest := n.likeliest(slots)
	total, completed := 1.0, rate(likeliest)
	for k, p := likeliest+1, 1.0; k <= slots && p > 1e-18*total; k++ {
		p *= ratio(k)
		total += p
		completed += p * rate(k)
	}
	for k, p := likeliest, 1.0; k > 0 && p > 1e-18*total; k-- {
		p /= ratio(k)
		total += p
		completed += p * rate(k-1)
	}
	return completed / total
}

// likeliest returns how many of the slots are most often at the cores: where ratio passes 1.
func (n ClosedNetwork) likeliest(slots int) int {
	k := float64(slots+1) * n.Demand / (n.Demand + n.Wait)
	if k > n.Cores {
		k = float64(slots+1) - n.Wait*n.Cores/n.Demand
	}
	return int(math.Min(math.Max(k, 0), float64(slots)))
}

// Saturation is the throughput no number of slots can pass, in requests per second.
func (n ClosedNetwork) Saturation() float64 { return n.Cores / n.Demand }

// Crossing is the number of slots at which the two bounds on throughput meet, slots/(Demand+Wait) and
// Cores/Demand: as many as keep the cores busy when nothing ever queues. Where times vary, requests do
// queue, and that many reach only some 80 to 90 % of the saturation throughput.
//
// # References
//
// Lazowska and others, Quantitative System Performance, 1984, section 5.2.
func (n ClosedNetwork) Crossing() float64 { return n.Cores * (1 + n.Wait/n.Demand) }

// SlotsFor returns the smallest number of slots that reaches a share of the saturation throughput,
// up to a highest number. ok is false when none does.
func (n ClosedNetwork) SlotsFor(share float64, highest int) (slots int, ok bool) {
	for low, high := 1, highest; low <= high; {
		middle := low + (high-low)/2
		if n.ThroughputAt(middle) >= share*n.Saturation() {
			slots, ok, high = middle, true, middle-1
		} else {
			low = middle + 1
		}
	}
	return slots, ok
}

// A demandSample is a Sample of slots with the service demand that was measured with it.
type demandSample struct {
	slots, restarts    int
	throughput, demand float64
}

// fitWait finds the one thing about a closed network that can't be measured from outside, how long
// a request waits, by least squares on throughput. The demand is that measured at each count.
func fitWait(samples []demandSample, cores float64) (wait, sse float64, err error) {
	if len(samples) == 0 || !(cores > 0) {
		return 0, 0, fmt.Errorf("fit a closed network to %d: %w", len(samples), ErrTooFewCounts)
	}
	at := func(s demandSample, wait float64) float64 {
		return ClosedNetwork{Cores: cores, Demand: s.demand, Wait: wait}.ThroughputAt(s.slots)
	}
	// The smallest count queues least: Little's law there gives the start.
	start := samples[0]
	for _, s := range samples {
		if s.slots < start.slots {
			start = s
		}
	}
	first := math.Max(start.demand*1e-3, float64(start.slots)/start.throughput-start.demand)
	problem := leastSquares{
		lower: []float64{0},
		rows:  len(samples),
		residuals: func(p, r []float64) {
			for i, s := range samples {
				r[i] = math.Sqrt(float64(s.restarts)) * (s.throughput - at(s, p[0]))
			}
		},
		jacobian: func(p []float64, j *mat.Dense) {
			for i, s := range samples {
				h := 1e-6 * (p[0] + s.demand)
				j.Set(i, 0, math.Sqrt(float64(s.restarts))*(at(s, p[0]+h)-at(s, p[0]))/h)
			}
		},
	}
	best := problem.solve([]float64{first})
	return best.parameters[0], best.sse, nil
}
