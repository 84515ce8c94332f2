package targets

import (
	"cmp"
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
	variable, _ := getenv(c.Env, gunicornVariable)
	words, _ := splitWords(variable)
	name := cmp.Or(gunicornProgram.setting(c, "--config"), gunicornOptions.last(words, "--config"), "gunicorn.conf.py")
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
