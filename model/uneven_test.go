package model

import (
	"math"
	"testing"
)

// The tails are sums that can be written down: all of ten pieces to one of two workers has a chance of
// 2 x (1/2)^10; three of three to one of three 3 x (1/3)^3; at least three of four to one of two
// 2 x (4 + 1)/16.
func TestUnevenByChance(t *testing.T) {
	for _, c := range []struct {
		workers       int
		pieces, share float64
		want          float64
	}{
		{2, 10, 1, 2.0 / 1024},
		{3, 3, 1, 3.0 / 27},
		{2, 4, 0.75, 10.0 / 16},
		{4, 100, 0.25, 1}, // an even share is no surprise
		{1, 100, 1, 1},    // one worker has everything
		{6, 0, 0.61, 1},   // nothing was done
		{6, math.NaN(), 0.61, 1},
	} {
		if got := UnevenByChance(c.workers, c.pieces, c.share); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d workers, %g pieces, %g of them to one: %g, want %g", c.workers, c.pieces, c.share, got, c.want)
		}
	}
	if p := UnevenByChance(6, 1000, 0.61); p > 1e-12 {
		t.Errorf("61 %% of 1000 to one of six has a chance of %g", p)
	}
}

// One of two can't have twice its share, so that is three quarters; of three both are two thirds.
func TestFarTooMuch(t *testing.T) {
	for n, want := range map[int]float64{2: 0.75, 3: 2.0 / 3, 4: 0.5, 6: 1.0 / 3} {
		if got := FarTooMuch(n); math.Abs(got-want) > 1e-12 {
			t.Errorf("of %d: %g, want %g", n, got, want)
		}
	}
}
