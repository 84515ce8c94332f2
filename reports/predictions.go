package reports

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"advise/model"
	"advise/sweep"
)

// A CoresPrediction is what a number of cores that was named could do at most, in a memory that was named
// or in that of the plan; it was not measured.
type CoresPrediction struct {
	Cores float64 `json:"cores"`
	// MemoryBytes is nil without a limit.
	MemoryBytes *int64 `json:"memory_bytes"`
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

// A HeldOut is how far a prediction was off where it could be checked: the cores that were measured, by
// what a part of them showed alone.
type HeldOut struct {
	Cores float64 `json:"cores"`
	// FromCores is the part of them, and Restarts how often the recommended count was measured on it.
	FromCores float64 `json:"from_cores"`
	Restarts  int     `json:"restarts"`
	// PredictedRPS by the mean of the restarts, and by the least and the most of them.
	PredictedRPS     float64 `json:"predicted_rps"`
	PredictedLowRPS  float64 `json:"predicted_low_rps"`
	PredictedHighRPS float64 `json:"predicted_high_rps"`
	MeasuredRPS      float64 `json:"measured_rps"`
	// ErrorShare is PredictedRPS over MeasuredRPS, less 1.
	ErrorShare float64 `json:"error_share"`
	// BusyShare of the cores was used at MeasuredRPS. Where it is far under 1, something else was short.
	BusyShare float64 `json:"busy_share"`
}

// predictions are for the core counts that the plan names, by the CPU time of a request, within the
// memory of the plan. The error is nil where only one core count was measured.
func predictions(rec *sweep.Record, adv model.Advice) ([]CoresPrediction, *HeldOut) {
	list := []CoresPrediction{}
	s := rec.Plan.Settings
	measured := rec.CoresMeasured(adv)
	scaling, err := model.FitScaling(measured)
	for _, asked := range askedFor(rec.Plan) {
		p := CoresPrediction{Cores: asked.Cores, UpperBound: true, Extrapolated: asked.Cores > rec.Plan.Environment.CoresServer}
		if asked.MemoryBytes > 0 {
			p.MemoryBytes = &asked.MemoryBytes
		}
		list = append(list, p)
		last := &list[len(list)-1]
		if err != nil {
			last.Why = "no restart tells what a request costs"
			continue
		}
		b := model.Budget{Cores: asked.Cores, Threads: s.Threads, Tolerance: s.Tolerance}
		if adv.MemoryLine != nil || asked.MemoryBytes != rec.Plan.Budget.MemoryBytes {
			b.MemoryBytes, b.Line = float64(asked.MemoryBytes)*(1-s.MemoryHeadroom), adv.MemoryLine
		}
		found, err := scaling.Predict(b)
		switch {
		case errors.Is(err, model.ErrNoRoom):
			last.Why = model.ErrNoRoom.Error()
			continue
		case err != nil:
			last.Why = err.Error()
			continue
		}
		last.Workers, last.ThroughputRPS, last.LimitedBy = &found.Workers, finite(found.Throughput), found.LimitedBy
	}
	if err != nil {
		return list, nil
	}
	return list, heldOut(scaling, measured)
}

// askedFor are the budgets to predict for: each number of cores in each memory, with what was measured for a
// list that is empty.
func askedFor(p sweep.Plan) []sweep.Budget {
	many, sizes := p.Settings.PredictCores, p.Settings.PredictMemory
	if len(many) == 0 && len(sizes) > 0 {
		many = []float64{p.Environment.CoresServer}
	}
	if len(sizes) == 0 {
		sizes = []int64{p.Budget.MemoryBytes}
	}
	var asked []sweep.Budget
	for _, n := range many {
		for _, bytes := range sizes {
			asked = append(asked, sweep.Budget{Cores: n, MemoryBytes: bytes})
		}
	}
	return asked
}

func heldOut(s model.Scaling, measured []model.CoresMeasured) *HeldOut {
	h := s.HeldOut
	if h == nil || finite(h.Predicted) == nil || finite(h.Error) == nil {
		return nil
	}
	out := &HeldOut{
		Cores: h.Cores, FromCores: s.Measured[0].Cores, PredictedRPS: h.Predicted, MeasuredRPS: h.Measured,
		PredictedLowRPS: h.Predicted, PredictedHighRPS: h.Predicted, ErrorShare: h.Error, BusyShare: s.Busy,
	}
	for _, m := range measured {
		if m.Cores == out.FromCores {
			out.Restarts++
			out.PredictedLowRPS = min(out.PredictedLowRPS, h.Cores/m.Demand)
			out.PredictedHighRPS = max(out.PredictedHighRPS, h.Cores/m.Demand)
		}
	}
	return out
}

const (
	// CaveatPredictionUnchecked marks predictions that no measurement was held out to check. Figures:
	// cores_measured.
	CaveatPredictionUnchecked = "prediction_unchecked"
	// CaveatPredictionOff marks predictions by which a core count that was measured comes out far from
	// what it did. Figures: cores, from_cores, predicted_rps, measured_rps, error_share, busy_share.
	CaveatPredictionOff = "prediction_off"
)

// predictionOff is the error of a held-out prediction from which on it is a doubt: about twice what
// restarts of one count differ by.
const predictionOff = 0.1

// doubtOfPredictions is nil where nothing was predicted, and where a prediction was checked and good.
func doubtOfPredictions(r *Result, unchecked string) *model.Caveat {
	other := func(p CoresPrediction) bool { return p.Workers != nil && p.Cores != r.Environment.CoresServer }
	if !slices.ContainsFunc(r.Predictions, other) {
		return nil
	}
	h := r.HeldOut
	switch {
	case h == nil:
		return &model.Caveat{
			Code: CaveatPredictionUnchecked,
			Message: fmt.Sprintf("Other core counts are predicted from %s alone: upper bounds, since a lock, a full database or shared hyper-threads show only on the cores that meet them, so the error is not known: %s.",
				cores(r.Environment.CoresServer), unchecked),
			Figures: map[string]float64{"cores_measured": r.Environment.CoresServer},
		}
	case math.Abs(h.ErrorShare) <= predictionOff:
		return nil
	}
	return &model.Caveat{
		Code: CaveatPredictionOff,
		Message: fmt.Sprintf("Predictions for other core counts were far off where they could be checked: from %s, %s came out %s at %s requests/s, and answered %s, with %s of their CPU time used. %s",
			cores(h.FromCores), cores(h.Cores), tooMuch(h.ErrorShare), Number(h.PredictedRPS), Number(h.MeasuredRPS), percent(h.BusyShare), whyOff(h)),
		Figures: map[string]float64{
			"cores": h.Cores, "from_cores": h.FromCores, "predicted_rps": h.PredictedRPS, "measured_rps": h.MeasuredRPS,
			"error_share": h.ErrorShare, "busy_share": h.BusyShare,
		},
	}
}

// whyOff says what the error comes from, as far as the CPU time tells.
func whyOff(h *HeldOut) string {
	switch {
	case h.ErrorShare < 0:
		return "A request costs more on the smaller part, as by throttling: what is predicted for fewer cores is too much, and for more of them it tells nothing."
	case h.BusyShare < 1-predictionOff:
		return "Something else than the cores was short, and more of them may not help: a lock, a database, too few workers."
	}
	return "A request costs more on more cores: what is predicted for more of them leans on how that goes on."
}

// tooMuch is an error in words, to the tenth of a per cent where it is small.
func tooMuch(share float64) string {
	off := percent(math.Abs(share))
	if math.Abs(share) < predictionOff {
		off = fmt.Sprintf("%.1f %%", 100*math.Abs(share))
	}
	if share < 0 {
		return off + " too low"
	}
	return off + " too high"
}

// budget is 2 cores, or 2 cores in 1.0 GB where sizes of memory were named.
func budget(r *Result, p CoresPrediction) string {
	if len(r.Settings.PredictMemory) == 0 || p.MemoryBytes == nil {
		return cores(p.Cores)
	}
	return cores(p.Cores) + " in " + size(float64(*p.MemoryBytes))
}

// predictionWords are a line for each prediction.
func predictionWords(r *Result) []string {
	var lines []string
	for _, p := range r.Predictions {
		if p.Workers == nil || p.ThroughputRPS == nil {
			lines = append(lines, fmt.Sprintf("%s: %s", budget(r, p), p.Why))
			continue
		}
		line := fmt.Sprintf("%s: at most %s requests/s, with %s", budget(r, p), Number(*p.ThroughputRPS), count(*p.Workers, "worker"))
		if p.LimitedBy == model.LimitedByMemory {
			line += ", as many as fit in memory"
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil
	}
	lines = append(lines, "upper bounds, not measured")
	return append(lines, nonEmpty(heldOutWords(r.HeldOut))...)
}

// heldOutWords say how far off a prediction was where it was checked.
func heldOutWords(h *HeldOut) string {
	if h == nil {
		return ""
	}
	line := fmt.Sprintf("held out: from %s %s was predicted at %s/s and measured at %s/s: %s",
		cores(h.FromCores), cores(h.Cores), Number(h.PredictedRPS), Number(h.MeasuredRPS), tooMuch(h.ErrorShare))
	if low, high := Number(h.PredictedLowRPS), Number(h.PredictedHighRPS); low != high {
		line += fmt.Sprintf(" (%s to %s by %s)", low, high, count(h.Restarts, "restart"))
	} else if h.Restarts == 1 {
		line += ", by a single restart"
	}
	return line
}
