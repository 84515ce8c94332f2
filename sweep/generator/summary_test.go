package generator

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// The quantiles of a merged summary are those of all values together, which a mean of
// quantiles, or a digest that interpolates between two modes, would miss.
func TestMerge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fast, slow, all := newHistogram(), newHistogram(), newHistogram()
	for range 1000 {
		v := time.Duration(random.IntN(1000)+1000) * time.Microsecond
		record(fast, v)
		record(all, v)
	}
	for range 3000 {
		v := time.Duration(random.IntN(1000)+500_000) * time.Microsecond
		record(slow, v)
		record(all, v)
	}
	encode := func(h *hdrhistogram.Histogram) string {
		text, err := encodeHistogram(h)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}

	a := Summary{
		WindowSeconds: 1, ThroughputRPS: 1000, Planned: 1100, Sent: 1050, Late: 1, OK: 1000, Failed: 3, Errors: map[string]uint64{reset: 3},
		Backlog: 5, Sustained: true, OKTotal: 1500, FailedTotal: 4, SentTotal: 1504, Retried: 1, Histogram: encode(fast),
		SliceOK: []uint64{1, 2, 3}, WindowSlice: 1, CPUSeconds: 0.5, CPUShare: 0.5, Verdict: VerdictOK, MaxRSSBytes: 10,
		WarmupSettled: true, Steady: true, TrendShare: 0.08, TrendLow: 0.04, TrendHigh: 0.12,
	}
	b := Summary{
		WarmupSeconds: 1, WarmupLimited: true, WindowSeconds: 1, ThroughputRPS: 3000, Planned: 3000, Sent: 3000, Late: 2, OK: 3000, Failed: 1,
		Errors: map[string]uint64{timedOut: 1}, Backlog: 1, OKTotal: 3500, FailedTotal: 5, SentTotal: 3505, Retried: 2, Histogram: encode(slow),
		SliceOK: []uint64{10, 20, 30, 40}, WindowSlice: 2, CPUSeconds: 0.9, CPUShare: 0.9, Verdict: VerdictBound, MaxRSSBytes: 20, Interrupted: true,
		VerdictReason: BoundByCPU, WarmupSettled: true,
	}
	want := Summary{
		WarmupSeconds: 1, WarmupLimited: true, WindowSeconds: 1, ThroughputRPS: 4000, Planned: 4100, Sent: 4050, Late: 3, OK: 4000, Failed: 4,
		Errors: map[string]uint64{reset: 3, timedOut: 1}, Backlog: 6, OKTotal: 5000, FailedTotal: 9, SentTotal: 5009, Retried: 3,
		Latency: quantiles(all), Histogram: encode(all),
		SliceOK: []uint64{10, 21, 32, 43}, WindowSlice: 2, CPUSeconds: 1.4, CPUShare: 0.9, Verdict: VerdictBound, MaxRSSBytes: 30, Interrupted: true,
		VerdictReason: BoundByCPU, WarmupSettled: true,
		TrendShare: 0.02, TrendLow: 0.01, TrendHigh: 0.03, // a quarter of the throughput had it
	}
	if err := a.Merge(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}

// A window that is prolonged has the answers of both stretches, at the mean of their rates.
func TestFollow(t *testing.T) {
	histogram := func(latencies ...time.Duration) string {
		h := newHistogram()
		for _, v := range latencies {
			record(h, v)
		}
		text, err := encodeHistogram(h)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ms := time.Millisecond
	a := Summary{
		WarmupSeconds: 0.5, WarmupSettled: true, WindowSeconds: 0.03, ThroughputRPS: 200, Planned: 6, Sent: 6, OK: 6, Backlog: 4, Sustained: true, Steady: true,
		OKTotal: 9, SentTotal: 9, Histogram: histogram(10*ms, 10*ms), SliceOK: []uint64{3, 1, 2}, WindowSlice: 1,
		CPUSeconds: 0.1, CPUShare: 0.2, Verdict: VerdictOK, MaxRSSBytes: 10,
	}
	b := Summary{
		WarmupSeconds: 0.7, WindowSeconds: 0.01, ThroughputRPS: 400, Planned: 4, Sent: 4, OK: 4, Failed: 1, Errors: map[string]uint64{reset: 1}, Backlog: 1, Sustained: true, Steady: true,
		OKTotal: 5, FailedTotal: 1, SentTotal: 6, Histogram: histogram(90 * ms), SliceOK: []uint64{1, 4, 7}, WindowSlice: 1,
		CPUSeconds: 0.3, CPUShare: 0.6, Verdict: VerdictOK, MaxRSSBytes: 20,
	}
	if err := a.Follow(&b); err != nil {
		t.Fatal(err)
	}
	want := Summary{
		WarmupSeconds: 0.5, WarmupSettled: true, WindowSeconds: 0.04, ThroughputRPS: 250, Planned: 10, Sent: 10, OK: 10, Failed: 1, Errors: map[string]uint64{reset: 1}, Backlog: 1, Sustained: true, Steady: true,
		OKTotal: 14, FailedTotal: 1, SentTotal: 15, Histogram: histogram(10*ms, 10*ms, 90*ms),
		SliceOK: []uint64{3, 1, 2, 0, 4}, WindowSlice: 1, // the window of three slices ended in one without an answer
		CPUSeconds: 0.4, CPUShare: 0.3, Verdict: VerdictOK, MaxRSSBytes: 20,
	}
	all, err := decodeHistogram(want.Histogram)
	if err != nil {
		t.Fatal(err)
	}
	want.Latency = quantiles(all)
	nearly := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, a, nearly); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	before := a
	if err := a.Follow(&Summary{Histogram: "hello"}); err == nil || cmp.Diff(before, a) != "" {
		t.Errorf("a histogram that is none followed: %v", err)
	}
}

func TestMergeRefusesForeignHistograms(t *testing.T) {
	other, err := encodeHistogram(hdrhistogram.New(1, 1000, 2))
	if err != nil {
		t.Fatal(err)
	}
	s := Summary{OK: 1}
	if err := s.Merge(&Summary{Histogram: other, OK: 1}); !errors.Is(err, errGeometry) {
		t.Errorf("got %v, want %v", err, errGeometry)
	}
	if err := s.Merge(&Summary{Histogram: "hello", OK: 1}); err == nil {
		t.Error("a histogram that is none was merged")
	}
	if s.OK != 1 {
		t.Errorf("ok is %d after two errors", s.OK)
	}
}

// Three significant digits, over the whole range; beyond it the limit is recorded, since a
// value left out would make the quantiles better.
func TestHistogramPrecision(t *testing.T) {
	for _, v := range []time.Duration{0, time.Microsecond, 1234 * time.Microsecond, 5 * time.Second, time.Hour, 24 * time.Hour} {
		h := newHistogram()
		record(h, v)
		want := min(max(v, time.Microsecond), 2*maxDuration).Seconds()
		if got := quantiles(h).P99; math.Abs(got-want) > want/1000 {
			t.Errorf("recorded %v, got %v s", v, got)
		}
	}
}

func TestSummaryWithoutRequestsIsValidJSON(t *testing.T) {
	s, err := newMeter(testAttack("http://127.0.0.1:1").withDefaults(), nil, newPacer(t.Context(), time.Now(), nil, 1), func(Progress) {}).summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(s); err != nil { // NaN and Inf are errors
		t.Error(err)
	}
}
