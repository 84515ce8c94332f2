// Package generator drives a server with load and measures it, in a process of its own.
//
// Run starts the program itself as `advise attack`, held to its own cores, gives it one
// Attack and gets Progress and one Summary back; Main is what runs over there. One attack is
// a warm-up, until throughput is steady, and a fixed window behind it. Calibrate says what the
// generator can do at most, against NullMain, a server that does nothing.
//
// Vegeta's loop sends, but its figures are not used. What it does that would make them wrong
// (shared/METHOD.md, section 3) is met like this:
//
//   - An attacker serves one attack: each attack makes its own.
//   - Rate 0 needs MaxWorkers: a closed loop has exactly Attack.Connections of them.
//   - The timestamp is of the tick, not of the moment a request was due: the pacer remembers
//     the due times, and open-loop latency is counted from them. Connections are bounded in
//     the transport, where waiting is part of the latency. Vegeta's workers are never the
//     bound: when too many requests wait, the phase is given up as not sustained.
//   - The pacer catches up in bursts: that is kept, as the requests were due, and counted as late.
//   - Stop doesn't cancel: the pacer waits by itself, interruptibly, and requests under way
//     are cut off in the transport.
//   - The results are drained to the end, by one goroutine that only counts.
//   - Metrics divides by a time that depends on the last answer, and its quantiles can't be
//     merged: here are a window of fixed length and an HDR histogram.
//   - Redirects count as success, bodies are kept, gzip is undone, proxies of the environment
//     are used, errors carry port numbers, and requests are built inside the measured
//     latency: the exchange, which Vegeta takes for its transport, does none of this.
//   - net/http's transport takes more CPU than everything else together: plain HTTP/1.1 has
//     one of its own here, and make bench-generator says what that gains.
package generator

import (
	"context"
	"errors"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// An Event is what a Progress announces.
type Event string

// The events, in their order; ticks come in between. An attack that is interrupted or given
// up ends without the later ones.
const (
	WarmupStarted Event = "warmup_started"
	WindowStarted Event = "window_started"
	WindowEnded   Event = "window_ended"
	Tick          Event = "tick"
)

// tickEvery is how often a Tick comes.
const tickEvery = 500 * time.Millisecond

// Progress is sent at once when a phase begins or ends, and every half second.
type Progress struct {
	Event          Event   `json:"event"`
	ElapsedSeconds float64 `json:"elapsed_seconds"` // since the attack began
	// OK and Failed count the requests that have ended since the attack began.
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"`
}

// graceAfterWindow is how long a closed loop's last requests may take to end by themselves.
// They are in no figure but the totals; cutting them off would leave the server with broken
// connections.
const graceAfterWindow = time.Second

// drive makes the attack in this process, over connections of the connector's. A nil judge finds
// everything steady. The attack is valid and has its defaults. When ctx ends, drive returns soon
// with what was measured so far, and ctx's error.
func drive(ctx context.Context, a Attack, judge Judge, emit func(Progress), over connector) (*Summary, error) {
	// What requests under way hang on: cut off when Vegeta has been told to stop, not before.
	under, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	transport := over(under, a)
	defer transport.close()

	p := newPacer(under, time.Now(), scheduleFor(a), a.MaxBacklog)
	defer p.timer.Stop()
	ex, err := newExchange(under, a, transport, p)
	if err != nil {
		return nil, err
	}

	workers := a.Connections
	if a.openLoop() {
		workers = a.MaxBacklog + 1 // one above the fuse, so that a tick never waits for a worker
	}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: ex}),
		vegeta.Workers(uint64(a.Connections)),
		vegeta.MaxWorkers(uint64(workers)),
		vegeta.MaxBody(0),
	)
	m := newMeter(a, judge, p, emit)
	m.ordinary = newOrdinary(a, ex.deck)
	results := attacker.Attack(blankTargeter, p, 0, "")
	halt := func() { attacker.Stop(); cut() }
	defer halt()

	done, blown := ctx.Done(), p.blown
	for {
		select {
		case r, more := <-results:
			if !more {
				s, err := m.summary(ex.retried.Load())
				if l, ok := transport.(*lean); ok && l.pauses != nil && s != nil {
					s.PauseSeconds = l.pauses.median().Seconds()
				}
				return s, errors.Join(ctx.Err(), err)
			}
			m.add(r)
		case <-m.wake.C:
			m.advance()
			if m.stopSending() {
				attacker.Stop()
			}
			if m.graceOver() {
				cut()
			}
		case <-blown:
			blown = nil
			m.giveUp()
			halt()
		case <-done:
			done = nil
			m.interrupt()
			halt()
		}
	}
}

// blankTargeter gives Vegeta something to number; the exchange knows what to send.
func blankTargeter(t *vegeta.Target) error {
	t.Method, t.URL = http.MethodGet, "/"
	return nil
}
