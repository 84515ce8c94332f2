package model

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestUnimodal(t *testing.T) {
	for _, c := range []struct{ y, w, want []float64 }{
		{[]float64{1, 2, 3}, []float64{1, 1, 1}, []float64{1, 2, 3}},
		{[]float64{3, 2, 1}, []float64{1, 1, 1}, []float64{3, 2, 1}},
		// The violation 5 4 on the way up is pooled to its mean.
		{[]float64{1, 5, 4, 9, 2}, []float64{1, 1, 1, 1, 1}, []float64{1, 4.5, 4.5, 9, 2}},
		// The same with the 4 measured three times.
		{[]float64{1, 5, 4, 9, 2}, []float64{1, 1, 3, 1, 1}, []float64{1, 4.25, 4.25, 9, 2}},
		{[]float64{9, 1, 2, 0}, []float64{1, 1, 1, 1}, []float64{9, 1.5, 1.5, 0}},
		{nil, nil, nil},
	} {
		got := unimodal(c.y, c.w)
		if len(got) != len(c.want) {
			t.Fatalf("%v: got %v", c.y, got)
		}
		for i := range got {
			near(t, "value", got[i], c.want[i], 1e-9)
		}
	}
}

// The prefix trick must be no worse than the best over every top, each fitted on its own.
func TestUnimodalIsLeastSquares(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	squares := func(y, w, fit []float64) float64 {
		sum := 0.0
		for i := range y {
			sum += w[i] * (y[i] - fit[i]) * (y[i] - fit[i])
		}
		return sum
	}
	for range 300 {
		n := 1 + random.IntN(9)
		y, w := make([]float64, n), make([]float64, n)
		for i := range y {
			y[i], w[i] = random.NormFloat64(), 1+float64(random.IntN(4))
		}
		got := unimodal(y, w)
		best := math.Inf(1)
		for k := range n + 1 {
			fit := append(isotonic(y[:k], w[:k]), reversed(isotonic(reversed(y[k:]), reversed(w[k:])))...)
			best = math.Min(best, squares(y, w, fit))
		}
		if s := squares(y, w, got); s > best*(1+1e-9)+1e-12 {
			t.Fatalf("%v weights %v: got %g, best %g", y, w, s, best)
		}
		falls := false
		for i := 1; i < n; i++ {
			if got[i] > got[i-1] && falls {
				t.Fatalf("%v: %v rises after it fell", y, got)
			}
			falls = falls || got[i] < got[i-1]
		}
	}
}
