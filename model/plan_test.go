package model

import (
	"slices"
	"testing"
)

// run plays a search against a server without noise and returns the counts in their order.
func run(t *testing.T, s Search, measure func(workers int) Observation) (counts []int, steps []Step) {
	t.Helper()
	var observations []Observation
	for {
		step := s.Next(observations)
		steps = append(steps, step)
		if step.Done {
			return counts, steps
		}
		if step.Why == "" {
			t.Fatalf("%+v does not say why", step)
		}
		counts = append(counts, step.Workers)
		o := measure(step.Workers)
		o.Workers = step.Workers
		observations = append(observations, o)
		if len(counts) > 500 {
			t.Fatalf("no end in sight: %v", counts)
		}
	}
}

func steady(throughput func(int) float64) func(int) Observation {
	return func(n int) Observation { return Observation{Throughput: throughput(n)} }
}

func times(counts []int, n int) int {
	times := 0
	for _, c := range counts {
		if c == n {
			times++
		}
	}
	return times
}

func TestSearchFirstLook(t *testing.T) {
	for name, c := range map[string]struct {
		search Search
		want   []int
	}{
		"no bounds":            {Search{Always: []int{3}}, []int{1, 2, 3, 4, 8}},
		"a large machine":      {Search{Highest: 64, Always: []int{9}}, []int{1, 2, 4, 9}},
		"from 3 to 6":          {Search{Lowest: 3, Highest: 6}, []int{3, 4, 6}},
		"a rule outside":       {Search{Lowest: 1, Highest: 2, Always: []int{9}}, []int{1, 2, 9}},
		"high counts":          {Search{Lowest: 20, Highest: 100}, []int{20, 32}},
		"the user's list":      {Search{Exact: []int{5, 2, 5, 11}, Always: []int{3}}, []int{2, 3, 5, 11}},
		"nonsense in the list": {Search{Exact: []int{-1, 0, 2}}, []int{2}},
	} {
		counts, _ := run(t, c.search, steady(func(n int) float64 { return 100 / float64(n) }))
		first := slices.Clone(counts[:len(c.want)])
		slices.Sort(first)
		if !slices.Equal(first, c.want) {
			t.Errorf("%s: got %v, want %v", name, first, c.want)
		}
	}
}

func TestSearchOrderIsTheSeeds(t *testing.T) {
	order := func(seed int64) []int {
		counts, _ := run(t, Search{Highest: 16, Always: []int{3}, Seed: seed}, steady(alikeServer))
		return counts
	}
	if !slices.Equal(order(1), order(1)) {
		t.Error("the same seed gave two orders")
	}
	different := false
	for seed := int64(2); seed < 10; seed++ {
		different = different || !slices.Equal(order(1)[:5], order(seed)[:5])
	}
	if !different {
		t.Error("nine seeds gave one order")
	}
}

func TestSearchExtendsWhileRising(t *testing.T) {
	linear := steady(func(n int) float64 { return float64(n) })
	counts, steps := run(t, Search{Highest: 64, Always: []int{3}}, linear)
	if !slices.Contains(counts, 16) || !slices.Contains(counts, 32) || !slices.Contains(counts, 64) {
		t.Errorf("got %v, want it to go on to 64", counts)
	}
	if slices.Max(counts) > 64 {
		t.Errorf("got %d, above the bound", slices.Max(counts))
	}
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.Why == "extend: 8 is the best so far" }) {
		t.Errorf("steps %+v", steps)
	}
	flat, _ := run(t, Search{Highest: 64, Always: []int{3}}, steady(func(int) float64 { return 100 }))
	if slices.Max(flat) != 8 {
		t.Errorf("flat: got %v, want nothing above 8", flat)
	}
}

func TestSearchBisects(t *testing.T) {
	counts, steps := run(t, Search{Highest: 16, Always: []int{3}}, steady(alikeServer))
	if !slices.Contains(counts, 6) || !slices.Contains(counts, 5) || slices.Contains(counts, 7) {
		t.Errorf("got %v, want 4..8 halved to 6, then to 5", counts)
	}
	if !slices.ContainsFunc(steps, func(s Step) bool { return s == Step{Workers: 6, Why: "bisect 4..8"} }) {
		t.Errorf("steps %+v", steps)
	}
	last := steps[len(steps)-1]
	if last != (Step{Why: "settled: 5 workers", Done: true, Resolved: true}) {
		t.Errorf("ended with %+v", last)
	}
	if times(counts, 5) < 3 || times(counts, 3) < 2 || times(counts, 4) < 2 {
		t.Errorf("got %v, want three restarts of the choice, two of the rule of thumb and the count below", counts)
	}
}

// The counts 4 and 8 hide a top at 6 that is more than the tolerance above both.
func TestSearchLooksBesideTheBest(t *testing.T) {
	tent := steady(func(n int) float64 { return min(float64(n), 12-float64(n)) })
	counts, _ := run(t, Search{Highest: 8}, tent)
	if !slices.Contains(counts, 6) {
		t.Errorf("got %v, want 6 among them", counts)
	}
}

func TestSearchStopsBelowAMemoryKill(t *testing.T) {
	counts, steps := run(t, Search{Highest: 16, Always: []int{3}, Seed: 4}, func(n int) Observation {
		if n >= 7 {
			return Observation{Failed: true, MemoryKilled: true}
		}
		return Observation{Throughput: float64(n)}
	})
	if times(counts, 8) != 1 || slices.Max(counts) != 8 {
		t.Errorf("got %v, want 8 once and nothing above", counts)
	}
	if !slices.Contains(counts, 6) {
		t.Errorf("got %v, want the largest count that works among them", counts)
	}
	if !steps[len(steps)-1].Resolved {
		t.Errorf("ended with %+v", steps[len(steps)-1])
	}
}

// 100 MB and 90 MB for each worker in 640 MB less a tenth: five need 550, six 640.
func TestSearchHeedsTheMemoryLine(t *testing.T) {
	counts, _ := run(t, Search{Highest: 64, MemoryBytes: 640e6, MemoryHeadroom: 0.1}, func(n int) Observation {
		return Observation{Throughput: float64(n), Memory: 100e6 + 90e6*float64(n)}
	})
	if slices.Max(counts) > 8 || times(counts, 8) > 1 {
		t.Errorf("got %v: eight do not fit and were measured again, or more were tried", counts)
	}
	if !slices.Contains(counts, 5) {
		t.Errorf("got %v, want 5, the largest that fits", counts)
	}
}

func TestSearchRetriesAFailureOnce(t *testing.T) {
	counts, _ := run(t, Search{Highest: 16}, func(n int) Observation {
		if n == 8 {
			return Observation{Failed: true, Why: "not ready"}
		}
		return Observation{Throughput: float64(n)}
	})
	if times(counts, 8) != 2 {
		t.Errorf("got %v, want 8 twice", counts)
	}
	counts, steps := run(t, Search{Highest: 16, Always: []int{3}}, func(int) Observation { return Observation{Failed: true} })
	if len(counts) != givingUp || steps[len(steps)-1].Resolved {
		t.Errorf("nothing works: got %v, ended with %+v", counts, steps[len(steps)-1])
	}
}

// A throughput that is no number must not be asked for over and over.
func TestSearchEndsWithoutMeasurements(t *testing.T) {
	run(t, Search{Highest: 16, Always: []int{3}}, steady(func(int) float64 { return 0 }))
}

func TestSearchExactStaysExact(t *testing.T) {
	counts, _ := run(t, Search{Exact: []int{1, 4, 16}, Always: []int{3}}, steady(alikeServer))
	slices.Sort(counts)
	if got := slices.Compact(counts); !slices.Equal(got, []int{1, 3, 4, 16}) {
		t.Errorf("got %v", got)
	}
}

// The objective is met from 7 on, above the knee at 5.
func TestSearchBisectsTheObjective(t *testing.T) {
	counts, _ := run(t, Search{Highest: 16, Always: []int{3}}, func(n int) Observation {
		meets := n >= 7
		return Observation{Throughput: alikeServer(n), MeetsObjective: &meets}
	})
	if !slices.Contains(counts, 7) {
		t.Errorf("got %v, want 7 among them", counts)
	}
}

// Where the generator is the bottleneck there is nothing to settle by repeats.
func TestSearchEndsAtTheGeneratorsLimit(t *testing.T) {
	counts, steps := run(t, Search{Highest: 32, Always: []int{3}}, func(n int) Observation {
		return Observation{Throughput: min(30000*float64(n), 50000), GeneratorBound: n > 1}
	})
	last := steps[len(steps)-1]
	if len(counts) > 8 || last.Resolved || last.Why != "the load generator is at its limit" {
		t.Errorf("measured %v and ended with %+v", counts, last)
	}
}
