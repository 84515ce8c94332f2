package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"advise/model"
	"advise/reports"
	"advise/sweep"
	"advise/targets/targetstest"
)

// One core, sync workers: a page that only computes gains nothing from more workers; one that waits
// four times as long as it computes needs five at the least to fill the core. On a quiet machine the
// counts are 1 and 7 or 8; the rest is room for the noise of a shared one in so short a sweep, and what
// noise decides is swept again by other seeds. The rest holds for every sweep, whatever its course.
func TestFlaskUnderGunicorn(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	for _, c := range []struct {
		name, cpu, wait string
		least, most     int
	}{
		{"computes", "1.2", "0", 1, 6},
		{"waits", "2", "8", 4, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := 1; ; seed++ {
				r := flaskSweep(t, []string{"--mem", "512M", "--time", "45s", "--seed", strconv.Itoa(seed)}, "CPU_MS="+c.cpu, "WAIT_MS="+c.wait)
				if !r.RuleOfThumb.Measured || r.RuleOfThumb.Workers != 3 || r.RuleOfThumb.ThroughputRatio == nil {
					t.Fatalf("the rule of thumb was not compared: %+v", r.RuleOfThumb)
				}
				checkFlaskCost(t, r)
				n, ratio := r.Recommendation.Workers, *r.RuleOfThumb.ThroughputRatio
				if n >= c.least && n <= c.most && (c.least <= 3 || ratio >= 1.1) {
					return
				}
				t.Logf("recommended %d, want %d to %d; they answer %.2f times what 3 do", n, c.least, c.most, ratio)
				if seed == mostSeeds {
					t.Fatal("each seed missed")
				}
			}
		})
	}
}

// A page of 10 ms at 20 requests per second: a worker or two hold it, where five and more are needed for all the
// core can do. The objective that nobody gave is twice the p95 without load, and the recommended count is the
// fewest that holds it, whatever the noise.
func TestFlaskForARate(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	r := flaskSweep(t, []string{"--mem", "512M", "--time", "30s", "--rate", "20", "--least", "1"}, "CPU_MS=2", "WAIT_MS=8")
	u, o := r.Unloaded, r.Scenario.Objective
	if r.Goal != model.GoalRate || u == nil || u.Answers < 20 || u.P95Seconds < 0.010 || o.ErrorShare == nil || *o.ErrorShare != 0 {
		t.Fatalf("goal %s, unloaded %+v, objective %s", r.Goal, u, o.Flag())
	}
	if limit := o.LatencySeconds["p95"]; limit < 2*u.P95Seconds || limit > 2*u.P95Seconds+0.0002 {
		t.Errorf("p95 within %g s, want twice %g", limit, u.P95Seconds)
	}
	if r.Capacity == nil || r.Capacity.Workers < r.Recommendation.Workers {
		t.Errorf("capacity %+v, beside %d workers for the rate", r.Capacity, r.Recommendation.Workers)
	}
	for _, p := range r.Points {
		if holds := p.MeetsObjective != nil && *p.MeetsObjective; p.Workers <= r.Recommendation.Workers && holds != (p.Workers == r.Recommendation.Workers) {
			t.Errorf("%d workers hold the objective: %t, and %d are recommended", p.Workers, holds, r.Recommendation.Workers)
		}
	}
}

// flaskSweep sweeps the Flask application under gunicorn on one core.
func flaskSweep(t *testing.T, flags []string, env ...string) *reports.Result {
	t.Helper()
	run := advise(t, append(append([]string{"--cores", "1", "--json"}, flags...), "--", "gunicorn", "app:app")...)
	run.Dir = targetstest.Flask()
	run.Env = append(run.Env, env...)
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderrOf(err))
	}
	valid(t, "result.schema.json", out)
	r := &reports.Result{}
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatal(err)
	}
	targetstest.NothingLeft(t, mark(t))
	return r
}

// checkFlaskCost: the application burns CPU_MS of its thread's time, 1.2 or 2, the server's own work
// included. Every restart that answered knows what a request cost it. One alone may be off by what its window
// of a second lost when the machine stood still between two readings; the median is not.
func checkFlaskCost(t *testing.T, r *reports.Result) {
	t.Helper()
	var costs []float64
	for _, trial := range r.Trials {
		if trial.Outcome != sweep.OK {
			continue
		}
		costs = append(costs, trial.Server.CPUSecondsPerRequest)
		if got := trial.Server.CPUSecondsPerRequest; !(got > 0) {
			t.Errorf("trial %d (%s): %g CPU seconds per request", trial.ID, trial.Purpose, got)
		}
	}
	slices.Sort(costs)
	if median := costs[len(costs)/2]; median < 0.001 || median > 0.004 {
		t.Errorf("%g CPU seconds per request: %v", median, costs)
	}
}

// A page of 300 ms of CPU on one core is answered 3.3 times a second by any number of workers. Thirty
// seconds hold a few answers at each: no count is ruled out by how many of them happened to end in a window,
// none has failed, and the result says what it rests on.
func TestSweptSlowPage(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute: make test-servers")
	}
	var r reports.Result
	run := advise(t, "--cores", "1", "--workers", "1..4", "--time", "30s", "--json", "--", "advise", "demo", "--cpu", "300ms", "--wait", "0ms")
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	valid(t, "result.schema.json", out)
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if r.Recommendation.Low != 1 {
		t.Errorf("%d workers (%d to %d): 1 is as good as any", r.Recommendation.Workers, r.Recommendation.Low, r.Recommendation.High)
	}
	if !slices.ContainsFunc(r.Caveats, func(c model.Caveat) bool { return c.Code == sweep.CaveatFewAnswers }) {
		t.Errorf("nothing is said of how few answers there were: %+v", r.Caveats)
	}
	for _, trial := range r.Trials {
		if full := trial.Phases[0]; trial.Outcome == sweep.OK && full.Kind == sweep.PhaseSaturation {
			// A third more or less: one volley of four among a dozen.
			if got := full.ThroughputRPS * 0.3; got < 0.66 || got > 1.33 {
				t.Errorf("trial %d with %d workers: %.2f/s, the core does 3.3/s", trial.ID, trial.Shape.Workers, full.ThroughputRPS)
			}
		} else {
			t.Errorf("trial %d with %d workers: %s %s", trial.ID, trial.Shape.Workers, trial.Outcome, trial.Detail)
		}
	}
	targetstest.NothingLeft(t, mark(t))
}

// One worker of nginx answers a small text as fast as the generator asks, each on a core of its own. The
// result says so, or else the generator had time to spare and the count is the right one: 1.
func TestNginxIsFasterThanTheGenerator(t *testing.T) {
	targetstest.Need(t, "nginx")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nginx.conf": `daemon off;
pid nginx.pid;
error_log stderr;
worker_processes WORKERS;
events {}
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path body;
	server { listen 127.0.0.1:PORT; location / { return 200 "hello"; } }
}
`,
		"serve": `#!/bin/sh
set -e
sed -e "s/WORKERS/$1/" -e "s/PORT/$2/" nginx.conf > "nginx-$1.conf"
exec nginx -p "$PWD" -c "$PWD/nginx-$1.conf" -e stderr
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for seed := 1; ; seed++ { // noise between restarts can make a knee, but not with every seed
		run := advise(t, "--cores", "1", "--workers", "1..4", "--time", "20s", "--seed", strconv.Itoa(seed), "--json", "--", "./serve", "{workers}", "{port}")
		run.Dir = dir
		out, err := run.Output()
		if err != nil {
			t.Fatalf("%v\n%s%s", err, out, stderrOf(err))
		}
		valid(t, "result.schema.json", out)
		var r reports.Result
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if r.Calibration == nil || r.Calibration.CeilingRPS < 1000 {
			t.Errorf("calibration %+v", r.Calibration)
		}
		for _, trial := range r.Trials {
			if share := trial.Generator.CPUShare; share > 0.8 && trial.Generator.Verdict == sweep.GeneratorOK {
				t.Errorf("trial %d: the generator used %.0f %% of its core and does not say so", trial.ID, 100*share)
			}
		}
		if r.Recommendation.Workers == 1 {
			return
		}
		t.Logf("a knee at %d workers that is not nginx's: %v", r.Recommendation.Workers, ratesOf(&r))
		if seed == mostSeeds {
			t.Fatal("each seed has one")
		}
	}
}

// valid checks a document against one of the published schemas.
func valid(t *testing.T, name string, document []byte) {
	t.Helper()
	decode := func(text []byte) any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	compiler := jsonschema.NewCompiler()
	for name, text := range map[string][]byte{"result.schema.json": reports.Schema, "table.schema.json": reports.TableSchema} {
		if err := compiler.AddResource(name, decode(text)); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(decode(document)); err != nil {
		t.Error(err)
	}
}

// The README's command lines are accepted as they stand.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := readmeCommands(string(text))
	if len(commands) < 5 {
		t.Fatalf("found only %q", commands)
	}
	for _, args := range commands {
		if args[0] != "fit" { // which starts nothing
			args = append([]string{"--dry-run"}, args...)
		}
		run := advise(t, args...)
		for name, body := range map[string]string{
			"shop.yaml": "requests: [/]\n", "measurements.csv": "workers,throughput\n1,10\n2,19\n3,20\n", "server": "#!/bin/sh\n", "gunicorn": "#!/bin/sh\n",
		} {
			if err := os.WriteFile(filepath.Join(run.Dir, name), []byte(body), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		run.Env = append(run.Env, "PATH="+run.Dir+":"+os.Getenv("PATH"))
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("advise %q: %v\n%s", args, err, out)
		}
	}
}

// readmeCommands are the arguments of the lines that begin with advise, without their comments. The
// README quotes nothing, so words end at blanks.
func readmeCommands(text string) [][]string {
	var commands [][]string
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			inside = line == "```sh"
			continue
		}
		line, _, _ = strings.Cut(line, "  #")
		if args, ok := strings.CutPrefix(line, "advise "); ok && inside {
			commands = append(commands, strings.Fields(args))
		}
	}
	return commands
}
