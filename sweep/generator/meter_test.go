package generator

import (
	"context"
	"math"
	"net/http"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// measuringFrom returns a meter whose window is [1 s, 2 s).
func measuringFrom(a Attack, next arrivals) *meter {
	m := newMeter(a, newPacer(context.Background(), time.Now(), next, 100), func(Progress) {})
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
	if want := []uint64{9: 1, 10: 1, 19: 1, 20: 1, 25: 1}; len(s.SliceOK) != 26 || s.SliceOK[9] != 1 || s.SliceOK[25] != 1 || s.WindowSlice != 10 {
		t.Errorf("slices are %v from %d, want %v from 10", s.SliceOK, s.WindowSlice, want)
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
		s    Summary
		want Verdict
	}{
		"idle":       {Summary{}, VerdictOK},
		"busy":       {Summary{CPUShare: 0.79, Planned: 100, Late: 5}, VerdictOK},
		"all CPU":    {Summary{CPUShare: 0.81}, VerdictBound},
		"unpunctual": {Summary{CPUShare: 0.1, Planned: 100, Late: 6}, VerdictBound},
	} {
		if got := c.s.verdict(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
