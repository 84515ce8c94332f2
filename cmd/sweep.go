package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"advise/reports"
	"advise/scenarios"
	"advise/sweep"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

// sweepOptions are the flags of a sweep.
type sweepOptions struct {
	cores      cores
	memory     memory
	workers    workers
	classes    []string
	threads    threadList
	preload    preloads
	variants   []sweep.Variant
	scenario   string
	path       string
	slo        objective
	rate       rate
	clients    connections
	surplus    surplus
	predict    coreList
	predictMem memoryList
	time       time.Duration
	tolerance  share
	confidence share
	headroom   margin
	seed       int64
	arrivals   string
	probe      string
	live       bool
	out        string
	resume     string
	ignoreEnv  []string
	limits     string
	dryRun     bool
	output     outputOptions
}

// outputOptions are the flags of every command that prints a result.
type outputOptions struct {
	json    bool
	quiet   bool
	noColor bool
}

func (o *outputOptions) register(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print the result as one JSON document")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	f.BoolVar(&o.noColor, "no-color", false, "no colours")
}

// The defaults of a sweep.
const (
	defaultTime       = 2 * time.Minute
	timePerVariant    = time.Minute
	defaultTolerance  = 0.05
	defaultConfidence = 0.95
	defaultHeadroom   = 0.10
)

func newSweep(s Streams) *cobra.Command {
	o := &sweepOptions{tolerance: defaultTolerance, confidence: defaultConfidence, headroom: defaultHeadroom}
	c := &cobra.Command{
		Use:   "advise [flags] [-- start command]",
		Short: "Measure how many workers a server should run",
		Long: `advise restarts your server at one worker count after another, holds it to the
cores and the memory it will have, drives it with load, and recommends how many
workers to run, with an interval.

Put your usual start command behind --. Without one, the current folder is
looked at: Procfile, Dockerfile, gunicorn.conf.py, manage.py, app.py, config.ru,
package.json and others. With nothing found, a built-in demo server runs. A
command that advise does not know (advise targets lists those it does) takes
{workers}, {host} and {port}, or WEB_CONCURRENCY and PORT from its environment.

The server is started by advise, on this machine, and only that is loaded.

Exit codes: 0 done, 1 failed, 3 no trustworthy recommendation, 4 the server did
not start or did not become ready, 130 interrupted.`,
		Example: `  advise --cores 1 --mem 512M -- gunicorn app:app
  advise --cores 4 --mem 1.5G
  advise --cores 500m --mem 256Mi --path /health -- ./server --port {port} --procs {workers}
  advise --cores 1 --mem 512M --class sync,gthread --threads 1,2,4 -- gunicorn app:app
  advise --rate 300 --headroom 20% --slo p95=200ms,errors=0.1% -- gunicorn app:app
  advise --dry-run -- gunicorn app:app`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && c.ArgsLenAtDash() != 0 {
				return withHint(fmt.Errorf("unknown command %q", args[0]), "put your start command behind --: advise -- %s", strings.Join(args, " "))
			}
			if len(args) == 0 && c.ArgsLenAtDash() == 0 {
				return withHint(errors.New("there is no start command behind --"), "advise -- gunicorn app:app")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runSweep(c, s, o, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.Var(&o.cores, "cores", "cores the server will have: 4, 1.5 or 500m (default: all but one)")
	f.Var(&o.memory, "mem", "memory the server will have: 1.5G, 512M, 512Mi, bytes (default: no cap)")
	f.Var(&o.workers, "workers", "counts to search, 1..16, or to measure, 1,2,4,8 (default: as far as throughput grows)")
	f.StringSliceVar(&o.classes, "class", nil, "worker classes to compare: sync,gthread (default: the command's own)")
	f.Var(&o.threads, "threads", "threads per worker to compare: 1,2,4 (default: the command's own)")
	f.Var(&o.preload, "preload", "load the application before forking: on, off, or on,off to compare (default: as the command does)")
	f.StringVar(&o.path, "path", "/", "the page to ask for")
	f.StringVar(&o.scenario, "scenario", "", "file with the requests to send and the objective to meet")
	f.Var(&o.slo, "slo", "objective to meet at the rate: p95=200ms,errors=0.1% (default: the scenario's)")
	f.Var(&o.rate, "rate", "requests per second the traffic will bring: 300 or 18000/m (default: the scenario's)")
	f.Var(&o.clients, "connections", "connections at full load, where clients are a fixed pool: 50 (default: as many as fill the server)")
	f.Var(&o.surplus, "headroom", "share on top of the rate to be ready for: 20%")
	f.Var(&o.predict, "predict-cores", "other core counts to predict for, as an upper bound: 2,4,8")
	f.Var(&o.predictMem, "predict-mem", "other sizes of memory to predict for: 512M,2G")
	f.DurationVar(&o.time, "time", defaultTime, "time the whole sweep may take (without it: a minute more for each further shape)")
	f.Var(&o.tolerance, "tolerance", "throughput that may be given up for fewer workers")
	f.Var(&o.confidence, "confidence", "confidence of the intervals")
	f.Var(&o.headroom, "mem-headroom", "share of the memory to leave free")
	f.Int64Var(&o.seed, "seed", 1, "seed of the order of restarts and of the requests")
	f.StringVar(&o.arrivals, "arrivals", string(generator.Poisson), "how requests arrive at a rate: poisson, as visitors do, or constant")
	f.BoolVar(&o.live, "live", false, "change the count while the server runs, where it can: see advise targets")
	f.StringVar(&o.probe, "probe", "", "cheap page, such as /health, to time while the server is full")
	f.StringVar(&o.out, "out", "", "folder for the record (default: one below "+stateHint+")")
	f.StringVar(&o.resume, "resume", "", "folder of the record to go on with: by the same command, settings, environment and machine")
	f.StringSliceVar(&o.ignoreEnv, "ignore-env", nil, "variables that may differ on --resume: those that change nothing for the server")
	f.StringVar(&o.limits, "limits", string(hold.Auto), "how the server is held: auto, cgroup2, cgroup1, affinity, none")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan, start nothing")
	o.output.register(f)
	c.MarkFlagsMutuallyExclusive("scenario", "path")
	c.MarkFlagsMutuallyExclusive("out", "resume")
	return c
}

func runSweep(c *cobra.Command, s Streams, o *sweepOptions, args []string) error {
	target, record, err := o.target(c.Flags(), args)
	if err != nil {
		return err
	}
	if err := o.compare(c.Context(), c.Flags(), target); err != nil {
		return err
	}
	scenario, file, err := o.loadScenario()
	if err != nil {
		return err
	}
	dir, err := o.folder(target)
	if err != nil {
		return err
	}
	watch := newWatch(s.Err, o.output)
	run, err := sweep.New(sweep.Options{
		Target: target, Scenario: scenario, ScenarioFile: file,
		RateGiven: o.rate > 0, ObjectiveGiven: !scenarios.Objective(o.slo).Empty(),
		ConnectionsGiven: o.clients > 0,
		RateHeadroom:     float64(o.surplus), PredictCores: o.predict, PredictMemory: o.predictMem,
		Cores: float64(o.cores), MemoryBytes: int64(o.memory), Limits: hold.Method(o.limits),
		Variants: o.variants, Lowest: o.workers.lowest, Highest: o.workers.highest, Counts: o.workers.counts,
		Time: o.time, Tolerance: float64(o.tolerance), Confidence: float64(o.confidence),
		MemoryHeadroom: float64(o.headroom), Seed: o.seed, Arrivals: generator.Arrivals(o.arrivals), Probe: o.probe, Live: o.live,
		Dir: dir, Tool: tool(), IgnoredVariables: o.ignoreEnv, Progress: watch.event,
	})
	if err != nil {
		return err
	}
	if record != nil {
		if err := run.Resume(c.Context(), record); err != nil {
			return err
		}
	}
	if o.dryRun {
		outline, err := run.Outline()
		if err != nil {
			return err
		}
		return printOutline(s.Out, outline, o.output)
	}

	ctx, abort, stop := interruptible(s.Err)
	defer stop()
	watch.begin(run.Plan(), dir)
	measured, err := run.Run(ctx, abort)
	watch.end()
	if errors.Is(err, context.Canceled) {
		return interrupted(measured, dir)
	}
	if err != nil {
		return err
	}
	return publish(s.Out, measured, o.output)
}

// interrupted says what was saved and how to go on.
func interrupted(measured *sweep.Record, dir string) error {
	n := 0
	if measured != nil {
		n = len(measured.Trials)
	}
	return withHint(fmt.Errorf("interrupted: %w; %d trials are saved", context.Canceled, n), "go on with: advise --resume %s", quote(dir))
}

// publish writes the record's reports and prints the result.
func publish(out io.Writer, r *sweep.Record, o outputOptions) error {
	result, err := reports.Write(r)
	if err != nil {
		return err
	}
	if o.json {
		err = reports.JSON(out, result)
	} else {
		err = reports.Text(out, result, textOptions(out, o))
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if result.Recommendation == nil {
		return errNoAdvice
	}
	return nil
}

// target finds what to start: the command behind --, that of the record to resume, what the folder
// shows, or the demo server. On resuming, flags that were not given are those of the record.
func (o *sweepOptions) target(flags *pflag.FlagSet, args []string) (*targets.Target, *sweep.Record, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, fmt.Errorf("find the current folder: %w", err)
	}
	command := targets.Command{Argv: args, Env: os.Environ(), Dir: dir}
	if len(o.ignoreEnv) > 0 && o.resume == "" {
		return nil, nil, withHint(errors.New("--ignore-env is for going on with a record"), "add --resume DIR")
	}
	if o.resume != "" {
		r, err := sweep.Open(o.resume)
		if err != nil {
			return nil, nil, err
		}
		o.adopt(flags, r.Plan)
		if len(args) == 0 {
			if r.Plan.Target.Masked {
				return nil, nil, withHint(fmt.Errorf("resume %s: the command holds a secret, which the record does not", o.resume), "give it again: advise --resume %s -- COMMAND", quote(o.resume))
			}
			command.Argv, command.Dir = r.Plan.Target.Command, r.Plan.Target.Workdir
		}
		t, err := targets.ForAdapter(r.Plan.Target.Adapter, command)
		if err == nil {
			t.Found = r.Plan.Target.Found
		}
		return t, r, err
	}
	o.defaultCores()
	if len(args) > 0 {
		t, err := targets.Recognise(command)
		return t, nil, err
	}
	t, err := targets.Detect(dir, command.Env)
	var nothing *targets.NothingFoundError
	if errors.As(err, &nothing) {
		t := targets.Demo(nil, command.Env, dir)
		t.Found = strings.Join(append([]string{fmt.Sprintf("no server of yours was found in %s: the built-in demo server runs instead", dir)}, nothing.Below...), "\n")
		return t, nil, nil
	}
	return t, nil, err
}

// compare works out the shapes that the flags ask for; without any of them there is the command's own, or
// those of the record to resume.
func (o *sweepOptions) compare(ctx context.Context, flags *pflag.FlagSet, t *targets.Target) error {
	if len(o.classes)+len(o.threads)+len(o.preload) > 0 {
		_, _ = t.Version(ctx) // which some defaults depend on; one that is not known is none
		shapes, err := t.Variants(o.classes, o.threads, o.preload)
		if err != nil {
			return err
		}
		o.variants = nil
		for _, s := range shapes {
			o.variants = append(o.variants, sweep.VariantOf(s))
		}
	}
	if n := len(o.variants); n > 1 && o.resume == "" && !flags.Changed("time") {
		o.time += time.Duration(n-1) * timePerVariant
	}
	return nil
}

// adopt takes every option that was not given from the plan of a record.
func (o *sweepOptions) adopt(flags *pflag.FlagSet, p sweep.Plan) {
	take := func(flag string, set func()) {
		if !flags.Changed(flag) {
			set()
		}
	}
	take("cores", func() { o.cores = cores(p.Budget.Cores) })
	take("mem", func() { o.memory = memory(p.Budget.MemoryBytes) })
	take("workers", func() {
		if p.Settings.MostSlots > 0 { // the range was left to advise
			o.workers = workers{lowest: p.Settings.Lowest}
			return
		}
		o.workers = workers{lowest: p.Settings.Lowest, highest: p.Settings.Highest}
		if len(p.Settings.Counts) > 0 {
			o.workers = workers{counts: p.Settings.Counts}
		}
	})
	o.variants = p.Settings.Variants
	take("time", func() { o.time = time.Duration(p.Settings.TimeSeconds * float64(time.Second)) })
	take("tolerance", func() { o.tolerance = share(p.Settings.Tolerance) })
	take("confidence", func() { o.confidence = share(p.Settings.Confidence) })
	take("mem-headroom", func() { o.headroom = margin(p.Settings.MemoryHeadroom) })
	take("headroom", func() { o.surplus = surplus(p.Settings.RateHeadroom) })
	take("predict-cores", func() { o.predict = p.Settings.PredictCores })
	take("predict-mem", func() { o.predictMem = p.Settings.PredictMemory })
	if p.Scenario.RateGiven {
		take("rate", func() { o.rate = rate(p.Scenario.TrafficRPS) })
	}
	if p.Scenario.ObjectiveGiven {
		take("slo", func() { o.slo = objective(p.Scenario.Objective.Given()) })
	}
	if p.Scenario.ConnectionsGiven {
		take("connections", func() { o.clients = connections(p.Scenario.Connections) })
	}
	take("seed", func() { o.seed = p.Settings.Seed })
	take("arrivals", func() { o.arrivals = p.Settings.Arrivals })
	take("live", func() { o.live = p.Settings.Live })
	take("probe", func() { o.probe = p.Settings.Probe })
	take("limits", func() { o.limits = p.Environment.LimitsMethod })
	if !flags.Changed("scenario") && !flags.Changed("path") {
		o.scenario = p.Scenario.File
		if o.scenario == "" && len(p.Scenario.Requests) > 0 {
			o.path = p.Scenario.Requests[0].Path
		}
	}
}

func (o *sweepOptions) defaultCores() {
	if o.cores == 0 {
		o.cores = cores(max(sweep.AllowedCores()-1, 1))
	}
}

// loadScenario reads the scenario; the rate, the connections and the objective on the command line win over
// the file's.
func (o *sweepOptions) loadScenario() (s *scenarios.Scenario, file string, err error) {
	if o.scenario == "" {
		s, err = scenarios.ForPath(o.path)
	} else {
		if file, err = filepath.Abs(o.scenario); err != nil {
			return nil, "", fmt.Errorf("find scenario %s: %w", o.scenario, err)
		}
		s, err = scenarios.Load(o.scenario)
	}
	if err != nil {
		return nil, "", err
	}
	if o.rate > 0 {
		s.Rate = float64(o.rate)
	}
	if o.clients > 0 {
		s.Connections = int(o.clients)
	}
	if given := scenarios.Objective(o.slo); !given.Empty() {
		s.Objective = given
	}
	return s, file, nil
}

const stateHint = "$XDG_STATE_HOME/advise"

// folder is where the record goes. Without --out it is a new one in the user's state folder, so
// that a sweep that was killed can always be gone on with.
func (o *sweepOptions) folder(t *targets.Target) (string, error) {
	if o.resume != "" {
		return o.resume, nil
	}
	if o.out != "" {
		return o.out, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", withHint(fmt.Errorf("choose a folder for the record: %w", err), "name one with --out DIR")
		}
		state = filepath.Join(home, ".local", "state")
	}
	name := time.Now().Format("20060102-150405") + "-" + filepath.Base(t.Command.Dir)
	dir := filepath.Join(state, "advise", strings.Trim(name, "-./"))
	free := dir
	for n := 2; exists(free); n++ {
		free = fmt.Sprintf("%s-%d", dir, n)
	}
	return free, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// quote makes a path safe to paste into a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:@%,", r)
	}
	if path != "" && !slices.ContainsFunc([]rune(path), func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// standIn is true when the demo server runs because nothing else was found.
func standIn(t sweep.Target) bool { return t.Adapter == targets.DemoName && t.Found != "" }

// seenBelow is what was seen one folder deeper where the demo server stands in.
func seenBelow(t sweep.Target) []string { return strings.Split(t.Found, "\n")[1:] }
