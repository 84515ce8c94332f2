// Package sweep measures: it restarts a server at one worker count after another inside its limits,
// drives each with the load generator, and keeps what it saw in a record.
//
// One trial is one restart with its load phases. Which count is next is asked of model.Search after
// every trial, so that a sweep that was interrupted goes on from its record as if it had not been.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/mask"
)

// Options say what to sweep.
type Options struct {
	Target   *targets.Target
	Scenario *scenarios.Scenario
	// ScenarioFile is where the scenario was read from; empty for the short form.
	ScenarioFile string
	// RateGiven and ObjectiveGiven say that the scenario's rate and objective are the command line's own.
	RateGiven, ObjectiveGiven bool
	// Goal is what the count is chosen for; empty: for the rate where there is one, or else for capacity.
	Goal model.Goal
	// ConnectionsGiven says that the scenario's number of connections is the command line's own.
	ConnectionsGiven bool
	// RateHeadroom is the share by which the rate measured at exceeds the scenario's.
	RateHeadroom float64
	// PredictCores are other core counts to predict for.
	PredictCores []float64
	// PredictMemory are other sizes of memory to predict for, in bytes.
	PredictMemory []int64

	// Cores and MemoryBytes are the budget; 0 bytes is no cap.
	Cores       float64
	MemoryBytes int64
	Limits      hold.Method
	// ShareCores lets the generator run on the server's cores where it alone is in the way of them.
	ShareCores bool

	// Lowest and Highest bound the search; 0 leaves them to advise. Counts, when given, are the only
	// ones measured, besides the rule of thumb.
	Lowest, Highest int
	Counts          []int
	// Least is how many workers to recommend at the least; 0 leaves it to advise.
	Least int

	// Time is the whole sweep's: no trial starts that is not expected to end within it.
	Time           time.Duration
	Tolerance      float64 // share of the best throughput that may be given up
	Confidence     float64 // of every interval
	MemoryHeadroom float64 // share of the memory to leave free
	Seed           int64
	// Arrivals of requests at a rate.
	Arrivals generator.Arrivals
	// Probe is the path of a cheap page, such as a health check, that is asked for now and then while the
	// server is full; empty: none is.
	Probe string

	// Variants are compared in one plan; none stands for the command's own. Compared is how they were
	// asked for.
	Variants []Variant
	Compared *Compared

	// Live changes the count of a running server where that is possible, and restarts it elsewhere.
	Live bool

	// Dir is the record's folder.
	Dir string
	// SkipDamaged leaves damaged lines of a record that is resumed out.
	SkipDamaged bool

	Tool Tool
	// IgnoredVariables of the server's environment may differ from those of a record that is resumed.
	IgnoredVariables []string

	// Progress is told what happens, in order, from one goroutine. It may be nil.
	Progress func(Event)
}

// An Event is a step of the sweep, for whoever watches.
type Event struct {
	Stage   Stage
	Trial   int // its number, from 1
	Workers int
	// Variant is that of the trial, in words, where several are compared.
	Variant string
	Why     string
	// Answered counts the answers of the trial so far.
	Answered uint64
	// Ended is the trial that ended; nil but for StageEnded.
	Ended *Trial
	// Found is what a search for the number of connections found; nil before its end.
	Found *ConnectionSearch
	// Elapsed and Budget are the sweep's time.
	Elapsed, Budget time.Duration
}

// Stage is where a sweep is.
type Stage string

// The stages of a sweep and of its trials, in their order.
const (
	StageCalibrate Stage = "calibrate" // once, before the first trial
	StageUnloaded  Stage = "unloaded"  // what an answer takes without load
	StageConnect   Stage = "connect"   // to find how many connections fill the server
	StageStart     Stage = "start"
	StageWarmup    Stage = "warm up"
	StageMeasure   Stage = "measure"
	StageRate      Stage = "rate"    // at the scenario's rate
	StageLatency   Stage = "latency" // at a share of the capacity
	StageStuck     Stage = "latency, one worker stopped"
	StageEnded     Stage = "ended"
)

// reserve of the time is for fitting and writing the reports.
const reserve = time.Second

// ShortestTime is the least a sweep can be asked to take: a handful of restarts.
const ShortestTime = 10 * time.Second

// MostCores and MostWorkers bound what is taken for meant seriously.
const (
	MostCores   = 4096
	MostWorkers = 4096
)

// A Sweep is ready to run: everything that can be checked beforehand has been.
type Sweep struct {
	options  Options
	plan     Plan
	split    split
	limits   hold.Limits
	race     model.Race
	timing   timing
	launcher launcher
	attack   attackFunc
	// fewer is the part of the cores that predictions are checked on; nil where there is none.
	fewer *fewerCores
	// ways are the other ways to start the target than all workers at once.
	ways []startWay
	// running is the server of the last trial, when it can be changed live; restarted are the counts that
	// were confirmed by a fresh start since.
	running   instance
	runningAs Variant
	restarted []Shape
	// frontDriven is true once the server before the measured one was driven alone.
	frontDriven bool
	// reopenedInVain counts the restarts in which new connections were no more even.
	reopenedInVain int
	// attackBeside is for the probes.
	attackBeside attackFunc
	// calibrate measures what the generator can do at most; ceiling is that, in requests per second.
	calibrate func(context.Context) (*generator.Calibration, error)
	ceiling   float64
	// machine reads the kernel's counters.
	machine func() reading
	// resumed is the record that is gone on with.
	resumed Record
	// journal is the record while it is written, and log the file of the server's output in its folder.
	journal *journal
	log     string
	unkept  error
}

// timing is how long the parts of a trial take.
type timing struct {
	warmup, warmupLimit, window, windowLimit, ready, timeout time.Duration
	// guess is a restart's length before one was seen.
	guess time.Duration
	// requests are as many as the window of an open loop should hold.
	requests float64
}

// A window may be prolonged to its part of the budget, or to the longest.
const (
	windowsInBudget = 10
	longestWindow   = time.Minute
)

// timingFor shares the budget of one variant out: about thirty restarts, with windows of one to five
// seconds. A page so slow that these hold a few answers has longer ones, and the fewer restarts: of a
// tenth of the budget at the most.
//
// In a closed loop, requests wait behind as many others as there are connections. That is no fault of
// the server's: none is given up before the longest window has ended.
func timingFor(budget time.Duration) timing {
	window := min(max(budget/60, time.Second), 5*time.Second).Round(100 * time.Millisecond)
	warmup := min(max(window/3, 400*time.Millisecond), 1500*time.Millisecond)
	t := timing{
		requests:    usualAtRate,
		window:      window,
		windowLimit: min(max(budget/windowsInBudget, window), longestWindow).Round(100 * time.Millisecond),
		warmup:      warmup,
		warmupLimit: 3 * window,
		ready:       min(max(budget/2, 5*time.Second), 30*time.Second),
		guess:       window + warmup + 1500*time.Millisecond,
	}
	const usual = 20 * time.Second // apart from gunicorn's 30 s and Vegeta's own
	t.timeout = max(usual, t.warmupLimit+t.windowLimit+time.Second)
	return t
}

// warmingUp is the timing for a server that takes so long under load to be as fast as it gets.
func (t timing) warmingUp(least time.Duration) timing {
	more := max(least-t.warmup, 0)
	t.warmup, t.warmupLimit, t.guess, t.timeout = t.warmup+more, t.warmupLimit+more, t.guess+more, t.timeout+more
	return t
}

// usualAtRate requests do for a 95th percentile.
const usualAtRate = 100

// windowAt is the window of an open loop, which holds enough requests for the objective where there is time
// for them.
func (t timing) windowAt(rate float64) time.Duration {
	needed := time.Duration(t.requests / rate * float64(time.Second)).Round(100 * time.Millisecond)
	return min(max(needed, t.window), t.windowLimit)
}

// warmupAt is how long the warm-up of an open loop is to be expected to take.
func (t timing) warmupAt(rate float64, workers int) time.Duration {
	needed := time.Duration(float64(answersPerWorker*workers) / rate * float64(time.Second))
	return min(max(needed, t.warmup), t.warmupLimit)
}

// RuleOfThumb is the count everybody starts from: (2 x cores) + 1.
func RuleOfThumb(cores float64) int { return int(math.Floor(2*cores)) + 1 }

// highestFor is the highest count of a search that is left to advise.
func highestFor(lowest int, cores float64) int { return max(lowest, 32*int(math.Ceil(cores))) }

// New works out the plan and checks it; nothing is started or written.
func New(o Options) (*Sweep, error) {
	cores, err := allowedCores()
	if err != nil {
		return nil, fmt.Errorf("plan the sweep: %w", err)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Live {
		if err := checkLive(o.Target); err != nil {
			return nil, err
		}
	}
	parts, err := splitCores(cores, o.Cores, o.ShareCores)
	if err != nil {
		return nil, err
	}
	limits, shortfall, err := hold.Choose(o.Limits, hold.Limits{CPUs: parts.server, Quota: parts.quota, Memory: o.MemoryBytes})
	if err != nil {
		return nil, err
	}
	if parts.quota > 0 && limits.Quota == 0 {
		parts.measured = float64(len(parts.server)) // no quota holds here: whole cores
	}
	if parts.shared {
		shortfall = append(shortfall, "the generator runs on the server's cores: what it uses is taken off throughput, and latency is longer by it")
	}

	rule := RuleOfThumb(parts.measured)
	shape := o.Target.Shape()
	s := &Sweep{options: o, split: parts, limits: limits, timing: timingFor(o.Time / time.Duration(max(len(o.Variants), 1)))}
	s.timing = s.timing.warmingUp(o.Target.Adapter.About().WarmsUp)
	s.timing.requests = max(usualAtRate, leastAtRate(s.options.describe().Objective))
	s.launcher = s.launcherWith(limits)
	s.fewer = s.partOf(cores)
	s.ways = waysOf(o.Target)
	s.attack, s.attackBeside = generator.Run, generator.Run
	s.calibrate = func(ctx context.Context) (*generator.Calibration, error) {
		return generator.Calibrate(ctx, generator.CalibrationOptions{
			ServerCPUs: parts.server, GeneratorCPUs: parts.generator,
			Connections: s.plan.Settings.Connections, Requests: s.requests(), Seed: o.Seed,
		})
	}
	s.machine = thisMachine(parts.server, parts.generator)
	lowest, highest := max(o.Lowest, 1), o.Highest
	switch {
	case len(o.Counts) > 0:
		lowest, highest = slices.Min(o.Counts), slices.Max(o.Counts)
	case highest == 0:
		highest = highestFor(lowest, parts.measured)
	}
	own := Variant{Threads: shape.Threads, Class: shape.Class}
	if len(o.Variants) > 0 {
		own = o.Variants[0]
	}
	slots := 0
	if len(o.Variants) > 1 && o.Highest == 0 && len(o.Counts) == 0 {
		slots = highest
	}
	model, online := cpuModel()
	seen := seenBy(len(limits.CPUs), len(cores), online, limits.Quota, ownQuota())
	command, masked := mask.Command(o.Target.Command.Argv)
	probe, probeMasked := mask.Path(o.Probe)
	s.plan = Plan{
		SchemaVersion: SchemaVersion,
		Tool:          o.Tool,
		Environment: Environment{
			OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: kernel(),
			CPUModel: model, CPUsOnline: online, CPUsAllowed: len(cores),
			CPUsServer: parts.server, CPUsGenerator: parts.generator, CoresServer: parts.measured, CPUsSeen: &seen,
			MemoryBytes: machineMemory(), LimitsMethod: string(limits.Method), LimitsShortfall: shortfall,
		},
		Target: Target{
			Adapter: o.Target.Adapter.Name(), Command: command, CommandSHA256: hashOfCommand(o.Target.Command.Argv),
			Masked: masked, Workdir: o.Target.Command.Dir, Found: o.Target.Found, Auto: auto(o.Target),
		},
		Scenario: o.describe(),
		Budget:   Budget{Cores: o.Cores, MemoryBytes: o.MemoryBytes},
		Settings: Settings{
			Lowest: lowest, Highest: highest, Counts: o.Counts,
			Goal: o.goal(), TimeSeconds: o.Time.Seconds(), Tolerance: o.Tolerance, Confidence: o.Confidence,
			MemoryHeadroom: o.MemoryHeadroom, RateHeadroom: o.RateHeadroom, PredictCores: o.PredictCores, PredictMemory: o.PredictMemory, FewerCores: s.fewer.given(), Seed: o.Seed,
			Arrivals: string(o.Arrivals), Probe: probe, ProbeMasked: probeMasked, Live: o.Live, ShareCores: o.ShareCores, Limits: string(o.Limits), WindowSeconds: s.timing.window.Seconds(),
			WarmupSeconds: s.timing.warmup.Seconds(), ReadySeconds: s.timing.ready.Seconds(),
			TimeoutSeconds: s.timing.timeout.Seconds(), RuleOfThumb: rule,
			ErrorShareAllowed: errorShareAllowed(o.Scenario),
			Threads:           own.Threads, Class: own.Class, Variants: o.Variants, Compared: o.Compared, MostSlots: slots, MostThreads: threadsForSlot * slots,
		},
	}
	s.plan.Target.Program, s.plan.Target.Variables = o.Target.Kept()
	s.planConnections()
	if err := s.planLeast(); err != nil {
		return nil, err
	}
	if err := checkOpenFiles(s.plan.mostAtOnce(), len(cores)); err != nil {
		return nil, err
	}
	if s.plan.Scenario.RateRPS > 0 {
		s.timing.guess += s.timing.warmup + s.timing.windowAt(s.plan.Scenario.RateRPS)
	}
	s.race = s.plan.race()
	return s, nil
}

func auto(t *targets.Target) *targets.Auto {
	if a, ok := t.Auto(); ok {
		return &a
	}
	return nil
}

// check refuses what can't be meant, in the words of the flags.
func (o *Options) check() error {
	switch {
	case !(o.Cores > 0) || o.Cores > MostCores:
		return fmt.Errorf("plan the sweep: %g cores: want more than 0 and at most %d", o.Cores, MostCores)
	case o.MemoryBytes < 0:
		return fmt.Errorf("plan the sweep: %d bytes of memory: want more than 0", o.MemoryBytes)
	case o.Time < ShortestTime:
		return fmt.Errorf("plan the sweep: %s is too short: a sweep takes at least %s", o.Time, ShortestTime)
	case !(o.Tolerance > 0 && o.Tolerance < 0.5):
		return fmt.Errorf("plan the sweep: a tolerance of %g: want more than 0 and less than 0.5", o.Tolerance)
	case !(o.Confidence >= 0.5 && o.Confidence <= model.MostConfidence):
		return fmt.Errorf("plan the sweep: a confidence of %g: want at least 0.5 and at most %g", o.Confidence, model.MostConfidence)
	case o.Highest != 0 && o.Highest < o.Lowest:
		return fmt.Errorf("plan the sweep: workers %d..%d: the range is empty", o.Lowest, o.Highest)
	case len(o.Scenario.Objective.Latency) > 0 && o.Scenario.Rate == 0:
		return fmt.Errorf("plan the sweep: scenario %s: the objective %s has no rate to hold at: add --rate, or rate in the file, in requests per second", o.describe().Name, o.Scenario.Objective)
	case o.RateHeadroom > 0 && o.Scenario.Rate == 0:
		return errors.New("plan the sweep: a headroom without a rate to add it to: add --rate, or rate in the file, in requests per second")
	case !(o.RateHeadroom >= 0 && o.Scenario.Rate*(1+o.RateHeadroom) <= scenarios.MaxRate):
		return fmt.Errorf("plan the sweep: a rate of %g requests per second and %g %% of headroom: want at most %.0f in all", o.Scenario.Rate, 100*o.RateHeadroom, scenarios.MaxRate)
	case o.Arrivals != generator.Constant && o.Arrivals != generator.Poisson:
		return fmt.Errorf("plan the sweep: arrivals %q: want %s or %s", o.Arrivals, generator.Constant, generator.Poisson)
	case len(o.Variants) > MostVariants:
		return fmt.Errorf("plan the sweep: %d shapes to compare: at most %d", len(o.Variants), MostVariants)
	case o.Scenario.Connections < 0 || o.Scenario.Connections > scenarios.MaxConnections:
		return fmt.Errorf("plan the sweep: %d connections: want 1 to %d", o.Scenario.Connections, scenarios.MaxConnections)
	case max(o.Lowest, o.Highest) > MostWorkers:
		return fmt.Errorf("plan the sweep: %d workers: at most %d", max(o.Lowest, o.Highest), MostWorkers)
	}
	if o.Probe != "" {
		if _, err := scenarios.ForPath(o.Probe); err != nil {
			return fmt.Errorf("plan the sweep: the probe: %w", err)
		}
	}
	if err := o.checkGoal(); err != nil {
		return err
	}
	for _, n := range o.PredictCores {
		if !(n > 0) || n > MostCores {
			return fmt.Errorf("plan the sweep: predict %g cores: want more than 0 and at most %d", n, MostCores)
		}
	}
	for _, n := range o.Counts {
		if n < 1 || n > MostWorkers {
			return fmt.Errorf("plan the sweep: %d workers: want 1 to %d", n, MostWorkers)
		}
	}
	return nil
}

// Plan is what the sweep set out to do.
func (s *Sweep) Plan() Plan { return s.plan }

// Run measures until the decision is settled or the time is used up, and returns the record. Each
// trial is on disk before the next starts.
//
// When ctx ends the server is stopped gracefully and the record so far is returned with ctx's error;
// when abort ends as well, what is left is killed at once.
func (s *Sweep) Run(ctx, abort context.Context) (*Record, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	record := &Record{Dir: s.options.Dir, Plan: s.plan, Calibration: s.resumed.Calibration, Trials: s.resumed.Trials, LeftOut: s.resumed.LeftOut}
	restore := stayOn(s.split.generator)
	began := time.Now().Add(-spent(record.Trials) - s.plan.Unloaded.elapsed() - s.plan.Saturation.elapsed())
	err := s.calibrated(ctx, record)
	if err == nil {
		if err = s.setObjective(ctx, abort, record); err != nil {
			err = interruptedOr(ctx, err)
		}
	}
	if err == nil {
		if err = s.connect(ctx, abort, record); err != nil {
			err = interruptedOr(ctx, err)
		}
	}
	if err == nil {
		err = s.measure(ctx, abort, began, record)
	}
	if err == nil {
		if err = s.fillPool(ctx, abort, record, s.options.Time-reserve-time.Since(began)); err != nil {
			err = interruptedOr(ctx, err)
		}
	}
	if stopped := s.stopRunning(abort); err == nil {
		err = stopped
	}
	restore()
	record.Unkept = s.unkept
	if closed := errors.Join(s.journal.folder.RemoveTemporaries(), s.journal.close()); err == nil && closed != nil {
		err = &UnsavedError{Dir: record.Dir, Err: closed}
	}
	return record, err
}

// open takes hold of the record: of a new one, or of the one to go on with, as it is now that nobody else
// writes it.
func (s *Sweep) open(ctx context.Context) (err error) {
	if s.plan.StartedAt.IsZero() {
		s.plan.StartedAt = time.Now().UTC().Truncate(time.Millisecond)
		s.plan.Target.Version, _ = s.options.Target.Version(ctx) // "" is: not known
		s.plan.Target.Auto = auto(s.options.Target)              // which may hang on it
		s.plan.Variables = fingerprints(s.options.Target.Command.Env)
		s.journal, err = create(s.options.Dir, s.plan)
	} else {
		s.journal, err = s.reopen(ctx)
	}
	if err != nil {
		return err
	}
	if s.log, err = s.journal.folder.Temporary(logName); err != nil {
		return errors.Join(fmt.Errorf("keep the server's log: %w", err), s.journal.close())
	}
	return nil
}

func (s *Sweep) reopen(ctx context.Context) (*journal, error) {
	j, err := reopen(s.options.Dir)
	if err != nil {
		return nil, err
	}
	r, err := open(s.options.Dir, s.options.SkipDamaged)
	if err == nil {
		_, _ = s.options.Target.Version(ctx)
		err = s.Resume(r)
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// calibrated puts the calibration into the record, unless it is there already.
func (s *Sweep) calibrated(ctx context.Context, r *Record) error {
	if r.Calibration == nil {
		s.tell(Event{Stage: StageCalibrate, Budget: s.options.Time})
		c, err := s.calibrate(ctx)
		if err != nil {
			return interruptedOr(ctx, err)
		}
		if err := s.journal.save(calibrationFile, c, nil); err != nil {
			return fmt.Errorf("save calibration: %w", err)
		}
		r.Calibration = c
	}
	s.ceiling = r.Calibration.CeilingRPS
	return nil
}

func (s *Sweep) tell(e Event) {
	if s.options.Progress != nil {
		s.options.Progress(e)
	}
}

// measure runs trials until all is done or the time is up, which is counted from began. A record that can no
// longer be kept is an UnsavedError: what was measured until then is in r.
func (s *Sweep) measure(ctx, abort context.Context, began time.Time, r *Record) error {
	for {
		elapsed := time.Since(began)
		step := s.next(r.current(), s.options.Time-reserve-elapsed-s.reservedForPool(r.current()))
		if step.Done {
			return nil
		}
		event := Event{
			Trial: highestNumber(r.Trials) + 1, Workers: step.Workers, Why: step.Why, Variant: s.several(step.Variant),
			Elapsed: elapsed, Budget: s.options.Time,
		}
		t, err := s.try(ctx, abort, step, event, func(e Event) {
			e.Elapsed = time.Since(began)
			s.tell(e)
		})
		if err != nil {
			if gone := s.journal.check(); gone != nil && ctx.Err() == nil { // its log was there
				return &UnsavedError{Dir: r.Dir, Err: gone}
			}
			return interruptedOr(ctx, err)
		}
		t.Repeat = 1
		for _, before := range r.Trials {
			if before.Shape == t.Shape && before.Cores == t.Cores {
				t.Repeat++
			}
		}
		r.Trials = append(r.Trials, *t)
		if err := s.journal.append(*t); err != nil {
			return &UnsavedError{Dir: r.Dir, Err: err}
		}
		event.Stage, event.Ended, event.Elapsed = StageEnded, t, time.Since(began)
		s.tell(event)
		if t.failure != nil && s.nothingStarts(r.Trials) {
			return t.failure
		}
		if err := s.fill(ctx, abort, r, t, time.Since(began)); err != nil {
			return interruptedOr(ctx, err)
		}
	}
}

// highestNumber is more than how many there are where damaged lines were left out.
func highestNumber(trials []Trial) int {
	highest := 0
	for _, t := range trials {
		highest = max(highest, t.ID)
	}
	return highest
}

// next is the step that the record and the time that is left ask for: the search as long as it needs
// and leaves time to confirm what it finds, then what confirms it, checks what is predicted and times
// requests below full load. A step that does not fit ends it.
func (s *Sweep) next(r *Record, left time.Duration) model.Step {
	observed := observations(r.Plan, undisturbed(r.Trials))
	more := model.Step{Done: true}
	if !confirming(r.Trials) {
		step := s.searching(r, observed, left)
		more = step
		reserved := s.reserved(r.Trials)
		if s.looks(step, r.Trials) { // a first look at all counts is worth more than to confirm one of some
			reserved = 0
		}
		if !step.Done && (s.must(step, r.Trials) || s.expected(step, r.Trials) <= left-reserved) {
			return step
		}
	}
	if !anyWorked(r.Trials) {
		return model.Step{Done: true}
	}
	step := s.race.Confirm(observed)
	needed := s.expected(step, r.Trials)
	if !confirming(r.Trials) { // too few restarts confirm nothing
		needed *= time.Duration(max(step.Left, 1))
	}
	confirmed := step.Done || step.Purpose == model.PurposeLatency || needed > left
	if confirmed || s.carries() {
		if check, ok := s.onFewerCores(r, observed, left); ok {
			return check
		}
	}
	if confirmed {
		if other, ok := s.startedOtherwise(r, observed, left); ok {
			return other
		}
	}
	if !step.Done && needed > left {
		if !more.Done && s.expected(more, r.Trials) <= left { // what does not do for that is the search's
			return more
		}
		return model.Step{Done: true}
	}
	return step
}

// searching is the search's next step. Where time is short, what was disturbed is repeated only when
// all counts have been looked at.
func (s *Sweep) searching(r *Record, sound []model.Observation, left time.Duration) model.Step {
	step := s.ifNoneWorks(s.race.Next(sound), r.Trials)
	look := s.race.Next(observations(r.Plan, r.Trials))
	if s.looks(step, r.Trials) || !s.looks(look, r.Trials) || !anyWorked(r.Trials) {
		return step
	}
	untried := 0
	for _, e := range s.race {
		for _, n := range e.Search.FirstLook() {
			if s.looks(model.Step{Variant: e.Variant, Workers: n}, r.Trials) {
				untried++
			}
		}
	}
	if left < time.Duration(untried+1)*s.expected(look, r.Trials) {
		return look
	}
	return step
}

// must is true for a step without which nothing can be said: the first, and the smallest count where no
// other worked.
func (s *Sweep) must(step model.Step, trials []Trial) bool {
	return len(trials) == 0 || !anyWorked(trials) && step.Workers == s.plan.Settings.Lowest
}

// looks is true for a step that is a first look at one of the counts to be measured in any case.
func (s *Sweep) looks(step model.Step, trials []Trial) bool {
	return slices.Contains(s.race.FirstLook(step.Variant), step.Workers) && !s.tried(step.Variant, step.Workers, trials)
}

// confirming is true once the search is over and what confirms it has begun.
func confirming(trials []Trial) bool {
	return slices.ContainsFunc(trials, func(t Trial) bool { return t.Purpose != model.PurposeSearch && !t.Beside() })
}

// mostReserved is the share of the time that is kept for confirmation at the most. Where that would not do,
// the search has all of it: a count that is not settled is not worth confirming.
const mostReserved = 1.0 / 3

// reserved is kept of the time to confirm what the search finds, and to check what is predicted.
func (s *Sweep) reserved(trials []Trial) time.Duration {
	one := s.expected(model.Step{Workers: s.plan.Settings.RuleOfThumb}, trials)
	needed := time.Duration(model.ConfirmRestarts()) * one
	if needed > time.Duration(mostReserved*float64(s.options.Time)) {
		needed = 0
	}
	return needed + s.reservedForFewer(trials) + s.reservedForStart(trials)
}

// interruptedOr is ctx's error if there is one, or is about to be. Ctrl-C in a terminal reaches the
// whole process group: a guard or a generator that is just being forked, and not yet in a group of its
// own, can die of it before this process has taken note.
func interruptedOr(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return err
	}
}

// ifNoneWorks asks for the smallest count when nothing of the variant has worked so far: if that one does
// not start either, no count does.
func (s *Sweep) ifNoneWorks(step model.Step, trials []Trial) model.Step {
	of := s.plan.of(step.Variant, trials)
	lowest := s.plan.Settings.Lowest
	if step.Done || len(of) == 0 || s.tried(step.Variant, lowest, of) || anyWorked(of) {
		return step
	}
	return model.Step{Variant: step.Variant, Workers: lowest, Why: "nothing has worked yet: the smallest count"}
}

// nothingStarts is true when no variant worked at all, its smallest count included.
func (s *Sweep) nothingStarts(trials []Trial) bool {
	for _, e := range s.race {
		if !s.tried(e.Variant, s.plan.Settings.Lowest, trials) {
			return false
		}
	}
	return !anyWorked(trials)
}

func (s *Sweep) tried(variant string, workers int, trials []Trial) bool {
	return slices.ContainsFunc(s.plan.of(variant, trials), func(t Trial) bool { return t.Shape.Workers == workers })
}

func anyWorked(trials []Trial) bool {
	return slices.ContainsFunc(trials, func(t Trial) bool { return t.Outcome == OK })
}

// expected is how long a step will take: as long as the longest of the same purpose at the nearest
// count, of the same variant where that has run.
func (s *Sweep) expected(step model.Step, trials []Trial) time.Duration {
	if of := s.plan.of(step.Variant, trials); anyWorked(of) {
		trials = of
	}
	nearest, longest := math.MaxInt, s.timing.guess
	latency := step.Purpose == model.PurposeLatency
	if latency {
		for _, share := range model.LatencyShares {
			if rate := share * step.Capacity; rate > 0 {
				longest += s.timing.warmupAt(rate, step.Workers) + s.timing.windowAt(rate)
			}
		}
	}
	for _, t := range trials {
		if t.Outcome != OK || (t.Purpose == model.PurposeLatency) != latency {
			continue
		}
		away := max(t.Shape.Workers-step.Workers, step.Workers-t.Shape.Workers)
		took := time.Duration((t.ElapsedSeconds - t.FrontAlone.elapsed() - t.stuck()) * float64(time.Second)) // once in a sweep
		switch {
		case away < nearest:
			nearest, longest = away, took
		case away == nearest:
			longest = max(longest, took)
		}
	}
	return longest + longest/10
}

func spent(trials []Trial) time.Duration {
	var sum float64
	for _, t := range trials {
		sum += t.ElapsedSeconds
	}
	return time.Duration(sum * float64(time.Second))
}
