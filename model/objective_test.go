package model

import "testing"

func TestBracketRate(t *testing.T) {
	held, broke := func(r float64) RateTried { return RateTried{r, true} }, func(r float64) RateTried { return RateTried{r, false} }
	for name, c := range map[string]struct {
		tried    []RateTried
		capacity float64
		want     BreakingRate
	}{
		"nothing tried":         {nil, 0, BreakingRate{}},
		"full load alone":       {nil, 500, BreakingRate{Breaks: 500}},
		"between two":           {[]RateTried{held(250), held(350), broke(450)}, 500, BreakingRate{Holds: 350, Breaks: 450, Measured: true}},
		"never broke":           {[]RateTried{held(250), held(450)}, 500, BreakingRate{Holds: 450, Breaks: 500}},
		"never held":            {[]RateTried{broke(450), broke(250)}, 500, BreakingRate{Breaks: 250, Measured: true}},
		"luck above":            {[]RateTried{held(100), broke(250), held(350)}, 500, BreakingRate{Holds: 100, Breaks: 250, Measured: true}},
		"once of two":           {[]RateTried{held(100), held(250), broke(250)}, 500, BreakingRate{Holds: 100, Breaks: 250, Measured: true}},
		"broke above full load": {[]RateTried{held(250), broke(900)}, 500, BreakingRate{Holds: 250, Breaks: 500}},
		"held above full load":  {[]RateTried{held(510)}, 500, BreakingRate{Holds: 510}},
		"no rate":               {[]RateTried{broke(0), held(0)}, 0, BreakingRate{}},
	} {
		if got := BracketRate(c.tried, c.capacity); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// 2 ms a request are 500 requests per second a core, so 1,000 need two cores and 1,001 three. With 1 ms
// more for each core more than one, C cores answer C/(1+C) x 1,000: two thirds of that on two cores,
// nine tenths on nine, and never all of it.
func TestCoresFor(t *testing.T) {
	level := scaling(t, CoresMeasured{Cores: 1, Throughput: 480, Demand: 0.002})
	dearer := scaling(t, CoresMeasured{Cores: 1, Throughput: 500, Demand: 0.002}, CoresMeasured{Cores: 2, Throughput: 660, Demand: 0.003})
	for _, c := range []struct {
		s    Scaling
		rate float64
		want int
	}{
		{level, 1, 1},
		{level, 500, 1},
		{level, 1000, 2},
		{level, 1001, 3},
		{dearer, 899, 9},
		{dearer, 901, 10},
		{dearer, 1000, 0},
		{dearer, 2000, 0},
		{level, 0, 0},
		{level, -1, 0},
		{Scaling{}, 10, 0},
		{level, 1e9, 0},
	} {
		if got, ok := c.s.CoresFor(c.rate); got != c.want || ok != (c.want > 0) {
			t.Errorf("%g requests per second: %d cores, %t, want %d", c.rate, got, ok, c.want)
		}
	}
}

// Where every count misses the objective, one restart of the knee is asked for, to learn at what rates
// it would hold, and no more after it.
func TestMissedObjectiveIsMeasuredAtLowerRates(t *testing.T) {
	no := false
	var obs []Observation
	for _, n := range []int{1, 2, 4, 5, 8} {
		x := ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.008}.ThroughputAt(n)
		obs = append(obs, Observation{Workers: n, Throughput: x, CPUPerRequest: 0.002, MeetsObjective: &no, ObjectiveWhy: "p95 of 90 ms, over 50 ms"})
	}
	q := Question{Cores: 1, RuleOfThumb: 3, Lowest: 1, Highest: 8}
	step := Confirm(obs, q)
	if step.Done || step.Purpose != PurposeLatency || step.Workers != 8 || step.Capacity != obs[4].Throughput {
		t.Fatalf("got %+v, want 8 workers, the knee, for latency", step)
	}
	obs = append(obs, Observation{Workers: 8, Purpose: PurposeLatency, MeetsObjective: &no})
	if step := Confirm(obs, q); !step.Done {
		t.Errorf("got %+v after that, want the end", step)
	}
}
