package model

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Five counts in geometric steps, straight on logarithmic axes but for the middle one, which is off
// by d: pseudo-residuals d/2, -d, d/2 with 1 + 1/4 + 1/4 below them, so that the variance is
// (d^2/4 + d^2 + d^2/4) / 1.5 / 3 = d^2 / 3.
func TestNeighbourSpreadByHand(t *testing.T) {
	const d = 0.03
	var observations []Observation
	for i, n := range []int{1, 2, 4, 8, 16} {
		x := 100 * math.Pow(float64(n), 0.7)
		if i == 2 {
			x *= math.Exp(d)
		}
		observations = append(observations, Observation{Workers: n, Throughput: x})
	}
	spread, freedom, ok := neighbourSpread(tabulate(observations).groups)
	if !ok || freedom != 1 {
		t.Errorf("got freedom %d, %t, want 1", freedom, ok)
	}
	near(t, "spread", spread, d/math.Sqrt(3), 1e-9)
	if _, _, ok := neighbourSpread(tabulate(observations[:4]).groups); ok {
		t.Error("four counts: got a spread")
	}
}

// The degrees of freedom are those whose chi-squared has the variance the estimate really has: over
// many straight curves, 2 mean^2 / variance.
func TestNeighbourFreedom(t *testing.T) {
	const noise, counts = 0.03, 32
	random := rand.New(rand.NewPCG(1, 3))
	sum, squares, n := 0.0, 0.0, 4000.0
	freedom := 0
	for range int(n) {
		groups := make([]group, counts)
		for i := range groups {
			groups[i] = group{workers: 1000 + i, logMean: noise * random.NormFloat64()}
		}
		spread, f, _ := neighbourSpread(groups)
		freedom = f
		sum += spread * spread
		squares += spread * spread * spread * spread
	}
	mean := sum / n
	near(t, "variance", mean/(noise*noise), 1, 0.02)
	if got := 2 * mean * mean / (squares/n - mean*mean); math.Abs(got-float64(freedom)) > 2 {
		t.Errorf("got %d degrees of freedom, want %.1f", freedom, got)
	}
}

// Tables without a repeat, of every simulated server: the intervals hold the right count no less
// often than they say, with all counts measured and with few.
func TestIntervalsWithoutRepeats(t *testing.T) {
	all := make([]int, mostSimulated)
	for i := range all {
		all[i] = i + 1
	}
	for name, counts := range map[string][]int{"every count": all, "few": {1, 2, 3, 4, 5, 6, 8, 10, 12, 16}} {
		for _, server := range truths() {
			const tables = 100
			right, _ := server.answer()
			random := rand.New(rand.NewPCG(2, 9))
			covered := 0
			for range tables {
				var observations []Observation
				for _, n := range counts {
					observations = append(observations, Observation{Workers: n, Throughput: server.throughput(n) * math.Exp(0.03*random.NormFloat64())})
				}
				a := Advise(observations, Question{SpreadFromNeighbours: true})
				if a.Low <= right && (right <= a.High || !a.HighResolved) {
					covered++
				}
			}
			t.Logf("%s, %s: %d of %d", name, server.name, covered, tables)
			if share(covered, tables) < 0.9 {
				t.Errorf("%s, %s: %d of %d intervals hold %d", name, server.name, covered, tables, right)
			}
		}
	}
}

// The published table has no repeats: the count is that of the raw figures whatever the spread is.
func TestAdviseWithoutRepeats(t *testing.T) {
	a := Advise(observed(codahale(t)), Question{SpreadFromNeighbours: true})
	if a.Workers != 23 || a.Low > 23 || a.High < 23 || a.Low == 1 {
		t.Errorf("got %d (%d-%d)", a.Workers, a.Low, a.High)
	}
	needCaveat(t, a, CaveatNoRepeats, "how far each lies from its neighbours", map[string]float64{"counts": 32})
	for _, p := range a.Points {
		if p.ThroughputLow >= p.Throughput || p.ThroughputHigh <= p.Throughput {
			t.Errorf("%d: got no interval: %+v", p.Workers, p)
		}
	}
	if a := Advise(observed(codahale(t)[:4]), Question{SpreadFromNeighbours: true}); a.HighResolved {
		t.Errorf("four counts: got %d (%d-%d), resolved", a.Workers, a.Low, a.High)
	} else {
		needCaveat(t, a, CaveatNoRepeats, "too few were measured", map[string]float64{"counts": 4})
	}
	if _, ok := caveat(Advise(observed(codahale(t)), Question{}), CaveatNoRepeats); ok {
		t.Error("nobody asked for a spread from neighbours")
	}
}
