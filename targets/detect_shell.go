package targets

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"advise/targets/mask"
)

// A start is a command as a file has it, without the shell that usually runs it.
type start struct {
	command Command
	set     []string // variables set before the program, NAME=value
	vars    []string // those and others that are seen where a word has one in it
	notes   []string // what was left out or replaced, each a sentence
	// container says that it was written for a container, whose wrappers and paths are not here.
	container bool
}

// An unusable start is one that was seen and can't be measured.
type unusable struct {
	why, hint string
}

func (u *unusable) Error() string { return u.why }

// hintOf is the way out that an error knows of.
func hintOf(err error) string {
	var (
		u *unusable
		n *unknownError
	)
	switch {
	case errors.As(err, &u):
		return u.hint
	case errors.As(err, &n):
		return "if it reads its count from WEB_CONCURRENCY and its port from PORT: advise -- " + n.command
	}
	return ""
}

var errNeedsShell = errors.New("it needs a shell")

// shellLine reads a line as a shell would that runs the last command of it: folders and variables are
// followed, what else comes before is left out and said. A line that only a shell can run is an error.
func (s start) shellLine(line string) (start, error) {
	parts, ok := splitChain(line)
	if !ok {
		return s, errNeedsShell
	}
	if len(parts) == 0 {
		return s, errors.New("it starts nothing")
	}
	last := len(parts) - 1
	var before []string
	for _, part := range parts[:last] {
		words, err := s.expand(part)
		switch {
		case err == nil && len(words) == 2 && words[0] == "cd":
			s.command.Dir = s.changed(words[1])
		case err == nil && len(words) > 0 && words[0] == "set":
		case err == nil && len(words) > 1 && words[0] == "export" && !slices.ContainsFunc(words[1:], func(w string) bool { return !assigns(w) }):
			s = s.with(words[1:])
		default:
			before = append(before, maskLine(part))
		}
	}
	if len(before) > 0 {
		s.notes = append(s.notes, "not run, as it comes before the server: "+strings.Join(before, "; "))
	}
	words, err := s.expand(parts[last])
	if err != nil {
		if len(before) > 0 {
			err = &unusable{why: err.Error(), hint: "run what comes first yourself, then: advise -- " + maskLine(parts[last])}
		}
		return s, err
	}
	n := 0
	for n < len(words) && assigns(words[n]) {
		n++
	}
	s = s.with(words[:n])
	words = words[n:]
	if len(words) > 1 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 {
		return s, errors.New("it starts nothing")
	}
	s.command.Argv = words
	return s, nil
}

// changed is the folder after a cd. A container's own that is not here is taken for the one it is in.
func (s start) changed(dir string) string {
	if to := s.here(dir); !s.container || isFolder(to) {
		return to
	}
	return s.command.Dir
}

// with has more variables set, which later words of the same shell see. Those that a measurement gives
// itself stand in the environment, where they can be varied, and not in the command.
func (s start) with(set []string) start {
	s.vars = slices.Concat(s.vars, set)
	for _, v := range set {
		name, value, _ := strings.Cut(v, "=")
		if placeholders[name] == "" {
			s.set = append(slices.Clip(s.set), v)
			continue
		}
		s.notes = append(slices.Clip(s.notes), v+" is left out, as it is given another while measuring")
		if !strings.Contains(value, "{") {
			s.command.Env = setenv(s.command.Env, name, value)
		}
	}
	return s
}

func (s start) expand(part string) ([]string, error) {
	line, err := expand(part, slices.Concat(s.command.Env, s.vars))
	if err != nil {
		return nil, err
	}
	words, ok := splitWords(line)
	if !ok {
		return nil, errNeedsShell
	}
	return words, nil
}

// splitChain divides what a shell would run one after the other: at &&, ; and the ends of lines that
// stand outside quotes and substitutions. It is not ok when a quote stays open.
func splitChain(line string) (parts []string, ok bool) {
	var (
		part  strings.Builder
		quote byte
		depth int // of $( and (
	)
	end := func() {
		if p := strings.TrimSpace(part.String()); p != "" {
			parts = append(parts, p)
		}
		part.Reset()
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'':
			if i+1 < len(line) && line[i+1] == '\n' {
				part.WriteByte(' ')
				i++
				continue
			}
			part.WriteByte(c)
			if i++; i < len(line) {
				part.WriteByte(line[i])
			}
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth > 0:
		case c == '#' && (i == 0 || strings.IndexByte(" \t\n;", line[i-1]) >= 0):
			for i+1 < len(line) && line[i+1] != '\n' {
				i++
			}
			continue
		case c == ';' || c == '\n':
			end()
			continue
		case c == '&' && i+1 < len(line) && line[i+1] == '&':
			end()
			i++
			continue
		}
		part.WriteByte(c)
	}
	end()
	return parts, quote == 0 && depth == 0
}

const longestShown = 120

// maskLine is a line of a file for people: on one line, its secrets masked.
func maskLine(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	masked := mask.Script(line)
	if runes := []rune(masked); len(runes) > longestShown {
		return string(runes[:longestShown]) + "..."
	}
	return masked
}

var shellFlag = regexp.MustCompile(`^-[a-z]*c$`)

// shellScript is the text that a shell is given to run.
func shellScript(argv []string) (script string, ok bool) {
	if len(argv) < 3 || !isShell(argv[0]) {
		return "", false
	}
	i := 1
	for ; i < len(argv)-1; i++ {
		if shellFlag.MatchString(argv[i]) {
			return argv[i+1], true
		}
		if !strings.HasPrefix(argv[i], "-") && argv[i] != "pipefail" {
			return "", false
		}
	}
	return "", false
}

func isShell(program string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "zsh"}, filepath.Base(program))
}

// shellFile reads a script of the project's that ends in the server: its last line, as of a shell. What
// stands before is left out.
func (s start) shellFile(name string) (start, error) {
	path := s.here(name)
	text, err := readSmall(path)
	if err != nil {
		return s, fmt.Errorf("the script %s can't be read", name)
	}
	parts, ok := splitChain(string(text))
	if !ok || len(parts) == 0 {
		return s, fmt.Errorf("how the script %s ends can't be seen without running it", name)
	}
	last := parts[len(parts)-1]
	if slices.Contains([]string{"fi", "done", "esac", "}"}, last) || strings.Contains(last, `$@`) || strings.Contains(last, `$*`) {
		return s, fmt.Errorf("what the script %s runs at its end depends on how it is run", name)
	}
	followed, err := s.shellLine(last)
	if err != nil {
		return s, fmt.Errorf("the last line of the script %s, %s: %w", name, maskLine(last), err)
	}
	followed.notes = append(followed.notes, fmt.Sprintf("%s is not run, only the server at its end", name))
	return followed, nil
}

// here is a path of the container's in the project's folder, where there is such a file.
func (s start) here(name string) string {
	path := inDir(s.command.Dir, name)
	if !s.container || exists(path) {
		return path
	}
	for parts := strings.Split(strings.Trim(name, "/"), "/"); len(parts) > 0; parts = parts[1:] {
		if p := filepath.Join(s.command.Dir, filepath.Join(parts...)); exists(p) {
			return p
		}
	}
	return path
}
