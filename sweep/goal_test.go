package sweep

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
)

// tenMilliseconds take 2 of CPU and 8 of waiting: n workers answer n x 100 requests per second up to 500, a request
// alone takes 10 ms.
func tenMilliseconds() *closedServer { return &closedServer{cpu: 0.002, wait: 0.008} }

// A rate that comes without an objective has one that is measured before the first trial, and kept: twice the
// 10 ms of a request alone. 150/s need two workers: one answers 100.
func TestRateHasAnObjective(t *testing.T) {
	s := newTest(t, tenMilliseconds(), func(o *Options) { o.Scenario.Rate = 150 })
	if p := s.Plan(); !p.WantsObjective() || p.Settings.Goal != model.GoalRate || p.Scenario.Objective != nil {
		t.Fatalf("planned %+v", p.Scenario)
	}
	r := run(t, s)
	saved, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Plan{r.Plan, saved.Plan} {
		limit, share := p.Scenario.Objective.LatencySeconds["p95"], p.Scenario.Objective.ErrorShare
		if math.Abs(limit-0.020) > 0.002 || share == nil || *share != 0 {
			t.Errorf("objective %s, want p95=20ms and no errors", p.Scenario.Objective.Flag())
		}
		if u := p.Unloaded; u == nil || u.Workers != 1 || limit < 2*u.P95Seconds || u.Answers < 290 {
			t.Errorf("unloaded %+v", u)
		}
	}
	a := saved.Advice()
	// Five are all the core can do, and single restarts that differ by 2 % can't tell them from eight.
	if a.Workers != 2 || a.Capacity == nil || a.Capacity.Workers < 5 || a.Capacity.Workers > 8 || a.LimitedBy != model.LimitedByObjective {
		t.Errorf("%d workers by %s, capacity %+v, want 2 by the objective, and 5 to 8", a.Workers, a.LimitedBy, a.Capacity)
	}
	if f := saved.Plan.Flags(); strings.Contains(flagsOf(f), "--slo") || !strings.Contains(flagsOf(f), "--goal rate") {
		t.Errorf("told again as %s", flagsOf(f))
	}
	again := newTest(t, tenMilliseconds(), func(o *Options) {
		o.Scenario.Rate, o.Target.Command.Dir, o.Dir = 150, r.Plan.Target.Workdir, r.Dir
	})
	if err := again.Resume(saved); err != nil || again.plan.WantsObjective() {
		t.Errorf("resumed: %v", err)
	}
}

func flagsOf(list []Flag) string {
	var words []string
	for _, f := range list {
		words = append(words, f.Words()...)
	}
	return strings.Join(words, " ")
}

// An objective that was given is left alone, though it asks for no latency.
func TestGivenObjectiveIsKept(t *testing.T) {
	share := 0.01
	r := run(t, newTest(t, tenMilliseconds(), func(o *Options) {
		o.Scenario.Rate, o.Scenario.Objective = 150, scenarios.Objective{Errors: &share}
	}))
	if r.Plan.Unloaded != nil || r.Plan.Scenario.Objective.Flag() != "errors=1%" {
		t.Errorf("unloaded %+v, objective %s", r.Plan.Unloaded, r.Plan.Scenario.Objective.Flag())
	}
}

func TestGoalIsChecked(t *testing.T) {
	for _, c := range []struct {
		goal model.Goal
		rate float64
		err  string
	}{
		{"", 0, ""},
		{model.GoalCapacity, 0, ""},
		{model.GoalCapacity, 10, ""},
		{model.GoalRate, 10, ""},
		{model.GoalRate, 0, "the goal is a rate, and there is none: add --rate"},
		{"most", 10, `goal "most": want rate or capacity`},
	} {
		o := Options{Goal: c.goal, Scenario: &scenarios.Scenario{Rate: c.rate}}
		if err := o.checkGoal(); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q at %g: %v, want %q", c.goal, c.rate, err, c.err)
		}
	}
}

func TestMargin(t *testing.T) {
	none := 0.0
	one := 0.01
	held := func(p95 float64) Phase {
		return Phase{Kind: PhaseRate, RatePlannedRPS: 100, Planned: 1000, OK: 1000, ThroughputRPS: 100, WindowSeconds: 10, Sustained: true, Latency: Latency{P95: p95, P99: 4 * p95}}
	}
	failing := held(0.05)
	failing.OK, failing.Failed = 980, 20
	behind := held(0.05)
	behind.ThroughputRPS, behind.Sustained = 80, false
	bound := held(0.2)
	bound.GeneratorVerdict = GeneratorBound
	full := Phase{Kind: PhaseSaturation, ThroughputRPS: 50}
	nearly := Phase{Kind: PhaseSaturation, ThroughputRPS: 90}
	p95 := func(limit float64) map[string]float64 { return map[string]float64{"p95": limit} }
	for name, c := range map[string]struct {
		objective *Objective
		phases    []Phase
		want      float64 // NaN: none
	}{
		"half of the limit":    {&Objective{LatencySeconds: p95(0.1)}, []Phase{full, held(0.05)}, math.Log(2)},
		"over the limit":       {&Objective{LatencySeconds: p95(0.1)}, []Phase{held(0.2)}, -math.Log(2)},
		"the least of several": {&Objective{LatencySeconds: map[string]float64{"p95": 0.1, "p99": 0.1}}, []Phase{held(0.05)}, -math.Log(2)},
		"errors":               {&Objective{LatencySeconds: p95(0.1), ErrorShare: &one}, []Phase{failing}, -math.Log(2)},
		"any error":            {&Objective{ErrorShare: &none}, []Phase{failing}, math.Inf(-1)},
		"not sustained":        {&Objective{LatencySeconds: p95(0.1)}, []Phase{behind}, math.Log(0.8)},
		"hopeless":             {&Objective{LatencySeconds: p95(0.1)}, []Phase{full}, -math.Log(2)},
		"no time for it":       {&Objective{LatencySeconds: p95(0.1)}, []Phase{nearly}, math.NaN()},
		"no latency asked":     {&Objective{ErrorShare: &none}, []Phase{held(0.05)}, math.Inf(1)},
		"the generator's own":  {&Objective{LatencySeconds: p95(0.1)}, []Phase{bound}, math.NaN()},
		"not loaded at it":     {&Objective{LatencySeconds: p95(0.1)}, []Phase{{Kind: PhaseShare}}, math.NaN()},
	} {
		s := Scenario{RateRPS: 100, Objective: c.objective}
		trial := Trial{Outcome: OK, Phases: c.phases}
		got, hopeless := s.margin(trial)
		if want := name == "hopeless"; hopeless != want {
			t.Errorf("%s: hopeless %t", name, hopeless)
		}
		if got == nil != math.IsNaN(c.want) || got != nil && *got != c.want && math.Abs(*got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %g", name, got, c.want)
			continue
		}
		if met, why := s.meets(trial); got != nil && (met == nil || *met != (*got >= 0)) {
			t.Errorf("%s: a margin of %g, and met %v: %s", name, *got, met, why)
		}
	}
}

// latencies30to450 are 15, one every 30 ms: their p95 is 450 ms.
const latencies30to450 = "HISTFAAAAEZ42pJpmSzMwMCgywABzFCaEYTXqnsw2H+ACCyNZfrLz3SZg2k5O9NfFqbLzEwXmUHkZGam54xMLxlBJBwBAgAA//81bREC"

// A p95 near its limit is measured longer, to the longest window there is time for; one far away is not.
func TestNearTheLimitIsMeasuredLonger(t *testing.T) {
	for limit, longer := range map[time.Duration]bool{460 * time.Millisecond: true, 2 * time.Second: false} {
		s := newTest(t, tenMilliseconds(), func(o *Options) {
			o.Scenario.Rate, o.Counts = 150, []int{2, 3}
			o.Scenario.Objective = scenarios.Objective{Latency: map[string]time.Duration{"p95": limit}}
		})
		attack := s.attack
		s.attack = func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
			summary, err := attack(ctx, a, tell)
			if err == nil {
				summary.Latency.P95, summary.Histogram = 0.45, latencies30to450
			}
			return summary, err
		}
		for _, trial := range run(t, s).Trials {
			for _, p := range trial.Phases {
				want := s.timing.window
				if longer {
					want = s.timing.windowLimit
				}
				if p.Kind == PhaseRate && math.Abs(p.WindowSeconds-want.Seconds()) > 0.1 {
					t.Errorf("%s: a window of %g s at the rate, want %s", limit, p.WindowSeconds, want)
				}
				if p.Kind == PhaseRate && math.Abs(float64(p.OK)-150*p.WindowSeconds) > 5 {
					t.Errorf("%s: %d answers in %g s, want 150 each second", limit, p.OK, p.WindowSeconds)
				}
			}
		}
	}
}

// At a request every ten seconds no window holds enough of them; at one a second a longer sweep would.
func TestFewRequestsAtARate(t *testing.T) {
	for rate, want := range map[float64]string{1: "With --time 10m", 0.1: "No window is long enough", 100: ""} {
		r := run(t, newTest(t, tenMilliseconds(), func(o *Options) {
			o.Scenario.Rate = rate
			o.Scenario.Objective = scenarios.Objective{Latency: map[string]time.Duration{"p95": time.Second * 20}}
		}))
		c := caveatOf(r.Advice(), CaveatFewAtRate)
		if (c == nil) != (want == "") || c != nil && !strings.Contains(c.Message, want) {
			t.Errorf("at %g/s: %+v, want %q", rate, c, want)
		}
	}
}

// Of shapes the first that starts says what an answer takes without load; where none does, no latency is asked for.
func TestObjectiveOfAServerThatDoesNotStart(t *testing.T) {
	exits := &targets.StartError{Kind: targets.KindExited, Workers: 1, Err: errors.New("ended before it was ready")}
	two := func(o *Options) {
		o.Scenario.Rate, o.Highest = 150, 8
		o.Variants = []Variant{{Class: "gevent", Threads: 1}, {Class: "sync", Threads: 1}}
	}
	s := tenMilliseconds()
	s.broken = map[string]error{"gevent": exits}
	if r := run(t, newTest(t, s, two)); r.Plan.Unloaded.Class != "sync" || r.Plan.Unloaded.P95Seconds == 0 {
		t.Errorf("unloaded %+v, want that of sync", r.Plan.Unloaded)
	}
	s = tenMilliseconds()
	s.fails = map[int]error{1: exits}
	r := run(t, newTest(t, s, func(o *Options) { o.Scenario.Rate = 150 }))
	if r.Plan.Scenario.Objective.Flag() != "errors=0%" || caveatOf(r.Advice(), CaveatNoUnloaded) == nil {
		t.Errorf("objective %s, caveats %+v", r.Plan.Scenario.Objective.Flag(), r.Advice().Caveats)
	}
}
