package targets

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
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

// Deploy is what starts the target at a shape elsewhere: a systemd unit that holds it to the budget,
// the line of a Procfile, and the CMD of a Dockerfile. A server that takes its count from a file has
// a unit of its distribution already, and gets a file beside that with the limits alone. The demo server is for no place but this.
func (t *Target) Deploy(s Shape, b Budget) []File {
	name := t.Adapter.Name()
	if name == DemoName {
		return nil
	}
	for _, f := range t.Adapter.Config(t.Command, s) {
		if f.Path != commandFile {
			continue
		}
		line := strings.TrimSpace(f.Text)
		words, ok := splitWords(line)
		if !ok {
			return nil
		}
		return []File{
			{Path: name + ".service", Text: t.unit(words, b)},
			{Path: "Procfile", Text: "web: " + line + "\n"},
			{Path: "Dockerfile", Text: dockerCommand(line, words)},
		}
	}
	if limits := b.directives(); limits != "" {
		text := "# as " + name + ".service.d/limits.conf in /etc/systemd/system, by the name of the server's own unit\n[Service]\n" + limits
		return []File{{Path: name + "-limits.conf", Text: text}}
	}
	return nil
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
func (t *Target) unit(words []string, b Budget) string {
	var text strings.Builder
	fmt.Fprintf(&text, "[Unit]\nDescription=%s\nAfter=network.target\n\n[Service]\n", unitWord(t.label()+" in "+t.Command.Dir))
	fmt.Fprintf(&text, "WorkingDirectory=%s\n", strings.ReplaceAll(t.Command.Dir, "%", "%%"))
	for len(words) > 0 && assigns(words[0]) {
		fmt.Fprintf(&text, "Environment=%s\n", quoteUnit(words[0]))
		words = words[1:]
	}
	for _, open := range []string{"HOST=127.0.0.1", "PORT=8000"} {
		if name, _, _ := strings.Cut(open, "="); takes(words, "$"+name) {
			text.WriteString("Environment=" + open + "\n")
		}
	}
	if len(words) > 0 {
		if path, err := lookPath(words[0], t.Command); err == nil {
			words = append([]string{filepath.Clean(path)}, words[1:]...)
		}
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteUnit(w)
	}
	fmt.Fprintf(&text, "ExecStart=%s\nRestart=on-failure\n", strings.Join(quoted, " "))
	if signal := t.Adapter.StopSignal(); signal != syscall.SIGTERM {
		fmt.Fprintf(&text, "KillSignal=%s\n", unitSignal(signal))
	}
	text.WriteString("KillMode=mixed\n" + b.directives() + "\n[Install]\nWantedBy=multi-user.target\n")
	return text.String()
}

// unitWord is a text in a unit, where a per cent sign begins a specifier.
func unitWord(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// quoteUnit is a word of a command in a unit. The address, which stays open, is a variable there.
func quoteUnit(word string) string {
	word = strings.ReplaceAll(unitWord(word), "$", "$$")
	word = strings.NewReplacer("$$HOST", "${HOST}", "$$PORT", "${PORT}").Replace(word)
	if word != "" && !strings.ContainsAny(word, " \t\"'\\;") {
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
	return quoteAll(words[:n]) + " exec " + strings.NewReplacer("'$HOST'", "$HOST", "'$PORT'", "$PORT").Replace(quoteAll(words[n:]))
}
