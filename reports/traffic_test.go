package reports

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"advise/model"
	"advise/sweep"
)

// At 350 requests/s of 2 ms each, 70 % of one core is used. Of the 483 of full load, 0.5 and 0.7 held 45 ms
// and 0.9 took 116 (12 ms over the tenth that is left), so it breaks above 350, which held, and by 435.
func TestTrafficThatIsBorne(t *testing.T) {
	tr := resultOf(t, "objective").Traffic
	if tr == nil || !tr.Met || tr.Workers != 8 || tr.RateRPS != 350 || tr.TrafficRPS != 350 {
		t.Fatalf("got %+v", tr)
	}
	if math.Abs(*tr.UtilisationShare-0.7) > 1e-9 {
		t.Errorf("%g of the core used, want 0.7", *tr.UtilisationShare)
	}
	if tr.Restarts != 3 || tr.RestartsHeld != 3 {
		t.Errorf("held in %d of %d restarts, want 3 of 3", tr.RestartsHeld, tr.Restarts)
	}
	if *tr.HoldsRPS != 350 || math.Abs(*tr.BreaksRPS-0.9*483) > 1e-9 || !tr.BreaksMeasured {
		t.Errorf("breaks between %g and %g (%t), want 350 and 434.7, measured", *tr.HoldsRPS, *tr.BreaksRPS, tr.BreaksMeasured)
	}
}

// 1,000 requests/s and a fifth of them are 1,200: 2.4 cores of CPU time, so three at least.
func TestTrafficThatIsNot(t *testing.T) {
	r := resultOf(t, "objective_missed")
	tr := r.Traffic
	if tr.Met || tr.RateRPS != 1200 || tr.TrafficRPS != 1000 || tr.CoresAtLeast == nil || *tr.CoresAtLeast != 3 {
		t.Errorf("got %+v", tr)
	}
	if math.Abs(*tr.UtilisationShare-2.4) > 1e-9 || *tr.HoldsRPS != 0.5*483 {
		t.Errorf("uses %g of the core, holds at %g", *tr.UtilisationShare, *tr.HoldsRPS)
	}
	if r := resultOf(t, "gain"); r.Traffic != nil {
		t.Error("no rate was asked about")
	}
}

func TestOutOfReachSaysWhatWouldDo(t *testing.T) {
	Number := func(v float64) *float64 { return &v }
	cores := func(n int) *int { return &n }
	for want, tr := range map[string]Traffic{
		"not reachable on 1 core: 480 is the most they answer; it takes 2 cores at least":      {RateRPS: 600, MostRPS: Number(480), CoresAtLeast: cores(2), UtilisationShare: Number(1.2)},
		"with the counts that were measured, or fit into memory: 200 is the most they answer":  {RateRPS: 300, MostRPS: Number(200), CoresAtLeast: cores(1), UtilisationShare: Number(0.6)},
		"not reachable on 1 core: 480 is the most they answer":                                 {RateRPS: 600, MostRPS: Number(480)},
		"not reachable with any number of workers or cores: a request that is alone takes 50":  {RateRPS: 300, MostRPS: Number(480), AloneSeconds: Number(0.05)},
		"not reachable at 300 requests/s on 1 core: 240 requests/s is the highest rate that h": {RateRPS: 300, MostRPS: Number(480), AloneSeconds: Number(0.01), HoldsRPS: Number(240)},
		"held at no lower rate that was tried":                                                 {RateRPS: 300, MostRPS: Number(480)},
		"the load generator was at its limit":                                                  {RateRPS: 300},
	} {
		r := resultOf(t, "objective")
		r.Traffic = &tr
		if got := outOfReach(r); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A rate that nothing was tried above breaks where full load ends, and the words have to fit those of the
// most that was answered: 505 is the end of 490 ± 15.
func TestBreaksNamesTheEndOfFullLoad(t *testing.T) {
	most, end := 490.0, 505.0
	tr := Traffic{Workers: 16, MostRPS: &most, BreaksRPS: &end}
	if got, want := breaks(&tr), "with 16 workers it breaks somewhere below 505 requests/s, the upper end of what it answers at full load"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	holds := 450.0
	tr.HoldsRPS = &holds
	if got, want := breaks(&tr), "the highest rate that held, and 505, the upper end of what it answers at full load"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where the rate held everywhere below full load, the curve's mean says about where it breaks in between.
func TestEstimateLiesBetweenWhatWasMeasured(t *testing.T) {
	flow := model.ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.008}.FlowServer(8)
	phase := sweep.Phase{RatePlannedRPS: 240, Latency: sweep.Latency{Mean: 0.01, P95: 0.02}}
	// p95 is twice the mean there, so a p95 of 40 ms is a mean of 20 ms.
	want, err := flow.RateFor(0.02)
	if err != nil {
		t.Fatal(err)
	}
	holds, atMost := 240.0, 490.0
	tr := Traffic{HoldsRPS: &holds, BreaksRPS: &atMost}
	o := &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.04, "max": 0.001}}
	tr.estimate(flow, o, &phase)
	if tr.EstimateRPS == nil || *tr.EstimateRPS != want {
		t.Errorf("estimate %v, want %g", tr.EstimateRPS, want)
	}
	if line := breaks(&tr); !strings.Contains(line, "is an estimate from mean latencies") {
		t.Errorf("got %q", line)
	}
	holds, tr.EstimateRPS = 489, nil // what was measured is known better
	tr.estimate(flow, o, &phase)
	if tr.EstimateRPS != nil {
		t.Errorf("estimate %g lies outside of what was measured", *tr.EstimateRPS)
	}
}

// 2 ms a request are 500 requests/s a core. Without repeated cores nothing checks that, which is a caveat.
func TestPredictions(t *testing.T) {
	r := resultOf(t, "predicted")
	if len(r.Predictions) != 3 {
		t.Fatalf("got %d predictions, want 3", len(r.Predictions))
	}
	for i, want := range []float64{250, 1000, 2000} {
		p := r.Predictions[i]
		if p.ThroughputRPS == nil || math.Abs(*p.ThroughputRPS-want) > 1e-6 || !p.UpperBound || p.Extrapolated != (p.Cores > 1) {
			t.Errorf("%g cores: %+v, want at most %g", p.Cores, p, want)
		}
	}
	if last := r.Caveats[len(r.Caveats)-1]; last.Code != CaveatPredictionUnchecked {
		t.Errorf("the last caveat is %s", last.Code)
	}
	// A worker takes 32 MB beside 20 MB: of 200 MB less a tenth, five fit.
	rec := fixtures["predicted"].record()
	rec.Plan.Budget.MemoryBytes = 200e6
	r = New(rec, rec.Advice(), nil)
	if p := r.Predictions[2]; p.Workers == nil || *p.Workers > 5 || *p.Workers < 4 || p.LimitedBy != model.LimitedByMemory {
		t.Errorf("in 200 MB: %+v, want 4 or 5 workers by memory", p)
	}
	rec = fixtures["nothing_measured"].record()
	rec.Plan.Settings.PredictCores = []float64{2}
	r = New(rec, rec.Advice(), nil)
	if p := r.Predictions[0]; p.Workers != nil || p.Why == "" || !reflect.DeepEqual(predictionWords(r)[:1], []string{"2 cores: no restart tells what a request costs"}) {
		t.Errorf("nothing measured: %+v", p)
	}
}

// Each worker takes 32 MB on top of 20: 12 % more than 212 MB hold 6 of them, and 40 MB none. Without a limit
// on memory all 8 are enough for one core.
func TestPredictionsInMemory(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Plan.Settings.PredictMemory = []int64{40 * mb, 240 * mb, 2000 * mb}
	r := New(rec, rec.Advice(), nil)
	if len(r.Predictions) != 3 {
		t.Fatalf("got %d predictions, want one for each size on the measured core", len(r.Predictions))
	}
	if p := r.Predictions[0]; p.Workers != nil || p.Why != "not even one worker fits" || p.Cores != 1 {
		t.Errorf("in 40 MB: %+v", p)
	}
	if p := r.Predictions[1]; p.Workers == nil || *p.Workers != 6 || p.LimitedBy != model.LimitedByMemory || math.Abs(*p.ThroughputRPS-441) > 15 {
		t.Errorf("in 240 MB: %+v, want 6 workers and about the 441 requests/s that they answer", p)
	}
	if p := r.Predictions[2]; p.Workers == nil || p.LimitedBy != model.LimitedByThroughput || *p.ThroughputRPS < *r.Predictions[1].ThroughputRPS {
		t.Errorf("in 2 GB: %+v, want what the core can do", p)
	}
	words := predictionWords(r)
	if words[0] != "1 core in 40 MB: not even one worker fits" || !strings.HasPrefix(words[1], "1 core in 240 MB: at most ") || !strings.HasSuffix(words[1], ", with 6 workers, as many as fit in memory") {
		t.Errorf("in words: %q", words)
	}
	// No other number of cores is predicted, so there is nothing to check that by.
	if slices.ContainsFunc(r.Caveats, func(c model.Caveat) bool { return strings.HasPrefix(c.Code, "prediction_") }) {
		t.Errorf("a caveat on other cores: %v", r.Caveats)
	}
}

// At half a core a request takes 2.04 ms: one core is predicted at 1/0.00204 = 490.2 requests/s, by the two
// restarts at 487.8 and 492.7. 16 workers answered 498 or so. What was checked and good is no doubt.
func TestHeldOut(t *testing.T) {
	r := resultOf(t, "held_out")
	h := r.HeldOut
	if h == nil || h.Cores != 1 || h.FromCores != 0.5 || h.Restarts != 2 {
		t.Fatalf("held out: %+v", h)
	}
	for what, c := range map[string][2]float64{
		"predicted": {h.PredictedRPS, 490.2}, "low": {h.PredictedLowRPS, 487.8}, "high": {h.PredictedHighRPS, 492.7},
		"error": {h.ErrorShare, 490.2/h.MeasuredRPS - 1},
	} {
		if math.Abs(c[0]-c[1]) > 0.001*math.Abs(c[1])+1e-4 {
			t.Errorf("%s is %g, want %g", what, c[0], c[1])
		}
	}
	if best := mostAnswered(r.Points); math.Abs(*best/h.MeasuredRPS-1) > 1e-9 { // summed up in another order
		t.Errorf("measured %g, want the %g of the best count", h.MeasuredRPS, *best)
	}
	if slices.ContainsFunc(r.Caveats, func(c model.Caveat) bool { return strings.HasPrefix(c.Code, "prediction_") }) {
		t.Errorf("caveats: %v", r.Caveats)
	}
	if r.Search.CoresRestarts != 2 {
		t.Errorf("%d restarts on fewer cores, want 2", r.Search.CoresRestarts)
	}
}

// The restarts on half of the cores are in nothing that is about all of them.
func TestFewerCoresAreInNoPoint(t *testing.T) {
	with := resultOf(t, "held_out")
	rec := fixtures["held_out"].record()
	rec.Trials = slices.DeleteFunc(rec.Trials, func(t sweep.Trial) bool { return t.OnFewerCores() })
	without := New(rec, rec.Advice(), nil)
	for what, pair := range map[string][2]any{
		"points": {with.Points, without.Points}, "recommendation's throughput": {with.Recommendation.ThroughputRPS, without.Recommendation.ThroughputRPS},
		"memory": {with.Memory, without.Memory}, "drift": {with.Drift, without.Drift}, "fit": {with.Fit, without.Fit},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %+v, without them %+v", what, pair[0], pair[1])
		}
	}
	if !reflect.DeepEqual(chartsOf(with), chartsOf(without)) {
		t.Error("the charts show them")
	}
}

// Four workers leave a fifth of the core idle: by its half, which they fill, it is promised 500 requests/s and
// answers about 350. That is said, and why nothing was held out where nothing was.
func TestDoubtOfPredictions(t *testing.T) {
	doubt := func(rec *sweep.Record) model.Caveat {
		r := New(rec, rec.Advice(), nil)
		c := doubtOfPredictions(r, rec.Unchecked())
		if c == nil {
			t.Fatal("no doubt")
		}
		return *c
	}
	off := doubt(fixtures["predicted_off"].record())
	if off.Code != CaveatPredictionOff || off.Figures["error_share"] < 0.3 || !strings.Contains(off.Message, "Something else than the cores was short") {
		t.Errorf("off: %+v", off)
	}
	part := func(edit func(*sweep.Record)) *sweep.Record {
		rec := fixtures["held_out"].record()
		edit(rec)
		return rec
	}
	all := func(r *sweep.Record) {
		r.Trials = slices.DeleteFunc(r.Trials, func(t sweep.Trial) bool { return t.OnFewerCores() })
	}
	for want, rec := range map[string]*sweep.Record{
		"there was no time to measure on 0.5 cores too": part(all),
		"half of that was not measured":                 part(func(r *sweep.Record) { all(r); r.Plan.Settings.FewerCores = 0 }),
		"half of that can't be held here": part(func(r *sweep.Record) {
			all(r)
			r.Plan.Settings.FewerCores, r.Plan.Environment.LimitsMethod = 0, "affinity"
		}),
		"on 0.5 cores it did not work (killed)": part(func(r *sweep.Record) {
			for i, t := range r.Trials {
				if t.OnFewerCores() {
					r.Trials[i].Outcome, r.Trials[i].Detail = sweep.Died, "killed"
				}
			}
		}),
	} {
		if c := doubt(rec); c.Code != CaveatPredictionUnchecked || !strings.Contains(c.Message, want) {
			t.Errorf("got %+v, want %q", c, want)
		}
	}
	dear := fixtures["held_out"].record()
	for i, trial := range dear.Trials {
		if trial.OnFewerCores() {
			dear.Trials[i].Server.CPUSecondsPerRequest *= 1.3
		}
	}
	if c := doubt(dear); c.Code != CaveatPredictionOff || !strings.Contains(c.Message, "too low") {
		t.Errorf("dearer on the part: %+v", c)
	}
}
