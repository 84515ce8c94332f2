package targets

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// hypercorn has a parent and its workers. In old versions these are forked, and a single one is the
// parent itself.
type hypercorn struct{}

func (hypercorn) Name() string { return "hypercorn" }

func (hypercorn) About() About {
	return About{
		Server:     "hypercorn",
		Recognised: "`hypercorn`, `python -m hypercorn`",
		Knob:       "`-w`, `workers` in its file; varied too: class",
		Reports:    "children of its parent process",
		Tested:     []string{"0.13", "0.18"},
		Traps: []string{
			"Workers are spawned, not forked (from 0.14 on), so nothing is shared: each costs its full memory.",
			"A count of 0 serves from the parent itself, with nobody to replace it.",
			"The backlog is 100: what waits beyond that under a burst is refused (`--backlog`).",
		},
	}
}

func (hypercorn) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (hypercorn) Recognise(argv []string) bool { return hypercornProgram.recognises(argv) }

var hypercornProgram = pythonServer{
	program: program{
		names:   []string{"hypercorn"},
		modules: []string{"hypercorn", "hypercorn.__main__"},
		options: newGrammar(`
			--help|-h --access-log= --access-logfile= --access-logformat= --backlog= --bind|-b= --ca-certs= --certfile=
			--cert-reqs= --ciphers= --config|-c= --daemon|-D --debug --error-log= --error-logfile|--log-file=
			--graceful-timeout= --read-timeout= --max-requests= --max-requests-jitter= --group|-g= --worker-class|-k=
			--keep-alive= --keyfile= --keyfile-password= --insecure-bind= --log-config= --log-level= --pid|-p=
			--quic-bind= --reload --root-path= --server-name= --statsd-host= --statsd-prefix= --umask|-m= --user|-u=
			--verify-mode= --websocket-ping-interval= --workers|-w=
		`),
		owned: []string{"--workers", "--bind", "--insecure-bind", "--quic-bind", "--pid", "--daemon", "--reload"},
	},
	distribution: "hypercorn",
	answer:       regexp.MustCompile(`hypercorn ([0-9]\S*)`),
}

// The count and the class in a file that -c names, which is TOML by default.
var (
	tomlWorkers = regexp.MustCompile(`(?m)^[ \t]*workers[ \t]*=[ \t]*(\d+)`)
	tomlClass   = regexp.MustCompile(`(?m)^[ \t]*worker_class[ \t]*=[ \t]*["'](\w+)["']`)
)

func (hypercorn) Shape(c Command) Shape {
	text := hypercornConf(c)
	inFile := func(pattern *regexp.Regexp) string {
		if m := pattern.FindSubmatch(text); m != nil {
			return string(m[1])
		}
		return ""
	}
	return Shape{
		Workers: positive(cmp.Or(hypercornProgram.setting(c, "--workers"), inFile(tomlWorkers), "1")),
		Threads: 1,
		Class:   cmp.Or(hypercornProgram.setting(c, "--worker-class"), inFile(tomlClass), "asyncio"),
	}
}

func (h hypercorn) vary(c Command, s Shape) (Shape, error) {
	classes, asked := []string{"asyncio", "uvloop", "trio"}, h.Shape(c)
	if s.Class != "" && s.Class != asked.Class && !slices.Contains(classes, s.Class) {
		return Shape{}, refuse(c.Argv, fmt.Sprintf("hypercorn has no class %q", s.Class), "--class "+strings.Join(classes, ","))
	}
	return vary("hypercorn", c, s, asked, byClass)
}

func (h hypercorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := h.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	given := []string{"--workers", strconv.Itoa(s.Workers), "--bind", p.Address()}
	var dropped []string
	if s.Class != h.Shape(c).Class {
		given = append(given, "--worker-class", s.Class)
		dropped = append(dropped, "--worker-class")
	}
	logs, replaced := h.logs(c, p)
	given, dropped = append(given, logs...), append(dropped, replaced...)
	argv, err := hypercornProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s)}, nil
}

// hypercornConf is the text of the file that the command names, be it TOML or Python.
func hypercornConf(c Command) []byte {
	name := strings.TrimPrefix(cmp.Or(hypercornProgram.setting(c, "--config"), "none"), "file:")
	if module, ok := strings.CutPrefix(name, "python:"); ok {
		name = strings.ReplaceAll(module, ".", "/") + ".py"
	}
	text, _ := readSmall(inDir(c.Dir, name))
	return text
}

// logs are the options in the place of what has output written to files of the user's, and those to
// drop. An option wins over the file.
func (hypercorn) logs(c Command, p Place) (given, dropped []string) {
	text := hypercornConf(c)
	says := func(key string, options ...string) bool {
		inFile := regexp.MustCompile(`(?m)^[ \t]*` + key + `[ \t]*=`).Match(text)
		return inFile || slices.ContainsFunc(options, func(option string) bool { return hypercornProgram.says(c, option) })
	}
	access := cmp.Or(hypercornProgram.setting(c, "--access-logfile"), hypercornProgram.setting(c, "--access-log"))
	if logsToFiles(c, hypercornProgram.setting(c, "--log-config")) {
		dropped = append(dropped, "--log-config")
		access = cmp.Or(access, accessLog)
	}
	if access != "-" && (access != "" || says("accesslog")) {
		given, dropped = append(given, "--access-logfile", p.file(accessLog)), append(dropped, "--access-logfile", "--access-log")
	}
	if says("errorlog", "--error-logfile", "--error-log") {
		given, dropped = append(given, "--error-logfile", "-"), append(dropped, "--error-logfile", "--error-log")
	}
	if says("pid_path") {
		given = append(given, "--pid", p.file("pid"))
	}
	return given, dropped
}

func (hypercorn) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return pythonWorkers(tree), true
}

func (h hypercorn) Config(c Command, s Shape) []File {
	changes := []change{{"--workers", "-w", strconv.Itoa(s.Workers)}}
	text := fmt.Sprintf("workers = %d\n", s.Workers)
	if s.Class != "" && s.Class != h.Shape(c).Class {
		changes = append(changes, change{"--worker-class", "-k", s.Class})
		text += fmt.Sprintf("worker_class = %q\n", s.Class)
	}
	line := hypercornProgram.line(c, s, changes...)
	if name := hypercornProgram.setting(c, "--config"); name != "" && !hypercornProgram.saysAny(c, changes) {
		return []File{{Path: name, Text: text}, line}
	}
	return []File{line}
}

// Version of Debian's release has to be read from its files: it has no option for it.
func (hypercorn) Version(_ context.Context, c Command) (string, error) {
	return hypercornProgram.installed(c), nil
}
