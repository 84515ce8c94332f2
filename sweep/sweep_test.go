package sweep

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/demo"
	"advise/targets/hold"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "attack":
			os.Exit(said(generator.Main(os.Stdin, os.Stdout, model.Steadiness{})))
		case "null-server":
			os.Exit(said(generator.NullMain(os.Stdin, os.Stdout)))
		case "guard":
			os.Exit(hold.Main(os.Stdin, os.Stdout))
		case "demo", "demo-worker":
			os.Exit(said(serve(os.Args[1], os.Args[2:])))
		case "busy":
			os.Exit(said(busy(os.Args[2])))
		case "hold-record":
			os.Exit(said(holdRecord(os.Args[2])))
		case "wait":
			os.Exit(said(waitForEnd()))
		}
	}
	goleak.VerifyTestMain(m)
}

// said is the exit code of a child, which says its error.
func said(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func serve(sub string, args []string) error {
	c, err := demo.ParseArgs(args)
	switch {
	case err != nil:
		return err
	case sub == "demo":
		return demo.Main(context.Background(), c, os.Stderr)
	}
	return demo.Worker(context.Background(), c)
}

// busyBound ends a busy process in any case.
const busyBound = 30 * time.Second

// busy uses up a core until standard input ends.
func busy(cpu string) error {
	id, err := strconv.Atoi(cpu)
	if err != nil {
		return err
	}
	stayOn([]int{id})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("busy")
	for began := time.Now(); ; {
		if time.Since(began) > busyBound {
			return nil
		}
	}
}

// closedServer answers as a server of known physics would: each request takes cpu seconds of its one
// core and wait seconds of waiting, and each thread of a worker serves one at a time.
type closedServer struct {
	cpu, wait   float64
	perWorker   int64            // bytes
	fails       map[int]error    // at these counts it does not start
	broken      map[string]error // nor with these classes
	preloads    error            // nor preloaded
	killedAbove int
	loading     int64 // what a worker takes while it starts, in bytes; 0: perWorker
	limit       int64 // of memory; 0: none
	unresizable int   // to this count it can't be changed live
	diesAt      int
	disturbs    func(start int) disturbs
	spread      func(workers, worker int) float64 // a worker's share; nil: even
	uneven      string                            // the class that spreads so, and answers but what one worker of it can; empty: all
	core        coreTimes
	clock       time.Time
	noise       *rand.Rand
	started     []int
	running     int
}

// disturbs are the shares of a window that others take from the core.
type disturbs struct{ stolen, others float64 }

type closedInstance struct {
	s       *closedServer
	workers int
	threads int
	class   string
	cores   float64
	cpu     time.Duration
	oom     uint64
	peak    int64 // of its start
	done    chan struct{}
}

func (s *closedServer) start(_ context.Context, shape Shape, _ string) (instance, error) {
	s.started = append(s.started, shape.Workers)
	if err := cmp.Or(s.fails[shape.Workers], s.broken[shape.Class]); err != nil {
		return nil, err
	}
	peak := s.peak(shape.Workers, shape.Workers)
	if shape.Preload == targets.PreloadOn {
		if s.preloads != nil {
			return nil, s.preloads
		}
		peak = s.peak(shape.Workers, 1)
	}
	if s.limit > 0 && peak > s.limit {
		return nil, &targets.StartError{Kind: targets.KindKilledForMemory, Workers: shape.Workers, MemoryPeak: s.limit, Err: errors.New("killed for memory")}
	}
	s.running++
	return &closedInstance{peak: peak, s: s, workers: shape.Workers, threads: max(shape.Threads, 1), class: shape.Class, cores: 1, done: make(chan struct{})}, nil
}

// cached is what the fake has read of files, in bytes.
const cached = 5 << 20

// base is what the fake's master takes, in bytes.
const base = 20 << 20

// peak is the memory while so many of the workers load at once.
func (s *closedServer) peak(workers, loading int) int64 {
	return base + int64(workers-loading)*s.perWorker + int64(loading)*max(s.loading, s.perWorker)
}

func (i *closedInstance) URL() string                { return "http://127.0.0.1:1" }
func (i *closedInstance) StartupTime() time.Duration { return 300 * time.Millisecond }
func (i *closedInstance) Workers() (int, error)      { return i.workers, nil }
func (i *closedInstance) Done() <-chan struct{}      { return i.done }

// WorkerProcesses share the CPU time as the server spreads it: evenly, or as its test says.
func (i *closedInstance) WorkerProcesses() ([]hold.Process, error) {
	list := make([]hold.Process, i.workers)
	for k := range list {
		share := 1 / float64(i.workers)
		if i.s.spread != nil && (i.s.uneven == "" || i.s.uneven == i.class) {
			share = i.s.spread(i.workers, k)
		}
		list[k] = hold.Process{PID: 100 + k, CPU: time.Duration(share * float64(i.cpu))}
	}
	return list, nil
}

func (i *closedInstance) Requests(context.Context) map[int]uint64 { return nil }
func (i *closedInstance) Exit() (hold.Exit, bool)                 { return hold.Exit{Code: 1}, true }
func (i *closedInstance) LastWords() []string                     { return []string{"out of luck"} }
func (i *closedInstance) Stop(context.Context) error              { i.s.running--; return nil }

func (i *closedInstance) Usage() (hold.Usage, error) {
	return hold.Usage{
		CPU: i.cpu, Counted: true, HasMemory: true, OOMKills: i.oom,
		MemoryCharged: base + int64(i.workers)*i.s.perWorker + cached, MemoryCache: cached, MemoryPeak: i.peak + cached,
	}, nil
}

func (i *closedInstance) Memory() (hold.Memory, error) {
	return hold.Memory{PSS: base + int64(i.workers)*i.s.perWorker, Exact: true}, nil
}

// attack is the generator's part of the same physics; nothing is sent.
func (s *closedServer) attack(of func() *closedInstance) attackFunc {
	return func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		i := of()
		n := float64(i.workers * i.threads)
		if s.uneven != "" && s.uneven == i.class {
			n = float64(i.threads)
		}
		rate := math.Min(n/(s.cpu+s.wait), i.cores/s.cpu) * (1 + 0.02*s.noise.NormFloat64())
		if a.Rate > 0 {
			rate = math.Min(rate, a.Rate)
		}
		a.Window = max(a.Window, min(a.WindowLimit, time.Duration(float64(a.WindowAnswers)/rate*float64(time.Second))))
		ok := uint64(rate * a.Window.Seconds())
		if s.killedAbove > 0 && i.workers > s.killedAbove {
			i.oom++
		}
		if i.workers == s.diesAt {
			close(i.done)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		tell(generator.Progress{Event: generator.WindowStarted})
		var taken disturbs
		if s.disturbs != nil {
			taken = s.disturbs(len(s.started))
			rate *= 1 - taken.stolen - taken.others
			ok = uint64(rate * a.Window.Seconds())
		}
		used := time.Duration(rate * a.Window.Seconds() * s.cpu * float64(time.Second)) // for parts of requests too
		i.cpu += used
		s.pass(a.Window, used, taken)
		tell(generator.Progress{Event: generator.WindowEnded, OK: ok})
		return &generator.Summary{
			WindowSeconds: a.Window.Seconds(), ThroughputRPS: rate, Planned: max(ok, uint64(a.Rate*a.Window.Seconds())), Sent: ok, OK: ok, OKTotal: ok,
			Sustained: true, Steady: true, Verdict: generator.VerdictOK, Latency: generator.Latency{P50: n / rate, P95: n / rate},
		}, nil
	}
}

// pass lets a window go by on the machine.
func (s *closedServer) pass(window, used time.Duration, taken disturbs) {
	stolen, others := time.Duration(taken.stolen*float64(window)), time.Duration(taken.others*float64(window))
	s.clock = s.clock.Add(window)
	s.core.total += window
	s.core.stolen += stolen
	s.core.idle += max(window-used-stolen-others, 0)
}

func (s *closedServer) machine() reading {
	core := s.core
	core.cores = 1
	return reading{at: s.clock, server: &core, generator: &coreTimes{cores: 1, total: core.total, idle: core.total}}
}

// newTest is a sweep of that server, in one core, with its record in dir.
func newTest(t *testing.T, s *closedServer, change func(*Options)) *Sweep {
	t.Helper()
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Target: targets.Demo(nil, nil, t.TempDir()), Scenario: scenario, Cores: 1, Limits: hold.None,
		Time: time.Minute, Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1, Seed: 1, Arrivals: generator.Poisson,
		Dir: filepath.Join(t.TempDir(), "record"),
	}
	if change != nil {
		change(&o)
	}
	sweep, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	sweep.calibrate = func(context.Context) (*generator.Calibration, error) {
		return &generator.Calibration{CeilingRPS: 1e5}, nil
	}
	s.noise = rand.New(rand.NewPCG(uint64(o.Seed), 0))
	var last *closedInstance
	launch := func(cores float64) launcherFunc {
		return func(ctx context.Context, shape Shape, log string) (instance, error) {
			i, err := s.start(ctx, shape, log)
			if err == nil {
				last = i.(*closedInstance)
				last.cores = cores
			}
			return i, err
		}
	}
	sweep.launcher = launch(1)
	if len(o.PredictCores) > 0 { // as it is where half a core can be held
		sweep.fewer = &fewerCores{cores: 0.5, launcher: launch(0.5)}
	}
	sweep.attack = s.attack(func() *closedInstance { return last })
	sweep.machine = s.machine
	sweep.limits.CPUs = []int{0} // what else is used there is not the server's
	return sweep
}

type launcherFunc func(ctx context.Context, shape Shape, log string) (instance, error)

func (f launcherFunc) start(ctx context.Context, shape Shape, log string) (instance, error) {
	return f(ctx, shape, log)
}

func run(t *testing.T, s *Sweep) *Record {
	t.Helper()
	r, err := s.Run(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With 2 ms of CPU and 8 ms of waiting, five workers use the whole of one core: N/(c+w) = 1/c.
func TestSweepFindsTheKneeOfKnownPhysics(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, perWorker: 30 << 20}
	r := run(t, newTest(t, server, nil))
	a := r.Advice()
	if !a.Made || a.Workers != 5 {
		t.Errorf("recommended %d (made: %t), want 5: %v", a.Workers, a.Made, a.Caveats)
	}
	if !slices.Contains(server.started, 3) {
		t.Errorf("measured %v, without the rule of thumb's 3", server.started)
	}
	if server.running != 0 {
		t.Errorf("%d instances were not stopped", server.running)
	}
	for _, trial := range r.Trials { // those below full load too
		if trial.Generator.Verdict == "" {
			t.Errorf("trial %d: no verdict on the generator", trial.ID)
		}
		if got := trial.Server.CPUSecondsPerRequest; math.Abs(got-0.002) > 3e-5 { // 1 worker answers 100: one more or less
			t.Errorf("trial %d: %.6f CPU seconds per request, want 0.002", trial.ID, got)
		}
	}
}

// When the search is over, its choice and the rule of thumb run in alternation, three times each, and
// then latency is measured at both and beside the choice, at shares of what the choice answers.
func TestChoiceIsConfirmed(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	var confirmed, latency []int
	for i, trial := range r.Trials {
		switch trial.Purpose {
		case model.PurposeConfirm:
			confirmed = append(confirmed, trial.Shape.Workers)
		case model.PurposeLatency:
			latency = append(latency, trial.Shape.Workers)
			for k, phase := range trial.Phases {
				share := model.LatencyShares[k]
				if phase.Kind != PhaseShare || phase.CapacityShare != share || math.Abs(phase.RatePlannedRPS-share*500) > 0.05*500 {
					t.Errorf("trial %d, phase %d: %s at %.0f/s, want %.0f %% of about 500/s", trial.ID, k, phase.Kind, phase.RatePlannedRPS, 100*share)
				}
			}
		case model.PurposeSearch:
			if len(confirmed)+len(latency) > 0 {
				t.Errorf("trial %d searches after the search", i+1)
			}
		}
	}
	if want := []int{5, 3, 5, 3, 5, 3}; !slices.Equal(confirmed, want) {
		t.Errorf("confirmed by %v, want %v", confirmed, want)
	}
	if len(latency) != 4 || latency[0] != 5 || latency[1] != 3 {
		t.Errorf("latency measured at %v, want 5, 3 and the counts beside 5", latency)
	}
	// 3 workers of 10 ms answer 300/s, 5 fill the core with 500/s.
	if c := r.Advice().RuleOfThumb; !c.Confirmed || c.Restarts != 3 || math.Abs(c.Ratio-500.0/300) > 0.1 {
		t.Errorf("compared by %+v, want 1.67 from three restarts each", c)
	}
}

// A page of half a second on one core is answered as often by one worker as by eight, and the windows of a
// minute's sweep hold a dozen answers: that is said, and no count is ruled out by it.
func TestFewAnswersAreSaid(t *testing.T) {
	few := func(server *closedServer) (model.Advice, *model.Caveat) {
		r := run(t, newTest(t, server, func(o *Options) { o.Counts, o.Least = []int{1, 2, 3, 4}, 1 }))
		for _, trial := range r.Trials {
			if full := trial.saturation(); full != nil && math.Abs(trial.Server.CPUSecondsPerRequest-server.cpu) > 0.1*server.cpu {
				t.Errorf("trial %d: %g CPU seconds per request from %d answers", trial.ID, trial.Server.CPUSecondsPerRequest, full.OK)
			}
		}
		return r.Advice(), caveatOf(r.Advice(), CaveatFewAnswers)
	}
	a, c := few(&closedServer{cpu: 0.5})
	if a.Workers != 1 || a.Low != 1 {
		t.Errorf("recommended %d (%d to %d), want 1", a.Workers, a.Low, a.High)
	}
	if c == nil || math.Abs(c.Figures["answers"]-12) > 1 || c.Figures["window_seconds"] != 6 {
		t.Fatalf("caveat %+v, want 12 answers in 6 s", c)
	}
	// 25 for each worker take 12.5 s for each, a tenth of the time.
	minutes := math.Ceil(c.Figures["workers"] * 12.5 * 10 / 60)
	if c.Figures["time_seconds"] != 60*minutes || !strings.Contains(c.Message, fmt.Sprintf("--time %.0fm", minutes)) {
		t.Errorf("caveat %+v, want --time %.0fm", c, minutes)
	}
	// Two variants share the time.
	r := run(t, newTest(t, &closedServer{cpu: 0.5}, func(o *Options) {
		o.Counts, o.Variants = []int{1, 2}, []Variant{{Class: "gevent", Threads: 1}, {Class: "sync", Threads: 1}}
	}))
	if c = caveatOf(r.Advice(), CaveatFewAnswers); c == nil || c.Figures["time_seconds"] != 60*math.Ceil(2*c.Figures["workers"]*12.5*10/60) {
		t.Errorf("of two variants: caveat %+v", c)
	}
	// At 3 s each, a minute's window does not do either.
	if _, c := few(&closedServer{cpu: 3}); c == nil || c.Figures["time_seconds"] != 0 || !strings.Contains(c.Message, "quicker page") {
		t.Errorf("caveat %+v", c)
	}
	// At 20 ms, 25 for each of four workers are two seconds' work.
	if _, c := few(&closedServer{cpu: 0.02}); c != nil {
		t.Errorf("caveat %+v", c)
	}
}

// A warm-up that ended before each worker had had its requests is known by it: memory was read at less work.
func TestLimitedWarmupIsKept(t *testing.T) {
	for _, limited := range []bool{true, false} {
		p := phaseOf(load{kind: PhaseSaturation}, generator.Attack{}, &generator.Summary{WarmupLimited: limited}, 0.95)
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(line, []byte(`"warmup_limited":true`)); got != limited {
			t.Errorf("limited: %t, want %t: %s", got, limited, line)
		}
	}
}

// Time for confirmation is kept while the search could still use it, and is not begun in vain.
func TestTimeForConfirmationIsKept(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)
	r := run(t, s)
	searched := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.Purpose != model.PurposeSearch })
	r.Trials = r.Trials[:5] // the first look alone
	for i := range r.Trials {
		r.Trials[i].ElapsedSeconds = 4
	}
	one := s.expected(model.Step{Workers: 3}, r.Trials)
	if step := s.next(r, time.Minute); searched <= 5 || step.Purpose != model.PurposeSearch || step.Done {
		t.Errorf("with a minute left: %+v, want to search on", step)
	}
	if step := s.next(r, 5*one); step.Purpose != model.PurposeSearch || step.Done {
		t.Errorf("six restarts take half of this sweep's minute: %+v, want none kept for them", step)
	}
	s.options.Time = 2 * time.Minute
	if step := s.next(r, 13*one/2); step.Purpose != model.PurposeConfirm || step.Left != 6 {
		t.Errorf("with time for six restarts of two minutes: %+v, want to confirm", step)
	}
	if step := s.next(r, 5*one); step.Purpose != model.PurposeSearch || step.Done {
		t.Errorf("with time for five restarts, which confirm nothing: %+v, want to search on", step)
	}
	if step := s.next(r, one/2); !step.Done {
		t.Errorf("with time for half a restart: %+v, want the end", step)
	}
	// Counts that the user listed are all looked at first.
	r.Trials = r.Trials[:3]
	if step := s.next(r, 2*one); step.Purpose != model.PurposeSearch || step.Done {
		t.Errorf("with two counts not looked at and time for two restarts: %+v, want to look", step)
	}
}

// What never settles is said, and a single window that chance made look so is not.
func TestNotSteadyIsACaveat(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	recommended := r.Advice().Workers
	unsettle := func(which func(nth int, t Trial) bool) *model.Caveat {
		at := map[int]int{}
		for i := range r.Trials {
			if p := r.Trials[i].saturation(); p != nil {
				p.Steady = !which(at[r.Trials[i].Shape.Workers], r.Trials[i])
				p.TrendShare = -0.12
				at[r.Trials[i].Shape.Workers]++
			}
		}
		return caveatOf(r.Advice(), CaveatNotSteady)
	}
	if c := unsettle(func(int, Trial) bool { return false }); c != nil {
		t.Errorf("all are steady: %+v", c)
	}
	if c := unsettle(func(nth int, t Trial) bool { return t.Shape.Workers == recommended && nth == 0 }); c != nil {
		t.Errorf("one of several at the recommended count is not: %+v", c)
	}
	if c := unsettle(func(nth int, t Trial) bool { return t.Shape.Workers == recommended && nth < 2 }); c == nil ||
		c.Figures["restarts_decisive"] != 2 || c.Figures["restarts"] != 2 || !strings.Contains(c.Message, "2 of them at the recommended count") {
		t.Errorf("two at the recommended count are not: %+v", c)
	}
	if c := unsettle(func(nth int, _ Trial) bool { return nth%2 == 0 }); c == nil || c.Figures["trend_share"] != -0.12 || !strings.Contains(c.Message, "-12 %") {
		t.Errorf("every other one is not: %+v", c)
	}
}

// The ceiling of the calibration is what every phase is judged by, and one that is in the record is not
// measured again.
func TestCalibrationIsKeptAndUsed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, func(o *Options) {
		o.Progress = func(e Event) {
			if e.Trial == 2 {
				cancel()
			}
		}
	})
	drive, ceilings := s.attack, map[float64]bool{}
	s.attack = func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		ceilings[a.CeilingRPS] = true
		return drive(ctx, a, tell)
	}
	if _, err := s.Run(ctx, t.Context()); !errors.Is(err, context.Canceled) {
		t.Fatalf("err is %v", err)
	}
	if len(ceilings) != 1 || !ceilings[1e5] {
		t.Errorf("phases were judged by %v, want the calibration's 100,000", ceilings)
	}
	r, err := Open(s.options.Dir)
	if err != nil || r.Calibration == nil || r.Calibration.CeilingRPS != 1e5 {
		t.Fatalf("the record has %+v, %v", r, err)
	}
	again := newTest(t, server, func(o *Options) { o.Dir, o.Target.Command.Dir = r.Dir, r.Plan.Target.Workdir })
	again.calibrate = func(context.Context) (*generator.Calibration, error) {
		t.Error("calibrated once more")
		return r.Calibration, nil
	}
	if err := again.Resume(r); err != nil {
		t.Fatal(err)
	}
	run(t, again)
}

// What others take makes a restart slower by as much: it is measured again, and does not move the knee.
func TestDisturbedRestartsAreRepeated(t *testing.T) {
	for name, by := range map[string]disturbs{"stolen": {stolen: 0.4}, "others": {others: 0.4}} {
		server := &closedServer{cpu: 0.002, wait: 0.008, disturbs: func(start int) disturbs {
			if start%5 == 0 {
				return by
			}
			return disturbs{}
		}}
		r := run(t, newTest(t, server, nil))
		a := r.Advice()
		if a.Workers != 5 {
			t.Errorf("%s: recommended %d, want 5", name, a.Workers)
		}
		if c := caveatOf(a, CaveatDisturbed); c != nil {
			t.Errorf("%s: a caveat on what was repeated: %v", name, c)
		}
		disturbed := 0
		for _, trial := range r.Trials {
			if by := trial.DisturbedBy(); len(by) > 0 {
				disturbed++
				if !strings.HasPrefix(string(by[0].Code), name) || math.Abs(by[0].Share-0.4) > 0.02 {
					t.Errorf("%s: trial %d was disturbed by %v", name, trial.ID, by)
				}
			}
		}
		if disturbed == 0 || len(r.Observations()) != len(r.Trials)-disturbed {
			t.Errorf("%s: %d of %d trials are disturbed, %d are used", name, disturbed, len(r.Trials), len(r.Observations()))
		}
	}
}

// So is latency below full load that was disturbed: the repeat is what counts. Without one it is told.
func TestDisturbedLatencyIsRepeated(t *testing.T) {
	latencyTrials := func(r *Record) (ids []int) {
		for _, t := range r.Trials {
			if t.Purpose == model.PurposeLatency {
				ids = append(ids, t.ID)
			}
		}
		return ids
	}
	before := latencyTrials(run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)))
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008, disturbs: func(start int) disturbs {
		if start == before[0] {
			return disturbs{stolen: 0.5}
		}
		return disturbs{}
	}}, nil))
	ids := latencyTrials(r)
	if len(ids) != len(before)+1 || ids[0] != before[0] || r.Trials[ids[0]-1].Shape != r.Trials[ids[1]-1].Shape {
		t.Errorf("latency was measured by trials %v, want %v and the first once more", ids, before)
	}
	if slices.ContainsFunc(r.Used(), func(t Trial) bool { return t.ID == before[0] }) {
		t.Error("the disturbed one is used beside its repeat")
	}
	if c := caveatOf(r.Advice(), CaveatDisturbed); c != nil {
		t.Errorf("a caveat on what was repeated: %v", c)
	}
	r.Trials = r.Trials[:before[0]] // the time was up
	if c := caveatOf(r.Advice(), CaveatDisturbed); c == nil || c.Figures["restarts"] != 1 || math.Abs(c.Figures["stolen_share"]-0.5) > 0.02 {
		t.Errorf("caveat %+v, want one restart with half of the core stolen", c)
	}
}

// A machine that is never quiet gets its advice, with the caveat. A process that is always there costs
// two restarts: each repeat follows at once, and after two in vain there are no more.
func TestAlwaysDisturbed(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, disturbs: func(int) disturbs { return disturbs{others: 0.1} }}
	r := run(t, newTest(t, server, nil))
	a := r.Advice()
	if !a.Made || a.Workers < 4 || a.Workers > 5 {
		// With a tenth of the core gone, N/(c+w) meets 0.9/c at 4.5 workers.
		t.Errorf("made: %t, %d workers, want 4 or 5", a.Made, a.Workers)
	}
	c := caveatOf(a, CaveatDisturbed)
	if c == nil || math.Abs(c.Figures["others_cpu_share"]-0.1) > 0.005 || c.Figures["restarts"] != float64(len(r.Observations())) ||
		!strings.Contains(c.Message, "other processes used 10 % of the server's cores") || !strings.Contains(c.Message, "the machine is like this") {
		t.Errorf("caveat %+v", c)
	}
	if used, resigned := sift(r.Trials); !resigned || len(r.Trials)-len(used) != 2 {
		t.Errorf("resigned: %t; %d of %d trials set aside, want 2", resigned, len(r.Trials)-len(used), len(r.Trials))
	}
}

// With 2 ms of CPU and 8 ms of waiting, four workers leave a fifth of the core unused, and six nothing:
// there it costs nothing when one does more.
func TestUnevenWorkers(t *testing.T) {
	spread := func(at int) func(n, k int) float64 {
		return func(n, k int) float64 {
			switch {
			case n != at:
				return 1 / float64(n)
			case k == 1:
				return 0.61
			}
			return 0.39 / float64(n-1)
		}
	}
	uneven := func(at int) (*Record, *model.Caveat) {
		server := &closedServer{cpu: 0.002, wait: 0.008, spread: spread(at)}
		r := run(t, newTest(t, server, func(o *Options) { o.Counts = []int{1, 2, 4, 6} }))
		return r, caveatOf(r.Advice(), CaveatUnevenWorkers)
	}
	r, c := uneven(4)
	if c == nil || c.Figures["workers"] != 4 || math.Abs(c.Figures["share"]-0.61) > 0.01 ||
		!strings.Contains(c.Message, "One of 4 workers took 61 % of the CPU time") {
		t.Errorf("caveat %+v", c)
	}
	for _, trial := range r.Trials {
		list := trial.Server.PerWorker
		if trial.Purpose == model.PurposeLatency {
			continue
		}
		if len(list) != trial.Shape.Workers || trial.Shape.Workers == 4 && list[0].pid != 101 {
			t.Errorf("trial %d with %d workers: %+v", trial.ID, trial.Shape.Workers, list)
		}
	}
	for _, n := range []int{6, 0} {
		if _, c := uneven(n); c != nil {
			t.Errorf("uneven at %d: %+v", n, c)
		}
	}
}

// Luck that is bad at first does not decide: connections are opened anew until they are spread evenly.
func TestUnevenConnectionsAreOpenedAnew(t *testing.T) {
	var s *Sweep
	attacks := map[int]int{} // by trial, of full load
	server := &closedServer{cpu: 0.002, wait: 0.008, spread: func(n, k int) float64 {
		if n == 4 && attacks[len(attacks)-1] == 1 {
			return []float64{0.61, 0.13, 0.13, 0.13}[k]
		}
		return 1 / float64(n)
	}}
	s = newTest(t, server, func(o *Options) { o.Counts = []int{1, 2, 4, 6} })
	attack := s.attack
	s.attack = func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		if a.Rate == 0 {
			attacks[len(server.started)-1]++
		}
		return attack(ctx, a, tell)
	}
	r := run(t, s)
	n := 0
	for _, trial := range r.Trials {
		if trial.Reopened == nil {
			continue
		}
		n++
		if trial.Shape.Workers != 4 || trial.Reopened.Times != 1 || !trial.Reopened.Even || math.Abs(trial.Reopened.Share-0.61) > 0.01 ||
			*trial.Server.PerWorker[0].Share() > 0.26 || len(trial.Phases) != 1 {
			t.Errorf("trial %d: %+v with %d phases", trial.ID, trial.Reopened, len(trial.Phases))
		}
	}
	c := caveatOf(r.Advice(), CaveatUnevenWorkers)
	if n == 0 || c == nil || math.Abs(c.Figures["share"]-0.61) > 0.01 || !strings.Contains(c.Message, "Opened anew they did") || c.Figures["busiest_seldom"] <= c.Figures["busiest_usual"] {
		t.Errorf("%d restarts, caveat %+v", n, c)
	}
}

// A counter that stands still, is gone or begins anew tells nothing; a worker that is new had none.
func TestSharesOf(t *testing.T) {
	type counts = map[int]uint64
	for name, c := range map[string]struct {
		before, after counts
		want          map[int]float64
	}{
		"halves":        {counts{1: 10, 2: 10}, counts{1: 20, 2: 20}, map[int]float64{1: 0.5, 2: 0.5}},
		"a new one":     {counts{1: 10}, counts{1: 13, 2: 1}, map[int]float64{1: 0.75, 2: 0.25}},
		"one has ended": {counts{1: 10, 2: 10}, counts{1: 20}, nil},
		"begun anew":    {counts{1: 10}, counts{1: 2}, nil},
		"nothing done":  {counts{1: 10}, counts{1: 10}, nil},
		"none":          {nil, nil, nil},
	} {
		got, ok := sharesOf(c.before, c.after)
		if ok != (c.want != nil) || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, %t, want %v", name, got, ok, c.want)
		}
	}
}

// A server that has counted too few of the requests tells of an earlier time: Puma's workers report
// every five seconds.
func TestRequestsOfAnEarlierTimeAreNotUsed(t *testing.T) {
	for answered, told := range map[uint64]bool{100: true, 110: true, 200: false} {
		s := Server{PerWorker: []Worker{{pid: 1}, {pid: 2}}}
		s.count(map[int]uint64{1: 5, 2: 5}, map[int]uint64{1: 25, 2: 85}, answered)
		if share := s.PerWorker[0].RequestsShare; told != (share != nil) || told && (*share != 0.8 || s.PerWorker[0].pid != 2) {
			t.Errorf("of %d answered: %+v", answered, s.PerWorker)
		}
	}
}

// fifteenLatencies is a generator's histogram of 30, 60 and so on to 450 ms, whose median is the eighth.
const fifteenLatencies = "HISTFAAAAEZ42pJpmSzMwMCgywABzFCaEYTXqnsw2H+ACCyNZfrLz3SZg2k5O9NfFqbLzEwXmUHkZGam54xMLxlBJBwBAgAA//81bREC"

// The probes go out once in each phase of full load, beside it, on connections of their own, and come out
// together for a count.
func TestProbes(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, func(o *Options) { o.Counts, o.Probe = []int{1, 2}, "/health" })
	var asked []generator.Attack
	s.attackBeside = func(_ context.Context, a generator.Attack, _ func(generator.Progress)) (*generator.Summary, error) {
		asked = append(asked, a) // trials come one after the other, and each waits for its probes
		return &generator.Summary{OK: 9, Failed: 1, Histogram: fifteenLatencies}, a.Validate()
	}
	r := run(t, s)
	phases := 0
	for _, trial := range r.Trials {
		for _, p := range trial.Phases {
			if full := p.Kind == PhaseSaturation; full != (p.Probe != nil) {
				t.Errorf("trial %d, %s: probe %+v", trial.ID, p.Kind, p.Probe)
			} else if full {
				phases++
			}
		}
	}
	if phases == 0 || len(asked) != phases {
		t.Fatalf("probed %d times in %d phases", len(asked), phases)
	}
	a := asked[0]
	if a.Rate != probeRate || a.Requests[0].Path != "/health" || a.Requests[0].Header.Get("Connection") != "close" || a.Connections < int(probeRate*a.Timeout.Seconds()) {
		t.Errorf("asked by %+v", a)
	}
	if p := r.Probes(2); p == nil || p.Path != "/health" || p.OK < 9 || math.Abs(p.Latency.P50-0.24) > 0.001 || math.Abs(p.Latency.Max-0.45) > 0.001 {
		t.Errorf("together %+v", p)
	}
	if p := r.Probes(7); p != nil {
		t.Errorf("at a count that was not measured: %+v", p)
	}
	if _, err := New(Options{
		Target: targets.Demo(nil, nil, t.TempDir()), Scenario: s.options.Scenario, Cores: 1, Limits: hold.None,
		Time: time.Minute, Tolerance: 0.05, Confidence: 0.95, Arrivals: generator.Poisson, Probe: "health",
	}); err == nil || !strings.Contains(err.Error(), "/health") {
		t.Errorf("a probe that is no path: %v", err)
	}
}

func (i *closedInstance) Resize(_ context.Context, workers int) error {
	if i.s.unresizable == workers {
		return targets.ErrNotLive
	}
	i.peak = max(i.peak, i.s.peak(workers, max(workers-i.workers, 0)))
	if i.s.limit > 0 && i.peak > i.s.limit {
		i.oom++
	}
	i.workers = workers
	return nil
}

// Live, the first count is started and the others are changes, but for the first confirmation of each of
// the two counts. One that can't be changed to is started. The physics know no warmth: no difference.
func TestLive(t *testing.T) {
	for unresizable, want := range map[int][]int{0: {5, 3}, 16: {16, 5, 3}} {
		server := &closedServer{cpu: 0.002, wait: 0.008, unresizable: unresizable}
		s := newTest(t, server, nil)
		s.options.Live, s.plan.Settings.Live = true, true
		r := run(t, s)
		if a := r.Advice(); a.Workers != 5 {
			t.Errorf("recommended %d, want 5", a.Workers)
		}
		first := r.Trials[0].Shape.Workers
		var started []int
		for _, trial := range r.Trials[1:] {
			if !trial.Live {
				started = append(started, trial.Shape.Workers)
			}
		}
		if first != unresizable { // which may come more than once
			started = slices.Compact(started)
			if len(started) < 2 || !slices.Equal(started[len(started)-2:], []int{5, 3}) || unresizable == 0 && !slices.Equal(started, want) {
				t.Errorf("started %v after the first, want %v", started, want)
			}
		}
		if server.running != 0 {
			t.Errorf("%d instances were not stopped", server.running)
		}
		l := r.Live(5)
		if l == nil || l.Restarts == 0 || l.Changes == 0 || l.DifferenceShare == nil || math.Abs(*l.DifferenceShare) > 0.1 {
			t.Errorf("compared %+v", l)
		}
	}
}

// The demo server can't, and is told who can.
func TestLiveIsRefused(t *testing.T) {
	err := checkLive(targets.Demo(nil, nil, t.TempDir()))
	if !errors.Is(err, targets.ErrNotLive) || !strings.Contains(err.Error(), "gunicorn") || strings.Contains(err.Error(), "waitress") {
		t.Errorf("got %v", err)
	}
}

// Each row is a history: a count for an undisturbed trial, a negative one for a disturbed one, one with
// 100 added for a trial of latency, which repeats none of full load.
func TestDisturbedTrialsAreSetAside(t *testing.T) {
	for _, c := range []struct {
		name     string
		history  []int
		used     []int
		resigned bool
	}{
		{"quiet", []int{1, 2, 1}, []int{1, 2, 1}, false},
		{"repeated once", []int{-1, 2, 1}, []int{2, 1}, false},
		{"the repeat is kept", []int{-1, -1}, []int{-1}, false},
		{"every time anew", []int{-1, 1, -1, 1, -1}, []int{1, 1}, false},
		{"each count on its own", []int{-1, -2, 1, 2}, []int{1, 2}, false},
		{"two repeats in vain", []int{-1, -2, -2, -1, -4, -8, 8}, []int{-2, -1, -4, -8, 8}, true},
		{"no repeat of it", []int{-1, 101, -1, -1}, []int{1, -1, -1}, true},
		{"of one count", []int{-1, -1, -1, -2}, []int{-1, -1, -2}, true},
	} {
		share := 0.5
		trial := func(n int) Trial {
			switch {
			case n > 100:
				return Trial{Shape: Shape{Workers: n - 100}, Purpose: model.PurposeLatency, Outcome: OK, Phases: []Phase{{Kind: PhaseShare}}}
			case n > 0:
				return Trial{Shape: Shape{Workers: n}, Outcome: OK, Phases: []Phase{{Kind: PhaseSaturation}}}
			}
			return Trial{Shape: Shape{Workers: -n}, Outcome: OK, Phases: []Phase{
				{Kind: PhaseRate},
				{Kind: PhaseSaturation, Disturbance: &Disturbance{OthersCPUShare: &share}},
			}}
		}
		var trials []Trial
		for _, n := range c.history {
			trials = append(trials, trial(n))
		}
		used, resigned := sift(trials)
		var got []int
		for _, u := range used {
			n := u.Shape.Workers
			if u.Disturbed() {
				n = -n
			}
			got = append(got, n)
		}
		if !slices.Equal(got, c.used) || resigned != c.resigned {
			t.Errorf("%s: %v, resigned: %t", c.name, got, resigned)
		}
	}
}

func caveatOf(a model.Advice, code string) *model.Caveat {
	i := slices.IndexFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == code })
	if i < 0 {
		return nil
	}
	return &a.Caveats[i]
}

func TestRecordIsReadBackAsItWasMeasured(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	read, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := json.Marshal(r)
	is, _ := json.Marshal(read)
	if string(was) != string(is) {
		t.Errorf("read back otherwise:\n%s\n%s", was, is)
	}
}

// A count that fails is a result: the sweep goes on and the others carry the recommendation.
func TestFailedCountsAreResults(t *testing.T) {
	refuse := &targets.StartError{Kind: targets.KindExited, Err: errors.New("exit code 3")}
	for want, server := range map[Outcome]*closedServer{
		NotStarted:      {fails: map[int]error{7: refuse, 8: refuse}},
		KilledForMemory: {killedAbove: 6},
		Died:            {diesAt: 8},
	} {
		server.cpu, server.wait, server.perWorker = 0.002, 0.008, 30<<20
		r := run(t, newTest(t, server, nil))
		seen := 0
		for _, trial := range r.Trials {
			if trial.Outcome == want {
				seen++
			} else if trial.Outcome != OK {
				t.Errorf("%s: trial %d ended as %s", want, trial.ID, trial.Outcome)
			}
			if trial.Outcome != OK && trial.Detail == "" || trial.Outcome == Died && !strings.HasSuffix(trial.Detail, "exit code 1: out of luck") {
				t.Errorf("%s: trial %d does not say why: %q", want, trial.ID, trial.Detail)
			}
		}
		if seen == 0 {
			t.Errorf("%s: no trial ended so", want)
		}
		if used := r.Used(); len(used) != len(r.Trials) {
			t.Errorf("%s: %d of %d trials are used, want each once", want, len(used), len(r.Trials))
		}
		if a := r.Advice(); a.Workers != 5 {
			t.Errorf("%s: recommended %d, want the 5 that work", want, a.Workers)
		}
		if server.running != 0 {
			t.Errorf("%s: %d instances were not stopped", want, server.running)
		}
	}
}

// When the smallest count does not start, no count does: the error is the server's.
func TestServerThatNeverStartsEndsTheSweep(t *testing.T) {
	refuse := &targets.StartError{Kind: targets.KindExited, Err: errors.New("exit code 3")}
	server := &closedServer{cpu: 1, fails: map[int]error{}}
	for n := range 100 {
		server.fails[n] = refuse
	}
	s := newTest(t, server, nil)
	r, err := s.Run(t.Context(), t.Context())
	if !errors.Is(err, error(refuse)) {
		t.Errorf("err is %v, want the server's own", err)
	}
	if len(r.Trials) > 2 {
		t.Errorf("%d restarts of a server that does not start", len(r.Trials))
	}
}

func TestTimeIsKept(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Time = 20 * time.Second })
	trials := []Trial{{Shape: Shape{Workers: 2}, Outcome: OK, ElapsedSeconds: 19}}
	if got := s.expected(model.Step{Workers: 2}, trials); got <= time.Second {
		t.Errorf("a restart that took 19 s is expected to take %s", got)
	}
}

// What a kill leaves is a record with whole trials and part of a line; going on with it ends as an
// undisturbed sweep does.
func TestResumeAfterAKillAtAnyByte(t *testing.T) {
	whole := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	plan, err := os.ReadFile(filepath.Join(whole.Dir, planFile))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(whole.Dir, trialsFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for cut := range len(lines[0]) + len(lines[1]) + 2 {
		trials, damaged, _ := parseTrials(text[:cut])
		if want := bytes.Count(text[:cut], []byte("\n")); len(damaged) > 0 || len(trials) != want {
			t.Fatalf("cut at byte %d: %d trials (%v), want %d", cut, len(trials), damaged, want)
		}
	}
	cuts := []int{0, 1, len(lines[0]) - 1, len(lines[0]), len(lines[0]) + 40, len(text) - 1}
	for _, cut := range cuts {
		dir := t.TempDir()
		write(t, filepath.Join(dir, planFile), plan)
		write(t, filepath.Join(dir, trialsFile), text[:cut])
		r, err := Open(dir)
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		if want := strings.Count(string(text[:cut]), "\n"); len(r.Trials) != want {
			t.Fatalf("cut at byte %d: %d trials, want %d", cut, len(r.Trials), want)
		}
		s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
			o.Dir, o.Target.Command.Dir = dir, whole.Plan.Target.Workdir
		})
		if err := s.Resume(r); err != nil {
			t.Fatal(err)
		}
		run(t, s)
		after, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]int, len(after.Trials))
		for i, trial := range after.Trials {
			ids[i] = trial.ID
		}
		if !slices.IsSorted(ids) || len(slices.Compact(ids)) != len(after.Trials) {
			t.Errorf("cut at byte %d: trials are numbered %v", cut, ids)
		}
		if got := after.Advice().Workers; got != 5 {
			t.Errorf("cut at byte %d: recommended %d, want 5", cut, got)
		}
	}
}

func TestResumeRefusesAnotherQuestion(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
		o.MemoryBytes, o.Target.Command.Dir = 1<<30, r.Plan.Target.Workdir
	})
	var differs *DiffersError
	err := s.Resume(r)
	if !errors.As(err, &differs) || len(differs.Differences) != 1 || !strings.Contains(err.Error(), "memory in bytes was 0, now 1073741824") {
		t.Errorf("err is %v, want the memory's difference alone", err)
	}
}

// What would make the trials of two sweeps no longer comparable is named, one by one.
func TestResumeNamesWhatDiffers(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	for want, change := range map[string]func(p *Plan, o *Options){
		"command was": func(_ *Plan, o *Options) {
			o.Target = targets.Demo([]string{"advise", "demo", "--cpu", "3ms"}, nil, "")
		},
		"folder was":    func(_ *Plan, o *Options) { o.Target.Command.Dir = t.TempDir() },
		"cores was 1":   func(_ *Plan, o *Options) { o.Cores = 0.5 },
		"time in":       func(_ *Plan, o *Options) { o.Time = 90 * time.Second },
		"scenario was":  func(_ *Plan, o *Options) { o.Scenario, _ = scenarios.ForPath("/other") },
		"counts was":    func(_ *Plan, o *Options) { o.Highest = 9 },
		"arrivals was":  func(_ *Plan, o *Options) { o.Arrivals = generator.Constant },
		"processor was": func(p *Plan, _ *Options) { p.Environment.CPUModel = "another" },
		"kernel was":    func(p *Plan, _ *Options) { p.Environment.Kernel = "1.0" },
		"machine's mem": func(p *Plan, _ *Options) { p.Environment.MemoryBytes = 1 },
	} {
		other := *r
		s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
			o.Target.Command.Dir = r.Plan.Target.Workdir
			change(&other.Plan, o)
			if o.Target.Command.Dir == "" {
				o.Target.Command.Dir = r.Plan.Target.Workdir
			}
		})
		var differs *DiffersError
		if err := s.Resume(&other); !errors.As(err, &differs) || len(differs.Differences) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err is %v", want, err)
		}
	}
}

func TestInterruptKeepsWhatWasMeasured(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008}
	ctx, cancel := context.WithCancel(t.Context())
	s := newTest(t, server, func(o *Options) {
		o.Progress = func(e Event) {
			if e.Trial == 3 && e.Stage == StageMeasure {
				cancel()
			}
		}
	})
	r, err := s.Run(ctx, t.Context())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err is %v", err)
	}
	read, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Trials) != 2 || server.running != 0 {
		t.Errorf("%d trials saved and %d instances running, want 2 and 0", len(read.Trials), server.running)
	}
}

// A guard that dies of the same Ctrl-C is no failure of its own.
func TestInterruptThatHitsTheGuardFirst(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 1}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.launcher = launcherFunc(func(context.Context, Shape, string) (instance, error) {
		time.AfterFunc(time.Millisecond, cancel)
		return nil, hold.ErrGuardKilled
	})
	if _, err := s.Run(ctx, t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("err is %v", err)
	}
}

func TestRecordThatExistsIsNotOverwritten(t *testing.T) {
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)
	r := run(t, s)
	before, _ := os.ReadFile(filepath.Join(r.Dir, trialsFile))
	again := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Dir = r.Dir })
	if _, err := again.Run(t.Context(), t.Context()); !errors.Is(err, ErrRecordExists) {
		t.Errorf("err is %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(r.Dir, trialsFile))
	if string(before) != string(after) {
		t.Error("the record changed")
	}
}

// An objective that needs more workers than the plateau decides.
func TestObjectiveIsReadFromTheRatePhase(t *testing.T) {
	limit := 0.001
	s := Scenario{RateRPS: 100, Objective: &Objective{LatencySeconds: map[string]float64{"p95": 0.05}, ErrorShare: &limit}}
	good := Phase{Kind: PhaseRate, RatePlannedRPS: 100, ThroughputRPS: 100, Sustained: true, Planned: 300, OK: 300, WindowSeconds: 3, Latency: Latency{P95: 0.04}}
	slow, failing, late := good, good, good
	slow.Latency.P95 = 0.06
	failing.Failed = 3
	late.ThroughputRPS = 90
	for name, c := range map[string]struct {
		phase Phase
		want  string
	}{
		"held": {good, ""}, "slow": {slow, "p95 of 60 ms, over 50 ms"},
		"failing": {failing, "of the answers failed"}, "not sustained": {late, "rate not sustained: 90 of 100"},
	} {
		saturated := Phase{Kind: PhaseSaturation, Latency: Latency{P95: 9}}
		ok, why := s.meets(Trial{Phases: []Phase{saturated, c.phase}})
		if ok == nil || *ok != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%s: %v %q, want %q", name, ok, why, c.want)
		}
	}
}

// Requests that come by chance are no failure when there are more of them than the rate says, or when a few
// more are under way at the end than at the beginning; a tenth too much is.
func TestHeld(t *testing.T) {
	for _, c := range []struct {
		arrivals   generator.Arrivals
		planned    uint64
		throughput float64
		want       bool
	}{
		{generator.Constant, 1000, 99, true},
		{generator.Constant, 1000, 97, false},
		{generator.Poisson, 1060, 101, true},
		{generator.Poisson, 1060, 99, false},
		{generator.Poisson, 940, 94, true},
	} {
		p := Phase{Kind: PhaseRate, RatePlannedRPS: 100, Arrivals: string(c.arrivals), Planned: c.planned, ThroughputRPS: c.throughput, Sustained: true, WindowSeconds: 10}
		if got := p.Held(); got != c.want {
			t.Errorf("%s, %d due, %g/s for 10 s: held %t, want %t", c.arrivals, c.planned, c.throughput, got, c.want)
		}
	}
}

func TestObjectiveNeedsARate(t *testing.T) {
	s, err := scenarios.Parse("shop.yaml", []byte("requests: [/]\nobjective: {p95: 200ms}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{
		Target: targets.Demo(nil, nil, t.TempDir()), Scenario: s, Cores: 1, Limits: hold.None,
		Time: time.Minute, Tolerance: 0.05, Confidence: 0.95,
	})
	if err == nil || !strings.Contains(err.Error(), "p95 <= 200ms has no rate to hold at") {
		t.Errorf("err is %v", err)
	}
}

// The rate that is measured at is the traffic's with its headroom: 300 and a fifth of it are 360. Of one
// core with 2 ms a request that is 72 %, and four workers or more can do it: 3/(2 ms + 8 ms) is 300.
func TestRateWithHeadroom(t *testing.T) {
	promise := func(o *Options) {
		o.Scenario.Rate, o.RateHeadroom, o.RateGiven = 300, 0.2, true
		o.Scenario.Objective = scenarios.Objective{Latency: map[string]time.Duration{"p95": time.Second}}
	}
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, promise)
	r := run(t, s)
	if p := r.Plan.Scenario; p.RateRPS != 360 || p.TrafficRPS != 300 || p.Objective.Flag() != "p95=1s" {
		t.Errorf("planned %+v", p)
	}
	for _, trial := range r.Trials {
		if trial.Shape.Workers < 4 { // 300 at full load and fewer: hopeless
			if ok, why := r.Plan.Scenario.meets(trial); len(trial.Phases) != 1 && trial.Purpose == model.PurposeSearch || trial.Purpose == model.PurposeSearch && (ok == nil || *ok || !strings.Contains(why, "at full load, of 360")) {
				t.Errorf("%d workers: %d phases, met %v: %s", trial.Shape.Workers, len(trial.Phases), ok, why)
			}
			continue
		}
		if len(trial.MemoryReadings) != len(trial.Phases) || trial.MemoryReadings[0].RequestsServed >= trial.MemoryReadings[1].RequestsServed {
			t.Fatalf("memory was read as %+v in %d phases, want once after each", trial.MemoryReadings, len(trial.Phases))
		}
		last := trial.Phases[len(trial.Phases)-1]
		if last.Kind != PhaseRate || last.RatePlannedRPS != 360 {
			t.Fatalf("the last phase is %s at %g, want %s at 360", last.Kind, last.RatePlannedRPS, PhaseRate)
		}
		if why := r.Plan.Scenario.Missed(last); why != "" {
			t.Errorf("%d workers: missed %q", trial.Shape.Workers, why)
		}
	}
	if a := r.Advice(); !a.Made || a.Workers != 4 || a.Capacity == nil || a.Capacity.Workers < 5 || a.Capacity.Workers > 8 {
		t.Errorf("recommended %d (%t), capacity %+v, want 4 for the rate and 5 to 8 for all", a.Workers, a.Made, a.Capacity)
	}
	all := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
		promise(o)
		o.Goal = model.GoalCapacity
	}))
	if a := all.Advice(); !a.Made || a.Workers != 5 || a.Capacity != nil {
		t.Errorf("recommended %d (%t) for capacity, want 5", a.Workers, a.Made)
	}
	// That server uses the same memory whatever it has answered.
	if g, err := r.MemoryGrowth(); err != nil || g.Grows() || g.PerThousand != 0 {
		t.Errorf("memory growth %+v, %v, want none", g, err)
	}
	var differs *DiffersError
	s = newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
		promise(o)
		o.RateHeadroom, o.Target.Command.Dir = 0.1, r.Plan.Target.Workdir
	})
	if err := s.Resume(r); !errors.As(err, &differs) || !strings.Contains(err.Error(), "rate in requests/s was 360, now 330") {
		t.Errorf("resumed with another headroom: %v", err)
	}
}

// No count of one core can do 600 requests per second at 2 ms each: the knee is measured once at lower
// rates, and that is all.
func TestObjectiveOutOfReach(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Scenario.Rate = 600 }))
	a := r.Advice()
	if a.Made || caveatOf(a, model.CaveatObjectiveNotMet) == nil {
		t.Fatalf("recommended %d, caveats %v", a.Workers, a.Caveats)
	}
	var rates []float64
	for _, trial := range r.Trials {
		if trial.Purpose != model.PurposeLatency {
			continue
		}
		for _, p := range trial.Phases {
			if p.Kind == PhaseShare {
				rates = append(rates, p.RatePlannedRPS)
			}
		}
	}
	if len(rates) != len(model.LatencyShares) || rates[0] >= rates[1] {
		t.Errorf("rates tried below it: %v, want one restart at %v of the capacity", rates, model.LatencyShares)
	}
}

// Whatever a record's files hold, they are refused or read; what is read has each trial once, can be advised on
// and can be written again.
func FuzzRecord(f *testing.F) {
	const plan = `{"schema_version":"1","target":{"adapter":"demo","command":["advise","demo"]},"scenario":{"requests":[{"path":"/"}]},` +
		`"settings":{"lowest":1,"highest":8,"time_seconds":60,"confidence":0.95,"tolerance":0.05,"rule_of_thumb":3,"threads":1,"class":"sync"}}`
	const trial = `{"id":1,"shape":{"workers":1,"threads":1,"class":"sync"},"outcome":"ok","phases":[{"kind":"saturation","throughput_rps":100,"ok":100,"steady":true,"sustained":true,"latency_seconds":{"p99":0.1}}]}` + "\n"
	f.Add([]byte(plan), []byte(`{"ceiling_rps":1e5}`), []byte(trial))
	f.Add([]byte(plan), []byte(`{}`), []byte(trial+trial+strings.Replace(trial, `"id":1`, `"id":2`, 1)))
	f.Add([]byte(plan), []byte(`null`), []byte("\x00\x00\n\n"+strings.Replace(trial, "0.1", "1e308", 1)))
	f.Add([]byte(`{}`), []byte(`[]`), []byte(`{"id":1`))
	f.Fuzz(func(t *testing.T, plan, calibration, text []byte) {
		trials, damaged, length := parseTrials(text)
		if lines := bytes.Count(text[:length], []byte("\n")); len(trials)+len(damaged) != lines {
			t.Errorf("%d trials and %d damaged lines of %d", len(trials), len(damaged), lines)
		}
		seen := map[int]bool{}
		for _, trial := range trials {
			if seen[trial.ID] {
				t.Errorf("trial %d is there twice", trial.ID)
			}
			seen[trial.ID] = true
			if _, err := json.Marshal(trial); err != nil {
				t.Error(err)
			}
		}
		p, err := parsePlan(plan)
		if err != nil {
			return
		}
		c, err := parseCalibration(calibration)
		if err != nil {
			return
		}
		(&Record{Plan: p, Calibration: c, Trials: trials}).Advice()
	})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
