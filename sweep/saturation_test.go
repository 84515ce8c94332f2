package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

// asyncServer answers as an asynchronous server of known physics would: a request takes cpu seconds of a
// core and wait seconds of waiting, and a worker has as many of them in work as there are connections, up
// to its limit. By Little's law K connections get K/(cpu+wait) until the cores are full, or the limit.
type asyncServer struct {
	cpu, wait float64
	cores     float64
	limit     int                       // of connections in work at each worker; 0: none
	refuses   int                       // more connections in all than this are refused; 0: none
	locked    float64                   // requests per second that a lock lets through; 0: none
	cpuAt     func(workers int) float64 // cpu at a count; nil: the same at all
	stall     float64                   // seconds more on connections that are kept, with several workers
	diesAt    int                       // connections; 0: never
	eachTakes int64                     // bytes of memory for a connection
	slows     float64                   // share of throughput that each doubling beyond 64 connections costs
	starts    []int
	levels    []int
	noise     *rand.Rand
}

type asyncInstance struct {
	*closedInstance
	cpu    time.Duration
	memory int64
}

func (i *asyncInstance) Memory() (hold.Memory, error) {
	return hold.Memory{PSS: 30<<20 + i.memory, Exact: true}, nil
}

func (i *asyncInstance) Usage() (hold.Usage, error) {
	return hold.Usage{CPU: i.cpu, Counted: true, MemoryPeak: 30 << 20}, nil
}

func (s *asyncServer) cpuOf(workers int) float64 {
	if s.cpuAt != nil {
		return s.cpuAt(workers)
	}
	return s.cpu
}

func (s *asyncServer) throughput(workers, connections int, kept bool) (rps, unloaded float64) {
	unloaded = s.cpuOf(workers) + s.wait
	if kept && workers > 1 {
		unloaded += s.stall
	}
	inWork := float64(connections)
	if s.limit > 0 {
		inWork = math.Min(inWork, float64(s.limit*workers))
	}
	rps = math.Min(inWork/unloaded, math.Min(s.cores, float64(workers))/s.cpuOf(workers))
	if s.locked > 0 {
		rps = math.Min(rps, s.locked)
	}
	if connections > 64 {
		rps *= 1 - s.slows*math.Log2(float64(connections)/64)
	}
	return rps, unloaded
}

func (s *asyncServer) attack(of func() *asyncInstance) attackFunc {
	return func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		i := of()
		kept := a.Requests[0].Header.Get("Connection") != "close"
		rate, unloaded := s.throughput(i.workers, a.Connections, kept)
		latency := math.Max(unloaded, float64(a.Connections)/rate)
		i.memory = int64(a.Connections) * s.eachTakes
		rate *= 1 + 0.005*s.noise.NormFloat64()
		if a.WarmupRequests == 0 {
			s.levels = append(s.levels, a.Connections)
		}
		if s.diesAt > 0 && a.Connections >= s.diesAt {
			close(i.done)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if a.Rate > 0 {
			rate = math.Min(rate, a.Rate)
			latency = unloaded
		}
		tell(generator.Progress{Event: generator.WindowStarted})
		ok := uint64(rate * a.Window.Seconds())
		i.cpu += time.Duration(rate * a.Window.Seconds() * s.cpuOf(i.workers) * float64(time.Second))
		tell(generator.Progress{Event: generator.WindowEnded, OK: ok})
		summary := &generator.Summary{
			WindowSeconds: a.Window.Seconds(), ThroughputRPS: rate, Planned: ok, Sent: ok, OK: ok, OKTotal: ok,
			Sustained: true, Steady: true, Verdict: generator.VerdictOK, Latency: generator.Latency{P50: latency, P95: latency, Mean: latency},
		}
		if s.refuses > 0 && a.Connections > s.refuses {
			summary.Failed, summary.Errors = ok, map[string]uint64{"closed_early": ok}
		}
		return summary, nil
	}
}

// newAsyncTest is a sweep of that server by a command that says nothing of how many requests it has in
// work, on its cores, with its record in dir.
func newAsyncTest(t *testing.T, s *asyncServer, dir string, change func(*Options)) *Sweep {
	t.Helper()
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		t.Fatal(err)
	}
	target, err := targets.Recognise(targets.Command{Argv: []string{"sh", "serve", "--procs", "{workers}", "{port}"}, Env: os.Environ(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Target: target, Scenario: scenario, Cores: 1, Limits: hold.None, Time: 2 * time.Minute,
		Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1, Seed: 1, Arrivals: generator.Poisson, Dir: dir,
	}
	if change != nil {
		change(&o)
	}
	sweep, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if s.cores == 0 {
		s.cores = 1
	}
	s.noise = rand.New(rand.NewPCG(1, 0))
	sweep.calibrate = func(context.Context) (*generator.Calibration, error) {
		return &generator.Calibration{CeilingRPS: 1e6}, nil
	}
	var last *asyncInstance
	closed := &closedServer{}
	sweep.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		s.starts = append(s.starts, shape.Workers)
		i, err := closed.start(ctx, shape, log)
		if err != nil {
			return nil, err
		}
		last = &asyncInstance{closedInstance: i.(*closedInstance)}
		return last, nil
	})
	sweep.attack = s.attack(func() *asyncInstance { return last })
	sweep.machine = (&closedServer{}).machine
	return sweep
}

func asyncRecord(t *testing.T) string { return filepath.Join(t.TempDir(), "record") }

// 20 ms of waiting and 0.2 ms of CPU need 101 connections to fill a core: 64 are 3,168/s, the core does
// 5,000/s. That is what is measured at every count, and no more workers are needed for it.
func TestConnectionsAreFoundThatFillTheServer(t *testing.T) {
	server := &asyncServer{cpu: 0.0002, wait: 0.020}
	r := run(t, newAsyncTest(t, server, asyncRecord(t), nil))
	if n := r.Plan.Settings.Connections; n < 128 || n > 512 {
		t.Errorf("%d connections, want 128 or a little more", n)
	}
	for _, trial := range r.Trials {
		if full := trial.saturation(); full != nil && (full.Connections != r.Plan.Settings.Connections || math.Abs(full.ThroughputRPS-5000) > 150 || full.SaturatedBy == "") {
			t.Errorf("trial %d: %.0f/s over %d connections, saturated by %q", trial.ID, full.ThroughputRPS, full.Connections, full.SaturatedBy)
		}
	}
	a := r.Advice()
	if !a.Made || a.Workers != 1 || !a.HighResolved {
		t.Errorf("advised %d (%t): %v", a.Workers, a.Made, a.Caveats)
	}
	if !strings.Contains(a.Fit.Reading, "holds a core for 200.0 us and waits about 20.0 ms") {
		t.Errorf("reads %q", a.Fit.Reading)
	}
	again, err := Open(r.Dir)
	if err != nil || again.Plan.Settings.Connections != r.Plan.Settings.Connections || len(again.Plan.Saturation.Searches) != 2 {
		t.Errorf("kept %+v, %v", again.Plan.Saturation, err)
	}
}

// A lock lets 1,000/s through, whatever the number of connections: with the core idle, throughput that no
// longer rises shows that the server is full.
func TestThroughputThatNoLongerRisesIsSaturation(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.050, locked: 1000}, asyncRecord(t), nil))
	for _, search := range r.Plan.Saturation.Searches {
		if search.Shown != model.SaturatedConnections {
			t.Errorf("at %d workers: shown by %q over %+v", search.Workers, search.Shown, search.Tried)
		}
	}
	if a := r.Advice(); !a.Made || hasCode(a, CaveatNotSaturated) {
		t.Errorf("made %t: %v", a.Made, a.Caveats)
	}
}

// Where no number of connections fills the server what is measured is the number's own: a lower bound, as
// where the generator is at its end.
func TestWhatIsNotSaturatedIsALowerBound(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.00001, wait: 5}, asyncRecord(t), nil)) // 500,000 connections
	a := r.Advice()
	if !hasCode(a, CaveatNotSaturated) || !hasCode(a, model.CaveatGeneratorBound) || a.HighResolved || !r.SearchEnd().GeneratorBound {
		t.Errorf("resolved %t, ended %+v: %v", a.HighResolved, r.SearchEnd(), a.Caveats)
	}
	for _, p := range a.Points {
		if !p.GeneratorBound {
			t.Errorf("%d workers: %.0f/s is taken for what the server can do", p.Workers, p.Throughput)
		}
	}
}

// Three workers take an eighth of the CPU time for a request: the number that filled the fewest and the most
// does not fill them. It is raised there, and what was measured before is measured again and not used.
func TestAllCountsAreMeasuredAgainWithMoreConnections(t *testing.T) {
	server := &asyncServer{wait: 0.020, cpuAt: func(workers int) float64 {
		if workers == 3 {
			return 0.00005
		}
		return 0.0004
	}}
	r := run(t, newAsyncTest(t, server, asyncRecord(t), nil))
	n := r.Plan.Settings.Connections
	if n < 512 {
		t.Fatalf("%d connections, want more than the 401 that fill three workers: %+v", n, r.Plan.Saturation)
	}
	aside := 0
	for _, trial := range r.Trials {
		if trial.FewerConnections {
			aside++
		}
	}
	if aside == 0 {
		t.Error("no trial is marked as measured with fewer connections")
	}
	for _, trial := range r.Used() {
		if full := trial.saturation(); full != nil && full.Connections != n {
			t.Errorf("trial %d is used with %d connections", trial.ID, full.Connections)
		}
	}
	for _, count := range []int{1, 2, 3, 4, 8} {
		if !slices.ContainsFunc(r.Used(), func(t Trial) bool { return t.Shape.Workers == count }) {
			t.Errorf("%d workers were not measured again", count)
		}
	}
	again, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.Advice(), r.Advice(); got.Workers != want.Workers || len(again.Used()) != len(r.Used()) {
		t.Errorf("read again it advises %d from %d trials, want %d from %d", got.Workers, len(again.Used()), want.Workers, len(r.Used()))
	}
}

// A sweep that goes on from its record does not look for connections again.
func TestResumedSweepKeepsItsConnections(t *testing.T) {
	dir := asyncRecord(t)
	ctx, stop := context.WithCancel(t.Context())
	first := newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020}, dir, func(o *Options) {
		o.Progress = func(e Event) {
			if e.Stage == StageEnded {
				stop()
			}
		}
	})
	if _, err := first.Run(ctx, t.Context()); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := &asyncServer{cpu: 0.0002, wait: 0.020}
	second := newAsyncTest(t, server, dir, func(o *Options) { o.Target = first.options.Target })
	if err := second.Resume(r); err != nil {
		t.Fatal(err)
	}
	whole := run(t, second)
	if len(whole.Plan.Saturation.Searches) != 2 || whole.Plan.Settings.Connections != r.Plan.Settings.Connections {
		t.Errorf("went on with %+v", whole.Plan.Saturation)
	}
	for _, n := range server.levels {
		if n < r.Plan.Settings.Connections {
			t.Errorf("tried %d connections again", n)
		}
	}
}

// Where clients are a fixed pool, what the server answers to them is the question, and that it could answer more
// no doubt. What fills it is told beside.
func TestConnectionsThatAreAskedForAreKept(t *testing.T) {
	server := &asyncServer{cpu: 0.0002, wait: 0.020}
	s := newAsyncTest(t, server, asyncRecord(t), func(o *Options) { o.Scenario.Connections, o.ConnectionsGiven = 50, true })
	r := run(t, s)
	for _, trial := range r.Trials {
		for _, phase := range trial.Phases {
			if phase.Connections != 50 {
				t.Errorf("trial %d: %d connections", trial.ID, phase.Connections)
			}
		}
	}
	if p := r.Pool(r.Advice()); p == nil || p.Connections != 50 || math.Abs(p.ThroughputRPS-50/0.0202) > 50 ||
		p.FullConnections != 100 || math.Abs(p.FullThroughputRPS-5000) > 100 || p.Shown == "" {
		t.Errorf("50 connections, and what fills it: %+v", p)
	}
	a := r.Advice()
	if !a.Made || math.Abs(a.Throughput-50/0.0202) > 50 || hasCode(a, CaveatNotSaturated) || hasCode(a, model.CaveatGeneratorBound) {
		t.Errorf("made %t, %.0f/s: %v", a.Made, a.Throughput, a.Caveats)
	}
	if !strings.Contains(a.Fit.Reading, "waits about 20.0 ms") || strings.Contains(a.Fit.Reading, "100 %") || strings.Contains(a.Fit.Reading, "101 %") {
		t.Errorf("reads %q", a.Fit.Reading)
	}
}

// Where 50 connections fill a server that is all there is to say; one of 64 threads they can't fill.
func TestPoolThatFillsTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		server *asyncServer
		full   int
		shown  model.Saturation
	}{
		"busy":     {&asyncServer{cpu: 0.002, wait: 0.001}, 50, model.SaturatedCores},
		"a lock":   {&asyncServer{cpu: 0.0002, wait: 0.020, locked: 1000}, 50, model.SaturatedQueue},
		"too many": {&asyncServer{cpu: 0.00001, wait: 5}, 8192, ""},
	} {
		s := newAsyncTest(t, test.server, asyncRecord(t), func(o *Options) { o.Scenario.Connections, o.ConnectionsGiven = 50, true })
		r := run(t, s)
		p := r.Pool(r.Advice())
		if p == nil || p.FullConnections != test.full || p.Shown != test.shown || test.full == 50 && p.FullThroughputRPS != p.ThroughputRPS {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// A server that turns connections away has a limit of its own: it is driven by no more than it takes.
func TestServersOwnLimitIsNamed(t *testing.T) {
	for name, server := range map[string]*asyncServer{
		"refuses more than the first": {cpu: 0.0002, wait: 0.020, refuses: 10},
		"refuses more than 100":       {cpu: 0.0002, wait: 0.200, refuses: 100},
	} {
		r := run(t, newAsyncTest(t, server, asyncRecord(t), nil))
		n := r.Plan.Settings.Connections
		if n > server.refuses || n < server.refuses/2 {
			t.Errorf("%s: %d connections, want %d to %d", name, n, server.refuses/2, server.refuses)
		}
		for _, trial := range r.Trials {
			if trial.Outcome != OK {
				t.Errorf("%s: trial %d: %s: %s", name, trial.ID, trial.Outcome, trial.Detail)
			}
		}
		if a := r.Advice(); !hasCode(a, CaveatConnectionLimit) {
			t.Errorf("%s: %v", name, a.Caveats)
		}
	}
}

// A trial with more connections than the server takes says so beside the errors that come of it.
func TestErrorsOverALimitNameIt(t *testing.T) {
	s := newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020, refuses: 20}, asyncRecord(t), func(o *Options) {
		o.Scenario.Connections, o.ConnectionsGiven, o.Counts = 50, true, []int{1}
		var err error
		if o.Target, err = targets.Recognise(targets.Command{Argv: []string{"uvicorn", "--limit-concurrency", "20", "app:app"}, Env: os.Environ(), Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
	})
	r := run(t, s)
	single := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.Shape.Workers == 1 })
	if single < 0 || r.Trials[single].Outcome != Errors || r.Trials[single].Phases[0].SaturatedBy != "" || !strings.Contains(r.Trials[single].Detail, "of 50 connections it takes no more than 20 (--limit-concurrency)") {
		t.Errorf("got %+v", r.Trials)
	}
}

// waitress keeps connections beyond its limit waiting until they time out: none is opened.
func TestNoMoreConnectionsThanTheServerTakes(t *testing.T) {
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		t.Fatal(err)
	}
	target, err := targets.Recognise(targets.Command{Argv: []string{"waitress-serve", "app:app"}, Env: os.Environ(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for highest, want := range map[int]int{32: 64, 64: 96} {
		s, err := New(Options{
			Target: target, Scenario: scenario, Cores: 1, Limits: hold.None, Time: time.Minute, Highest: highest,
			Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1, Seed: 1, Arrivals: generator.Poisson, Dir: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Plan().Settings; got.Connections != want || got.ConnectionsAtFirst != 0 {
			t.Errorf("up to %d threads: %d connections, want %d", highest, got.Connections, want)
		}
	}
}

// One that dies of more connections is measured with those that it bears.
func TestServerThatDiesOfConnections(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.200, diesAt: 500}, asyncRecord(t), nil))
	if n := r.Plan.Settings.Connections; n >= 500 {
		t.Errorf("%d connections, of which it dies", n)
	}
	a := r.Advice()
	if !hasCode(a, CaveatConnectionLimit) || !hasCode(a, CaveatNotSaturated) || !anyWorked(r.Trials) {
		t.Errorf("caveats %v", a.Caveats)
	}
}

// As two workers and more of uvicorn stall they need hundreds of connections, of which one worker, that does not,
// answers less: 3,333/s to 64, a tenth less to 512. Each is driven by those that it answers most to.
func TestCountThatNeedsFewerConnections(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.0003, wait: 0.005, stall: 0.044, slows: 0.035}, asyncRecord(t), nil))
	common := r.Plan.Settings.Connections
	if common < 256 {
		t.Fatalf("%d connections: %+v", common, r.Plan.Saturation)
	}
	for _, trial := range r.Used() {
		full := trial.saturation()
		switch {
		case full == nil:
		case trial.Shape.Workers > 1 && full.Connections != common:
			t.Errorf("%d workers: %d connections, want %d", trial.Shape.Workers, full.Connections, common)
		case trial.Shape.Workers == 1 && (full.Connections > 64 || full.ThroughputRPS < 0.97*3333):
			t.Errorf("one worker: %.0f/s over %d connections", full.ThroughputRPS, full.Connections)
		}
	}
}

// Where 16 connections that wait 300 ms don't fill a server, 128 are answered in 300 ms too: a round is no longer for
// them. Where 64 fill it, 640 take ten times as long.
func TestRound(t *testing.T) {
	s := &Sweep{plan: Plan{Saturation: &Saturation{}}}
	f := model.Filling{Unloaded: 0.3, Levels: []model.Level{{Connections: 16, Throughput: 50, CPUShare: 0.01}}}
	if got := s.round(128, f); math.Abs(got-0.32) > 1e-9 {
		t.Errorf("not full: %g s", got)
	}
	f.Unloaded = 0.6 // five answers of a page that waits by chance
	if got := s.round(128, f); math.Abs(got-0.32) > 1e-9 {
		t.Errorf("the wait without load was seen too long: %g s", got)
	}
	f = model.Filling{Unloaded: 0.02, Levels: []model.Level{{Connections: 64, Throughput: 1000, CPUShare: 1}}}
	if got := s.round(640, f); math.Abs(got-0.64) > 1e-9 {
		t.Errorf("full: %g s", got)
	}
}

// A variant whose connections were looked for has slots that nobody knows, and no latency that a curve foresees.
func TestSearched(t *testing.T) {
	async, sync := Variant{Class: "eventlet", Threads: 1}, Variant{Class: "sync", Threads: 1}
	s := &Saturation{Searches: []ConnectionSearch{{Shape: async.At(8)}}}
	if !s.Searched(async) || s.Searched(sync) || (*Saturation)(nil).Searched(async) {
		t.Errorf("eventlet %t, sync %t", s.Searched(async), s.Searched(sync))
	}
}

// Each connection takes 1 MB of 300: the 500 that would fill the server don't fit.
func TestConnectionsThatDoNotFitInMemory(t *testing.T) {
	s := newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.100, eachTakes: 1 << 20}, asyncRecord(t), nil)
	s.limits.Memory = 300 << 20
	r := run(t, s)
	if n := r.Plan.Settings.Connections; n > 256 || n < 64 {
		t.Errorf("%d connections", n)
	}
	a := r.Advice()
	i := slices.IndexFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatNotSaturated })
	if i < 0 || !strings.Contains(a.Caveats[i].Message, "--mem") {
		t.Errorf("caveats %v", a.Caveats)
	}
}

// nginx takes two connections for each request that it passes on: what it refused is told, and by which setting.
func TestLimitThatIsReachedEarly(t *testing.T) {
	r := &Record{Plan: Plan{Saturation: &Saturation{Searches: []ConnectionSearch{{
		Shape: Shape{Workers: 1}, Limit: 512, LimitSetting: "worker_connections", Connections: 128,
		Tried: []Level{{Connections: 128, ThroughputRPS: 600}, {Connections: 512, FailedShare: 0.2, Failure: "closed early"}, {Connections: 320, FailedShare: 0.1, Failure: "closed early"}},
	}}}}}
	c := r.connectionLimit(model.Advice{Workers: 1})
	if c == nil || c.Figures["connections"] != 128 || !strings.Contains(c.Message, "closed connections beyond 128 (worker_connections)") {
		t.Errorf("got %+v", c)
	}
}

// Where waitress's limit decides what many threads do it is named.
func TestPlannedLimitIsNamed(t *testing.T) {
	s := newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020, limit: 1}, asyncRecord(t), func(o *Options) {
		var err error
		if o.Target, err = targets.Recognise(targets.Command{Argv: []string{"waitress-serve", "--connection-limit", "20", "app:app"}, Env: os.Environ(), Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		o.Counts = []int{8, 16}
	})
	a := run(t, s).Advice()
	i := slices.IndexFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatConnectionLimit })
	if i < 0 || !strings.Contains(a.Caveats[i].Message, "no more connections than 16 (--connection-limit)") {
		t.Errorf("advised %d: %v", a.Workers, a.Caveats)
	}
}

// 64 kept connections at 44 ms more each look as if they queued. They don't: more of them get more.
func TestStallIsNamedAndDoesNotDecide(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020, stall: 0.044}, asyncRecord(t), nil))
	a := r.Advice()
	i := slices.IndexFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatNagleStall })
	if i < 0 || math.Abs(a.Caveats[i].Figures["kept_seconds"]-0.0642) > 1e-4 || !strings.Contains(a.Caveats[i].Message, "TCP_NODELAY") {
		t.Errorf("caveats %v", a.Caveats)
	}
	for _, p := range a.Points {
		if math.Abs(p.Throughput-5000) > 150 {
			t.Errorf("%d workers: %.0f/s, want the 5,000 of the core", p.Workers, p.Throughput)
		}
	}
	a = run(t, newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020}, asyncRecord(t), nil)).Advice()
	if hasCode(a, CaveatNagleStall) {
		t.Errorf("without a stall: %v", a.Caveats)
	}
}

// What is known to serve one request at a time in each slot is driven as ever.
func TestBlockingServersNeedNoSearch(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	if r.Plan.Saturation != nil || r.Plan.Settings.ConnectionsAtFirst != 0 || r.Plan.Settings.Connections != 64 {
		t.Errorf("%d connections, %+v", r.Plan.Settings.Connections, r.Plan.Saturation)
	}
	for _, trial := range r.Trials {
		if full := trial.saturation(); full != nil && full.SaturatedBy != model.SaturatedSlots {
			t.Errorf("trial %d: saturated by %q", trial.ID, full.SaturatedBy)
		}
	}
}

// A record of before connections were looked for says nothing of whether they filled the server, and is
// read as it was.
func TestRecordsWithoutSaturationAreRead(t *testing.T) {
	r := run(t, newAsyncTest(t, &asyncServer{cpu: 0.0002, wait: 0.020}, asyncRecord(t), nil))
	text, err := os.ReadFile(filepath.Join(r.Dir, planFile))
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	delete(plan, "saturation")
	delete(plan["settings"].(map[string]any), "connections_at_first")
	if text, err = json.Marshal(plan); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, planFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	old, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if a := old.Advice(); !a.Made || hasCode(a, CaveatNotSaturated) || len(old.Used()) != len(r.Used()) {
		t.Errorf("made %t: %v", a.Made, a.Caveats)
	}
}

func TestMostConnections(t *testing.T) {
	for _, test := range []struct {
		files uint64
		ports int
		most  int
		bound string
	}{
		{1 << 20, 28232, mostConnections, BoundConnections},
		{1024, 28232, 1024 - filesBeside - 2, BoundOpenFiles},
		{1 << 20, 3000, 1000, BoundPorts},
		{10, 28232, 1, BoundOpenFiles},
	} {
		if most, bound := mostWithin(test.files, test.ports, 2); most != test.most || bound != test.bound {
			t.Errorf("%d files, %d ports: %d by %s, want %d by %s", test.files, test.ports, most, bound, test.most, test.bound)
		}
	}
}

func FuzzLocalPorts(f *testing.F) {
	for _, text := range []string{"32768\t60999\n", "", "1 65535", "60999 32768", "-1 5", "0 0", "a b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n := localPorts(text); n < 1 || n > 65535 {
			t.Errorf("%q: %d ports", text, n)
		}
	})
}

func hasCode(a model.Advice, code string) bool {
	return slices.ContainsFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == code })
}
