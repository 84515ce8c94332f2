package targets

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// apache is Apache httpd with one of its modules for many processes (MPM): prefork has processes of
// one thread, event and worker have processes with many.
type apache struct{}

func (apache) Name() string { return "apache" }

func (apache) About() About {
	return About{
		Server:     "Apache httpd, prefork (mod_php) and event",
		Recognised: "`apache2`, `httpd`, `apachectl`, `apache2-foreground`, with the file that `-f` names or the usual one",
		Knob:       "prefork: `MaxRequestWorkers`; event: `ServerLimit` x `ThreadsPerChild`; varied too: class (the MPM), threads but for prefork",
		Reports:    "busy and idle workers by mod_status and, with `ExtendedStatus` on, requests of each; else children of its parent process",
		Tested:     []string{"2.4"},
		Traps: []string{
			"A restart ignores changes of ServerLimit and ThreadLimit: stop it and start it afresh.",
			"mod_php means prefork: each worker is a process with all of PHP in it.",
			"While measuring, StartServers and the spare servers are all the count itself, so that it is fixed; in production a range gives memory back.",
			"MaxRequestWorkers above ServerLimit is cut to that, with no more than a line in the log.",
			"KeepAlive holds a prefork worker for KeepAliveTimeout after an answer: five seconds by default.",
			"The files derived from yours have the address, logs and process files replaced. A host with TLS is measured without it where the plain one of its name only leads there; where that has pages, those are measured.",
		},
	}
}

// StopSignal is the graceful one: TERM drops requests.
func (apache) StopSignal() syscall.Signal { return syscall.SIGWINCH }

func (apache) Recognise(argv []string) bool { return apacheProgram.recognises(argv) }

var apacheProgram = program{
	names: []string{"apache2", "httpd", "apachectl", "apache2ctl", "apache2-foreground", "httpd-foreground"},
	options: newGrammar(`
		--define|-D= --directory|-d= --file|-f= --before|-C= --after|-c= --level|-e= --log|-E= --action|-k= --one|-X
		--version|-v --build|-V --help|-h --compiled|-l --directives|-L --test|-t --vhosts|-S --modules|-M --nocheck|-T
	`),
	owned: []string{"--file", "--directory", "--action", "--log", "--one", "--test", "--vhosts", "--modules"},
}

var apacheDefaults = []string{
	"/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf", "/usr/local/apache2/conf/httpd.conf", "/opt/homebrew/etc/httpd/httpd.conf",
}

// readApache reads the user's configuration with all files that it includes.
func readApache(c Command) (apacheConf, error) {
	root := apacheProgram.setting(c, "--directory")
	if root != "" {
		root = inDir(c.Dir, root)
	}
	named := apacheProgram.setting(c, "--file")
	if named != "" && root != "" {
		named = inDir(root, named)
	}
	path := confPath(c, named, apacheDefaults)
	conf, err := loadApache(path, root, apacheEnv(c.Env, filepath.Dir(path)))
	if err != nil {
		return apacheConf{}, refuse(c.Argv, "its configuration can't be used: "+err.Error(), "name the file that holds: advise -- apache2 -f /path/to/apache2.conf")
	}
	return conf, nil
}

var apacheExport = regexp.MustCompile(`(?m)^[ \t]*export[ \t]+(\w+)=([^\s$'"]+)[ \t]*$`)

// apacheEnv is the environment with what Debian's apachectl would take from the file envvars.
func apacheEnv(env []string, dir string) []string {
	text, err := readSmall(filepath.Join(dir, "envvars"))
	if err != nil {
		return env
	}
	for _, m := range apacheExport.FindAllStringSubmatch(string(text), -1) {
		if _, set := getenv(env, m[1]); !set {
			env = setenv(env, m[1], m[2])
		}
	}
	return env
}

func (apache) Shape(c Command) Shape {
	conf, err := readApache(c)
	if err != nil {
		return Shape{}
	}
	number := func(name string, otherwise int) int { return cmp.Or(positive(conf.setting(name)), otherwise) }
	class := conf.mpm()
	if class == "prefork" {
		return Shape{Workers: number("maxrequestworkers", number("maxclients", 256)), Threads: 1, Class: class}
	}
	threads := conf.threads(class)
	return Shape{Workers: max(1, number("maxrequestworkers", 16*threads)/threads), Threads: threads, Class: class}
}

var apacheClasses = []string{"event", "worker", "prefork"}

func (u apache) vary(c Command, s Shape) (Shape, error) {
	conf, err := readApache(c)
	if err != nil {
		return Shape{}, err
	}
	asked := u.Shape(c)
	switch {
	case s.Class == "" || s.Class == asked.Class:
		s.Class = asked.Class
	case !slices.Contains(apacheClasses, s.Class):
		return Shape{}, refuse(c.Argv, fmt.Sprintf("Apache has no MPM %q", s.Class), "--class "+strings.Join(apacheClasses, ","))
	case !conf.loadsMPM():
		return Shape{}, refuse(c.Argv, "its MPM is built in", "leave --class away")
	}
	if s.Class == "prefork" {
		s.Threads = 1 // it has no others
	} else if s.Threads == 0 {
		s.Threads = conf.threads(s.Class)
	}
	return vary("apache", c, s, asked, byThreads, byClass)
}

func (u apache) Launch(c Command, s Shape, p Place) (Launch, error) {
	conf, err := readApache(c)
	if err != nil {
		return Launch{}, err
	}
	if s, err = u.vary(c, s); err != nil {
		return Launch{}, err
	}
	argv, err := apacheProgram.launch(c, []string{"-D", "FOREGROUND", "-d", conf.root, "-f", p.file(apacheFile)})
	if err != nil {
		return Launch{}, err
	}
	// The script takes an action as a word; the server has no arguments but options.
	head, args, _ := apacheProgram.split(c.Argv)
	for _, a := range apacheProgram.options.parse(args) {
		if a.option == "" {
			argv = slices.DeleteFunc(argv, func(word string) bool { return word == a.value })
		}
	}
	argv[len(head)-1] = apacheServer(c, argv[len(head)-1])
	env := apacheEnv(c.Env, filepath.Dir(conf.path))
	for name, value := range map[string]string{
		"APACHE_RUN_DIR": p.Scratch, "APACHE_LOCK_DIR": p.Scratch, "APACHE_LOG_DIR": p.Scratch, "APACHE_PID_FILE": p.file("pid"),
	} {
		env = setenv(env, name, value)
	}
	return Launch{Argv: fillAll(argv, s, p), Env: env, Files: []File{{Path: apacheFile, Text: conf.derived(s, p)}}}, nil
}

// apacheFile is what the derived configuration is called.
const apacheFile = "apache.conf"

// apacheServer is the server itself, where the command names a script that starts it.
func apacheServer(c Command, program string) string {
	if name := filepath.Base(program); name == "apache2" || name == "httpd" {
		return program
	}
	for _, name := range []string{"apache2", "httpd", "/usr/sbin/apache2", "/usr/sbin/httpd"} {
		if _, err := lookPath(name, c); err == nil {
			return name
		}
	}
	return "apache2"
}

// Workers are the forked children. The daemon of mod_cgid is one too, and has one thread where the
// workers have many.
func (apache) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	children := firstChildren(tree, sameName)
	if slices.ContainsFunc(children, func(p hold.Process) bool { return p.Threads > 1 }) {
		children = slices.DeleteFunc(children, func(p hold.Process) bool { return p.Threads == 1 })
	}
	return children, true
}

// Config is the block of the MPM, with a fixed count and as a range.
func (u apache) Config(c Command, s Shape) []File {
	if complete, err := u.vary(c, s); err == nil {
		s = complete
	}
	class, threads, load := cmp.Or(s.Class, "prefork"), max(s.Threads, 1), ""
	if loaded := u.Shape(c).Class; loaded != "" && loaded != class {
		load = fmt.Sprintf("# with mpm_%s_module loaded instead of mpm_%s_module: a2dismod mpm_%s && a2enmod mpm_%s\n", class, loaded, loaded, class)
	}
	name := "mpm_" + class + ".conf"
	if conf, err := readApache(c); err == nil {
		load += conf.besides(class)
	}
	least := max(1, s.Workers/4)
	return []File{
		{Path: name, Text: load + apacheBlock(class, s.Workers, threads, s.Workers, s.Workers, s.Workers)},
		{Path: dynamicName(name), Text: load + "# instead, to give memory back while there is little to do\n" +
			apacheBlock(class, s.Workers, threads, max(1, s.Workers/2), least, max(least+1, s.Workers/2))},
	}
}

// apacheBlock sets an MPM. Spare is counted in processes; all MPMs but prefork count it in threads.
func apacheBlock(class string, workers, threads, start, minSpare, maxSpare int) string {
	var b strings.Builder
	set := func(name string, value int) { fmt.Fprintf(&b, "    %-22s %d\n", name, value) }
	fmt.Fprintf(&b, "<IfModule mpm_%s_module>\n", class)
	set("ServerLimit", workers)
	set("StartServers", start)
	if class == "prefork" {
		set("MinSpareServers", minSpare)
		set("MaxSpareServers", maxSpare)
	} else {
		set("ThreadLimit", threads)
		set("ThreadsPerChild", threads)
		set("MinSpareThreads", minSpare*threads)
		set("MaxSpareThreads", maxSpare*threads)
	}
	set("MaxRequestWorkers", workers*threads)
	b.WriteString("</IfModule>\n")
	return b.String()
}

func (apache) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := apacheProgram.split(c.Argv)
	head = slices.Clone(head)
	head[len(head)-1] = apacheServer(c, head[len(head)-1])
	return askVersion(ctx, c, append(head, "-v"), regexp.MustCompile(`Apache/([0-9.]+)`))
}

// check finds a file that can't be used before the first start.
func (apache) check(c Command) error {
	conf, err := readApache(c)
	if err == nil && conf.onlyToTLS() {
		return refuse(c.Argv, "its hosts do no more than lead to https, and none in its files serves that",
			"measure the server that has the pages, or name the file with its host: advise -- apache2 -f /path/to/apache2.conf")
	}
	return err
}
