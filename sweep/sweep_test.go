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

	"go.uber.org/goleak"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "attack" || os.Args[1] == "null-server") {
		var err error
		if os.Args[1] == "attack" {
			err = generator.Main(os.Stdin, os.Stdout, model.Steadiness{})
		} else {
			err = generator.NullMain(os.Stdin, os.Stdout)
		}
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// closedServer answers as a server of known physics would: each request takes cpu seconds of its one
// core and wait seconds of waiting, and each worker serves one at a time.
type closedServer struct {
	cpu, wait   float64
	perWorker   int64         // bytes
	fails       map[int]error // at these counts it does not start
	killedAbove int
	diesAt      int
	steals      func(start int) float64 // share of the window that goes to other machines at a start
	stolen      time.Duration
	noise       *rand.Rand
	started     []int
	running     int
}

type closedInstance struct {
	s       *closedServer
	workers int
	cpu     time.Duration
	oom     uint64
	done    chan struct{}
}

func (s *closedServer) start(_ context.Context, shape Shape, _ string) (instance, error) {
	s.started = append(s.started, shape.Workers)
	if err := s.fails[shape.Workers]; err != nil {
		return nil, err
	}
	s.running++
	return &closedInstance{s: s, workers: shape.Workers, done: make(chan struct{})}, nil
}

func (i *closedInstance) URL() string                { return "http://127.0.0.1:1" }
func (i *closedInstance) StartupTime() time.Duration { return 300 * time.Millisecond }
func (i *closedInstance) Workers() (int, error)      { return i.workers, nil }
func (i *closedInstance) Done() <-chan struct{}      { return i.done }
func (i *closedInstance) Exit() (hold.Exit, bool)    { return hold.Exit{Code: 1}, true }
func (i *closedInstance) LastWords() []string        { return []string{"out of luck"} }
func (i *closedInstance) Stop(context.Context) error { i.s.running--; return nil }

func (i *closedInstance) Usage() (hold.Usage, error) {
	return hold.Usage{CPU: i.cpu, OOMKills: i.oom, MemoryPeak: int64(i.workers) * i.s.perWorker}, nil
}

func (i *closedInstance) Memory() (hold.Memory, error) {
	return hold.Memory{PSS: 20<<20 + int64(i.workers)*i.s.perWorker, Exact: true}, nil
}

// attack is the generator's part of the same physics; nothing is sent.
func (s *closedServer) attack(of func() *closedInstance) attackFunc {
	return func(ctx context.Context, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
		i := of()
		n := float64(i.workers)
		rate := math.Min(n/(s.cpu+s.wait), 1/s.cpu) * (1 + 0.02*s.noise.NormFloat64())
		if a.Rate > 0 {
			rate = math.Min(rate, a.Rate)
		}
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
		if s.steals != nil {
			share := s.steals(len(s.started))
			s.stolen += time.Duration(share * float64(a.Window))
			rate *= 1 - share
			ok = uint64(rate * a.Window.Seconds())
		}
		i.cpu += time.Duration(float64(ok) * s.cpu * float64(time.Second))
		tell(generator.Progress{Event: generator.WindowEnded, OK: ok})
		return &generator.Summary{
			WindowSeconds: a.Window.Seconds(), ThroughputRPS: rate, Planned: ok, Sent: ok, OK: ok, OKTotal: ok,
			Sustained: true, Verdict: generator.VerdictOK, Latency: generator.Latency{P50: n / rate, P95: n / rate},
		}, nil
	}
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
		Time: time.Minute, Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1, Seed: 1,
		Dir: filepath.Join(t.TempDir(), "record"),
	}
	if change != nil {
		change(&o)
	}
	sweep, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.noise = rand.New(rand.NewPCG(uint64(o.Seed), 0))
	var last *closedInstance
	sweep.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		i, err := s.start(ctx, shape, log)
		if err == nil {
			last = i.(*closedInstance)
		}
		return i, err
	})
	sweep.attack = s.attack(func() *closedInstance { return last })
	sweep.stolen = func() time.Duration { return s.stolen }
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
	for _, trial := range r.Trials {
		if got := trial.Server.CPUSecondsPerRequest; math.Abs(got-0.002) > 1e-5 {
			t.Errorf("trial %d: %.6f CPU seconds per request, want 0.002", trial.ID, got)
		}
	}
}

// What a hypervisor takes makes a restart slower by as much: it is measured again, and does not move
// the knee.
func TestDisturbedRestartsAreRepeated(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, steals: func(start int) float64 {
		if start%3 == 0 {
			return 0.4
		}
		return 0
	}}
	r := run(t, newTest(t, server, nil))
	a := r.Advice()
	if a.Workers != 5 {
		t.Errorf("recommended %d, want 5", a.Workers)
	}
	if slices.ContainsFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatDisturbed }) {
		t.Error("a caveat on what was repeated")
	}
	disturbed := 0
	for _, trial := range r.Trials {
		if trial.Disturbed() {
			disturbed++
		}
	}
	if disturbed == 0 || len(r.Observations()) != len(r.Trials)-disturbed {
		t.Errorf("%d of %d trials are disturbed, %d are used", disturbed, len(r.Trials), len(r.Observations()))
	}
}

// A machine that is never quiet still gets its advice, with the caveat.
func TestAlwaysDisturbed(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008, steals: func(int) float64 { return 0.1 }}
	a := run(t, newTest(t, server, nil)).Advice()
	if !a.Made || !slices.ContainsFunc(a.Caveats, func(c model.Caveat) bool { return c.Code == CaveatDisturbed && c.Figures["stolen_share"] > 0.09 }) {
		t.Errorf("made: %t, caveats %v", a.Made, a.Caveats)
	}
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
	if got := s.expected(2, trials); got <= time.Second {
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
	good := Phase{Kind: PhaseRate, ThroughputRPS: 100, Sustained: true, OK: 300, WindowSeconds: 3, Latency: Latency{P95: 0.04}}
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

func FuzzParseTrials(f *testing.F) {
	f.Add([]byte(`{"id":1,"shape":{"workers":1},"outcome":"ok"}` + "\n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"id":1`))
	f.Fuzz(func(t *testing.T, text []byte) {
		trials, length, err := parseTrials(text)
		if err != nil {
			return
		}
		again, same, err := parseTrials(text[:length])
		if err != nil || same != length || len(again) != len(trials) {
			t.Errorf("%d trials in %d bytes, read again: %d in %d, %v", len(trials), length, len(again), same, err)
		}
	})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
