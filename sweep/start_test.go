package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"advise/model"
	"advise/targets"
)

const mb = 1_000_000

// A worker takes 188 MB while it starts and 118 MB afterwards, beside the master's 21: of 640 MB, less a
// tenth, four fit once they run, and three start at once. Eight workers would answer most.
func heavyStart() *closedServer {
	return &closedServer{cpu: 0.002, wait: 0.014, perWorker: 118 * mb, loading: 188 * mb, limit: 640 * mb}
}

func heavySweep(t *testing.T, server *closedServer, ways ...startWay) *Sweep {
	t.Helper()
	s := newTest(t, server, func(o *Options) { o.MemoryBytes, o.Highest = 640*mb, 8 })
	s.ways = ways
	return s
}

// startedOtherwiseIn are the ways and outcomes of the restarts that were started otherwise.
func startedOtherwiseIn(r *Record) (list []string) {
	for _, t := range r.Trials {
		if t.Purpose == model.PurposeStart {
			list = append(list, string(t.Way)+" "+string(t.Outcome))
		}
	}
	return list
}

func TestKilledWhileStartingIsToldFromWhatDoesNotFit(t *testing.T) {
	preload, single := startWay{way: Preloaded}, startWay{OneByOne, 1}
	tests := map[string]struct {
		ways   []startWay
		change func(*closedServer)
		tried  []string
		most   int // that start at once
		killed int // the most that were killed so, and fit once they run
		memory int // MB that these take then
		words  string
		bytes  map[string]float64 // other figures in MB
	}{
		"no other way": {most: 3, killed: 4, memory: 493, words: "that was not measured"},
		"preloaded": {
			most: 3, killed: 4, memory: 493,
			ways: []startWay{preload, single}, tried: []string{"preload ok"}, words: "loaded before they are forked, 4 started and took 493 MB",
			bytes: map[string]float64{"preload_memory_bytes": 493, "preload_start_bytes": 563},
		},
		"one by one": {
			most: 3, killed: 4, memory: 493,
			ways: []startWay{single}, tried: []string{"one_by_one ok"}, words: "Started one by one, 4 started and took 493 MB",
			bytes: map[string]float64{"one_by_one_memory_bytes": 493, "one_by_one_start_bytes": 563},
		},
		"one by one too is too much": {
			ways: []startWay{single}, change: func(s *closedServer) { s.loading = 510 * mb },
			most: 1, killed: 3, memory: 417, // three times what one takes: there is no line
			tried: []string{"one_by_one killed_for_memory"}, words: "Started one by one, 3 were killed while they started too",
		},
		"can't be changed": {
			most: 3, killed: 4, memory: 493,
			ways: []startWay{single}, change: func(s *closedServer) { s.unresizable = 4 },
			tried: []string{"one_by_one not_ready"}, words: "Started one by one, 4 did not work",
		},
		"can't be preloaded": {
			most: 3, killed: 4, memory: 493,
			ways: []startWay{preload, single}, change: func(s *closedServer) {
				s.preloads = &targets.StartError{Kind: targets.KindIgnored, Command: "it", Err: errors.New("it ignored that")}
			},
			tried: []string{"preload not_started", "one_by_one ok"}, words: "forked, 4 did not work: start it: it ignored that. Started one by one, 4 started",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := heavyStart()
			if test.change != nil {
				test.change(server)
			}
			r := run(t, heavySweep(t, server, test.ways...))
			a := r.Advice()
			if !a.Made || a.Workers != test.most || a.LimitedBy != model.LimitedByMemory {
				t.Fatalf("recommended %d (limited by %s), want the %d that start at once and memory", a.Workers, a.LimitedBy, test.most)
			}
			c := caveatOf(a, CaveatKilledWhileStarting)
			if c == nil {
				t.Fatalf("no caveat: %v", a.Caveats)
			}
			fits := fmt.Sprintf("%d workers were killed for memory while they started, but fit once they run, with %d MB of the 576 MB", test.killed, test.memory)
			if !strings.Contains(c.Message, test.words) || !strings.HasPrefix(c.Message, fits) {
				t.Errorf("it says %q", c.Message)
			}
			if got := startedOtherwiseIn(r); !slices.Equal(got, test.tried) {
				t.Errorf("started otherwise: %v, want %v", got, test.tried)
			}
			want := map[string]float64{"memory_bytes": float64(test.memory), "limit_bytes": 576}
			if test.most > 1 {
				want["start_bytes_per_worker"], want["memory_bytes_per_worker"], want["start_bytes"] = 188, 118, 773
			}
			maps.Copy(want, test.bytes)
			for key, value := range want {
				if got := c.Figures[key] / mb; got < value-1 || got > value+1 {
					t.Errorf("%s is %.0f MB, want %.0f", key, got, value)
				}
			}
			if server.running != 0 {
				t.Errorf("%d instances were not stopped", server.running)
			}
		})
	}
}

// What is killed while it starts is told from what is killed under load, in the trial, in the point and in
// the caveat, and what would not fit once it ran is not said to fit.
func TestWhenItWasKilledIsKept(t *testing.T) {
	server := heavyStart()
	r := run(t, heavySweep(t, server, startWay{OneByOne, 1}))
	for _, trial := range r.Trials {
		peak := server.peak(trial.Shape.Workers, trial.Shape.Workers)
		switch {
		case trial.Outcome == KilledForMemory && (trial.KilledWhile != KilledStarting || trial.Server.MemoryStartPeakBytes != server.limit):
			t.Errorf("trial %d: killed %q, at %d bytes", trial.ID, trial.KilledWhile, trial.Server.MemoryStartPeakBytes)
		case trial.Outcome == OK && !trial.Beside() && (trial.Server.MemoryStartPeakBytes != peak || trial.Server.MemoryReadyBytes != base+int64(trial.Shape.Workers)*server.perWorker):
			t.Errorf("trial %d: started with %d bytes, ready with %d; want %d and what its workers take", trial.ID, trial.Server.MemoryStartPeakBytes, trial.Server.MemoryReadyBytes, peak)
		}
	}
	a := r.Advice()
	for workers, want := range map[int]string{4: "killed for memory while it started: once it runs it fits", 8: "killed for memory while it started, and once it ran it might need"} {
		i := slices.IndexFunc(a.Points, func(p model.Point) bool { return p.Workers == workers })
		if i < 0 || a.Points[i].Feasible || !strings.HasPrefix(a.Points[i].WhyInfeasible, want) {
			t.Errorf("%d workers: %+v, want %q", workers, a.Points[max(i, 0)], want)
		}
	}
	if c := caveatOf(a, model.CaveatKilledForMemory); c == nil || !strings.Contains(c.Message, "while it started, at 4") {
		t.Errorf("the caveat on kills is %+v", c)
	}

	loaded := heavyStart()
	loaded.loading, loaded.limit, loaded.killedAbove = 0, 0, 3
	r = run(t, heavySweep(t, loaded, startWay{OneByOne, 1}))
	a = r.Advice()
	if caveatOf(a, CaveatKilledWhileStarting) != nil || len(startedOtherwiseIn(r)) > 0 {
		t.Errorf("killed under load: %v, %v", a.Caveats, startedOtherwiseIn(r))
	}
	if c := caveatOf(a, model.CaveatKilledForMemory); c == nil || !strings.Contains(c.Message, "under load, at 4") {
		t.Errorf("the caveat on kills is %+v", c)
	}
	for _, trial := range r.Trials {
		if trial.Outcome == KilledForMemory && trial.KilledWhile != KilledLoaded {
			t.Errorf("trial %d: killed %q", trial.ID, trial.KilledWhile)
		}
	}
}

// Where throughput decides, a count far above that was killed while it started is nobody's loss.
func TestStartsThatDoNotDecideAreLeft(t *testing.T) {
	server := heavyStart()
	server.wait = 0.002
	r := run(t, heavySweep(t, server, startWay{OneByOne, 1}))
	if a := r.Advice(); a.LimitedBy != model.LimitedByThroughput || caveatOf(a, CaveatKilledWhileStarting) != nil || len(startedOtherwiseIn(r)) > 0 {
		t.Errorf("limited by %s, %v, started otherwise %v", a.LimitedBy, a.Caveats, startedOtherwiseIn(r))
	}
}

// What is killed in a record of before it was kept when is told by the start, which took no time.
func TestOldRecordsTellWhenItWasKilled(t *testing.T) {
	for line, want := range map[string]bool{
		`{"outcome":"killed_for_memory","startup_seconds":0,"phases":[]}`:                               true,
		`{"outcome":"killed_for_memory","startup_seconds":0.3,"phases":[]}`:                             false,
		`{"outcome":"killed_for_memory","startup_seconds":0,"killed_while":"under_load","phases":[{}]}`: false,
		`{"outcome":"not_started","startup_seconds":0,"phases":[]}`:                                     false,
	} {
		var trial Trial
		if err := json.Unmarshal([]byte(line), &trial); err != nil || trial.killedStarting() != want {
			t.Errorf("%s: killed while starting: %t, want %t (%v)", line, trial.killedStarting(), want, err)
		}
	}
}

// A start that went beyond what is to be left free is a doubt, though it worked.
func TestStartNearTheLimitIsADoubt(t *testing.T) {
	for loading, want := range map[int64]bool{188 * mb: true, 150 * mb: false} {
		server := heavyStart()
		server.loading = loading
		s := newTest(t, server, func(o *Options) { o.MemoryBytes, o.Highest = 640*mb, 3 })
		c := caveatOf(run(t, s).Advice(), model.CaveatStartNearLimit)
		if (c != nil) != want || want && (c.Figures["workers"] != 3 || int(c.Figures["start_peak_bytes"]/mb) != 584 || c.Figures["limit_bytes"] != 576*mb) {
			t.Errorf("%d MB while a worker starts: %+v, want a doubt: %t", loading/mb, c, want)
		}
	}
}

func TestWaysOfServers(t *testing.T) {
	for line, want := range map[string][]startWay{
		"gunicorn app:app -w 4":           {{way: Preloaded}, {OneByOne, 1}},
		"gunicorn app:app -w 4 --preload": {{OneByOne, 1}},
		"node server.js":                  nil,
	} {
		target, err := targets.Recognise(targets.Command{Argv: strings.Fields(line), Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if got := waysOf(target); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
