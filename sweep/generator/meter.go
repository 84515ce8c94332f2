package generator

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

type stage int

const (
	warming stage = iota
	arming        // the window's ends are set, and it begins with the next slice
	measuring
	draining
)

// A Judge tells whether a server's throughput is steady, from its successes per Slice. The
// generator measures and concludes nothing: what is steady it is told by whoever starts it.
type Judge interface {
	// Settled tells whether the warm-up may end, given all of it so far.
	Settled(warmup []float64) bool
	// Steady tells whether the window can stand for the server, and by which share its throughput
	// changed from its beginning to its end, with the interval of that share. settled is what was
	// said of the warm-up.
	Steady(window []float64, settled bool) (steady bool, share, low, high float64)
}

// A meter counts results and decides when the window begins. One goroutine uses it. All its
// times are since the pacer's epoch.
type meter struct {
	attack Attack
	judge  Judge // nil: everything is steady
	pacer  *pacer
	emit   func(Progress)
	wake   *time.Timer // when advance has something to do

	stage    stage
	start    time.Duration // of the window
	end      time.Duration
	sampled  time.Duration // when startCPU was read
	startCPU time.Duration
	judged   int // slices when the judge was last asked
	nextTick time.Duration

	completed uint64        // successes that ended inside the window
	quickest  time.Duration // of the successes of a closed loop: one that hardly queued; 0 without any
	gaps      gaps          // between successes, while they are few
	latencies *hdrhistogram.Histogram
	ordinary  *ordinary // nil: there is no such request
	s         Summary
}

func newMeter(a Attack, judge Judge, p *pacer, emit func(Progress)) *meter {
	m := &meter{
		attack: a, judge: judge, pacer: p, emit: emit, wake: time.NewTimer(0), nextTick: tickEvery,
		latencies: newHistogram(), startCPU: cpuTime(),
		s: Summary{Errors: make(map[string]uint64), Sustained: true},
	}
	m.announce(WarmupStarted)
	return m
}

// advance does what the time asks for and sets the next wake.
func (m *meter) advance() {
	now := m.pacer.elapsed()
	if m.stage == warming && m.warm(now) {
		m.setWindow(now)
	}
	if m.stage == arming && now >= m.start {
		m.startWindow()
	}
	if m.stage == measuring && now >= m.end {
		m.endWindow()
	}
	if now >= m.nextTick {
		m.announce(Tick)
		m.nextTick = now.Truncate(tickEvery) + tickEvery
	}

	next := now.Truncate(Slice) + Slice
	if m.stage == measuring {
		next = min(next, m.end)
	}
	m.wake.Reset(next - m.pacer.elapsed())
}

// warm tells whether the warm-up is done.
func (m *meter) warm(now time.Duration) bool {
	answered := m.s.OKTotal + m.s.FailedTotal
	if now >= m.attack.Warmup && answered >= m.attack.WarmupRequests && m.settled(now) {
		m.s.WarmupSettled = true
		return true
	}
	if now >= m.attack.WarmupLimit {
		m.s.WarmupLimited = answered < m.attack.WarmupRequests
		// A slow page runs out of time for its requests: that alone is no sign that it has not settled.
		m.s.WarmupSettled = m.s.WarmupLimited && answered > 0 && m.settled(now)
		return true
	}
	return false
}

// judgeEvery slices is once per batch of MSER-5.
const judgeEvery = 5

// settled asks the judge, where the warm-up's length is not fixed.
func (m *meter) settled(now time.Duration) bool {
	if m.judge == nil || m.attack.WarmupLimit == m.attack.Warmup {
		return true
	}
	// The newest slice's results may still be on their way here.
	slices := int(now/Slice) - 1
	if slices < m.judged+judgeEvery {
		return false
	}
	m.judged = slices - slices%judgeEvery
	return m.judge.Settled(series(m.s.SliceOK, 0, m.judged))
}

// series returns successes per slice; slices that nothing ended in may be missing at the end.
func series(of []uint64, from, to int) []float64 {
	values := make([]float64, max(to-from, 0))
	for i := range values {
		if from+i < len(of) {
			values[i] = float64(of[from+i])
		}
	}
	return values
}

// setWindow has the window begin with the next slice, so that its slices are whole. Nothing that
// belongs to it has been counted yet: all that was has ended by now.
func (m *meter) setWindow(now time.Duration) {
	m.stage = arming
	m.start = now.Truncate(Slice) + Slice
	m.end = m.start + m.window(now)
	m.pacer.stopAt(m.end)
}

// windowStep is the period of a processor quota: a window of whole ones has its share of their bursts
// wherever in one it begins.
const windowStep = 100 * time.Millisecond

// A server whose requests only wait answers as many as it has slots at once, in volleys that are as far from
// each other as an answer takes: a window that falls between two of them holds none.
const (
	// leastVolleys are in a window at the least, where there is time.
	leastVolleys = 3
	// enoughVolleys are as many as one more or less makes no difference of, 4 %.
	enoughVolleys = 25
)

// window is as long as its answers need at the rate of the warm-up's second half: the first answers of
// a slow page come late. It has some volleys of them.
func (m *meter) window(now time.Duration) time.Duration {
	if m.attack.WindowLimit <= m.attack.Window {
		return m.attack.Window
	}
	slices := int(now / Slice)
	var answered float64
	for _, n := range series(m.s.SliceOK, slices/2, slices) {
		answered += n
	}
	if answered == 0 {
		return m.attack.WindowLimit
	}
	took := time.Duration(slices-slices/2) * Slice
	needed := time.Duration(math.Min(float64(m.attack.WindowAnswers)/answered*float64(took), float64(m.attack.WindowLimit)))
	needed = max(needed, min(leastVolleys*m.quickest, m.attack.WindowLimit))
	return min(max(needed.Truncate(windowStep)+windowStep, m.attack.Window), m.attack.WindowLimit)
}

// holdsFew is true for a window that one answer or volley more or less at its ends matters to.
func (m *meter) holdsFew() bool {
	return m.completed < m.attack.WindowAnswers || m.attack.WindowAnswers > 0 && m.end-m.start < enoughVolleys*m.quickest
}

// startWindow is called when the window has begun, or a little later: the counts don't mind.
func (m *meter) startWindow() {
	m.stage = measuring
	m.announce(WindowStarted)
	m.sampled, m.startCPU = m.pacer.elapsed(), cpuTime()
}

func (m *meter) endWindow() {
	m.stage = draining
	m.readCPU()
	m.announce(WindowEnded)
}

// readCPU takes the CPU time since it was sampled. A busy machine may wake us late: the counts don't
// mind, the CPU time does.
func (m *meter) readCPU() {
	used, over := cpuTime()-m.startCPU, max(m.pacer.elapsed()-m.sampled, 1)
	m.s.CPUSeconds = used.Seconds()
	m.s.CPUShare = used.Seconds() / (over.Seconds() * float64(m.attack.cores()))
}

// stopSending tells whether Vegeta should be stopped. An open loop ends by itself, with the
// last request that was due.
func (m *meter) stopSending() bool { return m.stage == draining && !m.attack.openLoop() }

// graceOver tells whether what is still under way should be cut off. Open-loop requests were
// due in the window and are waited for, up to their timeout.
func (m *meter) graceOver() bool {
	return m.stopSending() && m.pacer.elapsed() > m.end+graceAfterWindow
}

// giveUp ends the attack as not sustained; the window, if any, ends here.
func (m *meter) giveUp() {
	m.s.Sustained = false
	m.stopNow()
}

// interrupt ends the attack because it was cancelled.
func (m *meter) interrupt() {
	m.s.Interrupted = true
	m.stopNow()
}

func (m *meter) stopNow() {
	switch m.stage {
	case warming, arming:
		m.start = m.pacer.elapsed()
		m.end = m.start
		m.stage = draining
		m.readCPU() // of the warm-up: the generator may be why it was given up
	case measuring:
		m.end = min(m.end, m.pacer.elapsed())
		m.endWindow()
	}
}

func (m *meter) announce(e Event) {
	m.emit(Progress{Event: e, ElapsedSeconds: m.pacer.elapsed().Seconds(), OK: m.s.OKTotal, Failed: m.s.FailedTotal})
}

// add counts one result.
func (m *meter) add(r *vegeta.Result) {
	began := r.Timestamp.Sub(m.pacer.epoch)
	ended := began + r.Latency
	due, planned := m.pacer.take(r.Seq)
	if !planned {
		due = began
	}

	switch {
	case r.Error == "":
		m.s.OKTotal++
		m.slice(ended)
		m.gaps.add(ended)
		if m.quickest == 0 || r.Latency < m.quickest {
			m.quickest = r.Latency
		}
		if m.inWindow(ended) {
			m.completed++
		}
	case r.Error != cutOff:
		m.s.FailedTotal++
	}
	if !neverSent(r.Error) {
		m.s.SentTotal++
	}
	if m.inWindow(due) {
		m.s.Planned++
		if !neverSent(r.Error) {
			m.s.Sent++
		}
		if planned && began-due > LateAfter {
			m.s.Late++
		}
		if ended >= m.end {
			m.s.Backlog++
		}
	}

	switch {
	case m.attack.openLoop() && m.inWindow(due):
		m.tally(r.Seq, r.Error, ended-due)
	case !m.attack.openLoop() && m.inWindow(ended):
		m.tally(r.Seq, r.Error, r.Latency)
	}
}

func (m *meter) inWindow(at time.Duration) bool {
	return m.stage != warming && at >= m.start && at < m.end
}

// slice counts a success in its time slice.
func (m *meter) slice(ended time.Duration) {
	k := int(ended / Slice)
	for len(m.s.SliceOK) <= k {
		m.s.SliceOK = append(m.s.SliceOK, 0)
	}
	m.s.SliceOK[k]++
}

// tally counts a request that belongs to the window.
func (m *meter) tally(seq uint64, failure string, latency time.Duration) {
	switch failure {
	case "":
		m.s.OK++
		record(m.latencies, latency)
		m.ordinary.add(seq, latency)
		return
	case cutOff:
		if m.s.Sustained {
			return // the end of the attack is no failure of the server's
		}
		failure = unanswered
	}
	m.s.Failed++
	m.s.Errors[failure]++
	switch failure {
	case timedOut, timedOutConnecting, unanswered:
		record(m.latencies, latency)
	}
}

// summary closes the account. All results have been added.
func (m *meter) summary(retried uint64) (*Summary, error) {
	switch m.stage { // the last result was quicker than the timer
	case warming, arming:
		m.stopNow()
	case measuring:
		m.endWindow()
	}
	m.wake.Stop()
	s := m.s
	s.Retried = retried
	s.WarmupSeconds = m.start.Seconds()
	s.WindowSlice = int(m.start / Slice)
	if window := m.end - m.start; window > 0 {
		s.WindowSeconds = window.Seconds()
		s.ThroughputRPS = float64(m.completed) / s.WindowSeconds
		if rate, ok := m.gaps.rate(m.start, m.end); ok && m.holdsFew() {
			s.ThroughputRPS = rate
		}
	}
	if m.attack.openLoop() && m.fellBehind() {
		s.Sustained = false
	}
	m.judgeWindow(&s)
	s.Verdict, s.VerdictReason = s.verdict(m.attack.CeilingRPS)
	s.Latency, s.Ordinary = quantiles(m.latencies), m.ordinary.latency()
	s.MaxRSSBytes = peakMemory()
	var err error
	s.Histogram, err = encodeHistogram(m.latencies)
	return &s, err
}

// judgeWindow completes the window's slices and has them judged.
func (m *meter) judgeWindow(s *Summary) {
	until := s.WindowSlice + s.wholeSlices()
	for len(s.SliceOK) < until {
		s.SliceOK = append(s.SliceOK, 0)
	}
	s.Steady = true
	if m.judge != nil {
		s.Steady, s.TrendShare, s.TrendLow, s.TrendHigh = m.judge.Steady(series(s.SliceOK, s.WindowSlice, until), s.WarmupSettled)
	}
}

// verdict judges the generator by what it used, by how punctual it was, and by what it can do at
// most (0: not known).
func (s *Summary) verdict(ceiling float64) (Verdict, VerdictReason) {
	planned := float64(s.Planned)
	switch {
	case s.CPUShare > boundShare:
		return VerdictBound, BoundByCPU
	case float64(s.Late) > boundLate*planned:
		return VerdictBound, BoundLate
	case float64(s.unsent()) > boundLate*planned:
		return VerdictBound, BoundUnsent
	case ceiling > 0 && s.ThroughputRPS > boundCeiling*ceiling:
		return VerdictBound, BoundByCeiling
	}
	return VerdictOK, ""
}

// unsent is how many requests of the window did not go out for want of what the generator has to
// bring. A server that refuses connections or has none free is not to be blamed on it.
func (s *Summary) unsent() uint64 { return s.Errors[noLocalPort] + s.Errors[noFiles] }

// fellBehind tells whether the backlog that the window left behind is more than the
// connections hold at any time, and more than the scatter of 5 % of the requests.
func (m *meter) fellBehind() bool {
	return float64(m.s.Backlog) > float64(m.attack.Connections)+0.05*float64(m.s.Planned)
}
