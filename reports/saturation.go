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
	var lines []string
	if n := r.Scenario.Connections; n > 0 {
		lines = append(lines, count(n, "connection")+", as asked for"+pool(r))
	}
	if r.Saturation == nil {
		return lines
	}
	for _, search := range r.Saturation.Searches {
		if len(search.Tried) == 0 && r.Scenario.Connections > 0 { // not looked for
			continue
		}
		lines = append(lines, fmt.Sprintf("connections for %s: %s", r.shape(search.Shape), Levels(search)))
	}
	lines = append(lines, ownConnections(r)...)
	if n := fewerConnections(r.Trials); n > 0 {
		lines = append(lines, fmt.Sprintf("%s with fewer connections, before more were needed, not used", count(n, "restart")))
	}
	return lines
}

// shape is so many workers, and of what where several shapes are compared.
func (r *Result) shape(s sweep.Shape) string {
	if r.several() {
		return count(s.Workers, "worker") + " of " + s.Variant().String()
	}
	return count(s.Workers, "worker")
}

// ownConnections are those of counts that are driven by fewer than the others, as so many are too many for them.
func ownConnections(r *Result) []string {
	var lines []string
	said := map[sweep.Shape]bool{}
	for _, t := range r.Trials {
		full := saturation(t)
		if full == nil || t.Apart() || said[t.Shape] || full.Connections == 0 || full.Connections >= r.Settings.Connections {
			continue
		}
		said[t.Shape] = true
		lines = append(lines, fmt.Sprintf("%s: driven by %s, since it answers less to more of them", r.shape(t.Shape), count(full.Connections, "connection")))
	}
	return lines
}

// pool tells the two questions apart that a given number of connections asks: what they get, and what the
// server could do.
func pool(r *Result) string {
	p := r.Pool
	if p == nil {
		return ""
	}
	return fmt.Sprintf(": %s requests/s of %s; %s", Number(p.ThroughputRPS), count(p.Workers, "worker"), fullPool(p))
}

// fullPool says over how many connections the recommended count answers most.
func fullPool(p *sweep.Pool) string {
	full := Number(p.FullThroughputRPS) + " requests/s"
	switch {
	case p.FullConnections == 0:
		return "there was no time to see what the server could do with more"
	case p.Shown == "":
		return fmt.Sprintf("%d get %s and still don't fill it", p.FullConnections, full)
	case p.FullConnections == p.Connections:
		return "they fill it"
	case p.FullConnections < p.Connections:
		return fmt.Sprintf("it does better with fewer: %d get %s", p.FullConnections, full)
	}
	return fmt.Sprintf("%d fill it: %s", p.FullConnections, full)
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
	for _, l := range slices.SortedStableFunc(slices.Values(search.Tried), byConnections) {
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
