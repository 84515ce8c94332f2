package targets

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"advise/targets/plain"
)

// ErrNothingFound is a folder in which Detect sees no application.
var ErrNothingFound = errors.New("no start command found: no Procfile, no Dockerfile, no Compose file, no gunicorn.conf.py with wsgi_app, " +
	"no uwsgi.ini, no config/puma.rb or config/unicorn.rb, no manage.py, no wsgi.py, asgi.py, app.py or main.py with an application, here or in a package, " +
	"no config.ru, and no start script in package.json")

// A NothingFoundError is an [ErrNothingFound] of a folder, with what may be meant instead.
type NothingFoundError struct {
	Dir   string
	Below []string // applications one folder deeper, each with the way there
}

func (e *NothingFoundError) Error() string {
	return fmt.Sprintf("look in %s: %v", e.Dir, ErrNothingFound)
}

func (e *NothingFoundError) Unwrap() error { return ErrNothingFound }

// A finding is what a file says of how the server is started, or why that can't be used.
type finding struct {
	where string // the file, and the line where there is one: Procfile:3
	what  string // what stands there, behind it in a sentence: has a web line
	start
	err error // why it can't be used
	// aside is what need not be a server at all: it is named where nothing else was found.
	aside bool
}

func (f finding) why() string { return f.where + " " + f.what }

// at names a line of a file.
func at(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// Detect finds the start command of the application in a folder, without running anything of it. What
// is found first holds, in the order from what was written to start it to what can be guessed from its
// code; all else that was seen is named with it, and why it was passed over. Where something was seen
// and none of it can be used it is a RefusedError, and with nothing seen a NothingFoundError.
func Detect(dir string, env []string) (*Target, error) {
	c := Command{Env: env, Dir: dir}
	seen := look(c)
	for i, f := range seen {
		if f.err != nil {
			continue
		}
		t, err := f.target()
		if err == nil {
			t.Found += rest(f, slices.Concat(seen[:i], seen[i+1:]))
		}
		return t, err
	}
	if len(seen) == 0 {
		return nil, &NothingFoundError{Dir: dir, Below: below(c)}
	}
	return nil, none(dir, seen)
}

// look is all that is seen in a folder, the best first. Of the same command the first place holds.
func look(c Command) []finding {
	var seen []finding
	for _, in := range []func(Command) []finding{
		inProcfile, inDockerfile, inCompose, inGunicornConf, inUwsgiIni, inPuma, inUnicorn, inManagePy, inModules, inConfigRu, inPackageJSON,
	} {
		for _, f := range in(c) {
			if f.err != nil || !slices.ContainsFunc(seen, f.same) {
				seen = append(seen, f)
			}
		}
	}
	return seen
}

// same says whether it would start the same.
func (f finding) same(other finding) bool {
	name := func(f finding) string { return strings.TrimSuffix(show(f.command.Argv), ":application") }
	return other.err == nil && name(f) == name(other) && f.command.Dir == other.command.Dir
}

// rest names what was seen beside the chosen one.
func rest(chosen finding, seen []finding) string {
	var also, unused []string
	for _, f := range seen {
		switch {
		case f.err == nil:
			also = append(also, plain.Line(fmt.Sprintf("%s (%s)", show(f.command.Argv), f.why())))
		case !f.aside:
			unused = append(unused, "\n"+plain.Line("not used: "+f.why()+": "+f.err.Error()))
		}
	}
	text := ""
	for _, n := range chosen.notes {
		text += "\n" + plain.Line(n)
	}
	if len(also) > 0 {
		text += "\nit goes before " + strings.Join(also, ", ")
	}
	return text + strings.Join(unused, "")
}

// none is the error where nothing that was seen can be used.
func none(dir string, seen []finding) error {
	hint := ""
	var reasons []string
	for _, f := range seen {
		if !f.aside {
			hint = cmp.Or(hint, hintOf(f.err))
		}
		reasons = append(reasons, plain.Line(f.why()+": "+f.err.Error()))
	}
	hint = cmp.Or(hint, "give the server's start command: advise -- COMMAND")
	if len(seen) == 1 {
		f := seen[0]
		return &RefusedError{Command: f.where, Reason: "it " + f.what + ": " + f.err.Error(), Hint: hint}
	}
	return &RefusedError{
		Command: plain.Line("what is in " + dir), Reason: "nothing of it starts a server that can be measured\n  " + strings.Join(reasons, "\n  "), Hint: hint,
	}
}

// mostBelow bounds how many are pointed at.
const mostBelow = 5

// below looks for applications one folder deeper. They are only pointed at: which of them is meant
// can't be known.
func below(c Command) []string {
	var seen []string
	for _, name := range folders(c.Dir) {
		in := c
		in.Dir = filepath.Join(c.Dir, name)
		found := look(in)
		if len(found) > 0 && len(seen) < mostBelow {
			f := found[0]
			seen = append(seen, plain.Line(fmt.Sprintf("one folder deeper, %s %s: cd %s && advise", filepath.Join(name, f.where), f.what, quote(name))))
		}
	}
	return seen
}

// mostFolders bounds how many folders are looked into.
const mostFolders = 64

// folders are those in which people keep applications.
func folders(dir string) []string {
	entries, _ := os.ReadDir(dir) // one that can't be read has none to look into
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains([]string{
			"tests", "test", "docs", "doc", "examples", "venv", "env", "node_modules", "site-packages", "migrations", "build", "dist", "scripts", "__pycache__", "vendor",
		}, e.Name()) && len(names) < mostFolders {
			names = append(names, e.Name())
		}
	}
	return names
}

func (f finding) target() (*Target, error) {
	c := f.command
	note := ""
	if s, ok := pythonServerOf(c.Argv[0]); ok {
		argv, why, ok := withPython(c, s)
		if !ok {
			return nil, &StartError{
				Kind: KindNotFound, Command: c.Argv[0], Hint: pythonMissing(c, s),
				Err: fmt.Errorf("%s, and %w", strings.Join(append([]string{f.why()}, f.notes...), "; "), missing(c.Argv[0])),
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
	t.Found = plain.Line(f.why()+": "+show(t.Command.Argv)) + note
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

// readFile is the text of a file, if there is one. What is there and can't be read is a finding.
func readFile(c Command, name string) (text string, f []finding, ok bool) {
	path := filepath.Join(c.Dir, name)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", nil, false // a folder of that name, or a pipe
	}
	read, err := readSmall(path)
	switch {
	case err == nil:
		return string(read), nil, true
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, false
	case errors.Is(err, errNotText):
		err = errNotText
	}
	return "", []finding{{where: name, what: "can't be read", err: err}}, false
}

func inProcfile(c Command) []finding {
	text, unread, ok := readFile(c, "Procfile")
	if !ok {
		return unread
	}
	var kinds []string
	for _, p := range procfile(text) {
		if p.kind != "web" {
			kinds = append(kinds, p.kind)
			continue
		}
		f := finding{where: at("Procfile", p.at), what: "has a web line"}
		f.start, f.err = start{command: c}.shellLine(p.line)
		if f.err == nil {
			f.start, f.err = f.anyServer()
		}
		if f.err != nil {
			f.what += ", " + maskLine(p.line)
		}
		return []finding{f}
	}
	if len(kinds) == 0 {
		return nil
	}
	return []finding{{where: "Procfile", what: "has lines for " + strings.Join(kinds, " and "), err: errors.New("none of them is called web"), aside: true}}
}

// suggested is a finding of a command that no file has as it is.
func suggested(c Command, where, what string, argv ...string) finding {
	c.Argv = argv
	return finding{where: where, what: what, start: start{command: c}}
}

func inGunicornConf(c Command) []finding {
	text, unread, ok := readFile(c, gunicornFile)
	if !ok {
		return unread
	}
	module := scanPython(text)
	app := literals(module)["wsgi_app"]
	if app == "" {
		return nil
	}
	s, _ := defines(module, "wsgi_app")
	return []finding{suggested(c, at(gunicornFile, s.line), "names the application "+app, "gunicorn")}
}

var settingsModule = regexp.MustCompile(`(?:setdefault\(|environ\[) *"(\d+)" *(?:\] *=|,) *"(\d+)"`)

// inManagePy finds the project from the settings that manage.py names: shop.settings, or
// config.settings.local, stand beside shop/wsgi.py and config/wsgi.py.
func inManagePy(c Command) []finding {
	text, unread, ok := readFile(c, "manage.py")
	if !ok {
		return unread
	}
	settings, line := "", 0
	for _, s := range scanPython(text) {
		m := settingsModule.FindStringSubmatch(s.code)
		if m != nil && s.strings[atoi(m[1])] == "DJANGO_SETTINGS_MODULE" {
			settings, line = s.strings[atoi(m[2])], s.line
		}
	}
	if settings == "" {
		return nil
	}
	var projects []string
	if before, _, ok := strings.Cut(settings, ".settings"); ok {
		projects = append(projects, before)
	}
	if first, _, _ := strings.Cut(settings, "."); first != "" {
		projects = append(projects, first)
	}
	where := at("manage.py", line)
	var found []finding
	for _, p := range slices.Compact(projects) {
		if !moduleName.MatchString(p) {
			continue
		}
		folder := filepath.Join(c.Dir, strings.ReplaceAll(p, ".", "/"))
		if exists(filepath.Join(folder, "wsgi.py")) {
			found = append(found, suggested(c, where, "belongs to the Django project "+p, "gunicorn", p+".wsgi"))
		}
		if exists(filepath.Join(folder, "asgi.py")) {
			found = append(found, suggested(c, where, "belongs to the Django project "+p+", which has an asgi.py", "uvicorn", p+".asgi:application"))
		}
	}
	if len(found) == 0 {
		return []finding{{where: where, what: "names the settings " + settings, err: errors.New("there is no wsgi.py or asgi.py beside them")}}
	}
	return found
}

var moduleName = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)

func atoi(digits string) int {
	n := 0
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}
