package reports

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"advise/model"
	"advise/sweep"
	"advise/sweep/table"
)

// TableSchema is the JSON Schema of a [TableResult], draft 2020-12. It refers to that of result.json,
// which has to lie beside it.
//
//go:embed table.schema.json
var TableSchema []byte

// A TableResult is what follows from measurements that somebody already had. What it says in the words
// of result.json has the keys of result.json; what a table can't tell, such as the machine, is not
// there.
type TableResult struct {
	SchemaVersion string      `json:"schema_version"`
	Tool          sweep.Tool  `json:"tool"`
	Table         TableSource `json:"table"`
	Budget        TableBudget `json:"budget"`
	Settings      TableGiven  `json:"settings"`

	// Headline is the advice in one sentence.
	Headline string `json:"headline"`
	// Recommendation is nil when the measurements can't carry one; Caveats then say why.
	Recommendation *Recommendation `json:"recommendation"`
	// RuleOfThumb is nil when it is not known what cores it is for.
	RuleOfThumb *RuleOfThumb   `json:"rule_of_thumb"`
	Points      []TablePoint   `json:"points"`
	Fit         Fit            `json:"fit"`
	Memory      *Memory        `json:"memory"`
	OtherKnees  []Knee         `json:"other_knees"`
	Caveats     []model.Caveat `json:"caveats"`

	// shown are the points as a sweep's text shows them.
	shown []Point
}

// TableSource is where the measurements came from.
type TableSource struct {
	// Name as it was given.
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// Counts is the name of the column that was taken for workers.
	Counts string `json:"counts"`
	Rows   int    `json:"rows"`
	// IgnoredColumns are the titles of those that say nothing here.
	IgnoredColumns []string `json:"ignored_columns"`
}

// CaveatIgnoredColumns: columns of the table were left out. Figures: columns.
const CaveatIgnoredColumns = "ignored_columns"

// TableBudget is what the table's server had; nil is not known.
type TableBudget struct {
	Cores       *float64 `json:"cores"`
	MemoryBytes *float64 `json:"memory_bytes"`
}

// TableGiven is what was asked for.
type TableGiven struct {
	Tolerance      float64 `json:"tolerance"`
	Confidence     float64 `json:"confidence"`
	MemoryHeadroom float64 `json:"memory_headroom"`
}

// A TablePoint is all measurements of one count.
type TablePoint struct {
	Workers             int      `json:"workers"`
	Trials              int      `json:"trials"`
	ThroughputRPS       *float64 `json:"throughput_rps"`
	ThroughputLowRPS    *float64 `json:"throughput_low_rps"`
	ThroughputHighRPS   *float64 `json:"throughput_high_rps"`
	Feasible            bool     `json:"feasible"`
	WhyInfeasible       string   `json:"why_infeasible"`
	CPUSecondsPerAnswer *float64 `json:"cpu_seconds_per_request"`
	MemoryBytes         *float64 `json:"memory_bytes"`
	// LatencyReported is the median of what the table says, whatever statistic that is.
	LatencyReported *float64 `json:"latency_reported_seconds"`
}

// NewTable puts a table, what was asked of it and the advice on it together.
func NewTable(name string, from *table.Table, q model.Question, adv model.Advice, tool sweep.Tool) *TableResult {
	shown := points(nil, adv.Points)
	r := &TableResult{
		SchemaVersion: sweep.SchemaVersion, Tool: tool,
		Table:    TableSource{Name: name, SHA256: from.SHA256, Counts: from.Counts, Rows: len(from.Rows), IgnoredColumns: orEmpty(from.Ignored)},
		Budget:   TableBudget{Cores: known(q.Cores), MemoryBytes: known(q.MemoryBytes)},
		Settings: TableGiven{Tolerance: q.Tolerance, Confidence: q.Confidence, MemoryHeadroom: q.MemoryHeadroom},
		Points:   make([]TablePoint, 0, len(shown)),
		Fit:      fit(adv.Fit), Memory: memory(adv.MemoryLine), OtherKnees: knees(adv.OtherKnees), Caveats: caveats(adv.Caveats),
		shown: shown,
	}
	latencies := from.Latencies()
	for _, p := range shown {
		r.Points = append(r.Points, TablePoint{
			Workers: p.Workers, Trials: p.Trials,
			ThroughputRPS: p.ThroughputRPS, ThroughputLowRPS: p.ThroughputLowRPS, ThroughputHighRPS: p.ThroughputHighRPS,
			Feasible: p.Feasible, WhyInfeasible: p.WhyInfeasible,
			CPUSecondsPerAnswer: p.CPUSecondsPerAnswer, MemoryBytes: p.MemoryBytes, LatencyReported: medianOf(latencies[p.Workers]),
		})
	}
	if adv.Made && finite(adv.Throughput) != nil {
		r.Recommendation = recommendation(adv, shown)
	}
	if q.RuleOfThumb > 0 {
		rule := ruleOfThumb(adv, shown)
		r.RuleOfThumb = &rule
	}
	r.Headline = headline(r.asResult())
	if n := len(from.Ignored); n > 0 {
		r.Caveats = append(r.Caveats, model.Caveat{
			Code: CaveatIgnoredColumns, Message: "Left out of the table: " + ignoredWords(from.Ignored) + ".",
			Figures: map[string]float64{"columns": float64(n)},
		})
	}
	return r
}

// ignoredWords names the columns, the first ones of many.
func ignoredWords(titles []string) string {
	const named = 5
	words := "the column " + titles[0]
	if len(titles) > 1 {
		words = "the columns " + strings.Join(titles[:min(len(titles), named)], ", ")
	}
	if more := len(titles) - named; more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	return words
}

func medianOf(v []float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	return finite(median(v))
}

// asResult is the part of a sweep's result that a table has, for the words that both share.
func (r *TableResult) asResult() *Result {
	out := &Result{
		Headline: r.Headline, Recommendation: r.Recommendation, Points: r.shown,
		Fit: r.Fit, Memory: r.Memory, OtherKnees: r.OtherKnees, Caveats: r.Caveats,
		Settings: sweep.Settings{Tolerance: r.Settings.Tolerance},
	}
	if r.Budget.Cores != nil {
		out.Budget.Cores, out.Environment.CoresServer = *r.Budget.Cores, *r.Budget.Cores
	}
	if r.Budget.MemoryBytes != nil {
		out.Budget.MemoryBytes = int64(*r.Budget.MemoryBytes)
	}
	if r.RuleOfThumb != nil {
		out.RuleOfThumb = *r.RuleOfThumb
	}
	return out
}

// TableJSON writes the result as exactly one indented document with a newline behind it.
func TableJSON(w io.Writer, r *TableResult) error { return Document(w, r) }

// TableText writes the result as a person wants to read it, in the manner of [Text].
func TableText(w io.Writer, r *TableResult, o TextOptions) error {
	t := newText(o)
	shared := r.asResult()
	t.headline(shared)
	t.table(shared, t.tableColumns(r, shared))
	t.WriteString("\n")
	if r.Recommendation != nil {
		t.part("limited by", "", limitedBy(shared))
		t.part("why", "", r.Recommendation.Reasons...)
	}
	t.part("curves", "", curveWords(shared)...)
	t.part("other rules", "", kneeWords(shared)...)
	t.part("table", "", tableWords(r))
	t.caveats(r.Caveats)
	_, err := io.WriteString(w, t.String())
	return err
}

// tableColumns are the table's own, as far as it has figures for them.
func (t *text) tableColumns(r *TableResult, shared *Result) []column {
	list := []column{
		{title: "workers", cell: func(p Point) string { return strconv.Itoa(p.Workers) }},
		{title: "requests/s", cell: t.throughput(shared.Points)},
	}
	add := func(title string, rank int, figure func(TablePoint) *float64, write func(float64) string) {
		if !slices.ContainsFunc(r.Points, func(p TablePoint) bool { return figure(p) != nil }) {
			return
		}
		byWorkers := map[int]*float64{}
		for _, p := range r.Points {
			byWorkers[p.Workers] = figure(p)
		}
		list = append(list, column{title: title, rank: rank, cell: func(p Point) string { return optional(byWorkers[p.Workers], write) }})
	}
	add("latency", 2, func(p TablePoint) *float64 { return p.LatencyReported }, duration)
	add("CPU/req", 3, func(p TablePoint) *float64 { return p.CPUSecondsPerAnswer }, duration)
	add("memory", 1, func(p TablePoint) *float64 { return p.MemoryBytes }, size)
	return list
}

func tableWords(r *TableResult) string {
	text := fmt.Sprintf("%s: %s of %s, each taken for one restart", r.Table.Name, count(r.Table.Rows, "measurement"), count(len(r.Points), "count"))
	if r.Table.Counts != "workers" {
		text += ", " + r.Table.Counts + " for workers"
	}
	return text
}
