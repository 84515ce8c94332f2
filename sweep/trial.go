package sweep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"strings"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/mask"
)

// A launcher starts the server at a shape and returns when it is ready.
type launcher interface {
	start(ctx context.Context, shape Shape, log string) (instance, error)
}

// An instance is a started server.
type instance interface {
	URL() string
	StartupTime() time.Duration
	Workers() (int, error)
	// WorkerProcesses are those that can be told apart; Requests is what each has answered so far, as far
	// as the server says.
	WorkerProcesses() ([]hold.Process, error)
	Requests(ctx context.Context) map[int]uint64
	Usage() (hold.Usage, error)
	Memory() (hold.Memory, error)
	// Done is closed when no process of it is left; Exit is how it ended, LastWords what it logged.
	Done() <-chan struct{}
	Exit() (hold.Exit, bool)
	LastWords() []string
	// Stop returns when nothing of it is left; when ctx ends, what is left is killed at once.
	Stop(ctx context.Context) error
}

// An attackFunc drives a server and tells of its stages as they begin.
type attackFunc func(ctx context.Context, a generator.Attack, progress func(generator.Progress)) (*generator.Summary, error)

// logName begins the name of the file of the server's output, while the sweep runs.
const logName = "server.log"

// DerivedFolder is where a record keeps the files that were derived from the user's own for the last
// start, their secrets masked.
const DerivedFolder = "derived"

// targetLauncher starts a target inside its limits.
type targetLauncher struct {
	target *targets.Target
	limits hold.Limits
	probe  targets.Probe
	// secrets may come back in the server's log.
	secrets []string
	ready   time.Duration
	// launched is the shape as the target is told.
	launched func(Shape) targets.Shape
	derived  func(targets.File) string
}

// secrets are those that the server is told in requests.
func (s *Sweep) secrets() []string {
	secrets := mask.InRequest(s.options.Probe, nil, "")
	for _, r := range s.options.Scenario.Requests {
		secrets = append(secrets, mask.InRequest(r.Path, r.Header, string(r.Body))...)
	}
	return secrets
}

// launcherWith starts the sweep's target inside these limits.
func (s *Sweep) launcherWith(limits hold.Limits) *targetLauncher {
	return &targetLauncher{
		target: s.options.Target, limits: limits, probe: probe(s.options.Scenario), secrets: s.secrets(), ready: s.timing.ready, launched: s.plan.Launched,
		derived: s.keepDerived,
	}
}

// keepDerived keeps a copy of a file in the record and returns where. It is for people to read: where it can't
// be kept, the measurement goes on.
func (s *Sweep) keepDerived(f targets.File) string {
	name := path.Join(DerivedFolder, f.Path)
	if err := s.journal.folder.Replace(name, []byte(f.Text), 0o600, nil); err != nil {
		s.unkept = fmt.Errorf("keep what was made of the server's files: %w", err)
		return ""
	}
	return filepath.Join(s.options.Dir, name)
}

func (l *targetLauncher) start(ctx context.Context, shape Shape, log string) (instance, error) {
	i, err := l.target.Start(ctx, targets.Start{
		Shape:  l.launched(shape),
		Limits: l.limits, Probe: l.probe, ReadyWithin: l.ready, Log: log, Derived: l.derived, Secrets: l.secrets,
	})
	if err != nil {
		return nil, err
	}
	return started{i}, nil
}

// started is a targets.Instance as a trial sees it.
type started struct{ *targets.Instance }

func (s started) URL() string                { return s.Instance.URL }
func (s started) StartupTime() time.Duration { return s.Startup }

// probe is the scenario's first request: what a ready server has to answer.
func probe(s *scenarios.Scenario) targets.Probe {
	r := s.Requests[0]
	return targets.Probe{Method: r.Method, Path: r.Path, Header: r.Header, Body: r.Body, Accept: r.Accepts}
}

// try runs one trial. An error means that the sweep can't go on: it was interrupted, the record
// can't be kept, or the server would fail the same way at every count.
func (s *Sweep) try(ctx, abort context.Context, step model.Step, e Event, tell func(Event)) (*Trial, error) {
	t := &Trial{
		ID: e.Trial, Purpose: step.Purpose, Why: e.Why, StartedAt: time.Now().UTC().Truncate(time.Millisecond),
		Shape:  s.plan.variant(step.Variant).At(e.Workers),
		Phases: []Phase{},
	}
	switch step.Purpose {
	case model.PurposeCores:
		t.Cores = s.fewer.cores
	case model.PurposeStart:
		t.Way = Way(step.Way)
	case model.PurposeSearch, model.PurposeConfirm, model.PurposeLatency:
	}
	began := time.Now()
	defer func() { t.ElapsedSeconds = time.Since(began).Seconds() }()

	log, err := filepath.Abs(filepath.Join(s.options.Dir, s.log))
	if err != nil {
		return nil, fmt.Errorf("keep the server's log: %w", err)
	}

	e.Stage = StageStart
	tell(e)
	server, err := s.ready(ctx, abort, t, log)
	if err != nil {
		return t, s.notStarted(ctx, t, err)
	}
	if u, err := server.Usage(); err == nil && !t.Live { // the peak of a changed one is that of the counts before
		t.Server.MemoryStartPeakBytes, t.Server.MemoryReadyBytes = u.MemoryOwnPeak(), u.MemoryOwn()
	}
	if err = s.load(ctx, t, server, append(s.loads(step), stuckLoads(step, server)...), e, tell); err == nil {
		err = s.driveFront(ctx, t, server)
	}
	// An interrupt lets the server end gracefully; a second one does not.
	if stopped := s.done(abort, t, server, err); err == nil {
		err = stopped
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("trial %d with %d workers: %w", t.ID, t.Shape.Workers, err)
	}
	return t, nil
}

// notStarted records why a count did not start, or returns the error when no count will.
func (s *Sweep) notStarted(ctx context.Context, t *Trial, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var start *targets.StartError
	if !errors.As(err, &start) {
		return err
	}
	t.Detail = err.Error()
	switch start.Kind {
	case targets.KindKilledForMemory:
		t.Outcome, t.KilledWhile = KilledForMemory, KilledStarting
		t.Server.MemoryStartPeakBytes = start.MemoryPeak
	case targets.KindExited:
		t.Outcome = NotStarted
	case targets.KindNotReady, targets.KindForeign, targets.KindStatus:
		t.Outcome = NotReady
	default:
		if t.Purpose != model.PurposeStart { // the others started
			return err
		}
		t.Outcome = NotStarted
	}
	t.failure = start
	return nil
}

// A load is one phase to come. A rate of 0 is a closed loop.
type load struct {
	kind        string
	rate, share float64
}

// loads are the phases of a step: full load and the scenario's rate, which is for all the cores, or rates
// below full load.
func (s *Sweep) loads(step model.Step) []load {
	var list []load
	if step.Purpose == model.PurposeLatency {
		for _, share := range model.LatencyShares {
			list = append(list, load{kind: PhaseShare, rate: share * step.Capacity, share: share})
		}
	} else {
		list = append(list, load{kind: PhaseSaturation})
	}
	if rate := s.plan.Scenario.RateRPS; rate > 0 && step.Purpose != model.PurposeCores && step.Purpose != model.PurposeStart && !(step.Purpose == model.PurposeLatency && hopeless(rate, step.Capacity)) {
		list = append(list, load{kind: PhaseRate, rate: rate})
	}
	return list
}

// hopeless is true for a rate that a server which answers so much at full load can't bear, whatever the
// noise. To measure it would take as long as the queue that piles up takes to be answered.
func hopeless(rate, capacity float64) bool { return capacity < 0.85*rate }

// hopelessAt is the full load by which a rate is hopeless, nil where it is not known to be.
func (t *Trial) hopelessAt(rate float64) *Phase {
	full := t.saturation()
	if full == nil || full.GeneratorVerdict == GeneratorBound || !hopeless(rate, full.ThroughputRPS) {
		return nil
	}
	return full
}

// load drives a server that is ready through its phases, and fills the trial in.
func (s *Sweep) load(ctx context.Context, t *Trial, server instance, loads []load, e Event, tell func(Event)) error {
	t.Outcome = OK
	for _, l := range loads {
		if l.kind == PhaseRate && t.hopelessAt(l.rate) != nil {
			continue
		}
		if !s.hasTimeFor(l, t, e) {
			continue
		}
		before := *t
		drive := func(t *Trial) error { return s.phase(ctx, t, server, l, e, tell) }
		err := drive(t)
		if err == nil && l.kind == PhaseSaturation {
			err = s.evenOut(ctx, before, t, drive)
		}
		if err != nil || t.Outcome != OK {
			return err
		}
		if m, err := server.Memory(); err == nil { // one that is missing is no loss; the last one below is
			t.MemoryReadings = append(t.MemoryReadings, MemoryReading{RequestsServed: t.Server.RequestsServed, PSSBytes: m.PSS + m.SwapPSS})
		}
	}
	if workers, err := server.Workers(); err == nil && workers >= 0 {
		t.Server.Workers = &workers
	}
	memory, err := server.Memory()
	if err != nil {
		return fmt.Errorf("read memory: %w", err)
	}
	usage, err := server.Usage()
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	t.Server.MemoryPSSBytes, t.Server.SwapBytes = memory.PSS, memory.SwapPSS
	t.Server.weigh(memory)
	t.Server.MemoryPeakBytes = memory.PSS
	if !t.Live { // that of the counts before is in the limit's own
		t.Server.MemoryPeakBytes = max(usage.MemoryPeak, memory.PSS)
	}
	return nil
}

// phase runs one attack, watching the server, and adds the phase to the trial.
func (s *Sweep) phase(ctx context.Context, t *Trial, server instance, l load, e Event, tell func(Event)) error {
	before, err := server.Usage()
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	requests := requestsOf(ctx, server, l.kind)
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-server.Done():
			stop() // nobody is left to answer
		case <-attacking.Done():
		}
	}()

	m, stopped := meter{machine: s.machine}, stopperFor(l, server, t.Shape.Workers)
	defer stopped.close()
	if l.kind == PhaseSaturation {
		m.locks = watchLocks(server)
	}
	answered := uint64(0) // in earlier stretches of the phase
	attack := s.attackFor(t, server.URL(), l)
	probes := s.proberFor(l, server.URL(), attack)
	progress := func(p generator.Progress) {
		p.OK += answered
		switch p.Event {
		case generator.WarmupStarted:
			e.Stage = StageWarmup
		case generator.WindowStarted:
			e.Stage = stageOf[l.kind]
			stopped.start() // first of all: the rest takes a moment
			if !m.started {
				m.start(server, p)
			}
			probes.start(attacking)
		case generator.WindowEnded:
			stopped.end()
			m.end(server, p)
		}
		e.Answered = p.OK + p.Failed
		tell(e)
	}
	summary, err := s.attack(attacking, attack, progress)
	for err == nil {
		by := s.longer(l, attack, summary) - seconds(summary.WindowSeconds)
		if by < windowStep {
			break
		}
		answered = summary.OKTotal + summary.FailedTotal
		var more *generator.Summary
		if more, err = s.attack(attacking, s.prolonged(attack, summary, by), progress); err == nil {
			err = summary.Follow(more)
		}
	}
	if err != nil {
		stop()
	}
	m.endLocks()
	probe, probeErr := probes.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ended(server) {
		t.died(server, before)
		return nil
	}
	if err != nil {
		return fmt.Errorf("drive the server: %w", err)
	}
	if probeErr != nil {
		return fmt.Errorf("probe the server: %w", probeErr)
	}
	after, err := server.Usage()
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}

	p := phaseOf(l, attack, summary, s.plan.Settings.Confidence)
	p.Probe, p.StuckSeconds = probe, stopped.close()
	p.Disturbance = m.disturbance(s.pinned(), t.Shape.Workers, s.besides(summary))
	t.Phases = append(t.Phases, p)
	t.Server.RequestsServed += summary.OKTotal + summary.FailedTotal
	switch {
	case l.kind == PhaseSaturation:
		m.fill(&t.Server)
		if between := p.ThroughputRPS * p.WindowSeconds; p.OK > 0 && (t.fewAnswers() || math.Abs(between-float64(p.OK)) >= 1) {
			t.Server.CPUSecondsPerRequest = t.Server.CPUSeconds / between // of the window's time, and not of what ended in it
		}
		t.Server.count(requests, requestsOf(ctx, server, l.kind), summary.OKTotal+summary.FailedTotal)
		t.Generator.add(summary)
		full := &t.Phases[len(t.Phases)-1]
		full.SaturatedBy = s.saturatedBy(t, &p)
		s.takeOff(t, full, summary)
	case t.saturation() == nil && l.kind != PhaseStuck: // of a trial below full load, all other windows count
		m.use(&t.Server)
		t.Generator.add(summary)
	}
	switch {
	case after.OOMKills > before.OOMKills:
		t.Outcome, t.KilledWhile = KilledForMemory, KilledLoaded
		t.Detail = fmt.Sprintf("the kernel killed %d of its processes for memory under load", after.OOMKills-before.OOMKills)
	case l.kind == PhaseSaturation && p.errorShare() > s.plan.Settings.ErrorShareAllowed:
		t.Outcome = Errors
		t.Detail = fmt.Sprintf("%.3g %% of the answers failed: %s%s", 100*p.errorShare(), p.commonError(), s.overLimit(t, &p))
	case l.kind == PhaseSaturation && p.OK == 0:
		t.Outcome = Errors
		t.Detail = fmt.Sprintf("no answer in %g s", p.WindowSeconds)
	}
	return nil
}

// stageOf names the measured part of a phase.
var stageOf = map[string]Stage{PhaseSaturation: StageMeasure, PhaseRate: StageRate, PhaseShare: StageLatency, PhaseStuck: StageStuck}

// pinned is true when the server runs on its cores alone, and of the generator it is known what it uses there.
func (s *Sweep) pinned() bool { return len(s.limits.CPUs) > 0 }

// A meter reads the server's use, and the machine's, at the two ends of a window.
type meter struct {
	machine                     func() reading
	first, last                 hold.Usage
	workersFirst, workersLast   []hold.Process
	frontFirst, frontLast       []hold.Process
	before, after               reading
	answeredFirst, answeredLast uint64
	couldRun                    [2]couldRun // at either end
	elsewhere                   []Connection
	started, ended              bool
	// locks is nil but for full load, where asleep is what it saw.
	locks  *lockWatch
	asleep *Locks
}

func (m *meter) start(server instance, p generator.Progress) {
	var err error
	m.before = m.machine()
	m.first, err = server.Usage()
	m.answeredFirst, m.started = p.OK+p.Failed, err == nil
	m.workersFirst, _ = server.WorkerProcesses() // none are none to compare
	m.couldRun[0] = readCouldRun(m.workersFirst)
	m.frontFirst = frontProcesses(server)
	m.elsewhere = connectedElsewhere(server)
	m.locks.start(m.workersFirst)
}

func (m *meter) end(server instance, p generator.Progress) {
	var err error
	m.endLocks()
	m.after = m.machine()
	m.last, err = server.Usage()
	m.answeredLast, m.ended = p.OK+p.Failed, err == nil
	m.workersLast, _ = server.WorkerProcesses()
	m.couldRun[1] = readCouldRun(m.workersLast)
	m.frontLast = frontProcesses(server)
}

// endLocks is called at the window's end, and once more where that never came.
func (m *meter) endLocks() {
	if seen := m.locks.end(); seen != nil {
		m.asleep = seen
	}
}

// use adds the window's CPU time to what the server used, and leaves what was not read at zero: unknown.
func (m *meter) use(s *Server) {
	if !m.started || !m.ended {
		return
	}
	s.CPUSeconds += max(m.last.CPU-m.first.CPU, 0).Seconds()
	s.answered += m.answeredLast - m.answeredFirst
	if s.answered > 0 {
		s.CPUSecondsPerRequest = s.CPUSeconds / float64(s.answered)
	}
}

// fill puts all into the trial that was read in a window of full load.
func (m *meter) fill(s *Server) {
	if !m.started || !m.ended {
		return
	}
	m.use(s)
	s.Elsewhere, s.Locks = m.elsewhere, m.asleep
	s.ThrottledShare = throttled(m.first, m.last)
	s.RunnableThreads = m.runnable()
	s.PerWorker = workersBetween(m.workersFirst, m.workersLast)
	s.FrontCPUShare = frontShare(m.frontFirst, m.frontLast, m.last.CPU-m.first.CPU)
}

// add is a further window: the busiest one's share and the worst verdict.
func (g *Generator) add(s *generator.Summary) {
	g.CPUShare, g.MaxRSSBytes = max(g.CPUShare, s.CPUShare), max(g.MaxRSSBytes, s.MaxRSSBytes)
	if g.Verdict != GeneratorBound {
		g.Verdict, g.VerdictReason = string(s.Verdict), string(s.VerdictReason)
	}
}

// disturbance is what the machine did in the window; nil when one of its ends was not seen.
func (m *meter) disturbance(pinned bool, workers int, besides time.Duration) *Disturbance {
	if !m.started || !m.ended {
		return nil
	}
	return disturbanceBetween(m.before, m.after, treeUse{
		first: m.first, last: m.last, pinned: pinned, besides: besides, processes: workers + 1, // and their master
	})
}

// died says how a server ended that was meant to go on.
func (t *Trial) died(server instance, before hold.Usage) {
	if after, err := server.Usage(); err == nil && after.OOMKills > before.OOMKills {
		t.Outcome, t.KilledWhile, t.Detail = KilledForMemory, KilledLoaded, "the kernel killed it for memory under load"
		return
	}
	t.Outcome, t.Detail = Died, "the server ended under load"
	if exit, ok := server.Exit(); ok {
		t.Detail += ": " + exit.String()
	}
	if words := server.LastWords(); len(words) > 0 {
		t.Detail += ": " + words[len(words)-1]
	}
}

func ended(server instance) bool {
	select {
	case <-server.Done():
		return true
	default:
		return false
	}
}

// answersPerWorker is the least number of requests that a worker has answered before it is measured, so
// that memory is compared at equal work, and that its window should have: one more or less at either
// end, of all workers together, is 4 %.
const answersPerWorker = 25

// wantedShare of the answers that a window should have are enough: how long it lasts was settled by those
// of the warm-up.
const wantedShare = 0.8

// fewAnswers tells whether the page was too slow for the window of full load.
func (t *Trial) fewAnswers() bool {
	full := t.saturation()
	return full != nil && float64(full.OK) < wantedShare*float64(answersPerWorker*t.Shape.Workers)
}

// attackFor is what the generator has to do in a phase.
func (s *Sweep) attackFor(t *Trial, url string, l load) generator.Attack {
	cpus, _ := s.placeOf(t)
	a := generator.Attack{
		URL: url, Seed: s.plan.Settings.Seed + int64(t.ID), Requests: s.requests(),
		Connections: s.plan.connectionsAt(t.Shape), CPUs: cpus,
		Warmup: s.timing.warmup, WarmupRequests: uint64(answersPerWorker * t.Shape.Workers), WarmupLimit: s.timing.warmupLimit,
		Window: s.timing.window, WindowAnswers: uint64(answersPerWorker * t.Shape.Workers), WindowLimit: s.timing.windowLimit,
		Timeout: s.timing.timeout, Rate: l.rate, CeilingRPS: s.ceiling,
	}
	if l.rate > 0 {
		a.Arrivals = generator.Arrivals(s.plan.Settings.Arrivals)
		a.Window, a.WindowAnswers, a.WindowLimit = s.timing.windowAt(l.rate), 0, 0
	}
	if l.kind == PhaseStuck {
		a = stuckAttack(a)
	}
	return a
}

// requests are the scenario's.
func (s *Sweep) requests() []generator.Request {
	var list []generator.Request
	for _, r := range s.options.Scenario.Requests {
		list = append(list, generator.Request{
			Method: r.Method, Path: r.Path, Header: r.Header, Body: r.Body, Expect: r.Expect, Weight: r.Weight,
		})
	}
	return list
}

func phaseOf(l load, a generator.Attack, s *generator.Summary, confidence float64) Phase {
	p := Phase{
		Kind: l.kind, CapacityShare: l.share, Connections: a.Connections, RatePlannedRPS: a.Rate, Arrivals: string(a.Arrivals),
		Planned: s.Planned, Sent: s.Sent, Late: s.Late, OK: s.OK, Failed: s.Failed, Backlog: s.Backlog, Retried: s.Retried, Sustained: s.Sustained,
		ThroughputRPS: s.ThroughputRPS, WarmupSeconds: s.WarmupSeconds, WarmupLimited: s.WarmupLimited, WindowSeconds: s.WindowSeconds,
		Steady: s.Steady, TrendShare: s.TrendShare,
		GeneratorCPUShare: s.CPUShare, GeneratorVerdict: string(s.Verdict), VerdictReason: string(s.VerdictReason),
		Latency: Latency(s.Latency), Errors: s.Errors,
		Histogram: s.Histogram, SliceOK: s.SliceOK, WindowSlice: s.WindowSlice,
	}
	if s.Ordinary != nil {
		ordinary := Latency(*s.Ordinary)
		p.Ordinary = &ordinary
	}
	if p.Errors == nil {
		p.Errors = map[string]uint64{}
	}
	var rates []float64
	for _, n := range s.WindowOK() {
		rates = append(rates, float64(n)/generator.Slice.Seconds())
	}
	if in, err := model.BatchMeans(rates, confidence); err == nil {
		low := max(in.Low, 0)
		p.ThroughputLowRPS, p.ThroughputHighRPS = &low, &in.High
	}
	return p
}

// errorShare is the failed share of all answers.
func (p *Phase) errorShare() float64 {
	if p.OK+p.Failed == 0 {
		return 0
	}
	return float64(p.Failed) / float64(p.OK+p.Failed)
}

// commonError is the most frequent kind of failure.
func (p *Phase) commonError() string {
	var kind string
	for k, n := range p.Errors {
		if n > p.Errors[kind] || n == p.Errors[kind] && k < kind {
			kind = k
		}
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// defaultErrorShare of the answers may fail at saturation before a count is set aside; more when the
// objective allows more. A stricter objective holds at the scenario's rate, not here.
const defaultErrorShare = 0.01

func errorShareAllowed(s *scenarios.Scenario) float64 {
	if s.Objective.Errors != nil {
		return max(*s.Objective.Errors, defaultErrorShare)
	}
	return defaultErrorShare
}

func commandSHA256(argv []string) string {
	sum := sha256.Sum256([]byte(strings.Join(argv, "\x00")))
	return hex.EncodeToString(sum[:])
}
