package model

import (
	"math"
	"math/rand/v2"
	"slices"
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

// Against throws of dice: 64 connections over 4 workers, 512 over 8, 8 over 8.
func TestBusiestByChance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	for _, c := range [][2]int{{64, 4}, {512, 8}, {8, 8}, {100, 2}} {
		connections, workers := c[0], c[1]
		const times = 20000
		largest, sum := make([]int, times), 0
		for i := range largest {
			has := make([]int, workers)
			for range connections {
				has[random.IntN(workers)]++
			}
			largest[i] = slices.Max(has)
			sum += largest[i]
		}
		slices.Sort(largest)
		even := float64(connections) / float64(workers)
		wantUsual, wantSeldom := float64(sum)/times/even, float64(largest[times*19/20])/even
		usual, inTwenty := BusiestByChance(connections, workers)
		if math.Abs(usual-wantUsual) > 0.07*wantUsual || math.Abs(inTwenty-wantSeldom) > 1/even+0.01 {
			t.Errorf("%d over %d: %.2f and %.2f of an even share, dice say %.2f and %.2f", connections, workers, usual, inTwenty, wantUsual, wantSeldom)
		}
	}
	if usual, inTwenty := BusiestByChance(64, 1); usual != 1 || inTwenty != 1 {
		t.Errorf("one worker has %g and %g of its share", usual, inTwenty)
	}
}
