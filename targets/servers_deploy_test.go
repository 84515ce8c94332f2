package targets

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"advise/targets/hold"
	"advise/targets/mask"
	"advise/targets/targetstest"
)

// A deployed is a server as its user has been starting it, with another count than the one recommended
// said wherever it can be, and with what conflicts with that in its file.
type deployed struct {
	need    string
	command string // {dir}, {port}
	app     string
	env     []string
	shape   Shape             // zero: three workers
	files   map[string]string // the user's own; {dir}, {port}
	into    map[string]string // the user's file for one to paste that is called otherwise
	unit    []string          // what the unit says
}

var deploys = map[string]deployed{
	"gunicorn": {
		need: "gunicorn", command: "gunicorn -D -b 127.0.0.1:{port} --name shop cost:app", app: "wsgi",
		files: map[string]string{"gunicorn.conf.py": "workers = 7\n"}, unit: []string{" -w 3 "},
	},
	"gunicorn by a variable": {
		need: "pypi/gunicorn", command: "gunicorn --no-control-socket -b 127.0.0.1:{port} cost:app", app: "wsgi",
		env:  []string{"GUNICORN_CMD_ARGS=-w 7 --threads 2"},
		unit: []string{"\nEnvironment=\"GUNICORN_CMD_ARGS=-w 3 --threads 2\"\n", "\nExecStart={program} --no-control-socket -b "},
	},
	"gunicorn by WEB_CONCURRENCY": {
		need: "gunicorn", command: "gunicorn -b 127.0.0.1:{port} cost:app", app: "wsgi", env: []string{"WEB_CONCURRENCY=7"},
		unit: []string{"\nEnvironment=WEB_CONCURRENCY=3\n"},
	},
	"uvicorn": {
		need: "uvicorn", command: "uvicorn --reload --port {port} app:app", app: "asgi", unit: []string{" --workers 3 "},
	},
	"uvicorn by a variable": {
		need: "pypi/uvicorn", command: "uvicorn --port {port} app:app", app: "asgi", env: []string{"UVICORN_WORKERS=7"},
		unit: []string{"\nEnvironment=UVICORN_WORKERS=3\n", "\nExecStart={program} --port "},
	},
	"hypercorn": {need: "hypercorn", command: "hypercorn -D -w 7 -b 127.0.0.1:{port} app:app", app: "asgi", unit: []string{" -w 3 "}},
	"granian": {
		need: "pypi/granian", command: "granian --interface asgi --port {port} app:app", app: "asgi", env: []string{"GRANIAN_WORKERS=7"},
		unit: []string{"\nEnvironment=GRANIAN_WORKERS=3\n", "\nExecStart={program} --interface "},
	},
	"waitress": {need: "waitress-serve", command: "waitress-serve --listen=127.0.0.1:{port} cost:app", app: "wsgi", unit: []string{" --threads 3 "}},
	"uwsgi": {
		need: "uwsgi", command: "uwsgi --ini shop.ini", app: "wsgi", shape: Shape{Workers: 1},
		files: map[string]string{"shop.ini": uwsgiCost + "cheaper = 2\ncheaper-initial = 4\nworkers = 7\n"},
		unit:  []string{"# the count is in shop.ini: workers = 1; cheaper = 0\n", "\nKillSignal=SIGINT\n"},
	},
	"uwsgi by options": {
		need:    "uwsgi",
		command: "uwsgi --plugin python3 --master --auto-procname --http-socket 127.0.0.1:{port} --cheaper 4 -p 7 -d /nowhere/log -w cost:app",
		app:     "wsgi", unit: []string{" -p 3 "},
	},
	"nginx": {
		need: "nginx", command: "nginx -c {dir}/own.conf", app: "static",
		files: map[string]string{"own.conf": "worker_processes 7;\nworker_cpu_affinity 1 10 1 10 1 10 1;\n" + nginxRest},
		unit:  []string{"# the count is in own.conf: worker_processes 3\n", ` -g "daemon off;"`},
	},
	"nginx by -g": {
		need: "nginx", command: "nginx -c {dir}/own.conf -g 'worker_processes 7;'", app: "static", files: map[string]string{"own.conf": nginxRest},
		unit: []string{` -g "worker_processes 3; daemon off;"`},
	},
	"lighttpd": {
		need: "lighttpd", command: "lighttpd -f own.conf", app: "static",
		files: map[string]string{"own.conf": "server.max-worker = 7\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\nserver.document-root = var.CWD\n"},
		unit:  []string{"# the count is in own.conf: server.max-worker = 3\n", " -D "},
	},
	"apache prefork": {
		need: "apache2", command: "apache2 -f own.conf -k start", app: "php", into: map[string]string{"mpm_prefork.conf": "own.conf"},
		files: map[string]string{"own.conf": apacheHead + "<IfModule mpm_prefork_module>\nServerLimit 9\nStartServers 5\nMinSpareServers 6\nMaxSpareServers 8\nMaxRequestWorkers 7\n</IfModule>\n"},
		unit:  []string{"# the count is in mpm_prefork.conf: ServerLimit 3; ", " -D FOREGROUND "},
	},
	"apache event": {
		need: "apache2", command: "apache2 -f {dir}/own.conf", app: "static", shape: Shape{Workers: 3, Threads: 5}, into: map[string]string{"mpm_event.conf": "own.conf"},
		files: map[string]string{"own.conf": strings.ReplaceAll(apacheHead, "prefork", "event") +
			"<IfModule mpm_event_module>\nServerLimit 7\nStartServers 5\nThreadLimit 4\nThreadsPerChild 4\nMaxRequestWorkers 28\n</IfModule>\n"},
		unit: []string{"MaxRequestWorkers 15\n"},
	},
	"php-fpm": {
		need: "php-fpm8.2", command: "php-fpm8.2 -D -y own.conf", app: "php",
		files: map[string]string{"own.conf": `[global]
error_log = /dev/stderr
process.max = 2
[www]
user = www-data
listen = 127.0.0.1:{port}
pm = dynamic
pm.max_children = 9
pm.start_servers = 6
pm.min_spare_servers = 5
pm.max_spare_servers = 8
`},
		unit: []string{"# the count is in own.conf: process.max = 3; pm = static; pm.max_children = 3\n", " -F "},
	},
	"puma": {
		need: "puma", command: "puma -b tcp://127.0.0.1:{port}", app: "rack", files: map[string]string{"config/puma.rb": "workers 7\nthreads 1, 2\n"},
		unit: []string{" -w 3 "},
	},
	"puma by WEB_CONCURRENCY": {
		need: "puma", command: "puma -b tcp://127.0.0.1:{port}", app: "rack", env: []string{"WEB_CONCURRENCY=7", "RAILS_MAX_THREADS=2"},
		files: map[string]string{"config/puma.rb": "workers ENV.fetch('WEB_CONCURRENCY') { 5 }\n"},
		unit:  []string{"\nEnvironment=WEB_CONCURRENCY=3\n", "\nEnvironment=RAILS_MAX_THREADS=2\n"},
	},
	"unicorn": {
		need: "unicorn", command: "unicorn -D -c u.rb -l 127.0.0.1:{port}", app: "rack",
		files: map[string]string{"u.rb": "worker_processes 7\ntimeout 30\n"},
		unit:  []string{"# the count is in u.rb: worker_processes 3\n", "\nKillSignal=SIGQUIT\n"},
	},
	"unicorn without a file": {
		need: "unicorn", command: "unicorn -l 127.0.0.1:{port}", app: "rack", files: map[string]string{"unicorn.rb": ""},
		unit: []string{"# the count is in unicorn.rb"},
	},
	"node":            {need: "node", command: "node server.js", app: "node", unit: []string{"# the count is in cluster.js"}},
	"node own master": {need: "node", command: "env WEB_CONCURRENCY=7 node server.js", app: "cluster", unit: []string{"\nEnvironment=WEB_CONCURRENCY=3\n"}},
	"command": { // which at n workers has 2 to the power of n-1 processes
		need: "python3", command: "python3 serve.py {port} {workers}", app: "seen", shape: Shape{Workers: 2},
		files: map[string]string{"serve.py": server}, unit: []string{" 2\n"},
	},
}

const (
	uwsgiCost = "[uwsgi]\nmaster = true\nplugins = python3\nmodule = cost:app\nhttp-socket = 127.0.0.1:{port}\nauto-procname = true\n"
	nginxRest = "pid {dir}/pid;\nerror_log stderr;\nevents {}\nhttp { server { listen 127.0.0.1:{port}; } }\n"
)

// What advise says to paste, into files that say otherwise, and each of the ways it says to start the
// server elsewhere, from no more of the environment than a record keeps: systemd accepts the unit, and
// the server comes to have the number of workers.
func TestServersDeploy(t *testing.T) {
	for name, d := range deploys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targetstest.Need(t, "systemd-analyze")
			if d.shape.Workers == 0 {
				d.shape.Workers = 3
			}
			p := d.prepare(t)
			files := p.target.Paste(d.shape, Budget{Cores: 1.5, Memory: 512_000_000}).Deploy
			if len(files) != 3 || files[0].Path != p.target.Adapter.Name()+".service" || files[1].Path != "Procfile" || files[2].Path != "Dockerfile" {
				t.Fatalf("got %+v", files)
			}
			unit := files[0].Text
			for _, want := range append([]string{"\nCPUQuota=150%\n", "\nMemoryMax=512000000\n"}, d.unit...) {
				if want = strings.ReplaceAll(want, "{program}", p.program); !strings.Contains(unit, want) {
					t.Errorf("no %q in\n%s", want, unit)
				}
			}
			verified(t, map[string]string{"it.service": unit})
			for i := 0; i < len(p.config); i++ {
				p.paste(t, d, p.config[i])
			}
			words, env := readUnit(t, unit)
			p.runs(t, "the unit", d, words, append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
			line, ok := strings.CutPrefix(strings.TrimSpace(files[1].Text), "web: ")
			if !ok {
				t.Errorf("the Procfile is %q", files[1].Text)
			}
			p.runs(t, "the Procfile", d, []string{"sh", "-c", line}, []string{"PATH=" + p.path})
			cmd := strings.TrimPrefix(strings.TrimSpace(files[2].Text), "CMD ")
			if words, ok := execForm(cmd); ok {
				p.runs(t, "the Dockerfile", d, words, []string{"PATH=" + p.path})
			} else {
				p.runs(t, "the Dockerfile", d, []string{"sh", "-c", cmd}, []string{"PATH=" + p.path})
			}
			// What is first to be pasted does it alone.
			own := foreground{argv: p.target.Command.Argv}
			if f, ok := p.target.Adapter.(foregrounder); ok {
				own = f.foreground(p.target.Command)
			}
			switch first := p.config[0]; first.Path {
			case commandFile, "cluster.js", "unicorn.rb": // as in the Procfile
			case environmentFile:
				set, _ := splitWords(first.Text)
				p.runs(t, "the variable", d, bare(own.argv), append(set, "PATH="+p.path))
			default:
				p.runs(t, "the file", d, own.argv, append(d.env, "PATH="+p.path))
			}
		})
	}
}

// A preparation is a folder with the user's files, and the target as a record has it.
type preparation struct {
	target        *Target
	config        []File
	port          int
	program, path string
	mark          string
}

func (d deployed) prepare(t *testing.T) *preparation {
	t.Helper()
	found := realServer{need: d.need}.program(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	env := marked(t)
	path, _ := getenv(env, "PATH")
	mark, _ := getenv(env, "ADVISE_TEST_MARK")
	p := &preparation{port: port, path: path, mark: "ADVISE_TEST_MARK=" + mark}
	if filepath.IsAbs(found) {
		p.path = filepath.Dir(found) + ":" + path
	}
	dir := targetstest.Copied(t, d.app)
	fill := strings.NewReplacer("{dir}", dir, "{port}", fmt.Sprint(port))
	for name, text := range d.files {
		put(t, filepath.Join(dir, name), fill.Replace(text))
	}
	words, ok := splitWords(fill.Replace(d.command))
	if !ok {
		t.Fatalf("%q needs a shell", d.command)
	}
	env = append(setenv(env, "PATH", p.path), d.env...)
	given, err := Recognise(Command{Argv: words, Env: env, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	program, variables := given.Kept()
	p.program = program
	// A record has no more than this.
	p.target, err = ForAdapter(given.Adapter.Name(), Command{Argv: given.Command.Argv, Dir: dir, Env: variables, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	p.config = p.target.Adapter.Config(p.target.Command, d.shape)
	return p
}

// verified fails the test unless systemd accepts a service and its drop-ins.
func verified(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	verify := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, "it.service"))
	if out, err := verify.CombinedOutput(); err != nil || strings.Contains(string(out), "it.service") {
		t.Errorf("systemd-analyze verify: %v\n%s\n%v", err, out, files)
	}
}

// readUnit is what systemd would start, and the variables it would set. The quoting is that of a shell,
// as far as it is used.
func readUnit(t *testing.T, unit string) (words, env []string) {
	t.Helper()
	plain := strings.NewReplacer("%%", "%", "$$", "$")
	for line := range strings.Lines(unit) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key != "Environment" && key != "ExecStart" {
			continue
		}
		read, ok := splitWords(plain.Replace(value))
		if !ok {
			t.Fatalf("%q can't be read", value)
		}
		if key == "ExecStart" {
			words = read
		} else {
			env = append(env, read...)
		}
	}
	if len(words) == 0 || !filepath.IsAbs(words[0]) {
		t.Errorf("the unit starts %q, which is no path", words)
	}
	return words, env
}

var setting = regexp.MustCompile(`^\s*([A-Za-z_][\w.-]*!?)(?:\s*=|[\s(]|$)`)

// paste puts a text into the user's file as a reader would: a key that is there gets the new value, and
// another one is added behind what was pasted before it, or in the section that the text names.
func (p *preparation) paste(t *testing.T, d deployed, f File) {
	t.Helper()
	if f.Path == commandFile || f.Path == environmentFile || strings.Contains(f.Path, "-dynamic") {
		return
	}
	name := f.Path
	if other := d.into[name]; other != "" {
		name = other
	}
	path := filepath.Join(p.target.Command.Dir, name)
	old, err := readSmall(path)
	if err != nil || !slices.ContainsFunc(strings.Split(string(old), "\n"), setting.MatchString) {
		put(t, path, f.Text)
		return
	}
	lines := strings.Split(strings.TrimRight(string(old), "\n"), "\n")
	at := len(lines)
	for line := range strings.Lines(f.Text) {
		line = strings.TrimRight(line, "\n")
		bare := strings.TrimSpace(line)
		m := setting.FindStringSubmatch(line)
		switch {
		case bare == "" || bare[0] == '#' || bare[0] == ';' || strings.HasPrefix(bare, "</"):
		case bare[0] == '[' || bare[0] == '<':
			at = slices.Index(lines, bare) + 1
			if at == 0 {
				t.Fatalf("%s: no %s in it", name, bare)
			}
		case m == nil:
			t.Fatalf("%s: %q is no setting", name, line)
		default:
			was := slices.IndexFunc(lines, func(l string) bool {
				of := setting.FindStringSubmatch(l)
				return of != nil && of[1] == m[1]
			})
			if was >= 0 {
				lines[was] = line
				continue
			}
			lines = slices.Insert(lines, at, line)
			at++
		}
	}
	put(t, path, strings.Join(lines, "\n")+"\n")
}

// runs starts the server and waits until it has its workers.
func (p *preparation) runs(t *testing.T, how string, d deployed, words, env []string) {
	t.Helper()
	env = append(slices.Clone(env), p.mark, fmt.Sprintf("PORT=%d", p.port), "HOST=127.0.0.1")
	words = replaceAll(words, strings.NewReplacer("{port}", fmt.Sprint(p.port), "{workers}", fmt.Sprint(d.shape.Workers), "${PORT}", fmt.Sprint(p.port)))
	log := filepath.Join(t.TempDir(), "log")
	tree, err := hold.Start(t.Context(), hold.Spec{Argv: words, Env: env, Dir: p.target.Command.Dir, Log: log, Limits: hold.Limits{Method: hold.None}})
	if err != nil {
		t.Fatalf("%s: %q: %v", how, words, err)
	}
	defer func() {
		if err := tree.Stop(context.Background(), p.target.Adapter.StopSignal(), 5*time.Second); err != nil {
			t.Error(err)
		}
	}()
	seen, times := 0, 0
	for deadline := time.Now().Add(30 * time.Second); times < 3 && time.Now().Before(deadline); {
		processes, err := tree.Processes()
		if err != nil {
			t.Fatal(err)
		}
		seen = p.count(processes, tree.PID())
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.port), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		if times++; err != nil || seen != d.shape.Workers {
			times = 0
		}
	}
	if _, ended := tree.Exit(); ended {
		t.Errorf("%s: %q has left for the background", how, words)
	}
	if times < 3 {
		t.Errorf("%s: %q has %d workers, want %d\n%s", how, words, seen, d.shape.Workers, strings.Join(tail(log, mask.Known{}), "\n"))
	}
}

// count is of threads where these are the workers, and of children where nothing more is known.
func (p *preparation) count(tree []hold.Process, root int) int {
	workers, ok := p.target.Adapter.Workers(tree, root)
	if ok {
		return len(workers)
	}
	n := 0
	for _, process := range tree {
		switch {
		case strings.Contains(process.Title, "waitress"):
			n = process.Threads - 1
		case strings.Contains(process.Title, "serve.py") && !strings.HasPrefix(process.Title, "sh "):
			n++
		}
	}
	return n
}

// A server that runs with its distribution's own file has a unit already: beside that go the limits, and
// where the count is.
func TestDeployPackaged(t *testing.T) {
	for name, unit := range map[string]string{"nginx": "nginx", "apache2": "apache2", "php-fpm8.2": "php8.2-fpm", "lighttpd": "lighttpd"} {
		t.Run(name, func(t *testing.T) {
			targetstest.Need(t, name, "systemd-analyze")
			target, err := Recognise(Command{Argv: []string{name}, Env: marked(t), Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			files := target.Paste(Shape{Workers: 3}, Budget{Cores: 1.5, Memory: 512_000_000}).Deploy
			if len(files) != 3 || files[0].Path != target.Adapter.Name()+"-limits.conf" {
				t.Fatalf("got %+v", files)
			}
			for _, want := range []string{
				"# as /etc/systemd/system/" + unit + ".service.d/limits.conf\n", "# the count is in ", "CPUQuota=150%\n", "MemoryMax=512000000\n",
			} {
				if !strings.Contains(files[0].Text, want) {
					t.Errorf("no %q in\n%s", want, files[0].Text)
				}
			}
			verified(t, map[string]string{"it.service": "[Service]\nExecStart=/bin/true\n", "it.service.d/limits.conf": files[0].Text})
			var words []string
			cmd := strings.TrimPrefix(files[2].Text, "CMD ")
			stays := map[string]string{"nginx": "daemon off;", "apache2": "FOREGROUND", "php-fpm8.2": "-F", "lighttpd": "-D"}[name]
			if json.Unmarshal([]byte(cmd), &words) == nil && !slices.Contains(words, stays) || !strings.Contains(cmd, stays) {
				t.Errorf("it does not stay in the foreground: %s", cmd)
			}
		})
	}
}

// A secret in a variable comes into no file, and the count is still said.
func TestKeptIsMasked(t *testing.T) {
	env := []string{"GUNICORN_CMD_ARGS=-w 7 --env API_TOKEN=hush", "WEB_CONCURRENCY=hush", "DATABASE_PASSWORD=hush", "RAILS_MAX_THREADS=4"}
	given, err := Recognise(Command{Argv: []string{"gunicorn", "app:app"}, Env: env, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, variables := given.Kept()
	if want := []string{"GUNICORN_CMD_ARGS='" + `-w 7 --env API_TOKEN=***` + "'"}; len(variables) != 1 || strings.Contains(variables[0], "hush") || !strings.HasPrefix(variables[0], want[0][:18]) {
		t.Errorf("kept %q", variables)
	}
	again, err := ForAdapter("gunicorn", Command{Argv: given.Command.Argv, Env: variables, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	p := again.Paste(Shape{Workers: 3}, Budget{})
	files := slices.Concat(p.Config, p.Deploy)
	if first, want := files[0], "# API_TOKEN holds a secret: set it in the environment\nGUNICORN_CMD_ARGS='-w 3 --env API_TOKEN='\"${API_TOKEN:?}\"\n"; first.Path != environmentFile || first.Text != want {
		t.Errorf("to paste: %+v", first)
	}
	for _, f := range files {
		if f.Path == "gunicorn.service" && (!strings.Contains(f.Text, "# GUNICORN_CMD_ARGS holds a secret") || strings.Contains(f.Text, mask.Mark)) {
			t.Errorf("the unit is\n%s", f.Text)
		}
	}
}
