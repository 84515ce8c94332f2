package sweep

import (
	"path/filepath"
	"slices"
	"testing"

	"advise/model"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// Half of one core is a quota, which affinity has not; half of two is one of them, pinned, which it has. Of
// three it is a quota of one and a half over two, or without quotas one.
func TestPartOfTheCores(t *testing.T) {
	cores := []core{{id: 0}, {id: 1}, {id: 2}, {id: 3}}
	for _, c := range []struct {
		method hold.Method
		asked  float64
		part   float64
		cpus   []int
		quota  float64
	}{
		{hold.Affinity, 1, 0, nil, 0},
		{hold.Affinity, 2, 1, []int{0}, 0},
		{hold.Affinity, 3, 1, []int{0}, 0},
		{hold.None, 2, 0, nil, 0},
		{hold.Cgroup1, 1, 0.5, []int{0}, 0.5},
		{hold.Cgroup1, 2, 1, []int{0}, 0},
		{hold.Cgroup1, 0.5, 0.25, []int{0}, 0.25},
	} {
		if c.method == hold.Cgroup1 && holder(t) != hold.Cgroup1 {
			continue // TestHalfACore has it by cgroup v2
		}
		parts, err := splitCores(cores, c.asked, false)
		if err != nil {
			t.Fatal(err)
		}
		s := newTest(t, &closedServer{cpu: 0.002}, predicting)
		s.split, s.limits = parts, hold.Limits{Method: c.method, CPUs: parts.server, Quota: parts.quota, Memory: 0}
		switch part := s.partOf(cores); {
		case part == nil && c.cpus != nil:
			t.Errorf("%s, %g cores: no part of them is held, want %v with a quota of %g", c.method, c.asked, c.cpus, c.quota)
		case part == nil:
		case c.cpus == nil || part.cores != c.part || !slices.Equal(part.limits.CPUs, c.cpus) || part.limits.Quota != c.quota:
			t.Errorf("%s, %g cores: %g cores, %+v; want %v with a quota of %g", c.method, c.asked, part.cores, part.limits, c.cpus, c.quota)
		}
	}
	parts, err := splitCores(cores, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	half, err := splitCores(cores, fewerShare*parts.measured, false)
	if err != nil || !slices.Equal(half.server, []int{0, 1}) || half.quota != 1.5 {
		t.Errorf("half of 3 cores is %+v, %v", half, err)
	}
}

// holder is the kind of cgroup that holds a quota here; none skips the test.
func holder(t *testing.T) hold.Method {
	t.Helper()
	cores, err := allowedCores()
	if err != nil {
		t.Fatal(err)
	}
	held, _, err := hold.Choose(hold.Auto, hold.Limits{CPUs: []int{cores[0].id}, Quota: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if held.Quota == 0 {
		targetstest.Lacking(t, "a cgroup to write to: root, or one that is delegated")
	}
	return held.Method
}

// A real quota: the demo server gets half the CPU time, and answers half as much.
func TestHalfACore(t *testing.T) {
	method := holder(t)
	s := newTest(t, &closedServer{}, func(o *Options) {
		predicting(o)
		o.Target.Command.Argv = append(o.Target.Command.Argv, "--cpu", "5ms", "--wait", "0", "--memory", "1M")
		o.Limits = method
		o.Dir = filepath.Join(t.TempDir(), "record")
	})
	held, err := New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	if held.fewer == nil || held.plan.Settings.FewerCores != 0.5 {
		t.Fatalf("half a core is not held: %+v", held.fewer)
	}
	if err := held.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer held.journal.close()
	// What else runs on the machine falsifies a comparison: then it is made again, as a sweep would.
	try := func(p model.Purpose) *Trial {
		for again := 0; ; again++ {
			trial, err := held.try(t.Context(), t.Context(), model.Step{Workers: 3, Purpose: p}, Event{Trial: 1, Workers: 3}, func(Event) {})
			if err != nil || trial.Outcome != OK {
				t.Fatalf("%s, %v", trial.Detail, err)
			}
			if !trial.Disturbed() || again == 2 {
				return trial
			}
		}
	}
	whole, half := try(model.PurposeSearch), try(model.PurposeCores)
	if whole.Cores != 0 || half.Cores != 0.5 {
		t.Errorf("held to %g and %g cores", whole.Cores, half.Cores)
	}
	// A period more or less is served at an end of the window: a tenth. So is the throughput, of 5 ms each. A
	// machine that stands still for 0.2 s has the rest read late. Unheld, the server would use all of the core.
	answered := half.saturation().ThroughputRPS
	if used := half.Server.CPUSeconds / half.saturation().WindowSeconds; used > 0.75 || answered > 0.75/0.005 {
		t.Errorf("used %.2f of a core and answered %.0f/s with a quota of half", used, answered)
	}
	if whole.Disturbed() || half.Disturbed() {
		t.Logf("the machine is too busy to compare: %v, %v", whole.DisturbedBy(), half.DisturbedBy())
		return
	}
	if throttled := half.Server.ThrottledShare; throttled == nil || *throttled < 0.5 {
		t.Errorf("throttled in %v of the periods, want most of them", throttled)
	}
	// Restarts differ by 15 %, and a host that gives a fifth of the core to others, and does not say so, takes
	// it from the whole core alone: half of 0.8 is 0.63, and 0.72 with both.
	if ratio := answered / whole.saturation().ThroughputRPS; ratio < 0.35 || ratio > 0.8 {
		t.Errorf("answers %.2f of what it does on the whole core (%.0f/s), want about half", ratio, whole.saturation().ThroughputRPS)
	}
}
