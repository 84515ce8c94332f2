// Package targets knows how servers are run: it recognises a start command, starts it at a shape
// (workers, threads, class, preloading) inside limits, knows when it is ready, and stops all of it.
//
// What is particular to one kind of server is in its Adapter, one file each. Holding a process tree
// to its limits is the work of the package hold below.
package targets

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"advise/targets/hold"
)

// A Shape is what is varied: how many workers with how many threads each, of which class, and whether
// they share what they load. Zero values leave the choice to the command.
type Shape struct {
	Workers int
	Threads int
	Class   string
	Preload Preload
}

// A Preload says whether the application is loaded once, before the workers are forked from what has
// loaded it, or by each of them. Empty leaves it to the command.
type Preload string

// The ways to load an application.
const (
	PreloadOn  Preload = "on"
	PreloadOff Preload = "off"
)

func preloadIf(on bool) Preload {
	if on {
		return PreloadOn
	}
	return PreloadOff
}

// A Command is how a user starts a server.
type Command struct {
	Argv []string
	Env  []string // the full environment, as NAME=value
	Dir  string   // working folder
	// Version is the server's, where it is known; see [Target.Version].
	Version string
	// Program is the path of the program, where it is known and the environment is not; see [Target.Kept].
	Program string
}

// A Place is where a server has to run: its address, and a folder of its own for what it writes.
type Place struct {
	Host    string
	Port    int
	Scratch string
}

// Address is host:port.
func (p Place) Address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// file is a path in the scratch folder.
func (p Place) file(name string) string { return filepath.Join(p.Scratch, name) }

// A Launch is a command rewritten to run at a shape and a place.
type Launch struct {
	Argv, Env []string
	// Files go into the scratch folder before the start, each under its Path there: a server that
	// is told by a file what to do gets one derived from the user's own.
	Files []File
}

// A File is something to paste or to start with: its usual name, and its text.
type File struct {
	Path, Text string
}

// dynamicName is the name of a variant of a file in which the count is a range.
func dynamicName(name string) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "-dynamic" + ext
}

// An About is what people should know of a kind of server, in words.
type About struct {
	Server     string   `json:"server"`           // as people call it
	Recognised string   `json:"recognised"`       // by which command
	Knob       string   `json:"knob"`             // what sets the count
	Live       string   `json:"live,omitempty"`   // how the count is changed while it runs; empty: by a fresh start alone
	Reports    string   `json:"reports"`          // how its workers are seen
	Tested     []string `json:"tested,omitempty"` // the versions tests have run: as much of them as all updates share
	Traps      []string `json:"traps"`            // each a sentence or two
	// WarmsUp is how long under load it takes at the least, on a core of its own, to have compiled what it runs
	// most; 0: it compiles nothing while it runs.
	WarmsUp time.Duration `json:"-"`
}

// A Known is a kind of server that can be run.
type Known struct {
	Name string `json:"name"`
	About
}

// List is all of them, in the order in which a command is compared with them.
func List() []Known {
	kinds := make([]Known, len(adapters))
	for i, a := range adapters {
		kinds[i] = Known{Name: a.Name(), About: a.About()}
	}
	return kinds
}

// otherNames are what people call a kind of server, or what runs it, where no program of it is called so.
var otherNames = map[string]string{"php": "php-fpm", "fpm": "php-fpm", "pm2": "node", "nodejs": "node", "waitress-serve": "waitress"}

var phpVersion = regexp.MustCompile(`^(?:php|php-fpm|fpm)[0-9.]*(?:-fpm)?$`)

// Named is a kind of server by its name, by that of a program of it, such as httpd, or by what else
// people call it.
func Named(name string) (Known, bool) {
	name = strings.ToLower(name)
	if phpVersion.MatchString(name) {
		name = phpfpm{}.Name()
	}
	name = cmp.Or(otherNames[name], name)
	for _, a := range adapters {
		_, takesAll := a.(command)
		if a.Name() == name || !takesAll && a.Name() != DemoName && a.Recognise([]string{name}) {
			return Known{Name: a.Name(), About: a.About()}, true
		}
	}
	return Known{}, false
}

// An Adapter knows one kind of server. Its methods start nothing, except Version.
//
// What only some servers have is in further, optional methods: see reporter, resizer and varier.
type Adapter interface {
	// Name is one word, the same in every record.
	Name() string
	// About is the same whatever the command.
	About() About
	// Recognise says whether a start command is of this kind.
	Recognise(argv []string) bool
	// Shape is what the command asks for by itself, wherever it says so. A count that it does not
	// say is the server's default; a zero means that it can't be known.
	Shape(c Command) Shape
	// Launch turns the command into one that runs at a shape and a place, and leaves the rest of it
	// alone. Nothing is written yet.
	Launch(c Command, s Shape, p Place) (Launch, error)
	// Workers are the living workers in a tree of which root was started. It is not ok when such a
	// server's workers can't be told from its other processes.
	Workers(tree []hold.Process, root int) (workers []hold.Process, ok bool)
	// StopSignal asks the server to end gracefully.
	StopSignal() syscall.Signal
	// Config is what a user would paste to run at the shape, the most natural place first.
	Config(c Command, s Shape) []File
	// Version asks the installed server. It is empty where there is nothing to ask.
	Version(ctx context.Context, c Command) (string, error)
}

// adapters are tried in this order. The last one takes every command.
var adapters = []Adapter{
	gunicorn{},
	uvicorn{},
	hypercorn{},
	granian{},
	waitress{},
	uwsgi{},
	phpfpm{},
	apache{},
	nginx{},
	lighttpd{},
	puma{},
	unicorn{},
	node{},
	demoServer{},
	command{},
}

// A Target is a server that can be started.
type Target struct {
	Adapter Adapter
	Command Command
	// Found is why this command, when it was found by Detect, and on further lines what else was seen; and
	// which part of what the command names is measured, where that is not all.
	Found string

	port func() (int, error) // chooses where to listen; nil: any free port
}

// A RefusedError is a command that can't be measured as it stands.
type RefusedError struct {
	Command string // masked
	Reason  string
	Hint    string // the way out
}

func (e *RefusedError) Error() string { return fmt.Sprintf("use %s: %s", e.Command, e.Reason) }

func refuse(argv []string, reason, hint string) error {
	return &RefusedError{Command: show(argv), Reason: reason, Hint: hint}
}

// Recognise finds the adapter for a command given by the user. A command that can be seen to be of
// no use is a RefusedError.
func Recognise(c Command) (*Target, error) {
	c.Argv = unwrapShell(c.Argv)
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return nil, &RefusedError{Command: "an empty command", Reason: "there is nothing to start", Hint: "advise -- gunicorn app:app"}
	}
	for _, a := range adapters {
		if a.Recognise(c.Argv) {
			return newTarget(a, c)
		}
	}
	return nil, fmt.Errorf("recognise %s: no adapter takes it", show(c.Argv))
}

// ForAdapter is Recognise where the adapter's name is known, as from a record.
func ForAdapter(name string, c Command) (*Target, error) {
	for _, a := range adapters {
		if a.Name() != name {
			continue
		}
		if !a.Recognise(c.Argv) {
			return nil, fmt.Errorf("use %s with the adapter %s: it is another kind of server's", show(c.Argv), name)
		}
		return newTarget(a, c)
	}
	return nil, fmt.Errorf("find the adapter %q: there is none of that name", name)
}

func newTarget(a Adapter, c Command) (*Target, error) {
	// Before what the adapter says: the word by which it knows its server may be another program's argument.
	if err := refuseAway(c); err != nil {
		return nil, err
	}
	if checker, ok := a.(interface{ check(Command) error }); ok {
		if err := checker.check(c); err != nil {
			return nil, err
		}
	}
	t := &Target{Adapter: a, Command: c}
	if noting, ok := a.(interface{ note(Command) string }); ok {
		t.Found = noting.note(c)
	}
	return t, nil
}

// Shape is what the command asks for by itself; see [Adapter].
func (t *Target) Shape() Shape {
	_, c := t.Command.withoutEnv()
	return t.Adapter.Shape(c)
}

// Launch is the command rewritten to run at a shape and a place; see [Adapter].
func (t *Target) Launch(s Shape, p Place) (Launch, error) {
	names, c := t.Command.withoutEnv()
	l, err := t.Adapter.Launch(c, s, p)
	if err != nil || len(names) == 0 {
		return l, err
	}
	head := []string{"env"}
	for _, name := range names {
		if value, ok := getenv(l.Env, name); ok {
			head = append(head, name+"="+value)
		}
	}
	l.Argv = append(head, l.Argv...)
	return l, nil
}

// withoutEnv is the command with the variables that a leading env sets in its environment, where adapters
// look for them, and their names. It is as it was when env is to do more, or to have a count filled in.
func (c Command) withoutEnv() (names []string, plain Command) {
	if len(c.Argv) == 0 || filepath.Base(c.Argv[0]) != "env" {
		return nil, c
	}
	plain = c
	for i, word := range c.Argv[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case !assigns(word) && (strings.HasPrefix(word, "-") || len(names) == 0):
			return nil, c
		case !assigns(word):
			plain.Argv = c.Argv[1+i:]
			return names, plain
		case strings.Contains(value, "{"):
			return nil, c
		}
		names, plain.Env = append(names, name), setenv(plain.Env, name, value)
	}
	return nil, c
}

// Version asks the server once and keeps the answer.
func (t *Target) Version(ctx context.Context) (string, error) {
	if t.Command.Version == "" {
		v, err := t.Adapter.Version(ctx, t.Command)
		if err != nil {
			return "", err
		}
		t.Command.Version = v
	}
	return t.Command.Version, nil
}

// getenv is the value of a variable in an environment; of several the last one holds.
func getenv(env []string, name string) (string, bool) {
	for _, e := range slices.Backward(env) {
		if n, value, ok := strings.Cut(e, "="); ok && n == name {
			return value, true
		}
	}
	return "", false
}

// setenv returns the environment with a variable set, and leaves the given one as it is.
func setenv(env []string, name, value string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(out, name+"="+value)
}

// unsetenv returns the environment without some variables, and leaves the given one as it is.
func unsetenv(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(names, name)
	})
}
