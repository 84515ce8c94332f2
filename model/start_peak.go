package model

import (
	"fmt"
	"math"
)

// running is what a count may take once it runs, in bytes: the upper bound of the line, or where there is
// none, what a count that was measured takes, for each of its workers; 0 when nothing is known. What workers
// share makes that too much, never too little.
func (m memoryCap) running(workers int) float64 {
	if m.line != nil {
		return math.Max(0, m.line.UpperAt(float64(workers)))
	}
	return m.perWorker * float64(workers)
}

// fitsRunning is true for a count that was killed while it started, and never under load, and fits once it
// runs.
func (m memoryCap) fitsRunning(g group) bool {
	running := m.running(g.workers)
	return g.killed && !g.killedLoaded && running > 0 && m.limit > 0 && running <= m.limit
}

// startPeak is the largest count that was killed while it started and fits once it runs; nil without one.
func (m memoryCap) startPeak(t table) *StartPeak {
	var found *StartPeak
	for _, g := range t.groups {
		if !m.fitsRunning(g) {
			continue
		}
		found = &StartPeak{Workers: g.workers, Memory: m.running(g.workers), Limit: m.limit}
		if m.line == nil {
			continue
		}
		found.Memory = math.Max(0, m.line.At(float64(g.workers)))
		if start := m.starting; start != nil && start.Marginal > m.line.Marginal && m.line.Marginal > 0 {
			found.EachStarting, found.Each = start.Marginal, m.line.Marginal
			found.Starting = start.At(float64(g.workers))
		}
	}
	return found
}

// killedWhy says why a count that was killed for memory can't be run, and whether it would fit once it ran.
func (m memoryCap) killedWhy(g group) string {
	const starting = "killed for memory while it started"
	running := m.running(g.workers)
	switch {
	case g.killedLoaded:
		return "killed for memory under load"
	case m.fitsRunning(g):
		return fmt.Sprintf("%s: once it runs it fits, with %s of the %s it can have", starting, megabytes(running), megabytes(m.limit))
	case running > 0 && m.limit > 0:
		return fmt.Sprintf("%s, and once it ran it might need %s of the %s it can have", starting, megabytes(running), megabytes(m.limit))
	}
	return starting
}

// startNearLimit tells when the recommended count started within what is to be left free.
func (a *Advice) startNearLimit(c choice, m memoryCap) {
	peak, memory := c.group.startMost, m.at(c.group)
	if m.limit == 0 || peak <= m.limit || peak <= memory {
		return
	}
	a.caveat(CaveatStartNearLimit, fmt.Sprintf("While %s started they took up to %s, more than the %s that leave the headroom free: whenever all of them start at once, so do they again.",
		quantity(c.group.workers, "worker"), megabytes(peak), megabytes(m.limit)),
		map[string]float64{"workers": float64(c.group.workers), "start_peak_bytes": peak, "memory_bytes": memory, "limit_bytes": m.limit})
}
