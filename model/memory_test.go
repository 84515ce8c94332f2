package model

import "testing"

func memories(workers []int, bytes []float64) []Observation {
	var observations []Observation
	for i := range workers {
		observations = append(observations, Observation{Workers: workers[i], Throughput: 1, Memory: bytes[i]})
	}
	return observations
}

// Ten workers that share 1 GB and have 100 MB each use 2 GB, not the 11 of their resident sets.
func TestFitMemoryExact(t *testing.T) {
	line := fitMemory(memories([]int{1, 2, 4}, []float64{1.1e9, 1.2e9, 1.4e9}), 2.05e9, 0.95)
	if line == nil {
		t.Fatal("got no line")
	}
	near(t, "base", line.Base, 1e9, 1)
	near(t, "marginal", line.Marginal, 1e8, 1)
	near(t, "at 10", line.At(10), 2e9, 10)
	if line.HighestWithinCap != 10 {
		t.Errorf("highest: got %d, want 10", line.HighestWithinCap)
	}
}

// Draper and Smith's formulas by hand: x = 1 2 3 4, y = 11 19 31 39 gives slope 9.6 and intercept
// 1, residuals 0.4 -1.2 1.2 -0.4, s = sqrt(3.2 / 2) = 1.26491, Sxx = 5, t(0.975, 2) = 4.30265.
func TestFitMemoryByHand(t *testing.T) {
	line := fitMemory(memories([]int{1, 2, 3, 4}, []float64{11, 19, 31, 39}), 60, 0.95)
	if line == nil {
		t.Fatal("got no line")
	}
	near(t, "base", line.Base, 1, 1e-9)
	near(t, "marginal", line.Marginal, 9.6, 1e-9)
	near(t, "marginal from", line.MarginalLow, 7.16601, 1e-4) // 9.6 - 4.30265 x 1.26491 / sqrt 5
	near(t, "marginal to", line.MarginalHigh, 12.03399, 1e-4) //
	near(t, "upper at 5", line.UpperAt(5), 55.66564, 1e-4)    // 49 + 5.44248 x sqrt(1/4 + 2.5 x 2.5 / 5)
	near(t, "upper at 6", line.UpperAt(6), 67.5429, 1e-4)     // 58.6 + 5.44248 x sqrt(1/4 + 3.5 x 3.5 / 5)
	if line.HighestWithinCap != 5 {
		t.Errorf("highest under 60: got %d, want 5: 6 would be 58.6 by the line, 67.5 by its upper bound", line.HighestWithinCap)
	}
}

func TestFitMemoryWithoutLine(t *testing.T) {
	for _, o := range [][]Observation{
		nil,
		memories([]int{3, 3}, []float64{5, 6}),
		memories([]int{1, 2}, []float64{0, 6}),
		{{Workers: 1, Failed: true, Memory: 5}, {Workers: 2, Throughput: 1, Memory: 6}},
	} {
		if line := fitMemory(o, 100, 0.95); line != nil {
			t.Errorf("%+v: got %+v, want no line from fewer than two counts", o, line)
		}
	}
	if line := fitMemory(memories([]int{1, 2}, []float64{5, 6}), 0, 0.95); line == nil || line.HighestWithinCap != -1 {
		t.Errorf("no limit: got %+v, want -1", line)
	}
}
