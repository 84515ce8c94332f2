package targets

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
)

// gunicornConf is what can be read of a configuration file without running it.
type gunicornConf struct {
	name   string // as the command names it; empty: there is none
	values map[string]string
}

// readGunicornConf reads the file that gunicorn would: the one named, or gunicorn.conf.py.
func readGunicornConf(c Command) gunicornConf {
	_, args, _ := splitGunicorn(c.Argv)
	variable, _ := getenv(c.Env, gunicornVariable)
	words, _ := splitWords(variable)
	name := cmp.Or(gunicornOption(args, "--config"), gunicornOption(words, "--config"), "gunicorn.conf.py")
	name = strings.TrimPrefix(name, "file:")
	if module, ok := strings.CutPrefix(name, "python:"); ok {
		name = strings.ReplaceAll(module, ".", string(filepath.Separator)) + ".py"
	}
	text, err := readSmall(inDir(c.Dir, name))
	if err != nil {
		return gunicornConf{}
	}
	return gunicornConf{name: name, values: literals(scanPython(string(text)))}
}

// gunicornMissing says what to do when the shell's gunicorn is not there.
func gunicornMissing(c Command) string {
	rest := show(c.Argv[1:])
	if program, ok := projectGunicorn(c); ok {
		return "it is in the project's virtual environment: advise -- " + quote(program) + " " + rest
	}
	if python, ok := pythonWithGunicorn(c); ok {
		return "advise -- " + python + " -m gunicorn " + rest
	}
	if env, _ := getenv(c.Env, "VIRTUAL_ENV"); env != "" {
		return "pip install gunicorn, into " + env
	}
	return "pip install gunicorn, or activate the virtual environment it is in"
}

// projectGunicorn looks into the virtual environments where people keep them: the active one, venv
// and .venv in the project's folder. The path is relative to the folder where it can be.
func projectGunicorn(c Command) (string, bool) {
	active, _ := getenv(c.Env, "VIRTUAL_ENV")
	for _, env := range []string{active, "./.venv", "./venv"} {
		if env == "" {
			continue
		}
		program := env + "/bin/gunicorn"
		if executable(inDir(c.Dir, program)) {
			return program, true
		}
	}
	return "", false
}

// pythonWithGunicorn looks for a Python that has gunicorn as a module.
func pythonWithGunicorn(c Command) (string, bool) {
	for _, name := range []string{"python3", "python"} {
		program, err := lookPath(name, c)
		if err != nil {
			continue
		}
		if target, err := os.Readlink(program); err == nil {
			program = inDir(filepath.Dir(program), target)
		}
		bin := filepath.Dir(program)
		for _, pattern := range []string{"../lib/python3*/site-packages/gunicorn", "../lib/python3/dist-packages/gunicorn"} {
			if found, _ := filepath.Glob(filepath.Join(bin, pattern, "__main__.py")); len(found) > 0 {
				return name, true
			}
		}
	}
	return "", false
}
