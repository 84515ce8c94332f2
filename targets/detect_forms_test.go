package targets

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestDetectForms has the ways in which people write a start down, each with the command that it stands
// for: what the shell, Docker, Compose, npm or the framework's own command would run.
func TestDetectForms(t *testing.T) {
	const (
		flask   = "from flask import Flask\napp = Flask(__name__)\n"
		fastapi = "from fastapi import FastAPI\napp = FastAPI()\n"
		manage  = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
	)
	for name, test := range map[string]struct {
		files map[string]string
		want  string
		found string // in the sentences
	}{
		// Modules.
		"FastAPI in a package":         {map[string]string{"app/main.py": fastapi}, "uvicorn app.main:app", "app/main.py:2 makes app with FastAPI"},
		"Flask in a package":           {map[string]string{"app/__init__.py": flask}, "gunicorn app:app", "app/__init__.py:2 defines app"},
		"a package of another name":    {map[string]string{"shop/__init__.py": "", "shop/asgi.py": "application = x()\n"}, "uvicorn shop.asgi:application", "shop/asgi.py:1"},
		"src":                          {map[string]string{"src/main.py": fastapi}, "uvicorn --app-dir src main:app", "src/main.py:2"},
		"a package in src":             {map[string]string{"src/shop/main.py": fastapi}, "uvicorn --app-dir src shop.main:app", "src/shop/main.py:2"},
		"Flask in src":                 {map[string]string{"src/shop/__init__.py": flask}, "gunicorn --pythonpath src shop:app", "src/shop/__init__.py:2"},
		"src as a package":             {map[string]string{"src/main.py": "from src.db import x\n" + fastapi}, "uvicorn src.main:app", "src/main.py:3"},
		"modules that import by name":  {map[string]string{"app/main.py": "import models\n" + fastapi, "app/models.py": ""}, "uvicorn --app-dir app main:app", "app/main.py:3"},
		"modules that import relative": {map[string]string{"app/main.py": "from . import models\n" + fastapi, "app/models.py": ""}, "uvicorn app.main:app", "app/main.py:3"},
		"create_app of Flask":          {map[string]string{"app.py": "from flask import Flask\n\ndef create_app(config=None, *a, **k) -> Flask:\n    return Flask(__name__)\n"}, "gunicorn app:create_app()", "app.py:3 defines create_app, which makes an application with Flask"},
		"make_app of FastAPI":          {map[string]string{"shop/__init__.py": "import fastapi\ndef make_app(): return fastapi.FastAPI()\n"}, "uvicorn --factory shop:make_app", "shop/__init__.py:2"},
		"create_app in src":            {map[string]string{"src/main.py": "import quart\ndef create_app(): pass\n"}, "uvicorn --app-dir src --factory main:create_app", "Quart"},
		"app made by a factory":        {map[string]string{"main.py": "from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\napp = create_app()\n"}, "uvicorn main:app", "main.py:4 makes app with FastAPI"},
		"app made elsewhere":           {map[string]string{"main.py": "from shop.web import create_app\napp = create_app()\n", "shop/web.py": "from starlette.applications import Starlette\ndef create_app():\n    return Starlette()\n"}, "uvicorn main:app", "main.py:2 makes app with Starlette"},
		"wsgi.py of a FastAPI project": {map[string]string{"wsgi.py": "from shop import app as application\n", "shop/__init__.py": fastapi}, "uvicorn wsgi:application", "wsgi.py:1 makes application with FastAPI"},
		"another name":                 {map[string]string{"main.py": "from fastapi import FastAPI\napi = FastAPI()\n"}, "uvicorn main:api", "main.py:2 makes api with FastAPI"},
		"WSGI inside ASGI":             {map[string]string{"asgi.py": "from flask import Flask\nfrom asgiref.wsgi import WsgiToAsgi\napp = WsgiToAsgi(Flask(__name__))\n"}, "uvicorn asgi:app", "asgi.py:3"},
		"raw ASGI":                     {map[string]string{"app.py": "async def app(scope, receive, send):\n    pass\n"}, "uvicorn app:app", "app.py:1 defines app"},
		"asgi.py beside wsgi.py": {
			map[string]string{"wsgi.py": "application = 1\n", "asgi.py": "\napplication = 1\n"},
			"gunicorn wsgi:application",
			"it goes before uvicorn asgi:application (asgi.py:2 defines application)",
		},
		"Django's two": {
			map[string]string{"manage.py": manage, "shop/wsgi.py": "application = 1\n", "shop/asgi.py": "application = 1\n", "shop/__init__.py": ""},
			"gunicorn shop.wsgi",
			"gunicorn shop.wsgi\nit goes before uvicorn shop.asgi:application (manage.py:2 belongs to the Django project shop, which has an asgi.py)\x00",
		},

		// Compose.
		"a list": {
			map[string]string{"docker-compose.yml": "services:\n  web:\n    command:\n      - gunicorn\n      - -w\n      - \"4\"\n      - app:app\n"},
			"gunicorn -w 4 app:app", "docker-compose.yml:4 has the command of the service web",
		},
		"a folded block":  {map[string]string{"compose.yml": "services:\n  web:\n    command: >\n      gunicorn -w 4\n      app:app\n"}, "gunicorn -w 4 app:app", "compose.yml:"},
		"a literal block": {map[string]string{"compose.yml": "services:\n  web:\n    command: |\n      bash -c \"python manage.py migrate\n      gunicorn app:app\"\n"}, "gunicorn app:app", "not run, as it comes before the server: python manage.py migrate"},
		"an anchor": {
			map[string]string{"compose.yml": "x-app: &app\n  build: .\n  command: gunicorn app:app\nservices:\n  web:\n    <<: *app\n    ports: [80]\n"}, "gunicorn app:app", "compose.yml:3 has the command of the service web",
		},
		"a shell": {
			map[string]string{"compose.yml": "services:\n  web:\n    command: bash -c \"python manage.py migrate && gunicorn shop.wsgi -b 0.0.0.0:8000\"\n"},
			"gunicorn shop.wsgi -b 0.0.0.0:8000", "not run, as it comes before the server: python manage.py migrate",
		},
		"a list with a shell": {
			map[string]string{"compose.yml": "services:\n  web:\n    command: [sh, -ec, 'set -e; cd /srv; export A=1 B=2; PASSWORD=x ./wait.sh db:5432; exec gunicorn -w $$B app:app']\n"},
			"env A=1 B=2 gunicorn -w 2 app:app", "not run, as it comes before the server: PASSWORD=*** ./wait.sh db:5432",
		},
		"several services": {
			map[string]string{"compose.yml": "services:\n  proxy:\n    command: nginx -c n.conf\n  web:\n    command: gunicorn -w 4 app:app\n  api:\n    command: [\"uvicorn\", \"api:app\"]\n  worker:\n    command: celery -A x worker\n", "n.conf": "events {}\n"},
			"gunicorn -w 4 app:app", "it goes before uvicorn api:app (compose.yml:7 has the command of the service api), nginx -c n.conf (compose.yml:3 has the command of the service proxy)\x00",
		},
		"Compose's variables": {map[string]string{"compose.yml": "services:\n  web:\n    command: gunicorn -w ${W:-3} -b :${PORT} app:app\n"}, "gunicorn -w 3 -b :{port} app:app", ""},
		"Compose's .env":      {map[string]string{"compose.yml": "services:\n  web:\n    command: gunicorn --threads $T app:app\n", ".env": "# T=1\nexport T='3'\n"}, "gunicorn --threads 3 app:app", ""},
		"a folder of its own": {map[string]string{"compose.yml": "services:\n  web:\n    build: ./back\n    command: python manage.py runserver\n", "back/manage.py": manage, "back/shop/wsgi.py": ""}, "gunicorn shop.wsgi", "manage.py runserver is a development server, not what to measure: gunicorn runs its application"},
		"an entry point": {
			map[string]string{"compose.yml": "services:\n  web:\n    entrypoint: [\"./docker-entrypoint.sh\"]\n    command: gunicorn app:app\n"}, "gunicorn app:app", "not run: the entry point ./docker-entrypoint.sh",
		},

		"an image that is built one deeper": {
			map[string]string{"compose.yml": "services:\n  web:\n    build: ./back\n", "back/Dockerfile": "FROM x\nCMD gunicorn a:b\n"}, "gunicorn a:b", "back/Dockerfile:2 has a CMD",
		},

		// Dockerfile.
		"ENV in a CMD":       {map[string]string{"Dockerfile": "FROM x\nENV WORKERS=4 LEVEL=info\nCMD gunicorn -w $WORKERS --log-level \"${LEVEL}\" --threads ${T:-2} a:b\n"}, "gunicorn -w 4 --log-level info --threads 2 a:b", "Dockerfile:3 has a CMD: gunicorn -w 4 --log-level info --threads 2 a:b\x00"},
		"ARG in an ENV":      {map[string]string{"Dockerfile": "ARG V=3\nFROM x:$V\nARG W=4\nENV WORKERS ${W}\nCMD gunicorn -w $WORKERS a:b\n"}, "gunicorn -w 4 a:b", ""},
		"ENV that is lost":   {map[string]string{"Dockerfile": "FROM x\nENV PATH=/x:$PATH DJANGO_SETTINGS_MODULE=s PYTHONUNBUFFERED=1\nCMD [\"gunicorn\", \"a:b\"]\n"}, "gunicorn a:b", "not set here, as only the Dockerfile sets it: DJANGO_SETTINGS_MODULE\x00"},
		"CMD before":         {map[string]string{"Dockerfile": "FROM x\nCMD [\"app:app\"]\nENTRYPOINT [\"gunicorn\", \"-b\", \"0.0.0.0:80\"]\n"}, "gunicorn -b 0.0.0.0:80 app:app", "Dockerfile:2 has a CMD and an ENTRYPOINT"},
		"the last of each":   {map[string]string{"Dockerfile": "FROM x\nENTRYPOINT [\"uvicorn\"]\nCMD [\"a:b\"]\nENTRYPOINT [\"gunicorn\"]\nCMD [\"c:d\"]\n"}, "gunicorn c:d", ""},
		"CMD of a stage":     {map[string]string{"Dockerfile": "FROM x AS base\nENV W=2\nCMD gunicorn -w $W a:b\nFROM y\nCMD [\"z\"]\nFROM base\n"}, "gunicorn -w 2 a:b", "Dockerfile:3"},
		"CMD that is undone": {map[string]string{"Dockerfile": "FROM x AS base\nCMD [\"c:d\"]\nFROM base\nENTRYPOINT [\"gunicorn\", \"a:b\"]\n"}, "gunicorn a:b", "Dockerfile:4 has an ENTRYPOINT"},
		"a shell's ENTRYPOINT": {
			map[string]string{"Dockerfile": "FROM x\nENTRYPOINT gunicorn a:b\nCMD [\"c:d\"]\n"}, "gunicorn a:b", "Dockerfile:2 has an ENTRYPOINT",
		},
		"comments between": {map[string]string{"Dockerfile": "FROM x\ncmd\tgunicorn \\\n  # why\n\n  -w 4 \\\n  a:b\nHEALTHCHECK --interval=5s \\\n  CMD curl x\n"}, "gunicorn -w 4 a:b", "Dockerfile:2"},
		"a text of lines":  {map[string]string{"Dockerfile": "FROM x\nCMD gunicorn a:b\nRUN <<EOF\nCMD x\nEOF\n"}, "gunicorn a:b", "Dockerfile:2"},
		"an entry script":  {map[string]string{"Dockerfile": "FROM x\nENTRYPOINT [\"tini\", \"--\", \"/docker-entrypoint.sh\"]\nCMD [\"gunicorn\", \"a:b\"]\n"}, "gunicorn a:b", "not run: the entry point /docker-entrypoint.sh"},
		"tini":             {map[string]string{"Dockerfile": "FROM x\nENTRYPOINT [\"/usr/bin/tini\", \"-g\", \"--\", \"gosu\", \"www\"]\nCMD [\"/opt/venv/bin/gunicorn\", \"a:b\"]\n"}, "gunicorn a:b", ""},
		"a start script":   {map[string]string{"Dockerfile": "FROM x\nWORKDIR /app\nCOPY . .\nCMD [\"sh\", \"/app/start.sh\"]\n", "start.sh": "#!/bin/sh\nset -e\nif [ x ]; then\n  y; fi\n# serve\nexec gunicorn a:b \\\n  -w 2\n"}, "gunicorn a:b -w 2", "start.sh is not run, only the server at its end"},
		"a working folder": {map[string]string{"Dockerfile": "FROM x\nWORKDIR /app\nCOPY . /app\nWORKDIR back\nCMD gunicorn -c /app/back/g.py a:b\n", "back/g.py": ""}, "gunicorn -c g.py a:b", ""},

		// Commands that stand for a server.
		"fastapi run":             {map[string]string{"Dockerfile": "FROM x\nWORKDIR /code\nCOPY ./app /code/app\nCMD [\"fastapi\", \"run\", \"app/main.py\", \"--port\", \"80\", \"--workers\", \"4\"]\n", "app/main.py": fastapi, "app/__init__.py": ""}, "uvicorn app.main:app --workers 4", "fastapi run is uvicorn"},
		"fastapi dev":             {map[string]string{"Procfile": "web: uv run fastapi dev\n", "main.py": fastapi}, "uv run uvicorn main:app", "fastapi dev is a development server"},
		"flask run":               {map[string]string{"Procfile": "web: flask run -p $PORT\n", "app.py": flask}, "gunicorn app:app", "flask run is a development server, not what to measure: gunicorn runs its application"},
		"flask --app":             {map[string]string{"Procfile": "web: python -m flask --app 'shop.web:make()' run\n", "shop/web.py": "def make(): pass\n"}, "gunicorn shop.web:make()", "development server"},
		"FLASK_APP":               {map[string]string{"Dockerfile": "FROM x\nENV FLASK_APP=hello.py\nCMD flask run --host 0.0.0.0\n", "hello.py": flask}, "gunicorn hello:app", "development server"},
		"runserver":               {map[string]string{"Procfile": "web: python manage.py migrate && python manage.py runserver 0.0.0.0:$PORT\n", "manage.py": manage, "shop/wsgi.py": ""}, "gunicorn shop.wsgi", "manage.py runserver is a development server, not what to measure: gunicorn runs its application"},
		"python app.py":           {map[string]string{"Dockerfile": "FROM x\nCMD [\"python\", \"-u\", \"app.py\"]\n", "app.py": flask + "app.run()\n"}, "gunicorn app:app", "python -u app.py is a development server"},
		"python main.py, uvicorn": {map[string]string{"Dockerfile": "FROM x\nCMD python src/main.py\n", "src/main.py": fastapi + "import uvicorn\nuvicorn.run(app)\n"}, "uvicorn --app-dir src main:app", "python src/main.py runs uvicorn"},
		"next to node":            {map[string]string{"package.json": `{"scripts":{"start":"npm run build && node server.js"}}`}, "node server.js", "not run, as it comes before the server: npm run build"},
		"cross-env":               {map[string]string{"package.json": `{"scripts":{"start":"cross-env NODE_ENV=production PORT=3000 node x.js"}}`}, "env NODE_ENV=production node x.js", "PORT=3000 is left out"},
		"npm start":               {map[string]string{"Dockerfile": "FROM x\nCMD [\"npm\", \"start\"]\n", "package.json": "{\n\"scripts\": {\n\"start\": \"node a.js\"}}"}, "node a.js", "npm start is node a.js in package.json:3"},
		"yarn":                    {map[string]string{"Procfile": "web: yarn run serve --silent\n", "package.json": `{"scripts":{"serve":"node b.js"}}`}, "node b.js", "package.json:1"},
		"PM2":                     {map[string]string{"package.json": `{"scripts":{"start":"pm2-runtime start x.js -i max"}}`}, "node x.js", "it runs in a cluster without PM2 here"},
		"PM2 with its file":       {map[string]string{"package.json": `{"scripts":{"start":"pm2-runtime start ecosystem.config.js --env production"}}`, "ecosystem.config.js": "module.exports = { apps: [{\n  name: 'x',\n  script: './dist/x.js',\n  instances: 'max' }] };\n"}, "node ./dist/x.js", "by ecosystem.config.js:3"},
		"rails server":            {map[string]string{"Dockerfile": "FROM x\nENTRYPOINT [\"/rails/bin/docker-entrypoint\"]\nCMD [\"./bin/rails\", \"server\"]\n", "config/puma.rb": "", "config.ru": "", "Gemfile": ""}, "bundle exec puma", "rails server is Puma"},
		"a script in a Procfile that can't be followed": {map[string]string{"Procfile": "web: ./start.sh\n", "start.sh": "if x; then\n  exec y\nfi\n"}, "./start.sh", "Procfile:1 has a web line: ./start.sh"},
		"npm of what only npm finds":                    {map[string]string{"Procfile": "web: npm start\n", "package.json": `{"scripts":{"start":"serve -s build"}}`}, "npm start", "Procfile:1 has a web line: npm start"},
		"several processes":                             {map[string]string{"Procfile": "release: python manage.py migrate\nworker: celery\nweb: gunicorn a:b\n"}, "gunicorn a:b", "Procfile:3 has a web line"},
		"the second of two": {
			map[string]string{"Procfile": "web: gunicorn $APP\n", "Dockerfile": "FROM x\nCMD gunicorn a:b\n"},
			"gunicorn a:b",
			"Dockerfile:2 has a CMD: gunicorn a:b\nnot used: Procfile:1 has a web line, gunicorn $APP: the variable APP is not set\x00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := Detect(folder(t, test.files), withPath(t))
			if err != nil {
				t.Fatal(err)
			}
			// A sentence that ends in \x00 is the last one.
			found, exact := strings.CutSuffix(test.found, "\x00")
			if got := strings.Join(target.Command.Argv, " "); got != test.want || !strings.Contains(target.Found, found) || exact && !strings.HasSuffix(target.Found, found) {
				t.Errorf("got %q, %q;\nwant %q, %q", got, target.Found, test.want, test.found)
			}
		})
	}
}

func TestDetectFolder(t *testing.T) {
	const cmd = "\nCMD gunicorn a:b\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the image's folder is the project's":   {map[string]string{"Dockerfile": "FROM x\nWORKDIR /code\nCOPY ./app /code/app" + cmd, "app/x": ""}, "."},
		"a folder below it":                     {map[string]string{"Dockerfile": "FROM x\nCOPY . /code\nWORKDIR /code/app" + cmd, "app/x": ""}, "app"},
		"a folder of the project's is copied":   {map[string]string{"Dockerfile": "FROM x\nWORKDIR /code\nCOPY --chown=a app/ ." + cmd, "app/x": ""}, "app"},
		"what is copied from another stage":     {map[string]string{"Dockerfile": "FROM x\nWORKDIR /code\nCOPY --from=b app ." + cmd, "app/x": ""}, "."},
		"what is outside":                       {map[string]string{"Dockerfile": "FROM x\nWORKDIR /code\nCOPY ../app ." + cmd}, "."},
		"a service that is built one deeper":    {map[string]string{"compose.yml": "services:\n  a:\n    build: {context: ./app}\n    command: gunicorn a:b\n", "app/x": ""}, "app"},
		"a service that is built outside":       {map[string]string{"compose.yml": "services:\n  a:\n    build: ../app\n    command: gunicorn a:b\n"}, "."},
		"a line that changes to a folder":       {map[string]string{"Procfile": "web: cd app && gunicorn a:b\n", "app/x": ""}, "app"},
		"a container's folder that is not here": {map[string]string{"Dockerfile": "FROM x\nCMD cd /nowhere && gunicorn a:b\n"}, "."},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, test.files)
			target, err := Detect(dir, withPath(t))
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, test.want); target.Command.Dir != want {
				t.Errorf("in %s, want %s", target.Command.Dir, want)
			}
		})
	}
}

// One folder deeper there may be several, so it is said and none is taken.
func TestDetectBelow(t *testing.T) {
	_, err := Detect(folder(t, map[string]string{"back/app.py": "app = 1\n", "front/package.json": `{"scripts":{"start":"vite"}}`, "tests/app.py": "app = 1\n"}), nil)
	var nothing *NothingFoundError
	if !errors.As(err, &nothing) || !errors.Is(err, ErrNothingFound) {
		t.Fatalf("got %v", err)
	}
	got := strings.Join(nothing.Below, "\n")
	want := "one folder deeper, back/app.py:1 defines app: cd back && advise\none folder deeper, front/package.json:1 has the start script, vite: cd front && advise"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDetectHidesSecrets(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"before a server": {"Procfile": "web: ./load --password hunter2 && gunicorn a:b\n"},
		"in the command":  {"Procfile": "web: API_TOKEN=hunter2 gunicorn a:b\n"},
		"unusable":        {"Procfile": "web: API_TOKEN=hunter2 gunicorn $X\n"},
		"in a container":  {"Dockerfile": "FROM x\nENV TOKEN=hunter2\nCMD celery --token $TOKEN\n"},
		"in a script":     {"Dockerfile": "FROM x\nCMD python app.py --token hunter2\n", "app.py": "from flask import Flask\napp = Flask(__name__)\n"},
		"in a service":    {"compose.yml": "services:\n  a:\n    command: celery --token hunter2\n"},
	} {
		target, err := Detect(folder(t, files), withPath(t))
		text := ""
		if err != nil {
			text = err.Error() + hintOf(err)
		} else {
			text = target.Found
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestSplitChain(t *testing.T) {
	for line, want := range map[string]string{
		"a && b; c\nd":          "a|b|c|d",
		"a 'x && y' \"z;\" b":   "a 'x && y' \"z;\" b",
		"a $(b && c; d) && e":   "a $(b && c; d)|e",
		"a \\\n b":              "a   b",
		"a \\; b":               "a \\; b",
		"# no\na # b && c\n":    "a",
		"a#b":                   "a#b",
		"a || b & c":            "a || b & c",
		"":                      "",
		"`a; b`; c":             "`a; b`|c",
		"sh -c \"a && b\" && c": "sh -c \"a && b\"|c",
	} {
		parts, ok := splitChain(line)
		if got := strings.Join(parts, "|"); !ok || got != want {
			t.Errorf("%q: got %q, %v; want %q", line, got, ok, want)
		}
	}
	for _, line := range []string{"a 'b", "a \"b", "a `b", "$(a", "a)"} {
		if parts, ok := splitChain(line); ok {
			t.Errorf("%q: got %q, want that it is not ended", line, parts)
		}
	}
}

func TestRequiredParameters(t *testing.T) {
	for def, want := range map[string]string{
		"def f():":                            "",
		"def f(a, b=1, *c, d, **e) -> x(y):":  "a d",
		"def f(a: Dict[str, int], /, *, b=2)": "a",
		"def f(a=g(1, 2), b=[1, 2],)":         "",
		"def f":                               "",
	} {
		if got := strings.Join(requiredParameters(def), " "); got != want {
			t.Errorf("%q: got %q, want %q", def, got, want)
		}
	}
}

func TestStatementLines(t *testing.T) {
	text := "# 1\nimport a; import b\n\ns = '''4\n5'''\nx = (6,\n7)\ny = 8 \\\n  + 9\n\nif z:\r\n    w = 12\n"
	want := map[string]int{"import a": 2, "import b": 2, `s = "0"`: 4, "x = (6, 7)": 6, "y = 8    + 9": 8, "if z:": 11, "w = 12": 12}
	for _, s := range scanPython(text) {
		if want[s.code] != s.line {
			t.Errorf("%q in line %d, want %d", s.code, s.line, want[s.code])
		}
		delete(want, s.code)
	}
	if len(want) > 0 {
		t.Errorf("not seen: %v", want)
	}
}

// What a file could do to the reader of it: mappings merged into each other by the thousand, brackets and
// anchors by the ten thousand. None of it takes time or memory that is noticed.
func TestComposeThatIsHostile(t *testing.T) {
	level := "{<<: [" + strings.Repeat("*%, ", 5000) + "]}\n"
	merges := ""
	for _, l := range []string{"ab", "bc", "cd", "de", "ef"} {
		merges = l[:1] + ": &" + l[:1] + " " + strings.ReplaceAll(level, "%", l[1:]) + merges
	}
	for name, text := range map[string]string{
		"merges":   "f: &f {x: y}\n" + merges + "services: *a\n",
		"itself":   "services: &a\n  <<: *a\n  web: *a\n",
		"brackets": "services: " + strings.Repeat("[", 100_000),
		"braces":   "services: " + strings.Repeat("{a: ", 60_000),
		"anchors":  "services: " + strings.Repeat("&a ", 80_000),
		"tags":     "services: " + strings.Repeat("!a ", 80_000),
		"dashes":   strings.Repeat("- ", 100_000),
		"keys":     strings.Repeat("? ", 100_000),
		"large":    strings.Repeat("#\n", largestCompose),
	} {
		services, err := composeServices(text, nil)
		if err == nil && len(services) > 1 {
			t.Errorf("%s: got %d services", name, len(services))
		}
	}
}

func FuzzSplitChain(f *testing.F) {
	for _, line := range []string{"a && b; c", "'a && b'", "$(a; b) # c", "a \\\n b", "`a`", "a 'b"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		parts, _ := splitChain(line)
		for _, p := range parts {
			if p == "" || len(p) > len(line) {
				t.Errorf("%q is no part of %q", p, line)
			}
		}
		s, err := start{command: Command{Dir: "/nowhere"}}.shellLine(line)
		if err != nil {
			return
		}
		if s, err = s.server(); err == nil && len(s.command.Argv) == 0 {
			t.Errorf("%q: nothing to start and no error", line)
		}
	})
}

func FuzzDockerfile(f *testing.F) {
	f.Add("FROM a\nCMD [\"gunicorn\", \"a:b\"]\n")
	f.Add("FROM a AS b\nENTRYPOINT x \\\n y\nCMD z | y\nFROM b\nENV A=$B C D\nARG X=${Y:-z}\nWORKDIR a\nCOPY [\"a\", \"b\"]\n")
	f.Add("FROM a\nENTRYPOINT [\"tini\", \"-p\"]\nCMD sh -c 'exec uvicorn a:b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := dockerfile(text)
		s.dirOf(Command{Dir: "/nowhere"})
		found, err := start{command: Command{Dir: "/nowhere"}, container: true, vars: s.env}.inContainer(s.entry, s.cmd)
		if err == nil && len(s.paths(found.command)) == 0 {
			t.Errorf("nothing to start and no error")
		}
		if lines := 1 + strings.Count(text, "\n"); s.cmd.at > lines || s.entry.at > lines {
			t.Errorf("lines %d and %d of %d", s.cmd.at, s.entry.at, lines)
		}
	})
}

func FuzzCompose(f *testing.F) {
	f.Add("services:\n  web:\n    command: >\n      gunicorn -w 4\n      app:app\n")
	f.Add("x: &a {command: [a, b]}\nservices:\n  web:\n    <<: [*a, *b]\n    environment: [A=1]\n    build: {context: x}\n")
	f.Add("services: &a\n  <<: *a\n  x: *a\n")
	f.Add("a: &a *a\nservices: *a\n")
	f.Fuzz(func(_ *testing.T, text string) {
		services, err := composeServices(text, []string{"A=b"})
		if err != nil {
			return
		}
		for _, s := range services {
			s.findings(Command{Dir: "/nowhere"}, "compose.yml")
		}
	})
}

func FuzzModule(f *testing.F) {
	f.Add("from flask import Flask\ndef create_app(a, b=1): pass\n")
	f.Add("from . import app\nfrom .x import (a as app,\n b)\n")
	f.Add("app = app()\ncreate_app = create_app()\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := newPythonFile("/nowhere", "src/shop/__init__.py", text)
		app, ok, err := p.application("app", "application")
		if ok && (err != nil || app.name == "" || len(p.argv(app)) < 2 || !moduleName.MatchString(p.module)) {
			t.Errorf("%+v in %s, %v", app, p.module, err)
		}
	})
}
