package model

import (
	"fmt"
	"math"
)

// mostlyWaiting is how many times as long as it holds a core a request waits, at the least, where waiting
// is nearly everything: a core could have more than twenty of them in work.
const mostlyWaiting = 20

// idleCores is the share of the cores that is used at the most, with as many workers as there can be, where
// the count is not the lever.
const idleCores = 0.5

// Waiting says that the count of workers is not the lever: requests wait nearly all their time, and the
// cores stay idle with the most workers that there can be. That is so where
//
//	Wait >= 20 Demand,
//	CoresUsed = Throughput x Demand / cores <= 0.5,
//
// throughput still grows with the count, and the closed network agrees with every count that was measured.
type Waiting struct {
	// Workers are the most that fit, or without a limit that decides the most that were measured, of Threads
	// each. Measured is false where Throughput, in requests per second, and CoresUsed are the network's.
	Workers, Threads int
	Fitting          bool
	Measured         bool
	Throughput       float64
	CoresUsed        float64
	// Network is what they come of.
	Network ClosedNetwork
	// Unloaded is the time of an answer without load where a worker has many requests in work at a time, in
	// seconds; 0 elsewhere. Network.Wait is then how long a worker takes for each, not how long one waits.
	Unloaded float64 `json:",omitempty"`
}

// Slots are the requests that have to be in work at a time to use the cores, cores x (Demand + Wait) /
// Demand: see [ClosedNetwork.Crossing].
func (w Waiting) Slots() int {
	n := w.Network
	n.Wait = w.WaitSeconds()
	return int(math.Ceil(math.Min(n.Crossing(), math.MaxInt32)))
}

// WaitSeconds is how long one request waits.
func (w Waiting) WaitSeconds() float64 {
	if w.Unloaded > 0 {
		return math.Max(w.Unloaded-w.Network.Demand, 0)
	}
	return w.Network.Wait
}

// With is the throughput that the network foresees with so many threads for each worker, in requests per
// second. The threads of a worker are taken to share one core, as those of most languages for the web do.
func (w Waiting) With(threads int) float64 {
	n := w.Network
	n.Cores = math.Min(n.Cores, float64(w.Workers))
	return n.ThroughputAt(w.Workers * threads)
}

// waitingNetwork is the closed network through the counts of a plateau, where waiting is nearly everything
// in it. ok is false where it is not, and where the network misses one of the counts by more than twice the
// tolerance and what counting whole answers may be off by.
func waitingNetwork(p plateau, counting, cores, tolerance float64) (n ClosedNetwork, ok bool) {
	at, ok := networkThrough(p.groups, cores)
	if !ok {
		return n, false
	}
	for i, g := range p.groups {
		if math.Abs(math.Log(at(g.workers))-p.estimates[i].log) > 2*(tolerance+counting) {
			return n, false
		}
	}
	first := p.groups[0] // where least queues, as in demandReading
	n = ClosedNetwork{Cores: cores, Demand: first.demand, Wait: float64(first.slots)/first.mean - first.demand}
	return n, n.Wait >= mostlyWaiting*n.Demand
}

// straight is the count to go to at once where waiting is nearly everything: the smaller of what fills the
// cores, by the closed network through what was measured, and of what surely fits. It holds as long as
// the network foresees throughput in proportion, to within the tolerance, over the whole first look: what is
// left of that would tell nothing new.
//
// Memory is a line whose base is not negative, so that one count, of n workers in m bytes, surely leaves
// room for limit / (m / n). With two counts it is the line.
func (s Search) straight(v survey) (workers int, ok bool) {
	if !v.ok || len(s.Exact) > 0 {
		return 0, false
	}
	network, ok := waitingNetwork(v.plateau, v.table.counting, s.Cores, s.Tolerance)
	if !ok {
		return 0, false
	}
	last := v.plateau.groups[len(v.plateau.groups)-1]
	threads := last.slots / last.workers
	look := threads * max(firstHighest/max(s.Threads, 1), 1)
	if network.ThroughputAt(look) < (1-s.Tolerance)*float64(look)/(network.Demand+network.Wait) {
		return 0, false
	}
	workers = v.highest
	if slots, reached := network.SlotsFor(1-s.Tolerance, mostSlots); reached {
		workers = min(workers, (slots+threads-1)/threads)
	}
	if s.MemoryBytes > 0 && v.line == nil {
		fits := 2 * last.workers // as anywhere else
		if last.memoryMost > 0 {
			fits = max(fits, int(math.Min(s.MemoryBytes/last.memoryMost*float64(last.workers), mostWorkers)))
		}
		workers = min(workers, fits)
	}
	return workers, true
}

// waits looks for the figures that say that the count is not the lever.
func (d *decision) waits(q Question) *Waiting {
	c, p := d.choice, d.plateau
	if c.limitedBy != LimitedByMemory && c.limitedBy != LimitedBySearchRange { // it is enough for what was asked
		return nil
	}
	network, ok := waitingNetwork(p, d.table.counting, q.CoresMeasured, q.Tolerance)
	if !ok {
		return nil
	}
	w := &Waiting{Workers: c.ceiling, Network: network, Threads: c.group.slots / c.group.workers, Unloaded: c.group.unloaded}
	w.Fitting = c.limitedBy == LimitedByMemory
	if line := d.memory.line; line != nil && line.HighestWithinCap > w.Workers && d.memory.killed == 0 {
		w.Workers = min(line.HighestWithinCap, q.Highest)
		w.Fitting = w.Workers == line.HighestWithinCap
	}
	if g, measured := d.table.at(w.Workers); measured && g.works() {
		w.Measured, w.Throughput = true, g.mean
	} else {
		w.Throughput = network.ThroughputAt(w.Workers * w.Threads)
	}
	if w.CoresUsed = w.Throughput * network.Demand / network.Cores; w.CoresUsed > idleCores {
		return nil
	}
	return w
}

// reason is the sentence on it among those that justify the count.
func (w *Waiting) reason() string {
	return fmt.Sprintf("Requests wait and the cores stay idle: %s of them is used with %s, and it takes about %d requests in work at a time to use all.",
		smallShare(w.CoresUsed), quantity(w.Workers, "worker"), w.Slots())
}
