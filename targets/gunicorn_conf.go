package targets

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// gunicornFile is read where no other is named.
const gunicornFile = "gunicorn.conf.py"

// gunicornConf is what can be read of a configuration file without running it.
type gunicornConf struct {
	name   string // as the command names it; empty: there is none
	lost   bool   // one is named, and can't be read
	text   string
	values map[string]string
}

// readGunicornConf reads the file that gunicorn would: the one named, or gunicorn.conf.py.
func readGunicornConf(c Command) gunicornConf {
	named := cmp.Or(gunicornProgram.setting(c, "--config"), gunicornOptions.last(gunicornVariableWords(c.Env), "--config"))
	name := strings.TrimPrefix(cmp.Or(named, gunicornFile), "file:")
	if module, ok := strings.CutPrefix(name, "python:"); ok {
		name = strings.ReplaceAll(module, ".", string(filepath.Separator)) + ".py"
	}
	text, err := readSmall(inDir(c.Dir, name))
	if err != nil {
		return gunicornConf{lost: named != ""}
	}
	return gunicornConf{name: name, text: string(text), values: literals(scanPython(string(text)))}
}

// gunicornMayPreload finds a line by which the setting may come to have a value.
var gunicornMayPreload = regexp.MustCompile(`(?m)^[^#\n]*(\bpreload_app\b|\bimport[ \t]*\(?[ \t]*\*|\bexec\b)`)

// preload is what the file asks for; empty where that can't be known.
func (f gunicornConf) preload() Preload {
	switch value := f.values["preload_app"]; {
	case strings.EqualFold(value, "true"):
		return PreloadOn
	case strings.EqualFold(value, "false"), !f.lost && !gunicornMayPreload.MatchString(f.text):
		return PreloadOff
	default:
		return ""
	}
}

// derived runs the user's file and takes back its preloading, which no option can.
func (f gunicornConf) derived(c Command) string {
	return fmt.Sprintf("__file__ = %s\nexec(compile(open(__file__, 'rb').read(), __file__, 'exec'))\npreload_app = False\n",
		strconv.Quote(inDir(c.Dir, f.name)))
}
