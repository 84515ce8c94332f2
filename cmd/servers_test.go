package cmd_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/reports"
	"advise/sweep"
	"advise/targets"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// A sweptServer is an installed server with a page whose cost can be set.
type sweptServer struct {
	need    string // the program: a name, a path, or pypi/NAME in the tests' environment
	command string // the start command; the program in it is the one needed
	app     string // folder of targets/testdata/apps
	adapter string
	inQuery bool   // the cost is told by the page's address, not by the environment
	holds   string // MB of memory that the application takes when it is imported; empty: next to none
	loads   string // MB that it takes beside these until it is; empty: none
	probe   string // a page that is probed at full load; empty: none is
	// gain is what 4 workers answer at the least for each request of 1 worker, of a page that waits four
	// times as long as it computes; 0: nothing is sure.
	gain float64
}

// One request at a time: with c of CPU on one core and w of waiting, both exponential, 1 worker answers
// 1/(c+w) and 4 answer 3.4 times that for c = 2 ms and w = 8 ms; 2.4 times for a machine or a server on
// which c is 5 ms. Where one of both is measured 15 % too high and the other as much too low, 1.8 is left.
const oneAtATime = 1.5

// Those that are no part of TestSweptCounts. Of what is left out of gain, the asynchronous servers wait
// for many requests at once, so that 1 worker fills the core; and with kept connections gthread answers
// what the spread of these over its workers allows, which is another one after each restart.
var sweptServers = map[string]sweptServer{
	"gunicorn gthread":  {need: "gunicorn", command: "gunicorn -k gthread --threads 2 cost:app", app: "wsgi", adapter: "gunicorn"},
	"gunicorn gevent":   {need: "gunicorn", command: "gunicorn -k gevent cost:app", app: "wsgi", adapter: "gunicorn"},
	"gunicorn eventlet": {need: "gunicorn", command: "gunicorn -k eventlet cost:app", app: "wsgi", adapter: "gunicorn"},
	"gunicorn uvicorn":  {need: "gunicorn", command: "gunicorn -k uvicorn.workers.UvicornWorker app:app", app: "asgi", adapter: "gunicorn"},
	"uvicorn":           {need: "uvicorn", command: "uvicorn app:app", app: "asgi", adapter: "uvicorn"},
	"uvicorn pypi":      {need: "pypi/uvicorn", command: "uvicorn --no-access-log app:app", app: "asgi", adapter: "uvicorn"},
	"hypercorn":         {need: "hypercorn", command: "hypercorn app:app", app: "asgi", adapter: "hypercorn"},
	"hypercorn pypi":    {need: "pypi/hypercorn", command: "hypercorn app:app", app: "asgi", adapter: "hypercorn"},
	"granian pypi":      {need: "pypi/granian", command: "granian --interface asgi app:app", app: "asgi", adapter: "granian"},
	// Its workers are threads that take requests from one queue, whatever connection they came on.
	"waitress":     {need: "waitress-serve", command: "waitress-serve cost:app", app: "wsgi", adapter: "waitress", gain: oneAtATime},
	"uwsgi":        {need: "uwsgi", command: "uwsgi --plugin python3 --http-socket :80 --module cost:app", app: "wsgi", adapter: "uwsgi", gain: oneAtATime, probe: "/"},
	"apache event": {need: "apache2", command: "apache2 -f apache.conf", app: "static", adapter: "apache"},
	"node":         {need: "node", command: "node server.js", app: "node", adapter: "node"},
}

// Each server is swept at three counts on one core, the usual 3 among them, and ends with a recommendation
// of one of them. The time is for three restarts on a machine on which one takes five seconds.
func TestSweptServers(t *testing.T) {
	for name, s := range sweptServers {
		t.Run(name, func(t *testing.T) {
			gains := func(r *reports.Result) bool { return s.gain == 0 || gainOf(r) >= s.gain }
			r := s.sweepUntil(t, waits, gains, 20*time.Second, "--workers", "1,4")
			if !gains(r) {
				t.Errorf("4 workers answer %.2f times what 1 does, want %.1f: %v", gainOf(r), s.gain, ratesOf(r))
			}
		})
	}
}

// A cost is what a page takes for a request, in milliseconds.
type cost struct{ cpu, wait string }

var (
	computes = cost{"2", "0"}
	waits    = cost{"2", "8"}
)

// sweep runs `advise` on a server on one core, and checks what holds for every sweep: the result follows
// its schema and names the server and its version, three counts answered, the one recommended was
// measured and has lines to paste, and nothing is left running. Where the time was up before three restarts
// the machine is slow, which is no fault of the server's: it is swept again with twice the time.
func (s sweptServer) sweep(t *testing.T, page cost, within time.Duration, flags ...string) *reports.Result {
	t.Helper()
	var r *reports.Result
	for longest := 4 * within; ; within *= 2 {
		var out []byte
		var err error
		r, out, err = s.run(t, page, append(slices.Clone(flags), "--time", within.String())...)
		if len(ratesOf(r)) < 3 && hurried(r) && within < longest {
			t.Logf("%v answered in %s: again with twice the time", ratesOf(r), within)
			continue
		}
		if err != nil {
			t.Fatalf("%v: %s", err, r.Headline)
		}
		valid(t, "result.schema.json", out)
		break
	}
	if r.Target.Adapter != s.adapter || r.Target.Version == "" {
		t.Errorf("the target is %q of version %q, want %s and its version", r.Target.Adapter, r.Target.Version, s.adapter)
	}
	rates := ratesOf(r)
	if len(rates) < 3 {
		t.Fatalf("fewer than three counts answered: %v", rates)
	}
	if _, measured := rates[r.Recommendation.Workers]; !measured || len(r.Recommendation.Config) == 0 {
		t.Errorf("recommended %d with %d texts to paste; measured were %v", r.Recommendation.Workers, len(r.Recommendation.Config), rates)
	}
	if s.probe != "" {
		checkProbes(t, r)
	}
	return r
}

// run is one sweep and its result, which may be that nothing can be recommended: err is the exit code then.
func (s sweptServer) run(t *testing.T, page cost, flags ...string) (r *reports.Result, out []byte, err error) {
	t.Helper()
	if testing.Short() {
		t.Skip("sweeps take minutes: make test-servers")
	}
	words := strings.Fields(s.command)
	words[0] = s.program(t)
	args := append([]string{"--cores", "1", "--mem", "1G", "--json"}, flags...)
	if s.inQuery {
		args = append(args, "--path", "/?cpu_ms="+page.cpu+"&wait_ms="+page.wait)
	}
	if s.probe != "" {
		args = append(args, "--probe", s.probe)
	}
	run := advise(t, append(append(args, "--"), words...)...)
	run.Dir = targetstest.Copied(t, s.app)
	run.Env = append(run.Env, "CPU_MS="+page.cpu, "WAIT_MS="+page.wait, "HOLD_MB="+cmp.Or(s.holds, "0"), "LOAD_MB="+cmp.Or(s.loads, "0"))
	out, err = run.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		t.Fatalf("%v\n%s", err, stderrOf(err))
	}
	r = &reports.Result{}
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatal(err)
	}
	targetstest.NothingLeft(t, mark(t))
	return r, out, err
}

// stderrOf is what a program that failed said.
func stderrOf(err error) []byte {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.Stderr
	}
	return nil
}

// hurried is true for a sweep in which all went well as far as its time went.
func hurried(r *reports.Result) bool {
	failed := slices.ContainsFunc(r.Trials, func(t sweep.Trial) bool { return t.Outcome != sweep.OK })
	return r.Search.Ended == reports.EndedTime && !failed
}

// checkProbes holds the probes to what is sure of a server that is full and not overrun: it answers them
// all. Five a second come by chance, so that a single window may have none.
func checkProbes(t *testing.T, r *reports.Result) {
	t.Helper()
	var answered, failed uint64
	for _, trial := range r.Trials {
		for _, p := range trial.Phases {
			if p.Probe != nil {
				answered, failed = answered+p.Probe.OK, failed+p.Probe.Failed
			}
		}
	}
	if r.Probe == nil || answered == 0 || failed > 0 {
		t.Errorf("%d probes were answered and %d failed: %+v", answered, failed, r.Probe)
	}
}

func (s sweptServer) program(t *testing.T) string {
	t.Helper()
	name, ok := strings.CutPrefix(s.need, "pypi/")
	if !ok {
		targetstest.Need(t, s.need)
		return s.need
	}
	return targetstest.PyPI(t, name)
}

// ratesOf are the requests per second of each count that answered.
func ratesOf(r *reports.Result) map[int]float64 {
	rates := map[int]float64{}
	for _, p := range r.Points {
		if p.ThroughputRPS != nil {
			rates[p.Workers] = *p.ThroughputRPS
		}
	}
	return rates
}

// gainOf is how many times as much as 1 worker 4 answer, or a larger count where that is more: on a slow
// machine time may be up before 4 is looked at. 0 where that is so of 1, or of all of them.
func gainOf(r *reports.Result) float64 {
	rates, most := ratesOf(r), 0.0
	for n, rate := range rates {
		if n >= 4 {
			most = max(most, rate)
		}
	}
	if rates[1] == 0 {
		return 0
	}
	return most / rates[1]
}

// The servers whose worker takes one request at a time, whatever it waits for.
var countedServers = map[string]sweptServer{
	"gunicorn sync":  {need: "gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn"},
	"gunicorn pypi":  {need: "pypi/gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn"},
	"php-fpm":        {need: "php-fpm8.2", command: "php-fpm8.2 -y php-fpm.conf", app: "php", adapter: "php-fpm", inQuery: true},
	"apache prefork": {need: "apache2", command: "apache2 -f apache.conf", app: "php", adapter: "apache", inQuery: true},
	"puma":           {need: "puma", command: "puma -t 1:1", app: "rack", adapter: "puma"},
	"unicorn":        {need: "unicorn", command: "unicorn -c unicorn.rb", app: "rack", adapter: "unicorn"},
}

// On one core a page that only computes gains nothing from more workers than 1, or a second that has the
// next request at hand. One that waits for 8 ms after 2 ms of computing fills the core at 5 workers if
// nothing varies, and at 7 or 8 to 95 % as it does; a server's own work on each request, here up to half a
// millisecond, brings that down to 6 or 7.
func TestSweptCounts(t *testing.T) {
	for name, s := range countedServers {
		for page, c := range map[string]struct {
			cost
			within      time.Duration
			least, most int
		}{
			"computes": {computes, 25 * time.Second, 1, 2},
			"waits":    {waits, 30 * time.Second, 5, 8},
		} {
			t.Run(name+" "+page, func(t *testing.T) {
				gains := func(r *reports.Result) bool { return c.cost != waits || gainOf(r) >= oneAtATime }
				good := func(r *reports.Result) bool { return recommends(r, c.least, c.most) && gains(r) }
				r := s.sweepUntil(t, c.cost, good, c.within)
				if !recommends(r, c.least, c.most) {
					t.Errorf("recommended %d (%d-%d), want %d to %d: %v", r.Recommendation.Workers, r.Recommendation.Low, r.Recommendation.High, c.least, c.most, ratesOf(r))
				}
				if !gains(r) {
					t.Errorf("4 workers or more answer %.2f times what 1 does, want %.1f: %v", gainOf(r), oneAtATime, ratesOf(r))
				}
				if s.adapter == "php-fpm" {
					checkFront(t, r)
				}
			})
		}
	}
}

// recommends allows a single short sweep to land one beside the range, if its interval reaches into it.
func recommends(r *reports.Result, least, most int) bool {
	rec := r.Recommendation
	return rec.Workers >= least-1 && rec.Workers <= most+1 && rec.High >= least && rec.Low <= most
}

// mostSeeds is how often a sweep may be made until it comes out as it should. Restarts on a shared machine
// differ by 5 to 15 %, of which a sweep of half a minute can't average much: where one in five misses, three
// in a row do in one of a hundred, and what is wrong does every time.
const mostSeeds = 3

// sweepUntil sweeps again, by another seed, what did not come out as it should.
func (s sweptServer) sweepUntil(t *testing.T, page cost, good func(*reports.Result) bool, within time.Duration, flags ...string) *reports.Result {
	t.Helper()
	for seed := 1; ; seed++ {
		r := s.sweep(t, page, within, append(slices.Clone(flags), "--seed", strconv.Itoa(seed))...)
		rec := r.Recommendation
		t.Logf("%s %s: %d (%d-%d) of %v, search %s, %d restarts", r.Target.Adapter, r.Target.Version, rec.Workers, rec.Low, rec.High, ratesOf(r), r.Search.Ended, len(r.Trials))
		if good(r) || seed == mostSeeds {
			return r
		}
	}
}

// checkFront holds a fronted server's result to what is known of nginx: it takes some of the CPU time, far
// less than pages of 2 ms, and alone it answers more than any count of workers.
func checkFront(t *testing.T, r *reports.Result) {
	t.Helper()
	f := r.Front
	if f == nil || f.CPUShare == nil || f.CPUSecondsPerRequest == nil {
		t.Fatalf("the front was not measured: %+v", f)
	}
	if *f.CPUShare <= 0 || *f.CPUShare > 0.3 || *f.CPUSecondsPerRequest > 0.001 {
		t.Errorf("the front takes %.1f %%, %g s for a request", 100**f.CPUShare, *f.CPUSecondsPerRequest)
	}
	for _, rate := range ratesOf(r) {
		if f.Alone.ThroughputRPS < 2*rate {
			t.Errorf("alone the front answers %.0f/s, and %.0f/s with php-fpm behind it", f.Alone.ThroughputRPS, rate)
		}
	}
	t.Logf("front: %.1f %%, %.0f us; alone %.0f/s at %.1f us", 100**f.CPUShare, 1e6**f.CPUSecondsPerRequest, f.Alone.ThroughputRPS, 1e6*f.Alone.CPUSecondsPerRequest)
}

// A worker that serves a file fills a core alone, or is faster than the generator; in no case do more
// workers answer more.
func TestSweptFiles(t *testing.T) {
	for name, s := range map[string]sweptServer{
		"nginx":    {need: "nginx", command: "nginx -p . -c nginx.conf", app: "static", adapter: "nginx"},
		"lighttpd": {need: "lighttpd", command: "lighttpd -f lighttpd.conf", app: "static", adapter: "lighttpd"},
	} {
		t.Run(name, func(t *testing.T) {
			good := func(r *reports.Result) bool {
				return r.Recommendation.Workers == 1 || r.Recommendation.LowerBound || r.Search.Ended == reports.EndedGenerator
			}
			if r := s.sweepUntil(t, cost{"0", "0"}, good, 16*time.Second); !good(r) {
				t.Errorf("recommended %d and does not call it a lower bound: %v", r.Recommendation.Workers, ratesOf(r))
			}
		})
	}
}

// Servers whose count can be changed while they run; gunicorn is in TestLiveAgainstRestarts.
var liveServers = map[string]sweptServer{
	"uvicorn pypi": {need: "pypi/uvicorn", command: "uvicorn --no-access-log app:app", app: "asgi", adapter: "uvicorn"},
	"php-fpm":      {need: "php-fpm8.2", command: "php-fpm8.2 -y php-fpm.conf", app: "php", adapter: "php-fpm", inQuery: true, probe: "/index.php"},
	"nginx":        {need: "nginx", command: "nginx -p . -c nginx.conf", app: "static", adapter: "nginx"},
	"puma":         countedServers["puma"],
	"unicorn":      countedServers["unicorn"],
}

// A live sweep starts a server once, and again only for the fresh start that it compares with; each change
// leaves as many workers as were asked for, none of the old count's and none still to come. As requests all
// cost the same, a worker's share of them is its share of the CPU time, but for the warm-up, which is in the
// first alone, and for the ticks of 10 ms in which the second is counted: in most trials, not in each.
func TestSweptLive(t *testing.T) {
	for name, s := range liveServers {
		t.Run(name, func(t *testing.T) {
			r := s.sweep(t, waits, 16*time.Second, "--live", "--workers", "2,4")
			changes := map[int]bool{}
			told, apart := 0, 0
			for i, trial := range r.Trials {
				if !trial.Live && i > 0 && trial.Purpose == "" {
					t.Errorf("trial %d was a restart: %s", trial.ID, trial.Outcome)
				}
				if trial.Live {
					changes[trial.Shape.Workers] = true
				}
				seen := -1
				if n := trial.Server.Workers; n != nil {
					seen = *n
				}
				if seen != trial.Shape.Workers {
					t.Errorf("trial %d (live: %t) had %d workers, want %d", trial.ID, trial.Live, seen, trial.Shape.Workers)
				}
				if off, known := sharesApart(trial.Server.PerWorker); known {
					told++
					if off > 0.15 {
						apart++
						t.Logf("trial %d (live: %t): a worker's shares of the requests and of the CPU time are %.2f apart", trial.ID, trial.Live, off)
					}
				}
			}
			if apart > told/2 {
				t.Errorf("in %d of %d trials a worker's shares of the requests and of the CPU time differ", apart, told)
			}
			if len(changes) < 2 {
				t.Errorf("changed live to %v only", changes)
			}
			t.Logf("%s %s: %d of %v, %d trials, changed to %v", r.Target.Adapter, r.Target.Version, r.Recommendation.Workers, ratesOf(r), len(r.Trials), changes)
		})
	}
}

// sharesApart is by how much a worker's shares of the requests and of the CPU time differ at the most; not
// known where the server tells of none.
func sharesApart(workers []sweep.Worker) (off float64, known bool) {
	for _, w := range workers {
		if w.RequestsShare != nil && w.CPUShare != nil {
			off, known = max(off, math.Abs(*w.RequestsShare-*w.CPUShare)), true
		}
	}
	return off, known
}

// An application of 60 MB that is loaded before the workers are forked is there once, and where each worker
// loads it, as often as there are workers: for the same throughput 4 of them take some 80 MB instead of 260.
// What is recommended, what was measured of each, and what is to be pasted are of one shape.
func TestSweptShapes(t *testing.T) {
	gunicorn := sweptServer{need: "gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn", holds: "60"}
	// A sweep does not count in which throughputs differ by chance, nor one in which time was up before each shape had answered with two counts.
	good := func(r *reports.Result) bool {
		return r.Recommendation.Preload == targets.PreloadOn && len(r.Shapes) == 2 && r.Shapes[0].MemoryBytes != nil && r.Shapes[1].MemoryBytes != nil
	}
	r := gunicorn.sweepUntil(t, waits, good, 32*time.Second, "--workers", "2,4", "--preload", "off,on")
	if !good(r) {
		t.Fatalf("recommended %+v of %+v", r.Recommendation.Variant, r.Shapes)
	}
	apart, shared := r.Shapes[0], r.Shapes[1]
	if !shared.Recommended || shared.Preload != targets.PreloadOn {
		t.Fatalf("recommended %+v of %+v", r.Recommendation.Variant, r.Shapes)
	}
	if *shared.MemoryBytes > 0.6**apart.MemoryBytes {
		t.Errorf("preloaded it takes %.0f MB, and %.0f MB otherwise", *shared.MemoryBytes/1e6, *apart.MemoryBytes/1e6)
	}
	for i, p := range r.Points {
		if want := i < len(r.Points)/2; (p.Preload == targets.PreloadOn) != want || p.ThroughputRPS == nil {
			t.Errorf("point %d: %d workers, preload %q: the recommended shape's come first, and all answered", i, p.Workers, p.Preload)
		}
	}
	if text := r.Recommendation.Config[0].Text; !strings.Contains(text, "preload_app = True") {
		t.Errorf("to paste:\n%s", text)
	}
	t.Logf("%s %s: %s", r.Target.Adapter, r.Target.Version, r.Headline)
}

// A worker takes some 105 MB while it starts and 45 MB afterwards: of 256 MB, 2 start at once, and 4 fit once
// they run. With the application preloaded they start as well.
func TestSweptKilledWhileStarting(t *testing.T) {
	limits, _, err := hold.Choose(hold.Auto, hold.Limits{Memory: 256 << 20})
	if err != nil || limits.Memory == 0 {
		targetstest.Lacking(t, "a machine on which memory can be limited (cgroup)")
	}
	gunicorn := sweptServer{need: "gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn", holds: "30", loads: "60"}
	// A sweep does not count in which time was up, or in which two counts answer as much by chance.
	good := func(r *reports.Result) bool { return r.Search.StartRestarts > 0 }
	var r *reports.Result
	for seed := 1; seed <= mostSeeds && (r == nil || !good(r)); seed++ {
		r, _, err = gunicorn.run(t, waits, "--mem", "256M", "--workers", "1,2,4", "--time", "24s", "--seed", strconv.Itoa(seed))
		if err != nil {
			t.Fatalf("%v: %s", err, r.Headline)
		}
	}
	i := slices.IndexFunc(r.Caveats, func(c model.Caveat) bool { return c.Code == sweep.CaveatKilledWhileStarting })
	if i < 0 {
		t.Fatalf("no caveat: %s; %v", r.Headline, r.Caveats)
	}
	c := r.Caveats[i]
	if each, starting := c.Figures["memory_bytes_per_worker"], c.Figures["start_bytes_per_worker"]; starting < each+30e6 {
		t.Errorf("a worker takes %.0f MB while it starts and %.0f MB afterwards, want 60 MB more", starting/1e6, each/1e6)
	}
	if preloaded := c.Figures["preload_memory_bytes"]; r.Search.StartRestarts > 0 && !(preloaded > 0 && preloaded < 200e6) {
		t.Errorf("preloaded it takes %.0f MB: %s", preloaded/1e6, c.Message)
	}
	if r.Recommendation.LimitedBy != model.LimitedByMemory || r.Recommendation.Workers > 2 {
		t.Errorf("recommended %d (%s), want what starts at once", r.Recommendation.Workers, r.Recommendation.LimitedBy)
	}
	t.Log(c.Message)
}
