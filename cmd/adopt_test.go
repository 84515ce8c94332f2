package cmd

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"advise/scenarios"
	"advise/sweep"
	"advise/targets"
)

// adopted are the options of a sweep that goes on with a plan.
func adopted(t *testing.T, p sweep.Plan, args ...string) (*sweepOptions, *pflag.FlagSet) {
	t.Helper()
	o, flags := &sweepOptions{}, pflag.NewFlagSet("advise", pflag.ContinueOnError)
	o.register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	p.Settings.Tolerance, p.Settings.Confidence, p.Budget.Cores = 0.05, 0.95, 1
	if err := o.adopt(flags, &sweep.Record{Plan: p}); err != nil {
		t.Fatal(err)
	}
	return o, flags
}

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

	o, _ := adopted(t, plan)
	if o.rate != 300 || o.surplus != 0.2 || !reflect.DeepEqual(o.slo, want) || !reflect.DeepEqual(o.predict, coreList{2, 4}) {
		t.Errorf("took rate %g, headroom %g, objective %v, cores %v", o.rate, o.surplus, o.slo, o.predict)
	}

	o, _ = adopted(t, plan, "--rate", "100", "--slo", "p99=1s")
	if o.rate != 100 || o.slo.Latency["p99"] != time.Second || o.surplus != 0.2 {
		t.Errorf("took %g and %v over what was given", o.rate, o.slo)
	}

	plan.Scenario.RateGiven, plan.Scenario.ObjectiveGiven = false, false
	o, _ = adopted(t, plan)
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
	o, flags := adopted(t, plan, "--resume", "record")
	if err := o.compare(flags, gunicorn); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.variants, plan.Settings.Variants) || o.time != 4*time.Minute {
		t.Errorf("took %v in %s", o.variants, o.time)
	}

	o, flags = adopted(t, plan, "--resume", "record", "--threads", "2")
	if err := o.compare(flags, gunicorn); err != nil {
		t.Fatal(err)
	}
	if len(o.variants) != 1 || o.variants[0].Threads != 2 || o.variants[0].Class != "gthread" {
		t.Errorf("took %v, want gthread with 2 threads alone", o.variants)
	}
}
