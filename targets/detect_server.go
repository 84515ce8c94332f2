package targets

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// longestWay bounds how often one command leads to another: a script that runs itself ends.
const longestWay = 8

// anyServer follows a start to its server, which may be one of which nothing is known: in a Procfile the
// web line is one by its name, and is told its port by PORT.
func (s start) anyServer() (start, error) {
	found, err := s.server()
	var (
		unknown    *unknownError
		unfollowed *unfollowedError
	)
	if !errors.As(err, &unknown) && !errors.As(err, &unfollowed) {
		return found, err
	}
	t, err := Recognise(s.command)
	if err != nil {
		return s, refusedWhy(err)
	}
	s.command.Argv = t.Command.Argv
	return s, nil
}

// An unfollowedError is a script that can't be read, but may well be run.
type unfollowedError struct{ error }

func (e *unfollowedError) Unwrap() error { return e.error }

// server follows a start to a server that one of the adapters knows: a file made for another machine may
// start what is not here, and a command of which nothing is known can't be varied anyway.
func (s start) server() (start, error) { return s.follow(longestWay) }

// An unknownError is a command of which nothing is known.
type unknownError struct{ command string }

func (e *unknownError) Error() string { return "it is no server that is known, and no {port} is in it" }

// follow replaces wrappers, scripts and development servers by the server that is behind them.
func (s start) follow(left int) (start, error) {
	if left == 0 {
		return s, errors.New("it leads to itself")
	}
	if script, ok := shellScript(s.command.Argv); ok {
		next, err := s.shellLine(script)
		if err != nil {
			return s, err
		}
		return next.follow(left - 1)
	}
	s = s.unwrap()
	if len(s.command.Argv) == 0 {
		return s, errors.New("it starts nothing")
	}
	for _, way := range []func(start) (start, bool, error){
		start.npmScript, start.shellScriptFile, start.railsServer, start.pm2, start.flaskRun, start.fastapiRun, start.djangoRunserver, start.pythonScript, start.developed,
	} {
		next, taken, err := way(s)
		switch {
		case err != nil:
			return s, err
		case taken:
			return next.follow(left - 1)
		}
	}
	t, err := Recognise(s.command)
	if err != nil {
		return s, refusedWhy(err)
	}
	s.command.Argv = t.Command.Argv
	if _, unknown := t.Adapter.(command); unknown && !takes(s.command.Argv, "{port}") {
		return s, &unknownError{command: show(s.command.Argv)}
	}
	return s, nil
}

// refusedWhy leaves out the command, which the finding shows already.
func refusedWhy(err error) error {
	var r *RefusedError
	if errors.As(err, &r) {
		return &unusable{why: r.Reason, hint: r.Hint}
	}
	return err
}

// unwrap takes away what only a container has, and what only sets variables.
func (s start) unwrap() start {
	for len(s.command.Argv) > 1 {
		argv := s.command.Argv
		switch base := filepath.Base(argv[0]); {
		case s.container && slices.Contains([]string{"tini", "dumb-init", "catatonit", "docker-init"}, base):
			i := 1
			for i < len(argv)-1 && strings.HasPrefix(argv[i], "-") {
				if base == "tini" && (argv[i] == "-p" || argv[i] == "-e") {
					i++
				}
				i++
			}
			s.command.Argv = argv[min(i, len(argv)-1):]
		case s.container && (base == "gosu" || base == "su-exec") && len(argv) > 2:
			s.command.Argv = argv[2:]
		case base == "npx" && !strings.HasPrefix(argv[1], "-"):
			s.command.Argv = argv[1:]
		case base == "cross-env" || base == "cross-env-shell":
			n := 1
			for n < len(argv) && assigns(argv[n]) {
				n++
			}
			s = s.with(argv[1:n])
			s.command.Argv = argv[n:]
		case base == "exec":
			s.command.Argv = argv[1:]
		default:
			return s.local()
		}
	}
	return s.local()
}

// local names a container's programs as they are called here: those of its virtual environment are
// looked for in this machine's.
func (s start) local() start {
	argv := s.command.Argv
	if s.container && len(argv) > 0 && filepath.IsAbs(argv[0]) && !executable(argv[0]) && !strings.HasSuffix(argv[0], ".sh") {
		s.command.Argv = append([]string{filepath.Base(argv[0])}, argv[1:]...)
	}
	return s
}

var npmRunners = regexp.MustCompile(`^(npm|yarn|pnpm|bun)$`)

// npmScript follows `npm start` and the like into package.json.
func (s start) npmScript() (next start, taken bool, err error) {
	argv := s.command.Argv
	if !npmRunners.MatchString(filepath.Base(argv[0])) {
		return s, false, nil
	}
	words := slices.DeleteFunc(slices.Clone(argv[1:]), func(w string) bool { return strings.HasPrefix(w, "-") })
	if len(words) > 0 && (words[0] == "run" || words[0] == "run-script") {
		words = words[1:]
	}
	if len(words) != 1 {
		return s, false, nil
	}
	text, err := readSmall(filepath.Join(s.command.Dir, "package.json"))
	if err != nil {
		return s, false, nil //nolint:nilerr // without that file it is a command like others
	}
	script, line := npmScripts(string(text), words[0])
	if script == "" {
		return s, false, nil
	}
	next, err = s.shellLine(script)
	if err != nil {
		return s, false, &unfollowedError{fmt.Errorf("package.json runs %s: %w", maskLine(script), err)}
	}
	next.notes = append(next.notes, fmt.Sprintf("%s is %s in %s", show(argv), maskLine(script), at("package.json", line)))
	return next, true, nil
}

// npmScripts is a script of package.json, and its line.
func npmScripts(text, name string) (script string, line int) {
	var project struct {
		Scripts map[string]string `json:"scripts"`
	}
	if json.Unmarshal([]byte(text), &project) != nil {
		return "", 0
	}
	return project.Scripts[name], lineOf(text, regexp.MustCompile(`"`+regexp.QuoteMeta(name)+`"\s*:\s*"`))
}

// lineOf is the line of the first match, from 1; 0 without any.
func lineOf(text string, pattern *regexp.Regexp) int {
	m := pattern.FindStringIndex(text)
	if m == nil {
		return 0
	}
	return 1 + strings.Count(text[:m[0]], "\n")
}

// shellScriptFile follows a script of the project's.
func (s start) shellScriptFile() (next start, taken bool, err error) {
	argv := s.command.Argv
	name := argv[0]
	if isShell(name) && len(argv) == 2 {
		name = argv[1]
	} else if len(argv) != 1 {
		return s, false, nil
	}
	if !strings.HasSuffix(name, ".sh") || !exists(s.here(name)) {
		return s, false, nil
	}
	if next, err = s.shellFile(name); err != nil {
		return s, false, &unfollowedError{err}
	}
	return next, true, nil
}

// railsServer is Puma where the project has it: `rails server` runs what the Gemfile names.
func (s start) railsServer() (next start, taken bool, err error) {
	argv := s.command.Argv
	i := slices.IndexFunc(argv, func(w string) bool { return filepath.Base(w) == "rails" })
	if i < 0 || i+1 >= len(argv) || argv[i+1] != "server" && argv[i+1] != "s" {
		return s, false, nil
	}
	if found := inPuma(s.command); len(found) > 0 {
		s.command.Argv = found[0].command.Argv
		s.notes = append(slices.Clip(s.notes), "rails server is Puma, as config/puma.rb is there")
		return s, true, nil
	}
	return s, false, nil
}

var (
	ecosystemScript      = regexp.MustCompile(`\bscript["']?\s*:\s*["']?([^"',}\n]+?)["']?\s*[,}\n]`)
	ecosystemInterpreter = regexp.MustCompile(`\b(?:interpreter|exec_interpreter|args|cwd)["']?\s*:`)
)

// pm2 has the script that PM2 would run in its cluster mode. Where a file names it, only as a literal.
func (s start) pm2() (next start, taken bool, err error) {
	argv := s.command.Argv
	base := filepath.Base(argv[0])
	if base != "pm2-runtime" && base != "pm2" && base != "pm2-docker" {
		return s, false, nil
	}
	hint := "give the script behind it: advise -- node SCRIPT"
	_, args, _ := pm2Program.split(argv)
	var words []string
	for _, a := range pm2Program.options.parse(args) {
		if a.option == "--" {
			break
		}
		if a.option == "" {
			words = append(words, a.value)
		}
	}
	if len(words) > 0 && words[0] == "start" {
		words = words[1:]
	}
	if len(words) != 1 {
		return s, false, &unusable{why: "which script PM2 starts can't be seen", hint: hint}
	}
	script, from := words[0], ""
	if regexp.MustCompile(`\.(config\.[cm]?js|json|ya?ml)$`).MatchString(script) {
		text, err := readSmall(s.here(script))
		if err != nil {
			return s, false, &unusable{why: "PM2 starts what " + script + " names, and it can't be read", hint: hint}
		}
		names := ecosystemScript.FindAllStringSubmatch(string(text), -1)
		if len(names) != 1 || ecosystemInterpreter.Match(text) {
			return s, false, &unusable{why: "which one script PM2 starts can't be seen in " + script, hint: hint}
		}
		from, script = " by "+at(script, lineOf(string(text), ecosystemScript)), strings.TrimSpace(names[0][1])
	}
	if !regexp.MustCompile(`\.[cm]?js$`).MatchString(script) {
		return s, false, &unusable{why: "PM2 starts " + maskLine(script) + from + ", which is no script of Node's", hint: hint}
	}
	s.command.Argv = []string{"node", script}
	s.notes = append(s.notes, "PM2 would run "+script+from+": it runs in a cluster without PM2 here")
	return s, true, nil
}

var pm2Program = program{
	names: []string{"pm2-runtime", "pm2", "pm2-docker"},
	options: newGrammar(`
		--instances|-i= --name|-n= --env= --output|-o= --error|-e= --log|-l= --interpreter= --node-args= --max-memory-restart=
		--exp-backoff-restart-delay= --format= --json --raw --watch --web= --only= --cwd= --user|-u= --time --merge-logs --no-daemon --no-autorestart
	`),
}

// developed knows servers that only develop, and those without a count.
func (s start) developed() (next start, taken bool, err error) {
	const develops = " is a development server, not what to measure"
	argv := s.command.Argv
	base := filepath.Base(argv[0])
	first := ""
	if len(argv) > 1 {
		first = argv[1]
	}
	switch {
	case base == "next" && first == "start":
		return s, false, &unusable{
			why:  "next start serves from one process, which can't be given a count",
			hint: `with output: "standalone" in next.config.js and after next build: advise -- node .next/standalone/server.js`,
		}
	case slices.Contains([]string{"vite", "react-scripts", "nodemon", "ts-node-dev", "webpack-dev-server"}, base),
		base == "vue-cli-service" && first == "serve", base == "webpack" && first == "serve", base == "ng" && first == "serve",
		slices.Contains([]string{"next", "nuxt", "nuxi", "astro", "remix"}, base) && (first == "dev" || first == ""):
		return s, false, &unusable{
			why:  strings.TrimSpace(base+" "+first) + develops,
			hint: "give what serves in production: advise -- node SCRIPT",
		}
	case slices.Contains([]string{"ts-node", "tsx"}, base):
		return s, false, &unusable{why: base + " translates TypeScript while it serves", hint: "build it, then: advise -- node dist/SCRIPT.js"}
	}
	return s, false, nil
}
