package sweep

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"advise/model"
)

// Observations are the record's trials as the model sees them, without those that were disturbed and
// could be repeated.
func (r *Record) Observations() []model.Observation { return observations(r.Plan, r.Used()) }

// Used are the trials that the advice rests on, on all the cores. A count that was only measured while
// disturbed, since time did not allow to repeat it, is better known badly than not at all.
func (r *Record) Used() []Trial {
	better, kept := map[measured]bool{}, map[int]bool{}
	sound := undisturbed(r.Trials)
	for _, t := range sound {
		better[measuredBy(t)] = better[measuredBy(t)] || len(t.Phases) > 0
		kept[t.ID] = true
	}
	for _, t := range r.Trials {
		if !better[measuredBy(t)] && !kept[t.ID] && !t.Apart() {
			sound = append(sound, t)
		}
	}
	return sound
}

// CaveatDisturbed marks a recommendation that rests on disturbed restarts. Figures: restarts, and of
// each reason the worst share, under the key that it has in a Disturbance.
const CaveatDisturbed = "disturbed"

// repeatsInVain is how many repeats may be as disturbed as what they repeat before the machine is taken
// for what it is: another process that is always there would otherwise cost every count a restart.
const repeatsInVain = 2

// undisturbed leaves out what was disturbed while there is hope of a better repeat.
func undisturbed(trials []Trial) []Trial {
	used, _ := sift(trials)
	return used
}

// measured is what a trial can stand for another in: full load of a shape, or latency below it.
type measured struct {
	shape   Shape
	latency bool
}

func measuredBy(t Trial) measured { return measured{t.Shape, t.Purpose == model.PurposeLatency} }

// sift sets a disturbed trial aside when none of its kind waits for an undisturbed one already. It
// is resigned, and takes every trial that follows, when the repeats were disturbed as well.
func sift(trials []Trial) (used []Trial, resigned bool) {
	used = make([]Trial, 0, len(trials))
	aside := map[measured]bool{}
	vain := 0
	for _, t := range trials {
		switch {
		case t.Apart():
			continue
		case !t.Disturbed():
			aside[measuredBy(t)] = false
		case aside[measuredBy(t)]:
			vain++
		case vain < repeatsInVain:
			aside[measuredBy(t)] = true
			continue
		}
		used = append(used, t)
	}
	return used, vain >= repeatsInVain
}

func observations(p Plan, trials []Trial) []model.Observation {
	obs := make([]model.Observation, 0, len(trials))
	for _, t := range trials {
		if t.Apart() {
			continue
		}
		o := model.Observation{
			Variant: p.nameOf(t), Workers: t.Shape.Workers, Threads: t.Shape.Threads,
			Purpose: t.Purpose, At: t.StartedAt.Sub(p.StartedAt).Seconds(),
		}
		if t.Outcome != OK {
			o.Failed, o.MemoryKilled, o.Why = true, t.Outcome == KilledForMemory, t.Detail
			o.KilledStarting = t.killedStarting()
			obs = append(obs, o)
			continue
		}
		if full := t.saturation(); full != nil { // memory is compared at equal work
			o.Answers = full.OK
			o.Throughput, o.CPUPerRequest = full.ThroughputRPS, t.Server.CPUSecondsPerRequest
			o.Memory = float64(t.Server.MemoryPSSBytes + t.Server.SwapBytes)
			o.Peak = float64(t.Server.MemoryPeakBytes)
			o.GeneratorBound = t.Generator.Verdict == GeneratorBound || p.unfilled(t)
			o.Unloaded, _ = p.Saturation.unloaded(t.Shape.Variant())
			if p.Scenario.Connections > 0 && full.SaturatedBy == "" { // as many as don't queue
				o.Unloaded = full.Latency.Mean
			}
		}
		o.StartPeak = float64(t.Server.MemoryStartPeakBytes)
		o.MeetsObjective, o.ObjectiveWhy = p.Scenario.meets(t)
		o.Margin, o.Hopeless = p.Scenario.margin(t)
		obs = append(obs, o)
	}
	return obs
}

// Advice is what the record says of the variant to run.
func (r *Record) Advice() model.Advice {
	standings := r.Standings()
	a, variants := standings.Choice().Advice, r.Plan.Variants()
	own := r.Of(variants[standings.Chosen])
	found := []*model.Caveat{
		r.killedWhileStarting(own, a), own.liveDiffers(a), r.fewAnswers(own, a), r.unsteady(own, a), r.disturbance(),
		own.uneven(), own.lock(a), own.frontHeavy(a), r.connectsElsewhere(), r.sharedCores(), r.Plan.miscount(), own.fewAtRate(a), r.Plan.noUnloaded(),
	}
	found = append(found, own.saturationCaveats(a)...)
	for i, v := range variants {
		if i != standings.Chosen { // it may be why that one was not chosen
			found = append(found, about(v, r.Of(v).uneven()))
		}
	}
	for _, c := range found {
		if c != nil {
			a.Caveats = append(a.Caveats, *c)
		}
	}
	return own.carried(a)
}

// about says which variant a caveat is on; nil is none.
func about(v Variant, c *model.Caveat) *model.Caveat {
	if c == nil {
		return nil
	}
	return &model.Caveat{Code: c.Code, Message: fmt.Sprintf("As %s, %s%s", v, strings.ToLower(c.Message[:1]), c.Message[1:]), Figures: c.Figures}
}

// Standings compare the variants; a sweep of the command's own has one.
func (r *Record) Standings() model.Standings { return r.Plan.race().Advise(r.Observations()) }

// Recommended is the part of the record on the variant to run: all of it where there is one.
func (r *Record) Recommended() *Record { return r.Of(r.Plan.Variants()[r.Standings().Chosen]) }

// readingsOfGrowth of a restart are the least that growth is told from: two can't tell a leak from a heap
// that is still filling.
const readingsOfGrowth = 3

// MemoryGrowth is how memory grows with the requests answered, by the restarts that were loaded three
// times or more. The first reading is taken after a whole phase of load: what a server fills with its first
// requests is no growth.
func (r *Record) MemoryGrowth() (model.MemoryGrowth, error) {
	var restarts [][]model.MemoryReading
	for _, t := range r.Used() {
		if t.Outcome != OK || len(t.MemoryReadings) < readingsOfGrowth {
			continue
		}
		var readings []model.MemoryReading
		for _, m := range t.MemoryReadings {
			readings = append(readings, model.MemoryReading{Requests: float64(m.RequestsServed), Bytes: float64(m.PSSBytes)})
		}
		restarts = append(restarts, readings)
	}
	return model.FitMemoryGrowth(restarts, r.Plan.Settings.Confidence)
}

// SearchEnd says how the search ended: Done when it needed no more restarts, Resolved when that is
// because the decision is settled, and neither when its time was up.
func (r *Record) SearchEnd() model.Step {
	return r.Plan.race().Next(r.Observations())
}

// LatencyLeft are the counts whose latency below full load matters, and was not measured.
func (r *Record) LatencyLeft() []int { return r.Plan.race().LatencyLeft(r.Observations()) }

// CaveatFewAnswers marks counts that bear on the choice and whose windows held so few answers that one
// more or less for each worker matters. Figures: workers, answers, window_seconds, time_seconds (a budget
// whose windows would hold enough; 0 where none would).
const CaveatFewAnswers = "few_answers"

// fewAnswers is the caveat on windows of a page that is slow for the time there was, which all variants
// share; own is the record of the recommended one.
func (r *Record) fewAnswers(own *Record, a model.Advice) *model.Caveat {
	var worst *Phase
	workers, least := 0, math.Inf(1)
	for _, t := range own.Used() {
		if t.Outcome != OK || !t.fewAnswers() || t.Shape.Workers < a.Low || t.Shape.Workers > max(a.High, a.Workers) {
			continue
		}
		if p := t.saturation(); float64(p.OK)/float64(t.Shape.Workers) < least {
			worst, workers, least = p, t.Shape.Workers, float64(p.OK)/float64(t.Shape.Workers)
		}
	}
	if worst == nil {
		return nil
	}
	c := &model.Caveat{
		Code: CaveatFewAnswers,
		Message: fmt.Sprintf("At a worker count of %d, a window of %.3g s held %d of the %d answers wanted: one more or less for each worker is %.0f %%.",
			workers, worst.WindowSeconds, worst.OK, answersPerWorker*workers, 100*float64(workers)/float64(worst.OK)),
		Figures: map[string]float64{
			"workers": float64(workers), "answers": float64(worst.OK), "window_seconds": worst.WindowSeconds, "time_seconds": 0,
		},
	}
	window := time.Duration(float64(answersPerWorker*workers) / worst.ThroughputRPS * float64(time.Second))
	if window > longestWindow {
		c.Message += " A quicker page of the same application tells more."
		return c
	}
	minutes := math.Ceil((window * windowsInBudget * time.Duration(len(r.Plan.Variants()))).Minutes())
	c.Message += fmt.Sprintf(" With --time %.0fm windows are long enough.", minutes)
	c.Figures["time_seconds"] = 60 * minutes
	return c
}

// CaveatNotSteady marks figures of a server that had not settled. Figures: restarts, trend_share (the
// largest change over a window), restarts_decisive (those at the recommended count and at the rule of
// thumb, which is what the headline compares).
const CaveatNotSteady = "not_steady"

// notSteadyShare of the restarts, and two at least, are more than chance: each steady one is taken for
// unsteady in up to one case of a hundred. At the two counts of the headline two are, or half of them.
const notSteadyShare = 0.1

// unsteady is the caveat on windows in which throughput was still changing; own is the record of the
// recommended variant.
func (r *Record) unsteady(own *Record, a model.Advice) *model.Caveat {
	n, all, worst := 0, 0, 0.0
	decides := func(t Trial) bool {
		return t.Shape.Workers == a.Workers || t.Shape.Workers == a.RuleOfThumb.Workers
	}
	at, unsteadyAt := map[int]int{}, map[int]int{}
	for _, t := range own.Used() {
		if t.judged() && decides(t) {
			at[t.Shape.Workers]++
			if !t.saturation().Steady {
				unsteadyAt[t.Shape.Workers]++
			}
		}
	}
	decisive, certain := 0, false
	for workers, n := range unsteadyAt {
		decisive += n
		certain = certain || n > 1 || 2*n >= at[workers]
	}
	for _, t := range r.Used() {
		if !t.judged() {
			continue
		}
		p := t.saturation()
		all++
		if p.Steady {
			continue
		}
		n++
		if math.Abs(p.TrendShare) > math.Abs(worst) {
			worst = p.TrendShare
		}
	}
	if !certain && (n < 2 || float64(n) <= notSteadyShare*float64(all)) {
		return nil
	}
	where := ""
	if decisive > 0 {
		where = fmt.Sprintf(", %d of them at the recommended count or the usual one", decisive)
	}
	return &model.Caveat{
		Code: CaveatNotSteady,
		Message: fmt.Sprintf("Throughput had not settled in %d of %d restarts%s; in the worst it changed by %+.0f %% while it was measured: a cache that fills, a compiler at work, a leak. Longer windows (--time) tell more.",
			n, all, where, 100*worst),
		Figures: map[string]float64{"restarts": float64(n), "trend_share": worst, "restarts_decisive": float64(decisive)},
	}
}

// judged is true for a trial whose window can tell whether throughput was steady: few answers come in
// lumps that look like a change.
func (t *Trial) judged() bool { return t.Outcome == OK && t.saturation() != nil && !t.fewAnswers() }

// disturbance is the caveat on restarts that the advice had to use though they were disturbed.
func (r *Record) disturbance() *model.Caveat {
	used := slices.DeleteFunc(r.Used(), func(t Trial) bool { return len(t.Phases) == 0 })
	n := 0
	var worst Reason
	figures := map[string]float64{}
	for _, t := range used {
		reasons := t.DisturbedBy()
		if len(reasons) == 0 {
			continue
		}
		n++
		if reasons[0].excess() > worst.excess() {
			worst = reasons[0]
		}
		for _, reason := range reasons {
			key := string(reason.Code) + "_share"
			if math.Abs(reason.Share) > math.Abs(figures[key]) {
				figures[key] = reason.Share
			}
		}
	}
	if n == 0 {
		return nil
	}
	figures["restarts"] = float64(n)
	disturbed := fmt.Sprintf("%d of the %d restarts that count were disturbed: in the worst", n, len(used))
	switch {
	case n == 1:
		disturbed = fmt.Sprintf("One of the %d restarts that count was disturbed: there", len(used))
	case n == len(used):
		disturbed = fmt.Sprintf("All %d restarts that count were disturbed: in the worst", n)
	}
	message := fmt.Sprintf("%s, %s. Figures may be off by as much.", disturbed, worst)
	if _, resigned := sift(r.Trials); resigned {
		message += " Repeats were disturbed too, so no more were made: the machine is like this."
	}
	return &model.Caveat{Code: CaveatDisturbed, Message: message, Figures: figures}
}
