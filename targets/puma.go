package targets

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// puma in its cluster mode: a master and its workers, each with a pool of threads.
type puma struct{}

func (puma) Name() string { return "puma" }

func (puma) About() About {
	return About{
		Server:     "Puma",
		Recognised: "`puma`, `bundle exec puma`",
		Knob:       "`-w`, `workers` in its file, `WEB_CONCURRENCY`; threads: `-t`",
		Live:       "TTIN and TTOU",
		Reports:    "booted workers and requests of each, by its control application",
		Tested:     []string{"5.6"},
		Traps: []string{
			"0 workers is the single mode, one process without a master; 1 is a master and one worker. While measuring it is always a master.",
			"A worker's threads share one interpreter lock: they help while they wait, not while they compute.",
			"HUP without redirected output acts like INT and ends it.",
			"A database pool smaller than the threads of a worker makes them wait for each other.",
			"`preload_app!` shares the memory of what is loaded, and needs `before_fork` and `on_worker_boot` for connections.",
		},
	}
}

func (puma) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (puma) Recognise(argv []string) bool { return pumaProgram.recognises(argv) }

var pumaProgram = program{
	names: []string{"puma"},
	options: newGrammar(`
		--bind|-b= --bind-to-activated-sockets --config|-C= --no-config --control-url= --control-token= --debug --dir=
		--environment|-e= --fork-worker|-f --include|-I= --port|-p= --pidfile= --plugin= --preload --prune-bundler
		--extra-runtime-dependencies= --quiet|-q --log-requests|-v --restart-cmd|-R= --silent|-s --state|-S= --threads|-t=
		--early-hints --version|-V --workers|-w= --tag= --redirect-stdout= --redirect-stderr= --redirect-append
		--no-redirect-append --idle-timeout= --no-config --help|-h
	`),
	owned: []string{
		"--workers", "--bind", "--bind-to-activated-sockets", "--port", "--control-url", "--control-token", "--state", "--pidfile",
	},
}

var (
	pumaWorkers = regexp.MustCompile(`(?m)^[ \t]*workers[ \t(]+(\d+)`)
	pumaThreads = regexp.MustCompile(`(?m)^[ \t]*threads[ \t(]+\d+[ \t]*,[ \t]*(\d+)`)
)

// readPuma is the file that Puma would read and its name.
func readPuma(c Command) (name, text string) {
	environment := cmp.Or(pumaProgram.setting(c, "--environment"), "development")
	names := []string{"config/puma/" + environment + ".rb", "config/puma.rb"}
	if named := pumaProgram.setting(c, "--config"); named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if read, err := readSmall(inDir(c.Dir, name)); err == nil {
			return name, string(read)
		}
	}
	return "", ""
}

func (puma) Shape(c Command) Shape {
	_, text := readPuma(c)
	inFile := func(pattern *regexp.Regexp) string {
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return ""
	}
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	threads, _ := getenv(c.Env, "RAILS_MAX_THREADS")
	_, most, _ := strings.Cut(pumaProgram.setting(c, "--threads"), ":")
	most = cmp.Or(most, pumaProgram.setting(c, "--threads"))
	return Shape{
		Workers: max(1, positive(cmp.Or(pumaProgram.setting(c, "--workers"), inFile(pumaWorkers), concurrency))),
		Threads: max(1, positive(cmp.Or(most, inFile(pumaThreads), threads, "5"))),
	}
}

func (u puma) Launch(c Command, s Shape, p Place) (Launch, error) {
	given := []string{
		"-w", strconv.Itoa(s.Workers), "-b", "tcp://" + p.Address(),
		"--control-url", "unix://" + p.file("control"), "--control-token", "none", "-S", p.file("state"), "--pidfile", p.file("pid"),
	}
	var dropped []string
	if s.Threads > 0 && s.Threads != u.Shape(c).Threads {
		given = append(given, "-t", fmt.Sprintf("%d:%d", s.Threads, s.Threads))
		dropped = append(dropped, "--threads")
	}
	argv, err := pumaProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s)}, nil
}

func (puma) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return titled(tree, "puma: cluster worker"), true
}

// status knows the requests that each worker reported last, which it does as soon as it takes requests and
// then every five seconds. It is booted a little before that.
func (puma) status(ctx context.Context, p Place) (Status, error) {
	var stats struct {
		Workers []struct {
			PID    int  `json:"pid"`
			Booted bool `json:"booted"`
			Last   struct {
				Running  *int   `json:"running"` // threads
				Requests uint64 `json:"requests_count"`
			} `json:"last_status"`
		} `json:"worker_status"`
	}
	if err := statusJSON(ctx, p.file("control"), "/stats?"+url.Values{"token": {"none"}}.Encode(), &stats); err != nil {
		return Status{}, err
	}
	status := Status{Requests: map[int]uint64{}, Late: true}
	for _, w := range stats.Workers {
		if w.Booted && w.Last.Running != nil {
			status.Workers++
		}
		status.Requests[w.PID] = w.Last.Requests
	}
	return status, nil
}

func (puma) live(Command, Shape) (liveChange, bool) {
	return liveChange{more: syscall.SIGTTIN, fewer: syscall.SIGTTOU}, true
}

func (u puma) Config(c Command, s Shape) []File {
	name, _ := readPuma(c)
	changes := []change{{"--workers", "-w", strconv.Itoa(s.Workers)}}
	text := fmt.Sprintf("workers %d\n", s.Workers)
	if s.Threads > 0 && s.Threads != u.Shape(c).Threads {
		changes = append(changes, change{"--threads", "-t", fmt.Sprintf("%d:%d", s.Threads, s.Threads)})
		text += fmt.Sprintf("threads %d, %d\n", s.Threads, s.Threads)
	}
	line := pumaProgram.line(c, s, changes...)
	if pumaProgram.setting(c, "--workers") != "" {
		return []File{line}
	}
	return []File{{Path: cmp.Or(name, "config/puma.rb"), Text: text}, line}
}

func (puma) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := pumaProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "-V"), regexp.MustCompile(`puma version ([0-9.]+)`))
}
