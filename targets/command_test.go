package targets

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advise/targets/targetstest"
)

func TestCommandLaunch(t *testing.T) {
	c := Command{Argv: []string{"serve", "--at=http://{host}:{port}/", "-j{workers}x{threads}", "{other}"}, Env: []string{"PORT=1", "A=1"}}
	l, err := command{}.Launch(c, Shape{Workers: 3, Threads: 2}, Place{Host: "127.0.0.1", Port: 8123})
	if err != nil {
		t.Fatal(err)
	}
	want := Launch{
		Argv: []string{"serve", "--at=http://127.0.0.1:8123/", "-j3x2", "{other}"},
		Env:  []string{"A=1", "WEB_CONCURRENCY=3", "HOST=127.0.0.1", "PORT=8123"},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommandConfig(t *testing.T) {
	for line, want := range map[string]string{
		"uvicorn app:app --workers {workers} --port {port}": "uvicorn app:app --workers 6 --port $PORT\n",
		"node server.js": "WEB_CONCURRENCY=6 node server.js\n",
	} {
		got := command{}.Config(Command{Argv: strings.Fields(line)}, Shape{Workers: 6})
		if diff := cmp.Diff([]File{{"command.txt", want}}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		argv           []string
		sentence, hint string
	}{
		{nil, "there is nothing to start", "advise -- gunicorn app:app"},
		{[]string{"|", "x"}, "it begins with |", "start command"},
		{[]string{"cat", "x", "|", "serve"}, "| is for a shell, and none is run", "sh -c '"},
		{[]string{"a", "&&", "b"}, "&& is for a shell", "sh -c '"},
		{[]string{"docker", "run", "image"}, "docker has the server started by somebody else", "run advise inside it"},
		{[]string{"serve", "app:app", "--port", "8000"}, "its port can't be varied", "advise -- serve app:app --port {port}"},
		{[]string{"serve", "--bind=0.0.0.0:80"}, "its port can't be varied", "advise -- serve --bind=0.0.0.0:{port}"},
		{[]string{"serve", "-p", "{port}", "--workers", "4"}, "its number of workers can't be varied", "advise -- serve -p {port} --workers {workers}"},
		{
			[]string{"serve", "-b", "0.0.0.0:80", "-w4", "-w", "4"},
			"its port and number of workers can't be varied",
			"write {port} and {workers} instead: advise -- serve -b 0.0.0.0:{port} -w4 -w {workers}",
		},
		{[]string{"serve", "-b", "{host}:{port}", "-w", "4", "--password=x"}, "--password=***", "-w {workers}"},
		{[]string{"advise", "demo", "--cpu", "2"}, "cpu", "advise demo --help"},
	} {
		_, err := Recognise(Command{Argv: test.argv, Dir: t.TempDir()})
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%q: got %v, want a refusal", test.argv, err)
			continue
		}
		if !strings.Contains(err.Error(), test.sentence) || !strings.Contains(refused.Hint, test.hint) {
			t.Errorf("%q: got %q, hint %q;\nwant %q, hint %q", test.argv, err, refused.Hint, test.sentence, test.hint)
		}
	}
}

func TestRecognise(t *testing.T) {
	for _, test := range []struct {
		argv    []string
		adapter string
		want    []string // the command as it is kept; nil: as given
	}{
		{[]string{"gunicorn", "app:app"}, "gunicorn", nil},
		{[]string{"exec", "gunicorn", "app:app"}, "gunicorn", []string{"gunicorn", "app:app"}},
		{[]string{"sh", "-c", "exec gunicorn 'app:app' -w 2"}, "gunicorn", []string{"gunicorn", "app:app", "-w", "2"}},
		{[]string{"bash", "-c", "cd x && gunicorn app:app"}, "command", nil},
		{[]string{"sh", "-c", "A=1 gunicorn app:app"}, "command", nil},
		{[]string{"sh", "-c", "serve --port $PORT"}, "command", nil},
		{[]string{"advise", "demo", "--cpu", "1ms"}, "demo", nil},
		{[]string{"/usr/bin/advise", "demo"}, "demo", nil},
		{[]string{"serve", "--port", "{port}", "--workers", "{workers}"}, "command", nil},
		{[]string{"serve", "--port", "http"}, "command", nil},
		{[]string{"node", "server.js"}, "node", nil},
		{[]string{"node", "-e", "1"}, "command", nil},
		{[]string{"uvicorn", "app:app", "--port", "8000"}, "uvicorn", nil},
	} {
		target, err := Recognise(Command{Argv: test.argv, Dir: t.TempDir()})
		if err != nil {
			t.Errorf("%q: %v", test.argv, err)
			continue
		}
		want := test.want
		if want == nil {
			want = test.argv
		}
		if target.Adapter.Name() != test.adapter || !slices.Equal(target.Command.Argv, want) {
			t.Errorf("%q: got %s, %q; want %s, %q", test.argv, target.Adapter.Name(), target.Command.Argv, test.adapter, want)
		}
		again, err := ForAdapter(target.Adapter.Name(), target.Command)
		if err != nil || !slices.Equal(again.Command.Argv, want) {
			t.Errorf("%q: by the adapter's name: %v (%v)", test.argv, again, err)
		}
	}
	if _, err := ForAdapter("tomcat", Command{}); err == nil {
		t.Error("an adapter that is not there was found")
	}
	for _, a := range adapters {
		if _, err := ForAdapter(a.Name(), Command{}); err == nil {
			t.Errorf("%s took an empty command", a.Name())
		}
	}
}

// server is a small server of any kind: it serves at a port with that many processes, as its
// arguments or its environment say.
const server = `
import http.server, os, socket, sys
port, workers = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", port))
s.listen(64)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
children = [pid for pid in (os.fork() for _ in range(workers - 1)) if pid]
h = http.server.HTTPServer(("127.0.0.1", port), Handler, bind_and_activate=False)
h.socket.close()
h.socket = s
h.serve_forever()
`

func TestCommandStarts(t *testing.T) {
	targetstest.Need(t, "python3")
	dir := folder(t, map[string]string{
		"server.py": server,
		"serve.sh":  "#!/bin/sh\nexec python3 server.py \"$PORT\" \"$WEB_CONCURRENCY\"\n",
	})
	for name, argv := range map[string][]string{
		"by placeholders":    {"python3", "server.py", "{port}", "{workers}"},
		"by the environment": {"./serve.sh"},
		"behind a shell":     {"sh", "-c", "true && python3 server.py {port} {workers}; true"},
		"not by processes":   {"python3", "server.py", "{port}", "1{workers}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "not by processes" {
				argv = []string{"python3", "server.py", "{port}", "1", "{workers}"}
			}
			target, err := Recognise(Command{Argv: argv, Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			i, err := unlimited(t, target, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := i.Workers(); n != -1 || i.WorkersSeen != -1 || err != nil {
				t.Errorf("%d workers, %d when ready (%v): they can't be counted", n, i.WorkersSeen, err)
			}
		})
	}
}

func TestCommandIsNotHeeded(t *testing.T) {
	needsTree(t)
	targetstest.Need(t, "python3")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	fixed := fmtInt(port)
	dir := folder(t, map[string]string{
		"server.py": server,
		"one.sh":    "#!/bin/sh\nexec python3 server.py \"$PORT\" 1\n",
		"fixed.sh":  "#!/bin/sh\nexec python3 server.py " + fixed + " 1\n",
	})
	for name, test := range map[string]struct {
		argv           []string
		sentence, hint string
	}{
		"count": {[]string{"./one.sh"}, "start ./one.sh with 3 workers: it runs 1 process, not 3 workers: it does not read WEB_CONCURRENCY", "write {workers}"},
		"port":  {[]string{"./fixed.sh"}, "it listens on port " + fixed + ", not on ", "write {port} where its port goes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := Recognise(Command{Argv: test.argv, Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			_, err = unlimited(t, target, 3, nil)
			failed(t, err, KindIgnored, test.sentence, test.hint)
		})
	}
}

func TestSuggestPort(t *testing.T) {
	for line, want := range map[string]string{
		"python3 -m http.server 8000": "python3 -m http.server {port}",
		"serve localhost:8000":        "serve localhost:{port}",
		"serve listen=8000":           "serve listen={port}",
		"serve 18000":                 "",
	} {
		got, _ := suggestPort(strings.Fields(line), 8000)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestNothingWaitsForAPipe(t *testing.T) {
	dir := t.TempDir()
	if err := mkfifo(filepath.Join(dir, "Procfile")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Detect(dir, nil); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNothingFound) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the pipe")
	}
}
