package sweep

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

// A frontedInstance has a server before its workers, which takes a share of the CPU time and 10 us for a
// page of its own.
type frontedInstance struct {
	*closedInstance
	share float64
}

const frontPage = "/by-the-front"

func (i frontedInstance) Front() (targets.Front, bool) {
	return targets.Front{Server: "nginx", Path: frontPage}, true
}

func (i frontedInstance) FrontProcesses() ([]hold.Process, error) {
	return []hold.Process{{PID: 99, CPU: time.Duration(i.share * float64(i.cpu))}}, nil
}

// fronted is a sweep of a closed server behind a front, and counts how often that is driven alone.
func frontedTest(t *testing.T, share float64, fails error) (s *Sweep, driven *int) {
	t.Helper()
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s = newTest(t, server, nil)
	var last *closedInstance
	s.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		i, err := server.start(ctx, shape, log)
		if err != nil {
			return nil, err
		}
		last = i.(*closedInstance)
		return frontedInstance{last, share}, nil
	})
	behind := server.attack(func() *closedInstance { return last })
	driven = new(int)
	s.attack = func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		if a.Requests[0].Path != frontPage {
			return behind(ctx, a, tell)
		}
		*driven++
		if fails != nil {
			return nil, fails
		}
		tell(generator.Progress{Event: generator.WindowStarted, OK: 1000})
		last.cpu += 400 * time.Millisecond
		tell(generator.Progress{Event: generator.WindowEnded, OK: 41000})
		return &generator.Summary{OK: 40000, ThroughputRPS: 40000 / a.Window.Seconds(), Verdict: generator.VerdictBound}, nil
	}
	return s, driven
}

// 40,000 pages of the front's own in 400 ms are 10 us each. Its share at full load is that of its
// processes, and is the same at every count here.
func TestFrontIsMeasuredOnce(t *testing.T) {
	s, driven := frontedTest(t, 0.06, nil)
	r := run(t, s)
	if *driven != 1 {
		t.Errorf("the front was driven alone %d times, want once", *driven)
	}
	if with := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.FrontAlone != nil }); with != 0 {
		t.Errorf("it is in trial %d, want the first", with+1)
	}
	a := r.Advice()
	f := r.Front(a.Workers)
	if f == nil || f.CPUShare == nil || f.CPUSecondsPerRequest == nil {
		t.Fatalf("the front is %+v", f)
	}
	if got := f.Alone; got.Server != "nginx" || got.Path != frontPage || !got.GeneratorBound || math.Abs(got.CPUSecondsPerRequest-10e-6) > 1e-12 || got.ThroughputRPS != 50000 {
		t.Errorf("alone it is %+v, want 10 us for each of 50,000 requests/s", got)
	}
	// What it takes of 2 ms, in nanoseconds of CPU time.
	if math.Abs(*f.CPUShare-0.06) > 1e-6 || math.Abs(*f.CPUSecondsPerRequest-0.06*0.002) > 1e-7 {
		t.Errorf("its share is %g, %g s of a request; want 0.06 and 0.00012", *f.CPUShare, *f.CPUSecondsPerRequest)
	}
	if frontCaveat(a) != nil {
		t.Error("6 % is called large")
	}
	// Its load is not the workers': a trial's own figures are of before.
	if first, second := r.Trials[0], r.Trials[1]; first.Server.CPUSecondsPerRequest > 1.01*second.Server.CPUSecondsPerRequest {
		t.Errorf("the trial with the front took %g CPU seconds per request, the next %g", first.Server.CPUSecondsPerRequest, second.Server.CPUSecondsPerRequest)
	}
}

func frontCaveat(a model.Advice) *model.Caveat {
	i := slices.IndexFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatFrontShare })
	if i < 0 {
		return nil
	}
	return &a.Caveats[i]
}

// With a quarter of the CPU time the front decides the count with the workers.
func TestLargeFrontIsACaveat(t *testing.T) {
	s, _ := frontedTest(t, 0.25, nil)
	c := frontCaveat(run(t, s).Advice())
	if c == nil || math.Abs(c.Figures["cpu_share"]-0.25) > 1e-6 {
		t.Errorf("the caveat is %+v, want one on 25 %%", c)
	}
}

// A sweep that is resumed knows the front already; one with nothing before the workers has none.
func TestFrontIsNotMeasuredAgain(t *testing.T) {
	s, _ := frontedTest(t, 0.06, nil)
	r := run(t, s)
	again, driven := frontedTest(t, 0.06, nil)
	again.plan = r.Plan // made on the same machine
	if err := again.Resume(r); err != nil {
		t.Fatal(err)
	}
	if again.options.Dir = r.Dir; again.frontDriven != true {
		t.Error("the front would be driven again")
	}
	run(t, again)
	if *driven != 0 {
		t.Errorf("the front was driven %d times more", *driven)
	}
	if plain := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)); plain.Front(5) != nil {
		t.Errorf("a server with nothing before it has a front: %+v", plain.Front(5))
	}
}

// A generator that can't run ends the sweep, as in every other phase.
func TestFrontThatCannotBeDriven(t *testing.T) {
	broken := errors.New("no generator")
	s, _ := frontedTest(t, 0.06, broken)
	if _, err := s.Run(t.Context(), t.Context()); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
}

// A process that came or went within the window is left out: what it had used is not known.
func TestFrontShare(t *testing.T) {
	p := func(pid int, ms time.Duration) hold.Process {
		return hold.Process{PID: pid, CPU: ms * time.Millisecond}
	}
	for name, c := range map[string]struct {
		before, after []hold.Process
		want          float64 // -1: not known
	}{
		"one":      {[]hold.Process{p(1, 100)}, []hold.Process{p(1, 150)}, 0.05},
		"two":      {[]hold.Process{p(1, 100), p(2, 0)}, []hold.Process{p(1, 150), p(2, 30)}, 0.08},
		"a new":    {[]hold.Process{p(1, 100)}, []hold.Process{p(1, 150), p(3, 500)}, 0.05},
		"another":  {[]hold.Process{p(1, 100)}, []hold.Process{p(2, 150)}, -1},
		"backward": {[]hold.Process{p(1, 100)}, []hold.Process{p(1, 50)}, 0},
		"none":     {nil, nil, -1},
	} {
		got := -1.0
		if share := frontShare(c.before, c.after, time.Second); share != nil {
			got = *share
		}
		if math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
	if share := frontShare([]hold.Process{p(1, 0)}, []hold.Process{p(1, 10)}, 0); share != nil {
		t.Errorf("a share of nothing is %g", *share)
	}
}
