package reports

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"advise/model"
	"advise/sweep"
	"advise/sweep/generator"
	"advise/targets"
)

// A Result is result.json: what was measured, what follows from it, and how far to trust it.
// Units are in the keys. A figure that is not known is null; none is ever NaN or infinite.
type Result struct {
	SchemaVersion string            `json:"schema_version"`
	StartedAt     time.Time         `json:"started_at"`
	Tool          sweep.Tool        `json:"tool"`
	Environment   sweep.Environment `json:"environment"`
	Target        sweep.Target      `json:"target"`
	Scenario      sweep.Scenario    `json:"scenario"`
	Budget        sweep.Budget      `json:"budget"`
	Settings      sweep.Settings    `json:"settings"`

	// Calibration is what the load generator can do here; nil when the sweep ended before it.
	Calibration *generator.Calibration `json:"calibration"`

	// Saturation is how the connections of full load were found; nil where nothing had to be looked for.
	Saturation *sweep.Saturation `json:"saturation,omitempty"`

	// Pool is what the connections that were asked for get, and how many fill the recommended count; nil
	// where none were asked for.
	Pool *sweep.Pool `json:"pool,omitempty"`

	// Unloaded is what the objective follows from where a rate came without one; nil elsewhere.
	Unloaded *sweep.Unloaded `json:"unloaded,omitempty"`

	// Goal is what the count was chosen for: rate or capacity.
	Goal model.Goal `json:"goal"`
	// Headline is the advice in one sentence.
	Headline string `json:"headline"`
	// Recommendation is for the cores asked for. It is nil when the measurement can't carry one; Caveats then
	// say why.
	Recommendation *Recommendation `json:"recommendation"`
	// Capacity is the count for all the cores can do where the recommended one is for a rate; nil elsewhere.
	Capacity    *Capacity   `json:"capacity,omitempty"`
	RuleOfThumb RuleOfThumb `json:"rule_of_thumb"`
	// Measured is what was found on the cores that were measured; nil where those are all that were asked
	// for.
	Measured *Measured `json:"measured,omitempty"`
	// Search says how the search for the count ended.
	Search Search `json:"search"`
	// Latencies are those below full load, by count and rate; empty when there was no time for them.
	Latencies []LatencyAt `json:"latencies"`
	// Stuck are the counts one of whose workers was stopped; empty when there was no time for it, and where a
	// worker can't be.
	Stuck []Stuck `json:"stuck"`
	// Further is what the recommended count costs and buys beside the next smaller one, and the next larger one
	// beside it.
	Further []Further `json:"further"`
	// Probe is how a cheap path was answered at the recommended count while it was full; nil without one.
	Probe *Probe `json:"probe,omitempty"`
	// Front is what a server before the workers takes at the recommended count; nil where nothing is.
	Front *sweep.Front `json:"front,omitempty"`
	// Live compares fresh starts with live changes at the recommended count; nil without --live.
	Live *sweep.Live `json:"live,omitempty"`
	// Drift of throughput over the sweep; nil where it can't be told.
	Drift *Drift `json:"drift"`
	// Prediction is nil when all the cores asked for were measured, and where none can be trusted.
	Prediction *Prediction `json:"prediction"`
	// Predictions are for the core counts that were named; empty without any.
	Predictions []CoresPrediction `json:"predictions"`
	// HeldOut is how far such a prediction was off where it could be checked; nil where it could not.
	HeldOut *HeldOut `json:"held_out"`
	// Traffic is nil when no rate was asked about.
	Traffic *Traffic `json:"traffic"`
	// Shapes are the variants that were compared, in the order in which they were named; one where there
	// was nothing to compare.
	Shapes []ShapeResult `json:"shapes"`
	// Points are those of the recommended variant, then those of the others.
	Points []Point `json:"points"`
	Fit    Fit     `json:"fit"`
	// Memory is nil when the restarts gave no line.
	Memory *Memory `json:"memory"`
	// MemoryGrowth is nil where no restart was loaded three times.
	MemoryGrowth *MemoryGrowth `json:"memory_growth"`
	// OtherKnees are for comparison only.
	OtherKnees []Knee         `json:"other_knees"`
	Caveats    []model.Caveat `json:"caveats"`
	// Notes are of writing the files, and no part of the document.
	Notes []string `json:"-"`

	// Trials are the record's, without histograms and time slices: those stay in trials.jsonl.
	Trials []sweep.Trial `json:"trials"`
}

// A Recommendation is the count to run.
type Recommendation struct {
	Workers int `json:"workers"`
	// Variant is nil for a table, which says nothing of it.
	*sweep.Variant
	Low  int `json:"low"`
	High int `json:"high"`
	// HighResolved is false when the measurement can't say where the interval ends: High or more.
	HighResolved  bool            `json:"high_resolved"`
	Confidence    float64         `json:"confidence"`
	LimitedBy     model.LimitedBy `json:"limited_by"`
	ThroughputRPS float64         `json:"throughput_rps"`
	// LowerBound is true when the load generator, not the server, decided ThroughputRPS.
	LowerBound  bool     `json:"lower_bound"`
	MemoryBytes *float64 `json:"memory_bytes"`
	Reasons     []string `json:"reasons"`
	// Config is what to paste to get this count.
	Config []ConfigFile `json:"config"`
	// LeftOut says of each text to paste that can't be written why.
	LeftOut []string `json:"left_out,omitempty"`
	// ConfigFolder is where the record keeps these and Deploy, the names of what starts the server
	// elsewhere; both are empty in a result of no folder, and no part of the document, which can be moved.
	ConfigFolder string   `json:"-"`
	Deploy       []string `json:"-"`
}

// A ConfigFile is text to paste into the file at Path.
type ConfigFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// A RuleOfThumb sets (2 x cores) + 1 beside the recommendation. Ratios are the recommendation's
// over the rule's.
type RuleOfThumb struct {
	Workers  int  `json:"workers"`
	Measured bool `json:"measured"`
	// Predicted is true for ratios on more cores than were measured.
	Predicted             bool     `json:"predicted,omitempty"`
	ThroughputRatio       *float64 `json:"throughput_ratio"`
	ThroughputRatioLow    *float64 `json:"throughput_ratio_low"`
	ThroughputRatioHigh   *float64 `json:"throughput_ratio_high"`
	MemoryDifferenceBytes *float64 `json:"memory_difference_bytes"`
	// Confirmed is true when the ratio comes from restarts made for it alone, both counts in
	// alternation: Restarts of each at least.
	Confirmed bool `json:"confirmed"`
	Restarts  int  `json:"restarts"`
	// HoldsObjective says whether it holds the objective; nil without one, and where it is not known.
	HoldsObjective *bool `json:"holds_objective,omitempty"`
	// Why says why it could not be compared.
	Why string `json:"why,omitempty"`
}

// A Search is how the search for the count went.
type Search struct {
	// Ended is settled, undecided (more restarts would not settle it at a sensible price), time, or
	// generator (the load generator was at its limit).
	Ended string `json:"ended"`
	// Restarts of the search, of its confirmation, for latency, and on a part of the cores.
	Restarts        int `json:"restarts"`
	ConfirmRestarts int `json:"confirm_restarts"`
	LatencyRestarts int `json:"latency_restarts"`
	CoresRestarts   int `json:"cores_restarts"`
	StartRestarts   int `json:"start_restarts,omitempty"`
	// LatencyLeft are the counts whose latency there was no time for.
	LatencyLeft []int `json:"latency_left,omitempty"`
}

// How a search can end.
const (
	EndedSettled   = "settled"
	EndedUndecided = "undecided"
	EndedTime      = "time"
	EndedGenerator = "generator"
)

// A LatencyAt is the latency of a count at a rate below saturation, from when a request was due.
type LatencyAt struct {
	Workers int `json:"workers"`
	// CapacityShare is the rate as a share of the recommended count's throughput.
	CapacityShare  float64 `json:"capacity_share"`
	RatePlannedRPS float64 `json:"rate_planned_rps"`
	ThroughputRPS  float64 `json:"throughput_rps"`
	Sustained      bool    `json:"sustained"`
	// GeneratorBound is true when the generator was late or full: the latency is partly its own.
	GeneratorBound bool `json:"generator_bound"`
	// PredictedMeanSeconds is the mean latency that the throughput curve makes one expect at this rate,
	// where requests come by chance; nil where it says nothing, as above what the count can do.
	PredictedMeanSeconds *float64      `json:"predicted_mean_seconds"`
	Latency              sweep.Latency `json:"latency_seconds"`
	// Ordinary is that of the most frequent request alone; nil where no request is.
	Ordinary *sweep.Latency `json:"ordinary_latency_seconds,omitempty"`
}

// A Probe is how a cheap path was answered while the recommended count was full, over all its restarts.
type Probe struct {
	Workers int `json:"workers"`
	sweep.Probe
	// LivenessTimeoutSeconds is what a supervisor should at least wait for an answer; nil when none came.
	LivenessTimeoutSeconds *float64 `json:"liveness_timeout_seconds"`
}

// A liveness check that gives up sooner restarts servers that are only full, which makes the others
// fuller. Three times the p99 leaves room for a worse hour; a second is what Kubernetes has by default.
const (
	livenessMargin = 3
	leastLiveness  = 1.0 // seconds
)

func probe(p *sweep.Probe, workers int) *Probe {
	if p == nil {
		return nil
	}
	out := &Probe{Workers: workers, Probe: *p}
	if p.OK > 0 {
		timeout := max(leastLiveness, math.Ceil(livenessMargin*p.Latency.P99))
		out.LivenessTimeoutSeconds = &timeout
	}
	return out
}

// Drift is the change of throughput from the first restart to the last: a share, with its interval.
type Drift struct {
	Workers     int      `json:"workers,omitempty"` // that drifted alone; absent: all taken together did
	Share       float64  `json:"share"`
	Low         *float64 `json:"share_low"`
	High        *float64 `json:"share_high"`
	P           float64  `json:"p"`
	SpanSeconds float64  `json:"span_seconds"`
	Restarts    int      `json:"restarts"`
}

// A Point is all restarts at one count.
type Point struct {
	Workers int `json:"workers"`
	sweep.Variant
	Trials int `json:"trials"`
	// Outcomes counts the restarts by how they ended.
	Outcomes map[sweep.Outcome]int `json:"outcomes"`
	// Throughput is nil when no restart worked.
	ThroughputRPS       *float64 `json:"throughput_rps"`
	ThroughputLowRPS    *float64 `json:"throughput_low_rps"`
	ThroughputHighRPS   *float64 `json:"throughput_high_rps"`
	GeneratorBound      bool     `json:"generator_bound"`
	Feasible            bool     `json:"feasible"`
	WhyInfeasible       string   `json:"why_infeasible"`
	MeetsObjective      *bool    `json:"meets_objective"`
	CPUSecondsPerAnswer *float64 `json:"cpu_seconds_per_request"`
	MemoryBytes         *float64 `json:"memory_bytes"`
	// ThrottledShare is the mean share of the quota's periods; nil without a quota.
	ThrottledShare *float64 `json:"throttled_share"`
	// Latency holds medians over restarts at saturation; nil when no restart worked, and when requests
	// waited longer than the load lasted, LatencyOver: those that ended in it are the quick ones.
	Latency     *sweep.Latency `json:"latency_seconds"`
	LatencyOver *float64       `json:"latency_over_seconds,omitempty"`
}

// A Fit is the throughput curve that was chosen, and those that were tried.
type Fit struct {
	Accepted   bool               `json:"accepted"`
	Model      string             `json:"model"`
	Parameters map[string]float64 `json:"parameters"`
	Candidates []Candidate        `json:"candidates"`
	LackOfFitP *float64           `json:"lack_of_fit_p"`
	Reading    string             `json:"reading"`
	Curve      []CurvePoint       `json:"curve"`
}

// A Candidate is one curve that was tried.
type Candidate struct {
	Model      string             `json:"model"`
	Parameters map[string]float64 `json:"parameters"`
	LackOfFitP *float64           `json:"lack_of_fit_p"`
	RMSERPS    *float64           `json:"rmse_rps"`
	Accepted   bool               `json:"accepted"`
	WhyNot     string             `json:"why_not,omitempty"`
	// Reading says what the parameters mean, whether the curve was accepted or not.
	Reading string `json:"reading,omitempty"`
}

// A CurvePoint is a fitted throughput.
type CurvePoint struct {
	Workers       int     `json:"workers"`
	ThroughputRPS float64 `json:"throughput_rps"`
}

// Memory is the line memory = base + workers x marginal.
type Memory struct {
	BaseBytes         float64  `json:"base_bytes"`
	MarginalBytes     float64  `json:"marginal_bytes"`
	MarginalLowBytes  *float64 `json:"marginal_low_bytes"`
	MarginalHighBytes *float64 `json:"marginal_high_bytes"`
	// HighestWithinCap is the largest count that surely fits; nil without a cap.
	HighestWithinCap *int `json:"highest_within_cap"`
}

// A Knee is another rule's choice; Workers is nil when it makes none.
type Knee struct {
	Rule    string `json:"rule"`
	Workers *int   `json:"workers"`
	// FittedWorkers is where a fitted curve puts it, inside of the measured range or not.
	FittedWorkers *float64 `json:"fitted_workers,omitempty"`
	Note          string   `json:"note,omitempty"`
}

// New puts a record, the advice on it and the configuration for the advised count together.
func New(whole *sweep.Record, adv model.Advice, config []targets.File) *Result {
	rec := whole.Recommended()
	r := &Result{
		SchemaVersion: sweep.SchemaVersion,
		StartedAt:     rec.Plan.StartedAt,
		Tool:          rec.Plan.Tool,
		Environment:   rec.Plan.Environment,
		Target:        rec.Plan.Target,
		Scenario:      rec.Plan.Scenario,
		Budget:        rec.Plan.Budget,
		Settings:      whole.Plan.Settings,
		Calibration:   rec.Calibration,
		Saturation:    rec.Plan.Saturation,
		Unloaded:      rec.Plan.Unloaded,
		Goal:          cmp.Or(rec.Plan.Settings.Goal, model.GoalCapacity),
		Capacity:      capacity(adv),
		Points:        pointsOf(rec, adv.Points),
		Fit:           fit(adv.Fit),
		Memory:        memory(adv.MemoryLine),
		OtherKnees:    knees(adv.OtherKnees),
		Caveats:       caveats(adv.Caveats),
		Trials:        trials(whole.Trials),
	}
	r.Environment.CPUsServer = orEmpty(r.Environment.CPUsServer)
	r.Environment.CPUsGenerator = orEmpty(r.Environment.CPUsGenerator)
	r.Environment.LimitsShortfall = orEmpty(r.Environment.LimitsShortfall)
	r.Target.Command = orEmpty(r.Target.Command)
	r.Scenario.Requests = orEmpty(r.Scenario.Requests)
	r.answer(adv, &rec.Plan.Variants()[0], configFiles(config))
	r.Search = search(whole)
	r.Latencies = latencies(rec, adv)
	r.Stuck, r.Further = stuck(rec), further(r)
	if c := sooner(r); c != nil {
		r.Caveats = append(r.Caveats, *c)
	}
	if adv.Made {
		r.Probe = probe(rec.Probes(adv.Workers), adv.Workers)
		r.Front = rec.Front(adv.Workers)
		r.Live = rec.Live(adv.Workers)
		r.Pool = rec.Pool(adv)
	}
	if d := adv.Drift; d != nil && finite(d.Share) != nil {
		r.Drift = &Drift{Workers: d.Workers, Share: d.Share, Low: finite(d.Low), High: finite(d.High), P: d.P, SpanSeconds: d.Span, Restarts: d.Restarts}
	}
	r.Predictions, r.HeldOut = predictions(rec, adv)
	if c := doubtOfPredictions(r, rec.Unchecked()); c != nil {
		r.Caveats = append(r.Caveats, *c)
	}
	r.MemoryGrowth = memoryGrowth(rec, r)
	r.Traffic = traffic(rec, adv, r.Points)
	r.Shapes = shapes(whole)
	if c := countIsNoLever(r, rec.Plan, adv.Waiting); c != nil {
		r.Caveats = append(r.Caveats, *c)
	}
	r.Headline = headline(r)
	r.Points = append(r.Points, otherPoints(whole)...)
	if n := len(whole.LeftOut); n > 0 {
		r.Caveats = append(r.Caveats, model.Caveat{
			Code: CaveatDamagedLines, Message: "Left out of the record: " + count(n, "damaged line") + " of trials.jsonl.",
			Figures: map[string]float64{"lines": float64(n)},
		})
	}
	return r
}

// CaveatDamagedLines is of a record whose damaged lines were left out, as asked.
const CaveatDamagedLines = "damaged_lines"

func recommendation(adv model.Advice, points []Point) *Recommendation {
	rec := &Recommendation{
		Workers: adv.Workers, Low: adv.Low, High: adv.High, HighResolved: adv.HighResolved,
		Confidence: adv.Confidence, LimitedBy: adv.LimitedBy,
		ThroughputRPS: adv.Throughput, MemoryBytes: known(adv.Memory),
		Reasons: orEmpty(adv.Reasons), Config: []ConfigFile{},
	}
	if p := at(points, adv.Workers); p != nil {
		rec.LowerBound = p.GeneratorBound
	}
	return rec
}

func configFiles(from []targets.File) []ConfigFile {
	list := []ConfigFile{}
	for _, f := range from {
		list = append(list, ConfigFile{Path: f.Path, Text: f.Text})
	}
	return list
}

func search(rec *sweep.Record) Search {
	s := Search{Ended: EndedTime, LatencyLeft: rec.LatencyLeft()}
	switch end := rec.SearchEnd(); {
	case end.Resolved:
		s.Ended = EndedSettled
	case end.GeneratorBound:
		s.Ended = EndedGenerator
	case end.Done:
		s.Ended = EndedUndecided
	}
	for _, t := range rec.Trials {
		switch t.Purpose {
		case model.PurposeConfirm:
			s.ConfirmRestarts++
		case model.PurposeLatency:
			s.LatencyRestarts++
		case model.PurposeCores:
			s.CoresRestarts++
		case model.PurposeStart:
			s.StartRestarts++
		case model.PurposeSearch:
			s.Restarts++
		}
	}
	return s
}

// latencies are those of the phases below full load, by count, then by rate.
func latencies(rec *sweep.Record, adv model.Advice) []LatencyAt {
	list := []LatencyAt{}
	for _, t := range rec.Used() {
		if t.Outcome != sweep.OK || t.Purpose != model.PurposeLatency {
			continue
		}
		for _, p := range t.Phases {
			if p.Kind == sweep.PhaseStuck {
				continue
			}
			l := LatencyAt{
				Workers: t.Shape.Workers, CapacityShare: p.CapacityShare, RatePlannedRPS: p.RatePlannedRPS,
				ThroughputRPS: p.ThroughputRPS, Sustained: p.Held(), Latency: p.Latency, Ordinary: p.Ordinary,
				GeneratorBound: p.GeneratorVerdict == sweep.GeneratorBound,
			}
			if p.Kind == sweep.PhaseRate && adv.Throughput > 0 { // the scenario's own
				l.CapacityShare = p.RatePlannedRPS / adv.Throughput
			}
			if flow, err := adv.FlowServer(t.Shape.Workers, t.Shape.Threads); err == nil && !rec.Plan.Saturation.Searched(t.Shape.Variant()) {
				if mean, err := flow.LatencyAt(p.RatePlannedRPS); err == nil {
					l.PredictedMeanSeconds = known(mean)
				}
			}
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b LatencyAt) int {
		return cmp.Or(cmp.Compare(a.Workers, b.Workers), cmp.Compare(a.CapacityShare, b.CapacityShare))
	})
	return list
}

func ruleOfThumb(adv model.Advice, points []Point) RuleOfThumb {
	c := adv.RuleOfThumb
	r := RuleOfThumb{Workers: c.Workers, Measured: c.Measured, HoldsObjective: c.Holds, Why: c.Why}
	if !c.Measured {
		return r
	}
	r.ThroughputRatio, r.ThroughputRatioLow, r.ThroughputRatioHigh = known(c.Ratio), known(c.RatioLow), known(c.RatioHigh)
	r.Confirmed, r.Restarts = c.Confirmed, c.Restarts
	rule, chosen := at(points, c.Workers), at(points, adv.Workers)
	if rule != nil && chosen != nil && rule.MemoryBytes != nil && chosen.MemoryBytes != nil {
		r.MemoryDifferenceBytes = finite(c.MemoryDifference)
	}
	return r
}

// pointsOf are those of a record of one variant.
func pointsOf(rec *sweep.Record, from []model.Point) []Point {
	list := points(rec.Trials, from)
	for i := range list {
		list[i].Variant = rec.Plan.Variants()[0]
	}
	return list
}

func points(trials []sweep.Trial, from []model.Point) []Point {
	list := make([]Point, 0, len(from))
	for _, p := range from {
		q := Point{
			Workers: p.Workers, Trials: p.Trials, GeneratorBound: p.GeneratorBound,
			Feasible: p.Feasible, WhyInfeasible: p.WhyInfeasible, MeetsObjective: p.MeetsObjective,
			CPUSecondsPerAnswer: known(p.CPUPerRequest), MemoryBytes: known(p.Memory),
			Outcomes: map[sweep.Outcome]int{},
		}
		if known(p.Throughput) != nil {
			q.ThroughputRPS, q.ThroughputLowRPS, q.ThroughputHighRPS = known(p.Throughput), finite(p.ThroughputLow), finite(p.ThroughputHigh)
		}
		q.summarise(trials)
		list = append(list, q)
	}
	return list
}

// summarise adds what the restarts at the point's count show beside the model's figures.
func (p *Point) summarise(trials []sweep.Trial) {
	var p50, p90, p95, p99, most, mean, throttled, over []float64
	for _, t := range trials {
		if t.Shape.Workers != p.Workers || t.Apart() {
			continue
		}
		p.Outcomes[t.Outcome]++
		if t.Outcome != sweep.OK {
			continue
		}
		if s := saturation(t); s != nil {
			if lasted := s.WarmupSeconds + s.WindowSeconds; float64(s.Connections) > s.ThroughputRPS*lasted { // Little's law
				over = append(over, lasted)
			}
			l := s.Latency
			p50, p90, p95, p99, most = append(p50, l.P50), append(p90, l.P90), append(p95, l.P95), append(p99, l.P99), append(most, l.Max)
			mean = append(mean, l.Mean)
		}
		if t.Server.ThrottledShare != nil {
			throttled = append(throttled, *t.Server.ThrottledShare)
		}
	}
	switch {
	case len(over) > 0:
		longest := slices.Max(over)
		p.LatencyOver = &longest
	case len(p50) > 0:
		p.Latency = &sweep.Latency{P50: median(p50), P90: median(p90), P95: median(p95), P99: median(p99), Max: median(most), Mean: median(mean)}
	}
	if n := len(throttled); n > 0 {
		var sum float64
		for _, v := range throttled {
			sum += v
		}
		p.ThrottledShare = finite(sum / float64(n))
	}
}

// saturation returns the trial's phase of full load, nil when it never came to it.
func saturation(t sweep.Trial) *sweep.Phase {
	i := slices.IndexFunc(t.Phases, func(p sweep.Phase) bool { return p.Kind == sweep.PhaseSaturation })
	if i < 0 {
		return nil
	}
	return &t.Phases[i]
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func fit(f model.Fit) Fit {
	out := Fit{
		Accepted: f.Accepted, Model: f.Model, Parameters: finiteOnly(f.Parameters),
		LackOfFitP: finiteAt(f.LackOfFitP), Reading: f.Reading,
		Candidates: make([]Candidate, 0, len(f.Candidates)), Curve: make([]CurvePoint, 0, len(f.Curve)),
	}
	for _, c := range f.Candidates {
		out.Candidates = append(out.Candidates, Candidate{
			Model: c.Model, Parameters: finiteOnly(c.Parameters), LackOfFitP: finiteAt(c.LackOfFitP),
			RMSERPS: finiteAt(c.RMSE), Accepted: c.Accepted, WhyNot: c.WhyNot, Reading: c.Reading,
		})
	}
	for _, p := range f.Curve {
		if finite(p.Throughput) != nil {
			out.Curve = append(out.Curve, CurvePoint{Workers: p.Workers, ThroughputRPS: p.Throughput})
		}
	}
	return out
}

func memory(l *model.MemoryLine) *Memory {
	if l == nil || finite(l.Base) == nil || finite(l.Marginal) == nil {
		return nil
	}
	m := &Memory{
		BaseBytes: l.Base, MarginalBytes: l.Marginal,
		MarginalLowBytes: finite(l.MarginalLow), MarginalHighBytes: finite(l.MarginalHigh),
	}
	if l.HighestWithinCap >= 0 {
		m.HighestWithinCap = &l.HighestWithinCap
	}
	return m
}

func knees(from []model.Knee) []Knee {
	list := make([]Knee, 0, len(from))
	for _, k := range from {
		out := Knee{Rule: k.Rule, Note: k.Note, FittedWorkers: known(k.Fitted)}
		if k.Workers > 0 {
			out.Workers = &k.Workers
		}
		list = append(list, out)
	}
	return list
}

func caveats(from []model.Caveat) []model.Caveat {
	list := make([]model.Caveat, 0, len(from))
	for _, c := range from {
		c.Figures = finiteOnly(c.Figures)
		list = append(list, c)
	}
	return list
}

func trials(from []sweep.Trial) []sweep.Trial {
	list := make([]sweep.Trial, 0, len(from))
	for _, t := range from {
		phases := make([]sweep.Phase, 0, len(t.Phases))
		for _, p := range t.Phases {
			p.Histogram, p.SliceOK = "", nil
			if p.Probe != nil {
				probe := *p.Probe
				probe.Histogram, p.Probe = "", &probe
			}
			if p.Errors == nil {
				p.Errors = map[string]uint64{}
			}
			phases = append(phases, p)
		}
		t.Phases = phases
		list = append(list, t)
	}
	return list
}

func at(points []Point, workers int) *Point {
	i := slices.IndexFunc(points, func(p Point) bool { return p.Workers == workers })
	if i < 0 {
		return nil
	}
	return &points[i]
}

// finite returns nil for a figure that JSON can't hold.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func finiteAt(v *float64) *float64 {
	if v == nil {
		return nil
	}
	return finite(*v)
}

// known also returns nil for zero, which stands for an unknown figure in the model.
func known(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return finite(v)
}

func finiteOnly(figures map[string]float64) map[string]float64 {
	out := maps.Clone(figures)
	if out == nil {
		out = map[string]float64{}
	}
	maps.DeleteFunc(out, func(_ string, v float64) bool { return finite(v) == nil })
	return out
}

// orEmpty makes a list that JSON writes as [] and never as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
