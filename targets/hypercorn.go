package targets

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strconv"
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
		Knob:       "`-w`, `workers` in its file",
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

// tomlWorkers is the count in a file that -c names, which is TOML by default.
var tomlWorkers = regexp.MustCompile(`(?m)^[ \t]*workers[ \t]*=[ \t]*(\d+)`)

func (hypercorn) Shape(c Command) Shape {
	fromFile := ""
	if text, err := readSmall(inDir(c.Dir, cmp.Or(hypercornProgram.setting(c, "--config"), "none"))); err == nil {
		if m := tomlWorkers.FindSubmatch(text); m != nil {
			fromFile = string(m[1])
		}
	}
	return Shape{
		Workers: positive(cmp.Or(hypercornProgram.setting(c, "--workers"), fromFile, "1")),
		Threads: 1,
		Class:   cmp.Or(hypercornProgram.setting(c, "--worker-class"), "asyncio"),
	}
}

func (h hypercorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	given := []string{"--workers", strconv.Itoa(s.Workers), "--bind", p.Address()}
	var dropped []string
	if s.Class != "" && s.Class != h.Shape(c).Class {
		given = append(given, "--worker-class", s.Class)
		dropped = append(dropped, "--worker-class")
	}
	argv, err := hypercornProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s)}, nil
}

func (hypercorn) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return pythonWorkers(tree), true
}

func (hypercorn) Config(c Command, s Shape) []File {
	line := hypercornProgram.line(c, s, change{"--workers", "-w", strconv.Itoa(s.Workers)})
	if name := hypercornProgram.setting(c, "--config"); name != "" && hypercornProgram.setting(c, "--workers") == "" {
		return []File{{Path: name, Text: fmt.Sprintf("workers = %d\n", s.Workers)}, line}
	}
	return []File{line}
}

// Version of Debian's release has to be read from its files: it has no option for it.
func (hypercorn) Version(_ context.Context, c Command) (string, error) {
	return hypercornProgram.installed(c), nil
}
