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
	"advise/targets/mask"
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
		Knob:       "`-w`, `workers` in its file, `WEB_CONCURRENCY`; varied too: threads, class, preload",
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
			"`--preload` shares the memory of what is imported, and moves the application's start into the master. No option takes it back: where a file sets preload_app, a file that runs yours is given to measure without.",
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

func (g gunicorn) Shape(c Command) Shape { return gunicornRuns(g.told(c)) }

// told reads the command line, then GUNICORN_CMD_ARGS, then literals in the configuration file, as
// they are written there.
func (g gunicorn) told(c Command) Shape {
	fromVariable := gunicornVariableWords(c.Env)
	conf := readGunicornConf(c)
	setting := func(option, name string) string { return g.setting(c, option, name) }
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	s := Shape{
		Workers: positive(cmp.Or(setting("--workers", "workers"), concurrency)),
		Threads: max(1, positive(setting("--threads", "threads"))),
		Class:   cmp.Or(setting("--worker-class", "worker_class"), "sync"),
		Preload: conf.preload(),
	}
	if gunicornProgram.says(c, "--preload") || gunicornOptions.says(fromVariable, "--preload") {
		s.Preload = PreloadOn
	}
	return s
}

// setting is what is said by an option of the command line or the variable, or else in the file.
func (gunicorn) setting(c Command, option, name string) string {
	return cmp.Or(gunicornProgram.setting(c, option), gunicornOptions.last(gunicornVariableWords(c.Env), option), readGunicornConf(c).values[name])
}

// gunicornRuns is what gunicorn makes of a class with threads.
func gunicornRuns(s Shape) Shape {
	switch {
	case s.Threads > 1 && (s.Class == "sync" || strings.HasSuffix(s.Class, "SyncWorker")):
		s.Class = "gthread"
	case gunicornLoops.MatchString(s.Class):
		s.Threads = 1
	}
	return s
}

var (
	// gunicornLoops are the classes that serve in a loop and know nothing of threads.
	gunicornLoops = regexp.MustCompile(`(?i)gevent|eventlet|tornado|asgi|uvicorn|aiohttp`)
	// gunicornClasses are those with a name of their own. Others are a path in Python.
	gunicornClasses   = []string{"sync", "gthread", "gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "tornado", "asgi"}
	gunicornClassPath = regexp.MustCompile(`^(egg:)?[A-Za-z_]\w*([.:#][A-Za-z_]\w*)+$`)
)

func (g gunicorn) vary(c Command, s Shape) (Shape, error) {
	told := g.told(c)
	s, err := vary("gunicorn", c, s, told, byThreads, byClass, byPreload)
	if err != nil {
		return Shape{}, err
	}
	version := cmp.Or(c.Version, gunicornProgram.installed(c))
	switch {
	case s.Class == told.Class:
	case s.Class == "eventlet" && since(version, 26, 0):
		return Shape{}, refuse(c.Argv, "gunicorn "+version+" has no class eventlet: it was removed in 26.0", "--class gevent")
	case !slices.Contains(gunicornClasses, s.Class) && !gunicornClassPath.MatchString(s.Class):
		return Shape{}, refuse(c.Argv, fmt.Sprintf("gunicorn has no class %q", s.Class),
			"--class "+strings.Join(gunicornClasses, ",")+", or where it is to be imported from, as my.module.Worker")
	}
	if conf := readGunicornConf(c); s.Preload == PreloadOff && conf.lost {
		return Shape{}, refuse(c.Argv, "its configuration file can't be read, and preload_app may be in it", "name the file by its path: -c gunicorn.conf.py")
	}
	return gunicornRuns(s), nil
}

// A gunicornChange is a setting that a shape needs and the command doesn't have.
type gunicornChange struct {
	change        // on the command line
	assign string // in the file
}

// changes are what makes the command run a complete shape, less the count. The class and the threads
// stay as they are said where gunicorn makes of them what is asked for.
func (g gunicorn) changes(c Command, s Shape) []gunicornChange {
	told := g.told(c)
	var changes []gunicornChange
	if gunicornRuns(Shape{Threads: told.Threads, Class: s.Class}) != (Shape{Threads: s.Threads, Class: s.Class}) {
		changes = append(changes, gunicornChange{change{"--threads", "--threads", strconv.Itoa(s.Threads)}, fmt.Sprintf("threads = %d", s.Threads)})
	}
	if gunicornRuns(Shape{Threads: s.Threads, Class: told.Class}) != (Shape{Threads: s.Threads, Class: s.Class}) {
		changes = append(changes, gunicornChange{change{"--worker-class", "-k", s.Class}, fmt.Sprintf("worker_class = %q", s.Class)})
	}
	switch s.Preload {
	case told.Preload:
	case PreloadOn:
		changes = append(changes, gunicornChange{change{"--preload", "--preload", ""}, "preload_app = True"})
	default: // it has no option for that
		changes = append(changes, gunicornChange{change{"--preload", "", ""}, "preload_app = False"})
	}
	return changes
}

func (g gunicorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := g.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	given := []string{"--workers", strconv.Itoa(s.Workers), "--bind", p.Address()}
	var dropped []string
	for _, ch := range g.changes(c, s) {
		given = append(given, gunicornOptions.set(nil, ch.change)...)
		dropped = append(dropped, ch.option)
	}
	logs, replaced := g.logs(c, p)
	given, dropped = append(given, logs...), append(dropped, replaced...)
	var files []File
	conf := readGunicornConf(c)
	loads := s.Preload == PreloadOff && conf.preload() != PreloadOff // which no option takes back
	if conf.name != "" && (loads || gunicornMayLog.MatchString(conf.text)) {
		given = append(given, "--config", p.file(gunicornFile))
		dropped = append(dropped, "--config")
		files = []File{{Path: gunicornFile, Text: conf.derived(c, p, !loads)}}
	}
	if hasControlSocket(cmp.Or(c.Version, gunicornProgram.installed(c))) {
		given = append(given, "--no-control-socket")
	}
	argv, err := gunicornProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: gunicornEnv(c.Env, s, dropped), Files: files}, nil
}

// gunicornEnv takes out of GUNICORN_CMD_ARGS what the command line can't take back, and keeps
// WEB_CONCURRENCY true where it is set: a configuration file or the application may read it.
func gunicornEnv(env []string, s Shape, dropped []string) []string {
	if words := gunicornVariableWords(env); words != nil {
		kept := gunicornOptions.without(words, func(option string) bool {
			return slices.Contains(gunicornProgram.owned, option) || slices.Contains(dropped, option)
		})
		if rest := quoteAll(kept); rest != quoteAll(words) {
			env = setenv(env, gunicornVariable, rest)
		}
	}
	return trueConcurrency(env, s)
}

// gunicornVariableWords are the arguments in GUNICORN_CMD_ARGS; none where a shell would be needed.
func gunicornVariableWords(env []string) []string {
	variable, _ := getenv(env, gunicornVariable)
	words, ok := splitWords(variable)
	if !ok {
		return nil
	}
	return words
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

// gunicornCount finds a count in the configuration file, computed or not.
var gunicornCount = regexp.MustCompile(`(?m)^[ \t]*workers[ \t]*=`)

// pasted are the settings of a shape that the command doesn't have, the count first.
func (g gunicorn) pasted(c Command, s Shape) []gunicornChange {
	s = gunicornRuns(s.or(g.told(c)))
	return append([]gunicornChange{{change{"--workers", "-w", strconv.Itoa(s.Workers)}, fmt.Sprintf("workers = %d", s.Workers)}}, g.changes(c, s)...)
}

// inVariable is GUNICORN_CMD_ARGS at a shape: changed in what it says itself of it, as it wins over the
// file, and otherwise as it is.
func (g gunicorn) inVariable(c Command, s Shape) string {
	words := gunicornVariableWords(c.Env)
	for _, ch := range g.pasted(c, s) {
		if gunicornOptions.says(words, ch.option) {
			words = gunicornOptions.set(words, ch.change)
		}
	}
	masked, _ := mask.Command(words)
	return quoteAll(masked)
}

// Config is the line for the configuration file and the command in the user's own spelling. Where
// something of it is on the command line or in a variable already, that is where it has to change.
func (g gunicorn) Config(c Command, s Shape) []File {
	_, args, _ := gunicornProgram.split(c.Argv)
	var text strings.Builder
	var onLine []change
	var inLine, inVariable []string
	for _, ch := range g.pasted(c, s) {
		text.WriteString(ch.assign + "\n")
		onLine = append(onLine, ch.change)
		if gunicornOptions.says(args, ch.option) {
			inLine = append(inLine, ch.option)
		}
		if gunicornOptions.says(gunicornVariableWords(c.Env), ch.option) {
			inVariable = append(inVariable, ch.option)
		}
	}
	conf := readGunicornConf(c)
	file := File{Path: cmp.Or(conf.name, gunicornFile), Text: text.String()}
	line := gunicornProgram.line(c, s, onLine...)
	switch {
	case inLine != nil:
		file.Text = "# once " + isNo(inLine) + " longer on the command line, which wins\n" + file.Text
		return []File{line, file}
	case inVariable != nil:
		variable := environmentOf(gunicornVariable, g.inVariable(c, s))
		file.Text = "# once " + isNo(inVariable) + " longer in " + gunicornVariable + ", which wins\n" + file.Text
		if slices.Contains(inVariable, "--workers") && len(inVariable) == len(onLine) {
			return []File{variable, line, file}
		}
		return []File{line, file}
	case concurrencyDecides(c, conf.text, gunicornCount) && len(onLine) == 1:
		return []File{environmentOf(concurrencyVariable, strconv.Itoa(s.Workers)), file, line}
	default:
		return []File{file, line}
	}
}

func isNo(options []string) string {
	if len(options) == 1 {
		return options[0] + " is no"
	}
	return strings.Join(options, " and ") + " are no"
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
	case strings.Contains(text, "No application module specified"):
		return "name the application: gunicorn app:app"
	case strings.Contains(text, "Failed to find attribute"), strings.Contains(text, "Failed to find application object"):
		return "the module has no such application: name it as module:variable"
	case strings.Contains(text, "invalid or not found"), strings.Contains(text, "installed to use this worker"):
		return "the worker class, or the library that it needs, is not installed beside gunicorn"
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
