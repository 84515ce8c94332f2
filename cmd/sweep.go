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

	"advise/model"
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
	least      least
	classes    []string
	threads    threadList
	preload    preloads
	variants   []sweep.Variant
	compared   *sweep.Compared
	scenario   string
	path       string
	slo        objective
	rate       rate
	goal       goal
	clients    connections
	surplus    surplus
	share      bool
	predict    coreList
	predictMem memoryList
	time       time.Duration
	tolerance  share
	confidence confidence
	headroom   margin
	seed       int64
	arrivals   string
	probe      string
	live       bool
	out        string
	resume     string
	ignoreEnv  []string
	skip       bool
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
	o.register(c.Flags())
	c.MarkFlagsMutuallyExclusive("scenario", "path")
	c.MarkFlagsMutuallyExclusive("out", "resume")
	return c
}

func (o *sweepOptions) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.Var(&o.cores, "cores", "cores the server will have: 4, 1.5 or 500m (default: all but one)")
	f.Var(&o.memory, "mem", "memory the server will have: 1.5G, 512M, 512Mi, bytes (default: no cap)")
	f.Var(&o.workers, "workers", "counts to search, 1..16, or to measure, 1,2,4,8 (default: as far as throughput grows)")
	f.Var(&o.least, "least", "fewest workers to recommend, where that costs no more than the tolerance (default: 2 where one blocks)")
	f.StringSliceVar(&o.classes, "class", nil, "worker classes to compare: sync,gthread (default: the command's own)")
	f.Var(&o.threads, "threads", "threads per worker to compare: 1,2,4 (default: the command's own)")
	f.Var(&o.preload, "preload", "load the application before forking: on, off, or on,off to compare (default: as the command does)")
	f.StringVar(&o.path, "path", "/", "the page to ask for")
	f.StringVar(&o.scenario, "scenario", "", "file with the requests to send and the objective to meet")
	f.Var(&o.slo, "slo", "objective to meet at the rate: p95=200ms,errors=0.1% (default: the scenario's, or p95 within twice that without load, and no errors)")
	f.Var(&o.rate, "rate", "requests per second the traffic will bring: 300 or 18000/m (default: the scenario's)")
	f.Var(&o.goal, "goal", "rate: the fewest workers that hold it; capacity: for all the cores can do (default: rate where there is one)")
	f.Var(&o.clients, "connections", "connections at full load, where clients are a fixed pool: 50 (default: as many as fill the server)")
	f.Var(&o.surplus, "headroom", "share on top of the rate to be ready for: 20%")
	f.BoolVar(&o.share, "share-cores", false, "where the load generator takes the core that --cores lacks: run it on the server's, and take off what it uses")
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
	f.StringVar(&o.out, "out", "", "new or empty folder for the record (default: one below "+stateHint+")")
	f.StringVar(&o.resume, "resume", "", "folder of the record to go on with: by the same command, settings, environment and machine")
	f.StringSliceVar(&o.ignoreEnv, "ignore-env", nil, "variables that may differ on --resume: those that change nothing for the server")
	f.BoolVar(&o.skip, "skip-damaged", false, "on --resume, leave damaged lines of trials.jsonl out; the file keeps them")
	f.StringVar(&o.limits, "limits", string(hold.Auto), "how the server is held: auto, cgroup2, cgroup1, affinity, none")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan, start nothing")
	o.output.register(f)
}

func runSweep(c *cobra.Command, s Streams, o *sweepOptions, args []string) error {
	ctx, abort, stop := interruptible(s.Err)
	defer stop()
	asked, err := unlessEnded(ctx, func() (*request, error) { return o.read(c.Flags(), args) })
	if err != nil {
		return err
	}
	watch := newWatch(s.Err, o.output)
	run, err := o.sweep(asked, watch)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.printPlan(s.Out, run, asked.record)
	}
	// From here on something is run: first of all what tells the server's version.
	if o.compares() || asked.record != nil {
		_, _ = asked.target.Version(ctx) // one that is not known is none
		if err := ctx.Err(); err != nil {
			return notBegun(err)
		}
		if run, err = o.sweep(asked, watch); err != nil { // some defaults depend on it
			return err
		}
	}
	if asked.record != nil {
		if err := run.Resume(asked.record); err != nil {
			return err
		}
	}
	watch.begin(run.Plan(), asked.dir)
	measured, err := run.Run(ctx, abort)
	watch.end()
	if errors.Is(err, context.Canceled) {
		return interrupted(measured, resumeCommand(asked.dir, run.Plan(), o.ignoreEnv))
	}
	var unsaved *sweep.UnsavedError
	if err != nil && !errors.As(err, &unsaved) {
		return err
	}
	return publish(s, measured, o.output, err)
}

// A request is what a command line and the files that it names ask for.
type request struct {
	target   *targets.Target
	record   *sweep.Record // to resume; nil: none
	scenario *scenarios.Scenario
	file     string // of the scenario
	dir      string // of the record
}

// read runs nothing.
func (o *sweepOptions) read(flags *pflag.FlagSet, args []string) (*request, error) {
	var asked request
	var err error
	if asked.target, asked.record, err = o.target(flags, args); err != nil {
		return nil, err
	}
	if err := o.compare(flags, asked.target); err != nil {
		return nil, err
	}
	if asked.scenario, asked.file, err = o.loadScenario(); err != nil {
		return nil, err
	}
	if asked.dir, err = o.folder(asked.target); err != nil {
		return nil, err
	}
	return &asked, nil
}

// unlessEnded returns what f does, or that ctx has ended: what waits for somebody to write to a pipe
// does not notice that.
func unlessEnded[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, notBegun(ctx.Err())
	}
}

func notBegun(err error) error { return fmt.Errorf("interrupted: %w; no server was started", err) }

// sweep plans what was asked for.
func (o *sweepOptions) sweep(asked *request, watch *watch) (*sweep.Sweep, error) {
	if err := o.vary(asked.target); err != nil {
		return nil, err
	}
	return sweep.New(sweep.Options{
		Target: asked.target, Scenario: asked.scenario, ScenarioFile: asked.file,
		RateGiven: o.rate > 0, ObjectiveGiven: !scenarios.Objective(o.slo).Empty(), ConnectionsGiven: o.clients > 0,
		Goal: model.Goal(o.goal), RateHeadroom: float64(o.surplus), PredictCores: o.predict, PredictMemory: o.predictMem,
		Cores: float64(o.cores), ShareCores: o.share, MemoryBytes: int64(o.memory), Limits: hold.Method(o.limits),
		Variants: o.variants, Compared: o.compared, Lowest: o.workers.lowest, Highest: o.workers.highest, Counts: o.workers.counts, Least: int(o.least),
		Time: o.time, Tolerance: float64(o.tolerance), Confidence: float64(o.confidence),
		MemoryHeadroom: float64(o.headroom), Seed: o.seed, Arrivals: generator.Arrivals(o.arrivals), Probe: o.probe, Live: o.live,
		Dir: asked.dir, SkipDamaged: o.skip, Tool: tool(), IgnoredVariables: o.ignoreEnv, Progress: watch.event,
	})
}

// printPlan runs nothing: what depends on the server's version is planned as if that were not known.
func (o *sweepOptions) printPlan(out io.Writer, run *sweep.Sweep, record *sweep.Record) error {
	if record != nil {
		if err := run.Resume(record); err != nil {
			return err
		}
	}
	outline, err := run.Outline()
	if err != nil {
		return err
	}
	return printOutline(out, outline, o.output)
}

// interrupted says what was saved and how to go on.
func interrupted(measured *sweep.Record, resume string) error {
	n := 0
	if measured != nil {
		n = len(measured.Trials)
	}
	return withHint(fmt.Errorf("interrupted: %w; %d trials are saved", context.Canceled, n), "go on with: %s", resume)
}

// publish writes the record's reports and prints the result, also when it can't be written. unsaved is why the
// record itself could not be: then its folder is left alone.
func publish(s Streams, r *sweep.Record, o outputOptions, unsaved error) error {
	for _, line := range r.LeftOut {
		say(s.Err, "advise: left out of %s: %v\n", r.Dir, line)
	}
	if r.Unkept != nil {
		say(s.Err, "advise: note: %v\n", r.Unkept)
	}
	var result *reports.Result
	var err error
	if unsaved != nil {
		result, err = reports.Make(r)
	} else {
		result, unsaved = reports.Write(r)
	}
	if result == nil {
		return errors.Join(unsaved, err)
	}
	for _, note := range result.Notes {
		say(s.Err, "advise: note: %s\n", note)
	}
	if o.json {
		err = reports.JSON(s.Out, result)
	} else {
		err = reports.Text(s.Out, result, textOptions(s.Out, o))
	}
	switch {
	case err != nil:
		return errors.Join(fmt.Errorf("print the result: %w", err), unsaved)
	case unsaved != nil:
		return unsaved
	case result.Recommendation == nil:
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
	if o.skip && o.resume == "" {
		return nil, nil, withHint(errors.New("--skip-damaged is for going on with a record"), "add --resume DIR")
	}
	if o.resume != "" {
		r, err := openRecord(o.resume, o.skip)
		if err != nil {
			return nil, nil, err
		}
		if err := o.adopt(flags, r); err != nil {
			return nil, nil, err
		}
		if len(args) == 0 {
			if r.Plan.Target.Masked {
				return nil, nil, o.giveAgain(r, "the command holds a secret, which the record does not")
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

// compares is whether the flags ask for shapes.
func (o *sweepOptions) compares() bool { return len(o.classes)+len(o.threads)+len(o.preload) > 0 }

// compare works out the shapes to compare, and the time for them.
func (o *sweepOptions) compare(flags *pflag.FlagSet, t *targets.Target) error {
	if err := o.vary(t); err != nil {
		return err
	}
	if n := len(o.variants); n > 1 && o.resume == "" && !flags.Changed("time") {
		o.time += time.Duration(n-1) * timePerVariant
	}
	return nil
}

// vary works out the shapes that the flags ask for; without any of them there is the command's own, or
// those of the record to resume.
func (o *sweepOptions) vary(t *targets.Target) error {
	if !o.compares() {
		return nil
	}
	shapes, err := t.Variants(o.classes, o.threads, o.preload)
	if err != nil {
		return err
	}
	o.variants, o.compared = nil, &sweep.Compared{Classes: o.classes, Threads: o.threads, Preload: o.preload}
	for _, s := range shapes {
		o.variants = append(o.variants, sweep.VariantOf(s))
	}
	return nil
}

// adopt takes every option that was not given from the plan of a record. What the record does not keep,
// since it may be secret, has to be given again.
func (o *sweepOptions) adopt(flags *pflag.FlagSet, r *sweep.Record) error {
	o.variants = r.Plan.Settings.Variants
	for _, f := range r.Plan.Flags() {
		switch f.Name {
		case "class", "threads", "preload": // which are the variants
			continue
		case "scenario", "path":
			if flags.Changed("scenario") || flags.Changed("path") {
				continue
			}
		}
		if flags.Changed(f.Name) {
			continue
		}
		if f.Hidden {
			return o.giveAgain(r, "the record does not keep all values of --"+f.Name+", which may be secret")
		}
		if err := flags.Lookup(f.Name).Value.Set(f.Value); err != nil {
			return fmt.Errorf("resume %s: --%s %s: %w", r.Dir, f.Name, f.Value, err)
		}
	}
	return nil
}

// giveAgain says that the record alone can't be gone on with.
func (o *sweepOptions) giveAgain(r *sweep.Record, why string) error {
	return withHint(fmt.Errorf("resume %s: %s", r.Dir, why), "give it again: %s", resumeCommand(r.Dir, r.Plan, o.ignoreEnv))
}

// resumeCommand goes on with a record; what the record does not keep is left open in it.
func resumeCommand(dir string, p sweep.Plan, ignoreEnv []string) string {
	words := []string{"advise --resume", quote(dir)}
	for _, f := range p.Flags() {
		if f.Hidden {
			words = append(words, "--"+f.Name, quote(f.Value))
		}
	}
	if len(ignoreEnv) > 0 {
		words = append(words, "--ignore-env", quote(strings.Join(ignoreEnv, ",")))
	}
	if p.Target.Masked {
		words = append(words, "-- COMMAND")
	}
	return strings.Join(words, " ")
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
