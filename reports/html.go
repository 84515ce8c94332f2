package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"advise/model"
	"advise/sweep"
	"advise/targets"
	"advise/targets/plain"
)

// The chart library, as the npm package echarts 6.1.0 has it; see assets/README.md.
//
//go:embed assets/echarts.common.min.js
var library string

//go:embed page.html
var pageText string

// Everything a page shows passes through the template's escaping: commands, names and errors come
// from users and from servers. The library alone is put in as it is. What a browser would obey or not show
// outside of markup, such as a turn of the direction of writing, is taken out of the whole.
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
	return []byte(plain.Text(b.String())), nil
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
	Rate           string   // that the count was chosen for; empty: all the cores can do
	Counts         []string // of Latencies, the columns
	Rates          []pageRate
	LimitedBy      string
	Reading        string
	Paste          []titledText
	Facts          []fact
	Reproduce      string
	Missing        []string // what has to be put into Reproduce first
	Knees          []string
}

type pageRow struct {
	Class                                                          string
	Workers                                                        int
	Throughput, Failure, P50, P95, P99, AtRate, CPU, Memory, Share string
	Restarts                                                       int
	Notes                                                          string
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
		Result: r, Command: shell(r.Target.Command), Charts: chartsOf(r),
		Date:   r.StartedAt.UTC().Format("2 January 2006, 15:04 UTC"),
		Shapes: shapeRows(all), SameMemory: sameMemory(all),
	}
	p.Reproduce, p.Missing = reproduce(r)
	if r.Goal == model.GoalRate {
		p.Rate = Number(r.Scenario.RateRPS) + "/s"
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
	if strings.HasPrefix(p.Advice, "for ") {
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
		{"Instead", instead(r)},
		{"Measured", measuredWords(r)},
		{"Traffic", trafficWords(r)},
		{"Predicted", predictionWords(r)},
		{"Memory growth", growthWords(r)},
		{"Server", server(r)},
		{"Load", load(r)},
		{"Held", append(append([]string{held(r)}, nonEmpty(processors(r))...), r.Environment.LimitsShortfall...)},
		{"Machine", []string{machine(r)}},
		{"Restarts", []string{restarts(r)}},
		{"Latency", nonEmpty(foreseen(r))},
		{"One worker", furtherWords(r)},
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
	if r.Goal == model.GoalRate {
		row.AtRate = p95AtRate(r, q)
	}
	best, rule := r.found()
	switch {
	case best != nil && q.Workers == best.Workers:
		row.Class = "recommended"
	case !q.Feasible:
		row.Class, row.Failure = "failed", q.WhyInfeasible
	case q.Workers == rule.Workers:
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

// widestCommand is where the lines of a command to paste are broken.
const widestCommand = 76

// reproduce is the command that measures the same again, and what it needs that is not in the record.
func reproduce(r *Result) (command string, missing []string) {
	plan := sweep.Plan{Environment: r.Environment, Target: r.Target, Scenario: r.Scenario, Budget: r.Budget, Settings: r.Settings}
	for _, f := range plan.Flags() {
		if f.Hidden {
			missing = append(missing, fmt.Sprintf("The values of --%s are not kept: put them where %s stands.", f.Name, sweep.Missing))
		}
	}
	if r.Target.Masked {
		missing = append(missing, "The command holds a secret, which is not kept: put it in the place of COMMAND.")
	}
	return "cd " + shell([]string{r.Target.Workdir}) + "\n" + continued(commandParts(plan.Flags(), r.Target)), missing
}

// commandParts are those of a command line of advise that are not to be broken.
func commandParts(flags []sweep.Flag, target sweep.Target) []string {
	parts := []string{"advise"}
	for _, f := range flags {
		parts = append(parts, shell(f.Words()))
	}
	switch {
	case target.Masked:
		parts = append(parts, "-- COMMAND")
	case target.Adapter != targets.DemoName:
		parts = append(parts, "-- "+shell(target.Command))
	}
	return parts
}

// continued writes a command over as many lines as it needs; no part is broken.
func continued(parts []string) string {
	const next = " \\\n  "
	var b strings.Builder
	width := 0
	for i, part := range parts {
		switch {
		case i == 0:
		case width+1+len(part) > widestCommand:
			b.WriteString(next)
			width = 2
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(part)
		width += len(part)
	}
	return b.String()
}
