package model

import (
	"math"
	"testing"
)

func gathered(throughput func(int) float64, demand float64, off func(i int) float64, counts ...int) []group {
	var observations []Observation
	for i, n := range counts {
		for range 2 {
			observations = append(observations, Observation{Workers: n, Throughput: throughput(n) * math.Exp(off(i)), CPUPerRequest: demand})
		}
	}
	return tabulate(observations).groups
}

// Throughput that a closed network explains is drawn to it; the error is that of many restarts, not two.
func TestEstimatesFollowANetworkThatFits(t *testing.T) {
	network := ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.006}
	alternating := func(i int) float64 { return 0.02 * float64(1-2*(i%2)) }
	groups := gathered(network.ThroughputAt, 0.002, alternating, 1, 2, 3, 4, 6, 8, 12, 16)
	for i, e := range estimates(groups, 1, 0.04) {
		want := math.Log(network.ThroughputAt(groups[i].workers))
		if off := math.Abs(e.log - want); off > 0.005 {
			t.Errorf("%d workers: %.1f %% off the truth, the restarts are 2 %%", groups[i].workers, 100*off)
		}
		if alone := 0.04 / math.Sqrt2; e.err > 0.5*alone {
			t.Errorf("%d workers: a standard error of %.4f, two restarts alone have %.4f", groups[i].workers, e.err, alone)
		}
	}
}

// A server that no closed network explains is taken as it was measured.
func TestEstimatesLeaveAMisfitAlone(t *testing.T) {
	none := func(int) float64 { return 0 }
	groups := gathered(func(n int) float64 { return 300 / (1 + 0.2*math.Abs(float64(n-6))) }, 0.002, none, 1, 2, 4, 6, 8, 16)
	for i, e := range estimates(groups, 1, 0.02) {
		if off := math.Abs(e.log - groups[i].logMean); off > 0.01 {
			t.Errorf("%d workers: drawn away by %.1f %%", groups[i].workers, 100*off)
		}
	}
	for i, e := range estimates(groups, 0, 0.02) {
		near(t, "without known cores", e.log, groups[i].logMean, 0)
		near(t, "its error", e.err, 0.02/math.Sqrt2, 1e-12)
	}
}

// A count that keeps the core busy for 99 % of the time needs no comparison; one that needs a tenth more
// work for each request than another count proves nothing.
func TestProvenByUtilisation(t *testing.T) {
	for name, c := range map[string]struct {
		demand float64 // at 4 workers
		want   int
	}{"busy": {0.002, 1}, "busy with more work": {0.0022, 2}} {
		var observations []Observation
		for range 6 {
			observations = append(observations,
				Observation{Workers: 2, Throughput: 300, CPUPerRequest: 0.002},
				Observation{Workers: 4, Throughput: 0.99 / c.demand, CPUPerRequest: c.demand})
		}
		table := tabulate(observations)
		if got := table.proven(table.groups, 1, 0.05); got != c.want {
			t.Errorf("%s: proven from index %d on, want %d", name, got, c.want)
		}
	}
}
