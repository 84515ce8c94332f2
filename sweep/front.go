package sweep

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

// A fronted instance may have a server before it that passes requests on.
type fronted interface {
	// Front is not ok when there is none.
	Front() (front targets.Front, ok bool)
	FrontProcesses() ([]hold.Process, error)
}

// FrontAlone is what the server before the workers does when it answers by itself.
type FrontAlone struct {
	Server string `json:"server"`
	Path   string `json:"path"`
	// ThroughputRPS is a lower bound when GeneratorBound: a front is often as fast as the generator.
	ThroughputRPS  float64 `json:"throughput_rps"`
	GeneratorBound bool    `json:"generator_bound"`
	// CPUSecondsPerRequest is the whole tree's, in which nothing else has anything to do then. To pass a
	// request on takes several times as much.
	CPUSecondsPerRequest float64 `json:"cpu_seconds_per_request"`
	// ElapsedSeconds it took to measure, of the trial's own.
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// elapsed is 0 for one that was not measured.
func (f *FrontAlone) elapsed() float64 {
	if f == nil {
		return 0
	}
	return f.ElapsedSeconds
}

// It takes no more time than its CPU time needs to be exact: the search has to do without it.
const (
	frontWarmup = 200 * time.Millisecond
	frontWindow = 800 * time.Millisecond
)

// driveFront measures the server before the workers alone, once in a sweep: after the load of the first
// trial that worked, while its server runs. Where that fails it is not known, which is no trial's failure.
func (s *Sweep) driveFront(ctx context.Context, t *Trial, server instance) error {
	f, ok := server.(fronted)
	if !ok || s.frontDriven || t.Outcome != OK || ended(server) {
		return nil
	}
	front, ok := f.Front()
	if !ok {
		return nil
	}
	s.frontDriven = true
	began := time.Now()
	var used cpuMeter
	summary, err := s.attack(ctx, s.frontAttack(server.URL(), front.Path), func(p generator.Progress) { used.see(server, p) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("drive the %s before the server: %w", front.Server, err)
	}
	each, ok := used.perAnswer()
	if !ok || summary.Failed > 0 {
		return nil
	}
	t.FrontAlone = &FrontAlone{
		Server: front.Server, Path: front.Path,
		ThroughputRPS: summary.ThroughputRPS, GeneratorBound: summary.Verdict == generator.VerdictBound,
		CPUSecondsPerRequest: each, ElapsedSeconds: time.Since(began).Seconds(),
	}
	return nil
}

// frontAttack asks for the front's own page over as many connections as for everything else.
func (s *Sweep) frontAttack(url, path string) generator.Attack {
	return generator.Attack{
		URL: url, Seed: s.plan.Settings.Seed, Connections: s.plan.Settings.Connections, CPUs: s.split.generator,
		Requests: []generator.Request{{Method: http.MethodGet, Path: path, Weight: 1}},
		Warmup:   frontWarmup, Window: frontWindow, Timeout: s.timing.timeout, CeilingRPS: s.ceiling,
	}
}

// A cpuMeter reads the tree's CPU time and the answers at the two ends of a window.
type cpuMeter struct {
	cpu      [2]time.Duration
	answered [2]uint64
	seen     [2]bool
}

func (m *cpuMeter) see(server instance, p generator.Progress) {
	var end int
	switch p.Event {
	case generator.WindowStarted:
	case generator.WindowEnded:
		end = 1
	default:
		return
	}
	usage, err := server.Usage()
	m.cpu[end], m.answered[end], m.seen[end] = usage.CPU, p.OK+p.Failed, err == nil
}

// perAnswer is in CPU seconds; it is not ok when an end of the window was not seen or nothing was used.
func (m *cpuMeter) perAnswer() (seconds float64, ok bool) {
	used := m.cpu[1] - m.cpu[0]
	if !m.seen[0] || !m.seen[1] || used <= 0 || m.answered[1] <= m.answered[0] {
		return 0, false
	}
	return used.Seconds() / float64(m.answered[1]-m.answered[0]), true
}

// frontProcesses are those of the server before the workers; none where there is none.
func frontProcesses(server instance) []hold.Process {
	f, ok := server.(fronted)
	if !ok {
		return nil
	}
	list, _ := f.FrontProcesses() // none are none to compare
	return list
}

// frontShare is what part of the CPU time processes used in between; nil where none of them was there.
func frontShare(before, after []hold.Process, all time.Duration) *float64 {
	first := map[int]time.Duration{}
	for _, p := range before {
		first[p.PID] = p.CPU
	}
	used, seen := time.Duration(0), false
	for _, p := range after {
		if was, lived := first[p.PID]; lived {
			used, seen = used+p.CPU-was, true
		}
	}
	if !seen || all <= 0 {
		return nil
	}
	share := min(max(used.Seconds()/all.Seconds(), 0), 1)
	return &share
}

// A Front is the part that the server before the workers has in what is measured at a count.
type Front struct {
	// CPUShare is of the CPU time at full load, CPUSecondsPerRequest what that is of a request's: the means
	// over the count's restarts, nil where its processes were not seen.
	CPUShare             *float64   `json:"cpu_share"`
	CPUSecondsPerRequest *float64   `json:"cpu_seconds_per_request"`
	Alone                FrontAlone `json:"alone"`
}

// Front is nil for a server with nothing before it, and where that was not measured.
func (r *Record) Front(workers int) *Front {
	i := slices.IndexFunc(r.Trials, func(t Trial) bool { return t.FrontAlone != nil })
	if i < 0 {
		return nil
	}
	f := &Front{Alone: *r.Trials[i].FrontAlone}
	var share, each, n float64
	for _, t := range r.Used() {
		if s := t.Server; t.Outcome == OK && t.Shape.Workers == workers && s.FrontCPUShare != nil {
			share, each, n = share+*s.FrontCPUShare, each+*s.FrontCPUShare*s.CPUSecondsPerRequest, n+1
		}
	}
	if n > 0 {
		share, each = share/n, each/n
		f.CPUShare, f.CPUSecondsPerRequest = &share, &each
	}
	return f
}

// CaveatFrontShare marks throughput that is in large part that of the server before the workers. Figures:
// cpu_share, workers.
const CaveatFrontShare = "front_share"

// largeFront is the share of the CPU time from which on the count is no longer the workers' alone: they
// reach their plateau with that much of the cores left to the front.
const largeFront = 0.2

func (r *Record) frontHeavy(a model.Advice) *model.Caveat {
	f := r.Front(a.Workers)
	if !a.Made || f == nil || f.CPUShare == nil || *f.CPUShare <= largeFront {
		return nil
	}
	return &model.Caveat{
		Code: CaveatFrontShare,
		Message: fmt.Sprintf("The %s before the workers takes %.0f %% of the CPU time: throughput, and with it the count, is in that part its own. Where it runs on other cores, more workers may pay.",
			f.Alone.Server, 100**f.CPUShare),
		Figures: map[string]float64{"cpu_share": *f.CPUShare, "workers": float64(a.Workers)},
	}
}
