package reports

import (
	"slices"
	"strings"
	"testing"

	"advise/model"
	"advise/sweep"
)

// Where there is no answer for the cores asked for none is told anywhere, and how to get one is.
func TestNoAnswerForTheCoresAsked(t *testing.T) {
	for name, edit := range map[string]func(*sweep.Record){
		"refused": fixtures["fewer_cores_refused"].edit,
		"old":     fixtures["fewer_cores_unchecked"].edit,
		"secret":  func(r *sweep.Record) { fixtures["fewer_cores_refused"].edit(r); r.Plan.Target.Masked = true },
	} {
		f := waiting
		f.edit = edit
		rec := f.record()
		r := New(rec, rec.Advice(), nil)
		if r.Recommendation != nil || r.Prediction != nil || r.RuleOfThumb.Workers != 9 || r.RuleOfThumb.ThroughputRatio != nil {
			t.Errorf("%s: an answer all the same: %+v, %+v, %+v", name, r.Recommendation, r.Prediction, r.RuleOfThumb)
		}
		if r.Measured == nil || r.Measured.Recommendation == nil || r.Measured.Recommendation.Workers != 8 || r.Measured.RuleOfThumb.Workers != 3 {
			t.Fatalf("%s: what was measured is not told: %+v", name, r.Measured)
		}
		if !slices.ContainsFunc(r.Caveats, func(c model.Caveat) bool { return c.Code == model.CaveatNotPredicted }) || strings.Contains(r.Headline, "run ") {
			t.Errorf("%s: %s", name, r.Headline)
		}
		command := "advise --cores 4 --mem 768M -- gunicorn shop:app"
		if name == "secret" {
			command = "advise --cores 4 --mem 768M -- COMMAND"
		}
		if lines := instead(r); len(lines) != 2 || !strings.HasSuffix(lines[0], command) || !strings.HasSuffix(lines[1], strings.Replace(command, "4", "1", 1)) {
			t.Errorf("%s: got %q", name, lines)
		}
	}
}

// Two cores of two lack but that of the load generator, which may share.
func TestInsteadOfTheGeneratorsCore(t *testing.T) {
	r := &Result{Measured: &Measured{Cores: 1}}
	r.Budget.Cores, r.Environment.CPUsAllowed = 2, 2
	shares := func(line string) bool { return strings.Contains(line, "--share-cores") }
	if !slices.ContainsFunc(instead(r), shares) {
		t.Errorf("got %q", instead(r))
	}
	r.Settings.ShareCores = true
	if slices.ContainsFunc(instead(r)[1:], shares) {
		t.Errorf("it does already: %q", instead(r))
	}
	if r.Measured = nil; instead(r) != nil {
		t.Errorf("all was measured: %q", instead(r))
	}
}
