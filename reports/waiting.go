package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"advise/model"
	"advise/sweep"
	"advise/targets"
)

// CaveatWaiting says that the count of workers is not the lever: requests wait, and the cores stay idle with
// the most workers that there can be. Figures: workers, throughput_rps and cores_used_share (of those),
// measured (0: they are foreseen), demand_seconds, wait_seconds, requests_at_a_time (that would use the cores),
// threads and foreseen_rps (with so many for each worker; 0 where it can't be told to have any).
const CaveatWaiting = "waiting"

// countIsNoLever is the caveat on a count that is not the lever, with what is; nil where it is one.
func countIsNoLever(r *Result, p sweep.Plan, w *model.Waiting) *model.Caveat {
	if w == nil {
		return nil
	}
	c := &model.Caveat{Code: CaveatWaiting, Figures: map[string]float64{
		"workers": float64(w.Workers), "throughput_rps": w.Throughput, "cores_used_share": w.CoresUsed, "measured": 0,
		"demand_seconds": w.Network.Demand, "wait_seconds": w.WaitSeconds(), "requests_at_a_time": float64(w.Slots()), "threads": 0, "foreseen_rps": 0,
	}}
	answers := "are foreseen to answer"
	if w.Measured {
		answers, c.Figures["measured"] = "answer", 1
	}
	message := fmt.Sprintf("The count is not the lever: a request holds a core for %s and waits %s. %s, %s, %s %s/s and use %s of the cores.",
		duration(w.Network.Demand), duration(w.WaitSeconds()), count(w.Workers, "worker"), most(r, w), answers, Number(w.Throughput), percent(w.CoresUsed))
	if r.several() {
		message += " Measured: " + measuredShapes(r) + "."
	}
	target, err := recordedTarget(p)
	if err != nil { // what it could do is not known
		c.Message = message
		return c
	}
	lever, threads := leverOf(target, p, w)
	if threads > 0 {
		c.Figures["threads"], c.Figures["foreseen_rps"] = float64(threads), w.With(threads)
	}
	c.Message = message + " " + lever
	return c
}

// most says what there can't be more workers than.
func most(r *Result, w *model.Waiting) string {
	switch {
	case w.Fitting && r.Budget.MemoryBytes > 0:
		return "as many as fit in " + size(float64(r.Budget.MemoryBytes))
	case w.Fitting:
		return "as many as fit in memory"
	case w.Measured:
		return "the most that were looked at"
	}
	return "the most that may be run"
}

func measuredShapes(r *Result) string {
	var list []string
	for _, s := range r.Shapes {
		if s.Workers != nil && s.ThroughputRPS != nil {
			list = append(list, fmt.Sprintf("%s %s/s", s.Name, Number(*s.ThroughputRPS)))
		}
	}
	return strings.Join(list, ", ")
}

// leverOf says what uses the cores, and with how many threads for each worker the last of it was foreseen; 0
// without any.
func leverOf(target *targets.Target, p sweep.Plan, w *model.Waiting) (words string, threads int) {
	own := p.Launched(p.Variants()[0].At(w.Workers))
	if target.Concurrency(own).Slots == 0 {
		return "What lets a worker have more requests in work at a time uses them, such as a larger pool of threads, or code that does not block.", 0
	}
	counts := moreThreads(w)
	shapes, err := target.Variants(nil, counts, nil)
	if err != nil || len(shapes) == 0 {
		if w.Fitting {
			return "It has no threads to serve more requests at a time with: only more memory, or a shorter wait, helps.", 0
		}
		return "It has no threads to serve more requests at a time with: only more workers, or a shorter wait, help.", 0
	}
	last := shapes[len(shapes)-1]
	return fmt.Sprintf("About %s use them all. As %s a worker, %s would answer about %s/s: foreseen, not measured, and what the threads take of the memory is not known. To measure it: %s",
		count(w.Slots(), "request")+" at a time", sweep.VariantOf(last), count(w.Workers, "worker"), Number(w.With(last.Threads)), measureThreads(p, w, last.Class, counts)), last.Threads
}

// moreThreads are two numbers of threads for each worker to try: eight and four times as many, or what is
// more than it has, and no more than use the cores.
func moreThreads(w *model.Waiting) []int {
	enough := (w.Slots() + w.Workers - 1) / w.Workers
	first := min(max(8, 2*w.Threads), enough)
	return slices.Compact([]int{first, min(4*first, enough)})
}

// secondsForVolleys is how long a sweep takes at the least whose windows, of a tenth of each shape's time, hold
// three answers of each slot.
func secondsForVolleys(w *model.Waiting, shapes int) float64 {
	return 3 * 10 * float64(shapes) * (w.WaitSeconds() + w.Network.Demand)
}

// measureThreads is the command that compares numbers of threads, with as many workers as there can be.
func measureThreads(p sweep.Plan, w *model.Waiting, class string, threads []int) string {
	parts := []string{"advise"}
	for _, f := range p.Flags() {
		if slices.Contains([]string{"cores", "mem", "path", "scenario"}, f.Name) && f.Value != "/" {
			parts = append(parts, shell(f.Words()))
		}
	}
	parts = append(parts, fmt.Sprintf("--workers 1..%d", w.Workers))
	if class != "" {
		parts = append(parts, "--class "+shell([]string{class}))
	}
	parts = append(parts, "--threads "+strings.ReplaceAll(strings.Trim(fmt.Sprint(threads), "[]"), " ", ","))
	if needed := secondsForVolleys(w, len(threads)); needed > p.Settings.TimeSeconds {
		parts = append(parts, fmt.Sprintf("--time %.0fm", math.Ceil(needed/60)))
	}
	command := "COMMAND"
	if !p.Target.Masked {
		command = cmp.Or(shell(p.Target.Command), command)
	}
	return strings.Join(parts, " ") + " -- " + command
}

// idleWords end the headline where the count is not the lever.
func idleWords(r *Result) string {
	i := slices.IndexFunc(r.Caveats, func(c model.Caveat) bool { return c.Code == CaveatWaiting })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("; requests wait and the cores stay idle (%s used): the count is not the lever", percent(r.Caveats[i].Figures["cores_used_share"]))
}
