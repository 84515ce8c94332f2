package targets

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// A foregrounder is the adapter of a server that can be told to leave for the background, where a
// service manager or a container loses it.
type foregrounder interface {
	foreground(c Command) foreground
}

// A foreground is a command that stays.
type foreground struct {
	argv []string
	set  []string // variables that it needs, NAME=value
	// leaves is what in the user's own file sends it to the background all the same; empty: nothing.
	leaves string
	// packaged is the unit that the distribution has for it, where it runs with the distribution's own
	// file. Another unit beside that one would contend for its address and its files.
	packaged string
}

// staying is the command without some options, and with others where it does not have them.
func (p program) staying(c Command, without []string, with ...change) []string {
	head, args, _ := p.split(c.Argv)
	args = p.options.without(args, func(option string) bool { return slices.Contains(without, option) })
	for _, ch := range with {
		if !p.options.says(args, ch.option) || ch.value != "" {
			args = p.options.set(args, ch)
		}
	}
	return slices.Concat(head, args)
}

func (gunicorn) foreground(c Command) foreground {
	f := foreground{argv: gunicornProgram.staying(c, []string{"--daemon"})}
	if conf := readGunicornConf(c); strings.EqualFold(conf.values["daemon"], "true") {
		f.leaves = "daemon in " + conf.name
	}
	return f
}

func (hypercorn) foreground(c Command) foreground {
	return foreground{argv: hypercornProgram.staying(c, []string{"--daemon"})}
}

func (unicorn) foreground(c Command) foreground {
	return foreground{argv: unicornProgram.staying(c, []string{"--daemonize"})}
}

func (uwsgi) foreground(c Command) foreground {
	f := foreground{argv: uwsgiProgram.staying(c, []string{"--daemonize", "--daemonize2"})}
	if conf, err := readUwsgi(c); err == nil && conf.last("--daemonize")+conf.last("--daemonize2") != "" {
		f.leaves = "daemonize in " + filepath.Base(conf.path)
	}
	return f
}

// nginx refuses what its file and -g both say.
func (nginx) foreground(c Command) foreground {
	f := foreground{argv: nginxProgram.staying(c, nil)}
	conf, err := readNginx(c)
	switch daemon, said := conf.value("daemon"); {
	case err != nil || said && daemon == "off":
	case said:
		f.leaves = "daemon in its file"
	default:
		f.argv = nginxProgram.staying(c, nil, change{"--global", "-g", strings.TrimSpace(nginxProgram.setting(c, "--global") + " daemon off;")})
	}
	if confPath(c, nginxProgram.setting(c, "--config"), nginxDefaults) == nginxDefaults[0] {
		f.packaged = "nginx.service"
	}
	return f
}

func (lighttpd) foreground(c Command) foreground {
	f := foreground{argv: lighttpdProgram.staying(c, nil, change{"--foreground", "-D", ""})}
	if confPath(c, lighttpdProgram.setting(c, "--file"), []string{lighttpdDefault}) == lighttpdDefault {
		f.packaged = "lighttpd.service"
	}
	return f
}

func (phpfpm) foreground(c Command) foreground {
	f := foreground{argv: phpfpmProgram.staying(c, []string{"--daemonize"}, change{"--nodaemonize", "-F", ""})}
	path := confPath(c, phpfpmProgram.setting(c, "--fpm-config"), phpfpmDefaults(c))
	version, _ := strings.CutPrefix(path, "/etc/php/")
	switch version, ok := strings.CutSuffix(version, "/fpm/php-fpm.conf"); {
	case ok && version != path:
		f.packaged = "php" + version + "-fpm.service"
	case filepath.Dir(path) == "/etc":
		f.packaged = "php-fpm.service"
	}
	return f
}

// Apache begins a relative name at its ServerRoot, and Debian's file needs variables that its script sets.
func (apache) foreground(c Command) foreground {
	conf, err := readApache(c)
	if err != nil {
		return foreground{argv: c.Argv}
	}
	f := foreground{argv: c.Argv}
	head, args, _ := apacheProgram.split(c.Argv)
	name := filepath.Base(head[len(head)-1])
	if !strings.HasSuffix(name, "-foreground") {
		args = apacheProgram.options.without(args, func(option string) bool { return option == "--action" || option == "--one" })
		var words []string
		foreground := false
		for _, a := range apacheProgram.options.parse(args) {
			if a.option != "" { // the script takes an action as a word
				words = append(words, a.words...)
			}
			foreground = foreground || a.option == "--define" && a.value == "FOREGROUND"
		}
		if !foreground {
			words = append([]string{"-D", "FOREGROUND"}, words...)
		}
		if apacheProgram.setting(c, "--file") != "" {
			words = apacheProgram.options.set(words, change{"--file", "-f", conf.path})
		}
		f.argv = slices.Concat(head, words)
	}
	if name == "apache2" || name == "httpd" {
		env := apacheEnv(nil, filepath.Dir(conf.path))
		for _, line := range conf.lines {
			for _, m := range apacheVariable.FindAllStringSubmatch(line, -1) {
				if value, ok := getenv(env, m[1]); ok && !slices.Contains(f.set, m[1]+"="+value) {
					f.set = append(f.set, m[1]+"="+value)
				}
			}
		}
	}
	if slices.Contains(apacheDefaults[:2], conf.path) {
		f.packaged = cmp.Or(map[string]string{"/etc/apache2": "apache2.service"}[filepath.Dir(conf.path)], "httpd.service")
	}
	return f
}
