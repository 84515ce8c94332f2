package model

import (
	"cmp"
	"math"
	"slices"
)

// Saturation is how it was shown that a server could answer no more, whatever the number of connections.
// Empty: it was not.
type Saturation string

// The ways to show it.
const (
	// SaturatedCores: the server kept the cores busy that it can use.
	SaturatedCores Saturation = "cores"
	// SaturatedSlots: every slot had a request, and as many more waited for one.
	SaturatedSlots Saturation = "slots"
	// SaturatedLimit: the server had as many connections as it takes.
	SaturatedLimit Saturation = "limit"
	// SaturatedQueue: requests waited at least as long as an answer takes without load.
	SaturatedQueue Saturation = "queue"
	// SaturatedConnections: throughput no longer rose when connections were doubled.
	SaturatedConnections Saturation = "connections"
)

// What shows that a server is full.
const (
	// fullCores is the share of the cores from which on they are full: what the kernel does beside.
	fullCores = 0.95
	// queueing is how many times the unloaded answer's time all connections take together for one each.
	queueing = 2
	// levelRise is the share that throughput may rise by when connections are doubled, and be level.
	levelRise = 0.05
	// nearBest is the share of throughput within which two numbers of connections are equally good.
	nearBest = 0.02
	// stepDown is how many times fewer connections are tried to see whether fewer are answered more.
	stepDown = 4
	// usualError is a level's relative standard error where it is not known.
	usualError = 0.02
	// mostDoublings are taken at once where the cores show how far it is to go.
	mostDoublings = 3
)

// A Level is what a server did with so many connections that never pause.
type Level struct {
	Connections int
	// Throughput in requests per second, and its relative standard error; 0 is not known.
	Throughput, Error float64
	// CPUShare is of the cores that the server can use; 0 is not known.
	CPUShare float64
	// Memory is the server's after it, in bytes; 0 is not known.
	Memory float64
	// Refused is true where the server refused or closed connections, or answered too few of them.
	Refused bool
}

// A Filling looks for the number of connections that fills a server, by doubling it. It holds no state
// but what was tried.
type Filling struct {
	// First is the number to begin with, Most the largest that can be opened.
	First, Most int
	// Slots and Limit are how many requests the server has in work, and connections it takes, at the most;
	// 0 is not known.
	Slots, Limit int
	// Unloaded is the mean time of an answer over a single connection, in seconds; 0 is not known.
	Unloaded float64
	// Memory is how many bytes the server may have; 0: as many as it wants.
	Memory float64
	// Each is how many bytes a connection took in another search; 0: not known.
	Each   float64
	Levels []Level
}

// Fits is false for a number of connections that would take more memory than there is.
func (f Filling) Fits(connections int) bool {
	sound, _ := f.sound()
	if len(sound) == 0 || f.Memory == 0 {
		return true
	}
	last := sound[len(sound)-1]
	return connections <= last.Connections || last.Memory+f.MemoryEach()*float64(connections-last.Connections) <= f.Memory
}

// MemoryEach is how many bytes a connection takes, as memory grew with the last that were added; 0: not known.
func (f Filling) MemoryEach() float64 {
	sound, _ := f.sound()
	n := len(sound)
	if n < 2 || sound[n-1].Memory == 0 || sound[n-2].Memory == 0 {
		return f.Each
	}
	return max((sound[n-1].Memory-sound[n-2].Memory)/float64(sound[n-1].Connections-sound[n-2].Connections), 0)
}

// Shown says how a level shows by itself that the server is full.
func (f Filling) Shown(l Level) Saturation {
	switch {
	case l.Refused || !(l.Throughput > 0):
		return ""
	case f.Slots > 0 && l.Connections >= 2*f.Slots:
		return SaturatedSlots
	case l.CPUShare >= fullCores:
		return SaturatedCores
	case f.Limit > 0 && l.Connections >= f.Limit:
		return SaturatedLimit
	case f.queues(l) >= queueing:
		return SaturatedQueue
	}
	return ""
}

// queues is how many times the unloaded answer's time an answer takes, by Little's law; 0 is not known.
//
// # References
//
// Little, A proof for the queuing formula L = lambda W, Operations Research 9, 1961.
func (f Filling) queues(l Level) float64 {
	if !(f.Unloaded > 0) || !(l.Throughput > 0) {
		return 0
	}
	return l.answer() / f.Unloaded
}

// answer is how long an answer takes on average, in seconds, by Little's law; infinite where none came.
func (l Level) answer() float64 { return float64(l.Connections) / l.Throughput }

// Next is the number of connections to try next; 0 when there is none. Found is how the search has shown that
// the server is full: empty where it has not.
//
// Connections are doubled until the server is full. As some servers answer less to more connections, the top
// is then looked for on both sides of First, by quarters below until fewer don't answer more, or by the half where
// a quarter surely does not, and between where
// it was passed by.
func (f Filling) Next() (connections int, found Saturation) {
	if len(f.Levels) == 0 {
		return max(min(f.First, f.Most), 1), ""
	}
	sound, refused := f.sound()
	if len(sound) == 0 { // below what it refuses there may be a number that it takes
		return f.Levels[len(f.Levels)-1].Connections / 2, ""
	}
	last := sound[len(sound)-1]
	if found = f.conclusive(sound); found == "" && refused > 0 {
		found = SaturatedLimit
	}
	if found != "" {
		return cmp.Or(f.untried(f.towardsTop(sound, found)), f.again(sound)), found
	}
	doublings := f.doublings(last)
	for doublings > 1 && !f.Fits(last.Connections<<doublings) {
		doublings--
	}
	next := min(last.Connections<<doublings, f.Most)
	if next <= last.Connections {
		return 0, ""
	}
	return next, ""
}

// towardsTop is a number of connections to try of a server that was shown to be full, as it may be answered more
// than any before, or tells what too many cost; 0: there is none.
func (f Filling) towardsTop(sound []Level, found Saturation) int {
	if found == SaturatedSlots {
		return 0
	}
	top, next := topOf(sound), 0
	switch {
	case len(sound) == 1, top == 0 && rises(sound[1], sound[0]):
		next = cmp.Or(f.mayAnswerMore(sound[0].Connections/stepDown, sound[0]), f.mayAnswerMore(sound[0].Connections/2, sound[0]))
	case top > 0 && wide(sound[top-1], sound[top]) && rises(sound[0], sound[top]):
		next = f.mayAnswerMore(middle(sound[top-1], sound[top]), sound[top])
	}
	last := sound[len(sound)-1]
	switch over := 2 * last.Connections; {
	case next > 0:
		return next
	case top+1 < len(sound) && wide(sound[top], sound[top+1]) && rises(sound[top+1], sound[top]):
		return middle(sound[top], sound[top+1])
	case found != SaturatedLimit && last.Connections <= f.First && over <= f.Most:
		return over
	}
	return 0
}

// again is the next smaller number that fills the server too, if it was tried before the best one and not again: a
// server that compiles what it runs answers more and more in its first seconds.
func (f Filling) again(sound []Level) int {
	best := f.Best()
	smaller := 0
	for _, l := range sound {
		if l.Connections < best && f.Shown(l) != "" {
			smaller = l.Connections
		}
	}
	at := slices.IndexFunc(f.Levels, func(l Level) bool { return l.Connections == best })
	times, before := 0, false
	for i, l := range f.Levels {
		if l.Connections == smaller {
			times, before = times+1, i < at
		}
	}
	if times == 1 && before {
		return smaller
	}
	return 0
}

// untried is the number, or 0 where it was tried, as one that was refused.
func (f Filling) untried(connections int) int {
	if slices.ContainsFunc(f.Levels, func(l Level) bool { return l.Connections == connections }) {
		return 0
	}
	return connections
}

// mayAnswerMore is a number of connections, or 0 where it surely does not get what the top does: K of them
// get K / (unloaded answer) at the most.
func (f Filling) mayAnswerMore(connections int, top Level) int {
	if f.Unloaded > 0 && float64(connections)/f.Unloaded < top.Throughput {
		return 0
	}
	return connections
}

// wide is true where doubling passed numbers of connections by.
func wide(a, b Level) bool { return b.Connections > 2*a.Connections }

// middle is between two numbers of connections, as doubling counts.
func middle(a, b Level) int {
	return int(math.Ceil(math.Sqrt(float64(a.Connections) * float64(b.Connections))))
}

// rises is true where one level answers more than another, and not by noise.
func rises(from, to Level) bool { return Surpasses(to.Throughput, from.Throughput) }

// Surpasses is true where a throughput is larger than another, and not by noise.
func Surpasses(a, b float64) bool { return a > (1+nearBest)*b }

// topOf is the index of the level that answered most.
func topOf(sound []Level) int {
	top := 0
	for i, l := range sound {
		if l.Throughput > sound[top].Throughput {
			top = i
		}
	}
	return top
}

// conclusive says how the levels show together that the server is full. Full cores alone don't: a server
// works the better the more there is to do at once, so that one that they fill just so is tried with more.
// Nor does a queue: one may stall, and answer more with more connections for all that.
func (f Filling) conclusive(sound []Level) Saturation {
	last := sound[len(sound)-1]
	shown := f.Shown(last)
	switch {
	case shown == SaturatedSlots, shown == SaturatedLimit:
		return shown
	case shown == SaturatedCores && (f.Unloaded == 0 || f.queues(last) >= queueing):
		return shown
	case !isLevel(sound):
		return ""
	case shown == SaturatedCores:
		return shown
	}
	return SaturatedConnections
}

// sound are the levels that were not refused by their connections, each as it was seen last, and the fewest that
// were refused; 0 without.
func (f Filling) sound() (sound []Level, refused int) {
	for _, l := range f.Levels {
		switch {
		case !l.Refused && l.Throughput > 0:
			sound = slices.DeleteFunc(sound, func(before Level) bool { return before.Connections == l.Connections })
			sound = append(sound, l)
		case refused == 0 || l.Connections < refused:
			refused = l.Connections
		}
	}
	slices.SortFunc(sound, func(a, b Level) int { return cmp.Compare(a.Connections, b.Connections) })
	return sound, refused
}

// errorOf is the standard error of the ratio of two levels.
func errorOf(a, b Level) float64 {
	return math.Hypot(cmp.Or(a.Error, usualError), cmp.Or(b.Error, usualError))
}

// isLevel is true when throughput surely no longer rises, or did not in two steps.
func isLevel(sound []Level) bool {
	n := len(sound)
	if n < 2 {
		return false
	}
	rise := func(i int) (share, err float64) {
		a, b := sound[i-1], sound[i]
		return b.Throughput/a.Throughput - 1, errorOf(a, b)
	}
	share, err := rise(n - 1)
	if share+2*err <= 2*levelRise {
		return true
	}
	if n < 3 || share > levelRise {
		return false
	}
	before, _ := rise(n - 2)
	return before <= levelRise
}

// doublings are one, or as many as the idle cores have room for where nothing queues: answers take no longer than
// without load, or than at the first level, which is a mean of many more. Before it is known what memory a
// connection takes, it is one.
func (f Filling) doublings(l Level) int {
	if f.Memory > 0 && len(f.Levels) < 2 || !(l.CPUShare > 0) || f.Unloaded == 0 {
		return 1
	}
	if first := f.Levels[0]; l.answer() > queueing/math.Sqrt2*max(f.Unloaded, first.answer()) {
		return 1
	}
	return min(max(int(math.Log2(fullCores/l.CPUShare)), 1), mostDoublings)
}

// Best is the number of connections that does as well as any, as far as the noise lets it be told: the smallest
// that shows by itself that the server is full, or else the largest. It is 0 where none was answered.
func (f Filling) Best() int {
	sound, _ := f.sound()
	best := 0
	for _, l := range sound {
		if top := sound[topOf(sound)]; top.Throughput > (1+max(nearBest, errorOf(l, top)))*l.Throughput {
			continue
		}
		if best = l.Connections; f.Shown(l) != "" {
			break
		}
	}
	return best
}

// BestShown says how the best number of connections shows by itself that the server is full.
func (f Filling) BestShown() Saturation {
	sound, _ := f.sound()
	best := f.Best()
	i := slices.IndexFunc(sound, func(l Level) bool { return l.Connections == best })
	if i < 0 {
		return ""
	}
	return f.Shown(sound[i])
}

// The stall that Nagle's algorithm and a delayed acknowledgement make of an answer in two parts: the
// kernel acknowledges after 40 ms, and timers are late rather than early.
//
// # References
//
// Nagle, Congestion control in IP/TCP internetworks, RFC 896, 1984; Linux, TCP_DELACK_MIN.
const (
	leastStall = 0.035
	mostStall  = 0.050
)

// MayStall is true for answers over a kept connection that are slow enough to have stalled.
func MayStall(kept float64) bool { return kept >= leastStall }

// An Answer is how a server that has nothing else to do answers, in seconds: how long it takes on average, and the
// median of how long it pauses between its first byte and its last; 0: not known.
type Answer struct{ Took, Pause float64 }

// Stalls says whether answers over a connection that is kept wait for an acknowledgement that those over a new one
// each don't wait for: the first part of an answer is sent at once, the second when the first is acknowledged.
// Where pauses are not known, so much longer an answer tells.
func Stalls(kept, fresh Answer) bool {
	if kept.Pause > 0 && fresh.Pause > 0 {
		return isStall(kept.Pause) && !MayStall(fresh.Pause)
	}
	return fresh.Took > 0 && isStall(kept.Took-fresh.Took)
}

func isStall(seconds float64) bool { return seconds >= leastStall && seconds <= mostStall }
