package sweep

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// The held mix, of which 5 % takes ten times as long, on a Flask page under sync workers: while the only one is
// stopped for a second all requests that come wait for what is left of it, half a second on average. With a
// second worker they are answered.
func TestStuckOnTheHeldMix(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	scenario, err := scenarios.Parse("held.yaml", []byte("requests: [{path: /, weight: 95}, {path: /slow, weight: 5}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	target, err := targets.Recognise(targets.Command{Argv: []string{"gunicorn", "app:app"}, Env: append(os.Environ(), "CPU_MS=1"), Dir: targetstest.Flask()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{
		Target: target, Scenario: scenario, Cores: 1, Limits: hold.Auto, Time: time.Minute, Tolerance: 0.05, Confidence: 0.95,
		Seed: 1, Arrivals: generator.Poisson, Dir: filepath.Join(t.TempDir(), "record"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.journal.close() }()
	const capacity = 200 // less than the page's
	stuck := map[int]Phase{}
	for _, workers := range []int{1, 2} {
		step := model.Step{Variant: s.race[0].Variant, Workers: workers, Purpose: model.PurposeLatency, Capacity: capacity}
		trial, err := s.try(t.Context(), context.WithoutCancel(t.Context()), step, Event{Trial: workers, Workers: workers}, func(Event) {})
		if err != nil || trial.Outcome != OK {
			t.Fatalf("%d workers: %v: %+v", workers, err, trial)
		}
		i := slices.IndexFunc(trial.Phases, func(p Phase) bool { return p.Kind == PhaseStuck })
		if i < 0 || slices.ContainsFunc(trial.Phases, func(p Phase) bool { return p.Ordinary == nil }) {
			t.Fatalf("%d workers: the phases are %+v", workers, trial.Phases)
		}
		stuck[workers] = trial.Phases[i]
	}
	if p := stuck[1]; p.Failed > 0 || p.Latency.P50 < p.StuckSeconds/4 || p.Latency.P95 < p.StuckSeconds/2 {
		t.Errorf("while the only worker was stopped for %g s, half of the requests took %g s (p95 %g, %d failed)", p.StuckSeconds, p.Latency.P50, p.Latency.P95, p.Failed)
	}
	if one, two := stuck[1], stuck[2]; two.Latency.P50 > one.Latency.P50/2 {
		t.Errorf("half of the requests took %g s with one of 2 workers stopped, and %g s with 1", two.Latency.P50, one.Latency.P50)
	}
}
