package targets

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// unicorn has a master and its workers, and takes its count from a file in Ruby alone.
type unicorn struct{}

func (unicorn) Name() string { return "unicorn" }

func (unicorn) About() About {
	return About{
		Server:     "unicorn",
		Recognised: "`unicorn`, `unicorn_rails`, `bundle exec unicorn`",
		Knob:       "`worker_processes` in its file; varied too: preload",
		Live:       "TTIN and TTOU",
		Reports:    "children of its master, by their titles",
		Tested:     []string{"6."},
		Traps: []string{
			"TERM is the quick stop, which drops requests; QUIT is the graceful one.",
			"A worker serves one request at a time and closes the connection after it: put a proxy in front.",
			"There is no option for the count: it has to be in a file, which `-c` names.",
			"`preload_app true` shares the memory of what is loaded, and needs `before_fork` and `after_fork` for connections.",
			"`working_directory` in its file changes where relative paths begin.",
		},
	}
}

func (unicorn) StopSignal() syscall.Signal { return syscall.SIGQUIT }

func (unicorn) Recognise(argv []string) bool { return unicornProgram.recognises(argv) }

var unicornProgram = program{
	names: []string{"unicorn", "unicorn_rails"},
	options: newGrammar(`
		--eval|-e= --debug|-d --warn|-w --include|-I= --require|-r= --host|-o= --port|-p= --env|-E= --no-default-middleware|-N
		--daemonize|-D --server|-s= --listen|-l= --config-file|-c= --path= --help|-h --version|-v
	`),
	owned: []string{"--listen", "--host", "--port", "--daemonize", "--config-file"},
}

// rubyCount finds a count in a file of unicorn's or Puma's, computed or not.
var rubyCount = regexp.MustCompile(`(?m)^[ \t]*(?:worker_processes|workers)\b`)

var (
	unicornWorkers = regexp.MustCompile(`(?m)^[ \t]*worker_processes[ \t(]+(\d+)`)
	unicornPreload = regexp.MustCompile(`(?m)^([^#\n]*)\bpreload_app\b(?:[ \t(]+(true|false)\b)?(.*)$`)
)

func (unicorn) Shape(c Command) Shape {
	s := Shape{Workers: 1, Threads: 1, Preload: PreloadOff}
	named := unicornProgram.setting(c, "--config-file")
	if named == "" {
		return s
	}
	text, err := readSmall(inDir(c.Dir, named))
	if err != nil {
		return s
	}
	switch m := unicornWorkers.FindSubmatch(text); {
	case m != nil:
		s.Workers = positive(string(m[1]))
	case strings.Contains(string(text), "worker_processes"):
		s.Workers = 0 // it is computed there
	}
	s.Preload = rubyPreload(unicornPreload, string(text), PreloadOff)
	return s
}

// rubyPreload is what a file in Ruby says by a literal, in a statement of its own: the pattern finds
// what is before it on the line, the literal, and what is after it. Empty: running it would tell.
func rubyPreload(pattern *regexp.Regexp, text string, otherwise Preload) Preload {
	said := otherwise
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		after := strings.TrimLeft(m[3], " \t)")
		if strings.TrimSpace(m[1]) != "" || m[2] == "" || after != "" && after[0] != '#' {
			return ""
		}
		said = preloadIf(m[2] == "true")
	}
	return said
}

func (u unicorn) vary(c Command, s Shape) (Shape, error) {
	return vary("unicorn", c, s, u.Shape(c), byPreload)
}

// preload is the line of a file that makes it so; empty where it is so.
func (u unicorn) preload(c Command, s Shape) string {
	if s.Preload == "" || s.Preload == u.Shape(c).Preload {
		return ""
	}
	return fmt.Sprintf("preload_app %t\n", s.Preload == PreloadOn)
}

// Launch derives a file that runs the user's and takes back what a measurement has to own.
func (u unicorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	s, err := u.vary(c, s)
	if err != nil {
		return Launch{}, err
	}
	var text strings.Builder
	if named := unicornProgram.setting(c, "--config-file"); named != "" {
		// A logger opens its file as it is made, so that what it is made from is replaced, for that long.
		path := rubyString(inDir(c.Dir, named))
		fmt.Fprintf(&text, `logger_new = Logger.method(:new)
Logger.define_singleton_method(:new) do |device = nil, *rest, **options|
  logger_new.call(device.is_a?(String) ? $stderr : device, *rest, **options)
end
instance_eval(File.read(%s), %s)
Logger.singleton_class.send(:remove_method, :new)
`, path, path)
	}
	fmt.Fprintf(&text, `worker_processes %d
set[:listeners] = [%s]
set[:pid] = %s
set.delete(:stderr_path)
set.delete(:stdout_path)
%s`, s.Workers, rubyString(p.Address()), rubyString(p.file("pid")), u.preload(c, s))
	argv, err := unicornProgram.launch(c, []string{"-c", p.file("unicorn.rb")})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Argv: fillAll(argv, s, p), Env: trueConcurrency(c.Env, s),
		Files: []File{{Path: "unicorn.rb", Text: text.String()}},
	}, nil
}

func rubyString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func (unicorn) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return firstChildren(tree, func(p, master hold.Process) bool {
		return strings.Contains(p.Title, " worker[") || p.Title == "" && sameName(p, master)
	}), true
}

func (unicorn) live(Command, Shape) (liveChange, bool) {
	return liveChange{more: syscall.SIGTTIN, fewer: syscall.SIGTTOU}, true
}

func (u unicorn) Config(c Command, s Shape) []File {
	text := "worker_processes " + strconv.Itoa(s.Workers) + "\n" + u.preload(c, s)
	if named := unicornProgram.setting(c, "--config-file"); named != "" {
		file := File{Path: named, Text: text}
		inFile, _ := readSmall(inDir(c.Dir, named)) // without one nothing else says it
		if concurrencyDecides(c, string(inFile), rubyCount) && strings.Contains(string(inFile), concurrencyVariable) && u.preload(c, s) == "" {
			return []File{environmentOf(concurrencyVariable, strconv.Itoa(s.Workers)), file}
		}
		return []File{file}
	}
	return []File{
		{Path: "unicorn.rb", Text: text},
		unicornProgram.line(c, s, change{"--config-file", "-c", "unicorn.rb"}),
	}
}

func (unicorn) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := unicornProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "-v"), regexp.MustCompile(`v([0-9.]+)`))
}
