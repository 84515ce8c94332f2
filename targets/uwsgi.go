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
	"time"

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
		--plugins|--plugin= --chdir= --yaml|-y= --json|-j= --xml|-x= --uid= --gid= --lazy-apps --lazy --enable-threads|-T
	`),
	owned: []string{
		"--processes", "--ini", "--http", "--http-socket", "--http11-socket", "--https", "--https-socket", "--socket",
		"--fastcgi-socket", "--scgi-socket", "--shared-socket", "--pidfile", "--pidfile2", "--safe-pidfile", "--safe-pidfile2",
		"--daemonize", "--daemonize2", "--logto", "--logto2", "--logger", "--req-logger", "--stats", "--master-fifo", "--master",
		"--die-on-term", "--cheap", "--cheaper", "--cheaper-algo", "--cheaper-initial", "--cheaper-step", "--cheaper-overload",
		"--idle", "--die-on-idle", "--auto-procname", "--procname",
	},
}

// A uwsgiFile is the user's file; its lines are key = value.
type uwsgiFile struct {
	path  string // empty: there is none
	lines []string
}

var uwsgiLine = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$`)

// uwsgiIni is a file as an argument by itself, with or without the name of a section.
var uwsgiIni = regexp.MustCompile(`\.ini(:\w*)?$`)

// readUwsgi reads the section, [uwsgi] by default, of the file that the command names.
func readUwsgi(c Command) (uwsgiFile, error) {
	_, args, _ := uwsgiProgram.split(c.Argv)
	named := uwsgiProgram.setting(c, "--ini")
	for _, a := range uwsgiProgram.options.parse(args) {
		switch {
		case slices.Contains([]string{"--emperor", "--yaml", "--json", "--xml"}, a.option):
			return uwsgiFile{}, refuse(c.Argv, a.option+" can't be varied", "give one application's settings as a file of the form ini, or as options")
		case a.option == "" && uwsgiIni.MatchString(a.value):
			named = cmp.Or(named, a.value)
		}
	}
	if named == "" {
		return uwsgiFile{}, nil
	}
	name, section, _ := strings.Cut(named, ":")
	f := uwsgiFile{path: inDir(c.Dir, name)}
	text, err := readSmall(f.path)
	if err != nil {
		return uwsgiFile{}, refuse(c.Argv, "its configuration can't be used: "+err.Error(), "advise -- uwsgi --ini FILE")
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inside = line == "["+cmp.Or(section, "uwsgi")+"]"
			continue
		}
		if inside && line != "" && line[0] != ';' && line[0] != '#' {
			line = strings.NewReplacer("%d", filepath.Dir(f.path)+"/", "%p", f.path).Replace(line)
			f.lines = append(f.lines, line)
		}
	}
	return f, nil
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
		if m := uwsgiLine.FindStringSubmatch(line); m == nil || !slices.Contains(gone, uwsgiKey(m[1])) {
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
	argv = slices.DeleteFunc(argv, func(word string) bool {
		name, _, _ := strings.Cut(word, ":") // a section may follow
		return f.path != "" && inDir(c.Dir, name) == f.path
	})
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
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", p.file("stats"))
	if err != nil {
		return Status{}, fmt.Errorf("ask for the workers: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return Status{}, fmt.Errorf("ask for the workers: %w", err)
	}
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
