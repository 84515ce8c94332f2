package targets

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"advise/targets/mask"
)

// A keeper is the adapter of a server that takes its shape from variables of its environment, where
// neither its command nor its file says it.
type keeper interface {
	// variables are their names: nothing but counts, and options that are masked like a command.
	variables() []string
}

const concurrencyVariable = "WEB_CONCURRENCY"

func (gunicorn) variables() []string  { return []string{gunicornVariable, concurrencyVariable} }
func (uvicorn) variables() []string   { return []string{uvicornVariable, concurrencyVariable} }
func (hypercorn) variables() []string { return []string{concurrencyVariable} }
func (unicorn) variables() []string   { return []string{concurrencyVariable} }
func (node) variables() []string      { return []string{concurrencyVariable, "UV_THREADPOOL_SIZE"} }
func (command) variables() []string   { return []string{concurrencyVariable, "GOMAXPROCS"} }

func (granian) variables() []string {
	return []string{granianVariable, "GRANIAN_BLOCKING_THREADS", "GRANIAN_INTERFACE"}
}

func (puma) variables() []string {
	return []string{
		concurrencyVariable, "RAILS_MAX_THREADS", "RAILS_MIN_THREADS", "PUMA_MAX_THREADS", "PUMA_MIN_THREADS", "MAX_THREADS", "MIN_THREADS",
	}
}

const (
	uvicornVariable = "UVICORN_WORKERS"
	granianVariable = "GRANIAN_WORKERS"
)

// countVariables are those of the variables that are the number of workers itself.
var countVariables = []string{concurrencyVariable, uvicornVariable, granianVariable}

// harmless is a value that can't be a secret: a number, or a word that the server knows.
var harmless = regexp.MustCompile(`^(?:[0-9]{1,6}|auto|asgi|asginl|rsgi|wsgi)$`)

// Kept is what a record needs of the environment to say later what to paste: the path of the program,
// which another PATH would not find, and the variables that decide its shape, as NAME=value. Of others
// nothing is kept, and secrets are masked.
func (t *Target) Kept() (program string, variables []string) {
	if path, err := lookPath(programOf(t.Command.Argv), t.Command); err == nil {
		program = filepath.Clean(path)
	}
	k, ok := t.Adapter.(keeper)
	if !ok {
		return program, nil
	}
	for _, name := range k.variables() {
		value, set := getenv(t.Command.Env, name)
		switch {
		case !set:
		case harmless.MatchString(value):
			variables = append(variables, name+"="+value)
		case name == gunicornVariable:
			if words, ok := splitWords(value); ok {
				masked, _ := mask.Command(words)
				variables = append(variables, name+"="+quoteAll(masked))
			}
		}
	}
	return program, variables
}

// programOf is the first word of a command that is no variable set for it.
func programOf(argv []string) string {
	for _, word := range bare(argv) {
		if !assigns(word) {
			return word
		}
	}
	return ""
}

// bare is a command without an env that does no more than set variables.
func bare(argv []string) []string {
	if len(argv) > 1 && filepath.Base(argv[0]) == "env" && !strings.HasPrefix(argv[1], "-") {
		return argv[1:]
	}
	return argv
}

// assigned is the value that a leading env sets a variable to.
func assigned(argv []string, name string) string {
	value := ""
	for _, word := range bare(argv) {
		if !assigns(word) {
			break
		}
		if n, v, _ := strings.Cut(word, "="); n == name {
			value = v
		}
	}
	return value
}

// unassign takes variables out of a leading env: what they are set to there wins over what the server is
// started with.
func unassign(argv []string, names ...string) []string {
	rest := bare(argv)
	if len(rest) == len(argv) {
		return argv
	}
	at := slices.IndexFunc(rest, func(word string) bool { return !assigns(word) })
	if at < 0 {
		return argv
	}
	kept := unsetenv(rest[:at], names...)
	switch {
	case len(kept) == at:
		return argv
	case len(kept) == 0:
		return rest[at:]
	}
	return slices.Concat(argv[:1], kept, rest[at:])
}

// environmentFile is what variables to set are called, where they are what has to change.
const environmentFile = "environment"

// environmentOf is a variable to set where it decides the count.
func environmentOf(name, value string) File {
	return File{Path: environmentFile, Text: name + "=" + quote(value) + "\n"}
}

// concurrencyDecides says whether WEB_CONCURRENCY is where the count comes from, given the text of the
// server's file, if it has one, and what finds a count in that.
func concurrencyDecides(c Command, text string, sets *regexp.Regexp) bool {
	value, _ := getenv(c.Env, concurrencyVariable)
	return value != "" && (!sets.MatchString(text) || strings.Contains(text, concurrencyVariable))
}

// environment is what of the kept variables has to be set to run at the shape, as NAME=value; hidden are
// those with a secret in them, which is not known here.
func (t *Target) environment(s Shape) (set, hidden []string) {
	k, ok := t.Adapter.(keeper)
	if !ok {
		return nil, nil
	}
	for _, name := range k.variables() {
		value, ok := getenv(t.Command.Env, name)
		switch {
		case !ok || name != gunicornVariable && !harmless.MatchString(value):
			continue
		case slices.Contains(countVariables, name):
			value = strconv.Itoa(s.Workers)
		case name == gunicornVariable:
			value = gunicorn{}.inVariable(t.Command, s)
		}
		if strings.Contains(value, mask.Mark) {
			hidden = append(hidden, name)
			continue
		}
		set = append(set, name+"="+value)
	}
	return set, hidden
}
