package reports

import (
	"math"
	"slices"
	"testing"

	"advise/model"
)

// Beside 2 workers, 1 saves 32 MB, and 3 answer the ordinary request 1.5^1.2 times as soon.
func TestFurther(t *testing.T) {
	r := resultOf(t, "least")
	if len(r.Further) != 2 || len(r.Stuck) != 3 {
		t.Fatalf("got %+v and %+v, want 1 and 3 beside 2, and one worker stopped of each", r.Further, r.Stuck)
	}
	for i, want := range []struct {
		fewer, more int
		factor      float64
	}{{1, 2, math.Pow(2, 1.2)}, {2, 3, math.Pow(1.5, 1.2)}} {
		f := r.Further[i]
		if f.Fewer != want.fewer || f.More != want.more || !f.Alike || f.MemoryBytes == nil || math.Abs(*f.MemoryBytes-32*mb) > mb ||
			len(f.P95) != len(model.LatencyShares) || f.SoonerFactor == nil || math.Abs(*f.SoonerFactor-want.factor) > 0.01 {
			t.Errorf("got %+v, want %d and %d workers, 32 MB and %.2f times as soon", f, want.fewer, want.more, want.factor)
		}
	}
	for i, s := range r.Stuck {
		if s.Workers != i+1 || s.CapacityShare != 0.5 || (s.Latency.P95 > 0.9) != (s.Workers == 1) {
			t.Errorf("with one worker stopped of %d, p95 is %g", s.Workers, s.Latency.P95)
		}
	}
}

// What more workers buy is named where it is sure, and where they have as much throughput.
func TestSoonerIsNamed(t *testing.T) {
	named := func(change func(r *Result)) *model.Caveat {
		r := resultOf(t, "least")
		change(r)
		r.Further = further(r)
		return sooner(r)
	}
	c := named(func(*Result) {})
	if c == nil || c.Figures["workers"] != 3 || math.Abs(c.Figures["factor"]-math.Pow(1.5, 1.2)) > 0.01 || math.Abs(c.Figures["memory_bytes"]-32*mb) > mb {
		t.Errorf("the caveat is %+v, want one on 3 workers", c)
	}
	for name, change := range map[string]func(r *Result){
		"slower": func(r *Result) { *at(r.Points, 3).ThroughputRPS *= 0.9 },
		"hardly sooner": func(r *Result) {
			for i := range r.Latencies {
				if l := &r.Latencies[i]; l.Workers == 3 {
					l.Ordinary.P95 *= 1.2
				}
			}
		},
		"too slow there": func(r *Result) {
			for i := range r.Latencies {
				r.Latencies[i].Sustained = r.Latencies[i].CapacityShare != 0.7
			}
		},
		"not measured": func(r *Result) {
			r.Latencies = slices.DeleteFunc(r.Latencies, func(l LatencyAt) bool { return l.Workers == 3 })
		},
		"nothing recommended": func(r *Result) { r.Recommendation = nil },
	} {
		if c := named(change); c != nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestOneWorkerLost(t *testing.T) {
	for name, want := range map[string]string{
		"least":         "one worker lost, or restarted: the other answers as much within the noise",
		"rule_killed":   "one worker lost, or restarted: the other answers 99.9 of 193 requests/s",
		"fewer_workers": "one worker lost, or restarted: nobody answers",
		"lower_bound":   "",
	} {
		if got := lostWords(resultOf(t, name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
