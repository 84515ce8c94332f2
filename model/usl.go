package model

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// USL is the universal scalability law,
//
//	X(N) = Rate N / (1 + Contention (N-1) + Coherency N (N-1))
//
// # References
//
// Gunther, Guerrilla Capacity Planning, 2007, equation 4.31; with Rate as in Gunther, Puglia,
// Tomasette, Hadoop Superlinear Scalability, 2015.
type USL struct {
	// Contention is the share of the work that is serialised.
	Contention float64
	// Coherency is the cost of each pair of workers keeping each other up to date, as a share.
	Coherency float64
	// Rate is the throughput of one worker, in requests per second.
	Rate float64
}

// ThroughputAt returns the throughput of n workers, in requests per second.
func (u USL) ThroughputAt(n float64) float64 {
	return u.Rate * n / (1 + u.Contention*(n-1) + u.Coherency*n*(n-1))
}

// Peak returns the count where the curve is highest and its throughput there. ok is false for a
// curve that has no peak at one worker or more.
func (u USL) Peak() (n, throughput float64, ok bool) {
	if u.Coherency <= 0 || u.Contention >= 1 {
		return 0, 0, false
	}
	n = math.Sqrt((1 - u.Contention) / u.Coherency)
	if n < 1 {
		return 0, 0, false
	}
	return n, u.ThroughputAt(n), true
}

// A Sample is a throughput at a count, in requests per second.
type Sample struct {
	Workers    float64
	Throughput float64
	// Restarts is how many restarts Throughput is the mean of; 0 counts as 1.
	Restarts int
	// Squares is the sum of squares of these restarts about Throughput, in (requests per second)
	// squared; 0 for one restart.
	Squares float64
}

func (s Sample) weight() float64 { return float64(max(s.Restarts, 1)) }

// A USLFit is a USL curve with what is known about its parameters.
type USLFit struct {
	USL
	// ContentionError, CoherencyError and RateError are standard errors; zero where the samples
	// leave no degree of freedom or can't tell the parameters apart.
	ContentionError, CoherencyError, RateError float64
	// ContentionLow and so on are Student t intervals with n-3 degrees of freedom, cut at the
	// parameters' bounds. With a zero error they are the estimate itself.
	ContentionLow, ContentionHigh float64
	CoherencyLow, CoherencyHigh   float64
	RateLow, RateHigh             float64
	// SSE is the sum of squares left, in (requests per second) squared; Sigma the residual
	// standard error on DegreesOfFreedom.
	SSE, Sigma       float64
	DegreesOfFreedom int
}

// ErrTooFewCounts is returned where a curve has more parameters than there are distinct counts.
var ErrTooFewCounts = errors.New("too few distinct counts")

// FitUSL fits the law by least squares on throughput with Contention >= 0, Coherency >= 0 and
// Rate > 0. Fewer than three distinct counts is ErrTooFewCounts; a count below 1, a throughput that
// is not a positive number and squares below 0 are an error.
//
// Means with their restarts and squares give what the single restarts would: the squares about the
// means add to the SSE whatever the curve, and to what its parameters are uncertain by.
//
// N/X is linear in (1, N-1, N(N-1)), so the bounded problem there is solved exactly, by one QR
// for each set of active bounds; Levenberg-Marquardt goes on from it on X itself. Without the
// bounds Coherency turns negative on real data and the peak is the root of a negative number.
//
// # References
//
// Gunther, Guerrilla Capacity Planning, 2007, section 5.2; Seber, Wild, Nonlinear Regression,
// 1989, section 2.1 (standard errors).
func FitUSL(samples []Sample, confidence float64) (USLFit, error) {
	distinct, n, pure := map[float64]bool{}, 0, 0.0
	for _, s := range samples {
		if !(s.Workers >= 1) || !(s.Throughput > 0) || math.IsInf(s.Workers, 0) || math.IsInf(s.Throughput, 0) {
			return USLFit{}, fmt.Errorf("fit the scalability law: %g requests per second at %g workers is no measurement", s.Throughput, s.Workers)
		}
		if !(s.Squares >= 0) || math.IsInf(s.Squares, 0) {
			return USLFit{}, fmt.Errorf("fit the scalability law: a sum of squares of %g at %g workers", s.Squares, s.Workers)
		}
		distinct[s.Workers] = true
		pure += s.Squares
		n += max(s.Restarts, 1)
	}
	if len(distinct) < 3 {
		return USLFit{}, fmt.Errorf("fit the scalability law to %d: %w", len(distinct), ErrTooFewCounts)
	}
	start, ok := startUSL(samples)
	if !ok {
		return USLFit{}, errors.New("fit the scalability law: no curve within the bounds")
	}
	problem := leastSquares{
		lower: []float64{0, 0, start.Rate * 1e-9},
		residuals: func(p, r []float64) {
			for i, s := range samples {
				r[i] = math.Sqrt(s.weight()) * (s.Throughput - USL{p[0], p[1], p[2]}.ThroughputAt(s.Workers))
			}
		},
		jacobian: func(p []float64, j *mat.Dense) {
			for i, s := range samples {
				n, root := s.Workers, math.Sqrt(s.weight())
				d := 1 + p[0]*(n-1) + p[1]*n*(n-1)
				j.Set(i, 0, -root*p[2]*n*(n-1)/(d*d))
				j.Set(i, 1, -root*p[2]*n*n*(n-1)/(d*d))
				j.Set(i, 2, root*n/d)
			}
		},
		rows: len(samples),
	}
	best := problem.solve([]float64{start.Contention, start.Coherency, start.Rate})
	fit := USLFit{USL: USL{best.parameters[0], best.parameters[1], best.parameters[2]}, SSE: best.sse + pure, DegreesOfFreedom: n - 3}
	fit.intervals(best, confidence)
	return fit, nil
}

// startUSL solves the linear form under its bounds: the least sum of squares, on throughput, of
// the four solutions that leave out none, one or both of the bounded terms.
func startUSL(samples []Sample) (USL, bool) {
	var best USL
	bestSSE, found := math.Inf(1), false
	for _, terms := range [][]int{{0}, {0, 1}, {0, 2}, {0, 1, 2}} {
		a, y := mat.NewDense(len(samples), len(terms), nil), mat.NewVecDense(len(samples), nil)
		for i, s := range samples {
			row := [3]float64{1, s.Workers - 1, s.Workers * (s.Workers - 1)}
			root := math.Sqrt(s.weight())
			for k, term := range terms {
				a.Set(i, k, root*row[term])
			}
			y.SetVec(i, root*s.Workers/s.Throughput)
		}
		var qr mat.QR
		var x mat.VecDense
		qr.Factorize(a)
		if err := qr.SolveVecTo(&x, false, y); err != nil {
			continue
		}
		coefficients := [3]float64{}
		for k, term := range terms {
			coefficients[term] = x.AtVec(k)
		}
		if !(coefficients[0] > 0) || coefficients[1] < 0 || coefficients[2] < 0 {
			continue
		}
		u := USL{coefficients[1] / coefficients[0], coefficients[2] / coefficients[0], 1 / coefficients[0]}
		if sse := u.sse(samples); sse < bestSSE {
			best, bestSSE, found = u, sse, true
		}
	}
	return best, found
}

func (u USL) sse(samples []Sample) float64 {
	sum := 0.0
	for _, s := range samples {
		d := s.Throughput - u.ThroughputAt(s.Workers)
		sum += s.weight() * d * d
	}
	return sum
}

// intervals fills in the standard errors and intervals from the curvature at the solution.
func (f *USLFit) intervals(best solution, confidence float64) {
	f.ContentionLow, f.ContentionHigh = f.Contention, f.Contention
	f.CoherencyLow, f.CoherencyHigh = f.Coherency, f.Coherency
	f.RateLow, f.RateHigh = f.Rate, f.Rate
	if f.DegreesOfFreedom < 1 {
		return
	}
	f.Sigma = math.Sqrt(f.SSE / float64(f.DegreesOfFreedom))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(f.DegreesOfFreedom)}.Quantile((1 + confidence) / 2)
	errs := best.standardErrors(f.Sigma)
	f.ContentionError, f.CoherencyError, f.RateError = errs[0], errs[1], errs[2]
	f.ContentionLow, f.ContentionHigh = math.Max(0, f.Contention-t*errs[0]), f.Contention+t*errs[0]
	f.CoherencyLow, f.CoherencyHigh = math.Max(0, f.Coherency-t*errs[1]), f.Coherency+t*errs[1]
	f.RateLow, f.RateHigh = math.Max(0, f.Rate-t*errs[2]), f.Rate+t*errs[2]
}
