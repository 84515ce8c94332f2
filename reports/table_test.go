package reports

import (
	"bytes"
	"maps"
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
	// Nothing but counts and throughput, once each.
	"table_bare": {
		"clients;x\n1;955\n2;1879\n4;3549\n8;6531\n12;8647\n16;9897\n24;12089\n32;12074\n", model.Question{},
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
