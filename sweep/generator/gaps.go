package generator

import (
	"slices"
	"time"
)

// mostGaps is how many successes are kept one by one. Where there are more, one at the end of a window
// does not matter.
const mostGaps = 10_000

// gaps are the moments at which requests ended well, in any order.
type gaps []time.Duration

func (g *gaps) add(at time.Duration) {
	if len(*g) < mostGaps {
		*g = append(*g, at)
	}
}

// rate is that of the successes of a window with few of them, in requests per second: from the last one
// before the window, or from the attack's beginning, to the last one inside it. Workers that share a core
// end together, and a window that holds two of such volleys or three is a third wrong; what lies between
// volleys is whole ones. Where the server answers nothing for longer at the window's end than it ever
// did, that time counts.
//
// ok is false where no success came inside the window, and when there were too many.
func (g gaps) rate(start, end time.Duration) (rate float64, ok bool) {
	if len(g) >= mostGaps {
		return 0, false
	}
	at := slices.Sorted(slices.Values(g))
	first, _ := slices.BinarySearch(at, start)
	last, _ := slices.BinarySearch(at, end)
	if last == first {
		return 0, false
	}
	at = slices.Insert(at[:last], 0, 0) // the attack's beginning
	var longest time.Duration
	for i := range last {
		longest = max(longest, at[i+1]-at[i])
	}
	from, until := at[first], at[last]
	if end-until > longest {
		until = end
	}
	return float64(last-first) / (until - from).Seconds(), true
}
