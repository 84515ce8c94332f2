package sweep

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// A waitingServer has many requests in work at a time in each worker; its page is one of the sample
// applications.
type waitingServer struct {
	name, need, command, app string
	wait                     string // ms, a further one besides pageWaits
}

var waitingServers = []waitingServer{
	{name: "eventlet", need: "gunicorn", command: "gunicorn -k eventlet cost:app", app: "wsgi"},
	{name: "gevent", need: "gunicorn", command: "gunicorn -k gevent cost:app", app: "wsgi"},
	{name: "uvicorn", need: "pypi/uvicorn", command: "uvicorn --no-access-log app:app", app: "asgi"},
	{name: "hypercorn", need: "pypi/hypercorn", command: "hypercorn app:app", app: "asgi"},
	{name: "granian", need: "pypi/granian", command: "granian --interface asgi app:app", app: "asgi"},
	{name: "node", need: "/usr/bin/node", command: "node server.js", app: "node", wait: "50"},
}

// What a page waits for on average, and how far the capacity that a sweep reports may be from the best that
// wrk reaches: each is measured on one core.
var pageWaits = []string{"5", "20", "200"}

const (
	pageCPU       = "0.2" // ms
	saturationOff = 0.05
	wrkSeconds    = 3
)

// BenchmarkSaturation sets the capacity of one worker that a sweep reports against the best that wrk reaches
// over 16 to 1,024 connections on the same server in the same minutes. -bench Saturation/node/50 is one of
// them. Run it with -benchtime 1x on a quiet machine.
func BenchmarkSaturation(b *testing.B) {
	targetstest.Need(b, "wrk", "taskset")
	var rows []string
	for _, server := range waitingServers {
		waits := pageWaits
		if server.wait != "" {
			waits = append(slices.Clone(waits), server.wait)
		}
		for _, wait := range waits {
			b.Run(server.name+"/"+wait, func(b *testing.B) {
				for b.Loop() {
					rows = append(rows, server.compare(b, wait))
				}
			})
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "server\twait\twrk's best\tover\tadvise\tover\tratio")
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	if err := w.Flush(); err != nil {
		b.Error(err)
	}
}

// compare is a row of the table.
func (server waitingServer) compare(b *testing.B, wait string) string {
	s := server.sweep(b, wait)
	r, err := s.Run(b.Context(), b.Context())
	if err != nil {
		b.Fatal(err)
	}
	reported := 0.0
	for _, p := range r.Advice().Points {
		if p.Workers == 1 {
			reported = p.Throughput
		}
	}
	connections := r.Plan.connectionsAt(s.plan.Variants()[0].At(1))
	for _, search := range r.Plan.Saturation.Searches {
		b.Logf("%d workers: %d connections by %q %s, unloaded %.4f s: %+v", search.Workers, search.Connections, search.Shown, search.Bound, search.UnloadedSeconds, search.Tried)
	}
	best, over := s.bestOfWrk(b)
	ratio := reported / best
	b.ReportMetric(ratio, "advise/wrk")
	b.ReportMetric(0, "ns/op")
	if ratio < 1-saturationOff {
		b.Errorf("advise reports %.0f/s over %d connections, wrk reaches %.0f/s over %d", reported, connections, best, over)
	}
	return fmt.Sprintf("%s\t%s ms\t%.0f/s\t%d\t%.0f/s\t%d\t%.3f", server.name, wait, best, over, reported, connections, ratio)
}

func (server waitingServer) sweep(b *testing.B, wait string) *Sweep {
	b.Helper()
	words := strings.Fields(server.command)
	words[0] = server.need
	if name, ok := strings.CutPrefix(server.need, "pypi/"); ok {
		words[0] = targetstest.PyPI(b, name)
	} else {
		targetstest.Need(b, server.need)
	}
	target, err := targets.Recognise(targets.Command{
		Argv: words, Env: append(os.Environ(), "CPU_MS="+pageCPU, "WAIT_MS="+wait), Dir: targetstest.Copied(b, server.app),
	})
	if err != nil {
		b.Fatal(err)
	}
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{
		Target: target, Scenario: scenario, Cores: 1, Limits: hold.Auto, Counts: []int{1, 2},
		Time: time.Minute, Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1, Seed: 1, Arrivals: generator.Poisson,
		Dir: filepath.Join(b.TempDir(), "record"),
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

var wrkRate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// bestOfWrk is the most that wrk gets of one worker, held as in the sweep, and over how many connections.
func (s *Sweep) bestOfWrk(b *testing.B) (best float64, over int) {
	b.Helper()
	server, err := s.launcher.start(b.Context(), s.plan.Variants()[0].At(1), filepath.Join(b.TempDir(), logName))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	cpus := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.split.generator), " ", ","), "[]")
	for connections := 16; connections <= 1024; connections *= 2 {
		out, err := exec.CommandContext(b.Context(), "taskset", "-c", cpus, "wrk", "-t", "1", "-c", strconv.Itoa(connections),
			"-d", strconv.Itoa(wrkSeconds), server.URL()+"/").Output()
		if err != nil {
			b.Fatalf("wrk: %v\n%s", err, out)
		}
		m := wrkRate.FindSubmatch(out)
		if m == nil {
			b.Fatalf("wrk says no rate:\n%s", out)
		}
		if rate, _ := strconv.ParseFloat(string(m[1]), 64); rate > best {
			best, over = rate, connections
		}
		if slices.Contains(strings.Fields(string(out)), "Non-2xx") {
			b.Errorf("wrk got errors over %d connections:\n%s", connections, out)
		}
	}
	return best, over
}
