package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// readings of one restart, by what the tree used at each number of requests.
func readings(requests []float64, bytes func(requests float64) float64) []MemoryReading {
	var list []MemoryReading
	for _, r := range requests {
		list = append(list, MemoryReading{Requests: r, Bytes: bytes(r)})
	}
	return list
}

func straight(base, perRequest float64) func(float64) float64 {
	return func(requests float64) float64 { return base + perRequest*requests }
}

// Three restarts that grow by 9, 10 and 11 kB per request: mean 10 MB per 1,000, standard deviation 1,
// standard error 1/sqrt 3 = 0.57735; t(0.975, 2) = 4.30265 makes that 2.48414 either way.
func TestFitMemoryGrowthByHand(t *testing.T) {
	at := []float64{1000, 2000, 4000}
	g, err := FitMemoryGrowth([][]MemoryReading{
		readings(at, straight(100e6, 9e3)),
		readings(at, straight(140e6, 10e3)), // where a restart begins does not matter
		readings(at, straight(90e6, 11e3)),
	}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "per 1,000", g.PerThousand, 10e6, 1)
	near(t, "from", g.Low, 7515862, 10)
	near(t, "to", g.High, 12484138, 10)
	if g.Restarts != 3 || !g.Grows() || g.LevelsOff {
		t.Errorf("got %+v", g)
	}
	more, low, high := g.After(100_000)
	near(t, "after 100,000", more, 1e9, 100)
	near(t, "after 100,000, from", low, 751586200, 1000)
	near(t, "after 100,000, to", high, 1248413800, 1000)
	// 500 MB of room at 12.484 kB a request are 40,050 requests: 10,012 for each of four workers.
	if n, ok := g.RecycleAfter(500e6, 4); !ok || n != 10012 {
		t.Errorf("recycle after %d, %t, want 10012", n, ok)
	}
	if got := g.Reading(); got != "memory grows by 10.0 MB per 1,000 requests: 1000 MB more after 100,000 (752 MB to 1248 MB)" {
		t.Errorf("got %q", got)
	}
}

// A slope within the noise is none, and nothing is recycled for it.
func TestMemoryThatDoesNotGrow(t *testing.T) {
	at := []float64{1000, 2000, 3000}
	flat := func(d float64) []MemoryReading { return readings(at, straight(100e6, d)) }
	for name, c := range map[string][][]MemoryReading{
		"either way":    {flat(5), flat(-5), flat(3)},
		"shrinking":     {flat(-50), flat(-51), flat(-52)},
		"level":         {flat(0), flat(0)},
		"one and noise": {flat(1000), flat(10)},
	} {
		g, err := FitMemoryGrowth(c, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := g.RecycleAfter(100e6, 1); g.Grows() || ok {
			t.Errorf("%s: got %+v, recycled after %d", name, g, n)
		}
		if got := g.Reading(); got != "memory does not surely grow with the requests answered" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// A cache of 20 MB that fills within some 2,000 requests grows first and then hardly.
func TestMemoryLevelsOff(t *testing.T) {
	at := []float64{500, 1000, 1500, 2000, 3000, 4000, 5000}
	random := rand.New(rand.NewPCG(1, 1))
	var filling, leaking [][]MemoryReading
	for range 4 {
		noise := func() float64 { return 0.1e6 * random.NormFloat64() }
		filling = append(filling, readings(at, func(r float64) float64 { return 100e6 + 20e6*(1-math.Exp(-r/1000)) + noise() }))
		leaking = append(leaking, readings(at, func(r float64) float64 { return 100e6 + 4e3*r + noise() }))
	}
	for name, c := range map[string]struct {
		restarts [][]MemoryReading
		want     bool
	}{"a cache": {filling, true}, "a leak": {leaking, false}} {
		g, err := FitMemoryGrowth(c.restarts, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if !g.Grows() || g.LevelsOff != c.want {
			t.Errorf("%s: got %+v, want it to level off: %t", name, g, c.want)
		}
	}
}

// Over many servers that leak 2 kB a request, read three times in each of three restarts whose leak
// varies by a tenth and whose readings carry what earlier ones did, 95 % of the intervals hold it.
func TestMemoryGrowthCoverage(t *testing.T) {
	const truth, servers = 2e3, 400
	random := rand.New(rand.NewPCG(1, 2))
	covered := 0
	for range servers {
		var restarts [][]MemoryReading
		for range 3 {
			leak, kept := truth*(1+0.1*random.NormFloat64()), 0.0
			restarts = append(restarts, readings([]float64{1000, 2000, 3000}, func(r float64) float64 {
				kept += 50e3 * random.NormFloat64()
				return 80e6 + leak*r + kept
			}))
		}
		g, err := FitMemoryGrowth(restarts, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if g.Low <= 1000*truth && 1000*truth <= g.High {
			covered++
		}
	}
	if share := float64(covered) / servers; share < 0.92 {
		t.Errorf("%.3f of the intervals hold the truth", share)
	}
}

func TestFitMemoryGrowthRefuses(t *testing.T) {
	for name, c := range map[string][][]MemoryReading{
		"nothing":                nil,
		"one reading each":       {{{1000, 1e6}}, {{2000, 2e6}}},
		"the same requests":      {{{1000, 1e6}, {1000, 2e6}}},
		"an empty restart":       {{}},
		"readings at one moment": {{{0, 1e6}, {0, 1e6}, {0, 1e6}}},
	} {
		if g, err := FitMemoryGrowth(c, 0.95); !errors.Is(err, ErrNoGrowth) {
			t.Errorf("%s: got %+v, %v", name, g, err)
		}
	}
	for _, bad := range []MemoryReading{{-1, 1}, {1, -1}, {math.NaN(), 1}, {1, math.NaN()}, {math.Inf(1), 1}, {1, math.Inf(1)}} {
		if g, err := FitMemoryGrowth([][]MemoryReading{{{1, 1}, bad}}, 0.95); err == nil || errors.Is(err, ErrNoGrowth) {
			t.Errorf("%+v: got %+v, %v", bad, g, err)
		}
	}
}

func TestMemoryGrowthOfOneRestart(t *testing.T) {
	g, err := FitMemoryGrowth([][]MemoryReading{readings([]float64{0, 1000}, straight(1e6, 100))}, 0.95)
	if err != nil || g.PerThousand != 1e5 || g.Low != g.High || g.Grows() {
		t.Errorf("got %+v, %v", g, err)
	}
	if got := g.Reading(); got != "memory grew by 100 kB per 1,000 requests in the one restart that was read" {
		t.Errorf("got %q", got)
	}
}
