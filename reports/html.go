package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"advise/sweep"
	"advise/targets"
)

// The chart library, as the npm package echarts 6.1.0 has it; see assets/README.md.
//
//go:embed assets/echarts.common.min.js
var library string

//go:embed page.html
var pageText string

// Everything a page shows passes through the template's escaping: commands, names and errors come
// from users and from servers. The library alone is put in as it is.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"library": func() template.JS { return template.JS(library) }, //nolint:gosec // our own file
}).Parse(pageText))

// HTML returns the result as one page that needs nothing outside of itself: no address is fetched,
// and a policy in the page forbids it. The same result gives the same bytes.
func HTML(r *Result) ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, newPage(r)); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

// A page is what the template shows, in words.
type page struct {
	*Result
	Advice, Detail string // the headline up to its first colon, and the rest
	Shapes         []shapeRow
	SameMemory     string // the title of their last column
	Shape          string // that of Rows, where several were compared
	Command        string
	Date           string
	Charts         []chart
	Rows           []pageRow
	Throttled      bool
	Counts         []string // of Latencies, the columns
	Rates          []pageRate
	LimitedBy      string
	Reading        string
	Paste          []titledText
	Facts          []fact
	Reproduce      string
	Knees          []string
}

type pageRow struct {
	Class                                                  string
	Workers                                                int
	Throughput, Failure, P50, P95, P99, CPU, Memory, Share string
	Restarts                                               int
	Notes                                                  string
}

// A pageRate is a row of the latencies below full load.
type pageRate struct {
	Rate  string
	Cells []string
}

type titledText struct{ Title, Text string }

type fact struct {
	Name  string
	Lines []string
}

func newPage(all *Result) page {
	r := all.own()
	p := page{
		Result: r, Command: shell(r.Target.Command), Charts: chartsOf(r), Reproduce: reproduce(r),
		Date:   r.StartedAt.UTC().Format("2 January 2006, 15:04 UTC"),
		Shapes: shapeRows(all), SameMemory: sameMemory(all),
	}
	if all.several() {
		if c, ok := shapesChart(all); ok {
			p.Charts = append([]chart{c}, p.Charts...)
		}
		if len(r.Points) > 0 {
			p.Shape = fmt.Sprint(r.Points[0].Variant)
		}
	}
	p.Advice, p.Detail, _ = strings.Cut(r.Headline, ": ")
	if strings.HasPrefix(p.Advice, "on ") {
		run, rest, _ := strings.Cut(p.Detail, ": ")
		p.Advice, p.Detail = p.Advice+": "+run, rest
	}
	if r.Recommendation != nil {
		p.LimitedBy = limitedBy(r)
		for i, f := range r.Recommendation.Config {
			p.Paste = append(p.Paste, titledText{pasteTitle(i, f.Path), strings.TrimRight(f.Text, "\n")})
		}
	}
	for _, q := range r.Points {
		p.Rows = append(p.Rows, newRow(r, q))
		p.Throttled = p.Throttled || q.ThrottledShare != nil
	}
	grid := newLatencyGrid(r)
	p.Counts = grid.counts
	for _, row := range grid.rows {
		p.Rates = append(p.Rates, pageRate{row.rate, row.cells})
	}
	p.Knees = kneeWords(r)
	p.Facts = []fact{
		{"Traffic", trafficWords(r)},
		{"Predicted", predictionWords(r)},
		{"Memory growth", growthWords(r)},
		{"Server", server(r)},
		{"Load", load(r)},
		{"Held", append(append([]string{held(r)}, nonEmpty(processors(r))...), r.Environment.LimitsShortfall...)},
		{"Machine", []string{machine(r)}},
		{"Restarts", []string{restarts(r)}},
		{"Latency", nonEmpty(foreseen(r))},
		{"Workers", nonEmpty(spread(r))},
		{"Probe", nonEmpty(probed(r))},
		{"In front", nonEmpty(inFront(r))},
		{"Curve", curveWords(r)},
		{"Other rules", p.Knees},
		{"Tool", []string{strings.TrimSpace("advise " + r.Tool.Version + " " + r.Tool.Commit)}},
	}
	return p
}

func nonEmpty(line string) []string {
	if line == "" {
		return nil
	}
	return []string{line}
}

func newRow(r *Result, q Point) pageRow {
	value, interval := throughputWords(q)
	row := pageRow{
		Workers: q.Workers, Throughput: strings.TrimSpace(value + " " + interval), Restarts: q.Trials, Notes: notes(r, q),
		CPU: optional(q.CPUSecondsPerAnswer, duration), Memory: optional(q.MemoryBytes, size), Share: optional(q.ThrottledShare, percent),
	}
	if q.LatencyOver != nil {
		row.P95 = p95(q)
	} else if q.Latency != nil {
		row.P50, row.P95, row.P99 = duration(q.Latency.P50), duration(q.Latency.P95), duration(q.Latency.P99)
	}
	switch {
	case r.Recommendation != nil && q.Workers == r.Recommendation.Workers:
		row.Class = "recommended"
	case !q.Feasible:
		row.Class, row.Failure = "failed", q.WhyInfeasible
	case q.Workers == r.RuleOfThumb.Workers:
		row.Class = "usual"
	}
	return row
}

// kneeWords say what each other rule would choose.
func kneeWords(r *Result) []string {
	var lines []string
	for _, k := range r.OtherKnees {
		line := k.Rule + ": none"
		if k.Workers != nil {
			line = fmt.Sprintf("%s: %d", k.Rule, *k.Workers)
		}
		if k.Note != "" {
			line += " (" + k.Note + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// curveWords says which curve was chosen, and why the others were not.
func curveWords(r *Result) []string {
	var lines []string
	if r.Fit.Reading != "" {
		lines = append(lines, r.Fit.Reading)
	}
	for _, c := range r.Fit.Candidates {
		line := c.Model + ": not taken"
		switch {
		case c.Model == r.Fit.Model:
			line = c.Model + ": chosen"
		case c.Accepted:
			line = c.Model + ": fits too"
		}
		if c.LackOfFitP != nil {
			line += fmt.Sprintf(", lack of fit p = %s", Number(*c.LackOfFitP))
		}
		if c.WhyNot != "" {
			line += ": " + c.WhyNot
		}
		if c.Reading != "" && c.Model != r.Fit.Model {
			line += "; it would say: " + c.Reading
		}
		lines = append(lines, line)
	}
	return lines
}

// reproduce is the command that measures the same again.
func reproduce(r *Result) string {
	s := r.Settings
	first := []string{"advise", "--cores", short(r.Budget.Cores)}
	if r.Budget.MemoryBytes > 0 {
		first = append(first, "--mem", exactSize(r.Budget.MemoryBytes))
	}
	switch {
	case len(s.Counts) > 0:
		first = append(first, "--workers", strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Counts), " ", ","), "[]"))
	case s.Highest > 0 && s.MostSlots == 0:
		first = append(first, "--workers", fmt.Sprintf("%d..%d", s.Lowest, s.Highest))
	}
	lines := [][]string{first}
	if flags := compared(s.Variants); len(flags) > 0 {
		lines = append(lines, flags)
	}
	switch one := r.Scenario.Requests; {
	case r.Scenario.File != "":
		lines = append(lines, []string{"--scenario", r.Scenario.File})
	case len(one) == 1 && one[0].Path != "/":
		lines = append(lines, []string{"--path", one[0].Path})
	}
	lines = append(lines, asked(r)...)
	if s.Live {
		lines = append(lines, []string{"--live"})
	}
	if s.Probe != "" {
		lines = append(lines, []string{"--probe", s.Probe})
	}
	lines = append(lines,
		[]string{"--time", short(s.TimeSeconds) + "s", "--seed", fmt.Sprint(s.Seed), "--limits", r.Environment.LimitsMethod},
		[]string{"--tolerance", exactPercent(s.Tolerance), "--confidence", exactPercent(s.Confidence), "--mem-headroom", exactPercent(s.MemoryHeadroom)})
	if r.Target.Adapter != targets.DemoName {
		lines = append(lines, append([]string{"--"}, r.Target.Command...))
	}
	var parts []string
	for _, line := range lines {
		parts = append(parts, shell(line))
	}
	return "cd " + shell([]string{r.Target.Workdir}) + "\n" + strings.Join(parts, " \\\n  ")
}

// compared are the flags for the variants. Those that a server folds into one come out the same again.
func compared(variants []sweep.Variant) []string {
	var classes, threads, preloads, flags []string
	add := func(list []string, value string) []string {
		if value == "" || slices.Contains(list, value) {
			return list
		}
		return append(list, value)
	}
	for _, v := range variants {
		classes, threads, preloads = add(classes, v.Class), add(threads, strconv.Itoa(v.Threads)), add(preloads, string(v.Preload))
	}
	for _, f := range []struct {
		name   string
		values []string
	}{{"--class", classes}, {"--threads", threads}, {"--preload", preloads}} {
		if len(f.values) > 0 {
			flags = append(flags, f.name, strings.Join(f.values, ","))
		}
	}
	return flags
}

// asked are the flags for what has to hold, and for what is predicted.
func asked(r *Result) [][]string {
	var flags []string
	if r.Scenario.RateGiven {
		flags = append(flags, "--rate", short(r.Scenario.TrafficRPS))
	}
	if r.Scenario.ConnectionsGiven {
		flags = append(flags, "--connections", strconv.Itoa(r.Scenario.Connections))
	}
	if r.Settings.RateHeadroom > 0 {
		flags = append(flags, "--headroom", exactPercent(r.Settings.RateHeadroom))
	}
	if r.Scenario.ObjectiveGiven {
		flags = append(flags, "--slo", r.Scenario.Objective.Flag())
	}
	if list := r.Settings.PredictCores; len(list) > 0 {
		var parts []string
		for _, n := range list {
			parts = append(parts, short(n))
		}
		flags = append(flags, "--predict-cores", strings.Join(parts, ","))
	}
	if list := r.Settings.PredictMemory; len(list) > 0 {
		var parts []string
		for _, bytes := range list {
			parts = append(parts, exactSize(bytes))
		}
		flags = append(flags, "--predict-mem", strings.Join(parts, ","))
	}
	if len(flags) == 0 {
		return nil
	}
	return [][]string{flags}
}

// exactSize writes bytes as the flag --mem takes them, without rounding.
func exactSize(bytes int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1e9, "G"}, {1 << 30, "Gi"}, {1e6, "M"}, {1 << 20, "Mi"}} {
		if bytes%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", bytes/unit.bytes, unit.name)
		}
	}
	return fmt.Sprint(bytes)
}

func exactPercent(share float64) string {
	return strconv.FormatFloat(100*share, 'g', 10, 64) + "%"
}
