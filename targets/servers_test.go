package targets

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"advise/targets/hold"
	"advise/targets/targetstest"
)

// A realServer is an installed server with an application.
type realServer struct {
	need    string // the program that has to be there: a name, or pypi/NAME in the tests' environment
	command string // the start command; the program in it is the one needed
	app     string // folder of targets/testdata/apps
	threads int    // 0: not said
	page    string // that it has; empty: /
	// only are the counts to start with; nil: 1, 2 and 4.
	only []int
	// moving is a server whose version depends on where the machine gets it from.
	moving bool
	// uncounted is a server whose workers can't be counted.
	uncounted bool
}

// realServers is one entry for every kind, installation and mode that differs in how it starts.
var realServers = map[string]realServer{
	"gunicorn sync":         {need: "gunicorn", command: "gunicorn cost:app", app: "wsgi"},
	"gunicorn gthread":      {need: "gunicorn", command: "gunicorn -k gthread --threads 3 cost:app", app: "wsgi"},
	"gunicorn gevent":       {need: "gunicorn", command: "gunicorn -k gevent cost:app", app: "wsgi"},
	"gunicorn eventlet":     {need: "gunicorn", command: "gunicorn -k eventlet cost:app", app: "wsgi"},
	"gunicorn uvicorn":      {need: "gunicorn", command: "gunicorn -k uvicorn.workers.UvicornWorker app:app", app: "asgi"},
	"gunicorn pypi sync":    {need: "pypi/gunicorn", command: "gunicorn cost:app", app: "wsgi"},
	"gunicorn pypi gthread": {need: "pypi/gunicorn", command: "gunicorn --threads 3 cost:app", app: "wsgi"},
	"gunicorn pypi gevent":  {need: "pypi/gunicorn", command: "gunicorn -k gevent cost:app", app: "wsgi"},
	"gunicorn pypi uvicorn": {need: "pypi/gunicorn", command: "gunicorn -k uvicorn_worker.UvicornWorker app:app", app: "asgi"},
	"gunicorn pypi asgi":    {need: "pypi/gunicorn", command: "gunicorn -k asgi app:app", app: "asgi"},
	"uvicorn":               {need: "uvicorn", command: "uvicorn --workers 7 --reload app:app", app: "asgi"},
	"uvicorn pypi":          {need: "pypi/uvicorn", command: "uvicorn app:app --uds /nowhere/socket", app: "asgi"},
	"hypercorn":             {need: "hypercorn", command: "hypercorn app:app", app: "asgi"},
	"hypercorn pypi":        {need: "pypi/hypercorn", command: "hypercorn -w 7 -b 127.0.0.1:1 app:app", app: "asgi"},
	"granian pypi asgi":     {need: "pypi/granian", command: "granian --interface asgi app:app", app: "asgi"},
	"granian pypi wsgi":     {need: "pypi/granian", command: "granian --interface wsgi --workers 7 cost:app", app: "wsgi"},
	"waitress":              {need: "waitress-serve", command: "waitress-serve --port=1 cost:app", app: "wsgi", uncounted: true},
	"uwsgi":                 {need: "uwsgi", command: "uwsgi --plugin python3 --http-socket :1 --processes 7 --pidfile /nowhere/x --module cost:app", app: "wsgi"},
	"uwsgi as another user": {need: "uwsgi", command: "uwsgi --plugin python3 --http-socket :1 --uid nobody --module cost:app", app: "wsgi"},
	"uwsgi router":          {need: "uwsgi", command: "uwsgi --ini cost.ini", app: "wsgi"},
	"uwsgi behind nginx":    {need: "uwsgi", command: "uwsgi --plugin python3 --socket /nowhere/x -p 7 --threads 2 --daemonize /nowhere/y -w cost:app", app: "wsgi"},
	"nginx":                 {need: "nginx", command: "nginx -p {apps}/static -c nginx.conf", app: "static"},
	"php-fpm":               {need: "php-fpm8.2", command: "php-fpm8.2 -D -y php-fpm.conf", app: "php"},
	"php-fpm of Debian":     {need: "php-fpm8.2", command: "php-fpm8.2", app: "php"},
	"apache prefork":        {need: "apache2", command: "apache2 -f apache.conf -k start", app: "php"},
	"apache event":          {need: "apache2", command: "apache2 -f apache.conf", app: "static", threads: 4},
	"apachectl of Debian":   {need: "apachectl", command: "apachectl start", app: "static"},
	"nginx of Debian":       {need: "nginx", command: "nginx", app: "static", page: "/index.nginx-debian.html"},
	"lighttpd of Debian":    {need: "lighttpd", command: "lighttpd -D -f /etc/lighttpd/lighttpd.conf", app: "static"},
	"lighttpd":              {need: "lighttpd", command: "lighttpd -f lighttpd.conf", app: "static"},
	"puma":                  {need: "puma", command: "puma -t 1:1", app: "rack"},
	"puma with a file":      {need: "puma", command: "puma -C puma.rb", app: "rack"},
	"unicorn":               {need: "unicorn", command: "unicorn -D -p 1", app: "rack"},
	"unicorn with a file":   {need: "unicorn", command: "unicorn -c unicorn.rb", app: "rack"},
	"node":                  {need: "node", command: "node server.js", app: "node", moving: true},
	"node of Debian":        {need: "/usr/bin/node", command: "node server.js", app: "node", moving: true},
	"node own master":       {need: "node", command: "node server.js", app: "cluster", moving: true},
	"waitress pypi":         {need: "pypi/waitress-serve", command: "waitress-serve --threads=7 cost:app", app: "wsgi", uncounted: true},
}

func (r realServer) start(s *Start) { s.Shape.Threads, s.Probe.Path = r.threads, r.page }

// program is the path or the name of the one needed.
func (r realServer) program(t testing.TB) string {
	t.Helper()
	name, ok := strings.CutPrefix(r.need, "pypi/")
	if !ok {
		targetstest.Need(t, r.need)
		return r.need
	}
	return targetstest.PyPI(t, name)
}

// replaceProgram splits a command and puts a program's path in the place of its name.
func replaceProgram(command, program string) []string {
	words := strings.Fields(command)
	for i, w := range words {
		if w == filepath.Base(program) {
			words[i] = program
			break
		}
	}
	return words
}

// target is the server as a user would give it.
func (r realServer) target(t testing.TB) *Target {
	t.Helper()
	dir := targetstest.Copied(t, r.app)
	command := strings.ReplaceAll(r.command, "{apps}", filepath.Dir(dir))
	target, err := Recognise(Command{Argv: replaceProgram(command, r.program(t)), Env: marked(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Each server, told three counts, has that many workers when it is said to be ready, answers, ends
// gracefully within its grace and leaves nothing.
func TestServersStart(t *testing.T) {
	for name, r := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts := r.only
			if counts == nil {
				counts = []int{1, 2, 4}
			}
			for _, n := range counts {
				target := r.target(t)
				i, err := unlimited(t, target, n, r.start)
				if err != nil {
					t.Fatalf("%d workers: %v\n%s", n, err, logOf(err))
				}
				want := n
				if r.uncounted {
					want = -1
				}
				if seen, err := i.Workers(); seen != want || i.WorkersSeen != want || err != nil {
					t.Errorf("%d workers, %d when ready (%v), want %d", seen, i.WorkersSeen, err, want)
				}
				if a := (Probe{Path: r.page}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
					t.Errorf("%d workers: the page %v", n, a)
				}
				if r.uncounted {
					checkThreads(t, i, n)
				}
				checkStatus(t, i, n)
				if err := i.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(i.place.Scratch); !os.IsNotExist(err) {
					t.Errorf("%s is left (%v)", i.place.Scratch, err)
				}
			}
		})
	}
}

// checkThreads wants the threads of a server whose workers they are, and the first one beside them.
func checkThreads(t *testing.T, i *Instance, want int) {
	t.Helper()
	tree, err := i.Processes()
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) != 1 || tree[0].Threads != want+1 || !strings.Contains(tree[0].Title, "cost:app") {
		t.Errorf("got %+v, want one process with %d threads", tree, want+1)
	}
}

// checkStatus compares what the server says of itself with the count it was started at.
func checkStatus(t *testing.T, i *Instance, want int) {
	t.Helper()
	status, err := i.Status(t.Context())
	if errors.Is(err, ErrNoStatus) {
		return
	}
	if err != nil || status.Workers != want || status.Requests != nil && len(status.Requests) != want {
		t.Errorf("it says %+v (%v), want %d workers", status, err, want)
	}
	if status.Requests == nil {
		return
	}
	tree, err := i.workers()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tree {
		if _, ok := status.Requests[p.PID]; !ok {
			t.Errorf("the worker %d is not among %v", p.PID, status.Requests)
		}
	}
}

// The page of the front reaches no worker: between two looks at their counters there is the look
// itself and nothing else.
func TestFrontAlone(t *testing.T) {
	for name, r := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := r.target(t)
			if _, ok := target.Adapter.(fronted); !ok {
				return
			}
			i, err := unlimited(t, target, 2, r.start)
			if err != nil {
				t.Fatal(err)
			}
			answered := func() (all uint64) {
				status, err := i.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range status.Requests {
					all += n
				}
				return all
			}
			front, _ := i.Front()
			before := answered()
			for range 5 {
				if a := (Probe{Path: front.Path}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
					t.Fatalf("the page of the front %v", a)
				}
			}
			if more := answered() - before; more != 1 {
				t.Errorf("the workers answered %d requests meanwhile, want that for their status alone", more)
			}
			workers, err := i.WorkerProcesses()
			if err != nil {
				t.Fatal(err)
			}
			processes, err := i.FrontProcesses()
			if err != nil || len(processes) == 0 {
				t.Fatalf("processes of the front: %v, %v", processes, err)
			}
			for _, p := range processes {
				if slices.ContainsFunc(workers, func(w hold.Process) bool { return w.PID == p.PID }) {
					t.Errorf("%s is taken for the front and for a worker", p.Title)
				}
			}
		})
	}
}

func logOf(err error) string {
	var start *StartError
	if !errors.As(err, &start) {
		return ""
	}
	return strings.Join(start.Log, "\n")
}

// The version that the adapter finds is one it says it was tested with.
func TestServersVersions(t *testing.T) {
	for name, r := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := r.target(t)
			v, err := target.Version(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tested := target.Adapter.About().Tested
			for _, prefix := range tested {
				if v != "" && strings.HasPrefix(v, prefix) {
					return
				}
			}
			if (r.moving || strings.HasPrefix(r.need, "pypi/")) && v != "" {
				t.Logf("here is %s; the table says %s", v, strings.Join(tested, ", "))
				return
			}
			t.Errorf("version %q, and the table says %s", v, strings.Join(tested, ", "))
		})
	}
}

// A count changed while the server runs is there, up and down, and requests are answered after it.
func TestServersResize(t *testing.T) {
	for name, r := range realServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := r.target(t)
			if _, err := target.Version(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !target.Live(Shape{Workers: 2}) {
				if target.Adapter.About().Live == "" {
					return
				}
				t.Logf("%s can't", target.Command.Version)
				return
			}
			i, err := unlimited(t, target, 2, r.start)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{4, 3} {
				if err := i.Resize(t.Context(), n); err != nil {
					t.Fatal(err)
				}
				if seen, err := i.Workers(); seen != n || err != nil {
					t.Errorf("%d workers (%v), want %d", seen, err, n)
				}
				if a := (Probe{Path: r.page}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
					t.Errorf("after the change to %d: the page %v", n, a)
				}
			}
			if s, err := i.Status(t.Context()); err == nil && s.Late != (i.Requests(t.Context()) == nil) {
				t.Errorf("after a change the requests, late: %t, are %v", s.Late, i.Requests(t.Context()))
			}
			if err := i.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
