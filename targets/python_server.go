package targets

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"advise/targets/hold"
)

// A pythonServer is a server that is a Python package.
type pythonServer struct {
	program
	distribution string         // its name at PyPI
	answer       *regexp.Regexp // to --version; nil: it has no such option
}

// pythonServers are those that a missing program is looked up among.
var pythonServers = []pythonServer{gunicornProgram, uvicornProgram, hypercornProgram, granianProgram, waitressProgram}

func pythonServerOf(name string) (pythonServer, bool) {
	for _, s := range pythonServers {
		if s.names[0] == name {
			return s, true
		}
	}
	return pythonServer{}, false
}

// trueConcurrency keeps WEB_CONCURRENCY true where it is set: a configuration file or the
// application may read it.
func trueConcurrency(env []string, s Shape) []string {
	if _, ok := getenv(env, "WEB_CONCURRENCY"); ok {
		env = setenv(env, "WEB_CONCURRENCY", strconv.Itoa(s.Workers))
	}
	return env
}

// pythonWorkers are the children that Python's multiprocessing has forked, or started afresh: those
// have its name for them, and beside them is its own helper, the resource tracker, which it starts
// first. Where titles can't be read it is told by that. A server without any serves by itself, as
// some do with one worker.
func pythonWorkers(tree []hold.Process) []hold.Process {
	children := firstChildren(tree, func(p, master hold.Process) bool {
		return p.Title == master.Title || strings.Contains(p.Title, "multiprocessing.spawn") || strings.Contains(p.Title, "multiprocessing-fork")
	})
	if len(children) > 0 && children[0].Title == "" {
		children = children[1:]
	}
	if len(children) == 0 {
		return lonely(tree)
	}
	return children
}

// since says whether a version is a certain one or a later one. An unknown one is taken for old.
func since(version string, major, minor int) bool {
	var numbers [2]int
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < len(numbers) {
			numbers[i], _ = strconv.Atoi(part)
		}
	}
	return slices.Compare(numbers[:], []int{major, minor}) >= 0
}

// version is what the files say, or else the server itself.
func (s pythonServer) version(ctx context.Context, c Command) (string, error) {
	if v := s.installed(c); v != "" || s.answer == nil {
		return v, nil
	}
	return s.ask(ctx, c)
}

// pythonMissing says what to do when a server of Python's is not in PATH.
func pythonMissing(c Command, s pythonServer) string {
	rest := show(c.Argv[1:])
	if program, ok := projectProgram(c, c.Argv[0]); ok {
		return "it is in the project's virtual environment: advise -- " + quote(program) + " " + rest
	}
	if python, ok := pythonWith(c, s.modules[0]); ok {
		return "advise -- " + python + " -m " + s.modules[0] + " " + rest
	}
	if env, _ := getenv(c.Env, "VIRTUAL_ENV"); env != "" {
		return "pip install " + s.distribution + ", into " + env
	}
	return "pip install " + s.distribution + ", or activate the virtual environment it is in"
}

// projectProgram looks for a program in the virtual environments where people keep them: the
// active one, venv and .venv in the project's folder. The path is relative to the folder where it can be.
func projectProgram(c Command, name string) (string, bool) {
	active, _ := getenv(c.Env, "VIRTUAL_ENV")
	for _, env := range []string{active, "./.venv", "./venv"} {
		if env == "" {
			continue
		}
		program := env + "/bin/" + name
		if executable(inDir(c.Dir, program)) {
			return program, true
		}
	}
	return "", false
}

// pythonWith looks for a Python that can run a package as a module.
func pythonWith(c Command, module string) (string, bool) {
	for _, name := range []string{"python3", "python"} {
		program, err := lookPath(name, c)
		if err != nil {
			continue
		}
		if target, err := os.Readlink(program); err == nil {
			program = inDir(filepath.Dir(program), target)
		}
		bin := filepath.Dir(program)
		for _, pattern := range []string{"../lib/python3*/site-packages/" + module, "../lib/python3/dist-packages/" + module} {
			if found, _ := filepath.Glob(filepath.Join(bin, pattern, "__main__.py")); len(found) > 0 {
				return name, true
			}
		}
	}
	return "", false
}

// installed finds the version in the names of the files that pip or the distribution installed, in
// well under a millisecond where asking takes a few tenths of a second. It is empty where these do
// not tell, as behind `uv run`.
func (s pythonServer) installed(c Command) string {
	head, _, ok := s.split(c.Argv)
	if ok && filepath.Base(head[0]) == "env" {
		head = slices.DeleteFunc(slices.Clone(head[1:]), assigns)
	}
	if !ok || len(head) == 0 || len(head) > 1 && !interpreter.MatchString(filepath.Base(head[0])) {
		return ""
	}
	program, err := lookPath(head[0], c)
	if err != nil {
		return ""
	}
	folders := []string{filepath.Dir(program)}
	if len(head) == 1 {
		python := shebang(program, c)
		if python == "" {
			return ""
		}
		folders = append(folders, filepath.Dir(python))
	}
	var patterns []string
	for _, bin := range folders {
		patterns = append(patterns, filepath.Join(bin, "../lib/python3*/site-packages"))
		if bin == "/usr/bin" || bin == "/bin" {
			patterns = append(patterns, "/usr/lib/python3/dist-packages", "/usr/local/lib/python3*/dist-packages")
		}
	}
	home, _ := getenv(c.Env, "HOME")
	patterns = append(patterns, filepath.Join(home, ".local/lib/python3*/site-packages"))
	if extra, _ := getenv(c.Env, "PYTHONPATH"); extra != "" {
		for _, dir := range filepath.SplitList(extra) {
			patterns = append(patterns, inDir(c.Dir, dir))
		}
	}
	var versions []string
	for _, p := range patterns {
		found, _ := filepath.Glob(filepath.Join(p, "*-info"))
		for _, f := range found {
			m := distribution.FindStringSubmatch(f)
			if m != nil && strings.EqualFold(m[1], s.distribution) && !slices.Contains(versions, m[2]) {
				versions = append(versions, m[2])
			}
		}
	}
	if len(versions) != 1 {
		return ""
	}
	return versions[0]
}

// logHandlers are those of Python's logging that write elsewhere than to the standard output.
var logHandlers = regexp.MustCompile(`FileHandler|SysLogHandler|SocketHandler|DatagramHandler|HTTPHandler|SMTPHandler|filename`)

// logsToFiles says whether a configuration of Python's logging has lines written elsewhere.
func logsToFiles(c Command, name string) bool {
	if name == "" {
		return false
	}
	text, err := readSmall(inDir(c.Dir, name))
	return err == nil && logHandlers.Match(text)
}

var distribution = regexp.MustCompile(`/([A-Za-z0-9_.]+)-([0-9][^/-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info$`)

// shebang is the interpreter that a script names in its first line, if it is a Python.
func shebang(script string, c Command) string {
	text, err := readSmall(script)
	if err != nil {
		return ""
	}
	line, _, _ := bufio.NewReader(bytes.NewReader(text)).ReadLine()
	rest, ok := strings.CutPrefix(string(line), "#!")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return ""
	}
	python := words[0]
	if filepath.Base(python) == "env" && len(words) == 2 {
		if python, err = lookPath(words[1], c); err != nil {
			return ""
		}
	}
	if !interpreter.MatchString(filepath.Base(python)) {
		return ""
	}
	return python
}

// ask runs the server with --version behind whatever the command has before it.
func (s pythonServer) ask(ctx context.Context, c Command) (string, error) {
	head, _, _ := s.split(c.Argv)
	c.Env = setenv(c.Env, gunicornVariable, "")
	return askVersion(ctx, c, append(slices.Clone(head), "--version"), s.answer)
}

// askVersion runs a command and finds the version in its answer.
func askVersion(ctx context.Context, c Command, argv []string, answer *regexp.Regexp) (string, error) {
	head := argv[:len(argv)-1]
	program, err := lookPath(head[0], c)
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", show(head), err)
	}
	out, err := output(ctx, c, append([]string{program}, argv[1:]...))
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", show(head), err)
	}
	m := answer.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("ask %s for its version: it answered %.100q", show(head), out)
	}
	return string(m[1]), nil
}
