package model

import (
	"errors"
	"math"
	"testing"
)

// The tables of METHOD 4: servers, load, probability.
func TestErlangCPublished(t *testing.T) {
	for _, c := range []struct {
		servers    int
		load, want float64
		printedTo  float64
	}{
		{1, 0.5, 0.5, 1e-12}, // one server is busy as often as its load says
		{2, 1, 0.333333, 1e-6},
		{2, 1.6, 0.711111, 1e-6},
		{4, 3.2, 0.596432, 1e-6},
		{8, 6.4, 0.457645, 1e-6},
	} {
		got, err := ErlangC(c.servers, c.load)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "probability of waiting", got, c.want, c.printedTo)
	}
}

func TestErlangCRefuses(t *testing.T) {
	for _, load := range []float64{2, 2.5, math.Inf(1)} {
		if _, err := ErlangC(2, load); !errors.Is(err, ErrSaturated) {
			t.Errorf("load %g on 2 servers: got %v, want %v", load, err, ErrSaturated)
		}
	}
	for _, c := range []struct {
		servers int
		load    float64
	}{{0, 0}, {-1, 0}, {2, -1}, {2, math.NaN()}, {math.MaxInt, 1}} {
		if p, err := ErlangC(c.servers, c.load); err == nil || errors.Is(err, ErrSaturated) {
			t.Errorf("load %g on %d servers: got %g, %v", c.load, c.servers, p, err)
		}
	}
}

// The table of METHOD 9: two cores, 10 ms of CPU, 30 ms of waiting.
var publishedLatencies = []struct {
	slots         int
	rate, seconds float64
}{
	{8, 100, 0.04421},
	{8, 140, 0.06103},
	{8, 160, 0.12899},
	{12, 140, 0.04988},
	{12, 180, 0.09146},
}

func TestLatencyAtPublished(t *testing.T) {
	network := ClosedNetwork{Cores: 2, Demand: 0.010, Wait: 0.030}
	var column []Sample
	for n := 1; n <= 12; n++ {
		column = append(column, Sample{Workers: float64(n), Throughput: network.ThroughputAt(n)})
	}
	for _, c := range publishedLatencies {
		got, err := network.FlowServer(c.slots).LatencyAt(c.rate)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "latency", got, c.seconds, 1e-5)
		measured, err := MeasuredFlowServer(column, c.slots)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = measured.LatencyAt(c.rate); err != nil {
			t.Fatal(err)
		}
		near(t, "latency from every count measured", got, c.seconds, 1e-5)
	}
}

// With servers that never wait for anything but a core, the flow server is M/M/c, whose mean time is
// c + C(cores, load) / (capacity - rate): two roads that share no arithmetic.
func TestLatencyAtAgreesWithErlangC(t *testing.T) {
	const demand = 0.010
	for _, cores := range []int{1, 2, 4, 64} {
		for _, busy := range []float64{0.01, 0.5, 0.9, 0.999} {
			capacity := float64(cores) / demand
			rate := busy * capacity
			waits, err := ErlangC(cores, rate*demand)
			if err != nil {
				t.Fatal(err)
			}
			want := demand + waits/(capacity-rate)
			// More slots than cores only queue inside instead of outside.
			for _, slots := range []int{cores, 3 * cores} {
				got, err := ClosedNetwork{Cores: float64(cores), Demand: demand}.FlowServer(slots).LatencyAt(rate)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "latency", got/want, 1, 1e-9)
			}
		}
	}
}

// A request alone takes its CPU time and its wait, and one at a time is M/M/1: s / (1 - rate s).
func TestLatencyAtOneSlot(t *testing.T) {
	server := ClosedNetwork{Cores: 1, Demand: 0.010, Wait: 0.030}.FlowServer(1)
	for rate, want := range map[float64]float64{0: 0.040, 5: 0.040 / (1 - 0.2), 20: 0.040 / (1 - 0.8)} {
		got, err := server.LatencyAt(rate)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "latency", got, want, 1e-12)
	}
}

// Thousands of slots make products beyond what a float holds, in both directions.
func TestLatencyAtManySlots(t *testing.T) {
	network := ClosedNetwork{Cores: 64, Demand: 0.010, Wait: 10}
	for _, rate := range []float64{1, 1000, 6000} {
		got, err := network.FlowServer(20_000).LatencyAt(rate)
		// 20,000 slots pass 1998 requests a second; below that a request hardly queues for 64 cores.
		switch {
		case rate < network.ThroughputAt(20_000) && (err != nil || math.Abs(got-10.010) > 0.001):
			t.Errorf("%g/s: got %g s, %v", rate, got, err)
		case rate >= network.ThroughputAt(20_000) && !errors.Is(err, ErrSaturated):
			t.Errorf("%g/s: got %g s, %v", rate, got, err)
		}
	}
}

func TestLatencyAtRefuses(t *testing.T) {
	network := ClosedNetwork{Cores: 2, Demand: 0.010, Wait: 0.030}
	server := network.FlowServer(8)
	near(t, "capacity", server.Capacity(), 169.717, 1e-3) // METHOD 4
	for _, rate := range []float64{server.Capacity(), 200, math.Inf(1)} {
		if got, err := server.LatencyAt(rate); !errors.Is(err, ErrSaturated) {
			t.Errorf("%g/s: got %g s, %v", rate, got, err)
		}
	}
	for _, rate := range []float64{-1, math.NaN()} {
		if got, err := server.LatencyAt(rate); err == nil || errors.Is(err, ErrSaturated) {
			t.Errorf("%g/s: got %g s, %v", rate, got, err)
		}
	}
	for name, broken := range map[string]FlowServer{
		"no slots":      network.FlowServer(0),
		"no throughput": ClosedNetwork{}.FlowServer(3),
		"a hole":        {Slots: 2, ThroughputAt: func(n int) float64 { return float64(n - 1) }},
		"not a number":  {Slots: 2, ThroughputAt: func(int) float64 { return math.NaN() }},
	} {
		if got, err := broken.LatencyAt(0.5); err == nil {
			t.Errorf("%s: got %g s", name, got)
		}
	}
}

// A curve that falls: past its peak more slots have less capacity.
func TestCapacityOfARetrogradeCurve(t *testing.T) {
	law := USL{0.02, 0.02, 100}
	curve := func(n int) float64 { return law.ThroughputAt(float64(n)) }
	peak, most := FlowServer{7, curve}, FlowServer{20, curve}
	rate := (peak.Capacity() + most.Capacity()) / 2
	if _, err := peak.LatencyAt(rate); err != nil {
		t.Errorf("7 slots: %v", err)
	}
	if got, err := most.LatencyAt(rate); !errors.Is(err, ErrSaturated) {
		t.Errorf("20 slots: got %g s, %v", got, err)
	}
}

// Between the counts that a search measures the straight line lies below the curve, so the latency
// is above the true one, and not by much.
func TestMeasuredFlowServerInterpolates(t *testing.T) {
	network := ClosedNetwork{Cores: 2, Demand: 0.010, Wait: 0.030}
	var samples []Sample
	for _, n := range []int{2, 4, 8, 12, 16} {
		// Two restarts, one at either side of the mean.
		for _, by := range []float64{0.97, 1.03} {
			samples = append(samples, Sample{Workers: float64(n), Throughput: by * network.ThroughputAt(n)})
		}
	}
	for _, c := range publishedLatencies {
		measured, err := MeasuredFlowServer(samples, c.slots)
		if err != nil {
			t.Fatal(err)
		}
		got, err := measured.LatencyAt(c.rate)
		if err != nil {
			t.Fatal(err)
		}
		if got < c.seconds-1e-5 || got > 1.1*c.seconds {
			t.Errorf("%d slots, %g/s: got %g s, want %g or up to a tenth more", c.slots, c.rate, got, c.seconds)
		}
	}
}

// METHOD 9's table from what a sweep's advice knows, with every count measured: of one thread each, and
// of two on half as many workers, which leaves out every other slot.
func TestAdviceFlowServer(t *testing.T) {
	network := ClosedNetwork{Cores: 2, Demand: 0.010, Wait: 0.030}
	for threads, above := range map[int]float64{1: 1.0002, 2: 1.02} {
		var observations []Observation
		for n := 1; n*threads <= 14; n++ {
			observations = append(observations, Observation{Workers: n, Threads: threads, Throughput: network.ThroughputAt(n * threads)})
		}
		// What says nothing about the server.
		observations = append(observations,
			Observation{Workers: 20, Threads: threads, Throughput: 1, GeneratorBound: true},
			Observation{Workers: 21, Threads: threads, Failed: true})
		a := Advise(observations, Question{})
		for _, c := range publishedLatencies {
			server, err := a.FlowServer(c.slots/threads, threads)
			if err != nil {
				t.Fatal(err)
			}
			got, err := server.LatencyAt(c.rate)
			if err != nil || got < c.seconds-1e-5 || got > above*c.seconds {
				t.Errorf("%d threads, %d slots, %g/s: got %g s, %v, want %g", threads, c.slots, c.rate, got, err, c.seconds)
			}
		}
		for _, workers := range []int{0, -1, 15, 20, 21, math.MaxInt} {
			if _, err := a.FlowServer(workers, threads); err == nil {
				t.Errorf("%d workers were not measured: got no error", workers)
			}
		}
	}
}

func TestMeasuredFlowServerRefuses(t *testing.T) {
	samples := samplesOf([]float64{1, 2, 4}, []float64{10, 20, 30})
	for _, slots := range []int{0, -1, 5} {
		if _, err := MeasuredFlowServer(samples, slots); err == nil {
			t.Errorf("%d slots of 4 measured: got no error", slots)
		}
	}
	if _, err := MeasuredFlowServer(nil, 1); !errors.Is(err, ErrTooFewCounts) {
		t.Errorf("no samples: got %v", err)
	}
	for _, bad := range []Sample{{Workers: 0.5, Throughput: 1}, {Workers: 1.5, Throughput: 1}, {Workers: math.NaN(), Throughput: 1}, {Workers: 1}, {Workers: 1, Throughput: math.Inf(1)}} {
		if _, err := MeasuredFlowServer(append(samples, bad), 2); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
}

// The rate for a published latency is the published rate.
func TestRateFor(t *testing.T) {
	network := ClosedNetwork{Cores: 2, Demand: 0.010, Wait: 0.030}
	for _, c := range publishedLatencies {
		got, err := network.FlowServer(c.slots).RateFor(c.seconds)
		if err != nil {
			t.Fatal(err)
		}
		// The latency is printed to 10 us; the curve is flattest at the low end.
		near(t, "rate", got, c.rate, 0.4)
	}
	server := network.FlowServer(8)
	if got, err := server.RateFor(0.039); err != nil || got != 0 {
		t.Errorf("less than a request alone takes: got %g/s, %v", got, err)
	}
	if got, err := server.RateFor(math.MaxFloat64); err != nil || got >= server.Capacity() || got < 0.999*server.Capacity() {
		t.Errorf("no limit: got %g/s, %v, want just below %g", got, err, server.Capacity())
	}
	if _, err := server.RateFor(math.NaN()); err == nil {
		t.Error("NaN: got no error")
	}
}
