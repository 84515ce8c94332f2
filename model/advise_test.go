package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// alikeServer is c = 2 ms, w = 8 ms on one core, all requests the same: five workers saturate it.
func alikeServer(n int) float64 { return math.Min(float64(n)/0.010, 500) }

// measured is three restarts at each count, 1 % apart, with 100 MB and 40 MB per worker.
func measured(workers []int, throughput func(int) float64) []Observation {
	var observations []Observation
	for _, n := range workers {
		for _, by := range []float64{0.99, 1, 1.01} {
			observations = append(observations, Observation{
				Workers: n, Throughput: throughput(n) * by, CPUPerRequest: 0.002, Memory: (100e6 + 40e6*float64(n)) * (1 + (by-1)/10),
			})
		}
	}
	return observations
}

func oneCore() Question {
	return Question{
		Cores: 1, CoresMeasured: 1, MemoryBytes: 1e9, MemoryHeadroom: 0.1, Tolerance: 0.05, Confidence: 0.95,
		RuleOfThumb: 3, Lowest: 1, Highest: 16, Seed: 1,
	}
}

func caveat(a Advice, code string) (Caveat, bool) {
	for _, c := range a.Caveats {
		if c.Code == code {
			return c, true
		}
	}
	return Caveat{}, false
}

func needCaveat(t *testing.T, a Advice, code, message string, figures map[string]float64) {
	t.Helper()
	c, ok := caveat(a, code)
	if !ok {
		t.Errorf("got no caveat %s among %+v", code, a.Caveats)
		return
	}
	if !strings.Contains(c.Message, message) {
		t.Errorf("%s: got %q, want it to say %q", code, c.Message, message)
	}
	for key, want := range figures {
		if got, ok := c.Figures[key]; !ok || math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s: %s: got %g, want %g", code, key, got, want)
		}
	}
}

func TestAdviseThroughput(t *testing.T) {
	a := Advise(measured([]int{1, 2, 3, 4, 5, 6, 8}, alikeServer), oneCore())
	if !a.Made || a.Workers != 5 || a.Low != 5 || a.High != 5 || !a.HighResolved || a.LimitedBy != LimitedByThroughput {
		t.Errorf("got %d (%d-%d, resolved %t) limited by %s", a.Workers, a.Low, a.High, a.HighResolved, a.LimitedBy)
	}
	near(t, "throughput", a.Throughput, 500, 1e-6)
	near(t, "memory", a.Memory, 300e6, 1)
	if len(a.Caveats) != 0 {
		t.Errorf("got caveats %+v", a.Caveats)
	}
	r := a.RuleOfThumb
	if !r.Measured || r.RatioLow >= r.Ratio || r.RatioHigh <= r.Ratio {
		t.Errorf("rule of thumb: %+v", r)
	}
	near(t, "ratio", r.Ratio, 500.0/300, 1e-9)
	near(t, "memory difference", r.MemoryDifference, 80e6, 1)
	want := []string{
		"5 workers answered 500 requests per second, as many as any; 4 reached 80.0 %.",
		"Each request holds a core for 2.0 ms and waits about 8.0 ms; no formula fits; throughput is highest at 5 workers.",
		"Each worker adds 40 MB: 300 MB in all of 1000 MB.",
	}
	if got := strings.Join(a.Reasons, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("reasons:\n%s", got)
	}
}

func TestAdviseMemory(t *testing.T) {
	q := oneCore()
	q.MemoryBytes = 300e6 // less a tenth: 270 MB, four workers need 260
	a := Advise(measured([]int{1, 2, 3, 4, 5, 6, 8}, alikeServer), q)
	if !a.Made || a.Workers != 4 || a.LimitedBy != LimitedByMemory || a.High != 4 || a.MemoryLine.HighestWithinCap != 4 {
		t.Errorf("got %d (%d-%d) limited by %s, line %+v", a.Workers, a.Low, a.High, a.LimitedBy, a.MemoryLine)
	}
	for _, p := range a.Points {
		if p.Feasible != (p.Workers <= 4) {
			t.Errorf("%d workers: feasible %t, %s", p.Workers, p.Feasible, p.WhyInfeasible)
		}
	}
	q.MemoryBytes = 100e6
	a = Advise(measured([]int{1, 2, 4}, alikeServer), q)
	if a.Made {
		t.Errorf("got %d workers in less memory than one needs", a.Workers)
	}
	needCaveat(t, a, CaveatMemoryTooSmall, "Even 1 worker may need", map[string]float64{"workers": 1, "limit_bytes": 90e6})
}

// The one count whose memory is known takes too much: those above it, whose memory is not, take no less.
func TestAdviseMemoryOfSomeCounts(t *testing.T) {
	observations := measured([]int{1, 2, 3, 4}, alikeServer)
	for i := range observations {
		observations[i].Memory = 0
	}
	observations[1].Memory = 500e6
	q := oneCore()
	q.MemoryBytes, q.MemoryHeadroom = 400e6, 0
	a := Advise(observations, q)
	if a.Made {
		t.Errorf("got %d workers in 400 MB, where 1 takes 500", a.Workers)
	}
	needCaveat(t, a, CaveatMemoryTooSmall, "Even 1 worker may need 500 MB", map[string]float64{"workers": 1, "memory_bytes": 500e6, "limit_bytes": 400e6})
	if p := a.Points[3]; p.Feasible || p.WhyInfeasible != "1 worker already took more than the 400 MB it can have" {
		t.Errorf("got %+v", p)
	}
	// Where one worker may not be recommended, two need no less.
	q.Lowest = 2
	needCaveat(t, Advise(observations, q), CaveatMemoryTooSmall, "Even 2 workers may need 500 MB", nil)
	// Below one that takes too much there is room, and memory is why it ends there.
	q.Lowest = 1
	observations[1].Memory, observations[7].Memory = 0, 500e6
	if a = Advise(observations, q); !a.Made || a.Workers != 2 || a.LimitedBy != LimitedByMemory || a.High != 2 || !a.HighResolved {
		t.Errorf("got %d (%d-%d, resolved %t) limited by %s, want 2 by memory", a.Workers, a.Low, a.High, a.HighResolved, a.LimitedBy)
	}
}

// Five workers were killed while throughput still grew at four: METHOD 1.
func TestAdviseKilledForMemory(t *testing.T) {
	observations := append(measured([]int{1, 2, 3, 4}, alikeServer), Observation{Workers: 5, Failed: true, MemoryKilled: true, Why: "killed"})
	q := oneCore()
	q.MemoryBytes = 0
	a := Advise(observations, q)
	if !a.Made || a.Workers != 4 || a.LimitedBy != LimitedByMemory || a.High != 4 {
		t.Errorf("got %d (%d-%d) limited by %s", a.Workers, a.Low, a.High, a.LimitedBy)
	}
	needCaveat(t, a, CaveatKilledForMemory, "at 5 workers", map[string]float64{"workers": 5})
	if _, ok := caveat(a, CaveatSearchRange); ok {
		t.Error("memory ended the range, but the caveat says the search did")
	}
	// One worker works and two are killed: still an answer.
	a = Advise(append(measured([]int{1}, alikeServer), Observation{Workers: 2, Failed: true, MemoryKilled: true}), q)
	if !a.Made || a.Workers != 1 || a.LimitedBy != LimitedByMemory {
		t.Errorf("got made %t, %d limited by %s", a.Made, a.Workers, a.LimitedBy)
	}
}

func withObjective(observations []Observation, meets func(workers int) bool) []Observation {
	for i := range observations {
		m := meets(observations[i].Workers)
		observations[i].MeetsObjective = &m
		if !m {
			observations[i].ObjectiveWhy = "p95 was 310 ms, 200 ms asked for"
		}
	}
	return observations
}

func TestAdviseObjective(t *testing.T) {
	counts := []int{1, 2, 3, 4, 5, 6, 8}
	for name, c := range map[string]struct {
		meets     func(int) bool
		workers   int
		limitedBy LimitedBy
	}{
		"needs more than the knee":   {func(n int) bool { return n >= 8 }, 8, LimitedByObjective},
		"needs less than the knee":   {func(n int) bool { return n >= 2 }, 5, LimitedByThroughput},
		"broken by too many workers": {func(n int) bool { return n >= 2 && n <= 4 }, 4, LimitedByObjective},
	} {
		a := Advise(withObjective(measured(counts, alikeServer), c.meets), oneCore())
		if !a.Made || a.Workers != c.workers || a.LimitedBy != c.limitedBy || a.Low > a.Workers || a.High < a.Workers {
			t.Errorf("%s: got %d (%d-%d) limited by %s", name, a.Workers, a.Low, a.High, a.LimitedBy)
		}
	}
	a := Advise(withObjective(measured(counts, alikeServer), func(int) bool { return false }), oneCore())
	if a.Made {
		t.Errorf("got %d workers, though none meets the objective", a.Workers)
	}
	needCaveat(t, a, CaveatObjectiveNotMet, "misses it: p95 was 310 ms, 200 ms asked for.", map[string]float64{"workers": 5, "throughput_rps": 500})
}

// A rule of thumb outside the user's range is compared with and never recommended.
func TestAdviseOutsideTheRange(t *testing.T) {
	q := oneCore()
	q.Highest, q.RuleOfThumb = 4, 9
	a := Advise(measured([]int{1, 2, 3, 4, 9}, alikeServer), q)
	if a.Workers != 4 || a.LimitedBy != LimitedBySearchRange || a.HighResolved || a.High > 4 {
		t.Errorf("got %d (%d-%d, resolved %t) limited by %s", a.Workers, a.Low, a.High, a.HighResolved, a.LimitedBy)
	}
	near(t, "ratio", a.RuleOfThumb.Ratio, 0.8, 1e-9)
	needCaveat(t, a, CaveatSearchRange, "still rising at 4 workers", map[string]float64{"workers": 4, "throughput_rps": 400})
}

func TestAdviseRuleOfThumb(t *testing.T) {
	q := oneCore()
	q.RuleOfThumb = 5
	r := Advise(measured([]int{1, 2, 4, 5, 8}, alikeServer), q).RuleOfThumb
	if r != (Comparison{Workers: 5, Measured: true, Ratio: 1, RatioLow: 1, RatioHigh: 1}) {
		t.Errorf("the same count: got %+v", r)
	}
	q.RuleOfThumb = 7
	if r = Advise(measured([]int{1, 2, 4, 5, 8}, alikeServer), q).RuleOfThumb; r.Measured || r.Why != "it was not measured" {
		t.Errorf("not measured: got %+v", r)
	}
	killed := append(measured([]int{1, 2, 4, 5}, alikeServer), Observation{Workers: 7, Failed: true, MemoryKilled: true})
	if r = Advise(killed, q).RuleOfThumb; r.Measured || r.Why != "killed for memory under load" {
		t.Errorf("killed: got %+v", r)
	}
}

func TestAdviseGeneratorBound(t *testing.T) {
	observations := measured([]int{1, 2, 3, 4, 5, 6, 8}, alikeServer)
	for i := range observations {
		observations[i].GeneratorBound = observations[i].Workers >= 4
	}
	a := Advise(observations, oneCore())
	needCaveat(t, a, CaveatGeneratorBound, "lower bound", map[string]float64{"workers": 4})
	if a.HighResolved {
		t.Error("an interval that ends where the generator did is not resolved")
	}
	// One restart that was not bound is worth more than two that were.
	observations[9].GeneratorBound, observations[9].Throughput = false, 405
	for _, p := range Advise(observations, oneCore()).Points {
		if p.Workers == 4 && (p.GeneratorBound || p.Throughput != 405) {
			t.Errorf("got %+v", p)
		}
	}
}

func TestAdviseFailedCounts(t *testing.T) {
	observations := append(measured([]int{1, 2, 4, 5}, alikeServer),
		Observation{Workers: 8, Failed: true, Why: "not ready after 30s"},
		Observation{Workers: 8, Failed: true, Why: "not ready after 30s"})
	a := Advise(observations, oneCore())
	if !a.Made || a.Workers != 5 {
		t.Errorf("got made %t, %d workers", a.Made, a.Workers)
	}
	needCaveat(t, a, CaveatCountFailed, "2 restarts failed at 8 workers: not ready after 30s.", map[string]float64{"workers": 8, "restarts_failed": 2})
	// One failure of two is not the end of a count.
	observations = append(measured([]int{1, 2, 4, 8}, alikeServer),
		Observation{Workers: 5, Failed: true, Why: "exited"}, Observation{Workers: 5, Throughput: 500})
	if a = Advise(observations, oneCore()); a.Workers != 5 {
		t.Errorf("got %d workers", a.Workers)
	}
	needCaveat(t, a, CaveatFewRepeats, "5 workers had 1 restart;", map[string]float64{"restarts": 1})
}

func TestAdviseDoubts(t *testing.T) {
	var observations []Observation
	for _, n := range []int{1, 2, 3} {
		for _, by := range []float64{0.9, 1.1} {
			observations = append(observations, Observation{Workers: n, Throughput: 100 * by})
		}
	}
	a := Advise(observations, oneCore())
	needCaveat(t, a, CaveatNoisy, "more than the 5 % that decide", map[string]float64{"tolerance_share": 0.05})
	needCaveat(t, a, CaveatNotResolved, "Not resolved up to 3 workers: ", map[string]float64{"workers_measured": 3})
	needCaveat(t, a, CaveatMemoryUnknown, "Memory was not measured", map[string]float64{"limit_bytes": 1e9})
	needCaveat(t, a, CaveatFewRepeats, "1 worker had 2 restarts", map[string]float64{"restarts": 2})
}

// The interval begins where an accepted curve's bootstrap does, whether its end is resolved or not: here
// the restarts of 12 workers rule these out, and the law through all counts does not.
func TestAdviseUnresolvedIntervalHasTheBootstrap(t *testing.T) {
	law, random := USL{0.05, 0.002, 100}, rand.New(rand.NewPCG(94, 3))
	var observations []Observation
	for _, n := range []int{1, 2, 4, 6, 8, 10, 12, 14, 16} {
		for range 2 {
			observations = append(observations, Observation{Workers: n, Throughput: law.ThroughputAt(float64(n)) * math.Exp(0.04*random.NormFloat64())})
		}
	}
	q := Question{Cores: 2, Highest: 16, Seed: 1}.complete()
	d := decide(observations, q)
	in := d.plateau.interval(d.table, q.Confidence)
	if in != (interval{13, 16, false}) || d.curve == nil {
		t.Fatalf("got %+v of an accepted curve (%t), want the ratio test to leave it open from 13", in, d.curve != nil)
	}
	if low, _ := d.curve.bootstrap(d.table, d.plateau.groups, q); low != 12 {
		t.Fatalf("the bootstrap begins at %d, want 12", low)
	}
	if a := Advise(observations, q); a.Low != 12 || a.HighResolved {
		t.Errorf("got %d-%d, resolved %t, want it to begin at 12", a.Low, a.High, a.HighResolved)
	}
}

func TestAdviseWithoutAnAnswer(t *testing.T) {
	failed := Observation{Workers: 2, Failed: true, Why: "exited at once"}
	zero := Observation{Workers: 2}
	for name, c := range map[string]struct {
		observations []Observation
		code         string
	}{
		"nothing":         {nil, CaveatNothingMeasured},
		"all failed":      {[]Observation{failed, failed}, CaveatNothingMeasured},
		"zero throughput": {[]Observation{zero, zero}, CaveatNothingMeasured},
		"not a number":    {[]Observation{{Workers: 1, Throughput: math.NaN()}, {Workers: 2, Throughput: math.Inf(1)}}, CaveatIgnored},
		"one count":       {measured([]int{4}, alikeServer), CaveatOneCount},
		"others failed":   {append(measured([]int{4}, alikeServer), failed), CaveatOneCount},
		"out of range":    {measured([]int{20, 30}, alikeServer), CaveatNothingMeasured},
	} {
		a := Advise(c.observations, oneCore())
		if a.Made || a.Workers != 0 {
			t.Errorf("%s: got %d workers", name, a.Workers)
		}
		needCaveat(t, a, c.code, "", nil)
	}
}

// A server that one worker makes faster than the generator: that more workers came out faster, or slower,
// is the generator's doing and no knee.
func TestAdviseWhereTheGeneratorDecides(t *testing.T) {
	var observations []Observation
	for i, x := range []float64{97645, 81877, 93146, 99250, 71650} {
		observations = append(observations, Observation{Workers: 1 + i, Throughput: x, CPUPerRequest: 5e-6, GeneratorBound: true, At: float64(i)})
	}
	q := oneCore()
	a := Advise(observations, q)
	if !a.Made || a.Workers != 1 || a.HighResolved || !hasCaveat(a, CaveatGeneratorBound) || hasCaveat(a, CaveatNotConfirmed) || hasCaveat(a, CaveatFewRepeats) {
		t.Errorf("got %d (made %t, resolved %t) with caveats %+v", a.Workers, a.Made, a.HighResolved, a.Caveats)
	}
	if step := Confirm(observations, q); !step.Done {
		t.Errorf("there is nothing to confirm: %+v", step)
	}
}

func hasCaveat(a Advice, code string) bool {
	return slices.ContainsFunc(a.Caveats, func(c Caveat) bool { return c.Code == code })
}

// Where the fewest that were measured do as well as any, fewer may too, but for those that failed and those
// that were not asked for.
func TestIntervalBelowWhatWasMeasured(t *testing.T) {
	at := func(workers int, throughput float64) Observation {
		return Observation{Workers: workers, Throughput: throughput}
	}
	flat := []Observation{at(3, 100), at(3, 101), at(4, 101), at(4, 100)}
	rising := []Observation{at(3, 60), at(3, 61), at(4, 101), at(4, 100)}
	for name, c := range map[string]struct {
		observations []Observation
		lowest, want int
	}{
		"fewer were not measured": {flat, 1, 1},
		"not asked for":           {flat, 2, 2},
		"one failed":              {append([]Observation{{Workers: 1, Failed: true}}, flat...), 1, 2},
		"too slow":                {rising, 1, 4},
	} {
		a := Advise(c.observations, Question{Cores: 1, CoresMeasured: 1, Lowest: c.lowest, Highest: 8})
		if !a.Made || a.Low != c.want {
			t.Errorf("%s: %d (%d-%d), want %d as the least", name, a.Workers, a.Low, a.High, c.want)
		}
	}
}

// What was never tried did not fail.
func TestNothingMeasuredSaysWhatWasTried(t *testing.T) {
	worked := Observation{Workers: 3, Throughput: 100}
	for message, observations := range map[string][]Observation{
		"No count from 1 to 2 was tried in the time there was, and no other may be recommended.":  {worked},
		"None of the counts from 1 to 2 that were tried worked, and no other may be recommended.": {worked, {Workers: 2, Failed: true, Why: "no"}},
		"Not one restart worked, so there is nothing to go by.":                                   {{Workers: 2, Failed: true, Why: "no"}},
	} {
		a := Advise(observations, Question{Cores: 1, CoresMeasured: 1, RuleOfThumb: 3, Lowest: 1, Highest: 2})
		if !slices.ContainsFunc(a.Caveats, func(c Caveat) bool { return c.Code == CaveatNothingMeasured && c.Message == message }) {
			t.Errorf("want %q, got %v", message, a.Caveats)
		}
	}
}

// An interval of next to all confidence would have no end.
func TestConfidenceNextToOne(t *testing.T) {
	var observations []Observation
	for workers := 1; workers <= 6; workers++ {
		for repeat := range 3 {
			observations = append(observations, Observation{
				Workers: workers, Throughput: 100*float64(min(workers, 3)) + float64(repeat), CPUPerRequest: 0.01, Memory: 1e8 * float64(workers),
			})
		}
	}
	a := Advise(observations, Question{Cores: 3, CoresMeasured: 3, RuleOfThumb: 7, Lowest: 1, Highest: 8, MemoryBytes: 1e9, Confidence: math.Nextafter(1, 0)})
	if text := fmt.Sprintf("%+v", a); a.Confidence != MostConfidence || strings.Contains(text, "+Inf") {
		t.Errorf("at a confidence of %g: %s", a.Confidence, text)
	}
}
