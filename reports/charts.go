package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
	"github.com/go-echarts/go-echarts/v2/types"

	"advise/sweep"
)

// A chart is a figure of the page: Option is what the chart library is given, as data.
type chart struct {
	ID, Title, Caption string
	Option             map[string]any
}

// The colours of what the charts show, legible on white and in print.
const (
	colorDots        = "#5b7fb5"
	colorCurve       = "#1f3a5f"
	colorRecommended = "#1a7f37"
	colorUsual       = "#b45309"
	colorLimit       = "#b42318"
	colorText        = "#3d4651"
	colorGrid        = "#e6e9ed"
)

// cross is the symbol of a restart that failed.
const cross = "path://M0,2L2,0L5,3L8,0L10,2L7,5L10,8L8,10L5,7L2,10L0,8L3,5Z"

func chartsOf(r *Result) []chart {
	if mostMeasured(r.Points) == 0 {
		return nil
	}
	return []chart{throughputChart(r), latencyChart(r), memoryChart(r)}
}

func throughputChart(r *Result) chart {
	p := newPlot(r, "requests/s")
	p.interval()
	p.curve()
	p.means()
	p.dots("restart", colorDots, "circle", func(t sweep.Trial) (float64, bool) {
		s := saturation(t)
		return throughputOf(s), s != nil && t.Generator.Verdict != sweep.GeneratorBound
	}, func(v float64) string { return Number(v) + " requests/s" })
	p.dots("restart, lower bound: the generator was at its limit", colorLimit, "triangle", func(t sweep.Trial) (float64, bool) {
		s := saturation(t)
		return throughputOf(s), s != nil && t.Generator.Verdict == sweep.GeneratorBound
	}, func(v float64) string { return "at least " + Number(v) + " requests/s" })
	p.failures()
	p.counts()
	caption := "Each dot is one restart. The bars are intervals of the mean"
	if best, _ := r.found(); best != nil {
		caption += fmt.Sprintf(" at %s confidence; the shade is the interval of the %s", percent(best.Confidence), shaded(r))
	}
	return p.chart("throughput", "Throughput", caption+".")
}

func shaded(r *Result) string {
	if r.Measured != nil {
		return "best count on the " + cores(r.Measured.Cores) + " that could be measured"
	}
	return "recommended count"
}

func throughputOf(p *sweep.Phase) float64 {
	if p == nil {
		return 0
	}
	return p.ThroughputRPS
}

// interval shades the recommended count's interval.
func (p *plot) interval() {
	rec, _ := p.result.found()
	if rec == nil {
		return
	}
	high := rec.High
	if !rec.HighResolved {
		high = max(high, mostMeasured(p.result.Points))
	}
	p.add("", types.ChartScatter, nil,
		charts.WithMarkAreaStyleOpts(opts.MarkAreaStyle{ItemStyle: &opts.ItemStyle{Color: colorRecommended, Opacity: opts.Float(0.08)}, Label: &opts.Label{Show: opts.Bool(false)}}),
		charts.WithMarkAreaData([]opts.MarkAreaData{{XAxis: float64(rec.Low) - 0.4}, {XAxis: float64(high) + 0.4}}))
}

func (p *plot) curve() {
	var line []opts.LineData
	for _, c := range p.result.Fit.Curve {
		line = append(line, opts.LineData{
			Name:  fmt.Sprintf("%s, fitted: %s requests/s", count(c.Workers, "worker"), Number(c.ThroughputRPS)),
			Value: []any{c.Workers, c.ThroughputRPS},
		})
	}
	if len(line) > 0 {
		p.line("fitted curve ("+p.result.Fit.Model+")", colorCurve, "solid", line)
	}
}

// means draws each count's mean with its interval, as much of that as doesn't dwarf the dots: the
// library leaves out a bar that ends outside of the axes.
func (p *plot) means() {
	var dots, ends float64
	for _, q := range p.result.Points {
		if q.ThroughputRPS != nil && q.ThroughputHighRPS != nil {
			dots, ends = max(dots, *q.ThroughputRPS), max(ends, *q.ThroughputHighRPS)
		}
	}
	p.highest = max(p.highest, min(ends, 1.5*dots))
	var (
		means []opts.ScatterData
		bars  []opts.MarkLineNameCoordItem
	)
	for _, q := range p.result.Points {
		if q.ThroughputRPS == nil {
			continue
		}
		value, interval := throughputWords(q)
		means = append(means, opts.ScatterData{
			Name:  strings.TrimSpace(fmt.Sprintf("%s, mean of %s: %s requests/s %s", count(q.Workers, "worker"), count(q.Trials, "restart"), value, interval)),
			Value: []any{q.Workers, *q.ThroughputRPS},
		})
		if q.ThroughputLowRPS != nil && q.ThroughputHighRPS != nil {
			high := min(*q.ThroughputHighRPS, p.highest)
			bars = append(bars, opts.MarkLineNameCoordItem{Coordinate0: []any{q.Workers, *q.ThroughputLowRPS}, Coordinate1: []any{q.Workers, high}})
		}
	}
	p.add("mean and interval", types.ChartScatter, means, color(colorCurve), symbol("rect", 5),
		charts.WithMarkLineNameCoordItemOpts(bars...),
		charts.WithMarkLineStyleOpts(opts.MarkLineStyle{
			Symbol: []string{"rect", "rect"}, SymbolSize: 4, Label: &opts.Label{Show: opts.Bool(false)},
			LineStyle: &opts.LineStyle{Color: colorCurve, Width: 1.5, Type: "solid"},
		}))
}

func latencyChart(r *Result) chart {
	p := newPlot(r, "latency in ms")
	for _, q := range []struct {
		name, color string
		of          func(sweep.Latency) float64
	}{
		{"p50", "#7aa0cf", func(l sweep.Latency) float64 { return l.P50 }},
		{"p95", "#3b6aa8", func(l sweep.Latency) float64 { return l.P95 }},
		{"p99", colorCurve, func(l sweep.Latency) float64 { return l.P99 }},
	} {
		p.line(q.name, q.color, "solid", p.latencies(q.name, "at full load", q.of, func(point Point) *sweep.Latency { return point.Latency }))
	}
	caption := fmt.Sprintf("At full load: %s that never pause, so a slower server keeps them waiting longer. Medians over restarts.", count(r.Settings.Connections, "connection"))
	if rate := r.Scenario.RateRPS; rate > 0 {
		at := "at " + Number(rate) + " requests/s"
		line := p.latencies("p95", at, func(l sweep.Latency) float64 { return l.P95 }, func(point Point) *sweep.Latency { return atRate(r.Trials, point.Workers) })
		if len(line) > 0 {
			p.line("p95 "+at, colorUsual, "dashed", line)
		}
	}
	p.objective()
	p.counts()
	return p.chart("latency", "Latency", caption)
}

func (p *plot) latencies(quantile, when string, of func(sweep.Latency) float64, at func(Point) *sweep.Latency) []opts.LineData {
	var line []opts.LineData
	for _, q := range p.result.Points {
		if l := at(q); l != nil {
			line = append(line, opts.LineData{
				Name:  fmt.Sprintf("%s, %s %s: %s", count(q.Workers, "worker"), quantile, when, duration(of(*l))),
				Value: []any{q.Workers, 1e3 * of(*l)}, Symbol: "circle", SymbolSize: 6,
			})
		}
	}
	return line
}

// atRate returns the medians over restarts of the phases at the scenario's own rate.
func atRate(trials []sweep.Trial, workers int) *sweep.Latency {
	var p95 []float64
	for _, t := range trials {
		for _, phase := range t.Phases {
			if t.Shape.Workers == workers && t.Outcome == sweep.OK && phase.Kind == sweep.PhaseRate {
				p95 = append(p95, phase.Latency.P95)
			}
		}
	}
	if len(p95) == 0 {
		return nil
	}
	return &sweep.Latency{P95: median(p95)}
}

// objective draws the latency that was asked for.
func (p *plot) objective() {
	o := p.result.Scenario.Objective
	if o == nil {
		return
	}
	for _, quantile := range []string{"p50", "p90", "p95", "p99", "max"} {
		if limit, asked := o.LatencySeconds[quantile]; asked {
			p.across(fmt.Sprintf("objective: %s within %s", quantile, duration(limit)), 1e3*limit, "insideEndTop")
		}
	}
}

func memoryChart(r *Result) chart {
	p := newPlot(r, "memory in MB")
	if m := r.Memory; m != nil {
		var line []opts.LineData
		for _, n := range []int{r.Points[0].Workers, r.Points[len(r.Points)-1].Workers} {
			bytes := m.BaseBytes + m.MarginalBytes*float64(n)
			line = append(line, opts.LineData{Name: fmt.Sprintf("%s, fitted: %s", count(n, "worker"), size(bytes)), Value: []any{n, bytes / 1e6}})
		}
		p.line("fitted line", colorCurve, "solid", line)
	}
	p.dots("restart", colorDots, "circle", func(t sweep.Trial) (float64, bool) {
		bytes := float64(t.Server.MemoryPSSBytes + t.Server.SwapBytes)
		return bytes / 1e6, bytes > 0
	}, func(v float64) string { return size(v * 1e6) })
	p.failures()
	if limit := float64(r.Budget.MemoryBytes); limit > 0 {
		p.across("cap "+size(limit), limit/1e6, "insideEndTop")
		if headroom := r.Settings.MemoryHeadroom; headroom > 0 {
			p.across(size(limit*(1-headroom))+" to use: "+percent(headroom)+" are left free", limit*(1-headroom)/1e6, "insideEndBottom")
		}
	}
	p.counts()
	caption := "Proportional set size and swap of the whole process tree at the end of the load, so that shared memory is counted once."
	if m := r.Memory; m != nil {
		caption += fmt.Sprintf(" The line: %s and %s for each worker.", size(m.BaseBytes), size(m.MarginalBytes))
	}
	return p.chart("memory", "Memory", caption)
}

// A plot is a chart in the making, with workers along its horizontal axis.
type plot struct {
	result *Result
	figure *charts.Line
	unit   string // what the vertical axis says
	// axis is what the other one says, and most where it ends.
	axis   string
	most   float64
	legend []string
	// highest is the highest value that has to be seen.
	highest float64
}

func newPlot(r *Result, unit string) *plot {
	most := r.RuleOfThumb.Workers
	if n := len(r.Points); n > 0 {
		most = max(most, r.Points[n-1].Workers)
	}
	return &plot{result: r, figure: charts.NewLine(), unit: unit, axis: "workers", most: float64(most + 1)}
}

// add puts a series on the plot; one without a name stays out of the legend.
func (p *plot) add(name, kind string, data any, options ...charts.SeriesOpts) {
	s := charts.SingleSeries{Name: name, Type: kind, Data: data}
	s.ConfigureSeriesOpts(options...)
	p.figure.MultiSeries = append(p.figure.MultiSeries, s)
	if name != "" {
		p.legend = append(p.legend, name)
	}
}

func symbol(shape string, size int) charts.SeriesOpts {
	return func(s *charts.SingleSeries) { s.Symbol, s.SymbolSize = shape, size }
}

func color(c string) charts.SeriesOpts { return charts.WithItemStyleOpts(opts.ItemStyle{Color: c}) }

func (p *plot) line(name, lineColor, style string, points []opts.LineData) {
	shown := len(points) > 0 && points[0].Symbol != ""
	for _, q := range points {
		p.see(q.Value)
	}
	p.add(name, types.ChartLine, points, color(lineColor),
		charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(shown)}),
		charts.WithLineStyleOpts(opts.LineStyle{Color: lineColor, Width: 2, Type: style}))
}

// see keeps the value of a point within the vertical axis.
func (p *plot) see(point any) {
	if pair, ok := point.([]any); ok {
		if y, ok := pair[1].(float64); ok {
			p.highest = max(p.highest, y)
		}
	}
}

// dots draws a dot for every restart that worked and has a value.
func (p *plot) dots(name, dotColor, shape string, value func(sweep.Trial) (float64, bool), words func(float64) string) {
	var dots []opts.ScatterData
	for _, t := range p.result.Trials {
		v, ok := value(t)
		if t.Outcome != sweep.OK || !ok || t.Apart() {
			continue
		}
		dots = append(dots, opts.ScatterData{
			Name:  fmt.Sprintf("%s, restart %d: %s", count(t.Shape.Workers, "worker"), t.Repeat, words(v)),
			Value: []any{t.Shape.Workers, v},
		})
		p.highest = max(p.highest, v)
	}
	if len(dots) > 0 {
		p.add(name, types.ChartScatter, dots, symbol(shape, 10),
			charts.WithItemStyleOpts(opts.ItemStyle{Color: dotColor, Opacity: opts.Float(0.6)}))
	}
}

// failures draws a cross at the foot for every count of which a restart failed.
func (p *plot) failures() {
	var crosses []opts.ScatterData
	for _, q := range p.result.Points {
		if q.Outcomes[sweep.OK] < q.Trials {
			crosses = append(crosses, opts.ScatterData{
				Name:  count(q.Workers, "worker") + ": " + whatHappened(q),
				Value: []any{q.Workers, 0.0},
			})
		}
	}
	if len(crosses) > 0 {
		p.add("restarts that failed", types.ChartScatter, crosses, color(colorLimit), symbol(cross, 11))
	}
}

// counts marks the recommended count and the usual one by upright lines.
func (p *plot) counts() {
	rec, rule := p.result.found()
	usual, run, on := rule.Workers, "run", ""
	if m := p.result.Measured; m != nil {
		run, on = "best", " on "+cores(m.Cores)
	}
	switch {
	case rec == nil && usual > 0:
		p.upright(fmt.Sprintf("usual %d%s", usual, on), usual, colorUsual, "dashed", "center")
	case rec == nil:
	case rec.Workers == usual:
		p.upright(fmt.Sprintf("%s %d%s, as usual", run, usual, on), usual, colorRecommended, "solid", "center")
	case rec.Workers < usual:
		p.upright(fmt.Sprintf("%s %d%s", run, rec.Workers, on), rec.Workers, colorRecommended, "solid", "right")
		p.upright(fmt.Sprintf("usual %d%s", usual, on), usual, colorUsual, "dashed", "left")
	default:
		p.upright(fmt.Sprintf("usual %d%s", usual, on), usual, colorUsual, "dashed", "right")
		p.upright(fmt.Sprintf("%s %d%s", run, rec.Workers, on), rec.Workers, colorRecommended, "solid", "left")
	}
	if c := p.result.Capacity; c != nil && c.Workers != usual && (rec == nil || c.Workers != rec.Workers) {
		p.upright(fmt.Sprintf("capacity %d", c.Workers), c.Workers, colorDots, "dotted", "center")
	}
}

// upright marks a count. Labels of neighbours are aligned away from each other.
func (p *plot) upright(label string, workers int, lineColor, style, align string) {
	p.mark(charts.WithMarkLineNameXAxisItemOpts(opts.MarkLineNameXAxisItem{Name: label, XAxis: workers}),
		lineColor, style, opts.Label{Position: "end", Align: align, FontWeight: "bold"})
}

// across marks a limit by a level line, labelled above it or below it.
func (p *plot) across(label string, value float64, position string) {
	p.highest = max(p.highest, value)
	p.mark(charts.WithMarkLineNameYAxisItemOpts(opts.MarkLineNameYAxisItem{Name: label, YAxis: value}),
		colorLimit, "dashed", opts.Label{Position: position})
}

func (p *plot) mark(where charts.SeriesOpts, lineColor, style string, label opts.Label) {
	label.Show, label.Formatter, label.Color = opts.Bool(true), "{b}", lineColor
	p.add("", types.ChartScatter, []opts.ScatterData{}, where, charts.WithMarkLineStyleOpts(opts.MarkLineStyle{
		Symbol:    []string{"none", "none"},
		Label:     &label,
		LineStyle: &opts.LineStyle{Color: lineColor, Width: 1.5, Type: style},
	}))
}

// chart finishes the plot.
func (p *plot) chart(id, title, caption string) chart {
	label := &opts.AxisLabel{Color: colorText, FontSize: 12, HideOverlap: opts.Bool(true)}
	labelX := &opts.AxisLabel{Color: colorText, FontSize: 12, HideOverlap: opts.Bool(true), ShowMaxLabel: opts.Bool(false)}
	axis := &opts.AxisLine{Show: opts.Bool(true), LineStyle: &opts.LineStyle{Color: colorText}}
	p.figure.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithLegendOpts(opts.Legend{Data: p.legend, Bottom: "0", Left: "center", ItemWidth: 18, ItemHeight: 10, TextStyle: &opts.TextStyle{Color: colorText, FontSize: 12}}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "item", Formatter: "{b}"}),
		charts.WithGridOpts(opts.Grid{Left: "64", Right: "24", Top: "36", Bottom: "88"}),
		charts.WithXAxisOpts(opts.XAxis{
			Type: "value", Name: p.axis, NameLocation: "middle", NameGap: 28, Min: 0, Max: p.most, MinInterval: 1,
			AxisLabel: labelX, AxisLine: axis, SplitLine: &opts.SplitLine{Show: opts.Bool(false)},
		}),
		charts.WithYAxisOpts(opts.YAxis{
			Type: "value", Name: p.unit, NameLocation: "middle", NameGap: 48, Min: 0, Max: ceiling(p.highest),
			AxisLabel: label, AxisLine: axis, SplitLine: &opts.SplitLine{Show: opts.Bool(true), LineStyle: &opts.LineStyle{Color: colorGrid}},
		}),
	)
	p.figure.Validate()
	return chart{ID: id, Title: title, Caption: caption, Option: p.figure.JSON()}
}

// ceiling is a round figure a little above v: a multiple of 1, 2 or 5 times a power of ten, as the
// chart's ticks are.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(v/5)))
	for _, times := range []float64{1, 2, 5, 10} {
		if times*step >= v/5 {
			return math.Ceil(1.02*v/(times*step)) * times * step
		}
	}
	return v
}
