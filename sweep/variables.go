package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"advise/scenarios"
	"advise/targets/mask"
)

// fingerprints are those of the variables that can make a server another one, by name. What names a
// terminal, a login, a user's folders or the run of a job is left out: it differs whenever somebody
// comes back, or somebody else does. What matters of PATH shows in the server's version and in the
// environment it is of (VIRTUAL_ENV, GEM_HOME and the like).
func fingerprints(env []string) map[string]string {
	prints := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" && !ofSession(name) {
			prints[name] = fingerprint(value) // of several the last one holds
		}
	}
	return prints
}

// fingerprint is 12 bits of a value's SHA-256. A record is passed on, and values are secrets: a whole
// hash of a short one gives it away to whoever tries all there are, salted or not, since the salt would
// be beside it. 12 bits leave every secret worth the name with thousands of others that look the same,
// and tell all but one of 4096 changes. They are not salted on purpose: each new salt would give away
// 12 bits more.
func fingerprint(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:2])[:3]
}

// hashOfCommand tells commands apart, those too that differ in what is masked, of which it tells no more
// than a fingerprint.
func hashOfCommand(argv []string) string {
	shown, masked := mask.Command(argv)
	if masked {
		shown = append(shown, fingerprint(strings.Join(argv, "\x00")))
	}
	return commandSHA256(shown)
}

// hashOfScenario tells scenarios apart, those too that differ in what is not shown of them: in headers, in
// bodies and in what is masked of paths. Of that it tells no more than a fingerprint.
func hashOfScenario(s *scenarios.Scenario) string {
	shown := *s
	shown.Requests = slices.Clone(s.Requests)
	hidden := false
	for i := range shown.Requests {
		r := &shown.Requests[i]
		path, masked := mask.Path(r.Path)
		hidden = hidden || masked || len(r.Header) > 0 || len(r.Body) > 0
		r.Path, r.Header, r.Body = path, nil, nil
	}
	if !hidden {
		return s.SHA256()
	}
	return commandSHA256([]string{shown.SHA256(), fingerprint(s.SHA256())})
}

// otherVariables are the names of the variables that one plan's server has and the other's has not, or has
// with another value. A plan that does not know its variables differs in none.
func otherVariables(was, is Plan) []string {
	if was.Variables == nil || is.Variables == nil {
		return nil
	}
	all := maps.Clone(was.Variables)
	maps.Copy(all, is.Variables)
	names := slices.Sorted(maps.Keys(all))
	return slices.DeleteFunc(names, func(name string) bool {
		before, had := was.Variables[name]
		now, has := is.Variables[name]
		return had && has && before == now
	})
}

// ofSession is true for a variable that belongs to a terminal, a login, a user or a run of a job, and is
// none of the server's.
func ofSession(name string) bool {
	return slices.Contains(sessionVariables, name) ||
		slices.ContainsFunc(sessionPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

var sessionVariables = []string{
	// The shell's own.
	"_", "PWD", "OLDPWD", "SHLVL", "PS1", "PS2", "PS4", "VIRTUAL_ENV_PROMPT", "PROMPT", "PROMPT_COMMAND", "RPROMPT", "COLUMNS", "LINES", "HISTFILE",
	"HISTSIZE", "HISTFILESIZE", "HISTCONTROL", "LS_COLORS", "LSCOLORS", "MAIL", "MAILCHECK", "PAGER", "EDITOR", "VISUAL",
	// The terminal and the desktop.
	"TERM", "COLORTERM", "COLORFGBG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "GPG_TTY", "STY", "WINDOW", "WINDOWID", "DISPLAY",
	"WAYLAND_DISPLAY", "XAUTHORITY", "DESKTOP_SESSION", "DESKTOP_STARTUP_ID", "SESSION_MANAGER", "VTE_VERSION", "SECURITYSESSIONID",
	// The user.
	"HOME", "PATH", "TMPDIR", "TMP", "TEMP", "USER", "USERNAME", "LOGNAME", "SHELL", "LANG", "LANGUAGE",
	// The login and the service manager. A container's name is new with each of its starts.
	"DBUS_SESSION_BUS_ADDRESS", "HOSTNAME", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MANAGERPID", "NOTIFY_SOCKET",
	"WATCHDOG_PID", "WATCHDOG_USEC", "XPC_SERVICE_NAME", "XPC_FLAGS",
	// A job's run, as make and CI count it.
	"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR",
	"BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "BUILD_URL", "JOB_URL", "RUN_DISPLAY_URL",
}

var sessionPrefixes = []string{
	"TERM_", "TMUX", "SSH_", "XDG_", "LC_", "ADVISE_", "ITERM_", "KITTY_", "KONSOLE_", "WEZTERM_", "ALACRITTY_", "GHOSTTY_",
	"VSCODE_", "GNOME_", "KDE_", "DIRENV_", "STARSHIP_", "SUDO_", "GITHUB_", "RUNNER_", "ACTIONS_", "GITLAB_", "CI_", "BUILDKITE_", "CIRCLE_", "TRAVIS_",
	"JENKINS_", "HUDSON_",
}
