package generator

import (
	"context"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// measuringFrom returns a meter whose window is [1 s, 2 s).
func measuringFrom(a Attack, next schedule) *meter {
	m := newMeter(a, nil, newPacer(context.Background(), time.Now(), next, 100), func(Progress) {})
	m.stage, m.start, m.end = measuring, time.Second, 2*time.Second
	return m
}

func (m *meter) addAt(seq uint64, began, ended time.Duration, failure string) {
	r := vegeta.Result{Seq: seq, Timestamp: m.pacer.epoch.Add(began), Latency: ended - began, Code: http.StatusOK, Error: failure}
	m.add(&r)
}

const ms = time.Millisecond

func TestWindowHoldsWhatEndsInsideIt(t *testing.T) {
	m := measuringFrom(testLoop("http://127.0.0.1:1"), nil)
	m.addAt(0, 500*ms, 999*ms, "")       // before
	m.addAt(1, 900*ms, 1000*ms, "")      // ends with its beginning: in
	m.addAt(2, 1100*ms, 1999*ms, "")     // in
	m.addAt(3, 1200*ms, 1300*ms, reset)  // in
	m.addAt(4, 1900*ms, 2000*ms, "")     // ends with its end: out
	m.addAt(5, 1950*ms, 2500*ms, "")     // after
	m.addAt(6, 1960*ms, 2600*ms, cutOff) // cut off, but sent
	m.addAt(7, 900*ms, 950*ms, refused)  // before, and never sent
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if s.OK != 2 || s.Failed != 1 || s.Errors[reset] != 1 || s.ThroughputRPS != 2 {
		t.Errorf("ok %d, failed %d %v, %v/s, want 2, 1 reset, 2/s", s.OK, s.Failed, s.Errors, s.ThroughputRPS)
	}
	if s.Planned != 5 || s.Sent != 5 || s.Backlog != 3 { // those that began in the window
		t.Errorf("planned %d, sent %d, backlog %d, want 5, 5, 3", s.Planned, s.Sent, s.Backlog)
	}
	if s.OKTotal != 5 || s.FailedTotal != 2 || s.SentTotal != 7 {
		t.Errorf("totals are ok %d, failed %d, sent %d, want 5, 2, 7", s.OKTotal, s.FailedTotal, s.SentTotal)
	}
	// The successes of 100 and 899 ms; the reset is not in it.
	if math.Abs(s.Latency.P50-0.1) > 1e-4 || math.Abs(s.Latency.Max-0.899) > 1e-3 {
		t.Errorf("latency is %+v", s.Latency)
	}
	if want := []uint64{99: 1, 100: 1, 199: 1, 200: 1, 250: 1}; !slices.Equal(s.SliceOK, want) || s.WindowSlice != 100 {
		t.Errorf("slices are %v from %d, want %v from 100", s.SliceOK, s.WindowSlice, want)
	}
}

// In an open loop the window holds what was due in it, whenever and however it ended.
func TestOpenLoopWindowHoldsWhatWasDue(t *testing.T) {
	a := testAttack("http://127.0.0.1:1")
	dues := []time.Duration{900 * ms, 1000 * ms, 1100 * ms, 1200 * ms, 1300 * ms, 2000 * ms}
	next := func() time.Duration { due := dues[0]; dues = dues[1:]; return due }
	m := measuringFrom(a, next)
	m.pacer.epoch = time.Now().Add(-time.Hour)
	for n := range uint64(len(dues)) {
		m.pacer.Pace(0, n)
	}
	m.addAt(0, 900*ms, 1500*ms, "")                  // was due before
	m.addAt(1, 1001*ms, 1400*ms, "")                 // on time
	m.addAt(2, 1110*ms, 2900*ms, "")                 // late, and answered after the window
	m.addAt(3, 1200*ms, 1201*ms, refused)            // never sent
	m.addAt(4, 1300*ms, 2300*ms, timedOutConnecting) // never sent
	m.addAt(5, 2000*ms, 2001*ms, "")                 // was due after
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Planned != 4 || s.Sent != 2 || s.Late != 1 || s.OK != 2 || s.Failed != 2 || s.Backlog != 2 {
		t.Errorf("planned %d, sent %d, late %d, ok %d, failed %d, backlog %d, want 4, 2, 1, 2, 2, 2",
			s.Planned, s.Sent, s.Late, s.OK, s.Failed, s.Backlog)
	}
	if s.ThroughputRPS != 2 { // those that ended inside the window, at 1.4 and 1.5 s
		t.Errorf("throughput is %v/s, want 2", s.ThroughputRPS)
	}
	if s.Latency.P50 < 0.999 || s.Latency.P50 > 1.001 || s.Latency.Max < 1.799 { // 400, 1000, 1800 ms
		t.Errorf("latency is %+v", s.Latency)
	}
}

// After a stall Vegeta's pacer catches up in a burst. What was due meanwhile is sent, late,
// and waits in the latency.
func TestCatchUpIsLateAndCounted(t *testing.T) {
	a := testAttack("http://127.0.0.1:1")
	next := constant(a.Rate)
	m := measuringFrom(a, next)
	m.pacer.epoch = time.Now().Add(-1500 * ms) // the stall: nothing was sent for so long
	for n := range uint64(150) {
		if wait, stop := m.pacer.Pace(1500*ms, n); wait != 0 || stop {
			t.Fatalf("request %d: wait %v, stop %v", n, wait, stop)
		}
		m.pacer.ended.Add(1)
		m.addAt(n, 1500*ms, 1501*ms, "")
	}
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	// Due at 1.00, 1.01 .. 1.49 s; all of them were sent 10 ms or more later.
	if s.Planned != 50 || s.Late != 50 || s.OK != 50 {
		t.Errorf("planned %d, late %d, ok %d, want 50 each", s.Planned, s.Late, s.OK)
	}
	if s.Verdict != VerdictBound {
		t.Errorf("verdict is %s", s.Verdict)
	}
	if want := 0.251; math.Abs(s.Latency.P50-want) > 0.01 {
		t.Errorf("median is %v s, want %v: half of the longest wait, and 1 ms", s.Latency.P50, want)
	}
}

func TestPacerHandsOutWhatIsDueBeforeTheEnd(t *testing.T) {
	p := newPacer(context.Background(), time.Now().Add(-time.Hour), constant(10), 1000)
	p.stopAt(2 * time.Second)
	n := uint64(0)
	for ; ; n++ {
		if _, stop := p.Pace(0, n); stop {
			break
		}
	}
	if n != 20 { // at 0.0, 0.1 .. 1.9 s, though all are overdue
		t.Errorf("%d requests, want 20", n)
	}
	if due, ok := p.due(19); !ok || due != 1900*ms {
		t.Errorf("the last is due at %v, %v", due, ok)
	}
	if len(p.dues) != 20 {
		t.Errorf("%d under way", len(p.dues))
	}
	for seq := range n {
		p.take(seq)
	}
	if len(p.dues) != 0 {
		t.Errorf("%d are remembered for ever", len(p.dues))
	}
}

func TestRateIsSustainedUnlessTheBacklogGrows(t *testing.T) {
	m := measuringFrom(testAttack("http://127.0.0.1:1"), constant(100)) // on 4 connections
	for _, c := range []struct {
		planned, backlog uint64
		want             bool
	}{
		{100, 0, true},
		{100, 9, true}, // 4 under way, 5 by chance
		{100, 10, false},
		{10_000, 504, true},
		{10_000, 505, false},
		{1, 1, true},
	} {
		m.s.Planned, m.s.Backlog, m.s.Sustained = c.planned, c.backlog, true
		s, err := m.summary(0)
		if err != nil {
			t.Fatal(err)
		}
		if s.Sustained != c.want {
			t.Errorf("backlog of %d, planned %d: sustained %v", c.backlog, c.planned, s.Sustained)
		}
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		s       Summary
		ceiling float64
		want    VerdictReason
	}{
		"idle":            {s: Summary{}},
		"busy":            {s: Summary{CPUShare: 0.79, Planned: 100, Late: 5, ThroughputRPS: 750}, ceiling: 1000},
		"fast, unbounded": {s: Summary{ThroughputRPS: 1e6}},
		"refused":         {s: Summary{Planned: 100, Errors: map[string]uint64{refused: 100}}},
		"all CPU":         {s: Summary{CPUShare: 0.81}, want: BoundByCPU},
		"unpunctual":      {s: Summary{CPUShare: 0.1, Planned: 100, Late: 6}, want: BoundLate},
		"no ports":        {s: Summary{Planned: 100, Sent: 94, Errors: map[string]uint64{noLocalPort: 4, noFiles: 2}}, want: BoundUnsent},
		"near its best":   {s: Summary{ThroughputRPS: 751}, ceiling: 1000, want: BoundByCeiling},
		"all of them":     {s: Summary{CPUShare: 1, Planned: 1, Late: 1, ThroughputRPS: 9}, ceiling: 1, want: BoundByCPU},
	} {
		want := VerdictOK
		if c.want != "" {
			want = VerdictBound
		}
		if got, why := c.s.verdict(c.ceiling); got != want || why != c.want {
			t.Errorf("%s: %s %q, want %s %q", name, got, why, want, c.want)
		}
	}
}

// A lateJudge finds a warm-up settled once it has so many slices, and a window unsteady.
type lateJudge struct {
	settledAt int
	seen      [][]float64
	window    []float64
	settled   bool
}

func (j *lateJudge) Settled(warmup []float64) bool {
	j.seen = append(j.seen, warmup)
	return len(warmup) >= j.settledAt
}

func (j *lateJudge) Steady(window []float64, settled bool) (steady bool, share, low, high float64) {
	j.window, j.settled = window, settled
	return false, 0.1, 0.05, 0.15
}

// The window begins after the floors in time and requests, when the judge finds the warm-up settled,
// and exactly with a slice; all that ends in its slices is in its throughput, and nothing else.
func TestWindowBeginsWhenSettled(t *testing.T) {
	a := testLoop("http://127.0.0.1:1")
	a.Warmup, a.WarmupRequests, a.WarmupLimit, a.Window = 300*ms, 200, 10*time.Second, 100*ms
	judge := &lateJudge{settledAt: 40}
	m := newMeter(a, judge, newPacer(t.Context(), time.Now(), nil, 100), func(Progress) {})
	var at time.Duration // one answer a millisecond, and a look at the time every 7
	for ; m.stage == warming && at < 2*time.Second; at += ms {
		m.addAt(uint64(at/ms), at, at, "")
		if at%(7*ms) == 0 && m.warm(at) {
			m.setWindow(at)
		}
	}
	// 40 slices are whole at 400 ms; the newest is left out, so 410, and the next look is at 413.
	if m.start != 420*ms || m.end != 520*ms || m.stage != arming {
		t.Fatalf("the window is %v to %v in stage %d, want 420 to 520 ms", m.start, m.end, m.stage)
	}
	if first := judge.seen[0]; len(first) < 25 || len(first)%judgeEvery != 0 || slices.ContainsFunc(first, func(v float64) bool { return v != 10 }) {
		t.Errorf("the judge was first asked about %v", first)
	}
	for ; at < 600*ms; at += ms {
		m.addAt(uint64(at/ms), at, at, "")
	}
	m.stage = measuring
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if s.ThroughputRPS != 1000 || s.WindowSlice != 42 || !slices.Equal(s.WindowOK(), slices.Repeat([]uint64{10}, 10)) {
		t.Errorf("%v/s, slices %v from %d", s.ThroughputRPS, s.WindowOK(), s.WindowSlice)
	}
	if !s.WarmupSettled || !judge.settled || len(judge.window) != 10 || judge.window[0] != 10 {
		t.Errorf("settled %v; the judge saw the window %v", s.WarmupSettled, judge.window)
	}
	if s.Steady || s.TrendShare != 0.1 || s.TrendLow != 0.05 || s.TrendHigh != 0.15 {
		t.Errorf("steady %v, %v (%v to %v)", s.Steady, s.TrendShare, s.TrendLow, s.TrendHigh)
	}
}

func TestWarmupFloorsAndLimit(t *testing.T) {
	for name, c := range map[string]struct {
		requests         uint64
		limit            time.Duration
		settledAt        int
		at               time.Duration // when it is over, at one answer a millisecond
		settled, limited bool
	}{
		"time":              {10, time.Second, 0, 100 * ms, true, false},
		"requests":          {250, time.Second, 0, 250 * ms, true, false},
		"settled":           {10, time.Second, 50, 510 * ms, true, false},
		"limit":             {10, time.Second, 1000, time.Second, false, false},
		"limit of requests": {5000, time.Second, 0, time.Second, true, true}, // a slow page, and steady
		"limit of both":     {5000, time.Second, 1000, time.Second, false, true},
		"fixed":             {10, 100 * ms, 1000, 100 * ms, true, false},
	} {
		a := testLoop("http://127.0.0.1:1")
		a.Warmup, a.WarmupRequests, a.WarmupLimit = 100*ms, c.requests, c.limit
		m := newMeter(a, &lateJudge{settledAt: c.settledAt}, newPacer(t.Context(), time.Now(), nil, 100), func(Progress) {})
		at := time.Duration(0)
		for ; !m.warm(at) && at < 2*time.Second; at += 10 * ms {
			for i := range time.Duration(10) {
				m.addAt(uint64(at/ms+i), at+i*ms, at+i*ms, "")
			}
		}
		if at != c.at || m.s.WarmupSettled != c.settled || m.s.WarmupLimited != c.limited {
			t.Errorf("%s: over at %v, settled %v, limited %v; want %v, %v, %v", name, at, m.s.WarmupSettled, m.s.WarmupLimited, c.at, c.settled, c.limited)
		}
	}
}

// An attack that ends before its window has begun has measured nothing.
func TestNoWindowWithoutItsBeginning(t *testing.T) {
	m := newMeter(testLoop("http://127.0.0.1:1"), &lateJudge{}, newPacer(t.Context(), time.Now(), nil, 100), func(Progress) {})
	m.setWindow(0)
	s, err := m.summary(0)
	if err != nil {
		t.Fatal(err)
	}
	if s.WindowSeconds != 0 || s.ThroughputRPS != 0 || len(s.WindowOK()) != 0 {
		t.Errorf("%v s, %v/s, %v", s.WindowSeconds, s.ThroughputRPS, s.WindowOK())
	}
}
