package sweep

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"advise/model"
)

func predicting(o *Options) { o.PredictCores = []float64{2} }

// onPart are the record's restarts on a part of the cores.
func onPart(r *Record) (part []Trial) {
	for _, t := range r.Trials {
		if t.OnFewerCores() {
			part = append(part, t)
		}
	}
	return part
}

// 2 ms a request are 500/s on the core and 250/s on half of it. Two restarts there, once the choice is
// confirmed and before latency, are the only ones, are at the recommended count, and change nothing else.
func TestPredictionIsChecked(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20}
	r := run(t, newTest(t, server, predicting))
	a, part := r.Advice(), onPart(r)
	if !a.Made || a.Workers != 5 {
		t.Fatalf("recommended %d (made: %t), want 5", a.Workers, a.Made)
	}
	if len(part) != 2 {
		t.Fatalf("%d restarts on half of the core, want 2", len(part))
	}
	for i, trial := range part {
		full := trial.saturation()
		if trial.Cores != 0.5 || trial.Shape.Workers != 5 || trial.Repeat != i+1 || len(trial.Phases) != 1 || math.Abs(full.ThroughputRPS-250) > 0.08*250 {
			t.Errorf("%+v at %g/s, want 5 workers on 0.5 cores at 250/s, in one phase", trial.Shape, full.ThroughputRPS)
		}
	}
	at := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.OnFewerCores() })
	if before, after := r.Trials[at-1].Purpose, r.Trials[at+2].Purpose; before != model.PurposeConfirm || after != model.PurposeLatency {
		t.Errorf("measured between %q and %q, want them after the confirmation and before latency", before, after)
	}
	for _, p := range a.Points {
		restarts := 0
		for _, trial := range r.Trials {
			if trial.Shape.Workers == p.Workers && !trial.OnFewerCores() && trial.Purpose != model.PurposeLatency {
				restarts++
			}
		}
		if p.Trials > restarts {
			t.Errorf("%d restarts behind the point at %d workers, of %d on the whole core", p.Trials, p.Workers, restarts)
		}
	}
	if server.running != 0 {
		t.Errorf("%d instances were not stopped", server.running)
	}
	// Not even where nothing else was measured.
	alone := &Record{Plan: r.Plan, Trials: part}
	if used, seen := alone.Used(), observations(r.Plan, part); len(used)+len(seen) > 0 {
		t.Errorf("the advice would rest on %d trials, and %d observations, of half of the core", len(used), len(seen))
	}

	s, err := model.FitScaling(r.CoresMeasured(a))
	if err != nil || s.HeldOut == nil || s.HeldOut.Cores != 1 || math.Abs(s.HeldOut.Error) > 0.05 {
		t.Errorf("held out %+v, %v: want one core within 5 %%, as nothing is shared", s.HeldOut, err)
	}
}

// Who asks for no other core counts pays for none, and what can't be held is not tried.
func TestPredictionIsNotCheckedUnasked(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)
	if s.fewer != nil || s.plan.Settings.FewerCores != 0 {
		t.Errorf("a part of the cores is planned: %+v", s.fewer)
	}
	if part := onPart(run(t, s)); len(part) > 0 {
		t.Errorf("%d restarts on a part of the cores", len(part))
	}
	s = newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, predicting)
	if s.plan.Settings.FewerCores != 0 {
		t.Errorf("%g cores are planned without anything to hold them", s.plan.Settings.FewerCores)
	}
	s.fewer = nil
	if part := onPart(run(t, s)); len(part) > 0 {
		t.Errorf("%d restarts on cores that can't be held", len(part))
	}
}

// Time for the two restarts is kept while the search could use it; with less than one takes, none is begun;
// and one that is disturbed is repeated once.
func TestTimeForThePart(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, predicting)
	r := run(t, s)
	for i := range r.Trials { // what they took here is a matter of microseconds, and of what else runs
		r.Trials[i].ElapsedSeconds = 1
	}
	step := model.Step{Workers: 5, Purpose: model.PurposeCores}
	needed := s.expectedOnFewer(step, r.Trials)
	if kept := s.reservedForFewer(r.Trials); kept <= 0 || kept > 2*needed {
		t.Errorf("%s are kept of a minute for two restarts of %s", kept, needed)
	}
	s.options.Time = ShortestTime
	if kept := s.reservedForFewer(r.Trials); kept > time.Duration(mostForFewer*float64(ShortestTime)) {
		t.Errorf("%s are kept of %s", kept, ShortestTime)
	}
	s.options.Time = time.Minute
	both, part := s.reserved(r.Trials), s.fewer
	s.fewer = nil
	confirm := s.reserved(r.Trials)
	s.fewer = part
	if kept := s.reservedForFewer(r.Trials); both-confirm != kept {
		t.Errorf("%s are kept with the part and %s without, want %s more", both, confirm, kept)
	}

	done := onPart(r)
	r.Trials = slices.DeleteFunc(r.Trials, func(t Trial) bool { return t.OnFewerCores() || t.Purpose == model.PurposeLatency })
	needed = s.expectedOnFewer(step, r.Trials)
	if step := s.next(r, needed-1); step.Purpose == model.PurposeCores {
		t.Errorf("begun without time for one: %+v", step)
	}
	if step := s.next(r, needed); step.Purpose != model.PurposeCores || step.Workers != 5 {
		t.Errorf("with time for one: %+v", step)
	}
	r.Trials = append(r.Trials, done[0])
	if step := s.next(r, s.expectedOnFewer(step, r.Trials)); step.Purpose != model.PurposeCores {
		t.Errorf("with time for the second: %+v", step)
	}
	stolen := 0.5
	done[1].Phases = slices.Clone(done[1].Phases)
	done[1].Phases[0].Disturbance = &Disturbance{StolenShare: &stolen}
	r.Trials = append(r.Trials, done[1])
	if step := s.next(r, time.Minute); step.Purpose != model.PurposeCores {
		t.Errorf("the second was disturbed: %+v", step)
	}
	if got := len(r.CoresMeasured(r.Advice())); got == 0 || len(r.onPart()) != 1 {
		t.Errorf("%d measurements, %d on the part; want the disturbed one left out", got, len(r.onPart()))
	}
	r.Trials = append(r.Trials, done[1])
	if step := s.next(r, time.Minute); step.Purpose == model.PurposeCores {
		t.Errorf("the repeat was disturbed too: %+v", step)
	}
	if len(r.onPart()) != 1 {
		t.Error("a disturbed restart is used beside one that was not")
	}
	r.Trials = append(r.Trials[:len(r.Trials)-3], done[0])
	r.Trials[len(r.Trials)-1].Outcome = Died
	if step := s.next(r, time.Minute); step.Purpose == model.PurposeCores {
		t.Errorf("it died on the part: %+v", step)
	}

	// Six restarts confirm the choice; with time for two the part is measured, and nothing is half confirmed.
	r.Trials = slices.DeleteFunc(r.Trials, func(t Trial) bool { return t.Purpose != model.PurposeSearch })
	for i := range r.Trials {
		r.Trials[i].ElapsedSeconds = 4
	}
	needed = s.expectedOnFewer(step, r.Trials)
	if step := s.next(r, 2*needed); step.Purpose != model.PurposeCores {
		t.Errorf("with time for two and nothing confirmed: %+v", step)
	}
	r.Trials = append(r.Trials, done[0], done[0])
	if step := s.next(r, 2*needed); !step.Done {
		t.Errorf("with the part measured and time for two: %+v", step)
	}
}

// A sweep that is interrupted after the first restart on the part goes on with the second.
func TestPartIsGoneOnWith(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, func(o *Options) {
		predicting(o)
		o.Progress = func(e Event) {
			if e.Ended != nil && e.Ended.OnFewerCores() {
				cancel()
			}
		}
	})
	if _, err := s.Run(ctx, t.Context()); err == nil {
		t.Fatal("not interrupted")
	}
	r, err := Open(s.options.Dir)
	if err != nil || len(onPart(r)) != 1 || onPart(r)[0].Cores != 0.5 {
		t.Fatalf("%v: %d restarts on the part are in the record, want 1", err, len(onPart(r)))
	}
	again := newTest(t, server, func(o *Options) {
		predicting(o)
		o.Dir, o.Target.Command.Dir = r.Dir, r.Plan.Target.Workdir
	})
	if err := again.Resume(r); err != nil {
		t.Fatal(err)
	}
	if got := onPart(run(t, again)); len(got) != 2 || got[1].Repeat != 2 {
		t.Errorf("%d restarts on the part, want 2", len(got))
	}
}

// With live changes the server on the part is one of its own, and none that follows is it.
func TestPartIsNeverALiveChange(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, predicting)
	s.options.Live = true
	r := run(t, s)
	if part := onPart(r); len(part) != 2 || part[0].Live || part[1].Live {
		t.Errorf("on the part: %+v", part)
	}
	for _, trial := range r.Trials {
		if full := trial.saturation(); !trial.OnFewerCores() && full != nil && trial.Shape.Workers == 5 && math.Abs(full.ThroughputRPS-500) > 0.08*500 {
			t.Errorf("trial %d (%s): %g/s, want the 500 of a whole core", trial.ID, trial.Purpose, full.ThroughputRPS)
		}
		if last := len(trial.Phases) - 1; trial.Purpose == model.PurposeLatency && trial.Shape.Workers == 5 && math.Abs(trial.Phases[last].ThroughputRPS-450) > 0.08*450 {
			t.Errorf("trial %d: %g/s of the 450 that a whole core bears", trial.ID, trial.Phases[last].ThroughputRPS)
		}
	}
}
