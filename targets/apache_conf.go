package targets

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// An apacheConf is a configuration with all files that it includes, a directive a line.
type apacheConf struct {
	path  string
	root  string // ServerRoot: where relative names begin
	lines []string
}

var (
	apacheRoot     = regexp.MustCompile(`(?im)^[ \t]*ServerRoot[ \t]+"?([^"\s]+)`)
	apacheInclude  = regexp.MustCompile(`(?i)^include(optional)?\s+(.+)$`)
	apacheVariable = regexp.MustCompile(`\$\{(\w+)\}`)
	apacheMPM      = regexp.MustCompile(`(?i)^loadmodule\s+mpm_(\w+)_module\s`)
	apacheIfMPM    = regexp.MustCompile(`(?i)^<ifmodule\s+"?(?:mod_)?mpm_(\w+?)(?:_module|\.c)"?\s*>$`)
	apacheCGI      = regexp.MustCompile(`(?i)^loadmodule\s+cgid_module\s`)
	apacheHost     = regexp.MustCompile(`(?i)^<virtualhost\s+(.*)>$`)
	apachePort     = regexp.MustCompile(`:\d+$`)
)

func loadApache(path, root string, env []string) (apacheConf, error) {
	text, err := readSmall(path)
	if err != nil {
		return apacheConf{}, err
	}
	r := &apacheReader{root: root, variables: env}
	if m := apacheRoot.FindStringSubmatch(string(text)); r.root == "" && m != nil {
		r.root = m[1]
		if strings.Contains(r.root, "${") { // by what is defined before it in this file
			before, _, _ := strings.Cut(string(text), m[0])
			for line := range strings.Lines(before) {
				r.define(strings.TrimSpace(line))
			}
			r.root, _ = r.expand(m[1])
		}
	}
	if r.root == "" {
		r.root = filepath.Dir(path)
	}
	lines, err := r.include(string(text), 0)
	return apacheConf{path: path, root: r.root, lines: lines}, err
}

// An apacheReader follows files that include each other, with the variables that their names are made of.
type apacheReader struct {
	root      string
	variables []string // as NAME=value: those of Define, or else of the environment
}

// define takes in a line that defines a variable. That one goes before the environment's.
func (r *apacheReader) define(line string) {
	switch fields := strings.Fields(line); {
	case len(fields) > 2 && strings.EqualFold(fields[0], "Define"):
		value := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line[len("Define"):]), fields[1]))
		value, _ = r.expand(strings.Trim(value, `"'`))
		r.variables = setenv(r.variables, fields[1], value)
	case len(fields) == 2 && strings.EqualFold(fields[0], "UnDefine"):
		r.variables = unsetenv(r.variables, fields[1])
	}
}

// expand puts the variables in. The name of one that is not known is returned too.
func (r *apacheReader) expand(text string) (expanded, unknown string) {
	expanded = apacheVariable.ReplaceAllStringFunc(text, func(v string) string {
		value, ok := getenv(r.variables, v[2:len(v)-1])
		if !ok {
			unknown = v
		}
		return value
	})
	return expanded, unknown
}

// include puts the files in the place of the lines that name them.
func (r *apacheReader) include(text string, depth int) ([]string, error) {
	if depth > deepestInclude {
		return nil, errors.New("its files include each other")
	}
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r.define(line)
		m := apacheInclude.FindStringSubmatch(line)
		if m == nil {
			out = append(out, line)
			continue
		}
		pattern, unknown := r.expand(strings.Trim(m[2], `"`))
		if unknown != "" && m[1] == "" {
			return nil, fmt.Errorf("include %s: %s is not defined", m[2], unknown)
		}
		paths, err := apacheFiles(inDir(r.root, pattern))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 && m[1] == "" {
			return nil, fmt.Errorf("include %s: there is no such file", pattern)
		}
		for _, path := range paths {
			included, err := readSmall(path)
			if err != nil {
				return nil, fmt.Errorf("include %s: %w", pattern, err)
			}
			lines, err := r.include(string(included), depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, lines...)
		}
	}
	return out, nil
}

// apacheFiles are those that a pattern names; of a folder, all below it.
func apacheFiles(pattern string) ([]string, error) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("include %s: %w", pattern, err)
	}
	var files []string
	for _, m := range matches {
		err := filepath.WalkDir(m, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("include %s: %w", pattern, err)
		}
	}
	return files, nil
}

func apacheName(line string) string {
	name, _, _ := strings.Cut(line, " ")
	name, _, _ = strings.Cut(name, "\t")
	return strings.ToLower(name)
}

// mpm is the module for many processes that is loaded; built in it is event.
func (c apacheConf) mpm() string {
	for _, line := range c.lines {
		if m := apacheMPM.FindStringSubmatch(line); m != nil {
			return strings.ToLower(m[1])
		}
	}
	return "event"
}

// loadsMPM says whether a module of the configuration decides on the MPM.
func (c apacheConf) loadsMPM() bool { return slices.ContainsFunc(c.lines, apacheMPM.MatchString) }

// threads are those of a process of an MPM.
func (c apacheConf) threads(mpm string) int {
	if mpm == "prefork" {
		return 1
	}
	return cmp.Or(positive(c.settingOf(mpm, "threadsperchild")), 25)
}

// setting is the last value of a directive, outside blocks for another MPM.
func (c apacheConf) setting(name string) string { return c.settingOf(c.mpm(), name) }

// settingOf is the same if another MPM were loaded.
func (c apacheConf) settingOf(mpm, name string) string {
	value, other := "", 0
	for _, line := range c.lines {
		if m := apacheIfMPM.FindStringSubmatch(line); m != nil && (other > 0 || !strings.EqualFold(m[1], mpm)) {
			other++
			continue
		}
		if other > 0 {
			if strings.HasPrefix(strings.ToLower(line), "<ifmodule") {
				other++
			} else if strings.EqualFold(line, "</IfModule>") {
				other--
			}
			continue
		}
		if fields := strings.Fields(line); len(fields) == 2 && apacheName(line) == name {
			value = fields[1]
		}
	}
	return value
}

// besides tells of what stands outside the MPM's block and sets the same, in which what comes last holds.
func (c apacheConf) besides(mpm string) string {
	var found []string
	depth := 0
	for _, line := range c.lines {
		lower := strings.ToLower(line)
		switch {
		case strings.HasPrefix(lower, "</ifmodule"):
			depth = max(0, depth-1)
		case strings.HasPrefix(lower, "<ifmodule"):
			if m := apacheIfMPM.FindStringSubmatch(line); m != nil || depth > 0 {
				depth++
			}
		case depth == 0 && slices.Contains(apachePool, apacheName(line)):
			found = append(found, strings.Join(strings.Fields(line), " "))
		}
	}
	if found == nil {
		return ""
	}
	return "# in the place of what stands outside of <IfModule mpm_" + mpm + "_module>: " + strings.Join(found, ", ") + "\n"
}

// apachePool is what sets an MPM.
var apachePool = []string{
	"serverlimit", "startservers", "minspareservers", "maxspareservers", "minsparethreads", "maxsparethreads", "threadlimit",
	"threadsperchild", "maxrequestworkers", "maxclients",
}

// apacheOwned are what a measurement has to own: what sets the MPM, and what another server could
// have too or would be a trace outside the scratch folder.
var apacheOwned = []string{
	"serverlimit", "startservers", "minspareservers", "maxspareservers", "minsparethreads", "maxsparethreads", "threadlimit",
	"threadsperchild", "maxrequestworkers", "maxclients", "listen", "pidfile", "errorlog", "scoreboardfile", "mutex",
	"defaultruntimedir", "coredumpdirectory", "scriptlog", "lockfile",
}

// apacheOtherLogs are of modules. They are written as before, elsewhere.
var apacheOtherLogs = []string{"forensiclog", "rewritelog", "cookielog", "jklogfile", "secauditlog", "secdebuglog"}

var apachePHPLog = regexp.MustCompile(`(?i)^php_(admin_)?value\s+"?error_log\b`)

// derived is the configuration at a shape and a place.
func (c apacheConf) derived(s Shape, p Place) string {
	var out strings.Builder
	fmt.Fprintf(&out, `ServerName 127.0.0.1
DefaultRuntimeDir %q
PidFile %q
ErrorLog /dev/stderr
Listen %s
`, p.Scratch, p.file("pid"), p.Address())
	out.WriteString(c.statusModule())
	// mod_cgid is for processes with threads. Without them mod_cgi does the same, and has no daemon that
	// would look like one more worker.
	noThreads := s.Class == "prefork" && s.Class != c.mpm()
	hosts := c.hosts()
	for i, line := range c.lines {
		host := hostAt(hosts, i)
		switch name := apacheName(line); {
		case host.left:
			continue
		case slices.Contains(apacheOwned, name):
			continue
		case name == "customlog" || name == "transferlog" || name == "globallog":
			line = apacheLog(line, p.file(accessLog))
		case slices.Contains(apacheOtherLogs, name):
			line = apacheLog(line, p.file(name))
		case apachePHPLog.MatchString(line):
			continue // without it errors go to the error log
		case name == "cacheroot":
			line = fmt.Sprintf("CacheRoot %q", p.file("cache"))
		case apacheMPM.MatchString(line):
			line = strings.ReplaceAll(line, "mpm_"+c.mpm(), "mpm_"+s.Class)
		case noThreads && apacheCGI.MatchString(line):
			line = strings.ReplaceAll(line, "cgid", "cgi")
		case name == "scriptsock" && noThreads:
			continue
		case name == "scriptsock": // two daemons can't share it
			line = fmt.Sprintf("ScriptSock %q", p.file("cgi.sock"))
		case apacheHost.MatchString(line) && host.plain:
			line = apacheHere(line, p)
			if host.tls { // what asks for it is told that there is TLS
				line += "\n<IfModule env_module>\nSetEnv HTTPS on\n</IfModule>"
			}
		case host.plain && host.tls && name == "sslengine":
			line = "SSLEngine off"
		case strings.HasPrefix(name, "sslcertificate") || strings.HasPrefix(name, "sslca"):
			continue // without TLS it would still read the key, which may be root's
		}
		out.WriteString(line + "\n")
	}
	out.WriteString(c.statusHost(p, hosts))
	out.WriteString(apacheBlock(s.Class, s.Workers, s.Threads, s.Workers, s.Workers, s.Workers))
	return out.String()
}

// apacheLog puts a file in the place of a log's, which may be a program, and leaves its format.
func apacheLog(line, path string) string {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	end := strings.IndexAny(rest, " \t")
	if strings.HasPrefix(rest, `"`) {
		if quoted := strings.IndexByte(rest[1:], '"'); quoted >= 0 {
			end = quoted + 2
		}
	}
	format := ""
	if end >= 0 && end < len(rest) {
		format = rest[end:]
	}
	return fmt.Sprintf("%s %q%s", name, path, format)
}

// apacheHere gives the addresses of a host the port that is listened on.
func apacheHere(line string, p Place) string {
	addresses := strings.Fields(apacheHost.FindStringSubmatch(line)[1])
	for i, a := range addresses {
		if apachePort.MatchString(a) {
			addresses[i] = fmt.Sprintf("*:%d", p.Port)
		}
	}
	return "<VirtualHost " + strings.Join(slices.Compact(addresses), " ") + ">"
}
