package model

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A leastSquares problem has parameters with lower bounds. jacobian writes the derivatives of the
// modelled values, which are those of the residuals with the sign turned.
type leastSquares struct {
	lower     []float64
	rows      int
	residuals func(p, r []float64)
	jacobian  func(p []float64, j *mat.Dense)
	// precision is the share of its value that a parameter has to be known to; 0 is to rounding.
	precision float64
}

// leastPrecision is as near as a parameter comes.
const leastPrecision = 1e-11

// mostSteps is far more than any fit needed: it ends those that creep.
const mostSteps = 300

type solution struct {
	parameters []float64
	sse        float64
	normal     *mat.SymDense // J'J at the solution
}

// solve runs Levenberg-Marquardt with Marquardt's scaling. A step is taken among the parameters
// that are free: those off their bound, and those on it that want to leave it; it is then cut at
// the bounds.
//
// # References
//
// Marquardt, An Algorithm for Least-Squares Estimation of Nonlinear Parameters, 1963; Kanzow,
// Yamashita, Fukushima, Levenberg-Marquardt methods with strong local convergence properties for
// solving nonlinear equations with convex constraints, 2004 (projection).
func (l leastSquares) solve(start []float64) solution {
	p, next := append([]float64(nil), start...), make([]float64, len(start))
	r, trial := make([]float64, l.rows), make([]float64, l.rows)
	l.residuals(p, r)
	sse := floats.Dot(r, r)
	damping := 1e-3
	for range mostSteps {
		normal, gradient := l.normalEquations(p, r)
		step, ok := dampedStep(normal, gradient, l.free(p, gradient), damping)
		if !ok {
			damping *= 10
			continue
		}
		moved := 0.0
		for i := range p {
			next[i] = math.Max(l.lower[i], p[i]+step[i])
			moved = math.Max(moved, math.Abs(next[i]-p[i])/(math.Abs(p[i])+1e-12))
		}
		if moved < math.Max(l.precision, leastPrecision) || damping > 1e12 {
			break
		}
		l.residuals(next, trial)
		if got := floats.Dot(trial, trial); got < sse {
			sse = got
			copy(p, next)
			copy(r, trial)
			damping = math.Max(damping/10, 1e-12)
		} else {
			damping *= 10
		}
	}
	normal, _ := l.normalEquations(p, r)
	return solution{parameters: p, sse: sse, normal: normal}
}

func (l leastSquares) normalEquations(p, r []float64) (*mat.SymDense, []float64) {
	j := mat.NewDense(l.rows, len(p), nil)
	l.jacobian(p, j)
	normal := mat.NewSymDense(len(p), nil)
	normal.SymOuterK(1, j.T())
	gradient := mat.NewVecDense(len(p), nil)
	gradient.MulVec(j.T(), mat.NewVecDense(l.rows, r))
	return normal, gradient.RawVector().Data
}

// free lists the parameters off their bound or drawn away from it.
func (l leastSquares) free(p, descent []float64) []int {
	var free []int
	for i := range p {
		if p[i] > l.lower[i] || descent[i] > 0 {
			free = append(free, i)
		}
	}
	return free
}

func dampedStep(normal *mat.SymDense, descent []float64, free []int, damping float64) ([]float64, bool) {
	step := make([]float64, len(descent))
	if len(free) == 0 {
		return step, true
	}
	a, b := mat.NewSymDense(len(free), nil), mat.NewVecDense(len(free), nil)
	for i, fi := range free {
		b.SetVec(i, descent[fi])
		for k := i; k < len(free); k++ {
			a.SetSym(i, k, normal.At(fi, free[k]))
		}
		a.SetSym(i, i, normal.At(fi, fi)*(1+damping))
	}
	var cholesky mat.Cholesky
	var x mat.VecDense
	if !cholesky.Factorize(a) {
		return nil, false
	}
	// A poorly conditioned system still gives a direction; whether it helps is tried next.
	_ = cholesky.SolveVecTo(&x, b)
	for i, fi := range free {
		step[fi] = x.AtVec(i)
		if math.IsNaN(step[fi]) || math.IsInf(step[fi], 0) {
			return nil, false
		}
	}
	return step, true
}

// standardErrors of the parameters, given the residual standard error. A parameter on its bound is
// treated like the others: that it could have been larger is part of what is not known about them.
// All are zero where the samples can't tell the parameters apart.
func (s solution) standardErrors(sigma float64) []float64 {
	errs := make([]float64, len(s.parameters))
	var cholesky mat.Cholesky
	var inverse mat.SymDense
	if !cholesky.Factorize(s.normal) || cholesky.InverseTo(&inverse) != nil {
		return errs
	}
	for i := range errs {
		errs[i] = sigma * math.Sqrt(inverse.At(i, i))
	}
	return errs
}
