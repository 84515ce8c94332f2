package cmd

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"advise/scenarios"
	"advise/sweep"
	"advise/targets"
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

// A sweep over several shapes is gone on with over the same, unless the flags name others.
func TestResumeTakesShapesFromTheRecord(t *testing.T) {
	plan := sweep.Plan{Settings: sweep.Settings{
		TimeSeconds: 240, Variants: []sweep.Variant{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 4}},
	}}
	gunicorn, err := targets.Recognise(targets.Command{Argv: []string{"gunicorn", "app:app"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	o := sweepOptions{resume: "record"}
	flags := newSweep(Streams{}).Flags()
	o.adopt(flags, plan)
	if err := o.compare(flags, gunicorn); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.variants, plan.Settings.Variants) || o.time != 4*time.Minute {
		t.Errorf("took %v in %s", o.variants, o.time)
	}

	o = sweepOptions{resume: "record", threads: threadList{2}}
	o.adopt(flags, plan)
	if err := o.compare(flags, gunicorn); err != nil {
		t.Fatal(err)
	}
	if len(o.variants) != 1 || o.variants[0].Threads != 2 || o.variants[0].Class != "gthread" {
		t.Errorf("took %v, want gthread with 2 threads alone", o.variants)
	}
}
