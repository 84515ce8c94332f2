package sweep

import (
	"sync"
	"time"

	"advise/model"
	"advise/sweep/generator"
)

// A worker that is stuck in a slow request keeps others waiting: all of them where it is the only one. How long
// is measured beside latency: one worker is stopped for a moment while requests go on to come. That is a slow
// request that waits; one that computes takes its share of the cores besides.
const (
	// stuckFor is well below the time after which any server's master takes a worker for dead.
	stuckFor = time.Second
	// stuckShare of the recommended count's throughput is the rate meanwhile: what came in a second is answered
	// in another one.
	stuckShare = 0.5
	// leastStuck requests are enough for a 95th percentile that is not the slowest one.
	leastStuck = 20
	// stuckWarmup is short, as the server has been loaded before.
	stuckWarmup = 300 * time.Millisecond
)

// pausable instances have workers that can be stopped one by one.
type pausable interface {
	// PauseWorker is not ok where its workers are not so many processes.
	PauseWorker(workers int) (resume func(), ok bool)
}

// stuckLoads is the phase with a worker stopped, of a step that is for latency; none where the server has no
// worker to stop, or so few requests would come that they tell nothing.
func stuckLoads(step model.Step, server instance) []load {
	rate := stuckShare * step.Capacity
	if step.Purpose != model.PurposeLatency || rate*stuckFor.Seconds() < leastStuck {
		return nil
	}
	workers, err := server.WorkerProcesses()
	if _, ok := server.(pausable); !ok || err != nil || len(workers) != step.Workers {
		return nil
	}
	return []load{{kind: PhaseStuck, rate: rate, share: stuckShare}}
}

// hasTimeFor is false for a phase with a worker stopped that would end after the sweep's time: without its
// answer there is still one.
func (s *Sweep) hasTimeFor(l load, t *Trial, e Event) bool {
	const pause, answered = stuckWarmup + stuckFor, 2 * stuckFor
	return l.kind != PhaseStuck || e.Elapsed+time.Since(t.StartedAt)+pause+answered < s.options.Time-reserve
}

// stuckAttack is of all the requests that come while a worker is stopped, whenever they are answered.
func stuckAttack(a generator.Attack) generator.Attack {
	a.Warmup, a.WarmupRequests, a.WarmupLimit, a.Window = stuckWarmup, 0, stuckWarmup, stuckFor
	return a
}

// A stopper stops one worker while the window of a PhaseStuck lasts. That of another phase does nothing.
type stopper struct {
	server  pausable
	workers int

	once   sync.Once
	resume func()
	ends   *time.Timer
	// began and seconds are of the stop; 0 seconds: there was none.
	began   time.Time
	seconds float64
}

func stopperFor(l load, server instance, workers int) *stopper {
	s := &stopper{workers: workers}
	if l.kind == PhaseStuck {
		s.server, _ = server.(pausable)
	}
	return s
}

// start is called when the window begins. The worker goes on after stuckFor whatever becomes of the generator.
func (s *stopper) start() {
	if s.server == nil {
		return
	}
	resume, ok := s.server.PauseWorker(s.workers)
	if !ok {
		return
	}
	s.began, s.resume = time.Now(), resume
	s.ends = time.AfterFunc(stuckFor, s.end)
}

// end has the worker go on, if that has not been done yet.
func (s *stopper) end() {
	s.once.Do(func() {
		if s.resume != nil {
			s.resume()
			s.seconds = time.Since(s.began).Seconds()
		}
	})
}

// close is end, and no timer is left; it is for the end of the phase, whatever that is.
func (s *stopper) close() float64 {
	if s.ends != nil {
		s.ends.Stop()
	}
	s.end()
	return s.seconds
}

// stuck is the time that the phase with a worker stopped took of a trial: it is left out where there is none.
func (t *Trial) stuck() (seconds float64) {
	for _, p := range t.Phases {
		if p.Kind == PhaseStuck {
			seconds += p.WarmupSeconds + p.WindowSeconds
		}
	}
	return seconds
}
