package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"advise/model"
	"advise/targets"
)

// A Way is how a server is started otherwise than all its workers at once.
type Way string

// The ways, in the order in which they are tried: what is loaded once is loaded so at every restart, and
// by an option alone.
const (
	Preloaded Way = "preload"
	OneByOne  Way = "one_by_one"
)

// said names the way in a sentence on workers.
func (w Way) said() string {
	if w == Preloaded {
		return "With the application loaded before they are forked"
	}
	return "Started one by one"
}

// A startWay is a way that a target can be started in; from is the count that OneByOne begins with.
type startWay struct {
	way  Way
	from int
}

// waysOf are those of a target.
func waysOf(t *targets.Target) []startWay {
	var ways []startWay
	on, err := t.Variants(nil, nil, []targets.Preload{targets.PreloadOn})
	if own := t.Shape(); err == nil && len(on) == 1 && own.Preload != targets.PreloadOn {
		ways = append(ways, startWay{way: Preloaded})
	}
	for from := range 2 { // some need a master, which one worker alone has not
		shape := t.Shape()
		shape.Workers = from + 1
		if t.OneByOne(shape) {
			return append(ways, startWay{OneByOne, shape.Workers})
		}
	}
	return ways
}

// killedStarting is true for a trial that was killed for memory before it was ready. A record of before
// that was kept shows it by a start that took no time.
func (t *Trial) killedStarting() bool {
	return t.Outcome == KilledForMemory && (t.KilledWhile == KilledStarting || t.KilledWhile == "" && t.StartupSeconds == 0)
}

// startedOtherwise is a start of the count that was killed while it started, and fits once it runs, in the
// next way that the server has; ok is false when none is left, one has worked, memory is not what decides,
// or there is no time for it.
func (s *Sweep) startedOtherwise(r *Record, observed []model.Observation, left time.Duration) (step model.Step, ok bool) {
	if len(s.ways) == 0 || !slices.ContainsFunc(r.Trials, func(t Trial) bool { return t.killedStarting() }) {
		return model.Step{}, false
	}
	chosen := s.race.Advise(observed).Choice()
	peak := decisiveStart(chosen.Advice)
	if peak == nil {
		return model.Step{}, false
	}
	tried := map[Way]bool{}
	for _, t := range r.Trials {
		if t.Purpose != model.PurposeStart {
			continue
		}
		if t.Outcome == OK {
			return model.Step{}, false
		}
		tried[t.Way] = true
	}
	for _, w := range s.ways {
		if tried[w.way] || w.way == Preloaded && s.comparesPreload() || w.from > peak.Workers {
			continue
		}
		step = model.Step{
			Variant: chosen.Variant, Workers: peak.Workers, Purpose: model.PurposeStart, Way: string(w.way),
			Why: fmt.Sprintf("killed while all started at once: %s", strings.ReplaceAll(string(w.way), "_", " ")),
		}
		needed := s.expected(step, r.Trials)
		if w.way == OneByOne {
			needed += time.Duration(peak.Workers-w.from) * longestStart(r.Trials)
		}
		return step, needed <= left
	}
	return model.Step{}, false
}

// decisiveStart is the start that keeps an advice from more workers; nil where something else does.
func decisiveStart(a model.Advice) *model.StartPeak {
	if a.Made && a.LimitedBy != model.LimitedByMemory {
		return nil
	}
	return a.StartPeak
}

// comparesPreload is true for a sweep that measures preloading anyway.
func (s *Sweep) comparesPreload() bool {
	return slices.ContainsFunc(s.plan.Variants(), func(v Variant) bool { return v.Preload == targets.PreloadOn })
}

// longestStart is of those that worked.
func longestStart(trials []Trial) time.Duration {
	longest := 0.0
	for _, t := range trials {
		if t.Outcome == OK && !t.Live {
			longest = max(longest, t.StartupSeconds)
		}
	}
	return time.Duration(longest * float64(time.Second))
}

// reservedForStart is kept of the time to start a count otherwise that was killed while it started.
func (s *Sweep) reservedForStart(trials []Trial) time.Duration {
	asked := slices.ContainsFunc(trials, func(t Trial) bool { return t.killedStarting() })
	done := slices.ContainsFunc(trials, func(t Trial) bool { return t.Purpose == model.PurposeStart })
	if len(s.ways) == 0 || !asked || done {
		return 0
	}
	return s.expected(model.Step{Workers: s.plan.Settings.RuleOfThumb}, trials)
}

// startIn starts a server in the trial's way.
func (s *Sweep) startIn(ctx, abort context.Context, t *Trial, log string) (instance, error) {
	shape := t.Shape
	if t.Way == Preloaded {
		shape.Preload = targets.PreloadOn
		return s.launcher.start(ctx, shape, log)
	}
	for _, w := range s.ways {
		if w.way == t.Way {
			shape.Workers = w.from
		}
	}
	server, err := s.launcher.start(ctx, shape, log)
	if err != nil {
		return nil, err
	}
	for n := shape.Workers + 1; n <= t.Shape.Workers; n++ {
		if err := s.oneMore(ctx, server, n); err != nil {
			return nil, errors.Join(err, server.Stop(abort))
		}
	}
	return server, nil
}

// oneMore starts a worker of a server, the nth, and returns when it has loaded the application.
func (s *Sweep) oneMore(ctx context.Context, server instance, n int) error {
	failed := func(kind targets.Kind, err error) *targets.StartError {
		return &targets.StartError{Kind: kind, Command: s.plan.Target.Adapter, Workers: n, Err: err}
	}
	err := targets.ErrNotLive
	if r, ok := server.(resizer); ok {
		err = r.Resize(ctx, n)
	}
	if u, read := server.Usage(); read == nil && u.OOMKills > 0 {
		killed := failed(targets.KindKilledForMemory, errors.New("killed for memory while the last of them started"))
		killed.MemoryPeak = u.MemoryOwnPeak()
		return killed
	}
	if err != nil {
		return failed(targets.KindNotReady, err)
	}
	return nil
}

// CaveatKilledWhileStarting marks a count that was killed for memory while it started, and fits once it
// runs, where memory is what decides. Figures: workers, memory_bytes (once they run), limit_bytes (what they
// may use); start_bytes, start_bytes_per_worker and memory_bytes_per_worker (one more while all start, and
// afterwards) where these are known; and, of each other way that it was started in and fitted,
// preload_memory_bytes and preload_start_bytes, one_by_one_memory_bytes and one_by_one_start_bytes.
const CaveatKilledWhileStarting = "killed_while_starting"

// killedWhileStarting is the caveat on that; own is the record of the recommended variant.
func (r *Record) killedWhileStarting(own *Record, a model.Advice) *model.Caveat {
	peak := decisiveStart(a)
	if peak == nil {
		return nil
	}
	c := &model.Caveat{
		Code: CaveatKilledWhileStarting,
		Message: fmt.Sprintf("%d workers were killed for memory while they started, but fit once they run, with %s of the %s they can have.",
			peak.Workers, megabytes(peak.Memory), megabytes(peak.Limit)),
		Figures: map[string]float64{"workers": float64(peak.Workers), "memory_bytes": peak.Memory, "limit_bytes": peak.Limit},
	}
	if peak.EachStarting > 0 {
		c.Figures["start_bytes_per_worker"], c.Figures["memory_bytes_per_worker"] = peak.EachStarting, peak.Each
		c.Message += fmt.Sprintf(" Starting is the peak: a worker takes %s while it starts and %s afterwards", megabytes(peak.EachStarting), megabytes(peak.Each))
		if peak.Starting > float64(r.Plan.Budget.MemoryBytes) {
			c.Figures["start_bytes"] = peak.Starting
			c.Message += fmt.Sprintf(", so that all at once take about %s", megabytes(peak.Starting))
		}
		c.Message += "."
	}
	measured := false
	for _, t := range own.Trials {
		if t.Purpose == model.PurposeStart {
			measured = true
			c.Message += " " + t.startedSo(c.Figures)
		}
	}
	if !measured {
		c.Message += " Workers that start one by one, or an application that is loaded before they are forked, may fit: that was not measured."
	}
	if a.Made {
		c.Message += fmt.Sprintf(" What is recommended, %d, started all at once.", a.Workers)
	}
	return c
}

// startedSo says what came of another way to start, and adds its figures.
func (t *Trial) startedSo(figures map[string]float64) string {
	switch {
	case t.Outcome == OK:
		memory := float64(t.Server.MemoryPSSBytes + t.Server.SwapBytes)
		figures[string(t.Way)+"_memory_bytes"] = memory
		text := fmt.Sprintf("%s, %d started and took %s", t.Way.said(), t.Shape.Workers, megabytes(memory))
		if start := float64(t.Server.MemoryStartPeakBytes); start > 0 {
			figures[string(t.Way)+"_start_bytes"] = start
			text += fmt.Sprintf(", and %s at the most while they started", megabytes(start))
		}
		if t.Way == Preloaded {
			return text + ", which was measured once: --preload on sweeps it so."
		}
		return text + ", which was measured once."
	case t.killedStarting():
		return fmt.Sprintf("%s, %d were killed while they started too.", t.Way.said(), t.Shape.Workers)
	case t.Outcome == KilledForMemory:
		return fmt.Sprintf("%s, %d were killed for memory under load.", t.Way.said(), t.Shape.Workers)
	}
	return fmt.Sprintf("%s, %d did not work: %s.", t.Way.said(), t.Shape.Workers, t.Detail)
}

// megabytes writes bytes as the advice does.
func megabytes(bytes float64) string { return fmt.Sprintf("%.0f MB", bytes/1e6) }
