package targets

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advise/targets/hold"
	"advise/targets/mask"
	"advise/targets/targetstest"
)

// A pasted is a configuration as a user has it after pasting what advise says.
type pasted struct {
	need    string
	command string   // what the user has been starting; the program in it is the one needed
	dir     string   // folder of targets/testdata/apps with the application
	shape   Shape    // zero: three workers
	files   []string // name and text by turns; {NAME} in a text is the pasted file of that name
	check   string   // the server's own checker
	start   string   // the start with it; {line} is the pasted command
	workers int      // then; 0: three
	port    int      // that paste has filled in
}

var pastes = map[string]pasted{
	"gunicorn file": {
		need: "gunicorn", command: "gunicorn cost:app", dir: "wsgi",
		files: []string{"gunicorn.conf.py", "{gunicorn.conf.py}"},
		check: "gunicorn --check-config cost:app", start: "gunicorn -b 127.0.0.1:{port} cost:app",
	},
	"gunicorn line": {
		need: "gunicorn", command: "gunicorn -w 7 cost:app", dir: "wsgi", shape: Shape{Workers: 3, Threads: 2, Class: "gthread"},
		check: "{line} --check-config", start: "{line} -b 127.0.0.1:{port}",
	},
	"uvicorn":   {need: "uvicorn", command: "uvicorn app:app", dir: "asgi", start: "{line} --port {port}"},
	"hypercorn": {need: "hypercorn", command: "hypercorn app:app", dir: "asgi", start: "{line} -b 127.0.0.1:{port}"},
	"hypercorn file": {
		need: "hypercorn", command: "hypercorn -c hypercorn.toml app:app", dir: "asgi",
		files: []string{"hypercorn.toml", "{hypercorn.toml}"}, start: "hypercorn -c hypercorn.toml -b 127.0.0.1:{port} app:app",
	},
	"granian": {
		need: "pypi/granian", command: "granian --interface asgi app:app", dir: "asgi",
		files: []string{"env.sh", "export {environment}"}, start: "sh -c '. ./env.sh && exec {granian} --interface asgi --port {port} app:app'",
	},
	"uwsgi": {
		need: "uwsgi", command: "uwsgi --ini shop.ini", dir: "wsgi",
		files: []string{"shop.ini", "{shop.ini}master = true\nplugins = python3\nmodule = cost:app\nhttp-socket = 127.0.0.1:{port}\nauto-procname = true\n"},
		start: "uwsgi --ini shop.ini",
	},
	"uwsgi dynamic": {
		need: "uwsgi", command: "uwsgi --ini shop.ini", dir: "wsgi", shape: Shape{Workers: 5}, workers: 3,
		files: []string{
			"shop.ini",
			"{shop-dynamic.ini}master = true\nplugins = python3\nmodule = cost:app\nhttp-socket = 127.0.0.1:{port}\nauto-procname = true\n",
		},
		start: "uwsgi --ini shop.ini",
	},
	"nginx": {
		need: "nginx", command: "nginx -c {dir}/nginx.conf", dir: "static",
		files: []string{"nginx.conf", "{nginx.conf}daemon off;\npid {dir}/pid;\nerror_log stderr;\nevents {}\nhttp { server { listen 127.0.0.1:{port}; } }\n"},
		check: "nginx -t -c {dir}/nginx.conf", start: "nginx -c {dir}/nginx.conf",
	},
	"lighttpd": {
		need: "lighttpd", command: "lighttpd -f lighttpd.conf", dir: "static",
		files: []string{"lighttpd.conf", "{lighttpd.conf}server.port = {port}\nserver.bind = \"127.0.0.1\"\nserver.document-root = var.CWD\n"},
		check: "lighttpd -tt -f lighttpd.conf", start: "lighttpd -D -f lighttpd.conf",
	},
	"lighttpd alone": {
		need: "lighttpd", command: "lighttpd -f lighttpd.conf", dir: "static", shape: Shape{Workers: 1}, workers: 1,
		files: []string{"lighttpd.conf", "{lighttpd.conf}server.port = {port}\nserver.bind = \"127.0.0.1\"\nserver.document-root = var.CWD\n"},
		check: "lighttpd -tt -f lighttpd.conf", start: "lighttpd -D -f lighttpd.conf",
	},
	"php-fpm": {
		need: "php-fpm8.2", command: "php-fpm8.2 -y fpm.conf", dir: "php",
		files: []string{"fpm.conf", "{fpm.conf}user = www-data\nlisten = 127.0.0.1:{port}\n[global]\nerror_log = /dev/stderr\n"},
		check: "php-fpm8.2 -t -y fpm.conf", start: "php-fpm8.2 -F -y fpm.conf",
	},
	"php-fpm dynamic": {
		need: "php-fpm8.2", command: "php-fpm8.2 -y fpm.conf", dir: "php", shape: Shape{Workers: 7}, workers: 3,
		files: []string{"fpm.conf", "{fpm-dynamic.conf}user = www-data\nlisten = 127.0.0.1:{port}\n[global]\nerror_log = /dev/stderr\n"},
		check: "php-fpm8.2 -t -y fpm.conf", start: "php-fpm8.2 -F -y fpm.conf",
	},
	"apache prefork": {
		need: "apache2", command: "apache2 -f {dir}/apache.conf", dir: "php",
		files: []string{"apache.conf", apacheHead + "{mpm_prefork.conf}"},
		check: "apache2 -t -f {dir}/apache.conf", start: "apache2 -DFOREGROUND -f {dir}/apache.conf",
	},
	"apache prefork dynamic": {
		need: "apache2", command: "apache2 -f {dir}/apache.conf", dir: "php", shape: Shape{Workers: 6},
		files: []string{"apache.conf", apacheHead + "{mpm_prefork-dynamic.conf}"},
		check: "apache2 -t -f {dir}/apache.conf", start: "apache2 -DFOREGROUND -f {dir}/apache.conf",
	},
	"apache event": {
		need: "apache2", command: "apache2 -f {dir}/apache.conf", dir: "static", shape: Shape{Workers: 3, Threads: 5},
		files: []string{"apache.conf", strings.ReplaceAll(apacheHead, "prefork", "event") + "{mpm_event.conf}"},
		check: "apache2 -t -f {dir}/apache.conf", start: "apache2 -DFOREGROUND -f {dir}/apache.conf",
	},
	"puma": {
		need: "puma", command: "puma", dir: "rack", shape: Shape{Workers: 3, Threads: 2},
		files: []string{"config/puma.rb", "{config/puma.rb}"},
		check: "ruby -c config/puma.rb", start: "puma -b tcp://127.0.0.1:{port}",
	},
	"gunicorn shape": {
		need: "gunicorn", command: "gunicorn seen:app", dir: "seen", shape: Shape{Workers: 1, Threads: 3, Class: "gthread", Preload: PreloadOn}, workers: 1,
		files: []string{"gunicorn.conf.py", "{gunicorn.conf.py}"},
		check: "gunicorn --check-config seen:app", start: "gunicorn -b 127.0.0.1:{port} seen:app",
	},
	"gunicorn shape without": {
		need: "pypi/gunicorn", command: "gunicorn --preload --threads 4 seen:app", dir: "seen",
		shape: Shape{Workers: 1, Threads: 1, Class: "sync", Preload: PreloadOff}, workers: 1,
		check: "{line} --check-config", start: "{line} --no-control-socket -b 127.0.0.1:{port}",
	},
	"gunicorn shape in its file": {
		need: "gunicorn", command: "gunicorn -c on.conf.py seen:app", dir: "seen",
		shape: Shape{Workers: 1, Threads: 1, Class: "sync", Preload: PreloadOff}, workers: 1,
		files: []string{"on.conf.py", "preload_app = True\nthreads = 4\n{on.conf.py}"},
		check: "gunicorn -c on.conf.py --check-config seen:app", start: "gunicorn -c on.conf.py -b 127.0.0.1:{port} seen:app",
	},
	"granian shape": {
		need: "pypi/granian", command: "granian --interface wsgi seen:app", dir: "seen", shape: Shape{Workers: 1, Threads: 2}, workers: 1,
		start: "{line} --port {port}",
	},
	"uwsgi shape": {
		need: "uwsgi", command: "uwsgi --ini lazy.ini", dir: "seen", shape: Shape{Workers: 1, Threads: 1, Preload: PreloadOn}, workers: 1,
		files: []string{
			"lazy.ini",
			"[uwsgi]\nthreads = 4\nlazy-apps = true\n{lazy.ini}master = true\nplugins = python3\nmodule = seen:app\nhttp-socket = 127.0.0.1:{port}\nauto-procname = true\n",
		},
		start: "uwsgi --ini lazy.ini",
	},
	"uwsgi shape by options": {
		need: "uwsgi", command: "uwsgi --plugin python3 --master --auto-procname -p 7 -w seen:app", dir: "seen",
		shape: Shape{Workers: 1, Threads: 3, Preload: PreloadOff}, workers: 1, start: "{line} --http-socket 127.0.0.1:{port}",
	},
	"puma shape": {
		need: "puma", command: "puma", dir: "seen", shape: Shape{Workers: 1, Threads: 3, Preload: PreloadOn}, workers: 1,
		files: []string{"config/puma.rb", "{config/puma.rb}"}, check: "ruby -c config/puma.rb", start: "puma -b tcp://127.0.0.1:{port}",
	},
	"puma shape without": {
		need: "puma", command: "puma --preload -w 7 -t 5", dir: "seen", shape: Shape{Workers: 1, Threads: 2, Preload: PreloadOff}, workers: 1,
		files: []string{"config/puma.rb", "preload_app!\n{config/puma.rb}"}, check: "ruby -c config/puma.rb", start: "{line} -b tcp://127.0.0.1:{port}",
	},
	"unicorn shape": {
		need: "unicorn", command: "unicorn -c unicorn.rb", dir: "seen", shape: Shape{Workers: 1, Threads: 1, Preload: PreloadOff}, workers: 1,
		files: []string{"unicorn.rb", "preload_app true\n{unicorn.rb}"}, check: "ruby -c unicorn.rb", start: "unicorn -c unicorn.rb -l 127.0.0.1:{port}",
	},
	"unicorn": {
		need: "unicorn", command: "unicorn", dir: "rack",
		files: []string{"unicorn.rb", "{unicorn.rb}"},
		check: "ruby -c unicorn.rb", start: "{line} -l 127.0.0.1:{port}",
	},
	"node": {
		need: "node", command: "node server.js", dir: "node",
		files: []string{"cluster.js", "{cluster.js}"},
		check: "node --check cluster.js", start: "env PORT={port} {line}",
	},
	"pm2": {
		need: "node", command: "node server.js", dir: "node",
		files: []string{"cluster.js", "{cluster.js}", "ecosystem.config.js", "{ecosystem.config.js}"},
		check: "node -e 'const a=require(\"./ecosystem.config.js\").apps[0];if(a.instances!==3||a.exec_mode!==\"cluster\")process.exit(1)'",
		start: "env PORT={port} node cluster.js",
	},
}

const apacheHead = `LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
ServerName localhost
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/pid
ErrorLog /dev/stderr
Listen 127.0.0.1:{port}
`

// What advise says to paste passes the server's own checker, and a server that is started with it,
// without advise, comes to have as many workers, of the shape.
func TestServersConfig(t *testing.T) {
	for name, p := range pastes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p.shape.Workers == 0 {
				p.shape.Workers = 3
			}
			want := p.workers
			if want == 0 {
				want = 3
			}
			if strings.Contains(p.check, "ruby") {
				targetstest.Need(t, "ruby")
			}
			for range portAttempts {
				if !p.runs(t, want) {
					return
				}
			}
			t.Error("each of its ports was taken by somebody else")
		})
	}
}

// runs checks what is pasted and starts a server with it. The port is free when it is chosen, and nobody's
// until the server listens: it may be taken.
func (p pasted) runs(t *testing.T, want int) (taken bool) {
	t.Helper()
	c := p.paste(t)
	if p.check != "" {
		check := exec.Command("sh", "-c", p.check)
		check.Dir, check.Env = c.Dir, c.Env
		if out, err := check.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", p.check, err, out)
		}
	}
	words, ok := splitWords(p.start)
	if !ok {
		t.Fatalf("%q needs a shell", p.start)
	}
	log := filepath.Join(t.TempDir(), "log")
	tree, err := hold.Start(t.Context(), hold.Spec{Argv: words, Env: c.Env, Dir: c.Dir, Log: log, Limits: hold.Limits{Method: hold.None}})
	if err != nil {
		t.Fatal(err)
	}
	target, err := Recognise(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.Stop(context.Background(), target.Adapter.StopSignal(), 5*time.Second); err != nil {
			t.Error(err)
		}
	}()
	var workers []hold.Process
	answers := p.dir != "seen"
	for deadline := time.Now().Add(30 * time.Second); (len(workers) != want || !answers) && time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if addressTaken(tail(log, mask.Known{})) {
			return true
		}
		answers = answers || (Probe{}).ask(t.Context(), p.url(), time.Second).err == nil
		processes, err := tree.Processes()
		if err != nil {
			t.Fatal(err)
		}
		workers, _ = target.Adapter.Workers(processes, tree.PID())
	}
	if len(workers) != want || !answers {
		t.Fatalf("%d workers, want %d\n%s", len(workers), want, strings.Join(tail(log, mask.Known{}), "\n"))
	}
	if p.dir == "seen" {
		checkSeen(t, tree, p.url(), workers[0], p.shape)
	}
	return false
}

func (p *pasted) url() string { return fmt.Sprintf("http://127.0.0.1:%d", p.port) }

// paste makes a folder as the user's would be. It fills in the command, the checker and the start.
func (p *pasted) paste(t *testing.T) Command {
	t.Helper()
	r := realServer{need: p.need, command: p.command, app: p.dir}
	program := r.program(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p.port = port
	dir := targetstest.Copied(t, p.dir)
	fill := strings.NewReplacer("{dir}", dir, "{port}", fmt.Sprint(port), "{granian}", program)
	// Where the count belongs in a file, there has to be one before.
	for i := 0; i < len(p.files); i += 2 {
		stub := map[string]string{"fpm.conf": "[www]\n", "shop.ini": "[uwsgi]\n", "apache.conf": fill.Replace(p.files[i+1])}[p.files[i]]
		if p.dir == "seen" { // whose files say what the shape changes
			continue
		}
		put(t, filepath.Join(dir, p.files[i]), stub)
	}
	c := Command{Argv: replaceProgram(fill.Replace(p.command), program), Env: marked(t), Dir: dir}
	target, err := Recognise(c)
	if err != nil {
		t.Fatal(err)
	}
	line := ""
	texts := []string{}
	for _, f := range target.Adapter.Config(c, p.shape) {
		if f.Path == commandFile {
			line = strings.TrimSpace(f.Text)
		}
		texts = append(texts, "{"+f.Path+"}", f.Text)
	}
	pastes := strings.NewReplacer(texts...)
	for i := 0; i < len(p.files); i += 2 {
		put(t, filepath.Join(dir, p.files[i]), fill.Replace(pastes.Replace(p.files[i+1])))
	}
	lines := strings.NewReplacer("{line}", line)
	p.check, p.start = fill.Replace(lines.Replace(p.check)), fill.Replace(lines.Replace(p.start))
	return c
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// php-fpm refuses a dynamic pool in which these are not so.
func TestFPMRange(t *testing.T) {
	c := Command{Argv: []string{"php-fpm8.2", "-y", "php-fpm.conf"}, Dir: targetstest.App("php")}
	for n := 1; n <= 64; n++ {
		files := phpfpm{}.Config(c, Shape{Workers: n})
		values := map[string]int{}
		for line := range strings.Lines(files[1].Text) {
			key, value := fpmLine(strings.TrimSpace(line))
			values[key] = positive(value)
		}
		least, start, most := values["pm.min_spare_servers"], values["pm.start_servers"], values["pm.max_spare_servers"]
		if least < 1 || least > start || start > most || most > values["pm.max_children"] || values["pm.max_children"] != n {
			t.Errorf("%d workers: %v", n, values)
		}
	}
}
