package targets

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
)

var uwsgiApplication = regexp.MustCompile(`(?m)^[ \t]*(module|wsgi-file|wsgi|mount|rack|psgi|php-docroot)[ \t]*=[ \t]*(\S+)`)

func inUwsgiIni(c Command) []finding {
	text, unread, ok := readFile(c, "uwsgi.ini")
	if !ok {
		return unread
	}
	m := uwsgiApplication.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	return []finding{suggested(c, at("uwsgi.ini", lineOf(text, uwsgiApplication)), "names the application "+m[2], "uwsgi", "--ini", "uwsgi.ini")}
}

// inRuby is a server of Ruby's, by Bundler where the project has its gems from that.
func inRuby(c Command, where, what string, argv ...string) []finding {
	if exists(filepath.Join(c.Dir, "Gemfile")) {
		argv = append([]string{"bundle", "exec"}, argv...)
	}
	return []finding{suggested(c, where, what, argv...)}
}

func inPuma(c Command) []finding {
	if !exists(filepath.Join(c.Dir, "config", "puma.rb")) || !exists(filepath.Join(c.Dir, "config.ru")) {
		return nil
	}
	return inRuby(c, "config/puma.rb", "is there, and config.ru", "puma")
}

func inUnicorn(c Command) []finding {
	for _, name := range []string{"config/unicorn.rb", "unicorn.rb"} {
		if exists(filepath.Join(c.Dir, name)) && exists(filepath.Join(c.Dir, "config.ru")) {
			return inRuby(c, name, "is there, and config.ru", "unicorn", "-c", name)
		}
	}
	return nil
}

var unicornGem = regexp.MustCompile(`(?m)^[ \t]*gem[ \t(]+["']unicorn["']`)

// inConfigRu chooses by the Gemfile; Puma is what Rails comes with.
func inConfigRu(c Command) []finding {
	if !exists(filepath.Join(c.Dir, "config.ru")) {
		return nil
	}
	gems, _ := readSmall(filepath.Join(c.Dir, "Gemfile")) // without one there is none to choose
	if unicornGem.Match(gems) {
		return inRuby(c, "config.ru", fmt.Sprintf("is there, and the Gemfile has unicorn in line %d", lineOf(string(gems), unicornGem)), "unicorn")
	}
	return inRuby(c, "config.ru", "is there", "puma")
}

// inPackageJSON follows the start script. Without any, npm runs server.js.
func inPackageJSON(c Command) []finding {
	text, unread, ok := readFile(c, "package.json")
	if !ok {
		return unread
	}
	if !json.Valid([]byte(text)) {
		return []finding{{where: "package.json", what: "can't be read", err: fmt.Errorf("it is not JSON")}}
	}
	script, line := npmScripts(text, "start")
	f := finding{where: at("package.json", line), what: "has the start script"}
	if script == "" {
		if !exists(filepath.Join(c.Dir, "server.js")) {
			return nil
		}
		script = "node server.js"
		f.where, f.what = "package.json", "has no start script, and server.js is there"
	}
	f.start, f.err = start{command: c}.shellLine(script)
	if f.err == nil {
		f.start, f.err = f.server()
	}
	if f.err != nil {
		f.what += ", " + maskLine(script)
	}
	return []finding{f}
}
