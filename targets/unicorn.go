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
		Knob:       "`worker_processes` in its file",
		Live:       "TTIN and TTOU",
		Reports:    "children of its master, by their titles",
		Tested:     []string{"6."},
		Traps: []string{
			"TERM is the quick stop, which drops requests; QUIT is the graceful one.",
			"A worker serves one request at a time and closes the connection after it: put a proxy in front.",
			"There is no option for the count: it has to be in a file, which `-c` names.",
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

var unicornWorkers = regexp.MustCompile(`(?m)^[ \t]*worker_processes[ \t(]+(\d+)`)

func (unicorn) Shape(c Command) Shape {
	s := Shape{Workers: 1, Threads: 1}
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
	return s
}

// Launch derives a file that runs the user's and takes back what a measurement has to own.
func (unicorn) Launch(c Command, s Shape, p Place) (Launch, error) {
	var text strings.Builder
	if named := unicornProgram.setting(c, "--config-file"); named != "" {
		path := rubyString(inDir(c.Dir, named))
		fmt.Fprintf(&text, "instance_eval(File.read(%s), %s)\n", path, path)
	}
	fmt.Fprintf(&text, `worker_processes %d
set[:listeners] = [%s]
set[:pid] = %s
set.delete(:stderr_path)
set.delete(:stdout_path)
`, s.Workers, rubyString(p.Address()), rubyString(p.file("pid")))
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

func (unicorn) Config(c Command, s Shape) []File {
	text := "worker_processes " + strconv.Itoa(s.Workers) + "\n"
	if named := unicornProgram.setting(c, "--config-file"); named != "" {
		return []File{{Path: named, Text: text}}
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
