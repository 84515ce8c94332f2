package model

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// noisy repeats each value up and down by a share, so that its mean stays.
func noisy(workers []int, demand, by float64, throughput func(int) float64) []Observation {
	var observations []Observation
	for _, n := range workers {
		for _, sign := range []float64{-1, 1} {
			observations = append(observations, Observation{Workers: n, Throughput: throughput(n) * (1 + sign*by), CPUPerRequest: demand})
		}
	}
	return observations
}

func candidate(t *testing.T, f Fit, model string) Candidate {
	t.Helper()
	for _, c := range f.Candidates {
		if c.Model == model {
			return c
		}
	}
	t.Fatalf("no candidate %s in %+v", model, f.Candidates)
	return Candidate{}
}

func TestClosedNetworkAccepted(t *testing.T) {
	truth := ClosedNetwork{Cores: 1, Demand: 0.0021, Wait: 0.008}
	groups := tabulate(noisy([]int{1, 2, 3, 4, 6, 8, 12}, 0.0021, 0.02, truth.ThroughputAt)).groups
	fit, curve := chooseCurve(groups, 1, 0.95)
	if !fit.Accepted || fit.Model != ModelClosedNetwork || curve == nil {
		t.Fatalf("got %+v", fit)
	}
	near(t, "wait", fit.Parameters["wait_seconds"], 0.008, 1e-4)
	if fit.Reading != "each request holds a core for 2.1 ms and waits 8.0 ms" {
		t.Errorf("reading: %q", fit.Reading)
	}
	if len(fit.Curve) != 12 || fit.Curve[4].Workers != 5 {
		t.Errorf("curve: got %d points, want one for each count 1 to 12: %+v", len(fit.Curve), fit.Curve)
	}
	near(t, "curve at 5", fit.Curve[4].Throughput/truth.ThroughputAt(5), 1, 0.01)
}

// Requests that are all alike bend more sharply than an exponential network can: 2 ms and 8 ms give
// 500 requests per second at five workers, where the network has 373.
func TestSharpKneeIsRefused(t *testing.T) {
	sharp := func(n int) float64 { return math.Min(float64(n)/0.010, 500) }
	fit, curve := chooseCurve(tabulate(noisy([]int{1, 2, 3, 4, 5, 6, 8}, 0.002, 0.01, sharp)).groups, 1, 0.95)
	if fit.Accepted || fit.Model != ModelUnimodal || curve != nil {
		t.Fatalf("got %+v", fit)
	}
	if c := candidate(t, fit, ModelClosedNetwork); c.LackOfFitP == nil || *c.LackOfFitP >= 0.05 || !strings.Contains(c.WhyNot, "lack of fit") {
		t.Errorf("closed network: %+v", c)
	}
	if !strings.HasPrefix(fit.Reading, "each request holds a core for 2.0 ms and waits about 8.0 ms; no formula fits") {
		t.Errorf("reading: %q", fit.Reading)
	}
}

// The F test by hand, for a network whose service demand leaves nothing to fit but the level: with
// one core and no wait the model is 1/c at every count. Means 98, 102, 100 against 100, two
// restarts each, one apart either way: SSE_lack = 2 (4 + 4 + 0) = 16 on 3 - 1 degrees of freedom,
// SSE_pure = 3 x 2 = 6 on 3: F = 8 / 2 = 4, p = (1 + 2/3 x 4)^(-3/2) = 0.1424.
func TestLackOfFitByHand(t *testing.T) {
	var observations []Observation
	for i, mean := range []float64{98, 102, 100} {
		for _, d := range []float64{-1, 1} {
			observations = append(observations, Observation{Workers: i + 1, Throughput: mean + d})
		}
	}
	c := parametricCurve{parameters: 1, at: func(int) float64 { return 100 }}
	c.test(tabulate(observations).groups)
	if c.candidate.LackOfFitP == nil || !c.candidate.Accepted {
		t.Fatalf("got %+v", c.candidate)
	}
	near(t, "p", *c.candidate.LackOfFitP, math.Pow(1+8.0/3, -1.5), 1e-9)
	near(t, "RMSE", *c.candidate.RMSE, math.Sqrt((16+6)/6.0), 1e-9)
}

func TestLackOfFitWithoutATest(t *testing.T) {
	line := ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.008}.ThroughputAt
	var once []Observation
	for n := 1; n <= 4; n++ {
		once = append(once, Observation{Workers: n, Throughput: line(n), CPUPerRequest: 0.002})
	}
	for why, observations := range map[string][]Observation{
		"no count was repeated":   once,
		"1 count for 1 parameter": noisy([]int{1}, 0.002, 0.01, line),
	} {
		fit, _ := chooseCurve(tabulate(observations).groups, 1, 0.95)
		got := candidate(t, fit, ModelClosedNetwork)
		if fit.Accepted || fit.LackOfFitP != nil || got.LackOfFitP != nil || !strings.Contains(got.WhyNot, why) {
			t.Errorf("%s: got %+v", why, got)
		}
	}
}

// Restarts that agree to the last digit leave no spread: only a curve through all of them passes.
func TestLackOfFitWithoutSpread(t *testing.T) {
	line := ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.008}.ThroughputAt
	fit, _ := chooseCurve(tabulate(noisy([]int{1, 2, 3, 4, 6}, 0.002, 0, line)).groups, 1, 0.95)
	if !fit.Accepted || fit.Model != ModelClosedNetwork || *fit.LackOfFitP != 1 {
		t.Errorf("exact data: got %+v", fit)
	}
	off := func(n int) float64 { return line(n) * (1 + 0.01*float64(n%2)) }
	fit, _ = chooseCurve(tabulate(noisy([]int{1, 2, 3, 4, 6}, 0.002, 0, off)).groups, 1, 0.95)
	if fit.Accepted || *fit.LackOfFitP != 0 {
		t.Errorf("1 %% off: got %+v", fit)
	}
}

func TestUSLReading(t *testing.T) {
	law := USL{0.03, 0.001, 500}
	fit, _ := chooseCurve(tabulate(noisy([]int{1, 2, 4, 8, 16, 32}, 0, 0.01, func(n int) float64 { return law.ThroughputAt(float64(n)) })).groups, 8, 0.95)
	if fit.Model != ModelUSL || fit.Reading != "one worker answers 500 requests per second (482 to 518); 3 % (2.3 % to 3.7 %) of the work is serialised and each pair of workers costs 0.1 % more (0.09 % to 0.11 %)" {
		t.Errorf("got %s: %q", fit.Model, fit.Reading)
	}
	if c := candidate(t, fit, ModelClosedNetwork); c.WhyNot != "CPU time per request was not measured" {
		t.Errorf("closed network: %q", c.WhyNot)
	}
}

// Beyond so many counts neighbours share one, and no restart is lost: of 250 in 100, two or three each.
func TestThinned(t *testing.T) {
	var groups []group
	restarts := 0
	for i := range 250 {
		groups = append(groups, group{workers: 1 + i, n: 1 + i%3})
		restarts += 1 + i%3
	}
	got := thinned(groups, 250)
	if !slices.Equal(workersIn(got), workersIn(groups)) {
		t.Errorf("as many as are allowed: got %d", len(got))
	}
	got = thinned(groups, 100)
	if len(got) != 100 || got[0].workers != 2 || got[99].workers != 249 || !slices.IsSorted(workersIn(got)) {
		t.Errorf("got %v", workersIn(got))
	}
	for _, g := range got {
		restarts -= g.n
	}
	if restarts != 0 {
		t.Errorf("%d restarts were lost", restarts)
	}
}

func workersIn(groups []group) []int {
	var counts []int
	for _, g := range groups {
		counts = append(counts, g.workers)
	}
	return counts
}

// A long range is looked at in steps, and the count between two of them found: 95 % of 1000.
func TestCurveKneeBetweenSteps(t *testing.T) {
	at := func(n int) float64 { return math.Min(float64(n), 1000) }
	for _, step := range []int{1, 7, 64, 400} {
		var counts []int
		for n := 1; n <= 2000; n += step {
			counts = append(counts, n)
		}
		if got := curveKnee(counts, at, 0.05); got != 950 {
			t.Errorf("steps of %d: got %d, want 950 of 1000", step, got)
		}
	}
}
