package cmd_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"advise/cmd"
	"advise/reports"
)

// fitted runs advise fit --json and wants an exit code.
func fitted(t *testing.T, want int, args ...string) reports.TableResult {
	t.Helper()
	var out, errs bytes.Buffer
	code := cmd.Main(append([]string{"fit", "--json"}, args...), cmd.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if code != want {
		t.Fatalf("exit code %d, want %d\n%s", code, want, errs.String())
	}
	valid(t, "table.schema.json", out.Bytes())
	var r reports.TableResult
	d := json.NewDecoder(&out)
	if err := d.Decode(&r); err != nil || d.More() {
		t.Fatalf("more than one document, or none: %v", err)
	}
	return r
}

// METHOD 4 has the parameters of the published table, METHOD 5 the rule: 0.95 x 12211.41 = 11600.84
// lies between the throughput of 22 and 23. The peak of the law lies outside of what was measured.
func TestFitPublished(t *testing.T) {
	r := fitted(t, 0, "testdata/usl_codahale.csv")
	usl := slices.IndexFunc(r.Fit.Candidates, func(c reports.Candidate) bool { return c.Model == "usl" })
	if usl < 0 {
		t.Fatalf("no scalability law among %+v", r.Fit.Candidates)
	}
	c := r.Fit.Candidates[usl]
	for _, p := range []struct {
		name, err, low, high string
		want                 float64
	}{
		{"contention", "contention_error", "contention_low", "contention_high", 0.02671591},
		{"coherency", "coherency_error", "coherency_low", "coherency_high", 7.690945e-4},
		{"rate_rps", "rate_error_rps", "rate_low_rps", "rate_high_rps", 995.6486},
	} {
		if got := c.Parameters[p.name]; math.Abs(got/p.want-1) > 0.001 {
			t.Errorf("%s: got %g, want %g within 0.1 %%", p.name, got, p.want)
		}
		if low, high := c.Parameters[p.low], c.Parameters[p.high]; !(low < p.want && p.want < high) {
			t.Errorf("%s: the interval %g to %g does not hold %g", p.name, low, high, p.want)
		}
		// Student's t at 0.975 with 32 - 3 degrees of freedom is 2.045.
		if got := (c.Parameters[p.high] - c.Parameters[p.name]) / c.Parameters[p.err]; !(math.Abs(got-2.045) < 0.001) {
			t.Errorf("%s: the interval ends %g standard errors above, want 2.045", p.name, got)
		}
	}
	network := slices.IndexFunc(r.Fit.Candidates, func(c reports.Candidate) bool { return c.Model == "closed_network" })
	if n := r.Fit.Candidates[network]; c.RMSERPS == nil || n.RMSERPS != nil || n.WhyNot == "" {
		t.Errorf("%v is left over of the law and %v of the network, which was not fitted: want none of that", c.RMSERPS, n.RMSERPS)
	}
	if c.Accepted || !strings.Contains(c.WhyNot, "no count was repeated") {
		t.Errorf("a curve that can't be tested was accepted: %+v", c)
	}
	if rec := r.Recommendation; rec.Workers != 23 || rec.Low > 23 || rec.High < 23 || rec.High > 32 || rec.LimitedBy != "throughput" {
		t.Errorf("got %+v, want 23", rec)
	}
	peak := slices.IndexFunc(r.OtherKnees, func(k reports.Knee) bool { return k.Rule == "usl_peak" })
	if peak < 0 {
		t.Fatalf("no peak among %+v", r.OtherKnees)
	}
	if k := r.OtherKnees[peak]; k.Workers != nil || k.FittedWorkers == nil || math.Abs(*k.FittedWorkers-35.57) > 0.005 || !strings.Contains(k.Note, "outside the measured range 1 to 32") {
		t.Errorf("got %+v, want 35.57 outside of the measured range", k)
	}
	if r.Table.Counts != "concurrency" || r.Table.Rows != 32 || r.RuleOfThumb != nil || r.Budget.Cores != nil {
		t.Errorf("got %+v", r)
	}
}

// What is asked of the table is what is answered.
func TestFitOptions(t *testing.T) {
	r := fitted(t, 0, "testdata/usl_codahale.csv", "--tolerance", "10%", "--confidence", "90%", "--cores", "8")
	// 0.9 x 12211.41 = 10990.3 lies between 20 and 21.
	if r.Recommendation.Workers != 21 || r.Recommendation.Confidence != 0.9 || r.Settings.Tolerance != 0.1 {
		t.Errorf("got %+v", r.Recommendation)
	}
	if r.RuleOfThumb == nil || r.RuleOfThumb.Workers != 17 || !r.RuleOfThumb.Measured || *r.Budget.Cores != 8 {
		t.Errorf("got %+v", r.RuleOfThumb)
	}
}
