package targets

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
)

// known is a finding if one of the adapters knows the command: a file made for another machine may
// start what is not here, and a command of which nothing is known can't be varied anyway.
func known(c Command, p procfileCommand, err error, why string) *finding {
	if err != nil || len(p.argv) == 0 {
		return nil
	}
	c.Argv, c.Dir = unwrapShell(p.argv), inDir(c.Dir, p.dir)
	t, err := Recognise(c)
	if err != nil {
		return nil
	}
	if _, unknown := t.Adapter.(command); unknown && !takes(c.Argv, "{port}") {
		return nil
	}
	return &finding{command: c, set: p.set, why: why}
}

// inDockerfile takes the CMD of the last stage.
func inDockerfile(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "Dockerfile"))
	if err != nil {
		return nil, nothing(err)
	}
	entry, cmd := dockerfileCommands(string(text))
	words, plain := execForm(cmd)
	if first, ok := execForm(entry); ok && plain {
		words = append(first, words...)
	} else if entry != "" && cmd == "" {
		cmd = entry
		words, plain = execForm(cmd)
	}
	const why = "the Dockerfile has a CMD"
	if plain {
		return known(c, procfileCommand{argv: words}, nil, why), nil
	}
	p, err := parseProcfile(cmd, c.Env)
	return known(c, p, err, why), nil
}

// dockerfileCommands are the last ENTRYPOINT and CMD after the last FROM.
func dockerfileCommands(text string) (entry, cmd string) {
	text = regexp.MustCompile(`\\[ \t]*\r?\n`).ReplaceAllString(text, " ")
	for line := range strings.Lines(text) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(instruction) {
		case "FROM":
			entry, cmd = "", ""
		case "ENTRYPOINT":
			entry, cmd = strings.TrimSpace(rest), ""
		case "CMD":
			cmd = strings.TrimSpace(rest)
		}
	}
	return entry, cmd
}

// execForm reads a list of words, as Docker has it where no shell is to run them.
func execForm(text string) (words []string, ok bool) {
	err := json.Unmarshal([]byte(text), &words)
	return words, err == nil && len(words) > 0
}

var composeCommand = regexp.MustCompile(`(?m)^[ \t]+command:[ \t]*(\S.*?)[ \t\r]*$`)

// inCompose takes the first command of a service that an adapter knows. Of YAML it reads one line:
// a command over several is passed over.
func inCompose(c Command) (*finding, error) {
	for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"} {
		text, err := readSmall(filepath.Join(c.Dir, name))
		if err != nil {
			if err := nothing(err); err != nil {
				return nil, err
			}
			continue
		}
		for _, m := range composeCommand.FindAllStringSubmatch(string(text), -1) {
			why := "a service of " + name + " has a command"
			if words, ok := execForm(m[1]); ok {
				if f := known(c, procfileCommand{argv: words}, nil, why); f != nil {
					return f, nil
				}
				continue
			}
			p, err := parseProcfile(unquote(m[1]), c.Env)
			if f := known(c, p, err, why); f != nil {
				return f, nil
			}
		}
	}
	return nil, nil
}

var uwsgiApplication = regexp.MustCompile(`(?m)^[ \t]*(module|wsgi-file|wsgi|mount|rack|psgi|php-docroot)[ \t]*=[ \t]*(\S+)`)

func inUwsgiIni(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "uwsgi.ini"))
	if err != nil {
		return nil, nothing(err)
	}
	m := uwsgiApplication.FindStringSubmatch(string(text))
	if m == nil {
		return nil, nil
	}
	c.Argv = []string{"uwsgi", "--ini", "uwsgi.ini"}
	return &finding{command: c, why: "uwsgi.ini names the application " + m[2]}, nil
}

// inRuby is a server of Ruby's, by Bundler where the project has its gems from that.
func inRuby(c Command, why string, argv ...string) *finding {
	if exists(filepath.Join(c.Dir, "Gemfile")) {
		argv = append([]string{"bundle", "exec"}, argv...)
	}
	c.Argv = argv
	return &finding{command: c, why: why}
}

func inPuma(c Command) (*finding, error) {
	if !exists(filepath.Join(c.Dir, "config", "puma.rb")) || !exists(filepath.Join(c.Dir, "config.ru")) {
		return nil, nil
	}
	return inRuby(c, "config/puma.rb is there, and config.ru", "puma"), nil
}

func inUnicorn(c Command) (*finding, error) {
	for _, name := range []string{"config/unicorn.rb", "unicorn.rb"} {
		if exists(filepath.Join(c.Dir, name)) && exists(filepath.Join(c.Dir, "config.ru")) {
			return inRuby(c, name+" is there, and config.ru", "unicorn", "-c", name), nil
		}
	}
	return nil, nil
}

// inConfigRu chooses by the Gemfile; Puma is what Rails comes with.
func inConfigRu(c Command) (*finding, error) {
	if !exists(filepath.Join(c.Dir, "config.ru")) {
		return nil, nil
	}
	gems, _ := readSmall(filepath.Join(c.Dir, "Gemfile")) // without one there is none to choose
	if regexp.MustCompile(`(?m)^[ \t]*gem[ \t(]+["']unicorn["']`).Match(gems) {
		return inRuby(c, "config.ru is there, and the Gemfile has unicorn", "unicorn"), nil
	}
	return inRuby(c, "config.ru is there", "puma"), nil
}

// inPackageJSON takes a start script that runs Node itself. Without any, npm runs server.js.
func inPackageJSON(c Command) (*finding, error) {
	text, err := readSmall(filepath.Join(c.Dir, "package.json"))
	if err != nil {
		return nil, nothing(err)
	}
	var project struct {
		Scripts map[string]string `json:"scripts"`
	}
	if json.Unmarshal(text, &project) != nil {
		return nil, nothing(errNotText) // passed over like all that can't be read
	}
	script, why := project.Scripts["start"], "package.json has the start script"
	if script == "" && exists(filepath.Join(c.Dir, "server.js")) {
		script, why = "node server.js", "package.json has no start script, and server.js is there"
	}
	p, err := parseProcfile(script, c.Env)
	return known(c, p, err, why), nil
}
