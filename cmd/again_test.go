package cmd_test

import (
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"advise/cmd"
)

// again are sweeps by the flag that they are about.
var again = map[string][][]string{
	"cores":         {{"--cores", "0.333"}, {"--cores", "500m"}, {"--cores", "1.1"}},
	"mem":           {{"--mem", "1.5G"}, {"--mem", "512Mi"}, {"--mem", "1234567890"}},
	"workers":       {{"--workers", "2..9"}, {"--workers", "8,1,4"}, {"--workers", "3"}, {"--workers", "1..4", "--threads", "1,2", "--", "gunicorn", "app:app"}},
	"least":         {{"--least", "1"}, {"--least", "3", "--workers", "1..4"}},
	"class":         {{"--class", "gthread,sync", "--", "gunicorn", "--threads", "4", "app:app"}, {"--class", `"a,b",c d`, "--", "./serve", "--kind={class}", "{port}"}},
	"threads":       {{"--threads", "4,1", "--class", "sync,gthread", "--", "gunicorn", "app:app"}, {"--threads", "1,2", "--", "puma"}},
	"preload":       {{"--preload", "off,on", "--", "gunicorn", "app:app"}, {"--preload", "on", "--threads", "2", "--", "puma"}},
	"path":          {{"--path", "/s?q=tea"}, {"--path", "/it's/$(id)/a,b;c"}, {"--path", "/s?q=tea&page=2&flag"}},
	"scenario":      {{"--scenario", "my shop.yaml"}, {"--scenario", "./my shop.yaml", "--rate", "7"}},
	"slo":           {{"--slo", "p95=200ms,errors=0.1%", "--rate", "30"}, {"--slo", "max=1m30.5s,errors=0.123456789%", "--rate", "30"}, {"--slo", "errors=0"}},
	"rate":          {{"--rate", "18000/m"}, {"--rate", "100/h"}},
	"goal":          {{"--goal", "capacity", "--rate", "30"}, {"--goal", "rate", "--rate", "30"}, {"--goal", "capacity"}},
	"connections":   {{"--connections", "50"}},
	"headroom":      {{"--headroom", "33.33333333333%", "--rate", "30"}, {"--headroom", "0", "--rate", "30"}},
	"share-cores":   {{"--share-cores", "--cores", "2"}, {"--share-cores"}},
	"predict-cores": {{"--predict-cores", "8,500m,0.123"}},
	"predict-mem":   {{"--predict-mem", "2G,512Mi,1234567"}},
	"time":          {{"--time", "1m30s"}, {"--time", "90.123456789s"}, {"--time", "1h"}, {"--class", "sync,gthread", "--", "gunicorn", "app:app"}},
	"tolerance":     {{"--tolerance", "3.3333333333333333%"}},
	"confidence":    {{"--confidence", "99.99%"}, {"--confidence", "0.9123456789012345"}},
	"mem-headroom":  {{"--mem-headroom", "0"}, {"--mem-headroom", "12.5%"}},
	"seed":          {{"--seed", "-7"}},
	"arrivals":      {{"--arrivals", "constant"}, {"--arrivals", "constant", "--rate", "30"}},
	"live":          {{"--live", "--", "gunicorn", "app:app"}},
	"probe":         {{"--probe", "/health"}, {"--probe", "/it's?page=1"}},
	"limits":        {{"--limits", "auto"}, {"--limits", "none"}, {"--limits", "affinity"}},

	// These are of one run, and of no plan.
	"out": nil, "resume": nil, "ignore-env": nil, "skip-damaged": nil, "dry-run": nil, "json": nil, "quiet": nil, "no-color": nil, "help": nil, "version": nil,
}

// Whatever a sweep was told, the report's "measure again" and --resume alone tell again.
func TestAgainIsTheSamePlan(t *testing.T) {
	t.Chdir(t.TempDir())
	scenario := "requests: [/, {path: '/x?token=hush', weight: 2}]\nrate: 30\nobjective: {p95: 200ms}\n"
	if err := os.WriteFile("my shop.yaml", []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.NewSweep(cmd.Streams{}).Flags().VisitAll(func(f *pflag.Flag) {
		sweeps, known := again[f.Name]
		if !known {
			t.Errorf("--%s: say here how it is told again, or that it is of no plan", f.Name)
		}
		for _, args := range sweeps {
			dir := planned(t, args...)
			plan := planIn(t, dir)
			told := measureAgain(t, dir)
			if diff := cmp.Diff(plan, planIn(t, planned(t, told...))); diff != "" {
				t.Errorf("%q: told again as %q it is another sweep (-was +is):\n%s", args, told, diff)
			}
			if code, _, stderr := command("--resume", dir, "--dry-run"); code != 0 {
				t.Errorf("%q: %s", args, stderr)
			}
		}
	})
}

// What may be secret is not told again: it is asked for, in the page and on resuming.
func TestAgainAsksForSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args, again  []string
		says, resume string
	}{
		{[]string{"--path", "/s?q=tea&token=hush"}, []string{"--path", "/s?q=tea&token=hush"}, "--path", "--path '/s?q=tea&token=...'"},
		{[]string{"--probe", "/h?key=hush"}, []string{"--probe", "/h?key=hush"}, "--probe", "--probe '/h?key=...'"},
		{[]string{"--", "./serve", "--password", "hush", "{port}"}, []string{"--", "./serve", "--password", "hush", "{port}"}, "command", "-- COMMAND"},
		{
			[]string{"--path", "/s?token=hush", "--", "./serve", "--password", "hush", "{port}"},
			[]string{"--path", "/s?token=hush", "--", "./serve", "--password", "hush", "{port}"},
			"--path", "--path '/s?token=...' -- COMMAND",
		},
	} {
		dir := planned(t, test.args...)
		text, page := measureAgainText(t, dir)
		if last := strings.Fields(test.resume); !strings.Contains(text, last[len(last)-1]) || strings.Contains(text+page, "hush") || strings.Contains(text, "***") {
			t.Errorf("%q: again it is\n%s", test.args, text)
		}
		if !regexp.MustCompile(`<p class="soft">The [^<]*not kept[^<]*</p>\s*(<p[^\n]*\n)?<pre>`).MatchString(page) {
			t.Errorf("%q: the page does not say what is missing", test.args)
		}
		code, _, stderr := command("--resume", dir, "--dry-run")
		if want := "hint: give it again: advise --resume " + dir + " " + test.resume + "\n"; code != 1 || !strings.Contains(stderr, test.says) || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d, want 1 and %q: %s", test.args, code, want, stderr)
		}
		if code, _, stderr := command(append([]string{"--resume", dir, "--dry-run"}, test.again...)...); code != 0 {
			t.Errorf("%q: given again: %s", test.args, stderr)
		}
	}
}

// A record of before the query was kept with the path has it in the scenario's name.
func TestResumeARecordWithoutTheQuery(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := planned(t, "--path", "/s?q=tea")
	plan := planIn(t, dir)
	scenario, _ := plan["scenario"].(map[string]any)
	requests, _ := scenario["requests"].([]any)
	request, _ := requests[0].(map[string]any)
	scenario["name"], request["name"], request["path"] = "/s?q=tea", "GET /s?q=tea", "/s"
	text, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command("--resume", dir, "--dry-run"); code != 0 {
		t.Error(stderr)
	}
	if told := measureAgain(t, dir); !slices.Contains(told, "/s?q=tea") {
		t.Errorf("again it is %q", told)
	}
}

// planIn is the plan in a record, without what is of the moment.
func planIn(t *testing.T, dir string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	if plan["started_at"] != "0001-01-01T00:00:00Z" {
		t.Fatalf("a plan of a dry run has begun at %v", plan["started_at"])
	}
	return plan
}

// measureAgain are the arguments that a shell gives to advise when the page's command is pasted into it.
func measureAgain(t *testing.T, dir string) []string {
	t.Helper()
	text, _ := measureAgainText(t, dir)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `advise() { printf '%s\0' "$@"; }; `+text).Output()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func measureAgainText(t *testing.T, dir string) (text, page string) {
	t.Helper()
	if code, _, stderr := command("report", dir); code != 3 {
		t.Fatalf("report: exit code %d: %s", code, stderr)
	}
	written, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)<h3>Measure again</h3>.*?<pre>(.*?)</pre>`).FindSubmatch(written)
	if m == nil {
		t.Fatal("the page does not say how to measure again")
	}
	return html.UnescapeString(string(m[1])), string(written)
}

// A probe is checked as a page is, and a confidence has to leave room for chance, before anything starts.
func TestPlanRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, probe := range []string{"/%zz", "/a b", "//evil/", "/a\nHost: evil", "/a#b", "health", "http://evil/"} {
		if code, _, stderr := command("--dry-run", "--probe", probe); code != 1 || !strings.Contains(stderr, "the probe: ") {
			t.Errorf("--probe %q: exit code %d: %s", probe, code, stderr)
		}
	}
	for _, confidence := range []string{"0.9999999999999999", "99.995%"} {
		if code, _, stderr := command("--dry-run", "--confidence", confidence); code != 1 || !strings.Contains(stderr, "want at most 99.99%") {
			t.Errorf("--confidence %s: exit code %d: %s", confidence, code, stderr)
		}
		if code, _, stderr := command("fit", "--confidence", confidence, "-"); code != 1 || !strings.Contains(stderr, "want at most 99.99%") {
			t.Errorf("fit --confidence %s: exit code %d: %s", confidence, code, stderr)
		}
	}
}

// A record that asked for more confidence than there is an interval for is read, and gone on with.
func TestRecordOfTooMuchConfidence(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := planned(t, "--cores", "1")
	path := filepath.Join(dir, "plan.json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), `"confidence": 0.95`, `"confidence": 0.9999999999999999`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if told := measureAgain(t, dir); !slices.Contains(told, "0.9999") {
		t.Errorf("again it is %q", told)
	}
	if code, _, stderr := command("--resume", dir, "--dry-run"); code != 0 {
		t.Error(stderr)
	}
}
