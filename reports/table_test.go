package reports

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"advise/model"
	"advise/sweep"
	"advise/sweep/table"
)

// tables are the cases of advise fit; their names are those of the golden files.
var tables = map[string]struct {
	text string
	q    model.Question
}{
	// c = 2 ms and w = 8 ms on one core, all alike, twice each; one count did not work.
	"table": {
		`workers,throughput,latency,memory,cpu,repeat
1,99,10.1ms,52M,2ms,1
1,101,9.9ms,52M,2ms,2
2,198,10.1ms,84M,2ms,1
2,203,9.9ms,84M,2.1ms,2
3,297,10ms,115M,2ms,1
3,304,10ms,117M,2ms,2
4,396,10ms,148M,2ms,1
4,405,10ms,148M,2ms,2
6,493,12ms,212M,2ms,1
6,501,12ms,212M,2ms,2
8,499,16ms,276M,2ms,1
8,502,16ms,277M,2ms,2
12,0,,,,1
`,
		model.Question{Cores: 1, CoresMeasured: 1, MemoryBytes: 512e6, MemoryHeadroom: 0.1, RuleOfThumb: 3},
	},
	// Nothing but counts and throughput, once each, beside what is not known here.
	"table_bare": {
		"clients;x;host;\n1;955;a;\n2;1879;a;\n4;3549;a;\n8;6531;a;\n12;8647;b;\n16;9897;b;\n24;12089;b;\n32;12074;b;\n", model.Question{},
	},
	"table_nothing": {"n,x\n1,0\n2,0\n4,0\n", model.Question{}},
}

func tableOf(t *testing.T, name string) *TableResult {
	t.Helper()
	c := tables[name]
	from, err := table.Read(strings.NewReader(c.text))
	if err != nil {
		t.Fatal(err)
	}
	c.q.Tolerance, c.q.Confidence, c.q.SpreadFromNeighbours = 0.05, 0.95, true
	adv := frozen(t, name, func() model.Advice { return model.Advise(from.Observations(), c.q) })
	return NewTable(name+".csv", from, c.q, adv, sweep.Tool{Version: "v0.1.0", Commit: "c56ce1f"})
}

func TestTableText(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		var b bytes.Buffer
		if err := TableText(&b, tableOf(t, name), TextOptions{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "text/"+name+".txt", b.Bytes())
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if uniseg.StringWidth(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: wider than 80 columns, or blanks at the end: %q", name, line)
			}
		}
	}
	if err := TableText(fullDisk{}, tableOf(t, "table"), TextOptions{}); err == nil {
		t.Error("a write that failed was not reported")
	}
}

func TestEveryTableFollowsTheSchema(t *testing.T) {
	s := compiled(t, "table.schema.json")
	decode := func(name string) any {
		var b bytes.Buffer
		if err := TableJSON(&b, tableOf(t, name)); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for name := range tables {
		doc := decode(name)
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		undescribed(t, name, s, doc)
	}
	doc := decode("table")
	doc.(map[string]any)["recommendation"].(map[string]any)["limited_by"] = "luck"
	if err := s.Validate(doc); err == nil {
		t.Error("a recommendation limited by luck passed: the schema does not reach result.schema.json")
	}
}

func TestTableWithoutAnAnswer(t *testing.T) {
	r := tableOf(t, "table_nothing")
	if r.Recommendation != nil || r.RuleOfThumb != nil || !strings.HasPrefix(r.Headline, "no recommendation: ") {
		t.Errorf("got %+v", r)
	}
	if p := r.Points[0]; p.ThroughputRPS != nil || p.Feasible || p.WhyInfeasible != "the throughput is 0" {
		t.Errorf("got %+v", p)
	}
}

// What was left out is named, the first five of many.
func TestTableWithoutSomeColumns(t *testing.T) {
	r := tableOf(t, "table_bare")
	if !slices.Equal(r.Table.IgnoredColumns, []string{"host"}) || r.Caveats[len(r.Caveats)-1].Message != "Left out of the table: the column host." {
		t.Errorf("got %q, %+v", r.Table.IgnoredColumns, r.Caveats)
	}
	if got := ignoredWords([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "the columns a, b, c, d, e and 2 more" {
		t.Errorf("got %q", got)
	}
	if r := tableOf(t, "table"); r.Table.IgnoredColumns == nil || len(r.Table.IgnoredColumns) > 0 {
		t.Errorf("got %v, want an empty list", r.Table.IgnoredColumns)
	}
}

// The curve that could not be fitted for want of cores has nothing left over, not nothing wrong; the
// standard errors of the one that was are beside its intervals, half as wide over Student's t: 2.571 for
// eight counts and three parameters.
func TestTableFits(t *testing.T) {
	candidates := tableOf(t, "table_bare").Fit.Candidates
	for _, c := range candidates {
		if fitted := c.Model != model.ModelClosedNetwork; (c.RMSERPS != nil) != fitted || fitted && *c.RMSERPS <= 0 {
			t.Errorf("%s: rmse %v", c.Model, c.RMSERPS)
		}
	}
	usl := candidates[slices.IndexFunc(candidates, func(c Candidate) bool { return c.Model == model.ModelUSL })]
	for _, p := range []struct{ at, err, high string }{
		{"contention", "contention_error", "contention_high"},
		{"coherency", "coherency_error", "coherency_high"},
		{"rate_rps", "rate_error_rps", "rate_high_rps"},
	} {
		if t975 := (usl.Parameters[p.high] - usl.Parameters[p.at]) / usl.Parameters[p.err]; !(math.Abs(t975-2.571) < 0.001) {
			t.Errorf("%s: the interval ends %g standard errors above, want 2.571", p.at, t975)
		}
	}
}

// The median of 10.1 and 9.9 ms; the count that did not work has none.
func TestTableLatency(t *testing.T) {
	r := tableOf(t, "table")
	if got := r.Points[0].LatencyReported; got == nil || *got < 0.00999 || *got > 0.01001 {
		t.Errorf("got %v, want 10 ms", got)
	}
	if got := r.Points[len(r.Points)-1].LatencyReported; got != nil {
		t.Errorf("got %g s of a count that answered nothing", *got)
	}
}
