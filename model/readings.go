package model

import (
	"cmp"
	"fmt"
	"math"
)

// uslReading says what the law's parameters mean for a server, with their intervals: with the CPU time
// known, where a request spends its time; else what one worker answers.
func uslReading(f USLFit, groups []group) string {
	reading, ok := demandReading(groups)
	if !ok {
		reading = fmt.Sprintf("one worker answers %s requests per second", figure(f.Rate)) + fromTo(f.RateError, f.RateLow, f.RateHigh, figure)
	}
	if f.Contention >= whollySerial {
		return reading + "; throughput does not grow with the workers"
	}
	if f.Contention > 0 {
		reading += fmt.Sprintf("; %s%s of the work is serialised", smallShare(f.Contention), fromTo(f.ContentionError, f.ContentionLow, f.ContentionHigh, smallShare))
	} else {
		reading += "; none of the work is serialised"
		if f.ContentionError > 0 {
			reading += fmt.Sprintf(" (%s at the most)", smallShare(f.ContentionHigh))
		}
	}
	if f.Coherency > 0 {
		reading += fmt.Sprintf(" and each pair of workers costs %s more%s", smallShare(f.Coherency), fromTo(f.CoherencyError, f.CoherencyLow, f.CoherencyHigh, smallShare))
	}
	return reading
}

// whollySerial is the contention from which on more workers gain no more than noise: throughput grows to 1/0.985
// of that of one at the most.
const whollySerial = 0.985

// fromTo is an interval behind its estimate, nothing where the standard error is not known.
func fromTo(err, low, high float64, words func(float64) string) string {
	if err == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s to %s)", words(low), words(high))
}

// smallShare does not round to nothing what is more than that.
func smallShare(share float64) string {
	share = min(share, 1) // an interval ends there
	if share > 0 && share < 0.5e-4 {
		return "less than 0.01 %"
	}
	return percent(share)
}

// demandReading says where a request spends its time at the smallest count, where it queues least:
// CPU time as measured, and the rest of an answer without load or, where that is not known, of Little's law. ok is false where CPU time is not known.
func demandReading(groups []group) (reading string, ok bool) {
	first := groups[0]
	if first.demand == 0 {
		return "", false
	}
	return fmt.Sprintf("each request holds a core for %s and %s", duration(first.demand), waits(first.wait(), first.demand, "waits about")), true
}

// wait is how long a request of the count waits, in seconds.
func (g group) wait() float64 {
	return math.Max(0, cmp.Or(g.unloaded, float64(g.slots)/g.mean)-g.demand)
}

// unimodalReading names the top. Without repeats no formula was tested, so none was found wanting.
func unimodalReading(groups []group, tested bool) string {
	at := unimodalAt(groups)
	best := groups[0].workers
	for _, g := range groups {
		if at(g.workers) > at(best) {
			best = g.workers
		}
	}
	reading := fmt.Sprintf("no formula fits; throughput is highest at %s", quantity(best, "worker"))
	if !tested {
		reading = fmt.Sprintf("no formula could be tested; throughput is highest at %s", quantity(best, "worker"))
	}
	if where, ok := demandReading(groups); ok {
		reading = where + "; " + reading
	}
	return reading
}
