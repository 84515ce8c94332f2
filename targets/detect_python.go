package targets

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// An application is what a module of Python's offers to a server.
type application struct {
	name    string // the variable, or the function that makes it
	factory bool
	async   bool // it is ASGI's
	by      string
	line    int
}

// A pythonFile is a module of the project's.
type pythonFile struct {
	root   string // of the project
	file   string // below it
	path   string // the folder below it that Python has to look in; empty: the project's own
	module string // as it is imported
	code   []statement
}

// frameworks are those whose import tells what kind of application a module makes.
var frameworks = map[string]struct {
	name  string
	async bool
}{
	"flask": {"Flask", false}, "bottle": {"Bottle", false}, "pyramid": {"Pyramid", false}, "falcon": {"Falcon", false},
	"fastapi": {"FastAPI", true}, "starlette": {"Starlette", true}, "quart": {"Quart", true}, "litestar": {"Litestar", true},
	"sanic": {"Sanic", true}, "blacksheep": {"BlackSheep", true},
}

var (
	importsFrom  = regexp.MustCompile(`^from +(\.*[\w.]*) +import +\(? *(.*?) *,? *\)?$`)
	importsPlain = regexp.MustCompile(`^import +(.*)$`)
	calls        = regexp.MustCompile(`= *([A-Za-z_]\w*)\(`)
	construction = regexp.MustCompile(`^([A-Za-z_]\w*) *(?::[^=]*)?` + `= *(?:\w+\.)*(Flask|Bottle|FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep)\(`)
	rawWSGI      = regexp.MustCompile(`^def +\w+\( *environ\b|^def +\w+\( *\w+, *start_response\b`)
	rawASGI      = regexp.MustCompile(`^async +def +\w+\( *scope\b`)
)

// framework is what a module imports that an application can be made of.
func framework(code []statement) (name string, async, ok bool) {
	for _, s := range code {
		var modules []string
		if m := importsFrom.FindStringSubmatch(s.code); m != nil {
			modules = []string{m[1]}
		} else if m := importsPlain.FindStringSubmatch(s.code); m != nil {
			modules = strings.Split(m[1], ",")
		}
		for _, m := range modules {
			first, _, _ := strings.Cut(strings.TrimSpace(m), ".")
			first, _, _ = strings.Cut(first, " ")
			if f, ok := frameworks[first]; ok {
				return f.name, f.async || strings.HasPrefix(strings.TrimSpace(m), "falcon.asgi"), true
			}
		}
	}
	return "", false, false
}

// imported finds from which module a name comes, and what it is called there.
func imported(code []statement, name string) (module, original string, ok bool) {
	for _, s := range code {
		m := importsFrom.FindStringSubmatch(s.code)
		if m == nil || s.indent > 0 {
			continue
		}
		for part := range strings.SplitSeq(m[2], ",") {
			words := strings.Fields(part)
			if len(words) > 0 && words[len(words)-1] == name {
				return m[1], words[0], true
			}
		}
	}
	return "", "", false
}

// open reads another module of the project's, by the name by which this one imports it.
func (p pythonFile) open(module string) (pythonFile, bool) {
	folder := filepath.Join(p.root, p.path)
	if dots := len(module) - len(strings.TrimLeft(module, ".")); dots > 0 {
		folder = filepath.Dir(filepath.Join(p.root, p.file))
		for range dots - 1 {
			folder = filepath.Dir(folder)
		}
		module = module[dots:]
	}
	path := filepath.Join(folder, strings.ReplaceAll(module, ".", "/"))
	for _, file := range []string{path + ".py", filepath.Join(path, "__init__.py")} {
		rel, err := filepath.Rel(p.root, file)
		if err != nil || !filepath.IsLocal(rel) {
			return pythonFile{}, false
		}
		if text, err := readSmall(file); err == nil {
			return pythonFile{root: p.root, file: rel, path: p.path, code: scanPython(string(text))}, true
		}
	}
	return pythonFile{}, false
}

// deepestImport bounds how far a name is followed through imports.
const deepestImport = 4

// kind is what sort of application a name stands for, as far as it can be followed: to where it is made, or to
// what the module imports that makes it.
func (p pythonFile) kind(name string, left int) (by string, async, ok bool) {
	s, defined := defines(p.code, name)
	if !defined || left == 0 {
		return "", false, false
	}
	switch m, n := asyncServer.FindStringSubmatch(s.code), syncServer.FindStringSubmatch(s.code); {
	case m != nil:
		return m[1], true, true
	case n != nil:
		return n[1], false, true
	case strings.Contains(s.code, "WsgiToAsgi("), strings.Contains(s.code, "WSGIMiddleware("):
		return "", true, true // around one of the other kind
	case strings.Contains(s.code, "AsgiToWsgi("), strings.Contains(s.code, "ASGIMiddleware("):
		return "", false, true
	case rawASGI.MatchString(s.code):
		return "", true, true
	case rawWSGI.MatchString(s.code):
		return "", false, true
	}
	if m := calls.FindStringSubmatch(s.code); m != nil && m[1] != name {
		if by, async, ok := p.kind(m[1], left-1); ok {
			return by, async, true
		}
	}
	if module, original, ok := imported(p.code, name); ok {
		if other, ok := p.open(module); ok {
			return other.kind(original, left-1)
		}
		return "", false, false
	}
	return framework(p.code)
}

var factoryNames = []string{"create_app", "make_app"}

// application is what a server can be given of a module: a variable, or else a function that makes one. The
// error says why what it has can't be used; without either there is nothing to see in it.
func (p pythonFile) application(names ...string) (app application, found bool, err error) {
	for _, name := range names {
		s, ok := defines(p.code, name)
		if !ok {
			continue
		}
		app = application{name: name, line: s.line}
		if app.by, app.async, ok = p.kind(name, deepestImport); ok {
			return app, true, nil
		}
		switch filepath.Base(p.file) { // the names say it
		case "wsgi.py", "app.py":
			return app, true, nil
		case "asgi.py":
			app.async = true
			return app, true, nil
		}
	}
	for _, s := range p.code {
		if m := construction.FindStringSubmatch(s.code); m != nil && s.indent == 0 {
			app = application{name: m[1], line: s.line}
			app.by, app.async, _ = p.kind(m[1], deepestImport)
			return app, true, nil
		}
	}
	for _, name := range factoryNames {
		app, found, err = p.factory(name)
		if found || err != nil {
			return app, found, err
		}
	}
	return application{}, false, nil
}

// factory is a function that makes the application when it is called without arguments.
func (p pythonFile) factory(name string) (app application, found bool, err error) {
	s, ok := defines(p.code, name)
	if !ok {
		return application{}, false, nil
	}
	app = application{name: name, factory: true, line: s.line}
	made := s.code
	if module, original, ok := imported(p.code, name); ok {
		other, ok := p.open(module)
		if !ok {
			return app, false, nil
		}
		if s, ok = defines(other.code, original); !ok {
			return app, false, nil
		}
		made = s.code
	}
	needs := requiredParameters(made)
	app.by, app.async, ok = p.kind(name, deepestImport)
	switch {
	case strings.HasPrefix(made, "async "):
		return app, false, fmt.Errorf("%s is a coroutine, which no server calls", name)
	case !strings.HasPrefix(made, "def "):
		return app, false, nil
	case !ok:
		return app, false, &unusable{
			why:  fmt.Sprintf("of which kind what %s makes is can't be seen", name),
			hint: fmt.Sprintf("advise -- gunicorn '%s:%s()', or for ASGI: advise -- uvicorn --factory %s:%s", p.module, name, p.module, name),
		}
	case len(needs) > 0:
		return app, false, &unusable{
			why:  fmt.Sprintf("%s has to be given %s", name, strings.Join(needs, ", ")),
			hint: fmt.Sprintf("call it in a module, wsgi.py or asgi.py, or give it here: advise -- gunicorn '%s:%s(...)'", p.module, name),
		}
	}
	return app, true, nil
}

// requiredParameters are those of a function without a default.
func requiredParameters(def string) []string {
	_, rest, ok := strings.Cut(def, "(")
	if !ok {
		return nil
	}
	var needs []string
	depth, begun := 0, 0
	for i, c := range rest {
		switch {
		case strings.ContainsRune("([{", c):
			depth++
		case depth > 0 && strings.ContainsRune(")]}", c):
			depth--
		case depth == 0 && (c == ',' || c == ')'):
			p := strings.TrimSpace(rest[begun:i])
			begun = i + 1
			if name, _, _ := strings.Cut(p, ":"); p != "" && !strings.Contains(p, "=") && !strings.HasPrefix(p, "*") && p != "/" {
				needs = append(needs, strings.TrimSpace(name))
			}
		}
		if c == ')' && depth == 0 && begun == i+1 {
			break
		}
	}
	return needs
}

// argv runs an application: WSGI by gunicorn, ASGI by uvicorn.
func (p pythonFile) argv(app application) []string {
	target := p.module + ":" + app.name
	if app.async {
		argv := []string{"uvicorn"}
		if p.path != "" {
			argv = append(argv, "--app-dir", p.path)
		}
		if app.factory {
			argv = append(argv, "--factory")
		}
		return append(argv, target)
	}
	if app.factory {
		target += "()"
	}
	if p.path != "" {
		return []string{"gunicorn", "--pythonpath", p.path, target}
	}
	return []string{"gunicorn", target}
}

// says is what a module has, behind its name in a sentence.
func (app application) says() string {
	switch {
	case app.factory && app.by != "":
		return fmt.Sprintf("defines %s, which makes an application with %s", app.name, app.by)
	case app.by != "" && app.async:
		return fmt.Sprintf("makes %s with %s", app.name, app.by)
	default:
		return "defines " + app.name
	}
}

var applicationNames = []string{"application", "app"}

// inModules looks into the usual modules of the project, of its packages, and of src.
func inModules(c Command) []finding {
	var found []finding
	usual := []string{"wsgi", "asgi", "app", "main", "server", "application", "api"}
	for _, m := range usual {
		found = append(found, inModule(c, m+".py")...)
	}
	for _, src := range []string{"", "src"} {
		if src != "" {
			for _, m := range usual {
				found = append(found, inModule(c, filepath.Join(src, m+".py"))...)
			}
		}
		for _, name := range folders(filepath.Join(c.Dir, src)) {
			folder := filepath.Join(src, name)
			isPackage := exists(filepath.Join(c.Dir, folder, "__init__.py"))
			if !moduleName.MatchString(name) || name == "src" || !isPackage && src == "" && name != "app" {
				continue
			}
			for _, m := range append(usual, "__init__") {
				found = append(found, inModule(c, filepath.Join(folder, m+".py"))...)
			}
		}
	}
	return found
}

func inModule(c Command, file string) []finding {
	text, unread, ok := readFile(c, file)
	if !ok {
		return unread
	}
	p := newPythonFile(c.Dir, file, text)
	names := applicationNames
	if base := filepath.Base(file); base == "app.py" || base == "main.py" || base == "__init__.py" {
		names = []string{"app", "application"}
	}
	app, ok, err := p.application(names...)
	if ok {
		return []finding{suggested(c, at(file, app.line), app.says(), p.argv(app)...)}
	}
	if err != nil {
		return []finding{{where: at(file, app.line), what: "defines " + app.name, err: err}}
	}
	if by, _, ok := framework(p.code); ok && filepath.Base(file) != "__init__.py" {
		return []finding{{
			where: file, what: "imports " + by, aside: true,
			err: errors.New("it has no app, application, create_app or make_app outside its functions"),
		}}
	}
	return nil
}

// newPythonFile works out how a module is imported: by its name below the project's folder, or below the
// first folder that can't be a package of its own, as src, and a folder whose modules import each
// other by their bare names.
func newPythonFile(root, file, text string) pythonFile {
	p := pythonFile{root: root, file: file, code: scanPython(text)}
	parts := strings.Split(filepath.ToSlash(strings.TrimSuffix(file, ".py")), "/")
	packages := parts[:len(parts)-1]
	switch {
	case len(packages) == 0:
	case packages[0] == "src" && !exists(filepath.Join(root, "src", "__init__.py")) && !p.imports("src"):
		p.path, parts = "src", parts[1:]
	}
	if folder := filepath.Dir(file); folder != "." && folder != p.path && p.importsSiblings(folder) {
		p.path, parts = folder, parts[len(parts)-1:]
	}
	if len(parts) > 1 && parts[len(parts)-1] == "__init__" {
		parts = parts[:len(parts)-1]
	}
	p.module = strings.Join(parts, ".")
	return p
}

// importedModules are the modules that a module names.
func (p pythonFile) importedModules() []string {
	var modules []string
	for _, s := range p.code {
		if m := importsFrom.FindStringSubmatch(s.code); m != nil {
			modules = append(modules, m[1])
		} else if m := importsPlain.FindStringSubmatch(s.code); m != nil {
			for part := range strings.SplitSeq(m[1], ",") {
				first, _, _ := strings.Cut(strings.TrimSpace(part), " ")
				modules = append(modules, first)
			}
		}
	}
	return modules
}

func (p pythonFile) imports(name string) bool {
	return slices.ContainsFunc(p.importedModules(), func(m string) bool { return m == name || strings.HasPrefix(m, name+".") })
}

// importsSiblings says whether modules beside this one are imported as if its folder were the project.
func (p pythonFile) importsSiblings(folder string) bool {
	modules := p.importedModules()
	if slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(m, ".") }) {
		return false
	}
	return slices.ContainsFunc(modules, func(m string) bool {
		first, _, _ := strings.Cut(m, ".")
		beside := func(dir string) bool {
			return exists(filepath.Join(p.root, dir, first+".py")) || exists(filepath.Join(p.root, dir, first, "__init__.py"))
		}
		return first != "" && beside(folder) && !beside(".") && !beside(p.path)
	})
}

// modulePath finds a module or a file by what a command calls it.
func modulePath(c Command, name string) (p pythonFile, ok bool) {
	file := strings.ReplaceAll(name, ".", "/") + ".py"
	if strings.HasSuffix(name, ".py") {
		file = filepath.Clean(name)
	}
	for _, f := range []string{file, filepath.Join(strings.TrimSuffix(file, ".py"), "__init__.py"), filepath.Join("src", file)} {
		if !filepath.IsLocal(f) {
			continue
		}
		if text, err := readSmall(filepath.Join(c.Dir, f)); err == nil {
			return newPythonFile(c.Dir, f, string(text)), true
		}
	}
	return pythonFile{}, false
}
