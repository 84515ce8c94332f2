package targets

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Budget is what a deployed server may use.
type Budget struct {
	Cores  float64 // 0: not limited
	Memory int64   // bytes; 0: not limited
}

// A deployment is a command that runs the target at a shape, and where its count is.
type deployment struct {
	words  []string // variables that are set for it, and the command
	notes  []string // what has to be known with it, each a line
	hidden []string // variables that it needs and that are not known here
}

// deploy is what starts the target at a shape elsewhere: a systemd unit that holds it to the budget,
// the line of a Procfile, and the CMD of a Dockerfile, each in the foreground. A server that takes its
// count from a file alone is started with that file, which is named. One that runs with its
// distribution's own file has a unit of the distribution's, and gets a file beside that with the limits
// alone: that unit knows more of it than could be said here, and is updated with it. The demo server is
// for no place but this. What can't be written is left out, with the reason: all of it where the command, as
// given says, can't.
func (t *Target) deploy(s Shape, b Budget, given error) (files []File, left []string) {
	name := t.Adapter.Name()
	if name == DemoName {
		return nil, nil
	}
	here := foreground{argv: t.Command.Argv}
	if f, ok := t.Adapter.(foregrounder); ok {
		here = f.foreground(t.Command)
	}
	d, ok := t.deployment(s, here)
	if !ok {
		return nil, nil
	}
	words, names, err := openSecrets(d.words)
	d.words = words
	program := programOf(words)
	if err == nil && (program == "" || len(segments(program)) > 1) {
		err = noProgram
	}
	err = cmp.Or(given, err)
	unit, unitErr := name+".service", cmp.Or(err, unitFolder(t.Command.Dir), unitProgram(t.path(program)))
	if here.packaged != "" {
		unit, unitErr = name+"-limits.conf", err
	}
	line := quoteOpen(d.words)
	add := func(path string, err error, text func() string) {
		var content string
		if err == nil {
			content = text()
			err = inert(content)
		}
		if err != nil {
			left = append(left, fmt.Sprintf("no %s: %v", path, err))
			return
		}
		files = append(files, File{Path: path, Text: content})
	}
	add(unit, unitErr, func() string {
		if here.packaged != "" {
			return dropIn(here.packaged, d, b)
		}
		return t.unit(d, b)
	})
	notes := secretNotes(append(names, d.hidden...))
	add("Procfile", err, func() string { return notes + "web: " + line + "\n" })
	add("Dockerfile", err, func() string { return notes + dockerCommand(line, d.words) })
	return files, left
}

// deployment is the line to paste where there is one, and otherwise the user's own command.
func (t *Target) deployment(s Shape, here foreground) (deployment, bool) {
	c := t.Command
	c.Argv = here.argv
	files := t.Adapter.Config(c, s)
	if len(files) == 0 {
		return deployment{}, false
	}
	set, hidden := t.environment(s)
	d := deployment{hidden: hidden}
	if here.leaves != "" {
		d.notes = append(d.notes, "take out "+here.leaves+": it has to stay in the foreground")
	}
	at := slices.IndexFunc(files, func(f File) bool { return f.Path == commandFile })
	byVariable := files[0].Path == environmentFile && len(hidden) == 0 && len(set) > 0
	switch {
	case at >= 0 && !byVariable:
		words, ok := splitWords(strings.TrimSpace(files[at].Text))
		if !ok {
			return deployment{}, false
		}
		d.words = words
		if first := files[0]; at > 0 && takes(words, first.Path) {
			d.notes = append(d.notes, "the count is in "+first.Path+", which is beside this file")
		}
	default:
		words, ok := splitWords(configLine(c.Argv, s))
		if !ok {
			return deployment{}, false
		}
		d.words = words
		if byVariable {
			if own, ok := splitWords(strings.ReplaceAll(strings.TrimSpace(files[0].Text), "\n", " ")); ok {
				d.words = slices.Concat(own, bare(words))
			}
		} else {
			file := files[slices.IndexFunc(files, func(f File) bool { return f.Path != environmentFile })]
			d.notes = append(d.notes, "the count is in "+file.Path+": "+inOneLine(file.Text))
		}
	}
	set = slices.DeleteFunc(slices.Concat(here.set, set), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(d.words, func(word string) bool { return strings.HasPrefix(word, name+"=") })
	})
	d.words = slices.Concat(set, bare(d.words))
	return d, true
}

// inOneLine are the settings of a file without what only explains or encloses them.
func inOneLine(text string) string {
	var settings []string
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(line), " ")
		if line != "" && !strings.ContainsAny(line[:1], "#;[<") {
			settings = append(settings, strings.TrimSuffix(line, ";"))
		}
	}
	return strings.Join(settings, "; ")
}

// quoteOpen is a command for a shell in which the address and secrets are still open.
func quoteOpen(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		parts := segments(w)
		for k, part := range parts {
			switch {
			case k%2 == 1:
				parts[k] = `"${` + part + `:?}"`
			case part != "" || len(parts) == 1:
				parts[k] = quoteAddress(part, k == 0)
			}
		}
		quoted[i] = strings.Join(parts, "")
	}
	return strings.Join(quoted, " ")
}

// quoteAddress quotes a text for a shell; the name of a variable that the first one sets is not quoted.
func quoteAddress(text string, first bool) string {
	switch name, value, _ := strings.Cut(text, "="); {
	case first && assigns(text) && value == "":
		return name + "="
	case first && assigns(text):
		return name + "=" + quote(value)
	case strings.Contains(text, "$HOST") || strings.Contains(text, "$PORT"):
		return strings.NewReplacer("'$HOST'", "$HOST", "'$PORT'", "$PORT", "$HOST", `'"$HOST"'`, "$PORT", `'"$PORT"'`).Replace(quote(text))
	}
	return quote(text)
}

// dropIn are the limits for a unit that is there.
func dropIn(unit string, d deployment, b Budget) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# as /etc/systemd/system/%s.d/limits.conf\n", unit)
	for _, n := range d.notes {
		text.WriteString("# " + n + "\n")
	}
	return text.String() + "[Service]\n" + b.directives()
}

// directives limit a unit. CPUQuota is in hundredths of one core.
func (b Budget) directives() string {
	var text strings.Builder
	if b.Cores > 0 {
		fmt.Fprintf(&text, "CPUQuota=%d%%\n", int(math.Round(b.Cores*100)))
	}
	if b.Memory > 0 {
		fmt.Fprintf(&text, "MemoryMax=%d\n", b.Memory)
	}
	return text.String()
}

// unit is a service of systemd, which wants the path of the program and has its own quoting.
func (t *Target) unit(d deployment, b Budget) string {
	var text strings.Builder
	fmt.Fprintf(&text, "[Unit]\nDescription=%s\nAfter=network.target\n\n[Service]\n", unitWord(t.label()+" in "+t.Command.Dir))
	fmt.Fprintf(&text, "WorkingDirectory=%s\n", unitWord(t.Command.Dir))
	for _, n := range d.notes {
		text.WriteString("# " + n + "\n")
	}
	words := d.words
	var set, names []string
	for len(words) > 0 && assigns(words[0]) {
		if len(segments(words[0])) == 1 {
			set = append(set, words[0])
		} else { // the file sets it whole
			name, _, _ := strings.Cut(words[0], "=")
			names = append(names, name)
		}
		words = words[1:]
	}
	for _, w := range words {
		for k, part := range segments(w) {
			if k%2 == 1 {
				names = append(names, part)
			}
		}
	}
	if names = append(names, d.hidden...); len(names) > 0 {
		for _, name := range names {
			fmt.Fprintf(&text, "# %s holds a secret: set it in this file\n", name)
		}
		fmt.Fprintf(&text, "EnvironmentFile=/etc/%s.env\n", t.Adapter.Name())
	}
	for _, assignment := range set {
		fmt.Fprintf(&text, "Environment=%s\n", quoteUnit(unitWord(assignment)))
	}
	for _, open := range []string{"HOST=127.0.0.1", "PORT=8000"} {
		if name, _, _ := strings.Cut(open, "="); takes(words, "$"+name) {
			text.WriteString("Environment=" + open + "\n")
		}
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		if i == 0 {
			w = t.path(w)
		}
		quoted[i] = unitArgument(w)
	}
	fmt.Fprintf(&text, "ExecStart=%s\nRestart=on-failure\n", strings.Join(quoted, " "))
	if signal := t.Adapter.StopSignal(); signal != syscall.SIGTERM {
		fmt.Fprintf(&text, "KillSignal=%s\n", unitSignal(signal))
	}
	text.WriteString("KillMode=mixed\n" + b.directives() + "\n[Install]\nWantedBy=multi-user.target\n")
	return text.String()
}

// path is where a program is: a service manager has another PATH.
func (t *Target) path(word string) string {
	if word == programOf(t.Command.Argv) && t.Command.Program != "" {
		return t.Command.Program
	}
	if path, err := lookPath(word, t.Command); err == nil {
		return filepath.Clean(path)
	}
	return word
}

// unitWord is a text in a unit, where a per cent sign begins a specifier.
func unitWord(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// unitArgument is a word of a command in a unit. What stays open, the address and secrets, is a variable there.
func unitArgument(word string) string {
	parts := segments(word)
	for k, part := range parts {
		if k%2 == 1 {
			parts[k] = "${" + part + "}"
			continue
		}
		part = strings.ReplaceAll(unitWord(part), "$", "$$")
		parts[k] = strings.NewReplacer("$$HOST", "${HOST}", "$$PORT", "${PORT}").Replace(part)
	}
	return quoteUnit(strings.Join(parts, ""))
}

var plainInUnit = regexp.MustCompile(`^[\pL\pN_@%+=:,./{}$*?!~^()\[\]<>&|-]+$`)

// quoteUnit encloses all that is not plain: https://www.freedesktop.org/software/systemd/man/systemd.syntax.html
func quoteUnit(word string) string {
	if plainInUnit.MatchString(word) {
		return word
	}
	return strconv.Quote(word)
}

func unitSignal(s syscall.Signal) string {
	return map[syscall.Signal]string{syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGWINCH: "SIGWINCH"}[s]
}

// dockerCommand is the form without a shell where nothing has to be expanded, so that signals reach
// the server.
func dockerCommand(line string, words []string) string {
	if strings.Contains(line, "$") || slices.ContainsFunc(words[:min(1, len(words))], assigns) {
		return "CMD " + shellExec(line, words) + "\n"
	}
	list, _ := json.Marshal(words) // a list of strings always becomes JSON
	return "CMD " + string(list) + "\n"
}

// shellExec puts exec before the program, after the variables that are set for it.
func shellExec(line string, words []string) string {
	n := 0
	for n < len(words) && assigns(words[n]) {
		n++
	}
	if n == 0 {
		return "exec " + line
	}
	return quoteOpen(words[:n]) + " exec " + quoteOpen(words[n:])
}
