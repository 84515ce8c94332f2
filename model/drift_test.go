package model

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Two counts, three restarts each, a minute in all. Within the counts, logarithms of 0, 0.01, 0.02 at
// 0, 0.4 and 0.8 of it, and the same at 0.2, 0.6 and 1: the pooled slope is 0.025 without any residual.
func TestDriftByHand(t *testing.T) {
	var observations []Observation
	for i := range 6 {
		workers, level := 1, 100.0
		if i%2 == 1 {
			workers, level = 4, 300
		}
		observations = append(observations, Observation{Workers: workers, At: float64(12 * i), Throughput: level * math.Exp(0.01*float64(i/2))})
	}
	d := driftOf(observations, 0.95)
	if d == nil {
		t.Fatal("no drift")
	}
	near(t, "share", d.Share, math.Expm1(0.025), 1e-9)
	near(t, "low", d.Low, d.Share, 1e-6)
	near(t, "span", d.Span, 60, 0)
	if d.P > 1e-6 || d.Restarts != 6 || !d.matters(0.05) || d.matters(0.06) {
		t.Errorf("got %+v: want a certain drift by 2.53 %%, more than half of 5 %% and less than half of 6 %%", d)
	}
}

func TestDriftNeedsRepeats(t *testing.T) {
	at := func(workers int, at float64) Observation {
		return Observation{Workers: workers, At: at, Throughput: 100 + at}
	}
	for name, observations := range map[string][]Observation{
		"nothing":      nil,
		"no repeats":   {at(1, 0), at(2, 10), at(3, 20), at(4, 30)},
		"two repeats":  {at(1, 0), at(1, 10), at(2, 20), at(2, 30)},
		"no time":      {at(1, 5), at(1, 5), at(1, 5), at(1, 5), at(1, 5)},
		"no such time": {at(1, math.NaN()), at(1, math.Inf(1)), at(1, 1)},
	} {
		if d := driftOf(observations, 0.95); d != nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// Of sweeps without a drift one in a hundred is accused of one; of those that slow down by a tenth,
// at 3 % noise, most are.
func TestDriftIsToldFromNoise(t *testing.T) {
	accused := func(drift float64) (share, covered float64) {
		const sweeps = 400
		for seed := range uint64(sweeps) {
			random := rand.New(rand.NewPCG(seed, 5))
			var observations []Observation
			for i := range 20 {
				observations = append(observations, Observation{
					Workers: 1 + random.IntN(5), At: float64(4 * i),
					Throughput: 100 * math.Exp(drift*float64(i)/19+0.03*random.NormFloat64()),
				})
			}
			d := driftOf(observations, 0.95)
			if d != nil && d.matters(0.05) {
				share += 1.0 / sweeps
			}
			if d != nil && d.Low <= math.Expm1(drift) && math.Expm1(drift) <= d.High {
				covered += 1.0 / sweeps
			}
		}
		return share, covered
	}
	if share, covered := accused(0); share > 0.025 || covered < 0.92 {
		t.Errorf("without a drift %.1f %% are accused, want about 1; %.1f %% of the intervals hold 0", 100*share, 100*covered)
	}
	if share, covered := accused(-0.1); share < 0.75 || covered < 0.92 {
		t.Errorf("of drifts by a tenth %.1f %% are seen; %.1f %% of the intervals hold it", 100*share, 100*covered)
	}
}

// Of three counts one slows down by 8 % and the others do not, at 1 % noise: that is a drift of that count,
// and not of all. Where all slow down alike, it is seldom taken for one count's own.
func TestDriftOfOneCount(t *testing.T) {
	sweeps := func(drift map[int]float64) (byCount map[int]int) {
		byCount = map[int]int{}
		for seed := range uint64(200) {
			random := rand.New(rand.NewPCG(seed, 6))
			var observations []Observation
			for i := range 18 {
				n := []int{3, 7, 8}[i%3]
				observations = append(observations, Observation{
					Workers: n, At: float64(5 * i), Throughput: 100 * float64(n) * math.Exp(drift[n]*float64(i)/17+0.01*random.NormFloat64()),
				})
			}
			if d := driftOf(observations, 0.95); d != nil && d.matters(0.05) {
				byCount[d.Workers]++
			}
		}
		return byCount
	}
	if got := sweeps(map[int]float64{3: -0.08}); got[3] < 160 || got[7]+got[8] > 4 {
		t.Errorf("by count %v, want that of 3 in at least 160 of 200", got)
	}
	if got := sweeps(map[int]float64{3: -0.08, 7: -0.08, 8: -0.08}); got[0] < 180 {
		t.Errorf("by count %v, want that of all in at least 180 of 200", got)
	}
}

// A machine that slows down by a tenth over the sweep is named with the advice; one that does not is not.
func TestDriftIsACaveat(t *testing.T) {
	for _, drift := range []float64{0, -0.1} {
		_, observations := played(t, Question{RuleOfThumb: 3, Highest: 16}, alikeServer)
		last := observations[len(observations)-1].At
		for i := range observations {
			observations[i].Throughput *= math.Exp(drift * observations[i].At / last)
		}
		a := Advise(observations, Question{RuleOfThumb: 3, Highest: 16})
		if got := hasCaveat(a, CaveatDrift); got != (drift != 0) {
			t.Errorf("a drift by %g: caveat %t, drift %+v", drift, got, a.Drift)
		}
	}
}
