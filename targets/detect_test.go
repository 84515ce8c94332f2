package targets

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"advise/targets/targetstest"
)

func fmtInt(n int) string { return strconv.Itoa(n) }

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// withPath is an environment in which the servers are there, whether this machine has them or not.
func withPath(t testing.TB) []string {
	t.Helper()
	programs := map[string]string{}
	for _, name := range []string{"gunicorn", "uvicorn", "uwsgi", "puma", "bundle", "unicorn", "node"} {
		programs["bin/"+name] = "#!/bin/sh\n"
	}
	return []string{"PATH=" + filepath.Join(folder(t, programs), "bin")}
}

func TestDetect(t *testing.T) {
	const managePy = "import os\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', %s)\n"
	manage := func(settings string) string { return strings.Replace(managePy, "%s", settings, 1) }
	for name, test := range map[string]struct {
		files map[string]string
		want  string // the command
		found string // in the sentence
	}{
		"Procfile": {
			map[string]string{"Procfile": "# web: no\nrelease: x\nweb: gunicorn app:app -b :$PORT\n", "app.py": "app = 1"},
			"gunicorn app:app -b :{port}", "Procfile:3 has a web line: gunicorn app:app -b :{port}",
		},
		"Procfile of something else": {
			map[string]string{"Procfile": "web: A=1 node server.js --port ${PORT:-3000} -n \"$WEB_CONCURRENCY\"\r\n"},
			"env A=1 node server.js --port {port} -n {workers}", "Procfile:1 has a web line",
		},
		"Procfile without web": {
			map[string]string{"Procfile": "worker: x\n", "app.py": "app = Flask(__name__)\n"},
			"gunicorn app:app", "app.py:1 defines app: gunicorn app:app",
		},
		"gunicorn.conf.py": {
			map[string]string{"gunicorn.conf.py": "# conf\nwsgi_app = 'shop.web:make()'\n", "manage.py": manage("'shop.settings'"), "shop/wsgi.py": ""},
			"gunicorn", "gunicorn.conf.py:2 names the application shop.web:make()",
		},
		"gunicorn.conf.py without an application": {
			map[string]string{"gunicorn.conf.py": "workers = 2\n", "wsgi.py": "from shop import app as application\n"},
			"gunicorn wsgi:application", "wsgi.py:1 defines application",
		},
		"Django": {
			map[string]string{"manage.py": manage("'shop.settings'"), "shop/wsgi.py": "", "app.py": "app = 1"},
			"gunicorn shop.wsgi", "manage.py:3 belongs to the Django project shop",
		},
		"Django with settings in a package": {
			map[string]string{"manage.py": manage("\"config.settings.local\""), "config/wsgi.py": ""}, "gunicorn config.wsgi", "config",
		},
		"Django below a package": {
			map[string]string{"manage.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'a.b.settings'\n", "a/b/wsgi.py": ""}, "gunicorn a.b.wsgi", "a.b",
		},
		"manage.py without wsgi.py": {
			map[string]string{"manage.py": manage("'shop.settings'"), "app.py": "app: Flask = Flask(__name__)\n"}, "gunicorn app:app", "app.py:1 defines app: gunicorn app:app\nnot used: manage.py:3 names the settings shop.settings: there is no wsgi.py or asgi.py beside them",
		},
		"manage.py that is not Django's": {
			map[string]string{"manage.py": manage("'../../etc.settings'"), "app.py": "application = app = create_app()\n"}, "gunicorn app:app", "app.py",
		},
		"wsgi.py before app.py": {
			map[string]string{"wsgi.py": "def application(environ, start_response):\n    pass\n", "app.py": "app = 1\n"}, "gunicorn wsgi:application", "wsgi.py",
		},
		"FastAPI":             {map[string]string{"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "uvicorn main:app", "main.py:2 makes app with FastAPI"},
		"Starlette in app.py": {map[string]string{"app.py": "app = starlette.applications.Starlette(routes=[])\n"}, "uvicorn app:app", "with Starlette"},
		"asgi.py":             {map[string]string{"asgi.py": "application = make()\n"}, "uvicorn asgi:application", "asgi.py:1 defines application"},
		"Flask in main.py":    {map[string]string{"main.py": "app = Flask(__name__)\n"}, "gunicorn main:app", "main.py:1 defines app"},
		"Dockerfile": {
			map[string]string{"Dockerfile": "FROM a AS b\nCMD [\"x\"]\nFROM c\nCMD [\"gunicorn\", \\\n  \"-w\", \"4\", \"shop:app\"]\n", "app.py": "app = 1\n"},
			"gunicorn -w 4 shop:app", "Dockerfile:4 has a CMD: gunicorn -w 4 shop:app\nit goes before gunicorn app:app (app.py:1 defines app)",
		},
		"Dockerfile with an entry point": {
			map[string]string{"Dockerfile": "FROM c\nENTRYPOINT [\"gunicorn\"]\nCMD [\"shop:app\"]\n"}, "gunicorn shop:app", "Dockerfile",
		},
		"Dockerfile with a shell": {
			map[string]string{"Dockerfile": "FROM c\nCMD exec gunicorn -b :$PORT shop:app\n"}, "gunicorn -b :{port} shop:app", "Dockerfile",
		},
		"Dockerfile of something else": {
			map[string]string{"Dockerfile": "FROM c\nCMD [\"./entry.sh\"]\n", "app.py": "app = 1\n"}, "gunicorn app:app", "app.py",
		},
		"Compose": {
			map[string]string{"docker-compose.yml": "services:\n  db:\n    command: postgres -c x=1\n  web:\n    command: \"uvicorn shop:app --port 80\"\n"},
			"uvicorn shop:app --port 80", "docker-compose.yml:5 has the command of the service web",
		},
		"Compose with a list": {
			map[string]string{"compose.yaml": "services:\n  web:\n    command: [\"gunicorn\", \"shop:app\"]\n"}, "gunicorn shop:app", "compose.yaml",
		},
		"uwsgi.ini":         {map[string]string{"uwsgi.ini": "[uwsgi]\nmodule = shop:app\n"}, "uwsgi --ini uwsgi.ini", "uwsgi.ini:2 names the application shop:app"},
		"Rails":             {map[string]string{"config/puma.rb": "", "config.ru": "", "Gemfile": ""}, "bundle exec puma", "config/puma.rb"},
		"Rack":              {map[string]string{"config.ru": ""}, "puma", "config.ru is there"},
		"unicorn":           {map[string]string{"config/unicorn.rb": "", "config.ru": ""}, "unicorn -c config/unicorn.rb", "config/unicorn.rb"},
		"unicorn by a gem":  {map[string]string{"Gemfile": "gem 'unicorn', '~> 6'\n", "config.ru": ""}, "bundle exec unicorn", "the Gemfile has unicorn"},
		"Node":              {map[string]string{"package.json": `{"scripts": {"start": "NODE_ENV=production node ./bin/www"}}`}, "env NODE_ENV=production node ./bin/www", "start script"},
		"Node by default":   {map[string]string{"package.json": `{}`, "server.js": ""}, "node server.js", "no start script"},
		"Node and a server": {map[string]string{"package.json": `{"scripts": {"start": "node x.js"}}`, "app.py": "app = 1\n"}, "gunicorn app:app", "it goes before node x.js (package.json:1 has the start script)"},
		"the project's own gunicorn": {
			map[string]string{"app.py": "app = 1\n", ".venv/bin/gunicorn": "#!/bin/sh\n"},
			"./.venv/bin/gunicorn app:app", "with the gunicorn of the virtual environment",
		},
		"app.py after a wsgi.py that can't be read": {
			map[string]string{"wsgi.py": "app\x00lication = 1\n", "app.py": "app = 1\n"}, "gunicorn app:app", "app.py",
		},
		"app.py after one that is huge": {
			map[string]string{"wsgi.py": "application = 1\n" + strings.Repeat("#\n", largestRead/2), "app.py": "app = 1\n"}, "gunicorn app:app", "app.py",
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := Detect(folder(t, test.files), withPath(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(target.Command.Argv, " "); got != test.want || !strings.Contains(target.Found, test.found) {
				t.Errorf("got %q, %q;\nwant %q, %q", got, target.Found, test.want, test.found)
			}
		})
	}
}

func TestDetectSampleApplications(t *testing.T) {
	apps := filepath.Dir(targetstest.Flask())
	for app, want := range map[string]string{
		"flask": "gunicorn app:app", "django": "gunicorn shop.wsgi", "wsgi": "gunicorn wsgi:application",
		"conf": "gunicorn", "procfile": "gunicorn --workers 2 --bind 127.0.0.1:{port} service:application",
	} {
		target, err := Detect(filepath.Join(apps, app), withPath(t))
		if err != nil {
			t.Errorf("%s: %v", app, err)
			continue
		}
		if got := strings.Join(target.Command.Argv, " "); got != want {
			t.Errorf("%s: got %q, want %q", app, got, want)
		}
	}
}

func TestDetectProcfileFolderAndVariables(t *testing.T) {
	dir := folder(t, map[string]string{"Procfile": "web: cd web && LEVEL=2 gunicorn app:app --threads ${THREADS:-4} --log-level $LEVEL_NAME\n"})
	target, err := Detect(dir, append(withPath(t), "LEVEL_NAME=warning"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"env", "LEVEL=2", "gunicorn", "app:app", "--threads", "4", "--log-level", "warning"}
	if diff := cmp.Diff(want, target.Command.Argv); diff != "" || target.Command.Dir != filepath.Join(dir, "web") {
		t.Errorf("in %s (-want +got):\n%s", target.Command.Dir, diff)
	}
}

func TestDetectRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files          map[string]string
		sentence, hint string
	}{
		"commands": {
			map[string]string{"Procfile": "web: python manage.py migrate && gunicorn shop.wsgi -b :$WHERE\n"},
			"the variable WHERE is not set",
			"run what comes first yourself, then: advise -- gunicorn shop.wsgi -b :$WHERE",
		},
		"a pipeline at the end": {map[string]string{"Procfile": "web: gunicorn app:app | tee log\n"}, "use Procfile:1: it has a web line, gunicorn app:app | tee log: it needs a shell", "advise -- COMMAND"},
		"nothing but what is unusable": {
			map[string]string{
				"package.json": `{"scripts": {"start": "vite"}}`, "Dockerfile": "FROM x\nCMD x | y\n",
				"compose.yml": "services:\n  x:\n    command: redis\n", "uwsgi.ini": "[uwsgi]\n",
			},
			"nothing of it starts a server that can be measured\n  Dockerfile:2 has a CMD, x | y: it needs a shell\n  " +
				"compose.yml:3 has the command of the service x, redis: it is no server that is known, and no {port} is in it\n  " +
				"package.json:1 has the start script, vite: vite is a development server, not what to measure",
			"give what serves in production",
		},
		"files that are broken": {map[string]string{"package.json": `{`, "compose.yml": "  command: [x\n"}, "package.json can't be read: it is not JSON", "advise -- COMMAND"},
		"an image of which nothing is known": {
			map[string]string{"Dockerfile": "FROM tiangolo/uvicorn-gunicorn-fastapi\nCOPY ./app /app\n"},
			"use Dockerfile: it has neither CMD nor ENTRYPOINT: what the image tiangolo/uvicorn-gunicorn-fastapi starts can't be seen", "advise -- COMMAND",
		},
		"a variable of the build": {
			map[string]string{"Dockerfile": "FROM x\nARG W=4\nCMD gunicorn -w $W a:b\n"}, "the variable W is not set: W is an ARG, which is gone when the container runs", "advise -- COMMAND",
		},
		"a variable of Compose's":   {map[string]string{"compose.yml": "services:\n  web:\n    command: gunicorn --threads ${T} a:b\n"}, "the variable T is not set", "advise -- COMMAND"},
		"next start":                {map[string]string{"package.json": `{"scripts":{"start":"next start"}}`}, "next start serves from one process", "advise -- node .next/standalone/server.js"},
		"PM2 without its file":      {map[string]string{"package.json": `{"scripts":{"start":"pm2-runtime start ecosystem.config.js"}}`}, "PM2 starts what ecosystem.config.js names", "advise -- node SCRIPT"},
		"PM2 with two scripts":      {map[string]string{"package.json": `{"scripts":{"start":"pm2-runtime e.config.js"}}`, "e.config.js": "module.exports={apps:[{script:'a.js'},{script:'b.js'}]}\n"}, "which one script PM2 starts can't be seen", "advise -- node SCRIPT"},
		"nodemon":                   {map[string]string{"package.json": `{"scripts":{"start":"nodemon x.js"}}`}, "nodemon x.js is a development server", "advise -- node SCRIPT"},
		"a script that runs itself": {map[string]string{"package.json": `{"scripts":{"start":"npm start"}}`}, "it leads to itself", "advise -- COMMAND"},
		"a factory with arguments": {
			map[string]string{"app.py": "from flask import Flask\ndef create_app(config: str, debug=False):\n    return Flask(config)\n"},
			"use app.py:2: it defines create_app: create_app has to be given config", "advise -- gunicorn 'app:create_app(...)'",
		},
		"a factory of nobody knows what": {
			map[string]string{"app.py": "from shop import make\ndef create_app():\n    return make()\n"},
			"of which kind what create_app makes is can't be seen", "advise -- uvicorn --factory app:create_app",
		},
		"an application inside a function": {
			map[string]string{"main.py": "from fastapi import FastAPI\ndef main():\n    app = FastAPI()\n"}, "use main.py: it imports FastAPI: it has no app", "advise -- COMMAND",
		},
		"runserver without a project": {map[string]string{"Dockerfile": "FROM x\nCMD python manage.py runserver 0.0.0.0:80\n"}, "manage.py runserver is a development server, not what to measure: manage.py names no settings", "advise -- COMMAND"},
		"flask run without an application": {
			map[string]string{"Dockerfile": "FROM x\nCMD flask run --host=0.0.0.0\n"}, "flask run is a development server, not what to measure, and which application it runs can't be seen", "advise -- gunicorn MODULE:APPLICATION",
		},
		"python of something unknown": {
			map[string]string{"Dockerfile": "FROM x\nCMD [\"python\", \"bot.py\"]\n", "bot.py": "print()\n"}, "it is no server that is known", "from PORT: advise -- python bot.py",
		},
		"a script that ends in a condition": {
			map[string]string{"Dockerfile": "FROM x\nCMD [\"./start.sh\"]\n", "start.sh": "if x; then\n  exec gunicorn a:b\nfi\n"}, "what the script ./start.sh runs at its end depends on how it is run", "advise -- COMMAND",
		},
		"variable":     {map[string]string{"Procfile": "web: gunicorn $APP\n"}, "the variable APP is not set", "advise -- COMMAND"},
		"substitution": {map[string]string{"Procfile": "web: gunicorn -w $(nproc) app:app\n"}, "it needs a shell", "advise -- COMMAND"},
		"nothing":      {map[string]string{"Procfile": "web: A=1\n"}, "it starts nothing", "advise -- COMMAND"},
		"fixed port":   {map[string]string{"Procfile": "web: serve app:app --port 80\n"}, "its port can't be varied", "--port {port}"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Detect(folder(t, test.files), withPath(t))
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.sentence) || !strings.Contains(refused.Hint, test.hint) {
				t.Errorf("got %v with %+v, want %q, hint %q", err, refused, test.sentence, test.hint)
			}
		})
	}
}

func TestDetectFindsNothing(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"empty folder":    {},
		"no start script": {"package.json": `{"scripts": {"build": "vite"}}`, "uwsgi.ini": "[uwsgi]\n"},
		"other modules":   {"main.py": "app = 1\n", "app.py": "if True:\n    app = 1\ndef f():\n    application = 2\n'''\napp = 3\n'''\napp.run()\napp == 1\napplication[1] = 2\n"},
		"folders":         {"app.py/x": "", "Procfile/x": "", "manage.py/x": ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Detect(folder(t, files), withPath(t))
			if !errors.Is(err, ErrNothingFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Detect(filepath.Join(t.TempDir(), "missing"), nil); !errors.Is(err, ErrNothingFound) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestDetectWithoutGunicorn(t *testing.T) {
	dir := folder(t, map[string]string{"app.py": "app = 1\n", "none/x": "", "py/bin/python3": "", "py/lib/python3.11/site-packages/gunicorn/__main__.py": ""})
	_, err := Detect(dir, []string{"PATH=" + filepath.Join(dir, "none")})
	failed(t, err, KindNotFound, "start gunicorn: app.py:1 defines app, and gunicorn was not found", "pip install gunicorn")

	target, err := Detect(dir, []string{"PATH=" + filepath.Join(dir, "py/bin")})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(target.Command.Argv, " "); got != "python3 -m gunicorn app:app" || !strings.Contains(target.Found, "not in PATH") {
		t.Errorf("got %q, %q", got, target.Found)
	}
}

func TestDefines(t *testing.T) {
	for text, want := range map[string]bool{
		"app = Flask(__name__)":                        true,
		"app: Flask = Flask(__name__)":                 true,
		"app=create_app()":                             true,
		"application = app = x":                        true,
		"app, db = make()":                             true,
		"(app, db) = make()":                           true,
		"def app(environ, start):\n  pass":             true,
		"async def app(scope, receive, send):\n  pass": true,
		"class app:\n  pass":                           true,
		"from shop import app":                         true,
		"from shop import (\n  db,\n  app, # this\n)":  true,
		"from shop import create as app":               true,
		"import shop.web as app":                       true,
		"x = 1; app = 2":                               true,
		"app = \\\n  Flask(__name__)":                  true,
		"\ufeffapp = 1":                                true,
		"s = '''\n'''; app = 1":                        true,
		"x = {\n  'a': 1,\n}\napp = 1":                 true,
		"import app":                                   true,
		"app":                                          false,
		"app == 1":                                     false,
		"app.config = 1":                               false,
		"app['x'] = 1":                                 false,
		"apple = 1":                                    false,
		"myapp = 1":                                    false,
		"  app = 1":                                    false,
		"f(app=1)":                                     false,
		"f(\napp=1\n)":                                 false,
		"# app = 1":                                    false,
		"'''\napp = 1\n'''":                            false,
		"s = \"app = 1\"":                              false,
		"def create(\n  app = 1):\n  pass":             false,
		"from app import db":                           false,
		"import app as web":                            false,
		"from shop import app as web":                  false,
		"if debug:\n\tapp = 1":                         false,
		"s = \"it's\"\nd = 'a\\'b'\n# '''\nx = 1\napp =": false,
	} {
		if _, got := defines(scanPython(text), "app"); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestLiterals(t *testing.T) {
	got := literals(scanPython("workers = 4\nthreads: int = 2\nbind = ':80'\nname = f'x'\ntimeout = 30 + 1\nkeep = 1\nif x:\n    keep = 2\nlate = x()\nlate = 5\n"))
	want := map[string]string{"workers": "4", "threads": "2", "bind": ":80", "late": "5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExpand(t *testing.T) {
	env := []string{"A=1 2", "Q=it's", "E="}
	for line, want := range map[string][]string{
		`x $A`:                    {"x", "1", "2"},
		`x "$A"`:                  {"x", "1 2"},
		`x '$A'`:                  {"x", "$A"},
		`x \$A`:                   {"x", "$A"},
		`x $Q "$Q"`:               {"x", "it's", "it's"},
		`x ${E:-3}`:               {"x", "3"},
		`x ${NONE-d}e`:            {"x", "de"},
		`x ${NONE:-}`:             {"x"},
		`x -b :$PORT$HOST`:        {"x", "-b", ":{port}{host}"},
		`x ${WEB_CONCURRENCY:-4}`: {"x", "{workers}"},
		`x 5$ $`:                  {"x", "5$", "$"},
	} {
		expanded, err := expand(line, env)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got, ok := splitWords(expanded); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: got %q from %q, want %q", line, got, expanded, want)
		}
	}
	if _, err := expand("$NONE", env); err == nil {
		t.Error("a variable that is not set was taken for an empty one")
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := folder(t, map[string]string{"Procfile": "web: x\n"})
	if err := os.Chmod(filepath.Join(dir, "Procfile"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Detect(dir, nil); !errors.Is(err, ErrNothingFound) {
		t.Errorf("got %v", err)
	}
}

func FuzzScanPython(f *testing.F) {
	for _, text := range []string{"app = Flask(__name__)\n", "'''", "\"\\", "a\\\r\nb", "from x import (a,\n b)\n", "x = [\n'#'\n]\n", "def f():\n\tapp = '1'\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		module := scanPython(text)
		for _, s := range module {
			if strings.ContainsAny(s.code, "\n#") && !strings.Contains(text, "#") {
				t.Errorf("%q is more than a statement", s.code)
			}
		}
		defines(module, "app")
		for name, value := range literals(module) {
			if !strings.Contains(text, name) || !strings.Contains(text, value) {
				t.Errorf("%s = %q is not in the text", name, value)
			}
		}
	})
}

func FuzzProcfile(f *testing.F) {
	for _, text := range []string{"web: gunicorn app:app -b :$PORT", "web: a | b", "web: ${A:-'b c'} \"$A\"", "web: cd x && y", "web: 'a", "web: $(x) `y`", "web: sh -c 'exec x'"} {
		f.Add(text, "1 2")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if strings.ContainsRune(value, 0) {
			return
		}
		for _, p := range procfile(text) {
			if !strings.Contains(text, p.line) || p.at < 1 || p.at > 1+strings.Count(text, "\n") {
				t.Errorf("%q in line %d is not in the text", p.line, p.at)
			}
			s, err := start{command: Command{Env: []string{"A=" + value}}}.shellLine(p.line)
			if err == nil && len(s.command.Argv) == 0 {
				t.Errorf("%q: no command and no error", p.line)
			}
		}
		quoted, err := expand(`"$A"`, []string{"A=" + value})
		if err != nil {
			return
		}
		if words, ok := splitWords(quoted); ok && (len(words) != 1 || words[0] != value) {
			t.Errorf("%q became %q", value, words)
		}
	})
}

// A file of the kernel's looks like any other, and reading it may wait for ever.
func TestNothingOfTheKernelIsRead(t *testing.T) {
	for _, file := range []string{"/proc/self/status", "/proc/kmsg", "/dev/null"} {
		dir := t.TempDir()
		if err := os.Symlink(file, filepath.Join(dir, "Procfile")); err != nil {
			t.Fatal(err)
		}
		if text, err := readSmall(filepath.Join(dir, "Procfile")); err == nil {
			t.Errorf("%s was read: %.20q", file, text)
		}
	}
}
