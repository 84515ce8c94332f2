package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"advise/model"
	"advise/sweep"
)

// connections say why there were as many: because they were asked for, or what was tried. Where they follow
// from the slots there is nothing to say.
func connections(r *Result) []string {
	if n := r.Scenario.Connections; n > 0 {
		return []string{fmt.Sprintf("%s were asked for: what the server could do with more is another question", count(n, "connection"))}
	}
	if r.Saturation == nil {
		return nil
	}
	var lines []string
	for _, search := range r.Saturation.Searches {
		what := count(search.Workers, "worker")
		if r.several() {
			what += " of " + search.Variant().String()
		}
		lines = append(lines, fmt.Sprintf("connections for %s: %s", what, Levels(search)))
	}
	if n := fewerConnections(r.Trials); n > 0 {
		lines = append(lines, fmt.Sprintf("%s with fewer connections, before more were needed, not used", count(n, "restart")))
	}
	return lines
}

// unfilled is true where some count may answer more over more connections.
func unfilled(r *Result) bool {
	return slices.ContainsFunc(r.Caveats, func(c model.Caveat) bool { return c.Code == sweep.CaveatNotSaturated })
}

func fewerConnections(trials []sweep.Trial) int {
	n := 0
	for _, t := range trials {
		if t.FewerConnections {
			n++
		}
	}
	return n
}

// shownWords say how connections were shown to fill a server.
var shownWords = map[model.Saturation]string{
	model.SaturatedCores:       "the cores are full",
	model.SaturatedSlots:       "every slot is taken",
	model.SaturatedLimit:       "it takes no more",
	model.SaturatedConnections: "throughput no longer rises",
}

// Levels say what was answered over which number of connections, and how that showed that the server is
// full: 64: 2,920/s, 128: 5,600/s (the cores are full).
func Levels(search sweep.ConnectionSearch) string {
	var parts []string
	byConnections := func(a, b sweep.Level) int { return cmp.Compare(a.Connections, b.Connections) }
	for _, l := range slices.SortedFunc(slices.Values(search.Tried), byConnections) {
		text := fmt.Sprintf("%d: %s/s", l.Connections, Number(l.ThroughputRPS))
		if l.Failure != "" {
			text += fmt.Sprintf(" and %s of the answers failed (%s)", percent(l.FailedShare), l.Failure)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "none was answered"
	}
	text := strings.Join(parts, ", ")
	if words := shownWords[search.Shown]; words != "" {
		return text + " (" + words + ")"
	}
	return text + " (not shown to be full)"
}
