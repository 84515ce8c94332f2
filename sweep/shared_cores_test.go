package sweep

import (
	"math"
	"strings"
	"testing"
	"time"

	"advise/sweep/generator"
)

// sharedTrial is a second of full load on cores that the generator runs on too.
func sharedTrial(server, driver, throughput float64) (*Trial, *Phase, *generator.Summary) {
	low, high := 0.9*throughput, 1.1*throughput
	t := &Trial{Outcome: OK, Server: Server{CPUSeconds: server}}
	t.Phases = []Phase{{
		Kind: PhaseSaturation, OK: uint64(throughput), ThroughputRPS: throughput, WindowSeconds: 1, ThroughputLowRPS: &low, ThroughputHighRPS: &high,
		GeneratorCPUShare: driver / 2, GeneratorVerdict: GeneratorOK,
	}}
	return t, &t.Phases[0], &generator.Summary{CPUSeconds: driver}
}

// A page of 2 ms and 0.2 ms of the generator's fill two cores at 2 / 2.2 ms = 909/s, and the server alone at
// 1000/s. With one worker one core is idle: hardly anything is taken from it.
func TestTakeOff(t *testing.T) {
	for _, c := range []struct {
		name                       string
		quota                      float64
		server, driver, throughput float64
		want                       float64
	}{
		{"full", 0, 2 / 1.1, 0.2 / 1.1, 1000 / 1.1, 1000},
		{"half idle", 0, 0.9, 0.09, 450, 450 * (1 + 0.495*0.495*0.1)},
		{"a quota that leaves it room", 1.5, 1.5, 0.15, 750, 750},
		{"a quota that does not", 1.9, 1.8, 0.2, 900, 900 * (1 + 0.2/1.8)},
	} {
		s := &Sweep{split: split{server: []int{0, 1}, generator: []int{0, 1}, shared: true, quota: c.quota, measured: 2}}
		trial, p, g := sharedTrial(c.server, c.driver, c.throughput)
		s.takeOff(trial, p, g)
		if math.Abs(p.ThroughputRPS-c.want) > 1e-6*c.want || math.Abs(*p.ThroughputHighRPS-1.1*c.want) > 1e-6*c.want {
			t.Errorf("%s: %g/s up to %g, want %g", c.name, p.ThroughputRPS, *p.ThroughputHighRPS, c.want)
		}
		if raised := c.want > c.throughput; raised != (p.SharedRPS != nil) || raised && *p.SharedRPS != c.throughput {
			t.Errorf("%s: what was measured is not kept: %v", c.name, p.SharedRPS)
		}
	}
}

// A generator that takes nearly as much as the server is what was measured; and on cores of its own it takes
// nothing.
func TestTakeOffTooMuch(t *testing.T) {
	s := &Sweep{split: split{server: []int{0, 1}, generator: []int{0, 1}, shared: true, measured: 2}}
	trial, p, g := sharedTrial(1.2, 0.8, 5000)
	s.takeOff(trial, p, g)
	if p.ThroughputRPS != 5000 || trial.Generator.Verdict != GeneratorBound || p.VerdictReason != boundShared {
		t.Errorf("got %g/s, %s by %s", p.ThroughputRPS, p.GeneratorVerdict, p.VerdictReason)
	}
	r := Record{Trials: []Trial{*trial}}
	if c := r.sharedCores(); c == nil || !strings.Contains(c.Message, "lower bounds") {
		t.Errorf("got %+v", c)
	}
	s.split.shared, s.split.generator = false, []int{2}
	trial, p, g = sharedTrial(1.8, 0.8, 900)
	s.takeOff(trial, p, g)
	if p.ThroughputRPS != 900 || p.SharedRPS != nil || s.besides(g) != 0 {
		t.Errorf("on cores of its own: %g/s", p.ThroughputRPS)
	}
	r = Record{Trials: []Trial{*trial}}
	if c := r.sharedCores(); c != nil {
		t.Errorf("on cores of its own: %+v", c)
	}
}

// What the generator used of the server's cores is no disturbance, and what others did is.
func TestGeneratorIsNoDisturbance(t *testing.T) {
	cores := coreTimes{cores: 2, total: 2 * time.Second}
	tree := treeUse{pinned: true, besides: 200 * time.Millisecond}
	tree.last.CPU, tree.last.Counted = 1800*time.Millisecond, true
	if share := othersShare(cores, time.Second, tree); share == nil || *share > 1e-9 {
		t.Errorf("the generator's tenth is taken for others': %v", share)
	}
	tree.last.CPU = 1600 * time.Millisecond
	if share := othersShare(cores, time.Second, tree); share == nil || math.Abs(*share-0.1) > 1e-9 {
		t.Errorf("others' tenth: got %v", share)
	}
}
