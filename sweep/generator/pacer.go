package generator

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A schedule gives the moments at which requests are due, since the attack's beginning: each
// call the next one, never before the last.
type schedule func() time.Duration

// scheduleFor is that of an open loop, nil for a closed one.
func scheduleFor(a Attack) schedule {
	switch {
	case !a.openLoop():
		return nil
	case a.Arrivals == Poisson:
		return poisson(a.Rate, a.Seed)
	}
	return constant(a.Rate)
}

// constant arrivals are 1/rate apart, rate in requests per second.
func constant(rate float64) schedule {
	n := 0.0
	return func() time.Duration {
		due := time.Duration(n * float64(time.Second) / rate)
		n++
		return due
	}
}

// poisson arrivals have independent exponential gaps of 1/rate on average: what many users who
// know nothing of each other bring.
func poisson(rate float64, seed int64) schedule {
	random := rand.New(rand.NewPCG(uint64(seed), 0x706f6973736f6e))
	at := 0.0
	return func() time.Duration {
		at += random.ExpFloat64() / rate
		return time.Duration(math.Min(at*float64(time.Second), math.MaxInt64/2))
	}
}

// pacerStep bounds one wait of the pacer, as the attack's end may be set meanwhile.
const pacerStep = 20 * time.Millisecond

// A pacer tells Vegeta when to send and remembers when each request was due. It waits by
// itself and always returns a wait of 0, because Vegeta's own sleep can't be interrupted, and
// a shortened one would send too early.
type pacer struct {
	ctx   context.Context // its end ends the attack
	epoch time.Time
	next  schedule // nil in a closed loop
	until atomic.Int64
	timer *time.Timer

	ended   atomic.Uint64 // requests that have ended, counted by the exchange
	backlog uint64        // the fuse
	blown   chan struct{} // closed when the fuse blows

	mu   sync.Mutex
	dues map[uint64]time.Duration // by sequence number, of requests under way
}

func newPacer(ctx context.Context, epoch time.Time, next schedule, backlog int) *pacer {
	p := &pacer{
		ctx: ctx, epoch: epoch, next: next, backlog: uint64(backlog),
		timer: time.NewTimer(time.Hour), blown: make(chan struct{}),
		dues: make(map[uint64]time.Duration),
	}
	p.until.Store(math.MaxInt64)
	return p
}

var _ vegeta.Pacer = (*pacer)(nil)

// Pace returns when request n is due, or at the attack's end with stop set.
func (p *pacer) Pace(_ time.Duration, n uint64) (wait time.Duration, stop bool) {
	if p.next == nil {
		return 0, p.ctx.Err() != nil || p.elapsed() >= p.end()
	}
	if n-p.ended.Load() >= p.backlog {
		close(p.blown)
		return 0, true
	}
	due := p.next()
	if !p.waitFor(due) {
		return 0, true
	}
	p.mu.Lock()
	p.dues[n] = due
	p.mu.Unlock()
	return 0, false
}

// waitFor reports false if the attack ends first. What is overdue is let through, even after
// the end: it was planned.
func (p *pacer) waitFor(due time.Duration) bool {
	for {
		now := p.elapsed()
		switch {
		case p.ctx.Err() != nil:
			return false
		case due < p.end() && now >= due:
			return true
		case due >= p.end() && now >= p.end():
			return false
		}
		p.timer.Reset(min(min(due, p.end())-now, pacerStep))
		select {
		case <-p.timer.C:
		case <-p.ctx.Done():
		}
	}
}

func (p *pacer) elapsed() time.Duration { return time.Since(p.epoch) }

func (p *pacer) end() time.Duration { return time.Duration(p.until.Load()) }

// stopAt sets the attack's end: nothing due then or later is sent.
func (p *pacer) stopAt(end time.Duration) { p.until.Store(int64(end)) }

// due returns when a request under way was due; false in a closed loop.
func (p *pacer) due(seq uint64) (time.Duration, bool) {
	if p.next == nil {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.dues[seq]
	return d, ok
}

// take is due for the last time: the request is forgotten.
func (p *pacer) take(seq uint64) (time.Duration, bool) {
	if p.next == nil {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.dues[seq]
	delete(p.dues, seq)
	return d, ok
}

// Rate is in requests per second. Vegeta's attack loop does not ask for it.
func (p *pacer) Rate(time.Duration) float64 { return 0 }
