package targets

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ErrNothingFound is a folder in which Detect sees no application.
var ErrNothingFound = errors.New("no start command found: no Procfile with a web line, no CMD of a Dockerfile, no gunicorn.conf.py with wsgi_app, " +
	"no uwsgi.ini, no config/puma.rb or config/unicorn.rb, no manage.py, no wsgi.py, asgi.py, app.py or main.py with app or application, " +
	"no config.ru, and no start script in package.json")

// A finding is a start command that a file suggests.
type finding struct {
	command Command
	set     []string // variables that it sets for the command, NAME=value
	why     string   // the file and what is in it
}

// Detect finds the start command of the application in a folder. What is found first holds, in the
// order from what was written to start it to what can be guessed from its code; the rest is named
// with it. What can't be read is passed over. With nothing found it is ErrNothingFound.
func Detect(dir string, env []string) (*Target, error) {
	c := Command{Env: env, Dir: dir}
	looks := []func(Command) (*finding, error){
		inProcfile, inDockerfile, inCompose, inGunicornConf, inUwsgiIni, inPuma, inUnicorn, inManagePy, inModule, inConfigRu, inPackageJSON,
	}
	for i, look := range looks {
		f, err := look(c)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		t, err := f.target()
		if err == nil {
			t.Found += others(c, f, looks[i+1:])
		}
		return t, err
	}
	return nil, fmt.Errorf("look in %s: %w", dir, ErrNothingFound)
}

// others names what was found too and is another command.
func others(c Command, chosen *finding, looks []func(Command) (*finding, error)) string {
	seen := []string{show(chosen.command.Argv)}
	var also []string
	for _, look := range looks {
		f, err := look(c)
		if err != nil || f == nil || slices.Contains(seen, show(f.command.Argv)) {
			continue
		}
		seen = append(seen, show(f.command.Argv))
		also = append(also, fmt.Sprintf("%s (%s)", show(f.command.Argv), f.why))
	}
	if len(also) == 0 {
		return ""
	}
	return "; it goes before " + strings.Join(also, ", ")
}

func (f *finding) target() (*Target, error) {
	c := f.command
	note := ""
	if s, ok := pythonServerOf(c.Argv[0]); ok {
		argv, why, ok := withPython(c, s)
		if !ok {
			return nil, &StartError{
				Kind: KindNotFound, Command: c.Argv[0], Hint: pythonMissing(c, s),
				Err: fmt.Errorf("%s, and %w", f.why, missing(c.Argv[0])),
			}
		}
		c.Argv, note = argv, why
	}
	if len(f.set) > 0 { // as a part of the command it stays with it wherever that is kept
		c.Argv = slices.Concat([]string{"env"}, f.set, c.Argv)
	}
	t, err := Recognise(c)
	if err != nil {
		return nil, err
	}
	if t.Found != "" {
		note += "; " + t.Found
	}
	t.Found = fmt.Sprintf("%s: %s%s", f.why, show(t.Command.Argv), note)
	return t, nil
}

// withPython chooses which installed server runs a found application: the one of the project's
// virtual environment, then that in PATH, then a Python's module.
func withPython(c Command, s pythonServer) (argv []string, note string, ok bool) {
	onPath, missing := lookPath(c.Argv[0], c)
	if program, ok := projectProgram(c, c.Argv[0]); ok && inDir(c.Dir, program) != onPath {
		return append([]string{program}, c.Argv[1:]...), ", with the " + c.Argv[0] + " of the virtual environment", true
	}
	if missing == nil {
		return c.Argv, "", true
	}
	if python, ok := pythonWith(c, s.modules[0]); ok {
		return slices.Concat([]string{python, "-m", s.modules[0]}, c.Argv[1:]), ", as the " + c.Argv[0] + " command is not in PATH", true
	}
	return nil, "", false
}

func inProcfile(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "Procfile"))
	if err != nil {
		return nil, nothing(err)
	}
	line, ok := procfileWeb(string(text))
	if !ok {
		return nil, nil
	}
	p, err := parseProcfile(line, c.Env)
	if err != nil {
		reason := fmt.Sprintf("the web line of the Procfile can't be used: %v", err)
		hint := "give the server's start command: advise -- COMMAND"
		if last, err := parseProcfile(lastOf(line), c.Env); err == nil && lastOf(line) != line {
			hint = "run what comes first yourself, then: advise -- " + show(last.argv)
		}
		return nil, &RefusedError{Command: show([]string{line}), Reason: reason, Hint: hint}
	}
	c.Argv, c.Dir = p.argv, inDir(c.Dir, p.dir)
	return &finding{command: c, set: p.set, why: "the Procfile has a web line"}, nil
}

// nothing makes of a file that is not there, or is not what it is called, no error at all.
func nothing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errNotText) {
		return nil
	}
	return fmt.Errorf("look for a start command: %w", err)
}

func inGunicornConf(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "gunicorn.conf.py"))
	if err != nil {
		return nil, nothing(err)
	}
	app := literals(scanPython(string(text)))["wsgi_app"]
	if app == "" {
		return nil, nil
	}
	c.Argv = []string{"gunicorn"}
	return &finding{command: c, why: "gunicorn.conf.py names the application " + app}, nil
}

var settingsModule = regexp.MustCompile(`(?:setdefault\(|environ\[) *"(\d+)" *(?:\] *=|,) *"(\d+)"`)

// inManagePy finds the project from the settings that manage.py names: shop.settings, or
// config.settings.local, stand beside shop/wsgi.py and config/wsgi.py.
func inManagePy(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "manage.py"))
	if err != nil {
		return nil, nothing(err)
	}
	settings := ""
	for _, s := range scanPython(string(text)) {
		m := settingsModule.FindStringSubmatch(s.code)
		if m != nil && s.strings[atoi(m[1])] == "DJANGO_SETTINGS_MODULE" {
			settings = s.strings[atoi(m[2])]
		}
	}
	var projects []string
	if before, _, ok := strings.Cut(settings, ".settings"); ok {
		projects = append(projects, before)
	}
	if first, _, _ := strings.Cut(settings, "."); first != "" {
		projects = append(projects, first)
	}
	for _, p := range projects {
		if !moduleName.MatchString(p) {
			continue
		}
		if exists(filepath.Join(c.Dir, strings.ReplaceAll(p, ".", "/"), "wsgi.py")) {
			c.Argv = []string{"gunicorn", p + ".wsgi"}
			return &finding{command: c, why: "manage.py belongs to the Django project " + p}, nil
		}
	}
	return nil, nil
}

var moduleName = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)

func atoi(digits string) int {
	n := 0
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}

func inModule(c Command) (*finding, error) {
	for _, file := range []struct {
		module string
		names  []string
	}{
		{"wsgi", []string{"application", "app"}},
		{"asgi", []string{"application", "app"}},
		{"app", []string{"app", "application"}},
		{"main", []string{"app", "application"}},
	} {
		text, err := readSmall(filepath.Join(c.Dir, file.module+".py"))
		if err != nil {
			if err := nothing(err); err != nil {
				return nil, err
			}
			continue
		}
		module := scanPython(string(text))
		for _, name := range file.names {
			s, ok := defines(module, name)
			if !ok {
				continue
			}
			app := file.module + ":" + name
			m := asyncServer.FindStringSubmatch(s.code)
			switch {
			case m != nil:
				c.Argv = []string{"uvicorn", app}
				return &finding{command: c, why: fmt.Sprintf("%s.py makes %s with %s", file.module, name, m[1])}, nil
			case file.module == "asgi":
				c.Argv = []string{"uvicorn", app}
			case file.module == "main" && !syncServer.MatchString(s.code):
				continue // a usual name for what is no server
			default:
				c.Argv = []string{"gunicorn", app}
			}
			return &finding{command: c, why: fmt.Sprintf("%s.py defines %s", file.module, name)}, nil
		}
	}
	return nil, nil
}
