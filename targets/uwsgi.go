package targets

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// uwsgi has a master, its workers and, for some of its sockets, a router before them.
type uwsgi struct{}

func (uwsgi) Name() string { return "uwsgi" }

func (uwsgi) About() About {
	return About{
		Server:     "uWSGI",
		Recognised: "`uwsgi`, with options or a file of the form ini",
		Knob:       "`processes`; a range: `cheaper`; varied too: threads, preload (`lazy-apps` is without it)",
		Reports:    "workers and requests of each, by its stats server",
		Tested:     []string{"2.0"},
		Traps: []string{
			"TERM reloads it before 2.1: set `die-on-term`, or the service manager waits and then kills.",
			"The listen queue is 100 (`listen`), which the kernel's somaxconn limits too.",
			"`http` is a router process before the workers, `http-socket` is not: what is measured is the one you use. A socket for uwsgi, behind nginx, is measured as `http-socket`.",
			"`cheaper` starts and ends workers by load: it is left out while measuring, and comes back as a range.",
			"It loads the application before it forks, unless `lazy-apps` is set: connections that are opened at that time are shared by all workers.",
			"Threads of the application need `enable-threads` when `threads` is not set.",
		},
	}
}

// StopSignal is not TERM, which reloads.
func (uwsgi) StopSignal() syscall.Signal { return syscall.SIGINT }

func (uwsgi) Recognise(argv []string) bool { return uwsgiProgram.recognises(argv) }

// uwsgiProgram knows only the options that matter here: what it takes for others stays as it was.
var uwsgiProgram = program{
	names: []string{"uwsgi", "uwsgi-core", "uwsgi_python3", "uwsgi_python311"},
	options: newGrammar(`
		--processes|--workers|-p= --threads= --ini= --http|--httprouter= --http-socket= --http11-socket= --https= --https-socket=
		--socket|-s|--uwsgi-socket= --fastcgi-socket= --scgi-socket= --shared-socket= --pidfile= --pidfile2= --safe-pidfile=
		--safe-pidfile2= --daemonize|-d= --daemonize2= --logto= --logto2= --logger= --req-logger= --stats|--stats-server=
		--master-fifo= --master|-M --die-on-term --cheap --cheaper= --cheaper-algo= --cheaper-initial= --cheaper-step=
		--cheaper-overload= --idle= --die-on-idle --emperor= --auto-procname --procname= --module|-w= --wsgi-file=
		--stop= --reload= --pause= --include= --inherit= --config= --touch-reload= --touch-workers-reload= --touch-chain-reload= --touch-mules-reload= --fs-reload=
		--plugins|--plugin= --chdir= --yaml|-y= --json|-j= --xml|-x= --uid= --gid= --lazy-apps --lazy --enable-threads|-T
		--http-to= --http2= --https2= --fastrouter= --rawrouter= --sslrouter= --flock= --flock-wait= --flock2= --flock-wait2=
		--subscribe-to|--st|--subscribe= --subscribe2|--s2= --http-subscription-server= --zerg= --zerg-server= --legion= --legion-mcast=
		--cron= --cron2= --unique-cron= --legion-cron|--cron-legion= --unique-legion-cron|--unique-cron-legion= --carbon= --statsd= --stats-push=
	`),
	owned: []string{
		"--processes", "--ini", "--include", "--inherit", "--config", "--http", "--http-socket", "--http11-socket", "--https", "--https-socket", "--socket",
		"--fastcgi-socket", "--scgi-socket", "--shared-socket", "--pidfile", "--pidfile2", "--safe-pidfile", "--safe-pidfile2",
		"--daemonize", "--daemonize2", "--logto", "--logto2", "--logger", "--req-logger", "--stats", "--master-fifo", "--master",
		"--die-on-term", "--cheap", "--cheaper", "--cheaper-algo", "--cheaper-initial", "--cheaper-step", "--cheaper-overload",
		"--idle", "--die-on-idle", "--auto-procname", "--procname",
		"--http-to", "--http2", "--https2", "--fastrouter", "--rawrouter", "--sslrouter", "--flock", "--flock-wait", "--flock2", "--flock-wait2",
		// What would have it take requests, jobs or a place in figures that are production's.
		"--subscribe-to", "--subscribe2", "--http-subscription-server", "--zerg", "--zerg-server", "--legion", "--legion-mcast",
		"--cron", "--cron2", "--unique-cron", "--legion-cron", "--unique-legion-cron", "--carbon", "--statsd", "--stats-push",
	},
}

// last is the value of a key, by its long name; of several the last one holds.
func (f uwsgiFile) last(option string) string {
	value := ""
	for _, line := range f.lines {
		if m := uwsgiLine.FindStringSubmatch(line); m != nil && uwsgiKey(m[1]) == option {
			value = m[2]
		}
	}
	return value
}

func uwsgiKey(name string) string {
	return uwsgiProgram.options.resolveAlias("--" + strings.ReplaceAll(name, "_", "-"))
}

func (uwsgi) Shape(c Command) Shape {
	f, err := readUwsgi(c)
	if err != nil {
		return Shape{Threads: 1}
	}
	setting := func(option string) string { return cmp.Or(uwsgiProgram.setting(c, option), f.last(option)) }
	lazy := false
	for _, option := range uwsgiLazy {
		value := f.last(option)
		lazy = lazy || uwsgiProgram.says(c, option) || value != "" && !uwsgiFalse.MatchString(value)
	}
	return Shape{
		Workers: positive(cmp.Or(setting("--processes"), "1")), Threads: max(1, positive(setting("--threads"))),
		Preload: preloadIf(!lazy),
	}
}

// uwsgiLazy are the options that keep the application from being loaded before the workers are forked.
var uwsgiLazy = []string{"--lazy-apps", "--lazy"}

var uwsgiFalse = regexp.MustCompile(`(?i)^(false|off|no|0)$`)

func (u uwsgi) vary(c Command, s Shape) (Shape, error) {
	return vary("uwsgi", c, s, u.Shape(c), byThreads, byPreload)
}

// changes are what makes the command run a complete shape, less the count, and what does in a file.
func (u uwsgi) changes(c Command, s Shape) (changes []change, file string) {
	asked := u.Shape(c)
	if s.Threads != asked.Threads {
		changes = append(changes, change{"--threads", "--threads", strconv.Itoa(s.Threads)})
		file += fmt.Sprintf("threads = %d\n", s.Threads)
	}
	if s.Threads == 1 && asked.Threads > 1 { // which had enabled those of the application too
		changes = append(changes, change{"--enable-threads", "--enable-threads", ""})
		file += "enable-threads = true\n"
	}
	switch s.Preload {
	case asked.Preload:
	case PreloadOff:
		changes = append(changes, change{"--lazy-apps", "--lazy-apps", ""})
		file += "lazy-apps = true\n"
	default:
		for _, option := range uwsgiLazy {
			changes = append(changes, change{option, "", ""})
			file += strings.TrimPrefix(option, "--") + " = false\n"
		}
	}
	return changes, file
}

func (u uwsgi) Launch(c Command, s Shape, p Place) (Launch, error) {
	f, err := readUwsgi(c)
	if err != nil {
		return Launch{}, err
	}
	if s, err = u.vary(c, s); err != nil {
		return Launch{}, err
	}
	var text strings.Builder
	text.WriteString("[uwsgi]\n")
	changes, changed := u.changes(c, s)
	var dropped []string
	for _, ch := range changes {
		dropped = append(dropped, ch.option)
	}
	gone := slices.Concat(uwsgiProgram.owned, dropped)
	for _, line := range f.lines {
		if m := uwsgiLine.FindStringSubmatch(line); m == nil || !slices.Contains(gone, uwsgiKey(m[1])) || uwsgiInclude(m[1], m[2]) == uwsgiAtRun {
			text.WriteString(line + "\n")
		}
	}
	socket := "http-socket"
	if uwsgiProgram.setting(c, "--http")+f.last("--http") != "" {
		socket = "http"
	}
	fmt.Fprintf(&text, `master = true
processes = %d
%s%s = %s
die-on-term = true
auto-procname = true
`, s.Workers, changed, socket, p.Address())
	if uwsgiProgram.setting(c, "--uid")+uwsgiProgram.setting(c, "--gid")+f.last("--uid")+f.last("--gid") == "" {
		fmt.Fprintf(&text, "stats = %s\n", p.file("stats")) // made when it has changed its user
	}
	argv, err := uwsgiProgram.launch(c, []string{"--ini", p.file("uwsgi.ini")}, dropped...)
	if err != nil {
		return Launch{}, err
	}
	argv = slices.DeleteFunc(argv, func(word string) bool { return slices.Contains(f.words, word) })
	return Launch{
		Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s),
		Files: []File{{Path: "uwsgi.ini", Text: text.String()}},
	}, nil
}

func (uwsgi) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return titled(tree, "uWSGI worker"), true
}

// status is not to be had of a server that changes its user: the scratch folder is not that user's.
func (uwsgi) status(ctx context.Context, p Place) (Status, error) {
	if !exists(p.file("stats")) {
		return Status{}, ErrNoStatus
	}
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.file("stats"))
	if err != nil {
		return Status{}, fmt.Errorf("ask for the workers: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var stats struct {
		Workers []struct {
			PID       int    `json:"pid"`
			Accepting int    `json:"accepting"`
			Requests  uint64 `json:"requests"`
		} `json:"workers"`
	}
	if err := decodeStatus(conn, &stats); err != nil {
		return Status{}, err
	}
	status := Status{Requests: map[int]uint64{}}
	for _, w := range stats.Workers {
		if w.PID > 0 && w.Accepting > 0 {
			status.Workers++
			status.Requests[w.PID] = w.Requests
		}
	}
	return status, nil
}

// spelled is a key as the file has it: of two spellings of one key in a file the last one holds, whatever
// was pasted above it.
func (f uwsgiFile) spelled(option string) string {
	for _, line := range slices.Backward(f.lines) {
		if m := uwsgiLine.FindStringSubmatch(line); m != nil && uwsgiKey(m[1]) == option {
			return m[1]
		}
	}
	return strings.TrimPrefix(option, "--")
}

// uwsgiCheaper are the options by which the count follows the load.
var uwsgiCheaper = []string{"--cheaper", "--cheaper-initial", "--cheaper-step", "--cheaper-algo", "--cheaper-overload", "--cheap"}

// Config has the count, and a range in which it follows the load: half of it when there is little. A
// fixed count is without the range that the file has, which may not fit it: uWSGI does not start where
// the range's lower end is not below the count.
func (u uwsgi) Config(c Command, s Shape) []File {
	s = s.or(u.Shape(c))
	name := "uwsgi.ini"
	f, err := readUwsgi(c)
	if err == nil && f.path != "" {
		name = filepath.Base(f.path)
	}
	changes, changed := u.changes(c, s)
	key, fixed := f.spelled("--processes"), ""
	if was := f.last("--cheaper"); was != "" && was != "0" {
		fixed = fmt.Sprintf("; off, which was %s: it has to be below the count\n%s = 0\n", was, f.spelled("--cheaper"))
	}
	files := []File{{Path: name, Text: fmt.Sprintf("[uwsgi]\n%s = %d\n%s%s", key, s.Workers, fixed, changed)}}
	if s.Workers > 1 {
		least := (s.Workers + 1) / 2
		files = append(files, File{Path: dynamicName(name), Text: fmt.Sprintf(
			"[uwsgi]\n; instead, to give memory back while there is little to do\n%s = %d\n%s = %d\n%s = %d\n%s = 1\n%s",
			key, s.Workers, f.spelled("--cheaper"), min(least, s.Workers-1),
			f.spelled("--cheaper-initial"), min(least, s.Workers-1), f.spelled("--cheaper-step"), changed)})
	}
	changes = append([]change{{"--processes", "--processes", strconv.Itoa(s.Workers)}}, changes...)
	for _, option := range uwsgiCheaper {
		changes = append(changes, change{option, "", ""})
	}
	line := uwsgiProgram.line(c, s, changes...)
	if f.path == "" || uwsgiProgram.saysAny(c, changes) {
		return append([]File{line}, files...)
	}
	return files
}

func (uwsgi) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := uwsgiProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "--version"), regexp.MustCompile(`^([0-9.]+)`))
}

// check finds what can't be varied before the first start.
func (uwsgi) check(c Command) error {
	_, err := readUwsgi(c)
	return err
}
