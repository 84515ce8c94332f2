package model

import (
	"math"
	"testing"
)

// Tables that say little: what is said of them is a recommendation with the right doubt, or none.
// checkAdvice rules NaN out.
func TestAdviseDegenerate(t *testing.T) {
	once := func(throughput ...float64) []Observation {
		var observations []Observation
		for i, x := range throughput {
			observations = append(observations, Observation{Workers: i + 1, Throughput: x})
		}
		return observations
	}
	failedAt := func(workers int, observations []Observation) []Observation {
		for i := range observations {
			if observations[i].Workers == workers {
				observations[i].Failed, observations[i].Why = true, "answered nothing"
			}
		}
		return observations
	}
	for name, c := range map[string]struct {
		observations []Observation
		workers      int
		code         string
	}{
		// Linear and faster growth ends only with the range.
		"linear":      {once(10, 20, 30, 40, 50, 60), 6, CaveatSearchRange},
		"superlinear": {once(10, 25, 45, 70, 100, 140), 6, CaveatSearchRange},
		// On a flat line the fewest are as good as any.
		"flat":    {once(50, 50, 50, 50, 50, 50), 1, CaveatFewRepeats},
		"falling": {once(60, 50, 40, 30, 20, 10), 1, CaveatFewRepeats},
		// 19 of 20 is 95 %, and two counts have no curve.
		"two counts":          {once(19, 20), 1, CaveatNoRepeats},
		"two that grow":       {once(10, 20), 2, CaveatSearchRange},
		"one count":           {once(10), 0, CaveatOneCount},
		"zero throughput":     {once(0, 0, 0, 0), 0, CaveatIgnored},
		"one zero":            {once(10, 19, 0, 20, 20, 20), 2, CaveatIgnored},
		"one failed":          {failedAt(3, once(10, 19, 1, 20, 20, 20)), 2, CaveatCountFailed},
		"all failed":          {failedAt(1, once(10)), 0, CaveatNothingMeasured},
		"not a number":        {once(10, math.NaN(), 20, math.Inf(1), 20), 3, CaveatIgnored},
		"the same to the bit": {append(once(10, 20, 20), once(10, 20, 20)...), 2, CaveatFewRepeats},
		"tiny and huge":       {once(1e-9, 1e12, 1e12, 1e12, 1e12), 2, CaveatNoRepeats},
		"very far apart":      {[]Observation{{Workers: 1, Throughput: 1}, {Workers: 2, Throughput: 2}, {Workers: mostWorkers, Throughput: 3}}, mostWorkers, CaveatSearchRange},
	} {
		for _, q := range []Question{
			{SpreadFromNeighbours: true},
			{SpreadFromNeighbours: true, Cores: 2, MemoryBytes: 1e9, MemoryHeadroom: 0.1, RuleOfThumb: 5},
		} {
			a := Advise(c.observations, q)
			checkAdvice(t, a, c.observations, q)
			if a.Workers != c.workers {
				t.Errorf("%s: got %d workers, want %d", name, a.Workers, c.workers)
			}
			needCaveat(t, a, c.code, "", nil)
		}
	}
}
