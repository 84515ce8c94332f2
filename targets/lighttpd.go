package targets

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// lighttpd serves from one process, or from several below a watcher.
type lighttpd struct{}

func (lighttpd) Name() string { return "lighttpd" }

func (lighttpd) About() About {
	return About{
		Server:     "lighttpd",
		Recognised: "`lighttpd`, with the file that `-f` names",
		Knob:       "`server.max-worker`",
		Reports:    "children of its watcher, or the process itself",
		Tested:     []string{"1.4"},
		Traps: []string{
			"Its manual says to leave the count unset: one process serves a core with ease, and some modules keep their state for themselves in each worker.",
			"A count of 1 is taken for 0: there is no watcher, and the process serves by itself.",
			"The file derived from yours has the address, logs and folders replaced; conditions on a socket never hold in it.",
		},
	}
}

// StopSignal is the graceful one; TERM drops connections.
func (lighttpd) StopSignal() syscall.Signal { return syscall.SIGINT }

func (lighttpd) Recognise(argv []string) bool { return lighttpdProgram.recognises(argv) }

var lighttpdProgram = program{
	names: []string{"lighttpd"},
	options: newGrammar(`
		--file|-f= --modules|-m= --idle|-i= --print|-p --test|-t --preflight|-tt --foreground|-D --one|-1 --version|-v
		--compiled|-V --help|-h
	`),
	owned: []string{"--file", "--foreground", "--idle", "--one", "--test", "--preflight", "--print"},
}

const lighttpdDefault = "/etc/lighttpd/lighttpd.conf"

func readLighttpd(c Command) (string, error) {
	path := confPath(c, lighttpdProgram.setting(c, "--file"), []string{lighttpdDefault})
	text, err := includeLighttpd(path, filepath.Dir(path), 0)
	if err != nil {
		return "", refuse(c.Argv, "its configuration can't be used: "+err.Error(), "name the file that holds: advise -- lighttpd -f /path/to/lighttpd.conf")
	}
	return text, nil
}

// includeLighttpd reads a file with those that it includes in their place. Relative names begin at
// the folder of the main file. What is put together from variables stays as it is.
func includeLighttpd(path, dir string, depth int) (string, error) {
	if depth > deepestInclude {
		return "", errors.New("its files include each other")
	}
	text, err := readSmall(path)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		m := lighttpdInclude.FindStringSubmatch(line)
		if m == nil {
			out.WriteString(line)
			continue
		}
		pattern := inDir(dir, m[1])
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
			return "", fmt.Errorf("include %s: there is no such file", pattern)
		}
		for _, f := range files {
			included, err := includeLighttpd(f, dir, depth+1)
			if err != nil {
				return "", err
			}
			out.WriteString(included + "\n")
		}
	}
	return out.String(), nil
}

var lighttpdWorkers = regexp.MustCompile(`(?m)^[ \t]*server\.max-worker[ \t]*:?=[ \t]*"?(\d+)`)

func (lighttpd) Shape(c Command) Shape {
	text, err := readLighttpd(c)
	if err != nil {
		return Shape{Threads: 1}
	}
	n := 1
	if m := lighttpdWorkers.FindStringSubmatch(text); m != nil {
		n = max(1, positive(m[1]))
	}
	return Shape{Workers: n, Threads: 1}
}

func (lighttpd) Launch(c Command, s Shape, p Place) (Launch, error) {
	text, err := readLighttpd(c)
	if err != nil {
		return Launch{}, err
	}
	argv, err := lighttpdProgram.launch(c, []string{"-D", "-f", p.file("lighttpd.conf")})
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Argv: fillAll(argv, s, p), Env: c.Env,
		Files: []File{{Path: "lighttpd.conf", Text: deriveLighttpd(text, s, p)}},
	}, nil
}

var (
	lighttpdInclude = regexp.MustCompile(`^[ \t]*include[ \t]+"([^"]+)"[ \t\r]*(?:#.*)?\n?$`)
	lighttpdLog     = regexp.MustCompile(`^[ \t]*(?:server\.(?:errorlog|breakagelog)|server\.errorlog-use-syslog)\b`)
	lighttpdAccess  = regexp.MustCompile(`accesslog\.filename[ \t]*[+:]?=(?:"[^"]*"|[^\n}#"])*([\n}#]?)`)
	lighttpdIPv6    = regexp.MustCompile(`^[ \t]*include_shell[ \t].*use-ipv6`)
	lighttpdSocket  = regexp.MustCompile(`\$SERVER\["socket"\][ \t]*==[ \t]*"[^"]*"`)
)

// deriveLighttpd copies the file and takes back at its end, by :=, what a measurement has to own. It
// opens its logs when it is no longer root, so these can't be in the scratch folder: errors go to
// the standard error, where they go without a file for them, and requests, of every host, are logged to
// nowhere: each line is put together and written as before.
func deriveLighttpd(text string, s Shape, p Place) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if lighttpdIPv6.MatchString(line) || lighttpdLog.MatchString(line) {
			continue // the first listens at the same port of all IPv6 addresses
		}
		line = lighttpdSocket.ReplaceAllString(line, `$$HTTP["host"] == "nowhere.invalid"`)
		line = lighttpdAccess.ReplaceAllString(line, `accesslog.filename := "/dev/null"$1`)
		out.WriteString(line)
	}
	workers := s.Workers
	if workers == 1 {
		workers = 0
	}
	fmt.Fprintf(&out, `
server.bind := %q
server.port := %d
server.max-worker := %d
server.pid-file := %q
server.upload-dirs := ( %q )
`, p.Host, p.Port, workers, p.file("lighttpd.pid"), filepath.Dir(p.Scratch))
	return out.String()
}

// Workers of one process are itself.
func (lighttpd) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	if workers := firstChildren(tree, sameName); len(workers) > 0 {
		return workers, true
	}
	return lonely(tree), true
}

func (lighttpd) Config(c Command, s Shape) []File {
	name := "lighttpd.conf"
	if named := lighttpdProgram.setting(c, "--file"); named != "" {
		name = filepath.Base(named)
	}
	text := "server.max-worker = " + strconv.Itoa(s.Workers) + "\n"
	if s.Workers == 1 {
		text = "# one process serves: leave server.max-worker out, which is the same as\nserver.max-worker = 0\n"
	}
	return []File{{Path: name, Text: text}}
}

func (lighttpd) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := lighttpdProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "-v"), regexp.MustCompile(`lighttpd/([0-9.]+)`))
}

// check finds a file that can't be read before the first start.
func (lighttpd) check(c Command) error {
	_, err := readLighttpd(c)
	return err
}
