package targets

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// starters are the programs that have a server started by somebody else: in a container, on another
// machine, by a service manager, below a daemon of their own. What they start is in no tree of advise's,
// so that it is not held to the limits, not stopped at the end, and perhaps in production.
var starters = []string{
	"docker", "docker-compose", "podman", "podman-compose", "nerdctl", "ctr", "crictl", "lxc", "lxc-attach", "incus", "machinectl",
	"systemd-nspawn", "buildah", "kubectl", "oc", "helm", "minikube", "k3s", "nomad", "nsenter", "vagrant", "multipass",
	"ssh", "mosh", "autossh", "dbclient", "pssh", "parallel-ssh", "pdsh", "ansible", "ansible-playbook", "salt", "fab", "cap",
	"systemctl", "systemd-run", "service", "invoke-rc.d", "rc-service", "initctl", "launchctl", "start-stop-daemon", "daemonize",
	"supervisorctl", "circusctl", "pumactl", "gunicornc", "monit", "sv", "s6-svc", "s6-rc", "pm2", "forever", "overmind", "screen", "tmux", "at", "batch",
	"heroku", "fly", "flyctl", "dokku", "gcloud", "aws", "az", "cf",
}

// ownNames are those of them that a program of the user's may have too: with a path it is that one.
var ownNames = []string{"service", "at", "batch", "cap", "fab", "fly", "forever", "salt", "monit", "cf", "sv"}

var systemFolder = regexp.MustCompile(`^(/usr(/local)?)?/s?bin/[^/]+$`)

func starts(word string) bool {
	base := filepath.Base(word)
	return slices.Contains(starters, base) && (base == word || systemFolder.MatchString(word) || !slices.Contains(ownNames, base))
}

// startersBy names those of which one subcommand alone does so.
var startersBy = map[string]string{"brew": "services", "snap": "start"}

// initScripts are started by name, and look like the servers that they start.
var initScripts = regexp.MustCompile(`/(init|rc)\.d/[^/]+$`)

// away is the program in a command that has a server started elsewhere, behind any wrappers and in any
// command of a shell's script; empty: there is none.
func away(argv []string) string {
	wrapped := false
	for i, word := range argv {
		base := filepath.Base(word)
		switch {
		case i > 0 && isValueOf(argv[i-1]):
		case strings.ContainsAny(word, " \t\n"): // a script, as behind sh -c, su -c, env -S
			if i > 0 && strings.HasPrefix(argv[i-1], "-") {
				if program := awayInScript(word); program != "" {
					return program
				}
			}
		case starts(word), i+1 < len(argv) && startersBy[base] == argv[i+1] && startersBy[base] != "":
			return base
		case initScripts.MatchString(word):
			return word
		case passesOn(base), slices.Contains(shells, base), slices.Contains([]string{"sshpass", "npx", "bunx", "su", "runuser", "watch", "unbuffer"}, base):
			wrapped = true
		case wrapped && (strings.HasPrefix(word, "-") || assigns(word) || wrapperValue.MatchString(word)):
		case wrapped && i > 0 && strings.HasPrefix(argv[i-1], "-"): // the value of an option, or the program
		default: // a program, which may be a wrapper that is not known
			if rest := slices.Index(argv[i:], "--"); rest > 0 {
				return away(argv[i+rest+1:])
			}
			return ""
		}
	}
	return ""
}

// wrapperValue is what wrappers take before a command that is no option: a time, a priority, a list
// of processors, or the word by which they run things.
var wrapperValue = regexp.MustCompile(`^([0-9][0-9.,smhd-]*|0x[0-9a-f]+|run|exec)$`)

var scriptCommands = regexp.MustCompile("[;&|\n(){}`!]+|\\b(then|do|else)\\b")

func awayInScript(script string) string {
	for _, one := range scriptCommands.Split(script, -1) {
		words := strings.Fields(one)
		for len(words) > 0 && assigns(words[0]) {
			words = words[1:]
		}
		for i := range words {
			words[i] = strings.Trim(words[i], `'"$`)
		}
		if program := away(words); program != "" {
			return program
		}
	}
	return ""
}

// shells take a script behind an option.
var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}

// refuseAway refuses what can be seen to lead nowhere, whatever kind of server it names: one that is
// not a child of what is started, and words only a shell understands.
func refuseAway(c Command) error {
	if program := away(c.Argv); program != "" {
		return refuse(c.Argv, program+" has the server started by somebody else, out of reach of the limits",
			"give the command that starts the server itself"+insideHint(program))
	}
	for i, word := range c.Argv {
		if !slices.Contains([]string{"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1"}, word) {
			continue
		}
		if i == 0 {
			return refuse(c.Argv, "it begins with "+word, "give a start command: advise -- gunicorn app:app")
		}
		return refuse(c.Argv, fmt.Sprintf("%s is for a shell, and none is run", word),
			"sh -c 'FIRST && exec SERVER --workers {workers} --port {port}'")
	}
	return nil
}

// insideHint is the rest of the way out.
func insideHint(program string) string {
	switch program {
	case "systemctl", "service", "invoke-rc.d", "rc-service", "initctl", "launchctl", "brew", "snap", "supervisorctl":
		return ", as it is in the service's configuration (ExecStart=, command=)"
	case "pm2":
		return ": pm2-runtime, or node with the script"
	case "screen", "tmux", "overmind", "forever", "at", "batch", "daemonize", "start-stop-daemon", "systemd-run":
		return ", without " + program
	default:
		return "; in a container or on another machine, run advise inside it"
	}
}
