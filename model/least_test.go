package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// three restarts of each count, from 1 on.
func thrice(throughput ...float64) []Observation {
	var list []Observation
	for i, x := range throughput {
		for _, off := range []float64{0.998, 1, 1.002} {
			list = append(list, Observation{Workers: i + 1, Throughput: off * x, CPUPerRequest: 0.002, Memory: 1e7 + 2e7*float64(i+1)})
		}
	}
	return list
}

func missing(observations []Observation, workers ...int) []Observation {
	for i := range observations {
		met := !slices.Contains(workers, observations[i].Workers)
		observations[i].MeetsObjective = &met
	}
	return observations
}

// Where 1 does, the least decides, unless more fit nowhere, miss the objective, give up more than the tolerance
// of 5 %, or are not allowed.
func TestLeast(t *testing.T) {
	one := Question{Cores: 1, CoresMeasured: 1, RuleOfThumb: 3}
	with := func(change func(*Question)) Question {
		q := one
		change(&q)
		return q
	}
	for name, test := range map[string]struct {
		observations []Observation
		question     Question
		want         int
		by           LimitedBy
		doubt        string // in the caveat; empty: there is none
	}{
		"as few as do":            {thrice(500, 500, 500), one, 1, LimitedByThroughput, ""},
		"1 asked for":             {thrice(500, 500, 500), with(func(q *Question) { q.Least = 1 }), 1, LimitedByThroughput, ""},
		"2 as fast":               {thrice(500, 500, 500), with(func(q *Question) { q.Least = 2 }), 2, LimitedByLeast, ""},
		"2 a little slower":       {thrice(500, 490, 485), with(func(q *Question) { q.Least = 2 }), 2, LimitedByLeast, ""},
		"3 asked for":             {thrice(500, 495, 490, 485), with(func(q *Question) { q.Least = 3 }), 3, LimitedByLeast, ""},
		"2 needed anyway":         {thrice(250, 500, 500), with(func(q *Question) { q.Least = 2 }), 2, LimitedByThroughput, ""},
		"2 lose 10 %":             {thrice(500, 450, 440), with(func(q *Question) { q.Least = 2 }), 1, LimitedByThroughput, "2 would answer 10 % less, more than the 5 % that may be given up"},
		"2 do not fit":            {thrice(500, 500, 500), with(func(q *Question) { q.Least, q.MemoryBytes = 2, 4e7 }), 1, LimitedByThroughput, "more do not fit in memory"},
		"2 miss the objective":    {missing(thrice(500, 500, 500), 2, 3), with(func(q *Question) { q.Least = 2 }), 1, LimitedByThroughput, "more miss the objective"},
		"2 miss and 3 meet it":    {missing(thrice(500, 500, 500), 2), with(func(q *Question) { q.Least = 2 }), 3, LimitedByLeast, ""},
		"no more than 2 allowed":  {thrice(500, 500), with(func(q *Question) { q.Least, q.Highest = 3, 2 }), 1, LimitedByThroughput, "no more than 2 are allowed"},
		"more than were measured": {thrice(500, 500), with(func(q *Question) { q.Least = 3 }), 1, LimitedByThroughput, "more were not measured"},
	} {
		t.Run(name, func(t *testing.T) {
			a := Advise(test.observations, test.question)
			if !a.Made || a.Workers != test.want || a.LimitedBy != test.by {
				t.Errorf("got %d workers limited by %s (made %t), want %d by %s", a.Workers, a.LimitedBy, a.Made, test.want, test.by)
			}
			if a.Low > a.Workers || a.High < a.Workers || test.by == LimitedByLeast && a.Low < test.want {
				t.Errorf("the interval is %d-%d around %d", a.Low, a.High, a.Workers)
			}
			c, doubted := caveat(a, CaveatFewerThanLeast)
			if doubted != (test.doubt != "") {
				t.Errorf("the caveat is %+v, want %q", c, test.doubt)
			}
			if doubted {
				needCaveat(t, a, CaveatFewerThanLeast, test.doubt, map[string]float64{"workers": 1, "least": float64(test.question.Least)})
				needCaveat(t, a, CaveatFewerThanLeast, "A single slow request stops everybody", nil)
			}
		})
	}
}

// What it costs is in the reason: 500 to 490 is 2 %, and each worker takes 20 MB.
func TestLeastSaysWhatItCosts(t *testing.T) {
	a := Advise(thrice(500, 490, 485), Question{Cores: 1, CoresMeasured: 1, Least: 2})
	const want = "1 worker would do for throughput, but a slow request, or a restart, would stop everybody: 2 cost 20 MB and 2.0 % of the throughput more."
	if !slices.Contains(a.Reasons, want) {
		t.Errorf("the reasons are %q, want %q among them", a.Reasons, want)
	}
}

// A search finds the least of a flat page and of a declining one, measured as often as a choice is, and stays
// with 1 where 2 lose 20 %.
func TestSearchForTheLeast(t *testing.T) {
	for name, test := range map[string]struct {
		throughput func(workers int) float64
		least      int
		want       int
	}{
		"flat":             {func(int) float64 { return 500 }, 2, 2},
		"a little slower":  {func(n int) float64 { return 500 * math.Pow(0.99, float64(n-1)) }, 2, 2},
		"much slower":      {func(n int) float64 { return 500 * math.Pow(0.8, float64(n-1)) }, 2, 1},
		"flat, 5 at least": {func(int) float64 { return 500 }, 5, 5},
		"waiting":          {func(n int) float64 { return math.Min(float64(n)*100, 500) }, 2, 5},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(10) {
				random := rand.New(rand.NewPCG(uint64(seed), 9))
				search := Search{Highest: 16, Always: []int{3}, Cores: 1, Tolerance: 0.05, Least: test.least, Seed: seed}
				question := Question{Cores: 1, CoresMeasured: 1, RuleOfThumb: 3, Lowest: 1, Highest: 16, Least: test.least, Seed: seed}
				var observations []Observation
				for step := search.Next(nil); !step.Done && len(observations) < 60; step = search.Next(observations) {
					observations = append(observations, Observation{Workers: step.Workers, Throughput: test.throughput(step.Workers) * math.Exp(0.01*random.NormFloat64())})
				}
				a := Advise(observations, question)
				if a.Workers != test.want {
					t.Errorf("seed %d: got %d workers, want %d", seed, a.Workers, test.want)
				}
				if _, few := caveat(a, CaveatFewRepeats); few {
					t.Errorf("seed %d: %d workers were not measured often enough", seed, a.Workers)
				}
			}
		})
	}
}

// The latency of the count below is worth more than that of others where only the least asks for one more.
func TestLatencyBesideTheLeast(t *testing.T) {
	a := Advise(thrice(500, 500, 500, 500), Question{Cores: 1, CoresMeasured: 1, RuleOfThumb: 4, Least: 2})
	if got := latencyLeft(a, nil); !slices.Equal(got, []int{2, 1, 4, 3}) {
		t.Errorf("latency is left at %v, want 2, 1, 4 and 3", got)
	}
}

// A mixed server computes on one core, for so many requests at a time, each as long as its kind needs.
type mixedServer struct {
	workers     int
	slow, times float64 // the share of slow requests, and how many times longer they take
	need        func(random *rand.Rand) float64
}

// ordinary plays a window of so many seconds at a rate, and returns the p95 of the requests that are not slow.
func (s mixedServer) ordinary(rate, seconds float64, random *rand.Rand) float64 {
	type job struct {
		due, left float64
		slow      bool
	}
	var waiting, running []job
	var latencies []float64
	now := 0.0
	next := random.ExpFloat64() / rate
	for next < seconds || len(running) > 0 {
		first, ends := -1, math.Inf(1)
		for i, j := range running {
			if end := now + j.left*float64(len(running)); end < ends {
				first, ends = i, end
			}
		}
		until := math.Min(next, ends)
		for i := range running {
			running[i].left -= (until - now) / float64(len(running))
		}
		now = until
		if next <= ends {
			j := job{due: now, left: s.need(random), slow: random.Float64() < s.slow}
			if j.slow {
				j.left *= s.times
			}
			waiting = append(waiting, j)
			if next += random.ExpFloat64() / rate; next >= seconds {
				next = math.Inf(1)
			}
		} else {
			if !running[first].slow {
				latencies = append(latencies, now-running[first].due)
			}
			running = slices.Delete(running, first, first+1)
		}
		if len(waiting) > 0 && len(running) < s.workers {
			running, waiting = append(running, waiting[0]), waiting[1:]
		}
	}
	slices.Sort(latencies)
	return latencies[len(latencies)*95/100]
}

// gains plays pairs of restarts with fewer and with more workers, and returns how many of a hundred say that
// more are surely better.
func (s mixedServer) gains(fewer, more int, mean, seconds float64) (sure int) {
	for seed := range uint64(100) {
		var pairs []LatencyPair
		for i, share := range LatencyShares {
			play := func(workers int, stream uint64) float64 {
				s.workers = workers
				return s.ordinary(share/mean, seconds, rand.New(rand.NewPCG(seed, stream)))
			}
			pairs = append(pairs, LatencyPair{share, play(fewer, uint64(10+i)), play(more, uint64(20+i))})
		}
		if _, ok := LatencyGain(pairs); ok {
			sure++
		}
	}
	return sure
}

// Pages of one kind gain nothing from more workers on one core: what is said to be a gain is chance.
func TestLatencyGainIsNoChance(t *testing.T) {
	const mean, window = 0.002, 2
	alike := mixedServer{need: func(*rand.Rand) float64 { return mean }}
	exponential := mixedServer{need: func(random *rand.Rand) float64 { return mean * random.ExpFloat64() }}
	for _, counts := range [][2]int{{1, 2}, {2, 3}, {2, 4}} {
		if n := alike.gains(counts[0], counts[1], mean, window); n > 0 {
			t.Errorf("all requests alike: %d of 100 say that %d are better than %d", n, counts[1], counts[0])
		}
		if n := exponential.gains(counts[0], counts[1], mean, window); n > 5 {
			t.Errorf("exponential times: %d of 100 say that %d are better than %d, want at most 5", n, counts[1], counts[0])
		}
	}
}

// Of the held mix, 5 % of the requests take ten times as long. On one core 1 worker does as much as 8, and the
// ordinary requests of 8 need not wait behind a slow one: 9 instead of 22 ms at half of the capacity.
func TestLatencyGainOfTheHeldMix(t *testing.T) {
	const mean = 0.002 * (0.95 + 0.05*10)
	held := mixedServer{slow: 0.05, times: 10, need: func(*rand.Rand) float64 { return 0.002 }}
	if n := held.gains(1, 8, mean, 2); n < 80 {
		t.Errorf("%d of 100 find that 8 are better than 1, want 80 and more", n)
	}
	random := func() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
	one, two := held, held
	one.workers, two.workers = 1, 2
	if p1, p2 := one.ordinary(0.5/mean, 500, random()), two.ordinary(0.5/mean, 500, random()); p1 < 1.3*p2 {
		t.Errorf("at half of the capacity p95 is %g with 1 and %g with 2, want 1.3 times less", p1, p2)
	}
}

func TestLatencyGainNeedsTwoRates(t *testing.T) {
	for name, test := range map[string]struct {
		pairs []LatencyPair
		want  float64
		sure  bool
	}{
		"none":             {nil, 0, false},
		"one rate":         {[]LatencyPair{{0.5, 0.04, 0.01}}, 4, false},
		"two rates":        {[]LatencyPair{{0.5, 0.04, 0.02}, {0.7, 0.04, 0.02}}, 2, true},
		"they disagree":    {[]LatencyPair{{0.5, 0.08, 0.01}, {0.7, 0.01, 0.02}}, 2, false},
		"one window alone": {[]LatencyPair{{0.5, 0.058, 0.057}, {0.7, 0.125, 0.043}}, math.Sqrt(0.058 / 0.057 * 0.125 / 0.043), false},
		"too near to say":  {[]LatencyPair{{0.5, 0.014, 0.010}, {0.7, 0.014, 0.010}}, 1.4, false},
		"90 % is left":     {[]LatencyPair{{0.5, 0.04, 0.02}, {0.7, 0.04, 0.02}, {0.9, 0.01, 0.1}}, 2, true},
		"no figures":       {[]LatencyPair{{0.5, 0, 0.02}, {0.7, math.NaN(), 0.02}}, 0, false},
	} {
		if got, sure := LatencyGain(test.pairs); math.Abs(got-test.want) > 1e-9 || sure != test.sure {
			t.Errorf("%s: got %g, sure %t; want %g, %t", name, got, sure, test.want, test.sure)
		}
	}
}

// One sync worker alone would take less memory than one of four threads; two do not, and two are asked for.
func TestRaceForTheLeast(t *testing.T) {
	for least, want := range map[int]string{1: "sync", 2: "threads"} {
		var r Race
		for _, x := range []struct {
			name           string
			threads, least int
		}{{"sync", 1, least}, {"threads", 4, 1}} {
			r = append(r, Entrant{
				Variant:  x.name,
				Search:   Search{Highest: 8, Always: []int{3}, Threads: x.threads, Cores: 1, Tolerance: 0.05, Least: x.least, Seed: 1},
				Question: Question{Cores: 1, CoresMeasured: 1, RuleOfThumb: 3, Lowest: 1, Highest: 8, Least: x.least, Seed: 1},
			})
		}
		memory := map[string]float64{"sync": 17e6, "threads": 22e6}
		random := rand.New(rand.NewPCG(1, 12))
		var observations []Observation
		step := r.Next(nil)
		for ; !step.Done && len(observations) < 100; step = r.Next(observations) {
			observations = append(observations, Observation{
				Variant: step.Variant, Workers: step.Workers, Throughput: 500 * math.Exp(0.01*random.NormFloat64()),
				Memory: 27e6 + memory[step.Variant]*float64(step.Workers)*math.Exp(0.002*random.NormFloat64()),
			})
		}
		standings := r.Advise(observations)
		if got := standings.Choice(); got.Variant != want || !step.Resolved {
			t.Errorf("with %d sync workers at the least: recommended %d of %s (resolved %t), want %s: %v", least, got.Advice.Workers, got.Variant, step.Resolved, want, got.Advice.Reasons)
		}
	}
}
