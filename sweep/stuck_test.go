package sweep

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"advise/model"
	"advise/sweep/generator"
)

// A pausingInstance has workers that can be stopped, and counts how often one is and goes on.
type pausingInstance struct {
	*closedInstance
	paused, resumed *atomic.Int32
}

func (i pausingInstance) PauseWorker(workers int) (resume func(), ok bool) {
	if workers != i.workers {
		return nil, false
	}
	i.paused.Add(1)
	return func() { i.resumed.Add(1) }, true
}

// pausing is a sweep of a closed server whose workers can be stopped.
func pausing(t *testing.T, server *closedServer, change func(*Options)) (s *Sweep, paused, resumed *atomic.Int32) {
	t.Helper()
	s = newTest(t, server, change)
	start := s.launcher
	paused, resumed = new(atomic.Int32), new(atomic.Int32)
	s.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		i, err := start.start(ctx, shape, log)
		if err != nil {
			return nil, err
		}
		return pausingInstance{i.(*closedInstance), paused, resumed}, nil
	})
	return s, paused, resumed
}

// After the latencies below full load of each count one worker is stopped, and goes on, at half of what the
// recommended count answers.
func TestOneWorkerIsStopped(t *testing.T) {
	s, paused, resumed := pausing(t, &closedServer{cpu: 0.002}, func(o *Options) { o.Time = 2 * time.Minute })
	r := run(t, s)
	var counts []int
	for _, trial := range r.Trials {
		i := slices.IndexFunc(trial.Phases, func(p Phase) bool { return p.Kind == PhaseStuck })
		if (i >= 0) != (trial.Purpose == model.PurposeLatency) {
			t.Errorf("trial %d, for %q: its phase with one worker stopped is %d", trial.ID, trial.Purpose, i)
			continue
		}
		if i < 0 {
			continue
		}
		counts = append(counts, trial.Shape.Workers)
		p := trial.Phases[i]
		if i != len(model.LatencyShares) || p.StuckSeconds == 0 || p.WindowSeconds != 1 || p.RatePlannedRPS < 240 || p.RatePlannedRPS > 260 {
			t.Errorf("trial %d: stopped in phase %d for %g of %g s at %g/s, want the last one at 250/s for a window of 1 s", trial.ID, i, p.StuckSeconds, p.WindowSeconds, p.RatePlannedRPS)
		}
	}
	if len(counts) < 2 || counts[0] != 2 || counts[1] != 1 {
		t.Errorf("one worker was stopped of %v, want of the recommended 2 first, then of 1", counts)
	}
	if n := int(paused.Load()); n != len(counts) || n != int(resumed.Load()) {
		t.Errorf("stopped %d times and resumed %d, want %d", n, resumed.Load(), len(counts))
	}
}

// Whatever ends the phase, the worker goes on.
func TestAStoppedWorkerGoesOn(t *testing.T) {
	s, paused, resumed := pausing(t, &closedServer{cpu: 0.002}, nil)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	driven := s.attack
	s.attack = func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		if a.Warmup != stuckWarmup {
			return driven(ctx, a, tell)
		}
		tell(generator.Progress{Event: generator.WindowStarted})
		if resumed.Load() != 0 {
			t.Error("the worker goes on while the window lasts")
		}
		interrupt()
		return nil, ctx.Err()
	}
	if _, err := s.Run(ctx, t.Context()); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was interrupted", err)
	}
	if paused.Load() != 1 || resumed.Load() != 1 {
		t.Errorf("stopped %d times and resumed %d, want once each", paused.Load(), resumed.Load())
	}
}

// A worker is not stopped where that tells nothing: for another purpose, at 30 requests per second, of which 15
// would come, and where the workers are not so many processes.
func TestNoWorkerIsStopped(t *testing.T) {
	server := pausingInstance{closedInstance: &closedInstance{s: &closedServer{}, workers: 2}}
	for name, test := range map[string]struct {
		step   model.Step
		server instance
		want   int
	}{
		"latency":          {model.Step{Workers: 2, Purpose: model.PurposeLatency, Capacity: 40}, server, 1},
		"search":           {model.Step{Workers: 2, Capacity: 40}, server, 0},
		"too few requests": {model.Step{Workers: 2, Purpose: model.PurposeLatency, Capacity: 30}, server, 0},
		"threads":          {model.Step{Workers: 3, Purpose: model.PurposeLatency, Capacity: 40}, server, 0},
		"can't be stopped": {model.Step{Workers: 2, Purpose: model.PurposeLatency, Capacity: 40}, server.closedInstance, 0},
	} {
		if got := stuckLoads(test.step, test.server); len(got) != test.want {
			t.Errorf("%s: got %+v, want %d phases", name, got, test.want)
		}
	}
}

// The phase is left out where it would end after the time: it takes 1.3 s, and up to 2 more to be answered.
func TestNoTimeToStopAWorker(t *testing.T) {
	s := &Sweep{options: Options{Time: time.Minute}}
	stuck, latency := load{kind: PhaseStuck}, load{kind: PhaseShare}
	trial := &Trial{StartedAt: time.Now()}
	if !s.hasTimeFor(stuck, trial, Event{Elapsed: 50 * time.Second}) {
		t.Error("10 s are too few")
	}
	if s.hasTimeFor(stuck, trial, Event{Elapsed: 56 * time.Second}) {
		t.Error("4 s, of which one is for the reports, are enough")
	}
	if !s.hasTimeFor(latency, trial, Event{Elapsed: time.Minute}) {
		t.Error("another phase is left out")
	}
}

// How long a step takes is told from those before, without the stop, which is made where time is left.
func TestAStopIsNotExpected(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002}, nil)
	trial := Trial{Shape: Shape{Workers: 2, Threads: 1}, Purpose: model.PurposeLatency, Outcome: OK, ElapsedSeconds: 11.3, Phases: []Phase{
		{Kind: PhaseShare, WarmupSeconds: 1, WindowSeconds: 2}, {Kind: PhaseStuck, WarmupSeconds: 0.3, WindowSeconds: 1},
	}}
	step := model.Step{Workers: 2, Purpose: model.PurposeLatency, Capacity: 500}
	if got := s.expected(step, []Trial{trial}); got != 11*time.Second {
		t.Errorf("expected %s, want 10 s and a tenth", got)
	}
}
