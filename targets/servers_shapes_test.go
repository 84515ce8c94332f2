package targets

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"advise/targets/hold"
	"advise/targets/targetstest"
)

// A shaped is a real server started at a shape that its command doesn't ask for.
type shaped struct {
	need    string // as of a realServer
	command string
	app     string // folder of targets/testdata/apps; empty: seen
	env     string // a variable more
	shape   Shape
	log     string // what the server itself says of its class
}

var shapedServers = map[string]shaped{
	"gunicorn": {
		need: "gunicorn", command: "gunicorn seen:app", log: `Using worker: (threads|gthread)\b`,
		shape: Shape{Threads: 3, Class: "gthread", Preload: PreloadOn},
	},
	"gunicorn one thread": {
		need: "gunicorn", command: "gunicorn --threads 4 --preload seen:app", log: "Using worker: sync",
		shape: Shape{Threads: 1, Class: "sync", Preload: PreloadOff},
	},
	"gunicorn one pooled thread": {
		need: "gunicorn", command: "gunicorn seen:app", log: "Using worker: gthread",
		shape: Shape{Threads: 1, Class: "gthread", Preload: PreloadOff},
	},
	"gunicorn file": {
		need: "gunicorn", command: "gunicorn -c on.conf.py seen:app", log: "Using worker: gthread",
		shape: Shape{Threads: 2, Class: "gthread", Preload: PreloadOff},
	},
	"gunicorn variable": {
		need: "gunicorn", command: "gunicorn seen:app", env: "GUNICORN_CMD_ARGS=--preload --threads 4 -c on.conf.py", log: "Using worker: gthread",
		shape: Shape{Threads: 2, Class: "gthread", Preload: PreloadOff},
	},
	"gunicorn gevent": {
		need: "gunicorn", command: "gunicorn --threads 4 seen:app", log: "Using worker: gevent",
		shape: Shape{Threads: 1, Class: "gevent", Preload: PreloadOn},
	},
	"gunicorn pypi": {
		need: "pypi/gunicorn", command: "gunicorn seen:app", log: "Using worker: gthread",
		shape: Shape{Threads: 3, Class: "gthread", Preload: PreloadOn},
	},
	"gunicorn pypi file": {
		need: "pypi/gunicorn", command: "gunicorn -c on.conf.py seen:app", log: "Using worker: sync",
		shape: Shape{Threads: 1, Class: "sync", Preload: PreloadOff},
	},
	"gunicorn pypi gevent": {
		need: "pypi/gunicorn", command: "gunicorn -c on.conf.py seen:app", log: "Using worker: gevent",
		shape: Shape{Threads: 1, Class: "gevent", Preload: PreloadOff},
	},
	"gunicorn pypi asgi": {
		need: "pypi/gunicorn", command: "gunicorn app:app", app: "asgi", log: "Using worker: asgi",
		shape: Shape{Threads: 1, Class: "asgi", Preload: PreloadOn},
	},
	"gunicorn pypi uvicorn": {
		need: "pypi/gunicorn", command: "gunicorn app:app", app: "asgi", log: "Using worker: uvicorn_worker.UvicornWorker",
		shape: Shape{Threads: 1, Class: "uvicorn_worker.UvicornWorker", Preload: PreloadOff},
	},
	"granian pypi":        {need: "pypi/granian", command: "granian --interface wsgi seen:app", shape: Shape{Threads: 3}},
	"granian pypi thread": {need: "pypi/granian", command: "granian --interface wsgi seen:app", shape: Shape{Threads: 1}},
	"uwsgi":               {need: "uwsgi", command: "uwsgi --plugin python3 -w seen:app", shape: Shape{Threads: 3, Preload: PreloadOff}},
	"uwsgi file":          {need: "uwsgi", command: "uwsgi --ini lazy.ini", shape: Shape{Threads: 1, Preload: PreloadOn}},
	"uwsgi options":       {need: "uwsgi", command: "uwsgi --plugin python3 -w seen:app --lazy-apps --threads 4", shape: Shape{Threads: 2, Preload: PreloadOn}},
	"puma":                {need: "puma", command: "puma", shape: Shape{Threads: 3, Preload: PreloadOn}},
	"puma file":           {need: "puma", command: "puma -C on.rb", shape: Shape{Threads: 1, Preload: PreloadOff}},
	"puma option":         {need: "puma", command: "puma --preload -t 1:4", shape: Shape{Threads: 2, Preload: PreloadOff}},
	"unicorn":             {need: "unicorn", command: "unicorn", shape: Shape{Threads: 1, Preload: PreloadOn}},
	"unicorn file":        {need: "unicorn", command: "unicorn -c unicorn.rb", shape: Shape{Threads: 1, Preload: PreloadOff}},
}

// A server that is told a shape by Variants runs it: as many requests at once as it has threads, the
// class by its own word, the application loaded where it should be.
func TestServersShapes(t *testing.T) {
	for name, s := range shapedServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s.app == "" {
				s.app = "seen"
			}
			target := realServer{need: s.need, command: s.command, app: s.app}.target(t)
			if variable, value, ok := strings.Cut(s.env, "="); ok {
				target.Command.Env = setenv(target.Command.Env, variable, value)
			}
			var classes []string
			if s.shape.Class != "" {
				classes = []string{s.shape.Class}
			}
			var preload []Preload
			if s.shape.Preload != "" {
				preload = []Preload{s.shape.Preload}
			}
			shapes, err := target.Variants(classes, []int{s.shape.Threads}, preload)
			if err != nil || !slices.Equal(shapes, []Shape{s.shape}) {
				t.Fatalf("the shapes are %+v (%v), want %+v", shapes, err, s.shape)
			}
			log := ""
			i, err := unlimited(t, target, 1, func(start *Start) {
				start.Shape = shapes[0]
				start.Shape.Workers = 1
				log = start.Log
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, logOf(err))
			}
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(s.log).Match(text) {
				t.Errorf("its log doesn't say %s:\n%s", s.log, text)
			}
			workers, err := i.WorkerProcesses()
			if err != nil || len(workers) != 1 {
				t.Fatalf("workers %+v (%v), want one", workers, err)
			}
			if s.app == "seen" {
				checkSeen(t, i.Tree, i.URL, workers[0], s.shape)
			}
			if err := i.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// checkSeen compares what the page of the folder seen sees of the only worker with a shape. With one
// thread there is never a second request beside the first, except in the loops of gevent and eventlet.
func checkSeen(t *testing.T, tree *hold.Tree, url string, worker hold.Process, s Shape) {
	t.Helper()
	loop := gunicornLoops.MatchString(s.Class)
	most := 0
	answers := seeTogether(t, url, s.Threads)
	known, err := tree.Numbers()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		a.loader, a.worker = known[a.loader], known[a.worker]
		most = max(most, a.most)
		loader := worker.PID
		if s.Preload == PreloadOn {
			loader = worker.Parent
		}
		if a.worker != worker.PID || s.Preload != "" && a.loader != loader {
			t.Errorf("loaded by %d and answered by %d, want %d and %d", a.loader, a.worker, loader, worker.PID)
		}
	}
	if most != s.Threads && !loop {
		t.Errorf("%d requests at once, want as many as threads, %d", most, s.Threads)
	}
}

type seen struct{ loader, worker, most int }

// seeTogether asks with twice as many connections as there should be threads, and one more.
func seeTogether(t *testing.T, url string, threads int) []seen {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answers := make([]seen, 2*threads+1)
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() {
			r, err := client.Get(fmt.Sprintf("%s/%d", url, threads))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = r.Body.Close() }()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			a := &answers[i]
			if _, err := fmt.Sscan(string(body), &a.loader, &a.worker, &a.most); err != nil {
				t.Errorf("answered %q: %v", body, err)
			}
		})
	}
	asking.Wait()
	return answers
}

// An MPM's worker has its threads from the start: those that serve, and in event and worker the one
// that listens and the first one beside them.
func TestApacheShapes(t *testing.T) {
	for _, test := range []struct {
		shape   Shape
		threads int
	}{
		{Shape{Threads: 3, Class: "event"}, 5},
		{Shape{Threads: 4, Class: "worker"}, 6},
		{Shape{Threads: 1, Class: "prefork"}, 1},
	} {
		t.Run(test.shape.Class, func(t *testing.T) {
			t.Parallel()
			target := realServer{need: "apache2", command: "apache2 -f apache.conf", app: "static"}.target(t)
			shapes, err := target.Variants([]string{test.shape.Class}, []int{test.shape.Threads}, nil)
			if err != nil || !slices.Equal(shapes, []Shape{test.shape}) {
				t.Fatalf("the shapes are %+v (%v), want %+v", shapes, err, test.shape)
			}
			i, err := unlimited(t, target, 2, func(s *Start) {
				s.Shape = shapes[0]
				s.Shape.Workers = 2
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, logOf(err))
			}
			// Threads come one after the other, it answers with the first of them, and the one that starts
			// the others ends after the last.
			var threads []int
			for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
				workers, err := i.WorkerProcesses()
				if err != nil {
					t.Fatal(err)
				}
				threads = nil
				for _, w := range workers {
					threads = append(threads, w.Threads)
				}
				if slices.Equal(threads, []int{test.threads, test.threads}) {
					break
				}
			}
			if !slices.Equal(threads, []int{test.threads, test.threads}) {
				t.Errorf("the workers have %v threads, want two with %d", threads, test.threads)
			}
			if err := i.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Three workers of an application that holds 40 MB share them when it is loaded before they are
// forked, and hold three times as much when it is not. A worker's own is a few megabytes.
func TestPreloadShares(t *testing.T) {
	const held = 40 << 20
	dir := folder(t, map[string]string{"app.py": fmt.Sprintf("held = bytearray(b'x') * %d\n", held) + hello})
	targetstest.Need(t, "gunicorn")
	target, err := Recognise(Command{Argv: []string{"gunicorn", "app:app"}, Env: marked(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	needsTree(t)
	for preload, copies := range map[Preload]int64{PreloadOn: 1, PreloadOff: 3} {
		i, err := unlimited(t, target, 3, func(s *Start) { s.Shape.Preload = preload })
		if err != nil {
			t.Fatal(err)
		}
		// Where other load keeps a worker from computing for a while, it is ready before it has loaded all.
		var pss int64
		low := copies * held
		for deadline := time.Now().Add(30 * time.Second); pss < low && time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			m, err := i.Memory()
			if err != nil {
				t.Fatal(err)
			}
			pss = m.PSS
		}
		if pss < low || pss >= low+held+held/2 {
			t.Errorf("preloading %s: %d MB, want %d times 40 MB and a little", preload, pss>>20, copies)
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// What runs a shape elsewhere says all of it.
func TestDeployShapes(t *testing.T) {
	dir := filepath.Join(targetstest.App("seen"))
	for _, test := range []struct {
		command string
		shape   Shape
		want    string
	}{
		{"gunicorn seen:app", Shape{Workers: 2, Threads: 3, Class: "gthread", Preload: PreloadOn}, "gunicorn --preload --threads 3 -w 2 seen:app"},
		{"gunicorn -w 9 --preload -k gthread --threads 4 seen:app", Shape{Workers: 2, Threads: 1, Class: "sync", Preload: PreloadOff}, "gunicorn -w 2 -k sync --threads 1 seen:app"},
		{"hypercorn app:app", Shape{Workers: 2, Threads: 1, Class: "trio"}, "hypercorn -k trio -w 2 app:app"},
		{"granian --interface wsgi seen:app", Shape{Workers: 2, Threads: 3}, "granian --blocking-threads 3 --workers 2 --interface wsgi seen:app"},
		{"uwsgi -w seen:app --threads 4", Shape{Workers: 2, Threads: 1, Preload: PreloadOff}, "uwsgi --lazy-apps --enable-threads --processes 2 -w seen:app --threads 1"},
		{"uwsgi -w seen:app --lazy-apps", Shape{Workers: 2, Threads: 1, Preload: PreloadOn}, "uwsgi --processes 2 -w seen:app"},
		{"puma -t 5", Shape{Workers: 2, Threads: 3, Preload: PreloadOn}, "puma --preload -w 2 -t 3:3"},
		{"serve -k {class} -t {threads} -p {port} -w {workers}", Shape{Workers: 2, Threads: 3, Class: "a"}, "serve -k a -t 3 -p $PORT -w 2"},
	} {
		target, err := Recognise(Command{Argv: strings.Fields(test.command), Dir: dir, Version: "27.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		files := target.Paste(test.shape, Budget{}).Deploy
		if len(files) != 3 || files[1].Text != "web: "+test.want+"\n" {
			t.Errorf("%s: %+v, want %q", test.command, files, test.want)
		}
	}
}

// A worker takes 60 MB more until it has loaded than afterwards. Of 300 MB, 4 that start at once are killed
// for memory; preloaded, or started one by one, 4 run.
func TestStartIsThePeak(t *testing.T) {
	const more = 60 << 20
	limits, _, err := hold.Choose(hold.Auto, hold.Limits{Memory: 300 << 20})
	if err != nil || limits.Memory == 0 {
		targetstest.Lacking(t, "a machine on which memory can be limited (cgroup)")
	}
	targetstest.Need(t, "gunicorn")
	target, err := Recognise(Command{Argv: []string{"gunicorn", "cost:app"}, Env: append(marked(t), "HOLD_MB=30", "LOAD_MB=63"), Dir: targetstest.App("wsgi")})
	if err != nil {
		t.Fatal(err)
	}
	start := func(s Shape) (*Instance, error) {
		return unlimited(t, target, s.Workers, func(o *Start) { o.Limits, o.Shape = limits, s })
	}
	_, err = start(Shape{Workers: 4})
	failed(t, err, KindKilledForMemory, "killed for memory while it started", "--mem")
	if killed := (&StartError{}); errors.As(err, &killed) && (killed.MemoryPeak < limits.Memory/2 || killed.MemoryPeak > limits.Memory) {
		t.Errorf("killed at %d bytes of %d", killed.MemoryPeak, limits.Memory)
	}
	fits := func(how string, i *Instance) hold.Usage {
		u, err := i.Usage()
		if n, counted := i.Workers(); err != nil || counted != nil || n != 4 || u.OOMKills > 0 || u.MemoryOwnPeak() > limits.Memory {
			t.Errorf("%s: %d workers, %+v, %v %v", how, n, u, err, counted)
		}
		t.Logf("%s: %d MB at the most, %d MB now", how, u.MemoryOwnPeak()/1e6, u.MemoryOwn()/1e6)
		return u
	}
	i, err := start(Shape{Workers: 4, Preload: PreloadOn})
	if err != nil {
		t.Fatal(err)
	}
	// Of those started one by one the last may still be loading: see TestPreloadShares.
	if u := fits("preloaded", i); u.MemoryOwnPeak() < u.MemoryOwn()+more/2 {
		t.Errorf("preloaded: %d bytes at the most, %d now", u.MemoryOwnPeak(), u.MemoryOwn())
	}
	if !target.OneByOne(Shape{Workers: 1}) {
		t.Fatal("it can't be told to start one worker more")
	}
	if i, err = start(Shape{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 4; n++ {
		if err := i.Resize(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	fits("one by one", i)
}
