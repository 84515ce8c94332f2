package model

import (
	"encoding/csv"
	"errors"
	"math"
	"math/rand/v2"
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

// Repeats are fitted by their means, and have to come out as their single rows do. The figures are scipy
// 1.17's: curve_fit(lambda n, a, b, g: g*n/(1+a*(n-1)+b*n*(n-1)), n, x, p0=[.03, .001, 500]) on these ten
// rows, the standard errors the roots of the covariance's diagonal, the intervals with t.ppf(.975, 7).
func TestFitUSLRepeated(t *testing.T) {
	var observations []Observation
	for _, row := range [][2]float64{{1, 498}, {1, 511}, {1, 489}, {2, 963}, {2, 978}, {4, 1822}, {8, 3203}, {8, 3110}, {16, 4759}, {32, 5419}} {
		observations = append(observations, Observation{Workers: int(row[0]), Throughput: row[1]})
	}
	fit := fitted(t, samplesIn(tabulate(observations).groups))
	for _, f := range []struct {
		what      string
		got, want float64
	}{
		{"contention", fit.Contention, 2.75894149e-02},
		{"its error", fit.ContentionError, 2.51836294e-03},
		{"contention from", fit.ContentionLow, 2.16344328e-02},
		{"contention to", fit.ContentionHigh, 3.35443970e-02},
		{"coherency", fit.Coherency, 1.08437231e-03},
		{"its error", fit.CoherencyError, 5.20820283e-05},
		{"coherency from", fit.CoherencyLow, 9.61217881e-04},
		{"coherency to", fit.CoherencyHigh, 1.20752674e-03},
		{"rate", fit.Rate, 496.611585},
		{"its error", fit.RateError, 6.60994364},
		{"rate from", fit.RateLow, 480.981552},
		{"rate to", fit.RateHigh, 512.241618},
		{"sum of squares", fit.SSE, 5319.583877682721},
		{"sigma", fit.Sigma, 27.5670193157453},
	} {
		near(t, f.what, f.got/f.want, 1, 2e-5)
	}
	if fit.DegreesOfFreedom != 7 {
		t.Errorf("degrees of freedom: got %d, want 10 rows less 3 parameters", fit.DegreesOfFreedom)
	}
}

// In 95 of 100 tables of six counts with three restarts each, as noisy as restarts are, the interval of
// each parameter has to hold the true one. Of 400, 380 come out with a standard deviation of 4.4: these
// bounds are four of them away.
func TestFitUSLIntervalsCover(t *testing.T) {
	const tables, restarts, noise = 400, 3, 10.0
	truth := USL{0.03, 0.001, 500}
	random := rand.New(rand.NewPCG(1, 2))
	covered := map[string]int{}
	for range tables {
		var observations []Observation
		for _, n := range []int{1, 2, 4, 8, 16, 32} {
			for range restarts {
				observations = append(observations, Observation{Workers: n, Throughput: truth.ThroughputAt(float64(n)) + noise*random.NormFloat64()})
			}
		}
		fit := fitted(t, samplesIn(tabulate(observations).groups))
		for name, in := range map[string]bool{
			"contention": fit.ContentionLow <= truth.Contention && truth.Contention <= fit.ContentionHigh,
			"coherency":  fit.CoherencyLow <= truth.Coherency && truth.Coherency <= fit.CoherencyHigh,
			"rate":       fit.RateLow <= truth.Rate && truth.Rate <= fit.RateHigh,
		} {
			if in {
				covered[name]++
			}
		}
	}
	for _, name := range []string{"contention", "coherency", "rate"} {
		if n := covered[name]; n < 362 || n > 398 {
			t.Errorf("%s: %d of %d intervals hold the true one, want about 380", name, n, tables)
		}
	}
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
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		samples := samplesOf([]float64{1, 2, 3}, []float64{10, 20, 30})
		samples[1].Squares = bad
		if _, err := FitUSL(samples, 0.95); err == nil {
			t.Errorf("squares %g: got no error", bad)
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
