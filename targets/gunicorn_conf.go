package targets

import (
	"cmp"
	"fmt"
	"os"
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

// gunicornMayLog finds a line by which one of the settings may come to have a value that is the user's.
var gunicornMayLog = regexp.MustCompile(
	`(?m)^[^#\n]*(\b(accesslog|errorlog|pidfile|daemon|logconfig\w*|syslog)\b|\bimport[ \t]*\(?[ \t]*\*|\bexec\b)`)

// derived runs the user's file and takes back what no option can, and what is to be decided where the
// values are known: requests that are logged are logged as before, to a file in the scratch folder, since
// that costs processor time in production too; errors go to where advise reads them.
func (f gunicornConf) derived(c Command, p Place, preload bool) string {
	text := fmt.Sprintf(`__file__ = %s
exec(compile(open(__file__, 'rb').read(), __file__, 'exec'))
if (any(globals().get(name) for name in ('logconfig', 'logconfig_dict', 'logconfig_json', 'syslog'))
        or globals().get('accesslog') not in (None, '', '-', '/dev/null')):
    accesslog = %s
errorlog, pidfile, daemon = '-', None, False
logconfig, logconfig_dict, logconfig_json, syslog = None, {}, None, False
`, strconv.Quote(inDir(c.Dir, f.name)), strconv.Quote(p.file(accessLog)))
	if !preload {
		text += "preload_app = False\n"
	}
	return text
}

// gunicornLogs are the options by which the command or the variable has output written elsewhere.
var gunicornLogs = []string{
	"--error-logfile", "--log-config", "--log-config-json", "--log-syslog", "--log-syslog-to", "--log-syslog-prefix",
	"--log-syslog-facility", "--disable-redirect-access-to-syslog",
}

// logs are the options in their place, and those to drop.
func (gunicorn) logs(c Command, p Place) (given, dropped []string) {
	words := gunicornVariableWords(c.Env)
	says := func(option string) bool {
		return gunicornProgram.says(c, option) || gunicornOptions.says(words, option)
	}
	access := cmp.Or(gunicornProgram.setting(c, "--access-logfile"), gunicornOptions.last(words, "--access-logfile"))
	file := access != "" && access != "-" && access != os.DevNull
	for _, option := range gunicornLogs {
		if says(option) {
			dropped = append(dropped, option)
			file = file || option != "--error-logfile"
		}
	}
	if says("--error-logfile") {
		given = append(given, "--error-logfile", "-")
	}
	if file {
		given, dropped = append(given, "--access-logfile", p.file(accessLog)), append(dropped, "--access-logfile")
	}
	return given, dropped
}
