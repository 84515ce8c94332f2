package generator

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

type stage int

const (
	warming stage = iota
	measuring
	draining
)

// A meter counts results and decides when the window begins. One goroutine uses it. All its
// times are since the pacer's epoch.
type meter struct {
	attack Attack
	pacer  *pacer
	emit   func(Progress)
	wake   *time.Timer // when advance has something to do

	stage    stage
	start    time.Duration // of the window
	end      time.Duration
	startCPU time.Duration
	nextTick time.Duration

	completed uint64 // successes that ended inside the window
	latencies *hdrhistogram.Histogram
	s         Summary
}

func newMeter(a Attack, p *pacer, emit func(Progress)) *meter {
	m := &meter{
		attack: a, pacer: p, emit: emit, wake: time.NewTimer(0), nextTick: tickEvery,
		latencies: newHistogram(),
		s:         Summary{Errors: make(map[string]uint64), Sustained: true},
	}
	m.announce(WarmupStarted)
	return m
}

// advance does what the time asks for and sets the next wake.
func (m *meter) advance() {
	now := m.pacer.elapsed()
	if m.stage == warming && m.warm(now) {
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
	if now >= m.attack.WarmupLimit && answered < m.attack.WarmupRequests {
		m.s.WarmupLimited = true
		return true
	}
	return now >= m.attack.Warmup && answered >= m.attack.WarmupRequests
}

// startWindow begins the window now. Nothing that belongs to it has been counted yet: whoever
// ends or is due from now on comes to add later.
func (m *meter) startWindow() {
	m.announce(WindowStarted)
	m.stage = measuring
	m.start = m.pacer.elapsed()
	m.startCPU = cpuTime()
	m.end = m.start + m.attack.Window
	m.pacer.stopAt(m.end)
}

func (m *meter) endWindow() {
	m.stage = draining
	// A busy machine may wake us late. The counts don't mind, the CPU time does.
	used, over := cpuTime()-m.startCPU, max(m.pacer.elapsed()-m.start, 1)
	m.s.CPUSeconds = used.Seconds()
	m.s.CPUShare = used.Seconds() / (over.Seconds() * float64(m.attack.cores()))
	m.announce(WindowEnded)
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
	case warming:
		m.start, m.end = m.pacer.elapsed(), m.pacer.elapsed()
		m.stage = draining
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
		m.judge(r.Error, ended-due)
	case !m.attack.openLoop() && m.inWindow(ended):
		m.judge(r.Error, r.Latency)
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

// judge counts a request that belongs to the window.
func (m *meter) judge(failure string, latency time.Duration) {
	switch failure {
	case "":
		m.s.OK++
		record(m.latencies, latency)
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
	if m.stage == measuring { // the last result was quicker than the timer
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
	}
	if m.attack.openLoop() && m.fellBehind() {
		s.Sustained = false
	}
	s.Verdict = s.verdict()
	s.Latency = quantiles(m.latencies)
	s.MaxRSSBytes = peakMemory()
	var err error
	s.Histogram, err = encodeHistogram(m.latencies)
	return &s, err
}

// verdict judges the generator by what it used and by how punctual it was.
func (s *Summary) verdict() Verdict {
	if s.CPUShare > boundShare || float64(s.Late) > boundLate*float64(s.Planned) {
		return VerdictBound
	}
	return VerdictOK
}

// fellBehind tells whether the backlog that the window left behind is more than the
// connections hold at any time, and more than the scatter of 5 % of the requests.
func (m *meter) fellBehind() bool {
	return float64(m.s.Backlog) > float64(m.attack.Connections)+0.05*float64(m.s.Planned)
}
