package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func scaling(t *testing.T, measured ...CoresMeasured) Scaling {
	t.Helper()
	s, err := FitScaling(measured)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func predicted(t *testing.T, s Scaling, b Budget) Prediction {
	t.Helper()
	p, err := s.Predict(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// CPU time of 2.0, 2.1 and 2.3 ms on 0.5, 1 and 2 cores lies on 1.9 + 0.2 C: four cores take 2.7 ms,
// 1481.48 requests per second. The first two lead to 2.3 ms on two, where 869.565 would be the bound;
// 850 were measured.
func TestFitScalingByHand(t *testing.T) {
	s := scaling(t,
		CoresMeasured{Cores: 2, Throughput: 850, Demand: 0.0023, Wait: 0.008},
		CoresMeasured{Cores: 0.5, Throughput: 240, Demand: 0.0020, Wait: 0.008},
		CoresMeasured{Cores: 1, Throughput: 470, Demand: 0.0021, Wait: 0.008},
	)
	near(t, "demand, base", s.DemandBase, 0.0019, 1e-12)
	near(t, "demand per core", s.DemandPerCore, 0.0002, 1e-12)
	near(t, "busy", s.Busy, 850*0.0023/2, 1e-12)
	near(t, "capacity of 4", s.Capacity(4), 1481.48, 0.01)
	if h := s.HeldOut; h == nil || h.Cores != 2 || h.Measured != 850 {
		t.Fatalf("held out: got %+v", h)
	}
	near(t, "held out, predicted", s.HeldOut.Predicted, 869.565, 1e-3)
	near(t, "held out, error", s.HeldOut.Error, 0.023018, 1e-6)

	p := predicted(t, s, Budget{Cores: 4})
	near(t, "throughput", p.Throughput, 1481.48, 0.01)
	if !p.Extrapolated || p.LimitedBy != LimitedByThroughput {
		t.Errorf("got %+v", p)
	}
	if p := predicted(t, s, Budget{Cores: 1.5}); p.Extrapolated {
		t.Errorf("1.5 cores lie among those measured: got %+v", p)
	}
}

// A quota of half a core is dear (it is throttled and comes back to a cold cache): that is not carried
// on into a server that gets cheaper with every core.
func TestScalingNeverGetsCheaper(t *testing.T) {
	s := scaling(t,
		CoresMeasured{Cores: 0.5, Throughput: 200, Demand: 0.0025},
		CoresMeasured{Cores: 1, Throughput: 490, Demand: 0.0020},
	)
	near(t, "capacity of 4", s.Capacity(4), 2000, 1e-9)
	// And one that takes twice the time on twice the cores gains nothing from any.
	s = scaling(t,
		CoresMeasured{Cores: 1, Throughput: 490, Demand: 0.0020},
		CoresMeasured{Cores: 2, Throughput: 490, Demand: 0.0041},
	)
	if four := s.Capacity(4); four > 500 {
		t.Errorf("capacity of 4: got %g", four)
	}
}

// A slope within the spread between restarts is not carried on: 2.00 and 2.04 ms on 0.5 and 1 core would
// be 2.60 ms on eight, a bound of 3,077 requests per second under the 4,000 that nothing shared allows.
// Where the restarts agree to a microsecond it is, less what they leave in doubt.
func TestScalingCarriesNoNoise(t *testing.T) {
	restarts := func(spread float64) Scaling {
		return scaling(t,
			CoresMeasured{Cores: 0.5, Throughput: 245, Demand: 0.00200 - spread},
			CoresMeasured{Cores: 0.5, Throughput: 245, Demand: 0.00200 + spread},
			CoresMeasured{Cores: 1, Throughput: 490, Demand: 0.00204 - spread},
			CoresMeasured{Cores: 1, Throughput: 490, Demand: 0.00204 + spread},
		)
	}
	near(t, "noisy, capacity of 8", restarts(0.00003).Capacity(8), 8/0.00204, 1e-6)
	// Each pair has a squared distance of 2 us² from its mean: with 2 degrees of freedom a deviation of
	// 1.414 us, of each mean 1, of the difference 1.414, and t = 4.30265: of 40 us 33.915 are beyond doubt.
	s := restarts(0.000001)
	near(t, "sure, demand per core", s.DemandPerCore, 0.000033915/0.5, 1e-9)
	if four := s.Capacity(4); four >= 4/0.00204 {
		t.Errorf("capacity of 4: got %g, as if nothing was shared", four)
	}
}

// swept plays the sweep of a server on some cores.
func swept(t *testing.T, random *rand.Rand, cores, demand float64, throughput func(int) float64) CoresMeasured {
	t.Helper()
	var observations []Observation
	for _, n := range []int{1, 2, 4, 6, 8, 12, 16, 24} {
		for range 3 {
			observations = append(observations, Observation{
				Workers: n, Throughput: throughput(n) * math.Exp(0.02*random.NormFloat64()), CPUPerRequest: demand * math.Exp(0.01*random.NormFloat64()),
			})
		}
	}
	m, ok := Advise(observations, Question{Cores: cores, CoresMeasured: cores}).AtCores(cores, 1)
	if !ok {
		t.Fatalf("nothing measured on %g cores", cores)
	}
	return m
}

// The prediction, on simulated servers that share nothing: from quotas of 0.5 and 1 core to
// 1.5 and 2, within 10 %.
func TestPredictionFromQuotas(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 7))
	for range 20 {
		var measured []CoresMeasured
		for _, cores := range []float64{0.5, 1} {
			measured = append(measured, swept(t, random, cores, 0.002, ClosedNetwork{Cores: cores, Demand: 0.002, Wait: 0.004}.ThroughputAt))
		}
		s := scaling(t, measured...)
		if math.Abs(s.HeldOut.Error) > 0.1 {
			t.Errorf("held out: %+v", *s.HeldOut)
		}
		for _, cores := range []float64{1.5, 2} {
			p := predicted(t, s, Budget{Cores: cores})
			if off := p.Throughput/(cores/0.002) - 1; math.Abs(off) > 0.1 {
				t.Errorf("%g cores: predicted %g, %.1f %% off", cores, p.Throughput, 100*off)
			}
			truth := ClosedNetwork{Cores: cores, Demand: 0.002, Wait: 0.004}
			if want, _ := truth.SlotsFor(0.95, 100); p.Workers < want-2 || p.Workers > want+2 {
				t.Errorf("%g cores: predicted %d workers, want about %d", cores, p.Workers, want)
			}
		}
	}
}

// Why it is an upper bound. A lock lets 900 requests per second through: one core never meets it, two
// do, and what was held out says so.
func TestPredictionIsAnUpperBound(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 7))
	locked := func(cores float64) CoresMeasured {
		network := ClosedNetwork{Cores: cores, Demand: 0.002, Wait: 0.004}
		return swept(t, random, cores, 0.002, func(n int) float64 { return math.Min(900, network.ThroughputAt(n)) })
	}
	half, one, two := locked(0.5), locked(1), locked(2)
	s := scaling(t, half, one)
	if p := predicted(t, s, Budget{Cores: 4}); p.Throughput < 1700 {
		t.Errorf("from below the lock is invisible, but 4 cores are predicted at %g", p.Throughput)
	}
	if math.Abs(s.HeldOut.Error) > 0.08 || s.Busy < 0.92 {
		t.Errorf("below the lock: got %+v, busy %g", *s.HeldOut, s.Busy)
	}
	s = scaling(t, half, one, two)
	if s.HeldOut.Error < 0.05 || s.Busy > 0.95 {
		t.Errorf("at the lock: got %+v, busy %g", *s.HeldOut, s.Busy)
	}
	// Hyper-threads: the third and fourth core are no cores, and take from the first two.
	threads := CoresMeasured{Cores: 4, Throughput: 1300, Demand: 0.0031, Wait: 0.004}
	if s = scaling(t, one, CoresMeasured{Cores: 2, Throughput: 1000, Demand: 0.002, Wait: 0.004}, threads); s.HeldOut.Error < 0.4 {
		t.Errorf("hyper-threads: got %+v", *s.HeldOut)
	}
}

// 100 MB and 40 MB for each worker: 510 MB hold 10.
func TestPredictMemory(t *testing.T) {
	line := fitMemory(memories([]int{1, 2, 4}, []float64{140e6, 180e6, 260e6}), 0, 0.95)
	s := scaling(t, CoresMeasured{Cores: 1, Throughput: 100, Demand: 0.010, Wait: 0.030})
	p := predicted(t, s, Budget{Cores: 4, MemoryBytes: 510e6, Line: line})
	if p.Workers != 10 || p.LimitedBy != LimitedByMemory {
		t.Errorf("got %+v, want 10 workers limited by memory", p)
	}
	near(t, "throughput", p.Throughput, ClosedNetwork{Cores: 4, Demand: 0.010, Wait: 0.030}.ThroughputAt(10), 1e-9)
	// METHOD 4: 19 slots reach 384.383 of 400 on four cores; four workers of five threads are 20.
	if p = predicted(t, s, Budget{Cores: 4, MemoryBytes: 2e9, Line: line}); p.Workers != 19 || p.LimitedBy != LimitedByThroughput {
		t.Errorf("in 2 GB: got %+v, want 19 workers", p)
	}
	if p = predicted(t, s, Budget{Cores: 4, Threads: 5}); p.Workers != 4 {
		t.Errorf("five threads each: got %+v, want 4 workers", p)
	}
	if _, err := s.Predict(Budget{Cores: 4, MemoryBytes: 130e6, Line: line}); !errors.Is(err, ErrNoRoom) {
		t.Errorf("in 130 MB: got %v", err)
	}
	if _, err := s.Predict(Budget{Cores: 4, MemoryBytes: 1e9}); err == nil {
		t.Error("memory without a line: got no error")
	}
}

func TestFitScalingRefuses(t *testing.T) {
	if _, err := FitScaling(nil); !errors.Is(err, ErrNoCores) {
		t.Errorf("nothing: got %v", err)
	}
	if _, err := (Scaling{}).Predict(Budget{Cores: 1}); !errors.Is(err, ErrNoCores) {
		t.Errorf("no scaling: got %v", err)
	}
	good := CoresMeasured{Cores: 1, Throughput: 100, Demand: 0.01}
	for _, bad := range []func(*CoresMeasured){
		func(m *CoresMeasured) { m.Cores = 0 },
		func(m *CoresMeasured) { m.Cores = math.NaN() },
		func(m *CoresMeasured) { m.Throughput = 0 },
		func(m *CoresMeasured) { m.Throughput = math.Inf(1) },
		func(m *CoresMeasured) { m.Demand = -1 },
		func(m *CoresMeasured) { m.Wait = math.NaN() },
	} {
		m := good
		bad(&m)
		if s, err := FitScaling([]CoresMeasured{good, m}); err == nil {
			t.Errorf("%+v: got %+v", m, s)
		}
	}
	s := scaling(t, good)
	if s.HeldOut != nil {
		t.Errorf("one core count: got %+v", s.HeldOut)
	}
	for _, cores := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if p, err := s.Predict(Budget{Cores: cores}); err == nil {
			t.Errorf("%g cores: got %+v", cores, p)
		}
	}
}

func TestAtCoresWithoutFigures(t *testing.T) {
	for name, o := range map[string][]Observation{
		"nothing":     nil,
		"no CPU time": {{Workers: 1, Throughput: 10}, {Workers: 2, Throughput: 20}},
		"all bound":   {{Workers: 1, Throughput: 10, CPUPerRequest: 0.01, GeneratorBound: true}},
		"all failed":  {{Workers: 1, Failed: true}},
	} {
		if m, ok := Advise(o, Question{}).AtCores(1, 1); ok {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}
