package sweep

import (
	"fmt"
	"math"
	"time"

	"advise/model"
	"advise/targets/hold"
)

// fewerCores is a part of the server's cores. What the recommended count does on it tells how good
// predictions are: from the part for all the cores, which are measured.
//
// The count is large enough for the part where it is for the whole, since the workers that keep cores
// busy grow with them: N* = C (1 + wait/CPU time).
type fewerCores struct {
	cores    float64
	limits   hold.Limits
	launcher launcher
	// generator are the cores that it is driven from where all of them are the server's, and shared is true
	// where that is so on the part as well.
	generator []int
	shared    bool
}

// fewerShare of the cores is far enough from all of them to tell something, and leaves a quota large
// enough for a request to be served within a few of its periods.
const fewerShare = 0.5

// fewerRestarts show a spread; one that is disturbed is repeated once.
const (
	fewerRestarts = 2
	fewerAtMost   = fewerRestarts + 1
)

// partOf is the part of the cores that is measured for the sake of predictions, held as a sweep on that
// many cores would be. Whole ones are pinned: that is what a smaller machine is, with fewer requests at a
// time and nothing throttled. A fraction is a quota over the next whole number, or without quotas the next
// smaller one. It is nil when nothing is to be predicted, or the part can't be held here: half a core can't
// by affinity.
func (s *Sweep) partOf(cores []core) *fewerCores {
	if len(s.options.PredictCores) == 0 && !s.carries() {
		return nil
	}
	if part := s.holdPart(cores, fewerShare*s.split.measured); part != nil || s.split.measured < 2 {
		return part
	}
	return s.holdPart(cores, math.Floor(fewerShare*s.split.measured))
}

// carries is true where more cores were asked for than can be measured: what the part shows is then what
// the answer hangs on.
func (s *Sweep) carries() bool { return s.options.Cores > s.split.measured }

// holdPart is a part of so many cores; nil where that can't be held here.
func (s *Sweep) holdPart(cores []core, many float64) *fewerCores {
	part, err := splitCores(cores, many, false)
	if err != nil {
		return nil
	}
	want := s.limits
	want.CPUs, want.Quota = part.server, part.quota
	limits, _, err := hold.Choose(want.Method, want)
	if err != nil || len(limits.CPUs) < len(want.CPUs) || limits.Quota < want.Quota {
		return nil
	}
	return &fewerCores{
		cores: part.measured, limits: limits,
		launcher: s.launcherWith(limits), generator: part.generator, shared: part.shared,
	}
}

// given is how many cores the part is; 0 without one.
func (f *fewerCores) given() float64 {
	if f == nil {
		return 0
	}
	return f.cores
}

// mostForFewer is the share of the time that is kept for the part's restarts at the most, mostToCarry where
// the answer hangs on them.
const (
	mostForFewer = 0.2
	mostToCarry  = 0.4
)

// reservedForFewer is kept of the time for the part's restarts. They will be as long as others were on
// average: which count it will be is not known before the end.
func (s *Sweep) reservedForFewer(trials []Trial) time.Duration {
	if s.fewer == nil {
		return 0
	}
	mean, n := s.timing.guess, 0
	for _, t := range trials {
		if t.Outcome == OK && !t.Beside() {
			n++
			mean += (time.Duration(t.ElapsedSeconds*float64(time.Second)) - mean) / time.Duration(n)
		}
	}
	needed := fewerRestarts * s.onHalf(mean)
	most := mostForFewer
	if s.carries() {
		most = mostToCarry
	}
	if needed > time.Duration(most*float64(s.options.Time)) {
		return 0
	}
	return needed
}

// onHalf is how long a restart takes on half of the cores: what comes before and after the window takes
// twice the time.
func (s *Sweep) onHalf(onAll time.Duration) time.Duration {
	return onAll + max(onAll-s.timing.window, 0)
}

// onFewerCores is the next restart of the recommended count on the part; ok is false when none is left to
// make, or no time for it. One is better than none; a second shows their spread.
//
// A quota serves in bursts, one in each of its periods of 100 ms. Windows are whole multiples of that, and
// of ten periods at the least, so that it does not matter where in a period they begin.
func (s *Sweep) onFewerCores(r *Record, observed []model.Observation, left time.Duration) (step model.Step, ok bool) {
	if s.fewer == nil {
		return model.Step{}, false
	}
	tried, sound := 0, 0
	for _, t := range r.Trials {
		switch {
		case !t.OnFewerCores():
			continue
		case t.Outcome != OK:
			return model.Step{}, false
		case !t.Disturbed():
			sound++
		}
		tried++
	}
	if sound >= fewerRestarts || tried >= fewerAtMost {
		return model.Step{}, false
	}
	chosen := s.race.Advise(observed).Choice()
	a := chosen.Advice
	if _, measured := a.AtCores(r.Plan.Environment.CoresServer, s.plan.variant(chosen.Variant).Threads); !a.Made || !measured {
		return model.Step{}, false
	}
	step = model.Step{
		Variant: chosen.Variant, Workers: a.Workers, Purpose: model.PurposeCores,
		Why: fmt.Sprintf("check the prediction on half of the cores: %d", a.Workers),
	}
	return step, s.expectedOnFewer(step, r.Trials) <= left
}

// expectedOnFewer is how long a restart on the part takes: as long as the longest one there, or before one
// was seen by what it takes on all the cores.
func (s *Sweep) expectedOnFewer(step model.Step, trials []Trial) time.Duration {
	seen := 0.0
	for _, t := range trials {
		if t.OnFewerCores() {
			seen = max(seen, t.ElapsedSeconds)
		}
	}
	if seen > 0 {
		return time.Duration(1.1 * seen * float64(time.Second))
	}
	return s.onHalf(s.expected(step, trials))
}

// OnFewerCores is true for a restart on a part of the cores. It is compared with none of the others.
func (t *Trial) OnFewerCores() bool { return t.Purpose == model.PurposeCores }

// Beside is true for a restart that is compared with none of the others: it was held, or started, otherwise.
func (t *Trial) Beside() bool { return t.OnFewerCores() || t.Purpose == model.PurposeStart }

// CoresMeasured is what the sweep showed of its cores and of the part of them, for [model.FitScaling]: one
// for each restart of the recommended count, so that their spread is known. Wait is that of all the cores:
// on the part the count only queues longer. It is empty where the advice tells nothing of the cores.
func (r *Record) CoresMeasured(a model.Advice) []model.CoresMeasured {
	all, ok := a.AtCores(r.Plan.Environment.CoresServer, r.Plan.Settings.Threads)
	if !ok {
		return nil
	}
	part := r.onPart()
	if len(part) == 0 {
		return []model.CoresMeasured{all}
	}
	var measured []model.CoresMeasured
	for _, t := range r.Used() {
		if t.Shape.Workers == a.Workers && t.showsDemand() {
			one := all
			one.Demand = t.Server.CPUSecondsPerRequest
			measured = append(measured, one)
		}
	}
	if len(measured) == 0 {
		measured = append(measured, all)
	}
	for _, t := range part {
		measured = append(measured, model.CoresMeasured{
			Cores: t.Cores, Throughput: t.saturation().ThroughputRPS, Demand: t.Server.CPUSecondsPerRequest, Wait: all.Wait,
		})
	}
	return measured
}

// onPart are the restarts on the part that tell what a request costs there, the disturbed ones only
// where there are no others.
func (r *Record) onPart() []Trial {
	var sound, all []Trial
	for _, t := range r.Trials {
		if !t.OnFewerCores() || t.FewerConnections || !t.showsDemand() {
			continue
		}
		all = append(all, t)
		if !t.Disturbed() {
			sound = append(sound, t)
		}
	}
	if len(sound) > 0 {
		return sound
	}
	return all
}

// showsDemand is true for a restart at full load that tells what a request costs.
func (t *Trial) showsDemand() bool {
	full := t.saturation()
	return t.Outcome == OK && full != nil && full.ThroughputRPS > 0 && t.Server.CPUSecondsPerRequest > 0 && t.Generator.Verdict != GeneratorBound
}
