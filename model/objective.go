package model

import "math"

// A RateTried is a rate in requests per second at which a server was measured, and whether it held what
// was asked for.
type RateTried struct {
	Rate float64
	Held bool
}

// BreakingRate brackets the rate, in requests per second, at which an objective breaks.
type BreakingRate struct {
	// Holds is the highest rate that held below all that did not; 0 when none did.
	Holds float64
	// Breaks is the lowest rate at which it broke, or can only break; 0 when no such rate is known.
	Breaks float64
	// Measured is true when Breaks was tried. Otherwise it is the most that the server may answer at full
	// load: more than that can't be sustained.
	Measured bool
}

// BracketRate returns where an objective breaks, by the rates that were tried. A rate that was tried
// several times holds when it held each time. A rate above one that broke proves nothing: it is the
// lower one that broke that counts. capacity is the most it may answer at full load, the upper end
// of an interval; 0 is unknown.
func BracketRate(tried []RateTried, capacity float64) BreakingRate {
	var b BreakingRate
	for _, t := range tried {
		if !t.Held && t.Rate > 0 && (b.Breaks == 0 || t.Rate < b.Breaks) {
			b.Breaks, b.Measured = t.Rate, true
		}
	}
	for _, t := range tried {
		if t.Held && (b.Breaks == 0 || t.Rate < b.Breaks) {
			b.Holds = math.Max(b.Holds, t.Rate)
		}
	}
	if capacity > b.Holds && (b.Breaks == 0 || capacity < b.Breaks) {
		b.Breaks, b.Measured = capacity, false
	}
	return b
}

// CoresFor returns the smallest whole number of cores whose capacity reaches a rate in requests per
// second. As the capacity is an upper bound, fewer are surely not enough and as many may not be. ok is
// false where no number reaches it: the CPU time per request grows with the cores.
func (s Scaling) CoresFor(rate float64) (cores int, ok bool) {
	if len(s.Measured) == 0 || !(rate > 0) {
		return 0, false
	}
	// C / (base + slope x C) >= rate is C x (1 - rate x slope) >= rate x base.
	room := 1 - rate*s.DemandPerCore
	if !(room > 0) {
		return 0, false
	}
	need := math.Max(1, math.Ceil(rate*s.DemandBase/room))
	for ; need <= mostSlots; need++ { // the largest core count measured may lie above the line
		if s.Capacity(need) >= rate {
			return int(need), true
		}
	}
	return 0, false
}
