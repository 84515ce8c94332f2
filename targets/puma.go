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
		Knob:       "`-w`, `workers` in its file, `WEB_CONCURRENCY`; varied too: threads, preload",
		Live:       "TTIN and TTOU",
		Reports:    "booted workers and requests of each, by its control application",
		Tested:     []string{"5.6"},
		Traps: []string{
			"0 workers is the single mode, one process without a master; 1 is a master and one worker. While measuring it is always a master.",
			"A worker's threads share one interpreter lock: they help while they wait, not while they compute.",
			"HUP without redirected output acts like INT and ends it.",
			"A database pool smaller than the threads of a worker makes them wait for each other.",
			"`preload_app!` shares the memory of what is loaded, and needs `before_fork` and `on_worker_boot` for connections.",
			"Where nothing is said of preloading, versions 5 and 6 preload if WEB_CONCURRENCY is above 1, whatever `-w` says, and 7 from two workers on.",
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
		"--redirect-stdout", "--redirect-stderr", "--redirect-append", "--no-redirect-append",
	},
}

var (
	pumaWorkers = regexp.MustCompile(`(?m)^[ \t]*workers[ \t(]+(\d+)`)
	pumaThreads = regexp.MustCompile(`(?m)^[ \t]*threads[ \t(]+\d+[ \t]*,[ \t]*(\d+)`)
	pumaPreload = regexp.MustCompile(`(?m)^([^#\n]*)\bpreload_app!(?:[ \t(]+(true|false)\b)?(.*)$`)
	pumaPlain   = regexp.MustCompile(`(?m)^([ \t]*preload_app!)[ \t]*(#.*)?$`)
)

const pumaDefaultFile = "config/puma.rb"

// readPuma is the file that Puma would read and its name.
func readPuma(c Command) (name, text string) {
	inEnv := func(name string) string { value, _ := getenv(c.Env, name); return value }
	environment := cmp.Or(
		pumaProgram.setting(c, "--environment"), inEnv("APP_ENV"), inEnv("RACK_ENV"), inEnv("RAILS_ENV"), "development")
	names := []string{"config/puma/" + environment + ".rb", pumaDefaultFile}
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

// pumaFiles are those that Puma would read, in this order; what a later one says holds.
func pumaFiles(c Command) []string {
	_, args, _ := pumaProgram.split(c.Argv)
	var names []string
	named := false
	for _, a := range pumaProgram.options.parse(args) {
		named = named || a.option == "--config" || a.option == "--no-config"
		if a.option == "--config" && a.value != "-" {
			names = append(names, a.value)
		}
	}
	if name, _ := readPuma(c); !named && name != "" {
		return []string{name}
	}
	return names
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
	preload := PreloadOn
	if !pumaProgram.says(c, "--preload") {
		otherwise := PreloadOff
		if concurrency != "" || c.Version == "" || since(c.Version, 7, 0) {
			otherwise = "" // it depends on the count
		}
		preload = rubyPreload(pumaPreload, pumaPlain.ReplaceAllString(text, "$1 true"), otherwise)
	}
	return Shape{
		Preload: preload,
		Workers: max(1, positive(cmp.Or(pumaProgram.setting(c, "--workers"), inFile(pumaWorkers), concurrency))),
		Threads: max(1, positive(cmp.Or(most, inFile(pumaThreads), threads, "5"))),
	}
}

func (u puma) vary(c Command, s Shape) (Shape, error) {
	return vary("puma", c, s, u.Shape(c), byThreads, byPreload)
}

// changes are what makes the command run a complete shape, less the count, and what does in a file.
func (u puma) changes(c Command, s Shape) (changes []change, file string) {
	asked := u.Shape(c)
	if s.Threads != asked.Threads {
		changes = append(changes, change{"--threads", "-t", fmt.Sprintf("%d:%d", s.Threads, s.Threads)})
		file += fmt.Sprintf("threads %d, %d\n", s.Threads, s.Threads)
	}
	switch s.Preload {
	case asked.Preload:
	case PreloadOn:
		changes = append(changes, change{"--preload", "--preload", ""})
		file += "preload_app!\n"
	default: // it has no option for that
		changes = append(changes, change{"--preload", "", ""})
		file += "preload_app! false\n"
	}
	return changes, file
}

// Launch takes back by a file that is read after the user's what no option can: preloading, and where the
// output goes. Errors are to be read by advise. What a log of requests takes stays in what is measured: it
// goes to a file of the scratch folder if it went to one.
func (u puma) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := u.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	given := []string{
		"-w", strconv.Itoa(s.Workers), "-b", "tcp://" + p.Address(),
		"--control-url", "unix://" + p.file("control"), "--control-token", "none", "-S", p.file("state"), "--pidfile", p.file("pid"),
	}
	var dropped []string
	changes, _ := u.changes(c, s)
	for _, ch := range changes {
		given = append(given, pumaProgram.options.set(nil, ch)...)
		dropped = append(dropped, ch.option)
	}
	read := pumaFiles(c)
	var text string
	if pumaProgram.says(c, "--redirect-stdout") {
		text = fmt.Sprintf("stdout_redirect %s, nil, true\n", rubyString(p.file(accessLog)))
	} else if len(read) > 0 {
		text = fmt.Sprintf("stdout_redirect(@options[:redirect_stdout] && %s, nil, true)\n", rubyString(p.file(accessLog)))
	}
	if s.Preload == PreloadOff && s.Preload != u.Shape(c).Preload {
		text += "preload_app! false\n"
	}
	var files []File
	if text != "" {
		for _, name := range append(read, p.file("puma.rb")) {
			given = append(given, "-C", name)
		}
		dropped = append(dropped, "--config", "--no-config")
		files = []File{{Path: "puma.rb", Text: text}}
	}
	argv, err := pumaProgram.launch(c, given, dropped...)
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s), Files: files}, nil
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
	s = s.or(u.Shape(c))
	name, inFile := readPuma(c)
	changes, text := u.changes(c, s)
	changes = append([]change{{"--workers", "-w", strconv.Itoa(s.Workers)}}, changes...)
	file := File{Path: cmp.Or(name, pumaDefaultFile), Text: fmt.Sprintf("workers %d\n%s", s.Workers, text)}
	line := pumaProgram.line(c, s, changes...)
	switch {
	case len(changes) == 1 && !pumaProgram.saysAny(c, changes) && concurrencyDecides(c, inFile, rubyCount):
		return []File{environmentOf(concurrencyVariable, strconv.Itoa(s.Workers)), file, line}
	case !pumaProgram.saysAny(c, changes):
		return []File{file, line}
	case strings.Contains(text, "preload_app! false"):
		file.Text = "preload_app! false # the command line can't say it\n"
		return []File{line, file}
	default:
		return []File{line}
	}
}

func (puma) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := pumaProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "-V"), regexp.MustCompile(`puma version ([0-9.]+)`))
}
