package model

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// noNaN fails for any NaN or Inf in v, however deep: JSON has neither.
func noNaN(t *testing.T, v any) {
	t.Helper()
	if _, err := json.Marshal(v); err != nil {
		t.Fatalf("%v in %+v", err, v)
	}
}

func FuzzLatency(f *testing.F) {
	f.Add([]byte("two cores, a curve that was measured at eight counts, and a rate"))
	f.Add([]byte{8, 50, 1, 20, 2, 40, 4, 70, 8, 90, 12, 95, 16, 96})
	f.Add([]byte{205, 205, 207, 207, 1, 207, 2, 208, 3, 207})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		slots, rate, load := r.count(), r.figure(), r.figure()
		if p, err := ErlangC(slots, load); err == nil && !(p >= 0 && p <= 1) {
			t.Fatalf("%d servers, load %g: probability %g", slots, load, p)
		}
		network := ClosedNetwork{Cores: r.figure(), Demand: r.figure(), Wait: r.figure()}
		checkLatency(t, network.FlowServer(min(slots, 200)), rate)
		var samples []Sample
		for len(r) > 0 && len(samples) < 30 {
			samples = append(samples, Sample{Workers: float64(r.count()), Throughput: r.figure(), Restarts: int(r.byte()) % 4})
		}
		if server, err := MeasuredFlowServer(samples, slots); err == nil {
			checkLatency(t, server, rate)
		}
	})
}

// checkLatency holds for any server: a figure or an error, and no latency at a rate it can't serve.
func checkLatency(t *testing.T, s FlowServer, rate float64) {
	t.Helper()
	seconds, err := s.LatencyAt(rate)
	switch {
	case err != nil:
		if seconds != 0 {
			t.Fatalf("%g s and %v", seconds, err)
		}
		return
	case !(seconds > 0) || math.IsInf(seconds, 0) || !(rate < s.Capacity()):
		t.Fatalf("%g s at %g/s of %g", seconds, rate, s.Capacity())
	}
	if alone, err := s.LatencyAt(0); err != nil || !(alone > 0) {
		t.Fatalf("%g s at no rate: %v", alone, err)
	}
	if most, err := s.RateFor(seconds); err != nil || !(most >= 0 && most < s.Capacity()) {
		t.Fatalf("%g/s for %g s: %v", most, seconds, err)
	}
}

func FuzzMemoryGrowth(f *testing.F) {
	f.Add([]byte("three restarts, each read some times while it served"))
	f.Add([]byte{3, 10, 100, 20, 110, 30, 120, 40, 130, 50, 140, 3, 10, 90, 20, 100, 30, 110, 40, 120, 50, 130})
	f.Add([]byte{205, 1, 205, 205, 1, 205, 2, 207, 207})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		workers, room, confidence := r.count(), r.figure()*1e5, r.figure()/1e3
		var restarts [][]MemoryReading
		for len(r) > 0 && len(restarts) < 8 {
			var readings []MemoryReading
			for range int(r.byte()) % 8 {
				readings = append(readings, MemoryReading{Requests: r.figure() * 10, Bytes: r.figure() * 1e4})
			}
			restarts = append(restarts, readings)
		}
		g, err := FitMemoryGrowth(restarts, confidence)
		noNaN(t, g)
		if err != nil {
			return
		}
		more, low, high := g.After(readAhead)
		noNaN(t, []float64{more, low, high})
		if g.Reading() == "" || g.Restarts < 1 || g.Low > g.PerThousand || g.High < g.PerThousand {
			t.Fatalf("%+v: %q", g, g.Reading())
		}
		if n, ok := g.RecycleAfter(room, workers); ok && (n < 1 || float64(n)*float64(workers)*g.High/1000 > room*(1+1e-9)) {
			t.Fatalf("%+v: %d workers recycled after %d outgrow %g bytes", g, workers, n, room)
		}
	})
}

func FuzzScaling(f *testing.F) {
	f.Add([]byte("two quotas and a whole core, to predict four"))
	f.Add([]byte{4, 100, 1, 2, 100, 170, 170, 3, 120, 180, 170})
	f.Add([]byte{205, 205, 207, 208, 205, 205})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		b := Budget{Cores: r.figure(), MemoryBytes: r.figure() * 1e6, Threads: r.count(), Tolerance: r.figure() / 1e3}
		b.Line = fitMemory(memories([]int{1, 2, 3}, []float64{r.figure() * 1e6, r.figure() * 1e6, r.figure() * 1e6}), 0, 0.95)
		var measured []CoresMeasured
		for len(r) > 0 && len(measured) < 6 {
			measured = append(measured, CoresMeasured{Cores: r.figure(), Throughput: r.figure(), Demand: r.figure() / 1e3, Wait: r.figure() / 1e3})
		}
		s, err := FitScaling(measured)
		noNaN(t, s)
		if err != nil {
			return
		}
		p, err := s.Predict(b)
		noNaN(t, p)
		switch {
		case errors.Is(err, ErrNoRoom) && b.Line == nil:
			t.Fatalf("%+v: no room, and no line that says so", b)
		case err != nil:
			return
		case p.Workers < 1 || !(p.Throughput > 0) || p.Throughput > s.Capacity(b.Cores)*(1+1e-9):
			t.Fatalf("%+v predicts %+v for %+v", s, p, b)
		}
	})
}
