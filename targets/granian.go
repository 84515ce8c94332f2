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

// granian is a server in Rust around Python applications: a parent and its workers.
type granian struct{}

func (granian) Name() string { return "granian" }

func (granian) About() About {
	return About{
		Server:     "granian",
		Recognised: "`granian`, `python -m granian`",
		Knob:       "`--workers`, `GRANIAN_WORKERS`; varied too: threads, for WSGI (`--blocking-threads`)",
		Reports:    "children of its parent process",
		Tested:     []string{"2."},
		Traps: []string{
			"Backpressure, the requests a worker takes at once, is the backlog divided by the workers: it shrinks as the count grows, unless `--backpressure` is given.",
			"A worker that dies is not replaced unless `--respawn-failed-workers` is given.",
			"`--blocking-threads` are for WSGI; asynchronous applications have one. Without the option a worker of 2.x starts as many as there are requests, up to half of its backpressure.",
		},
	}
}

func (granian) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (granian) Recognise(argv []string) bool { return granianProgram.recognises(argv) }

var granianProgram = pythonServer{
	program: program{
		names:   []string{"granian"},
		modules: []string{"granian", "granian.__main__"},
		options: newGrammar(`
			--host= --port= --uds= --uds-permissions= --interface= --http= --ws --no-ws --workers= --blocking-threads=
			--blocking-threads-idle-timeout= --runtime-threads= --runtime-blocking-threads= --runtime-mode= --loop=
			--task-impl= --backlog= --backpressure= --http1-buffer-size= --http1-header-read-timeout= --http1-keep-alive
			--no-http1-keep-alive --http1-pipeline-flush --no-http1-pipeline-flush --http2-adaptive-window
			--no-http2-adaptive-window --http2-initial-connection-window-size= --http2-initial-stream-window-size=
			--http2-keep-alive-interval= --http2-keep-alive-timeout= --http2-max-concurrent-streams=
			--http2-max-frame-size= --http2-max-headers-size= --http2-max-send-buffer-size= --log --no-log --log-level=
			--log-config= --access-log --no-access-log --access-log-fmt= --ssl-certificate= --ssl-keyfile=
			--ssl-keyfile-password= --ssl-protocol-min= --ssl-ca= --ssl-crl= --ssl-client-verify --no-ssl-client-verify
			--url-path-prefix= --respawn-failed-workers --no-respawn-failed-workers --respawn-interval=
			--rss-sample-interval= --rss-samples= --workers-lifetime= --workers-max-rss= --workers-kill-timeout=
			--factory --no-factory --working-dir= --env-files= --static-path-route= --static-path-mount=
			--static-path-dir-to-file= --static-path-expires= --metrics --no-metrics --metrics-scrape-interval=
			--metrics-address= --metrics-port= --reload --no-reload --reload-paths= --reload-ignore-dirs=
			--reload-ignore-patterns= --reload-ignore-paths= --reload-tick= --reload-ignore-worker-failure
			--no-reload-ignore-worker-failure --process-name= --pid-file= --version --help
		`),
		owned: []string{"--workers", "--host", "--port", "--uds", "--uds-permissions", "--reload", "--pid-file", "--metrics"},
	},
	distribution: "granian",
	answer:       regexp.MustCompile(`granian ([0-9]\S*)`),
}

func (granian) Shape(c Command) Shape {
	workers, _ := getenv(c.Env, "GRANIAN_WORKERS")
	threads, _ := getenv(c.Env, "GRANIAN_BLOCKING_THREADS")
	s := Shape{
		Workers: positive(cmp.Or(granianProgram.setting(c, "--workers"), workers, "1")),
		Threads: positive(cmp.Or(granianProgram.setting(c, "--blocking-threads"), threads)),
	}
	if s.Threads == 0 && !granianBlocks(c) {
		s.Threads = 1
	}
	return s
}

// granianBlocks says whether requests are served in threads. How many then, when it isn't said,
// depends on the version, on the backlog and on the count.
func granianBlocks(c Command) bool {
	fromVariable, _ := getenv(c.Env, "GRANIAN_INTERFACE")
	return cmp.Or(granianProgram.setting(c, "--interface"), fromVariable) == "wsgi"
}

func (g granian) vary(c Command, s Shape) (Shape, error) {
	if s.Threads > 1 && s.Threads != g.Shape(c).Threads && !granianBlocks(c) {
		return Shape{}, refuse(c.Argv, "granian serves asynchronous applications without threads", "leave --threads away; with --interface wsgi it has them")
	}
	return vary("granian", c, s, g.Shape(c), byThreads)
}

func (g granian) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := g.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	given := []string{"--workers", strconv.Itoa(s.Workers), "--host", p.Host, "--port", strconv.Itoa(p.Port)}
	var dropped []string
	if s.Threads != g.Shape(c).Threads {
		given = append(given, "--blocking-threads", strconv.Itoa(s.Threads))
		dropped = append(dropped, "--blocking-threads")
	}
	env := c.Env
	variable, _ := getenv(c.Env, "GRANIAN_LOG_CONFIG")
	if logsToFiles(c, cmp.Or(granianProgram.setting(c, "--log-config"), variable)) {
		dropped, env = append(dropped, "--log-config"), unsetenv(env, "GRANIAN_LOG_CONFIG")
	}
	argv, err := granianProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	env = unsetenv(trueConcurrency(env, s), "GRANIAN_UDS", "GRANIAN_RELOAD", "GRANIAN_PID_FILE", "GRANIAN_METRICS_ENABLED")
	return Launch{Argv: fillAll(argv, s, p), Env: env}, nil
}

func (granian) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return firstChildren(tree, sameName), true
}

func (g granian) Config(c Command, s Shape) []File {
	changes := []change{{"--workers", "--workers", strconv.Itoa(s.Workers)}}
	variables := fmt.Sprintf("GRANIAN_WORKERS=%d\n", s.Workers)
	if s.Threads > 0 && s.Threads != g.Shape(c).Threads {
		changes = append(changes, change{"--blocking-threads", "--blocking-threads", strconv.Itoa(s.Threads)})
		variables += fmt.Sprintf("GRANIAN_BLOCKING_THREADS=%d\n", s.Threads)
	}
	line := granianProgram.line(c, s, changes...)
	if granianProgram.saysAny(c, changes) {
		return []File{line}
	}
	return []File{{Path: environmentFile, Text: variables}, line}
}

func (granian) Version(ctx context.Context, c Command) (string, error) {
	return granianProgram.version(ctx, c)
}
