package targets

import (
	"cmp"
	"context"
	"strconv"
	"syscall"

	"advise/targets/hold"
)

// waitress is one process; its workers are threads.
type waitress struct{}

func (waitress) Name() string { return "waitress" }

func (waitress) About() About {
	return About{
		Server:     "waitress",
		Recognised: "`waitress-serve`, `python -m waitress`",
		Knob:       "`--threads`: its workers are threads of one process",
		Reports:    "nothing: its threads can't be told from the application's",
		Tested:     []string{"2.1", "3.0"},
		Traps: []string{
			"The count is threads: they share one interpreter lock, so Python code of one process fills one core at most.",
			"It takes 100 connections at a time (`--connection-limit`): with more than that some wait unseen.",
		},
	}
}

func (waitress) StopSignal() syscall.Signal { return syscall.SIGINT }

func (waitress) Recognise(argv []string) bool { return waitressProgram.recognises(argv) }

var waitressProgram = pythonServer{
	program: program{
		names:   []string{"waitress-serve", "waitress-serve-python3"},
		modules: []string{"waitress", "waitress.__main__"},
		options: newGrammar(`
			--help --app= --call --host= --port= --listen= --ipv4 --no-ipv4 --ipv6 --no-ipv6 --unix-socket=
			--unix-socket-perms= --url-scheme= --url-prefix= --ident= --threads= --backlog= --recv-bytes= --send-bytes=
			--outbuf-overflow= --outbuf-high-watermark= --inbuf-overflow= --connection-limit= --cleanup-interval=
			--channel-timeout= --log-socket-errors --no-log-socket-errors --max-request-header-size=
			--max-request-body-size= --expose-tracebacks --no-expose-tracebacks --asyncore-loop-timeout=
			--asyncore-use-poll --no-asyncore-use-poll --channel-request-lookahead= --trusted-proxy=
			--trusted-proxy-count= --trusted-proxy-headers= --log-untrusted-proxy-headers
			--clear-untrusted-proxy-headers --no-clear-untrusted-proxy-headers --server-name=
		`),
		owned: []string{"--threads", "--host", "--port", "--listen", "--unix-socket", "--unix-socket-perms"},
	},
	distribution: "waitress",
}

func (waitress) Shape(c Command) Shape {
	return Shape{Workers: positive(cmp.Or(waitressProgram.setting(c, "--threads"), "4")), Threads: 1}
}

func (w waitress) vary(c Command, s Shape) (Shape, error) {
	if s.Threads > 1 {
		return Shape{}, refuse(c.Argv, "the workers of waitress are its threads", "leave --threads away: --workers varies them")
	}
	return vary("waitress", c, s, w.Shape(c))
}

func (waitress) Launch(c Command, s Shape, p Place) (Launch, error) {
	argv, err := waitressProgram.launch(c, []string{"--threads=" + strconv.Itoa(s.Workers), "--listen=" + p.Address()})
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s)}, nil
}

// Workers can't be counted: they are threads, and the application may have some of its own.
func (waitress) Workers([]hold.Process, int) ([]hold.Process, bool) { return nil, false }

func (waitress) Config(c Command, s Shape) []File {
	return []File{waitressProgram.line(c, s, change{"--threads", "--threads", strconv.Itoa(s.Workers)})}
}

func (waitress) Version(ctx context.Context, c Command) (string, error) {
	return waitressProgram.version(ctx, c)
}
