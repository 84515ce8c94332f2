package model

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// A MemoryReading is the memory of a whole process tree, in bytes, at a moment when it had answered
// so many requests since it was started.
type MemoryReading struct {
	Requests float64
	Bytes    float64
}

// MemoryGrowth is how the memory of a whole tree grows with the requests it answers, in bytes per
// 1,000 requests.
type MemoryGrowth struct {
	PerThousand float64
	// Low and High are its Student t interval over restarts. With one restart they are PerThousand
	// itself: nothing is known of others.
	Low, High float64
	Restarts  int
	// LevelsOff is true when the later half of the readings surely grew less than half as fast as
	// the earlier one did: something was filling up, and what is extrapolated is too high.
	LevelsOff bool
}

// ErrNoGrowth is returned where readings can't show growth: no restart has two of them at different
// numbers of requests.
var ErrNoGrowth = errors.New("no restart was read at two numbers of requests")

// FitMemoryGrowth fits a straight line to the readings of each restart, by least squares, and
// averages their slopes. Restarts are what is repeated: what is left around one line says nothing of
// its error, since memory that was not given back stays in every later reading.
//
// The first reading should come after the warm-up: what a server loads with its first requests is
// no growth. Restarts without two readings at different numbers of requests are left out; with none
// left it is [ErrNoGrowth]. A reading below zero, or that is no number, is an error.
//
// # References
//
// Matthews, Altman, Campbell, Royston, Analysis of serial measurements in medical research, 1990
// (the slope of each series as the summary of it).
func FitMemoryGrowth(restarts [][]MemoryReading, confidence float64) (MemoryGrowth, error) {
	if !(confidence > 0 && confidence < 1) {
		confidence = DefaultConfidence
	}
	var slopes, bends []float64
	for _, readings := range restarts {
		for _, r := range readings {
			if !(r.Requests >= 0 && r.Requests <= mostRequests && r.Bytes >= 0 && r.Bytes <= mostMemory) {
				return MemoryGrowth{}, fmt.Errorf("fit the growth of memory: %g bytes after %g requests is no reading", r.Bytes, r.Requests)
			}
		}
		slope, ok := slopeOf(readings)
		if !ok {
			continue
		}
		slopes = append(slopes, 1000*slope)
		if early, late, ok := halves(readings); ok {
			bends = append(bends, 1000*(late-early/2))
		}
	}
	if len(slopes) == 0 {
		return MemoryGrowth{}, fmt.Errorf("fit the growth of memory in %s: %w", quantity(len(restarts), "restart"), ErrNoGrowth)
	}
	g := MemoryGrowth{Restarts: len(slopes)}
	g.PerThousand, g.Low, g.High = meanInterval(slopes, confidence)
	_, _, most := meanInterval(bends, confidence)
	g.LevelsOff = len(bends) > 1 && most < 0 && g.PerThousand > 0
	return g, nil
}

// mostRequests is far more than a restart answers, and few enough to square.
const mostRequests = 1e15

func slopeOf(readings []MemoryReading) (bytesPerRequest float64, ok bool) {
	if len(readings) == 0 {
		return 0, false
	}
	var x, y []float64
	for _, r := range readings {
		x, y = append(x, r.Requests), append(y, r.Bytes)
	}
	// Less than a request apart is the same moment.
	if floats.Max(x)-floats.Min(x) < 1 {
		return 0, false
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return slope, true
}

// halves are the slopes up to the middle of the requests and from there on; ok is false unless each
// half has three readings, the one nearest the middle serving both.
func halves(readings []MemoryReading) (early, late float64, ok bool) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, r := range readings {
		least, most = math.Min(least, r.Requests), math.Max(most, r.Requests)
	}
	middle := readings[0]
	for _, r := range readings {
		if math.Abs(r.Requests-(least+most)/2) < math.Abs(middle.Requests-(least+most)/2) {
			middle = r
		}
	}
	var before, after []MemoryReading
	for _, r := range readings {
		if r.Requests <= middle.Requests {
			before = append(before, r)
		}
		if r.Requests >= middle.Requests {
			after = append(after, r)
		}
	}
	if len(before) < 3 || len(after) < 3 {
		return 0, 0, false
	}
	early, first := slopeOf(before)
	late, second := slopeOf(after)
	return early, late, first && second
}

// meanInterval returns the mean with its Student t interval; of fewer than two values that is the
// mean itself.
func meanInterval(v []float64, confidence float64) (mean, low, high float64) {
	if len(v) == 0 {
		return 0, 0, 0
	}
	mean = stat.Mean(v, nil)
	if len(v) < 2 {
		return mean, mean, mean
	}
	// A confidence next to one asks for an interval without end.
	factor := math.Min(studentT(confidence, len(v)-1), 1e9)
	width := factor * stat.StdErr(stat.StdDev(v, nil), float64(len(v)))
	return mean, mean - width, mean + width
}

// Grows is true when the interval leaves no doubt that memory grows; one restart always leaves one.
func (g MemoryGrowth) Grows() bool { return g.Restarts > 1 && g.Low > 0 }

// After returns how much more the tree uses after so many requests, in bytes, with its interval.
func (g MemoryGrowth) After(requests float64) (bytes, low, high float64) {
	return g.PerThousand * requests / 1000, g.Low * requests / 1000, g.High * requests / 1000
}

// RecycleAfter returns after how many requests each of the workers should be replaced so that the
// tree never uses so many bytes more than it does fresh: gunicorn's max_requests. It holds for growth
// at the upper end of its interval, and for requests spread evenly over the workers. ok is false
// where nothing has to be replaced, since memory does not surely grow, or no room is left to grow into.
func (g MemoryGrowth) RecycleAfter(room float64, workers int) (requests int, ok bool) {
	if !g.Grows() || workers < 1 || !(room > 0) {
		return 0, false
	}
	each := math.Floor(room / (g.High / 1000) / float64(workers))
	if each < 1 {
		return 0, false
	}
	return int(math.Min(each, mostRequests)), true
}

// readAhead is the number of requests that Reading looks ahead to.
const readAhead = 100_000

// Reading says in words what the growth means.
func (g MemoryGrowth) Reading() string {
	switch {
	case g.Restarts == 1 && g.PerThousand > 0:
		return fmt.Sprintf("memory grew by %s per 1,000 requests in the one restart that was read", bytesInWords(g.PerThousand))
	case !g.Grows():
		return "memory does not surely grow with the requests answered"
	}
	more, low, high := g.After(readAhead)
	reading := fmt.Sprintf("memory grows by %s per 1,000 requests: %s more after 100,000 (%s to %s)",
		bytesInWords(g.PerThousand), bytesInWords(more), bytesInWords(low), bytesInWords(high))
	if g.LevelsOff {
		reading += " if it went on like this, but it levels off"
	}
	return reading
}

// bytesInWords writes bytes in the unit that shows them: growth per request is often small.
func bytesInWords(bytes float64) string {
	if math.Abs(bytes) < 1e6 {
		return figure(bytes/1e3) + " kB"
	}
	return figure(bytes/1e6) + " MB"
}
