package targets

import (
	"cmp"
	"context"
	"regexp"
	"strconv"
	"syscall"

	"advise/targets/hold"
)

// UvicornName is the name of uvicorn's adapter.
const UvicornName = "uvicorn"

// uvicorn has a supervisor that spawns its workers afresh; with one worker there is no supervisor,
// and the process that was started serves.
type uvicorn struct{}

func (uvicorn) Name() string { return UvicornName }

func (uvicorn) About() About {
	return About{
		Server:     "uvicorn",
		Recognised: "`uvicorn`, `python -m uvicorn`",
		Knob:       "`--workers`, `WEB_CONCURRENCY`",
		Live:       "TTIN and TTOU, from 0.30 on and from two workers on",
		Reports:    "children of its supervisor",
		Tested:     []string{"0.17", "0.54"},
		Traps: []string{
			"Workers are spawned, not forked, so nothing is shared: each costs its full memory.",
			"The supervisor kills a worker that misses a ping for 5 s. A full server then looks like one that crashes: raise `--timeout-worker-healthcheck` (from 0.37 on).",
			"From two workers on it makes its socket itself, in a way for which asyncio leaves TCP_NODELAY out: a short answer over a kept connection then waits 40 ms for an acknowledgement (measured with 0.54 and h11: 0.5 ms with one worker, 44 ms with two). Fewer requests per second with two workers than with one are that.",
			"`--reload` starts one worker, whatever `--workers` says; it is left out while measuring.",
			"One worker is one process without a supervisor: a crash ends the server.",
			"A blocking call in an async function stops the whole worker; more workers only hide it.",
		},
	}
}

func (uvicorn) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (uvicorn) Recognise(argv []string) bool { return uvicornProgram.recognises(argv) }

var uvicornProgram = pythonServer{
	program: program{
		names:   []string{"uvicorn"},
		modules: []string{"uvicorn", "uvicorn.__main__", "uvicorn.main"},
		options: newGrammar(`
			--host= --port= --uds= --fd= --reload --reload-dir= --reload-include= --reload-exclude= --reload-delay=
			--workers= --loop= --http= --http2 --ws= --ws-max-size= --ws-max-queue= --ws-ping-interval= --ws-ping-timeout=
			--ws-per-message-deflate= --lifespan= --interface= --env-file= --log-config= --log-level= --access-log
			--no-access-log --use-colors --no-use-colors --proxy-headers --no-proxy-headers --server-header
			--no-server-header --date-header --no-date-header --forwarded-allow-ips= --root-path= --limit-concurrency=
			--backlog= --limit-max-requests= --limit-max-requests-jitter= --timeout-keep-alive=
			--timeout-graceful-shutdown= --timeout-worker-healthcheck= --ssl-keyfile= --ssl-certfile=
			--ssl-keyfile-password= --ssl-version= --ssl-cert-reqs= --ssl-ca-certs= --ssl-ciphers= --header= --version
			--app-dir= --h11-max-incomplete-event-size= --reset-contextvars --factory --help
		`),
		owned: []string{
			"--workers", "--host", "--port", "--uds", "--fd",
			"--reload", "--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay",
		},
	},
	distribution: "uvicorn",
	answer:       regexp.MustCompile(`uvicorn ([0-9]\S*)`),
}

func (uvicorn) Shape(c Command) Shape {
	variable, _ := getenv(c.Env, uvicornVariable)
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	return Shape{
		Workers: positive(cmp.Or(uvicornProgram.setting(c, "--workers"), variable, concurrency, "1")),
		Threads: 1,
	}
}

func (uvicorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	env := unsetenv(trueConcurrency(c.Env, s), "UVICORN_UDS", "UVICORN_FD", "UVICORN_RELOAD")
	var dropped []string
	variable, _ := getenv(c.Env, "UVICORN_LOG_CONFIG")
	if logsToFiles(c, cmp.Or(uvicornProgram.setting(c, "--log-config"), variable)) {
		// Without it the same lines go to the standard output.
		dropped, env = append(dropped, "--log-config"), unsetenv(env, "UVICORN_LOG_CONFIG")
	}
	argv, err := uvicornProgram.launch(c, []string{
		"--workers", strconv.Itoa(s.Workers), "--host", p.Host, "--port", strconv.Itoa(p.Port),
	}, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: env}, nil
}

func (uvicorn) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return pythonWorkers(tree), true
}

// live needs a supervisor.
func (uvicorn) live(c Command, s Shape) (liveChange, bool) {
	return liveChange{more: syscall.SIGTTIN, fewer: syscall.SIGTTOU}, s.Workers > 1 && since(cmp.Or(c.Version, uvicornProgram.installed(c)), 0, 30)
}

// Config leaves --reload out, with which there is one worker whatever else is said.
func (uvicorn) Config(c Command, s Shape) []File {
	changes := []change{{"--workers", "--workers", strconv.Itoa(s.Workers)}}
	for _, option := range []string{"--reload", "--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay"} {
		changes = append(changes, change{option, "", ""})
	}
	line := uvicornProgram.line(c, s, changes...)
	for _, name := range []string{uvicornVariable, concurrencyVariable} {
		if _, ok := getenv(c.Env, name); ok && !uvicornProgram.saysAny(c, changes) {
			return []File{environmentOf(name, strconv.Itoa(s.Workers)), line}
		}
	}
	return []File{line}
}

func (uvicorn) Version(ctx context.Context, c Command) (string, error) {
	return uvicornProgram.version(ctx, c)
}
