package targets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// How many requests a server has in work decides how it is driven: a class that is taken for a blocking one
// by mistake is measured by the connections and not by what it can do.
func TestConcurrency(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"gunicorn.conf.py": "worker_class = 'eventlet'\nworker_connections = 10\n",
		"nginx.conf":       "events { worker_connections 10; }\nhttp { server { listen 80; } }\n",
		"plain.conf":       "events { }\nhttp { server { listen 80; } }\n",
		"loop.ini":         "[uwsgi]\nmodule = app\ngevent = 100\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string]Concurrency{
		"gunicorn -c x.py app:app":                                          {Slots: 4},
		"gunicorn -c x.py -k gthread --threads 8 app:app":                   {Slots: 32, Connections: 4000, Setting: "worker_connections"},
		"gunicorn -c x.py --threads 8 app:app":                              {Slots: 32, Connections: 4000, Setting: "worker_connections"},
		"gunicorn -c x.py -k gunicorn.workers.sync.SyncWorker app:app":      {Slots: 4},
		"gunicorn -c x.py -k gevent app:app":                                {Connections: 4000, Setting: "worker_connections", OneCore: true},
		"gunicorn -c x.py -k gevent --worker-connections 10 app:app":        {Connections: 40, Setting: "worker_connections", OneCore: true},
		"gunicorn app:app":                                                  {Connections: 40, Setting: "worker_connections", OneCore: true},
		"gunicorn -c x.py -k uvicorn.workers.UvicornWorker app:app":         {OneCore: true},
		"gunicorn -c x.py -k my.module.Worker app:app":                      {},
		"uvicorn app:app":                                                   {Setting: "--limit-concurrency", OneCore: true},
		"uvicorn --limit-concurrency 20 app:app":                            {Connections: 80, Setting: "--limit-concurrency", OneCore: true},
		"hypercorn app:app":                                                 {OneCore: true},
		"granian --interface asgi app:app":                                  {Connections: 1024, Setting: "--backpressure"},
		"granian --interface asgi --backpressure 16 app:app":                {Connections: 64, Setting: "--backpressure"},
		"granian --interface wsgi --blocking-threads 2 app:app":             {Slots: 8, Connections: 1024, Setting: "--backpressure"},
		"granian --interface wsgi app:app":                                  {Connections: 1024, Setting: "--backpressure"},
		"waitress-serve app:app":                                            {Slots: 4, Connections: 96, Setting: "--connection-limit"},
		"waitress-serve --connection-limit=1000 app:app":                    {Slots: 4, Connections: 996, Setting: "--connection-limit"},
		"uwsgi --http-socket :80 --module app --threads 2":                  {Slots: 8},
		"uwsgi --http-socket :80 --module app --gevent 100":                 {},
		"uwsgi --ini loop.ini":                                              {},
		"puma -t 1:16":                                                      {Slots: 64},
		"unicorn":                                                           {Slots: 4},
		"nginx -c " + filepath.Join(dir, "nginx.conf"):                      {Connections: 40, Setting: "worker_connections", OneCore: true},
		"nginx -c " + filepath.Join(dir, "plain.conf"):                      {Connections: 2048, Setting: "worker_connections", OneCore: true},
		"node server.js":                                                    {OneCore: true},
		"./server --port {port} --procs {workers}":                          {},
		"env UVICORN_LIMIT_CONCURRENCY=5 uvicorn app:app":                   {Connections: 20, Setting: "--limit-concurrency", OneCore: true},
		"env GUNICORN_CMD_ARGS=--worker-connections=7 gunicorn -k gevent a": {Connections: 28, Setting: "worker_connections", OneCore: true},
	} {
		target, err := Recognise(Command{Argv: strings.Fields(command), Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}})
		if err != nil {
			t.Errorf("%s: %v", command, err)
			continue
		}
		if got := target.Concurrency(Shape{Workers: 4}); got != want {
			t.Errorf("%s: %+v, want %+v", command, got, want)
		}
	}
}

// A class that a shape asks for holds, whatever the command says.
func TestConcurrencyIsOfTheShape(t *testing.T) {
	target, err := Recognise(Command{Argv: []string{"gunicorn", "-k", "eventlet", "app:app"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if got := target.Concurrency(Shape{Workers: 2, Threads: 3, Class: "gthread"}); got.Slots != 6 {
		t.Errorf("gthread: %+v", got)
	}
	if got := target.Concurrency(Shape{Workers: 2}); got.Slots != 0 {
		t.Errorf("eventlet: %+v", got)
	}
}
