package reports

import (
	"fmt"

	"advise/sweep"
	"advise/targets"
)

// MemoryGrowth is how the memory of the whole tree grows with the requests it answers.
type MemoryGrowth struct {
	PerThousandBytes float64 `json:"per_thousand_requests_bytes"`
	// Low and High are nil with one restart.
	LowBytes  *float64 `json:"per_thousand_requests_low_bytes"`
	HighBytes *float64 `json:"per_thousand_requests_high_bytes"`
	Restarts  int      `json:"restarts"`
	// RequestsSeen is how many requests a restart answered at most before its last reading: what goes
	// beyond is extrapolated.
	RequestsSeen uint64 `json:"requests_seen"`
	// Grows is true when the interval leaves no doubt of it; LevelsOff when it got slower meanwhile.
	Grows     bool `json:"grows"`
	LevelsOff bool `json:"levels_off"`
	// After100000Bytes is how much more the tree then uses.
	After100000Bytes float64 `json:"after_100000_requests_bytes"`
	Reading          string  `json:"reading"`
	// RecycleSetting is the server's own, and RecycleAfter what to set it to so that the recommended
	// count stays within the memory it may use: requests of one worker.
	RecycleSetting string `json:"recycle_setting,omitempty"`
	RecycleAfter   *int   `json:"recycle_after_requests"`
}

// memoryGrowth is nil where no restart was read often enough.
func memoryGrowth(rec *sweep.Record, r *Result) *MemoryGrowth {
	g, err := rec.MemoryGrowth()
	if err != nil || finite(g.PerThousand) == nil {
		return nil
	}
	more, _, _ := g.After(100_000)
	out := &MemoryGrowth{
		PerThousandBytes: g.PerThousand, Restarts: g.Restarts, Grows: g.Grows(), LevelsOff: g.LevelsOff,
		After100000Bytes: more, Reading: g.Reading(),
	}
	for _, t := range rec.Used() {
		for _, m := range t.MemoryReadings {
			out.RequestsSeen = max(out.RequestsSeen, m.RequestsServed)
		}
	}
	if g.Restarts > 1 {
		out.LowBytes, out.HighBytes = finite(g.Low), finite(g.High)
	}
	if !out.Grows {
		return out
	}
	out.RecycleSetting = targets.Recycling(rec.Plan.Target.Adapter)
	if best := r.Recommendation; best != nil && best.MemoryBytes != nil && rec.Plan.Budget.MemoryBytes > 0 {
		room := float64(rec.Plan.Budget.MemoryBytes)*(1-rec.Plan.Settings.MemoryHeadroom) - *best.MemoryBytes
		if n, ok := g.RecycleAfter(room, best.Workers); ok {
			out.RecycleAfter = &n
		}
	}
	return out
}

// growthWords say how memory grows, and what to set against it.
func growthWords(r *Result) []string {
	g := r.MemoryGrowth
	if g == nil {
		return nil
	}
	lines := []string{g.Reading}
	if g.Grows && g.RequestsSeen < 100_000 {
		lines[0] += fmt.Sprintf("; seen over %s requests, the rest is extrapolated: a heap that is still filling looks the same", Number(float64(g.RequestsSeen)))
	}
	switch {
	case g.RecycleSetting != "" && g.RecycleAfter != nil:
		lines = append(lines, fmt.Sprintf("%s %d replaces each worker before the memory is full", g.RecycleSetting, *g.RecycleAfter))
	case g.RecycleSetting != "":
		lines = append(lines, fmt.Sprintf("%s replaces a worker after so many requests", g.RecycleSetting))
	case g.RecycleAfter != nil:
		lines = append(lines, fmt.Sprintf("each worker should be replaced after %s requests", Number(float64(*g.RecycleAfter))))
	}
	return lines
}
