package reports

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"advise/model"
	"advise/sweep"
	"advise/targets/plain"
)

// TextOptions say what the terminal can show.
type TextOptions struct {
	// Width in columns; 0 is 80. Only lines to paste and the path of the files that hold them may be wider:
	// those are never broken.
	Width int
	// Color allows SGR colours.
	Color bool
	// ASCII keeps to characters that every terminal has.
	ASCII bool
}

const (
	defaultWidth = 80
	// narrowest is the least width the table still fits in.
	narrowest = 50
	// widestProse keeps sentences readable on a wide terminal.
	widestProse = 100
	labelWidth  = 12
)

// Text writes the result as a person wants to read it: the advice in one sentence, a table with a
// row for each count, what the advice rests on, and the lines to paste.
func Text(w io.Writer, r *Result, o TextOptions) error {
	t := newText(o)
	t.headline(r)
	t.shapes(r)
	r = r.own()
	t.table(r, t.columns(r))
	t.latencies(r)
	t.grounds(r)
	t.paste(r)
	_, err := io.WriteString(w, t.String())
	return err
}

// text is a page in the making.
type text struct {
	strings.Builder
	o TextOptions
}

func newText(o TextOptions) *text {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, narrowest)
	return &text{o: o}
}

// The colours, as parameters of SGR.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "1;32"
	yellow = "33"
)

func (t *text) styled(s, style string) string {
	if !t.o.Color || style == "" || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

func (t *text) headline(r *Result) {
	style := green
	if r.Recommendation == nil {
		style = yellow
	}
	for _, line := range wrap(plain.Line(r.Headline), min(t.o.Width, widestProse)) {
		t.WriteString(t.styled(line, style) + "\n")
	}
}

// A column of the table. Those with a higher rank are dropped first where the terminal is narrow.
type column struct {
	title string
	rank  int
	cell  func(Point) string
	width int
}

const (
	gap       = 2
	widestBar = 40
	leastBar  = 8
	// leastRank is the highest number of one.
	leastRank = 5
	// throughputColumn is the one that the bar stands behind.
	throughputColumn = 1
)

func (t *text) table(r *Result, list []column) {
	if len(r.Points) == 0 {
		return
	}
	columns, bar := t.fit(r, list)
	t.WriteString("\n")
	if r.several() {
		t.WriteString(t.styled("  "+fmt.Sprint(r.Points[0].Variant), bold) + "\n")
	}
	title := ""
	for i, c := range columns {
		title += strings.Repeat(" ", gap) + padLeft(c.title, c.width)
		if i == throughputColumn {
			title += strings.Repeat(" ", gap+bar)
		}
	}
	t.WriteString(t.styled(strings.TrimRight(title, " "), dim) + "\n")
	top := 0.0
	for _, p := range r.Points {
		if p.ThroughputRPS != nil {
			top = max(top, *p.ThroughputRPS)
		}
	}
	for _, p := range r.Points {
		line, style := t.row(r, p, columns, bar, top)
		t.WriteString(t.styled(strings.TrimRight(line, " "), style) + "\n")
	}
}

func (t *text) columns(r *Result) []column {
	list := []column{
		{title: "workers", cell: func(p Point) string { return strconv.Itoa(p.Workers) }},
		{title: "requests/s", cell: t.throughput(r.Points)},
		latencyColumn(r),
		{title: "CPU/req", rank: 4, cell: func(p Point) string { return optional(p.CPUSecondsPerAnswer, duration) }},
		{title: "memory", rank: 2, cell: func(p Point) string { return optional(p.MemoryBytes, size) }},
	}
	if slices.ContainsFunc(r.Points, func(p Point) bool { return p.ThrottledShare != nil }) {
		list = append(list, column{title: "throttled", rank: leastRank, cell: func(p Point) string { return optional(p.ThrottledShare, percent) }})
	}
	return list
}

// throughput writes the cells so that the values stand below each other, and their intervals too.
func (t *text) throughput(points []Point) func(Point) string {
	written := func(p Point) (value, interval string) {
		value, interval = throughputWords(p)
		if t.o.ASCII {
			interval = strings.Replace(interval, "±", "+-", 1)
		}
		return value, interval
	}
	widest := 0
	for _, p := range points {
		_, interval := written(p)
		widest = max(widest, 1+uniseg.StringWidth(interval))
	}
	return func(p Point) string {
		value, interval := written(p)
		if widest == 1 {
			return value
		}
		return value + padLeft(interval, widest)
	}
}

// latencyColumn is what the count was chosen by: the p95 at the rate, or else that at full load.
func latencyColumn(r *Result) column {
	if r.Goal != model.GoalRate {
		return column{title: "p95", rank: 3, cell: p95}
	}
	return column{title: "p95 at " + Number(r.Scenario.RateRPS) + "/s", rank: 1, cell: func(p Point) string { return p95AtRate(r, p) }}
}

func p95(p Point) string {
	switch {
	case p.LatencyOver != nil:
		return "over " + duration(*p.LatencyOver)
	case p.Latency == nil:
		return ""
	}
	return duration(p.Latency.P95)
}

func optional(v *float64, write func(float64) string) string {
	if v == nil {
		return ""
	}
	return write(*v)
}

// fit sets the columns' widths, drops those that don't fit, and gives the bar what is left.
func (t *text) fit(r *Result, columns []column) (kept []column, bar int) {
	used, widestNote := 0, 0
	for i := range columns {
		c := &columns[i]
		c.width = len(c.title)
		for _, p := range r.Points {
			c.width = max(c.width, uniseg.StringWidth(c.cell(p)))
		}
		used += gap + c.width
	}
	for _, p := range r.Points {
		if n := notes(r, p); p.ThroughputRPS != nil && n != "" {
			widestNote = max(widestNote, gap+len(n))
		}
	}
	for rank := leastRank; rank > 0 && used+gap+leastBar+widestNote > t.o.Width; rank-- {
		columns = slices.DeleteFunc(columns, func(c column) bool {
			if c.rank == rank {
				used -= gap + c.width
			}
			return c.rank == rank
		})
	}
	return columns, min(max(t.o.Width-used-gap-widestNote, leastBar), widestBar)
}

func (t *text) row(r *Result, p Point, columns []column, bar int, top float64) (line, style string) {
	note := notes(r, p)
	for i, c := range columns {
		line += strings.Repeat(" ", gap) + padLeft(c.cell(p), c.width)
		switch {
		case i == throughputColumn && p.ThroughputRPS == nil:
			return line + t.tail(line, note), red
		case i == throughputColumn:
			line += strings.Repeat(" ", gap) + padRight(t.bar(*p.ThroughputRPS/top, bar), bar)
		}
	}
	if best, _ := r.found(); best != nil && p.Workers == best.Workers {
		style = green
	}
	return line + t.tail(line, note), style
}

// tail is a note for the end of a line, as much of it as fits.
func (t *text) tail(line, note string) string {
	if note == "" {
		return ""
	}
	return strings.Repeat(" ", gap) + cut(note, t.o.Width-uniseg.StringWidth(line)-gap)
}

// eighths are the blocks that fill one to seven eighths of a column.
var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

func (t *text) bar(share float64, width int) string {
	if t.o.ASCII {
		return strings.Repeat("#", int(share*float64(width)+0.5))
	}
	n := int(share*float64(width)*8 + 0.5)
	return strings.Repeat("█", n/8) + eighths[n%8]
}

// latencies is the table of latencies below full load, as many counts of it as fit.
func (t *text) latencies(r *Result) {
	g := newLatencyGrid(r)
	if len(g.rows) == 0 {
		return
	}
	const label, cell = 22, 13
	shown := min(len(g.counts), (t.o.Width-label)/cell)
	title := padRight("  p95 from when due", label)
	for _, c := range g.counts[:shown] {
		title += padLeft(c, cell)
	}
	t.WriteString("\n" + t.styled(title, dim) + "\n")
	for _, row := range g.rows {
		line := padRight("  at "+row.rate, label)
		for _, c := range row.cells[:shown] {
			line += padLeft(c, cell)
		}
		t.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// notes mark a row.
func notes(r *Result, p Point) string {
	var list []string
	best, rule := r.found()
	bestWord, usual := r.foundWords()
	if best != nil && p.Workers == best.Workers {
		list = append(list, bestWord)
	}
	if !p.Feasible {
		list = append(list, whatHappened(p))
	}
	if p.Workers == rule.Workers {
		list = append(list, usual)
	}
	if c := r.Capacity; c != nil && p.Workers == c.Workers {
		list = append(list, "capacity")
	}
	if p.GeneratorBound {
		list = append(list, "lower bound")
	}
	switch {
	case p.MeetsObjective == nil || *p.MeetsObjective:
	case r.Goal == model.GoalRate: // what it misses stands in the row
		list = append(list, "misses")
	default:
		list = append(list, "misses objective")
	}
	return strings.Join(list, ", ")
}

// whatHappened says in a few words why a count can't be run.
func whatHappened(p Point) string {
	for _, o := range []struct {
		outcome sweep.Outcome
		words   string
	}{
		{sweep.KilledForMemory, "killed for memory"},
		{sweep.Died, "died under load"},
		{sweep.NotStarted, "did not start"},
		{sweep.NotReady, "not ready in time"},
		{sweep.Errors, "answered errors"},
	} {
		if p.Outcomes[o.outcome] > 0 {
			return o.words
		}
	}
	switch {
	case p.ThroughputRPS == nil && len(p.Outcomes) == 0 && p.WhyInfeasible != "":
		return p.WhyInfeasible
	case p.ThroughputRPS == nil:
		return "not measured"
	}
	return "does not fit"
}

// grounds is what the advice rests on, each part behind its label.
func (t *text) grounds(r *Result) {
	t.WriteString("\n")
	if rec := r.Recommendation; rec != nil {
		t.part("limited by", "", limitedBy(r))
		t.part("why", "", rec.Reasons...)
	}
	t.part("instead", "", instead(r)...)
	t.part("measured", "", measuredWords(r)...)
	t.part("traffic", "", trafficWords(r)...)
	t.part("predicted", "", predictionWords(r)...)
	t.part("growth", "", growthWords(r)...)
	if line := foreseen(r); line != "" {
		t.part("latency", "", line)
	}
	t.part("one worker", "", furtherWords(r)...)
	t.part("workers", "", nonEmpty(spread(r))...)
	t.part("probe", "", nonEmpty(probed(r))...)
	t.part("in front", "", nonEmpty(inFront(r))...)
	t.part("server", "", server(r)...)
	t.part("load", "", load(r)...)
	t.part("held", "", append(append([]string{held(r)}, nonEmpty(processors(r))...), r.Environment.LimitsShortfall...)...)
	t.part("machine", "", machine(r))
	t.part("restarts", "", restarts(r))
	t.caveats(r.Caveats)
}

func (t *text) caveats(list []model.Caveat) {
	messages := make([]string, len(list))
	for i, c := range list {
		messages[i] = c.Message
	}
	t.part("caveats", yellow, messages...)
}

// part writes sentences behind a label, wrapped and indented.
func (t *text) part(label, style string, sentences ...string) {
	label = padRight(label, labelWidth)
	room := min(t.o.Width, widestProse) - labelWidth
	for _, s := range sentences {
		for _, line := range wrap(plain.Line(s), room) {
			t.WriteString(t.styled(label, dim) + t.styled(line, style) + "\n")
			label = strings.Repeat(" ", labelWidth)
		}
	}
}

func (t *text) paste(r *Result) {
	if r.Recommendation == nil {
		return
	}
	for i, f := range r.Recommendation.Config {
		t.WriteString("\n" + t.styled(plain.Line(pasteTitle(i, f.Path)), bold) + "\n\n")
		for line := range strings.Lines(strings.TrimRight(f.Text, "\n")) {
			line = plain.Line(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
			t.WriteString(strings.TrimRight("    "+line, " ") + "\n")
		}
	}
	t.alsoThere(r.Recommendation)
}

// alsoThere names the files that start the server elsewhere, in a line that is never broken: its path is
// there to be copied.
func (t *text) alsoThere(r *Recommendation) {
	for _, left := range r.LeftOut {
		t.WriteString("\n" + plain.Line(left) + "\n")
	}
	if len(r.Deploy) > 0 {
		t.WriteString("\n" + plain.Line("also in "+r.ConfigFolder+": "+strings.Join(r.Deploy, ", ")) + "\n")
	}
}

// wrap breaks text into lines of at most width columns, between words where it can.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range words(s) {
		if line != "" && uniseg.StringWidth(line)+1+uniseg.StringWidth(word) > width {
			lines, line = append(lines, line), ""
		}
		for uniseg.StringWidth(word) > width {
			head := head(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// words splits text where a line may break: not between a figure and its unit.
func words(s string) []string {
	var list []string
	for _, word := range strings.Fields(s) {
		last := len(list) - 1
		if last >= 0 && isUnit(word) && unicode.IsDigit(rune(list[last][len(list[last])-1])) {
			list[last] += " " + word
			continue
		}
		list = append(list, word)
	}
	return list
}

func isUnit(word string) bool {
	return slices.Contains([]string{"%", "kB", "MB", "GB", "us", "ms", "s"}, strings.TrimRight(word, ".,;:)"))
}

// head returns the longest start of s that is at most width columns wide, and at least one
// character.
func head(s string, width int) string {
	used, end, state := 0, 0, -1
	for rest := s; rest != ""; {
		var (
			cluster string
			w       int
		)
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width && end > 0 {
			break
		}
		used, end = used+w, end+len(cluster)
	}
	return s[:end]
}

// cut shortens s to width columns.
func cut(s string, width int) string {
	s = plain.Line(s)
	if uniseg.StringWidth(s) <= width {
		return s
	}
	if width < 4 {
		return ""
	}
	return head(s, width-3) + "..."
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(width-uniseg.StringWidth(s), 0)) + s
}

func padRight(s string, width int) string {
	return s + strings.Repeat(" ", max(width-uniseg.StringWidth(s), 0))
}
