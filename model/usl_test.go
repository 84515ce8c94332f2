package model

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"strconv"
	"testing"
)

// near fails the test unless got rounds to want at the printed digits.
func near(t *testing.T, what string, got, want, digits float64) {
	t.Helper()
	if math.Abs(got-want) > 0.5000001*digits {
		t.Errorf("%s: got %.10g, want %.10g to %g", what, got, want, digits)
	}
}

func samplesOf(workers, throughput []float64) []Sample {
	var samples []Sample
	for i := range workers {
		samples = append(samples, Sample{Workers: workers[i], Throughput: throughput[i]})
	}
	return samples
}

func codahale(t testing.TB) []Sample {
	t.Helper()
	f, err := os.Open("testdata/usl_codahale.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for _, row := range rows[1:] {
		n, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		x, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, Sample{Workers: n, Throughput: x})
	}
	return samples
}

// The raytracer measurements of Gunther, Guerrilla Capacity Planning, 2007, table 5.1.
var (
	raytracerWorkers    = []float64{1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64}
	raytracerThroughput = []float64{20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310}
)

func fitted(t *testing.T, samples []Sample) USLFit {
	t.Helper()
	fit, err := FitUSL(samples, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	return fit
}

func TestFitUSLPublished(t *testing.T) {
	t.Run("exact curve", func(t *testing.T) {
		fit := fitted(t, samplesOf([]float64{1, 2, 4, 6, 8, 10}, []float64{1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557}))
		near(t, "contention", fit.Contention, 0.02, 0.01)
		near(t, "coherency", fit.Coherency, 0.02, 0.01)
		near(t, "rate", fit.Rate, 1, 0.01)
	})
	t.Run("raytracer", func(t *testing.T) {
		fit := fitted(t, samplesOf(raytracerWorkers, raytracerThroughput))
		near(t, "contention", fit.Contention, 0.05777, 1e-5)
		if fit.Coherency != 0 {
			t.Errorf("coherency: got %g, want it on its bound", fit.Coherency)
		}
		near(t, "rate", fit.Rate, 21.84884, 1e-5)
		if n, _, ok := fit.Peak(); ok {
			t.Errorf("got a peak at %g, want none", n)
		}
		near(t, "standard error of contention", fit.ContentionError, 0.013293, 1e-6)
		near(t, "standard error of rate", fit.RateError, 2.196165, 1e-6)
		near(t, "sigma", fit.Sigma, 9.34, 0.01)
		if fit.DegreesOfFreedom != 8 {
			t.Errorf("degrees of freedom: got %d, want 8", fit.DegreesOfFreedom)
		}
		near(t, "contention from", fit.ContentionLow, 0.0271, 1e-4)
		near(t, "contention to", fit.ContentionHigh, 0.0884, 1e-4)
		near(t, "rate from", fit.RateLow, 16.8, 0.1)
		near(t, "rate to", fit.RateHigh, 26.9, 0.1)
	})
	t.Run("raytracer, first six", func(t *testing.T) {
		fit := fitted(t, samplesOf(raytracerWorkers[:6], raytracerThroughput[:6]))
		near(t, "contention", fit.Contention, 0.02444, 1e-5)
		near(t, "coherency", fit.Coherency, 0.00163, 1e-5)
		near(t, "rate", fit.Rate, 20.85605, 1e-5)
		n, x, ok := fit.Peak()
		if !ok {
			t.Fatal("got no peak")
		}
		near(t, "peak at", n, 24.49, 0.01)
		near(t, "peak", x, 203.5, 0.1)
	})
	t.Run("codahale", func(t *testing.T) {
		fit := fitted(t, codahale(t))
		// The published fit stopped a millionth short of the least squares, so the last printed
		// digits are those of its own search: ours has to agree to 2e-6 and leave no more over.
		published := USL{0.02671591, 7.690945e-4, 995.6486}
		near(t, "contention", fit.Contention/published.Contention, 1, 4e-6)
		near(t, "coherency", fit.Coherency/published.Coherency, 1, 4e-6)
		near(t, "rate", fit.Rate, 995.6486, 1e-3)
		if fit.SSE > published.sse(codahale(t)) {
			t.Errorf("sum of squares: got %.12g, published parameters leave %.12g", fit.SSE, published.sse(codahale(t)))
		}
		n, _, ok := fit.Peak()
		if !ok {
			t.Fatal("got no peak")
		}
		near(t, "peak at", n, 35.57, 0.01)
		// The published peak is the throughput at the whole count below.
		near(t, "peak", fit.ThroughputAt(math.Floor(n)), 12341.7, 0.1)
	})
}

func TestFitUSLRefuses(t *testing.T) {
	if _, err := FitUSL(samplesOf([]float64{1, 2, 2}, []float64{10, 20, 21}), 0.95); !errors.Is(err, ErrTooFewCounts) {
		t.Errorf("two distinct counts: got %v, want %v", err, ErrTooFewCounts)
	}
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := FitUSL(samplesOf([]float64{1, 2, 3}, []float64{10, 20, bad}), 0.95); err == nil {
			t.Errorf("throughput %g: got no error", bad)
		}
	}
}

// The bounds hold where the data lie outside of what the law can say: faster than linear.
func TestFitUSLSuperlinear(t *testing.T) {
	fit := fitted(t, samplesOf([]float64{1, 2, 4, 8}, []float64{10, 25, 60, 150}))
	if fit.Contention != 0 || fit.Coherency != 0 {
		t.Errorf("got contention %g and coherency %g, want both on their bound", fit.Contention, fit.Coherency)
	}
	// With both at zero the law is a line through the origin: Rate = sum(N X) / sum(N N).
	near(t, "rate", fit.Rate, (10+50+240+1200)/85.0, 1e-9)
}
