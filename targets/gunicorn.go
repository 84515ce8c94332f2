package targets

import (
	"cmp"
	"context"
	"fmt"
	"net"
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

func (gunicorn) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (gunicorn) Recognise(argv []string) bool {
	_, _, ok := splitGunicorn(argv)
	return ok
}

// splitGunicorn divides a command into what leads to gunicorn and gunicorn's own arguments.
func splitGunicorn(argv []string) (head, args []string, ok bool) {
	at, ok := programArgs(argv,
		[]string{"gunicorn", "gunicorn3", "gunicorn-3"},
		[]string{"gunicorn", "gunicorn.__main__", "gunicorn.app.wsgiapp"})
	if !ok {
		return nil, nil, false
	}
	return slices.Clip(argv[:at]), argv[at:], true
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
	_, args, _ := splitGunicorn(c.Argv)
	variable, _ := getenv(c.Env, gunicornVariable)
	fromVariable, _ := splitWords(variable)
	conf := readGunicornConf(c)
	setting := func(option, name string) string {
		return cmp.Or(gunicornOption(args, option), gunicornOption(fromVariable, option), conf.values[name])
	}
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	s := Shape{
		Workers: number(cmp.Or(setting("--workers", "workers"), concurrency)),
		Threads: max(1, number(setting("--threads", "threads"))),
		Class:   cmp.Or(setting("--worker-class", "worker_class"), "sync"),
	}
	if s.Class == "sync" && s.Threads > 1 {
		s.Class = "gthread"
	}
	return s
}

// gunicornOption is the value of an option; of several the last one holds.
func gunicornOption(args []string, option string) string {
	for _, a := range slices.Backward(gunicornOptions.parse(args)) {
		if a.option == option {
			return a.value
		}
	}
	return ""
}

// ours are the options that a measurement has to own: two servers can't share an address, a file
// with a process number or a control socket, and a daemon would not be seen to end.
func ours(option string) bool {
	return slices.Contains([]string{
		"--workers", "--bind", "--daemon", "--pid", "--control-socket", "--control-socket-mode", "--no-control-socket",
	}, option)
}

func (g gunicorn) Launch(c Command, s Shape, a Address) (Launch, error) {
	head, args, ok := splitGunicorn(c.Argv)
	if !ok {
		return Launch{}, fmt.Errorf("launch %s: it is not gunicorn", show(c.Argv))
	}
	asked := g.Shape(c)
	argv := append(slices.Clone(head),
		"--workers", strconv.Itoa(s.Workers), "--bind", net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
	dropped := ours
	if s.Threads > 0 && s.Threads != asked.Threads {
		argv = append(argv, "--threads", strconv.Itoa(s.Threads))
		dropped = also(dropped, "--threads")
	}
	if s.Class != "" && s.Class != asked.Class {
		argv = append(argv, "--worker-class", s.Class)
		dropped = also(dropped, "--worker-class")
	}
	if hasControlSocket(cmp.Or(c.Version, installedGunicorn(c))) {
		argv = append(argv, "--no-control-socket")
	}
	for _, arg := range gunicornOptions.parse(args) {
		if !dropped(arg.option) {
			argv = append(argv, arg.words...)
		}
	}
	return Launch{Argv: fillAll(argv, s, a), Env: gunicornEnv(c.Env, s)}, nil
}

func also(dropped func(string) bool, option string) func(string) bool {
	return func(o string) bool { return o == option || dropped(o) }
}

// gunicornEnv takes out of GUNICORN_CMD_ARGS what the command line can't take back, and keeps
// WEB_CONCURRENCY true where it is set: a configuration file or the application may read it.
func gunicornEnv(env []string, s Shape) []string {
	if variable, ok := getenv(env, gunicornVariable); ok {
		if words, ok := splitWords(variable); ok {
			var kept []string
			for _, arg := range gunicornOptions.parse(words) {
				if !ours(arg.option) {
					kept = append(kept, arg.words...)
				}
			}
			if rest := quoteAll(kept); rest != quoteAll(words) {
				env = setenv(env, gunicornVariable, rest)
			}
		}
	}
	if _, ok := getenv(env, "WEB_CONCURRENCY"); ok {
		env = setenv(env, "WEB_CONCURRENCY", strconv.Itoa(s.Workers))
	}
	return env
}

// Workers counts the children of the master. The master is the first process, from the top, with a
// child of its own name: workers are forked and not executed, so they have the master's. With
// Python's setproctitle installed the names tell it outright.
func (gunicorn) Workers(tree []hold.Process, _ int) int {
	const title = "gunicorn: worke" // the 15 bytes the kernel keeps
	for _, master := range topDown(tree) {
		n := 0
		for _, p := range tree {
			if p.Parent == master.PID && (p.Command == master.Command || p.Command == title) {
				n++
			}
		}
		if n > 0 {
			return n
		}
	}
	return 0
}

// topDown orders a tree so that parents come before their children.
func topDown(tree []hold.Process) []hold.Process {
	known := map[int]bool{}
	for _, p := range tree {
		known[p.PID] = true
	}
	var ordered []hold.Process
	for _, p := range tree {
		if !known[p.Parent] {
			ordered = append(ordered, p)
		}
	}
	for i := 0; i < len(ordered); i++ {
		for _, p := range tree {
			if p.Parent == ordered[i].PID {
				ordered = append(ordered, p)
			}
		}
	}
	return ordered
}

// Config is the line for the configuration file and the command in the user's own spelling. Where
// the count is on the command line already, that is where it has to change.
func (g gunicorn) Config(c Command, s Shape) []File {
	head, args, _ := splitGunicorn(c.Argv)
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
	line := File{Path: commandFile, Text: configLine(append(slices.Clone(head), gunicornConfigArgs(args, s, asked)...), s)}

	variable, _ := getenv(c.Env, gunicornVariable)
	inVariable, _ := splitWords(variable)
	switch {
	case gunicornOption(args, "--workers") != "":
		file.Text = "# once the count is no longer on the command line, which wins\n" + file.Text
		return []File{line, file}
	case gunicornOption(inVariable, "--workers") != "":
		file.Text = "# once the count is no longer in " + gunicornVariable + ", which wins\n" + file.Text
		return []File{line, file}
	default:
		return []File{file, line}
	}
}

// gunicornConfigArgs are the user's arguments with the shape in them.
func gunicornConfigArgs(args []string, s, asked Shape) []string {
	type value struct{ option, spelled, text string }
	values := []value{{"--workers", "-w", strconv.Itoa(s.Workers)}}
	if s.Threads > 0 && s.Threads != asked.Threads {
		values = append(values, value{"--threads", "--threads", strconv.Itoa(s.Threads)})
	}
	if s.Class != "" && s.Class != asked.Class {
		values = append(values, value{"--worker-class", "-k", s.Class})
	}
	for _, v := range values {
		var out []string
		found := false
		for _, a := range gunicornOptions.parse(args) {
			if a.option == v.option {
				found = true
				out = append(out, a.with(v.text)...)
				continue
			}
			out = append(out, a.words...)
		}
		if !found {
			out = append([]string{v.spelled, v.text}, out...)
		}
		args = out
	}
	return args
}

func (gunicorn) Version(ctx context.Context, c Command) (string, error) {
	if v := installedGunicorn(c); v != "" {
		return v, nil
	}
	return askGunicorn(ctx, c)
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
