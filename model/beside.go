package model

import "math"

// A LatencyPair is the 95th percentile of ordinary requests at one rate, in seconds, with fewer and with more
// workers. Share is the rate as a share of the capacity.
type LatencyPair struct{ Share, Fewer, More float64 }

const (
	// betterLatency is the factor from which on sooner answers are named as what more workers buy. In windows of
	// two seconds at 500 requests per second, chance alone makes it in up to 3 of 100 pairs of counts where
	// there is no difference (exponential times of one kind; none of 300 where all take the same time), as
	// TestLatencyGainIsNoChance plays.
	betterLatency = 1.5
	// agreeing is the least factor at each of the rates: one window that came out badly is no gain.
	agreeing = 1.2
	// busiestCompared is the largest share of the capacity that is compared: above it a window of seconds holds
	// too few busy periods for its 95th percentile to be repeatable.
	busiestCompared = 0.7
)

// LatencyGain returns the factor by which more workers answer ordinary requests sooner: the geometric mean over
// the rates up to 70 % of the capacity. sure is true where it is at least betterLatency, from two rates or more
// that agree. Without a rate it is 0.
func LatencyGain(pairs []LatencyPair) (factor float64, sure bool) {
	sum, n, agree := 0.0, 0, true
	for _, p := range pairs {
		if !(p.Fewer > 0) || !(p.More > 0) || !(p.Share > 0) || p.Share > busiestCompared {
			continue
		}
		sum += math.Log(p.Fewer / p.More)
		agree = agree && p.Fewer >= agreeing*p.More
		n++
	}
	if n == 0 {
		return 0, false
	}
	factor = math.Exp(sum / float64(n))
	return factor, n > 1 && agree && factor >= betterLatency
}
