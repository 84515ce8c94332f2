package sweep

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/targets"
)

// ofThreads compares workers of one thread with workers of four.
func ofThreads(o *Options) {
	o.Variants = []Variant{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 4}}
}

// Five slots fill the core (c = 2 ms, w = 8 ms): five processes of one thread, or two of four threads,
// which take two fifths of the memory that the workers need.
func TestVariantsAreComparedInOneSweep(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20}
	r := run(t, newTest(t, server, ofThreads))
	standings, a := r.Standings(), r.Advice()
	if got := standings.Choice().Variant; got != "gthread with 4 threads" || a.Workers != 2 {
		t.Errorf("recommended %d workers of %s, want 2 of gthread with 4 threads: %v", a.Workers, got, a.Reasons)
	}
	// Its restarts end when it can't win any more: which of 5 and 6 is the first that is enough may be open.
	if sync := standings.All[0]; !sync.Enough || sync.Advice.Workers < 5 || sync.Advice.Workers > 6 || sync.Room != 2 {
		t.Errorf("sync: %d workers, enough: %t, %d in the same memory; want 5 or 6, true, 2", sync.Advice.Workers, sync.Enough, sync.Room)
	}
	if !slices.ContainsFunc(a.Reasons, func(s string) bool { return strings.HasPrefix(s, "Not sync: ") }) {
		t.Errorf("no reason against sync: %v", a.Reasons)
	}
	for i, trial := range r.Trials[:4] {
		if want := []string{"sync", "gthread"}[i%2]; trial.Shape.Class != want {
			t.Errorf("trial %d is of class %s, want them in turn", trial.ID, trial.Shape.Class)
		}
	}
	for _, trial := range r.Trials {
		if trial.Purpose == model.PurposeConfirm && trial.Shape.Class != "gthread" {
			t.Errorf("trial %d confirms %s, which is not recommended", trial.ID, trial.Shape.Class)
		}
	}
	own := r.Recommended()
	if len(own.Trials) == 0 || len(own.Trials) == len(r.Trials) || slices.ContainsFunc(own.Trials, func(t Trial) bool { return t.Shape.Threads != 4 }) {
		t.Errorf("%d of %d trials are of the recommended variant", len(own.Trials), len(r.Trials))
	}
	// 32 processes of one core's search have as many slots as 8 of four threads; these go on to four times as many.
	four := r.Plan.Variants()[1]
	if n := r.Plan.Settings.Connections; n != 64 || r.Plan.highest(four) != 32 || r.Plan.connectionsAt(four.At(8)) != 64 || r.Plan.connectionsAt(four.At(16)) != 128 {
		t.Errorf("%d connections, %d workers of four threads at most, 16 of them over %d", n, r.Plan.highest(four), r.Plan.connectionsAt(four.At(16)))
	}
	yesterday := r.Plan
	if yesterday.Settings.MostThreads = 0; yesterday.highest(four) != 8 {
		t.Errorf("a record of before: %d workers of four threads at most", yesterday.highest(four))
	}
}

// Below a cap that two workers fill, four threads each answer more than one each can.
func TestVariantsBelowACap(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20}
	r := run(t, newTest(t, server, func(o *Options) {
		ofThreads(o)
		o.MemoryBytes = 95 << 20 // 10 % of it are left free: 20 and 2 x 30 MiB fit
	}))
	standings := r.Standings()
	if sync := standings.All[0]; sync.Enough || sync.Advice.Workers != 2 || sync.Advice.LimitedBy != model.LimitedByMemory || sync.Ratio > 0.5 {
		t.Errorf("sync: %d workers by %s, enough: %t, ratio %.2f; want 2 by memory with 200 of 500/s", sync.Advice.Workers, sync.Advice.LimitedBy, sync.Enough, sync.Ratio)
	}
	if c := standings.Choice(); c.Variant != "gthread with 4 threads" || c.Advice.Workers != 2 {
		t.Errorf("recommended %d workers of %s", c.Advice.Workers, c.Variant)
	}
}

// A class that does not start ends in the result, not in the end of the sweep; that none starts does.
func TestVariantThatDoesNotStart(t *testing.T) {
	missing := &targets.StartError{Kind: targets.KindExited, Err: errors.New("no module named gevent")}
	both := func(o *Options) {
		o.Seed = 2 // by which the smallest count is not the second to be looked at
		o.Variants = []Variant{{Class: "gevent", Threads: 1}, {Class: "sync", Threads: 1}}
	}
	server := &closedServer{cpu: 0.002, wait: 0.008, broken: map[string]error{"gevent": missing}}
	r := run(t, newTest(t, server, both))
	if c := r.Standings().Choice(); c.Variant != "sync" || c.Advice.Workers != 5 {
		t.Errorf("recommended %d workers of %s, want 5 of sync", c.Advice.Workers, c.Variant)
	}
	gevent := r.Of(Variant{Class: "gevent", Threads: 1}).Trials
	if n := len(gevent); n < 2 || n > 4 {
		t.Fatalf("%d restarts of a class that does not start", n)
	}
	if n := gevent[1].Shape.Workers; n != 1 {
		t.Errorf("%d workers were tried after the first failure, want the smallest count", n)
	}

	server = &closedServer{cpu: 0.002, broken: map[string]error{"gevent": missing, "sync": missing}}
	s := newTest(t, server, both)
	if _, err := s.Run(t.Context(), t.Context()); !errors.Is(err, missing) {
		t.Errorf("got %v, want why nothing starts", err)
	}
}

// Kept connections may all go to one worker of a class: why it was not chosen is said, and of which.
func TestUnevenVariantIsNamed(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20, uneven: "gthread", spread: func(workers, worker int) float64 {
		if worker == 0 {
			return 0.97
		}
		return 0.03 / float64(workers-1)
	}}
	a := run(t, newTest(t, server, func(o *Options) {
		o.Variants = []Variant{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 1}}
	})).Advice()
	c := caveatOf(a, CaveatUnevenWorkers)
	if c == nil || !strings.HasPrefix(c.Message, "As gthread with 1 thread, one of ") {
		t.Errorf("got %+v", c)
	}
}

// A live change can't turn one variant into another.
func TestVariantsLive(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, ofThreads)
	s.options.Live, s.plan.Settings.Live = true, true
	r := run(t, s)
	for i, trial := range r.Trials[1:] {
		if trial.Live && trial.Shape.Variant() != r.Trials[i].Shape.Variant() {
			t.Errorf("trial %d changed %v into %v live", trial.ID, r.Trials[i].Shape, trial.Shape)
		}
	}
	if !slices.ContainsFunc(r.Trials, func(t Trial) bool { return t.Live }) {
		t.Error("nothing was changed live at all")
	}
}

func TestVariantNames(t *testing.T) {
	for want, v := range map[string]Variant{
		"sync":                              {Class: "sync", Threads: 1},
		"gthread with 1 thread":             {Class: "gthread", Threads: 1},
		"gthread with 4 threads":            {Class: "gthread", Threads: 4},
		"gthread with 4 threads, preloaded": {Class: "gthread", Threads: 4, Preload: targets.PreloadOn},
		"5 threads":                         {Threads: 5, Preload: targets.PreloadOff},
		"1 thread, preloaded":               {Threads: 1, Preload: targets.PreloadOn},
	} {
		if got := v.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A record is gone on with by the same variants alone.
func TestResumeWithOtherVariants(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, ofThreads)
	r := run(t, s)
	same := newTest(t, server, func(o *Options) { ofThreads(o); *o = withTarget(*o, s.options.Target) })
	if d := differences(r.Plan, same.plan); len(d) > 0 {
		t.Errorf("the same plan differs: %v", d)
	}
	other := newTest(t, server, func(o *Options) { *o = withTarget(*o, s.options.Target) })
	if d := differences(r.Plan, other.plan); len(d) == 0 || !strings.Contains(strings.Join(d, "; "), "gthread with 4 threads") {
		t.Errorf("differs by %v, want the shapes", d)
	}
}

func withTarget(o Options, t *targets.Target) Options {
	o.Target = t
	return o
}

// A number of threads that the command does not say is counted as 1 and told to nobody.
func TestLaunchedShape(t *testing.T) {
	p := Plan{Settings: Settings{Threads: 0, Class: "wsgi"}}
	if got, want := p.Launched(p.Variants()[0].At(3)), (targets.Shape{Workers: 3, Class: "wsgi"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.Settings.Variants = []Variant{{Class: "wsgi", Preload: targets.PreloadOn}, {Class: "wsgi", Threads: 4, Preload: targets.PreloadOff}}
	for i, want := range []targets.Shape{
		{Workers: 3, Class: "wsgi", Preload: targets.PreloadOn},
		{Workers: 3, Threads: 4, Class: "wsgi", Preload: targets.PreloadOff},
	} {
		shape := p.Variants()[i].At(3)
		if got := p.Launched(shape); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		part := (&Record{Plan: p}).Of(shape.Variant())
		if got := part.Plan.Launched(shape); got != want {
			t.Errorf("of the part: got %+v, want %+v", got, want)
		}
	}
}

// A server that compiles what it runs has the time for it before each window, and the restarts are planned longer by
// that; one that has enough of a warm-up is left as it is.
func TestWarmingUp(t *testing.T) {
	short, long := timingFor(time.Minute), timingFor(10*time.Minute)
	if got, more := short.warmingUp(time.Second), time.Second-short.warmup; more <= 0 || got.warmup != time.Second ||
		got.guess != short.guess+more || got.warmupLimit != short.warmupLimit+more || got.window != short.window {
		t.Errorf("%+v", got)
	}
	if got := long.warmingUp(time.Second); got != long {
		t.Errorf("%+v, want %+v", got, long)
	}
}

// Three variants in three minutes have the windows of one in one.
func TestWindowsAreSharedOut(t *testing.T) {
	s := newTest(t, &closedServer{}, func(o *Options) {
		ofThreads(o)
		o.Variants = append(o.Variants, Variant{Class: "gevent", Threads: 1})
		o.Time = 3 * time.Minute
	})
	if got, want := s.timing.window, timingFor(time.Minute).window; got != want {
		t.Errorf("windows of %s, want %s", got, want)
	}
}
