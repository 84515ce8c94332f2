package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-echarts/go-echarts/v2/opts"

	"advise/model"
	"advise/sweep"
)

// A ShapeResult is one variant at its own best count, beside the recommended one.
type ShapeResult struct {
	sweep.Variant
	Name string `json:"name"`
	// Recommended is true for the one to run. Enough is true for those that come within the tolerance of
	// the best throughput of all, or that hold the rate where that is the goal.
	Recommended bool `json:"recommended"`
	Enough      bool `json:"enough"`
	// Workers and what follows are nil where no count of it can be advised; Why then says why.
	Workers       *int     `json:"workers"`
	ThroughputRPS *float64 `json:"throughput_rps"`
	MemoryBytes   *float64 `json:"memory_bytes"`
	// StillRising is true where more workers than the search goes to may answer more.
	StillRising bool `json:"still_rising,omitempty"`
	// Ratios are of its throughput over that of the recommended shape.
	ThroughputRatio     *float64 `json:"throughput_ratio"`
	ThroughputRatioLow  *float64 `json:"throughput_ratio_low"`
	ThroughputRatioHigh *float64 `json:"throughput_ratio_high"`
	// WorkersInSameMemory is the most of its measured counts that take no more memory than the
	// recommended shape, and what those answer.
	WorkersInSameMemory       *int     `json:"workers_in_same_memory"`
	ThroughputInSameMemoryRPS *float64 `json:"throughput_in_same_memory_rps"`
	Counts                    int      `json:"counts"`
	Restarts                  int      `json:"restarts"`
	Why                       string   `json:"why,omitempty"`
}

// shapes sets the variants of a record beside each other.
func shapes(rec *sweep.Record) []ShapeResult {
	list := []ShapeResult{}
	standings := rec.Standings()
	for i, v := range rec.Plan.Variants() {
		x, own := standings.All[i], rec.Of(v)
		s := ShapeResult{
			Variant: v, Name: v.String(), Recommended: i == standings.Chosen && x.Advice.Made, Enough: x.Enough,
			Counts: len(x.Advice.Points), Restarts: len(own.Trials),
		}
		if x.Advice.Made {
			s.Workers, s.ThroughputRPS, s.MemoryBytes = &x.Advice.Workers, finite(x.Advice.Throughput), known(x.Advice.Memory)
			s.StillRising = x.Advice.LimitedBy == model.LimitedBySearchRange
			s.ThroughputRatio, s.ThroughputRatioLow, s.ThroughputRatioHigh = known(x.Ratio), known(x.RatioLow), known(x.RatioHigh)
		} else {
			s.Why = inSentence(x.WhyNot())
		}
		if x.Room > 0 {
			s.WorkersInSameMemory, s.ThroughputInSameMemoryRPS = &x.Room, finite(x.RoomThroughput)
		}
		list = append(list, s)
	}
	return list
}

// otherPoints are those of the variants that are not recommended.
func otherPoints(rec *sweep.Record) []Point {
	var list []Point
	standings := rec.Standings()
	for i, v := range rec.Plan.Variants() {
		if i != standings.Chosen {
			list = append(list, pointsOf(rec.Of(v), standings.All[i].Advice.Points)...)
		}
	}
	return list
}

// several is true where variants were compared.
func (r *Result) several() bool { return len(r.Shapes) > 1 }

// own is the result as a reader of one table wants it: with the points and trials of the recommended
// variant alone, or, where none is, of the first with any.
func (r *Result) own() *Result {
	if !r.several() || len(r.Points) == 0 {
		return r
	}
	part, v := *r, r.Points[0].Variant
	part.Points = slices.DeleteFunc(slices.Clone(r.Points), func(p Point) bool { return p.Variant != v })
	part.Trials = slices.DeleteFunc(slices.Clone(r.Trials), func(t sweep.Trial) bool { return t.Shape.Variant() != v })
	return &part
}

// A shapeRow is a line of the comparison, in words.
type shapeRow struct {
	Class                                       string // of the row
	Name, Workers, Throughput, Memory, Same, By string
	Restarts                                    int
}

// shapeRows are the comparison; nil where there is nothing to compare.
func shapeRows(r *Result) []shapeRow {
	if !r.several() {
		return nil
	}
	var rows []shapeRow
	for _, s := range r.Shapes {
		row := shapeRow{Name: s.Name, Restarts: s.Restarts}
		if s.Workers != nil {
			row.Workers, row.Throughput, row.Memory = strconv.Itoa(*s.Workers), optional(s.ThroughputRPS, Number), optional(s.MemoryBytes, size)
		}
		if s.WorkersInSameMemory != nil && !s.Recommended {
			row.Same = fmt.Sprintf("%d: %s", *s.WorkersInSameMemory, optional(s.ThroughputInSameMemoryRPS, Number))
		}
		switch {
		case s.Recommended:
			row.Class, row.By = "recommended", "recommended"
		case s.Workers == nil:
			row.Class, row.By = "failed", s.Why
			if i := slices.IndexFunc(r.Points, func(p Point) bool { return p.Variant == s.Variant }); i >= 0 && r.missesRate(s.Variant) {
				row.By = "misses the rate"
			} else if i >= 0 {
				row.By = whatHappened(r.Points[i])
			}
		case !s.Enough && s.StillRising:
			row.By = "still rising"
		case !s.Enough:
			row.By = "too slow"
		default:
			row.By = "more memory"
		}
		rows = append(rows, row)
	}
	return rows
}

// missesRate is true for a variant that works, though no count of it holds the rate.
func (r *Result) missesRate(v sweep.Variant) bool {
	return r.Goal == model.GoalRate && slices.ContainsFunc(r.Points, func(p Point) bool {
		return p.Variant == v && p.MeetsObjective != nil && !*p.MeetsObjective
	})
}

// sameMemory is the title of the column on the memory of the recommended shape.
func sameMemory(r *Result) string {
	best, _ := r.found()
	if best == nil || best.MemoryBytes == nil {
		return "in as much"
	}
	return "in " + size(*best.MemoryBytes)
}

// shapes is the table of the variants that were compared.
func (t *text) shapes(r *Result) {
	rows := shapeRows(r)
	if len(rows) == 0 {
		return
	}
	title := []string{"shape", "workers", "requests/s", "memory", sameMemory(r)}
	cells := func(row shapeRow) []string {
		return []string{row.Name, row.Workers, row.Throughput, row.Memory, row.Same}
	}
	widths := make([]int, len(title))
	for i := range title {
		widths[i] = len(title[i])
		for _, row := range rows {
			widths[i] = max(widths[i], len(cells(row)[i]))
		}
	}
	widths[0] = min(widths[0], widestShape)
	write := func(list []string, note, style string) {
		line := "  " + padRight(cut(list[0], widths[0]), widths[0])
		for i, c := range list[1:] {
			line += "  " + padLeft(c, widths[i+1])
		}
		t.WriteString(t.styled(strings.TrimRight(cut(line+"  "+note, t.o.Width), " "), style) + "\n")
	}
	t.WriteString("\n")
	write(title, "", dim)
	for _, row := range rows {
		style := map[string]string{"recommended": green, "failed": red}[row.Class]
		write(cells(row), row.By, style)
	}
}

// widestShape is how much of a variant's name the terminal shows.
const widestShape = 36

// shapesChart sets throughput against memory: what each variant makes of it.
func shapesChart(r *Result) (c chart, ok bool) {
	p := newPlot(r, "requests/s")
	p.axis, p.most = "memory in MB", 0
	colors := []string{colorCurve, colorUsual, colorLimit, colorDots, colorText}
	drawn := 0
	for i, s := range r.Shapes {
		var line []opts.LineData
		for _, q := range r.Points {
			if q.Variant != s.Variant || q.ThroughputRPS == nil || q.MemoryBytes == nil {
				continue
			}
			p.most = max(p.most, *q.MemoryBytes/1e6)
			line = append(line, opts.LineData{
				Name:   fmt.Sprintf("%s, %s: %s requests/s in %s", s.Name, count(q.Workers, "worker"), Number(*q.ThroughputRPS), size(*q.MemoryBytes)),
				Value:  []any{*q.MemoryBytes / 1e6, *q.ThroughputRPS},
				Symbol: "circle", SymbolSize: 7,
			})
		}
		if len(line) == 0 {
			continue
		}
		drawn++
		lineColor := colors[i%len(colors)]
		if s.Recommended {
			lineColor = colorRecommended
		}
		p.line(s.Name, lineColor, "solid", line)
	}
	p.most = ceiling(p.most)
	if drawn < 2 {
		return chart{}, false
	}
	chosen := "reaches the best throughput, less the tolerance, in the least memory"
	if r.Goal == model.GoalRate {
		chosen = "holds the rate in the least memory"
	}
	return p.chart("shapes", "Throughput against memory", "Each dot is a worker count. The recommended shape is the one that "+chosen+"."), true
}
