package cmd_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A folder that somebody else wrote is looked at and nothing more: a dry run in it ends with a plan or with a
// message, runs nothing that is in it or that it names, writes nothing, and prints nothing that a terminal obeys.
func TestFaultsProjects(t *testing.T) {
	home, scratch, canary := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "canary")
	t.Setenv("HOME", home)
	t.Setenv("PATH", spies(t, canary))
	kinds := slices.Sorted(maps.Keys(hostilities))
	for n := range hostileProjects.now() {
		kind := kinds[n%len(kinds)]
		tried(t, n, "projects", kind, func(t *testing.T, r *rand.Rand) {
			root := t.TempDir()
			t.Setenv("TMPDIR", scratch) // which the case's own folders are not in
			p := &project{t: t, r: r, dir: filepath.Join(root, "shop"), canary: canary}
			hostilities[kind](p)
			if err := os.MkdirAll(p.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir(p.dir)
			before := tree(t, root)
			for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "--json"}, {"--dry-run", "--threads", "1,2"}} {
				run := runs
				if p.endless {
					run = runsAlone
				}
				o := run(t, root, args...)
				if !slices.Contains([]int{0, 1, 3, 4}, o.code) || o.code != 0 && !strings.HasPrefix(o.stderr, "advise: ") {
					t.Errorf("want a plan or a message: %s", o)
				}
				checkStreams(t, o)
				if text, err := os.ReadFile(canary); err == nil {
					t.Errorf("a dry run ran something: %s%s", text, o)
					remove(t, canary)
				}
			}
			checkUntouched(t, before, tree(t, root), false)
			checkUntouched(t, map[string]string{}, withoutRoot(tree(t, home)), false)
			checkUntouched(t, map[string]string{}, withoutRoot(tree(t, scratch)), false)
		})
	}
}

func withoutRoot(paths map[string]string) map[string]string {
	delete(paths, "")
	return paths
}

// spies is a folder of programs, by the names of all that could start a server or ask for a version, that write
// down that they were run.
func spies(t *testing.T, canary string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range strings.Fields(`gunicorn uvicorn hypercorn granian waitress-serve uwsgi puma unicorn rackup rails bundle ruby node npm npx
		yarn pnpm bun deno php php-fpm php-fpm8.2 nginx apache2 apachectl httpd lighttpd python python3 python3.11 poetry pipenv uv flask
		fastapi django-admin sh bash dash env docker docker-compose podman ssh make curl touch cat git direnv nproc java caddy`) {
		path := filepath.Join(dir, name)
		write(t, path, fmt.Sprintf("#!/bin/sh\necho \"$0 $*\" >>'%s'\n", canary))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A project is a folder to be written as one that somebody hostile wrote.
type project struct {
	t       *testing.T
	r       *rand.Rand
	dir     string
	canary  string
	endless bool // it may take more memory than this process has
}

func (p *project) file(name, text string) { p.t.Helper(); write(p.t, filepath.Join(p.dir, name), text) }

// goodFiles are files that detection reads, each enough for a server to be found.
var goodFiles = map[string]string{
	"Procfile":           "web: gunicorn -w 4 app:app\nworker: celery -A app worker\n",
	"Dockerfile":         "FROM python:3.11\nENV A=1\nWORKDIR /srv\nCMD [\"gunicorn\", \"-w\", \"4\", \"app:app\"]\n",
	"compose.yml":        "services:\n  web:\n    build: .\n    environment:\n      A: '1'\n    command: gunicorn -w ${W:-3} app:app\n",
	"docker-compose.yml": "services:\n  web:\n    command:\n      - uvicorn\n      - app:app\n",
	"package.json":       "{\"name\": \"shop\", \"scripts\": {\"start\": \"node server.js\"}, \"dependencies\": {\"express\": \"4\"}}\n",
	"gunicorn.conf.py":   "workers = 3\nwsgi_app = 'app:app'\nbind = '0.0.0.0:80'\n",
	"config/puma.rb":     "workers 3\nthreads 1, 5\npreload_app!\n",
	"config/unicorn.rb":  "worker_processes 3\n",
	"config.ru":          "run App\n",
	"manage.py":          "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
	"uwsgi.ini":          "[uwsgi]\nmodule = app:app\nprocesses = 4\n",
	"app.py":             "from flask import Flask\napp = Flask(__name__)\n",
	"wsgi.py":            "application = 1\n",
	"asgi.py":            "application = 1\n",
	"main.py":            "from fastapi import FastAPI\napp = FastAPI()\n",
	"server.js":          "require('http')\n",
	".env":               "W=3\n",
	"Gemfile":            "gem 'unicorn'\n",
	"nginx.conf":         "events {}\nhttp { server { listen 80; } }\n",
	"start.sh":           "#!/bin/sh\nexec gunicorn app:app\n",
}

var goodNames = slices.Sorted(maps.Keys(goodFiles))

// needs are the files that make another one count.
var needs = map[string][]string{"manage.py": {"wsgi.py"}, "config/puma.rb": {"config.ru"}, "config/unicorn.rb": {"config.ru"}, "compose.yml": {".env"}}

// one writes one of the good files, as change has it, and those that it needs.
func (p *project) one(change func(name, text string) string) {
	name := pick(p.r, goodNames)
	for _, other := range needs[name] {
		p.file(other, goodFiles[other])
	}
	p.file(name, change(name, goodFiles[name]))
}

// says writes a command in each of the ways in which a file says how a server starts.
func (p *project) says(command string) {
	quoted := fmt.Sprintf("%q", command)
	switch p.r.IntN(7) {
	case 0:
		p.file("Procfile", "web: "+command+"\n")
	case 1:
		p.file("Dockerfile", "FROM x\nCMD "+command+"\n")
	case 2:
		words := strings.Fields(command)
		for i, w := range words {
			words[i] = fmt.Sprintf("%q", w)
		}
		p.file("Dockerfile", "FROM x\nCMD ["+strings.Join(words, ", ")+"]\n")
	case 3:
		p.file("compose.yml", "services:\n  web:\n    command: "+quoted+"\n")
	case 4:
		p.file("package.json", `{"scripts": {"start": `+quoted+`}}`)
	case 5:
		p.file("Procfile", "web: sh -c "+quoted+"\n")
	case 6:
		p.file("Procfile", "web: ./start.sh\n")
		p.file("start.sh", "#!/bin/sh\nset -e\n"+command+"\n")
	}
}

// escaped is a hostile text as it can be written in a file of JSON, YAML or Python between double quotes.
func escaped(text string) string {
	quoted := fmt.Sprintf("%+q", text)
	quoted = strings.NewReplacer(`\a`, `\u0007`, `\v`, `\u000b`, `\x`, `\u00`).Replace(quoted)
	return quoted[1 : len(quoted)-1]
}

// injections are words that a shell would act on.
func (p *project) injection() string {
	c := "touch " + p.canary
	return pick(p.r, []string{
		"$(" + c + ")", "`" + c + "`", "; " + c, "&& " + c, "| " + c, "|| " + c, "& " + c + " &", "\n" + c + "\n", "> " + p.canary, "$(<" + p.canary + ")", "<(" + c + ")",
		"'; " + c + "; '", "\"; " + c + "; \"", "${X:-$(" + c + ")}", "$((`" + c + "`))", "--config $(" + c + ")", "-c 'import os; os.system(\"" + c + "\")'", "2>&1 | tee " + p.canary,
		"eval \"" + c + "\"", "exec " + c, "{port}$(" + c + ")", "A=$(" + c + ")", ". ./evil.sh", "%(" + c + ")s",
	})
}

var servers = []string{
	"gunicorn app:app", "uvicorn app:app", "hypercorn app:app", "granian app:app", "waitress-serve app:app", "uwsgi --http :80 --module app:app", "puma", "unicorn", "bundle exec puma",
	"node server.js", "npm start", "php-fpm", "php-fpm8.2 -F", "nginx -c n.conf", "apache2 -D FOREGROUND", "lighttpd -D -f l.conf", "python manage.py runserver", "flask run", "./gunicorn app:app",
	"../gunicorn app:app", "python3 -m gunicorn app:app", "env A=1 gunicorn app:app", "poetry run gunicorn app:app", "uv run uvicorn app:app", "exec gunicorn app:app", "rails server",
}

var hostilities = map[string]func(p *project){
	"nothing": func(p *project) { p.one(func(_, text string) string { return text }) },
	"all at once": func(p *project) {
		for name, text := range goodFiles {
			p.file(name, text)
		}
	},
	"flipped bits": func(p *project) { p.one(func(_, text string) string { return string(flipBits(p.r, []byte(text))) }) },
	"cut":          func(p *project) { p.one(func(_, text string) string { return text[:p.r.IntN(len(text))] }) },
	"random bytes": func(p *project) {
		p.one(func(_, text string) string {
			return string(putIn(func(r *rand.Rand) string { return randomBytes(r, 40) })(p.r, []byte(text)))
		})
	},
	"doubled": func(p *project) { p.one(func(_, text string) string { return strings.Repeat(text, 1+p.r.IntN(200)) }) },
	"hostile text within": func(p *project) {
		p.one(func(_, text string) string {
			return string(putIn(func(r *rand.Rand) string { return pick(r, hostileTexts) })(p.r, []byte(text)))
		})
	},
	"hostile text for a word": func(p *project) {
		p.one(func(_, text string) string {
			words := strings.Fields(text)
			return strings.Replace(text, pick(p.r, words), pick(p.r, hostileTexts), 1)
		})
	},
	"hostile arguments": func(p *project) { p.says(pick(p.r, servers) + " --name " + pick(p.r, hostileTexts)) },
	"hostile escaped arguments": func(p *project) {
		p.file("Dockerfile", `FROM x`+"\n"+`CMD ["gunicorn", "--name", "`+escaped(pick(p.r, hostileTexts))+`", "app:app"]`+"\n")
	},
	"hostile escaped scripts": func(p *project) {
		p.file("package.json", `{"scripts": {"start": "node `+escaped(pick(p.r, hostileTexts))+` server.js"}}`)
	},
	"hostile escaped services": func(p *project) {
		p.file("compose.yml", "services:\n  \"w"+escaped(pick(p.r, hostileTexts))+"\":\n    command: \"gunicorn app:app --name "+escaped(pick(p.r, hostileTexts))+"\"\n")
	},
	"hostile variables": func(p *project) {
		p.file("compose.yml", "services:\n  web:\n    environment:\n      \"A"+escaped(pick(p.r, hostileTexts))+"\": \""+escaped(pick(p.r, hostileTexts))+"\"\n    command: gunicorn app:app\n")
	},
	"hostile folders": func(p *project) {
		p.dir = filepath.Join(filepath.Dir(p.dir), fileNamed(pick(p.r, hostileTexts)))
		p.one(func(_, text string) string { return text })
	},
	"hostile folders below": func(p *project) {
		below := fileNamed(pick(p.r, hostileTexts))
		p.file(filepath.Join(below, "app.py"), goodFiles["app.py"])
		p.file(filepath.Join(below, "Procfile"), goodFiles["Procfile"])
		p.file(filepath.Join(below, "__init__.py"), "")
	},
	"hostile names": func(p *project) {
		name := fileNamed(pick(p.r, hostileTexts))
		p.file(name+".py", goodFiles["app.py"])
		p.file(name+".sh", goodFiles["start.sh"])
		p.says("./'" + name + ".sh'")
	},
	"injections":          func(p *project) { p.says(pick(p.r, servers) + " " + p.injection()) },
	"injections in front": func(p *project) { p.says(strings.TrimLeft(p.injection(), "&|;") + " && " + pick(p.r, servers)) },
	"injected variables": func(p *project) {
		p.file(".env", "W="+p.injection()+"\n")
		p.file("compose.yml", goodFiles["compose.yml"])
	},
	"injected settings": func(p *project) {
		p.file("gunicorn.conf.py", "import os\nos.system('touch "+p.canary+"')\nworkers = __import__('os').system('touch "+p.canary+"')\n")
		p.file("app.py", "import os\nos.system('touch "+p.canary+"')\nfrom flask import Flask\napp = Flask(__name__)\n")
		p.file("sitecustomize.py", "import os\nos.system('touch "+p.canary+"')\n")
	},
	"programs of the folder": func(p *project) {
		for _, name := range []string{"gunicorn", "node", "puma", "bin/puma", "bin/rails", "node_modules/.bin/next", "venv/bin/gunicorn", ".venv/bin/gunicorn", "../gunicorn"} {
			p.file(name, "#!/bin/sh\ntouch '"+p.canary+"'\n")
			if err := os.Chmod(filepath.Join(p.dir, name), 0o755); err != nil {
				p.t.Fatal(err)
			}
		}
		p.says(pick(p.r, []string{"./gunicorn app:app", "../gunicorn app:app", "venv/bin/gunicorn app:app", ".venv/bin/gunicorn app:app", "bin/puma", "./node server.js", "gunicorn app:app", "PATH=. gunicorn app:app"}))
	},
	"known servers": func(p *project) { p.says(pick(p.r, servers)) },
	"commands that lead elsewhere": func(p *project) {
		p.says(pick(p.r, []string{"ssh h ", "docker run -p 80:80 x ", "kubectl exec p -- ", "sudo -u nobody ", "xargs ", "strace -f ", "flock l ", "nsenter -t 1 ", "script -c ", "perf stat ", "podman run x "}) + pick(p.r, servers))
	},
	"scripts in a circle": func(p *project) {
		p.file("package.json", `{"scripts": {"start": "npm run b", "b": "npm run c", "c": "npm start"}}`)
		p.file("Procfile", "web: ./a.sh\n")
		p.file("a.sh", "#!/bin/sh\nexec ./b.sh\n")
		p.file("b.sh", "#!/bin/sh\nexec ./a.sh\n")
	},
	"variables in a circle": func(p *project) {
		p.file(".env", "W=${X}\nX=${W}${W}\nY=${Y}\n")
		p.file("compose.yml", "services:\n  web:\n    command: gunicorn -w ${W} ${Y} ${Z:-${Z:-${Z:-1}}} app:app\n")
	},
	"huge files": func(p *project) {
		p.one(func(_, text string) string { return text + strings.Repeat("# x\n", 1<<(12+p.r.IntN(9))) })
	},
	"huge lines": func(p *project) {
		p.one(func(_, text string) string {
			return strings.TrimRight(text, "\n") + strings.Repeat(" x", 1<<(10+p.r.IntN(10))) + "\n"
		})
	},
	"endless lines of a shell": func(p *project) {
		p.says("gunicorn app:app" + strings.Repeat(pick(p.r, []string{"$(", "\"", "'", "\\", "`", "((", "{", "<<E "}), 1<<(4+p.r.IntN(12))))
	},
	"deep": func(p *project) {
		n := 1 << (6 + p.r.IntN(10))
		p.endless = true
		switch p.r.IntN(3) {
		case 0:
			p.file("package.json", `{"scripts": {"start": `+strings.Repeat("[", n)+strings.Repeat("]", n)+`}}`)
		case 1:
			p.file("compose.yml", "services: "+strings.Repeat("[", n)+strings.Repeat("]", n)+"\n")
		case 2:
			p.file("compose.yml", "services: "+strings.Repeat("{a: ", n)+strings.Repeat("}", n)+"\n")
		}
	},
	"deep folders": func(p *project) {
		p.file(filepath.Join(strings.Repeat("d/", 1+p.r.IntN(200)), "app.py"), goodFiles["app.py"])
	},
	"many files": func(p *project) {
		for i := range 300 {
			p.file(fmt.Sprintf("m%d/app.py", i), goodFiles["app.py"])
		}
	},
	"YAML bombs": func(p *project) {
		p.endless = true
		var b strings.Builder
		b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
		for i := range 4 + p.r.IntN(30) {
			fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 8), i)
		}
		b.WriteString("services:\n  web:\n    command: " + pick(p.r, []string{"*a4", "gunicorn app:app", "[*a4, *a3]"}) + "\n    <<: " + pick(p.r, []string{"*a4", "{}"}) + "\n")
		p.file(pick(p.r, []string{"compose.yml", "docker-compose.yml"}), b.String())
	},
	"YAML of many forms": func(p *project) {
		p.endless = true
		p.file("compose.yml", pick(p.r, []string{
			"services: &s\n  web: *s\n", "&a services: *a\n", "services: {web: {<<: [*x, *y]}}\n", "? [a]\n: b\nservices:\n  ? {c: d}\n  : {command: gunicorn app:app}\n", "--- 1\n--- 2\nservices: {}\n",
			"services:\n  web:\n    command: !!binary Z3VuaWNvcm4=\n", "services:\n  web:\n    command: !!python/object/apply:os.system ['touch x']\n", "%YAML 9.9\n---\nservices: []\n", "services:\n\tweb:\n\t\tcommand: x\n",
			"services:\n  web:\n    command: [gunicorn, [app:app], {a: b}, null, 1e400, .nan]\n", "services:\n  web:\n    command: |999\n      gunicorn\n", "services:\n  web: {command: gunicorn app:app, environment: [A, B=, =C, 1, null, [x]]}\n",
			"services:\n  web:\n    extends: {service: web}\n    command: gunicorn app:app\n", "include: [compose.yml]\nservices:\n  web:\n    env_file: [/dev/zero, .env, ../../../../etc/passwd]\n    command: gunicorn app:app\n",
			"services:\n  web:\n    build: {context: /, dockerfile: /dev/zero}\n", "services:\n  web:\n    working_dir: /proc/self/root\n    command: gunicorn app:app\n",
		}))
	},
	"circles of links": func(p *project) {
		p.file("app.py", goodFiles["app.py"])
		p.link(".", "self")
		p.link("..", "up")
		p.link("b", "a")
		p.link("a", "b")
		name := pick(p.r, goodNames)
		if name != "app.py" {
			p.link(filepath.Base(name), name)
		}
	},
	"links elsewhere": func(p *project) {
		p.link(pick(p.r, []string{"/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/", "/none", "/etc/shadow", "/proc/kmsg"}), pick(p.r, goodNames))
	},
	"devices": func(p *project) {
		p.endless = true
		p.link(pick(p.r, []string{"/dev/zero", "/dev/null", "/dev/full", "/dev/random", "/dev/tty", "/dev/stdin"}), pick(p.r, goodNames))
	},
	"pipes": func(p *project) {
		path := filepath.Join(p.dir, pick(p.r, goodNames))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o644); err != nil {
			p.t.Fatal(err)
		}
	},
	"pipes named": func(p *project) {
		p.says(pick(p.r, []string{"gunicorn -c pipe app:app", "nginx -c pipe", "uwsgi --ini pipe", "puma -C pipe", "unicorn -c pipe", "php-fpm -y pipe", "apache2 -f pipe", "lighttpd -f pipe", "sh pipe", "./pipe"}))
		if err := syscall.Mkfifo(filepath.Join(p.dir, "pipe"), 0o755); err != nil {
			p.t.Fatal(err)
		}
	},
	"settings elsewhere": func(p *project) {
		p.endless = true
		at := pick(p.r, []string{"/dev/zero", "/dev/stdin", "/etc/shadow", "/", "/none", "/proc/self/environ", strings.Repeat("../", 60) + "etc/passwd", strings.Repeat("x", 5000)})
		p.says(pick(p.r, []string{"gunicorn -c ", "nginx -c ", "uwsgi --ini ", "puma -C ", "unicorn -c ", "php-fpm -y ", "apache2 -f ", "lighttpd -f ", "node ", "sh "}) + at)
	},
	"folders in the place of files": func(p *project) { p.file(filepath.Join(pick(p.r, goodNames), "x"), "x") },
	"unreadable": func(p *project) {
		p.one(func(_, text string) string { return text })
		for _, name := range goodNames {
			_ = os.Chmod(filepath.Join(p.dir, name), 0)
		}
	},
	"sockets of settings": func(p *project) {
		p.file("n.conf", "events {}\nhttp { include n.conf; include /dev/zero; include *.conf; server { listen 80; "+pick(p.r, hostileTexts)+" } }\n")
		p.file("u.ini", "[uwsgi]\nini = u.ini\nmodule = app:app\nenv = A="+pick(p.r, hostileTexts)+"\n")
		p.endless = true
		p.says(pick(p.r, []string{"nginx -c n.conf", "uwsgi --ini u.ini"}))
	},
}

func (p *project) link(to, name string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		p.t.Fatal(err)
	}
}

// fileNamed is a text as far as a file can be called so.
func fileNamed(text string) string {
	text = strings.NewReplacer("/", "_", "\x00", "_").Replace(text)
	return "x" + text[:min(len(text), 200)]
}
