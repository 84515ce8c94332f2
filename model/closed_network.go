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
	throughput, _ := n.slope(slots)
	return throughput
}

// slope returns the throughput of so many slots and its derivative by the wait. Demand, Wait and Cores
// are more than 0.
//
// The probability of k requests at the cores over that of k-1 is (slots-k+1)/Wait over the rate of
// completion at k; it falls with k. Only these ratios matter, so the sums start at the most likely number
// and stop on either side where the rest is lost in rounding: about the square root of slots terms. Every
// probability goes with Wait to the power of -k, so the derivative of the mean rate is minus the
// covariance of rate and k, over Wait.
func (n ClosedNetwork) slope(slots int) (throughput, slope float64) {
	if n.saturated(slots) {
		return n.Saturation(), 0
	}
	demands, likeliest := n.Wait/n.Demand, n.likeliest(slots)
	// Distances from the likeliest number keep the covariance exact.
	busy, away := min(float64(likeliest), n.Cores), 0.0
	total, sumBusy, sumAway, sumBoth := 1.0, busy, 0.0, 0.0
	for k, p := likeliest+1, 1.0; k <= slots && p > 1e-18*total; k++ {
		busy, away = min(float64(k), n.Cores), away+1
		p *= float64(slots-k+1) / (demands * busy)
		total += p
		sumBusy += p * busy
		sumAway += p * away
		sumBoth += p * busy * away
	}
	busy, away = min(float64(likeliest), n.Cores), 0
	for k, p := likeliest, 1.0; k > 0 && p > 1e-18*total; k-- {
		p *= demands * busy / float64(slots-k+1)
		busy, away = min(float64(k-1), n.Cores), away-1
		total += p
		sumBusy += p * busy
		sumAway += p * away
		sumBoth += p * busy * away
	}
	mean := sumBusy / total
	return mean / n.Demand, -(sumBoth/total - mean*sumAway/total) / n.Demand / n.Wait
}

// saturated is true where a core is idle less often than rounding shows: those that wait are a Poisson
// number around what the cores send there, and Bernstein's inequality bounds how often it is so large.
func (n ClosedNetwork) saturated(slots int) bool {
	const hardlyEver = 42 // exp(-42) is less than 1e-18
	waiting := n.Cores * n.Wait / n.Demand
	beyond := float64(slots) - n.Cores - waiting
	return beyond > 0 && beyond*beyond > 2*hardlyEver*(waiting+beyond/3)
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
	// The smallest count queues least: Little's law there gives the start.
	start := samples[0]
	for _, s := range samples {
		if s.slots < start.slots {
			start = s
		}
	}
	near := math.Max(start.demand*1e-3, float64(start.slots)/start.throughput-start.demand)
	wait, sse = fitWaitNear(near, thinnedSamples(samples, mostFitted), cores, 0)
	return wait, sse, nil
}

// mostFitted is to how many samples a network is fitted: there is one figure to find.
const mostFitted = 256

// thinnedSamples joins neighbours, beyond so many, to their mean.
func thinnedSamples(samples []demandSample, most int) []demandSample {
	if len(samples) <= most {
		return samples
	}
	joined := make([]demandSample, most)
	for i := range joined {
		slots, restarts, throughput, demand := 0, 0, 0.0, 0.0
		for _, s := range samples[i*len(samples)/most : (i+1)*len(samples)/most] {
			slots += s.restarts * s.slots
			restarts += s.restarts
			throughput += float64(s.restarts) * s.throughput
			demand += float64(s.restarts) * s.demand
		}
		n := float64(restarts)
		joined[i] = demandSample{slots: int(math.Round(float64(slots) / n)), restarts: restarts, throughput: throughput / n, demand: demand / n}
	}
	return joined
}

// leastWait is the share of its demand that a request is taken to wait at the least, where the curve is
// flat to the last digit.
const leastWait = 1e-9

// fitWaitNear is fitWait from a wait that is near already, to a precision as of [leastSquares]; there are
// samples, and cores.
func fitWaitNear(near float64, samples []demandSample, cores, precision float64) (wait, sse float64) {
	values, slopes, of := make([]float64, len(samples)), make([]float64, len(samples)), math.NaN()
	evaluate := func(wait float64) {
		if wait == of {
			return
		}
		for i, s := range samples {
			n := ClosedNetwork{Cores: cores, Demand: s.demand, Wait: math.Max(wait, leastWait*s.demand)}
			values[i], slopes[i] = n.slope(s.slots)
		}
		of = wait
	}
	problem := leastSquares{
		lower: []float64{0}, precision: precision,
		rows: len(samples),
		residuals: func(p, r []float64) {
			evaluate(p[0])
			for i, s := range samples {
				r[i] = math.Sqrt(float64(s.restarts)) * (s.throughput - values[i])
			}
		},
		jacobian: func(p []float64, j *mat.Dense) {
			evaluate(p[0])
			for i, s := range samples {
				j.Set(i, 0, math.Sqrt(float64(s.restarts))*slopes[i])
			}
		},
	}
	best := problem.solve([]float64{near})
	return best.parameters[0], best.sse
}
