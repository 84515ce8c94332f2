package targets

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// command is any server of which nothing is known. What is varied reaches it by placeholders in its
// arguments, {workers} {threads} {class} {host} {port}, or else by the environment: WEB_CONCURRENCY, HOST
// and PORT.
type command struct{}

func (command) Name() string { return "command" }

func (command) Recognise(argv []string) bool { return len(argv) > 0 }

func (command) About() About {
	return About{
		Server:     "any other",
		Recognised: "every command",
		Knob:       "`{workers}` in the command, or `WEB_CONCURRENCY` read from the environment; varied too: threads and class by `{threads}` and `{class}`",
		Reports:    "nothing: it is ready when it answers and starts no more processes",
		Traps: []string{
			"Whether the count had an effect can't be seen, except by too few processes.",
			"The port goes to it as `{port}` or `PORT`, the address as `{host}` or `HOST`; one that listens elsewhere is refused.",
			"A Go server takes its threads from GOMAXPROCS: `env GOMAXPROCS={workers} ./server`. From Go 1.25 on it reads the container's quota by itself, at least 2, rounded up.",
		},
	}
}

func (command) StopSignal() syscall.Signal { return syscall.SIGTERM }

// commandFile is what a command line to paste is called.
const commandFile = "command.txt"

func (command) Shape(c Command) Shape {
	concurrency, _ := getenv(c.Env, concurrencyVariable)
	workers, _ := strconv.Atoi(cmp.Or(assigned(c.Argv, concurrencyVariable), concurrency))
	return Shape{Workers: max(workers, 0), Threads: 1}
}

func (u command) vary(c Command, s Shape) (Shape, error) {
	asked := u.Shape(c)
	switch {
	case s.Threads > 0 && s.Threads != asked.Threads && !takes(c.Argv, "{threads}"):
		return Shape{}, refuse(c.Argv, "nothing in it takes a number of threads", "write {threads} where it goes: advise -- "+show(c.Argv)+" --threads {threads}")
	case s.Class != "" && !takes(c.Argv, "{class}"):
		return Shape{}, refuse(c.Argv, "nothing in it takes a worker class", "write {class} where it goes: advise -- "+show(c.Argv)+" --class {class}")
	case s.Class == "" && takes(c.Argv, "{class}"):
		return Shape{}, refuse(c.Argv, "{class} in it is left open", "say what it is: --class A,B")
	case s.Preload != "":
		return Shape{}, refuse(c.Argv, "how it is told to preload is not known", "leave --preload away, and measure the command with and without it")
	}
	return vary("it", c, s, asked, byThreads, byClass)
}

func (u command) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := u.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	env := setenv(c.Env, "WEB_CONCURRENCY", strconv.Itoa(s.Workers))
	env = setenv(env, "HOST", p.Host)
	env = setenv(env, "PORT", strconv.Itoa(p.Port))
	return Launch{Argv: fillAll(unassign(c.Argv, concurrencyVariable, "HOST", "PORT"), s, p), Env: env}, nil
}

// Workers can't be known: such a server may have helpers beside its workers, serve with its only
// process, or use threads.
func (command) Workers([]hold.Process, int) ([]hold.Process, bool) { return nil, false }

func (command) Config(c Command, s Shape) []File {
	line := configLine(c.Argv, s)
	if !takes(c.Argv, "{workers}") {
		line = configLine(unassign(c.Argv, concurrencyVariable), s)
		line = fmt.Sprintf("WEB_CONCURRENCY=%d %s", s.Workers, line)
	}
	return []File{{Path: commandFile, Text: line}}
}

func (command) Version(context.Context, Command) (string, error) { return "", nil }

func takes(argv []string, placeholder string) bool {
	return slices.ContainsFunc(argv, func(word string) bool { return strings.Contains(word, placeholder) })
}

// fillAll puts a shape and an address in the place of the placeholders.
func fillAll(argv []string, s Shape, p Place) []string {
	return replaceAll(fillShape(argv, s), strings.NewReplacer("{host}", p.Host, "{port}", strconv.Itoa(p.Port)))
}

func fillShape(argv []string, s Shape) []string {
	values := []string{"{workers}", strconv.Itoa(s.Workers), "{threads}", strconv.Itoa(max(s.Threads, 1))}
	if s.Class != "" {
		values = append(values, "{class}", s.Class)
	}
	return replaceAll(argv, strings.NewReplacer(values...))
}

// configLine is a command to paste into a shell, with a shape put in. The address of a server that
// was measured is not that of one that serves: it stays open, as variables.
func configLine(argv []string, s Shape) string {
	return strings.NewReplacer("{host}", "$HOST", "{port}", "$PORT").Replace(show(fillShape(argv, s))) + "\n"
}

func replaceAll(argv []string, r *strings.Replacer) []string {
	filled := make([]string, len(argv))
	for i, word := range argv {
		filled[i] = r.Replace(word)
	}
	return filled
}

// check refuses a count or a port that is fixed in the arguments.
func (command) check(c Command) error { return fixed(c.Argv) }

// fixed refuses a command with a port or a count that is no placeholder, and suggests it with both.
func fixed(argv []string) error {
	var what, written []string
	suggested := argv
	for _, f := range []struct {
		placeholder, what string
		flags             []string
		matches           func(string) bool
	}{
		{"{port}", "port", []string{"--port", "-p", "--bind", "-b", "--listen", "--http", "--addr", "--address"}, endsInPort},
		{"{workers}", "number of workers", []string{"--workers", "-w", "--processes", "--instances"}, isCount},
	} {
		if takes(argv, f.placeholder) {
			continue
		}
		if s, ok := suggest(suggested, f.flags, f.matches, f.placeholder); ok {
			suggested = s
			what, written = append(what, f.what), append(written, f.placeholder)
		}
	}
	if len(what) == 0 {
		return nil
	}
	return refuse(argv, "its "+strings.Join(what, " and ")+" can't be varied",
		"write "+strings.Join(written, " and ")+" instead: advise -- "+show(suggested))
}

func isCount(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n > 0
}

func endsInPort(value string) bool {
	port := value[strings.LastIndexByte(value, ':')+1:]
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535
}

// suggest finds the first of the flags with a fixed value, and writes the command with the
// placeholder in the value's place.
func suggest(argv, flags []string, fixed func(string) bool, placeholder string) ([]string, bool) {
	for i, word := range argv {
		name, value, glued := strings.Cut(word, "=")
		at := i
		if !glued && i+1 < len(argv) {
			value, at = argv[i+1], i+1
		}
		if !slices.Contains(flags, name) || !fixed(value) {
			continue
		}
		filled := value[:strings.LastIndexByte(value, ':')+1] + placeholder
		if glued {
			filled = name + "=" + filled
		}
		suggested := slices.Clone(argv)
		suggested[at] = filled
		return suggested, true
	}
	return nil, false
}

// heeds says whether what the started tree shows can be the count asked for. Where the count went
// by the environment alone, fewer processes than workers mean that nobody read it.
func (command) heeds(c Command, s Shape, processes int) (reason, hint string) {
	if takes(c.Argv, "{workers}") || processes >= s.Workers {
		return "", ""
	}
	return fmt.Sprintf("it runs %s, not %s: it does not read WEB_CONCURRENCY", count(processes, "process"), count(s.Workers, "worker")),
		"write {workers} where its number of workers goes: advise -- " + show(c.Argv) + " --workers {workers}"
}

// portByEnvironment says whether the command learns its port from PORT alone, if it does.
func (command) portByEnvironment(c Command) bool { return !takes(c.Argv, "{port}") }

// suggestPort writes the command with {port} in the place of a port that stands in its arguments.
func suggestPort(argv []string, port int) ([]string, bool) {
	digits := strconv.Itoa(port)
	for i, word := range argv {
		before, ok := strings.CutSuffix(word, digits)
		if ok && (before == "" || strings.HasSuffix(before, ":") || strings.HasSuffix(before, "=")) {
			suggested := slices.Clone(argv)
			suggested[i] = before + "{port}"
			return suggested, true
		}
	}
	return nil, false
}
