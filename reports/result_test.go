package reports

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"advise/model"
	"advise/targets"
)

func schema(t *testing.T) *jsonschema.Schema { return compiled(t, "result.schema.json") }

// compiled is one of the published schemas; they may refer to each other.
func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for name, text := range map[string][]byte{"result.schema.json": Schema, "table.schema.json": TableSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decoded is the result as a program reads it.
func decoded(t *testing.T, r *Result) any {
	t.Helper()
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryResultFollowsTheSchema(t *testing.T) {
	s := schema(t)
	for name := range fixtures {
		if err := s.Validate(decoded(t, resultOf(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	doc := decoded(t, resultOf(t, "gain"))
	doc.(map[string]any)["recommendation"].(map[string]any)["limited_by"] = "luck"
	if err := s.Validate(doc); err == nil {
		t.Error("a recommendation limited by luck passed: the schema checks nothing")
	}
}

// The keys of DESIGN.md, "Contracts outside". A dot goes into an object, [] into a list.
var promised = []string{
	"schema_version", "tool.version", "tool.commit",
	"environment.os", "environment.kernel", "environment.cpu_model", "environment.cpus_online",
	"environment.cpus_server", "environment.cpus_generator", "environment.limits_method",
	"target.adapter", "target.command", "target.version", "target.workdir",
	"scenario.name", "scenario.sha256", "budget.cores", "budget.memory_bytes",
	"trials[].id", "trials[].shape.workers", "trials[].shape.threads", "trials[].shape.class", "trials[].repeat",
	"trials[].started_at", "trials[].outcome", "trials[].startup_seconds",
	"trials[].phases[].kind", "trials[].phases[].rate_planned_rps", "trials[].phases[].sent", "trials[].phases[].late",
	"trials[].phases[].ok", "trials[].phases[].failed", "trials[].phases[].throughput_rps", "trials[].phases[].errors",
	"trials[].phases[].latency_seconds.p50", "trials[].phases[].latency_seconds.p90", "trials[].phases[].latency_seconds.p95",
	"trials[].phases[].latency_seconds.p99", "trials[].phases[].latency_seconds.max",
	"trials[].server.cpu_seconds", "trials[].server.cpu_seconds_per_request", "trials[].server.throttled_share",
	"trials[].server.memory_pss_bytes", "trials[].server.memory_peak_bytes", "trials[].server.swap_bytes",
	"trials[].generator.cpu_share", "trials[].generator.verdict",
	"points[].workers", "points[].throughput_rps", "points[].throughput_low_rps", "points[].throughput_high_rps",
	"points[].trials", "points[].feasible", "points[].why_infeasible",
	"fit.accepted", "fit.model", "fit.parameters", "fit.candidates", "fit.lack_of_fit_p",
	"recommendation.workers", "recommendation.low", "recommendation.high", "recommendation.confidence",
	"recommendation.limited_by", "recommendation.throughput_rps", "recommendation.memory_bytes", "recommendation.reasons",
	"recommendation.config[].path", "recommendation.config[].text",
	"rule_of_thumb.workers", "rule_of_thumb.throughput_ratio", "rule_of_thumb.throughput_ratio_low",
	"rule_of_thumb.throughput_ratio_high", "rule_of_thumb.memory_difference_bytes", "rule_of_thumb.measured",
	"caveats[].code", "caveats[].message", "caveats[].figures",
}

// described walks a schema along a path. required is true when no step of it may be left out.
func described(s *jsonschema.Schema, path string) (required bool) {
	for step := range strings.SplitSeq(path, ".") {
		name, lists := strings.CutSuffix(step, "[]")
		s = object(s)
		if s == nil || !slices.Contains(s.Required, name) {
			return false
		}
		s = s.Properties[name]
		if lists {
			s = object(s).Items2020
		}
	}
	return s != nil
}

// object follows references and leaves out the alternative that is null.
func object(s *jsonschema.Schema) *jsonschema.Schema {
	for s != nil {
		switch {
		case s.Ref != nil:
			s = s.Ref
		case len(s.OneOf) == 2 && s.OneOf[0].Properties == nil && s.OneOf[0].Ref == nil:
			s = s.OneOf[1]
		case len(s.OneOf) == 2:
			s = s.OneOf[0]
		default:
			return s
		}
	}
	return nil
}

func TestTheSchemaRequiresWhatIsPromised(t *testing.T) {
	s := schema(t)
	for _, path := range promised {
		if !described(s, path) {
			t.Errorf("%s is not required by the schema", path)
		}
	}
	if described(s, "recommendation.nothing") || described(s, "trials[].detail") {
		t.Error("the test finds every key required")
	}
}

func TestEveryKeyIsInTheSchema(t *testing.T) {
	s := schema(t)
	for _, name := range []string{"gain", "objective", "fewer_cores", "fewer_cores_refused", "quota", "memory", "uneven", "probe"} {
		r := resultOf(t, name)
		r.Trials[0].Phases[0].WarmupLimited = true // as on a slow page
		undescribed(t, name, s, decoded(t, r))
	}
}

// undescribed reports keys that the schema says nothing of.
func undescribed(t *testing.T, path string, s *jsonschema.Schema, v any) {
	t.Helper()
	s = object(s)
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			undescribed(t, path+"[]", s.Items2020, e)
		}
	case map[string]any:
		for name, e := range v {
			switch below, ok := s.Properties[name]; {
			case ok:
				undescribed(t, path+"."+name, below, e)
			case s.AdditionalProperties == nil && s.Properties != nil:
				t.Errorf("%s.%s is not in the schema", path, name)
			}
		}
	}
}

func TestJSONIsOneDocumentWithANewline(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, resultOf(t, "gain")); err != nil {
		t.Fatal(err)
	}
	golden(t, "result.json", b.Bytes())
	if !bytes.HasSuffix(b.Bytes(), []byte("}\n")) {
		t.Error("no newline behind the document")
	}
	var once any
	d := json.NewDecoder(&b)
	if err := d.Decode(&once); err != nil || d.More() {
		t.Errorf("more than one document, or none: %v", err)
	}
	if err := JSON(fullDisk{}, resultOf(t, "gain")); err == nil {
		t.Error("a write that failed was not reported")
	}
}

// A model that went wrong must not make a result that no program can read.
func TestNothingIsEverNaNOrInfinite(t *testing.T) {
	rec, adv := fixtures["gain"].record(), adviceOn(t, "gain")
	nan, inf := math.NaN(), math.Inf(1)
	adv.Memory, adv.RuleOfThumb.Ratio, adv.RuleOfThumb.RatioLow, adv.RuleOfThumb.MemoryDifference = nan, inf, nan, nan
	adv.Fit.LackOfFitP, adv.Fit.Parameters = &nan, map[string]float64{"contention": inf, "rate_rps": 100}
	adv.Fit.Curve = []model.CurvePoint{{Workers: 1, Throughput: nan}}
	adv.Fit.Candidates = []model.Candidate{{RMSE: &nan, LackOfFitP: &inf, Parameters: map[string]float64{"x": nan}}}
	adv.MemoryLine = &model.MemoryLine{Base: nan, Marginal: inf}
	adv.Asked = &model.Carried{CoresMeasured: 1, Made: true, Throughput: inf}
	adv.Caveats = []model.Caveat{{Code: "odd", Figures: map[string]float64{"spread_share": nan}}}
	adv.Points[0].Throughput, adv.Points[1].ThroughputLow, adv.Points[2].Memory, adv.Points[3].CPUPerRequest = inf, nan, inf, nan

	doc := decoded(t, New(rec, adv, nil))
	if err := schema(t).Validate(doc); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]any{"memory": nil, "prediction": nil} {
		if got := doc.(map[string]any)[path]; got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if got := doc.(map[string]any)["fit"].(map[string]any)["parameters"]; len(got.(map[string]any)) != 1 {
		t.Errorf("parameters = %v, want only the finite one", got)
	}

	adv.Throughput = nan
	if r := New(rec, adv, nil); r.Recommendation != nil {
		t.Error("a recommendation with an unknown throughput was made")
	}
}

func TestTrialsLeaveRawSeriesToTheRecord(t *testing.T) {
	rec := fixtures["gain"].record()
	r := New(rec, adviceOn(t, "gain"), nil)
	if got := r.Trials[0].Phases[0]; got.Histogram != "" || got.SliceOK != nil {
		t.Error("result.json carries the histogram or the slices of a trial")
	}
	if rec.Trials[0].Phases[0].Histogram == "" {
		t.Error("the record itself was changed")
	}
}

func TestHeadline(t *testing.T) {
	for name, want := range map[string]string{
		"near":                  "run 8 workers (5 or more): as fast as the usual 9 within the noise, 32 MB less",
		"gain":                  "run 8 workers (7-8): 75 % more than the usual 3, 159 MB more",
		"usual_is_right":        "run 8 workers (7-8): the usual count is right here",
		"fewer_workers":         "run 1 worker: as fast as the usual 3 within the noise, 64 MB less",
		"least":                 "run 2 workers: 1 would do, and a single slow request would stop it; as fast as the usual 3 within the noise, 32 MB less",
		"memory":                "run 6 workers: as many as fit in 640 MB; 60 % more than the usual 3, 270 MB more",
		"rule_killed":           "run 2 workers: as many as fit in 640 MB; the usual 5 is killed for memory",
		"rule_not_measured":     "run 8 workers (7-8): the usual 9 was not measured",
		"objective":             "run 8 workers: what the objective needs; 75 % more than the usual 3, 160 MB more",
		"objective_missed":      "no recommendation: 1,200 requests/s are not reachable on 1 core: 498 is the most they answer; it takes 3 cores at least, by the CPU time of a request",
		"search_range":          "run 4 workers (4 or more): throughput still grows at 4; 32 % more than the usual 3, 32 MB more",
		"lower_bound":           "run at least 6 workers: the load generator, not the server, was at its limit; 60 % more than the usual 3, 96 MB more",
		"no_repeats":            "run 8 workers (1 or more): 74 % more than the usual 3, 159 MB more",
		"fewer_cores":           "for 4 cores, predicted from 1: run 20 workers (16-20): as many as fit in 768 MB; 99 % more than the usual 9, 352 MB more",
		"fewer_cores_unchecked": "no recommendation for 4 cores: what 4 cores need can't be told from 1: how far off that would be is not known: half of that was not measured",
		"nothing_measured":      "no recommendation: nothing was measured",
		"nothing_worked":        "no recommendation: not one restart worked, so there is nothing to go by",
	} {
		if got := resultOf(t, name).Headline; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestComparisonWords(t *testing.T) {
	at := func(ratio, low, high, memory float64) string {
		rec, adv := fixtures["gain"].record(), adviceOn(t, "gain")
		adv.RuleOfThumb = model.Comparison{Workers: 3, Measured: true, Ratio: ratio, RatioLow: low, RatioHigh: high, MemoryDifference: memory}
		r := New(rec, adv, nil)
		return strings.Join(comparison(r), ", ")
	}
	for want, got := range map[string]string{
		"2.25 times the throughput of the usual 3, 1.5 GB more":         at(2.25, 2.1, 2.4, 1.5e9),
		"12 % less than the usual 3, 40 MB less":                        at(0.88, 0.85, 0.91, -40e6),
		"as fast as the usual 3 within the noise, with the same memory": at(1.02, 0.99, 1.05, 0.2e6),
		"0.4 % more than the usual 3, 1.2 MB more":                      at(1.004, 1.001, 1.007, 1.2e6),
		"too noisy to compare with the usual 3, 40 MB less":             at(1.3, 0.8, 2.1, -40e6),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConfigIsTakenOver(t *testing.T) {
	r := New(fixtures["gain"].record(), adviceOn(t, "gain"), []targets.File{{Path: "a", Text: "b\n"}})
	if got := r.Recommendation.Config; len(got) != 1 || got[0] != (ConfigFile{Path: "a", Text: "b\n"}) {
		t.Errorf("config = %v", got)
	}
}
