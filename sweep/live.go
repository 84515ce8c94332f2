package sweep

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"advise/model"
	"advise/targets"
)

// A resizer is an instance whose count can be changed while it runs. Resize is an error where it can't
// from the count that it has; the instance is then stopped and another one started.
type resizer interface {
	Resize(ctx context.Context, workers int) error
}

// checkLive refuses --live for a server that needs a fresh start for each count, and says which do not.
func checkLive(t *targets.Target) error {
	if t.Live(targets.Shape{Workers: 2}) {
		return nil
	}
	var names []string
	for _, k := range targets.List() {
		if k.Live != "" {
			names = append(names, k.Name)
		}
	}
	return fmt.Errorf("plan the sweep: change the count of %s live: %w; these can: %s", t.Adapter.Name(), targets.ErrNotLive, strings.Join(names, ", "))
}

// ready is a server at the step's count: the one that runs already, changed live, or a fresh one. With
// live changes the first trial that confirms a count is fresh: it is what the others are compared with.
func (s *Sweep) ready(ctx, abort context.Context, t *Trial, log string) (server instance, err error) {
	if running := s.running; running != nil && s.runningAs == t.Shape.Variant() && !s.fresh(t) {
		began := time.Now()
		r, ok := running.(resizer)
		if ok && !ended(running) && r.Resize(ctx, t.Shape.Workers) == nil {
			t.Live, t.StartupSeconds = true, time.Since(began).Seconds()
			return running, nil
		}
	}
	if err := s.stopRunning(abort); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	launch := s.launcher
	if t.OnFewerCores() {
		launch = s.fewer.launcher
	}
	began := time.Now()
	if t.Purpose == model.PurposeStart {
		if server, err = s.startIn(ctx, abort, t, log); err != nil {
			return nil, err
		}
		t.StartupSeconds = time.Since(began).Seconds()
		return server, nil
	}
	if server, err = launch.start(ctx, t.Shape, log); err != nil {
		return nil, err
	}
	t.StartupSeconds = server.StartupTime().Seconds()
	if s.options.Live && !t.OnFewerCores() { // the limits of a server that runs are never changed
		s.running, s.runningAs = server, t.Shape.Variant()
		if t.Purpose == model.PurposeConfirm {
			s.restarted = append(s.restarted, t.Shape)
		}
	}
	return server, nil
}

// fresh says that a trial has to be a restart though it could be a live change.
func (s *Sweep) fresh(t *Trial) bool {
	return t.Beside() || t.Purpose == model.PurposeConfirm && !slices.Contains(s.restarted, t.Shape)
}

// done leaves a server for the next trial when that can change it live, and stops it otherwise.
func (s *Sweep) done(abort context.Context, t *Trial, server instance, failed error) error {
	if s.running != nil && failed == nil && t.Outcome == OK && !ended(server) {
		return nil
	}
	s.running = nil
	return server.Stop(abort)
}

func (s *Sweep) stopRunning(abort context.Context) error {
	running := s.running
	if running == nil {
		return nil
	}
	s.running = nil
	return running.Stop(abort)
}

// Live compares restarts with live changes at a count.
type Live struct {
	Workers int `json:"workers"`
	// Restarts and Changes are how many of each there were.
	Restarts int `json:"restarts"`
	Changes  int `json:"changes"`
	// DifferenceShare is by how much more a fresh server answered than a changed one, as a share of what
	// that one did; nil when one of both is missing.
	DifferenceShare *float64 `json:"difference_share"`
}

// Live compares both at a count; nil when the sweep changed nothing live. A new worker is not warm and
// an old one is, so that they may differ.
func (r *Record) Live(workers int) *Live {
	if !r.Plan.Settings.Live {
		return nil
	}
	l := &Live{Workers: workers}
	var fresh, changed float64 // sums of logarithms
	for _, t := range r.Used() {
		p := t.saturation()
		switch {
		case t.Shape.Workers != workers || t.Outcome != OK || p == nil || p.ThroughputRPS <= 0:
		case t.Live:
			l.Changes++
			changed += math.Log(p.ThroughputRPS)
		default:
			l.Restarts++
			fresh += math.Log(p.ThroughputRPS)
		}
	}
	if l.Restarts > 0 && l.Changes > 0 {
		share := math.Exp(fresh/float64(l.Restarts)-changed/float64(l.Changes)) - 1
		l.DifferenceShare = &share
	}
	return l
}

// CaveatLiveDiffers marks a sweep by live changes when restarts answered otherwise. Figures: workers,
// difference_share.
const CaveatLiveDiffers = "live_differs"

// liveDiffers is the caveat on live changes that can't stand for restarts.
func (r *Record) liveDiffers(a model.Advice) *model.Caveat {
	l := r.Live(a.Workers)
	if !a.Made || l == nil || l.DifferenceShare == nil || math.Abs(*l.DifferenceShare) <= r.Plan.Settings.Tolerance {
		return nil
	}
	return &model.Caveat{
		Code: CaveatLiveDiffers,
		Message: fmt.Sprintf("A fresh start answered %+.0f %% against live changes to %d workers, more than the tolerance: sweep without --live to be sure.",
			100**l.DifferenceShare, l.Workers),
		Figures: map[string]float64{"workers": float64(l.Workers), "difference_share": *l.DifferenceShare},
	}
}
