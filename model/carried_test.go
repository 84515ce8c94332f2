package model

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// onOneCore is the advice on one core for a server of known physics, and a carry of it to more, as half of
// that core and all of it show: off is how much dearer a request is on the half, as a share.
func onOneCore(t *testing.T, network ClosedNetwork, cores, off float64) (Advice, Carry) {
	t.Helper()
	counts := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 32}
	var observations []Observation
	for _, noise := range []float64{0.99, 1, 1.01} {
		for _, n := range counts {
			observations = append(observations, Observation{
				Workers: n, Throughput: noise * network.ThroughputAt(n), CPUPerRequest: network.Demand, Memory: 60e6 + 40e6*float64(n),
			})
		}
	}
	a := Advise(observations, Question{CoresMeasured: 1, RuleOfThumb: 3})
	if !a.Made {
		t.Fatalf("nothing is advised on one core: %+v", a.Caveats)
	}
	c := Carry{Budget: Budget{Cores: cores}, CoresMeasured: 1, RuleOfThumb: 2*int(cores) + 1}
	all, ok := a.AtCores(1, 1)
	if !ok {
		t.Fatal("the advice tells nothing of the core")
	}
	half := CoresMeasured{Cores: 0.5, Throughput: all.Throughput / 2, Demand: network.Demand * (1 + off), Wait: all.Wait}
	for _, spread := range []float64{0.999, 1.001} {
		one, part := all, half
		one.Demand, part.Demand = one.Demand*spread, part.Demand*spread
		c.Measured = append(c.Measured, one, part)
	}
	return a, c
}

var tenMilliseconds = ClosedNetwork{Cores: 1, Demand: 0.002, Wait: 0.008}

// What shares nothing does four times as much on four cores, with four times the workers or fewer: by the
// network (METHOD 4) 24 slots come within 5 % of 2000 requests per second. 9, which are usual there, wait 8
// of their 10 ms and answer 888/s.
func TestCarriedToFourCores(t *testing.T) {
	a, c := onOneCore(t, tenMilliseconds, 4, 0)
	out := a.Carried(c)
	if !out.Made {
		t.Fatalf("refused: %+v", out.Caveat)
	}
	four := ClosedNetwork{Cores: 4, Demand: 0.002, Wait: 0.008}
	slots, _ := four.SlotsFor(0.95, 1000)
	if out.Workers < slots || out.Workers > 4*a.Workers || out.Workers > slots*a.Workers/6 {
		t.Errorf("%d workers for 4 cores where %d are for one, and %d do by the network", out.Workers, a.Workers, slots)
	}
	near(t, "throughput", out.Throughput, four.ThroughputAt(out.Workers), 0.03*2000)
	near(t, "ratio to the usual 9", out.RuleOfThumb.Ratio, out.Throughput/four.ThroughputAt(9), 0.05)
	near(t, "memory", out.Memory, 60e6+40e6*float64(out.Workers), 1e6)
	near(t, "memory beside the usual 9", out.RuleOfThumb.MemoryDifference, 40e6*float64(out.Workers-9), 1e6)
	if !out.RuleOfThumb.Predicted || out.RuleOfThumb.Measured || out.LimitedBy != LimitedByThroughput || out.Low > out.Workers || out.High < out.Workers {
		t.Errorf("got %+v", out)
	}
	if out.Caveat == nil || out.Caveat.Code != CaveatFewerCores {
		t.Errorf("a prediction without a word of it: %+v", out.Caveat)
	}
}

// A worker that has as many requests in work as there are fills a core by itself, and four fill four.
func TestCarriedInProportion(t *testing.T) {
	for _, cores := range []float64{2, 4, 8} {
		a, c := onOneCore(t, ClosedNetwork{Cores: 1, Demand: 0.002}, cores, 0)
		if out := a.Carried(c); !out.Made || a.Workers != 1 || out.Workers != int(cores) {
			t.Errorf("%g cores: %d workers where %d is for one, %+v", cores, out.Workers, a.Workers, out.Caveat)
		}
	}
}

// Of 1 GB less a tenth, 60 MB and 40 MB a worker leave room for 21; then the throughput is that of 21.
func TestCarriedIntoMemory(t *testing.T) {
	a, c := onOneCore(t, tenMilliseconds, 4, 0)
	c.MemoryBytes = 0.9e9
	out := a.Carried(c)
	if !out.Made || out.Workers != 21 || out.LimitedBy != LimitedByMemory || out.High != 21 {
		t.Fatalf("got %+v, want 21 workers by memory", out)
	}
	near(t, "throughput", out.Throughput, ClosedNetwork{Cores: 4, Demand: 0.002, Wait: 0.008}.ThroughputAt(21), 60)
}

// Each rule of trust, broken alone.
func TestCarriedIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		cores float64
		off   float64
		edit  func(*Advice, *Carry)
		want  string
		most  float64 // requests per second whatever the cores; 0: none is told
	}{
		{name: "the half tells of another core", cores: 4, off: 0.12, want: "from 0.5 cores the 1 that were measured came out"},
		{name: "nothing was held out", cores: 4, edit: func(_ *Advice, c *Carry) {
			c.Measured = slices.DeleteFunc(c.Measured, func(m CoresMeasured) bool { return m.Cores < 1 })
			c.Unchecked = "there was no time to measure on 0.5 cores too"
		}, want: "there was no time"},
		{name: "too far", cores: 9, want: "9 times as many", most: 9 / 0.002},
		{name: "too far for its error", cores: 8, off: -0.08, want: "right within"},
		{name: "no CPU time", cores: 4, edit: func(_ *Advice, c *Carry) { c.Measured = nil }, want: "CPU time of a request is not known"},
		{name: "the generator was bound", cores: 4, edit: func(a *Advice, _ *Carry) { a.point(a.Workers).GeneratorBound = true }, want: "load generator"},
		{name: "idle cores", cores: 4, edit: func(a *Advice, c *Carry) {
			for i := range c.Measured {
				c.Measured[i].Throughput *= 0.4
			}
		}, want: "so something else is short than the cores, which more workers don't mend", most: 0.4 * 500 / (1 - 0.4*0.4/0.6)},
		{name: "idle cores, and still rising", cores: 4, edit: func(a *Advice, c *Carry) {
			a.LimitedBy = LimitedBySearchRange
			for i := range c.Measured {
				c.Measured[i].Throughput *= 0.4
			}
		}, want: "so something else is short than the cores."},
		{name: "cores that others used", cores: 4, edit: func(_ *Advice, c *Carry) {
			c.OthersShare = 0.5
			for i := range c.Measured {
				c.Measured[i].Throughput *= 0.4
			}
		}, want: "other processes 50 %"},
		// 8 ms of 10 under a lock, all of it CPU time: 1.25 run at a time, and 125/s is the most.
		{name: "a lock around the computing", cores: 4, edit: func(_ *Advice, c *Carry) { c.Runnable, c.RunnableOf = 1.25, 16 }, want: "a lock", most: 1.25 * 500},
		{name: "more workers don't start", cores: 4, edit: func(a *Advice, _ *Carry) {
			i := slices.IndexFunc(a.Points, func(p Point) bool { return p.Workers == 16 })
			a.Points[i].Feasible, a.Points[i].WhyInfeasible = false, "too many connections"
		}, want: "16 did not work: too many connections"},
	} {
		a, carry := onOneCore(t, tenMilliseconds, c.cores, c.off)
		if c.edit != nil {
			c.edit(&a, &carry)
		}
		out := a.Carried(carry)
		if out.Made || out.Caveat == nil || out.Caveat.Code != CaveatNotPredicted || !strings.Contains(out.Caveat.Message, c.want) {
			t.Errorf("%s: got %t, %+v, want %q", c.name, out.Made, out.Caveat, c.want)
			continue
		}
		if out.Throughput != 0 {
			t.Errorf("%s: refused, and %g/s all the same", c.name, out.Throughput)
		}
		if most := out.Caveat.Figures["at_most_rps"]; math.Abs(most-c.most) > 0.05*c.most {
			t.Errorf("%s: at most %g/s, want %g", c.name, most, c.most)
		}
	}
}

// Where workers run as soon as the cores let them there is no lock: of 16, those that don't wait.
func TestCarriedTellsAQueueFromALock(t *testing.T) {
	for _, runnable := range []float64{16 - 500*0.008, 9, 6.5} {
		a, c := onOneCore(t, tenMilliseconds, 4, 0)
		c.Runnable, c.RunnableOf = runnable, 16
		if out := a.Carried(c); !out.Made {
			t.Errorf("%g of 16 run at a time: %+v", runnable, out.Caveat)
		}
	}
}

// What memory ends on one core ends on four as well, and what holds a rate goes on to hold it: neither asks
// how the cores go on.
func TestCarriedAsItIs(t *testing.T) {
	a, c := onOneCore(t, tenMilliseconds, 4, 0.5)
	a.LimitedBy = LimitedByMemory
	if out := a.Carried(c); !out.Made || out.Workers != a.Workers || out.LimitedBy != LimitedByMemory || out.Throughput != a.Throughput || out.RuleOfThumb.Why != "it does not fit in memory" {
		t.Errorf("memory: got %+v", out)
	}
	a, c = onOneCore(t, tenMilliseconds, 4, 0.5)
	c.RateHeld, c.Measured = true, nil
	if out := a.Carried(c); !out.Made || out.Workers != a.Workers || out.LimitedBy != LimitedByObjective || out.Throughput != a.Throughput {
		t.Errorf("a rate: got %+v", out)
	}
	a.Made = false
	if out := a.Carried(c); out.Made || out.Caveat != nil || out.Workers != 0 {
		t.Errorf("nothing is advised: got %+v", out)
	}
}

// The error grows by doublings, and with it the interval: 3 % over one are 6 % over two.
func TestCarriedError(t *testing.T) {
	last := 0.0
	for _, cores := range []float64{2, 4, 8} {
		a, c := onOneCore(t, tenMilliseconds, cores, -0.02)
		out := a.Carried(c)
		if !out.Made {
			t.Fatalf("%g cores: %+v", cores, out.Caveat)
		}
		h := out.Error / math.Log2(cores)
		if out.Error <= last || h > 0.06 || h < 0.02 {
			t.Errorf("%g cores: an error of %g, after %g", cores, out.Error, last)
		}
		last = out.Error
		if p := a.point(a.Workers); math.Abs(out.ThroughputHigh/out.Throughput-p.ThroughputHigh/p.Throughput*(1+out.Error)) > 1e-9 {
			t.Errorf("%g cores: up to %g/s of %g", cores, out.ThroughputHigh, out.Throughput)
		}
	}
}

// The counts that the user allowed are all that may be recommended.
func TestCarriedWithinWhatIsAllowed(t *testing.T) {
	a, c := onOneCore(t, tenMilliseconds, 4, 0)
	c.Lowest, c.Highest = 1, 16
	if out := a.Carried(c); !out.Made || out.Workers != 16 || out.LimitedBy != LimitedBySearchRange {
		t.Errorf("got %+v, want the 16 that are allowed", out)
	}
}
