package model

import (
	"math"
	"slices"
	"testing"
)

// aWaiter is a page that holds a core for a millisecond, on one core. Each sync worker takes 17 MB beside
// 20 MB that they share.
type aWaiter struct {
	wait float64 // seconds
	// serial is how many requests a second pass what all share; 0: nothing is shared.
	serial float64
	// window is in seconds; 0: throughput is exact.
	window float64
}

const waiterDemand = 0.001

func (a aWaiter) measure(n int) Observation {
	x := ClosedNetwork{Cores: 1, Demand: waiterDemand, Wait: a.wait}.ThroughputAt(n)
	if a.serial > 0 {
		x = math.Min(x, a.serial)
	}
	o := Observation{Workers: n, Throughput: x, CPUPerRequest: waiterDemand, Memory: 20e6 + 17e6*float64(n)}
	if a.window > 0 {
		o.Answers = uint64(x * a.window)
	}
	return o
}

// half a gigabyte less its tenth is 460.8 MB: 25 workers, by the line.
const halfGigabyte, fitsInHalf = 512e6, 25

func (a aWaiter) search() Search {
	return Search{Highest: 32, Always: []int{3}, Cores: 1, MemoryBytes: halfGigabyte, MemoryHeadroom: 0.1}
}

// Three workers say that each further one adds half a request per second and at most a third of their 71 MB:
// 19 surely fit. With two counts the line says 25.
func TestSearchGoesStraightWhereRequestsWait(t *testing.T) {
	a := aWaiter{wait: 2, window: 6}
	counts, _ := run(t, a.search(), a.measure)
	if want := []int{3, 19, fitsInHalf}; !slices.Equal(counts[:3], want) {
		t.Errorf("got %v, want %v first", counts, want)
	}
	for _, n := range []int{1, 2, 4, 8, 26} {
		if slices.Contains(counts, n) {
			t.Errorf("got %v, want no %d: it tells nothing new, or does not fit", counts, n)
		}
	}
}

// Without a limit the range ends it, and where requests wait less, what fills the core does.
func TestSearchGoesStraightToTheEnd(t *testing.T) {
	fills, _ := ClosedNetwork{Cores: 1, Demand: waiterDemand, Wait: 0.022}.SlotsFor(0.95, 32)
	for name, c := range map[string]struct {
		wait float64
		want int
	}{
		"the range": {2, 32},
		"the core":  {0.022, fills},
	} {
		a := aWaiter{wait: c.wait}
		s := a.search()
		s.MemoryBytes = 0
		if counts, _ := run(t, s, a.measure); counts[0] != 3 || counts[1] != c.want {
			t.Errorf("%s: got %v, want 3 and then %d", name, counts, c.want)
		}
	}
}

// Memory that was not measured leaves nothing to go by but doubling.
func TestSearchGoesNotStraightIntoUnknownMemory(t *testing.T) {
	a := aWaiter{wait: 2}
	counts, _ := run(t, a.search(), func(n int) Observation {
		o := a.measure(n)
		o.Memory = 0
		return o
	})
	if want := []int{3, 6, 12, 24}; !slices.Equal(counts[:4], want) {
		t.Errorf("got %v, want %v first", counts, want)
	}
}

// What one count can't tell is whether requests wait for each other. The next count shows it, and then all
// are looked at.
func TestSearchLooksAgainWhereRequestsWaitForEachOther(t *testing.T) {
	a := aWaiter{wait: 2, serial: 2}
	counts, _ := run(t, a.search(), a.measure)
	if !slices.Equal(counts[:2], []int{3, 19}) {
		t.Errorf("got %v, want 3 and 19 first", counts)
	}
	for _, n := range []int{1, 2, 4, 8} {
		if !slices.Contains(counts[:6], n) {
			t.Errorf("got %v, want the whole first look after 19", counts)
		}
	}
}

// A request that waits four times as long as it computes is looked at as any other.
func TestSearchLooksAtAllWhereRequestsWaitLittle(t *testing.T) {
	a := aWaiter{wait: 0.004}
	counts, _ := run(t, a.search(), a.measure)
	for _, n := range []int{1, 2, 4, 8} {
		if !slices.Contains(counts[:5], n) {
			t.Errorf("got %v, want the whole first look", counts)
		}
	}
}

// With an objective the fewest that meet it are looked for, and those are below.
func TestSearchLooksAtFewerWhereTheyMayMeetTheObjective(t *testing.T) {
	a, meets := aWaiter{wait: 2}, true
	counts, _ := run(t, a.search(), func(n int) Observation {
		o := a.measure(n)
		o.MeetsObjective = &meets
		return o
	})
	if !slices.Contains(counts[:5], 1) {
		t.Errorf("got %v, want 1 in the first look", counts)
	}
}

func (a aWaiter) advice(memory float64, counts ...int) Advice {
	var observations []Observation
	for range 3 {
		for _, n := range counts {
			observations = append(observations, a.measure(n))
		}
	}
	return Advise(observations, Question{
		Cores: 1, CoresMeasured: 1, MemoryBytes: memory, MemoryHeadroom: 0.1, RuleOfThumb: 3, Lowest: 1, Highest: 32,
	})
}

// 25 workers answer 12.5 of 2 s each second, in 1.25 % of the core; 2,001 at a time would use all of it, and
// eight threads each eight times as many.
func TestWaiting(t *testing.T) {
	w := aWaiter{wait: 2}.advice(halfGigabyte, 3, 19, fitsInHalf).Waiting
	if w == nil {
		t.Fatal("nothing is said of it")
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: got %g, want %g", name, got, want)
		}
	}
	if w.Workers != fitsInHalf || !w.Fitting || !w.Measured || w.Threads != 1 {
		t.Errorf("got %+v, want the 25 that fit", w)
	}
	near("throughput", w.Throughput, 12.5)
	near("cores used", w.CoresUsed, 0.0125)
	near("slots", float64(w.Slots()), 2001)
	near("with eight threads", w.With(8), 100)
}

// A worker that has forty requests of 2 s in work at a time answers twenty each second. What waits is a
// request, and not a worker for the next one.
func TestWaitingOfManyAtATime(t *testing.T) {
	var observations []Observation
	for _, n := range []int{1, 2, 4} {
		observations = append(observations, Observation{
			Workers: n, Throughput: 20 * float64(n), CPUPerRequest: waiterDemand, Memory: 20e6 + 50e6*float64(n), Unloaded: 2,
		})
	}
	w := Advise(observations, Question{Cores: 1, CoresMeasured: 1, MemoryBytes: 256e6, Lowest: 1, Highest: 32}).Waiting
	if w == nil || w.WaitSeconds() != 2-waiterDemand || w.Slots() != 2000 || math.Abs(w.CoresUsed-0.08) > 0.001 {
		t.Errorf("got %+v, want 2 s of waiting and 2,000 at a time", w)
	}
}

// What was not measured is foreseen: as many as fit by the line.
func TestWaitingForeseesTheMostThatFit(t *testing.T) {
	w := aWaiter{wait: 2}.advice(halfGigabyte, 3, 8).Waiting
	if w == nil || w.Workers != fitsInHalf || w.Measured || !w.Fitting || math.Abs(w.Throughput-12.5) > 0.1 {
		t.Errorf("got %+v, want 25 that are foreseen to answer 12.5/s", w)
	}
}

func TestNoWaiting(t *testing.T) {
	for name, a := range map[string]Advice{
		"the core is used":         aWaiter{wait: 0.025}.advice(halfGigabyte, 3, 19, fitsInHalf),
		"requests wait little":     aWaiter{wait: 0.008}.advice(128e6, 1, 2, 3),
		"they wait for each other": aWaiter{wait: 2, serial: 2}.advice(halfGigabyte, 3, 8, 19),
		"some of them do":          aWaiter{wait: 2, serial: 8}.advice(halfGigabyte, 3, 16, 19, fitsInHalf),
	} {
		if a.Waiting != nil {
			t.Errorf("%s: got %+v, want none", name, a.Waiting)
		}
	}
}

// It is the most that fit that decide, though each of fewer adds as much as the one before.
func TestWaitingIsNoLackOfCores(t *testing.T) {
	a := aWaiter{wait: 0.020}
	if w := a.advice(128e6, 1, 2, 4).Waiting; w == nil || w.CoresUsed > idleCores {
		t.Errorf("got %+v, want five workers that use a quarter of the core", w)
	}
	if w := a.advice(400e6, 1, 2, 4, 16).Waiting; w != nil {
		t.Errorf("got %+v, want none: the 20 that fit use more than two thirds", w)
	}
}
