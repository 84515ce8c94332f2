package model

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"
)

// reader turns fuzzed bytes into whatever is asked of it.
type reader []byte

func (r *reader) byte() byte {
	if len(*r) == 0 {
		return 0
	}
	b := (*r)[0]
	*r = (*r)[1:]
	return b
}

// figure is often an ordinary number and sometimes any at all.
func (r *reader) figure() float64 {
	switch kind := r.byte(); {
	case kind < 160:
		return float64(kind) * 7
	case kind < 200:
		return float64(kind) / 1e5
	case kind < 210:
		return []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e12, 1e-9, -0.5}[kind-200]
	default:
		var raw [8]byte
		for i := range raw {
			raw[i] = r.byte()
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(raw[:]))
	}
}

func (r *reader) count() int {
	if n := int(r.byte()); n < 200 {
		return n % 24
	}
	return int(int8(r.byte())) * 100
}

func (r *reader) observation() Observation {
	o := Observation{Workers: r.count(), Threads: int(r.byte()) % 4, Throughput: r.figure(), CPUPerRequest: r.figure() / 1e4, Memory: r.figure() * 1e5}
	flags := r.byte()
	o.Failed, o.MemoryKilled, o.GeneratorBound = flags&7 == 1, flags&16 != 0, flags&40 == 40
	if flags&128 != 0 {
		meets := flags&64 != 0
		o.MeetsObjective = &meets
		margin := r.figure() / 1e2
		if !meets {
			margin = -margin
		}
		o.Margin = &margin
	}
	return o
}

func (r *reader) question() Question {
	q := Question{
		Cores: r.figure(), CoresMeasured: r.figure(), MemoryBytes: r.figure() * 1e6, MemoryHeadroom: r.figure() / 1e3,
		Tolerance: r.figure() / 1e3, Confidence: r.figure() / 1e3,
		RuleOfThumb: r.count(), Lowest: r.count(), Highest: r.count(), Seed: int64(r.byte()),
	}
	q.SpreadFromNeighbours = q.Seed%2 == 1
	if q.Seed%3 == 1 {
		q.Goal = GoalRate
	}
	return q
}

func FuzzAdvise(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("one core, five workers, and a rule of thumb that is measured as well"))
	f.Add([]byte{14, 14, 0, 0, 50, 150, 3, 1, 16, 7, 1, 0, 10, 170, 1, 2, 1, 0, 20, 170, 2, 2, 3, 0, 30, 170, 3, 2, 1, 0, 11, 170, 1, 2, 2, 0, 19, 170, 2, 2})
	f.Add([]byte{14, 14, 0, 0, 50, 150, 3, 1, 16, 7, 1, 0, 207, 170, 1, 2, 2, 0, 208, 170, 2, 2, 3, 0, 207, 170, 3, 2, 1, 0, 208, 170, 1, 2, 2, 0, 207, 170, 2, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		q := r.question()
		var observations []Observation
		for len(r) > 0 && len(observations) < 60 {
			observations = append(observations, r.observation())
		}
		checkAdvice(t, Advise(observations, q), observations, q)
		search := Search{
			Goal: q.Goal, Lowest: q.Lowest, Highest: q.Highest, Always: []int{q.RuleOfThumb}, Tolerance: q.Tolerance, Confidence: q.Confidence,
			Cores: q.CoresMeasured, MemoryBytes: q.MemoryBytes, MemoryHeadroom: q.MemoryHeadroom, Seed: q.Seed,
		}
		checkStep(t, search.Next(observations), search)
	})
}

// checkAdvice holds for any input.
func checkAdvice(t *testing.T, a Advice, observations []Observation, q Question) {
	t.Helper()
	// JSON has no NaN and no Inf, so this fails for any of them, however deep.
	if _, err := json.Marshal(a); err != nil {
		t.Fatalf("%v in %+v", err, a)
	}
	if !a.Made {
		if len(a.Caveats) == 0 || a.Workers != 0 {
			t.Fatalf("no recommendation, and nothing that says why: %+v", a)
		}
		return
	}
	q = q.complete()
	switch {
	case a.Workers < q.Lowest || a.Workers > q.Highest:
		t.Fatalf("%d workers are outside %d..%d", a.Workers, q.Lowest, q.Highest)
	case a.Low > a.Workers || a.Workers > a.High || a.Low < 1:
		t.Fatalf("%d workers are outside their interval %d..%d", a.Workers, a.Low, a.High)
	case !slices.ContainsFunc(observations, func(o Observation) bool { return o.Workers == a.Workers && !o.Failed }):
		t.Fatalf("%d workers were not measured", a.Workers)
	case a.Throughput <= 0:
		t.Fatalf("throughput %g", a.Throughput)
	case len(a.Reasons) < 1 || len(a.Reasons) > 5:
		t.Fatalf("reasons: %q", a.Reasons)
	}
	for _, p := range a.Points {
		if p.Workers == a.Workers && !p.Feasible {
			t.Fatalf("%d workers were advised and are not feasible: %s", p.Workers, p.WhyInfeasible)
		}
		if p.ThroughputLow > p.Throughput || p.ThroughputHigh < p.Throughput {
			t.Fatalf("%+v lies outside its interval", p)
		}
	}
	if r := a.RuleOfThumb; r.RatioLow > r.Ratio || r.RatioHigh < r.Ratio {
		t.Fatalf("rule of thumb %+v lies outside its interval", r)
	}
}

func checkStep(t *testing.T, step Step, s Search) {
	t.Helper()
	always := slices.Contains(s.Always, step.Workers)
	s = s.complete()
	switch {
	case step.Why == "":
		t.Fatalf("%+v does not say why", step)
	case step.Done:
		if step.Workers != 0 {
			t.Fatalf("%+v is done and has workers", step)
		}
	case !always && (step.Workers < s.Lowest || step.Workers > s.Highest):
		t.Fatalf("%+v is outside %d..%d", step, s.Lowest, s.Highest)
	case step.Resolved:
		t.Fatalf("%+v is resolved and not done", step)
	}
}

// Any server's sweep ends, within bounds, and Advise answers at every point of it.
func FuzzSearchEnds(f *testing.F) {
	f.Add([]byte{14, 14, 0, 0, 50, 150, 3, 1, 16, 7, 1, 0, 10, 170, 1, 2, 1, 0, 20, 170, 2, 2, 3, 0, 30})
	f.Add([]byte("a server that fails now and then"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		q := r.question()
		s := Search{Lowest: q.Lowest, Highest: q.Highest, Always: []int{q.RuleOfThumb}, Tolerance: q.Tolerance, Cores: q.CoresMeasured, MemoryBytes: q.MemoryBytes, Seed: q.Seed}
		var observations []Observation
		for range 1000 {
			step := s.Next(observations)
			checkStep(t, step, s)
			if step.Done {
				checkAdvice(t, Advise(observations, q), observations, q)
				return
			}
			o := r.observation()
			o.Workers = step.Workers
			observations = append(observations, o)
		}
		t.Fatalf("no end after %d restarts", len(observations))
	})
}
