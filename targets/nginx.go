package targets

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// nginx has a master, its workers and, with a cache, processes that look after that.
type nginx struct{}

func (nginx) Name() string { return "nginx" }

func (nginx) About() About {
	return About{
		Server:     "nginx",
		Recognised: "`nginx`, with the file that `-c` names or /etc/nginx/nginx.conf",
		Knob:       "`worker_processes`",
		Live:       "HUP, with a changed file",
		Reports:    "children of its master, by their titles",
		Tested:     []string{"1.22"},
		Traps: []string{
			"`worker_processes auto` counts the host's processors, not the container's quota: write a number.",
			"Serving files or passing requests on, one worker for each core is enough; often the load generator is full first.",
			"A server that listens with TLS alone is measured without it: handshakes cost more than most pages. What only leads to https, or turns unknown names away, is left out then.",
			"The files derived from yours have the addresses, logs, caches and temporary folders replaced, and no mail and stream blocks.",
			"After a reload old workers stay until their last connection ends (`worker_shutdown_timeout`).",
		},
	}
}

func (nginx) StopSignal() syscall.Signal { return syscall.SIGQUIT }

func (nginx) Recognise(argv []string) bool { return nginxProgram.recognises(argv) }

var nginxProgram = program{
	names: []string{"nginx"},
	options: newGrammar(`
		--help|-h|-? --version|-v --build|-V --test|-t --dump|-T --quiet|-q --signal|-s= --prefix|-p= --config|-c=
		--errors|-e= --global|-g=
	`),
	owned: []string{"--config", "--global", "--errors", "--signal", "--test", "--dump"},
}

// nginxDefaults are where nginx is told at its compilation to look for its file.
var nginxDefaults = []string{
	"/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf", "/opt/homebrew/etc/nginx/nginx.conf",
}

// confPath is the user's file: the one named, or the first of the defaults that is there.
func confPath(c Command, named string, defaults []string) string {
	if named != "" {
		return inDir(c.Dir, named)
	}
	for _, d := range defaults {
		if exists(d) {
			return d
		}
	}
	return defaults[0]
}

func readNginx(c Command) (nginxConf, error) {
	named := nginxProgram.setting(c, "--config")
	if prefix := nginxProgram.setting(c, "--prefix"); named != "" && prefix != "" {
		named = inDir(inDir(c.Dir, prefix), named)
	}
	path := confPath(c, named, nginxDefaults)
	conf, err := loadNginx(path)
	if err != nil {
		return nginxConf{}, refuse(c.Argv, "its configuration can't be used: "+err.Error(), "name the file that holds: advise -- nginx -c /path/to/nginx.conf")
	}
	global, err := parseNginx(nginxProgram.setting(c, "--global"))
	if err != nil {
		return nginxConf{}, refuse(c.Argv, "what -g says can't be used: "+err.Error(), "write it into its file")
	}
	conf.directives = append(global, conf.directives...)
	return conf, nil
}

func (nginx) Shape(c Command) Shape {
	conf, err := readNginx(c)
	if err != nil {
		return Shape{Threads: 1}
	}
	count, ok := conf.value("worker_processes")
	if !ok {
		count = "1"
	}
	return Shape{Workers: positive(count), Threads: 1}
}

func (nginx) Launch(c Command, s Shape, p Place) (Launch, error) {
	conf, err := readNginx(c)
	if err != nil {
		return Launch{}, err
	}
	argv, err := nginxProgram.launch(c, []string{"-c", p.file("nginx.conf")})
	if err != nil {
		return Launch{}, err
	}
	return Launch{Argv: fillAll(argv, s, p), Env: c.Env, Files: []File{{Path: "nginx.conf", Text: conf.derived(s, p)}}}, nil
}

func (nginx) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return titled(tree, "nginx: worker process"), true
}

// titled are the children that call themselves so. Where titles can't be read they are those that
// were forked.
func titled(tree []hold.Process, title string) []hold.Process {
	return firstChildren(tree, func(p, parent hold.Process) bool {
		return strings.HasPrefix(p.Title, title) || p.Title == "" && sameName(p, parent)
	})
}

func (nginx) live(Command, Shape) (liveChange, bool) { return liveChange{reload: syscall.SIGHUP}, true }

// nginxCount finds the count in what -g says.
var nginxCount = regexp.MustCompile(`\bworker_processes\s+[^;]*;`)

// Config is for where the count is: nginx refuses one that its file and -g both say.
func (nginx) Config(c Command, s Shape) []File {
	set := fmt.Sprintf("worker_processes %d;", s.Workers)
	if global := nginxProgram.setting(c, "--global"); nginxCount.MatchString(global) {
		return []File{nginxProgram.line(c, s, change{"--global", "-g", nginxCount.ReplaceAllLiteralString(global, set)})}
	}
	name := "nginx.conf"
	if named := nginxProgram.setting(c, "--config"); named != "" {
		name = filepath.Base(named)
	}
	return []File{{Path: name, Text: set + "\n"}}
}

func (nginx) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := nginxProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "-v"), regexp.MustCompile(`nginx/([0-9.]+)`))
}

// check finds a file that can't be used before the first start.
func (nginx) check(c Command) error {
	conf, err := readNginx(c)
	if err == nil && conf.onlyToTLS() {
		return refuse(c.Argv, "its hosts do no more than lead to https, and none in its files serves that",
			"measure the server that has the pages, or name the file with its host: advise -- nginx -c /path/to/nginx.conf")
	}
	return err
}
