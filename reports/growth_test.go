package reports

import (
	"slices"
	"strings"
	"testing"

	"advise/model"
	"advise/sweep"
)

// Two restarts that grow by 9 and 11 kB a request: 10 MB per 1,000, 1 GB after 100,000. The recommended 8
// workers use 276 MB of the 691 that 768 MB less a tenth are, so there is room to grow into.
func TestMemoryGrowth(t *testing.T) {
	leaking := func(perRequest ...int64) *Result {
		rec := fixtures["gain"].record()
		for i, leak := range perRequest {
			for _, n := range []int64{1000, 2000, 4000} {
				rec.Trials[i].MemoryReadings = append(rec.Trials[i].MemoryReadings, sweep.MemoryReading{RequestsServed: uint64(n), PSSBytes: 50e6 + leak*n})
			}
		}
		return New(rec, rec.Advice(), nil)
	}
	r := leaking(9900, 10000, 10100)
	g := r.MemoryGrowth
	if g == nil || !g.Grows || g.Restarts != 3 || g.PerThousandBytes < 9.99e6 || g.PerThousandBytes > 10.01e6 || g.After100000Bytes < 0.999e9 || g.After100000Bytes > 1.001e9 {
		t.Fatalf("got %+v", g)
	}
	// 415 MB of room at 10 to 10.25 kB a request are some 40,500 to 41,500, an eighth of it for each.
	if g.RecycleSetting != "--max-requests" || g.RecycleAfter == nil || *g.RecycleAfter < 5000 || *g.RecycleAfter > 5200 {
		t.Errorf("recycle by %q after %v, want --max-requests after some 5,100", g.RecycleSetting, g.RecycleAfter)
	}
	if err := schema(t).Validate(decoded(t, r)); err != nil {
		t.Error(err)
	}
	if words := growthWords(r); g.RequestsSeen != 4000 || !strings.Contains(words[0], "seen over 4,000 requests") {
		t.Errorf("seen over %d requests, said %q", g.RequestsSeen, words[0])
	}
	if words := growthWords(r); !slices.ContainsFunc(words, func(s string) bool { return strings.HasPrefix(s, "--max-requests 5") }) {
		t.Errorf("said %q", words)
	}
	if g := leaking(5, -5, 1).MemoryGrowth; g.Grows || g.RecycleSetting != "" || g.RecycleAfter != nil {
		t.Errorf("noise is taken for growth: %+v", g)
	}
	if g := leaking(10000).MemoryGrowth; g.Grows || g.LowBytes != nil {
		t.Errorf("one restart leaves a doubt, and no interval: %+v", g)
	}
	if g := New(fixtures["gain"].record(), model.Advice{}, nil).MemoryGrowth; g != nil {
		t.Errorf("nothing was read: %+v", g)
	}
}
