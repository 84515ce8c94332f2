package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"advise/model"
	"advise/reports"
	"advise/sweep"
	"advise/targets/plain"
)

// A watch tells on standard error how a sweep goes: a bar with the remaining time on a terminal, a
// line for each trial elsewhere.
type watch struct {
	w     io.Writer
	quiet bool
	live  bool
	bar   *progressbar.ProgressBar
}

func newWatch(w io.Writer, o outputOptions) *watch {
	f, ok := w.(*os.File)
	return &watch{w: w, quiet: o.quiet, live: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"}
}

// begin says what is about to happen. That the demo server stands in for the user's is said even
// when quiet: its figures are nobody's.
func (p *watch) begin(plan sweep.Plan, dir string) {
	if standIn(plan.Target) {
		say(p.w, "advise: NO SERVER OF YOURS WAS FOUND in %s\n", plan.Target.Workdir)
		say(p.w, "advise: the built-in demo server runs instead: its figures are not yours\n")
		for _, line := range seenBelow(plan.Target) {
			say(p.w, "advise: %s\n", line)
		}
		say(p.w, "advise: hint: put your start command behind --: advise -- gunicorn app:app\n")
	}
	if p.quiet {
		return
	}
	if plan.Target.Found != "" && !standIn(plan.Target) {
		for line := range strings.SplitSeq(plan.Target.Found, "\n") {
			say(p.w, "advise: %s\n", line)
		}
	}
	say(p.w, "advise: command: %s\n", strings.Join(plan.Target.Command, " "))
	say(p.w, "advise: %s\nadvise: %s\n", held(plan), driven(plan))
	for _, s := range plan.Environment.LimitsShortfall {
		say(p.w, "advise: %s\n", s)
	}
	if plan.Environment.CoresServer < plan.Budget.Cores {
		say(p.w, "advise: %s\n", carried(plan))
	}
	say(p.w, "advise: at most %s; record: %s\n", time.Duration(plan.Settings.TimeSeconds*float64(time.Second)), dir)
	if p.live {
		p.bar = progressbar.NewOptions64(int64(plan.Settings.TimeSeconds*1000),
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(16), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
}

// held is how the server is held, in one line.
func held(p sweep.Plan) string {
	e := p.Environment
	text := fmt.Sprintf("held by %s: server on %s (cpu %s)", e.LimitsMethod, number(e.CoresServer, "core"), reports.CPUList(e.CPUsServer))
	if p.Budget.MemoryBytes > 0 {
		text += ", " + humanize.Bytes(uint64(p.Budget.MemoryBytes))
	}
	return text
}

// driven is with what it is driven, and from where.
func driven(p sweep.Plan) string {
	more := ""
	if p.Settings.ConnectionsAtFirst > 0 && p.Saturation == nil && p.Scenario.Connections == 0 {
		more = ", or as many more as fill the server"
	}
	return fmt.Sprintf("driven by %s%s: generator on cpu %s", number(float64(p.Settings.Connections), "connection"), more, reports.CPUList(p.Environment.CPUsGenerator))
}

func number(n float64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%g %ss", n, thing)
}

func (p *watch) event(e sweep.Event) {
	if p.quiet {
		return
	}
	left := max(e.Budget-e.Elapsed, 0).Round(time.Second)
	if e.Stage == sweep.StageCalibrate {
		if p.bar != nil {
			p.bar.Describe("measure what the load generator can do")
		}
		return
	}
	if e.Stage == sweep.StageUnloaded {
		if p.bar != nil {
			p.bar.Describe(fmt.Sprintf("measure what an answer of %s takes without load", shape(e)))
		}
		return
	}
	if e.Stage == sweep.StageConnect {
		p.connecting(e)
		return
	}
	if p.bar != nil {
		p.bar.Describe(plain.Line(fmt.Sprintf("%d:%02d left, restart %d: %s, %s", int(left.Minutes()), int(left.Seconds())%60, e.Trial, shape(e), e.Stage)))
		_ = p.bar.Set64(min(e.Elapsed, e.Budget).Milliseconds())
		return
	}
	if e.Ended != nil {
		say(p.w, "advise: restart %d: %s (%s): %s; %s left\n", e.Trial, shape(e), e.Why, outcome(e.Ended), left)
	}
}

// connecting tells of a search for the number of connections.
func (p *watch) connecting(e sweep.Event) {
	switch {
	case p.bar != nil:
		p.bar.Describe(fmt.Sprintf("find how many connections fill %s", shape(e)))
	case e.Found != nil:
		fmt.Fprintf(p.w, "advise: connections for %s: %s\n", shape(e), reports.Levels(*e.Found))
	}
}

// shape is what is measured: 2 workers, or 2 workers of gthread with 4 threads where shapes are compared.
func shape(e sweep.Event) string {
	text := number(float64(e.Workers), "worker")
	if e.Variant != "" {
		text += " of " + e.Variant
	}
	return text
}

func outcome(t *sweep.Trial) string {
	if t.Outcome != sweep.OK {
		return strings.ReplaceAll(string(t.Outcome), "_", " ") + ": " + t.Detail
	}
	var parts []string
	for _, p := range t.Phases {
		switch {
		case p.Kind == sweep.PhaseSaturation:
			parts = append(parts, reports.Number(p.ThroughputRPS)+"/s")
		case p.Kind == sweep.PhaseStuck:
			parts = append(parts, fmt.Sprintf("p95 %.0f ms with one worker stopped", 1000*p.Latency.P95))
		case p.Held():
			parts = append(parts, fmt.Sprintf("p95 %.0f ms at %s/s", 1000*p.Latency.P95, reports.Number(p.RatePlannedRPS)))
		default:
			parts = append(parts, fmt.Sprintf("too slow at %s/s", reports.Number(p.RatePlannedRPS)))
		}
	}
	if t.Purpose != model.PurposeLatency {
		parts = append(parts, humanize.Bytes(uint64(t.Server.MemoryPSSBytes)))
	}
	text := strings.Join(parts, ", ")
	if by := t.DisturbedBy(); len(by) > 0 {
		text += fmt.Sprintf(" (disturbed: %s)", by[0])
	}
	return text
}

func (p *watch) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
