package generator

import (
	"math"
	"testing"
	"time"
)

func TestOrdinaryIsTheMostFrequentRequest(t *testing.T) {
	for _, test := range []struct {
		weights []float64
		want    int
	}{
		{nil, -1},
		{[]float64{1}, -1},
		{[]float64{1, 1}, -1},
		{[]float64{95, 5}, 0},
		{[]float64{5, 95}, 1},
		{[]float64{5, 5, 1}, -1},
		{[]float64{1, 5, 5}, -1},
		{[]float64{5, 5, 6}, 2},
		{[]float64{2, 1, 1}, 0},
	} {
		var requests []Request
		for _, w := range test.weights {
			requests = append(requests, Request{Weight: w})
		}
		if got := Ordinary(requests); got != test.want {
			t.Errorf("of weights %v it is %d, want %d", test.weights, got, test.want)
		}
	}
}

// Of 90 quick and 10 slow requests in each hundred the 95th percentile of all is slow, that of the
// ordinary ones is quick.
func TestOrdinaryLatency(t *testing.T) {
	a := Attack{Requests: []Request{{Weight: 90}, {Weight: 10}}, Seed: 1}
	d := newDeck([]float64{90, 10}, a.Seed)
	o := newOrdinary(a, d)
	for seq := range uint64(10_000) {
		o.add(seq, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}[d.at(seq)])
	}
	if l := o.latency(); l == nil || math.Abs(l.Max-0.010) > 1e-4 {
		t.Errorf("got %+v, want 10 ms and no more", l)
	}
	if n := o.latencies.TotalCount(); math.Abs(float64(n)-9_000) > 50 { // as even as the deck deals
		t.Errorf("%d of 10,000 are ordinary, want about 9,000", n)
	}
	var none *ordinary
	none.add(1, time.Second)
	if none.latency() != nil || newOrdinary(Attack{Requests: a.Requests[:1]}, d) != nil {
		t.Error("a single request has another that is ordinary")
	}
}
