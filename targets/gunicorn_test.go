package targets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advise/targets/hold"
	"advise/targets/targetstest"
)

func TestRecognisesGunicorn(t *testing.T) {
	for line, want := range map[string]string{ // its own arguments; "-" when it is not gunicorn
		"gunicorn app:app":                                      "app:app",
		"gunicorn":                                              "",
		"gunicorn3 app:app":                                     "app:app",
		"gunicorn-3 app:app":                                    "app:app",
		"/opt/shop/venv/bin/gunicorn app:app":                   "app:app",
		"./venv/bin/gunicorn app:app":                           "app:app",
		"python -m gunicorn app:app":                            "app:app",
		"python3 -m gunicorn":                                   "",
		"/usr/bin/python3.11 -m gunicorn app:app":               "app:app",
		"python3.13t -m gunicorn app:app":                       "app:app",
		"pypy3 -m gunicorn app:app":                             "app:app",
		"python -X dev -m gunicorn app:app":                     "app:app",
		"python -Xdev -W ignore -m gunicorn app:app":            "app:app",
		"python -um gunicorn app:app":                           "app:app",
		"python -mgunicorn app:app":                             "app:app",
		"python -u -m gunicorn.app.wsgiapp app:app":             "app:app",
		"python --check-hash-based-pycs never -m gunicorn a":    "a",
		"python3 /usr/bin/gunicorn app:app":                     "app:app",
		"env X=1 gunicorn app:app":                              "app:app",
		"env -i gunicorn app:app":                               "app:app",
		"env -u gunicorn uwsgi --ini x":                         "-",
		"poetry run gunicorn app:app":                           "app:app",
		"uv run --with gunicorn -- gunicorn app:app":            "app:app",
		"uv run gunicorn app:app":                               "app:app",
		"uv run python -m gunicorn app:app":                     "app:app",
		"pipenv run gunicorn":                                   "",
		"nice -n 5 gunicorn app:app":                            "app:app",
		"newrelic-admin run-program gunicorn app:app":           "app:app",
		"ddtrace-run gunicorn -k gevent app:app":                "-k gevent app:app",
		"opentelemetry-instrument --traces_exporter x gunicorn": "",
		"tini -g -- gunicorn app:app":                           "app:app",
		"coverage run -m gunicorn app:app":                      "app:app",
		"sudo -u gunicorn uwsgi --ini x":                        "-",
		"sudo -u www gunicorn app:app":                          "app:app",
		"systemctl restart gunicorn":                            "-",
		"uvicorn app:app":                                       "-",
		"python -m uvicorn gunicorn":                            "-",
		"python -c gunicorn":                                    "-",
		"python -m":                                             "-",
		"python manage.py runserver":                            "-",
		"python app.py gunicorn":                                "-",
		"mygunicorn app:app":                                    "-",
		"./gunicorn.sh":                                         "-",
	} {
		_, args, ok := gunicornProgram.split(strings.Fields(line))
		got := "-"
		if ok {
			got = strings.Join(args, " ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestGunicornLaunch(t *testing.T) {
	a := Place{Host: "127.0.0.1", Port: 41234}
	for line, want := range map[string]string{
		"gunicorn app:app":                                     "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -w 8 app:app":                                "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -w8 app:app":                                 "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -w=8 app:app":                                "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn --workers=8 app:app":                         "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn --workers 8 app:app":                         "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn app:app -b :80 --bind unix:/run/x -b=[::]:1": "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn --bin :80 app:app":                           "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -D -p /run/x.pid app:app":                    "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn --daem --pid=/run/x.pid app:app":             "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -DRw4 app:app":                               "gunicorn --workers 3 --bind 127.0.0.1:41234 -R app:app",
		"gunicorn -RDw 4 app:app":                              "gunicorn --workers 3 --bind 127.0.0.1:41234 -R app:app",
		// What belongs to other options is left alone, whatever it looks like.
		"gunicorn -k gevent -n -1 --thr 4 -c conf.py app:app": "gunicorn --workers 3 --bind 127.0.0.1:41234 -k gevent -n -1 --thr 4 -c conf.py app:app",
		"gunicorn --worker-class gevent --reload app:app":     "gunicorn --workers 3 --bind 127.0.0.1:41234 --worker-class gevent --reload app:app",
		"gunicorn --statsd-host h:1 --log-f x app:app":        "gunicorn --workers 3 --bind 127.0.0.1:41234 --error-logfile - --statsd-host h:1 app:app",
		"gunicorn -e workers=1 --env D=2 app:app":             "gunicorn --workers 3 --bind 127.0.0.1:41234 -e workers=1 --env D=2 app:app",
		"gunicorn --new-option x -- app:app":                  "gunicorn --workers 3 --bind 127.0.0.1:41234 --new-option x -- app:app",
		"gunicorn --control-socket /run/g.ctl app:app":        "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn -w {workers} -b :{port} app:app":            "gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"gunicorn --name web-{port} app:app":                  "gunicorn --workers 3 --bind 127.0.0.1:41234 --name web-41234 app:app",
		"env A=1 nice -n 5 gunicorn -w 2 app:app":             "env A=1 nice -n 5 gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
		"python3 -X dev -m gunicorn -w 2 app:app":             "python3 -X dev -m gunicorn --workers 3 --bind 127.0.0.1:41234 app:app",
	} {
		c := Command{Argv: strings.Fields(line), Dir: t.TempDir(), Version: "20.1.0"}
		before := slices.Clone(c.Argv)
		l, err := gunicorn{}.Launch(c, Shape{Workers: 3}, a)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Fields(want), l.Argv); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
		if !slices.Equal(before, c.Argv) {
			t.Errorf("%s: the command was changed to %q", line, c.Argv)
		}
	}
}

func TestGunicornLaunchShape(t *testing.T) {
	c := Command{Argv: strings.Fields("gunicorn --threads 2 -k gthread app:app"), Dir: t.TempDir(), Version: "20.1.0"}
	a := Place{Host: "::1", Port: 1}
	for _, test := range []struct {
		shape Shape
		want  string
	}{
		{Shape{Workers: 1, Threads: 2, Class: "gthread"}, "gunicorn --workers 1 --bind [::1]:1 --threads 2 -k gthread app:app"},
		{Shape{Workers: 1, Threads: 4}, "gunicorn --workers 1 --bind [::1]:1 --threads 4 -k gthread app:app"},
		{Shape{Workers: 1, Threads: 1, Class: "sync"}, "gunicorn --workers 1 --bind [::1]:1 --threads 1 -k sync app:app"},
	} {
		l, err := gunicorn{}.Launch(c, test.shape, a)
		if got := strings.Join(l.Argv, " "); err != nil || got != test.want {
			t.Errorf("%+v: got %q (%v), want %q", test.shape, got, err, test.want)
		}
	}
}

// Versions before 25.1 refuse the option; later ones share a socket without it.
func TestGunicornControlSocket(t *testing.T) {
	for version, want := range map[string]bool{
		"20.1.0": false, "23.0.0": false, "25.0.3": false, "25.1.0": true, "25.10": true, "26.0.0": true, "27.0.1": true, "": false, "x": false,
	} {
		c := Command{Argv: []string{"gunicorn", "app:app"}, Dir: t.TempDir(), Version: version}
		l, err := gunicorn{}.Launch(c, Shape{Workers: 1}, Place{})
		if got := slices.Contains(l.Argv, "--no-control-socket"); err != nil || got != want {
			t.Errorf("version %q: told to open none: %v (%v), want %v", version, got, err, want)
		}
	}
}

func TestGunicornEnvironment(t *testing.T) {
	env := []string{"GUNICORN_CMD_ARGS=-D --pid /run/x -w 4 -b :1 --threads 2 --access-logformat '%(h)s x'", "WEB_CONCURRENCY=9", "A=1"}
	c := Command{Argv: []string{"gunicorn", "app:app"}, Env: env, Dir: t.TempDir(), Version: "20.1.0"}
	if got, want := (gunicorn{}).Shape(c), (Shape{Workers: 4, Threads: 2, Class: "gthread", Preload: PreloadOff}); got != want {
		t.Errorf("shape %+v, want %+v", got, want)
	}
	l, err := gunicorn{}.Launch(c, Shape{Workers: 3, Threads: 2, Class: "gthread"}, Place{})
	want := []string{"A=1", "GUNICORN_CMD_ARGS=--threads 2 --access-logformat '%(h)s x'", "WEB_CONCURRENCY=3"}
	if diff := cmp.Diff(want, l.Env); diff != "" || err != nil {
		t.Errorf("environment (-want +got, %v):\n%s", err, diff)
	}
}

func TestGunicornShape(t *testing.T) {
	dir := folder(t, map[string]string{
		"gunicorn.conf.py": "import os\nworkers = os.cpu_count()\nthreads = 4  # each\nworker_class = 'gevent'\n",
		"other.py":         "workers=2\nif True:\n    threads = 3\npreload_app = True\n",
		"conf/prod.py":     "import os\nworkers: int = 5\npreload_app = 'X' in os.environ\n",
	})
	for line, want := range map[string]Shape{
		"gunicorn app:app":                        {Workers: 7, Threads: 1, Class: "gevent", Preload: PreloadOff}, // gevent has no threads
		"gunicorn -k sync app:app":                {Workers: 7, Threads: 4, Class: "gthread", Preload: PreloadOff},
		"gunicorn -c other.py -w 6 app:app":       {Workers: 6, Threads: 1, Class: "sync", Preload: PreloadOn},
		"gunicorn -c file:other.py app:app":       {Workers: 2, Threads: 1, Class: "sync", Preload: PreloadOn},
		"gunicorn -c python:conf.prod app:app":    {Workers: 5, Threads: 1, Class: "sync"}, // a value that only running it would tell
		"gunicorn -c missing.py -w many app:app":  {Threads: 1, Class: "sync"},
		"gunicorn --threads 8 -k gthread -w1 -w2": {Workers: 2, Threads: 8, Class: "gthread", Preload: PreloadOff},
		"gunicorn -c missing.py --preload":        {Workers: 7, Threads: 1, Class: "sync", Preload: PreloadOn},
	} {
		c := Command{Argv: strings.Fields(line), Dir: dir, Env: []string{"WEB_CONCURRENCY=7"}}
		if got := (gunicorn{}).Shape(c); got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
}

func TestGunicornConfig(t *testing.T) {
	dir := folder(t, map[string]string{"prod.py": "bind = ':80'\n"})
	for _, test := range []struct {
		line, env string
		shape     Shape
		want      []File
	}{
		{
			"gunicorn app:app", "A=1",
			Shape{Workers: 6},
			[]File{{"gunicorn.conf.py", "workers = 6\n"}, {"command.txt", "gunicorn -w 6 app:app\n"}},
		},
		{
			"gunicorn -c prod.py -k gthread --threads=2 app:app", "A=1",
			Shape{Workers: 6, Threads: 4},
			[]File{
				{"command.txt", "gunicorn -w 6 -c prod.py -k gthread --threads=4 app:app\n"},
				{"prod.py", "# once --threads is no longer on the command line, which wins\nworkers = 6\nthreads = 4\n"},
			},
		},
		{
			"env TOKEN=x gunicorn -b :80 -w4 app:app", "A=1",
			Shape{Workers: 6},
			[]File{
				{"command.txt", "env 'TOKEN=***' gunicorn -b :80 -w6 app:app\n"},
				{"gunicorn.conf.py", "# once --workers is no longer on the command line, which wins\nworkers = 6\n"},
			},
		},
		{
			"gunicorn --workers=4 -b 0.0.0.0:{port} app:app", "A=1",
			Shape{Workers: 6},
			[]File{
				{"command.txt", "gunicorn --workers=6 -b 0.0.0.0:$PORT app:app\n"},
				{"gunicorn.conf.py", "# once --workers is no longer on the command line, which wins\nworkers = 6\n"},
			},
		},
		{
			"gunicorn app:app", "GUNICORN_CMD_ARGS=-w 3",
			Shape{Workers: 6},
			[]File{
				{"environment", "GUNICORN_CMD_ARGS='-w 6'\n"},
				{"command.txt", "gunicorn -w 6 app:app\n"},
				{"gunicorn.conf.py", "# once --workers is no longer in GUNICORN_CMD_ARGS, which wins\nworkers = 6\n"},
			},
		},
	} {
		got := gunicorn{}.Config(Command{Argv: strings.Fields(test.line), Env: []string{test.env}, Dir: dir}, test.shape)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.line, diff)
		}
	}
}

func TestGunicornWorkers(t *testing.T) {
	p := func(pid, parent int, command string) hold.Process {
		return hold.Process{PID: pid, Parent: parent, Command: command}
	}
	for name, test := range map[string]struct {
		tree []hold.Process
		want int
	}{
		"no worker yet": {[]hold.Process{p(10, 1, "gunicorn")}, 0},
		"nothing":       {nil, 0},
		"two":           {[]hold.Process{p(10, 1, "gunicorn"), p(11, 10, "gunicorn"), p(12, 10, "gunicorn")}, 2},
		"behind uv":     {[]hold.Process{p(9, 1, "uv"), p(10, 9, "gunicorn"), p(11, 10, "gunicorn")}, 1},
		"with a helper": {[]hold.Process{p(10, 1, "gunicorn"), p(11, 10, "gunicorn"), p(12, 10, "sh")}, 1},
		"as a module":   {[]hold.Process{p(10, 1, "python3"), p(11, 10, "python3"), p(12, 10, "python3")}, 2},
		"with children": {[]hold.Process{p(10, 1, "gunicorn"), p(11, 10, "gunicorn"), p(12, 11, "gunicorn"), p(13, 11, "gunicorn")}, 1},
		"low numbers":   {[]hold.Process{p(3, 90, "gunicorn"), p(4, 90, "gunicorn"), p(90, 1, "gunicorn")}, 2},
		"with setproctitle": {[]hold.Process{
			p(10, 1, "gunicorn: maste"), p(11, 10, "gunicorn: worke"), p(12, 10, "gunicorn: worke"), p(13, 10, "gunicorn: dirty"),
		}, 2},
	} {
		if got, ok := (gunicorn{}).Workers(test.tree, 10); len(got) != test.want || !ok {
			t.Errorf("%s: %d workers, want %d", name, len(got), test.want)
		}
	}
}

func FuzzGunicornArguments(f *testing.F) {
	for _, line := range []string{"-w 4 app:app", "-DRw4 -- -w 3", "--workers= --w", "-", "--", "-c", "-é=1", "--log-f x -b", "-w -D"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		c := Command{Argv: append([]string{"gunicorn"}, words...), Dir: "/nonexistent", Version: "27.0.1", Env: []string{"GUNICORN_CMD_ARGS=" + line}}
		l, err := gunicorn{}.Launch(c, Shape{Workers: 3}, Place{Host: "127.0.0.1", Port: 80})
		if err != nil {
			t.Fatal(err)
		}
		// However it was said before, what is launched asks for three workers at one address.
		workers, binds := 0, 0
		for _, a := range gunicornOptions.parse(l.Argv[1:]) {
			switch a.option {
			case "--workers":
				workers++
			case "--bind":
				binds++
			case "--daemon", "--pid":
				t.Errorf("%q: %s was left in %q", line, a.option, l.Argv)
			}
		}
		if workers != 1 || binds != 1 {
			t.Errorf("%q: %d counts and %d addresses in %q", line, workers, binds, l.Argv)
		}
		gunicorn{}.Config(c, Shape{Workers: 3})
	})
}

// eachGunicorn runs a test with Debian's gunicorn and the newest of PyPI, or with one of them.
func eachGunicorn(t *testing.T, test func(t *testing.T, program string), only ...string) {
	for _, name := range []string{"debian", "pypi"} {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "pypi" {
				test(t, targetstest.PyPI(t, "gunicorn"))
				return
			}
			if !executable("/usr/bin/gunicorn") {
				targetstest.Lacking(t, "apt-get install gunicorn")
			}
			test(t, "/usr/bin/gunicorn")
		})
	}
}

const hello = `
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
`

func TestGunicornStarts(t *testing.T) {
	eachGunicorn(t, func(t *testing.T, program string) {
		env := marked(t)
		home := t.TempDir()
		env = setenv(setenv(env, "HOME", home), "XDG_RUNTIME_DIR", home)
		target, err := Recognise(Command{Argv: []string{program, "-w", "7", "-b", "127.0.0.1:1", "-D", "-p", "/nowhere/pid", "app:app"}, Env: env, Dir: targetstest.Flask()})
		if err != nil {
			t.Fatal(err)
		}
		i, err := unlimited(t, target, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := i.Workers(); n != 3 || i.WorkersSeen != 3 || err != nil {
			t.Errorf("%d workers, %d when ready (%v), want 3", n, i.WorkersSeen, err)
		}
		if _, exited := i.Exit(); exited {
			t.Error("it forked away, though it was given -D")
		}
		if left, _ := filepath.Glob(filepath.Join(home, "*")); len(left) > 0 {
			t.Errorf("it has a control socket that others share: %v", left)
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exit, ok := i.Exit(); !ok || exit.Code != 0 || exit.Signal != 0 {
			t.Errorf("it did not end gracefully: %v", exit)
		}
	})
}

func TestGunicornVersion(t *testing.T) {
	eachGunicorn(t, func(t *testing.T, program string) {
		c := Command{Argv: []string{program, "app:app"}, Env: os.Environ(), Dir: t.TempDir()}
		asked, err := gunicornProgram.ask(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if read := gunicornProgram.installed(c); read != asked {
			t.Errorf("its files say %q, gunicorn itself %q", read, asked)
		}
		c.Argv = append([]string{"env", "A=1"}, c.Argv...)
		if v, err := (gunicorn{}).Version(t.Context(), c); v != asked || err != nil {
			t.Errorf("behind env: %q (%v), want %q", v, err, asked)
		}
	})
}

func TestGunicornFaults(t *testing.T) {
	dir := folder(t, map[string]string{
		"app.py":     hello,
		"broken.py":  "raise RuntimeError('no database')\n",
		"daemon.py":  "daemon = True\n",
		"slow.py":    "import time\ntime.sleep(60)\n",
		"page500.py": "def app(environ, start_response):\n    raise ValueError('a fault')\n",
		"moved.py":   "def app(environ, start_response):\n    start_response('302 Found', [('Location', '/login/')])\n    return []\n",
	})
	for name, test := range map[string]struct {
		args           []string
		change         func(*Start)
		kind           Kind
		sentence, hint string
	}{
		"no such module":    {[]string{"nothing:app"}, nil, KindExited, "ended before it was ready: exit code ", "a Python module was not found"},
		"no such name":      {[]string{"app:nothing"}, nil, KindExited, "ended before it was ready", "module:variable"},
		"no application":    {nil, nil, KindExited, "ended before it was ready", "name the application"},
		"fault at import":   {[]string{"broken:app"}, nil, KindExited, "ended before it was ready: exit code ", "see what it does by itself"},
		"unknown option":    {[]string{"--nonsense", "app:app"}, nil, KindExited, "exit code 2", ""},
		"no such class":     {[]string{"-k", "my.Worker", "app:app"}, nil, KindExited, "ended before it was ready", "the worker class"},
		"page with a fault": {[]string{"page500:app"}, nil, KindStatus, "GET / answered 500", "its log says why"},
		"redirect":          {[]string{"moved:app"}, nil, KindStatus, "GET / answered 302 Found", "--path /login/"},
		"never boots": {
			[]string{"slow:app"},
			func(s *Start) { s.ReadyWithin = 3 * time.Second },
			KindNotReady, "not ready after 3s: ", "see what it does by itself",
		},
	} {
		var only []string
		if test.kind == KindStatus { // the same in every version
			only = []string{"debian"}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachGunicorn(t, func(t *testing.T, program string) {
				target, err := Recognise(Command{Argv: append([]string{program}, test.args...), Env: marked(t), Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				_, err = unlimited(t, target, 3, test.change)
				log := failed(t, err, test.kind, test.sentence, test.hint)
				if test.kind != KindNotReady && len(log) == 0 {
					t.Error("no lines of gunicorn's log")
				}
			}, only...)
		})
	}
	t.Run("daemon by its file", func(t *testing.T) {
		t.Parallel()
		eachGunicorn(t, func(t *testing.T, program string) {
			target, err := Recognise(Command{Argv: []string{program, "-c", "daemon.py", "app:app"}, Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			i, err := unlimited(t, target, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := i.Workers(); n != 2 || err != nil {
				t.Errorf("%d workers (%v), want 2", n, err)
			}
		})
	})
}

// The lines are from the logs of 20.1.0 and 27.0.1.
func TestGunicornExplains(t *testing.T) {
	for line, want := range map[string]string{
		"[2026-11-21 10:12:45 +0000] [7595] [INFO] Listening at: https://127.0.0.1:18777 (7595)":                                         "speaks TLS",
		"[2026-11-21 10:12:49 +0000] [7947] [WARNING] Invalid request from ip=127.0.0.1: [SSL: HTTP_REQUEST] http request (_ssl.c:2580)": "speaks TLS",
		"RuntimeError: You need tornado installed to use this worker.":                                                                   "the library that it needs",
		"Error: class uri 'my.Worker' invalid or not found: ":                                                                            "the worker class",
		"Failed to find attribute 'nothing' in 'app'.":                                                                                   "module:variable",
		"ModuleNotFoundError: No module named 'nothing'":                                                                                 "a Python module was not found",
		"[2026-11-21 10:12:45 +0000] [7595] [INFO] Listening at: http://127.0.0.1:18777 (7595)":                                          "",
	} {
		got := gunicorn{}.explain([]string{"something else", line})
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q in it", line, got, want)
		}
	}
}

func TestGunicornMissing(t *testing.T) {
	script := "#!/bin/sh\n"
	dir := folder(t, map[string]string{
		"venv/bin/gunicorn": script,
		"py/bin/python3":    script,
		"py/lib/python3.11/site-packages/gunicorn/__main__.py": "",
		"empty/bin/x": "",
	})
	for name, test := range map[string]struct{ path, folder, want string }{
		"in the project":    {"empty/bin", "", "advise -- ./venv/bin/gunicorn app:app"},
		"as a module":       {"py/bin", "empty", "advise -- python3 -m gunicorn app:app"},
		"not there at all":  {"empty/bin", "empty", "pip install gunicorn"},
		"in an environment": {"empty/bin", "empty", "virtual environment"},
	} {
		c := Command{Argv: []string{"gunicorn", "app:app"}, Env: []string{"PATH=" + filepath.Join(dir, test.path)}, Dir: filepath.Join(dir, test.folder)}
		if got := pythonMissing(c, gunicornProgram); !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q in it", name, got, test.want)
		}
	}
}
