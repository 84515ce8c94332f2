package targets

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// starters are the programs that have a server started by somebody else: in a container, on another
// machine, by a service manager, below a daemon of their own. What they start is in no tree of advise's,
// so that it is not held to the limits, not stopped at the end, and perhaps in production.
var starters = []string{
	// containers
	"docker", "docker-compose", "podman", "podman-compose", "podman-remote", "nerdctl", "ctr", "crictl", "lxc", "lxc-attach", "lxc-start",
	"lxc-execute", "lxd", "incus", "machinectl", "systemd-nspawn", "buildah", "runc", "crun", "youki", "runsc", "kata-runtime", "rkt",
	"containerd-shim", "containerd-shim-runc-v2", "apptainer", "singularity", "enroot", "shifter", "distrobox-enter", "balena",
	"kubectl", "oc", "helm", "minikube", "microk8s", "k3s", "k3d", "kind", "nomad", "nsenter",
	// virtual machines
	"vagrant", "multipass", "wsl", "lima", "limactl", "orb", "orbctl", "virsh", "virt-install", "VBoxManage", "vboxmanage", "VBoxHeadless",
	"vmrun", "prlctl", "tart", "firecracker", "cloud-hypervisor", "qm", "pct",
	// other machines
	"ssh", "rsh", "rlogin", "rexec", "remsh", "slogin", "mosh", "et", "autossh", "dbclient", "plink", "pssh", "parallel-ssh", "pdsh", "dsh", "clush",
	"mussh", "ansible", "ansible-playbook", "salt", "salt-ssh", "salt-call", "knife", "mco", "fab", "cap", "kamal", "mina",
	"srun", "sbatch", "salloc", "mpirun", "mpiexec", "orterun", "prun", "qsub", "qrsh", "bsub", "condor_run", "condor_submit",
	// services and sessions
	"systemctl", "systemd-run", "run0", "service", "invoke-rc.d", "rc-service", "rcctl", "svcadm", "initctl", "dinitctl", "launchctl",
	"start-stop-daemon", "daemonize", "daemon", "supervisorctl", "circusctl", "pumactl", "gunicornc", "monit", "god", "sv", "svc", "s6-svc", "s6-rc",
	"pm2", "forever", "overmind", "screen", "tmux", "tmuxinator", "byobu", "zellij", "dtach", "abduco", "at", "batch", "crontab",
	// clouds
	"heroku", "fly", "flyctl", "dokku", "gcloud", "aws", "az", "cf", "doctl", "oci", "ibmcloud", "eb", "ecs-cli",
}

// ownNames are those of them that a program of the user's may have too: with a path it is that one.
var ownNames = []string{
	"service", "at", "batch", "cap", "fab", "fly", "forever", "salt", "monit", "cf", "sv", "et", "kind", "orb", "tart", "daemon", "god", "svc",
	"eb", "oci", "mina", "kamal", "knife", "prun", "balena", "pct", "qm", "shifter",
}

// startersBy are those of which some subcommands alone do so.
var startersBy = map[string][]string{
	"brew": {"services"}, "snap": {"start", "restart"}, "colima": {"ssh", "start", "nerdctl"}, "docker-machine": {"ssh", "start"},
	"distrobox": {"enter", "ephemeral"}, "toolbox": {"run", "enter"}, "flatpak": {"run"}, "tsh": {"ssh", "kubectl"}, "teleport": {"start"},
	"railway": {"up", "ssh", "redeploy"}, "gh": {"codespace", "cs"}, "juju": {"ssh", "exec", "run", "deploy"}, "boundary": {"connect"},
	"bolt": {"command", "script", "task", "plan"}, "copilot": {"svc", "task", "deploy"}, "cloudflared": {"access"}, "devcontainer": {"exec", "up"},
	"devpod": {"ssh", "up"}, "coder": {"ssh"}, "kitty": {"+kitten"}, "waypipe": {"ssh"},
}

// localBy are the subcommands by which a starter runs the program itself.
var localBy = map[string][]string{"heroku": {"local", "local:run", "local:start"}}

var (
	systemFolder = regexp.MustCompile(`^(/usr(/local)?|/opt/[^/]+)?/s?bin/[^/]+$`)
	emulator     = regexp.MustCompile(`^qemu-(system-.+|kvm)$`)
	// initScripts are started by name, and look like the servers that they start.
	initScripts = regexp.MustCompile(`/(init|rc)\.d/[^/]+$`)
)

// starter is the program that a command begins with, where that one has a server started elsewhere.
func starter(argv []string) string {
	word := argv[0]
	base := strings.TrimSuffix(filepath.Base(word), ".exe")
	i := slices.IndexFunc(argv[1:], func(w string) bool { return !strings.HasPrefix(w, "-") })
	subcommand := ""
	if i >= 0 {
		subcommand = argv[1+i]
	}
	isOwn := base != word && slices.Contains(ownNames, base) && !systemFolder.MatchString(word)
	switch {
	case initScripts.MatchString(word):
		return word
	case emulator.MatchString(base), slices.Contains(startersBy[base], subcommand):
		return base
	case slices.Contains(starters, base) && !isOwn && !slices.Contains(localBy[base], subcommand):
		return base
	}
	return ""
}

// A wrapper runs the rest of its command in the same tree.
type wrapper struct {
	valued   string   // letters of the options that take the next word
	operands int      // before the command
	verbs    []string // of which one comes first; none: it has no such
	scripts  []string // options with a command in one word
}

// wrappers are those that are known besides passesOn. What they start is advise's own to hold.
var wrappers = map[string]wrapper{
	"sudo": {valued: "ughpCDRTUrt"}, "doas": {valued: "uC"}, "pkexec": {}, "dzdo": {valued: "u"}, "su": {valued: "sgG", operands: 1, scripts: []string{"-c", "--command"}},
	"runuser": {valued: "usgG", scripts: []string{"-c", "--command"}}, "sg": {operands: 1, scripts: []string{"-c"}}, "gosu": {operands: 1}, "su-exec": {operands: 1},
	"setuidgid": {operands: 1}, "s6-setuidgid": {operands: 1}, "chpst": {valued: "uUebn/mdofpctr012"}, "capsh": {scripts: []string{"-c"}}, "setpriv": {},
	"env": {valued: "uC", scripts: []string{"-S", "--split-string"}}, "envdir": {operands: 1}, "exec": {valued: "a"}, "command": {}, "builtin": {}, "busybox": {}, "toybox": {},
	"nice": {valued: "n"}, "ionice": {valued: "cntp"}, "timeout": {valued: "ks"}, "stdbuf": {valued: "ioe"}, "taskset": {}, "chrt": {valued: "TPD"},
	"numactl": {valued: "CNmpilP"}, "prlimit": {}, "cpulimit": {valued: "lepP"}, "cgexec": {valued: "g"}, "schedtool": {valued: "naM"},
	"setsid": {}, "nohup": {}, "time": {valued: "fo"}, "setarch": {}, "linux64": {}, "linux32": {}, "runcon": {valued: "turl"},
	"xargs": {valued: "nPILsdaE"}, "parallel": {valued: "jIaN"}, "watch": {valued: "nq"}, "unbuffer": {}, "script": {valued: "EIOTmto", scripts: []string{"-c", "--command"}},
	"flock": {valued: "wE", operands: 1, scripts: []string{"-c", "--command"}}, "setlock": {operands: 1}, "chronic": {}, "faketime": {operands: 1}, "eatmydata": {},
	"strace": {valued: "eopsuEaIOSPXb"}, "ltrace": {valued: "eopsuaAnlwxF"}, "gdb": {}, "valgrind": {}, "rr": {verbs: []string{"record"}}, "heaptrack": {},
	"perf":   {valued: "eopCFGgIrD", verbs: []string{"stat", "record", "trace"}},
	"chroot": {operands: 1}, "unshare": {valued: "RwSG"}, "bwrap": {}, "firejail": {}, "proot": {valued: "rbwq"}, "fakeroot": {valued: "lsib"}, "schroot": {valued: "cdu"},
	"ip": {valued: "n", operands: 2, verbs: []string{"netns"}}, "proxychains": {valued: "f"}, "proxychains4": {valued: "f"}, "torsocks": {}, "xvfb-run": {valued: "efnps"},
	"tini": {valued: "pe"}, "dumb-init": {valued: "r"}, "catatonit": {}, "sshpass": {valued: "pfdP"}, "systemd-cat": {valued: "tp"}, "systemd-inhibit": {}, "dbus-run-session": {},
	"direnv": {operands: 1, verbs: []string{"exec"}}, "sops": {operands: 1, verbs: []string{"exec-env", "exec-file"}}, "dotenv": {valued: "fe"}, "dotenvx": {valued: "f", verbs: []string{"run"}},
	"doppler": {valued: "pct", verbs: []string{"run"}}, "infisical": {verbs: []string{"run"}}, "op": {verbs: []string{"run"}}, "chamber": {operands: 1, verbs: []string{"exec"}},
	"aws-vault": {operands: 1, verbs: []string{"exec"}}, "envconsul": {}, "railway": {valued: "se", verbs: []string{"run"}}, "heroku": {valued: "ef", verbs: []string{"local", "local:run"}},
	"foreman": {valued: "ef", verbs: []string{"run"}}, "honcho": {valued: "ef", verbs: []string{"run"}}, "uv": {verbs: []string{"run"}}, "poetry": {verbs: []string{"run"}},
	"pipenv": {verbs: []string{"run"}}, "pdm": {verbs: []string{"run"}}, "rye": {verbs: []string{"run"}}, "hatch": {verbs: []string{"run"}}, "conda": {valued: "np", verbs: []string{"run"}},
	"bundle": {verbs: []string{"exec"}}, "rbenv": {verbs: []string{"exec"}}, "pyenv": {verbs: []string{"exec"}}, "asdf": {verbs: []string{"exec"}}, "mise": {verbs: []string{"exec", "x"}},
	"nvm": {operands: 1, verbs: []string{"exec", "run"}}, "volta": {verbs: []string{"run"}}, "npx": {valued: "p", scripts: []string{"-c"}}, "bunx": {}, "pnpm": {verbs: []string{"exec", "dlx"}},
	"npm": {verbs: []string{"exec", "x"}}, "yarn": {verbs: []string{"exec", "dlx"}}, "nix-shell": {valued: "pA", scripts: []string{"--run", "--command"}}, "nix": {operands: 0, verbs: []string{"develop", "shell"}, scripts: []string{"-c", "--command"}},
	"guix": {verbs: []string{"shell"}}, "devbox": {verbs: []string{"run"}}, "uvx": {}, "newrelic-admin": {verbs: []string{"run-program"}}, "ddtrace-run": {}, "opentelemetry-instrument": {},
}

// shells take a script behind an option.
var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "rbash"}

// printers only print their words.
var printers = []string{"echo", "printf", ":"}

// away is the program in a command that has a server started elsewhere, behind any wrappers and in any
// command of a shell's script; empty: there is none.
func away(argv []string) string {
	return (&reading{variables: map[string]string{}, functions: map[string]*syntax.Stmt{}, left: mostStatements}).command(argv)
}

func (r *reading) command(argv []string) string {
	for ; len(argv) > 0 && r.left > 0; r.left-- {
		word := argv[0]
		base := filepath.Base(word)
		w, wraps := wrappers[base]
		switch {
		case assigns(word):
			name, value, _ := strings.Cut(word, "=")
			r.variables[name] = value
			argv = argv[1:]
			continue
		case starter(argv) != "":
			return starter(argv)
		case slices.Contains(printers, base):
			return ""
		case slices.Contains(shells, base):
			return r.shell(argv[1:])
		case base == "eval", len(argv) == 1 && strings.ContainsAny(word, " \t\n"): // a script in one word
			return r.script(strings.Join(argv[min(1, len(argv)-1):], " "))
		case !wraps:
			return r.unknown(argv)
		}
		behind, script := w.behind(argv, r.variables)
		if script != "" {
			return r.script(script)
		}
		argv = behind
	}
	return ""
}

// behind is the command that a wrapper is given: its words, or a script in one. Variables that it sets are
// noted.
func (w wrapper) behind(argv []string, variables map[string]string) (words []string, script string) {
	operands, verbs := w.operands, w.verbs
	for i := 1; i < len(argv); i++ {
		word := argv[i]
		name, value, glued := strings.Cut(word, "=")
		switch {
		case word == "--":
		case slices.Contains(w.scripts, name):
			if !glued && i+1 < len(argv) {
				value = argv[i+1]
			}
			return nil, value
		case w.glued(word) != "":
			return nil, w.glued(word)
		case strings.HasPrefix(word, "--"):
			if isValueOf(word) {
				i++
			}
		case strings.HasPrefix(word, "-") && w.takesScript(word):
			if i+1 < len(argv) {
				return nil, argv[i+1]
			}
		case strings.HasPrefix(word, "-"):
			if at := strings.IndexAny(word[1:], cmp.Or(w.valued, " ")); at >= 0 && at == len(word)-2 {
				i++
			}
		case assigns(word):
			variables[name] = value
		case len(verbs) > 0:
			if !slices.Contains(verbs, word) {
				return nil, ""
			}
			verbs = nil
		case operands > 0:
			operands--
		case wrapperValue.MatchString(word):
		default:
			return argv[i:], ""
		}
	}
	return nil, ""
}

// glued is the script that stands in the same word as its option: env -S'nice gunicorn'.
func (w wrapper) glued(word string) string {
	for _, option := range w.scripts {
		if script, ok := strings.CutPrefix(word, option); ok && len(option) == 2 && strings.ContainsAny(script, " \t\n") {
			return script
		}
	}
	return ""
}

// takesScript is true for letters of options of which the last has a script: script -qc.
func (w wrapper) takesScript(letters string) bool {
	return slices.Contains(w.scripts, "-"+letters[len(letters)-1:])
}

// wrapperValue is what wrappers take before a command that is no option: a time, a priority, a list
// of processors.
var wrapperValue = regexp.MustCompile(`^([0-9][0-9.,smhd-]*|0x[0-9a-f]+)$`)

// shell follows what a shell is given: a script behind an option, or what it reads. Scripts in files are
// the user's own programs.
func (r *reading) shell(args []string) string {
	for i, word := range args {
		if shellFlag.MatchString(word) {
			rest := slices.DeleteFunc(slices.Clone(args[i+1:]), func(w string) bool { return strings.HasPrefix(w, "-") || w == "pipefail" })
			if len(rest) == 0 {
				return ""
			}
			before := r.args
			r.args = rest[min(2, len(rest)):]
			defer func() { r.args = before }()
			return r.script(rest[0])
		}
		if !strings.HasPrefix(word, "-") && word != "pipefail" {
			return ""
		}
	}
	input := r.input
	r.input = ""
	return r.script(input)
}

// unknown follows a program that may be the user's server, or a wrapper that is not known: what comes
// behind --, and the words by which the best known starters start something.
func (r *reading) unknown(argv []string) string {
	if i := slices.Index(argv, "--"); i > 0 && r.depth < deepest {
		r.depth++
		defer func() { r.depth-- }()
		return r.command(argv[i+1:])
	}
	for i := 1; i+1 < len(argv); i++ {
		if slices.Contains(startWords[filepath.Base(argv[i])], argv[i+1]) {
			return filepath.Base(argv[i])
		}
	}
	return ""
}

// startWords are subcommands that tell a starter from an argument of that name.
var startWords = map[string][]string{
	"docker": {"run", "exec", "compose", "start", "restart"}, "podman": {"run", "exec", "start", "restart"}, "nerdctl": {"run", "exec"},
	"kubectl": {"exec", "run", "rollout"}, "systemctl": {"start", "restart", "reload-or-restart"}, "docker-compose": {"up", "run", "exec", "start"},
	"supervisorctl": {"start", "restart"}, "pm2": {"start", "restart"},
}

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
	case "systemctl", "service", "invoke-rc.d", "rc-service", "rcctl", "svcadm", "initctl", "dinitctl", "launchctl", "brew", "snap", "supervisorctl", "sv", "svc":
		return ", as it is in the service's configuration (ExecStart=, command=)"
	case "pm2":
		return ": pm2-runtime, or node with the script"
	case "screen", "tmux", "tmuxinator", "byobu", "zellij", "dtach", "abduco", "overmind", "forever", "at", "batch", "crontab", "daemon", "daemonize", "start-stop-daemon", "systemd-run", "run0":
		return ", without " + program
	default:
		return "; in a container or on another machine, run advise inside it"
	}
}
