package model

import (
	"math"
	"slices"
	"testing"
)

// played are the steps that Confirm asks for after a search without noise.
func played(t *testing.T, q Question, throughput func(int) float64) (steps []Step, observations []Observation) {
	t.Helper()
	search := Search{Highest: 16, Always: []int{q.RuleOfThumb}}
	for step := search.Next(nil); !step.Done; step = search.Next(observations) {
		observations = append(observations, Observation{Workers: step.Workers, Throughput: throughput(step.Workers), At: 4 * float64(1+len(observations))})
	}
	for {
		step := Confirm(observations, q)
		steps = append(steps, step)
		if step.Done {
			return steps, observations
		}
		observations = append(observations, Observation{
			Workers: step.Workers, Purpose: step.Purpose, Throughput: throughput(step.Workers), At: 4 * float64(1+len(observations)),
		})
		if len(steps) > 50 {
			t.Fatalf("no end in sight: %+v", steps)
		}
	}
}

func countsOf(steps []Step, p Purpose) (counts []int) {
	for _, s := range steps {
		if s.Purpose == p && !s.Done {
			counts = append(counts, s.Workers)
		}
	}
	return counts
}

func TestConfirmAlternates(t *testing.T) {
	steps, observations := played(t, Question{RuleOfThumb: 3, Highest: 16}, alikeServer)
	if got, want := countsOf(steps, PurposeConfirm), []int{5, 3, 5, 3, 5, 3}; !slices.Equal(got, want) {
		t.Errorf("confirmed by %v, want %v", got, want)
	}
	if got := countsOf(steps, PurposeLatency); len(got) != 4 || got[0] != 5 || got[1] != 3 {
		t.Errorf("latency at %v, want 5, 3 and the neighbours of 5", got)
	}
	for _, s := range steps[6:10] {
		near(t, "capacity", s.Capacity, 500, 1e-6)
	}
	a := Advise(observations, Question{RuleOfThumb: 3, Highest: 16})
	if r := a.RuleOfThumb; !r.Confirmed || r.Restarts != 3 || math.Abs(r.Ratio-500.0/300) > 1e-9 {
		t.Errorf("compared by %+v", r)
	}
}

func TestConfirmWithoutAnOpponent(t *testing.T) {
	steps, _ := played(t, Question{RuleOfThumb: 5, Highest: 16}, alikeServer)
	if got := countsOf(steps, PurposeConfirm); !slices.Equal(got, []int{5}) {
		t.Errorf("the rule of thumb is right: confirmed by %v, want it once at the end", got)
	}
	if step := Confirm(nil, Question{RuleOfThumb: 3}); !step.Done {
		t.Errorf("nothing measured: %+v", step)
	}
}

// What confirms the choice does not move it: at 5 workers it came out a tenth worse, and the
// comparison says so.
func TestConfirmationIsHeldAgainstTheSearch(t *testing.T) {
	_, observations := played(t, Question{RuleOfThumb: 3, Highest: 16}, alikeServer)
	for i := range observations {
		if observations[i].Purpose == PurposeConfirm && observations[i].Workers == 5 {
			observations[i].Throughput *= 0.9
		}
	}
	a := Advise(observations, Question{RuleOfThumb: 3, Highest: 16})
	near(t, "ratio", a.RuleOfThumb.Ratio, 1.5, 1e-9)
	if a.Workers != 5 || !hasCaveat(a, CaveatConfirmationDiffers) {
		t.Errorf("recommended %d with caveats %+v", a.Workers, a.Caveats)
	}
}

// Two restarts of each are no confirmation, and that is said.
func TestConfirmationCutShort(t *testing.T) {
	_, observations := played(t, Question{RuleOfThumb: 3, Highest: 16}, alikeServer)
	confirming := slices.IndexFunc(observations, func(o Observation) bool { return o.Purpose == PurposeConfirm })
	a := Advise(observations[:confirming+5], Question{RuleOfThumb: 3, Highest: 16})
	if a.RuleOfThumb.Confirmed || !hasCaveat(a, CaveatNotConfirmed) {
		t.Errorf("compared by %+v with caveats %+v", a.RuleOfThumb, a.Caveats)
	}
}
