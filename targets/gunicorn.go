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

// gunicorn pre-forks: a master that opens the sockets, and its children, the workers.
//
// Count and address are always given on the command line, which wins over GUNICORN_CMD_ARGS, the
// configuration file and WEB_CONCURRENCY.
type gunicorn struct{}

func (gunicorn) Name() string { return "gunicorn" }

func (gunicorn) About() About {
	return About{
		Server:     "gunicorn, of any worker class",
		Recognised: "`gunicorn`, `python -m gunicorn`, behind `env`, `uv run` and the like",
		Knob:       "`-w`, `workers` in its file, `WEB_CONCURRENCY`; threads: `--threads`",
		Live:       "TTIN and TTOU",
		Reports:    "children of its master",
		Tested:     []string{"20.1", "27.0"},
		Traps: []string{
			"Settings win in this order, the weakest first: environment, configuration file, GUNICORN_CMD_ARGS, command line. WEB_CONCURRENCY loses to a stray gunicorn.conf.py; `gunicorn --print-config` shows what holds.",
			"`when_ready` fires before the workers are forked: it is no sign of readiness.",
			"`--threads` above 1 turns the class sync into gthread.",
			"The class sync closes every connection after its answer: put a proxy in front that keeps them.",
			"A burst of TTIN is lost up to version 23, which keeps five signals: send one, wait for the worker, send the next. TTOU ends the oldest worker.",
			"From 25.1 on a control socket lies at one path for all servers of a user; while measuring there is none.",
			"eventlet was removed in 26.0.",
			"The worker timeout is 30 s, which is also the load generator's own: a request that takes as long fails in either way.",
			"The heartbeat file on a slow /tmp stalls workers: `--worker-tmp-dir /dev/shm`.",
			"Requests can be spread very unevenly over workers.",
			"`--preload` shares the memory of what is imported, and moves the application's start into the master.",
		},
	}
}

func (gunicorn) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (gunicorn) Recognise(argv []string) bool { return gunicornProgram.recognises(argv) }

var gunicornProgram = pythonServer{
	program: program{
		names:   []string{"gunicorn", "gunicorn3", "gunicorn-3"},
		modules: []string{"gunicorn", "gunicorn.__main__", "gunicorn.app.wsgiapp"},
		options: gunicornOptions,
		owned: []string{
			"--workers", "--bind", "--daemon", "--pid", "--control-socket", "--control-socket-mode", "--no-control-socket",
		},
	},
	distribution: "gunicorn",
	answer:       regexp.MustCompile(`\(version ([0-9][^)\s]*)\)`),
}

// gunicornOptions are those of all versions from 20.0 to 27.0 together.
var gunicornOptions = newGrammar(`
	--help|-h --version|-v --config|-c= --bind|-b= --backlog= --workers|-w= --worker-class|-k= --threads=
	--worker-connections= --max-requests= --max-requests-jitter= --timeout|-t= --graceful-timeout= --keep-alive=
	--limit-request-line= --limit-request-fields= --limit-request-field_size= --reload --reload-engine=
	--reload-extra-file= --spew --check-config --print-config --preload --no-sendfile --reuse-port --chdir=
	--daemon|-D --env|-e= --pid|-p= --worker-tmp-dir= --user|-u= --group|-g= --umask|-m= --initgroups
	--forwarded-allow-ips= --access-logfile= --disable-redirect-access-to-syslog --access-logformat=
	--error-logfile|--log-file= --log-level= --capture-output --logger-class= --log-config= --log-config-json=
	--log-syslog-to= --log-syslog --log-syslog-prefix= --log-syslog-facility= --enable-stdio-inheritance|-R
	--statsd-host= --dogstatsd-tags= --statsd-prefix= --enable-backlog-metric --name|-n= --pythonpath=
	--paste|--paster= --proxy-protocol --proxy-allow-from= --protocol= --uwsgi-allow-from= --keyfile= --certfile=
	--ssl-version= --cert-reqs= --ca-certs= --suppress-ragged-eofs --do-handshake-on-connect --ciphers=
	--http-protocols= --http2-cleartext= --http2-max-concurrent-streams= --http2-initial-window-size=
	--http2-max-frame-size= --http2-max-header-list-size= --paste-global= --permit-obsolete-folding
	--strip-header-spaces --permit-unconventional-http-method --permit-unconventional-http-version
	--casefold-http-method --forwarder-headers= --header-map= --tolerate-dangerous-framing --asgi-loop=
	--asgi-lifespan= --asgi-disconnect-grace-period= --websocket-max-message-size= --http-parser= --root-path=
	--dirty-app= --dirty-workers= --dirty-timeout= --dirty-threads= --dirty-graceful-timeout=
	--control-socket= --control-socket-mode= --no-control-socket
`)

const gunicornVariable = "GUNICORN_CMD_ARGS"

// Shape reads the command line, then GUNICORN_CMD_ARGS, then literals in the configuration file.
func (gunicorn) Shape(c Command) Shape {
	variable, _ := getenv(c.Env, gunicornVariable)
	fromVariable, _ := splitWords(variable)
	conf := readGunicornConf(c)
	setting := func(option, name string) string {
		return cmp.Or(gunicornProgram.setting(c, option), gunicornOptions.last(fromVariable, option), conf.values[name])
	}
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	s := Shape{
		Workers: positive(cmp.Or(setting("--workers", "workers"), concurrency)),
		Threads: max(1, positive(setting("--threads", "threads"))),
		Class:   cmp.Or(setting("--worker-class", "worker_class"), "sync"),
	}
	if s.Class == "sync" && s.Threads > 1 {
		s.Class = "gthread"
	}
	return s
}

func (g gunicorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	asked := g.Shape(c)
	given := []string{"--workers", strconv.Itoa(s.Workers), "--bind", p.Address()}
	var dropped []string
	if s.Threads > 0 && s.Threads != asked.Threads {
		given = append(given, "--threads", strconv.Itoa(s.Threads))
		dropped = append(dropped, "--threads")
	}
	if s.Class != "" && s.Class != asked.Class {
		given = append(given, "--worker-class", s.Class)
		dropped = append(dropped, "--worker-class")
	}
	if hasControlSocket(cmp.Or(c.Version, gunicornProgram.installed(c))) {
		given = append(given, "--no-control-socket")
	}
	argv, err := gunicornProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: gunicornEnv(c.Env, s)}, nil
}

// gunicornEnv takes out of GUNICORN_CMD_ARGS what the command line can't take back, and keeps
// WEB_CONCURRENCY true where it is set: a configuration file or the application may read it.
func gunicornEnv(env []string, s Shape) []string {
	if variable, ok := getenv(env, gunicornVariable); ok {
		if words, ok := splitWords(variable); ok {
			kept := gunicornOptions.without(words, func(option string) bool { return slices.Contains(gunicornProgram.owned, option) })
			if rest := quoteAll(kept); rest != quoteAll(words) {
				env = setenv(env, gunicornVariable, rest)
			}
		}
	}
	return trueConcurrency(env, s)
}

// Workers are the children of the master. The master is the first process, from the top, with a
// child of its own name: workers are forked and not executed, so they have the master's. With
// Python's setproctitle installed the names tell it outright.
func (gunicorn) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	const title = "gunicorn: worke" // the 15 bytes the kernel keeps
	return firstChildren(tree, func(p, master hold.Process) bool {
		return p.Command == master.Command || p.Command == title
	}), true
}

func (gunicorn) live(Command, Shape) (liveChange, bool) {
	return liveChange{more: syscall.SIGTTIN, fewer: syscall.SIGTTOU}, true
}

// Config is the line for the configuration file and the command in the user's own spelling. Where
// the count is on the command line already, that is where it has to change.
func (g gunicorn) Config(c Command, s Shape) []File {
	conf := readGunicornConf(c)
	asked := g.Shape(c)
	var text strings.Builder
	fmt.Fprintf(&text, "workers = %d\n", s.Workers)
	if s.Threads > 1 || asked.Threads > 1 && s.Threads > 0 {
		fmt.Fprintf(&text, "threads = %d\n", s.Threads)
	}
	if s.Class != "" && s.Class != asked.Class {
		fmt.Fprintf(&text, "worker_class = %q\n", s.Class)
	}
	file := File{Path: cmp.Or(conf.name, "gunicorn.conf.py"), Text: text.String()}
	changes := []change{{"--workers", "-w", strconv.Itoa(s.Workers)}}
	if s.Threads > 0 && s.Threads != asked.Threads {
		changes = append(changes, change{"--threads", "--threads", strconv.Itoa(s.Threads)})
	}
	if s.Class != "" && s.Class != asked.Class {
		changes = append(changes, change{"--worker-class", "-k", s.Class})
	}
	line := gunicornProgram.line(c, s, changes...)

	variable, _ := getenv(c.Env, gunicornVariable)
	inVariable, _ := splitWords(variable)
	switch {
	case gunicornProgram.setting(c, "--workers") != "":
		file.Text = "# once the count is no longer on the command line, which wins\n" + file.Text
		return []File{line, file}
	case gunicornOptions.last(inVariable, "--workers") != "":
		file.Text = "# once the count is no longer in " + gunicornVariable + ", which wins\n" + file.Text
		return []File{line, file}
	default:
		return []File{file, line}
	}
}

func (gunicorn) Version(ctx context.Context, c Command) (string, error) {
	return gunicornProgram.version(ctx, c)
}

var gunicornChatter = regexp.MustCompile(`^\[[^]]+\] \[\d+\] \[(?:INFO|DEBUG)\] |was sent SIGTERM!$`)

// chatter tells what the master says of every end from what caused it: with eight workers it takes
// ten lines to end them.
func (gunicorn) chatter(line string) bool { return gunicornChatter.MatchString(line) }

// explain knows what gunicorn says in its log when it can't start.
func (gunicorn) explain(log []string) string {
	text := strings.Join(log, "\n")
	switch {
	case strings.Contains(text, "Already running on PID"):
		return "the configuration file sets pidfile and another server has it: leave pidfile out while measuring"
	case strings.Contains(text, "No application module specified"):
		return "name the application: gunicorn app:app"
	case strings.Contains(text, "Failed to find attribute"), strings.Contains(text, "Failed to find application object"):
		return "the module has no such application: name it as module:variable"
	case strings.Contains(text, "No module named"):
		return "a Python module was not found: run advise in the application's folder, with the application's own gunicorn (its virtual environment)"
	case strings.Contains(text, "Listening at: https://"), strings.Contains(text, "SSL: HTTP_REQUEST"):
		return "it speaks TLS: leave certfile and keyfile out while measuring"
	default:
		return ""
	}
}

// hasControlSocket says whether a version opens a control socket at one path for all servers of a
// user unless it is told not to. Versions before 25.1 refuse the option that tells it.
func hasControlSocket(version string) bool { return since(version, 25, 1) }
