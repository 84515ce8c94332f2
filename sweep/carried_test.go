package sweep

import (
	"math"
	"slices"
	"testing"

	"advise/model"
	"advise/targets/hold"
)

// fourAsked is a sweep on one core for which four were asked.
func fourAsked(t *testing.T, server *closedServer) *Sweep {
	t.Helper()
	s := newTest(t, server, predicting)
	s.options.Cores, s.plan.Budget.Cores = 4, 4
	s.options.PredictCores, s.plan.Settings.PredictCores = nil, nil
	s.split.measured, s.plan.Environment.CoresServer, s.plan.Settings.FewerCores = 1, 1, 0.5
	s.race = s.plan.race()
	return s
}

// 2 ms of 10 are 2000/s on four cores, by five workers for each of them: as deterministic as this server is,
// none less do. The part is measured without being asked for, before anything is confirmed.
func TestCarriedToTheCoresAsked(t *testing.T) {
	r := run(t, fourAsked(t, &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20}))
	a := r.Advice()
	if !a.Made || a.Workers != 5 || a.Asked == nil {
		t.Fatalf("recommended %d on one core (made: %t), and for four %+v", a.Workers, a.Made, a.Asked)
	}
	four := a.Asked
	if !four.Made || four.Workers != 20 || math.Abs(four.Throughput-2000) > 0.1*2000 || four.RuleOfThumb.Workers != 9 {
		t.Errorf("got %+v, %+v; want 20 workers at about 2000/s beside the usual 9", four, four.Caveat)
	}
	if workers, made := a.Answer(); workers != four.Workers || !made {
		t.Errorf("the answer is %d, %t", workers, made)
	}
	if !slices.ContainsFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == model.CaveatFewerCores }) {
		t.Errorf("no word of the prediction: %+v", a.Caveats)
	}
	part := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.OnFewerCores() })
	confirmed := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.Purpose == model.PurposeConfirm })
	if part < 0 || confirmed >= 0 && confirmed < part {
		t.Errorf("the part was measured at %d, and the choice confirmed at %d", part, confirmed)
	}
}

// Without a part there is no answer for four, and why is said; the one for the core stands beside it. Nor is
// there a lock in the way of what holds a rate.
func TestNotCarried(t *testing.T) {
	s := fourAsked(t, &closedServer{cpu: 0.002, wait: 0.008})
	s.fewer, s.plan.Settings.FewerCores = nil, 0
	r := run(t, s)
	for method, why := range map[hold.Method]string{
		hold.Affinity: "half of that can't be held here, which takes a cgroup that advise may write to", hold.Cgroup2: "half of that was not measured",
	} {
		r.Plan.Environment.LimitsMethod = string(method)
		if got := r.Unchecked(); got != why {
			t.Errorf("%s: %q, want %q", method, got, why)
		}
	}
	a := r.Advice()
	if workers, made := a.Answer(); made || workers != 0 || !a.Made {
		t.Errorf("%d workers for four cores, %t", workers, made)
	}
	if n := len(a.Caveats); n == 0 || a.Caveats[n-1].Code != model.CaveatNotPredicted {
		t.Errorf("got %+v", a.Caveats)
	}
	r.Plan.Settings.Goal = model.GoalRate
	if workers, made := r.carried(a).Answer(); !made || workers != a.Workers {
		t.Errorf("what holds a rate on one core is %d, and on four %d (%t)", a.Workers, workers, made)
	}
	r.Plan.Environment.CoresServer = 4
	if b := r.carried(model.Advice{Made: true, Workers: 3}); b.Asked != nil {
		t.Errorf("all cores were measured, and it is carried: %+v", b.Asked)
	}
}

// Of the most workers that were measured two restarts count: 3 and 5 of 8 could run.
func TestRunnableAtTheMostWorkers(t *testing.T) {
	r := &Record{}
	for i, n := range []float64{2, 3, 5} {
		workers := []int{4, 8, 8}[i]
		r.Trials = append(r.Trials, Trial{
			ID: i + 1, Outcome: OK, Shape: Shape{Workers: workers}, Phases: []Phase{{Kind: PhaseSaturation}}, Server: Server{RunnableThreads: &n},
		})
	}
	if runnable, of := r.runnable(); runnable != 4 || of != 8 {
		t.Errorf("%g of %d, want 4 of 8", runnable, of)
	}
}
