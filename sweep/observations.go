package sweep

import (
	"fmt"

	"advise/model"
)

// Observations are the record's trials as the model sees them, without those that were disturbed and
// could be repeated.
func (r *Record) Observations() []model.Observation { return observations(r.Plan, r.used()) }

// used are the trials that the advice rests on. A count that was only measured while disturbed, since
// time did not allow to repeat it, is better known badly than not at all.
func (r *Record) used() []Trial {
	better := map[int]bool{}
	sound := undisturbed(r.Trials)
	for _, t := range sound {
		better[t.Shape.Workers] = true
	}
	for _, t := range r.Trials {
		if !better[t.Shape.Workers] {
			sound = append(sound, t)
		}
	}
	return sound
}

// CaveatDisturbed marks a recommendation that rests on disturbed restarts. Figures: restarts,
// stolen_share of the worst.
const CaveatDisturbed = "disturbed"

// disturbedShare of the server's cores given to other machines makes a restart disturbed: it then
// answers less by about as much, and the knee is decided by 5 %.
const disturbedShare = 0.02

// Disturbed is true when other machines had so much of the server's cores that the trial is repeated.
func (t *Trial) Disturbed() bool { return t.Outcome == OK && t.Server.StolenShare > disturbedShare }

// undisturbed leaves out what was disturbed while there is hope of a better repeat: of each count as
// many restarts as were not disturbed, and one more.
func undisturbed(trials []Trial) []Trial {
	spare := map[int]int{}
	for _, t := range trials {
		if _, ok := spare[t.Shape.Workers]; !ok {
			spare[t.Shape.Workers] = 1
		}
		if !t.Disturbed() {
			spare[t.Shape.Workers]++
		}
	}
	used := make([]Trial, 0, len(trials))
	for _, t := range trials {
		if t.Disturbed() && spare[t.Shape.Workers] > 0 {
			spare[t.Shape.Workers]--
			continue
		}
		used = append(used, t)
	}
	return used
}

func observations(p Plan, trials []Trial) []model.Observation {
	obs := make([]model.Observation, 0, len(trials))
	for _, t := range trials {
		o := model.Observation{
			Workers: t.Shape.Workers, Threads: t.Shape.Threads,
			Purpose: t.Purpose, At: t.StartedAt.Sub(p.StartedAt).Seconds(),
		}
		if t.Outcome != OK {
			o.Failed, o.MemoryKilled, o.Why = true, t.Outcome == KilledForMemory, t.Detail
			obs = append(obs, o)
			continue
		}
		for _, phase := range t.Phases {
			if phase.Kind == PhaseSaturation {
				o.Throughput = phase.ThroughputRPS
			}
		}
		o.CPUPerRequest = t.Server.CPUSecondsPerRequest
		if t.Purpose != model.PurposeLatency { // memory is compared at equal work
			o.Memory = float64(t.Server.MemoryPSSBytes + t.Server.SwapBytes)
			o.Peak = float64(t.Server.MemoryPeakBytes)
		}
		o.GeneratorBound = t.Generator.Verdict == GeneratorBound
		o.MeetsObjective, o.ObjectiveWhy = p.Scenario.meets(t)
		obs = append(obs, o)
	}
	return obs
}

// Advice is what the record says.
func (r *Record) Advice() model.Advice {
	a := model.Advise(r.Observations(), r.question())
	if c := r.disturbance(); c != nil {
		a.Caveats = append(a.Caveats, *c)
	}
	return a
}

// SearchEnd says how the search ended: Done when it needed no more restarts, Resolved when that is
// because the decision is settled, and neither when its time was up.
func (r *Record) SearchEnd() model.Step {
	return r.Plan.search().Next(r.Observations())
}

// question is what the plan asked.
func (r *Record) question() model.Question {
	p := r.Plan
	return model.Question{
		Cores: p.Budget.Cores, CoresMeasured: p.Environment.CoresServer,
		MemoryBytes: float64(p.Budget.MemoryBytes), MemoryHeadroom: p.Settings.MemoryHeadroom,
		Tolerance: p.Settings.Tolerance, Confidence: p.Settings.Confidence,
		RuleOfThumb: p.Settings.RuleOfThumb, Lowest: p.Settings.Lowest, Highest: p.Settings.Highest,
		Seed: p.Settings.Seed,
	}
}

// disturbance is the caveat on restarts that the advice had to use though they were disturbed.
func (r *Record) disturbance() *model.Caveat {
	n, worst := 0, 0.0
	for _, t := range r.used() {
		if t.Disturbed() {
			n++
			worst = max(worst, t.Server.StolenShare)
		}
	}
	if n == 0 {
		return nil
	}
	return &model.Caveat{
		Code: CaveatDisturbed,
		Message: fmt.Sprintf("The hypervisor gave up to %.0f %% of the server's cores to other machines in %d of the %d restarts that count: those were too slow.",
			100*worst, n, len(r.used())),
		Figures: map[string]float64{"restarts": float64(n), "stolen_share": worst},
	}
}
