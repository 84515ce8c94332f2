package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"advise/targets/hold"
)

// phpfpm speaks FastCGI, so nginx goes before it: both are in the tree, under a shell that ends both.
type phpfpm struct{}

func (phpfpm) Name() string { return "php-fpm" }

func (phpfpm) About() About {
	return About{
		Server:     "php-fpm, behind an nginx that advise starts",
		Recognised: "`php-fpm`, `php-fpm8.2` and the like, with the file that `-y` names; run it in the application's folder",
		Knob:       "`pm.max_children`",
		Live:       "USR2, with a changed file",
		Reports:    "processes and requests of each, by `pm.status_path`",
		Tested:     []string{"8.2"},
		Traps: []string{
			"It speaks FastCGI: nginx with one worker stands before it on the same cores, and is inside what is measured. Its share is in the result, and not small on pages of less than a millisecond.",
			"nginx serves the folder `public` where there is an index.php in it, or else the working folder; what is no file goes to index.php.",
			"While measuring the pool is static. A dynamic one needs min_spare <= start <= max_spare <= max_children, or it does not start.",
			"`server reached pm.max_children` in its log means that requests waited; it is written once, not each time.",
			"One pool is measured: of several that called www, or the one whose own file -y names. The others are left out.",
			"The environment is kept from pages unless `clear_env = no`.",
		},
	}
}

func (phpfpm) StopSignal() syscall.Signal { return syscall.SIGQUIT }

func (phpfpm) Recognise(argv []string) bool { return phpfpmProgram.recognises(argv) }

var phpfpmProgram = program{
	names: []string{
		"php-fpm", "php-fpm7.4", "php-fpm8.0", "php-fpm8.1", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4", "php-fpm8.5",
		"php-fpm74", "php-fpm80", "php-fpm81", "php-fpm82", "php-fpm83", "php-fpm84", "php-fpm85",
	},
	options: newGrammar(`
		--php-ini|-c= --no-php-ini|-n --define|-d= --profile-info|-e --help|-h --info|-i --modules|-m --version|-v --prefix|-p=
		--pid|-g= --fpm-config|-y= --test|-t --daemonize|-D --nodaemonize|-F --force-stderr|-O --allow-to-run-as-root|-R
	`),
	owned: []string{"--fpm-config", "--daemonize", "--nodaemonize", "--force-stderr", "--pid", "--test"},
}

// phpfpmDefaults are where Debian, Alpine and the official image keep the file.
func phpfpmDefaults(c Command) []string {
	head, _, _ := phpfpmProgram.split(c.Argv)
	version := strings.TrimPrefix(filepath.Base(head[len(head)-1]), "php-fpm")
	return []string{
		"/etc/php/" + cmp.Or(version, "8.2") + "/fpm/php-fpm.conf", "/etc/php" + cmp.Or(version, "82") + "/php-fpm.conf",
		"/usr/local/etc/php-fpm.conf", "/etc/php-fpm.conf",
	}
}

func readFPM(c Command) (fpmConf, error) {
	path := confPath(c, phpfpmProgram.setting(c, "--fpm-config"), phpfpmDefaults(c))
	conf, err := loadFPM(path, phpfpmProgram.setting(c, "--prefix"))
	if errors.Is(err, errFPMPools) {
		return fpmConf{}, refuse(c.Argv, err.Error(), "name a file with one of them: advise -- "+show(otherPool(c, cmp.Or(conf.alone(), "/path/to/pool.conf"))))
	}
	if err != nil {
		return fpmConf{}, refuse(c.Argv, "its configuration can't be used: "+err.Error(), "name the file that holds: advise -- php-fpm -y /path/to/php-fpm.conf")
	}
	return conf, nil
}

// otherPool is the command for a pool that has a file of its own.
func otherPool(c Command, path string) []string {
	head, args, _ := phpfpmProgram.split(c.Argv)
	return slices.Concat(head, phpfpmProgram.options.set(args, change{"--fpm-config", "-y", path}))
}

// note says which of several pools is measured.
func (phpfpm) note(c Command) string {
	conf, err := readFPM(c)
	if err != nil || len(conf.pools) == 1 {
		return ""
	}
	note := fmt.Sprintf("of the pools %s, %s is measured and the others are left out", conf.names(), conf.pool)
	if path := conf.alone(); path != "" {
		note += "; another one by its own file: advise -- " + show(otherPool(c, path))
	}
	return note
}

func (phpfpm) Shape(c Command) Shape {
	conf, err := readFPM(c)
	if err != nil {
		return Shape{Threads: 1}
	}
	return Shape{Workers: positive(conf.setting("pm.max_children")), Threads: 1}
}

func (phpfpm) Launch(c Command, s Shape, p Place) (Launch, error) {
	conf, err := readFPM(c)
	if err != nil {
		return Launch{}, err
	}
	argv, err := phpfpmProgram.launch(c, []string{"-F", "-O", "-y", p.file("php-fpm.conf")})
	if err != nil {
		return Launch{}, err
	}
	front, err := findNginx(c)
	if err != nil {
		return Launch{}, err
	}
	// The shell goes on when a signal that it has a trap for comes while it waits.
	script := fmt.Sprintf(`%s & fpm=$!
%s & front=$!
trap 'kill -QUIT $fpm $front 2>/dev/null' QUIT TERM INT
wait $fpm
kill -QUIT $front 2>/dev/null
wait
`, quoteAll(fillAll(argv, s, p)), quoteAll([]string{front, "-c", p.file("front.conf")}))
	return Launch{
		Argv: []string{"sh", "-c", script}, Env: c.Env,
		Files: []File{{Path: "php-fpm.conf", Text: conf.derived(s, p)}, {Path: "front.conf", Text: fpmFront(conf, documentRoot(c), p)}},
	}, nil
}

// findNginx looks in PATH, and where a user's PATH often does not lead.
func findNginx(c Command) (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx"} {
		if _, err := lookPath(name, c); err == nil {
			return name, nil
		}
	}
	return "", refuse(c.Argv, "it speaks FastCGI and there is no nginx to put before it", "install nginx; it need not run")
}

func documentRoot(c Command) string {
	if exists(filepath.Join(c.Dir, "public", "index.php")) {
		return filepath.Join(c.Dir, "public")
	}
	return c.Dir
}

func (phpfpm) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return titled(tree, "php-fpm: pool"), true
}

func (phpfpm) status(ctx context.Context, p Place) (Status, error) {
	var pool struct {
		Total     int `json:"total processes"`
		Processes []struct {
			PID      int    `json:"pid"`
			Requests uint64 `json:"requests"`
		} `json:"processes"`
	}
	if err := statusJSON(ctx, p.file("status"), "/?json&full", &pool); err != nil {
		return Status{}, err
	}
	status := Status{Workers: pool.Total, Requests: map[int]uint64{}}
	for _, w := range pool.Processes {
		status.Requests[w.PID] = w.Requests
	}
	return status, nil
}

func (phpfpm) front() Front { return Front{Server: "nginx", Path: fpmFrontPath} }

func (phpfpm) frontProcesses(tree []hold.Process) []hold.Process {
	return titled(tree, "nginx: worker")
}

func (phpfpm) live(Command, Shape) (liveChange, bool) {
	return liveChange{reload: syscall.SIGUSR2}, true
}

// Config is the pool with a fixed count, and as a range that php-fpm accepts.
func (phpfpm) Config(c Command, s Shape) []File {
	n := s.Workers
	name, pool, all := "www.conf", "www", ""
	if conf, err := readFPM(c); err == nil {
		name, pool = filepath.Base(conf.poolPath), conf.pool
		if most := conf.most(); most > 0 && most < n {
			all = fmt.Sprintf("[global]\n; of all pools together, which is %d now\nprocess.max = %d\n", most, n)
		}
	}
	least := max(1, n/4)
	start := max(least, n/2)
	return []File{
		{Path: name, Text: all + fmt.Sprintf("[%s]\npm = static\npm.max_children = %d\n", pool, n)},
		{Path: dynamicName(name), Text: all + fmt.Sprintf(`[%s]
; instead, to give memory back while there is little to do
pm = dynamic
pm.max_children = %d
pm.start_servers = %d
pm.min_spare_servers = %d
pm.max_spare_servers = %d
`, pool, n, start, least, start)},
	}
}

func (phpfpm) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := phpfpmProgram.split(c.Argv)
	return askVersion(ctx, c, append(slices.Clone(head), "-v"), regexp.MustCompile(`PHP ([0-9.]+)`))
}

// check finds what is missing before the first start.
func (phpfpm) check(c Command) error {
	if _, err := readFPM(c); err != nil {
		return err
	}
	_, err := findNginx(c)
	return err
}
