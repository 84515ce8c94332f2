package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"advise/model"
	"advise/sweep"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/plain"
)

// A fixture is a record as a sweep of a server with known physics would leave it: a closed network
// of one core, with a spread between restarts that repeats itself.
type fixture struct {
	demand, wait float64 // seconds per request
	cores        float64 // measured
	counts       []int
	repeats      int
	base, each   float64 // memory, in bytes
	cap          int64   // bytes
	spread       float64 // share
	rule         int
	edit         func(*sweep.Record)
	advice       func(*model.Advice)
}

const mb = 1e6

var waiting = fixture{
	demand: 0.002, wait: 0.008, cores: 1, counts: []int{1, 2, 3, 4, 5, 6, 8, 12, 16}, repeats: 3,
	base: 20 * mb, each: 32 * mb, cap: 768 * mb, spread: 0.01, rule: 3,
}

// slowPage waits for another service: as many workers as fit leave the core idle.
var slowPage = fixture{
	demand: 0.001, wait: 2, cores: 1, counts: []int{3, 19, 25}, repeats: 3,
	base: 20 * mb, each: 17 * mb, cap: 512 * mb, spread: 0.01, rule: 3,
}

// inLongWindows makes windows of what a slow page needs for as many answers as are wanted.
func inLongWindows(r *sweep.Record) {
	const window = 60
	r.Plan.Settings.Highest, r.Plan.Settings.WindowSeconds = 32, window
	for i := range r.Trials {
		p := &r.Trials[i].Phases[0]
		p.WindowSeconds, p.OK = window, uint64(window*p.ThroughputRPS)
		r.Trials[i].Server.CPUSeconds = r.Trials[i].Server.CPUSecondsPerRequest * float64(p.OK)
	}
}

// fixtures are the cases the headline has words for; their names are those of the golden files.
var fixtures = map[string]fixture{
	"gain": waiting,
	"confirmed": waiting.with(func(f *fixture) {
		f.repeats = 2
		f.edit = func(r *sweep.Record) {
			for _, n := range []int{8, 3, 8, 3, 8, 3} {
				t := f.trial(len(r.Trials)+1, n, 3, 1.004, r.Plan.StartedAt)
				t.Purpose = model.PurposeConfirm
				r.Trials = append(r.Trials, t)
			}
			for _, n := range []int{8, 3, 16, 7} {
				r.Trials = append(r.Trials, f.latency(len(r.Trials)+1, n, 481, r.Plan.StartedAt))
			}
		}
		f.counts = []int{1, 2, 3, 4, 6, 7, 8, 16}
	}),
	"usual_is_right": waiting.with(func(f *fixture) {
		f.rule = 8
	}),
	"fewer_workers": waiting.with(func(f *fixture) {
		f.demand, f.wait, f.counts, f.cap = 0.0012, 0, []int{1, 2, 3, 4, 8}, 0
	}),
	"least": waiting.with(func(f *fixture) {
		f.demand, f.wait, f.counts, f.cap = 0.0012, 0, []int{1, 2, 3, 4, 8}, 0
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Least = []int{2}
			r.Plan.Scenario.Requests[0].Weight = 95
			r.Plan.Scenario.Requests = append(r.Plan.Scenario.Requests, sweep.Request{Name: "/report", Method: "GET", Path: "/report", Weight: 5})
			for _, n := range []int{2, 1, 3} {
				r.Trials = append(r.Trials, f.stuck(len(r.Trials)+1, n, 820, r.Plan.StartedAt))
			}
		}
	}),
	"memory": waiting.with(func(f *fixture) {
		f.base, f.each, f.cap = 30*mb, 90*mb, 640*mb
		f.edit = func(r *sweep.Record) {
			kill(r, 8, 12, 16)
		}
	}),
	"rule_killed": waiting.with(func(f *fixture) {
		f.base, f.each, f.cap, f.rule = 30*mb, 220*mb, 640*mb, 5
		f.edit = func(r *sweep.Record) {
			kill(r, 4, 5, 6, 8, 12, 16)
		}
	}),
	"rule_not_measured": waiting.with(func(f *fixture) { f.rule = 9 }),
	"objective": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Scenario.Name, r.Plan.Scenario.File = "checkout", "/srv/shop/checkout.yaml"
			r.Plan.Scenario.Objective = &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.045}}
			f.load(r, 350, 0)
			r.Trials = append(r.Trials, f.latency(len(r.Trials)+1, 8, 483, r.Plan.StartedAt))
		}
		f.advice = func(a *model.Advice) {
			a.Workers, a.Low, a.LimitedBy = 8, 8, model.LimitedByObjective
			a.Throughput, a.Memory, a.RuleOfThumb.MemoryDifference = 470, 276*mb, 160*mb
			for i := range a.Points {
				meets := a.Points[i].Workers >= 8
				a.Points[i].MeetsObjective = &meets
			}
		}
	}),
	"rate": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Goal, r.Plan.Scenario.RateGiven, r.Plan.Scenario.ObjectiveGiven = model.GoalRate, true, true
			r.Plan.Scenario.Objective = &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.045}}
			f.load(r, 200, 0.2)
		}
	}),
	"rate_alone": waiting.with(func(f *fixture) {
		f.rule = 9
		f.edit = func(r *sweep.Record) {
			none := 0.0
			r.Plan.Settings.Goal, r.Plan.Scenario.RateGiven = model.GoalRate, true
			r.Plan.Scenario.Objective = &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.012}, ErrorShare: &none}
			r.Plan.Unloaded = &sweep.Unloaded{Shape: sweep.Shape{Workers: 1, Threads: 1, Class: "sync"}, P95Seconds: 0.006, Answers: 400, ElapsedSeconds: 4.5}
			f.load(r, 40, 0)
		}
	}),
	"rate_of_shapes": waiting.with(func(f *fixture) {
		f.counts = []int{1, 2, 3, 4, 7, 8, 16}
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Variants = []sweep.Variant{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 4}}
			f.threads(r, 4, 38*mb, []int{1, 2, 3, 4, 8})
			r.Plan.Settings.Goal, r.Plan.Scenario.RateGiven, r.Plan.Scenario.ObjectiveGiven = model.GoalRate, true, true
			r.Plan.Scenario.Objective = &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.045}}
			f.load(r, 200, 0.2)
		}
	}),
	"objective_missed": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			errors := 0.001
			r.Plan.Scenario.Objective = &sweep.Objective{LatencySeconds: map[string]float64{"p95": 0.025}, ErrorShare: &errors}
			r.Plan.Scenario.RateGiven, r.Plan.Scenario.ObjectiveGiven = true, true
			f.load(r, 1000, 0.2)
			r.Trials = append(r.Trials, f.latency(len(r.Trials)+1, 8, 483, r.Plan.StartedAt))
		}
		f.advice = func(a *model.Advice) {
			a.Made = false
			a.Caveats = []model.Caveat{{
				Code:    model.CaveatObjectiveNotMet,
				Message: "No measured count meets the objective; 8 workers, the throughput knee, misses it: rate not sustained: 483 of 1200 requests/s.",
				Figures: map[string]float64{"workers": 8, "throughput_rps": 483},
			}}
		}
	}),
	"predicted": waiting.with(func(f *fixture) {
		f.cap = 0
		f.edit = func(r *sweep.Record) { r.Plan.Settings.PredictCores = []float64{0.5, 2, 4} }
	}),
	"shapes": waiting.with(func(f *fixture) {
		f.counts = []int{1, 2, 3, 4, 7, 8, 16}
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Variants = []sweep.Variant{{Class: "sync", Threads: 1}, {Class: "gthread", Threads: 4}, {Class: "gevent", Threads: 1}}
			f.threads(r, 4, 38*mb, []int{1, 2, 3, 4, 8})
			missing := f.trial(len(r.Trials)+1, 1, 1, 1, r.Plan.StartedAt)
			missing.Shape.Class = "gevent"
			r.Trials = append(r.Trials, failed(missing, sweep.NotStarted, "ended before it was ready: exit code 1 after 0.3 s: No module named 'gevent'"))
		}
	}),
	"held_out": waiting.with(func(f *fixture) {
		f.cap = 0
		f.edit = func(r *sweep.Record) { f.onHalf(r, 1.02) }
	}),
	"predicted_off": waiting.with(func(f *fixture) {
		f.cap, f.counts = 0, []int{1, 2, 3, 4}
		f.edit = func(r *sweep.Record) { f.onHalf(r, 1) }
	}),
	"search_range": waiting.with(func(f *fixture) { f.counts, f.wait = []int{1, 2, 3, 4}, 0.02 }),
	"waiting":      slowPage.with(func(f *fixture) { f.edit = inLongWindows }),
	"waiting_php": slowPage.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			inLongWindows(r)
			r.Plan.Target = sweep.Target{Adapter: "php-fpm", Command: []string{"php-fpm8.2"}, Version: "8.2.36", Workdir: "/srv/shop"}
		}
	}),
	"waiting_threads": slowPage.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Variants = []sweep.Variant{{Threads: 1, Class: "sync"}, {Threads: 8, Class: "gthread"}}
			f.threads(r, 8, 20*mb, []int{3, 8, 19, 21})
			inLongWindows(r)
		}
	}),
	"lock": waiting.with(func(f *fixture) {
		f.demand, f.wait, f.counts = 0.0005, 0.0095, []int{1, 2, 3, 4, 8}
		f.edit = func(r *sweep.Record) {
			for i := range r.Trials { // half of the 10 ms are in a lock
				t := &r.Trials[i]
				n, p := float64(t.Shape.Workers), &t.Phases[0]
				p.ThroughputRPS = math.Min(p.ThroughputRPS, 200*(1+0.004*math.Sin(float64(i))))
				p.OK, p.SaturatedBy = uint64(3*p.ThroughputRPS), model.SaturatedSlots
				t.Server.CPUSeconds = f.demand * float64(p.OK)
				t.Server.Locks = &sweep.Locks{Samples: 12, Threads: n, FileLock: math.Max(n-2, 0)}
			}
		}
	}),
	"lower_bound": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			for i := range r.Trials {
				if r.Trials[i].Shape.Workers >= 6 {
					r.Trials[i].Generator = sweep.Generator{CPUShare: 0.93, Verdict: sweep.GeneratorBound}
				}
			}
		}
	}),
	"not_saturated": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Saturation = &sweep.Saturation{Searches: []sweep.ConnectionSearch{{
				Shape: sweep.Shape{Workers: 1, Threads: 1, Class: "sync"}, UnloadedSeconds: 0.01, FreshSeconds: 0.01,
				Tried:       []sweep.Level{{Connections: 32, ThroughputRPS: 470, CPUShare: 0.94}, {Connections: 64, ThroughputRPS: 480, CPUShare: 0.96}},
				Connections: 32, Shown: model.SaturatedCores,
			}, {
				Shape: sweep.Shape{Workers: 8, Threads: 1, Class: "sync"}, UnloadedSeconds: 0.054, FreshSeconds: 0.01,
				Tried:       []sweep.Level{{Connections: 32, ThroughputRPS: 480, CPUShare: 0.9}},
				Connections: 32, Bound: sweep.BoundOpenFiles,
			}}}
			for i := range r.Trials {
				if r.Trials[i].Shape.Workers < 6 {
					r.Trials[i].Phases[0].SaturatedBy = model.SaturatedCores
				}
			}
		}
	}),
	"pool": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Scenario.Connections, r.Plan.Scenario.ConnectionsGiven = 32, true
			r.Plan.Saturation = &sweep.Saturation{Searches: []sweep.ConnectionSearch{{
				Shape: sweep.Shape{Workers: 8, Threads: 1, Class: "sync"}, UnloadedSeconds: 0.01,
				Tried:       []sweep.Level{{Connections: 32, ThroughputRPS: 480, CPUShare: 0.7}, {Connections: 64, ThroughputRPS: 620, CPUShare: 0.97}},
				Connections: 64, Shown: model.SaturatedCores,
			}}}
			for i := range r.Trials {
				r.Trials[i].Phases[0].SaturatedBy = model.SaturatedSlots
			}
		}
	}),
	"near": waiting.with(func(f *fixture) {
		f.rule, f.spread, f.counts = 9, 0.06, []int{1, 2, 4, 6, 8, 9, 16}
	}),
	"noisy": waiting.with(func(f *fixture) { f.spread, f.repeats = 0.12, 2 }),
	"disturbed": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			for i := range r.Trials {
				others := 0.12
				r.Trials[i].Phases[0].Disturbance.OthersCPUShare = &others
			}
		}
	}),
	"probe": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Settings.Probe = "/health"
			for i := range r.Trials {
				r.Trials[i].Phases[0].Probe = &sweep.Probe{
					Path: "/health", RatePlannedRPS: 5, OK: 15, Latency: sweep.Latency{P50: 0.24, P90: 0.42, P95: 0.45, P99: 0.45, Max: 0.45, Mean: 0.24},
					Histogram: probeHistogram,
				}
			}
		}
	}),
	"front": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Target = sweep.Target{Adapter: "php-fpm", Command: []string{"php-fpm8.2"}, Version: "8.2.36", Workdir: "/srv/shop"}
			r.Trials[0].FrontAlone = &sweep.FrontAlone{
				Server: "nginx", Path: "/advise-front", ThroughputRPS: 65045, GeneratorBound: true, CPUSecondsPerRequest: 9.5e-6, ElapsedSeconds: 1.02,
			}
			for i := range r.Trials {
				share := 0.06 // 120 us of 2 ms
				r.Trials[i].Server.FrontCPUShare = &share
			}
		}
	}),
	"uneven": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			for i := range r.Trials {
				n := r.Trials[i].Shape.Workers
				share := 1 / float64(n)
				if n == 4 { // and the other three take 13 %
					share = 0.61
				}
				rest, bytes := (1-share)/max(float64(n-1), 1), int64(f.each)
				list := []sweep.Worker{{RequestsShare: &share, CPUShare: &share, PSSBytes: &bytes}}
				for range n - 1 {
					list = append(list, sweep.Worker{RequestsShare: &rest, CPUShare: &rest})
				}
				r.Trials[i].Server.PerWorker = list
			}
		}
	}),
	"no_repeats": waiting.with(func(f *fixture) {
		f.repeats = 1
	}),
	"fewer_cores": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			f.fourAsked(r)
			f.onHalf(r, 1.02)
			r.Plan.Settings.PredictCores = nil
		}
	}),
	"fewer_cores_refused": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			f.fourAsked(r)
			f.onHalf(r, 1.02)
			r.Plan.Settings.PredictCores = nil
			for i := range r.Trials { // it waits for a lock, and half of the core is idle
				r.Trials[i].Server.CPUSecondsPerRequest /= 2
			}
		}
	}),
	"fewer_cores_unchecked": waiting.with(func(f *fixture) { // as in older records
		f.edit = f.fourAsked
	}),
	"quota": waiting.with(func(f *fixture) {
		f.cores = 0.5
		f.edit = func(r *sweep.Record) {
			r.Plan.Environment.CPUsSeen = &sweep.CPUsSeen{Affinity: 1, Host: 2, Quota: &r.Plan.Environment.CoresServer}
			r.Plan.Target.Auto = &targets.Auto{Setting: "cpu_count() in gunicorn.conf.py", Reads: targets.CountHost}
			for i := range r.Trials {
				share := math.Min(0.08*float64(r.Trials[i].Shape.Workers), 0.97)
				r.Trials[i].Server.ThrottledShare = &share
			}
		}
	}),
	"nothing_worked": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			for i := range r.Trials {
				r.Trials[i] = failed(r.Trials[i], sweep.Errors, "100 % of the answers failed: status 500")
			}
		}
	}),
	"nothing_measured": waiting.with(func(f *fixture) { f.counts = nil }),
	"demo": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Target = sweep.Target{Adapter: targets.DemoName, Command: []string{"advise", "demo"}, Workdir: "/tmp"}
		}
	}),
	"hostile": waiting.with(func(f *fixture) {
		f.edit = func(r *sweep.Record) {
			r.Plan.Target.Command = []string{"gunicorn", hostile, "shop:app"}
			r.Plan.Target.Version = hostile
			r.Plan.Target.Workdir = "/srv/" + hostile
			r.Plan.Scenario.Name = hostile
			r.Plan.Scenario.Requests[0].Name = hostile
			r.Plan.Environment.CPUModel = hostile
			r.Plan.Environment.LimitsShortfall = []string{hostile}
			for i := range r.Trials {
				if r.Trials[i].Shape.Workers == 16 {
					r.Trials[i] = failed(r.Trials[i], sweep.NotStarted, hostile)
				}
			}
		}
	}),
}

// probeHistogram holds 15 latencies from 30 to 450 ms, one every 30.
const probeHistogram = "HISTFAAAAEZ42pJpmSzMwMCgywABzFCaEYTXqnsw2H+ACCyNZfrLz3SZg2k5O9NfFqbLzEwXmUHkZGam54xMLxlBJBwBAgAA//81bREC"

// hostile is what a server could put into its log: markup that ends a script and starts another,
// an image that would be fetched, colours and a line that overwrites the one before, a turned direction
// of writing, a line of its own, a wide letter.
const hostile = "</script><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>\x1b[31m\r\x00\u009b2J\u202e\u200b\u2028 界 `${1}` {{.}} '\"&"

func (f fixture) with(edit func(*fixture)) fixture {
	edit(&f)
	return f
}

// resultOf puts a fixture's record together with what the model said of it when the golden files
// were written: how the model words its reasons is tested where the model is.
func resultOf(t *testing.T, name string) *Result {
	t.Helper()
	adv := adviceOn(t, name)
	workers, _ := adv.Answer()
	return New(fixtures[name].record(), adv, []targets.File{
		{Path: "gunicorn.conf.py", Text: fmt.Sprintf("workers = %d\n", workers)},
		{Path: "command.txt", Text: fmt.Sprintf("gunicorn -w %d shop:app\n", workers)},
	})
}

func adviceOn(t *testing.T, name string) model.Advice {
	t.Helper()
	return frozen(t, name, func() model.Advice {
		adv := fixtures[name].record().Advice()
		if edit := fixtures[name].advice; edit != nil {
			edit(&adv)
		}
		return adv
	})
}

// frozen is the advice in the file of that name, which -update writes anew.
func frozen(t *testing.T, name string, advise func() model.Advice) model.Advice {
	t.Helper()
	path := filepath.Join("testdata", "advice", name+".json")
	if *update {
		data, err := json.MarshalIndent(advise(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(plain.JSON(data), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	var adv model.Advice
	if err := json.Unmarshal(data, &adv); err != nil {
		t.Fatal(err)
	}
	return adv
}

func (f fixture) record() *sweep.Record {
	started := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	r := &sweep.Record{Plan: sweep.Plan{
		SchemaVersion: sweep.SchemaVersion, StartedAt: started,
		Tool: sweep.Tool{Version: "v0.1.0", Commit: "c56ce1f"},
		Environment: sweep.Environment{
			OS: "linux", Arch: "amd64", Kernel: "6.12.48", CPUModel: "AMD EPYC 7763 64-Core Processor",
			CPUsOnline: 2, CPUsAllowed: 2, CPUsServer: []int{0}, CPUsGenerator: []int{1},
			CoresServer: f.cores, MemoryBytes: 8 << 30, LimitsMethod: "cgroup2",
		},
		Target: sweep.Target{
			Adapter: "gunicorn", Command: []string{"gunicorn", "shop:app"}, CommandSHA256: "9f86d081884c7d65",
			Version: "23.0.0", Workdir: "/srv/shop",
		},
		Scenario: sweep.Scenario{
			Name: "/", SHA256: "60303ae22b998861",
			Requests: []sweep.Request{{Name: "/", Method: "GET", Path: "/", Weight: 1}},
		},
		Budget: sweep.Budget{Cores: f.cores, MemoryBytes: f.cap},
		Settings: sweep.Settings{
			Lowest: 1, Highest: 16, TimeSeconds: 120, Tolerance: 0.05, Confidence: 0.95, MemoryHeadroom: 0.1,
			Seed: 1, Connections: 32, Arrivals: "poisson", WarmupSeconds: 1, WindowSeconds: 3, ReadySeconds: 30, TimeoutSeconds: 10,
			RuleOfThumb: f.rule, ErrorShareAllowed: 0.01, Threads: 1, Class: "sync",
		},
	}}
	r.Calibration = &generator.Calibration{
		CeilingRPS: 81000, ThroughputRPS: 81000, CPUShare: 0.99, ServerCPUShare: 0.7, PerCoreSecond: 81800, Connections: 32, Seconds: 1.3,
	}
	for repeat := range f.repeats {
		for i, n := range f.counts {
			noise := 1 + f.spread*math.Sin(float64(7*i+5*repeat+1))
			r.Trials = append(r.Trials, f.trial(len(r.Trials)+1, n, repeat+1, noise, started))
		}
	}
	if f.edit != nil {
		f.edit(r)
	}
	return r
}

func (f fixture) trial(id, workers, repeat int, noise float64, started time.Time) sweep.Trial {
	x := noise * model.ClosedNetwork{Cores: f.cores, Demand: f.demand, Wait: f.wait}.ThroughputAt(workers)
	latency := 32 / x // Little's law: 32 connections, none of them thinking
	ok := uint64(3 * x)
	return sweep.Trial{
		ID: id, Shape: sweep.Shape{Workers: workers, Threads: 1, Class: "sync"}, Repeat: repeat,
		Why: "first look", StartedAt: started.Add(time.Duration(id) * 5 * time.Second),
		Outcome: sweep.OK, StartupSeconds: 0.4, ElapsedSeconds: 4.9,
		Phases: []sweep.Phase{{
			Kind: sweep.PhaseSaturation, Connections: 32, Planned: ok, Sent: ok, OK: ok, ThroughputRPS: x,
			WarmupSeconds: 1, WindowSeconds: 3, Sustained: true, Steady: true, GeneratorCPUShare: 0.11, GeneratorVerdict: sweep.GeneratorOK, Histogram: "HISTFAAAA", SliceOK: []uint64{1, 2}, WindowSlice: 1,
			Latency:     sweep.Latency{P50: latency, P90: 1.2 * latency, P95: 1.3 * latency, P99: 1.6 * latency, Max: 2 * latency, Mean: latency},
			Disturbance: quiet(),
		}},
		Server: sweep.Server{
			Workers: &workers, CPUSeconds: f.demand * float64(ok), CPUSecondsPerRequest: f.demand,
			MemoryPSSBytes:  int64(f.base + f.each*float64(workers) + 4*mb*(noise-1)/f.spread/10),
			MemoryPeakBytes: int64(f.base + (f.each+5*mb)*float64(workers)), RequestsServed: ok,
		},
		Generator: sweep.Generator{CPUShare: 0.11, Verdict: sweep.GeneratorOK, MaxRSSBytes: 31 * mb},
	}
}

// threads adds restarts of a class whose workers serve several requests at a time, in more memory each.
func (f fixture) threads(r *sweep.Record, threads int, each float64, counts []int) {
	for repeat := range f.repeats {
		for i, n := range counts {
			noise := 1 + f.spread*math.Sin(float64(5*i+7*repeat+2))
			t := f.trial(len(r.Trials)+1, n*threads, repeat+1, noise, r.Plan.StartedAt)
			t.Shape = sweep.Shape{Workers: n, Threads: threads, Class: "gthread"}
			t.Server.MemoryPSSBytes = int64(f.base + each*float64(n) + 4*mb*(noise-1)/f.spread/10)
			r.Trials = append(r.Trials, t)
		}
	}
}

// onHalf adds two restarts of the last count on half of the cores, where a request costs so many times what
// it does on all.
func (f fixture) onHalf(r *sweep.Record, dearer float64) {
	r.Plan.Settings.PredictCores, r.Plan.Settings.FewerCores = []float64{2, 4}, f.cores/2
	half := f
	half.cores, half.demand = f.cores/2, f.demand*dearer
	for repeat, cost := range []float64{0.995, 1.005} {
		t := half.trial(len(r.Trials)+1, 8, repeat+1, 1/cost, r.Plan.StartedAt)
		t.Purpose, t.Cores = model.PurposeCores, half.cores
		t.Server.CPUSecondsPerRequest *= cost
		r.Trials = append(r.Trials, t)
	}
}

func (f fixture) fourAsked(r *sweep.Record) {
	r.Plan.Budget.Cores, r.Plan.Settings.Highest = 4, 32
	r.Plan.Environment.LimitsShortfall = []string{"the machine has 2 cores: 1 for the server and 1 for the generator, of the 4 asked for"}
}

// load adds the phase at the traffic's rate to each restart: what comes by chance to a server of that
// capacity takes 2 ms and longer the less of it is left, and three times that at the 95th percentile.
func (f fixture) load(r *sweep.Record, traffic, headroom float64) {
	rate := traffic * (1 + headroom)
	r.Plan.Scenario.TrafficRPS, r.Plan.Scenario.RateRPS, r.Plan.Settings.RateHeadroom = traffic, rate, headroom
	for i := range r.Trials {
		most := r.Trials[i].Phases[0].ThroughputRPS
		mean := 0.002 / (1 - math.Min(rate/most, 0.99))
		r.Trials[i].Phases = append(r.Trials[i].Phases, sweep.Phase{
			Kind: sweep.PhaseRate, RatePlannedRPS: rate, ThroughputRPS: math.Min(rate, most), Sustained: rate < most, OK: uint64(3 * rate),
			WindowSeconds: 3, Steady: true, Arrivals: "poisson", GeneratorVerdict: sweep.GeneratorOK, Disturbance: quiet(),
			Latency: sweep.Latency{Mean: mean, P50: 0.7 * mean, P90: 2.3 * mean, P95: 3 * mean, P99: 4.6 * mean, Max: 9 * mean},
		})
	}
}

// latency is a trial below full load, at shares of a capacity; a count whose own is less can't keep up.
func (f fixture) latency(id, workers int, capacity float64, started time.Time) sweep.Trial {
	t := f.trial(id, workers, 1, 1, started)
	most := t.Phases[0].ThroughputRPS
	t.Purpose, t.Phases = model.PurposeLatency, nil
	for _, share := range model.LatencyShares {
		rate := share * capacity
		p := sweep.Phase{
			Kind: sweep.PhaseShare, CapacityShare: share, Connections: 32, RatePlannedRPS: rate,
			Disturbance: quiet(), Planned: uint64(3 * rate), ThroughputRPS: math.Min(rate, most), Sustained: rate < most, WindowSeconds: 3,
			Steady: true, Arrivals: "poisson", GeneratorCPUShare: 0.08, GeneratorVerdict: sweep.GeneratorOK,
			Latency: sweep.Latency{Mean: 0.011, P50: 0.01, P90: 0.02, P95: 0.012 / (1 - math.Min(rate/most, 0.99)), P99: 0.1, Max: 0.2},
		}
		t.Phases = append(t.Phases, p)
	}
	return t
}

// stuck is a trial below full load of a mix whose ordinary requests wait behind slow ones, and in which one
// worker is stopped at the end: those of a single one then wait for up to a second.
func (f fixture) stuck(id, workers int, capacity float64, started time.Time) sweep.Trial {
	t := f.latency(id, workers, capacity, started)
	for i := range t.Phases {
		p95 := t.Phases[i].Latency.P95 / math.Pow(float64(workers), 1.2)
		t.Phases[i].Ordinary = &sweep.Latency{Mean: 0.3 * p95, P50: 0.25 * p95, P90: 0.8 * p95, P95: p95, P99: 1.5 * p95, Max: 2 * p95}
	}
	stuck := t.Phases[0]
	stuck.Kind, stuck.StuckSeconds, stuck.WindowSeconds, stuck.OK = sweep.PhaseStuck, 1.0004, 1, uint64(stuck.RatePlannedRPS)
	stuck.Latency = sweep.Latency{Mean: 0.014, P50: 0.011, P90: 0.024, P95: 0.031, P99: 0.1, Max: 0.99}
	if workers == 1 {
		stuck.Latency = sweep.Latency{Mean: 0.5, P50: 0.5, P90: 0.9, P95: 0.951, P99: 0.99, Max: 0.999}
	}
	stuck.Ordinary = &stuck.Latency
	t.Phases = append(t.Phases, stuck)
	return t
}

// quiet is a machine without a quota on which next to nothing else happens.
func quiet() *sweep.Disturbance {
	zero, others, pressure, frequency := 0.0, 0.004, 0.9, 2600.0
	return &sweep.Disturbance{
		StolenShare: &zero, GeneratorStolenShare: &zero, OthersCPUShare: &others, CPUPressureShare: &pressure,
		MemoryPressureShare: &zero, MemoryPressureFullShare: &zero, IOPressureShare: &zero, IOPressureFullShare: &zero,
		FrequencyMHz: &frequency, FrequencyChangeShare: &zero,
	}
}

// failed is a trial that came to nothing.
func failed(t sweep.Trial, o sweep.Outcome, detail string) sweep.Trial {
	return sweep.Trial{ID: t.ID, Shape: t.Shape, Repeat: t.Repeat, Why: t.Why, StartedAt: t.StartedAt, Outcome: o, Detail: detail, ElapsedSeconds: 2}
}

// kill leaves one restart of each of the counts, killed for memory.
func kill(r *sweep.Record, counts ...int) {
	var kept []sweep.Trial
	for _, t := range r.Trials {
		dead := false
		for _, n := range counts {
			dead = dead || t.Shape.Workers == n
		}
		switch {
		case !dead:
			kept = append(kept, t)
		case t.Repeat == 1:
			kept = append(kept, failed(t, sweep.KilledForMemory, "the kernel killed a worker: the tree reached 640 MB"))
		}
	}
	r.Trials = kept
}

var errFull = errors.New("the disk is full")
