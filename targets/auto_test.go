package targets

import (
	"os"
	"path/filepath"
	"testing"
)

// What is read was tried by starting each under taskset on one of two processors: nginx started two
// workers, %k became 2, Python's and Node's cpus() counted 2; availableParallelism() and Ruby's
// Etc.nprocessors counted 1.
func TestAuto(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		argv, env        []string
		reads            CPUCount // empty: the command does not count
	}{
		{"nginx", "nginx.conf", "worker_processes auto; events {}", []string{"nginx", "-c", "nginx.conf"}, nil, CountHost},
		{"nginx, a number", "nginx.conf", "worker_processes 4; events {}", []string{"nginx", "-c", "nginx.conf"}, nil, ""},
		{"uwsgi", "u.ini", "[uwsgi]\nworkers = %k\nmodule = app\n", []string{"uwsgi", "--ini", "u.ini"}, nil, CountHost},
		{"uwsgi, a number", "u.ini", "[uwsgi]\nworkers = 4\nmodule = app\n", []string{"uwsgi", "--ini", "u.ini"}, nil, ""},
		{"gunicorn", "gunicorn.conf.py", "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", []string{"gunicorn", "app:app"}, nil, CountHost},
		{"gunicorn, the affinity", "gunicorn.conf.py", "import os\nworkers = len(os.sched_getaffinity(0))\n", []string{"gunicorn", "app:app"}, nil, CountAffinity},
		{"gunicorn, the process", "gunicorn.conf.py", "import os\nworkers = os.process_cpu_count()\n", []string{"gunicorn", "app:app"}, nil, CountAffinity},
		{"gunicorn, told otherwise", "gunicorn.conf.py", "workers = os.cpu_count()\n", []string{"gunicorn", "-w", "3", "app:app"}, nil, ""},
		{"gunicorn, a comment", "gunicorn.conf.py", "# workers = os.cpu_count()\n", []string{"gunicorn", "app:app"}, nil, ""},
		{"node", "s.js", "const cluster = require('cluster'); for (const c of require('os').cpus()) cluster.fork();", []string{"node", "s.js"}, nil, CountHost},
		{"node, the affinity", "s.js", "for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();", []string{"node", "s.js"}, nil, CountAffinity},
		{"node without a cluster", "s.js", "console.log(os.cpus())", []string{"node", "s.js"}, nil, ""},
		{"puma", "config/puma.rb", "workers :auto\n", []string{"puma"}, nil, CountQuota},
		{"puma, by the environment", "", "", []string{"puma"}, []string{"WEB_CONCURRENCY=auto"}, CountQuota},
		{"puma, Ruby's", "config/puma.rb", "workers Etc.nprocessors\n", []string{"puma"}, nil, CountAffinity},
		{"puma, Rails 7.1", "config/puma.rb", "worker_count = Integer(ENV.fetch(\"WEB_CONCURRENCY\") { Concurrent.physical_processor_count })\n", []string{"puma"}, nil, CountHost},
		{"puma, told otherwise", "config/puma.rb", "workers :auto\n", []string{"puma", "-w", "2"}, nil, ""},
		{"uvicorn has none", "", "", []string{"uvicorn", "app:app"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				path := filepath.Join(dir, c.file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			target, err := Recognise(Command{Argv: c.argv, Env: c.env, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			a, ok := target.Auto()
			if ok != (c.reads != "") || ok && (a.Reads != c.reads || a.Setting == "") {
				t.Errorf("%+v, %t, want it to read %q", a, ok, c.reads)
			}
		})
	}
}
