package reports

import (
	"fmt"

	"advise/model"
	"advise/sweep"
)

// A CoresPrediction is what a number of cores that was named could do at most; it was not measured.
type CoresPrediction struct {
	Cores float64 `json:"cores"`
	// Workers and ThroughputRPS are nil where nothing can be predicted; Why then says why.
	Workers       *int     `json:"workers"`
	ThroughputRPS *float64 `json:"throughput_rps"`
	UpperBound    bool     `json:"upper_bound"`
	// Extrapolated is true for more cores than were measured.
	Extrapolated bool `json:"extrapolated"`
	// LimitedBy is throughput, or memory where fewer workers fit than the cores could use.
	LimitedBy model.LimitedBy `json:"limited_by,omitempty"`
	Why       string          `json:"why,omitempty"`
}

// predictions are for the core counts that the plan names, by the CPU time of a request, within the
// memory of the plan.
func predictions(rec *sweep.Record, adv model.Advice) []CoresPrediction {
	list := []CoresPrediction{}
	s := rec.Plan.Settings
	m, ok := adv.AtCores(rec.Plan.Environment.CoresServer, s.Threads)
	scaling, err := model.FitScaling([]model.CoresMeasured{m})
	for _, n := range s.PredictCores {
		p := CoresPrediction{Cores: n, UpperBound: true, Extrapolated: n > rec.Plan.Environment.CoresServer}
		list = append(list, p)
		last := &list[len(list)-1]
		if !ok || err != nil {
			last.Why = "no restart tells what a request costs"
			continue
		}
		b := model.Budget{Cores: n, Threads: s.Threads, Tolerance: s.Tolerance}
		if adv.MemoryLine != nil {
			b.MemoryBytes, b.Line = float64(rec.Plan.Budget.MemoryBytes)*(1-s.MemoryHeadroom), adv.MemoryLine
		}
		found, err := scaling.Predict(b)
		if err != nil {
			last.Why = err.Error()
			continue
		}
		last.Workers, last.ThroughputRPS, last.LimitedBy = &found.Workers, finite(found.Throughput), found.LimitedBy
	}
	return list
}

// CaveatPredictionUnchecked marks predictions that no measurement was held out to check. Figures:
// cores_measured.
const CaveatPredictionUnchecked = "prediction_unchecked"

// uncheckedPrediction is nil where nothing was predicted.
func uncheckedPrediction(r *Result) *model.Caveat {
	for _, p := range r.Predictions {
		if p.Workers == nil {
			continue
		}
		return &model.Caveat{
			Code: CaveatPredictionUnchecked,
			Message: fmt.Sprintf("Other core counts are predicted from %s alone: upper bounds, since a lock, a full database or shared hyper-threads show only on the cores that meet them. With one core count measured there was none to hold out, so their error is not known.",
				cores(r.Environment.CoresServer)),
			Figures: map[string]float64{"cores_measured": r.Environment.CoresServer},
		}
	}
	return nil
}

// predictionWords are a line for each prediction.
func predictionWords(r *Result) []string {
	var lines []string
	for _, p := range r.Predictions {
		if p.Workers == nil || p.ThroughputRPS == nil {
			lines = append(lines, fmt.Sprintf("%s: %s", cores(p.Cores), p.Why))
			continue
		}
		line := fmt.Sprintf("%s: at most %s requests/s, with %s", cores(p.Cores), number(*p.ThroughputRPS), count(*p.Workers, "worker"))
		if p.LimitedBy == model.LimitedByMemory {
			line += ", as many as fit in memory"
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		lines = append(lines, "upper bounds, not measured")
	}
	return lines
}
