package model

import (
	"strings"
	"testing"
)

func TestKneedlePublished(t *testing.T) {
	x := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	if i, ok := kneedle(x, []float64{0, 60, 80, 85, 90, 95, 96, 97, 98, 99}); !ok || x[i] != 2 {
		t.Errorf("got %d, %t, want the knee at 2", i, ok)
	}
	// Figure 2 of the paper.
	y := make([]float64, 10)
	for i := range x {
		x[i] = float64(i) / 9
		y[i] = 5 - 1/(x[i]+0.1)
	}
	i, ok := kneedle(x, y)
	if !ok {
		t.Fatal("figure 2: got no knee")
	}
	near(t, "figure 2", x[i], 0.2222, 1e-4)
}

func TestKneedleWithoutBend(t *testing.T) {
	for _, y := range [][]float64{{1, 2, 3, 4}, {5, 5, 5, 5}, {4, 3, 2, 1}} {
		if i, ok := kneedle([]float64{1, 2, 3, 4}, y); ok {
			t.Errorf("%v: got a knee at %d", y, i)
		}
	}
}

func observed(samples []Sample) []Observation {
	var observations []Observation
	for _, s := range samples {
		observations = append(observations, Observation{Workers: int(s.Workers), Throughput: s.Throughput})
	}
	return observations
}

// 0.95 x 12211.41 = 11600.84 lies between the 22 and 23 of the published column.
func TestPlateauPublished(t *testing.T) {
	p, ok := plateauOf(tabulate(observed(codahale(t))), yardstick{cores: 0, lowest: 1, highest: 32, tolerance: 0.05})
	if !ok || p.groups[p.knee].workers != 23 || p.groups[p.best].workers != 27 {
		t.Errorf("got the knee at %d and the best at %d, want 23 and 27", p.groups[p.knee].workers, p.groups[p.best].workers)
	}
	if p.rising(0.05) {
		t.Error("got a curve that still rises, though it falls after 27")
	}
	// Cut off at 20 it does.
	if p, ok = plateauOf(tabulate(observed(codahale(t)[:20])), yardstick{cores: 0, lowest: 1, highest: 32, tolerance: 0.05}); !ok || !p.rising(0.05) {
		t.Error("first 20: got a curve that has stopped rising")
	}
}

// METHOD 5: the first six points of raytracer put the peak at 24.5, where throughput still grew at 64.
func TestPeakOutsideTheRangeIsNoKnee(t *testing.T) {
	advice := Advise(observed(samplesOf(raytracerWorkers[:6], raytracerThroughput[:6])), Question{Cores: 64, Highest: 64})
	found := false
	for _, k := range advice.OtherKnees {
		if k.Rule == "usl_peak" {
			found = true
			if k.Workers != 0 || !strings.Contains(k.Note, "24.5, is outside the measured range 1 to 20") {
				t.Errorf("got %+v", k)
			}
		}
	}
	if !found {
		t.Errorf("got no USL peak among %+v", advice.OtherKnees)
	}
	if advice.Workers > 20 || advice.LimitedBy != LimitedBySearchRange || advice.HighResolved {
		t.Errorf("got %d limited by %s, resolved %t", advice.Workers, advice.LimitedBy, advice.HighResolved)
	}
}

// Two counts, two restarts each: the interval of the ratio is that of a two-sample t test with a
// pooled variance on the logarithms, worked out by hand.
func TestIntervalByHand(t *testing.T) {
	// Logarithms: 1 worker 4.5951, 4.6052 (mean 4.60017); 2 workers 4.6347, 4.6444 (mean 4.63956).
	// Squares about the means 5.05e-5 + 4.67e-5, two degrees of freedom: spread 0.00697.
	// t(0.975, 2) = 4.3027; width 4.3027 x 0.00697 x sqrt(1/2 + 1/2) = 0.0300.
	// Ratio -0.0394: interval -0.0694 .. -0.0094. The line for 5 %, -0.0513, lies inside it: 1 is
	// neither ruled out nor sure, and 2 is sure. For 8 %, -0.0834, 1 is sure. For 0.5 %, -0.0050, 1
	// is ruled out, and 2 may be the higher by chance.
	table := tabulate([]Observation{
		{Workers: 1, Throughput: 99},
		{Workers: 1, Throughput: 100},
		{Workers: 2, Throughput: 103},
		{Workers: 2, Throughput: 104},
	})
	near(t, "spread", table.spread, 0.00697, 1e-5)
	for _, c := range []struct {
		tolerance float64
		want      interval
	}{
		{0.05, interval{1, 2, true}},
		{0.08, interval{1, 1, true}},
		{0.005, interval{2, 2, false}},
	} {
		p, ok := plateauOf(table, yardstick{cores: 0, lowest: 1, highest: 2, tolerance: c.tolerance})
		if got := p.interval(table, 0.95); !ok || got != c.want {
			t.Errorf("tolerance %g: got %+v, want %+v", c.tolerance, got, c.want)
		}
	}
	// Without repeats nothing is sure.
	table = tabulate([]Observation{{Workers: 1, Throughput: 99}, {Workers: 2, Throughput: 103}})
	p, _ := plateauOf(table, yardstick{cores: 0, lowest: 1, highest: 2, tolerance: 0.05})
	if got := p.interval(table, 0.95); got != (interval{1, 2, false}) {
		t.Errorf("no repeats: got %+v", got)
	}
}

// METHOD 5: low is the smallest count that is not surely below the line. Four workers are, by a fifth;
// of one to three nothing says so, and they stay in.
func TestIntervalAboveATooth(t *testing.T) {
	var observations []Observation
	for i, x := range []float64{100, 100, 100, 80, 100, 100, 100, 103} {
		for _, by := range []float64{0.99, 1.01} {
			observations = append(observations, Observation{Workers: i + 1, Throughput: x * by})
		}
	}
	table := tabulate(observations)
	p, ok := plateauOf(table, yardstick{lowest: 1, highest: 8, tolerance: 0.05})
	if !ok {
		t.Fatal("got no plateau")
	}
	factor := studentT(0.95, table.freedom) * table.spread
	if tooth := table.groups[3].logMean - p.line + factor; tooth >= 0 { // a wider interval than that of two restarts against more
		t.Fatalf("4 workers are not surely below the line: %g", tooth)
	}
	if got := p.interval(table, 0.95); got.low != 1 {
		t.Errorf("got %+v, want it to begin at 1", got)
	}
}
