package targets

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// leading are the words before a program or the interpreter that runs it.
func leading(argv []string, name string) []string {
	i := slices.IndexFunc(argv, func(w string) bool { return filepath.Base(w) == name || interpreter.MatchString(filepath.Base(w)) })
	return argv[:max(i, 0)]
}

// served has an application run by a server, behind what the command had before its program.
func (s start) served(head []string, p pythonFile, app application, note string) start {
	argv := p.argv(app)
	s.notes = append(slices.Clip(s.notes), note+argv[0]+" runs its application")
	s.command.Argv = slices.Concat(head, argv)
	return s
}

const notToMeasure = " is a development server, not what to measure: "

var flaskOptions = newGrammar(`--app|-A= --env-file|-e= --debug --no-debug --version --help --host|-h= --port|-p= --cert= --key= --reload --no-reload
	--debugger --no-debugger --with-threads --without-threads --extra-files= --exclude-patterns=`)

var flaskTarget = regexp.MustCompile(`^([\w./-]+?)(?::([A-Za-z_]\w*)(\(.*\))?)?$`)

// flaskRun replaces `flask run` by a server for the application that Flask would find.
func (s start) flaskRun() (next start, taken bool, err error) {
	argv := s.command.Argv
	from, ok := programArgs(argv, []string{"flask"}, []string{"flask"})
	if !ok {
		return s, false, nil
	}
	args := flaskOptions.parse(argv[from:])
	if !slices.ContainsFunc(args, func(a argument) bool { return a.option == "" && a.value == "run" }) {
		return s, false, nil
	}
	variable, _ := getenv(slices.Concat(s.command.Env, s.vars), "FLASK_APP")
	named := cmp.Or(flaskOptions.last(argv[from:], "--app"), variable)
	head := leading(argv, "flask")
	const note = "flask run" + notToMeasure
	names := []string{"wsgi.py", "app.py", "app"}
	if named != "" {
		m := flaskTarget.FindStringSubmatch(named)
		if m == nil {
			return s, false, fmt.Errorf("flask run%sits application %s can't be seen", notToMeasure, named)
		}
		if names = []string{m[1]}; m[2] != "" {
			p, ok := modulePath(s.command, m[1])
			if !ok {
				return s, false, fmt.Errorf("flask run%sthere is no module %s", notToMeasure, m[1])
			}
			name := m[2] + m[3]
			if f, isFactory, _ := p.factory(m[2]); m[3] == "" && isFactory {
				name = f.name + "()"
			}
			return s.served(head, p, application{name: name}, note), true, nil
		}
	}
	for _, name := range names {
		if p, ok := modulePath(s.command, name); ok {
			app, ok, err := p.application("app", "application")
			if ok {
				return s.served(head, p, app, note), true, nil
			}
			if err != nil {
				return s, false, &unusable{why: strings.TrimSuffix(note, ": ") + ", and " + err.Error(), hint: hintOf(err)}
			}
		}
	}
	return s, false, &unusable{why: strings.TrimSuffix(note, ": ") + ", and which application it runs can't be seen", hint: "advise -- gunicorn MODULE:APPLICATION"}
}

var fastapiOptions = newGrammar(`--host= --port= --workers= --app= --root-path= --proxy-headers --no-proxy-headers --reload --no-reload --forwarded-allow-ips= --entrypoint|-e= --help`)

// fastapiRun replaces `fastapi run` by uvicorn, which is what it runs.
func (s start) fastapiRun() (next start, taken bool, err error) {
	argv := s.command.Argv
	from, ok := programArgs(argv, []string{"fastapi"}, []string{"fastapi", "fastapi_cli"})
	if !ok {
		return s, false, nil
	}
	var words, kept []string
	name := ""
	for _, a := range fastapiOptions.parse(argv[from:]) {
		switch a.option {
		case "":
			words = append(words, a.value)
		case "--app":
			name = a.value
		case "--entrypoint":
			return s, false, &unusable{why: "fastapi runs uvicorn", hint: "advise -- uvicorn " + quote(a.value)}
		case "--workers", "--root-path", "--proxy-headers", "--no-proxy-headers", "--forwarded-allow-ips":
			kept = append(kept, a.words...)
		}
	}
	if len(words) == 0 || words[0] != "run" && words[0] != "dev" {
		return s, false, nil
	}
	note := "fastapi run is uvicorn with an application that it looks for: "
	if words[0] == "dev" {
		note = "fastapi dev" + notToMeasure
	}
	files := words[1:]
	if len(files) == 0 {
		files = []string{"main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py"}
	}
	for _, file := range files {
		p, ok := s.script(file)
		if !ok {
			continue
		}
		app := application{name: name, async: true}
		if name == "" {
			if app, ok, _ = p.application("app", "api"); !ok || app.factory {
				continue
			}
			app.async = true
		}
		next := s.served(leading(argv, "fastapi"), p, app, note)
		next.command.Argv = slices.Concat(next.command.Argv, kept)
		return next, true, nil
	}
	return s, false, &unusable{why: "which application fastapi runs can't be seen in " + strings.Join(files, ", "), hint: "advise -- uvicorn MODULE:APPLICATION"}
}

// script is a file as it is a module when Python is given the file itself: below the folder of its
// topmost package.
func (s start) script(name string) (pythonFile, bool) {
	file, err := filepath.Rel(s.command.Dir, s.here(name))
	if err != nil || !filepath.IsLocal(file) {
		return pythonFile{}, false
	}
	text, err := readSmall(filepath.Join(s.command.Dir, file))
	if err != nil {
		return pythonFile{}, false
	}
	top := filepath.Dir(file)
	for top != "." && exists(filepath.Join(s.command.Dir, top, "__init__.py")) {
		top = filepath.Dir(top)
	}
	module, err := filepath.Rel(top, strings.TrimSuffix(file, ".py"))
	if err != nil {
		return pythonFile{}, false
	}
	p := pythonFile{root: s.command.Dir, file: file, code: scanPython(string(text)), module: strings.ReplaceAll(module, "/", ".")}
	if top != "." {
		p.path = top
	}
	p.module = strings.TrimSuffix(p.module, ".__init__")
	return p, moduleName.MatchString(p.module)
}

// djangoRunserver replaces `manage.py runserver` by a server for the project's WSGI module.
func (s start) djangoRunserver() (next start, taken bool, err error) {
	argv := s.command.Argv
	from, ok := programArgs(argv, []string{"manage.py"}, nil)
	if !ok || from >= len(argv) || !strings.HasPrefix(argv[from], "runserver") {
		return s, false, nil
	}
	in := s.command
	in.Dir = filepath.Dir(s.here(argv[from-1]))
	why := errors.New("manage.py names no settings")
	for _, f := range inManagePy(in) {
		if why = f.err; why != nil {
			continue
		}
		s.notes = append(slices.Clip(s.notes), "manage.py runserver"+notToMeasure+f.command.Argv[0]+" runs its application")
		s.command.Dir = in.Dir
		s.command.Argv = slices.Concat(leading(argv, "manage.py"), f.command.Argv)
		return s, true, nil
	}
	return s, false, fmt.Errorf("manage.py runserver%s%w", notToMeasure, why)
}

var (
	runsUvicorn  = regexp.MustCompile(`\buvicorn\.run\(`)
	otherServers = []string{"gevent", "eventlet", "tornado", "aiohttp", "flask_socketio", "socketio", "cheroot", "cherrypy", "hypercorn", "granian", "gunicorn", "bjoern", "meinheld"}
)

// pythonScript replaces a script that serves by itself, as Flask's and FastAPI's examples do, by a server for
// the application in it. One with a server that is none of these stays as it is.
func (s start) pythonScript() (next start, taken bool, err error) {
	argv := s.command.Argv
	if takes(argv, "{port}") {
		return s, false, nil
	}
	i := slices.IndexFunc(argv, func(w string) bool { return interpreter.MatchString(filepath.Base(w)) })
	if i < 0 {
		return s, false, nil
	}
	at := i + 1
	for at < len(argv) && (argv[at] == "-u" || argv[at] == "-O" || argv[at] == "-B") {
		at++
	}
	var p pythonFile
	ok := false
	switch {
	case at < len(argv) && strings.HasSuffix(argv[at], ".py"):
		if p, ok = s.script(argv[at]); ok {
			p.module = strings.TrimSuffix(filepath.Base(p.file), ".py")
			p.path = strings.TrimSuffix(filepath.Dir(p.file), ".")
		}
	case at+1 < len(argv) && argv[at] == "-m":
		p, ok = modulePath(s.command, argv[at+1])
	}
	if !ok || !moduleName.MatchString(p.module) || slices.ContainsFunc(otherServers, p.imports) {
		return s, false, nil
	}
	app, ok, _ := p.application("app", "application")
	if !ok || app.by == "" && !app.factory {
		return s, false, nil
	}
	what := show(argv[i:])
	switch code := func(s statement) bool { return runsUvicorn.MatchString(s.code) }; {
	case p.imports("waitress") && !app.factory && !app.async:
		s.notes = append(slices.Clip(s.notes), what+" runs waitress with its application")
		if p.path != "" {
			return s, false, nil
		}
		s.command.Argv = slices.Concat(argv[:i], []string{"waitress-serve", p.module + ":" + app.name})
		return s, true, nil
	case app.async && slices.ContainsFunc(p.code, code):
		return s.served(argv[:i], p, app, what+" runs uvicorn, which is given its count on the command line: "), true, nil
	case app.async:
		return s.served(argv[:i], p, app, what+" is not told a count: "), true, nil
	default:
		return s.served(argv[:i], p, app, what+notToMeasure), true, nil
	}
}
