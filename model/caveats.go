package model

// The stable codes of caveats. The first group stands with a recommendation, the second says why
// there is none.
const (
	// CaveatFewRepeats: the recommended count was restarted less than three times, or no count was
	// restarted twice. Figures: restarts.
	CaveatFewRepeats = "few_repeats"
	// CaveatNotResolved: the restarts can't say where the interval ends. Figures: workers_measured,
	// spread_share.
	CaveatNotResolved = "not_resolved"
	// CaveatNearObjective: the recommended count holds the objective at the rate by less than the noise.
	// Figures: workers, workers_surely (the fewest that surely hold it), margin_share, margin_error_share.
	CaveatNearObjective = "near_objective"
	// CaveatSearchRange: throughput was still rising at the largest count that was measured.
	// Figures: workers, throughput_rps.
	CaveatSearchRange = "search_range"
	// CaveatGeneratorBound: the load generator or its connections, not the server, decided every throughput of some
	// count, so figures are a lower bound. Figures: workers (the smallest), throughput_rps.
	CaveatGeneratorBound = "generator_bound"
	// CaveatKilledForMemory: a count ran out of memory. Figures: workers (the smallest).
	CaveatKilledForMemory = "killed_for_memory"
	// CaveatStartNearLimit: the recommended count took more than the memory less its headroom while it
	// started. Figures: workers, start_peak_bytes, memory_bytes (afterwards), limit_bytes (what it may use).
	CaveatStartNearLimit = "start_near_limit"
	// CaveatCountFailed: a count did not work for another reason. Figures: workers (the smallest),
	// restarts_failed.
	CaveatCountFailed = "count_failed"
	// CaveatFewerCores: fewer cores were measured than asked for, and the recommendation is carried from
	// them. Figures: cores, cores_measured, throughput_rps, workers, error_share.
	CaveatFewerCores = "fewer_cores_measured"
	// CaveatNoisy: restarts of one count differ by more than the tolerance. Figures: spread_share,
	// tolerance_share.
	CaveatNoisy = "noisy"
	// CaveatMemoryUnknown: there is a memory limit, but memory was not measured.
	// Figures: limit_bytes.
	CaveatMemoryUnknown = "memory_unknown"
	// CaveatNotConfirmed: the recommended count and the rule of thumb were not run against each other
	// often enough at the end. Figures: restarts (of the one with fewer, in the search).
	CaveatNotConfirmed = "not_confirmed"
	// CaveatShapesAlike marks a choice among variants that the measurement can't tell apart. Figures:
	// ratio, ratio_low and ratio_high of the other's throughput over the chosen one's.
	CaveatShapesAlike = "shapes_alike"
	// CaveatConfirmationDiffers: when they were, they compared otherwise than in the search.
	// Figures: ratio_searched, ratio_confirmed.
	CaveatConfirmationDiffers = "confirmation_differs"
	// CaveatDrift: throughput changed over the sweep. Figures: workers (the count that drifted alone; 0:
	// all taken together did), share, share_low, share_high, p, span_seconds.
	CaveatDrift = "drift"
	// CaveatFewerThanLeast: fewer workers are recommended than Question.Least asks for. Figures: workers, least,
	// throughput_lost_share (at the least, where that is why).
	CaveatFewerThanLeast = "fewer_than_least"
	// CaveatIgnored: observations were no measurements and were left out. Figures: observations.
	CaveatIgnored = "ignored_observations"
	// CaveatNoRepeats: no count was measured twice, and the question asked for intervals nevertheless.
	// Figures: counts, spread_share (when it could be estimated).
	CaveatNoRepeats = "no_repeats"

	// CaveatNothingMeasured: no restart at any allowed count worked. Figures: restarts.
	CaveatNothingMeasured = "nothing_measured"
	// CaveatOneCount: a single one of the allowed counts could be measured, for another reason than
	// memory, and there is nothing to compare it with.
	// Figures: workers, throughput_rps.
	CaveatOneCount = "one_count"
	// CaveatObjectiveNotMet: no count that fits meets the objective. Figures: workers (the
	// throughput knee, which would be recommended without the objective), throughput_rps.
	CaveatObjectiveNotMet = "objective_not_met"
	// CaveatMemoryTooSmall: no count that was measured fits in the memory. Figures: workers (the
	// smallest), memory_bytes (what it may need), limit_bytes (what it may use).
	CaveatMemoryTooSmall = "memory_too_small"
	// CaveatNotPredicted: fewer cores were measured than asked for, and what they showed can't be trusted
	// to tell of more. Figures: cores, cores_measured; error_share, busy_share, at_most_rps (what no
	// number of cores exceeds), runnable and workers where they are the reason.
	CaveatNotPredicted = "budget_not_predicted"
)

func (a *Advice) caveat(code, message string, figures map[string]float64) {
	a.Caveats = append(a.Caveats, Caveat{Code: code, Message: message, Figures: figures})
}
