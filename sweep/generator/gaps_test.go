package generator

import (
	"math"
	"testing"
	"time"
)

// Workers that share a core end together: what a window holds of such volleys is chance, the rate between
// them is not.
func TestRateBetweenSuccesses(t *testing.T) {
	volleys := func(n int, every time.Duration, until time.Duration) (g gaps) {
		for at := every; at <= until; at += every {
			for range n {
				g.add(at)
			}
		}
		return g
	}
	for name, c := range map[string]struct {
		ends       gaps
		start, end time.Duration
		want       float64 // 0: there is none
	}{
		// 16 of them end in six seconds, which is 2.67/s; each takes half a second of the core.
		"volleys, none before the window": {volleys(8, 4*time.Second, 8*time.Second), 3 * time.Second, 9 * time.Second, 2},
		"volleys, one before the window":  {volleys(8, 4*time.Second, 12*time.Second), 5 * time.Second, 11 * time.Second, 2},
		"one worker":                      {volleys(1, 700*time.Millisecond, 7*time.Second), 1 * time.Second, 3 * time.Second, 1 / 0.7},
		// At 1, 1.5 and 2 s since 0.5, then nothing for two seconds, which is longer than it ever took.
		"stalled":     {volleys(1, 500*time.Millisecond, 2*time.Second), 1 * time.Second, 4 * time.Second, 3 / 3.5},
		"any order":   {gaps{3 * time.Second, time.Second, 2 * time.Second}, 1500 * time.Millisecond, 3500 * time.Millisecond, 1},
		"none":        {nil, time.Second, 2 * time.Second, 0},
		"none inside": {gaps{500 * time.Millisecond, 3 * time.Second}, time.Second, 2 * time.Second, 0},
		"too many":    {volleys(mostGaps, time.Second, 5*time.Second), 2 * time.Second, 4 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.ends.rate(c.start, c.end)
			if ok != (c.want > 0) || math.Abs(got-c.want) > 1e-9 {
				t.Errorf("%g (%t), want %g", got, ok, c.want)
			}
		})
	}
}

// A window lasts as its answers need at the rate that the warm-up ended with, in whole periods of a quota.
func TestWindowLastsForItsAnswers(t *testing.T) {
	const warmup = 3 * time.Second
	for name, c := range map[string]struct {
		slice func(k int) uint64 // successes in a slice of the warm-up
		want  time.Duration
	}{
		"quick":     {func(int) uint64 { return 4 }, time.Second},
		"slow":      {func(k int) uint64 { return uint64((k + 1) % 2) }, 1600 * time.Millisecond}, // 50/s: 75 take 1.5 s, and what is left of a period
		"late":      {func(k int) uint64 { return uint64(k / 150) }, time.Second},                 // nothing for 1.5 s, then 100/s
		"very slow": {func(k int) uint64 { return uint64(k / 299) }, 6 * time.Second},
		"no answer": {func(int) uint64 { return 0 }, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			a := testLoop("http://127.0.0.1:1")
			a.Window, a.WindowAnswers, a.WindowLimit = time.Second, 75, 6*time.Second
			m := newMeter(a, nil, newPacer(t.Context(), time.Now(), nil, 100), func(Progress) {})
			for k := range int(warmup / Slice) {
				m.s.SliceOK = append(m.s.SliceOK, c.slice(k))
			}
			if got := m.window(warmup); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// With few answers throughput is between them, with enough it is those inside over the window.
func TestThroughputOfFewAnswers(t *testing.T) {
	for answers, want := range map[uint64]float64{0: 3, 3: 3, 4: 3 / 0.8} { // in 1 s, or in the 0.8 s since 0.9
		a := testLoop("http://127.0.0.1:1")
		a.WindowAnswers, a.WindowLimit = answers, a.Window
		m := measuringFrom(a, nil)
		for i, ended := range []time.Duration{500 * ms, 900 * ms, 1300 * ms, 1700 * ms, 1700 * ms, 2100 * ms} {
			m.addAt(uint64(i), ended-20*ms, ended, "")
		}
		s, err := m.summary(0)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.ThroughputRPS-want) > 1e-9 {
			t.Errorf("with %d wanted: %g/s, want %g", answers, s.ThroughputRPS, want)
		}
	}
}

// A page of 400 ms in 8 threads is answered in volleys of 8. More than are wanted are inside the window, in
// two volleys or three; between them it is 20/s all the same.
func TestThroughputOfFewVolleys(t *testing.T) {
	a := testLoop("http://127.0.0.1:1")
	a.WindowAnswers, a.WindowLimit = 10, a.Window
	m := measuringFrom(a, nil)
	for volley := range 5 {
		for i := range 8 {
			ended := time.Duration(volley+1) * 400 * ms
			m.addAt(uint64(8*volley+i), ended-400*ms, ended, "")
		}
	}
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if s.OK < 10 || math.Abs(s.ThroughputRPS-20) > 1e-9 {
		t.Errorf("%d answers, %g/s, want 10 and more, and 20/s", s.OK, s.ThroughputRPS)
	}
}

// A page of 2 s whose volleys are large: what is wanted may all come at once, and in between nothing does.
func TestWindowHasVolleys(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{20 * time.Second: 6100 * ms, 3 * time.Second: 3 * time.Second} {
		a := testLoop("http://127.0.0.1:1")
		a.Window, a.WindowAnswers, a.WindowLimit = time.Second, 75, limit
		m := newMeter(a, nil, newPacer(t.Context(), time.Now(), nil, 100), func(Progress) {})
		for i := range 96 {
			m.addAt(uint64(i), 0, 2*time.Second, "")
		}
		if got := m.window(2500 * ms); got != want {
			t.Errorf("up to %s: %s, want %s", limit, got, want)
		}
	}
}
