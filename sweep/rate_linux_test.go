package sweep

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// The Flask page that is asked for at some rates, and the grid that what is recommended is held against.
var (
	ratesAsked = []float64{60, 120, 200, 300, 400}
	rateLimit  = 60 * time.Millisecond // p95
)

const (
	gridRuns    = 3
	gridSeconds = 12
	gridBeside  = 1 // counts below and above the recommended one
)

// BenchmarkRates sets what is recommended for a rate against the fewest workers that hold it in a grid of
// three long runs at each count beside it, of which two have to hold it. Run it with -benchtime 1x on a quiet machine.
func BenchmarkRates(b *testing.B) {
	targetstest.Need(b, "gunicorn")
	var rows []string
	for _, rate := range ratesAsked {
		b.Run(fmt.Sprintf("%g", rate), func(b *testing.B) {
			for b.Loop() {
				rows = append(rows, compareRate(b, rate))
			}
		})
	}
	printTable(b, "rate\trecommended\tinterval\tmemory\tall the cores\tmemory\tgrid's fewest\tp95 in the grid", rows)
}

func compareRate(b *testing.B, rate float64) string {
	b.Helper()
	scenario := scenarioForPath(b)
	scenario.Rate, scenario.Objective.Latency = rate, map[string]time.Duration{"p95": rateLimit}
	s := sweepOn(b, "gunicorn app:app", targetstest.Flask(), Options{Scenario: scenario, Time: time.Minute, RateGiven: true, ObjectiveGiven: true},
		"CPU_MS=2", "WAIT_MS=8")
	r, err := s.Run(b.Context(), b.Context())
	if err != nil {
		b.Fatal(err)
	}
	a := r.Advice()
	if !a.Made {
		return fmt.Sprintf("%g\tnone", rate)
	}
	fewest, cells := 0, []string{}
	for n := max(a.Workers-gridBeside, 1); n <= a.Workers+gridBeside; n++ {
		seen := s.p95At(b, n, rate)
		cells = append(cells, fmt.Sprintf("%d: %s", n, strings.Join(milliseconds(seen), " ")))
		if slices.Sort(seen); seen[gridRuns/2] <= rateLimit.Seconds() && fewest == 0 {
			fewest = n
		}
	}
	if fewest != a.Workers {
		b.Errorf("at %g/s %d workers are recommended (%d-%d), and %d hold it in the grid: %s", rate, a.Workers, a.Low, a.High, fewest, strings.Join(cells, ", "))
	}
	return fmt.Sprintf("%g/s\t%d\t%d-%d\t%.0f MB\t%d\t%.0f MB\t%d\t%s", rate, a.Workers, a.Low, a.High, a.Memory/1e6,
		a.Capacity.Workers, a.Capacity.Memory/1e6, fewest, strings.Join(cells, ", "))
}

// p95At are those of the grid's runs, in seconds; the timeout where a run was not sustained.
func (s *Sweep) p95At(b *testing.B, workers int, rate float64) []float64 {
	b.Helper()
	var seen []float64
	for run := range gridRuns {
		p := s.driven(b, s.plan.Variants()[0].At(workers), generator.Attack{
			Rate: rate, Arrivals: generator.Poisson, Seed: int64(100 + run), Window: gridSeconds * time.Second,
		})
		if !p.Sustained || p.Failed > 0 {
			seen = append(seen, s.timing.timeout.Seconds())
			continue
		}
		seen = append(seen, p.Latency.P95)
	}
	return seen
}

func milliseconds(seconds []float64) []string {
	var text []string
	for _, s := range seconds {
		text = append(text, fmt.Sprintf("%.0f", 1000*s))
	}
	return text
}

// BenchmarkClasses sets the choice among gunicorn's classes for a page that waits 20 ms against a grid of each
// of them, measured at its own saturation.
func BenchmarkClasses(b *testing.B) {
	targetstest.Need(b, "gunicorn")
	for b.Loop() {
		compareClasses(b)
	}
}

// gridConnections fill each of the classes at one of them.
var (
	gridConnections = []int{16, 64, 128, 256}
	gridCounts      = []int{1, 2, 4, 8, 16}
)

func compareClasses(b *testing.B) {
	b.Helper()
	folder := targetstest.Copied(b, "wsgi")
	options := Options{Scenario: scenarioForPath(b), Time: 3 * time.Minute, MemoryBytes: 512e6}
	for _, shape := range []targets.Shape{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 1}, {Class: "gthread", Threads: 8}, {Class: "eventlet", Threads: 1}} {
		options.Variants = append(options.Variants, Variant{Class: shape.Class, Threads: shape.Threads})
	}
	s := sweepOn(b, "gunicorn cost:app", folder, options, "CPU_MS="+pageCPU, "WAIT_MS=20")
	r, err := s.Run(b.Context(), b.Context())
	if err != nil {
		b.Fatal(err)
	}
	standings := r.Standings()
	var rows []string
	for i, v := range s.plan.Variants() {
		best, at := 0.0, ""
		for _, n := range gridCounts {
			for _, connections := range gridConnections {
				p := s.driven(b, v.At(n), generator.Attack{Connections: connections, Window: 2 * time.Second})
				if p.ThroughputRPS > best {
					best, at = p.ThroughputRPS, fmt.Sprintf("%d workers, %d connections", n, connections)
				}
			}
		}
		reached := 0.0
		for _, p := range standings.All[i].Advice.Points {
			reached = max(reached, p.Throughput)
		}
		rows = append(rows, fmt.Sprintf("%s\t%.0f/s\t%s\t%.0f/s\t%.3f", v, best, at, reached, reached/best))
	}
	printTable(b, "shape\tgrid's best\tat\tadvise\tratio", rows)
	b.Logf("chosen: %s", s.plan.Variants()[standings.Chosen])
}

// driven is what a server that is started for it does under an attack, over its window.
func (s *Sweep) driven(b *testing.B, shape Shape, a generator.Attack) *generator.Summary {
	b.Helper()
	server, err := s.launcher.start(b.Context(), shape, filepath.Join(b.TempDir(), logName))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	a.URL, a.Requests, a.CPUs, a.Timeout = server.URL(), s.requests(), s.split.generator, s.timing.timeout
	a.Connections = max(a.Connections, s.plan.Settings.Connections)
	a.Warmup = time.Second
	summary, err := s.attack(b.Context(), a, func(generator.Progress) {})
	if err != nil {
		b.Fatal(err)
	}
	return summary
}

func scenarioForPath(b *testing.B) *scenarios.Scenario {
	b.Helper()
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		b.Fatal(err)
	}
	return scenario
}

// sweepOn is a sweep of a command in a folder, on one core, with what is usual where options say nothing.
func sweepOn(b *testing.B, command, folder string, o Options, env ...string) *Sweep {
	b.Helper()
	target, err := targets.Recognise(targets.Command{Argv: strings.Fields(command), Env: append(os.Environ(), env...), Dir: folder})
	if err != nil {
		b.Fatal(err)
	}
	o.Target, o.Cores, o.Limits, o.Seed, o.Arrivals = target, 1, hold.Auto, 1, generator.Poisson
	o.Tolerance, o.Confidence, o.MemoryHeadroom = model.DefaultTolerance, model.DefaultConfidence, 0.1
	o.Dir = filepath.Join(b.TempDir(), "record")
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func printTable(b *testing.B, head string, rows []string) {
	b.Helper()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	if err := w.Flush(); err != nil {
		b.Error(err)
	}
}
