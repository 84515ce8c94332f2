package targets

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var interpreter = regexp.MustCompile(`^(python|pypy)[0-9.]*[dt]?$`)

// programArgs finds where the arguments of a Python program begin: after its name or its path, after
// `python -m` with one of the modules, and both behind such wrappers as env, nice or `uv run`.
func programArgs(argv []string, names, modules []string) (at int, ok bool) {
	for i, word := range argv {
		if i > 0 && isValueOf(argv[i-1]) {
			continue
		}
		base := filepath.Base(word)
		if slices.Contains(names, base) && (i == 0 || i+1 < len(argv) || passesOn(argv[0])) {
			return i + 1, true
		}
		if interpreter.MatchString(base) {
			return interpreted(argv, i+1, names, modules)
		}
		if word == "-m" && i+1 < len(argv) && slices.Contains(modules, argv[i+1]) { // coverage run -m gunicorn
			return i + 2, true
		}
	}
	return 0, false
}

// isValueOf says whether the word after this one is a user's, a folder's or another name, not a program.
func isValueOf(option string) bool {
	return slices.Contains([]string{"-u", "-g", "-U", "-C", "-D", "--user", "--group", "--unset", "--chdir", "--directory", "--with", "--extra", "--package", "--name"}, option)
}

// passesOn names the wrappers behind which a last word is a program even without arguments; behind
// others, as in `systemctl restart gunicorn`, it is not.
func passesOn(wrapper string) bool {
	return slices.Contains([]string{
		"env", "nice", "ionice", "nohup", "setsid", "time", "timeout", "stdbuf", "taskset", "chrt", "numactl", "sudo", "doas",
		"exec", "command", "tini", "dumb-init", "catatonit", "chpst", "setuidgid", "gosu", "su-exec", "poetry", "uv", "uvx",
		"pipenv", "pdm", "rye", "hatch", "conda", "newrelic-admin", "ddtrace-run", "bundle", "opentelemetry-instrument", "coverage",
	}, filepath.Base(wrapper))
}

// interpreted reads the interpreter's own options from word i on.
func interpreted(argv []string, i int, names, modules []string) (at int, ok bool) {
	for ; i < len(argv); i++ {
		word := argv[i]
		if !strings.HasPrefix(word, "-") {
			return i + 1, slices.Contains(names, filepath.Base(word))
		}
		// The last letter of a group may take a value: -m, -c, -W and -X, glued on or the next word.
		k := strings.IndexAny(word, "mcWX")
		if strings.HasPrefix(word, "--") {
			k = -1
		}
		switch {
		case word == "--check-hash-based-pycs":
			i++
		case k < 0:
		case word[k] == 'm' && k+1 < len(word):
			return i + 1, slices.Contains(modules, word[k+1:])
		case word[k] == 'm':
			return i + 2, i+1 < len(argv) && slices.Contains(modules, argv[i+1])
		case word[k] == 'c':
			return 0, false
		case k+1 == len(word):
			i++
		}
	}
	return 0, false
}
