package model

import (
	"fmt"
	"math"
)

// A Carry is what it takes to carry an advice from the cores that were measured to those asked for.
type Carry struct {
	// Budget is the one asked for; its Line is the advice's own.
	Budget
	CoresMeasured float64
	// Measured is what each core count showed.
	Measured []CoresMeasured
	// Unchecked says why no part of the cores was measured; empty where one was.
	Unchecked string
	// RuleOfThumb is the usual count of the cores asked for.
	RuleOfThumb int
	// Lowest and Highest are the counts the user allowed; 0 is any.
	Lowest, Highest int
	// RateHeld is true where the advised count was found by a rate that it has to hold.
	RateHeld bool
	// OthersShare of the measured cores was used by other processes at the advised count, on average; 0 is
	// none, or not known.
	OthersShare float64
	// Runnable is how many workers were running or waiting for a core at a time, on average, with
	// RunnableOf workers at full load; 0 is not known.
	Runnable   float64
	RunnableOf int
}

// A Carried is the advice for the cores asked for, where fewer were measured.
type Carried struct {
	Cores, CoresMeasured float64
	// Made is false where the prediction can't be trusted.
	Made bool
	// Caveat says why it is not made, or else that it is a prediction. It is nil where nothing was advised
	// for the measured cores either.
	Caveat *Caveat `json:",omitempty"`

	Workers, Low, High int
	HighResolved       bool
	LimitedBy          LimitedBy
	// Throughput in requests per second with its interval, and Memory in bytes, at Workers.
	Throughput, ThroughputLow, ThroughputHigh float64
	Memory                                    float64
	// Error is that of the throughput, as a share.
	Error       float64
	RuleOfThumb Comparison
	Reasons     []string
}

// What makes a prediction one to trust.
const (
	// fullyBusy is the share of the cores from which on they are what is short.
	fullyBusy = 0.9
	// mostHeldOut is the error of a held-out prediction from which on the next is not trusted: about twice
	// what restarts of one count differ by.
	mostHeldOut = 0.1
	// MostFactor is how many times the measured cores may be asked for. What a bus, a socket or a lock
	// does beyond that, no measurement here has met.
	MostFactor = 8
	// mostCarriedError is the error from which on an interval is too wide to choose a count by.
	mostCarriedError = 0.2
	// leastRunnable is the share of the workers with something to do that can run at a time, if nothing
	// but the cores keeps them. Half of it is more than chance leaves out.
	leastRunnable = 0.5
)

// Carried carries the advice to the cores asked for. It is trusted, and Made, where all of this holds:
//
//   - The measured cores were advised for, and the load generator did not decide the throughput.
//   - What memory ends on the measured cores it ends on more as well: then nothing else is asked.
//   - Nor is anything else where the count holds a rate that was asked for: it does on more cores too.
//   - CPU time per request is known, and the cores were full ([fullyBusy]) at the best throughput. Where
//     they were not, something else is short, and throughput that levels off is nearly all there will be.
//   - Workers with something to do could run, and did not wait for each other ([leastRunnable]).
//   - A part of the cores was measured, and predicts all of them within [mostHeldOut].
//   - The cores asked for are at most [MostFactor] times the measured ones, and the error carried that far
//     is within [mostCarriedError].
//   - No count up to the carried one failed for another reason than memory.
//
// The count is the measured one in proportion to the cores, or fewer where a [ClosedNetwork] says so:
// many cores that serve one queue need less of a reserve. It is at least one for each core, as far as
// memory goes. Throughput goes with what that network does at either count.
//
// The error is that of one doubling of the cores (see [Scaling.DoublingError]) for each doubling.
func (a Advice) Carried(c Carry) *Carried {
	out := &Carried{Cores: c.Cores, CoresMeasured: c.CoresMeasured, LimitedBy: LimitedByThroughput}
	out.RuleOfThumb = Comparison{Workers: c.RuleOfThumb, Why: "nothing to compare it with"}
	if !a.Made {
		return out
	}
	if a.heldAsItIs(c) {
		return out.asItIs(a, c)
	}
	scaling, err := FitScaling(c.Measured)
	out.Error = scaling.DoublingError * math.Max(0, math.Log2(c.Cores/c.CoresMeasured))
	if why := a.distrust(c, scaling, err, out.Error); why != nil {
		out.Caveat = why
		return out
	}
	n := a.networks(c, scaling)
	out.count(a, c, n)
	if failed := a.failedUpTo(out.Workers); failed != nil {
		out.Caveat = c.refusal(fmt.Sprintf("%s would be needed, and %d did not work: %s", quantity(out.Workers, "worker"), failed.Workers, failed.WhyInfeasible),
			map[string]float64{"workers": float64(failed.Workers)})
		return out
	}
	out.Made = true
	out.interval(a, c)
	out.Throughput = n.carried(a, out.Workers)
	chosen := a.point(a.Workers)
	out.ThroughputLow = out.Throughput * chosen.ThroughputLow / chosen.Throughput / (1 + out.Error)
	out.ThroughputHigh = out.Throughput * chosen.ThroughputHigh / chosen.Throughput * (1 + out.Error)
	if a.MemoryLine != nil {
		out.Memory = math.Max(0, a.MemoryLine.At(float64(out.Workers)))
	}
	out.compare(a, n, c.RateHeld)
	out.Reasons = out.reasons(a, c, scaling)
	out.Caveat = out.doubt(fmt.Sprintf("%s and %s requests per second are predicted. A database that fills up, or hyper-threads that share a core, don't show on fewer cores",
		quantity(out.Workers, "worker"), figure(out.Throughput)))
	return out
}

// heldAsItIs is true where the advice for fewer cores is one for more as well: memory ends where it does, and
// what holds a rate goes on to.
func (a Advice) heldAsItIs(c Carry) bool {
	chosen := a.point(a.Workers)
	return chosen != nil && !chosen.GeneratorBound && (c.RateHeld || a.LimitedBy == LimitedByMemory)
}

// asItIs takes the advice over. Its throughput is the least that more cores will do.
func (out *Carried) asItIs(a Advice, c Carry) *Carried {
	chosen := a.point(a.Workers)
	out.Made, out.Workers, out.Low, out.High, out.HighResolved = true, a.Workers, a.Low, a.High, a.HighResolved
	out.Throughput, out.ThroughputLow, out.ThroughputHigh, out.Memory = a.Throughput, chosen.ThroughputLow, chosen.ThroughputHigh, a.Memory
	out.RuleOfThumb.Why = "what it would do on more cores is not predicted"
	first := fmt.Sprintf("On %s %s answered %s requests per second", coresWords(c.CoresMeasured), quantity(a.Workers, "worker"), figure(a.Throughput))
	out.LimitedBy = LimitedByMemory
	if a.LimitedBy == LimitedByMemory {
		first += ", and no more fit in memory, whatever the cores."
		if c.RuleOfThumb > a.Workers {
			out.RuleOfThumb.Why = "it does not fit in memory"
		}
	} else {
		out.LimitedBy = LimitedByObjective
		first += " and held the rate: so will as many on more cores."
	}
	if c.RuleOfThumb == a.Workers {
		r := &out.RuleOfThumb
		r.Predicted, r.Ratio, r.RatioLow, r.RatioHigh, r.Why = true, 1, 1, 1, ""
	}
	out.Reasons = []string{first}
	out.Caveat = out.doubt(fmt.Sprintf("%s are the answer for both, and %s requests per second the least that more cores do", quantity(out.Workers, "worker"), figure(out.Throughput)))
	return out
}

// doubt is what stays to be said of an answer that was not measured.
func (out *Carried) doubt(what string) *Caveat {
	return &Caveat{
		Code:    CaveatFewerCores,
		Message: fmt.Sprintf("%s asked for and %s measured: %s.", coresWords(out.Cores), coresWords(out.CoresMeasured), what),
		Figures: map[string]float64{
			"cores": out.Cores, "cores_measured": out.CoresMeasured, "throughput_rps": out.Throughput, "workers": float64(out.Workers), "error_share": out.Error,
		},
	}
}

// Answer is the count for the cores asked for, or for those measured where they are the same.
func (a Advice) Answer() (workers int, made bool) {
	if a.Asked != nil {
		return a.Asked.Workers, a.Asked.Made
	}
	return a.Workers, a.Made
}

func (c Carry) refusal(why string, figures map[string]float64) *Caveat {
	figures["cores"], figures["cores_measured"] = c.Cores, c.CoresMeasured
	return &Caveat{Code: CaveatNotPredicted, Message: fmt.Sprintf("What %.4g cores need can't be told from %.4g: %s.", c.Cores, c.CoresMeasured, why), Figures: figures}
}

// distrust is why the advice is not to be carried; nil where it is.
func (a Advice) distrust(c Carry, s Scaling, err error, carried float64) *Caveat {
	none := map[string]float64{}
	chosen := a.point(a.Workers)
	switch {
	case chosen == nil || chosen.GeneratorBound:
		return c.refusal("the load generator or the number of connections, not the server, decided what it answered", none)
	case err != nil:
		return c.refusal("the CPU time of a request is not known", none)
	case s.Busy < fullyBusy:
		return a.idle(c, s)
	}
	if why := a.locked(c, s); why != nil {
		return why
	}
	switch h := s.HeldOut; {
	case h == nil:
		return c.refusal("how far off that would be is not known: "+c.Unchecked, none)
	case math.Abs(h.Error) > mostHeldOut:
		return c.refusal(fmt.Sprintf("from %.4g cores the %.4g that were measured came out %s off", s.Measured[0].Cores, h.Cores, percent(math.Abs(h.Error))),
			map[string]float64{"error_share": h.Error, "busy_share": s.Busy})
	case c.Cores > MostFactor*c.CoresMeasured:
		return c.refusal(fmt.Sprintf("that is %.3g times as many, and no more than %d times is predicted; by the CPU time of a request they answer at most %s requests per second", c.Cores/c.CoresMeasured, MostFactor, figure(s.Capacity(c.Cores))),
			map[string]float64{"at_most_rps": s.Capacity(c.Cores)})
	case carried > mostCarriedError:
		return c.refusal(fmt.Sprintf("it would be right within %s only", percent(carried)), map[string]float64{"error_share": carried})
	}
	return nil
}

// idle refuses where cores idled at the best throughput. Where more workers answered no more, something
// that the workers share is full. The part of it that is CPU time, which is less than u = X c of the cores,
// was slowed down by at most 1/(1-u), which more cores would end: the bound is X / (1 - u²/(1-u)), and is
// given as long as it says something.
func (a Advice) idle(c Carry, s Scaling) *Caveat {
	figures := map[string]float64{"busy_share": s.Busy}
	if c.OthersShare > (1-s.Busy)/2 {
		return c.refusal(fmt.Sprintf("it used %s of the cores, and other processes %s: end those, and measure again", percent(s.Busy), percent(c.OthersShare)), figures)
	}
	why := fmt.Sprintf("at the most that it answered it used %s of the cores, so something else is short than the cores", percent(s.Busy))
	const mostBusy = 0.5
	if a.LimitedBy == LimitedByThroughput && a.HighResolved {
		why += ", which more workers don't mend: a lock, or a service behind it"
		if s.Busy <= mostBusy {
			top := s.Measured[len(s.Measured)-1].Throughput
			figures["at_most_rps"] = top / (1 - s.Busy*s.Busy/(1-s.Busy))
			why += fmt.Sprintf(". Whatever the cores, it will answer about %s requests per second, and at most %s", figure(top), figure(figures["at_most_rps"]))
		}
	}
	return c.refusal(why, figures)
}

// locked refuses where workers wait for each other while the cores are full: with a lock around the
// computing itself, a single core shows nothing of it but that few workers want it at a time. As many as
// run at a time are as many cores as can be used, which bounds throughput: X <= runnable / CPU time.
//
// # References
//
// Eager, Zahorjan, Lazowska, Speedup versus efficiency in parallel systems, IEEE Transactions on Computers
// 38(3), 1989 (average parallelism bounds speed-up).
func (a Advice) locked(c Carry, s Scaling) *Caveat {
	if !(c.Runnable > 0) || c.RunnableOf < 1 {
		return nil
	}
	last := s.Measured[len(s.Measured)-1]
	waiting := math.Min(last.Throughput*last.Wait/float64(c.RunnableOf*max(c.Threads, 1)), 1)
	expected := float64(c.RunnableOf) * (1 - waiting)
	if c.Runnable >= math.Min(leastRunnable*expected, c.Cores) || c.Runnable >= expected-1 {
		return nil
	}
	bound := math.Max(c.Runnable, last.Cores) / last.Demand
	return c.refusal(fmt.Sprintf("of %d workers with work to do only %.1f could run at a time, so they wait for each other: a lock. Whatever the cores, it will answer at most %s requests per second", c.RunnableOf, c.Runnable, figure(bound)),
		map[string]float64{"runnable": c.Runnable, "workers": float64(c.RunnableOf), "at_most_rps": bound})
}

func (a Advice) point(workers int) *Point {
	for i := range a.Points {
		if a.Points[i].Workers == workers {
			return &a.Points[i]
		}
	}
	return nil
}

// failedUpTo is a count up to that one that did not work for another reason than memory; nil is none.
func (a Advice) failedUpTo(workers int) *Point {
	for i, p := range a.Points {
		if p.Workers <= workers && p.Workers > a.Workers && !p.Feasible && !p.LacksMemory {
			return &a.Points[i]
		}
	}
	return nil
}

// networks are the server on the cores that were measured and on those asked for.
type networks struct {
	measured, asked ClosedNetwork
	threads         int
}

func (a Advice) networks(c Carry, s Scaling) networks {
	n := networks{threads: min(max(c.Threads, 1), mostSlots)}
	last := s.Measured[len(s.Measured)-1]
	n.measured = ClosedNetwork{Cores: last.Cores, Demand: s.DemandAt(last.Cores), Wait: last.Wait}
	n.asked = ClosedNetwork{Cores: c.Cores, Demand: s.DemandAt(c.Cores), Wait: last.Wait}
	return n
}

// carried is the throughput of so many workers on the cores asked for: what was advised on the measured
// ones, times the ratio of the networks, and no more than the cores can do by the CPU time of a request. It is
// never less than on the measured ones at as many workers or more.
func (n networks) carried(a Advice, workers int) float64 {
	x := a.Throughput * n.asked.ThroughputAt(workers*n.threads) / n.measured.ThroughputAt(a.Workers*n.threads)
	x = math.Min(x, n.asked.Saturation())
	if workers >= a.Workers {
		x = math.Max(x, a.Throughput)
	}
	return x
}

// workersFor is the count for the cores asked for.
func (n networks) workersFor(a Advice, c Carry) int {
	ratio := c.Cores / c.CoresMeasured
	workers := int(math.Ceil(float64(a.Workers)*ratio - 1e-9))
	tolerance := c.Tolerance
	if !(tolerance > 0 && tolerance < 1) {
		tolerance = DefaultTolerance
	}
	here, ok := n.measured.SlotsFor(1-tolerance, mostSlots)
	there, also := n.asked.SlotsFor(1-tolerance, mostSlots)
	if ok && also {
		slots := float64(there) * math.Max(1, float64(a.Workers*n.threads)/float64(here))
		workers = min(workers, int(math.Ceil(slots/float64(n.threads)-1e-9)))
	}
	return max(workers, int(math.Ceil(c.Cores-1e-9)))
}

// count sets the count and what decided it.
func (out *Carried) count(a Advice, c Carry, n networks) {
	out.Workers = n.workersFor(a, c)
	if c.Highest > 0 && out.Workers > c.Highest {
		out.Workers, out.LimitedBy = max(c.Highest, 1), LimitedBySearchRange
	}
	out.Workers = max(out.Workers, c.Lowest)
	if fits := a.mostThatFit(c); fits > 0 && out.Workers > fits {
		out.Workers, out.LimitedBy = max(fits, a.Workers), LimitedByMemory
	}
}

// mostThatFit is the largest count that memory surely holds; 0 where that is not known.
func (a Advice) mostThatFit(c Carry) int {
	most := 0
	if c.MemoryBytes > 0 && a.MemoryLine != nil {
		most = a.MemoryLine.highestUnder(c.MemoryBytes)
	}
	for _, p := range a.Points {
		if p.LacksMemory && p.Workers > a.Workers && (most == 0 || p.Workers <= most) {
			most = p.Workers - 1
		}
	}
	return most
}

// interval is that of the measured count in proportion, and wider by the error.
func (out *Carried) interval(a Advice, c Carry) {
	scale := float64(out.Workers) / float64(a.Workers)
	low := int(math.Floor(float64(a.Low)*scale/(1+out.Error) + 1e-9))
	high := int(math.Ceil(float64(a.High)*scale*(1+out.Error) - 1e-9))
	out.HighResolved = a.HighResolved
	if fits := a.mostThatFit(c); fits > 0 && high >= fits {
		high, out.HighResolved = fits, true
	}
	out.Low, out.High = min(max(low, c.Lowest, 1), out.Workers), max(high, out.Workers)
}

// compare sets the usual count of the cores asked for beside the carried one, by the networks. Where fewer
// workers on fewer cores hold the rate it does too.
func (out *Carried) compare(a Advice, n networks, rateHeld bool) {
	r := &out.RuleOfThumb
	if r.Workers < 1 {
		return
	}
	for _, p := range a.Points {
		if !p.Feasible && p.Workers <= r.Workers && p.Workers > a.Workers {
			r.Why = p.WhyInfeasible
			return
		}
	}
	r.Why = ""
	ratio := out.Throughput / n.carried(a, r.Workers)
	r.Ratio, r.RatioLow, r.RatioHigh = ratio, ratio/(1+out.Error), ratio*(1+out.Error)
	if r.Workers == out.Workers {
		r.Ratio, r.RatioLow, r.RatioHigh = 1, 1, 1
	}
	r.Predicted = true
	if holds := true; rateHeld && r.Workers >= out.Workers {
		r.Holds = &holds
	}
	if a.MemoryLine != nil {
		r.MemoryDifference = a.MemoryLine.Marginal * float64(out.Workers-r.Workers)
	}
}

// reasons justify the carried count in a few sentences.
func (out *Carried) reasons(a Advice, c Carry, s Scaling) []string {
	on := coresWords
	reasons := []string{
		fmt.Sprintf("On %s %s answered %s requests per second; the best kept %s of the CPU time busy.", on(c.CoresMeasured), quantity(a.Workers, "worker"), figure(a.Throughput), percent(math.Min(s.Busy, 1))),
		fmt.Sprintf("From %s that came out %.1f %% off; carried to %s the error is about %s.", on(s.Measured[0].Cores), 100*math.Abs(s.HeldOut.Error), on(c.Cores), percent(out.Error)),
	}
	switch out.LimitedBy {
	case LimitedByMemory:
		reasons = append(reasons, fmt.Sprintf("Memory allows no more than %s.", quantity(out.Workers, "worker")))
	case LimitedBySearchRange:
		reasons = append(reasons, fmt.Sprintf("No more than %s are allowed.", quantity(out.Workers, "worker")))
	case LimitedByThroughput, LimitedByObjective:
		reasons = append(reasons, fmt.Sprintf("%s take %s: that count in proportion, or fewer where one queue for all the cores needs less of a reserve.", capital(on(c.Cores)), quantity(out.Workers, "worker")))
	}
	if out.Memory > 0 {
		memory := fmt.Sprintf("Each worker adds %s: %s in all", megabytes(a.MemoryLine.Marginal), megabytes(out.Memory))
		if c.MemoryBytes > 0 {
			memory += fmt.Sprintf(" of the %s that may be used", megabytes(c.MemoryBytes))
		}
		reasons = append(reasons, memory+".")
	}
	return reasons
}

func coresWords(n float64) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%.4g cores", n)
}
