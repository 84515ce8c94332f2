package cmd

import (
	"reflect"
	"testing"
	"time"

	"advise/scenarios"
	"advise/sweep"
)

// On resuming, what was promised on the command line is taken from the record. What a scenario file said is
// read from the file again, so that a change of it is noticed.
func TestResumeTakesObjectivesFromTheRecord(t *testing.T) {
	plan := sweep.Plan{
		Scenario: sweep.Scenario{
			TrafficRPS: 300, RateRPS: 360, RateGiven: true, ObjectiveGiven: true,
			Objective: &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.2}},
		},
		Settings: sweep.Settings{RateHeadroom: 0.2, PredictCores: []float64{2, 4}},
	}
	want := objective(scenarios.Objective{Latency: map[string]time.Duration{"p95": 200 * time.Millisecond}})

	var o sweepOptions
	o.adopt(newSweep(Streams{}).Flags(), plan)
	if o.rate != 300 || o.surplus != 0.2 || !reflect.DeepEqual(o.slo, want) || !reflect.DeepEqual(o.predict, coreList{2, 4}) {
		t.Errorf("took rate %g, headroom %g, objective %v, cores %v", o.rate, o.surplus, o.slo, o.predict)
	}

	given := newSweep(Streams{}).Flags()
	if err := given.Parse([]string{"--rate", "100", "--slo", "p99=1s"}); err != nil {
		t.Fatal(err)
	}
	o = sweepOptions{rate: 100}
	o.adopt(given, plan)
	if o.rate != 100 || len(o.slo.Latency) != 0 || o.surplus != 0.2 {
		t.Errorf("took %g and %v over what was given", o.rate, o.slo)
	}

	plan.Scenario.RateGiven, plan.Scenario.ObjectiveGiven = false, false
	o = sweepOptions{}
	o.adopt(newSweep(Streams{}).Flags(), plan)
	if o.rate != 0 || len(o.slo.Latency) != 0 {
		t.Errorf("took %g and %v of a scenario file", o.rate, o.slo)
	}
}
